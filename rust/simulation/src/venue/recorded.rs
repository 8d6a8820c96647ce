//! A venue whose market is a recording: it acknowledges, rejects, cancels and fills our orders on its own clock.
//!
//! An order rests from sending + latency until its cancel arrives. A print is matched against the orders resting at
//! its venue time, whenever the recording's collector heard of it, so receive latency lends no foresight. We hear of a
//! fill when the print was received, or when the venue's answer could have come back, whichever is later. A cancel
//! that comes too late is answered by the fill.
//!
//! Where the fill model keeps queues, orders follow the recorded book on the venue's clock too; at one time a print
//! comes before the book that shows what it left.
//!
//! Latency is a constant pair, or that of the matching venue: blocks and drawn delays, orders before cancels before
//! prints within a block, a cycle's messages in batches, and an order judged by the book the block before left.

use std::collections::VecDeque;

use hypermm_core::error::Result;
use hypermm_core::instrument::Instrument;
use hypermm_core::orders::reconcile::StandingOrder;
use hypermm_core::outcomes::prediction::Prediction;
use hypermm_core::state::queue::QueuePosition;
use hypermm_core::types::{Lots, OrderStatus, Price, Side, TimestampNs};

use super::block_times::BlockTimes;
use super::blocks::BlockSettings;
use super::fill_models::{FillModel, Touch};
use super::gateway::{Notice, OrderGateway, OrderSlots, Placement, RequestCounts, VenueFill, VenueOrder};
use super::latency::Latency;
use super::shown::{BookRows, SAME_PRICE, Shown};
use crate::market::recording::RecordingColumns;

/// Stands for the print where the other side of the book filled an order.
const NO_PRINT: u64 = 0;

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
    queue: QueuePosition,
    /// Where the best of its side last stood behind it; its own price while somebody was with it.
    others_at: f64,
}

#[derive(Clone, Copy, Debug)]
struct Request {
    arrival_ns: TimestampNs,
    slot: usize,
    /// Slots are reused: a late cancel must not meet the next order in its slot.
    order_id: u64,
    cancel: bool,
}

/// Messages of one quote cycle, by batch.
#[derive(Debug, Default)]
struct Batches {
    /// The first level of the side that reduces the position.
    reducing: Vec<usize>,
    cancels: Vec<usize>,
    placements: Vec<usize>,
}

