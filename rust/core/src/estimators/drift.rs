//! Scalar Kalman filter of the drift, MODEL.md section 1.
//!
//! dμ = −κ_μ·μ·dt + σ_μ·dW, stepped exactly; P∞ = σ_μ²/(2κ_μ).

use serde::{Deserialize, Serialize};

use crate::error::{Result, invalid_input, require_finite, require_positive, time_order};
use crate::feature_table::FeatureId;
use crate::online::lanes::exp;
use crate::types::{TimestampNs, seconds_between};

/// Most sources statistics are kept for.
pub const MAX_SOURCES: usize = 256;
// Below it shares would lose what they are precise to.
const SMALLEST_SHARE_SCALE: f64 = 1e-6;
/// Longest name of a source.
pub const MAX_NAME_BYTES: usize = 256;

/// Running ln ∏ S without a logarithm per factor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct LogProduct {
    sum: f64,
    product: f64,
}

impl Default for LogProduct {
    fn default() -> Self {
        Self { sum: 0.0, product: 1.0 }
    }
}

impl LogProduct {
    #[inline]
    fn multiply(&mut self, factor: f64) {
        let product = self.product * factor;
        if (1e-100..=1e100).contains(&product) {
            self.product = product;
        } else {
            self.sum += libm::log(self.product) + libm::log(factor);
            self.product = 1.0;
        }
    }

    fn value(&self) -> f64 {
        self.sum + libm::log(self.product)
    }
}

/// Innovation statistics of one source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Innovations {
    /// Source.
    pub name: Box<str>,
    count: u64,
    sum: f64,
    squares: f64,
    log_variances: LogProduct,
    // What it has given to the posterior mean, before the scale all shares have in common.
    share: f64,
    // It enters as part of a fused observation, which counts in the likelihood.
    feature: Option<FeatureId>,
}

impl Innovations {
    fn new(name: &str, feature: Option<FeatureId>) -> Self {
        let log_variances = LogProduct::default();
        Self { name: name.into(), count: 0, sum: 0.0, squares: 0.0, log_variances, share: 0.0, feature }
    }

    #[inline]
    fn count_in(&mut self, innovation: f64, total: f64) {
        self.count += 1;
        self.sum += innovation;
        self.squares += innovation * innovation / total;
        self.log_variances.multiply(total);
    }

    /// Observations taken.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Mean innovation, bps/s.
    #[must_use]
    pub fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum / self.count as f64 }
    }

    /// Mean normalized innovation squared; 1 for a consistent source, 0 before the first.
    #[must_use]
    pub fn normalized_square(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.squares / self.count as f64 }
    }

    /// −½·Σ(ln 2πS + ν²/S).
    #[must_use]
    pub fn log_likelihood(&self) -> f64 {
        let tau = std::f64::consts::TAU;
        -0.5 * (self.count as f64 * libm::log(tau) + self.log_variances.value() + self.squares)
    }
}

/// Index of a source in the filter's statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceIndex(usize);

impl SourceIndex {
    pub(crate) const fn from_place(place: usize) -> Self {
        Self(place)
    }
}

/// Posterior of the drift, bps/s.
///
/// ```
/// use hypermm_core::estimators::drift::DriftFilter;
///
/// let mut filter = DriftFilter::new(0.02, 0.075)?;
/// filter.observe(0, 0.1, 0.01, "mine")?;
/// let fresh = filter.mean();
/// filter.predict(50_000_000_000)?; // one mean-reversion time later
/// assert!((filter.mean() / fresh - (-1.0_f64).exp()).abs() < 1e-12);
/// # Ok::<(), hypermm_core::error::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DriftFilter {
    mean_reversion_per_s: f64,
    stationary_variance: f64,
    mean: f64,
    variance: f64,
    time_ns: Option<TimestampNs>,
    sources: Vec<Innovations>,
    // What every share is to be multiplied by: one number to move when time or another source takes from all of them.
    share_scale: f64,
}

/// One feature within a fused observation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FusedPart {
    /// Its place among the values that were fused.
    pub place: usize,
    /// Its whitened observation z′, bps/s.
    pub drift: f64,
    /// The variance of its noise, (bps/s)².
    pub noise: f64,
    /// Its weight w in the fused observation; all of them sum to 1.
    pub weight: f64,
}

