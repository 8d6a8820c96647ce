"""κ_μ and P∞: by the returns alone, and with the features in, by the held-out log-score. Section 8 of MODEL.md."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

import hypermm
from hypermm.config.calibration import HORIZON_S, MAX_GAIN, MEAN_REVERSION_RANGE, FilterFit, ReturnOnlyFit
from hypermm.research.calibration.noise import (
    MEMORY_RULES,
    Mapping,
    MemoryRule,
    Moments,
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

__all__ = [
    "Filtered",
    "FitResult",
    "diffusive_volatility",
    "displacement_variance",
    "filter_sample",
    "fit_filter",
    "fit_returns",
    "innovation_scale",
    "log_score",
]

PRICE_STEP_S = 5.0
_DEVIATION_RATIO = 0.05
# Least share of σ̂² that is left as diffusion, whatever drift a point of the search says there is.
_LEAST_DIFFUSION = 0.05
# Edges of ln(P∞/least) with features and without.
_MOST_LOG_RATIO, _MOST_LOG_RATIO_BARE = 4.0, 12.0
_GRID_KAPPA = (0.01, 0.03, 0.1, 0.18)
_GRID_LOG_RATIO = (0.05, 0.5, 1.5)
_REFINEMENTS = 30
_STEP = np.array([0.4, 0.3])
_EVALUATIONS = 180
# Most that C is taken times, and how closely ln of the factor is found.
_MOST_SCALE, _SCALE_PRECISION = 100.0, 0.02


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
        rule: How noise memories are read that go with them.
        held_out_bps: The filter's forecast of the 10 s return on the test rows, by what their train rows say; NaN
            elsewhere. κ_μ, P∞ and the rule were chosen on these rows: it flatters the filter.
    """

    filter: FilterFit
    rule: MemoryRule
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
        covariance, memory, fresh = np.zeros((0, 0)), np.zeros(0), np.zeros(0)
    else:
        values, factors = observations(sample, places, mapping)
        covariance, memory, fresh = mapping.covariance, mapping.memory_s, mapping.fresh_share
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
            fresh_noise_share=fresh,
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


def diffusive_volatility(volatility: Floats, mean_reversion_per_s: float, stationary_variance: float) -> Floats:
    """σ₀ of σ̂: what a σ of 10 s returns holds without the drift's own displacement.

    Over h from no knowledge, E[r²] = σ₀²h + W(h) with W(h) = Var ∫μ = 2P∞/κ²·(κh − 1 + e^{−κh}), so that
    σ̂² = E[r²]/10 is σ₀² + W(10)/10, and σ₀² = max(σ̂² − W(10)/10, 0.05·σ̂²).

    """
    kappa, all_bps2 = mean_reversion_per_s, volatility**2
    drift_bps2 = 2.0 * stationary_variance / kappa**2 * (kappa * HORIZON_S + np.expm1(-kappa * HORIZON_S))
    diffusion: Floats = np.sqrt(np.maximum(all_bps2 - drift_bps2 / HORIZON_S, _LEAST_DIFFUSION * all_bps2))
    return diffusion


def log_score(sample: Sample, filtered: Filtered, kappa: float, stationary: float) -> Floats:
    """Gaussian log-score of the displacement at 10 s and 30 s by row, their mean; NaN where either is unknown.

    v(h) has σ₀ (`diffusive_volatility`) in place of the sample's σ: P·T² + future is W(h) at P = P∞, which the
    sample's σ of 10 s returns holds already. Counted twice it would punish every P∞ but the least.

    """
    score = np.zeros(len(sample))
    volatility = diffusive_volatility(sample.volatility, kappa, stationary)
    for horizon_s, target in ((HORIZON_S, sample.target_bps), (LONG_HORIZON_S, sample.long_target_bps)):
        spread = displacement_variance(filtered.variance, volatility, kappa, stationary, horizon_s)
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
    rules = MEMORY_RULES if selection.accepted else MEMORY_RULES[:1]
    best = [max((search.score(point, rule), point) for point in starts)[1] for rule in rules]
    rule, start = search.most_careful(list(zip(rules, best, strict=True)))
    corner = np.array(start)
    edges = np.array([high, search.most_log_ratio])
    step = np.where(corner + _STEP <= edges, _STEP, -_STEP)
    simplex = np.vstack([corner, corner + np.diag(step)])
    from scipy.optimize import minimize

    found = minimize(
        lambda point: -search.score((float(point[0]), float(point[1])), rule),
        corner,
        method="Nelder-Mead",
        bounds=[(low, high), (0.0, search.most_log_ratio)],
        options={"maxfev": _REFINEMENTS, "xatol": 2e-2, "fatol": 1e-5, "initial_simplex": simplex},
    )
    found_at = (float(found.x[0]), float(found.x[1]))
    kappa, stationary = search.point_of(found_at)
    log_score, forecast, nis = search.held_out(found_at, rule)
    fit = FilterFit(
        mean_reversion_per_s=kappa,
        stationary_variance=stationary,
        noise_scale=1.0,
        held_out_nis=nis,
        log_score=log_score,
        return_only=return_only,
    )
    return FitResult(fit, rule, forecast)


