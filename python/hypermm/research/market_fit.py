"""Fits the synthetic market to a recording: the simulated method of moments.

What a statistic says by itself is taken at once (price, volatility, rates, sizes, spacing). The other parameters are
moved together until the statistics of simulated sessions are those of the recording: nonlinear least squares of
SciPy on the differences, each in its own error, on common random numbers. The first part of the recording is fitted,
the second is only judged by.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.optimize import least_squares

from hypermm._core import MarketPreset, synthetic_market
from hypermm.exceptions import InvalidInputError, RecordingError
from hypermm.recording import Recording
from hypermm.recording.instruments import instrument_facts
from hypermm.research.market_statistics import (
    MIN_SPAN_S,
    MarketTape,
    bootstrap_errors,
    market_statistics,
    market_tape,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from os import PathLike

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["FREE", "FreeParameter", "MarketFit", "StatisticRow", "compare", "fit_market", "simulate", "starting_preset"]

FIT_SHARE = 0.6
_SEEDS = 4
_JUDGING_SEEDS = 8
# Seeds that judge are none of those that were fitted with.
_FIRST_JUDGING_SEED = 1_000
_STEP = 0.15
# A statistic known better than this counts as if it were known so: the model is not that good.
_TOLERANCE = 0.05
# How much a unit of the logarithm of a parameter away from its start costs, in squared errors.
_PRIOR = 0.3
_NO_ERROR = 1e-6
_SPARE_S = 5.0
_BPS = 1e4


# Parameters that one statistic, or the ratio of two, says nearly all about: each is multiplied by the ratio of the real
# one to the simulated one to this power, a few times, before all are moved together.
_MATCHED: tuple[tuple[str, str, str, float], ...] = (
    ("volatility_bps", "return deviation, 10 s, bps", "", 1.0),
    ("stickiness_bps", "mid moves, 1/s", "", -0.4),
    ("touch_size", "touch size, mean", "", 0.8),
    ("level_size", "2nd level size, mean", "", 0.8),
    ("size_growth_per_bps", "10th level size, mean", "2nd level size, mean", 0.8),
    ("event_rate_per_s", "events, 1/s", "", 0.8),
    ("informed_rate_per_s", "events, 1/s", "", 0.8),
    ("event_size", "event size, 50% quantile", "", 0.8),
    ("informed_size", "event size, 50% quantile", "", 0.8),
)
_MATCHING_ROUNDS = 6


class FreeParameter(NamedTuple):
    """A parameter the optimizer moves.

    Attributes:
        name: Of `MarketParameters`.
        low: Least value.
        high: Largest value.
        logarithmic: Moved in its logarithm; else as it is.
    """

    name: str
    low: float
    high: float
    logarithmic: bool = True


FREE: tuple[FreeParameter, ...] = (
    FreeParameter("volatility_bps", 0.05, 50.0),
    FreeParameter("stickiness_bps", 0.05, 20.0),
    FreeParameter("follow_share", 0.1, 1.0, logarithmic=False),
    FreeParameter("jump_rate_per_hour", 1.0, 600.0),
    FreeParameter("jump_deviation_bps", 0.5, 60.0),
    FreeParameter("quiet_volatility", 0.1, 1.0),
    FreeParameter("volatile_volatility", 1.0, 6.0),
    FreeParameter("quiet_activity", 0.1, 1.0),
    FreeParameter("volatile_activity", 1.0, 8.0),
    FreeParameter("half_spread_bps", 1e-3, 20.0),
    FreeParameter("touch_size", 1e-6, 1e9),
    FreeParameter("level_size", 1e-6, 1e9),
    FreeParameter("size_growth_per_bps", 0.01, 50.0),
    FreeParameter("far_size", 0.01, 50.0),
    FreeParameter("far_spacing_bps", 0.2, 50.0),
    FreeParameter("size_deviation", 0.1, 3.0),
    FreeParameter("touch_size_deviation", 0.1, 4.0),
    FreeParameter("thinness_bps", 0.05, 30.0),
    FreeParameter("touch_presence", 0.05, 0.999, logarithmic=False),
    FreeParameter("thinning", 0.05, 12.0),
    FreeParameter("lifetime_s", 0.1, 100.0),
    FreeParameter("far_lifetime_s", 0.2, 200.0),
    FreeParameter("replenish_s", 0.02, 20.0),
    FreeParameter("tilt_pressure", 0.1, 15.0),
    FreeParameter("tilt_drift", 0.05, 5.0),
    FreeParameter("event_rate_per_s", 1e-3, 50.0),
    FreeParameter("self_excitation", 0.02, 0.75),
    FreeParameter("cross_excitation", 0.01, 0.2),
    FreeParameter("excitation_decay_per_s", 0.02, 50.0),
    FreeParameter("depth_decay_per_bps", 0.02, 10.0),
    FreeParameter("event_size", 1e-6, 1e9),
    FreeParameter("event_size_deviation", 0.2, 4.0),
    FreeParameter("sweep_share", 1e-3, 0.6),
    FreeParameter("informed_rate_per_s", 1e-3, 20.0),
    FreeParameter("informed_size", 1e-6, 1e9),
    FreeParameter("informed_sweep_share", 1e-3, 0.9),
)


@dataclass(frozen=True, slots=True)
class StatisticRow:
    """One statistic, real beside simulated.

    Attributes:
        name: What it is, with its unit.
        real: Of the recording.
        error: Its standard error, by the bootstrap over minutes.
        simulated: Mean over the simulated sessions.
        relative: simulated/real − 1; NaN for a real value of 0.
        errors: (simulated − real)/error.
    """

    name: str
    real: float
    error: float
    simulated: float
    relative: float
    errors: float


@dataclass(frozen=True, slots=True)
class MarketFit:
    """A fitted market and how it was reached.

    Attributes:
        preset: The market.
        fitted: Statistics of the first part beside those of seeds fitted with.
        judged: Statistics of the second part beside those of other seeds.
        loss_before: Mean square of the differences of the first part at the start, each in its error or in 5 % of its
            value where that is more.
        loss: The same at the end.
        evaluations: How many parameter sets were simulated.
    """

    preset: MarketPreset
    fitted: tuple[StatisticRow, ...]
    judged: tuple[StatisticRow, ...]
    loss_before: float
    loss: float
    evaluations: int


def simulate(
    preset: MarketPreset,
    seeds: Sequence[int],
    duration_s: float,
    progress: Callable[[int, int], object] = lambda _done, _total: None,
) -> list[MarketTape]:
    """Simulated sessions of a market as tapes, one a seed, as many at a time as there are cores.

    Args:
        preset: The market.
        seeds: One a session.
        duration_s: Of each, s.
        progress: Called with (sessions done, of all).
    """

    def one(seed: int) -> MarketTape:
        columns = synthetic_market(preset, seed=seed, duration_s=duration_s)
        return market_tape(Recording.from_columns(preset.instrument.coin, columns))

    # The last book comes a little before the end.
    duration_s = max(duration_s, MIN_SPAN_S) + _SPARE_S

    with ThreadPoolExecutor() as pool:
        tapes = []
        for tape in pool.map(one, seeds):
            tapes.append(tape)
            progress(len(tapes), len(seeds))
        return tapes


def compare(real: MarketTape, simulated: Sequence[MarketTape], *, seed: int = 0) -> tuple[StatisticRow, ...]:
    """Every statistic of a recording beside the mean of the simulated ones."""
    statistics = market_statistics(real)
    errors = bootstrap_errors(statistics, seed=seed)
    means = _mean_values(simulated)
    rows = []
    for item, error, value in zip(statistics, errors, means, strict=True):
        relative = value / item.value - 1.0 if item.value else np.nan
        # A quantile that stands still in every draw has no error to speak of.
        off = (value - item.value) / error if error > _NO_ERROR * abs(item.value) else np.nan
        rows.append(StatisticRow(item.name, item.value, float(error), float(value), float(relative), float(off)))
    return tuple(rows)


def _mean_values(tapes: Sequence[MarketTape]) -> Floats:
    values = np.array([[item.value for item in market_statistics(tape)] for tape in tapes])
    means: Floats = values.mean(axis=0)
    return means


def starting_preset(tape: MarketTape, coin: str, instrument_file: str | PathLike[str] | None = None) -> MarketPreset:
    """The ETH market at the scale of another: what a statistic says by itself.

    Raises:
        UnknownCoinError: No instruments file knows the coin.
    """
    facts = instrument_facts(coin, instrument_file)
    values = {item.name: item.value for item in market_statistics(tape)}
    base = MarketPreset("eth").as_dict()
    parameters: dict[str, float] = dict(base["parameters"])
    mid = 0.5 * (float(tape.bid[0]) + float(tape.ask[0]))
    tick = _tick(tape)
    tick_bps = tick / mid * _BPS
    gap = float(np.nanmedian(np.abs(np.diff(tape.bids[:, :, 0], axis=1))))
    spacing = max(1.0, round(gap / tick))
    volatility = values["return deviation, 10 s, bps"] / np.sqrt(10.0)
    rate = values["events, 1/s"]
    median = max(values["event size, 50% quantile"], 10.0**-facts.size_decimals)
    touch, level = values["touch size, median"], values["3rd level size, mean"]
    parameters |= {
        "start_price": mid,
        "volatility_bps": volatility,
        # The rest of the spread is rounding to the next price, and prices where nobody stands.
        "half_spread_bps": max(0.05 * tick_bps, 1e-3),
        "touch_presence": min(2.0 / (values["spread, mean, bps"] / tick_bps + 1.0), 0.98),
        "thinning": 2.0,
        "stickiness_bps": max(values["return deviation, 1 s, bps"], tick_bps),
        "drift_deviation_bps_per_s": 0.05 * volatility,
        "jump_rate_per_hour": 180.0,
        "jump_deviation_bps": 3.0 * volatility,
        "near_spacing_ticks": spacing,
        # As far as the levels of a book reach, with some to spare.
        "near_levels": float(np.ceil(1.1 * max(values["all levels reach, mean, bps"] / (spacing * tick_bps), 5.0))),
        "far_spacing_bps": max(8.0 * spacing * tick_bps, 0.2),
        "thinness_bps": max(5.0 * spacing * tick_bps, 0.05),
        "size_growth_per_bps": 1.0 / max(spacing * tick_bps, 0.02) * 0.1,
        "touch_size": touch,
        "level_size": 0.7 * level,
        "event_rate_per_s": 0.7 * rate,
        "informed_rate_per_s": 0.7 * rate,
        "event_size": median,
        "informed_size": median,
        "depth_decay_per_bps": values["decay k of prints beyond the touch, 1/bps"],
        "informed_sweep_share": 0.1,
        "liquidation_trigger_bps": 25.0 * volatility,
        "liquidation_size": 0.3 * touch,
        "liquidation_impact_bps": 0.3 * volatility,
    }
    kinds = {"size_decimals": facts.size_decimals, "max_leverage": facts.max_leverage}
    names = {"name": coin.lower(), "text": f"{coin}, fitted to a recording", "coin": coin}
    return MarketPreset.from_dict(base | kinds | names | {"parameters": parameters})


def _tick(tape: MarketTape) -> float:
    """Least distance of two prices of a book."""
    steps = np.abs(np.diff(tape.bids[:, :, 0], axis=1))
    return float(np.nanmin(steps[steps > 0]))


class _Objective:
    """Differences of simulated from real statistics, in errors, as a function of the free parameters."""

    def __init__(
        self, real: MarketTape, start: MarketPreset, budget: int, seed: int, progress: Callable[[int, int], object]
    ) -> None:
        statistics = market_statistics(real)
        self.names = [item.name for item in statistics]
        self.real = np.array([item.value for item in statistics])
        self.simulated = self.real
        errors = bootstrap_errors(statistics, seed=seed)
        self.kept = np.isfinite(self.real) & np.isfinite(errors)
        self.scale = np.sqrt(errors**2 + (_TOLERANCE * self.real) ** 2)
        self.kept &= self.scale > 0
        self.scale = np.where(self.kept, self.scale, 1.0)
        self.duration_s, self.seeds = real.span_s, [seed + number for number in range(_SEEDS)]
        self.start, self.budget, self.progress = start, budget, progress
        self.low = np.array([_inward(free, free.low) for free in FREE])
        self.high = np.array([_inward(free, free.high) for free in FREE])
        self.origin = self.place_of(start.parameters)
        self.evaluations = 0
        self.best: tuple[float, Floats] = (np.inf, self.origin)
        self.loss = self.loss_of_best = np.inf

    def place_of(self, parameters: Mapping[str, float]) -> Floats:
        inward = np.array([_inward(free, parameters[free.name]) for free in FREE])
        place: Floats = np.clip(inward, self.low + 1e-6, self.high - 1e-6)
        return place

    def preset_at(self, place: Floats) -> MarketPreset:
        changes = {free.name: _outward(free, value) for free, value in zip(FREE, place, strict=True)}
        return self.start.with_parameters(_possible(self.start, changes))

    def differences(self, place: Floats) -> Floats:
        """Of the statistics, and of the parameters from their start at the price of `_PRIOR`."""
        if self.evaluations >= self.budget:
            raise _BudgetSpent
        try:
            simulated = _mean_values(simulate(self.preset_at(place), self.seeds, self.duration_s))
        except RecordingError:
            # A market in which next to nothing happens.
            simulated = np.full(len(self.real), np.nan)
        self.simulated = simulated
        off = np.where(self.kept, (simulated - self.real) / self.scale, 0.0)
        # What a simulation has nothing of is far off.
        off = np.nan_to_num(off, nan=30.0)
        self.evaluations += 1
        self.progress(self.evaluations, self.budget)
        self.loss = float(np.mean(off[self.kept] ** 2))
        bent = float(_soft(off).sum())
        if bent < self.best[0]:
            self.best, self.loss_of_best = (bent, place.copy()), self.loss
        return np.concatenate([off, np.sqrt(_PRIOR) * (place - self.origin)])

    def matched(self) -> Floats:
        """Where the parameters of `_MATCHED` have their statistic, the others as at the start."""
        place = self.origin.copy()
        index = {free.name: number for number, free in enumerate(FREE)}
        for _ in range(_MATCHING_ROUNDS):
            self.differences(place)
            for parameter, above, below, power in _MATCHED:
                ratio = self._ratio(above) / (self._ratio(below) if below else 1.0)
                if np.isfinite(ratio) and ratio > 0:
                    place[index[parameter]] += power * np.clip(np.log(ratio), -1.5, 1.5)
            place = np.clip(place, self.low + 1e-6, self.high - 1e-6)
        return place

    def whole_numbers(self) -> None:
        """Twice or half as many orders at a price, each of half or twice the size, as long as that comes closer."""
        for count, sizes in (("touch_orders", "touch_size"), ("level_orders", "level_size")):
            for factor in (2.0, 0.5):
                while (orders := self.start.parameters[count] * factor) in (1.0, 2.0, 4.0, 8.0):
                    before, kept = self.best[0], self.start
                    place = self.best[1].copy()
                    place[[free.name for free in FREE].index(sizes)] -= np.log(factor)
                    self.start = kept.with_parameters({count: orders})
                    self.differences(place)
                    if self.best[0] >= before:
                        self.start = kept
                        break

    def _ratio(self, name: str) -> float:
        """Real over simulated, of the last simulation."""
        number = self.names.index(name)
        with np.errstate(all="ignore"):
            return float(self.real[number] / self.simulated[number])

    def slopes(self, place: Floats, *_: Any) -> Floats:
        here = self.differences(place)
        columns = []
        for index in range(len(place)):
            step = _STEP if place[index] + _STEP < self.high[index] else -_STEP
            there = place.copy()
            there[index] += step
            columns.append((self.differences(there) - here) / step)
        return np.stack(columns, axis=1)


class _BudgetSpent(Exception):  # noqa: N818 - it ends a search, nothing is wrong
    pass


def _inward(free: FreeParameter, value: float) -> float:
    return float(np.log(max(value, 1e-12))) if free.logarithmic else value


def _outward(free: FreeParameter, place: float) -> float:
    value = float(np.exp(place)) if free.logarithmic else float(place)
    return min(max(value, free.low), free.high)


def _possible(start: MarketPreset, changes: dict[str, float]) -> dict[str, float]:
    """The nearest parameters that go together: drift and jumps leave variance for the diffusion."""
    parameters = start.parameters | changes
    variance = parameters["volatility_bps"] ** 2
    jumps = parameters["jump_rate_per_hour"] / 3600.0 * parameters["jump_deviation_bps"] ** 2
    if jumps > 0.6 * variance:
        changes["jump_deviation_bps"] = float(np.sqrt(0.6 * variance * 3600.0 / parameters["jump_rate_per_hour"]))
    return changes


def _soft(off: Floats) -> Floats:
    """Squares that grow linearly from a few errors on: no statistic is given up for another's last digit."""
    bent: Floats = 2.0 * 9.0 * (np.sqrt(1.0 + off**2 / 9.0) - 1.0)
    return bent


