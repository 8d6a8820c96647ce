//! What the venue knows of an account: its books per contract, its money, its counters.

use hypermm_core::accounting::ledger::{Ledger, Micros};
use hypermm_core::error::Result;
use hypermm_core::types::{Lots, Price, Side, TimestampNs};

use super::book::Ends;
use super::rules::{AccountKind, AssetSettings, VenueRules};
use crate::venue::fees::{FeeRates, FillRates};

/// An account in one contract.
#[derive(Clone, Debug)]
pub(super) struct Position {
    pub(super) ledger: Ledger,
    pub(super) rates: FillRates,
    /// Whose money backs it.
    pub(super) clearinghouse: usize,
    pub(super) leverage: u32,
    pub(super) is_cross: bool,
    /// Money set apart for an isolated position: margin moved in, less what the position cost.
    pub(super) isolated: Micros,
    /// Open orders in the contract, oldest first.
    pub(super) queue: Ends,
    /// How many of them are reduce-only.
    pub(super) reduce_only: u32,
}

impl Position {
    #[inline]
    pub(super) fn size(&self) -> i64 {
        self.ledger.position().0
    }

    /// Largest reduce-only order of this side.
    #[inline]
    pub(super) fn reducible(&self, side: Side) -> i64 {
        let size = self.size();
        match side {
            Side::Buy => (-size).max(0),
            Side::Sell => size.max(0),
        }
    }
}

/// An account.
#[derive(Clone, Debug)]
pub(super) struct Account {
    pub(super) is_background: bool,
    pub(super) fees: FeeRates,
    /// Money not set apart, by clearinghouse: deposit + transfers + Σ cash of the ledgers − Σ isolated.
    pub(super) cash: Vec<Micros>,
    pub(super) positions: Vec<Position>,
    /// Volume that counts for limits.
    pub(super) volume: Micros,
    pub(super) requests: u64,
    pub(super) last_request_ns: Option<TimestampNs>,
    pub(super) open_orders: u32,
    pub(super) scheduled_cancel_ns: Option<TimestampNs>,
    /// UTC day of the last firing of the dead-man switch, and how often it fired in it.
    pub(super) scheduled_day: TimestampNs,
    pub(super) scheduled_fired: u32,
    pub(super) whole_liquidation_until_ns: TimestampNs,
}

/// What a fill did to one side.
#[derive(Clone, Copy, Debug)]
pub(super) struct BookedLeg {
    pub(super) position_before: i64,
    pub(super) realized: Micros,
    /// What an isolated position lost beyond its margin.
    pub(super) shortfall: Micros,
}

impl Account {
    pub(super) fn new(kind: AccountKind, assets: &[AssetSettings], rules: &VenueRules) -> Result<Self> {
        let (is_background, deposit, fees) = match kind {
            AccountKind::Trader { deposit, fees } => (false, deposit, fees),
            AccountKind::Background => (true, 0, FeeRates::FREE),
        };
        let clearinghouses = assets.iter().map(|asset| asset.clearinghouse as usize + 1).max().unwrap_or(1);
        let mut cash = vec![0; clearinghouses];
        cash[0] = deposit;
        let mut account = Self {
            is_background,
            fees,
            cash,
            positions: Vec::with_capacity(assets.len()),
            volume: 0,
            requests: 0,
            last_request_ns: None,
            open_orders: 0,
            scheduled_cancel_ns: None,
            scheduled_day: 0,
            scheduled_fired: 0,
            whole_liquidation_until_ns: 0,
        };
        for asset in assets {
            account.positions.push(Position {
                ledger: Ledger::new(0.0)?,
                rates: fees.in_contract(&asset.fee_scale)?,
                clearinghouse: asset.clearinghouse as usize,
                leverage: rules.default_leverage.min(asset.instrument.max_leverage()),
                is_cross: !asset.isolated_only,
                isolated: 0,
                queue: Ends::default(),
                reduce_only: 0,
            });
        }
        Ok(account)
    }

