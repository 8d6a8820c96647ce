//! From a wanted ladder and what stands in the market to the fewest cancels and placements.
//!
//! Kept orders count first, because they hold places in queues. There is no modify: it loses the place even for a
//! size cut. At a wanted price, orders stand (oldest first) while together they are within the wanted size plus a
//! quarter clip; what is missing is placed when it is worth an order; everything else is canceled. Position plus
//! every order not known to be dead never exceeds the cap: kept orders over it are canceled deepest first, and
//! placements shrink to the room left, in which orders just canceled still count.
//!
//! A ladder without a usable book behind it places nothing: what accumulates is canceled, and reducing orders stand
//! up to the position. So it is with a reducing side that would be left without any order, as when everything there is still
//! being canceled and the cap has no room: what reduces is not pulled while nothing takes its place.

use crate::config::MAX_LEVELS;
use crate::instrument::Instrument;
use crate::pricing::decision::{Decision, QuoteSide};
use crate::types::{Lots, OrderStatus, Price, QuoteStatus, Side};

/// An order of ours not known to be dead. Fills that the end of an order implies and that are not told yet
/// ([`crate::engine::QuoteEngine::untold_fills`]) stand here as one more that is being canceled, else they are in no count.
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
    // Bids, asks.
    cancels: [Vec<Action>; 2],
    tallies: [SideTally; 2],
    kept: Vec<Kept>,
    placements: Vec<Action>,
}

#[derive(Clone, Copy, Debug)]
struct Kept {
    slot: usize,
    level: usize,
    size: i64,
}

/// What stands on one side: lots kept a level; `live` is everything not known to be dead; of it `bound` stays whatever
/// we do or keep.
#[derive(Clone, Debug, Default)]
struct SideTally {
    kept_at: [i64; MAX_LEVELS],
    live: i64,
    bound: i64,
    next_level: usize,
}