impl DriftFilter {
    /// κ_μ in 1/s and √P∞ in bps/s, both > 0. Starts at μ̂ = 0, P = P∞: there is no warm-up.
    ///
    /// # Errors
    /// [`crate::error::Error::InvalidInput`] for a parameter that is not finite and positive.
    pub fn new(mean_reversion_per_s: f64, drift_deviation_bps_per_s: f64) -> Result<Self> {
        require_positive("mean_reversion_per_s", mean_reversion_per_s)?;
        require_positive("drift_deviation_bps_per_s", drift_deviation_bps_per_s)?;
        let variance = drift_deviation_bps_per_s * drift_deviation_bps_per_s;
        require_positive("drift_deviation_bps_per_s", variance)?;
        Ok(Self {
            mean_reversion_per_s,
            stationary_variance: variance,
            mean: 0.0,
            variance,
            time_ns: None,
            sources: Vec::new(),
            share_scale: 1.0,
        })
    }

    /// Back to the prior, with no time and no statistics.
    pub fn reset(&mut self) {
        self.mean = 0.0;
        self.variance = self.stationary_variance;
        self.time_ns = None;
        self.sources.clear();
        self.share_scale = 1.0;
    }

    /// μ̂, bps/s.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// P, (bps/s)².
    #[must_use]
    pub fn variance(&self) -> f64 {
        self.variance
    }

    /// P∞, (bps/s)².
    #[must_use]
    pub fn stationary_variance(&self) -> f64 {
        self.stationary_variance
    }

    /// κ_μ, 1/s.
    #[must_use]
    pub fn mean_reversion_per_s(&self) -> f64 {
        self.mean_reversion_per_s
    }

    /// Time the posterior stands at.
    #[must_use]
    pub fn time_ns(&self) -> Option<TimestampNs> {
        self.time_ns
    }

    /// Statistics by source.
    #[must_use]
    pub fn innovations(&self) -> &[Innovations] {
        &self.sources
    }

    /// Sum of the sources' log-likelihoods.
    #[must_use]
    pub fn log_likelihood(&self) -> f64 {
        self.sources.iter().filter(|source| source.feature.is_none()).map(Innovations::log_likelihood).sum()
    }

    /// Changes κ_μ from the present on.
    pub(crate) fn set_mean_reversion(&mut self, mean_reversion_per_s: f64) {
        self.mean_reversion_per_s = mean_reversion_per_s;
    }

    /// Changes P∞ from the present on; before the first step the prior follows.
    pub(crate) fn set_stationary_variance(&mut self, variance: f64) {
        if self.time_ns.is_none() {
            self.variance = variance;
        }
        self.stationary_variance = variance;
    }

    /// The posterior as of `now_ns` without changing the filter: (μ̂, P).
    #[inline]
    #[must_use]
    pub fn at(&self, now_ns: TimestampNs) -> (f64, f64) {
        match self.time_ns {
            Some(last) if now_ns > last => {
                let phi = exp(-self.mean_reversion_per_s * seconds_between(last, now_ns));
                let square = phi * phi;
                (self.mean * phi, square * self.variance + self.stationary_variance * (1.0 - square))
            }
            _ => (self.mean, self.variance),
        }
    }

    /// Steps to `now_ns` exactly: μ̂ ← φμ̂, P ← φ²P + P∞(1 − φ²), φ = e^{−κ_μ·dt}. dt = 0 is the identity.
    ///
    /// # Errors
    /// [`crate::error::Error::TimeOrder`] when `now_ns` lies before the last step.
    #[inline]
    pub fn predict(&mut self, now_ns: TimestampNs) -> Result<()> {
        if let Some(last) = self.time_ns
            && now_ns < last
        {
            return Err(time_order("time_ns", now_ns, format!("{last} or later"), ""));
        }
        self.step(now_ns);
        Ok(())
    }

    #[inline]
    pub(crate) fn step(&mut self, now_ns: TimestampNs) {
        if let Some(last) = self.time_ns
            && now_ns > last
        {
            let phi = exp(-self.mean_reversion_per_s * seconds_between(last, now_ns));
            let square = phi * phi;
            self.mean *= phi;
            self.variance = square * self.variance + self.stationary_variance * (1.0 - square);
            self.fade_shares(phi);
        }
        self.time_ns = Some(now_ns);
    }

