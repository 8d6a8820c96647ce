"""A recording cut into spans of time, and what figures of several spans come to together."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hypermm.exceptions import InvalidInputError
from hypermm.recording.schema import COLUMNS, STREAMS, Recording

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike

__all__ = ["OBJECTIVES", "Objective", "cut", "folds_of", "heard_in", "joined"]


class Objective(NamedTuple):
    """A figure of a run that tuning can look at.

    Attributes:
        name: What it is called on the command line.
        figure: Figure of the run's summary; markout_bps is that at 10 s.
        better: "higher" or "lower".
        joins_by: What several spans come to: "sum", "max", or the figure their mean is weighted by.
    """

    name: str
    figure: str
    better: str
    joins_by: str

    def of(self, summary: Mapping[str, Any]) -> float | None:
        """The figure of one run; None where nothing can be said."""
        value = summary[self.figure]
        if isinstance(value, dict):
            value = value["10s"]
        return None if value is None else float(value)


OBJECTIVES = {
    objective.name: objective
    for objective in (
        Objective("edge_bps", "edge_bps", "higher", "volume_usd"),
        Objective("markout_bps", "markout_bps", "higher", "volume_usd"),
        Objective("pnl_usd", "pnl_usd", "higher", "sum"),
        Objective("volume_usd", "volume_usd", "higher", "sum"),
        Objective("fills", "fills", "higher", "sum"),
        Objective("max_drawdown", "max_drawdown_usd", "lower", "max"),
        Objective("max_abs_position", "max_abs_position", "lower", "max"),
        Objective("adverse_share", "adverse_share", "lower", "fills"),
    )
}


def joined(objective: Objective, summaries: Sequence[Mapping[str, Any]]) -> float | None:
    """What an objective is over several spans; None where nothing can be said of any."""
    known = [(value, summary) for summary in summaries if (value := objective.of(summary)) is not None]
    if not known:
        return None
    values = [value for value, _ in known]
    if objective.joins_by in ("sum", "max"):
        return float(sum(values) if objective.joins_by == "sum" else max(values))
    if len(values) == 1:
        return values[0]
    weights = [float(summary[objective.joins_by]) for _, summary in known]
    return float(np.average(values, weights=weights)) if sum(weights) > 0 else None


def folds_of(recording: Recording, folds: int) -> list[Recording]:
    """The recording in `folds` spans of equal time, in order.

    Raises:
        InvalidInputError: A span would hold no book.
    """
    start_ns, span_ns = recording.start_ns, recording.end_ns + 1 - recording.start_ns
    edges = [start_ns + span_ns * edge // folds for edge in range(folds + 1)]
    parts = []
    for start, end in pairwise(edges):
        if not np.any((recording.book_time_ns >= start) & (recording.book_time_ns < end)):
            raise InvalidInputError(
                field="folds", value=folds, expected="spans of time with a book in each", hint="ask for fewer"
            )
        parts.append(cut(recording, start, end))
    return parts


def heard_in(
    fold: Recording, references: Mapping[str, tuple[ArrayLike, ArrayLike]] | None
) -> dict[str, tuple[ArrayLike, ArrayLike]]:
    """Prices of other markets within the span of a fold."""
    heard: dict[str, tuple[ArrayLike, ArrayLike]] = {}
    for name, (times, prices) in (references or {}).items():
        times_ns, values = np.asarray(times, np.int64), np.asarray(prices, np.float64)
        inside = (times_ns >= fold.start_ns) & (times_ns <= fold.end_ns)
        heard[name] = (times_ns[inside], values[inside])
    return heard


def cut(recording: Recording, start_ns: int, end_ns: int) -> Recording:
    """What was received from `start_ns` to before `end_ns`, without copying."""
    columns = {}
    for stream in STREAMS:
        first, last = np.searchsorted(getattr(recording, f"{stream}_time_ns"), (start_ns, end_ns))
        for name, column in COLUMNS.items():
            if column.stream == stream:
                columns[name] = getattr(recording, name)[first:last]
    return Recording.from_columns(recording.coin, columns, path=recording.path)
