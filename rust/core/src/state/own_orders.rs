//! Our orders, their places in the queue and how long orders of ours live.

use serde::{Deserialize, Serialize};

use super::book::Book;
use super::queue::{CancelModel, QueuePosition};
use crate::types::{Identifier, Lots, NS_PER_S, OrderStatus, Price, Side, TimestampNs};

/// Centers of the depth buckets by which order life is kept, bps.
pub const LIFE_CENTERS_BPS: [f64; 7] = [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0];
const LIFE_EDGES_BPS: [f64; 6] = [0.5, 1.5, 3.0, 6.0, 12.0, 24.0];
// One ended order's worth of prior: ten seconds of life.
const LIFE_PRIOR_S: f64 = 10.0;
// A filled order whose death the venue has not reported is forgotten after this.
const EXHAUSTED_KEPT_NS: i64 = 60_000_000_000;

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
    bucket: u8,
    changed_ns: TimestampNs,
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
}

impl From<StoredOrders> for OwnOrders {
    fn from(stored: StoredOrders) -> Self {
        let keys = stored.orders.iter().map(|order| key_of(&order.id)).collect();
        let holds_exhausted = stored.orders.iter().any(|order| order.remaining.0 == 0);
        Self { orders: stored.orders, life: stored.life, keys, holds_exhausted }
    }
}

/// Names may share a key; the names themselves decide.
#[inline]
fn key_of(id: &Identifier) -> u32 {
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

    /// The order is dead; one never heard of is nothing new.
    pub fn end(&mut self, now_ns: TimestampNs, id: &Identifier) {
        let Some(place) = self.find(id) else { return };
        let order = &self.orders[place];
        if order.remaining.0 > 0 {
            self.life.end(order.bucket, order.placed_ns, now_ns);
        }
        self.orders.swap_remove(place);
        self.keys.swap_remove(place);
    }

    /// Takes over a checked order event. `place_in_book` answers the distance from mid, bps, and the size shown at the
    /// price now; it is asked only for an order that is new or has moved.
    #[allow(clippy::too_many_arguments, reason = "an order has this many facts")]
    pub fn apply(
        &mut self,
        now_ns: TimestampNs,
        id: &Identifier,
        status: OrderStatus,
        side: Side,
        price: Price,
        remaining: Lots,
        place_in_book: impl FnOnce() -> (f64, f64),
    ) {
        if status.is_dead() || remaining.0 == 0 {
            self.end(now_ns, id);
            return;
        }
        match self.find(id) {
            Some(place) => {
                let moved = self.orders[place].price != price || self.orders[place].side != side;
                if moved {
                    let old = &self.orders[place];
                    if old.remaining.0 > 0 {
                        self.life.end(old.bucket, old.placed_ns, now_ns);
                    }
                    let (depth_bps, ahead) = place_in_book();
                    self.life.begin(bucket_of(depth_bps), now_ns);
                    self.orders[place] = new_order(now_ns, id, status, side, price, remaining, depth_bps, ahead);
                } else {
                    let order = &mut self.orders[place];
                    // Fills and order updates come on two streams in either order: what is left is the smaller of both accounts,
                    // but more than was ever ordered is a new size, and fills heard so far belong to the old one.
                    if remaining > order.original {
                        order.original = Lots(remaining.0.saturating_add(order.filled.0));
                    }
                    let before = order.remaining;
                    let left = Lots(order.original.0.saturating_sub(order.filled.0).max(0));
                    order.remaining = remaining.min(left);
                    order.status = status;
                    order.changed_ns = now_ns;
                    let (bucket, placed) = (order.bucket, order.placed_ns);
                    if before.0 > 0 && order.remaining.0 <= 0 {
                        order.remaining = Lots(0);
                        self.holds_exhausted = true;
                        self.life.end(bucket, placed, now_ns);
                    } else if before.0 == 0 && self.orders[place].remaining.0 > 0 {
                        self.orders[place].placed_ns = now_ns;
                        self.life.begin(bucket, now_ns);
                    }
                }
            }
            None => {
                self.forget_exhausted(now_ns);
                let (depth_bps, ahead) = place_in_book();
                self.life.begin(bucket_of(depth_bps), now_ns);
                self.keys.push(key_of(id));
                self.orders.push(new_order(now_ns, id, status, side, price, remaining, depth_bps, ahead));
            }
        }
    }

    /// Counts a fill against its order.
    pub fn apply_fill(&mut self, now_ns: TimestampNs, id: &Identifier, lots: Lots) {
        let Some(place) = self.find(id) else { return };
        let order = &mut self.orders[place];
        order.filled = Lots(order.filled.0.saturating_add(lots.0));
        let left = Lots((order.original.0 - order.filled.0).max(0)).min(order.remaining);
        if order.remaining.0 > 0 && left.0 == 0 {
            self.life.end(order.bucket, order.placed_ns, now_ns);
        }
        order.remaining = left;
        order.changed_ns = now_ns;
        self.holds_exhausted |= left.0 == 0;
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
        self.orders.retain(|order| order.remaining.0 > 0 || now_ns - order.changed_ns < EXHAUSTED_KEPT_NS);
        self.keys.clear();
        self.keys.extend(self.orders.iter().map(|order| key_of(&order.id)));
        self.holds_exhausted = self.orders.iter().any(|order| order.remaining.0 == 0);
    }
}

#[allow(clippy::too_many_arguments, reason = "an order has this many facts")]
fn new_order(
    now_ns: TimestampNs,
    id: &Identifier,
    status: OrderStatus,
    side: Side,
    price: Price,
    remaining: Lots,
    depth_bps: f64,
    ahead: f64,
) -> OwnOrder {
    OwnOrder {
        id: id.clone(),
        status,
        side,
        price,
        remaining,
        placed_ns: now_ns,
        queue: QueuePosition::behind(ahead),
        original: remaining,
        filled: Lots(0),
        bucket: bucket_of(depth_bps),
        changed_ns: now_ns,
    }
}
