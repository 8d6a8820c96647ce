"""Which configurations to try: a grid in a file or a mapping, and the changes it makes to a base configuration.

A grid file is TOML with one of two tables. `[grid]` holds fields of the engine's configuration with lists of values,
all combinations of which are tried, the last field fastest; `[[points]]` lists the combinations themselves::

    [grid]
    risk_aversion = [0.01, 0.02, 0.04]
    levels = [2, 3]
"""

from __future__ import annotations

import difflib
import itertools
import math
import re
import tomllib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from hypermm._core import EngineConfig
from hypermm.exceptions import InvalidConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from os import PathLike

__all__ = ["MAX_POINTS", "check_field", "grid_configs", "load_grid", "located", "read_toml"]

_Made = TypeVar("_Made")

MAX_POINTS = 1_000_000
_TABLES = ("grid", "points")
_SHAPE = "one table: [grid] with lists of values, or [[points]] with one value a field"


def grid_configs(grid: Mapping[str, Sequence[Any]], base: EngineConfig | None = None) -> list[EngineConfig]:
    """All combinations of the values of each field, the last field fastest.

    Args:
        grid: Field of the engine's configuration → values to try.
        base: Configuration the fields are changed of; the engine's defaults without it.

    Raises:
        InvalidConfigError: A field is unknown, has no values or one that is of the wrong type or out of range, or there
            are more than a million combinations.
    """
    for name, values in grid.items():
        check_field(name, values)
        if isinstance(values, (str, bytes)) or not hasattr(values, "__iter__"):
            raise InvalidConfigError(
                field=name, value=values, expected="a list of values", hint=f"write {name} = [{values}]"
            )
    lists = {name: list(values) for name, values in grid.items()}
    for name, values in lists.items():
        if not values:
            raise InvalidConfigError(field=name, value=values, expected="at least one value")
    count = math.prod(len(values) for values in lists.values())
    if count > MAX_POINTS:
        raise InvalidConfigError(field="grid", value=f"{count} combinations", expected=f"at most {MAX_POINTS}")
    start = base or EngineConfig()
    points = (dict(zip(lists, values, strict=True)) for values in itertools.product(*lists.values()))
    return [start.replace(**point) for point in points]


def load_grid(path: str | PathLike[str], base: EngineConfig | None = None) -> list[EngineConfig]:
    """Reads a grid file.

    Args:
        path: TOML file with `[grid]` or `[[points]]`.
        base: Configuration the fields are changed of; the engine's defaults without it.

    Raises:
        InvalidConfigError: The file is missing or no TOML, or a table, key or value in it is wrong; names file, line
            and key.
    """
    path = Path(path)
    text, document = read_toml(path, _TABLES, _SHAPE)
    if len(document) != 1:
        raise InvalidConfigError(field=str(path), value=f"{len(document)} tables", expected=_SHAPE)
    if "grid" in document:
        return _of_grid(path, text, document["grid"], base)
    return _of_points(path, text, document["points"], base or EngineConfig())


def read_toml(path: Path, tables: Sequence[str], shape: str) -> tuple[str, dict[str, Any]]:
    """The text of a TOML file and what it says.

    Args:
        path: The file.
        tables: Names its tables may have.
        shape: What is expected of it, for refusals.

    Raises:
        InvalidConfigError: The file is missing or no TOML, or holds something else; names file and line.
    """
    try:
        text = path.read_text("utf-8")
        document = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidConfigError(
            field=f"file {path}", value=str(error).splitlines()[0], expected=f"a TOML file with {shape}"
        ) from error
    for name in document:
        if name not in tables:
            near = difflib.get_close_matches(name, tables, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"write it below [{tables[0]}]"
            raise InvalidConfigError(field=_place(path, text, name), value=name, expected=shape, hint=hint)
    return text, document


def _of_grid(path: Path, text: str, grid: Any, base: EngineConfig | None) -> list[EngineConfig]:
    if not isinstance(grid, dict) or not grid:
        raise InvalidConfigError(field=_place(path, text, "grid"), value=grid, expected="fields with lists of values")
    return located(path, text, "grid", lambda: grid_configs(grid, base))


def _of_points(path: Path, text: str, points: Any, base: EngineConfig) -> list[EngineConfig]:
    if not isinstance(points, list) or not points or not all(isinstance(point, dict) for point in points):
        raise InvalidConfigError(
            field=_place(path, text, "points"), value=points, expected="tables of fields", hint="write [[points]]"
        )
    starts = [
        text.count("\n", 0, match.start()) + 1 for match in re.finditer(r"^\s*\[\[points\]\]", text, re.MULTILINE)
    ]
    configs = []
    for index, point in enumerate(points):
        first = starts[index] if index < len(starts) else 1
        configs.append(located(path, text, "points", partial(_changed, base, point), after=first))
    return configs


def _changed(base: EngineConfig, point: Mapping[str, Any]) -> EngineConfig:
    for name, value in point.items():
        check_field(name, value)
    return base.replace(**point)


def check_field(name: str, value: object) -> None:
    """Refuses a name that is no field of the engine's configuration.

    Raises:
        InvalidConfigError: With the nearest field as a hint.
    """
    known = [field.name for field in EngineConfig.fields()]
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else "list them with: hypermm config fields"
        raise InvalidConfigError(field=name, value=value, expected="a field of EngineConfig", hint=hint)


def located(path: Path, text: str, name: str, make: Callable[[], _Made], *, after: int = 1) -> _Made:
    """What `make` answers.

    Raises:
        InvalidConfigError: Its refusal, named with the file, and the line of its key or else of `name`.
    """
    try:
        return make()
    except InvalidConfigError as error:
        key = error.field if _line(text, error.field, after) else name
        raise InvalidConfigError(
            field=f"{_place(path, text, key, after)}: {error.field}",
            value=error.value,
            expected=error.expected,
            hint=error.hint,
        ) from error


def _place(path: Path, text: str, key: str, after: int = 1) -> str:
    line = _line(text, key, after)
    return f"{path} line {line}" if line else str(path)


def _line(text: str, key: str, after: int = 1) -> int | None:
    """First line from `after` on in which the key or table stands, counted from 1."""
    pattern = re.compile(rf"""^\s*(?:["']?{re.escape(key)}["']?\s*[=.]|\[{{1,2}}\s*{re.escape(key)}\s*\])""")
    lines: Iterable[tuple[int, str]] = enumerate(text.splitlines(), 1)
    return next((number for number, line in lines if number >= after and pattern.match(line)), None)
