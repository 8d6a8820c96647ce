"""The convex inventory potential, its inverse, and sizes as exact maximisers of expected PnL."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad

import hypermm

CURVATURES = [0.0, 1e-13, 1e-9, 1e-6, 1e-3, 0.1, 1.0, 4.0, 8.0, 100.0]


def risk(
    curvature: float, *, variance: float = 200.0, aversion: float = 0.03, clips: float = 20.0
) -> hypermm.InventoryRisk:
    """A potential with a scale of tens of bps."""
    return hypermm.InventoryRisk(
        risk_aversion=aversion, inventory_curvature=curvature, clips=clips, displacement_variance=variance
    )


def test_inverse_of_the_penalty_is_the_identity_over_twelve_decades() -> None:
    """R⁻¹(R(x)) = x to 1e-12 relative, |x| from 1e-12 to 1, β from 0 to 100, scales from 1e-6 to 1e6 bps."""
    positive = np.geomspace(1e-12, 1.0, 2_401)
    x = np.concatenate([-positive[::-1], positive])
    worst = 0.0
    for curvature in CURVATURES:
        for variance in (1e-6, 1.0, 200.0, 1e6):
            penalty = risk(curvature, variance=variance)
            back = np.asarray(penalty.inverse(penalty.penalty(x)))
            worst = max(worst, float(np.abs(back / x - 1.0).max()))
            assert penalty.inverse(0.0) == 0.0
    print(f"R⁻¹(R(x)) against x: worst {worst:.1e} relative over 12 decades")
    assert worst < 1e-12


def test_array_forms_equal_single_calls() -> None:
    """Bit for bit, for all four functions."""
    x = np.linspace(-2.0, 2.0, 101)
    for curvature in CURVATURES:
        penalty = risk(curvature)
        for function in (penalty.penalty, penalty.inverse, penalty.potential, penalty.slope):
            assert np.asarray(function(x)).tolist() == [function(float(value)) for value in x]


def test_potential_is_the_integral_of_the_penalty_and_slope_its_derivative() -> None:
    """By quadrature and by central differences, which share nothing with the closed forms."""
    for curvature in (0.0, 1.0, 4.0, 100.0):
        penalty = risk(curvature)
        for x in (-1.3, -0.4, 0.01, 0.7, 1.0):
            area, _ = quad(lambda value, penalty=penalty: float(penalty.penalty(value)), 0.0, x, epsabs=1e-12)
            assert penalty.potential(x) == pytest.approx(area, rel=1e-10)
            step = 1e-5
            slope = (penalty.penalty(x + step) - penalty.penalty(x - step)) / (2.0 * step)
            assert penalty.slope(x) == pytest.approx(slope, rel=1e-7)


def test_potential_is_convex_on_both_sides_of_zero() -> None:
    """Second differences are positive everywhere, also where a large curvature meets a reducing trade."""
    x = np.linspace(-1.5, 1.5, 30_001)
    for curvature in (0.0, 2.0, 4.0, 8.0, 100.0):
        potential = np.asarray(risk(curvature).potential(x))
        assert (np.diff(potential, 2) > 0.0).all()
        assert (np.asarray(risk(curvature).slope(x)) > 0.0).all()
        assert (np.diff(np.asarray(risk(curvature).penalty(x))) > 0.0).all()


def test_sizes_maximise_expected_pnl_against_brute_force() -> None:
    """argmax over s of s·m − (Φ(x ± s) − Φ(x)) on a fine grid within the cap, 400 random states a side."""
    rng = np.random.default_rng(5)
    grid = np.linspace(0.0, 2.0, 200_001)
    spacing = grid[1]
    worst, traded = 0.0, 0
    for _ in range(400):
        penalty = risk(float(rng.choice(CURVATURES)), variance=float(np.exp(rng.uniform(0.0, 7.0))))
        x = float(rng.uniform(-1.0, 1.0))
        margin = float(rng.normal(0.0, 0.6) * np.asarray(penalty.penalty(1.0)))
        for side, sign in ((hypermm.Side.BUY, 1.0), (hypermm.Side.SELL, -1.0)):
            # What may be bought at most is what takes inventory from x to the cap.
            room = 1.0 - sign * x
            sizes = grid[grid <= room]
            gain = sizes * margin - (np.asarray(penalty.potential(x + sign * sizes)) - penalty.potential(x))
            best = float(sizes[int(np.argmax(gain))])
            ours = hypermm.optimal_size(margin, side, x, penalty, 7.0) / 7.0
            worst = max(worst, abs(ours - best))
            traded += ours > 0.0
    print(f"sizes against brute force: worst {worst:.1e} of the cap (grid {spacing:.0e}), {traded} of 800 trade")
    assert traded > 200
    assert worst <= spacing


def test_expected_pnl_is_zero_exactly_where_size_vanishes() -> None:
    """A side's size is positive if and only if one more contract there has a positive expected PnL."""
    rng = np.random.default_rng(6)
    penalty = risk(4.0)
    for _ in range(2_000):
        x, depth = float(rng.uniform(-1.0, 1.0)), float(rng.normal(2.0, 30.0))
        shifts = {
            "drift_shift": float(rng.normal(0.0, 10.0)),
            "carry": float(rng.normal()),
            "flow_shift": float(rng.normal()),
        }
        for side, sign in ((hypermm.Side.BUY, 1.0), (hypermm.Side.SELL, -1.0)):
            pnl = hypermm.expected_pnl(
                depth, side, **shifts, costs=1.5, fill_probability=0.3, penalty=float(penalty.penalty(x))
            )
            margin = depth + sign * (shifts["drift_shift"] - shifts["carry"] + shifts["flow_shift"]) - 1.5
            size = hypermm.optimal_size(margin, side, x, penalty, 1.0)
            assert (size > 0.0) == (pnl > 0.0)
            assert pnl == pytest.approx(0.3 * (margin - sign * float(penalty.penalty(x))), rel=1e-12, abs=1e-12)
