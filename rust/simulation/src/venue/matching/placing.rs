//! New orders, cancels and modifies: what is refused, with what, and what goes on to match.

use hypermm_core::accounting::ledger::Micros;
use hypermm_core::instrument::MAX_UNITS;
use hypermm_core::types::{Lots, Side, TimestampNs};

use super::book::Slot;
use super::exchange::{Asset, Exchange, refused};
use super::matcher::Incoming;
use super::order::{
    AccountId, Answer, AssetId, NewOrder, OrderChange, OrderReference, OrderState, Refusal, TimeInForce, VenueEvent,
};

const MAX_INTEGER: i64 = MAX_UNITS as i64;
/// What rests on one side of a book can always be added up.
const MAX_RESTING: i64 = i64::MAX / 4;
/// The ledger's own bound.
const MAX_NOTIONAL: Micros = 1_000_000_000_000_000_000_000_000;

impl Exchange {
    /// Counts the requests of a batch, or refuses it whole: above the limit, one request per interval goes through, so
    /// no batch of more than one item.
    ///
    /// # Errors
    /// The refusal; nothing is counted.
    pub fn count_requests(
        &mut self,
        now_ns: TimestampNs,
        account: AccountId,
        requests: u64,
        is_cancel: bool,
    ) -> Result<(), Refusal> {
        if let Some(reason) = self.over_quota(now_ns, account, requests, is_cancel) {
            return Err(reason);
        }
        if let Some(account) = self.accounts.get_mut(account.0 as usize) {
            account.requests += requests;
            account.last_request_ns = Some(now_ns);
        }
        Ok(())
    }

    /// Why the account's next so many requests would be refused as too many, without counting them.
    #[must_use]
    pub fn over_quota(
        &self,
        now_ns: TimestampNs,
        account: AccountId,
        requests: u64,
        is_cancel: bool,
    ) -> Option<Refusal> {
        let account = self.accounts.get(account.0 as usize)?;
        if !self.rules.request_quota || account.is_background {
            return None;
        }
        // Below the smallest limit there is nothing to work out.
        if account.requests + requests <= self.rules.initial_requests {
            return None;
        }
        let (used, cap) = (account.requests + requests, self.rules.request_limit(account.volume, is_cancel));
        let waited = account.last_request_ns.is_none_or(|last| now_ns - last >= self.rules.exhausted_interval_ns);
        let may_pass = waited && requests <= 1;
        (used > cap && !may_pass).then_some(Refusal::TooManyRequests { used, cap, volume: account.volume })
    }

    /// Counts requests that reached no contract, such as an action that came too late (five).
    pub fn charge_requests(&mut self, account: AccountId, requests: u64) {
        if let Some(account) = self.accounts.get_mut(account.0 as usize) {
            account.requests = account.requests.saturating_add(requests);
        }
    }

    /// A new order. `uses_up_name`: a refusal with a status of its own takes a name.
    pub(super) fn place(
        &mut self,
        now_ns: TimestampNs,
        account: AccountId,
        order: &NewOrder,
        uses_up_name: bool,
        sink: &mut impl FnMut(&VenueEvent),
    ) -> Answer {
        match self.admit(account, order) {
            Err(reason) => self.reject(now_ns, account, order, reason, uses_up_name, sink),
            Ok(size) => {
                let mut incoming = Incoming::new(self.last_order_id + 1, account, order, size);
                self.take(now_ns, &mut incoming, sink);
                self.settle_incoming(now_ns, &incoming, uses_up_name, sink)
            }
        }
    }

    /// What became of an order after it took what it could.
    fn settle_incoming(
        &mut self,
        now_ns: TimestampNs,
        incoming: &Incoming,
        uses_up_name: bool,
        sink: &mut impl FnMut(&VenueEvent),
    ) -> Answer {
        let Incoming { id, account, ref order, remaining, filled, notional, .. } = *incoming;
        let rests = order.time_in_force != TimeInForce::ImmediateOrCancel && !incoming.stopped;
        if remaining > 0 && filled == 0 && !rests {
            let reason = if incoming.stopped { Refusal::Margin } else { Refusal::NoImmediateMatch };
            return self.reject(now_ns, account, order, reason, uses_up_name, sink);
        }
        self.last_order_id = id;
        let change = |state| OrderChange {
            time_ns: now_ns,
            account,
            order_id: id,
            order: *order,
            remaining: Lots(remaining),
            state,
        };
        if remaining == 0 {
            sink(&VenueEvent::Order(change(OrderState::Filled)));
        } else if rests {
            self.rest(now_ns, incoming);
            if filled == 0 {
                sink(&VenueEvent::Order(change(OrderState::Open)));
                return Answer::Resting { order_id: id };
            }
        } else {
            let state = if incoming.stopped { OrderState::MarginCanceled } else { OrderState::ImmediateCanceled };
            sink(&VenueEvent::Order(change(state)));
        }
        Answer::Filled { order_id: id, size: Lots(filled), notional }
    }

