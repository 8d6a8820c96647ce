"""Quotes against the exact long-run optimum: eigenvectors of the GLFT system and an HJB with a second moving state."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest

import hypermm
from oracles import ergodic, glft

if TYPE_CHECKING:
    from oracles.glft import Array

BOTH_CAPS = 20
SETS = 24


@dataclass(frozen=True)
class Case:
    """One random parameter set; ``validity`` is the a of the model's section 3."""

    market: glft.Market
    validity: float
    validity_factor: float
    horizon_s: float


def random_cases(*, seed: int, largest: float, imbalance: float = 0.0, clips: int = BOTH_CAPS) -> list[Case]:
    """``SETS`` markets with a log-uniform in [0.002, largest] whose horizon lies within its bounds.

    ``imbalance`` is the largest |½ ln(A_a/A_b)|.
    """
    rng = np.random.default_rng(seed)
    cases: list[Case] = []
    edges = np.geomspace(0.002, largest, SETS + 1)
    while len(cases) < SETS:
        k = math.exp(rng.uniform(math.log(0.05), math.log(3.0)))
        gamma = k * math.exp(rng.uniform(math.log(0.005), math.log(0.6)))
        volatility = math.exp(rng.uniform(math.log(0.5), math.log(5.0)))
        target = math.exp(rng.uniform(*np.log(edges[len(cases) : len(cases) + 2])))
        # a falls as 1/intensity: one call at 1/s gives the intensity that has the wanted a.
        intensity = hypermm.InventoryRisk.validity(volatility, k, 1.0, gamma)[0] / target
        tilt = rng.uniform(-imbalance, imbalance)
        bid, ask = intensity * math.exp(-tilt), intensity * math.exp(tilt)
        horizon = hypermm.InventoryRisk.horizon(volatility, k, k, bid, ask, gamma)
        if not (2.0 < horizon < 600.0 and 1.0 / 6000.0 < intensity < 50.0):
            continue
        validity, factor = hypermm.InventoryRisk.validity(volatility, k, intensity, gamma)
        cases.append(Case(glft.Market(volatility, k, bid, ask, gamma, clips), validity, factor, horizon))
    return cases


def closed_form(case: Case, shift_bps: float | Array = 0.0, variance: float | None = None) -> glft.Quotes:
    """hypermm's depths at every inventory, one clip a side, β = 0, no costs: shapes (2N+1,) or (2N+1, m)."""
    market = case.market
    risk = hypermm.InventoryRisk(
        risk_aversion=market.risk_aversion,
        inventory_curvature=0.0,
        clips=float(market.clips),
        displacement_variance=market.volatility**2 * case.horizon_s if variance is None else variance,
        validity_factor=case.validity_factor,
    )
    fraction = market.inventories / market.clips
    penalty, slope = np.asarray(risk.penalty(fraction)), np.asarray(risk.slope(fraction))
    half = hypermm.glft_half_spread(market.risk_aversion, market.depth_decay) + slope / (2.0 * market.clips)
    if np.ndim(shift_bps):
        penalty, half = penalty[:, None], half[:, None] + np.zeros_like(shift_bps)
    reservation = shift_bps - penalty
    bids, asks = half - reservation, half + reservation
    bids[-1], asks[0] = np.inf, np.inf
    return glft.Quotes(bids, asks)


def middle(quotes: glft.Quotes, clips: int) -> Array:
    """Centre of both quotes at inventories −clips … clips, bps from mid."""
    flat = quotes.bid_depths.shape[0] // 2
    near = slice(flat - clips, flat + clips + 1)
    return 0.5 * (quotes.ask_depths[near] - quotes.bid_depths[near])


def solved(market: glft.Market, state: ergodic.SecondState) -> ergodic.Solution:
    """The exact quotes with a second state."""
    return ergodic.solve(
        volatility=market.volatility,
        depth_decay=market.depth_decay,
        intensity=market.bid_intensity,
        risk_aversion=market.risk_aversion,
        clips=market.clips,
        state=state,
    )


