//! A venue whose market is a recording: it acknowledges, rejects, cancels and fills our orders on its own clock.
//!
//! An order rests from sending + latency until its cancel arrives. A print is matched against the orders resting at
//! its venue time, whenever the recording's collector heard of it, so receive latency lends no foresight. We hear of a
//! fill when the print was received, or when the venue's answer could have come back, whichever is later. A cancel
//! that comes too late is answered by the fill.

use std::collections::VecDeque;

use hypermm_core::instrument::Instrument;
use hypermm_core::orders::reconcile::StandingOrder;
use hypermm_core::outcomes::prediction::Prediction;
use hypermm_core::types::{Lots, OrderStatus, Price, Side, TimestampNs};

use super::fill_models::{FillModel, Touch};
use super::gateway::{Notice, OrderGateway, OrderSlots, Placement, RequestCounts, VenueFill, VenueOrder};
use super::latency::Latency;
use crate::market::recording::RecordingColumns;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    OnItsWay,
    Resting,
    Gone,
}

/// One of our orders, as the venue knows it.
#[derive(Clone, Copy, Debug)]
struct Standing {
    remaining: Lots,
    resting_since_ns: TimestampNs,
    last_told_ns: TimestampNs,
    phase: Phase,
}

#[derive(Clone, Copy, Debug)]
struct Request {
    arrival_ns: TimestampNs,
    slot: usize,
    /// Slots are reused: a late cancel must not meet the next order in its slot.
    order_id: u64,
    cancel: bool,
}

/// The venue over one recording.
#[derive(Debug)]
pub struct RecordedVenue<'a, M> {
    columns: RecordingColumns<'a>,
    model: M,
    latency: Latency,
    price_scale: f64,
    size_scale: f64,
    orders: OrderSlots<Standing>,
    /// Slots resting at the venue by side, best price first, then oldest.
    resting: [Vec<usize>; 2],
    requests: VecDeque<Request>,
    answers: VecDeque<(TimestampNs, Notice)>,
    fills: VecDeque<(TimestampNs, Notice)>,
    /// Places of prints in venue order where receive order differs from it.
    by_exchange_time: Option<Vec<usize>>,
    next_print: usize,
    next_book: usize,
    next_best: usize,
    filled: Lots,
}

impl<'a, M: FillModel> RecordedVenue<'a, M> {
    /// A venue over checked columns.
    #[must_use]
    pub fn new(columns: RecordingColumns<'a>, instrument: &Instrument, model: M, latency: Latency) -> Self {
        let times = columns.trade_exchange_time_ns;
        let by_exchange_time = (!times.is_sorted()).then(|| {
            let mut order: Vec<usize> = (0..times.len()).collect();
            order.sort_by_key(|row| times[*row]);
            order
        });
        Self {
            columns,
            model,
            latency,
            price_scale: instrument.price_scale(),
            size_scale: instrument.size_scale(),
            orders: OrderSlots::default(),
            resting: [Vec::with_capacity(64), Vec::with_capacity(64)],
            requests: VecDeque::with_capacity(256),
            answers: VecDeque::with_capacity(256),
            fills: VecDeque::with_capacity(64),
            by_exchange_time,
            next_print: 0,
            next_book: 0,
            next_best: 0,
            filled: Lots(0),
        }
    }

    /// Lets the venue act on everything up to and including `until_ns` of its clock.
    #[inline]
    pub fn advance(&mut self, until_ns: TimestampNs) {
        loop {
            let request_ns = self.requests.front().map_or(TimestampNs::MAX, |request| request.arrival_ns);
            // An order that arrives with a print is there when it happens.
            let print_limit_ns = request_ns.saturating_sub(1).min(until_ns);
            self.match_prints(print_limit_ns);
            if request_ns > until_ns {
                return;
            }
            if let Some(request) = self.requests.pop_front() {
                if request.cancel {
                    self.cancel_arrives(request);
                } else {
                    self.order_arrives(request);
                }
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
                let (order, standing) = (self.orders.order(slot), self.orders.beside(slot));
                if left <= 0 || !reaches(side, order.price) {
                    break;
                }
                let remaining = standing.remaining;
                let touch = Touch {
                    order_id: order.id,
                    side,
                    order_price: order.price,
                    order_remaining: remaining,
                    age_ns: self.columns.trade_exchange_time_ns[row] - standing.resting_since_ns,
                    trade_id: self.columns.trade_id[row],
                    trade_price: price,
                    trade_size: Lots(size),
                    aggressor: self.columns.aggressor(row),
                };
                if !self.model.fills(&touch) {
                    place += 1;
                    continue;
                }
                let filled = left.min(remaining.0);
                left -= filled;
                self.fill(row, slot, Lots(filled));
                if self.orders.beside(slot).phase == Phase::Gone {
                    self.resting[side.index()].remove(place);
                } else {
                    place += 1;
                }
            }
        }
    }

    fn fill(&mut self, row: usize, slot: usize, size: Lots) {
        let exchange_time_ns = self.columns.trade_exchange_time_ns[row];
        let answer_ns = exchange_time_ns + self.latency.acknowledge_ns;
        let told_ns = self.columns.trade_time_ns[row].max(answer_ns).max(self.last_fill_told_ns());
        self.filled.0 += if self.orders.order(slot).side == Side::Buy { size.0 } else { -size.0 };
        let standing = self.orders.beside_mut(slot);
        standing.remaining.0 -= size.0;
        standing.last_told_ns = told_ns;
        if standing.remaining.0 == 0 {
            standing.phase = Phase::Gone;
        }
        let fill = VenueFill { slot, exchange_time_ns, trade_id: self.columns.trade_id[row], size, fee: None };
        self.fills.push_back((told_ns, Notice::Fill(fill)));
    }