    fn rest(&mut self, now_ns: TimestampNs, incoming: &Incoming) {
        let order = &incoming.order;
        let owner = &mut self.accounts[incoming.account.0 as usize];
        owner.open_orders += 1;
        let position = &mut owner.positions[order.asset.0 as usize];
        position.reduce_only += u32::from(order.reduce_only);
        let slot =
            self.orders.insert(incoming.id, incoming.account, order, incoming.remaining, now_ns, &mut position.queue);
        self.assets[order.asset.0 as usize].book.side_mut(order.side).push(&mut self.orders, slot);
    }

    fn reject(
        &mut self,
        now_ns: TimestampNs,
        account: AccountId,
        order: &NewOrder,
        reason: Refusal,
        uses_up_name: bool,
        sink: &mut impl FnMut(&VenueEvent),
    ) -> Answer {
        if !uses_up_name || !reason.uses_up_name() {
            return refused(reason);
        }
        self.last_order_id += 1;
        let order_id = self.last_order_id;
        let mut shown = *order;
        if shown.time_in_force == TimeInForce::PostOnlyRefused {
            shown.time_in_force = TimeInForce::PostOnly;
        }
        sink(&VenueEvent::Order(OrderChange {
            time_ns: now_ns,
            account,
            order_id,
            order: shown,
            remaining: order.size,
            state: OrderState::Rejected(reason),
        }));
        Answer::Refused { reason, order_id: Some(order_id) }
    }

    /// Whether an order may be placed, and with what size.
    fn admit(&self, account: AccountId, order: &NewOrder) -> Result<i64, Refusal> {
        let asset = self.asset(order.asset).ok_or(Refusal::UnknownAsset)?;
        let size = self.admit_numbers(account, asset, order)?;
        self.admit_count(account, order)?;
        if order.reduce_only && size == 0 {
            return Err(Refusal::ReduceOnly);
        }
        self.admit_notional(account, asset, order, size)?;
        self.admit_state(account, asset, order, size)?;
        Ok(size)
    }

    /// Looks at the numbers alone; answers the size, for reduce-only orders that of what they can reduce.
    fn admit_numbers(&self, account: AccountId, asset: &Asset, order: &NewOrder) -> Result<i64, Refusal> {
        let (price, size) = (order.price.0, order.size.0);
        if !(1..=MAX_INTEGER).contains(&price) {
            return Err(Refusal::InvalidPrice);
        }
        if size <= 0 {
            return Err(Refusal::ZeroSize);
        }
        let resting = asset.book.side(order.side).total();
        if size > MAX_INTEGER || resting + size > MAX_RESTING {
            return Err(Refusal::InvalidSize);
        }
        let owner = &self.accounts[account.0 as usize];
        let value = Micros::from(price) * Micros::from(size);
        let limited = self.rules.order_value_limit && !owner.is_background;
        if value > MAX_NOTIONAL || (limited && value > asset.max_order_value) {
            return Err(Refusal::ValueTooLarge);
        }
        if let Some(mark) = asset.mark {
            let distance = (2.0 * price as f64 - mark.0 as f64).abs();
            if distance > self.rules.max_price_distance * mark.0 as f64 {
                return Err(Refusal::PriceTooFar);
            }
        }
        let increment = asset.settings.instrument.decade(price as f64).increment as i64;
        if price % increment != 0 {
            return Err(Refusal::Tick);
        }
        if order.reduce_only {
            return Ok(size.min(owner.positions[order.asset.0 as usize].reducible(order.side)));
        }
        Ok(size)
    }

    /// Looks at how many orders the account has open.
    fn admit_count(&self, account: AccountId, order: &NewOrder) -> Result<(), Refusal> {
        let owner = &self.accounts[account.0 as usize];
        if owner.is_background || owner.open_orders < self.rules.open_orders {
            return Ok(());
        }
        let rests = order.time_in_force != TimeInForce::ImmediateOrCancel;
        let full = owner.open_orders >= self.rules.open_order_limit(owner.volume);
        if order.reduce_only || (rests && full) { Err(Refusal::TooManyOpenOrders) } else { Ok(()) }
    }

