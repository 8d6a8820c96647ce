//! What is remembered beside the orders that live: names of the dead, and fills told before their order.
//!
//! Orders and fills come on two channels, either ahead of the other. An order told dead has
//!
//! ```text
//! untold = ordered − fills told − what its end says was left
//! ```
//!
//! lots in the position that we have not heard of; they count against the cap until their fills come, the venue states
//! a position that must contain them, or a minute has passed. A late word on a dead order does not bring it back.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::own_orders::{OrderWord, key_of};
use crate::types::{Identifier, Lots, OrderStatus, Price, Side, TimestampNs};

/// What one channel has told is waited for on the other this long.
pub(super) const KEPT_NS: i64 = 60_000_000_000;
/// A position stated this long after the news of an order contains what that news implies; a younger one may be older than it.
pub(super) const POSITION_LAG_NS: i64 = 5_000_000_000;

/// An order that is no more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Dead {
    id: Identifier,
    side: Side,
    price: Price,
    told_ns: TimestampNs,
    /// What was ordered.
    original: Lots,
    /// Ordered less the fills told.
    unfilled: i64,
    /// Of it, what never filled.
    left: i64,
}

impl Dead {
    fn untold(&self) -> i64 {
        (self.unfilled - self.left).max(0)
    }
}

/// A fill of an order not heard of yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct EarlyFill {
    id: Identifier,
    lots: i64,
    told_ns: TimestampNs,
}

/// Both, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct OrderMemory {
    dead: VecDeque<Dead>,
    // One key a name, side by side: a new order is found not to be among them at a glance.
    keys: VecDeque<u32>,
    early: VecDeque<EarlyFill>,
    /// Sum over the dead, by side.
    untold: [i64; 2],
}

impl OrderMemory {
    /// Lots of fills that ends of orders imply and no fill has told, by side.
    pub(super) fn untold(&self) -> [Lots; 2] {
        self.untold.map(Lots)
    }

    /// Whether a word on this order comes after its end. Our own word on sending it, or another price, is a new order's.
    pub(super) fn is_late(&self, id: &Identifier, word: &OrderWord) -> bool {
        word.status != OrderStatus::Pending
            && self.find(id).is_some_and(|place| {
                let dead = &self.dead[place];
                dead.price == word.price
                    && dead.side == word.side
                    && word.original.is_none_or(|original| original == dead.original)
            })
    }

    /// An order has ended with `left` of `unfilled` lots never filled.
    pub(super) fn bury(
        &mut self,
        now_ns: TimestampNs,
        id: Identifier,
        (side, price, original): (Side, Price, Lots),
        unfilled: i64,
        left: i64,
    ) {
        self.forget(now_ns);
        let dead = Dead { id, side, price, told_ns: now_ns, original, unfilled: unfilled.max(0), left };
        self.add_untold(side, dead.untold());
        self.keys.push_back(key_of(&dead.id));
        self.dead.push_back(dead);
    }

    /// Another word on the end of an order: the one that leaves less counts. False for a name that is not remembered.
    pub(super) fn bury_again(&mut self, now_ns: TimestampNs, id: &Identifier, left: i64) -> bool {
        let Some(place) = self.find(id) else { return false };
        if left < self.dead[place].left
            && let (Some(mut dead), Some(key)) = (self.dead.remove(place), self.keys.remove(place))
        {
            let before = dead.untold();
            (dead.left, dead.told_ns) = (left, now_ns);
            self.add_untold(dead.side, dead.untold() - before);
            self.dead.push_back(dead);
            self.keys.push_back(key);
        }
        true
    }

    /// A fill of a dead order, or of one not heard of yet.
    pub(super) fn fill(&mut self, now_ns: TimestampNs, id: &Identifier, lots: i64) {
        let change = |dead: &mut Dead| dead.unfilled = dead.unfilled.saturating_sub(lots).max(0);
        if self.change(id, change).is_none() {
            self.forget(now_ns);
            self.early.push_back(EarlyFill { id: id.clone(), lots, told_ns: now_ns });
        }
    }

    /// Lots of an order that were told before it; they are told once.
    pub(super) fn take_early(&mut self, now_ns: TimestampNs, id: &Identifier) -> i64 {
        if self.early.is_empty() {
            return 0;
        }
        self.forget(now_ns);
        let mut taken = 0_i64;
        self.early.retain(|fill| {
            let is_its = fill.id == *id;
            taken = taken.saturating_add(if is_its { fill.lots } else { 0 });
            !is_its
        });
        taken
    }

    /// The venue has stated our position: what it must contain is no longer waited for.
    pub(super) fn settle(&mut self, now_ns: TimestampNs) {
        for dead in self.dead.iter_mut().take_while(|dead| now_ns - dead.told_ns >= POSITION_LAG_NS) {
            self.untold[dead.side.index()] -= dead.untold();
            dead.unfilled = dead.unfilled.min(dead.left.max(0));
        }
    }

    /// Forgets what is too old.
    pub(super) fn forget(&mut self, now_ns: TimestampNs) {
        let is_old = |told_ns: TimestampNs| now_ns - told_ns >= KEPT_NS;
        while let Some(dead) = self.dead.front().filter(|dead| is_old(dead.told_ns)) {
            let (side, untold) = (dead.side, dead.untold());
            self.add_untold(side, -untold);
            self.dead.pop_front();
            self.keys.pop_front();
        }
        while self.early.front().is_some_and(|fill| is_old(fill.told_ns)) {
            self.early.pop_front();
        }
    }

    fn change(&mut self, id: &Identifier, change: impl FnOnce(&mut Dead)) -> Option<()> {
        let place = self.find(id)?;
        let dead = &mut self.dead[place];
        let (side, before) = (dead.side, dead.untold());
        change(dead);
        let after = dead.untold();
        self.add_untold(side, after - before);
        Some(())
    }

    fn add_untold(&mut self, side: Side, lots: i64) {
        let sum = &mut self.untold[side.index()];
        *sum = sum.saturating_add(lots);
    }

    /// The youngest of this name.
    fn find(&self, id: &Identifier) -> Option<usize> {
        let key = key_of(id);
        let (front, back) = self.keys.as_slices();
        let holds = |keys: &[u32]| keys.iter().fold(false, |found, other| found | (*other == key));
        if !holds(front) && !holds(back) {
            return None;
        }
        self.dead.iter().rposition(|dead| dead.id == *id)
    }
}