def innovation_scale(
    sample: Sample, places: tuple[int, ...], mapping: Mapping, mean_reversion_per_s: float, stationary_variance: float
) -> float:
    """The least factor on C, 1 or more, with which the fused innovations are no larger than they are said to be.

    One memory a feature and one exponential of the drift are not how a book forgets: what they leave out shows in the
    innovations, whose mean square over their variance (NIS) is then above 1 on the very rows that were fitted to.
    """
    from scipy.optimize import brentq

    def excess(log_scale: float) -> float:
        scaled = replace(mapping, covariance=mapping.covariance * np.exp(log_scale))
        filtered = filter_sample(sample, places, scaled, mean_reversion_per_s, stationary_variance)
        return filtered.innovations.get("features", {"nis": 1.0})["nis"] - 1.0

    most = float(np.log(_MOST_SCALE))
    if not places or excess(0.0) <= 0.0:
        return 1.0
    if excess(most) >= 0.0:
        return _MOST_SCALE
    return float(np.exp(brentq(excess, 0.0, most, xtol=_SCALE_PRECISION)))


class _Part(NamedTuple):
    """A fold: where its test rows are, both samples, and what the train rows say."""

    rows: NDArray[np.bool_]
    test: Sample
    train: Sample
    alpha: Floats
    moments: Moments


class _Run(NamedTuple):
    """The filter over one test part, with what it was run at."""

    filtered: Filtered
    mean_reversion_per_s: float
    stationary_variance: float


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
            _Part(
                fold.test,
                sample.rows(fold.test),
                sample.rows(fold.train),
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
        self._total = (len(_GRID_KAPPA) * len(_GRID_LOG_RATIO) + 1) * len(MEMORY_RULES) + _REFINEMENTS

    def least_variance(self, kappa: float, explained: float | None = None) -> float:
        """The least P∞, (bps/s)²: no more of the drift is explained than there is."""
        explained = self._explained_bps2 if explained is None else explained
        return max(explained / expected_time(kappa) ** 2 / MAX_GAIN, self._floor)

    def point_of(self, point: tuple[float, float]) -> tuple[float, float]:
        """κ_μ and P∞ of a point."""
        kappa = _within(float(np.exp(point[0])))
        return kappa, self.least_variance(kappa) * float(np.exp(point[1]))

    def score(self, point: tuple[float, float], rule: MemoryRule) -> float:
        """Mean log-score over the test rows of all folds."""
        self._done += 1
        self._progress(min(self._done, self._total), self._total)
        return float(np.nanmean(self._rows(self._runs(point, rule))))

    def most_careful(
        self, candidates: list[tuple[MemoryRule, tuple[float, float]]]
    ) -> tuple[MemoryRule, tuple[float, float]]:
        """Of one exponential, the longest memory within an error of the best score; two scales where they score more.

        A memory too short takes one book for many observations; the data seldom tell it apart within an hour.
        """
        if len(candidates) == 1:
            return candidates[0]
        scores = {rule: self._rows(self._runs(point, rule, matched=True)) for rule, point in candidates}
        mean = {rule: float(np.nanmean(row)) for rule, row in scores.items()}
        single = [rule for rule in scores if not rule.two_scaled]
        best = scores[max(single, key=mean.__getitem__)]
        known = np.isfinite(best)
        near = [rule for rule in single if self._within_an_error((best - scores[rule])[known])]
        chosen = max([max(near), *(rule for rule in scores if rule.two_scaled)], key=mean.__getitem__)
        return next(candidate for candidate in candidates if candidate[0] == chosen)

    def _within_an_error(self, loss: Floats) -> bool:
        return bool(loss.mean() <= mean_error(loss, self._lags))

    def held_out(self, point: tuple[float, float], rule: MemoryRule) -> tuple[float, Floats, float | None]:
        """On the test rows: log-score, forecast of the 10 s return, bps (NaN elsewhere), NIS of the fused features."""
        runs = self._runs(point, rule, matched=True)
        forecast = np.full(self._rows_in_all, np.nan)
        squares, count = 0.0, 0.0
        for part, run in zip(self._parts, runs, strict=True):
            forecast[part.rows] = run.filtered.mean * expected_time(run.mean_reversion_per_s)
            facts = run.filtered.innovations.get("features", {"nis": 0.0, "count": 0.0})
            squares, count = squares + facts["nis"] * facts["count"], count + facts["count"]
        return float(np.nanmean(self._rows(runs))), forecast, squares / count if count else None

    def _rows(self, runs: list[_Run]) -> Floats:
        """Score of each test row."""
        return np.concatenate(
            [
                log_score(part.test, run.filtered, run.mean_reversion_per_s, run.stationary_variance)
                for part, run in zip(self._parts, runs, strict=True)
            ]
        )

    def _runs(self, point: tuple[float, float], rule: MemoryRule, *, matched: bool = False) -> list[_Run]:
        """The filter over each test part; matched, with C scaled to the innovations on the train rows."""
        kappa, stationary = self.point_of(point)
        runs = []
        for part in self._parts:
            mapping, drift_variance = None, stationary
            if self._places:
                drift_variance = max(stationary, self.least_variance(kappa, explained_bps2(part.alpha, part.moments)))
                mapping = map_features(part.alpha, part.moments, kappa, drift_variance, rule)
                if matched:
                    scale = innovation_scale(part.train, self._places, mapping, kappa, drift_variance)
                    mapping = replace(mapping, covariance=scale * mapping.covariance)
            filtered = filter_sample(part.test, self._places, mapping, kappa, drift_variance)
            runs.append(_Run(filtered, kappa, drift_variance))
        return runs


def _within(kappa: float) -> float:
    low, high = MEAN_REVERSION_RANGE
    return min(max(kappa, low), high)
