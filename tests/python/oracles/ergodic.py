"""Exact quotes when something else moves too: an ergodic HJB over (inventory, second state), by Newton steps.

The second state is an Ornstein–Uhlenbeck process on a grid (a drift of mid, or a log imbalance of the flow). CARA
utility as in :mod:`oracles.glft`; every jump, of inventory or of the second state, is priced through the utility. The
Hamilton–Jacobi–Bellman equation of the long run,

    ρ = q·drift(y) − ½γσ²q² + Σ_sides sup_δ A(y)e^{−kδ}(1 − e^{−γ(δ + Δθ)})/γ + Σ_y' rate(1 − e^{−γΔθ})/γ,

is solved for (θ, ρ) with sparse Newton steps (policy iteration on the fill side).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, eye_array
from scipy.sparse.linalg import splu, spsolve

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SecondState:
    """A mean-reverting state on a grid and what it does to the market."""

    values: Array
    """(m,) grid, symmetric around zero."""
    up_rates: Array
    """(m,) rate of the step to the next grid point, 1/s."""
    down_rates: Array
    """(m,) rate of the step to the previous grid point, 1/s."""
    drift_bps_per_s: Array
    """(m,) drift of mid."""
    log_bid_intensity: Array
    """(m,) ln of the bid side's intensity relative to its mean."""
    log_ask_intensity: Array
    """(m,) ln of the ask side's intensity relative to its mean."""


def ornstein_uhlenbeck(
    mean_reversion_per_s: float, deviation: float, *, points: int = 41, width: float = 4.0
) -> tuple[Array, Array, Array]:
    """Birth–death chain with the exact local mean and variance of an OU process: (values, up, down).

    ``width`` is the half-width of the grid in stationary deviations.
    """
    values = np.linspace(-width * deviation, width * deviation, points)
    step = values[1] - values[0]
    diffusion = mean_reversion_per_s * deviation**2 / step**2
    pull = mean_reversion_per_s * values / (2.0 * step)
    up, down = diffusion - pull, diffusion + pull
    if up[:-1].min() < 0.0 or down[1:].min() < 0.0:
        message = f"grid too coarse: step {step} against deviation {deviation}"
        raise ValueError(message)
    up[-1] = 0.0
    down[0] = 0.0
    return values, up, down


@dataclass(frozen=True)
class Solution:
    """Certainty equivalent θ (2N+1, m) in bps·clips, value in bps·clips a second, depths from mid (2N+1, m) in bps."""

    certainty: Array
    value: float
    bid_depths: Array
    ask_depths: Array


