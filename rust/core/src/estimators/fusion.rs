//! Whitening of slow noise and fusion of correlated features, MODEL.md section 1.

use serde::{Deserialize, Serialize};

use super::drift::DriftFilter;
use crate::error::{Result, invalid_input, time_order};
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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FeatureFusion {
    last: Vec<Option<(TimestampNs, f64)>>,
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
        if !self.last.is_empty() && self.last.len() != n {
            return Err(invalid_input(
                "values",
                format!("{n} values"),
                format!("{} values as before", self.last.len()),
                "a missing feature is NaN, not left out",
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

        let kappa = filter.mean_reversion_per_s();
        let stationary = filter.stationary_variance();
        let mut rows = [0_usize; MAX_FEATURES];
        let mut m = 0;
        let mut rho = [0.0; MAX_FEATURES];
        let mut phi = [1.0; MAX_FEATURES];
        let mut elapsed = [0.0; MAX_FEATURES];
        let mut memory = [0.0; MAX_FEATURES];
        let mut z = [0.0; MAX_FEATURES];
        for (i, &value) in values.iter().enumerate() {
            if value.is_nan() {
                continue;
            }
            let before = self.last.get(i).copied().flatten();
            let (mut carried_share, mut decay, mut dt, mut last) = (0.0, 1.0, 0.0, 0.0);
            if let Some((last_ns, last_value)) = before {
                dt = seconds_between(last_ns, now_ns);
                carried_share = carried(memory_s[i], dt);
                decay = exp(-kappa * dt);
                last = last_value;
            }
            rows[m] = i;
            memory[m] = memory_s[i];
            rho[m] = carried_share;
            phi[m] = decay;
            elapsed[m] = if carried_share > 0.0 { dt } else { f64::INFINITY };
            z[m] = (value - carried_share * last) / (1.0 - carried_share * decay);
            m += 1;
        }
        if m == 0 {
            return Ok(None);
        }
        let mut matrix = [[0.0; MAX_FEATURES]; MAX_FEATURES];
        for a in 0..m {
            for b in 0..=a {
                let c = 0.5 * (covariance[rows[a] * n + rows[b]] + covariance[rows[b] * n + rows[a]]);
                // Noises i and j share what the younger sight does not take out: with C(1 − ρ_iρ_j) of unequal gaps the matrix need
                // not be positive definite.
                let gap = smaller(elapsed[a], elapsed[b]);
                let fresh = 1.0 - correlation(memory[a], gap) * correlation(memory[b], gap);
                let share = rho[a] * rho[b];
                let common =
                    if share > 0.0 { exp(-kappa * (elapsed[a] - elapsed[b]).abs()) - phi[a] * phi[b] } else { 0.0 };
                matrix[a][b] =
                    (c * fresh + share * stationary * common) / ((1.0 - rho[a] * phi[a]) * (1.0 - rho[b] * phi[b]));
            }
        }
        let Some((fused, noise)) = generalized_least_squares(&mut matrix, &z, m) else {
            return Err(invalid_input("covariance", "(matrix)", "a positive definite matrix", "floor its eigenvalues"));
        };
        self.last.resize(n, None);
        for (slot, &value) in self.last.iter_mut().zip(values) {
            if !value.is_nan() {
                *slot = Some((now_ns, value));
            }
        }
        Ok(Some((fused, noise)))
    }
}

/// (1ᵀM⁻¹z/(1ᵀM⁻¹1), 1/(1ᵀM⁻¹1)) by Cholesky of the lower triangle; `None` when M is not positive definite.
fn generalized_least_squares(
    matrix: &mut [[f64; MAX_FEATURES]; MAX_FEATURES],
    z: &[f64; MAX_FEATURES],
    m: usize,
) -> Option<(f64, f64)> {
    for a in 0..m {
        for b in 0..=a {
            let known: f64 = matrix[a][..b].iter().zip(&matrix[b][..b]).map(|(left, right)| left * right).sum();
            let sum = matrix[a][b] - known;
            if a == b {
                if !(sum > 0.0) {
                    return None;
                }
                matrix[a][a] = sum.sqrt();
            } else {
                matrix[a][b] = sum / matrix[b][b];
            }
        }
    }
    let mut ones = [0.0; MAX_FEATURES];
    let mut readings = [0.0; MAX_FEATURES];
    for a in 0..m {
        let (mut one, mut reading) = (1.0, z[a]);
        for b in 0..a {
            one -= matrix[a][b] * ones[b];
            reading -= matrix[a][b] * readings[b];
        }
        ones[a] = one / matrix[a][a];
        readings[a] = reading / matrix[a][a];
    }
    let precision: f64 = ones[..m].iter().map(|one| one * one).sum();
    let weighted: f64 = ones[..m].iter().zip(&readings[..m]).map(|(one, reading)| one * reading).sum();
    (precision > 0.0 && precision.is_finite()).then(|| (weighted / precision, 1.0 / precision))
}
