"""What each part of the model buys: the same markets played with one part more at a time.

Intervals are of a bootstrap, as `hypermm.research.blocks` draws it, with the same draws for every step, so that the
gain of a step over the one before has an interval of its own.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import hypermm
from hypermm.research.blocks import (
    LEAST_PARTS,
    LEAST_STRETCHES,
    RunBlocks,
    drawn_parts,
    interval,
    market_parts,
    paired,
    stretches,
)
from hypermm.research.views import view_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from hypermm.research.preset_markets import Markets

__all__ = ["STEPS", "AblationRow", "FlatUntil", "ablate", "judge", "judged_from", "step_configs"]

STEPS = (
    "plain GLFT",
    "+ inventory potential",
    "+ drift from price and flow",
    "+ calibrated features",
    "+ volatility features",
)
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


# The largest of something: what is drawn again from what was seen is never larger.
_MAXIMA = ("largest_position", "drawdown_usd")


class AblationRow(NamedTuple):
    """One step under one view of our fills. Intervals are 95 % of the bootstrap, as (low, high), NaN where none is.

    Attributes:
        view: "pessimistic", "calibrated", or "matching" for a true queue.
        step: One of `STEPS`.
        fills: Fills.
        figures: Value and interval by name: edge_bps (a fill, at 10 s, after fees), adverse_bps (markout at 10 s
            against us), largest_position (contracts), half_life_s (of inventory), pnl_usd, sharpe (of a day),
            drawdown_usd. NaN where a step has no fills, or inventory that does not revert. Largest position and
            drawdown have no interval, nor has anything of two to four markets, nor edge and markout of fills in fewer
            than five minutes or markets, nor the half-life in a market of less than ten stretches of three half-lives.
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
        fresh_noise_share=calibration.fresh_noise_share,
        own_fill=calibration.own_fill,
        volatility_ratio_exponent=0.0,
        informed_volatility=0.0,
        adverse_selection_ratio=calibration.adverse_selection_ratio,
        tail_factor=0.0,
        basis_market=calibration.basis_market,
        lead_market=calibration.lead_market,
        **calibration.pipeline,
    )


class FlatUntil:
    """A strategy: the engine, which hears all of a market and trades from a time on. There it is flat and warmed up.

    What it learns from the market it knows by then; what it learns from its own fills begins there.

    Args:
        engine: It quotes.
        from_ns: When its first quote is heeded.
    """

    def __init__(self, engine: hypermm.QuoteEngine, from_ns: int) -> None:
        self._engine, self._from_ns = engine, from_ns

    def on_event(self, event: hypermm.Event) -> None:
        """Takes in an event."""
        event.apply(self._engine)

    def quote(self, time_ns: int) -> hypermm.Decision | None:
        """Its decision, none before it trades."""
        decision = self._engine.quote(time_ns)
        return decision if time_ns >= self._from_ns else None


def judged_from(instrument: hypermm.Instrument, config: hypermm.EngineConfig, from_ns: int) -> dict[str, Any]:
    """The strategy of a run judged from `from_ns` on, as `hypermm.backtest` takes it; the engine by itself from 0.

    A position opened before would be judged too: what it makes, how long it lasts, how large it is.
    """
    return {"strategy": FlatUntil(hypermm.QuoteEngine(instrument, config), from_ns)} if from_ns > 0 else {}


def ablate(
    markets: Markets,
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
    """Plays recordings with each step under each view of our fills.

    Args:
        markets: Recordings, each a run of its own from the priors on.
        instrument: Facts of the contract.
        config: The whole model's configuration; steps take parts away from it.
        calibration: The calibrated features, or None.
        models: Fill model by view, as `hypermm.backtest` takes it; "calibrated" has the venue's own delays.
        from_ns: Before it nothing is traded nor judged; the engine hears it all the same (`FlatUntil`).
        draws: Draws of the bootstrap.
        seed: Seed of the draws, and of the runs.
        advance: Called with (runs done, runs in all).
        arguments: Other settings of `hypermm.backtest`.
    """
    configs = step_configs(config, calibration)
    runs: dict[str, dict[str, list[RunBlocks]]] = {view: {step: [] for step in configs} for view in models}
    done = 0
    for recording in markets:
        for view, model in models.items():
            settings = {"seed": seed, "log_decisions": False} | view_settings(model, arguments)
            for step, stepped in configs.items():
                is_later = from_ns > recording.book_time_ns[0]
                strategy = judged_from(instrument, stepped, from_ns if is_later else 0)
                result = hypermm.backtest(recording, instrument, stepped, **settings, **strategy)
                runs[view][step].append(RunBlocks.of(result, from_ns))
                done += 1
                if advance is not None:
                    advance(done, len(markets) * len(models) * len(configs))
    return [row for view, of_view in runs.items() for row in judge(view, of_view, draws=draws, seed=seed)]


def judge(view: str, runs: Mapping[str, Sequence[RunBlocks]], *, draws: int = 1000, seed: int = 0) -> list[AblationRow]:
    """The figures of each step's runs over the same markets, with intervals of parts drawn alike for all of them."""
    joined = paired(runs)
    whole = np.arange(len(next(iter(joined.values()))))
    markets = market_parts(runs)
    parts = markets if len(markets) > 1 else list(whole[:, None])
    drawn = drawn_parts(parts, draws, seed) if len(parts) >= LEAST_PARTS else []
    long, lasting = parts, drawn
    if len(markets) == 1:
        long = stretches(joined)
        lasting = drawn_parts(long, draws, seed) if len(long) >= LEAST_STRETCHES else []
    again: dict[str, list[NDArray[np.integer[Any]]]] = {name: [] for name in _MAXIMA} | {"half_life_s": lasting}
    counts = {"half_life_s": len(long)}
    rows: list[AblationRow] = []
    before: RunBlocks | None = None
    for step, run in joined.items():
        # Fills of one minute are drawn or not: no spread is theirs.
        filled = sum(bool(run.size[part].sum() > 0.0) for part in parts)
        again |= dict.fromkeys(("edge_bps", "adverse_bps"), drawn if filled >= LEAST_PARTS else [])
        figures = {
            name: (
                figure(whole),
                *interval(
                    np.array([figure(chosen) for chosen in again.get(name, drawn)]), counts.get(name, len(parts))
                ),
            )
            for name, figure in run.figures().items()
        }
        gain = (math.nan, math.nan, math.nan)
        if before is not None:
            difference = run.profit - before.profit
            gains = np.array([difference[chosen].sum() for chosen in drawn])
            gain = (float(difference.sum()), *interval(gains, len(parts)))
        rows.append(AblationRow(view, step, int(run.fills.sum()), figures, gain))
        before = run
    return rows
