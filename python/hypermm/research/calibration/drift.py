"""κ_μ and P∞: by the returns alone, and with the features in, by the held-out log-score. Section 8 of MODEL.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

import hypermm
from hypermm.config.calibration import HORIZON_S, MAX_GAIN, MEAN_REVERSION_RANGE, FilterFit, ReturnOnlyFit
from hypermm.research.calibration.noise import (
    LEAST_MEMORY_CYCLES,
    Mapping,
    expected_time,
    explained_bps2,
    map_features,
    moments_of,
    observations,
)
from hypermm.research.calibration.regression import mean_error
from hypermm.research.calibration.sample import LONG_HORIZON_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from hypermm.research.calibration.gates import Selection
    from hypermm.research.calibration.sample import Sample

    Floats = NDArray[np.float64]

__all__ = ["Filtered", "FitResult", "displacement_variance", "filter_sample", "fit_filter", "fit_returns", "log_score"]

PRICE_STEP_S = 5.0
_DEVIATION_RATIO = 0.05
# Edges of ln(P∞/least) with features and without.
_MOST_LOG_RATIO, _MOST_LOG_RATIO_BARE = 4.0, 12.0
_GRID_KAPPA = (0.01, 0.03, 0.1, 0.18)
_GRID_LOG_RATIO = (0.05, 0.5, 1.5)
_REFINEMENTS = 30
_STEP = np.array([0.4, 0.3])
_EVALUATIONS = 180


class Filtered(NamedTuple):
    """The filter over some rows.

    Attributes:
        mean: μ̂ after each row, bps/s.
        variance: P after each row, (bps/s)².
        innovations: By source: count and NIS of all stretches together.
    """

    mean: Floats
    variance: Floats
    innovations: dict[str, dict[str, float]]


class FitResult(NamedTuple):
    """What the search came to.

    Attributes:
        filter: κ_μ and P∞.
        least_memory_s: The least noise memory that goes with them.
        held_out_bps: The filter's forecast of the 10 s return on the test rows, by what their train rows say; NaN
            elsewhere.
    """

    filter: FilterFit
    least_memory_s: float
    held_out_bps: Floats


def price_observations(sample: Sample) -> tuple[Floats, Floats]:
    """(z, R) of the price on its grid of 5 s, NaN at other rows: z = Δmid/dt, R = σ²/dt; a gap is one long step."""
    drift, variance = np.full(len(sample), np.nan), np.full(len(sample), np.nan)
    every = max(1, round(PRICE_STEP_S / sample.step_s))
    for segment in np.unique(sample.segment):
        rows = np.flatnonzero(sample.segment == segment)[::every]
        rows = rows[np.isfinite(sample.mid_price[rows])]
        elapsed = np.diff(sample.time_ns[rows]) / 1e9
        drift[rows[1:]] = 1e4 * np.diff(np.log(sample.mid_price[rows])) / elapsed
        variance[rows[1:]] = sample.volatility[rows[1:]] ** 2 / elapsed
    return drift, variance


def filter_sample(
    sample: Sample,
    places: tuple[int, ...],
    mapping: Mapping | None,
    mean_reversion_per_s: float,
    stationary_variance: float,
    *,
    with_price: bool = True,
) -> Filtered:
    """Runs the engine's own filter over the rows, from the prior at the start of each segment."""
    drift, noise = price_observations(sample)
    if not with_price:
        drift = np.full(len(sample), np.nan)
    if mapping is None or not places:
        values, factors = np.zeros((len(sample), 0)), np.zeros((len(sample), 0))
        covariance, memory = np.zeros((0, 0)), np.zeros(0)
    else:
        values, factors = observations(sample, places, mapping)
        covariance, memory = mapping.covariance, mapping.memory_s
    mean, variance = np.empty(len(sample)), np.empty(len(sample))
    sources: dict[str, list[dict[str, float]]] = {}
    for segment in np.unique(sample.segment):
        rows = sample.segment == segment
        one = hypermm.DriftFilter(mean_reversion_per_s, float(np.sqrt(stationary_variance)))
        mean[rows], variance[rows] = one.filter_columns(
            sample.time_ns[rows],
            drift[rows],
            noise[rows],
            values[rows],
            covariance,
            memory,
            noise_factors=factors[rows],
        )
        for name, facts in one.innovations.items():
            sources.setdefault(name, []).append(facts)
    pooled = {
        name: {
            "count": float(sum(facts["count"] for facts in each)),
            "nis": sum(facts["nis"] * facts["count"] for facts in each) / max(1.0, sum(f["count"] for f in each)),
            "log_likelihood": sum(facts["log_likelihood"] for facts in each),
        }
        for name, each in sources.items()
    }
    return Filtered(mean, variance, pooled)


