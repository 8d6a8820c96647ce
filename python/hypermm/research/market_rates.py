"""How often aggressive flow reaches a given distance from the mid: what a background rate should be held against."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hypermm.exceptions import RecordingError

if TYPE_CHECKING:
    from os import PathLike

    from numpy.typing import NDArray

    from hypermm.research.market_statistics import MarketTape

    Floats = NDArray[np.float64]

__all__ = ["FillRate", "ReachRate", "fill_rate", "law_rate", "reach_rate"]

_BPS = 1e4
_MIN_FILLS = 20
# A pause longer than this and the bot did not quote.
_PAUSE_S = 600.0


@dataclass(frozen=True, slots=True)
class ReachRate:
    """Aggressor events of a market by how far they go.

    Attributes:
        events_per_s: All events.
        reaching_per_s: Those that go at least the given distance from the mid before them.
        fano_10_s: Variance over mean of all events in windows of 10 s; 1 without clustering.
        fano_60_s: The same of 60 s.
        branching: Share of events that others begot, were they a Hawkes process: 1 − 1/√(Fano factor of 60 s).
    """

    events_per_s: float
    reaching_per_s: float
    fano_10_s: float
    fano_60_s: float
    branching: float


@dataclass(frozen=True, slots=True)
class FillRate:
    """Fills of a bot as events.

    Attributes:
        fills: Distinct fill times.
        seconds: Time it quoted: without pauses of more than ten minutes.
        per_s: Fill times a second.
        median_depth_bps: Median distance of its fills from the mid at placement; NaN where the file does not say.
        fano_60_s: Variance over mean of fill times in windows of 60 s.
    """

    fills: int
    seconds: float
    per_s: float
    median_depth_bps: float
    fano_60_s: float


def reach_rate(tape: MarketTape, distance_bps: float) -> ReachRate:
    """Rate of events whose worst print stands at least `distance_bps` from the mid before them."""
    before = tape.mid_at(tape.event_s - 1e-3)
    reach = tape.side * (tape.worst / before - 1.0) * _BPS
    unseen = float(np.diff(tape.gaps, axis=1).sum()) if len(tape.gaps) else 0.0
    seconds = tape.span_s - unseen
    fano = [_fano(tape.event_s, tape.span_s, window_s, tape) for window_s in (10.0, 60.0)]
    return ReachRate(
        events_per_s=len(tape.event_s) / seconds,
        reaching_per_s=float(np.count_nonzero(reach >= distance_bps)) / seconds,
        fano_10_s=fano[0],
        fano_60_s=fano[1],
        branching=float(max(0.0, 1.0 - 1.0 / np.sqrt(fano[1]))) if fano[1] > 0 else np.nan,
    )


def law_rate(per_s: float, distance_bps: float, decay_per_bps: float) -> float:
    """Rate of all events that makes `per_s` of them reach a distance, where reach is exponential: per_s·e^{k·d}."""
    return float(per_s * np.exp(decay_per_bps * distance_bps))


def _fano(times: Floats, span_s: float, window_s: float, tape: MarketTape | None = None) -> float:
    edges = np.arange(0.0, span_s, window_s)
    counts = np.histogram(times, edges)[0].astype(np.float64)
    if tape is not None:
        counts = counts[tape.seen(edges[:-1], edges[1:])]
    return float(counts.var() / counts.mean()) if len(counts) > 1 and counts.mean() > 0 else np.nan


def fill_rate(path: str | PathLike[str]) -> FillRate:
    """Reads a fill record: CSV with a column `utc`, and `realized_spread_bps` where the distance is known.

    Raises:
        RecordingError: The file is missing or has no such column, a time is unreadable, or there are too few fills.
    """
    file = Path(path)
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines))
    except (OSError, UnicodeDecodeError) as error:
        raise RecordingError(field=str(file), value=type(error).__name__, expected="a CSV file of fills") from error
    times, depths = [], []
    for number, row in enumerate(rows, start=2):
        try:
            times.append(datetime.fromisoformat(row["utc"]).replace(tzinfo=UTC).timestamp())
            depths.append(float(row.get("realized_spread_bps") or "nan"))
        except (KeyError, TypeError, ValueError) as error:
            raise RecordingError(
                field=f"{file.name}:utc", value=str(error), expected="a column utc of ISO times", row=number
            ) from error
    distinct = np.unique(times)
    if len(distinct) < _MIN_FILLS:
        expected = f"at least {_MIN_FILLS} fills at different times"
        raise RecordingError(field=str(file), value=f"{len(distinct)} fills", expected=expected)
    waits = np.diff(distinct)
    waits = waits[waits <= _PAUSE_S]
    known = np.array(depths)[np.isfinite(depths)]
    return FillRate(
        fills=len(distinct),
        seconds=float(waits.sum()),
        per_s=float(len(waits) / waits.sum()),
        median_depth_bps=float(np.median(known)) if len(known) else np.nan,
        fano_60_s=_fano(np.concatenate([[0.0], np.cumsum(waits)]), float(waits.sum()), 60.0),
    )
