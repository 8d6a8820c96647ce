//! New reference prices, liquidation by them, and funding.
//!
//! Below maintenance an account's orders are canceled and its position sent to the book: the whole of it, or a slice of
//! a large one, after which, for a while, the next order is for the whole. Below two thirds of maintenance the backstop
//! takes position and margin over, off the book, at the mark. Auto-deleveraging is left out: what is lost beyond an
//! account's money is the backstop's loss, so that no other trader's position is ever closed for it. Checks are made
//! when a reference price comes in, about every 3 s, not after every trade.

use hypermm_core::accounting::ledger::{Mark, Micros};
use hypermm_core::error::{Result, invalid_input};
use hypermm_core::instrument::MAX_UNITS;
use hypermm_core::types::{Lots, Price, Side, TimestampNs};

use super::exchange::Exchange;
use super::margin::value_of;
use super::matcher::Incoming;
use super::order::{AccountId, AssetId, FundingPayment, NewOrder, OrderState, TimeInForce, VenueEvent};
use super::rules::BACKSTOP;

/// What is liquidated together.
#[derive(Clone, Copy, Debug)]
enum Scope {
    /// All cross positions of a clearinghouse.
    Cross(usize),
    /// The isolated position of one contract.
    Isolated(usize),
}

/// Margin behind a position, or behind all cross positions, against what it needs.
#[derive(Clone, Copy, Debug)]
struct Standing {
    equity: Micros,
    maintenance: Micros,
    value: Micros,
}

impl Standing {
    fn is_below(&self) -> bool {
        self.equity < self.maintenance
    }

    /// Too little is left for the book.
    fn is_for_backstop(&self) -> bool {
        3 * self.equity < 2 * self.maintenance
    }
}

impl Exchange {
    /// New oracle and mark of a contract, then liquidation of the accounts they leave below maintenance.
    ///
    /// # Errors
    /// An unknown contract, or a price that is not positive or above 2^52 half units; nothing changes.
    pub fn set_reference(
        &mut self,
        now_ns: TimestampNs,
        asset: AssetId,
        oracle: Mark,
        mark: Mark,
        sink: &mut impl FnMut(&VenueEvent),
    ) -> Result<()> {
        let index = asset.0 as usize;
        for (field, price) in [("oracle_price", oracle), ("mark_price", mark)] {
            if !(1..=2 * MAX_UNITS as i64).contains(&price.0) {
                return Err(invalid_input(field, price.0, "1 to 2^52 half price units", ""));
            }
        }
        let Some(contract) = self.assets.get_mut(index) else {
            return Err(invalid_input("asset", asset.0, "a contract of the exchange", ""));
        };
        contract.oracle = Some(oracle);
        contract.mark = Some(mark);
        for row in 0..self.accounts.len() {
            let account = &self.accounts[row];
            if account.is_background || account.positions[index].size() == 0 {
                continue;
            }
            let position = &account.positions[index];
            let scope = if position.is_cross { Scope::Cross(position.clearinghouse) } else { Scope::Isolated(index) };
            self.liquidate_if_due(now_ns, AccountId(row as u32), scope, sink);
        }
        Ok(())
    }

    fn standing(&self, account: AccountId, scope: Scope) -> Standing {
        let owner = &self.accounts[account.0 as usize];
        match scope {
            Scope::Cross(clearinghouse) => {
                let cross = self.cross_margin(owner, clearinghouse, None);
                Standing { equity: cross.equity, maintenance: cross.maintenance, value: cross.value }
            }
            Scope::Isolated(index) => {
                let contract = &self.assets[index];
                let value = value_of(owner.positions[index].size(), contract.mark_or(Price(0)));
                Standing {
                    equity: Self::isolated_equity(owner, contract, index),
                    maintenance: contract.margin.maintenance(value),
                    value,
                }
            }
        }
    }

    fn liquidate_if_due(
        &mut self,
        now_ns: TimestampNs,
        account: AccountId,
        scope: Scope,
        sink: &mut impl FnMut(&VenueEvent),
    ) {
        let standing = self.standing(account, scope);
        if !standing.is_below() {
            return;
        }
        let (asset, clearinghouse) = match scope {
            Scope::Cross(clearinghouse) => (None, clearinghouse),
            Scope::Isolated(index) => {
                (Some(AssetId(index as u32)), self.accounts[account.0 as usize].positions[index].clearinghouse)
            }
        };
        sink(&VenueEvent::Liquidation {
            time_ns: now_ns,
            account,
            asset,
            clearinghouse: clearinghouse as u32,
            value: standing.value,
            equity: standing.equity,
        });
        let concerned = |exchange: &Self, index: usize| match scope {
            Scope::Isolated(only) => only == index,
            Scope::Cross(clearinghouse) => {
                let position = &exchange.accounts[account.0 as usize].positions[index];
                position.is_cross && position.clearinghouse == clearinghouse
            }
        };
        for index in 0..self.assets.len() {
            if concerned(self, index) {
                self.remove_all(now_ns, account, index, OrderState::LiquidatedCanceled, sink);
            }
        }
        if !self.standing(account, scope).is_for_backstop() {
            for index in 0..self.assets.len() {
                if concerned(self, index) && self.standing(account, scope).is_below() {
                    self.send_to_book(now_ns, account, index, sink);
                }
            }
        }
        if self.standing(account, scope).is_for_backstop() {
            for index in 0..self.assets.len() {
                if concerned(self, index) {
                    self.take_over(now_ns, account, index, sink);
                }
            }
            if let Scope::Cross(clearinghouse) = scope {
                let rest = std::mem::take(&mut self.accounts[account.0 as usize].cash[clearinghouse]);
                self.accounts[BACKSTOP.0 as usize].cash[clearinghouse] += rest;
            }
        }
    }

