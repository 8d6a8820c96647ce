"""Avellaneda and Stoikov, "High-frequency trading in a limit order book" (2008), section 3.3, from our functions."""

from __future__ import annotations

import numpy as np
import pytest

import hypermm

GAMMA, START_PRICE, SPAN_S, VOLATILITY, STEP_S = 0.1, 100.0, 1.0, 2.0, 0.005
DEPTH_DECAY, INTENSITY = 1.5, 140.0
CLIPS = 1000.0


def simulate(paths: int, seed: int, *, symmetric: bool = False) -> tuple[float, float, float]:
    """(mean PnL, its deviation, deviation of final inventory); their units: dollars where ours are bps.

    Each step of 0.005 an order fills with probability λ(δ)·dt and the price then moves by ±σ√dt. The symmetric
    strategy quotes the mean spread of the other around mid.
    """
    rng = np.random.default_rng(seed)
    price = np.full(paths, START_PRICE)
    inventory = np.zeros(paths)
    cash = np.zeros(paths)
    half_spread = hypermm.glft_half_spread(GAMMA, DEPTH_DECAY)
    for step in range(round(SPAN_S / STEP_S)):
        variance = VOLATILITY**2 * (SPAN_S - step * STEP_S)
        if symmetric:
            variance = VOLATILITY**2 * SPAN_S / 2.0
        risk = hypermm.InventoryRisk(
            risk_aversion=GAMMA, inventory_curvature=0.0, clips=CLIPS, displacement_variance=variance
        )
        depth = half_spread + float(risk.slope(0.0)) / (2.0 * CLIPS)
        skew = np.zeros(paths) if symmetric else np.asarray(risk.penalty(inventory / CLIPS))
        bid_depth, ask_depth = depth + skew, depth - skew
        bought = rng.random(paths) < INTENSITY * np.exp(-DEPTH_DECAY * bid_depth) * STEP_S
        sold = rng.random(paths) < INTENSITY * np.exp(-DEPTH_DECAY * ask_depth) * STEP_S
        cash += sold * (price + ask_depth) - bought * (price - bid_depth)
        inventory += bought.astype(np.float64) - sold
        price += VOLATILITY * np.sqrt(STEP_S) * np.where(rng.random(paths) < 0.5, 1.0, -1.0)
    wealth = cash + inventory * price
    return float(wealth.mean()), float(wealth.std(ddof=1)), float(inventory.std(ddof=1))


def test_a_thousand_paths_give_the_published_simulation() -> None:
    """Mean 64.90 ± 0.62 and deviation 6.54 ± 0.44 (three standard errors); below 0.55 of the symmetric strategy's."""
    mean, deviation, inventory = simulate(1_000, seed=2008)
    even_mean, even_deviation, even_inventory = simulate(1_000, seed=2009, symmetric=True)
    print(
        f"inventory strategy: PnL {mean:.2f} ± {deviation:.2f}, inventory ± {inventory:.2f}; symmetric: "
        f"{even_mean:.2f} ± {even_deviation:.2f}, ± {even_inventory:.2f}; deviations {deviation / even_deviation:.3f}"
    )
    assert mean == pytest.approx(64.90, abs=0.62)
    assert deviation == pytest.approx(6.54, abs=0.44)
    assert deviation < 0.55 * even_deviation


@pytest.mark.verify
def test_two_hundred_thousand_paths_give_the_reference_figures() -> None:
    """The reference the fast test stands on: mean and deviation at 200,000 paths."""
    mean, deviation, _ = simulate(200_000, seed=1)
    print(
        f"200,000 paths: PnL {mean:.3f} ± {deviation:.3f}, "
        f"standard errors {deviation / 447.2:.3f} and {deviation / 632.5:.3f}"
    )
    assert mean == pytest.approx(64.90, abs=0.06)
    assert deviation == pytest.approx(6.54, abs=0.05)
