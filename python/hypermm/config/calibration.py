"""What a calibration holds: sections 1, 7 and 8 of MODEL.md. `hypermm.config.calibration_file` reads and checks it.

The file is one JSON object. How an engine uses it, per quote cycle:

- Feature i of `accepted` is read with the settings of `pipeline`, those it was fitted with: z_i = slope_i·f_i. One that
  has no value is missing; one that is not accepted is silent.
- Its noise is weighted by g_i = clip(mean_evidence_i/evidence_i, ¼, 4), 1 where `reliability` is "none": entry (i, j)
  of `error_covariance` is taken times √(g_i·g_j).
- The vector is whitened with `noise_memory_s` and `fresh_noise_share`, and fused with that covariance, P∞ and κ_μ of
  `filter`: one observation.
- `own_fill`, where accepted, is an observation of its own at each fill, once per aggressor: s = −sgn·depth/σ clipped to
  ±4, z = slope·s, R = P∞(1 − gain)/gain. Rejected, fills say nothing; not measured, the engine keeps its default.

An artifact is refused when anything about it does not add up; `content_hash` is over all of its other fields but
when it was made, so that a number changed by hand is noticed and the same data make the same hash.
"""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = [
    "AGE_LIMIT_NS",
    "EIGENVALUE_FLOOR",
    "HORIZON_S",
    "MAX_ADVERSE_SELECTION_RATIO",
    "MAX_FRESH_SHARE",
    "MAX_GAIN",
    "MAX_MEMORY_S",
    "MAX_TAIL_FACTOR",
    "MEAN_REVERSION_RANGE",
    "VERSION",
    "AcceptedFeature",
    "AdverseSelectionFit",
    "CalibrationArtifact",
    "CoefficientVerdict",
    "FeatureVerdict",
    "FilterFit",
    "FoldScore",
    "Gates",
    "HawkesFit",
    "OwnFill",
    "PipelineSettings",
    "ReturnOnlyFit",
    "VolatilityUse",
]

VERSION = 3
HORIZON_S = 10.0
_DAY_NS = 86_400_000_000_000
AGE_LIMIT_NS = 7 * _DAY_NS
MAX_GAIN = 0.9
MAX_MEMORY_S = 600.0
MAX_FRESH_SHARE = 0.99
MAX_ADVERSE_SELECTION_RATIO = 2.0
MAX_TAIL_FACTOR = 5.0
MEAN_REVERSION_RANGE = (0.005, 0.2)
EIGENVALUE_FLOOR = 1e-3