def test_the_oracle_agrees_with_itself() -> None:
    """The value of the exact quotes, from a different matrix, is the eigenvalue; the HJB reduces to the eigenvector."""
    worst = 0.0
    for case in random_cases(seed=1, largest=1.0, imbalance=0.3):
        quotes, value = glft.exact_quotes(case.market)
        worst = max(worst, abs(glft.value_of(case.market, quotes) / value - 1.0))
    print(f"value of the exact quotes against the eigenvalue: worst {worst:.1e} relative")
    assert worst < 1e-9

    case = random_cases(seed=2, largest=0.2, clips=8)[12]
    grid, up, down = ergodic.ornstein_uhlenbeck(0.05, 1.0, points=21)
    still = ergodic.SecondState(grid, up, down, 0.0 * grid, 0.0 * grid, 0.0 * grid)
    market = case.market
    solution = solved(market, still)
    quotes, value = glft.exact_quotes(market)
    difference = float(np.abs(solution.bid_depths[:-1] - quotes.bid_depths[:-1, None]).max())
    print(
        f"HJB without a second state against the eigenvector: {difference:.1e} bps, "
        f"value {solution.value / value - 1:.1e}"
    )
    assert difference < 1e-7
    assert abs(solution.value / value - 1.0) < 1e-9


def test_half_spread_and_skew_are_within_two_percent_of_the_exact_ones() -> None:
    """Flat half-spread, and shift of both quotes by one clip, for a ≤ 0.2, sides up to e^0.6 apart."""
    spread_errors, skew_errors, weighted_errors = [], [], []
    for case in random_cases(seed=3, largest=0.2, imbalance=0.3):
        exact, _ = glft.exact_quotes(case.market)
        ours = closed_form(case)
        flat = case.market.clips
        spread = [q.bid_depths[flat] + q.ask_depths[flat] for q in (exact, ours)]
        skew = [float(middle(q, 1)[0] - middle(q, 1)[2]) for q in (exact, ours)]
        spread_errors.append(spread[1] / spread[0] - 1.0)
        skew_errors.append(skew[1] / skew[0] - 1.0)
        # Wherever inventory really goes: least squares over its stationary law, within two deviations of it.
        reach = 2.0 / math.sqrt(2.0 * math.sqrt(case.validity))
        inside = np.arange(-math.ceil(reach), math.ceil(reach) + 1)
        weight = np.exp(-math.sqrt(case.validity) * inside**2) * inside
        slopes = [float(weight @ middle(q, math.ceil(reach))) for q in (exact, ours)]
        weighted_errors.append(slopes[1] / slopes[0] - 1.0)
    print(
        f"{len(spread_errors)} sets, a ≤ 0.2: half-spread within {100 * np.abs(spread_errors).max():.2f} %, "
        f"skew of one clip {100 * np.abs(skew_errors).max():.2f} %, skew weighted by where inventory is "
        f"{100 * np.abs(weighted_errors).max():.2f} %"
    )
    assert np.abs(spread_errors).max() < 0.02
    assert np.abs(skew_errors).max() < 0.02
    assert np.abs(weighted_errors).max() < 0.05


def lasting_shift(case: Case) -> float:
    """The flow shift of an imbalance that lasts for ever, bps."""
    market = case.market
    return hypermm.flow_shift(
        market.bid_intensity,
        market.ask_intensity,
        market.depth_decay,
        market.depth_decay,
        market.risk_aversion,
        case.horizon_s,
        memory_s=1e15,
    )


def test_flow_shift_for_a_lasting_imbalance_is_exact() -> None:
    """Intensities A_b ≠ A_a for ever: both quotes move by the flow shift, whatever a is."""
    worst = 0.0
    for case in random_cases(seed=4, largest=1.0, imbalance=0.2):
        market = case.market
        exact, _ = glft.exact_quotes(market)
        even = math.sqrt(market.bid_intensity * market.ask_intensity)
        balanced, _ = glft.exact_quotes(
            glft.Market(market.volatility, market.depth_decay, even, even, market.risk_aversion, market.clips)
        )
        moved = float(middle(exact, 0)[0] - middle(balanced, 0)[0])
        shift = lasting_shift(case)
        worst = max(worst, abs(shift - moved) / abs(moved))
    print(f"flow shift for a lasting imbalance: worst {worst:.1e} relative over {SETS} sets")
    assert worst < 1e-6


