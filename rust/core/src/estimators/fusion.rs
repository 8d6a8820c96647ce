//! Whitening of slow noise and fusion of correlated features, MODEL.md section 1.

use serde::{Deserialize, Serialize};

use super::drift::{DriftFilter, FusedPart};
use crate::calibration::MAX_FRESH_SHARE;
use crate::error::{Result, invalid_input, time_order};
use crate::online::cholesky;
use crate::online::lanes::{exp, smaller};
use crate::types::{TimestampNs, seconds_between};

// ρ ≤ 0.9995 keeps 1 − ρφ away from zero for features seen again at once.
const MAX_CORRELATION: f64 = 0.9995;
// Beyond five memories the last sight says nothing any more.
const MEMORIES: f64 = 5.0;
/// Most features one cycle may fuse.
pub const MAX_FEATURES: usize = 32;

/// e^{−dt/τ_e}, the noise's own correlation over a gap; 0 for a gap without end.
#[inline]
#[must_use]
fn correlation(memory_s: f64, elapsed_s: f64) -> f64 {
    if memory_s > 0.0 && elapsed_s.is_finite() { smaller(exp(-elapsed_s / memory_s), MAX_CORRELATION) } else { 0.0 }
}

/// ρ = e^{−dt/τ_e} of a source seen dt ago, 0 when nothing carries over.
#[inline]
#[must_use]
fn carried(memory_s: f64, elapsed_s: f64) -> f64 {
    if elapsed_s <= MEMORIES * memory_s { correlation(memory_s, elapsed_s) } else { 0.0 }
}

/// Last sight of one slow source.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Whitener {
    last: Option<(TimestampNs, f64)>,
}

impl Whitener {
    /// Turns (z, R) with noise memory τ_e into an observation with fresh noise:
    /// z′ = (z_t − ρz_{t−dt})/(1 − ρφ), R′ = [R(1 − ρ²) + ρ²P∞(1 − φ²)]/(1 − ρφ)².
    pub fn whiten(
        &mut self,
        now_ns: TimestampNs,
        drift: f64,
        noise: f64,
        memory_s: f64,
        mean_reversion_per_s: f64,
        stationary_variance: f64,
    ) -> (f64, f64) {
        let before = self.last.replace((now_ns, drift));
        let Some((last_ns, last)) = before else { return (drift, noise) };
        let elapsed = seconds_between(last_ns, now_ns);
        let rho = carried(memory_s, elapsed);
        if rho == 0.0 {
            return (drift, noise);
        }
        let phi = exp(-mean_reversion_per_s * elapsed);
        let scale = 1.0 / (1.0 - rho * phi);
        let variance = noise * (1.0 - rho * rho) + rho * rho * stationary_variance * (1.0 - phi * phi);
        ((drift - rho * last) * scale, variance * scale * scale)
    }
}

/// Several slow, correlated features of one cycle as one observation.
///
/// The noise of a feature has a slow part that stands for τ_e and, where a share u of it is fresh, a part that is new at every
/// sight. What the past says of the slow part, e, is a scalar Kalman filter of its own; taken off the reading it leaves fresh
/// noise. With u = 0 the last reading says all of it: z_t − ρz_{t−dt}.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FeatureFusion {
    last: Vec<Option<Seen>>,
}

/// What a feature's sights say of its slow noise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Seen {
    time_ns: TimestampNs,
    /// ê, bps/s; it holds the drift too, `taken` times that of now and a stray part.
    level: f64,
    /// Variance of e − ê as a share of the noise's; 0 without fresh noise.
    variance: f64,
    taken: f64,
    /// Variance of what ê holds of drifts that have passed, (bps/s)²; 0 without fresh noise.
    stray: f64,
}

impl FeatureFusion {
    /// Forgets every last sight.
    pub fn reset(&mut self) {
        self.last.clear();
    }

