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

use crate::config::MAX_LEVELS;
use crate::instrument::Instrument;
use crate::pricing::decision::{Decision, QuoteSide};
use crate::types::{Lots, OrderStatus, Price, QuoteStatus, Side};

/// An order of ours not known to be dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StandingOrder {
    /// The caller's place for it, handed back with a cancel.
    pub slot: usize,
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
    kept: Vec<Kept>,
    placements: Vec<Action>,
}

#[derive(Clone, Copy, Debug)]
struct Kept {
    slot: usize,
    level: usize,
    size: i64,
}

impl Reconciler {
    /// Writes into `actions` (cleared first) all cancels, then all placements, bids before asks, best first.
    /// `standing` is in order of placement, oldest first: at one price the front of the queue is kept.
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
        for (side, wanted) in [(Side::Buy, &decision.bids), (Side::Sell, &decision.asks)] {
            let toward = if side == Side::Buy { bounds.position.0 } else { -bounds.position.0 };
            if decision.status == QuoteStatus::Quoting {
                let limits = Limits { room: bounds.max_position.0 - toward, tolerance: bounds.clip.0 / 4 };
                self.quote(side, wanted, instrument, limits, standing, actions);
            } else {
                keep_reducing(side, (-toward).max(0), standing, actions);
            }
        }
        actions.extend_from_slice(&self.placements);
    }

    fn quote(
        &mut self,
        side: Side,
        wanted: &QuoteSide,
        instrument: &Instrument,
        limits: Limits,
        standing: &[StandingOrder],
        actions: &mut Vec<Action>,
    ) {
        let mut kept_at = [0_i64; MAX_LEVELS];
        let prices = &wanted.price_units[..wanted.len];
        // `live` is everything not known to be dead; of it `bound` stays whatever we do or keep.
        let (mut live, mut bound) = (0, 0);
        self.kept.clear();
        for order in of_side(standing, side) {
            let size = order.remaining.0;
            live += size;
            if !order.status.is_keepable() {
                bound += size;
                continue;
            }
            match prices.iter().position(|price| *price == order.price) {
                Some(level) if kept_at[level] + size <= wanted.lots[level].0 + limits.tolerance => {
                    kept_at[level] += size;
                    bound += size;
                    self.kept.push(Kept { slot: order.slot, level, size });
                }
                _ => actions.push(Action::Cancel { slot: order.slot }),
            }
        }
        while bound > limits.room
            && let Some(deepest) = deepest(&self.kept)
        {
            let order = self.kept.remove(deepest);
            kept_at[order.level] -= order.size;
            bound -= order.size;
            actions.push(Action::Cancel { slot: order.slot });
        }
        let mut place_room = limits.room - live;
        for (level, price) in prices.iter().enumerate() {
            let target = wanted.lots[level].0;
            let missing = target - kept_at[level];
            let worth_an_order =
                kept_at[level] == 0 || (missing > limits.tolerance && is_placeable(instrument, *price, missing));
            let size = missing.min(place_room);
            // A size the cap has cut below the venue's minimum is dropped; one the ladder asked for as such is not.
            if size > 0 && worth_an_order && (size == target || is_placeable(instrument, *price, size)) {
                self.placements.push(Action::Place { side, price: *price, size: Lots(size), level });
                place_room -= size;
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Lots this side may add before the cap.
    room: i64,
    /// Lots by which a standing size may differ from the wanted one.
    tolerance: i64,
}

fn of_side(standing: &[StandingOrder], side: Side) -> impl DoubleEndedIterator<Item = &StandingOrder> {
    standing.iter().filter(move |order| order.side == side && order.remaining.0 > 0 && !order.status.is_dead())
}

/// The kept order at the deepest price, the youngest there.
fn deepest(kept: &[Kept]) -> Option<usize> {
    (0..kept.len()).max_by_key(|place| kept[*place].level)
}

/// Cancels what accumulates; of the rest the oldest stand up to the position.
fn keep_reducing(side: Side, reducible: i64, standing: &[StandingOrder], actions: &mut Vec<Action>) {
    let leaving: i64 = of_side(standing, side).filter(|o| !o.status.is_keepable()).map(|o| o.remaining.0).sum();
    let mut left = reducible - leaving;
    for order in of_side(standing, side).filter(|order| order.status.is_keepable()) {
        if order.remaining.0 <= left {
            left -= order.remaining.0;
        } else {
            actions.push(Action::Cancel { slot: order.slot });
        }
    }
}

/// Price units times lots are micros of quote currency.
fn is_placeable(instrument: &Instrument, price: Price, size: i64) -> bool {
    price.0 as f64 * size as f64 * 1e-6 >= instrument.min_notional()
}
