//! Terms of the reservation price, MODEL.md section 4: r = D − R(x) − C + F, bps from mid.

use crate::error::{Result, require_finite, require_positive};

/// D = μ̂·τ/(1 + κ_μτ), bps: value of the drift over the horizon; exact for OU drift.
#[inline]
#[must_use]
pub fn drift_shift(drift_bps_per_s: f64, mean_reversion_per_s: f64, horizon_s: f64) -> f64 {
    drift_bps_per_s * horizon_s / (1.0 + mean_reversion_per_s * horizon_s)
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