    /// Whitens each feature, fuses them by generalized least squares and returns the one (z̄, R̄), or `None` when all are missing.
    ///
    /// `values`: drift readings, bps/s, NaN = missing this cycle. `covariance`: row-major n×n error covariance C, (bps/s)², without the common
    /// drift variance. `memory_s`: τ_e of each, seconds ≥ 0.
    /// C′_ij = [C_ij(1 − e^{−g/τ_i}e^{−g/τ_j}) + ρ_iρ_jP∞(φ_ij − φ_iφ_j)]/((1 − ρ_iφ_i)(1 − ρ_jφ_j)), φ_ij = e^{−κ_μ|dt_i − dt_j|},
    /// g = min(dt_i, dt_j), endless where nothing carries over;
    /// w = C′⁻¹1/(1ᵀC′⁻¹1), z̄ = wᵀz′, R̄ = 1/(1ᵀC′⁻¹1).
    ///
    /// # Errors
    /// Lengths that do not match, infinities, a covariance that is not positive definite, a time before the last.
    pub fn fuse(
        &mut self,
        filter: &DriftFilter,
        now_ns: TimestampNs,
        values: &[f64],
        covariance: &[f64],
        memory_s: &[f64],
    ) -> Result<Option<(f64, f64)>> {
        self.fuse_with_fresh(filter, now_ns, values, covariance, memory_s, &[])
    }

    /// [`FeatureFusion::fuse`] of features of whose noise the shares `fresh_share`, 0 or more and below 1, are new at every sight; empty is 0.
    ///
    /// With q = ρ[(1 − k)qφ + k] of the sight before, k the gain of ê and s = ρ²p + (1 − u)(1 − ρ²) + u the noise in it as a share of R:
    /// z′ = (z − ρê)/(1 − qφ), R′ = [R·s + q²P∞(1 − φ²) + stray]/(1 − qφ)²; C_ij is taken times √(s_is_j/((1 − ρ_i²)(1 − ρ_j²))).
    ///
    /// # Errors
    /// As there, and shares of another number or out of range.
    pub fn fuse_with_fresh(
        &mut self,
        filter: &DriftFilter,
        now_ns: TimestampNs,
        values: &[f64],
        covariance: &[f64],
        memory_s: &[f64],
        fresh_share: &[f64],
    ) -> Result<Option<(f64, f64)>> {
        Self::check(filter, now_ns, values, covariance, memory_s)?;
        check_fresh_share("fresh_share", fresh_share, values.len())?;
        self.check_count(values.len())?;
        let mut fused = Fused::default();
        let input = FusionInput { values, covariance, memory_s, noise_factors: &[], fresh_share };
        if !self.fuse_checked(filter, now_ns, &input, &mut fused) {
            return Err(invalid_input("covariance", "(matrix)", "a positive definite matrix", "floor its eigenvalues"));
        }
        Ok((!fused.parts().is_empty()).then(|| (fused.drift(), fused.noise)))
    }

    fn check_count(&self, n: usize) -> Result<()> {
        if !self.last.is_empty() && self.last.len() != n {
            return Err(invalid_input(
                "values",
                format!("{n} values"),
                format!("{} values as before", self.last.len()),
                "a missing feature is NaN, not left out",
            ));
        }
        Ok(())
    }

    fn check(
        filter: &DriftFilter,
        now_ns: TimestampNs,
        values: &[f64],
        covariance: &[f64],
        memory_s: &[f64],
    ) -> Result<()> {
        let n = values.len();
        if n == 0 || n > MAX_FEATURES {
            return Err(invalid_input("values", format!("{n} values"), format!("1 to {MAX_FEATURES} values"), ""));
        }
        if covariance.len() != n * n {
            return Err(invalid_input(
                "covariance",
                format!("{} numbers", covariance.len()),
                format!("{n} × {n} numbers"),
                "",
            ));
        }
        if memory_s.len() != n {
            return Err(invalid_input(
                "noise_memory_s",
                format!("{} numbers", memory_s.len()),
                format!("{n} numbers"),
                "",
            ));
        }
        if let Some(value) = values.iter().find(|value| value.is_infinite() || value.abs() > 1e9) {
            return Err(invalid_input("values", value, "finite numbers, NaN for a missing one", ""));
        }
        if let Some(value) = covariance.iter().find(|value| !value.is_finite()) {
            return Err(invalid_input("covariance", value, "finite numbers", ""));
        }
        if let Some(value) = memory_s.iter().find(|value| !(**value >= 0.0 && value.is_finite())) {
            return Err(invalid_input("noise_memory_s", value, "finite numbers ≥ 0", ""));
        }
        if let Some(last) = filter.time_ns()
            && now_ns < last
        {
            return Err(time_order("time_ns", now_ns, format!("{last} or later"), ""));
        }

        Ok(())
    }

