"""Closed formulas against simulations of what they describe."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

import hypermm
from scenes import START_NS, at

if TYPE_CHECKING:
    from oracles.drift_process import Array


def test_displacement_has_the_mean_and_variance_of_simulated_paths() -> None:
    """Mid over h seconds from a posterior N(μ̂, P) of the drift: all three terms, κ_μh from 0.01 to 20."""
    rng = np.random.default_rng(1)
    worst_mean = worst_variance = 0.0
    paths, steps, volatility, deviation = 40_000, 200, 1.3, 0.4
    for mean_reversion, horizon in ((0.001, 10.0), (0.02, 40.0), (0.2, 30.0), (0.2, 100.0)):
        drift = hypermm.DriftFilter(mean_reversion_per_s=mean_reversion, drift_deviation_bps_per_s=deviation)
        drift.observe(START_NS, 0.5, deviation**2)
        step = horizon / steps
        decay = math.exp(-mean_reversion * step)
        noise = deviation * math.sqrt(1.0 - decay**2)
        state = drift.mean + math.sqrt(drift.variance) * rng.standard_normal(paths)
        moved = volatility * math.sqrt(horizon) * rng.standard_normal(paths)
        for _ in range(steps):
            following = decay * state + noise * rng.standard_normal(paths)
            moved += 0.5 * step * (state + following)
            state = following
        deviation_found = float(moved.std(ddof=1))
        variance = drift.displacement_variance(horizon, volatility)
        worst_mean = max(
            worst_mean, abs(moved.mean() - drift.displacement(horizon)) / (deviation_found / math.sqrt(paths))
        )
        worst_variance = max(worst_variance, abs(deviation_found**2 / variance - 1.0))
    print(f"displacement: mean within {worst_mean:.1f} standard errors, variance within {100 * worst_variance:.1f} %")
    assert worst_mean < 4.0
    assert worst_variance < 4.0 * math.sqrt(2.0 / paths)


def test_displacement_variance_is_smooth_where_its_series_takes_over() -> None:
    """No step at κ_μh = 1e-4: neighbours on either side differ by what their distance explains."""
    drift = hypermm.DriftFilter(mean_reversion_per_s=1e-5, drift_deviation_bps_per_s=0.4)
    horizons = np.geomspace(9.99, 10.01, 41)
    excess = np.array([drift.displacement_variance(float(h), 1e-6) / h**2 for h in horizons])
    assert np.abs(np.diff(excess)).max() < 1e-5 * excess.mean()


@pytest.mark.parametrize("left_s", [0.0, 5.0, 600.0, 3_599.0])
@pytest.mark.parametrize("horizon_s", [10.0, 300.0, 7_200.0])
def test_expected_settlements_are_those_paid_in_an_exponential_holding_time(left_s: float, horizon_s: float) -> None:
    """Count of settlements within 400,000 exponential holding times; one that falls on now is the next interval's."""
    funding = hypermm.FundingForecast(interval_s=3600.0)
    first = left_s if left_s > 0.0 else 3600.0
    funding.update(START_NS, funding_rate=1e-4, next_settlement_ns=at(first))
    held = np.random.default_rng(2).exponential(horizon_s, 400_000)
    counts = np.where(held > first, np.floor((held - first) / 3600.0) + 1.0, 0.0)
    error = max(float(counts.std(ddof=1)) / math.sqrt(held.size), 2.0 / held.size)
    assert funding.expected_settlements(START_NS, horizon_s) == pytest.approx(counts.mean(), abs=4.0 * error)
    carry = funding.carry_bps(START_NS, horizon_s)
    assert carry == pytest.approx(
        funding.forecast_bps(START_NS) * funding.expected_settlements(START_NS, horizon_s), rel=1e-12, abs=1e-300
    )
    assert carry >= 0.0


def simulated_fills(depths: Array, volatility: float, life_s: float, intensity: float, decay: float) -> Array:
    """Share of orders, fixed at those depths, that mid walks through or an arrival reaches while mid moves."""
    rng = np.random.default_rng(3)
    paths, steps = 20_000, 400
    step = life_s / steps
    mid = np.zeros(paths)
    alive = np.ones((depths.size, paths))
    for _ in range(steps):
        move = volatility * math.sqrt(step) * rng.standard_normal(paths)
        for row, depth in enumerate(depths):
            before, after = depth + mid, depth + mid + move
            # A Brownian bridge between the grid's points may touch the price in between.
            touched = np.exp(-2.0 * np.maximum(before, 0.0) * np.maximum(after, 0.0) / (volatility**2 * step))
            reached = 1.0 - np.exp(-intensity * np.exp(-decay * np.maximum(before, 0.0)) * step)
            alive[row] *= (1.0 - touched) * (1.0 - reached)
        mid += move
    return 1.0 - alive.mean(axis=1)


def test_fill_probability_follows_simulated_orders_that_mid_can_walk_through() -> None:
    """Within a tenth of simulated fills at 2, 4 and 6 bps; arrivals alone would give half or less."""
    depths = np.array([2.0, 4.0, 6.0])
    volatility, life, intensity, decay = 1.7, 10.0, 0.04, 0.25
    simulated = simulated_fills(depths, volatility, life, intensity, decay)
    ours = np.asarray(hypermm.fill_probability(depths, volatility, life, intensity, decay))
    arrivals = 1.0 - np.exp(-intensity * np.exp(-decay * depths) * life)
    print(
        f"fill probability at {depths} bps: simulated {simulated.round(3)}, ours {ours.round(3)}, "
        f"without diffusion {arrivals.round(3)}"
    )
    assert np.abs(ours / simulated - 1.0).max() < 0.1
    assert (arrivals < 0.5 * simulated).all()
    assert (
        np.diff(np.asarray(hypermm.fill_probability(np.linspace(-5.0, 50.0, 500), 1.7, 10.0, 0.04, 0.25))) <= 0
    ).all()


def test_merged_levels_keep_the_running_maximum_at_every_price() -> None:
    """Down to any price the merged ladder offers what the largest cumulative size so far asked for."""
    rng = np.random.default_rng(4)
    for _ in range(200):
        prices = np.sort(rng.integers(90, 100, 8).astype(np.float64))[::-1].copy()
        cumulative = rng.uniform(0.0, 5.0, 8)
        merged, sizes = hypermm.merge_levels(prices, cumulative)
        assert (np.diff(merged) < 0.0).all()
        for price in np.unique(prices):
            assert sizes[merged >= price].sum() == pytest.approx(cumulative[prices >= price].max())
