//! Named markets: parameters of the agents, the contract they trade and its fees.
//!
//! `eth` was held against 35 minutes of a recording of 2025-09-04 (books, best prices, trades). `hype` has volatility and
//! fee of an account's own fills of February 2026; those tell neither depth nor trade rate, so both are set by hand.

use hypermm_core::error::{Result, invalid_input};
use hypermm_core::instrument::Instrument;

use crate::market::parameters::MarketParameters;

const FUNDING_INTERVAL_S: f64 = 3600.0;
const MIN_NOTIONAL_USD: f64 = 10.0;

/// A market by name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MarketPreset {
    /// Name.
    pub name: &'static str,
    /// What it is like, in a line.
    pub text: &'static str,
    /// Venue symbol of the contract.
    pub coin: &'static str,
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
    pub const ALL: &'static [Self] = &[HYPE, ETH];

    /// The preset called `name`.
    ///
    /// # Errors
    /// [`hypermm_core::error::Error::InvalidInput`] with the names there are.
    pub fn named(name: &str) -> Result<Self> {
        Self::ALL.iter().find(|preset| preset.name == name).copied().ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|preset| preset.name).collect();
            invalid_input("preset", name, format!("one of {}", names.join(", ")), "")
        })
    }

    /// The contract.
    ///
    /// # Errors
    /// As [`Instrument::new`].
    pub fn instrument(&self) -> Result<Instrument> {
        Instrument::new(self.coin, self.size_decimals, self.max_leverage, MIN_NOTIONAL_USD, FUNDING_INTERVAL_S)
    }
}

/// HYPE in February 2026. Measured: σ, maker fee, and that quotes stood as near as half a tick (0.17 bps) to the mid. By
/// hand: all else, such that an order 2 bps from the mid is reached about once in forty seconds, as the fills were.
const HYPE: MarketPreset = MarketPreset {
    name: "hype",
    text: "HYPE, February 2026: 1.7 bps/√s, thin book",
    coin: "HYPE",
    size_decimals: 2,
    max_leverage: 10,
    maker_fee_bps: 1.44,
    taker_fee_bps: 4.32,
    parameters: MarketParameters {
        start_price: 30.0,
        volatility_bps: 1.7,
        stickiness_bps: 1.0,
        drift_reversion_per_s: 0.02,
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
        touch_orders: 2.0,
        near_levels: 12.0,
        near_spacing_ticks: 1.0,
        far_levels: 16.0,
        far_spacing_bps: 3.0,
        touch_size: 15.0,
        level_size: 10.0,
        size_growth_per_bps: 0.3,
        far_size: 2.0,
        size_deviation: 1.2,
        lifetime_s: 3.0,
        far_lifetime_s: 20.0,
        replenish_s: 0.5,
        reaction_s: 0.04,
        tilt_pressure: 1.0,
        tilt_drift: 0.7,
        tilt_flow: 0.0,
        flow_memory_s: 30.0,
        event_rate_per_s: 0.5,
        self_excitation: 0.6,
        cross_excitation: 0.1,
        excitation_decay_per_s: 0.3,
        depth_decay_per_bps: 0.5,
        event_size: 2.0,
        event_size_deviation: 1.6,
        sweep_share: 0.2,
        informed_rate_per_s: 0.15,
        informed_size: 4.0,
        informed_by_drift: 0.5,
        informed_by_pressure: 0.5,
        arbitrage_margin_bps: 0.05,
        arbitrage_reaction_s: 0.1,
        liquidation_trigger_bps: 40.0,
        liquidation_window_s: 30.0,
        liquidation_size: 150.0,
        liquidation_decay: 0.8,
        liquidation_orders: 8.0,
        liquidation_interval_s: 0.4,
        liquidation_impact_bps: 0.5,
        premium_mean: 0.0,
        premium_deviation: 3e-4,
        premium_reversion_per_hour: 0.3,
    },
};

/// ETH on 2025-09-04, 19:47 to 20:22 UTC.
const ETH: MarketPreset = MarketPreset {
    name: "eth",
    text: "ETH, 2025-09-04: one tick wide, deep, 1.1 bps/√s",
    coin: "ETH",
    size_decimals: 4,
    max_leverage: 25,
    maker_fee_bps: 1.44,
    taker_fee_bps: 4.32,
    parameters: MarketParameters {
        start_price: 4_286.5,
        volatility_bps: 1.11,
        stickiness_bps: 1.1,
        drift_reversion_per_s: 0.02,
        drift_deviation_bps_per_s: 0.09,
        jump_rate_per_hour: 6.0,
        jump_deviation_bps: 8.0,
        quiet_dwell_s: 120.0,
        normal_dwell_s: 180.0,
        volatile_dwell_s: 40.0,
        cascade_dwell_s: 6.0,
        quiet_volatility: 0.6,
        volatile_volatility: 1.8,
        cascade_volatility: 4.0,
        quiet_activity: 0.6,
        volatile_activity: 1.8,
        cascade_activity: 4.0,
        half_spread_bps: 0.01,
        touch_orders: 2.0,
        near_levels: 20.0,
        near_spacing_ticks: 1.0,
        far_levels: 10.0,
        far_spacing_bps: 2.0,
        touch_size: 20.0,
        level_size: 16.0,
        size_growth_per_bps: 0.5,
        far_size: 2.0,
        size_deviation: 1.6,
        lifetime_s: 2.0,
        far_lifetime_s: 20.0,
        replenish_s: 0.5,
        reaction_s: 0.03,
        tilt_pressure: 2.0,
        tilt_drift: 0.8,
        tilt_flow: 0.0,
        flow_memory_s: 30.0,
        event_rate_per_s: 0.7,
        self_excitation: 0.65,
        cross_excitation: 0.1,
        excitation_decay_per_s: 0.28,
        depth_decay_per_bps: 0.88,
        event_size: 0.1,
        event_size_deviation: 2.9,
        sweep_share: 0.02,
        informed_rate_per_s: 0.3,
        informed_size: 0.1,
        informed_by_drift: 0.5,
        informed_by_pressure: 1.0,
        arbitrage_margin_bps: 0.05,
        arbitrage_reaction_s: 0.1,
        liquidation_trigger_bps: 30.0,
        liquidation_window_s: 30.0,
        liquidation_size: 60.0,
        liquidation_decay: 0.8,
        liquidation_orders: 8.0,
        liquidation_interval_s: 0.3,
        liquidation_impact_bps: 0.3,
        premium_mean: 0.0,
        premium_deviation: 3e-4,
        premium_reversion_per_hour: 0.3,
    },
};
