"""Coefficients, out-of-sample R² and their errors for overlapping targets: section 8 of MODEL.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hypermm.research.calibration.sample import Sample

    Floats = NDArray[np.float64]

__all__ = [
    "clark_west",
    "coefficient",
    "coefficient_error",
    "joint_forecast",
    "mean_error",
    "mean_evidence",
    "noise_factors",
    "r2_score",
    "without_missing",
]

# Share of the rows that the ridge adds to the diagonal of standardized columns.
_RIDGE_SHARE = 0.01
_RANGE = (0.25, 4.0)


def without_missing(values: Floats) -> Floats:
    """A missing feature forecasts nothing."""
    return np.where(np.isfinite(values), values, 0.0)


def mean_evidence(sample: Sample, rows: NDArray[np.bool_]) -> Floats:
    """n̄ of each feature over some rows; 1 where the rule of section 1 names an absolute scale."""
    mean = np.ones(len(sample.names))
    for place, rule in enumerate(sample.rules):
        if rule in ("count", "depth"):
            evidence = sample.evidence[rows, place]
            known = np.isfinite(evidence) & np.isfinite(sample.values[rows, place])
            mean[place] = evidence[known].mean() if known.any() and evidence[known].mean() > 0 else 1.0
    return mean


def noise_factors(sample: Sample, mean: Floats, places: Sequence[int] | None = None) -> Floats:
    """G of each reading of some columns: clip(n̄/n, ¼, 4), 1 where every value rests on as much or there is none."""
    picked = range(len(sample.names)) if places is None else places
    factors = np.ones((len(sample), len(picked)))
    for column, place in enumerate(picked):
        if sample.rules[place] != "none":
            with np.errstate(divide="ignore", invalid="ignore"):
                factor = np.clip(mean[place] / np.maximum(sample.evidence[:, place], 0.0), *_RANGE)
            factors[:, column] = np.where(np.isfinite(factor), factor, 1.0)
    return factors


def coefficient(feature: Floats, target: Floats, weight: Floats) -> float:
    """α of target = α·feature by weighted least squares through zero; NaN where the feature is constant or missing."""
    known = np.isfinite(feature) & np.isfinite(target)
    value = feature[known]
    if value.size < 2 or np.ptp(value) == 0.0:
        return float("nan")
    scaled = weight[known] * value
    return float(scaled @ target[known] / (scaled @ value))


def coefficient_error(feature: Floats, target: Floats, weight: Floats, lags: int) -> float:
    """HAC standard error of `coefficient`, Newey–West with `lags`."""
    known = np.isfinite(feature) & np.isfinite(target)
    value, wanted, scaled = feature[known], target[known], weight[known] * feature[known]
    residual = wanted - value * (scaled @ wanted / (scaled @ value))
    return mean_error(scaled * residual, lags) * len(value) / float(scaled @ value)


def mean_error(values: Floats, lags: int) -> float:
    """HAC standard error of a mean: Newey–West, weights that fall linearly to zero beyond `lags`."""
    from statsmodels.tsa.stattools import acovf

    if len(values) < 2:
        return float("nan")
    most = min(lags, len(values) - 1)
    covariance = acovf(values, nlag=most, fft=False)
    weight = 1.0 - np.arange(1, most + 1) / (most + 1)
    total = float(covariance[0] + 2.0 * weight @ covariance[1:])
    return float(np.sqrt(max(total, 0.0) / len(values)))


def r2_score(target: Floats, forecast: Floats, lags: int) -> tuple[float, float]:
    """R² against the zero forecast, and its HAC standard error by the delta method."""
    square = target**2
    scale = float(square.mean())
    if scale <= 0.0:
        return float("nan"), float("nan")
    gain = square - (target - forecast) ** 2
    r2 = float(gain.mean()) / scale
    return r2, mean_error((gain - r2 * square) / scale, lags)


def clark_west(target: Floats, small: Floats, large: Floats, lags: int) -> float:
    """Clark–West t of a forecast against one nested in it: above 1.645 it is better at 5 %, one-sided."""
    adjusted = (target - small) ** 2 - ((target - large) ** 2 - (small - large) ** 2)
    error = mean_error(adjusted, lags)
    return float(adjusted.mean() / error) if error > 0.0 else 0.0


def joint_forecast(train: Floats, target: Floats, test: Floats) -> Floats:
    """Ridge of standardized columns on train, its forecast on test; missing entries are 0 already."""
    from sklearn.linear_model import Ridge

    if not train.shape[1]:
        return np.zeros(len(test))
    scale = np.sqrt((train**2).mean(axis=0))
    scale[scale == 0.0] = 1.0
    ridge = Ridge(alpha=_RIDGE_SHARE * len(train), fit_intercept=False, solver="cholesky")
    ridge.fit(train / scale, target)
    forecast: Floats = (test / scale) @ ridge.coef_
    return forecast