    /// Every share keeps this much of itself.
    #[inline]
    fn fade_shares(&mut self, kept: f64) {
        self.share_scale *= kept;
        if !(self.share_scale > SMALLEST_SHARE_SCALE) {
            self.settle_shares();
        }
    }

    #[cold]
    fn settle_shares(&mut self) {
        for source in &mut self.sources {
            source.share *= self.share_scale;
        }
        self.share_scale = 1.0;
    }

    /// How much of μ̂ as of `now_ns` came from each source, bps/s, in the order of [`DriftFilter::innovations`]: they sum to it.
    pub fn shares(&self, now_ns: TimestampNs) -> impl Iterator<Item = (Option<FeatureId>, f64)> + '_ {
        let kept = self.share_scale * self.decay(now_ns);
        self.sources.iter().map(move |source| (source.feature, source.share * kept))
    }

    /// φ since the last step.
    #[inline]
    fn decay(&self, now_ns: TimestampNs) -> f64 {
        match self.time_ns {
            Some(last) if now_ns > last => exp(-self.mean_reversion_per_s * seconds_between(last, now_ns)),
            _ => 1.0,
        }
    }

    /// Refuses no name, and one that would make one source too many; statistics are kept for [`MAX_SOURCES`].
    ///
    /// # Errors
    /// An empty name, a new name when that many are known, or one longer than [`MAX_NAME_BYTES`].
    pub fn check_name(&self, name: &str) -> Result<()> {
        if self.sources.iter().any(|source| &*source.name == name) {
            return Ok(());
        }
        if name.is_empty() {
            return Err(invalid_input("name", "\"\"", "a name", "statistics are kept by source"));
        }
        if self.sources.len() >= MAX_SOURCES || name.len() > MAX_NAME_BYTES {
            return Err(invalid_input(
                "name",
                name.chars().take(40).collect::<String>(),
                format!("one of at most {MAX_SOURCES} names of at most {MAX_NAME_BYTES} bytes"),
                "a source is a kind of signal, not a single observation",
            ));
        }
        Ok(())
    }

    /// Place of a source's statistics, made on first sight.
    pub fn source(&mut self, name: &str) -> SourceIndex {
        if let Some(place) = self.sources.iter().position(|source| &*source.name == name) {
            return SourceIndex(place);
        }
        self.sources.push(Innovations::new(name, None));
        SourceIndex(self.sources.len() - 1)
    }

    /// [`DriftFilter::source`] of a feature, which enters as part of a fused observation.
    pub(crate) fn feature_source(&mut self, feature: FeatureId) -> SourceIndex {
        let index = self.source(feature.row().name);
        self.sources[index.0].feature = Some(feature);
        index
    }

    /// Steps to `now_ns` and takes in z = μ + noise of variance R: K = P/(P + R), μ̂ += K(z − μ̂), P ← PR/(P + R).
    ///
    /// # Errors
    /// A non-finite observation, a variance that is not positive, a time before the last.
    #[inline]
    pub fn observe(&mut self, now_ns: TimestampNs, drift_bps_per_s: f64, variance: f64, name: &str) -> Result<()> {
        Self::check(drift_bps_per_s, variance)?;
        self.check_name(name)?;
        self.predict(now_ns)?;
        let source = self.source(name);
        self.update(drift_bps_per_s, variance, source);
        Ok(())
    }

    /// Refuses an observation that cannot enter.
    ///
    /// # Errors
    /// A non-finite or absurd (above 1e9 bps/s) observation, a variance that is not positive.
    #[inline]
    pub fn check(drift_bps_per_s: f64, variance: f64) -> Result<()> {
        if !(drift_bps_per_s.abs() <= 1e9) {
            require_finite("drift_bps_per_s", drift_bps_per_s)?;
            return Err(invalid_input("drift_bps_per_s", drift_bps_per_s, "bps per second, at most 1e9 in size", ""));
        }
        if !(variance >= 1e-18) {
            return Err(invalid_input("variance", variance, "a finite number of at least 1e-18 (bps/s)²", ""));
        }
        require_positive("variance", variance)
    }

    /// Takes in a checked observation at the present time.
    #[inline]
    pub(crate) fn update(&mut self, drift: f64, noise: f64, source: SourceIndex) {
        let gain = self.take_in(drift, noise, source);
        if let Some(source) = self.sources.get_mut(source.0) {
            source.share += gain * drift / self.share_scale;
        }
    }

    /// Takes in a fused observation at the present time; `sources[part.place]` are told what each feature gave to it.
    pub(crate) fn update_fused(
        &mut self,
        parts: &[FusedPart],
        noise: f64,
        fused: SourceIndex,
        sources: &[SourceIndex],
    ) {
        let drift: f64 = parts.iter().map(|part| part.weight * part.drift).sum();
        let (mean, variance) = (self.mean, self.variance);
        let gain = self.take_in(drift, noise, fused);
        let share_gain = gain / self.share_scale;
        for part in parts {
            let source = sources.get(part.place).and_then(|index| self.sources.get_mut(index.0));
            if let Some(source) = source {
                source.share += share_gain * part.weight * part.drift;
                source.count_in(part.drift - mean, variance + part.noise);
            }
        }
    }

    /// The Kalman update; returns its gain. Shares fade, what the observation gave is not yet anyone's.
    #[inline]
    fn take_in(&mut self, drift: f64, noise: f64, source: SourceIndex) -> f64 {
        let total = self.variance + noise;
        let innovation = drift - self.mean;
        let gain = self.variance / total;
        self.mean += gain * innovation;
        self.variance = gain * noise;
        self.fade_shares(noise / total);
        if let Some(statistics) = self.sources.get_mut(source.0) {
            statistics.count_in(innovation, total);
        }
        gain
    }

    /// Replaces an observation taken at the present time by another of the same noise: μ̂ += P(z₂ − z₁)/R.
    ///
    /// Exact while no time has passed, because precision-weighted observations add.
    #[inline]
    pub(crate) fn revise(&mut self, before: f64, after: f64, noise: f64, source: SourceIndex) {
        let change = self.variance * (after - before) / noise;
        self.mean += change;
        if let Some(source) = self.sources.get_mut(source.0) {
            source.share += change / self.share_scale;
        }
    }

    /// μ̂·T(h), bps: expected displacement over a fixed horizon.
    #[must_use]
    pub fn displacement(&self, horizon_s: f64) -> f64 {
        self.mean * expected_time(self.mean_reversion_per_s, horizon_s)
    }

    /// v(h) of the present posterior, bps².
    #[must_use]
    pub fn displacement_variance(&self, horizon_s: f64, volatility: f64) -> f64 {
        displacement_variance(self.mean_reversion_per_s, self.stationary_variance, self.variance, volatility, horizon_s)
    }
}

