"""The drift filter against an independent Kalman filter, its own likelihood, and simulated slow features."""

from __future__ import annotations

import math

import numpy as np
import pytest
from filterpy.kalman import KalmanFilter
from scipy.optimize import minimize
from scipy.stats import binom, chi2

import hypermm
from oracles.drift_process import autoregression, correlated_errors, drift_and_returns

START_NS = 1_700_000_000_000_000_000
SECOND_NS = 1_000_000_000


def test_filter_equals_filterpy_over_irregular_times() -> None:
    """Mean, variance and log-likelihood after each of 2,000 observations; equal times and day-long gaps among them."""
    rng = np.random.default_rng(11)
    worst = 0.0
    for mean_reversion, deviation in ((0.02, 0.075), (0.2, 0.5), (0.005, 3.0)):
        ours = hypermm.DriftFilter(mean_reversion_per_s=mean_reversion, drift_deviation_bps_per_s=deviation)
        reference = KalmanFilter(dim_x=1, dim_z=1)
        reference.x = np.zeros((1, 1))
        reference.P = np.array([[deviation**2]])
        reference.H = np.ones((1, 1))
        gaps = rng.choice([0, 1, 250_000_000, 3 * SECOND_NS, 600 * SECOND_NS, 86_400 * SECOND_NS], size=2_000)
        gaps = np.where(gaps > 1, (gaps * rng.uniform(0.2, 1.8, gaps.size)).astype(np.int64), gaps)
        times = START_NS + np.cumsum(gaps)
        values = rng.normal(0.0, 2.0 * deviation, gaps.size)
        variances = deviation**2 * np.exp(rng.uniform(-6.0, 10.0, gaps.size))
        log_likelihood = 0.0
        last = times[0]
        for time, value, variance in zip(times.tolist(), values.tolist(), variances.tolist(), strict=True):
            ours.observe(time, value, variance)
            decay = math.exp(-mean_reversion * (time - last) / 1e9)
            last = time
            reference.predict(F=np.array([[decay]]), Q=np.array([[deviation**2 * (1.0 - decay**2)]]))
            reference.update(np.array([[value]]), R=np.array([[variance]]))
            log_likelihood += float(reference.log_likelihood)
            worst = max(
                worst,
                abs(ours.mean - float(reference.x[0, 0])) / deviation,
                abs(ours.variance / float(reference.P[0, 0]) - 1.0),
            )
        assert ours.log_likelihood == pytest.approx(log_likelihood, rel=1e-9)
        assert ours.innovations["external"]["count"] == gaps.size
    print(f"drift filter against filterpy: worst {worst:.1e} over 6,000 irregular observations")
    assert worst < 1e-9


def profile_counts(seeds: range) -> tuple[int, int, int]:
    """How often the truth lies in the 95 % profile intervals of κ_μ and of √P∞, and in the joint region.

    8 h of 1 s returns of a market with κ_μ 0.05/s and a stationary drift deviation of 0.3σ.
    """
    truth = np.log([0.05, 0.3])
    volatility, steps = 1.0, 8 * 3600
    times = START_NS + np.arange(1, steps + 1) * SECOND_NS
    variances = np.full(steps, volatility**2)
    counts = np.zeros(3, dtype=int)
    for seed in seeds:
        rng = np.random.default_rng(seed)
        _, returns = drift_and_returns(
            rng, mean_reversion_per_s=0.05, deviation=0.3, volatility=volatility, step_s=1.0, steps=steps
        )

        def loss(log_parameters: np.ndarray, returns: np.ndarray = returns) -> float:
            mean_reversion, deviation = np.exp(np.clip(log_parameters, -12.0, 3.0))
            drift = hypermm.DriftFilter(mean_reversion_per_s=mean_reversion, drift_deviation_bps_per_s=deviation)
            drift.observe_many(times, returns, variances)
            return -float(drift.log_likelihood)

        best = minimize(
            loss, truth + rng.normal(0.0, 0.3, 2), method="Nelder-Mead", options={"xatol": 1e-3, "fatol": 1e-3}
        )
        for fixed in range(2):
            free = 1 - fixed

            def profile(value: np.ndarray, fixed: int = fixed, free: int = free) -> float:
                point = truth.copy()
                point[free] = value[0]
                return loss(point)

            inner = minimize(profile, best.x[[free]], method="Nelder-Mead", options={"xatol": 1e-3, "fatol": 1e-3})
            counts[fixed] += 2.0 * (inner.fun - best.fun) <= chi2.ppf(0.95, 1)
        counts[2] += 2.0 * (loss(truth) - best.fun) <= chi2.ppf(0.95, 2)
    return int(counts[0]), int(counts[1]), int(counts[2])


def test_likelihood_maximum_covers_the_truth_in_a_few_seeds() -> None:
    """Twelve seeds; the bound is what a true 95 % interval misses once in 10,000 runs."""
    counts = profile_counts(range(12))
    print(
        f"truth inside the 95 % profile interval in 12 seeds: κ_μ {counts[0]}, deviation {counts[1]}, joint {counts[2]}"
    )
    assert min(counts) >= binom.ppf(1e-4, 12, 0.95)


@pytest.mark.verify
def test_likelihood_maximum_covers_the_truth_in_90_to_99_of_100_seeds() -> None:
    """Profile interval of each parameter (χ², 1 degree of freedom) and the joint region (2 degrees)."""
    counts = profile_counts(range(100))
    print(
        f"truth inside the 95 % profile interval in 100 seeds: κ_μ {counts[0]}, deviation {counts[1]}, "
        f"joint {counts[2]}"
    )
    for count in counts:
        assert 90 <= count <= 99


