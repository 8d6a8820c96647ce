//! What the recorded market does to the orders resting in it: prints, the other side's levels, and being left alone.

use hypermm_core::types::{Lots, Price, Side, TimestampNs};

use super::{Phase, RecordedVenue};
use crate::venue::fill_models::{FillModel, Touch};
use crate::venue::gateway::{Notice, VenueFill};
use crate::venue::shown::{SAME_PRICE, Shown};

/// Stands for the print where the other side of the book filled an order.
const NO_PRINT: u64 = 0;

impl<M: FillModel> RecordedVenue<'_, M> {
    /// Lets everything recorded up to and including `limit_ns` happen.
    #[inline]
    pub(super) fn follow_market(&mut self, limit_ns: TimestampNs) {
        let Some(cancels) = self.model.cancels() else {
            self.match_prints(limit_ns);
            return;
        };
        while let Some(shown_ns) = self.followed.next_time_ns().filter(|time_ns| *time_ns <= limit_ns) {
            self.match_prints(shown_ns);
            let Some((received_ns, bids, asks)) = self.followed.step() else { return };
            for (side, mut own, other) in [(Side::Buy, bids, &asks), (Side::Sell, asks, &bids)] {
                if self.resting[side.index()].is_empty() {
                    self.met[side.index()] = 0;
                    continue;
                }
                self.meet_other_side((shown_ns, received_ns), side, other);
                self.leave_alone((shown_ns, received_ns), side, own.best());
                for &slot in &self.resting[side.index()] {
                    // Whoever is first stays first, whatever the level shows.
                    if self.orders.beside(slot).queue.ahead() == 0.0 {
                        continue;
                    }
                    let price = self.orders.order(slot).price;
                    if let Some(shown) = own.at_next(price.0 as f64 / self.price_scale) {
                        self.orders.beside_mut(slot).queue.follow_shown(shown, cancels);
                    }
                }
            }
        }
        self.match_prints(limit_ns);
    }

    /// Fills our orders of `side` that the other side's levels have reached, best first, each shown lot once.
    fn meet_other_side(&mut self, times_ns: (TimestampNs, TimestampNs), side: Side, other: &Shown<'_>) {
        while let Some(&slot) = self.resting[side.index()].first() {
            let price = self.orders.order(slot).price.0 as f64 / self.price_scale;
            let reached = (other.up_to(price) * self.size_scale).round() as i64;
            let met = &mut self.met[side.index()];
            if reached == 0 {
                *met = 0;
            }
            let size = (reached - *met).min(self.orders.beside(slot).remaining.0);
            if size <= 0 {
                return;
            }
            *met += size;
            self.orders.beside_mut(slot).queue.passed();
            self.fill(slot, times_ns, NO_PRINT, Lots(size));
            if self.orders.beside(slot).phase != Phase::Gone {
                return;
            }
            self.resting[side.index()].remove(0);
        }
    }

    /// Lets those that the others of their side have left further behind be taken by chance, best first.
    fn leave_alone(&mut self, times_ns: (TimestampNs, TimestampNs), side: Side, others_at: f64) {
        let mut place = 0;
        while let Some(&slot) = self.resting[side.index()].get(place) {
            let order = self.orders.order(slot);
            let (id, price) = (order.id, order.price.0 as f64 / self.price_scale);
            let behind = |other: f64, than: f64| side.sign() * (than - other) > SAME_PRICE * price;
            let standing = self.orders.beside_mut(slot);
            let (was_at, size) = (standing.others_at, standing.remaining);
            let is_alone = behind(others_at, price);
            standing.others_at = if is_alone { others_at } else { price };
            if !is_alone {
                // Nor is anyone deeper.
                return;
            }
            if behind(others_at, was_at) && self.model.takes_alone(id, times_ns.0) {
                self.fill(slot, times_ns, NO_PRINT, size);
                self.resting[side.index()].remove(place);
            } else {
                place += 1;
            }
        }
    }

    #[inline]
    fn match_prints(&mut self, limit_ns: TimestampNs) {
        let times = self.columns.trade_exchange_time_ns;
        while self.next_print < times.len() {
            let row = self.by_exchange_time.as_ref().map_or(self.next_print, |order| order[self.next_print]);
            if times[row] > limit_ns {
                return;
            }
            self.next_print += 1;
            if !(self.resting[0].is_empty() && self.resting[1].is_empty()) {
                self.match_print(row);
            }
        }
    }

    fn match_print(&mut self, row: usize) {
        let price = Price((self.columns.trade_price[row] * self.price_scale).round() as i64);
        let reaches = |side: Side, order: Price| match side {
            Side::Buy => order >= price,
            Side::Sell => order <= price,
        };
        // Sizes in a recording are decimals: the nudge keeps 0.3 of size scale 10 from becoming 2 lots.
        let size = (self.columns.trade_size[row] * self.size_scale + 1e-6) as i64;
        let mut left = size;
        for side in [Side::Buy, Side::Sell] {
            let mut place = 0;
            while let Some(&slot) = self.resting[side.index()].get(place) {
                let order = self.orders.order(slot);
                if left <= 0 || !reaches(side, order.price) {
                    break;
                }
                let standing = self.orders.beside(slot);
                let touch = Touch {
                    order_id: order.id,
                    side,
                    order_price: order.price,
                    order_remaining: standing.remaining,
                    age_ns: self.columns.trade_exchange_time_ns[row] - standing.resting_since_ns,
                    trade_id: self.columns.trade_id[row],
                    trade_price: price,
                    trade_size: Lots(size),
                    aggressor: self.columns.aggressor(row),
                };
                let filled = self.model.take(&touch, Lots(left), &mut self.orders.beside_mut(slot).queue);
                if filled.0 == 0 {
                    place += 1;
                    continue;
                }
                left -= filled.0;
                let times_ns = (self.columns.trade_exchange_time_ns[row], self.columns.trade_time_ns[row]);
                self.fill(slot, times_ns, touch.trade_id, filled);
                if self.orders.beside(slot).phase == Phase::Gone {
                    self.resting[side.index()].remove(place);
                } else {
                    place += 1;
                }
            }
        }
    }

    /// `times_ns` are the venue's time and the collector's of what filled the order.
    fn fill(
        &mut self,
        slot: usize,
        (exchange_time_ns, received_ns): (TimestampNs, TimestampNs),
        trade_id: u64,
        size: Lots,
    ) {
        let told_ns = match &mut self.blocks {
            Some(blocks) => blocks.heard_ns(exchange_time_ns),
            None => received_ns.max(exchange_time_ns + self.latency.acknowledge_ns),
        };
        let told_ns = told_ns.max(self.last_fill_told_ns());
        self.filled.0 += if self.orders.order(slot).side == Side::Buy { size.0 } else { -size.0 };
        let standing = self.orders.beside_mut(slot);
        standing.remaining.0 -= size.0;
        standing.last_told_ns = told_ns;
        if standing.remaining.0 == 0 {
            standing.phase = Phase::Gone;
        }
        let fill = VenueFill { slot, exchange_time_ns, trade_id, size, fee: None };
        self.fills.push_back((told_ns, Notice::Fill(fill)));
    }
}