    fn send(&mut self, now_ns: TimestampNs, slot: usize, cancel: bool) {
        let arrival_ns = now_ns + self.latency.to_venue_ns;
        self.requests.push_back(Request { arrival_ns, slot, order_id: self.orders.order(slot).id, cancel });
    }

    fn last_fill_told_ns(&self) -> TimestampNs {
        self.fills.back().map_or(TimestampNs::MIN, |(time_ns, _)| *time_ns)
    }

    fn order_arrives(&mut self, request: Request) {
        let (side, price) = (self.orders.order(request.slot).side, self.orders.order(request.slot).price);
        let answer_ns = request.arrival_ns + self.latency.acknowledge_ns;
        if self.would_take(request.arrival_ns, side, price) {
            self.orders.beside_mut(request.slot).phase = Phase::Gone;
            self.orders.count_rejected();
            self.answers.push_back((answer_ns, Notice::Status(request.slot, OrderStatus::Rejected)));
            return;
        }
        let standing = self.orders.beside_mut(request.slot);
        standing.phase = Phase::Resting;
        standing.resting_since_ns = request.arrival_ns;
        self.answers.push_back((answer_ns, Notice::Status(request.slot, OrderStatus::Open)));
        let queue = &self.resting[side.index()];
        let stands_behind = |other: usize| match side {
            Side::Buy => self.orders.order(other).price >= price,
            Side::Sell => self.orders.order(other).price <= price,
        };
        let place = queue.iter().position(|&other| !stands_behind(other)).unwrap_or(queue.len());
        self.resting[side.index()].insert(place, request.slot);
    }

    fn cancel_arrives(&mut self, request: Request) {
        let (order, standing) = (self.orders.order(request.slot), *self.orders.beside(request.slot));
        if order.id != request.order_id || standing.phase != Phase::Resting {
            return;
        }
        self.resting[order.side.index()].retain(|slot| *slot != request.slot);
        self.orders.beside_mut(request.slot).phase = Phase::Gone;
        let answer_ns = request.arrival_ns + self.latency.acknowledge_ns;
        let notice = Notice::Status(request.slot, OrderStatus::Canceled);
        // A fill from before the cancel may still be on its way to us: the end of the order is told after it.
        if standing.last_told_ns > answer_ns {
            let told_ns = self.last_fill_told_ns().max(standing.last_told_ns);
            self.fills.push_back((told_ns, notice));
        } else {
            self.answers.push_back((answer_ns, notice));
        }
    }

    /// Whether a post-only order would meet the other side's best at `now_ns` of the venue's clock.
    fn would_take(&mut self, now_ns: TimestampNs, side: Side, price: Price) -> bool {
        let columns = &self.columns;
        while columns.book_exchange_time_ns.get(self.next_book).is_some_and(|time| *time <= now_ns) {
            self.next_book += 1;
        }
        while columns.best_exchange_time_ns.get(self.next_best).is_some_and(|time| *time <= now_ns) {
            self.next_best += 1;
        }
        let book = self.next_book.checked_sub(1).filter(|_| columns.depth > 0);
        let best = self.next_best.checked_sub(1);
        let from_best = match (book, best) {
            (Some(book), Some(best)) => columns.best_exchange_time_ns[best] >= columns.book_exchange_time_ns[book],
            (None, Some(_)) => true,
            (Some(_), None) => false,
            (None, None) => return false,
        };
        let other = match (side, from_best, book, best) {
            (Side::Buy, true, _, Some(row)) => columns.best_ask_price[row],
            (Side::Sell, true, _, Some(row)) => columns.best_bid_price[row],
            (Side::Buy, _, Some(row), _) => columns.ask_prices[row * columns.depth],
            (Side::Sell, _, Some(row), _) => columns.bid_prices[row * columns.depth],
            _ => f64::NAN,
        };
        let other_units = (other * self.price_scale).round();
        match side {
            Side::Buy => price.0 as f64 >= other_units,
            Side::Sell => price.0 as f64 <= other_units,
        }
    }
}

impl<M: FillModel> OrderGateway for RecordedVenue<'_, M> {
    fn place(&mut self, now_ns: TimestampNs, placement: &Placement) -> usize {
        let standing =
            Standing { remaining: placement.size, resting_since_ns: 0, last_told_ns: 0, phase: Phase::OnItsWay };
        let slot = self.orders.open(now_ns, placement, standing);
        self.send(now_ns, slot, false);
        slot
    }

    fn cancel(&mut self, now_ns: TimestampNs, slot: usize) {
        self.orders.cancel(now_ns, slot);
        self.send(now_ns, slot, true);
    }

    #[inline]
    fn order(&self, slot: usize) -> &VenueOrder {
        self.orders.order(slot)
    }

    fn write_standing(&self, standing: &mut Vec<StandingOrder>) {
        self.orders.write_standing(standing);
    }

    fn note_prediction(&mut self, slot: usize, prediction: Prediction) {
        self.orders.note_prediction(slot, prediction);
    }

    #[inline]
    fn next_notice(&mut self, until_ns: TimestampNs) -> Option<(TimestampNs, Notice)> {
        let answer_ns = self.answers.front().map_or(TimestampNs::MAX, |(time_ns, _)| *time_ns);
        let fill_ns = self.fills.front().map_or(TimestampNs::MAX, |(time_ns, _)| *time_ns);
        if answer_ns.min(fill_ns) > until_ns {
            return None;
        }
        let (time_ns, notice) = if answer_ns <= fill_ns { self.answers.pop_front() } else { self.fills.pop_front() }?;
        self.orders.hear(&notice);
        Some((time_ns, notice))
    }

    fn position(&self) -> Lots {
        self.filled
    }

    fn counts(&self) -> RequestCounts {
        self.orders.counts()
    }
}