def solve(
    *,
    volatility: float,
    depth_decay: float,
    intensity: float,
    risk_aversion: float,
    clips: int,
    state: SecondState,
    tolerance: float = 1e-11,
) -> Solution:
    """Newton iteration on the ergodic HJB; raises RuntimeError when it does not converge."""
    gamma, k = risk_aversion, depth_decay
    inventories = np.arange(-clips, clips + 1, dtype=np.float64)
    rows, columns = inventories.size, state.values.size
    size = rows * columns
    index = np.arange(size).reshape(rows, columns)
    margin = math.log(1.0 + gamma / k) / gamma
    gain = (1.0 + gamma / k) ** (-k / gamma) / (gamma + k)
    bid_scale = intensity * gain * np.exp(state.log_bid_intensity)
    ask_scale = intensity * gain * np.exp(state.log_ask_intensity)
    running = (
        inventories[:, None] * state.drift_bps_per_s[None, :] - 0.5 * gamma * (volatility * inventories[:, None]) ** 2
    )

    # Start from the Gaussian guess θ = −½·skew·q², with which the first Newton step is safe.
    skew = math.sqrt(gamma * volatility**2 * (1.0 + gamma / k) ** (1.0 + k / gamma) / (2.0 * k * intensity))
    theta = np.repeat(-0.5 * skew * inventories[:, None] ** 2, columns, axis=1)
    value = 0.0
    links = [
        (index[:-1], index[1:], k, np.broadcast_to(bid_scale, (rows - 1, columns)), False),
        (index[1:], index[:-1], k, np.broadcast_to(ask_scale, (rows - 1, columns)), False),
        (index[:, :-1], index[:, 1:], gamma, np.broadcast_to(state.up_rates[:-1], (rows, columns - 1)), True),
        (index[:, 1:], index[:, :-1], gamma, np.broadcast_to(state.down_rates[1:], (rows, columns - 1)), True),
    ]
    anchor = int(index[clips, columns // 2])
    for _ in range(200):
        flat = theta.ravel()
        residual = running.ravel() - value
        i_parts, j_parts, v_parts = [], [], []
        for source, target, exponent, scale, exogenous in links:
            a, b, c = source.ravel(), target.ravel(), scale.ravel()
            difference = flat[b] - flat[a]
            if exogenous:
                term = c * -np.expm1(-exponent * difference) / exponent
                slope = c * np.exp(-exponent * difference)
            else:
                term = c * np.exp(exponent * difference)
                slope = exponent * term
            np.add.at(residual, a, term)
            i_parts += [a, a]
            j_parts += [b, a]
            v_parts += [slope, -slope]
        i_parts += [np.arange(size), np.array([size])]
        j_parts += [np.full(size, size), np.array([anchor])]
        v_parts += [np.full(size, -1.0), np.array([1.0])]
        jacobian = coo_matrix(
            (np.concatenate(v_parts), (np.concatenate(i_parts), np.concatenate(j_parts))), shape=(size + 1, size + 1)
        ).tocsc()
        right = -np.append(residual, flat[anchor])
        step = spsolve(jacobian, right)
        # Damped: one step may not move a neighbouring difference so far that an exponential explodes.
        change = step[:-1].reshape(rows, columns)
        reach = max(
            k * float(np.abs(np.diff(change, axis=0)).max()), gamma * float(np.abs(np.diff(change, axis=1)).max())
        )
        damping = min(1.0, 2.0 / reach) if reach > 0.0 else 1.0
        theta = theta + damping * change
        value += damping * float(step[-1])
        if damping == 1.0 and reach < tolerance:
            break
    else:
        message = "the ergodic HJB did not converge"
        raise RuntimeError(message)
    bids = np.full((rows, columns), np.inf)
    asks = np.full((rows, columns), np.inf)
    bids[:-1] = margin - np.diff(theta, axis=0)
    asks[1:] = margin + np.diff(theta, axis=0)
    return Solution(theta, value, bids, asks)


def value_of(
    *,
    volatility: float,
    depth_decay: float,
    intensity: float,
    risk_aversion: float,
    clips: int,
    state: SecondState,
    bid_depths: Array,
    ask_depths: Array,
    near: float,
) -> float:
    """Long-run certainty equivalent, bps·clips a second, of any depths (2N+1, m); +inf means no quote.

    ``near`` is a value close to the answer and not below it, such as the optimum.
    """
    gamma, k = risk_aversion, depth_decay
    inventories = np.arange(-clips, clips + 1, dtype=np.float64)
    rows, columns = bid_depths.shape
    index = np.arange(rows * columns).reshape(rows, columns)
    buys = np.zeros((rows, columns))
    sells = np.zeros((rows, columns))
    buys[:-1] = intensity * np.exp(state.log_bid_intensity - k * bid_depths[:-1])
    sells[1:] = intensity * np.exp(state.log_ask_intensity - k * ask_depths[1:])
    running = 0.5 * (gamma * volatility * inventories[:, None]) ** 2
    running = running - gamma * inventories[:, None] * state.drift_bps_per_s[None, :]
    diagonal = running - buys - sells - (state.up_rates + state.down_rates)[None, :]
    entries = [
        (index, index, diagonal),
        (index[:-1], index[1:], buys[:-1] * np.exp(-gamma * bid_depths[:-1])),
        (index[1:], index[:-1], sells[1:] * np.exp(-gamma * ask_depths[1:])),
        (index[:, :-1], index[:, 1:], np.broadcast_to(state.up_rates[:-1], (rows, columns - 1))),
        (index[:, 1:], index[:, :-1], np.broadcast_to(state.down_rates[1:], (rows, columns - 1))),
    ]
    generator = coo_matrix(
        (
            np.concatenate([value.ravel() for _, _, value in entries]),
            (
                np.concatenate([row.ravel() for row, _, _ in entries]),
                np.concatenate([column.ravel() for _, column, _ in entries]),
            ),
        )
    ).tocsc()
    # The Perron root is the only eigenvalue with a positive vector: inverse iteration from just above the bound
    # −γ·near, checked by the sign of what it finds.
    shift = -gamma * near
    vector = np.ones(rows * columns)
    root = shift
    for _ in range(200):
        solver = splu(generator - shift * eye_array(rows * columns, format="csc"))
        following = solver.solve(vector)
        scale = following[np.abs(following).argmax()]
        following = following / scale
        previous, root = root, shift + float(vector @ following) / float(following @ following) / scale
        vector = following
        if abs(root - previous) <= 1e-12 * max(abs(root), 1e-12):
            break
    if vector.min() < -1e-9:
        message = "the eigenvector found is not the positive one"
        raise RuntimeError(message)
    return -root / gamma
