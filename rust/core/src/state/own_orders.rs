//! Our orders, their places in the queue and how long orders of ours live.

use serde::{Deserialize, Serialize};

use super::book::Book;
use super::order_memory::{KEPT_NS, OrderMemory, POSITION_LAG_NS};
use super::queue::{CancelModel, QueuePosition};
use crate::types::{Identifier, Lots, NS_PER_S, OrderStatus, Price, Side, TimestampNs};

/// Centers of the depth buckets by which order life is kept, bps.
pub const LIFE_CENTERS_BPS: [f64; 7] = [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0];
const LIFE_EDGES_BPS: [f64; 6] = [0.5, 1.5, 3.0, 6.0, 12.0, 24.0];
// One ended order's worth of prior: ten seconds of life.
const LIFE_PRIOR_S: f64 = 10.0;

/// What one word on an order of ours says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderWord {
    /// Its state.
    pub status: OrderStatus,
    /// Its side.
    pub side: Side,
    /// Its limit price.
    pub price: Price,
    /// What is left of it; of one that ended, what never filled.
    pub remaining: Lots,
    /// What was ordered, where told; else what the first word says is left.
    pub original: Option<Lots>,
}

/// One order not known to be dead.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OwnOrder {
    /// Our name for it.
    pub id: Identifier,
    /// Its state.
    pub status: OrderStatus,
    /// Its side.
    pub side: Side,
    /// Its limit price.
    pub price: Price,
    /// What can still fill.
    pub remaining: Lots,
    /// First heard of.
    pub placed_ns: TimestampNs,
    /// Its place among the orders at its price.
    pub queue: QueuePosition,
    original: Lots,
    filled: Lots,
    /// Fills never told, taken to be in the position.
    settled: Lots,
    bucket: u8,
    changed_ns: TimestampNs,
}

impl OwnOrder {
    /// What the position can still gain by it, lots: what can fill, and what the venue says has filled while no fill was told.
    #[inline]
    #[must_use]
    pub fn exposed(&self) -> Lots {
        Lots(self.original.0.saturating_sub(self.filled.0).saturating_sub(self.settled.0).max(0))
    }
}

/// Life of our orders by depth bucket: exposure and ends, the maximum-likelihood rate of ending.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OrderLife {
    lived_s: [f64; 7],
    ended: [f64; 7],
    living: [i64; 7],
    living_since_ns: [i128; 7],
}

impl OrderLife {
    fn begin(&mut self, bucket: u8, now_ns: TimestampNs) {
        self.living[bucket as usize] += 1;
        self.living_since_ns[bucket as usize] += i128::from(now_ns);
    }

    fn end(&mut self, bucket: u8, placed_ns: TimestampNs, now_ns: TimestampNs) {
        let place = bucket as usize;
        self.living[place] -= 1;
        self.living_since_ns[place] -= i128::from(placed_ns);
        self.lived_s[place] += (now_ns - placed_ns) as f64 / NS_PER_S;
        self.ended[place] += 1.0;
    }

    /// Expected life Δ at each center: (seconds lived + 10)/(orders ended + 1), those still living included.
    #[must_use]
    pub fn expected_s(&self, now_ns: TimestampNs) -> [f64; 7] {
        let mut expected = [0.0; 7];
        for (i, life) in expected.iter_mut().enumerate() {
            let mut exposure = self.lived_s[i];
            if self.living[i] > 0 {
                let running = i128::from(self.living[i]) * i128::from(now_ns) - self.living_since_ns[i];
                // In two halves: the conversion of 128 bits at once is a call, and rounds the same.
                let running = running.max(0);
                let running_ns = (running >> 32) as i64 as f64 * 4_294_967_296.0 + f64::from(running as u32);
                exposure += running_ns / NS_PER_S;
            }
            *life = (exposure + LIFE_PRIOR_S) / (self.ended[i] + 1.0);
        }
        expected
    }
}

fn bucket_of(depth_bps: f64) -> u8 {
    LIFE_EDGES_BPS.iter().filter(|edge| depth_bps > **edge).count() as u8
}

/// Every order of ours not known to be dead.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "StoredOrders")]
pub struct OwnOrders {
    orders: Vec<OwnOrder>,
    life: OrderLife,
    memory: OrderMemory,
    // One key an order, side by side: an order is found without walking through the orders themselves.
    #[serde(skip_serializing)]
    keys: Vec<u32>,
    // Whether a filled order waits to be forgotten.
    #[serde(skip_serializing)]
    holds_exhausted: bool,
}

/// What a snapshot holds of [`OwnOrders`]; the rest follows from it.
#[derive(Deserialize)]
struct StoredOrders {
    orders: Vec<OwnOrder>,
    life: OrderLife,
    memory: OrderMemory,
}