def displacement_variance(
    variance: Floats, volatility: Floats, mean_reversion_per_s: float, stationary_variance: float, horizon_s: float
) -> Floats:
    """v(h) = σ²h + P·T(h)² + (σ_μ²/κ²)(h − 2T(h) + (1 − e^{−2κh})/(2κ)), bps², with σ_μ² = 2κP∞."""
    kappa = mean_reversion_per_s
    time = expected_time(kappa, horizon_s)
    future = (
        2.0
        * stationary_variance
        / kappa
        * (horizon_s - 2.0 * time - np.expm1(-2.0 * kappa * horizon_s) / (2.0 * kappa))
    )
    spread: Floats = volatility**2 * horizon_s + variance * time**2 + future
    return spread


def log_score(sample: Sample, filtered: Filtered, kappa: float, stationary: float) -> Floats:
    """Gaussian log-score of the displacement at 10 s and 30 s by row, their mean; NaN where either is unknown."""
    score = np.zeros(len(sample))
    for horizon_s, target in ((HORIZON_S, sample.target_bps), (LONG_HORIZON_S, sample.long_target_bps)):
        spread = displacement_variance(filtered.variance, sample.volatility, kappa, stationary, horizon_s)
        error = target - filtered.mean * expected_time(kappa, horizon_s)
        score -= 0.25 * (np.log(2.0 * np.pi * spread) + error**2 / spread)
    return score


def fit_returns(sample: Sample) -> ReturnOnlyFit:
    """κ_μ, P∞ and a factor on σ by maximum likelihood of the 5 s returns."""
    from scipy.optimize import minimize

    drift, noise = price_observations(sample)
    known = np.isfinite(drift)
    typical = float(np.nanmedian(sample.volatility))
    starts = [sample.segment[known] == segment for segment in np.unique(sample.segment)]

    def likelihood(point: Floats) -> float:
        kappa, variance, factor = np.exp(point)
        total = 0.0
        for rows in starts:
            one = hypermm.DriftFilter(kappa, float(np.sqrt(variance)))
            one.observe_many(sample.time_ns[known][rows], drift[known][rows], factor * noise[known][rows])
            total += one.log_likelihood
        return total

    low, high = np.log(MEAN_REVERSION_RANGE)
    middle = 2.0 * np.log(_DEVIATION_RATIO * typical)
    found = minimize(
        lambda point: -likelihood(point),
        np.array([np.log(0.02), middle, 0.0]),
        method="Nelder-Mead",
        bounds=[(low, high), (middle - 9.0, middle + 6.0), (-2.0, 2.0)],
        options={"maxfev": _EVALUATIONS, "xatol": 1e-3, "fatol": 1e-2},
    )
    kappa, variance, factor = np.exp(found.x)
    return ReturnOnlyFit(
        mean_reversion_per_s=_within(float(kappa)),
        stationary_variance=float(variance),
        volatility=float(typical * np.sqrt(factor)),
        log_likelihood=float(-found.fun),
    )


def fit_filter(
    sample: Sample,
    selection: Selection,
    return_only: ReturnOnlyFit,
    progress: Callable[[int, int], object] = lambda _done, _total: None,
) -> FitResult:
    """κ_μ within [0.005, 0.2] and P∞ ≥ V_joint/0.9 with the best held-out log-score, features in.

    Coefficients and covariances are those of each fold's train rows, the score is that of its test rows. The search
    goes over a coarse grid that the returns' own likelihood joins, then by Nelder–Mead.

    """
    search = _Search(sample, selection, return_only, progress)
    low, high = np.log(MEAN_REVERSION_RANGE)
    starts = [(float(np.log(kappa)), ratio) for kappa in _GRID_KAPPA for ratio in _GRID_LOG_RATIO]
    kappa = return_only.mean_reversion_per_s
    own = np.log(return_only.stationary_variance / search.least_variance(kappa))
    starts.append((float(np.log(kappa)), float(np.clip(own, 0.0, search.most_log_ratio))))
    least = [cycles * sample.step_s for cycles in (LEAST_MEMORY_CYCLES if selection.accepted else (0,))]
    best = [max((search.score(point, memory_s), point) for point in starts) for memory_s in least]
    memory_s, start = search.most_careful(least, [point for _, point in best])
    corner = np.array(start)
    edges = np.array([high, search.most_log_ratio])
    step = np.where(corner + _STEP <= edges, _STEP, -_STEP)
    simplex = np.vstack([corner, corner + np.diag(step)])
    from scipy.optimize import minimize

    found = minimize(
        lambda point: -search.score((float(point[0]), float(point[1])), memory_s),
        corner,
        method="Nelder-Mead",
        bounds=[(low, high), (0.0, search.most_log_ratio)],
        options={"maxfev": _REFINEMENTS, "xatol": 2e-2, "fatol": 1e-5, "initial_simplex": simplex},
    )
    kappa, stationary = search.point_of((float(found.x[0]), float(found.x[1])))
    fit = FilterFit(
        mean_reversion_per_s=kappa,
        stationary_variance=stationary,
        log_score=float(-found.fun),
        return_only=return_only,
    )
    return FitResult(fit, memory_s, search.held_out((float(found.x[0]), float(found.x[1])), memory_s))


