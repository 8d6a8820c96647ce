"""Exact simulations of an Ornstein–Uhlenbeck drift and of what is seen of it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

Array = NDArray[np.float64]


def autoregression(rng: np.random.Generator, steps: int, coefficient: float, deviation: Array | float) -> Array:
    """Stationary AR(1) paths, shape (steps,) or (steps, n) when ``deviation`` has shape (n,)."""
    scale = np.asarray(deviation, dtype=np.float64)
    noise = rng.standard_normal((steps, *scale.shape)) * scale
    noise[1:] *= math.sqrt(1.0 - coefficient**2)
    return np.asarray(lfilter([1.0], [1.0, -coefficient], noise, axis=0), dtype=np.float64)


def drift_and_returns(
    rng: np.random.Generator,
    *,
    mean_reversion_per_s: float,
    deviation: float,
    volatility: float,
    step_s: float,
    steps: int,
    substeps: int = 1,
) -> tuple[Array, Array]:
    """Drift at the end of every step, bps/s, and the return of mid over it, bps; both of shape (steps,).

    The return over a step is the drift at its end times the step plus Brownian noise (the Euler reading of the
    observation z = return/dt) when ``substeps`` is 1, and tends to the exact integral of the drift with more.
    """
    fine = step_s / substeps
    path = autoregression(rng, steps * substeps, math.exp(-mean_reversion_per_s * fine), deviation)
    noise = rng.standard_normal(steps) * volatility * math.sqrt(step_s)
    return path[substeps - 1 :: substeps], path.reshape(steps, substeps).sum(axis=1) * fine + noise


def correlated_errors(
    rng: np.random.Generator, *, covariance: Array, memories_s: Array, step_s: float, steps: int
) -> Array:
    """Stationary vector AR(1) with one memory per component and the given covariance, shape (steps, n)."""
    decay = np.exp(-step_s / memories_s)
    innovation = covariance * (1.0 - np.outer(decay, decay))
    draws = rng.multivariate_normal(np.zeros(decay.size), innovation, size=steps)
    draws[0] = rng.multivariate_normal(np.zeros(decay.size), covariance)
    columns = [lfilter([1.0], [1.0, -rho], draws[:, i]) for i, rho in enumerate(decay)]
    return np.asarray(np.stack(columns, axis=1), dtype=np.float64)