Reliability = Literal["count", "depth", "agreement", "funding", "none"]
State = Literal["accepted", "rejected", "not_measured"]


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Every part of the artifact: frozen, and an unknown field is refused."""


class ReturnOnlyFit(_Part, frozen=True, kw_only=True):
    """Maximum likelihood of the returns alone, the start of the search.

    Attributes:
        mean_reversion_per_s: κ_μ, 1/s.
        stationary_variance: P∞, (bps/s)².
        volatility: σ, bps/√s.
        log_likelihood: Of the 5 s returns.
    """

    mean_reversion_per_s: float
    stationary_variance: float
    volatility: float
    log_likelihood: float


class FilterFit(_Part, frozen=True, kw_only=True):
    """The drift filter's own numbers, chosen with the features in.

    Attributes:
        mean_reversion_per_s: κ_μ, 1/s, 0.005 to 0.2.
        stationary_variance: P∞, (bps/s)².
        noise_scale: What the error covariance was taken times, 1 or more: then the fused innovations are no larger than
            the filter says, on the data of the fit.
        held_out_nis: Mean square of the fused innovations over their variance on the held-out folds, each scaled on its
            own train rows: 1 where the filter is as sure as it may be, more where it is surer; None without features.
        log_score: Mean Gaussian log-score of the displacement at 10 s and 30 s on the same folds, on which κ_μ and P∞
            were chosen.
        return_only: What the returns alone would say.
    """

    mean_reversion_per_s: float
    stationary_variance: float
    noise_scale: float
    held_out_nis: float | None
    log_score: float
    return_only: ReturnOnlyFit


class AcceptedFeature(_Part, frozen=True, kw_only=True):
    """A feature that passed the gate, as the filter takes it.

    Attributes:
        name: As in `hypermm.feature_table`.
        target: What α was fitted on: the 10 s return, or its residual after the price-only filter (flow and trend).
        alpha: Coefficient, bps of 10 s return per unit of the feature.
        slope: a/K with a = α/T(10 s), bps/s per unit: z = slope·f.
        gain: K = min(Var(a·f)/P∞, 0.9).
        noise_memory_s: τ_e, s, 0 to 600.
        fresh_noise_share: u, the share of its noise that is new at every reading, 0 to 0.99; the rest stands for τ_e.
        reliability: How evidence weighs its noise; all but "none" are g = clip(mean_evidence/evidence, ¼, 4).
        mean_evidence: n̄, mean depth; 1 for "agreement", "funding" and "none".
    """

    name: str
    target: Literal["return", "residual"]
    alpha: float
    slope: float
    gain: float
    noise_memory_s: float
    fresh_noise_share: float
    reliability: Reliability
    mean_evidence: float


class OwnFill(_Part, frozen=True, kw_only=True):
    """Own fills as an observation, fitted on the residual of the price-only filter; section 1.

    Attributes:
        state: Whether it passed, failed, or there were too few fills to say.
        reason: Why.
        fills: Fills it was judged on.
        alpha: bps of 10 s residual per unit of s, above 0; 0 unless accepted.
        slope: z = slope·s, bps/s; 0 unless accepted.
        gain: K; 0 unless accepted.
        r2: Out-of-sample R² on the residual; None where not measured.
        r2_error: Its standard error.
    """

    state: State
    reason: str
    fills: int
    alpha: float = 0.0
    slope: float = 0.0
    gain: float = 0.0
    r2: float | None = None
    r2_error: float | None = None


class HawkesFit(_Part, frozen=True, kw_only=True):
    """Self-excitation of aggressor events of one side, by maximum likelihood.

    Attributes:
        base_rate_per_s: Baseline μ, 1/s.
        branching_ratio: n, 0 ≤ n < 1.
        decay_per_s: β, 1/s.
        base_rate_error: Standard errors from the Hessian of the likelihood; None where it is singular.
        branching_ratio_error: As above.
        decay_error: As above.
        events: Events.
        rescaling_p_value: Kolmogorov–Smirnov test that time-rescaled waits are exponential.
    """

    base_rate_per_s: float
    branching_ratio: float
    decay_per_s: float
    base_rate_error: float | None
    branching_ratio_error: float | None
    decay_error: float | None
    events: int
    rescaling_p_value: float


class PipelineSettings(_Part, frozen=True, kw_only=True):
    """Settings the features were made with, the arguments of `hypermm.feature_matrix`; others make other features.

    Attributes:
        volatility: Prior σ₀, bps/√s.
        sweep_s: τ_sweep, s.
        hawkes_decay_per_s: β, 1/s, of both sides.
        hawkes_branching_ratio: n of both sides.
        lead: Name of the market that leads, or None.
        basis: Name of the market the basis is taken against; None is the oracle.
    """

    volatility: float
    sweep_s: float
    hawkes_decay_per_s: float
    hawkes_branching_ratio: float
    lead: str | None
    basis: str | None


class VolatilityUse(_Part, frozen=True, kw_only=True):
    """How the volatility features enter σ_eff = σ·max(1, ratio^ν)·√(1 + c_I·informed); None keeps the config's.

    Attributes:
        ratio_exponent: ν, 0 to 1; 0 where it was measured and rejected.
        informed_volatility: c_I, 0 or more; 0 where it was measured and rejected.
        log_score_gain: Held-out gain in mean log-score of 10 s returns over ν = 0, c_I = 0.
        log_score_error: Its standard error.
    """

    ratio_exponent: float | None
    informed_volatility: float | None
    log_score_gain: float
    log_score_error: float


class CoefficientVerdict(_Part, frozen=True, kw_only=True):
    """What became of one coefficient, and why.

    Attributes:
        state: Whether it passed, failed, or there was too little to say.
        reason: Why, in words.
        value: What the engine takes; None unless accepted: the config's stays.
        estimate: Over all the data, within its bounds; None where not measured.
        error: HAC standard error; None where the data do not tell it.
        clark_west_t: Out of sample, against the model without it; None where not measured.
        incremental_r2: Share of the squared error that it takes off out of sample; None where not measured.
    """

    state: State
    reason: str
    value: float | None = None
    estimate: float | None = None
    error: float | None = None
    clark_west_t: float | None = None
    incremental_r2: float | None = None

    @property
    def summary(self) -> str:
        """One line: state, estimate and error, reason."""
        error = "" if self.error is None else f" ± {self.error:.2g}"
        estimate = "" if self.estimate is None else f"{self.estimate:.3g}{error}, "
        return f"{self.state.replace('_', ' ')}: {estimate}{self.reason}"


class AdverseSelectionFit(_Part, frozen=True, kw_only=True):
    """AS_s = a₀·toxicity_s·σ_eff·√10·(1 + κ_tail·kurtosis) + b_s on the aggressor events of the tape.

    Attributes:
        events: Aggressor events it was judged on.
        ratio: a₀, 0 to 2.
        tail_factor: κ_tail, 0 to 5.
    """

    events: int
    ratio: CoefficientVerdict
    tail_factor: CoefficientVerdict


class FoldScore(_Part, frozen=True, kw_only=True):
    """One walk-forward fold of one feature.

    Attributes:
        alpha: Fitted on the train part.
        r2: On the test part, against the zero forecast.
        r2_error: HAC standard error.
        rows: Rows of the test part.
    """

    alpha: float
    r2: float
    r2_error: float
    rows: int


class FeatureVerdict(_Part, frozen=True, kw_only=True):
    """What became of one feature, and why.

    Attributes:
        name: As in `hypermm.feature_table`.
        accepted: Whether it is in.
        reason: Why, in words.
        target: What it was held against.
        share_known: Share of the cycles in which it has a value.
        alpha: Over all the data, bps per unit; None without a fit.
        alpha_error: HAC standard error.
        r2: Out-of-sample R² over the folds, against the zero forecast.
        r2_error: HAC standard error.
        clark_west_t: Clark–West t against the zero forecast.
        incremental_r2: R² it adds to those accepted before it.
        incremental_t: Clark–West t of that.
        move_bps: 95th percentile of |α·f|, bps.
        cost_needed_bps: What the cost test asks of it, bps.
        replay_edge_bps: Held-out replay edge per fill with it less without, bps; None where none was made or its fills
            were too few to tell.
        replay_edge_error: Bootstrap standard error.
        folds: Fold by fold.
    """

    name: str
    accepted: bool
    reason: str
    target: Literal["return", "residual"]
    share_known: float
    alpha: float | None = None
    alpha_error: float | None = None
    r2: float | None = None
    r2_error: float | None = None
    clark_west_t: float | None = None
    incremental_r2: float | None = None
    incremental_t: float | None = None
    move_bps: float | None = None
    cost_needed_bps: float | None = None
    replay_edge_bps: float | None = None
    replay_edge_error: float | None = None
    folds: tuple[FoldScore, ...] = ()


class Gates(_Part, frozen=True, kw_only=True):
    """What a feature had to pass.

    Attributes:
        r2: Least out-of-sample R².
        incremental_r2: Least increment.
        clark_west_t: Least t of both.
        cost_test: "maker": moves the quote by half a price increment; "taker": more than fee and half-spread.
    """

    r2: float = 0.01
    incremental_r2: float = 0.003
    clark_west_t: float = 1.645
    cost_test: Literal["maker", "taker"] = "maker"


class CalibrationArtifact(_Part, frozen=True, kw_only=True):
    """A calibration of one instrument.

    Attributes:
        kind: Always "hypermm.calibration".
        version: Of this shape of file.
        content_hash: SHA-256 of the artifact with this field empty and `created_ns` 0.
        coin: Venue symbol.
        size_decimals: Of the instrument: with it go units of sizes and prices.
        created_ns: When it was made, ns since 1970; not before `data_to_ns`.
        data_from_ns: First cycle of the data.
        data_to_ns: Last cycle; the age of the calibration is counted from it.
        data_hash: SHA-256 of the recordings' columns.
        recordings: Names of their folders.
        cycle_s: Grid it was fitted on, s.
        horizon_s: 10.
        independent_windows: Windows of `horizon_s` that do not overlap.
        provisional: Fewer than 600 of them.
        gates: What a feature had to pass.
        filter: κ_μ and P∞.
        pipeline: What the features were made with.
        accepted: Features that passed, in the order of `error_covariance`.
        error_covariance: C, row-major n·n, (bps/s)²: without the common drift variance, shrunk by 10 %, floored, times
            the noise scale of `filter`.
        own_fill: Own fills.
        hawkes_buy: Of events that bought; None with too few.
        hawkes_sell: Of events that sold.
        volatility: How volatility features enter.
        adverse_selection: a₀ and κ_tail.
        features: Every feature's verdict.
    """

    kind: Literal["hypermm.calibration"] = "hypermm.calibration"
    version: int = VERSION
    content_hash: str = ""
    coin: str
    size_decimals: int
    created_ns: int
    data_from_ns: int
    data_to_ns: int
    data_hash: str
    recordings: tuple[str, ...]
    cycle_s: float
    horizon_s: float
    independent_windows: int
    provisional: bool
    gates: Gates
    filter: FilterFit
    pipeline: PipelineSettings
    accepted: tuple[AcceptedFeature, ...]
    error_covariance: tuple[float, ...]
    own_fill: OwnFill
    hawkes_buy: HawkesFit | None
    hawkes_sell: HawkesFit | None
    volatility: VolatilityUse
    adverse_selection: AdverseSelectionFit
    features: tuple[FeatureVerdict, ...]

    def stale_share(self, now_ns: int) -> float:
        """Age of its data as a share of the age limit: above 0.5 it should be made anew, above 1 it is refused."""
        return (now_ns - self.data_to_ns) / AGE_LIMIT_NS

    def age_warning(self, now_ns: int) -> str:
        """What to tell a user of data older than half the limit; empty where they are not."""
        share = self.stale_share(now_ns)
        if share <= 0.5:
            return ""
        days, most = share * AGE_LIMIT_NS / _DAY_NS, AGE_LIMIT_NS / _DAY_NS
        return f"the data of the calibration end {days:.1f} days before its use; it is refused after {most:g}"
