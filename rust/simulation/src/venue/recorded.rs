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

mod market;

use std::collections::VecDeque;

use hypermm_core::error::Result;
use hypermm_core::instrument::Instrument;
use hypermm_core::orders::reconcile::StandingOrder;
use hypermm_core::outcomes::prediction::Prediction;
use hypermm_core::state::queue::QueuePosition;
use hypermm_core::types::{Lots, OrderStatus, Price, Side, TimestampNs};

use super::block_times::BlockTimes;
use super::blocks::BlockSettings;
use super::fill_models::FillModel;
use super::gateway::{Notice, OrderGateway, OrderSlots, Placement, RequestCounts, VenueOrder};
use super::latency::Latency;
use super::shown::BookRows;
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
        if self.orders.leads_out(placement) { &mut self.batches.reducing } else { &mut self.batches.placements }
            .push(slot);
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
