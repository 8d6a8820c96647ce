"""The gap between paper and live: one strategy with true queues, and on the same public feed in each fill model.

Live is the matching venue, where an order stands behind those that came before. Paper is the recorded venue on the feed
that the live run published, our own orders taken out of every level (a recording is made without them); whoever traded
with us stays on the tape. A last row plays the market of the same seed in which we never traded, as one's own recording
is: what it differs by is our impact. Both venues have the same block clock, and by the keys of their draws the same
delays. Every fill of every arm is valued by mids without our own orders.

Means are per fill. A difference is paired by seed, and its standard error comes from the spread over seeds, which are
independent: with sums e_s and counts n_s of seed s, m = Σe/Σn, z_s = (e_s − m·n_s)/Σn, error² = S/(S−1)·Σ(z_s − z′_s)².
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import hypermm

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

__all__ = ["ARMS", "Arm", "FillNumbers", "GapView", "compare", "play", "steps"]

_OLD_LATENCY_NS = (30_000_000, 30_000_000)


class FillNumbers(NamedTuple):
    """The calibrated fill model.

    Attributes:
        cancel_exponent: α: cancels are shared by size ahead and behind to this power.
        touch_probability: Chance that a print at our price reaches us though the estimate leaves it to others.
        alone_probability: Chance that an order is taken when the others of its side have left its price.
    """

    cancel_exponent: float
    touch_probability: float
    alone_probability: float

    @property
    def model(self) -> tuple[str, float, float, float]:
        """As `hypermm.backtest` takes it."""
        return ("calibrated", *self)


class Arm(NamedTuple):
    """A paper arm.

    Attributes:
        name: What it is called in tables.
        feed: "ours_left_out", "published" (our orders left in) or "without_us" (the market in which we never traded).
        fill_model: As `hypermm.backtest` takes it.
        latency: Constants, ns; None = the live venue's blocks and delays.
    """

    name: str
    feed: str
    fill_model: Any
    latency: tuple[int, int] | None = None


class GapView(NamedTuple):
    """One arm against live.

    Attributes:
        arm: Its name.
        fills: Fills.
        fills_over_live: Fills over those of the live run.
        edge_bps: Mean edge a fill 10 s later, after fees, bps.
        markout_bps: Mean markout a fill at 10 s, bps.
        difference_bps: Edge a fill less that of the live run, bps.
        error_bps: Its standard error, by seeds.
        weighted_difference_bps: The same difference of edges weighted by size.
        weighted_error_bps: Its standard error.
    """

    arm: str
    fills: int
    fills_over_live: float
    edge_bps: float
    markout_bps: float
    difference_bps: float
    error_bps: float
    weighted_difference_bps: float
    weighted_error_bps: float


def ARMS(numbers: FillNumbers) -> tuple[Arm, ...]:  # noqa: N802 - a table with one argument
    """From the old paper setting to the calibrated view, one cause at a time; then what the choice of feed is worth."""
    alpha, touch, _ = numbers
    return (
        Arm("old paper setting", "ours_left_out", "paper", _OLD_LATENCY_NS),
        Arm("optimistic: + the venue's delays", "ours_left_out", "paper"),
        Arm("pessimistic: + a place in the queue", "ours_left_out", "risk_averse"),
        Arm("+ cancels ahead", "ours_left_out", ("power", alpha)),
        Arm("+ touches not seen", "ours_left_out", ("calibrated", alpha, touch, 0.0)),
        Arm("calibrated: + left alone", "ours_left_out", numbers.model),
        Arm("calibrated, market without us", "without_us", numbers.model),
        Arm("calibrated, our orders left in", "published", numbers.model),
    )


def play(
    preset: str | hypermm.MarketPreset,
    config: hypermm.EngineConfig,
    arms: Sequence[Arm],
    *,
    seeds: int,
    first_seed: int = 0,
    duration_s: float = 3600.0,
    cycle_ns: int = 250_000_000,
    progress: Callable[[int, int], object] | None = None,
) -> dict[str, npt.NDArray[Any]]:
    """Columns of `hypermm.paper_gap`: one row a seed and arm, arm 0 live."""
    return hypermm.paper_gap(
        preset,
        config,
        [(arm.feed, arm.fill_model, arm.latency) for arm in arms],
        seeds=seeds,
        first_seed=first_seed,
        duration_s=duration_s,
        cycle_ns=cycle_ns,
        progress=progress,
    )


def compare(columns: Mapping[str, npt.NDArray[Any]], arms: Sequence[Arm]) -> list[GapView]:
    """Live first, then every arm held against it."""
    live = _Sums.of(columns, 0)
    views = []
    for number, name in enumerate(["live", *(arm.name for arm in arms)]):
        sums = _Sums.of(columns, number)
        edge, weighted = sums.edge.mean - live.edge.mean, sums.weighted.mean - live.weighted.mean
        views.append(
            GapView(
                name,
                sums.fills,
                sums.fills / live.fills if live.fills else np.nan,
                sums.edge.mean,
                sums.markout.mean,
                edge,
                _error(sums.edge, live.edge),
                weighted,
                _error(sums.weighted, live.weighted),
            )
        )
    return views


def steps(columns: Mapping[str, npt.NDArray[Any]], arms: Sequence[Arm]) -> list[tuple[str, float, float]]:
    """What each arm's edge a fill differs from the arm before it, bps, with its standard error.

    An arm before it that is played another feed than the first is no step on the way: it is left out.
    """
    means = [_Sums.of(columns, number + 1).edge for number in range(len(arms))]
    found, before = [], means[0]
    for arm, mean in zip(arms[1:], means[1:], strict=True):
        found.append((arm.name, mean.mean - before.mean, _error(mean, before)))
        if arm.feed == arms[0].feed:
            before = mean
    return found


class Ratio(NamedTuple):
    """A mean over fills, and each seed's part in its error."""

    mean: float
    parts: npt.NDArray[np.float64]

    @classmethod
    def of(cls, sums: npt.NDArray[np.float64], counts: npt.NDArray[np.float64]) -> Ratio:
        """Of sums and counts by seed; NaN without a count."""
        total = float(counts.sum())
        if total <= 0.0:
            return cls(np.nan, np.full(len(sums), np.nan))
        mean = float(sums.sum()) / total
        return cls(mean, (sums - mean * counts) / total)


class _Sums(NamedTuple):
    fills: int
    edge: Ratio
    weighted: Ratio
    markout: Ratio

    @classmethod
    def of(cls, columns: Mapping[str, npt.NDArray[Any]], number: int) -> _Sums:
        rows = columns["arm"] == number
        by_fill = columns["resolved"][rows].astype(np.float64)
        return cls(
            int(columns["fills"][rows].sum()),
            Ratio.of(columns["edge_sum_bps"][rows], by_fill),
            Ratio.of(columns["edge_volume"][rows], columns["volume_usd"][rows]),
            Ratio.of(columns["markout_sum_bps"][rows], by_fill),
        )


def _error(one: Ratio, other: Ratio) -> float:
    """Standard error of the difference of two means over the same seeds; NaN of a single seed."""
    count = len(one.parts)
    if count < 2:
        return np.nan
    return float(np.sqrt(count / (count - 1) * np.sum((one.parts - other.parts) ** 2)))
