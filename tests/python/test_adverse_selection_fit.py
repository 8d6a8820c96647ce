"""a₀ and κ_tail from aggressor events: planted ones are found, none is invented, and readings are the engine's."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import hypermm
from hypermm.config.calibration import Gates, VolatilityUse
from hypermm.recording import Recording
from hypermm.research.calibration.adverse_selection import AggressorEvents, aggressor_events, fit_adverse_selection
from hypermm.research.calibration.folds import Fold
from hypermm.research.calibration.sample import from_columns, make_sample
from hypermm.research.calibration.calibrate import Source, pipeline_settings

SECOND = 10**9
START = 1_757_000_000_000_000_000
LAGS = 20
NO_USE = VolatilityUse(ratio_exponent=0.0, informed_volatility=0.0, log_score_gain=0.0, log_score_error=0.0)


def persistent(rng: np.random.Generator, rows: int, memory_rows: float) -> np.ndarray:
    """A standard Gaussian of each row that remembers."""
    from scipy.signal import lfilter

    keep = np.exp(-1.0 / memory_rows)
    fresh = np.sqrt(1.0 - keep**2) * rng.standard_normal(rows)
    fresh[0] = rng.standard_normal()
    return lfilter([1.0], [1.0, -keep], fresh)


def tape(seed: int, ratio: float, tail: float, rows: int = 14_400) -> tuple[AggressorEvents, tuple[Fold, ...]]:
    """Two hours of bursts of events: overlapping 10 s moves, toxicity of 120 s, kurtosis of 300 s, b of each side."""
    rng = np.random.default_rng(seed)
    returns = np.convolve(rng.standard_normal(rows + LAGS), np.ones(LAGS))[LAGS : rows + LAGS] * np.sqrt(0.5)
    leaning = persistent(rng, rows, 240.0)
    volatility = np.exp(0.3 * persistent(rng, rows, 600.0))
    heavy = np.clip(3.0 + 4.0 * persistent(rng, rows, 600.0), 0.0, 10.0)
    row = np.sort(rng.choice(rows, 3_000))
    bid = rng.random(len(row)) < 0.5 + 0.2 * np.tanh(leaning[row])
    toxicity = np.clip(np.where(bid, leaning[row], -leaning[row]) / 2.0, 0.0, 1.0)
    diffusion = toxicity * volatility[row] * np.sqrt(10.0)
    charge = ratio * diffusion * (1.0 + tail * heavy[row])
    adverse = charge + np.where(bid, 0.4, 0.2) + np.where(bid, -1.0, 1.0) * volatility[row] * returns[row]
    edges = np.linspace(0, rows, 7).round().astype(int)
    place = np.arange(rows)
    folds = tuple(
        Fold(place + 2 * LAGS <= begin, (place >= begin) & (place < end))
        for begin, end in pairwise(edges[1:])
    )
    return AggressorEvents(row, bid, adverse, diffusion, heavy[row]), folds


def found(seed: int, ratio: float, tail: float):
    events, folds = tape(seed, ratio, tail)
    return fit_adverse_selection(events, folds, LAGS, Gates())


def test_planted_coefficients_are_found_within_their_errors() -> None:
    """Kills: κ_tail as the coefficient of x·kurtosis itself, which is a₀·κ_tail; bounds on the product; b_s in a₀."""
    seeds = range(12)
    fits = [found(seed, 0.8, 0.4) for seed in seeds]
    for name, truth in (("ratio", 0.8), ("tail_factor", 0.4)):
        verdicts = [getattr(fit, name) for fit in fits]
        z = np.array([(one.estimate - truth) / one.error for one in verdicts if one.state == "accepted"])
        assert len(z) >= 10
        assert np.abs(z).max() < 3.5
        assert abs(z.mean()) < 1.0