def test_flow_shift_of_a_fading_imbalance_is_within_twelve_percent() -> None:
    """The log imbalance reverts with the 120 s memory; the slope of the exact quotes at balance, a ≤ 0.6."""
    errors = []
    for case in random_cases(seed=5, largest=0.6, clips=14):
        market = case.market
        grid, up, down = ergodic.ornstein_uhlenbeck(1.0 / 120.0, 0.3, points=31, width=3.5)
        state = ergodic.SecondState(grid, up, down, 0.0 * grid, -grid, grid)
        exact = central_slope(market, state)
        tilt = 1e-6
        ours = hypermm.flow_shift(
            math.exp(-tilt),
            math.exp(tilt),
            market.depth_decay,
            market.depth_decay,
            market.risk_aversion,
            case.horizon_s,
            memory_s=120.0,
        )
        errors.append(ours / tilt / exact - 1.0)
    print(
        f"flow shift of a fading imbalance: worst {100 * np.abs(errors).max():.1f} % over {len(errors)} sets, a ≤ 0.6"
    )
    assert np.abs(errors).max() < 0.12


def central_slope(market: glft.Market, state: ergodic.SecondState) -> float:
    """Exact shift of both quotes per unit of the second state, flat and at its mean."""
    solution = solved(market, state)
    flat = middle(glft.Quotes(solution.bid_depths, solution.ask_depths), 0)[0]
    centre = state.values.size // 2
    return float((flat[centre + 1] - flat[centre - 1]) / (state.values[centre + 1] - state.values[centre - 1]))


def drift_cases(*, largest: float, draws: int = 1) -> list[tuple[Case, float, float]]:
    """(market, mean reversion of drift, its deviation): between 0.005 and 0.2 per second, and 0.05σ.

    ``draws`` times ``SETS`` of them.
    """
    rng = np.random.default_rng(6)
    return [
        (case, math.exp(rng.uniform(math.log(0.005), math.log(0.2))), 0.05 * case.market.volatility)
        for draw in range(draws)
        for case in random_cases(seed=6 + 1000 * draw, largest=largest, clips=14)
    ]


def exact_drift_slope(case: Case, mean_reversion: float, deviation: float) -> float:
    """Exact shift of both quotes per unit drift, flat and at drift 0, bps per (bps/s)."""
    grid, up, down = ergodic.ornstein_uhlenbeck(mean_reversion, deviation, points=31, width=3.5)
    return central_slope(case.market, ergodic.SecondState(grid, up, down, grid, 0.0 * grid, 0.0 * grid))


def test_drift_shift_is_within_eight_percent_of_the_exact_shift() -> None:
    """Shift of the exact quotes per unit of a small OU drift, at drift 0, for a ≤ 0.6 and any memory of the drift.

    As κ_μ → 0 the exact shift per unit drift is the exact skew over γσ², whose √a/6 the bare τ would lack: the last
    figure. At the real deviation 0.05σ the shift is a slope through a curve, where that stays below the fill scale.
    """
    small, bare, real = [], [], []
    for case, mean_reversion, deviation in drift_cases(largest=0.6, draws=3):
        ours = hypermm.drift_shift(1.0, mean_reversion, case.horizon_s, validity=case.validity)
        exact = exact_drift_slope(case, mean_reversion, 0.1 / (case.market.depth_decay * ours))
        small.append(abs(ours / exact - 1.0))
        bare.append(abs(hypermm.drift_shift(1.0, mean_reversion, case.horizon_s) / exact - 1.0))
        if deviation * ours * case.market.depth_decay <= 1.0:
            real.append(abs(ours / exact_drift_slope(case, mean_reversion, deviation) - 1.0))
    print(
        f"drift shift, {len(small)} sets, a ≤ 0.6: worst {100 * max(small):.1f} %, "
        f"median {100 * np.median(small):.1f} %; "
        f"at deviation 0.05σ worst {100 * max(real):.1f} %, median {100 * np.median(real):.1f} % over {len(real)}; "
        f"with τ for τ_D worst {100 * max(bare):.1f} %, median {100 * np.median(bare):.1f} %"
    )
    assert len(small) >= 60
    assert max(small) < 0.08
    assert max(real) < 0.08


