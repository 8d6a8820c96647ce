//! Price–time matching: an incoming order against the queues of the other side, and what each trade does to the books
//! of both accounts.

use hypermm_core::accounting::ledger::Micros;
use hypermm_core::types::{Lots, Price, Side, TimestampNs};

use super::book::{NONE, Slot};
use super::exchange::Exchange;
use super::order::{AccountId, NewOrder, OrderChange, OrderId, OrderState, Trade, TradeLeg, VenueEvent};
use super::rules::BACKSTOP;

/// An order on its way through the book.
#[derive(Clone, Copy, Debug)]
pub(super) struct Incoming {
    pub(super) id: OrderId,
    pub(super) account: AccountId,
    pub(super) order: NewOrder,
    pub(super) remaining: i64,
    pub(super) filled: i64,
    pub(super) notional: Micros,
    pub(super) is_liquidation: bool,
    /// Its account can take no more.
    pub(super) stopped: bool,
}

impl Incoming {
    pub(super) fn new(id: OrderId, account: AccountId, order: &NewOrder, size: i64) -> Self {
        Self {
            id,
            account,
            order: *order,
            remaining: size,
            filled: 0,
            notional: 0,
            is_liquidation: false,
            stopped: false,
        }
    }
}

impl Exchange {
    /// Trades an order against the other side, best price first, oldest first, as far as its limit goes.
    pub(super) fn take(&mut self, now_ns: TimestampNs, incoming: &mut Incoming, sink: &mut impl FnMut(&VenueEvent)) {
        let NewOrder { asset, side, price: limit, .. } = incoming.order;
        while incoming.remaining > 0 && !incoming.stopped {
            let book = &self.assets[asset.0 as usize].book;
            if !book.crosses(side, limit) {
                return;
            }
            let Some((price, level)) = book.side(side.opposite()).best() else { return };
            let slot = level.queue.head;
            let maker = &self.orders[slot];
            if maker.account == incoming.account {
                self.remove(now_ns, slot, OrderState::SelfTradeCanceled, sink);
                continue;
            }
            let size = incoming.remaining.min(maker.remaining);
            if !self.can_book(maker.account, asset.0 as usize, side.opposite(), size, price) {
                self.remove(now_ns, slot, OrderState::MarginCanceled, sink);
                continue;
            }
            self.trade(now_ns, incoming, slot, price, size, sink);
        }
    }

    /// The resting side is looked at once more when it is to trade.
    #[inline]
    fn can_book(&self, account: AccountId, index: usize, side: Side, size: i64, price: Price) -> bool {
        let owner = &self.accounts[account.0 as usize];
        owner.is_background || self.check_margin(owner, index, side, size, price, true).is_ok()
    }

    /// One trade. The books of both sides move together or not at all.
    fn trade(
        &mut self,
        now_ns: TimestampNs,
        incoming: &mut Incoming,
        slot: Slot,
        price: Price,
        size: i64,
        sink: &mut impl FnMut(&VenueEvent),
    ) {
        let NewOrder { asset, side, .. } = incoming.order;
        let index = asset.0 as usize;
        let maker_account = self.orders[slot].account;
        let Some((maker_leg, taker_leg)) = self.book_both(incoming.account, maker_account, index, side, price, size)
        else {
            incoming.stopped = true;
            return;
        };
        if incoming.filled == 0 && !incoming.is_liquidation {
            sink(&VenueEvent::Order(OrderChange {
                time_ns: now_ns,
                account: incoming.account,
                order_id: incoming.id,
                order: incoming.order,
                remaining: Lots(incoming.remaining),
                state: OrderState::Open,
            }));
        }
        incoming.remaining -= size;
        incoming.filled += size;
        incoming.notional += Micros::from(price.0) * Micros::from(size);
        let contract = &mut self.assets[index];
        contract.last_trade = Some(price);
        let left = contract.book.side_mut(side.opposite()).shrink(&mut self.orders, slot, size);
        let resting = &self.orders[slot];
        self.last_trade_id += 1;
        sink(&VenueEvent::Trade(Trade {
            time_ns: now_ns,
            asset,
            trade_id: self.last_trade_id,
            price,
            size: Lots(size),
            aggressor: side,
            maker: TradeLeg {
                account: maker_account,
                order_id: resting.id,
                client_order_id: resting.order.client_order_id,
                remaining: Lots(left),
                fee: maker_leg.fee,
                position_before: Lots(maker_leg.position_before),
                realized: maker_leg.realized,
            },
            taker: TradeLeg {
                account: incoming.account,
                order_id: incoming.id,
                client_order_id: incoming.order.client_order_id,
                remaining: Lots(incoming.remaining),
                fee: taker_leg.fee,
                position_before: Lots(taker_leg.position_before),
                realized: taker_leg.realized,
            },
            is_liquidation: incoming.is_liquidation,
        }));
        if left == 0 {
            self.remove(now_ns, slot, OrderState::Filled, sink);
        }
        self.trim_reduce_only(now_ns, maker_account, index, sink);
        self.trim_reduce_only(now_ns, incoming.account, index, sink);
    }