def run_features(
    *,
    seed: int,
    covariance: np.ndarray,
    memories_s: np.ndarray,
    step_s: float,
    steps: int,
    whiten: bool,
    missing: float = 0.0,
    fuse: bool = True,
) -> tuple[float, float, int]:
    """(NIS, mean squared error over P, observations) of features f_i = μ + e_i, e_i slow and correlated."""
    mean_reversion, deviation = 0.02, 0.1
    rng = np.random.default_rng(seed)
    drift = autoregression(rng, steps, math.exp(-mean_reversion * step_s), deviation)
    errors = correlated_errors(rng, covariance=covariance, memories_s=memories_s, step_s=step_s, steps=steps)
    seen = drift[:, None] + errors
    seen[rng.random(seen.shape) < missing] = np.nan
    ours = hypermm.DriftFilter(mean_reversion_per_s=mean_reversion, drift_deviation_bps_per_s=deviation)
    told = memories_s if whiten else np.zeros_like(memories_s)
    squares = 0.0
    for i in range(steps):
        time = START_NS + round(i * step_s * SECOND_NS)
        if fuse:
            ours.observe_features(time, seen[i], covariance, told)
        else:
            for j in range(memories_s.size):
                ours.observe_features(time, seen[i, [j]], covariance[np.ix_([j], [j])], told[[j]], name=f"feature {j}")
        squares += (ours.mean - drift[i]) ** 2 / ours.variance
    statistics = ours.innovations.values()
    count = sum(entry["count"] for entry in statistics)
    nis = sum(entry["nis"] * entry["count"] for entry in statistics) / count
    return nis, squares / steps, count


STATIONARY = 0.1**2
"""P∞ of :func:`run_features`."""
FOUR = (
    2.0
    * STATIONARY
    * np.array([[1.0, 0.6, 0.3, 0.0], [0.6, 1.5, 0.4, 0.2], [0.3, 0.4, 0.8, 0.1], [0.0, 0.2, 0.1, 2.0]]),
    np.array([60.0, 20.0, 120.0, 5.0]),
)
MODELS = {
    "strong, 10 s": (np.array([[STATIONARY]]), np.array([10.0]), 0.0),
    "strong, 300 s": (np.array([[STATIONARY]]), np.array([300.0]), 0.0),
    "middling, 60 s": (np.array([[2.0 * STATIONARY]]), np.array([60.0]), 0.0),
    "weak, 30 s": (np.array([[10.0 * STATIONARY]]), np.array([30.0]), 0.0),
    "four fused": (*FOUR, 0.0),
    "four fused, each missing in one cycle of five": (*FOUR, 0.2),
}


@pytest.mark.parametrize("name", list(MODELS))
def test_slow_and_correlated_features_keep_the_filter_honest(name: str) -> None:
    """NIS 0.9–1.1 and mse/P 0.85–1.15, seen twice a second; unwhitened the same features give mse/P beyond 4."""
    covariance, memories, missing = MODELS[name]
    figures = []
    for whiten, seeds in ((True, 8), (False, 2)):
        runs = [
            run_features(
                seed=seed,
                covariance=covariance,
                memories_s=memories,
                step_s=0.5,
                steps=6_000,
                whiten=whiten,
                missing=missing,
            )
            for seed in range(seeds)
        ]
        figures.append(np.mean(runs, axis=0))
    (nis, ratio, count), (raw_nis, raw_ratio, _) = figures
    print(
        f"{name}: NIS {nis:.3f}, mse/P {ratio:.3f} over 8 × {count:.0f} observations; "
        f"unwhitened NIS {raw_nis:.3f}, mse/P {raw_ratio:.2f}"
    )
    assert count >= 800
    assert 0.9 < nis < 1.1
    assert 0.85 < ratio < 1.15
    assert raw_ratio > 4.0


def test_sparse_strong_features_err_on_the_careful_side() -> None:
    """R = P∞/2 every 5 s: whitening takes the drift's own past as fresh noise, so P is too wide by a quarter."""
    runs = [
        run_features(
            seed=seed,
            covariance=np.array([[0.5 * STATIONARY]]),
            memories_s=np.array([30.0]),
            step_s=5.0,
            steps=4_000,
            whiten=True,
        )
        for seed in range(4)
    ]
    nis, ratio, _ = np.mean(runs, axis=0)
    print(f"strong and sparse: NIS {nis:.3f}, mse/P {ratio:.3f} (below 1: over-careful)")
    assert 0.9 < nis < 1.1
    assert 0.7 < ratio < 1.15


def test_correlated_features_entered_one_by_one_double_count() -> None:
    """Four features of one cycle, white but correlated: fused they are right, one by one they are overconfident."""
    covariance = 0.02 * (0.1 * np.eye(4) + 0.9)
    memories = np.full(4, 1e-3)
    fused = run_features(seed=3, covariance=covariance, memories_s=memories, step_s=5.0, steps=4_000, whiten=False)
    single = run_features(
        seed=3, covariance=covariance, memories_s=memories, step_s=5.0, steps=4_000, whiten=False, fuse=False
    )
    print(f"fused: NIS {fused[0]:.3f}, mse/P {fused[1]:.3f}; one by one: NIS {single[0]:.3f}, mse/P {single[1]:.2f}")
    assert 0.9 < fused[0] < 1.1
    assert 0.85 < fused[1] < 1.15
    assert single[1] > 1.5
