"""What each part of the model buys: the same market played with one part more at a time, judged by blocks of a minute.

Intervals are of a block bootstrap: minutes are drawn with replacement, the same draws for every step, so that the gain
of a step over the one before has an interval of its own.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import hypermm
from hypermm.research.views import view_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from hypermm.recording import Recording

__all__ = ["STEPS", "AblationRow", "ablate", "judge", "step_configs"]

STEPS = (
    "plain GLFT",
    "+ inventory potential",
    "+ drift from price and flow",
    "+ calibrated features",
    "+ volatility features",
)
_BLOCK_NS = 60_000_000_000
_EDGE_COLUMN = 3
_SAMPLE_S = 1.0
# Without a drift, the flow's own shift and toxicity; without what volatility says beyond its level.
_NO_DRIFT = {
    "drift_deviation_ratio": 1e-6,
    "fill_gain": 0.0,
    "flow_gain": 0.0,
    "funding_gain": 0.0,
    "flow_shift_memory_s": 1.0,
    "adverse_selection_ratio": 0.0,
}
_NO_VOLATILITY = {"volatility_ratio_exponent": 0.0, "tail_factor": 0.0, "informed_volatility": 0.0}


class AblationRow(NamedTuple):
    """One step under one view of our fills. Intervals are 95 % of the block bootstrap, as (low, high).

    Attributes:
        view: "pessimistic", "calibrated", or "matching" for a true queue.
        step: One of `STEPS`.
        fills: Fills.
        figures: Value and interval by name: edge_bps (a fill, at 10 s, after fees), adverse_bps (markout at 10 s
            against us), largest_position (contracts), half_life_s (of inventory), pnl_usd, sharpe (of minutes, by the
            hour), drawdown_usd. NaN where a step has no fills, or inventory that does not revert.
        gain_usd: Profit beyond the step before, and its interval; NaN for the first.
    """

    view: str
    step: str
    fills: int
    figures: dict[str, tuple[float, float, float]]
    gain_usd: tuple[float, float, float]


def step_configs(
    config: hypermm.EngineConfig, calibration: hypermm.Calibration | None
) -> dict[str, hypermm.EngineConfig]:
    """The configuration of each step; without a calibration there is no step of its features."""
    quiet = config.replace(**_NO_VOLATILITY, calibration=None)
    steps = {
        STEPS[0]: quiet.replace(**_NO_DRIFT, inventory_curvature=0.0),
        STEPS[1]: quiet.replace(**_NO_DRIFT),
        STEPS[2]: quiet,
    }
    if calibration is not None:
        steps[STEPS[3]] = quiet.replace(calibration=_without_volatility(calibration))
    steps[STEPS[4]] = config.replace(calibration=calibration)
    return steps


def _without_volatility(calibration: hypermm.Calibration) -> hypermm.Calibration:
    return hypermm.Calibration(
        calibration.mean_reversion_per_s,
        calibration.stationary_variance,
        calibration.features,
        calibration.covariance,
        coin=calibration.coin,
        size_decimals=calibration.size_decimals,
        cycle_s=calibration.cycle_s,
        own_fill=calibration.own_fill,
        volatility_ratio_exponent=0.0,
        informed_volatility=0.0,
        tail_factor=0.0,
        basis_market=calibration.basis_market,
        lead_market=calibration.lead_market,
        **calibration.pipeline,
    )


def ablate(
    recording: Recording,
    instrument: hypermm.Instrument,
    config: hypermm.EngineConfig,
    calibration: hypermm.Calibration | None,
    *,
    models: Mapping[str, str | tuple[str, float]],
    from_ns: int = 0,
    draws: int = 1000,
    seed: int = 0,
    advance: Callable[[int, int], object] | None = None,
    **arguments: Any,
) -> list[AblationRow]:
    """Plays a recording with each step under each view of our fills.

    Args:
        recording: The market.
        instrument: Facts of the contract.
        config: The whole model's configuration; steps take parts away from it.
        calibration: The calibrated features, or None.
        models: Fill model by view, as `hypermm.backtest` takes it; "calibrated" has the venue's own delays.
        from_ns: Before it nothing is judged; it is played all the same.
        draws: Draws of the bootstrap.
        seed: Seed of the draws, and of the runs.
        advance: Called with (runs done, runs in all).
        arguments: Other settings of `hypermm.backtest`.
    """
    configs = step_configs(config, calibration)
    rows: list[AblationRow] = []
    for view, model in models.items():
        results = {}
        for step, stepped in configs.items():
            settings = {"seed": seed, "log_decisions": False} | view_settings(model, arguments)
            results[step] = hypermm.backtest(recording, instrument, stepped, **settings)
            if advance is not None:
                advance(len(rows) + len(results), len(models) * len(configs))
        rows += judge(view, results, from_ns, draws=draws, seed=seed)
    return rows


def judge(
    view: str, results: Mapping[str, hypermm.BacktestResult], from_ns: int, *, draws: int = 1000, seed: int = 0
) -> list[AblationRow]:
    """The figures of runs over one market, with intervals of blocks drawn alike for all of them."""
    runs = {step: _Run(result, from_ns) for step, result in results.items()}
    blocks = min(len(run.profit) for run in runs.values())
    drawn = np.random.default_rng(seed).integers(0, max(blocks, 1), size=(draws, max(blocks, 1)))
    whole = np.arange(max(blocks, 1))
    rows: list[AblationRow] = []
    before: _Run | None = None
    for step, run in runs.items():
        figures = {name: _interval(figure, whole, drawn) for name, figure in run.figures().items()}
        gain = (math.nan, math.nan, math.nan)
        if before is not None:
            gain = _interval(_Gain(run.profit[:blocks] - before.profit[:blocks]), whole, drawn)
        rows.append(AblationRow(view, step, run.fills, figures, gain))
        before = run
    return rows


def _interval(
    figure: Callable[[npt.NDArray[np.int64]], float], whole: npt.NDArray[np.int64], drawn: npt.NDArray[np.int64]
) -> tuple[float, float, float]:
    values = np.array([figure(chosen) for chosen in drawn])
    known = values[np.isfinite(values)]
    low, high = np.quantile(known, [0.025, 0.975]) if known.size else (math.nan, math.nan)
    return figure(whole), float(low), float(high)


class _Gain:
    """Sum of a column over the blocks that were drawn."""

    def __init__(self, by_block: npt.NDArray[np.float64]) -> None:
        self._by_block = by_block

    def __call__(self, chosen: npt.NDArray[np.int64]) -> float:
        return float(self._by_block[chosen].sum())


class _Run:
    """One run in blocks of a minute."""

    def __init__(self, result: hypermm.BacktestResult, from_ns: int) -> None:
        equity, fills = result.equity, result.fills
        inside = equity["time_ns"] >= from_ns
        times, profit = equity["time_ns"][inside], equity["profit_usd"][inside]
        begin = int(times[0]) if times.size else from_ns
        block = (times - begin) // _BLOCK_NS
        count = int(block[-1]) + 1 if times.size else 0
        ends = np.searchsorted(block, np.arange(count), side="right") - 1
        at_end = profit[np.maximum(ends, 0)]
        self.profit = np.diff(at_end, prepend=profit[:1])
        position = equity["position"][inside]
        step = np.flatnonzero(np.diff(times) < 3 * _SAMPLE_S * 1e9)
        lag_block = block[step]
        self._squares = np.bincount(lag_block, position[step] ** 2, count)
        self._products = np.bincount(lag_block, position[step] * position[step + 1], count)
        self._largest = np.zeros(count)
        np.maximum.at(self._largest, block, np.abs(position))
        of_block = (fills["time_ns"] - begin) // _BLOCK_NS
        kept = (fills["time_ns"] >= begin) & (of_block < count)
        edge = fills["edge_bps"][:, _EDGE_COLUMN]
        adverse = -fills["markout_bps"][:, _EDGE_COLUMN]
        known = kept & np.isfinite(edge) & np.isfinite(adverse)
        size, place = fills["size"][known], of_block[known]
        self._size = np.bincount(place, size, count)
        self._edge = np.bincount(place, size * edge[known], count)
        self._adverse = np.bincount(place, size * adverse[known], count)
        self.fills = int(kept.sum())

    def figures(self) -> dict[str, Callable[[npt.NDArray[np.int64]], float]]:
        """Each figure as a function of the blocks that were drawn."""
        return {
            "edge_bps": lambda chosen: _ratio(self._edge[chosen].sum(), self._size[chosen].sum()),
            "adverse_bps": lambda chosen: _ratio(self._adverse[chosen].sum(), self._size[chosen].sum()),
            "largest_position": lambda chosen: float(self._largest[chosen].max(initial=0.0)),
            "half_life_s": self._half_life_s,
            "pnl_usd": lambda chosen: float(self.profit[chosen].sum()),
            "sharpe": lambda chosen: _ratio(
                math.sqrt(3600e9 / _BLOCK_NS) * self.profit[chosen].mean(), self.profit[chosen].std()
            ),
            "drawdown_usd": self._drawdown,
        }

    def _half_life_s(self, chosen: npt.NDArray[np.int64]) -> float:
        kept = _ratio(self._products[chosen].sum(), self._squares[chosen].sum())
        return _SAMPLE_S * math.log(0.5) / math.log(kept) if 0.0 < kept < 1.0 else math.nan

    def _drawdown(self, chosen: npt.NDArray[np.int64]) -> float:
        path = np.concatenate([[0.0], np.cumsum(self.profit[chosen])])
        return float((np.maximum.accumulate(path) - path).max())


def _ratio(above: float, below: float) -> float:
    return float(above / below) if below > 0.0 else math.nan