/// T(h) = (1 − e^{−κ_μh})/κ_μ, seconds: the displacement per unit of present drift.
#[inline]
#[must_use]
pub fn expected_time(mean_reversion_per_s: f64, horizon_s: f64) -> f64 {
    let x = mean_reversion_per_s * horizon_s;
    if x < 1e-4 { horizon_s * (1.0 - x * (0.5 - x * (1.0 / 6.0))) } else { (1.0 - exp(-x)) / mean_reversion_per_s }
}

/// v(h) = σ²h + P·T(h)² + (σ_μ²/κ_μ²)(h − 2T(h) + (1 − e^{−2κ_μh})/(2κ_μ)), bps², with σ_μ² = 2κ_μP∞.
#[inline]
#[must_use]
pub fn displacement_variance(
    mean_reversion_per_s: f64,
    stationary_variance: f64,
    variance: f64,
    volatility: f64,
    horizon_s: f64,
) -> f64 {
    let x = mean_reversion_per_s * horizon_s;
    let time = expected_time(mean_reversion_per_s, horizon_s);
    // The bracket times κ_μ: x − 2(1 − e^{−x}) + (1 − e^{−2x})/2 cancels to x³/3, so small x takes the series Σ (−x)ⁿ(2 − 2ⁿ⁻¹)/n!.
    let bracket = if x < 0.02 {
        x * x * x * (1.0 / 3.0 - x * (0.25 - x * (7.0 / 60.0 - x * (1.0 / 24.0 - x * (31.0 / 2520.0)))))
    } else {
        let e = exp(-x);
        x - 2.0 * (1.0 - e) + 0.5 * (1.0 - e * e)
    };
    let future = 2.0 * stationary_variance / (mean_reversion_per_s * mean_reversion_per_s) * bracket;
    volatility * volatility * horizon_s + variance * time * time + future
}