    /// [`FeatureFusion::fuse`] of checked input into `fused`; false, with nothing changed, where C′ is not positive definite.
    pub(crate) fn fuse_checked(
        &mut self,
        filter: &DriftFilter,
        now_ns: TimestampNs,
        input: &FusionInput<'_>,
        fused: &mut Fused,
    ) -> bool {
        let n = input.values.len();
        let stationary = filter.stationary_variance();
        let kappa = filter.mean_reversion_per_s();
        let mut sights = [Sight::default(); MAX_FEATURES];
        let mut m = 0;
        for (place, &value) in input.values.iter().enumerate().filter(|(_, value)| !value.is_nan()) {
            let before = self.last.get(place).copied().flatten();
            sights[m] = Sight::new(place, value, before, now_ns, input, [kappa, stationary]);
            m += 1;
        }
        fused.len = m;
        if m == 0 {
            return true;
        }
        let sights = &sights[..m];
        let mut matrix = [0.0; MAX_FEATURES * MAX_FEATURES];
        let matrix = &mut matrix[..m * m];
        for (row, a) in sights.iter().enumerate() {
            for (column, b) in sights[..=row].iter().enumerate() {
                let (upper, lower) = (input.covariance[a.place * n + b.place], input.covariance[b.place * n + a.place]);
                let error = 0.5 * (upper + lower) * (input.noise_factor(a.place) * input.noise_factor(b.place)).sqrt();
                matrix[row * m + column] = whitened_covariance(a, b, error, stationary, kappa);
            }
        }
        for (part, (row, sight)) in fused.parts.iter_mut().zip(sights.iter().enumerate()) {
            *part = FusedPart { place: sight.place, drift: sight.drift, noise: matrix[row * m + row], weight: 0.0 };
        }
        if !cholesky::factor(matrix, m) {
            return false;
        }
        let mut ones = [1.0; MAX_FEATURES];
        let ones = &mut ones[..m];
        cholesky::solve_lower(matrix, m, ones);
        let precision: f64 = ones.iter().map(|one| one * one).sum();
        if !(precision > 0.0 && precision.is_finite()) {
            return false;
        }
        cholesky::solve_upper(matrix, m, ones);
        fused.noise = 1.0 / precision;
        for (part, weight) in fused.parts.iter_mut().zip(ones.iter()) {
            part.weight = weight / precision;
        }
        self.last.resize(n, None);
        for sight in sights {
            self.last[sight.place] = Some(sight.seen);
        }
        true
    }
}

/// What one cycle's features say, in columns of one length n; `covariance` is n×n.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FusionInput<'a> {
    /// Drift readings, bps/s, NaN = missing.
    pub(crate) values: &'a [f64],
    /// C, row by row, (bps/s)².
    pub(crate) covariance: &'a [f64],
    /// τ_e, s.
    pub(crate) memory_s: &'a [f64],
    /// g of each: C_ij is taken times √(g_i·g_j); empty is 1.
    pub(crate) noise_factors: &'a [f64],
    /// u of each: what share of its noise is new at every sight; empty is 0.
    pub(crate) fresh_share: &'a [f64],
}

impl FusionInput<'_> {
    #[inline]
    fn noise_factor(&self, place: usize) -> f64 {
        self.noise_factors.get(place).copied().unwrap_or(1.0)
    }

    #[inline]
    fn fresh_share(&self, place: usize) -> f64 {
        self.fresh_share.get(place).copied().unwrap_or(0.0)
    }
}

/// One fused observation and what it was made of.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fused {
    parts: [FusedPart; MAX_FEATURES],
    len: usize,
    /// R̄, (bps/s)².
    pub(crate) noise: f64,
}

