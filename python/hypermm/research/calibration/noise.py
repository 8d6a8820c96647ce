"""From coefficients to what the filter takes: slopes, gains, noise memory and error covariance. Sections 1 and 8."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hypermm.config.calibration import EIGENVALUE_FLOOR, HORIZON_S, MAX_FRESH_SHARE, MAX_GAIN, MAX_MEMORY_S
from hypermm.research.calibration.regression import mean_evidence, noise_factors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hypermm.research.calibration.sample import Sample

    Floats = NDArray[np.float64]

__all__ = [
    "MEMORY_LAG_S",
    "MEMORY_RULES",
    "Mapping",
    "MemoryRule",
    "Moments",
    "expected_time",
    "explained_bps2",
    "map_features",
    "moments_of",
    "observations",
]

# The long Δ of the noise's autocorrelation.
MEMORY_LAG_S = 5.0
_SHRINKAGE = 0.1
_RIDGE = 0.01
# A slope that goes to zero would divide by it.
_LEAST_GAIN = 1e-9
# Of the driving noises of two features, and the memory that stands for none.
_MOST_CORRELATION = 0.98
_LEAST_MEMORY_S = 0.05
# How often a tier is read, in cycles (section 7: every one, every 2 to 3, every 5 to 10).
CADENCE = {"hot": 1, "warm": 2, "cold": 5}


class MemoryRule(NamedTuple):
    """How the noise's memory τ_e is read off its autocorrelation.

    Attributes:
        two_scaled: A share of the noise is new at every reading, the rest stands for τ_e: both from the autocorrelation
            from one reading to the next and at 5 s. Else one exponential through that at 5 s.
        least_cycles: τ_e is at least so many cycles.
    """

    two_scaled: bool = False
    least_cycles: int = 0


# Two cycles often read one book, which a lag of 5 s cannot show; and one exponential through noise with a fresh and a
# slow part understates how much a reading differs from the last. The held-out score chooses.
MEMORY_RULES = (
    MemoryRule(),
    MemoryRule(least_cycles=1),
    MemoryRule(least_cycles=2),
    MemoryRule(two_scaled=True, least_cycles=1),
)


def expected_time(mean_reversion_per_s: float, horizon_s: float = HORIZON_S) -> float:
    """T(h) = (1 − e^{−κh})/κ, s."""
    return float(-np.expm1(-mean_reversion_per_s * horizon_s) / mean_reversion_per_s)


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Moments:
    """Second moments of some features, about zero, as weighted as the regression was.

    Attributes:
        product: E[f_i·f_j], shape (n, n); 0 where two are never known together.
        lagged: E[f_i(t)·f_i(t + Δ)], shape (n,).
        lag_s: Δ.
        adjacent: The same from one reading to the next, shape (n,).
        spacing_s: Time between two readings, shape (n,).
        cycle_s: Time between cycles.
        mean_evidence: n̄, shape (n,).
    """

    product: Floats
    lagged: Floats
    lag_s: float
    adjacent: Floats
    spacing_s: Floats
    cycle_s: float
    mean_evidence: Floats


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Mapping:
    """What turns features into one observation of the drift.

    Attributes:
        slope: z = slope·f, bps/s per unit.
        gain: K.
        memory_s: τ_e.
        covariance: C, (bps/s)², shape (n, n).
        fresh_share: u, what share of each noise is new at every reading.
        mean_evidence: n̄.
    """

    slope: Floats
    gain: Floats
    memory_s: Floats
    covariance: Floats
    fresh_share: Floats
    mean_evidence: Floats


def moments_of(sample: Sample, places: tuple[int, ...], rows: NDArray[np.bool_]) -> Moments:
    """Moments of some columns over some rows."""
    evidence = mean_evidence(sample, rows)
    weight = 1.0 / np.sqrt(noise_factors(sample, evidence, places))
    known = np.isfinite(sample.values[:, places]) & rows[:, None]
    root = np.where(known, weight, 0.0)
    value = np.where(known, sample.values[:, places], 0.0) * root
    mass = root.T @ root
    product = np.divide(value.T @ value, mass, out=np.zeros_like(mass), where=mass > 0.0)
    ahead = max(1, round(MEMORY_LAG_S / sample.step_s))
    plain = np.where(known, sample.values[:, places], np.nan)
    spacing = [CADENCE[sample.tiers[place]] for place in places]
    columns = range(len(places))
    lagged = np.array([_autocorrelation(plain[:, column], sample.segment, ahead) for column in columns])
    adjacent = np.array([_autocorrelation(plain[:, column], sample.segment, spacing[column]) for column in columns])
    return Moments(
        product=product,
        lagged=lagged * np.diag(product),
        lag_s=ahead * sample.step_s,
        adjacent=adjacent * np.diag(product),
        spacing_s=sample.step_s * np.array(spacing, float),
        cycle_s=sample.step_s,
        mean_evidence=evidence[list(places)],
    )


def _autocorrelation(values: Floats, segment: NDArray[np.int64], ahead: int) -> float:
    """Σ f(t)f(t + Δ) over the second moment of the same rows, about zero; 0 where there are none."""
    first, second = values[:-ahead], values[ahead:]
    both = np.isfinite(first) & np.isfinite(second) & (segment[:-ahead] == segment[ahead:])
    square = 0.5 * float(np.sum(first[both] ** 2 + second[both] ** 2))
    return float(np.sum(first[both] * second[both])) / square if square > 0.0 else 0.0


def explained_bps2(alpha: Floats, moments: Moments) -> float:
    """V_joint·T², the variance of the joint forecast, bps²: dᵀM⁻¹d with d_i = α_i·M_ii, ridged by a hundredth.

    With P∞ above V_joint, and no sooner, Cov(z) − P∞·11ᵀ is a covariance.
    """
    if not len(alpha):
        return 0.0
    square = np.diag(moments.product)
    shared = alpha * square
    # A feature without a value in these rows, as in a fold before it was first heard, explains nothing.
    ridge = np.where(square > 0.0, _RIDGE * square, 1.0)
    joint = shared @ np.linalg.solve(moments.product + np.diag(ridge), shared)
    return float(max(joint, (alpha**2 * square).max()))


def map_features(
    alpha: Floats,
    moments: Moments,
    mean_reversion_per_s: float,
    stationary_variance: float,
    rule: MemoryRule = MEMORY_RULES[0],
) -> Mapping:
    """Slopes, gains, memories and the error covariance at one κ_μ and P∞.

    K = min(Var(a·f)/P∞, 0.9), z = a·f/K, C = Cov(z) − P∞·11ᵀ shrunk by 10 % and floored,
    ρ_e(Δ) = (Cov(z_t, z_{t+Δ}) − P∞e^{−κΔ})/(Var z − P∞), τ_e within [0, 600] s and u by the rule: τ_e = −Δ/ln ρ_e(Δ)
    with Δ = 5 s and u = 0; or (1 − u)e^{−Δ/τ_e} = ρ_e(Δ) at the spacing of readings and at 5 s.
    """
    rate = alpha / expected_time(mean_reversion_per_s)
    square = np.diag(moments.product)
    gain = np.clip(rate**2 * square / stationary_variance, _LEAST_GAIN, MAX_GAIN)
    slope = rate / gain
    covariance = np.outer(slope, slope) * moments.product - stationary_variance
    noise = stationary_variance * (1.0 - gain) / gain
    np.fill_diagonal(covariance, noise)

    def correlation(lagged: Floats, lag_s: Floats | float) -> Floats:
        shared: Floats = slope**2 * lagged - stationary_variance * np.exp(-mean_reversion_per_s * lag_s)
        return shared / noise

    least_s = rule.least_cycles * moments.cycle_s
    distant = correlation(moments.lagged, moments.lag_s)
    if rule.two_scaled:
        adjacent = correlation(moments.adjacent, moments.spacing_s)
        memory, fresh = _two_scales(adjacent, distant, moments.spacing_s, moments.lag_s, least_s)
    else:
        memory, fresh = np.maximum(_memory(distant, moments.lag_s), least_s), np.zeros(len(alpha))
    return Mapping(
        slope=slope,
        gain=gain,
        memory_s=memory,
        covariance=_possible(_positive(covariance), memory),
        fresh_share=fresh,
        mean_evidence=moments.mean_evidence,
    )


def _memory(correlation: Floats, lag_s: Floats | float) -> Floats:
    """−Δ/ln ρ within [0, 600] s."""
    known = np.clip(correlation, 1e-300, 1.0 - 1e-12)
    memory: Floats = np.where(correlation > 0.0, np.minimum(-lag_s / np.log(known), MAX_MEMORY_S), 0.0)
    return memory


def _two_scales(
    adjacent: Floats, distant: Floats, spacing_s: Floats, lag_s: float, least_s: float
) -> tuple[Floats, Floats]:
    """τ_e and u: (1 − u)e^{−Δ/τ_e} at both lags; τ_e by the near one where the distant one shows no slow noise."""
    slow = distant > 0.0
    apart = np.divide(distant, adjacent, out=np.ones_like(distant), where=slow & (adjacent > 0.0))
    memory = np.where(slow, _memory(apart, lag_s - spacing_s), _memory(adjacent, spacing_s))
    memory = np.maximum(memory, np.maximum(least_s, _LEAST_MEMORY_S))
    left = adjacent * np.exp(spacing_s / memory)
    fresh: Floats = np.clip(1.0 - left, 0.0, MAX_FRESH_SHARE)
    return memory, fresh


def _positive(covariance: Floats) -> Floats:
    """Off-diagonal entries shrunk by a tenth, eigenvalues floored at 1e-3 of the largest."""
    if not covariance.size:
        return covariance
    shrunk = (1.0 - _SHRINKAGE) * covariance + _SHRINKAGE * np.diag(np.diag(covariance))
    values, vectors = np.linalg.eigh(shrunk)
    floor = EIGENVALUE_FLOOR * values[-1]
    if values[0] >= floor:
        return shrunk
    mended = (vectors * np.maximum(values, floor)) @ vectors.T
    symmetric: Floats = 0.5 * (mended + mended.T)
    return symmetric


def _possible(covariance: Floats, memory_s: Floats) -> Floats:
    """Off-diagonal entries brought within what noises of these memories can share.

    Noises with covariance C that fade with τ are driven by white noise of covariance C_ij(1/τ_i + 1/τ_j): where that
    has no square root, as for a fast and a slow noise that are one and the same, no such noises exist and the whitened
    matrix of section 1 need not be positive definite.
    """
    if len(covariance) < 2:
        return covariance
    rate = 1.0 / np.maximum(memory_s, _LEAST_MEMORY_S)
    deviation = np.sqrt(np.diag(covariance))
    limit = 2.0 * np.sqrt(np.outer(rate, rate)) / np.add.outer(rate, rate) * np.outer(deviation, deviation)
    driver = np.clip(covariance / limit, -_MOST_CORRELATION, _MOST_CORRELATION)
    np.fill_diagonal(driver, 0.0)
    least = float(np.linalg.eigvalsh(driver)[0])
    share = min(1.0, _MOST_CORRELATION / -least) if least < 0.0 else 1.0
    possible: Floats = share * driver * limit
    np.fill_diagonal(possible, deviation**2)
    return possible


def observations(sample: Sample, places: tuple[int, ...], mapping: Mapping) -> tuple[Floats, Floats]:
    """Readings z and noise factors g of some columns, shape (rows, n); a tier is read at its cadence."""
    values = sample.values[:, places] * mapping.slope
    for column, place in enumerate(places):
        every = CADENCE[sample.tiers[place]]
        values[np.arange(len(sample)) % every != 0, column] = np.nan
    mean = np.ones(len(sample.names))
    mean[list(places)] = mapping.mean_evidence
    return values, noise_factors(sample, mean, places)
