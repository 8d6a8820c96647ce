"""The estimators and formulas by themselves: arrays equal loops, states survive, bad input changes nothing."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hypermm
from hypermm import DepthDecay, DirectionalFlow, DriftFilter, FundingForecast, InventoryRisk, Side
from hypermm.exceptions import HypermmError, InvalidInputError, SnapshotError, TimeOrderError

T0 = 1_756_900_000_000_000_000
SECOND = 1_000_000_000
COUNT = 1_500
GENERATOR = np.random.default_rng(11)
TIMES = T0 + np.sort(GENERATOR.integers(0, 3600 * SECOND, COUNT))
DRIFTS = GENERATOR.normal(0.0, 0.2, COUNT)
VARIANCES = GENERATOR.uniform(0.01, 2.0, COUNT)
SIGNS = GENERATOR.choice(np.array([1, -1], "int8"), COUNT)
REACHES = GENERATOR.exponential(3.0, COUNT)
CENSORED = GENERATOR.random(COUNT) < 0.2
END = int(TIMES[-1]) + SECOND


def side(sign: int) -> Side:
    return Side.BUY if sign > 0 else Side.SELL


def one_by_one(estimator: Any, rows: range) -> None:
    for row in rows:
        now = int(TIMES[row])
        if isinstance(estimator, DriftFilter):
            estimator.observe(now, DRIFTS[row], VARIANCES[row])
        elif isinstance(estimator, DirectionalFlow):
            estimator.update(now, side(SIGNS[row]))
        elif isinstance(estimator, DepthDecay):
            estimator.update(now, REACHES[row], 0.5, censored=bool(CENSORED[row]))
        else:
            estimator.update(now, funding_rate=DRIFTS[row] * 1e-4, predicted_funding=DRIFTS[row] * 2e-4)


def all_at_once(estimator: Any, rows: range) -> None:
    part = slice(rows.start, rows.stop)
    if isinstance(estimator, DriftFilter):
        estimator.observe_many(TIMES[part], DRIFTS[part], VARIANCES[part])
    elif isinstance(estimator, DirectionalFlow):
        estimator.update_many(TIMES[part], SIGNS[part])
    elif isinstance(estimator, DepthDecay):
        estimator.update_many(TIMES[part], REACHES[part], 0.5, CENSORED[part])
    else:
        one_by_one(estimator, rows)


def reading(estimator: Any) -> Any:
    if isinstance(estimator, DriftFilter):
        return (estimator.mean, estimator.variance, estimator.time_ns, estimator.log_likelihood, estimator.innovations)
    if isinstance(estimator, DirectionalFlow):
        return (
            estimator.rates(END),
            estimator.imbalance(END),
            estimator.informed_fraction(END),
            estimator.toxicity(END),
        )
    if isinstance(estimator, DepthDecay):
        return (estimator.depth_decay, estimator.rate(END), estimator.intensity_at_mid(END), estimator.confidence)
    return (estimator.forecast_bps(END), estimator.carry_bps(END, 60.0), estimator.z_score(END))


KINDS = [DriftFilter, DirectionalFlow, DepthDecay, FundingForecast]


@pytest.mark.parametrize("kind", KINDS)
def test_arrays_equal_loops(kind: Any) -> None:
    single, many, pieces = kind(), kind(), kind()
    one_by_one(single, range(COUNT))
    all_at_once(many, range(COUNT))
    for start in range(0, COUNT, 100):
        all_at_once(pieces, range(start, start + 100))
    assert reading(single) == reading(many) == reading(pieces)
    assert single.snapshot() == many.snapshot() == pieces.snapshot()


@pytest.mark.parametrize("kind", KINDS)
def test_state_survives_and_goes_on_bit_for_bit(kind: Any) -> None:
    whole = kind()
    one_by_one(whole, range(COUNT))
    half = kind()
    one_by_one(half, range(COUNT // 2))
    state = half.snapshot()
    for twin in (
        kind.restore(state),
        half.copy(),
        copy.copy(half),
        copy.deepcopy(half),
        pickle.loads(pickle.dumps(half)),
    ):
        one_by_one(twin, range(COUNT // 2, COUNT))
        assert reading(twin) == reading(whole)
        assert half.snapshot() == state
    whole.reset()
    assert reading(whole) == reading(kind())


@pytest.mark.parametrize("kind", KINDS)
def test_foreign_and_damaged_states_are_refused(kind: Any) -> None:
    estimator = kind()
    one_by_one(estimator, range(50))
    state = estimator.snapshot()
    damaged = [state[:place] + bytes([state[place] ^ 1]) + state[place + 1 :] for place in range(len(state))]
    others = [other().snapshot() for other in KINDS if other is not kind]
    for wrong in (b"", state[:-1], state + b"x", *damaged, *others, "text", None):
        with pytest.raises(SnapshotError):
            kind.restore(wrong)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf, "1", True])
def test_parameters_out_of_domain_are_refused(kind: Any, value: Any) -> None:
    with pytest.raises(InvalidInputError):
        kind(value)


def test_array_input_is_all_or_nothing() -> None:
    bad_drifts, bad_reaches = DRIFTS.copy(), REACHES.copy()
    bad_drifts[-1] = bad_reaches[-1] = math.nan
    cases: list[tuple[Any, str, tuple[Any, ...]]] = [
        (DriftFilter(), "observe_many", (TIMES, bad_drifts, VARIANCES)),
        (DriftFilter(), "observe_many", (TIMES, DRIFTS, -VARIANCES)),
        (DriftFilter(), "observe_many", (TIMES[::-1], DRIFTS, VARIANCES)),
        (DriftFilter(), "observe_many", (TIMES.astype(float), DRIFTS, VARIANCES)),
        (DriftFilter(), "observe_many", (TIMES, DRIFTS[:-1], VARIANCES)),
        (DirectionalFlow(), "update_many", (TIMES[::-1], SIGNS)),
        (DirectionalFlow(), "update_many", (TIMES, SIGNS[:-1])),
        (DirectionalFlow(), "update_many", (TIMES, SIGNS * 3)),
        (DepthDecay(), "update_many", (TIMES, bad_reaches, 0.5)),
        (DepthDecay(), "update_many", (TIMES, REACHES, -1.0)),
        (DepthDecay(), "update_many", (TIMES, REACHES, np.full(3, 0.5))),
        (DepthDecay(), "update_many", (TIMES, REACHES, 0.5, CENSORED.astype(int))),
    ]
    for estimator, method, arguments in cases:
        one_by_one(estimator, range(0))
        before = estimator.snapshot()
        with pytest.raises(HypermmError) as caught:
            getattr(estimator, method)(*arguments)
        assert caught.value.field
        assert estimator.snapshot() == before


@pytest.mark.parametrize("kind", KINDS)
def test_time_never_goes_back(kind: Any) -> None:
    estimator = kind()
    one_by_one(estimator, range(10))
    before = estimator.snapshot()
    with pytest.raises(TimeOrderError):
        one_by_one(estimator, range(1))
    if kind is not DriftFilter:
        with pytest.raises(TimeOrderError):
            getattr(estimator, {DirectionalFlow: "rates", DepthDecay: "rate"}.get(kind, "forecast_bps"))(T0)
    assert estimator.snapshot() == before


def test_features_enter_as_one_observation() -> None:
    drift = DriftFilter()
    covariance = np.array([[0.5, 0.2], [0.2, 0.8]])
    drift.observe_features(T0, [0.1, 0.3], covariance, [10.0, 30.0], name="pair")
    weights = np.linalg.solve(covariance, np.ones(2))
    single = DriftFilter()
    single.observe(T0, float(weights @ [0.1, 0.3] / weights.sum()), float(1.0 / weights.sum()))
    assert drift.mean == pytest.approx(single.mean, rel=1e-12)
    assert drift.variance == pytest.approx(single.variance, rel=1e-12)
    assert drift.innovations["pair"]["count"] == 1
    before = drift.snapshot()
    later = T0 + SECOND
    bad: list[tuple[Any, ...]] = [
        ([0.1, math.inf], covariance, [10.0, 30.0]),
        ([0.1], covariance, [10.0, 30.0]),
        ([0.1, 0.3], -covariance, [10.0, 30.0]),
        ([0.1, 0.3], covariance[:1], [10.0, 30.0]),
        ([0.1, 0.3], covariance, [10.0, -1.0]),
        ([0.1, 0.3, 0.4], np.eye(3), [1.0, 1.0, 1.0]),
    ]
    for arguments in bad:
        with pytest.raises(InvalidInputError):
            drift.observe_features(later, *arguments)
        assert drift.snapshot() == before
    drift.observe_features(later, [math.nan, math.nan], covariance, [10.0, 30.0])
    assert drift.time_ns == later
    assert drift.innovations["pair"]["count"] == 1


RISK = InventoryRisk()
X = np.linspace(-1.5, 1.5, 1001)


@pytest.mark.parametrize("method", ["penalty", "inverse", "potential", "slope"])
def test_risk_of_arrays_equals_risk_of_numbers(method: str) -> None:
    function = getattr(RISK, method)
    expected = [function(float(x)) for x in X]
    for columns in (X, X.tolist(), tuple(X), np.repeat(X, 2)[::2]):
        values = function(columns)
        assert values.tolist() == expected
        assert not values.flags.writeable
    assert isinstance(function(0.5), float)
    assert isinstance(function(np.float64(0.5)), float)
    assert isinstance(function(np.float32(0.5)), float)
    for wrong in (math.nan, math.inf, "0.5", None, True, [0.1, math.nan], np.eye(2)):
        with pytest.raises(InvalidInputError):
            function(wrong)


@given(st.floats(-1e6, 1e6))
def test_inverse_undoes_the_penalty(margin: float) -> None:
    assert RISK.penalty(RISK.inverse(margin)) == pytest.approx(margin, rel=1e-12, abs=1e-300)


def test_risk_is_a_value() -> None:
    risk = InventoryRisk(0.02, 2.0, 10.0, 80.0, 1.1)
    assert pickle.loads(pickle.dumps(risk)) == risk
    assert hash(copy.deepcopy(risk)) == hash(risk)
    assert eval(repr(risk), {"InventoryRisk": InventoryRisk}) == risk  # noqa: S307 - our own text
    with pytest.raises(InvalidInputError, match="minimum_s"):
        InventoryRisk.horizon(1.5, 0.5, 0.5, 0.1, 0.1, 0.03, minimum_s=9.0, maximum_s=3.0)


@pytest.mark.parametrize("side", Side)
def test_formulas_over_arrays_equal_formulas_over_numbers(side: Side) -> None:
    depths = np.linspace(-2.0, 20.0, 600)
    probability = hypermm.fill_probability(depths, 1.5, 10.0, 0.2, 0.5)
    assert probability.tolist() == [hypermm.fill_probability(float(d), 1.5, 10.0, 0.2, 0.5) for d in depths]
    terms = {"drift_shift": 0.3, "carry": 0.1, "flow_shift": -0.2, "costs": 1.5, "penalty": 0.4}
    pnl = hypermm.expected_pnl(depths, side, fill_probability=0.4, **terms)
    assert pnl.tolist() == [hypermm.expected_pnl(float(d), side, fill_probability=0.4, **terms) for d in depths]
    size = hypermm.optimal_size(depths, side, 0.2, RISK, 3.0)
    assert size.tolist() == [hypermm.optimal_size(float(d), side, 0.2, RISK, 3.0) for d in depths]
    assert ((size >= 0.0) & (size <= 3.0 * 1.2)).all()


def test_optimal_size_is_where_one_more_contract_stops_paying() -> None:
    """Against brute force over the potential: the size that maximizes margin·s − cost of the inventory it brings."""
    grid = np.linspace(0.0, 1.0, 20_001)
    for side, sign in ((Side.BUY, 1.0), (Side.SELL, -1.0)):
        for x in (-0.4, 0.0, 0.3):
            for margin in (0.5, 3.0, 10.0):
                inside = grid[np.abs(x + sign * grid) <= 1.0]
                value = margin * inside - (RISK.potential(x + sign * inside) - RISK.potential(x))
                best = inside[np.argmax(value)]
                assert hypermm.optimal_size(margin, side, x, RISK, 1.0) == pytest.approx(best, abs=1e-4)


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0.0, 5.0)), min_size=1, max_size=20))
def test_merged_levels_keep_the_cumulative_maximum(rows: list[tuple[int, float]]) -> None:
    prices = 100.0 - np.cumsum([step for step, _ in rows])
    cumulative = np.array([size for _, size in rows])
    merged, sizes = hypermm.merge_levels(prices, cumulative)
    assert (np.diff(merged) < 0).all()
    assert set(merged) == set(prices)
    for price, total in zip(merged, np.cumsum(sizes), strict=True):
        assert total == pytest.approx(cumulative[prices >= price].max(), abs=1e-12)


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: hypermm.glft_half_spread(0.0, 0.5), "risk_aversion"),
        (lambda: hypermm.glft_half_spread(0.03, math.nan), "depth_decay"),
        (lambda: hypermm.flow_shift(0.0, 0.3, 0.5, 0.5, 0.03, 20.0), "sell_rate"),
        (lambda: hypermm.flow_shift(0.3, 0.3, 0.5, 0.5, 0.03, 20.0, memory_s=0.0), "memory_s"),
        (lambda: hypermm.drift_shift(math.nan, 0.02, 20.0), "drift"),
        (lambda: hypermm.drift_shift(0.1, 0.0, 20.0), "mean_reversion_per_s"),
        (lambda: hypermm.drift_shift(0.1, 0.02, 20.0, validity=-0.1), "validity"),
        (lambda: hypermm.fill_probability(1.0, 1.5, 10.0, 0.2, 0.5, queue_factor=1.1), "queue_factor"),
        (lambda: hypermm.optimal_size(1.0, Side.BUY, 0.0, None, 1.0), "risk"),  # type: ignore[arg-type]
        (lambda: hypermm.optimal_size(1.0, "buy", 0.0, RISK, 1.0), "side"),  # type: ignore[arg-type]
        (lambda: hypermm.optimal_size(1.0, Side.BUY, 0.0, RISK, 0.0), "max_position"),
        (lambda: hypermm.merge_levels([1.0, 2.0, 1.5], [1.0, 2.0, 3.0]), "prices"),
        (lambda: hypermm.merge_levels([1.0, 2.0], [1.0]), "cumulative_sizes"),
        (lambda: hypermm.merge_levels([1.0], [-1.0]), "cumulative_sizes"),
    ],
)
def test_formulas_refuse_what_is_out_of_domain(call: Any, field: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        call()
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda times, bad: DriftFilter().observe_many(times, bad, [1.0] * 3), "drifts[1]"),
        (lambda times, bad: DriftFilter().observe_many(times, [0.1] * 3, bad), "variances[1]"),
        (lambda times, bad: DriftFilter().observe_many(times[::-1], [0.1] * 3, [1.0] * 3), "times_ns[1]"),
        (lambda times, bad: DirectionalFlow().update_many(times[::-1], [Side.BUY] * 3), "times_ns[1]"),
        (lambda times, bad: DepthDecay().update_many(times, bad, 1.0), "reaches_bps[1]"),
        (lambda times, bad: DepthDecay().update_many(times, [1.0] * 3, bad), "threshold_bps[1]"),
        (lambda times, bad: DepthDecay().update_many(times, [1.0] * 3, math.nan), "threshold_bps"),
        (lambda times, bad: DepthDecay().update_many(times[::-1], [1.0] * 3, 1.0), "times_ns[1]"),
        (lambda times, bad: DriftFilter().observe_many(times, [0.1] * 3, [1.0] * 3, name=""), "name"),
        (lambda times, bad: DriftFilter().observe_many(times, [0.1] * 3, [1.0] * 3, name=None), "name"),
        (lambda times, bad: DriftFilter().observe(T0, 0.1, 1.0, name=""), "name"),
        (lambda times, bad: DriftFilter().observe_features(T0, [0.1], [[1.0]], [1.0], name=None), "name"),
    ],
)
def test_a_bad_row_of_many_is_named_by_column_and_index(call: Any, field: str) -> None:
    with pytest.raises((InvalidInputError, TimeOrderError)) as caught:
        call([T0, T0 + 1, T0 + 2], [1.0, math.nan, 1.0])
    assert caught.value.field == field


@pytest.mark.parametrize("settlement", [T0 - 1, T0, 1_756_900_000, 1_756_900_000_000])
def test_a_settlement_that_is_not_ahead_is_refused(settlement: int) -> None:
    forecast = FundingForecast()
    with pytest.raises(InvalidInputError) as caught:
        forecast.update(T0, 1e-5, next_settlement_ns=settlement)
    assert caught.value.field == "next_settlement_ns"
    assert ("looks like s/ms/µs" in caught.value.hint) == (settlement < 10**17)
    assert forecast.forecast_bps(T0) == 0.0
    forecast.update(T0, 1e-5, next_settlement_ns=T0 + 1)