    /// Books a fill at its stated fee. `margin_price` values what an isolated position opens, half price units.
    ///
    /// # Errors
    /// As [`Ledger::on_fill`]; nothing is booked.
    #[inline]
    pub(super) fn book(
        &mut self,
        asset: usize,
        side: Side,
        price: Price,
        size: i64,
        fee: Micros,
        margin_price: i64,
    ) -> Result<BookedLeg> {
        let position = &mut self.positions[asset];
        let before = position.size();
        let booked = position.ledger.on_fill(side, price, Lots(size), Some(fee))?;
        let paid = if side == Side::Buy { booked.notional } else { -booked.notional };
        let cash = &mut self.cash[position.clearinghouse];
        *cash -= fee;
        let mut shortfall = 0;
        if position.is_cross {
            *cash -= paid;
        } else {
            shortfall = self.book_isolated(asset, before, price, paid, margin_price);
        }
        Ok(BookedLeg { position_before: before, realized: booked.realized, shortfall })
    }

    /// Closing releases the part's share of what the position is worth, at the price of the trade; opening sets
    /// initial margin apart. What is missing when the position ends below zero is not the account's loss.
    #[cold]
    fn book_isolated(&mut self, asset: usize, before: i64, price: Price, paid: Micros, margin_price: i64) -> Micros {
        let position = &mut self.positions[asset];
        let after = position.size();
        position.isolated -= paid;
        let flipped = (before > 0 && after < 0) || (before < 0 && after > 0);
        let kept = if flipped { 0 } else { before.abs().min(after.abs()) };
        let mut shortfall = 0;
        if kept < before.abs() {
            // Worth at this price, whatever part of it is opened anew included: that part is worth nothing yet.
            let worth = position.isolated + Micros::from(after) * Micros::from(price.0);
            let mut released = worth * Micros::from(before.abs() - kept) / Micros::from(before.abs());
            if released < 0 {
                shortfall = -released;
                position.isolated += shortfall;
                released = 0;
            }
            position.isolated -= released;
            self.cash[position.clearinghouse] += released;
        }
        let opened = Micros::from(after.abs() - kept);
        let margin = opened * Micros::from(margin_price) / (2 * Micros::from(position.leverage));
        position.isolated += margin;
        self.cash[position.clearinghouse] -= margin;
        shortfall
    }
}

/// Money and counters of an account, as the venue shows them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AccountView {
    /// Outside all rules but self-trade prevention.
    pub is_background: bool,
    /// Money that backs cross positions and orders: deposit − what positions cost − fees − funding − isolated margin.
    pub cash: Micros,
    /// Cash plus cross positions at the mark.
    pub cross_value: Micros,
    /// Cross value plus isolated positions with their margin.
    pub account_value: Micros,
    /// Initial margin of cross positions.
    pub cross_initial_margin: Micros,
    /// Maintenance margin of cross positions.
    pub cross_maintenance_margin: Micros,
    /// What may be taken out: cross value less the larger of initial margin and a tenth of the position value.
    pub withdrawable: Micros,
    /// Volume that counts for limits.
    pub volume: Micros,
    /// Requests sent.
    pub requests_used: u64,
    /// Requests allowed.
    pub requests_cap: u64,
    /// Requests up to which cancels are allowed.
    pub cancels_cap: u64,
    /// Open orders.
    pub open_orders: u32,
    /// Open orders allowed.
    pub open_orders_cap: u32,
    /// When the dead-man switch fires.
    pub scheduled_cancel_ns: Option<TimestampNs>,
    /// Fee rates before contracts' scales.
    pub fees: FeeRates,
}

/// A position as the venue shows it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PositionView {
    /// + = long.
    pub size: Lots,
    /// Average entry, price units; `None` when flat.
    pub entry: Option<f64>,
    /// Size at the mark, 0 or more.
    pub value: Micros,
    /// Profit of what is open, at the mark.
    pub unrealized: Micros,
    /// Leverage set.
    pub leverage: u32,
    /// Backed by all cash of its clearinghouse.
    pub is_cross: bool,
    /// Largest leverage at its value.
    pub max_leverage: u32,
    /// Cross: initial margin. Isolated: margin with profit.
    pub margin_used: Micros,
    /// Below this it is liquidated.
    pub maintenance_margin: Micros,
    /// Isolated: money set apart, less what the position cost; 0 for cross.
    pub isolated_cash: Micros,
}