impl From<StoredOrders> for OwnOrders {
    fn from(stored: StoredOrders) -> Self {
        let keys = stored.orders.iter().map(|order| key_of(&order.id)).collect();
        let holds_exhausted = stored.orders.iter().any(|order| order.remaining.0 == 0);
        Self { orders: stored.orders, life: stored.life, memory: stored.memory, keys, holds_exhausted }
    }
}

/// Names may share a key; the names themselves decide.
#[inline]
pub(super) fn key_of(id: &Identifier) -> u32 {
    match id {
        Identifier::Number(number) => *number as u32,
        Identifier::Text(text) => crc32fast::hash(text.as_bytes()),
    }
}

impl OwnOrders {
    /// Orders not known to be dead.
    #[must_use]
    pub fn live(&self) -> &[OwnOrder] {
        &self.orders
    }

    /// Life statistics.
    #[must_use]
    pub fn life(&self) -> &OrderLife {
        &self.life
    }

    /// Fills that news of orders implies and that no fill has told, by side, lots: of orders that ended, and of those that live.
    #[must_use]
    pub fn untold(&self) -> [Lots; 2] {
        let mut untold = self.memory.untold();
        for order in &self.orders {
            let lots = &mut untold[order.side.index()];
            lots.0 = lots.0.saturating_add(order.exposed().0 - order.remaining.0);
        }
        untold
    }

    /// As [`OwnOrders::untold`], of the orders that ended.
    #[inline]
    #[must_use]
    pub fn untold_by_ended(&self) -> [Lots; 2] {
        self.memory.untold()
    }

    /// The order is dead. What it was filled by and no fill has told still counts.
    pub fn end(&mut self, now_ns: TimestampNs, id: &Identifier, word: &OrderWord) {
        // One the venue never took cannot have filled.
        let left = if word.status == OrderStatus::Rejected { i64::MAX } else { word.remaining.0.max(0) };
        let Some(place) = self.find(id) else {
            if !self.memory.bury_again(now_ns, id, left) {
                let filled = self.memory.take_early(now_ns, id);
                let unfilled = word.original.map_or(0, |original| original.0.saturating_sub(filled));
                self.memory.bury(
                    now_ns,
                    id.clone(),
                    (word.side, word.price, word.original.unwrap_or(word.remaining)),
                    unfilled,
                    left,
                );
            }
            return;
        };
        let mut order = self.orders.swap_remove(place);
        self.keys.swap_remove(place);
        if order.remaining.0 > 0 {
            self.life.end(order.bucket, order.placed_ns, now_ns);
        } else {
            self.note_exhausted();
        }
        order.original = word.original.unwrap_or(order.original);
        let unfilled = order.exposed().0;
        self.memory.bury(now_ns, order.id, (order.side, order.price, order.original), unfilled, left);
    }

    /// Takes over a checked word on an order. `place_in_book` answers the distance from mid, bps, and the queue it would
    /// join at the price now; it is asked only for an order that is new or has moved.
    pub fn apply(
        &mut self,
        now_ns: TimestampNs,
        id: &Identifier,
        word: &OrderWord,
        place_in_book: impl FnOnce() -> (f64, QueuePosition),
    ) {
        if word.status.is_dead() || word.remaining.0 == 0 {
            self.end(now_ns, id, word);
            return;
        }
        let Some(place) = self.find(id) else {
            if !self.memory.is_late(id, word) {
                self.forget_exhausted(now_ns);
                let filled = self.memory.take_early(now_ns, id);
                let order = self.new_order(now_ns, id, word, filled, place_in_book());
                self.keys.push(key_of(id));
                self.orders.push(order);
            }
            return;
        };
        let before = self.orders[place].remaining;
        let known = &self.orders[place];
        let is_resized = word.original.is_some_and(|original| original != known.original);
        if known.price != word.price || known.side != word.side || is_resized {
            let order = self.new_order(now_ns, id, word, 0, place_in_book());
            let old = std::mem::replace(&mut self.orders[place], order);
            if before.0 > 0 {
                self.life.end(old.bucket, old.placed_ns, now_ns);
            }
            let unfilled = old.exposed().0;
            self.memory.bury(now_ns, old.id, (old.side, old.price, old.original), unfilled, before.0);
        } else {
            let order = &mut self.orders[place];
            // Without what was ordered: more than that is a new size, and fills heard so far belong to the old one.
            if word.original.is_none() && word.remaining > order.original {
                order.original = Lots(word.remaining.0.saturating_add(order.filled.0));
            }
            // Fills and order updates come on two streams in either order: what is left is the smaller of both accounts.
            order.remaining = word.remaining.min(order.exposed());
            order.status = word.status;
            if order.remaining != before {
                order.changed_ns = now_ns;
            }
            let (bucket, placed) = (order.bucket, order.placed_ns);
            if before.0 > 0 && order.remaining.0 == 0 {
                self.life.end(bucket, placed, now_ns);
            } else if before.0 == 0 && order.remaining.0 > 0 {
                order.placed_ns = now_ns;
                self.life.begin(bucket, now_ns);
            }
        }
        if before.0 == 0 || self.orders[place].remaining.0 == 0 {
            self.note_exhausted();
        }
    }