def fit_market(
    recording: Recording,
    *,
    budget: int = 300,
    seed: int = 0,
    share: float = FIT_SHARE,
    start: MarketPreset | None = None,
    instrument_file: str | PathLike[str] | None = None,
    progress: Callable[[int, int], object] = lambda _done, _total: None,
) -> MarketFit:
    """Fits the synthetic market to a recording.

    Args:
        recording: One coin with books, best prices and prints; at least five minutes to fit and five to judge.
        budget: How many parameter sets are simulated at most, 1 or more; a step of the search takes some thirty.
        seed: Of simulations and bootstrap: one seed, one result.
        share: Share of the recording that is fitted, the rest judges; 1 fits and judges by all of it.
        start: Market to start from; left out, the ETH preset at the recording's scale.
        instrument_file: Instruments file of the user's own, for a coin the package does not know.
        progress: Called with (parameter sets done, budget).

    Returns:
        The fit.

    Raises:
        RecordingError: The recording is too short, or has too few prints.
        InvalidInputError: The budget is not positive, or the share not above 0 and at most 1.
    """
    if budget < 1:
        raise InvalidInputError(field="budget", value=budget, expected="1 or more")
    if not 0.0 < share <= 1.0:
        raise InvalidInputError(field="share", value=share, expected="above 0, at most 1")
    whole = market_tape(recording)
    shorter = share if share == 1.0 else min(share, 1.0 - share)
    if shorter * whole.span_s < MIN_SPAN_S:
        raise RecordingError(
            field=f"{recording.path or 'recording'} ({recording.coin})",
            value=f"{whole.span_s:.0f} s",
            expected=f"at least {MIN_SPAN_S / shorter:.0f} s, so that both parts have {MIN_SPAN_S:.0f} s",
            hint="record longer, or fit all of it with a share of 1",
        )
    first = whole.between(0.0, share * whole.span_s)
    second = whole.between(share * whole.span_s, whole.span_s) if share < 1.0 else whole
    preset = start or starting_preset(first, recording.coin, instrument_file)
    objective = _Objective(first, preset, budget, seed, progress)
    before = np.inf
    try:
        objective.differences(objective.origin)
        before = objective.loss
        objective.origin = objective.matched()
        objective.whole_numbers()
        objective.origin = objective.best[1]
        least_squares(
            objective.differences,
            objective.origin,
            jac=objective.slopes,
            bounds=(objective.low, objective.high),
            loss="soft_l1",
            f_scale=3.0,
            x_scale=1.0,
        )
    except _BudgetSpent:
        pass
    fitted = objective.preset_at(objective.best[1])
    rows = compare(first, simulate(fitted, objective.seeds, first.span_s), seed=seed)
    judging = range(_FIRST_JUDGING_SEED + seed, _FIRST_JUDGING_SEED + seed + _JUDGING_SEEDS)
    judged = compare(second, simulate(fitted, judging, second.span_s), seed=seed)
    return MarketFit(fitted, rows, judged, before, objective.loss_of_best, objective.evaluations)