def test_drift_shift_stays_sane_where_the_closed_form_ends() -> None:
    """0.6 < a ≤ 5: within 8 % too; what a lasting drift is worth, times kγσ², rises with a towards its limit 2."""
    errors = []
    for case, mean_reversion, _ in drift_cases(largest=5.0, draws=3):
        if case.validity > 0.6:
            ours = hypermm.drift_shift(1.0, mean_reversion, case.horizon_s, validity=case.validity)
            exact = exact_drift_slope(case, mean_reversion, 0.1 / (case.market.depth_decay * ours))
            errors.append(abs(ours / exact - 1.0))
    print(
        f"drift shift, {len(errors)} sets, 0.6 < a ≤ 5: worst {100 * max(errors):.1f} %, "
        f"median {100 * np.median(errors):.1f} %"
    )
    assert len(errors) >= 15
    assert max(errors) < 0.08
    # τ = √a in units of 1/(kγσ²).
    ladder = np.geomspace(1e-6, 1e6, 2000)
    worth = np.array([hypermm.drift_shift(1.0, 1e-12, math.sqrt(a), validity=float(a)) for a in ladder])
    assert (np.diff(worth[ladder < 100.0]) > 0.0).all()
    assert (np.diff(worth) >= -1e-6).all()
    assert (worth < 2.0 + 1e-6).all()
    assert worth[-1] == pytest.approx(2.0, rel=1e-5)


def test_value_attained_is_at_least_98_5_percent_of_the_optimum() -> None:
    """Long-run certainty equivalent of hypermm's quotes in the exact chain over the optimum's, a ≤ 1."""
    ratios = []
    for case in random_cases(seed=7, largest=1.0, imbalance=0.2):
        market = case.market
        _, best = glft.exact_quotes(market)
        shift = lasting_shift(case)
        ratios.append(glft.value_of(market, closed_form(case, shift)) / best)
    print(
        f"value attained: worst {100 * min(ratios):.2f} %, median {100 * np.median(ratios):.2f} % of the optimum, a ≤ 1"
    )
    assert max(ratios) <= 1.0 + 1e-9
    assert min(ratios) >= 0.985


def test_value_attained_with_a_moving_drift() -> None:
    """The same with a known OU drift of deviation 0.05σ: drift shift and all terms of the displacement variance."""
    ratios = []
    for case, mean_reversion, deviation in drift_cases(largest=1.0):
        market = case.market
        grid, up, down = ergodic.ornstein_uhlenbeck(mean_reversion, deviation, points=31, width=3.5)
        state = ergodic.SecondState(grid, up, down, grid, 0.0 * grid, 0.0 * grid)
        facts = {
            "volatility": market.volatility,
            "depth_decay": market.depth_decay,
            "intensity": market.bid_intensity,
            "risk_aversion": market.risk_aversion,
            "clips": market.clips,
        }
        best = ergodic.solve(**facts, state=state)
        per_unit = hypermm.drift_shift(1.0, mean_reversion, case.horizon_s, validity=case.validity)
        if deviation * per_unit * market.depth_decay > 1.0:
            continue
        ours = closed_form(case, per_unit * grid)
        value = ergodic.value_of(
            **facts, state=state, bid_depths=ours.bid_depths, ask_depths=ours.ask_depths, near=best.value
        )
        ratios.append(value / best.value)
    print(
        f"value with a moving drift: worst {100 * min(ratios):.2f} %, median {100 * np.median(ratios):.2f} %, "
        f"{len(ratios)} sets"
    )
    assert max(ratios) <= 1.0 + 1e-6
    assert min(ratios) >= 0.985


@pytest.mark.parametrize("gamma", [0.003, 0.01, 0.025, 0.05])
def test_value_for_the_risk_aversions_of_the_model_page(gamma: float) -> None:
    """The page's figures (100, 99.9, 99.6, 98.2 %) are of this order for a Feb 19 market: σ 1.7, k 0.25, A 0.04."""
    market = glft.Market(1.7, 0.25, 0.04, 0.04, gamma, BOTH_CAPS)
    validity, factor = hypermm.InventoryRisk.validity(1.7, 0.25, 0.04, gamma)
    horizon = hypermm.InventoryRisk.horizon(1.7, 0.25, 0.25, 0.04, 0.04, gamma)
    _, best = glft.exact_quotes(market)
    ratio = glft.value_of(market, closed_form(Case(market, validity, factor, horizon))) / best
    print(f"γ {gamma}: a {validity:.2f}, horizon {horizon:.1f} s, value {100 * ratio:.2f} % of the optimum")
    if validity <= 1.0:
        assert ratio >= 0.985
    assert ratio >= 0.9
