//! Named markets: parameters of the agents, the contract they trade and its fees.
//!
//! `eth`, `btc`, `sol` and `wlfi` were fitted to 35 minutes of a recording of 2025-09-04 (books, best prices, trades) by
//! `hypermm market fit`. There is no recording of HYPE: `hype` has volatility and fee of one account's own fills of
//! February 2026; what those do not tell is set by hand.

mod fitted;

use std::borrow::Cow;

use hypermm_core::error::{Result, invalid_input};
use hypermm_core::instrument::Instrument;

use crate::market::parameters::MarketParameters;

const FUNDING_INTERVAL_S: f64 = 3600.0;
const MIN_NOTIONAL_USD: f64 = 10.0;

/// Fees a preset may have, bps.
const FEES_BPS: std::ops::RangeInclusive<f64> = -10.0..=100.0;

/// A market by name.
#[derive(Clone, Debug, PartialEq)]
pub struct MarketPreset {
    /// Name.
    pub name: Cow<'static, str>,
    /// What it is like, in a line.
    pub text: Cow<'static, str>,
    /// Venue symbol of the contract.
    pub coin: Cow<'static, str>,
    /// Decimal places of a size.
    pub size_decimals: u32,
    /// Largest leverage.
    pub max_leverage: u32,
    /// Maker fee, bps.
    pub maker_fee_bps: f64,
    /// Taker fee, bps.
    pub taker_fee_bps: f64,
    /// The agents.
    pub parameters: MarketParameters,
}

impl MarketPreset {
    /// All of them.
    pub const ALL: &'static [Self] = &[HYPE, fitted::ETH, fitted::BTC, fitted::SOL, fitted::WLFI];

    /// The preset called `name`, in capitals or not.
    ///
    /// # Errors
    /// [`hypermm_core::error::Error::InvalidInput`] with the names there are.
    pub fn named(name: &str) -> Result<Self> {
        Self::ALL.iter().find(|preset| preset.name.eq_ignore_ascii_case(name)).cloned().ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|preset| preset.name.as_ref()).collect();
            invalid_input("preset", name, format!("one of {}", names.join(", ")), "")
        })
    }

    /// Checks name, contract, fees and parameters.
    ///
    /// # Errors
    /// [`hypermm_core::error::Error::InvalidInput`] naming what is out of range.
    pub fn validate(&self) -> Result<()> {
        if self.name.trim().is_empty() {
            return Err(invalid_input("name", self.name.as_ref(), "a name", ""));
        }
        for (field, fee) in [("maker_fee_bps", self.maker_fee_bps), ("taker_fee_bps", self.taker_fee_bps)] {
            if !FEES_BPS.contains(&fee) {
                return Err(invalid_input(field, fee, "-10 to 100 bps", ""));
            }
        }
        self.instrument()?;
        self.parameters.validate()
    }

    /// The contract.
    ///
    /// # Errors
    /// As [`Instrument::new`].
    pub fn instrument(&self) -> Result<Instrument> {
        Instrument::new(&self.coin, self.size_decimals, self.max_leverage, MIN_NOTIONAL_USD, FUNDING_INTERVAL_S)
    }
}

/// HYPE in February 2026. Measured on an account's own fills: the maker fee, and quotes 0.17 bps (half a tick) to 9.8 bps
/// from the mid (5 % and 95 %), so the spread was one tick at times. σ is that stated with the data; mids at placement of
/// one evening give 1.3 bps/√s over gaps of 10 to 300 s. Not to be had from such fills: depth, trade rate, sizes, reach.
/// They are set by hand: spread about 0.9 bps, 0.9 aggressor events a second.
const HYPE: MarketPreset = MarketPreset {
    name: Cow::Borrowed("hype"),
    text: Cow::Borrowed("HYPE, February 2026: 1.7 bps/√s, thin book"),
    coin: Cow::Borrowed("HYPE"),
    size_decimals: 2,
    max_leverage: 10,
    maker_fee_bps: 1.44,
    taker_fee_bps: 4.32,
    parameters: HYPE_PARAMETERS,
};

/// Agents of [`HYPE`], of the incidents too.
pub(crate) const HYPE_PARAMETERS: MarketParameters = MarketParameters {
    start_price: 30.0,
    volatility_bps: 1.7,
    stickiness_bps: 1.4,
    follow_share: 0.7,
    drift_reversion_per_s: 0.03,
    drift_deviation_bps_per_s: 0.1,
    jump_rate_per_hour: 6.0,
    jump_deviation_bps: 12.0,
    quiet_dwell_s: 120.0,
    normal_dwell_s: 180.0,
    volatile_dwell_s: 40.0,
    cascade_dwell_s: 6.0,
    quiet_volatility: 0.7,
    volatile_volatility: 1.6,
    cascade_volatility: 3.0,
    quiet_activity: 0.6,
    volatile_activity: 1.8,
    cascade_activity: 4.0,
    half_spread_bps: 0.25,
    touch_orders: 1.0,
    near_levels: 12.0,
    level_orders: 1.0,
    touch_presence: 1.0,
    near_spacing_ticks: 1.0,
    far_levels: 16.0,
    far_spacing_bps: 3.0,
    touch_size: 20.0,
    level_size: 10.0,
    size_growth_per_bps: 0.3,
    far_size: 2.0,
    size_deviation: 1.0,
    touch_size_deviation: 1.6,
    thinness_bps: 2.0,
    lifetime_s: 1.5,
    far_lifetime_s: 20.0,
    replenish_s: 0.5,
    reaction_s: 0.025,
    thinning: 0.0,
    tilt_pressure: 3.0,
    tilt_drift: 0.7,
    tilt_flow: 0.0,
    flow_memory_s: 30.0,
    event_rate_per_s: 0.7,
    self_excitation: 0.6,
    cross_excitation: 0.1,
    excitation_decay_per_s: 0.3,
    depth_decay_per_bps: 0.5,
    event_size: 2.0,
    event_size_deviation: 1.6,
    sweep_share: 0.15,
    informed_rate_per_s: 0.15,
    informed_size: 4.0,
    informed_sweep_share: 0.0,
    informed_by_drift: 0.4,
    informed_by_pressure: 0.5,
    arbitrage_margin_bps: 0.05,
    arbitrage_reaction_s: 0.0,
    liquidation_trigger_bps: 40.0,
    liquidation_window_s: 30.0,
    liquidation_size: 150.0,
    liquidation_decay: 0.8,
    liquidation_orders: 6.0,
    liquidation_interval_s: 0.4,
    liquidation_impact_bps: 0.5,
    premium_mean: 0.0,
    premium_deviation: 3e-4,
    premium_reversion_per_hour: 0.3,
};
