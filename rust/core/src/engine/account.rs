//! Events of our account: orders, fills, the venue's word on position and quota.

use super::QuoteEngine;
use crate::error::{Result, invalid_input, require_positive};
use crate::instrument::MAX_UNITS;
use crate::pricing::costs::toxic_adverse_selection;
use crate::state::own_orders::OrderWord;
use crate::state::queue::QueuePosition;
use crate::types::{BPS, Identifier, Lots, OrderStatus, Price, Side, TimestampNs};

impl QuoteEngine {
    /// The state of one of our orders. Every order not known to be dead counts against the cap, and so do fills that the
    /// news of orders implies until the fills themselves are told: of an order that ended, `remaining_size` is what never
    /// filled of it. `original_size` is what was ordered; without it, what the first word says is left.
    ///
    /// # Errors
    /// A price off the grid, a size that is not whole lots, an original size below the remaining one, a time before the last.
    #[allow(clippy::too_many_arguments, reason = "an order has this many facts")]
    pub fn on_order(
        &mut self,
        time_ns: TimestampNs,
        order_id: &Identifier,
        status: OrderStatus,
        side: Side,
        price: f64,
        remaining_size: f64,
        original_size: Option<f64>,
    ) -> Result<()> {
        self.check_time(time_ns)?;
        // An order the venue refused for its price or size must still be known dead.
        if status.is_dead() {
            crate::error::require_finite("price", price)?;
            crate::error::require_finite("remaining_size", remaining_size)?;
            if let Some(size) = original_size {
                crate::error::require_finite("original_size", size)?;
            }
            let nearest_lots =
                |size: f64| Lots((size * self.instrument.size_scale()).round().clamp(-MAX_UNITS, MAX_UNITS) as i64);
            let word = OrderWord {
                status,
                side,
                price: self.instrument.price_from_f64("price", price).unwrap_or(Price(0)),
                remaining: nearest_lots(remaining_size),
                original: original_size.map(nearest_lots),
            };
            self.advance(time_ns);
            self.own_orders.end(time_ns, order_id, &word);
            return Ok(());
        }
        let exact = self.instrument.price_from_f64("price", price)?;
        let remaining = self.instrument.lots_from_f64("remaining_size", remaining_size)?;
        if remaining.0 < 0 {
            return Err(invalid_input(
                "remaining_size",
                remaining_size,
                "a size ≥ 0; the side is its own argument",
                "",
            ));
        }
        let original = original_size.map(|size| self.instrument.lots_from_f64("original_size", size)).transpose()?;
        if let Some(size) = original_size.filter(|_| original < Some(remaining) && original.is_some()) {
            return Err(invalid_input("original_size", size, "at least remaining_size", "what was ordered at first"));
        }
        self.advance(time_ns);
        self.place_order(time_ns, order_id, &OrderWord { status, side, price: exact, remaining, original }, price);
        Ok(())
    }

    /// [`QuoteEngine::on_order`] for a caller that keeps prices and sizes exact, as the backtest's venue does.
    ///
    /// # Errors
    /// A price that is not positive, a negative size, a time before the last.
    pub fn on_exact_order(
        &mut self,
        time_ns: TimestampNs,
        order_id: &Identifier,
        status: OrderStatus,
        side: Side,
        price: Price,
        remaining: Lots,
    ) -> Result<()> {
        self.check_time(time_ns)?;
        for (field, value, least) in [("price", price.0, 1), ("remaining_size", remaining.0, 0)] {
            if value < least {
                return Err(invalid_input(field, value, format!("{least} or more units"), ""));
            }
        }
        self.advance(time_ns);
        let word = OrderWord { status, side, price, remaining, original: None };
        self.place_order(time_ns, order_id, &word, self.instrument.price_to_f64(price));
        Ok(())
    }

    fn place_order(&mut self, time_ns: TimestampNs, order_id: &Identifier, word: &OrderWord, price: f64) {
        let (last_mid, book, side) = (self.last_mid, &self.book, word.side);
        // Only an order not heard of before, or moved, is looked up in the book.
        let place_in_book = || {
            let depth_bps = last_mid.map_or(0.0, |mid| side.sign() * (mid - price) / mid * BPS);
            let shown = book.side(side).displayed_at(side, word.price);
            (depth_bps, shown.map_or_else(QueuePosition::unseen, QueuePosition::behind))
        };
        self.own_orders.apply(time_ns, order_id, word, place_in_book);
    }

    /// A fill of ours. Moves the position once: false for a `fill_id` seen before.
    ///
    /// # Errors
    /// A price off the grid, a size that is not a positive number of lots, a fee that is not finite, a time before the last.
    #[allow(clippy::too_many_arguments, reason = "a fill has this many facts")]
    pub fn on_fill(
        &mut self,
        time_ns: TimestampNs,
        side: Side,
        price: f64,
        size: f64,
        order_id: Option<&Identifier>,
        fill_id: Option<&Identifier>,
        fee: Option<f64>,
    ) -> Result<bool> {
        self.check_time(time_ns)?;
        let exact = self.instrument.price_from_f64("price", price)?;
        let lots = self.instrument.lots_from_f64("size", size)?;
        if lots.0 <= 0 {
            return Err(invalid_input("size", size, "a size above 0; the side is its own argument", ""));
        }
        if let Some(fee) = fee {
            crate::error::require_finite("fee", fee)?;
        }
        self.advance(time_ns);
        if fill_id.is_some_and(|name| self.inventory.has_seen(name)) {
            return Ok(false);
        }
        self.inventory.apply_fill(side, price, lots, fill_id);
        if let Some(order) = order_id {
            self.own_orders.apply_fill(time_ns, order, lots);
        }
        let event = self.tape.last(side.opposite());
        self.model.on_own_fill(time_ns, side, (price, exact.0, size), self.mids.before(time_ns, None), event);
        let toxic_bps = toxic_adverse_selection(&self.config, &self.model.estimates(time_ns), side.index());
        self.model.learn_from_fill(time_ns, side, toxic_bps);
        self.taught(time_ns);
        Ok(true)
    }

    /// The venue's word on our position replaces ours; returns venue − ours, contracts. Fills that news of orders has implied
    /// for 5 s or more without their being told are taken to be in it.
    ///
    /// # Errors
    /// A position that is not whole lots, an entry price that is not positive, a time before the last.
    pub fn on_position(&mut self, time_ns: TimestampNs, position: f64, entry_price: Option<f64>) -> Result<f64> {
        self.check_time(time_ns)?;
        let lots = self.instrument.lots_from_f64("position", position)?;
        if let Some(price) = entry_price {
            require_positive("entry_price", price)?;
        }
        self.advance(time_ns);
        self.own_orders.settle(time_ns);
        Ok(self.instrument.lots_to_f64(self.inventory.replace(lots, entry_price)))
    }

    /// The venue's word on our request quota.
    ///
    /// # Errors
    /// Numbers that are not finite or negative, a time before the last.
    pub fn on_quota(&mut self, time_ns: TimestampNs, requests_remaining: f64, requests_last_day: f64) -> Result<()> {
        self.check_time(time_ns)?;
        for (field, value) in [("requests_remaining", requests_remaining), ("requests_last_day", requests_last_day)] {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(invalid_input(field, value, "a finite number ≥ 0", ""));
            }
        }
        self.advance(time_ns);
        self.quota.apply(requests_remaining, requests_last_day);
        Ok(())
    }
}
