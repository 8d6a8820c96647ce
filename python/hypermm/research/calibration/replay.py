"""The engine replayed with features and without: the second half of the cost test, and a source of own fills."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

import hypermm
from hypermm.recording.schema import COLUMNS
from hypermm.research.calibration.drift import filter_sample

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hypermm.recording import Recording
    from hypermm.research.calibration.noise import Mapping
    from hypermm.research.calibration.sample import Sample

    Floats = NDArray[np.float64]

__all__ = ["EDGE_COLUMN", "FusedFeatures", "edge_difference", "fused_features", "replay", "window"]

# Of the columns of fills by horizon: 10 s.
EDGE_COLUMN = 3
_BLOCK_NS = 60_000_000_000
_DRAWS = 400
# With fewer the bootstrap has next to nothing to draw from: of fills in one block it says that they have no error.
_LEAST_FILLS = 30
_LEAST_BLOCKS = 10
_CAP_USD = 10_000.0


class FusedFeatures:
    """A strategy: the engine, told at each quote cycle what the features say, whitened and fused.

    Args:
        engine: It quotes.
        time_ns: Cycles, rising.
        drift: z̄ of each, bps/s; NaN for none.
        variance: R̄.
    """

    def __init__(self, engine: hypermm.QuoteEngine, time_ns: NDArray[np.int64], drift: Floats, variance: Floats):
        self._engine = engine
        self._rows = [
            (int(time), float(z), float(noise))
            for time, z, noise in zip(time_ns, drift, variance, strict=True)
            if np.isfinite(z)
        ]
        self._next = 0

    def on_event(self, event: hypermm.Event) -> None:
        """Takes in an event."""
        event.apply(self._engine)

    def quote(self, time_ns: int) -> hypermm.Decision:
        """Quotes, after the readings that have come due."""
        last = self._next
        while last < len(self._rows) and self._rows[last][0] <= time_ns:
            last += 1
        if last > self._next:
            _, drift, variance = self._rows[last - 1]
            self._engine.observe(time_ns, drift, variance, name="candidates")
            self._next = last
        return self._engine.quote(time_ns)


def fused_features(
    sample: Sample, places: tuple[int, ...], mapping: Mapping, kappa: float, stationary: float
) -> tuple[Floats, Floats]:
    """(z̄, R̄) of each row, from what they did to a filter that saw nothing else: R̄ = P·P⁻/(P⁻ − P)."""
    filtered = filter_sample(sample, places, mapping, kappa, stationary, with_price=False)
    gap_s = np.diff(sample.time_ns) / 1e9
    decay = np.concatenate([[1.0], np.where(np.diff(sample.segment) == 0, np.exp(-kappa * gap_s), 0.0)])
    before = decay * np.concatenate([[0.0], filtered.mean[:-1]])
    prior = decay**2 * np.concatenate([[stationary], filtered.variance[:-1]]) + stationary * (1.0 - decay**2)
    taken = prior - filtered.variance
    seen = taken > 1e-9 * prior
    with np.errstate(divide="ignore", invalid="ignore"):
        drift = np.where(seen, before + (filtered.mean - before) * prior / taken, np.nan)
        variance = np.where(seen, prior * filtered.variance / taken, np.nan)
    return drift, variance


def window(recording: Recording, from_ns: int, to_ns: int) -> Recording:
    """The rows received within [from_ns, to_ns)."""
    changes: dict[str, Any] = {}
    for stream in ("book", "best", "trade", "context"):
        times = np.asarray(getattr(recording, f"{stream}_time_ns"))
        begin, end = np.searchsorted(times, [from_ns, to_ns])
        for column in COLUMNS.values():
            values = getattr(recording, column.name)
            if column.stream == stream and len(values) == len(times):
                changes[column.name] = values[begin:end]
    return replace(recording, sources={}, **changes)


def replay(
    recording: Recording,
    instrument: hypermm.Instrument,
    config: hypermm.EngineConfig,
    strategy: FusedFeatures | None = None,
) -> dict[str, NDArray[Any]]:
    """Fills of a pessimistic replay: nobody ahead of us in a queue cancels."""
    result = hypermm.backtest(
        recording,
        instrument,
        config,
        fill_model="risk_averse",
        cycle_ns=500_000_000,
        strategy=strategy,
        log_decisions=False,
    )
    return dict(result.fills)


def replay_config(mid_price: float, kappa: float, stationary: float, volatility: float) -> hypermm.EngineConfig:
    """The default engine, its drift filter set to κ_μ and P∞, its uncalibrated sources silent."""
    return hypermm.EngineConfig(
        max_position=_CAP_USD / mid_price,
        drift_mean_reversion_per_s=kappa,
        drift_deviation_ratio=float(np.sqrt(stationary)) / volatility,
        volatility=volatility,
        fill_gain=0.0,
        flow_gain=0.0,
        funding_gain=0.0,
    )


def edge_difference(
    with_it: dict[str, NDArray[Any]], without: dict[str, NDArray[Any]], seed: int = 0
) -> tuple[float, float] | None:
    """Mean edge per fill at 10 s of one run less that of another, bps, and its error by blocks of 60 s drawn together.

    None, not measured, where either has fewer than 30 fills that are old enough, or has them in fewer than 10 blocks.
    """
    runs = []
    for fills in (with_it, without):
        edge = np.asarray(fills["edge_bps"])[:, EDGE_COLUMN]
        known = np.isfinite(edge)
        runs.append((np.asarray(fills["time_ns"])[known] // _BLOCK_NS, edge[known]))
    if any(len(edge) < _LEAST_FILLS or len(np.unique(block)) < _LEAST_BLOCKS for block, edge in runs):
        return None
    blocks = np.unique(np.concatenate([block for block, _ in runs]))
    sums = [
        np.array([np.bincount(np.searchsorted(blocks, block), weights, len(blocks)) for weights in (edge, None)])
        for block, edge in runs
    ]
    difference = float(runs[0][1].mean() - runs[1][1].mean())
    draws = np.random.Generator(np.random.Philox(seed)).integers(0, len(blocks), (_DRAWS, len(blocks)))
    means = [each[0][draws].sum(axis=1) / np.maximum(each[1][draws].sum(axis=1), 1.0) for each in sums]
    return difference, float(np.std(means[0] - means[1], ddof=1))