class _Search:
    """The held-out score as a function of ln κ_μ and ln of P∞ over its least value."""

    def __init__(
        self,
        sample: Sample,
        selection: Selection,
        return_only: ReturnOnlyFit,
        progress: Callable[[int, int], object],
    ) -> None:
        self._places, self._lags, self._rows_in_all = selection.accepted, sample.lags, len(sample)
        self._parts = [
            (
                fold.test,
                sample.rows(fold.test),
                selection.fold_alphas[index],
                moments_of(sample, selection.accepted, fold.train),
            )
            for index, fold in enumerate(selection.folds)
        ]
        known = np.isfinite(sample.target_bps)
        self._explained_bps2 = explained_bps2(selection.alphas, moments_of(sample, self._places, known))
        self._floor = max(1e-3 * return_only.stationary_variance, 1e-12)
        self.most_log_ratio = _MOST_LOG_RATIO if selection.accepted else _MOST_LOG_RATIO_BARE
        self._progress = progress
        self._done = 0
        self._total = (len(_GRID_KAPPA) * len(_GRID_LOG_RATIO) + 1) * len(LEAST_MEMORY_CYCLES) + _REFINEMENTS

    def least_variance(self, kappa: float, explained: float | None = None) -> float:
        """The least P∞, (bps/s)²: no more of the drift is explained than there is."""
        explained = self._explained_bps2 if explained is None else explained
        return max(explained / expected_time(kappa) ** 2 / MAX_GAIN, self._floor)

    def point_of(self, point: tuple[float, float]) -> tuple[float, float]:
        """κ_μ and P∞ of a point."""
        kappa = _within(float(np.exp(point[0])))
        return kappa, self.least_variance(kappa) * float(np.exp(point[1]))

    def score(self, point: tuple[float, float], least_memory_s: float) -> float:
        """Mean log-score over the test rows of all folds."""
        self._done += 1
        self._progress(min(self._done, self._total), self._total)
        return float(np.nanmean(self._rows(point, least_memory_s)))

    def most_careful(
        self, least_memory_s: list[float], points: list[tuple[float, float]]
    ) -> tuple[float, tuple[float, float]]:
        """Of the least memories whose score is within a standard error of the best, the longest, with its point.

        A memory too short takes one book for many observations; the data seldom tell it apart within an hour.
        """
        rows = [self._rows(point, memory_s) for memory_s, point in zip(least_memory_s, points, strict=True)]
        best = max(rows, key=lambda row: float(np.nanmean(row)))
        known = np.isfinite(best)
        near = []
        for scores, memory_s, point in zip(rows, least_memory_s, points, strict=True):
            loss = (best - scores)[known]
            if loss.mean() <= mean_error(loss, self._lags):
                near.append((memory_s, point))
        return max(near)

    def held_out(self, point: tuple[float, float], least_memory_s: float) -> Floats:
        """Forecast of the 10 s return on the test rows, bps; NaN elsewhere."""
        forecast = np.full(self._rows_in_all, np.nan)
        for (rows, _, _, _), (filtered, kappa, _) in zip(self._parts, self._runs(point, least_memory_s), strict=True):
            forecast[rows] = filtered.mean * expected_time(kappa)
        return forecast

    def _rows(self, point: tuple[float, float], least_memory_s: float) -> Floats:
        """Score of each test row."""
        runs = self._runs(point, least_memory_s)
        return np.concatenate([log_score(part, *run) for (_, part, _, _), run in zip(self._parts, runs, strict=True)])

    def _runs(self, point: tuple[float, float], least_memory_s: float) -> list[tuple[Filtered, float, float]]:
        """The filter over each test part with its κ_μ and P∞."""
        kappa, stationary = self.point_of(point)
        runs = []
        for _, part, alpha, moments in self._parts:
            mapping, drift_variance = None, stationary
            if self._places:
                drift_variance = max(stationary, self.least_variance(kappa, explained_bps2(alpha, moments)))
                mapping = map_features(alpha, moments, kappa, drift_variance, least_memory_s)
            filtered = filter_sample(part, self._places, mapping, kappa, drift_variance)
            runs.append((filtered, kappa, drift_variance))
        return runs


def _within(kappa: float) -> float:
    low, high = MEAN_REVERSION_RANGE
    return min(max(kappa, low), high)