    /// Counts a fill against its order.
    pub fn apply_fill(&mut self, now_ns: TimestampNs, id: &Identifier, lots: Lots) {
        let Some(place) = self.find(id) else {
            self.memory.fill(now_ns, id, lots.0);
            return;
        };
        let order = &mut self.orders[place];
        order.settled.0 -= order.settled.0.min(lots.0);
        order.filled = Lots(order.filled.0.saturating_add(lots.0));
        let left = order.exposed().min(order.remaining);
        if order.remaining.0 > 0 && left.0 == 0 {
            self.life.end(order.bucket, order.placed_ns, now_ns);
        }
        order.remaining = left;
        order.changed_ns = now_ns;
        self.holds_exhausted |= left.0 == 0;
    }

    /// The venue has stated our position: fills it must contain count no longer, told or not.
    pub fn settle(&mut self, now_ns: TimestampNs) {
        self.memory.settle(now_ns);
        self.settle_orders(now_ns, POSITION_LAG_NS);
    }

    /// Forgets the dead of a minute ago, and fills nobody has told for as long.
    pub fn forget_untold(&mut self, now_ns: TimestampNs) {
        self.memory.forget(now_ns);
        self.settle_orders(now_ns, KEPT_NS);
    }

    fn settle_orders(&mut self, now_ns: TimestampNs, silent_ns: i64) {
        for order in self.orders.iter_mut().filter(|order| now_ns - order.changed_ns >= silent_ns) {
            order.settled.0 += order.exposed().0 - order.remaining.0;
        }
    }

    fn new_order(
        &mut self,
        now_ns: TimestampNs,
        id: &Identifier,
        word: &OrderWord,
        filled: i64,
        (depth_bps, queue): (f64, QueuePosition),
    ) -> OwnOrder {
        let mut order = OwnOrder {
            id: id.clone(),
            status: word.status,
            side: word.side,
            price: word.price,
            remaining: word.remaining,
            placed_ns: now_ns,
            queue,
            original: word.original.unwrap_or(word.remaining),
            filled: Lots(filled),
            settled: Lots(0),
            bucket: bucket_of(depth_bps),
            changed_ns: now_ns,
        };
        order.remaining = order.remaining.min(order.exposed());
        if order.remaining.0 > 0 {
            self.life.begin(order.bucket, now_ns);
        } else {
            self.holds_exhausted = true;
        }
        order
    }

    fn note_exhausted(&mut self) {
        self.holds_exhausted = self.orders.iter().any(|order| order.remaining.0 == 0);
    }

    #[inline]
    fn find(&self, id: &Identifier) -> Option<usize> {
        let key = key_of(id);
        // Most names asked for are either new or known; a pass without early exit compares several keys at once.
        if !self.keys.iter().fold(false, |found, other| found | (*other == key)) {
            return None;
        }
        self.keys.iter().zip(&self.orders).position(|(other, order)| *other == key && order.id == *id)
    }

    /// Lets the queues follow what the book shows at their prices.
    pub fn follow_book(&mut self, book: &Book, cancels: CancelModel) {
        for order in &mut self.orders {
            if order.queue.ahead() > 0.0
                && let Some(shown) = book.side(order.side).displayed_at(order.side, order.price)
            {
                order.queue.follow_shown(shown, cancels);
            }
        }
    }

    /// As [`OwnOrders::follow_book`] after best levels were laid over the book: only the best level and the prices
    /// before it can have changed.
    pub fn follow_best(&mut self, book: &Book, cancels: CancelModel) {
        for order in &mut self.orders {
            let side = book.side(order.side);
            let (Some(best), Some(size)) = (side.units().first(), side.sizes().first()) else { continue };
            let beyond = match order.side {
                Side::Buy => order.price.0 - best,
                Side::Sell => best - order.price.0,
            };
            if beyond > 0 {
                order.queue.passed();
            } else if beyond == 0 {
                order.queue.follow_shown(*size, cancels);
            }
        }
    }

    /// Lets a print at an order's price move it up, and one that went through put it first.
    pub fn follow_trade(&mut self, aggressor: Side, units: i64, size: f64) {
        for order in &mut self.orders {
            if order.side == aggressor || order.queue.ahead() <= 0.0 {
                continue;
            }
            let through = match order.side {
                Side::Buy => units < order.price.0,
                Side::Sell => units > order.price.0,
            };
            if through {
                order.queue.passed();
            } else if units == order.price.0 {
                order.queue.follow_print(size);
            }
        }
    }

    fn forget_exhausted(&mut self, now_ns: TimestampNs) {
        if !self.holds_exhausted {
            return;
        }
        self.orders.retain(|order| order.remaining.0 > 0 || now_ns - order.changed_ns < KEPT_NS);
        self.keys.clear();
        self.keys.extend(self.orders.iter().map(|order| key_of(&order.id)));
        self.note_exhausted();
    }
}