    /// Books a trade for both accounts; `None`, and nothing booked, where a position would be too large to count.
    fn book_both(
        &mut self,
        taker: AccountId,
        maker: AccountId,
        index: usize,
        side: Side,
        price: Price,
        size: i64,
    ) -> Option<(Leg, Leg)> {
        let held = |account: AccountId| self.accounts[account.0 as usize].positions[index].size();
        let largest = held(taker).abs().max(held(maker).abs()).max(self.assets[index].open_interest);
        if largest > MAX_POSITION {
            return None;
        }
        let maker = self.book_leg(maker, index, side.opposite(), price, size, false)?;
        let taker = self.book_leg(taker, index, side, price, size, true)?;
        let long = |leg: &Leg, side: Side| {
            let after = leg.position_before + if side == Side::Buy { size } else { -size };
            after.max(0) - leg.position_before.max(0)
        };
        self.assets[index].open_interest += long(&maker, side.opposite()) + long(&taker, side);
        Some((maker, taker))
    }

    fn book_leg(
        &mut self,
        account: AccountId,
        index: usize,
        side: Side,
        price: Price,
        size: i64,
        is_taker: bool,
    ) -> Option<Leg> {
        let asset = &self.assets[index];
        let margin_price = asset.mark_or(price).0;
        let growth = asset.settings.fee_scale.growth;
        let notional = Micros::from(price.0) * Micros::from(size);
        let owner = &mut self.accounts[account.0 as usize];
        let rates = owner.positions[index].rates;
        let fee = if is_taker { rates.taker_fee(notional) } else { rates.maker_fee(notional) };
        let booked = owner.book(index, side, price, size, fee, margin_price).ok()?;
        owner.volume += if growth { notional / 10 } else { notional };
        if booked.shortfall > 0 {
            let clearinghouse = self.accounts[BACKSTOP.0 as usize].positions[index].clearinghouse;
            self.accounts[BACKSTOP.0 as usize].cash[clearinghouse] -= booked.shortfall;
        }
        Some(Leg { fee, position_before: booked.position_before, realized: booked.realized })
    }

    /// Takes an order off the book and says why.
    pub(super) fn remove(
        &mut self,
        now_ns: TimestampNs,
        slot: Slot,
        state: OrderState,
        sink: &mut impl FnMut(&VenueEvent),
    ) {
        let NewOrder { asset, side, reduce_only, .. } = self.orders[slot].order;
        let index = asset.0 as usize;
        self.assets[index].book.side_mut(side).unlink(&mut self.orders, slot);
        let owner = &mut self.accounts[self.orders[slot].account.0 as usize];
        owner.open_orders -= 1;
        let position = &mut owner.positions[index];
        position.reduce_only -= u32::from(reduce_only);
        let resting = self.orders.remove(slot, &mut position.queue);
        sink(&VenueEvent::Order(OrderChange {
            time_ns: now_ns,
            account: resting.account,
            order_id: resting.id,
            order: resting.order,
            remaining: Lots(resting.remaining),
            state,
        }));
    }

    /// No reduce-only order is larger than what it can reduce: oldest first, each shrinks to it or dies.
    pub(super) fn trim_reduce_only(
        &mut self,
        now_ns: TimestampNs,
        account: AccountId,
        index: usize,
        sink: &mut impl FnMut(&VenueEvent),
    ) {
        let position = &self.accounts[account.0 as usize].positions[index];
        if position.reduce_only == 0 {
            return;
        }
        let mut next = position.queue.head;
        while next != NONE {
            let slot = next;
            next = self.orders.next_of_account(slot);
            let resting = &self.orders[slot];
            if !resting.order.reduce_only {
                continue;
            }
            let side = resting.order.side;
            let most = self.accounts[account.0 as usize].positions[index].reducible(side);
            let excess = resting.remaining - most;
            if most == 0 {
                self.remove(now_ns, slot, OrderState::ReduceOnlyCanceled, sink);
            } else if excess > 0 {
                let left = self.assets[index].book.side_mut(side).shrink(&mut self.orders, slot, excess);
                let resting = &self.orders[slot];
                sink(&VenueEvent::Order(OrderChange {
                    time_ns: now_ns,
                    account,
                    order_id: resting.id,
                    order: resting.order,
                    remaining: Lots(left),
                    state: OrderState::Open,
                }));
            }
        }
    }
}

/// Positions and their sum can always be counted: the ledger's bound less the largest order.
const MAX_POSITION: i64 = i64::MAX / 8;

#[derive(Clone, Copy, Debug)]
struct Leg {
    fee: Micros,
    position_before: i64,
    realized: Micros,
}