    /// The minimum notional, from which an order that closes the whole position is exempt.
    fn admit_notional(&self, account: AccountId, asset: &Asset, order: &NewOrder, size: i64) -> Result<(), Refusal> {
        let value = Micros::from(order.price.0) * Micros::from(size);
        if value >= asset.min_notional {
            return Ok(());
        }
        let held = self.accounts[account.0 as usize].positions[order.asset.0 as usize].reducible(order.side);
        if held > 0 && size == held { Ok(()) } else { Err(Refusal::MinimumNotional) }
    }

    /// Looks at the book, the margin and the open interest.
    fn admit_state(&self, account: AccountId, asset: &Asset, order: &NewOrder, size: i64) -> Result<(), Refusal> {
        let index = order.asset.0 as usize;
        let owner = &self.accounts[account.0 as usize];
        if !owner.is_background {
            self.check_margin(owner, index, order.side, size, order.price, false)?;
        }
        if let Some(cap) = asset.settings.open_interest_cap {
            let grows = size > owner.positions[index].reducible(order.side);
            let doubled = Micros::from(asset.open_interest) * Micros::from(asset.mark_or(order.price).0);
            if grows && doubled >= 2 * cap {
                return Err(Refusal::OpenInterestCap);
            }
        }
        let would_match = match order.time_in_force {
            TimeInForce::PostOnlyRefused => true,
            TimeInForce::PostOnly => asset.book.crosses(order.side, order.price),
            TimeInForce::GoodTilCanceled | TimeInForce::ImmediateOrCancel => false,
        };
        if would_match {
            let (bid, ask) = (asset.book.best_price(Side::Buy), asset.book.best_price(Side::Sell));
            return Err(Refusal::PostOnlyWouldMatch { bid, ask });
        }
        Ok(())
    }

    /// The account's resting order of this name.
    fn find_own(&self, account: AccountId, order: OrderReference) -> Option<Slot> {
        match order {
            OrderReference::Order(id) => self.orders.find(id).filter(|slot| self.orders[*slot].account == account),
            OrderReference::Client(name) => self.orders.find_client(account, name),
        }
    }

    pub(super) fn cancel(
        &mut self,
        now_ns: TimestampNs,
        account: AccountId,
        asset: AssetId,
        order: OrderReference,
        sink: &mut impl FnMut(&VenueEvent),
    ) -> Answer {
        match self.find_own(account, order).filter(|slot| self.orders[*slot].order.asset == asset) {
            Some(slot) => {
                self.remove(now_ns, slot, OrderState::Canceled, sink);
                Answer::Canceled
            }
            None => refused(Refusal::MissingOrder),
        }
    }

    /// Cancel and new order. What is wrong with the new order in itself is seen before the old one goes, what the book
    /// or the account says against it after.
    pub(super) fn modify(
        &mut self,
        now_ns: TimestampNs,
        account: AccountId,
        order: OrderReference,
        replacement: &NewOrder,
        always_place: bool,
        sink: &mut impl FnMut(&VenueEvent),
    ) -> Answer {
        let found = self.find_own(account, order);
        let mut replacement = *replacement;
        match found {
            None if always_place => {}
            None => return refused(Refusal::ModifyGone),
            Some(slot) => {
                let old = self.orders[slot].order;
                let same_kind = old.asset == replacement.asset
                    && old.side == replacement.side
                    && replacement.time_in_force != TimeInForce::ImmediateOrCancel;
                if !(always_place || same_kind) || self.admit_modified(account, &replacement).is_err() {
                    return refused(Refusal::InvalidModify);
                }
                self.remove(now_ns, slot, OrderState::Canceled, sink);
                if !always_place && replacement.time_in_force == TimeInForce::GoodTilCanceled {
                    replacement.time_in_force = TimeInForce::PostOnly;
                }
            }
        }
        self.place(now_ns, account, &replacement, false, sink)
    }

    fn admit_modified(&self, account: AccountId, order: &NewOrder) -> Result<(), Refusal> {
        let asset = self.asset(order.asset).ok_or(Refusal::UnknownAsset)?;
        let size = self.admit_numbers(account, asset, order)?;
        if size == 0 {
            return Err(Refusal::ReduceOnly);
        }
        self.admit_notional(account, asset, order, size)
    }
}
