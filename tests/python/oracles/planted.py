"""A market with an Ornstein–Uhlenbeck drift, and columns that see it through noise of their own."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.signal import lfilter


class Planted(NamedTuple):
    time_ns: np.ndarray
    mid_price: np.ndarray
    drift: np.ndarray
    values: dict[str, np.ndarray]


def ou(rng, rows, step_s, memory_s, variance):
    """A stationary path; white for no memory."""
    if memory_s <= 0.0:
        return np.sqrt(variance) * rng.standard_normal(rows)
    keep = np.exp(-step_s / memory_s)
    shocks = np.sqrt(variance * (1 - keep**2)) * rng.standard_normal(rows)
    shocks[0] /= np.sqrt(1 - keep**2)
    return lfilter([1.0], [1.0, -keep], shocks)


def planted_market(
    seed,
    hours=4.0,
    *,
    kappa=0.05,
    stationary=0.03,
    volatility=1.0,
    step_s=0.5,
    sights=((0.5, 10.0, 1.0),),
    twins=0,
    decoys=(),
):
    """Each sight is (gain, noise memory in s, scale): a column scale·(μ + e) whose gain on μ is P∞/(P∞ + Var e).

    `twins` more columns share the first one's noise but for a tenth of it; `decoys` are noise memories of columns that
    see nothing.
    """
    rng = np.random.default_rng(seed)
    rows = round(hours * 3600 / step_s)
    drift = ou(rng, rows, step_s, 1.0 / kappa, stationary)
    # The drift in force over a step is its mean over it, to first order that of its ends.
    during = np.append(0.5 * (drift[1:] + drift[:-1]), drift[-1])
    moves = during * step_s + volatility * np.sqrt(step_s) * rng.standard_normal(rows)
    mid = 100.0 * np.exp(np.concatenate([[0.0], np.cumsum(moves)[:-1]]) * 1e-4)
    values = {}
    for number, (gain, memory_s, scale) in enumerate(sights):
        noise = stationary * (1 - gain) / gain
        error = ou(rng, rows, step_s, memory_s, noise)
        values[f"sight_{number}"] = scale * (drift + error)
        for twin in range(twins if number == 0 else 0):
            own = ou(rng, rows, step_s, memory_s, noise)
            values[f"twin_{twin}"] = scale * (drift + np.sqrt(0.9) * error + np.sqrt(0.1) * own)
    for number, memory_s in enumerate(decoys):
        values[f"decoy_{number}"] = ou(rng, rows, step_s, memory_s, 1.0)
    time_ns = 1_757_000_000_000_000_000 + (np.arange(rows) * step_s * 1e9).astype(np.int64)
    return Planted(time_ns, mid, drift, values)