impl Fused {
    /// The features that had a value.
    pub(crate) fn parts(&self) -> &[FusedPart] {
        &self.parts[..self.len]
    }

    /// z̄, bps/s.
    pub(crate) fn drift(&self) -> f64 {
        self.parts().iter().map(|part| part.weight * part.drift).sum()
    }
}

/// A feature's reading beside what its earlier ones said.
#[derive(Clone, Copy, Debug, Default)]
struct Sight {
    place: usize,
    /// z′, bps/s.
    drift: f64,
    memory_s: f64,
    /// q and φ since the last sight.
    taken: f64,
    decay: f64,
    /// Since the last sight, s; endless where nothing carries over.
    elapsed_s: f64,
    /// Deviation of the noise in z′ over that of noise without a fresh part.
    excess: f64,
    /// Deviation of drifts that have passed in z′, bps/s.
    stray: f64,
    /// What the next sight is to know.
    seen: Seen,
}

impl Sight {
    #[inline]
    fn new(
        place: usize,
        value: f64,
        before: Option<Seen>,
        now_ns: TimestampNs,
        input: &FusionInput<'_>,
        [kappa, stationary]: [f64; 2],
    ) -> Self {
        let (memory_s, fresh) = (input.memory_s[place], input.fresh_share(place));
        let gap_s = before.map_or(f64::INFINITY, |seen| seconds_between(seen.time_ns, now_ns));
        let before = before.unwrap_or_default();
        let share = carried(memory_s, gap_s);
        let decay = if share > 0.0 { exp(-kappa * gap_s) } else { 1.0 };
        let (level, taken) = (share * before.level, share * before.taken);
        let square = share * share;
        let own = 1.0 - square;
        let variance = square * before.variance + (1.0 - fresh) * own;
        let total = variance + fresh;
        let gain = variance / total;
        let rest = 1.0 - gain;
        let stray = square * before.stray;
        let missed = stray + taken * taken * stationary * (1.0 - decay * decay);
        Self {
            place,
            drift: (value - level) / (1.0 - taken * decay),
            memory_s,
            taken,
            decay,
            elapsed_s: if share > 0.0 { gap_s } else { f64::INFINITY },
            excess: (total / own).sqrt(),
            stray: stray.sqrt(),
            seen: Seen {
                time_ns: now_ns,
                level: gain * value + rest * level,
                variance: variance * rest,
                taken: gain + rest * taken * decay,
                stray: rest * rest * missed,
            },
        }
    }
}

/// C′_ij of two sights whose errors have covariance C_ij.
#[inline]
fn whitened_covariance(a: &Sight, b: &Sight, error: f64, stationary: f64, kappa: f64) -> f64 {
    // Noises i and j share what the younger sight does not take out: with C(1 − ρ_iρ_j) of unequal gaps the matrix need
    // not be positive definite.
    let gap = smaller(a.elapsed_s, b.elapsed_s);
    let fresh = (1.0 - correlation(a.memory_s, gap) * correlation(b.memory_s, gap)) * (a.excess * b.excess);
    let share = a.taken * b.taken;
    let common = if share > 0.0 { exp(-kappa * (a.elapsed_s - b.elapsed_s).abs()) - a.decay * b.decay } else { 0.0 };
    (error * fresh + share * stationary * common + a.stray * b.stray)
        / ((1.0 - a.taken * a.decay) * (1.0 - b.taken * b.decay))
}

/// Refuses shares of fresh noise that are not one a feature, or none at all, each 0 or more and below 1.
pub(crate) fn check_fresh_share(field: &str, fresh_share: &[f64], n: usize) -> Result<()> {
    if !fresh_share.is_empty() && fresh_share.len() != n {
        let found = format!("{} numbers", fresh_share.len());
        return Err(invalid_input(field.to_owned(), found, format!("{n} numbers, or none"), ""));
    }
    if let Some(share) = fresh_share.iter().find(|share| !(0.0..=MAX_FRESH_SHARE).contains(*share)) {
        return Err(invalid_input(field.to_owned(), share, format!("0 to {MAX_FRESH_SHARE}"), ""));
    }
    Ok(())
}
