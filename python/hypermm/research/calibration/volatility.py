"""How the volatility features enter σ_eff: ν and c_I by the held-out log-score of the next 10 s return."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

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


def informed_fraction(flow_count: Floats, events: Floats) -> Floats:
    """max(0, |imbalance| − n)/(1 − n), n = √(2/(πN_eff)), of the 120 s flow; 0 without events (section 2)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        noise = np.sqrt(2.0 / (np.pi * (events + _PRIOR_EVENTS)))
        informed = np.maximum(0.0, np.abs(flow_count) - noise) / (1.0 - noise)
    known = np.isfinite(informed) & (events + _PRIOR_EVENTS >= _MIN_EVENTS)
    return np.where(known, informed, 0.0)


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
    place = sample.names.index("flow_count_120s")
    informed = informed_fraction(sample.values[:, place], sample.evidence[:, place])
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
