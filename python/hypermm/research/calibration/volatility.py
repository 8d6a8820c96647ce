"""How the volatility features enter σ_eff: ν and c_I by the held-out log-score of the next 10 s return."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import hypermm
from hypermm.config.calibration import HORIZON_S, Gates, VolatilityUse
from hypermm.research.calibration.regression import mean_error

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hypermm.research.calibration.folds import Fold
    from hypermm.research.calibration.sample import Sample

    Floats = NDArray[np.float64]

__all__ = ["fit_volatility", "informed_fraction"]

_BOUNDS = ((0.0, 1.0), (0.0, 5.0))
_MIN_EVENTS = 2.0
_PRIOR_EVENTS = 8.0
_FLOW_S, _HOUR_S = 120.0, 3600.0


def informed_fraction(sample: Sample) -> Floats:
    """max(0, |imbalance| − n)/(1 − n), n = √(2/(πN_eff)), of the 120 s flow at each row; 0 without events.

    N_eff = 2(Λ_b + Λ_a)·T_seen of section 2, its rates from the events that the flow rests on; their rate of the last
    hour, the prior, from what those events grow by from row to row.
    """
    from scipy.signal import lfilter

    place = sample.names.index("flow_count_120s")
    imbalance, events = np.abs(sample.values[:, place]), np.nan_to_num(sample.evidence[:, place])
    step_s, informed = sample.step_s, np.zeros(len(sample))
    for segment in np.unique(sample.segment):
        rows = np.flatnonzero(sample.segment == segment)
        count = events[rows]
        elapsed_s = np.maximum(np.arange(len(rows)) - np.argmax(count > 0.0), 0) * step_s
        fresh = np.diff(count, prepend=0.0) + np.concatenate([[0.0], count[:-1]]) * -np.expm1(-step_s / _FLOW_S)
        hour = lfilter([1.0], [1.0, -np.exp(-step_s / _HOUR_S)], np.maximum(fresh, 0.0))
        rate = (1.0 + hour) / (
            1.0 / hypermm.EngineConfig().arrival_rate - 2.0 * _HOUR_S * np.expm1(-elapsed_s / _HOUR_S)
        )
        seen_s = -_FLOW_S * np.expm1(-elapsed_s / _FLOW_S)
        effective = 2.0 * (_PRIOR_EVENTS + count) * seen_s / (0.5 * _PRIOR_EVENTS / rate + seen_s)
        noise = np.sqrt(2.0 / (np.pi * np.maximum(effective, _MIN_EVENTS)))
        found = np.maximum(0.0, imbalance[rows] - noise) / (1.0 - noise)
        informed[rows] = np.where((effective >= _MIN_EVENTS) & np.isfinite(found), found, 0.0)
    return informed


def fit_volatility(sample: Sample, folds: tuple[Fold, ...], gates: Gates) -> VolatilityUse:
    """Fits σ_eff² = σ²·max(1, ratio^2ν)·(1 + c_I·informed) on train; in only where it wins on the tests.

    The level of σ² is the engine's in the fit and in the judgement, since it has no other: a factor fitted beside
    ν and c_I and then left out would say what they do beside that factor. Measured and rejected, both are 0.
    """
    from scipy.optimize import minimize

    nothing = VolatilityUse(ratio_exponent=None, informed_volatility=None, log_score_gain=0.0, log_score_error=0.0)
    if not {"volatility_ratio", "flow_count_120s"} <= set(sample.names):
        return nothing
    ratio = np.nan_to_num(sample.column("volatility_ratio"), nan=1.0)
    informed = informed_fraction(sample)
    log_ratio = np.log(np.maximum(1.0, ratio))
    base = sample.volatility**2 * HORIZON_S

    def scores(point: Floats, rows: NDArray[np.bool_]) -> Floats:
        spread = base[rows] * np.exp(2.0 * point[0] * log_ratio[rows]) * (1.0 + point[1] * informed[rows])
        square = sample.target_bps[rows] ** 2
        result: Floats = -0.5 * (np.log(2.0 * np.pi * spread) + square / spread)
        return result

    def fitted(rows: NDArray[np.bool_]) -> Floats:
        start = np.array([_BOUNDS[0][1] / 2, _BOUNDS[1][1] / 10])
        found = minimize(lambda point: -float(scores(point, rows).mean()), start, method="L-BFGS-B", bounds=_BOUNDS)
        point: Floats = found.x
        return point

    known = np.isfinite(sample.target_bps) & (base > 0.0)
    gains = []
    for fold in folds:
        train, test = fold.train & known, fold.test & known
        gains.append(scores(fitted(train), test) - scores(np.zeros(2), test))
    gain = np.concatenate(gains)
    mean, error = float(gain.mean()), mean_error(gain, sample.lags)
    exponent, share = fitted(known).tolist() if mean > gates.clark_west_t * error else (0.0, 0.0)
    return VolatilityUse(
        ratio_exponent=exponent,
        informed_volatility=share,
        log_score_gain=mean,
        log_score_error=error,
    )