    /// A market order for the position, or for a slice of a large one.
    fn send_to_book(
        &mut self,
        now_ns: TimestampNs,
        account: AccountId,
        index: usize,
        sink: &mut impl FnMut(&VenueEvent),
    ) {
        let rules = self.rules;
        let owner = &mut self.accounts[account.0 as usize];
        let held = owner.positions[index].size();
        if held == 0 {
            return;
        }
        let value = value_of(held, self.assets[index].mark_or(Price(0)));
        let mut size = held.abs();
        if value > rules.liquidation_slice_above && now_ns >= owner.whole_liquidation_until_ns {
            size = ((size as f64 * rules.liquidation_slice) as i64).clamp(1, size);
            owner.whole_liquidation_until_ns = now_ns.saturating_add(rules.liquidation_cooldown_ns);
        }
        let side = if held > 0 { Side::Sell } else { Side::Buy };
        let order = NewOrder {
            asset: AssetId(index as u32),
            side,
            price: Price(if side == Side::Sell { 1 } else { MAX_UNITS as i64 }),
            size: Lots(size),
            time_in_force: TimeInForce::ImmediateOrCancel,
            reduce_only: true,
            client_order_id: None,
        };
        self.last_order_id += 1;
        let mut incoming = Incoming::new(self.last_order_id, account, &order, size);
        incoming.is_liquidation = true;
        self.take(now_ns, &mut incoming, sink);
    }

    /// The backstop takes a position with its margin, off the book, at the mark.
    fn take_over(&mut self, now_ns: TimestampNs, account: AccountId, index: usize, sink: &mut impl FnMut(&VenueEvent)) {
        let position = &self.accounts[account.0 as usize].positions[index];
        let (held, is_cross) = (position.size(), position.is_cross);
        if held == 0 {
            return;
        }
        let price = Price((self.assets[index].mark_or(Price(1)).0 / 2).max(1));
        let side = if held > 0 { Side::Sell } else { Side::Buy };
        let interest = |exchange: &Self| {
            [account, BACKSTOP]
                .map(|id| exchange.accounts[id.0 as usize].positions[index].size().max(0))
                .iter()
                .sum::<i64>()
        };
        let before = interest(self);
        if self.accounts[BACKSTOP.0 as usize].positions[index].size().abs() > i64::MAX / 8 {
            return;
        }
        let margin_price = 2 * price.0;
        let backstop = &mut self.accounts[BACKSTOP.0 as usize];
        if backstop.book(index, side.opposite(), price, held.abs(), 0, margin_price).is_err() {
            return;
        }
        let owner = &mut self.accounts[account.0 as usize];
        let clearinghouse = owner.positions[index].clearinghouse;
        let cash = owner.cash[clearinghouse];
        let Ok(booked) = owner.book(index, side, price, held.abs(), 0, margin_price) else { return };
        if !is_cross {
            // Closing gave the margin back; it goes with the position.
            let released = owner.cash[clearinghouse] - cash;
            owner.cash[clearinghouse] = cash;
            self.accounts[BACKSTOP.0 as usize].cash[clearinghouse] += released - booked.shortfall;
        }
        self.assets[index].open_interest += interest(self) - before;
        sink(&VenueEvent::Backstop {
            time_ns: now_ns,
            account,
            asset: AssetId(index as u32),
            position: Lots(held),
            price,
            realized: booked.realized,
        });
    }

    /// Settles funding on every position at the oracle: + = longs pay; truncated toward zero at six decimals.
    ///
    /// # Errors
    /// A rate above 1 in size, or no oracle price yet; nothing is paid.
    pub fn settle_funding(
        &mut self,
        now_ns: TimestampNs,
        asset: AssetId,
        rate: f64,
        sink: &mut impl FnMut(&VenueEvent),
    ) -> Result<()> {
        if !(0.0..=1.0).contains(&rate.abs()) {
            return Err(invalid_input("funding_rate", rate, "a fraction of at most 1", "0.0001 is 1 bp per interval"));
        }
        let index = asset.0 as usize;
        let Some(oracle) = self.asset(asset).and_then(|asset| asset.oracle) else {
            return Err(invalid_input("asset", asset.0, "a contract with an oracle price", "call set_reference first"));
        };
        // All or none: what one ledger refuses, none pays.
        for account in &self.accounts {
            account.positions[index].ledger.clone().on_funding(oracle, rate)?;
        }
        for (row, account) in self.accounts.iter_mut().enumerate() {
            let position = &mut account.positions[index];
            if position.size() == 0 {
                continue;
            }
            let paid = position.ledger.on_funding(oracle, rate)?;
            if position.is_cross {
                account.cash[position.clearinghouse] -= paid;
            } else {
                position.isolated -= paid;
            }
            sink(&VenueEvent::Funding(FundingPayment {
                time_ns: now_ns,
                account: AccountId(row as u32),
                asset,
                position: Lots(position.size()),
                rate,
                paid,
            }));
        }
        Ok(())
    }
}
