//! Costs and mark-ups per side, MODEL.md section 9: bps, additive, never a multiplier.

use serde::{Deserialize, Serialize};

use crate::config::EngineConfig;
use crate::estimators::estimates::Estimates;
use crate::online::lanes::smaller;

/// Price the venue sells a request at, USD: no shadow price exceeds it.
pub const VENUE_REQUEST_PRICE_USD: f64 = 5e-4;
/// Requests credited per USD traded.
pub const REQUEST_CREDIT_PER_USD: f64 = 1.0;

/// Every cost of one side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SideCosts {
    /// Maker fee; negative is a rebate.
    pub fee: f64,
    /// AS_s: what toxicity foretells and what our fills taught beyond it.
    pub adverse_selection: f64,
    /// Cancel race; 0 until learned.
    pub race: f64,
    /// Log-odds of an adverse fill; 0 until learned.
    pub log_odds: f64,
    /// w_q(1/h − 1).
    pub quota: f64,
    /// Elasticity mark-up; 0 until learned.
    pub mark_up: f64,
    /// What the bound takes off the last four; ≤ 0.
    pub bound_relief: f64,
}

impl SideCosts {
    /// The costs with log-odds + quota + mark-up + race bounded.
    #[inline]
    #[must_use]
    pub fn bounded(mut self, bound_bps: f64) -> Self {
        let bounded = self.race + self.log_odds + self.quota + self.mark_up;
        self.bound_relief = smaller(bound_bps - bounded, 0.0);
        self
    }

    /// cost_s in δ_s.
    #[inline]
    #[must_use]
    pub fn in_depth(&self) -> f64 {
        self.fee + self.adverse_selection + self.race + self.log_odds + self.quota + self.mark_up + self.bound_relief
    }

    /// Costs of a fill itself: fee + adverse selection + race.
    #[inline]
    #[must_use]
    pub fn in_margin(&self) -> f64 {
        self.fee + self.adverse_selection + self.race
    }
}

/// The part of AS_s that toxicity foretells: a₀·toxicity·σ_eff·√10·(1 + κ_tail·kurtosis), bps at 10 s. `side` 0 is bids, 1 asks.
#[inline]
#[must_use]
pub fn toxic_adverse_selection(config: &EngineConfig, estimates: &Estimates, side: usize) -> f64 {
    const SQRT_10: f64 = 3.162_277_660_168_379_5;
    let ratio = config.adverse_selection_ratio_in_force();
    let diffusion = ratio * estimates.toxicities[side] * estimates.effective_volatility * SQRT_10;
    diffusion * (1.0 + config.tail_factor_in_force() * estimates.excess_kurtosis)
}

/// w_q(1/h − 1), bps.
#[inline]
#[must_use]
pub fn quota_widening(weight_bps: f64, headroom: f64) -> f64 {
    weight_bps * (1.0 / headroom - 1.0)
}

/// λ_req = min(λ₀(1/h − 1), 5e-4 USD): shadow price of one request.
#[inline]
#[must_use]
pub fn request_price(base_usd: f64, headroom: f64) -> f64 {
    smaller(base_usd * (1.0 / headroom - 1.0), VENUE_REQUEST_PRICE_USD)
}

/// Levels a side: 1 + ⌊(n_max − 1)h + 1e-9⌋.
#[inline]
#[must_use]
pub fn affordable_levels(max_levels: u32, headroom: f64) -> usize {
    1 + ((f64::from(max_levels) - 1.0) * headroom + 1e-9) as usize
}
