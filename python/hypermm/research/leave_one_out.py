"""What one feature adds to the Sharpe ratio: the same markets with it and without it. The rule of the RFC's phase 8.

A feature that fails the gate of the calibration, and whose gain in the Sharpe ratio of a day has the upper end of its
95 % interval below 0.1, is out; where the interval reaches 0.1, the days played do not settle it. The RFC asks for 0.1
over thirty days and names no unit of time: it is taken to be the day. Annualized, a tenth would be 0.005 of a day's,
which no thirty days tell from zero.

A feature is left out of the model that holds the features of the calibration and itself, both fitted anew as a
calibration fits them. From all candidates at once, `joint`, says less: most of thirty features are noise, all of them
together forecast worse than the one or two that pass, and what one of them changes there is of no use.

Intervals are of the markets played, with one calibration held fixed: that another training set would pass other
features, or weigh them otherwise, is not in them.
"""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np

import hypermm
from hypermm.config.engine_calibration import engine_calibration
from hypermm.exceptions import InvalidInputError
from hypermm.research.blocks import DAY_S, RunBlocks, drawn_blocks, interval, paired, sharpe_of_a_day
from hypermm.research.calibration.calibrate import fit_selection
from hypermm.research.calibration.folds import walk_forward
from hypermm.research.calibration.gates import Selection
from hypermm.research.views import view_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from hypermm.config.calibration import CalibrationArtifact, FeatureVerdict
    from hypermm.research.calibration.calibrate import Calibrated
    from hypermm.research.preset_markets import Markets

    Floats = NDArray[np.float64]

__all__ = ["BLOCK_S", "LEAST_GAIN", "LeftOut", "candidates", "judge_left_out", "leave_one_out", "refitted", "settle"]

LEAST_GAIN = 0.1
# Longer than inventory lasts: minutes of one position are not independent.
BLOCK_S = 600.0
_LEAST_BLOCKS = 10

Interval = tuple[float, float, float]


class LeftOut(NamedTuple):
    """A feature and what it adds.

    Attributes:
        feature: As in `hypermm.feature_table`.
        passed: Whether it is in the calibration.
        gate: What the gate said of it.
        sharpe: Of a day, of the model with it.
        gain: Sharpe ratio of a day with it less that without, and its 95 % interval of paired blocks, of the one
            calibration, as (gain, low, high).
        verdict: "in", "out" or "not settled".
        reason: Why, in words.
        days: Days it was judged on.
        days_needed: Days after which the interval would no longer hold 0.1, were the gain as it is; None where it
            does not.
    """

    feature: str
    passed: bool
    gate: str
    sharpe: float
    gain: Interval
    verdict: str
    reason: str
    days: float
    days_needed: float | None


def settle(gain: Interval, days: float, *, passed: bool) -> tuple[str, str, float | None]:
    """The rule: verdict, its reason, and how many days would settle what these do not.

    Args:
        gain: Of the Sharpe ratio of a day, with its interval, as (gain, low, high).
        days: Played.
        passed: Whether the feature passed the gate.
    """
    value, low, high = gain
    if passed:
        return "in", "passes the gate", None
    if not all(map(math.isfinite, gain)):
        return "not settled", "fails the gate; no Sharpe ratio where profit does not vary", None
    if high < LEAST_GAIN:
        return "out", f"fails the gate, and gains less than {LEAST_GAIN:g}", None
    if low > LEAST_GAIN:
        return "not settled", f"fails the gate, but gains more than {LEAST_GAIN:g}: look at it again", None
    if value == LEAST_GAIN:
        return "not settled", f"fails the gate; {days:.3g} days are too few", None
    # An interval narrows as the root of the days.
    needed = days * (((high if value < LEAST_GAIN else low) - value) / (LEAST_GAIN - value)) ** 2
    return "not settled", f"fails the gate; {days:.3g} days are too few, some {needed:,.3g} needed", needed


def candidates(artifact: CalibrationArtifact) -> tuple[str, ...]:
    """Features that the calibration could fit, in or not."""
    return tuple(verdict.name for verdict in artifact.features if verdict.alpha is not None)


def refitted(calibrated: Calibrated, names: Sequence[str]) -> CalibrationArtifact:
    """The calibration with other features: κ_μ, P∞, noise and covariance fitted anew, coefficients as they were.

    Args:
        calibrated: The calibration and its sample.
        names: Of `candidates`.
    """
    artifact, sample = calibrated.artifact, calibrated.sample
    verdicts = {verdict.name: verdict for verdict in artifact.features}
    chosen = [verdicts[name] for name in names]
    folds = tuple(walk_forward(sample))
    selection = Selection(
        accepted=tuple(sample.names.index(name) for name in names),
        targets=tuple(verdict.target for verdict in chosen),
        alphas=np.array([verdict.alpha for verdict in chosen], float),
        fold_alphas=np.array([[fold.alpha for fold in verdict.folds] for verdict in chosen], float)
        .reshape(len(chosen), len(folds))
        .T,
        verdicts=artifact.features,
        folds=folds,
        joint_forecast=np.zeros(len(sample)),
    )
    fitted = fit_selection(sample, selection, artifact.filter.return_only)
    return msgspec.structs.replace(
        artifact,
        filter=fitted.filter,
        accepted=fitted.accepted,
        error_covariance=tuple(fitted.mapping.covariance.ravel().tolist()),
    )


