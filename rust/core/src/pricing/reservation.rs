//! Terms of the reservation price, MODEL.md section 4: r = D − R(x) − C + F, bps from mid.

use crate::error::{Result, invalid_input, require_finite, require_positive};

/// τ_D = τ/((1 + √a/6)⁻⁴ + a²/16)^¼, seconds: the horizon over which drift is worth what the exact quotes pay for it.
///
/// With τ = √a/(kγ₀σ²) a lasting drift is worth (√a + a/6)/(kγ₀σ²) per unit for a small `validity` a, and 2/(kγ₀σ²) for a
/// large one, where one clip is all that is ever held; τ_D passes from one to the other.
#[inline]
#[must_use]
pub fn drift_horizon(horizon_s: f64, validity: f64) -> f64 {
    let small = 1.0 + validity.sqrt() / 6.0;
    let inverse = 1.0 / (small * small);
    horizon_s / (inverse * inverse + validity * validity / 16.0).sqrt().sqrt()
}

/// D = μ̂·τ_D/(1 + κ_μτ_D), bps: value of the drift over its horizon, [`drift_horizon`].
#[inline]
#[must_use]
pub fn drift_shift(drift_bps_per_s: f64, mean_reversion_per_s: f64, horizon_s: f64) -> f64 {
    drift_bps_per_s * horizon_s / (1.0 + mean_reversion_per_s * horizon_s)
}

/// D with its arguments checked, for callers outside the engine: `horizon_s` is τ, `validity` the a that makes it τ_D.
///
/// # Errors
/// A drift that is not finite, κ_μ or τ not finite and positive, a negative `validity`.
pub fn checked_drift_shift(
    drift_bps_per_s: f64,
    mean_reversion_per_s: f64,
    horizon_s: f64,
    validity: f64,
) -> Result<f64> {
    require_finite("drift", drift_bps_per_s)?;
    require_positive("mean_reversion_per_s", mean_reversion_per_s)?;
    require_positive("horizon_s", horizon_s)?;
    if !(validity >= 0.0 && validity.is_finite()) {
        return Err(invalid_input("validity", validity, "a finite number ≥ 0", "the first of InventoryRisk.validity"));
    }
    Ok(drift_shift(drift_bps_per_s, mean_reversion_per_s, drift_horizon(horizon_s, validity)))
}

/// (1/γ₀)·ln(1 + γ₀/k), bps: GLFT's half-spread at the limit of an infinitely patient market maker.
///
/// # Errors
/// A number that is not finite and positive.
pub fn glft_half_spread(risk_aversion: f64, depth_decay: f64) -> Result<f64> {
    require_positive("risk_aversion", risk_aversion)?;
    require_positive("depth_decay", depth_decay)?;
    Ok(half_spread(risk_aversion, depth_decay))
}

#[inline]
pub(crate) fn half_spread(risk_aversion: f64, depth_decay: f64) -> f64 {
    libm::log1p(risk_aversion / depth_decay) / risk_aversion
}

/// F = ln(Λ_a/Λ_b)/(k_a + k_b)/(1 + τ/τ_f), bps, within ±½ of `half_spread_bps` (at k = (k_b + k_a)/2): unequal arrival rates move
/// both quotes. Pairs are (bid, ask).
#[inline]
#[must_use]
pub(crate) fn flow_shift(
    rates: [f64; 2],
    decays: [f64; 2],
    half_spread_bps: f64,
    horizon_s: f64,
    memory_s: f64,
) -> f64 {
    let bound = 0.5 * half_spread_bps;
    let raw = libm::log(rates[1] / rates[0]) / (decays[0] + decays[1]) / (1.0 + horizon_s / memory_s);
    raw.clamp(-bound, bound)
}

/// F with its arguments checked, for callers outside the engine.
///
/// # Errors
/// A number that is not finite and positive.
pub fn checked_flow_shift(
    sell_rate: f64,
    buy_rate: f64,
    bid_decay: f64,
    ask_decay: f64,
    risk_aversion: f64,
    horizon_s: f64,
    memory_s: f64,
) -> Result<f64> {
    for (field, value) in [
        ("sell_rate", sell_rate),
        ("buy_rate", buy_rate),
        ("bid_decay", bid_decay),
        ("ask_decay", ask_decay),
        ("risk_aversion", risk_aversion),
        ("horizon_s", horizon_s),
        ("memory_s", memory_s),
    ] {
        require_positive(field, value)?;
    }
    let half = half_spread(risk_aversion, 0.5 * (bid_decay + ask_decay));
    let shift = flow_shift([sell_rate, buy_rate], [bid_decay, ask_decay], half, horizon_s, memory_s);
    require_finite("flow_shift", shift)?;
    Ok(shift)
}
