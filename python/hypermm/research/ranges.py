"""Where tuning may move a field of the engine's configuration: given in a file, or a decade to either side of the base.

A file of ranges is TOML with one table, the lowest and the highest value of each field::

    [ranges]
    risk_aversion = [0.005, 0.05]
    levels = [2, 6]
    terminal_penalty = [false, true]
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hypermm._core import ConfigField, EngineConfig
from hypermm.exceptions import InvalidConfigError
from hypermm.research.grid import check_field, located, read_toml

if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike

    from optuna.distributions import BaseDistribution

__all__ = ["FieldRange", "default_ranges", "load_ranges", "range_of"]

_SHAPE = "one table [ranges], with [lowest, highest] of each field"
_DECADE = 10.0


class FieldRange(NamedTuple):
    """Values a field may take.

    Attributes:
        kind: "float", "integer" or "bool".
        low: Lowest value.
        high: Highest value.
    """

    kind: str
    low: float
    high: float

    @property
    def is_log(self) -> bool:
        """Whether ratios count rather than differences: the values span a decade or more, all above 0."""
        return self.kind != "bool" and self.low > 0 and self.high >= _DECADE * self.low

    def distribution(self) -> BaseDistribution:
        """The same for Optuna."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if self.kind == "bool":
            return CategoricalDistribution([False, True])
        if self.kind == "integer":
            return IntDistribution(int(self.low), int(self.high), log=self.is_log)
        return FloatDistribution(self.low, self.high, log=self.is_log)

    def nearest(self, value: Any) -> float | int | bool:
        """The value of the range next to this one; its middle for none."""
        if self.kind == "bool":
            return bool(value)
        middle = (self.low * self.high) ** 0.5 if self.is_log else 0.5 * (self.low + self.high)
        inside = min(max(middle if value is None else value, self.low), self.high)
        return round(inside) if self.kind == "integer" else float(inside)


def default_ranges(base: EngineConfig, fields: Iterable[str]) -> dict[str, FieldRange]:
    """A decade to either side of the base's value, within the legal range; all of the legal range for a base of 0.

    Raises:
        InvalidConfigError: A field is unknown, or not set in the base: it needs a range of its own.
    """
    ranges = {}
    for name in fields:
        value = base.to_dict().get(name)
        check_field(name, value)
        row = _row(name)
        if row.kind == "bool":
            ranges[name] = FieldRange("bool", 0.0, 1.0)
            continue
        if value is None:
            raise InvalidConfigError(
                field=name, value="unset", expected="a field with a value", hint="give it a range in a file of ranges"
            )
        low, high = row.range
        if value:
            low, high = max(low, value / _DECADE), min(high, value * _DECADE)
        if row.kind == "integer":
            ranges[name] = FieldRange("integer", float(round(low)), float(round(high)))
        else:
            ranges[name] = FieldRange("float", low, high)
    return ranges


def range_of(name: str, bounds: Any) -> FieldRange:
    """The range of a field from [lowest, highest].

    Raises:
        InvalidConfigError: The field is unknown, the bounds are not two legal values in order.
    """
    check_field(name, bounds)
    row = _row(name)
    expected = "[lowest, highest], two different values"
    if not isinstance(bounds, (list, tuple)) or len(bounds) != 2 or None in bounds:
        raise InvalidConfigError(field=name, value=bounds, expected=expected)
    for value in bounds:
        _check(name, value)
    low, high = bounds
    if not low < high:
        raise InvalidConfigError(field=name, value=bounds, expected=expected)
    kind = "float" if row.kind == "optional_float" else row.kind
    return FieldRange(kind, float(low), float(high))


def load_ranges(path: str | PathLike[str]) -> dict[str, FieldRange]:
    """Reads a file of ranges.

    Raises:
        InvalidConfigError: The file is missing or no TOML, or a table, key or value in it is wrong; names file, line
            and key.
    """
    path = Path(path)
    text, document = read_toml(path, ("ranges",), _SHAPE)
    table = document.get("ranges")
    if not isinstance(table, dict) or not table:
        raise InvalidConfigError(field=str(path), value=table, expected=_SHAPE)
    return {name: located(path, text, name, partial(range_of, name, bounds)) for name, bounds in table.items()}


def _row(name: str) -> ConfigField:
    return next(field for field in EngineConfig.fields() if field.name == name)


def _check(name: str, value: Any) -> None:
    """Refuses a value the field cannot have, whatever the other fields hold."""
    beside = {"horizon_min_s": {"horizon_max_s": 86_400.0}, "horizon_max_s": {"horizon_min_s": 0.1}}
    beside["clip"] = {"max_position": 1e12}
    EngineConfig().replace(**{**beside.get(name, {}), name: value})