def leave_one_out(
    markets: Markets,
    instrument: hypermm.Instrument,
    config: hypermm.EngineConfig,
    calibrated: Calibrated,
    *,
    features: Sequence[str] | None = None,
    joint: bool = False,
    model: Any = "calibrated",
    draws: int = 1000,
    seed: int = 0,
    threads: int | None = None,
    advance: Callable[[int, int], object] | None = None,
    **arguments: Any,
) -> list[LeftOut]:
    """Plays markets with each feature and without it.

    Args:
        markets: Recordings that the calibration has not seen.
        instrument: Facts of the contract.
        config: The engine's configuration; its calibration is replaced.
        calibrated: The calibration and its sample.
        features: Which to judge; None = `candidates`.
        joint: Leave each out of the model of all `candidates`, instead of that of the accepted and it.
        model: Fill model, as `hypermm.backtest` takes it; "calibrated" has the venue's own delays.
        draws: Draws of the bootstrap.
        seed: Seed of the draws, and of the runs.
        threads: How many runs at a time; None = one for each core.
        advance: Called with (steps done, steps in all): a fit is a step, a run another.
        arguments: Other settings of `hypermm.backtest`.

    Raises:
        InvalidInputError: A feature that the calibration could not fit.
    """
    known = candidates(calibrated.artifact)
    judged = known if features is None else tuple(features)
    for name in judged:
        if name not in known:
            raise InvalidInputError(
                field="feature", value=name, expected=f"one that the calibration could fit: {', '.join(known)}"
            )
    accepted = tuple(feature.name for feature in calibrated.artifact.accepted)
    pairs = {name: _pair(name, known if joint else accepted) for name in judged}
    sets = list(dict.fromkeys(names for pair in pairs.values() for names in pair))
    steps = len(sets) * (1 + len(markets))
    configs = []
    for done, names in enumerate(sets):
        artifact = calibrated.artifact if names == accepted else refitted(calibrated, names)
        calibration = engine_calibration(artifact, instrument, artifact.data_to_ns)
        configs.append(config.replace(calibration=calibration))
        if advance is not None:
            advance(done + 1, steps)
    settings = {"seed": seed, "log_decisions": False} | view_settings(model, arguments)
    runs: list[list[RunBlocks]] = [[] for _ in sets]
    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        for market, recording in enumerate(markets):

            def played(one: hypermm.EngineConfig, recording: Any = recording) -> RunBlocks:
                return RunBlocks.of(hypermm.backtest(recording, instrument, one, **settings), block_s=BLOCK_S)

            for done, blocks in enumerate(pool.map(played, configs)):
                runs[done].append(blocks)
                if advance is not None:
                    advance(len(sets) * (1 + market) + done + 1, steps)
    joined = paired({str(place): each for place, each in enumerate(runs)})
    profit = {names: joined[str(place)].profit for place, names in enumerate(sets)}
    return judge_left_out(
        calibrated.artifact.features,
        {name: (profit[with_it], profit[without]) for name, (with_it, without) in pairs.items()},
        draws=draws,
        seed=seed,
    )


def _pair(name: str, base: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The features with one and without it."""
    without = tuple(other for other in base if other != name)
    return (base if name in base else (*base, name)), without


def judge_left_out(
    verdicts: Sequence[FeatureVerdict],
    profit: Mapping[str, tuple[Floats, Floats]],
    *,
    draws: int = 1000,
    seed: int = 0,
) -> list[LeftOut]:
    """Gains and verdicts, those that passed first, then by gain.

    Args:
        verdicts: What the gate said of each feature.
        profit: By feature, USD with it and without by block of `BLOCK_S`, of the same blocks, shape (blocks,) each.
        draws: Draws of the bootstrap, the same blocks for both.
        seed: Of the draws.

    Raises:
        InvalidInputError: Fewer than ten blocks.
    """
    gates = {verdict.name: verdict for verdict in verdicts}
    rows = []
    for name, (with_it, without) in profit.items():
        if len(with_it) < _LEAST_BLOCKS:
            raise InvalidInputError(
                field="minutes",
                value=f"{len(with_it)} blocks of ten minutes",
                expected=f"{_LEAST_BLOCKS} or more, for an interval",
            )
        drawn = drawn_blocks(len(with_it), draws, seed)
        sharpe = float(sharpe_of_a_day(with_it, BLOCK_S))
        value = sharpe - float(sharpe_of_a_day(without, BLOCK_S))
        gains = sharpe_of_a_day(with_it[drawn], BLOCK_S) - sharpe_of_a_day(without[drawn], BLOCK_S)
        gain = (value, *interval(gains))
        days = len(with_it) * BLOCK_S / DAY_S
        passed = gates[name].accepted
        verdict, reason, needed = settle(gain, days, passed=passed)
        rows.append(LeftOut(name, passed, gates[name].reason, sharpe, gain, verdict, reason, days, needed))
    return sorted(rows, key=lambda row: (not row.passed, -row.gain[0] if math.isfinite(row.gain[0]) else math.inf))
