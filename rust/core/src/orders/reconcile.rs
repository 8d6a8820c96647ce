//! From a wanted ladder and what stands in the market to the fewest cancels and placements.
//!
//! Kept orders count first, because they hold places in queues. There is no modify: it loses the place even for a
//! size cut. At a wanted price, orders stand (oldest first) while together they are within the wanted size plus a
//! quarter clip; what is missing is placed when it is worth an order; everything else is cancelled. Position plus
//! every order not known to be dead never exceeds the cap: kept orders over it are cancelled deepest first, and
//! placements shrink to the room left, in which orders just cancelled still count.
//!
//! A ladder without a usable book behind it places nothing: what accumulates is cancelled, and reducing orders stand
//! up to the position.

use crate::instrument::Instrument;
use crate::pricing::decision::{Decision, QuoteSide};
use crate::types::{Lots, OrderStatus, Price, QuoteStatus, Side};

/// An order of ours not known to be dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StandingOrder {
    /// The caller's place for it, handed back with a cancel.
    pub slot: usize,
    /// Larger = placed later; decides who stands in front at one price.
    pub sequence: u64,
    /// Side.
    pub side: Side,
    /// Limit price.
    pub price: Price,
    /// What is left of it.
    pub remaining: Lots,
    /// Where it stands.
    pub status: OrderStatus,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Cancel the standing order with this slot.
    Cancel {
        /// [`StandingOrder::slot`].
        slot: usize,
    },
    /// Place a new post-only order.
    Place {
        /// Side.
        side: Side,
        /// Limit price.
        price: Price,
        /// Size.
        size: Lots,
        /// Level of the decision it belongs to.
        level: usize,
    },
}

/// The bounds a reconcile keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Signed position.
    pub position: Lots,
    /// Hard cap of |position| with all live orders filled.
    pub max_position: Lots,
    /// One clip; a quarter of it is the tolerance.
    pub clip: Lots,
}

/// Reusable buffers; after the first few cycles a reconcile allocates nothing.
#[derive(Clone, Debug, Default)]
pub struct Reconciler {
    sides: [Vec<StandingOrder>; 2],
    placements: Vec<Action>,
}

impl Reconciler {
    /// Appends to `actions` (cleared first) all cancels, then all placements, bids before asks, best first.
    pub fn reconcile(
        &mut self,
        decision: &Decision,
        instrument: &Instrument,
        bounds: Bounds,
        standing: &[StandingOrder],
        actions: &mut Vec<Action>,
    ) {
        actions.clear();
        self.placements.clear();
        for side in &mut self.sides {
            side.clear();
        }
        for order in standing.iter().filter(|order| !order.status.is_dead() && order.remaining.0 > 0) {
            insert_best_first(&mut self.sides[order.side.index()], *order);
        }
        for (side, wanted) in [(Side::Buy, &decision.bids), (Side::Sell, &decision.asks)] {
            let toward = if side == Side::Buy { bounds.position.0 } else { -bounds.position.0 };
            let plan = SidePlan {
                side,
                orders: &self.sides[side.index()],
                live: self.sides[side.index()].iter().map(|order| order.remaining.0).sum(),
                room: bounds.max_position.0 - toward,
                reducible: (-toward).max(0),
                tolerance: bounds.clip.0 / 4,
            };
            if decision.status == QuoteStatus::Quoting {
                plan.quote(wanted, instrument, actions, &mut self.placements);
            } else {
                plan.keep_reducing(actions);
            }
        }
        actions.extend_from_slice(&self.placements);
    }
}

struct SidePlan<'a> {
    side: Side,
    orders: &'a [StandingOrder],
    /// Lots of everything not known to be dead.
    live: i64,
    /// Lots this side may still add before the cap.
    room: i64,
    /// Lots this side may take off the position.
    reducible: i64,
    tolerance: i64,
}

impl SidePlan<'_> {
    fn quote(
        &self,
        wanted: &QuoteSide,
        instrument: &Instrument,
        actions: &mut Vec<Action>,
        placements: &mut Vec<Action>,
    ) {
        // Orders that are already being cancelled use up the cap first: nothing more can be done about them.
        let leaving: i64 = self.orders.iter().filter(|order| !order.status.is_keepable()).map(|o| o.remaining.0).sum();
        let mut keep_room = self.room - leaving;
        let mut place_room = self.room - self.live;
        let mut next = 0;
        for level in 0..wanted.len {
            let price = wanted.price_units[level];
            let target = wanted.lots[level].0;
            // Standing at prices better than this level that no level asked for.
            while self.orders.get(next).is_some_and(|order| is_better(self.side, order.price, price)) {
                cancel_if_keepable(&self.orders[next], actions);
                next += 1;
            }
            let mut kept = 0;
            while let Some(order) = self.orders.get(next).filter(|order| order.price == price) {
                let size = order.remaining.0;
                if order.status.is_keepable() && kept + size <= target + self.tolerance {
                    if size <= keep_room {
                        kept += size;
                        keep_room -= size;
                    } else {
                        // Over the cap: this one and everything deeper goes.
                        keep_room = 0;
                        cancel_if_keepable(order, actions);
                    }
                } else {
                    cancel_if_keepable(order, actions);
                }
                next += 1;
            }
            let missing = target - kept;
            let worth_an_order = kept == 0 || (missing > self.tolerance && is_placeable(instrument, price, missing));
            let size = missing.min(place_room);
            // A size the cap has cut below the venue's minimum is dropped; one the ladder asked for as such is not.
            if size > 0 && worth_an_order && (size == target || is_placeable(instrument, price, size)) {
                placements.push(Action::Place { side: self.side, price, size: Lots(size), level });
                place_room -= size;
            }
        }
        for order in &self.orders[next..] {
            cancel_if_keepable(order, actions);
        }
    }

    fn keep_reducing(&self, actions: &mut Vec<Action>) {
        let leaving: i64 = self.orders.iter().filter(|order| !order.status.is_keepable()).map(|o| o.remaining.0).sum();
        let mut left = self.reducible - leaving;
        for order in self.orders.iter().filter(|order| order.status.is_keepable()) {
            if order.remaining.0 <= left {
                left -= order.remaining.0;
            } else {
                actions.push(Action::Cancel { slot: order.slot });
            }
        }
    }
}

fn cancel_if_keepable(order: &StandingOrder, actions: &mut Vec<Action>) {
    if order.status.is_keepable() {
        actions.push(Action::Cancel { slot: order.slot });
    }
}

fn is_better(side: Side, price: Price, than: Price) -> bool {
    match side {
        Side::Buy => price > than,
        Side::Sell => price < than,
    }
}

/// Price units times lots are micros of quote currency.
fn is_placeable(instrument: &Instrument, price: Price, size: i64) -> bool {
    price.0 as f64 * size as f64 * 1e-6 >= instrument.min_notional()
}

/// Insertion sort: the caller's list is nearly sorted from the cycle before.
fn insert_best_first(orders: &mut Vec<StandingOrder>, order: StandingOrder) {
    let stands_behind = |other: &StandingOrder| {
        is_better(order.side, other.price, order.price)
            || (other.price == order.price && other.sequence <= order.sequence)
    };
    let mut place = orders.len();
    while place > 0 && !stands_behind(&orders[place - 1]) {
        place -= 1;
    }
    orders.insert(place, order);
}
