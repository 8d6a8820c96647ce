"""What can be set: `[engine]` by `EngineConfig.fields()`, `[run]` by `RunConfig`, `[exchange]` by `ExchangeConfig`."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import msgspec

from hypermm._core import Calibration, EngineConfig
from hypermm.config.exchange import ExchangeConfig
from hypermm.exceptions import InvalidConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["TABLES", "FieldRow", "RunConfig", "Settings", "field_rows", "json_schema", "refuse_unknown"]

EngineValue = float | int | bool | None


class RunConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a backtest is run.

    Attributes:
        seed: Seed of every draw.
        cycle_ms: Least time between two quotes, ms; 0 quotes on every event.
        fill_model: What fills our orders: chance ("paper", the old paper trader's, or "default", which fills less) or a
            place in the queue, moved up by trades and by cancels ahead: "risk_averse" none, "power" or "log" a share;
            "calibrated" adds chances for what the feed does not show, as `hypermm gap` fits them.
        cancel_exponent: Exponent of "power"; 1 takes cancels in proportion to the size ahead and behind.
        max_position_usd: Cap of |position| in USD at the first mid, where [engine] sets no max_position.
        to_venue_ms: From sending an order until the venue acts on it, ms.
        acknowledge_ms: From the venue's act until we know of it, ms.
        calibration: File that `hypermm calibrate` wrote for this instrument; empty: none.
    """

    seed: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1, description="Seed of every draw. Unit: 1.")] = 0
    cycle_ms: Annotated[
        float, msgspec.Meta(ge=0, le=60_000, description="Least time between two quotes; 0: on every event. Unit: ms.")
    ] = 250.0
    fill_model: Annotated[
        Literal["paper", "default", "risk_averse", "power", "log", "calibrated"],
        msgspec.Meta(
            description="Fill model: chance, paper or default; a queue, risk_averse, power, log or calibrated. Unit: 1."
        ),
    ] = "paper"
    cancel_exponent: Annotated[
        float, msgspec.Meta(gt=0, le=20, description="Exponent of cancels ahead in the power queue. Unit: 1.")
    ] = 1.0
    max_position_usd: Annotated[
        float,
        msgspec.Meta(
            gt=0,
            le=1e12,
            description="Cap of |position| at the first mid where [engine] sets no max_position. Unit: USD.",
        ),
    ] = 10_000.0
    to_venue_ms: Annotated[
        float, msgspec.Meta(ge=0, le=60_000, description="From sending an order until the venue acts on it. Unit: ms.")
    ] = 30.0
    acknowledge_ms: Annotated[
        float, msgspec.Meta(ge=0, le=60_000, description="From the venue's act until we know of it. Unit: ms.")
    ] = 30.0
    calibration: Annotated[
        str, msgspec.Meta(description="File that hypermm calibrate wrote for this instrument; empty: none. Unit: 1.")
    ] = ""

    @property
    def cycle_ns(self) -> int:
        """Least time between two quotes, ns."""
        return round(self.cycle_ms * 1e6)

    @property
    def fills_by(self) -> str | tuple[str, float]:
        """The fill model as `hypermm.backtest` takes it."""
        return ("power", self.cancel_exponent) if self.fill_model == "power" else self.fill_model


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything one run is set by.

    Attributes:
        engine: Engine fields that were set; the rest keep their defaults.
        run: The run's own settings.
        exchange: The live venue.
    """

    engine: dict[str, EngineValue] = {}
    run: RunConfig = RunConfig()
    exchange: ExchangeConfig = ExchangeConfig()

    def engine_config(self, **otherwise: EngineValue | Calibration) -> EngineConfig:
        """The engine's configuration.

        Args:
            otherwise: Used where [engine] sets none: max_position, the cap in contracts, or the calibration.

        Raises:
            InvalidConfigError: A field is unknown, of the wrong type or out of range.
        """
        refuse_unknown(self.engine, [field.name for field in EngineConfig.fields()], "engine")
        return EngineConfig().replace(**(otherwise | self.engine))


TABLES: dict[str, type[msgspec.Struct]] = {"run": RunConfig, "exchange": ExchangeConfig}
"""Tables of a settings file beside [engine], with the struct each is read into."""


class FieldRow(NamedTuple):
    """One row of the table of all settings."""

    table: str
    name: str
    type: str
    unit: str
    default: Any
    range: str
    text: str


def field_rows() -> list[FieldRow]:
    """Every key that a settings file may hold, the engine's first, in the order they are declared."""
    rows = [
        FieldRow(
            "engine",
            field.name,
            field.kind,
            field.unit,
            field.default,
            f"{field.range[0]:g} to {field.range[1]:g}" if field.kind != "bool" else "",
            f"{field.text} Too high: {field.too_high}. Too low: {field.too_low}.",
        )
        for field in EngineConfig.fields()
    ]
    for table in TABLES:
        for name, entry in _properties(table).items():
            text, _, unit = entry["description"].partition(" Unit: ")
            kind = entry.get("type", "string")
            rows.append(FieldRow(table, name, kind, unit.rstrip("."), entry["default"], _bounds(entry), text))
    return rows


def _bounds(entry: Mapping[str, Any]) -> str:
    if "enum" in entry:
        return ", ".join(filter(None, entry["enum"]))
    if "exclusiveMinimum" in entry:
        return f"above {entry['exclusiveMinimum']:g} to {entry['maximum']:g}"
    if "minimum" in entry:
        return f"{entry['minimum']:g} to {entry['maximum']:g}"
    return ""


def json_schema() -> dict[str, Any]:
    """JSON Schema of a settings file, made from the Rust field table and `TABLES`."""
    kinds: dict[str, Any] = {
        "float": {"type": "number"},
        "optional_float": {"type": ["number", "null"]},
        "integer": {"type": "integer"},
        "bool": {"type": "boolean"},
    }
    engine: dict[str, Any] = {}
    for field in EngineConfig.fields():
        entry: dict[str, Any] = dict(kinds.get(field.kind, {"type": ["number", "null"]}))
        if field.kind != "bool":
            entry |= {"minimum": field.range[0], "maximum": field.range[1]}
        entry["default"] = field.default
        entry["description"] = f"{field.text} Too high: {field.too_high}. Too low: {field.too_low}. Unit: {field.unit}."
        engine[field.name] = entry
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "hypermm settings",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "engine": {"type": "object", "additionalProperties": False, "properties": engine},
        }
        | {
            table: {"type": "object", "additionalProperties": False, "properties": _properties(table)}
            for table in TABLES
        },
    }


def _properties(table: str) -> dict[str, dict[str, Any]]:
    kind = TABLES[table]
    schema = msgspec.json.schema(kind)
    properties: dict[str, dict[str, Any]] = schema["$defs"][kind.__name__]["properties"]
    return properties


def refuse_unknown(given: Mapping[str, object], known: list[str], table: str) -> None:
    """Refuses the first key of `given` that is not in `known`, with the nearest known one as a hint.

    Raises:
        InvalidConfigError: There is such a key.
    """
    for name, value in given.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            raise InvalidConfigError(
                field=f"{table}.{name}" if table else name,
                value=value,
                expected=f"a key of [{table}]" if table else "a key of [engine], [run] or [exchange]",
                hint=f"did you mean {near[0]}?" if near else "list them with: hypermm config fields",
            )