/// The venue over one recording.
#[derive(Debug)]
pub struct RecordedVenue<'a, M> {
    columns: RecordingColumns<'a>,
    model: M,
    latency: Latency,
    /// Blocks and drawn delays in place of the constant latency.
    blocks: Option<BlockTimes>,
    /// What the quote cycle sends with its next flush, where there are blocks.
    batches: Batches,
    /// By the fills we have heard of, lots.
    known_position: i64,
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
    /// The book as an arriving order meets it.
    arriving: BookRows<'a>,
    /// The book as resting orders follow it.
    followed: BookRows<'a>,
    /// Lots our orders of each side took of the other side's size that stands at or through their prices.
    met: [i64; 2],
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
            blocks: None,
            batches: Batches::default(),
            known_position: 0,
            price_scale: instrument.price_scale(),
            size_scale: instrument.size_scale(),
            orders: OrderSlots::default(),
            resting: [Vec::with_capacity(64), Vec::with_capacity(64)],
            requests: VecDeque::with_capacity(256),
            answers: VecDeque::with_capacity(256),
            fills: VecDeque::with_capacity(64),
            by_exchange_time,
            next_print: 0,
            arriving: BookRows::new(columns),
            followed: BookRows::new(columns),
            met: [0; 2],
            filled: Lots(0),
        }
    }

    /// The same with the blocks and delays of the matching venue, drawn from `seed`. A clock whose start is 0 starts
    /// with the recording.
    ///
    /// # Errors
    /// As [`BlockSettings::validate`].
    pub fn with_blocks(mut self, settings: &BlockSettings, seed: u64) -> Result<Self> {
        let first_ns = self.columns.span_ns().map_or(0, |(first_ns, _)| first_ns);
        self.blocks = Some(BlockTimes::new(settings, first_ns, seed)?);
        Ok(self)
    }

    /// Lets the venue act on everything up to and including `until_ns` of its clock.
    #[inline]
    pub fn advance(&mut self, until_ns: TimestampNs) {
        loop {
            let request_ns = self.requests.front().map_or(TimestampNs::MAX, |request| request.arrival_ns);
            // An order that arrives with a print is there when it happens.
            let print_limit_ns = request_ns.saturating_sub(1).min(until_ns);
            self.follow_market(print_limit_ns);
            if request_ns > until_ns {
                if let Some(blocks) = &mut self.blocks {
                    blocks.forget_before(until_ns);
                }
                return;
            }
            let Some(request) = self.requests.pop_front() else { return };
            if request.cancel {
                self.cancel_arrives(request);
            } else {
                self.order_arrives(request);
            }
        }
    }

    /// Lets everything recorded up to and including `limit_ns` happen.
    #[inline]
    fn follow_market(&mut self, limit_ns: TimestampNs) {
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

    fn send(&mut self, now_ns: TimestampNs, slot: usize, cancel: bool) {
        let arrival_ns = now_ns + self.latency.to_venue_ns;
        self.requests.push_back(Request { arrival_ns, slot, order_id: self.orders.order(slot).id, cancel });
    }

    /// Sends a batch to the block that executes it: orders before cancels, else in the order of sending.
    fn send_batch(&mut self, now_ns: TimestampNs, slots: &mut Vec<usize>, cancel: bool) {
        let Some(blocks) = self.blocks.as_mut().filter(|_| !slots.is_empty()) else { return };
        let arrival_ns = blocks.acts_ns(now_ns, cancel);
        for slot in slots.drain(..) {
            let request = Request { arrival_ns, slot, order_id: self.orders.order(slot).id, cancel };
            let turn = (arrival_ns, cancel);
            let place = self.requests.partition_point(|other| (other.arrival_ns, other.cancel) <= turn);
            self.requests.insert(place, request);
        }
    }

    /// When we hear the answer to a request that acts now.
    fn answer_ns(&mut self, acts_ns: TimestampNs) -> TimestampNs {
        match &mut self.blocks {
            Some(blocks) => blocks.heard_ns(acts_ns),
            None => acts_ns + self.latency.acknowledge_ns,
        }
    }

    fn last_fill_told_ns(&self) -> TimestampNs {
        self.fills.back().map_or(TimestampNs::MIN, |(time_ns, _)| *time_ns)
    }

    fn order_arrives(&mut self, request: Request) {
        let (side, price) = (self.orders.order(request.slot).side, self.orders.order(request.slot).price);
        let answer_ns = self.answer_ns(request.arrival_ns);
        // A block's own book is that of its end: what an order meets is what the block before left.
        let seen_ns = request.arrival_ns - i64::from(self.blocks.is_some());
        if self.would_take(seen_ns, side, price) {
            self.orders.beside_mut(request.slot).phase = Phase::Gone;
            self.orders.count_rejected();
            self.answers.push_back((answer_ns, Notice::Status(request.slot, OrderStatus::Rejected)));
            return;
        }
        let queue = match self.model.cancels() {
            Some(_) => self.arriving.shown_at(side, price.0 as f64 / self.price_scale).map(QueuePosition::behind),
            None => None,
        };
        let standing = self.orders.beside_mut(request.slot);
        standing.queue = queue.unwrap_or_else(QueuePosition::unseen);
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
        let answer_ns = self.answer_ns(request.arrival_ns);
        let notice = Notice::Status(request.slot, OrderStatus::Canceled);
        // A fill from before the cancel may still be on its way to us: the end of the order is told after it.
        if standing.last_told_ns >= answer_ns {
            let told_ns = self.last_fill_told_ns().max(standing.last_told_ns);
            self.fills.push_back((told_ns, notice));
        } else {
            self.answers.push_back((answer_ns, notice));
        }
    }

    /// Whether a post-only order would meet the other side's best at `now_ns` of the venue's clock.
    fn would_take(&mut self, now_ns: TimestampNs, side: Side, price: Price) -> bool {
        self.arriving.advance(now_ns);
        let Some(other) = self.arriving.best_price(side.opposite()) else { return false };
        let other_units = (other * self.price_scale).round();
        match side {
            Side::Buy => price.0 as f64 >= other_units,
            Side::Sell => price.0 as f64 <= other_units,
        }
    }
}

impl<M: FillModel> OrderGateway for RecordedVenue<'_, M> {
    fn place(&mut self, now_ns: TimestampNs, placement: &Placement) -> usize {
        let standing = Standing {
            remaining: placement.size,
            resting_since_ns: 0,
            last_told_ns: 0,
            phase: Phase::OnItsWay,
            queue: QueuePosition::unseen(),
            others_at: placement.price.0 as f64 / self.price_scale,
        };
        let slot = self.orders.open(now_ns, placement, standing);
        if self.blocks.is_none() {
            self.send(now_ns, slot, false);
            return slot;
        }
        let reduces = placement.level == 0
            && match placement.side {
                Side::Buy => self.known_position < 0,
                Side::Sell => self.known_position > 0,
            };
        if reduces { &mut self.batches.reducing } else { &mut self.batches.placements }.push(slot);
        slot
    }

    fn cancel(&mut self, now_ns: TimestampNs, slot: usize) {
        self.orders.cancel(now_ns, slot);
        if self.blocks.is_none() {
            self.send(now_ns, slot, true);
        } else {
            self.batches.cancels.push(slot);
        }
    }

    fn flush(&mut self, now_ns: TimestampNs) {
        if self.blocks.is_none() {
            return;
        }
        let mut batches = std::mem::take(&mut self.batches);
        self.send_batch(now_ns, &mut batches.reducing, false);
        self.send_batch(now_ns, &mut batches.cancels, true);
        self.send_batch(now_ns, &mut batches.placements, false);
        self.batches = batches;
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
        if let Notice::Fill(fill) = notice {
            let is_buy = self.orders.order(fill.slot).side == Side::Buy;
            self.known_position += if is_buy { fill.size.0 } else { -fill.size.0 };
        }
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
