//! Parts of the pricing layer with their arguments checked, for use outside the engine.

use super::reservation::half_spread;
use super::risk::{InventoryRisk, glft_power, horizon, validity};
use crate::error::{Result, invalid_input, require_finite, require_positive};
use crate::types::Side;

/// τ of two unequal sides, seconds: [`horizon`] with k = (k_b + k_a)/2 and L = √(A_b·A_a).
///
/// # Errors
/// A number that is not finite and positive, or a minimum above the maximum.
#[allow(clippy::too_many_arguments, reason = "the formula's own arguments")]
pub fn two_sided_horizon(
    volatility: f64,
    decays: [f64; 2],
    intensities: [f64; 2],
    risk_aversion: f64,
    minimum_s: f64,
    maximum_s: f64,
) -> Result<f64> {
    for (field, value) in [
        ("volatility", volatility),
        ("bid_decay", decays[0]),
        ("ask_decay", decays[1]),
        ("bid_intensity", intensities[0]),
        ("ask_intensity", intensities[1]),
        ("risk_aversion", risk_aversion),
        ("minimum_s", minimum_s),
        ("maximum_s", maximum_s),
    ] {
        require_positive(field, value)?;
    }
    if minimum_s > maximum_s {
        return Err(invalid_input("minimum_s", minimum_s, format!("at most maximum_s = {maximum_s}"), ""));
    }
    let decay = 0.5 * (decays[0] + decays[1]);
    let intensity = (intensities[0] * intensities[1]).sqrt();
    let power = glft_power(decay, risk_aversion, half_spread(risk_aversion, decay));
    Ok(horizon(volatility, decay, intensity, risk_aversion, power, minimum_s, maximum_s))
}

/// (a, s_a) of [`validity`].
///
/// # Errors
/// A number that is not finite and positive.
pub fn checked_validity(volatility: f64, depth_decay: f64, intensity: f64, risk_aversion: f64) -> Result<(f64, f64)> {
    require_positive("volatility", volatility)?;
    require_positive("depth_decay", depth_decay)?;
    require_positive("intensity", intensity)?;
    require_positive("risk_aversion", risk_aversion)?;
    let power = glft_power(depth_decay, risk_aversion, half_spread(risk_aversion, depth_decay));
    Ok(validity(volatility, depth_decay, intensity, risk_aversion, power))
}

/// Value of one order a contract, bps: P·(depth − costs + sgn·(D − C + F − R(x))), sgn +1 for our buy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PnlTerms {
    /// D, bps.
    pub drift_shift: f64,
    /// C, bps.
    pub carry: f64,
    /// F, bps.
    pub flow_shift: f64,
    /// Adverse selection, fee, race and request together, bps.
    pub costs: f64,
    /// P.
    pub fill_probability: f64,
    /// R(x), bps.
    pub penalty: f64,
}

impl PnlTerms {
    /// Expected PnL of an order `depth_bps` away from mid on `side`, bps.
    ///
    /// # Errors
    /// A number that is not finite, or a probability outside 0 to 1.
    pub fn expected_pnl(&self, depth_bps: f64, side: Side) -> Result<f64> {
        for (field, value) in [
            ("depth_bps", depth_bps),
            ("drift_shift", self.drift_shift),
            ("carry", self.carry),
            ("flow_shift", self.flow_shift),
            ("costs", self.costs),
            ("penalty", self.penalty),
        ] {
            require_finite(field, value)?;
        }
        if !(0.0..=1.0).contains(&self.fill_probability) {
            return Err(invalid_input("fill_probability", self.fill_probability, "0 to 1", ""));
        }
        let shift = self.drift_shift - self.carry + self.flow_shift - self.penalty;
        Ok(self.fill_probability * (depth_bps - self.costs + side.sign() * shift))
    }
}

/// Contracts worth trading on `side` at a gross margin: from x to R⁻¹(±margin), never past the cap; 0 when it does not pay.
///
/// # Errors
/// A number that is not finite, or a `max_position` that is not positive.
pub fn optimal_size(
    margin_bps: f64,
    side: Side,
    inventory_fraction: f64,
    risk: &InventoryRisk,
    max_position: f64,
) -> Result<f64> {
    require_finite("margin_bps", margin_bps)?;
    require_finite("inventory_fraction", inventory_fraction)?;
    require_positive("max_position", max_position)?;
    let target = risk.clamped_inverse(side.sign() * margin_bps);
    Ok((side.sign() * (target - inventory_fraction)).max(0.0) * max_position)
}

/// Levels that landed on one price become one: its cumulative size is the largest so far. Returns prices and sizes; a level whose
/// cumulative size adds nothing has size 0.
///
/// # Errors
/// Lengths that differ, a price that is not positive, a negative size, prices neither falling nor rising throughout.
pub fn merge_levels(prices: &[f64], cumulative_sizes: &[f64]) -> Result<(Vec<f64>, Vec<f64>)> {
    if prices.len() != cumulative_sizes.len() {
        let found = format!("{} rows", cumulative_sizes.len());
        return Err(invalid_input("cumulative_sizes", found, format!("{} rows, as many as prices", prices.len()), ""));
    }
    let mut merged: Vec<f64> = Vec::new();
    let mut sizes: Vec<f64> = Vec::new();
    let mut largest = 0.0;
    let mut direction = 0.0;
    for (&price, &cumulative) in prices.iter().zip(cumulative_sizes) {
        require_positive("prices", price)?;
        if !(cumulative >= 0.0 && cumulative.is_finite()) {
            return Err(invalid_input("cumulative_sizes", cumulative, "finite numbers ≥ 0", ""));
        }
        let added = f64::max(cumulative - largest, 0.0);
        largest = f64::max(largest, cumulative);
        match (merged.last(), sizes.last_mut()) {
            (Some(&last), Some(size)) if last == price => *size += added,
            (last, _) => {
                let step = last.map_or(0.0, |last| (price - last).signum());
                if step * direction < 0.0 {
                    return Err(invalid_input("prices", price, "prices that only fall or only rise", ""));
                }
                direction = step;
                merged.push(price);
                sizes.push(added);
            }
        }
    }
    Ok((merged, sizes))
}
