"""Files of tables ``[[key]]``: accounts, faults."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from hypermm.exceptions import InvalidConfigError

__all__ = ["read_rows"]


def read_rows(path: Path, key: str) -> list[Any]:
    """Reads the tables ``[[key]]`` of a file that holds nothing else.

    Raises:
        InvalidConfigError: It is missing or no TOML, or holds something else.
    """
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidConfigError(
            field=f"file {path}", value=str(error).splitlines()[0], expected=f"a TOML file of [[{key}]]"
        ) from error
    rows = document.pop(key, [])
    for other, value in document.items():
        raise InvalidConfigError(field=f"{path}: {other}", value=value, expected=f"only tables [[{key}]]")
    if not isinstance(rows, list):
        raise InvalidConfigError(field=f"{path}: {key}", value=rows, expected=f"[[{key}]], in double brackets")
    return rows
