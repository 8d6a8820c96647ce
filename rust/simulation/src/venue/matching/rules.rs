//! Facts of the contracts and rules of the venue, with the venue's own numbers as defaults.

use hypermm_core::accounting::ledger::Micros;
use hypermm_core::error::{Result, invalid_input, require_positive};
use hypermm_core::instrument::Instrument;
use hypermm_core::types::TimestampNs;

use super::order::AccountId;
use crate::venue::fees::{FeeRates, FeeScale};

pub(super) const MICROS_PER_USD: Micros = 1_000_000;
const NS_PER_S: TimestampNs = 1_000_000_000;

/// From this position value on, only so much leverage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarginTier {
    /// Position value where the tier begins, micros; 0 for the first.
    pub lower_bound: Micros,
    /// Largest leverage in it.
    pub max_leverage: u32,
}

/// One contract at the venue.
#[derive(Clone, Debug, PartialEq)]
pub struct AssetSettings {
    /// Grid, lot, minimum notional, leverage.
    pub instrument: Instrument,
    /// No cross margin.
    pub isolated_only: bool,
    /// Margin once moved into an isolated position stays there.
    pub keeps_isolated_margin: bool,
    /// Money and cross margin are shared with the contracts of the same clearinghouse only, counted from 0.
    pub clearinghouse: u32,
    /// How the contract scales fees.
    pub fee_scale: FeeScale,
    /// Tiers in order of their bounds; empty = one tier at the instrument's leverage.
    pub margin_tiers: Vec<MarginTier>,
    /// Open interest, micros at the mark, from which on no position may grow; `None` = no cap.
    pub open_interest_cap: Option<Micros>,
}

impl AssetSettings {
    /// A contract with cross margin, one tier, no deployer and no cap.
    #[must_use]
    pub fn new(instrument: Instrument) -> Self {
        Self {
            instrument,
            isolated_only: false,
            keeps_isolated_margin: false,
            clearinghouse: 0,
            fee_scale: FeeScale::default(),
            margin_tiers: Vec::new(),
            open_interest_cap: None,
        }
    }
}

/// Rules over all contracts. The minimum notional is a fact of the instrument.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VenueRules {
    /// Counts and limits requests.
    pub request_quota: bool,
    /// Requests of an account that has traded nothing.
    pub initial_requests: u64,
    /// Cancels may go this far past the limit, and never past twice the limit.
    pub extra_cancels: u64,
    /// One request per this long once the limit is reached, ns.
    pub exhausted_interval_ns: TimestampNs,
    /// Open orders of an account that has traded nothing; from here on reduce-only orders are refused.
    pub open_orders: u32,
    /// Volume that earns one more open order, micros.
    pub volume_per_open_order: Micros,
    /// Open orders at most.
    pub max_open_orders: u32,
    /// Largest distance of a limit price from the mark, fraction of it.
    pub max_price_distance: f64,
    /// Refuses orders above the largest value for the contract's leverage.
    pub order_value_limit: bool,
    /// Leverage of an account that has set none, capped by the contract's.
    pub default_leverage: u32,
    /// Lifetime volume before the dead-man switch may be set, micros.
    pub schedule_cancel_volume: Micros,
    /// Least notice of the dead-man switch, ns.
    pub schedule_cancel_notice_ns: TimestampNs,
    /// How often it may fire in a UTC day.
    pub schedule_cancels_per_day: u32,
    /// Positions worth more than this, micros, are liquidated in slices.
    pub liquidation_slice_above: Micros,
    /// Size of a slice, fraction of the position.
    pub liquidation_slice: f64,
    /// After a slice, for this long, the next order is for the whole position, ns.
    pub liquidation_cooldown_ns: TimestampNs,
}

impl Default for VenueRules {
    fn default() -> Self {
        Self {
            request_quota: true,
            initial_requests: 10_000,
            extra_cancels: 100_000,
            exhausted_interval_ns: 10 * NS_PER_S,
            open_orders: 1_000,
            volume_per_open_order: 5_000_000 * MICROS_PER_USD,
            max_open_orders: 5_000,
            max_price_distance: 0.95,
            order_value_limit: true,
            default_leverage: 20,
            schedule_cancel_volume: 1_000_000 * MICROS_PER_USD,
            schedule_cancel_notice_ns: 5 * NS_PER_S,
            schedule_cancels_per_day: 10,
            liquidation_slice_above: 100_000 * MICROS_PER_USD,
            liquidation_slice: 0.2,
            liquidation_cooldown_ns: 30 * NS_PER_S,
        }
    }
}

impl VenueRules {
    pub(super) fn check(&self) -> Result<()> {
        require_positive("max_price_distance", self.max_price_distance)?;
        if !(self.liquidation_slice > 0.0 && self.liquidation_slice <= 1.0) {
            return Err(invalid_input("liquidation_slice", self.liquidation_slice, "above 0, at most 1", ""));
        }
        if self.default_leverage == 0 {
            return Err(invalid_input("default_leverage", self.default_leverage, "1 or more", ""));
        }
        if self.volume_per_open_order <= 0 {
            return Err(invalid_input("volume_per_open_order", "0", "above 0 micros", ""));
        }
        Ok(())
    }

    /// Open orders an account of this volume may have.
    pub(super) fn open_order_limit(&self, volume: Micros) -> u32 {
        let earned = u32::try_from(volume / self.volume_per_open_order).unwrap_or(u32::MAX);
        self.open_orders.saturating_add(earned).min(self.max_open_orders.max(self.open_orders))
    }

    /// Requests an account of this volume may send in its life: one per USD traded.
    pub(super) fn request_limit(&self, volume: Micros, is_cancel: bool) -> u64 {
        let earned = u64::try_from(volume / MICROS_PER_USD).unwrap_or(u64::MAX);
        let limit = self.initial_requests.saturating_add(earned);
        if is_cancel { limit.saturating_add(self.extra_cancels).min(limit.saturating_mul(2)) } else { limit }
    }
}

/// The largest value of a limit order, USD: ten times that of a market order, which goes by the contract's leverage.
#[must_use]
pub fn max_order_value_usd(max_leverage: u32) -> u64 {
    let market = match max_leverage {
        25.. => 30_000_000,
        20..25 => 5_000_000,
        10..20 => 2_000_000,
        _ => 500_000,
    };
    10 * market
}

/// Who trades.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AccountKind {
    /// An account under all rules.
    Trader {
        /// Money at opening, micros, 0 or more, in clearinghouse 0.
        deposit: Micros,
        /// Fee rates.
        fees: FeeRates,
    },
    /// The rest of the market: no fees, no margin, no quotas, never liquidated. Self-trade prevention and the ledger
    /// hold for it as for all.
    Background,
}

/// The account that takes over what liquidation could not sell.
pub const BACKSTOP: AccountId = AccountId(0);
