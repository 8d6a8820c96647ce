"""Arrival rate, depth decay and volatility find the truth from a cold start, whatever the prior."""

from __future__ import annotations

import numpy as np
import pytest

import hypermm
from oracles.flow_process import Array, SideFlow, side_flow

START_NS = 1_700_000_000_000_000_000
PRIOR_FACTORS = (0.1, 0.3, 1.0, 3.0, 10.0)


def at(seconds: float) -> int:
    """Time in ns, seconds after the start."""
    return START_NS + round(seconds * 1e9)


def feed(decay: hypermm.DepthDecay, flow: SideFlow, threshold_bps: float) -> None:
    """The whole flow of one side, in time order."""
    for time, reach, censored in zip(flow.times_s, flow.reaches_bps, flow.censored, strict=True):
        decay.update(at(float(time)), float(reach), threshold_bps, censored=bool(censored))


CHECKPOINTS_S = (5.0, 15.0, 30.0, 60.0)


def errors_over_a_minute(seeds: int, factor: float) -> tuple[Array, Array]:
    """Largest relative error of the two sides, of Λ and of k, by seed and checkpoint: two (seeds, 4) arrays.

    3 aggressor events a second a side, k 0.25/bp, priors ``factor`` times the truth.
    """
    rate, decay, half_spread = 3.0, 0.25, 1.0
    rate_errors, decay_errors = np.empty((2, seeds, len(CHECKPOINTS_S)))
    sides = (hypermm.Side.SELL, hypermm.Side.BUY)
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        flows = [
            side_flow(rng, rate_per_s=rate, depth_decay=decay, half_spread_bps=half_spread, span_s=60.0) for _ in sides
        ]
        flow = hypermm.DirectionalFlow(arrival_rate=rate * factor)
        estimators = [hypermm.DepthDecay(depth_decay=decay * factor, arrival_rate=rate * factor) for _ in sides]
        events = sorted(
            (float(time), side, float(reach))
            for side in range(2)
            for time, reach in zip(flows[side].times_s, flows[side].reaches_bps, strict=True)
        )
        done = 0
        for column, checkpoint in enumerate(CHECKPOINTS_S):
            while done < len(events) and events[done][0] <= checkpoint:
                time, side, reach = events[done]
                flow.update(at(time), sides[side])
                estimators[side].update(at(time), reach, half_spread)
                done += 1
            rates = np.array(flow.rates(at(checkpoint)))
            decays = np.array([estimator.depth_decay for estimator in estimators])
            rate_errors[seed, column] = np.abs(rates / rate - 1.0).max()
            decay_errors[seed, column] = np.abs(decays / decay - 1.0).max()
    return rate_errors, decay_errors


@pytest.mark.parametrize("factor", PRIOR_FACTORS)
def test_rate_and_depth_decay_are_within_a_fifth_after_a_minute_in_nine_of_ten_seeds(factor: float) -> None:
    """Both sides at once, 200 seeds, 60 s after a cold start."""
    rate_errors, decay_errors = errors_over_a_minute(200, factor)
    for name, errors in (("Λ", rate_errors), ("k", decay_errors)):
        shares = ", ".join(
            f"{100 * share:.0f} % at {checkpoint:.0f} s"
            for checkpoint, share in zip(CHECKPOINTS_S, (errors <= 0.2).mean(axis=0), strict=True)
        )
        print(
            f"prior {factor} × truth, {name} within 20 %: {shares}; median error {np.median(errors, axis=0).round(3)}"
        )
    assert (rate_errors[:, -1] <= 0.2).sum() >= 180
    assert (decay_errors[:, -1] <= 0.2).sum() >= 180


def mean_decay_after_half_an_hour(seeds: range, factor: float, *, tell: bool = True) -> tuple[float, float]:
    """Mean and standard error of k over seeds: truth 0.25/bp, 0.04 events a second, three own orders in the way.

    ``tell`` False passes censored reaches off as complete ones.
    """
    values = []
    for seed in seeds:
        flow = side_flow(
            np.random.default_rng(seed),
            rate_per_s=0.04,
            depth_decay=0.25,
            half_spread_bps=1.0,
            span_s=1800.0,
            own_depths_bps=(2.0, 4.0, 7.0),
            own_width_bps=1.5,
        )
        estimator = hypermm.DepthDecay(depth_decay=0.25 * factor, arrival_rate=0.04 * factor)
        feed(estimator, flow if tell else SideFlow(flow.times_s, flow.reaches_bps, ~(flow.times_s >= 0.0)), 1.0)
        values.append(estimator.depth_decay)
    return float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(len(values)))


@pytest.mark.parametrize("factor", PRIOR_FACTORS)
def test_depth_decay_is_right_with_our_own_orders_in_the_market(factor: float) -> None:
    """Mean of 200 seeds between 0.22 and 0.28 for a truth of 0.25 after 30 minutes."""
    mean, error = mean_decay_after_half_an_hour(range(200), factor)
    print(f"prior {factor} × truth: k {mean:.4f} ± {error:.4f} per bp for a truth of 0.25")
    assert 0.22 < mean < 0.28


def test_without_censoring_our_own_orders_would_bias_the_decay() -> None:
    """The oracle's orders matter: passing their stops off as complete reaches overstates k beyond the band."""
    mean, _ = mean_decay_after_half_an_hour(range(100), 1.0, tell=False)
    print(f"uncensored: k {mean:.3f} for a truth of 0.25")
    assert mean > 0.3
