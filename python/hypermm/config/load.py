"""Reads settings from TOML and from `key=value` overrides."""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from hypermm._core import EngineConfig
from hypermm.config.model import TABLES, Settings, field_rows, refuse_unknown
from hypermm.exceptions import InvalidConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from os import PathLike

__all__ = ["load_settings", "parse_override", "refuse_overrides"]

_TABLES = ("engine", *TABLES)


def load_settings(path: str | PathLike[str] | None = None, overrides: Iterable[str] = ()) -> Settings:
    """Reads settings: defaults, then the file, then the overrides.

    Args:
        path: TOML file with tables `[engine]`, `[run]` and `[exchange]`.
        overrides: Strings `key=value`; the key may be written with its table (`run.seed=7`) or without.

    Raises:
        InvalidConfigError: The file is missing or no TOML, a key is unknown (with the nearest known one), or a value
            is of the wrong type or out of range.
    """
    tables: dict[str, dict[str, Any]] = {name: {} for name in _TABLES}
    overridden: set[tuple[str, str]] = set()
    if path is not None:
        document = _read(Path(path))
        try:
            _refuse_unknown_tables(document)
        except InvalidConfigError as error:
            raise _within(f"{path}: {error.field}", error) from error
        for name, table in document.items():
            if not isinstance(table, dict):
                raise InvalidConfigError(field=f"{path}: {name}", value=table, expected=f"a table [{name}]")
            tables[name] |= table
    for override in overrides:
        table_name, key, value = parse_override(override)
        tables[table_name][key] = value
        overridden.add((table_name, key))
    try:
        read: dict[str, Any] = {table: _table(table, tables[table]) for table in TABLES}
        settings = Settings(engine=tables["engine"], **read)
        settings.engine_config()
    except InvalidConfigError as error:
        # The engine names its field alone.
        table_name, _, key = error.field.rpartition(".")
        table_name = table_name or "engine"
        written = path is not None and (table_name, key) not in overridden
        raise _within(f"{path}: {table_name}.{key}" if written else f"{table_name}.{key}", error) from error
    return settings


def _within(place: str, error: InvalidConfigError) -> InvalidConfigError:
    """The same refusal, its field named with file and table."""
    return InvalidConfigError(field=place, value=error.value, expected=error.expected, hint=error.hint)


def parse_override(text: str) -> tuple[str, str, Any]:
    """Splits `key=value` into table, key and value, the value read as TOML; bare words are strings, lists may be a,b.

    Raises:
        InvalidConfigError: There is no `=`, or no table has the key.
    """
    name, equals, written = (part.strip() for part in text.partition("="))
    if not equals or not name or not written:
        raise InvalidConfigError(field="--set", value=text, expected="key=value", hint="such as risk_aversion=0.02")
    keys = {"engine": [field.name for field in EngineConfig.fields()]}
    keys |= {table: list(kind.__struct_fields__) for table, kind in TABLES.items()}
    table, dot, key = name.partition(".")
    if dot:
        _refuse_unknown_tables({table: written})
        refuse_unknown({key: written}, keys[table], table)
    else:
        refuse_unknown({name: written}, [key for table in _TABLES for key in keys[table]], "")
        table, key = next(table for table in _TABLES if name in keys[table]), name
    if written in ("none", "unset"):
        return table, key, None
    try:
        value = tomllib.loads(f"value = {written}")["value"]
    except tomllib.TOMLDecodeError:
        value = written
    kind = next(row.type for row in field_rows() if (row.table, row.name) == (table, key))
    if kind == "string" and not isinstance(value, str):
        value = written  # an address is a number to TOML
    elif kind == "array" and isinstance(value, str):
        value = [name.strip() for name in value.split(",")]
    return table, key, value


def refuse_overrides(overrides: Iterable[str], keys: Iterable[str], expected: str, hint: str) -> None:
    """Refuses overrides of some keys of [run] that a command would not heed.

    Raises:
        InvalidConfigError: One of them is given.
    """
    for override in overrides:
        table, key, value = parse_override(override)
        if table == "run" and key in keys:
            raise InvalidConfigError(field=f"run.{key}", value=value, expected=expected, hint=hint)


def _refuse_unknown_tables(given: Mapping[str, object]) -> None:
    for name, value in given.items():
        if name not in _TABLES:
            near = difflib.get_close_matches(name, _TABLES, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else "fields stand in a table, such as [engine]"
            raise InvalidConfigError(
                field=name, value=value, expected="a table: [engine], [run] or [exchange]", hint=hint
            )


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidConfigError(
            field=f"config file {path}",
            value=str(error).splitlines()[0],
            expected="a TOML file with tables [engine], [run] and [exchange]",
        ) from error


def _table(table: str, given: dict[str, Any]) -> msgspec.Struct:
    kind = TABLES[table]
    refuse_unknown(given, list(kind.__struct_fields__), table)
    for name, value in given.items():
        try:
            msgspec.convert({name: value}, kind)
        except msgspec.ValidationError:
            # Not from that error: it quotes the value, which may be a key put in the wrong place.
            raise InvalidConfigError(field=f"{table}.{name}", value=value, expected=_wanted(table, name)) from None
    return msgspec.convert(given, kind)


def _wanted(table: str, name: str) -> str:
    """What a key may be, in the words of the table of fields."""
    row = next(row for row in field_rows() if (row.table, row.name) == (table, name))
    if row.type == "array":
        return f"a list of text, {row.text}"
    if row.type == "string":
        return f"one of {row.range}" if row.range else row.text
    kind = "an integer" if row.type == "integer" else "a number"
    between = row.range if row.range.startswith("above") else f"from {row.range}"
    return f"{kind} {between}" + ("" if row.unit == "1" else f" {row.unit}")