impl SideTally {
    fn keeps_any(&self, levels: usize) -> bool {
        self.kept_at[..levels].iter().any(|kept| *kept > 0)
    }
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
        if decision.status != QuoteStatus::Quoting {
            for (side, reducible) in [(Side::Buy, -bounds.position.0), (Side::Sell, bounds.position.0)] {
                let most = reducible - leaving(side, standing);
                keep_reducing(side, Reducing { reducible: most, beyond: 0, most }, standing, actions);
            }
            return;
        }
        self.placements.clear();
        let tolerance = bounds.clip.0 / 4;
        self.tally(decision, tolerance, standing);
        for (side, wanted) in [(Side::Buy, &decision.bids), (Side::Sell, &decision.asks)] {
            let toward = if side == Side::Buy { bounds.position.0 } else { -bounds.position.0 };
            let limits = Limits { room: bounds.max_position.0 - toward, tolerance };
            if self.tallies[side.index()].bound > limits.room {
                self.cut_to_room(side, wanted, limits.room, standing);
            }
            let begin = actions.len();
            actions.extend_from_slice(&self.cancels[side.index()]);
            let placed = self.placements.len();
            self.place(side, wanted, instrument, limits);
            let reducible = (-toward).max(0);
            let quotes = self.placements.len() > placed || self.tallies[side.index()].keeps_any(wanted.len);
            if reducible > 0 && !quotes {
                actions.truncate(begin);
                let most = limits.room - leaving(side, standing);
                keep_reducing(side, Reducing { reducible, beyond: bounds.clip.0, most }, standing, actions);
            }
        }
        actions.extend_from_slice(&self.placements);
    }

    /// Sorts what stands into kept and canceled.
    fn tally(&mut self, decision: &Decision, tolerance: i64, standing: &[StandingOrder]) {
        let Self { tallies, cancels, .. } = self;
        for (tally, wanted) in tallies.iter_mut().zip([&decision.bids, &decision.asks]) {
            tally.kept_at[..wanted.len].fill(0);
            (tally.live, tally.bound, tally.next_level) = (0, 0, 0);
        }
        for cancels in cancels.iter_mut() {
            cancels.clear();
        }
        for order in standing {
            let size = order.remaining.0;
            if size <= 0 || order.status.is_dead() {
                continue;
            }
            let tally = &mut tallies[order.side.index()];
            tally.live += size;
            if !order.status.is_keepable() {
                tally.bound += size;
                continue;
            }
            let wanted = if order.side == Side::Buy { &decision.bids } else { &decision.asks };
            match find_level(wanted, order.price, &mut tally.next_level) {
                Some(level) if tally.kept_at[level] + size <= wanted.lots[level].0 + tolerance => {
                    tally.kept_at[level] += size;
                    tally.bound += size;
                }
                _ => cancels[order.side.index()].push(Action::Cancel { slot: order.slot }),
            }
        }
    }

    fn place(&mut self, side: Side, wanted: &QuoteSide, instrument: &Instrument, limits: Limits) {
        let tally = &self.tallies[side.index()];
        let mut place_room = limits.room - tally.live;
        let levels = wanted.price_units.iter().zip(&wanted.lots).zip(&tally.kept_at).take(wanted.len);
        for (level, ((&price, target), &kept)) in levels.enumerate() {
            let missing = target.0 - kept;
            if kept != 0 && (missing <= limits.tolerance || !is_placeable(instrument, price, missing)) {
                continue;
            }
            let size = missing.min(place_room);
            // A size the cap has cut below the venue's minimum is dropped; one the ladder asked for as such is not.
            if size > 0 && (size == target.0 || is_placeable(instrument, price, size)) {
                self.placements.push(Action::Place { side, price, size: Lots(size), level });
                place_room -= size;
            }
        }
    }

    /// Cancels kept orders, deepest first and at one price the youngest, until what stays bound fits the room.
    #[cold]
    fn cut_to_room(&mut self, side: Side, wanted: &QuoteSide, room: i64, standing: &[StandingOrder]) {
        let tally = &mut self.tallies[side.index()];
        let cancels = &mut self.cancels[side.index()];
        self.kept.clear();
        for order in of_side(standing, side).filter(|order| order.status.is_keepable()) {
            if let Some(level) = find_level(wanted, order.price, &mut 0)
                && !cancels.contains(&Action::Cancel { slot: order.slot })
            {
                self.kept.push(Kept { slot: order.slot, level, size: order.remaining.0 });
            }
        }
        while tally.bound > room
            && let Some(deepest) = deepest(&self.kept)
        {
            let order = self.kept.remove(deepest);
            tally.kept_at[order.level] -= order.size;
            tally.bound -= order.size;
            cancels.push(Action::Cancel { slot: order.slot });
        }
    }
}

/// The wanted level at a price. Orders placed together stand on neighboring levels: `next` is tried first, and left one
/// past the level found.
#[inline]
fn find_level(wanted: &QuoteSide, price: Price, next: &mut usize) -> Option<usize> {
    let prices = &wanted.price_units[..wanted.len];
    let level = match prices.get(*next) {
        Some(found) if *found == price => *next,
        _ => prices.iter().position(|found| *found == price)?,
    };
    *next = level + 1;
    Some(level)
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

/// Lots of a side that are being canceled and can still fill.
fn leaving(side: Side, standing: &[StandingOrder]) -> i64 {
    of_side(standing, side).filter(|order| !order.status.is_keepable()).map(|order| order.remaining.0).sum()
}

/// How much of a side may stand where nothing takes its place, lots.
#[derive(Clone, Copy, Debug)]
struct Reducing {
    /// The position.
    reducible: i64,
    /// The last order may be larger than what is left of it by this.
    beyond: i64,
    /// What has room in the cap beside what is being canceled.
    most: i64,
}

/// Cancels what accumulates; of the rest the oldest stand up to the position.
fn keep_reducing(side: Side, mut keep: Reducing, standing: &[StandingOrder], actions: &mut Vec<Action>) {
    for order in of_side(standing, side).filter(|order| order.status.is_keepable()) {
        let size = order.remaining.0;
        if keep.reducible > 0 && size <= keep.most.min(keep.reducible + keep.beyond) {
            keep.reducible -= size;
            keep.most -= size;
        } else {
            actions.push(Action::Cancel { slot: order.slot });
        }
    }
}

/// Price units times lots are micros of quote currency.
fn is_placeable(instrument: &Instrument, price: Price, size: i64) -> bool {
    price.0 as f64 * size as f64 * 1e-6 >= instrument.min_notional()
}
