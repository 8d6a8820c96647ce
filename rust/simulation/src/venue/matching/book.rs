//! Resting orders of all contracts in one slab, and the two sides of one contract as queues per price.
//!
//! A side is a sorted row of levels with the best at its end, so that what happens near the touch moves little memory.
//! A level is the head and tail of a queue through the slab. Slots are used again, levels too: after warm-up nothing
//! allocates, and what is kept is bounded by what rests.

use std::hash::BuildHasherDefault;

use hashbrown::HashMap;
use hypermm_core::types::{Lots, Price, Side, TimestampNs};
use rustc_hash::FxHasher;

use super::order::{AccountId, ClientOrderId, NewOrder, OrderId};

/// Row of an order in the slab.
pub(super) type Slot = u32;
/// No order.
pub(super) const NONE: Slot = Slot::MAX;

/// A hash without a random seed: nothing goes by its order, and one seed gives the same bits.
type Lookup<Key> = HashMap<Key, Slot, BuildHasherDefault<FxHasher>>;

/// Neighbours of an order in a queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Links {
    pub(super) previous: Slot,
    pub(super) next: Slot,
}

const UNLINKED: Links = Links { previous: NONE, next: NONE };

/// An order that rests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resting {
    pub(super) id: OrderId,
    pub(super) account: AccountId,
    pub(super) remaining: i64,
    pub(super) placed_ns: TimestampNs,
    pub(super) order: NewOrder,
    /// In its price level, by time.
    in_level: Links,
    /// Among the account's orders in the contract, by time.
    in_account: Links,
    /// The older living order to which the account gave the same name.
    same_name: Slot,
}

/// First and last of a queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    pub(super) head: Slot,
    pub(super) tail: Slot,
}

impl Default for Ends {
    fn default() -> Self {
        Self { head: NONE, tail: NONE }
    }
}

/// All resting orders, by slot, by the venue's name and by the account's.
#[derive(Clone, Debug, Default)]
pub(super) struct Orders {
    slots: Vec<Resting>,
    free: Vec<Slot>,
    by_id: Lookup<OrderId>,
    by_client: Lookup<(AccountId, ClientOrderId)>,
}

impl std::ops::Index<Slot> for Orders {
    type Output = Resting;

    #[inline]
    fn index(&self, slot: Slot) -> &Resting {
        &self.slots[slot as usize]
    }
}

impl Orders {
    /// How many rest.
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    #[inline]
    fn at(&mut self, slot: Slot) -> &mut Resting {
        &mut self.slots[slot as usize]
    }

    #[inline]
    pub(super) fn find(&self, id: OrderId) -> Option<Slot> {
        self.by_id.get(&id).copied()
    }

    /// The newest resting order the account gave this name.
    #[inline]
    pub(super) fn find_client(&self, account: AccountId, name: ClientOrderId) -> Option<Slot> {
        self.by_client.get(&(account, name)).copied()
    }

    /// Puts an order last in its account's queue; its level is the book's to link.
    pub(super) fn insert(
        &mut self,
        id: OrderId,
        account: AccountId,
        order: &NewOrder,
        remaining: i64,
        now_ns: TimestampNs,
        queue: &mut Ends,
    ) -> Slot {
        let resting = Resting {
            id,
            account,
            remaining,
            placed_ns: now_ns,
            order: *order,
            in_level: UNLINKED,
            in_account: Links { previous: queue.tail, next: NONE },
            same_name: NONE,
        };
        let slot = if let Some(slot) = self.free.pop() {
            *self.at(slot) = resting;
            slot
        } else {
            self.slots.push(resting);
            (self.slots.len() - 1) as Slot
        };
        if queue.tail == NONE {
            queue.head = slot;
        } else {
            self.at(queue.tail).in_account.next = slot;
        }
        queue.tail = slot;
        self.by_id.insert(id, slot);
        if let Some(name) = order.client_order_id {
            self.at(slot).same_name = self.by_client.insert((account, name), slot).unwrap_or(NONE);
        }
        slot
    }

    /// Forgets an order that no level holds any more.
    pub(super) fn remove(&mut self, slot: Slot, queue: &mut Ends) -> Resting {
        let resting = self[slot];
        let Links { previous, next } = resting.in_account;
        if previous == NONE {
            queue.head = next
        } else {
            self.at(previous).in_account.next = next
        }
        if next == NONE {
            queue.tail = previous
        } else {
            self.at(next).in_account.previous = previous
        }
        self.by_id.remove(&resting.id);
        if let Some(name) = resting.order.client_order_id {
            self.forget_name((resting.account, name), slot, resting.same_name);
        }
        self.free.push(slot);
        resting
    }

    /// The name means the next older order again, where there is one.
    fn forget_name(&mut self, key: (AccountId, ClientOrderId), slot: Slot, older: Slot) {
        let Some(newest) = self.by_client.get_mut(&key) else { return };
        if *newest != slot {
            let mut at = *newest;
            while self.slots[at as usize].same_name != slot {
                at = self.slots[at as usize].same_name;
            }
            self.slots[at as usize].same_name = older;
        } else if older == NONE {
            self.by_client.remove(&key);
        } else {
            *newest = older;
        }
    }

    /// The next younger order of the same account and contract.
    #[inline]
    pub(super) fn next_of_account(&self, slot: Slot) -> Slot {
        self[slot].in_account.next
    }
}

/// One price: what rests there, and its queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Level {
    /// Price for bids, −price for asks: larger is better.
    rank: i64,
    pub(super) size: i64,
    pub(super) orders: u32,
    pub(super) queue: Ends,
}

/// One side of a contract's book.
#[derive(Clone, Debug)]
pub(super) struct BookSide {
    sign: i64,
    /// Best last.
    levels: Vec<Level>,
    total: i64,
}

/// Levels near the touch that are looked through one by one.
const NEAR: usize = 8;

impl BookSide {
    fn new(side: Side) -> Self {
        Self { sign: if side == Side::Buy { 1 } else { -1 }, levels: Vec::new(), total: 0 }
    }

    /// Everything that rests.
    #[inline]
    pub(super) fn total(&self) -> i64 {
        self.total
    }

    /// The best level with its price.
    #[inline]
    pub(super) fn best(&self) -> Option<(Price, &Level)> {
        self.levels.last().map(|level| (self.price(level), level))
    }

    #[inline]
    pub(super) fn price(&self, level: &Level) -> Price {
        Price(level.rank * self.sign)
    }

    /// Levels from the best on.
    pub(super) fn best_first(&self) -> impl Iterator<Item = (Price, &Level)> {
        self.levels.iter().rev().map(|level| (self.price(level), level))
    }

    /// Everything that rests at this price or better.
    pub(super) fn depth_to(&self, price: Price) -> i64 {
        let rank = price.0.saturating_mul(self.sign);
        self.levels.iter().rev().take_while(|level| level.rank >= rank).map(|level| level.size).sum()
    }

    /// Where the level of this rank is, or where it belongs.
    #[inline]
    fn place_of(&self, rank: i64) -> std::result::Result<usize, usize> {
        let mut end = self.levels.len();
        for _ in 0..NEAR {
            let Some(level) = end.checked_sub(1).and_then(|last| self.levels.get(last)) else {
                return Err(end);
            };
            if level.rank <= rank {
                return if level.rank == rank { Ok(end - 1) } else { Err(end) };
            }
            end -= 1;
        }
        self.levels[..end].binary_search_by_key(&rank, |level| level.rank)
    }

    /// Puts a new order last at its price.
    pub(super) fn push(&mut self, orders: &mut Orders, slot: Slot) {
        let (price, size) = (orders[slot].order.price, orders[slot].remaining);
        let rank = price.0 * self.sign;
        self.total += size;
        match self.place_of(rank) {
            Ok(index) => {
                let level = &mut self.levels[index];
                level.size += size;
                level.orders += 1;
                let tail = level.queue.tail;
                level.queue.tail = slot;
                orders.at(tail).in_level.next = slot;
                orders.at(slot).in_level = Links { previous: tail, next: NONE };
            }
            Err(index) => {
                let queue = Ends { head: slot, tail: slot };
                self.levels.insert(index, Level { rank, size, orders: 1, queue });
            }
        }
    }

    /// Takes an order out of its queue with what is left of it.
    pub(super) fn unlink(&mut self, orders: &mut Orders, slot: Slot) {
        let Resting { order, remaining, in_level: Links { previous, next }, .. } = orders[slot];
        let Ok(index) = self.place_of(order.price.0 * self.sign) else {
            debug_assert!(false, "an order rests without its level");
            return;
        };
        self.total -= remaining;
        let level = &mut self.levels[index];
        level.size -= remaining;
        level.orders -= 1;
        if level.orders == 0 {
            self.levels.remove(index);
            return;
        }
        if previous == NONE {
            level.queue.head = next
        } else {
            orders.at(previous).in_level.next = next
        }
        if next == NONE { level.queue.tail = previous } else { orders.at(next).in_level.previous = previous }
    }

    /// Makes an order smaller; it keeps its place. Answers what is left.
    pub(super) fn shrink(&mut self, orders: &mut Orders, slot: Slot, by: i64) -> i64 {
        let resting = orders.at(slot);
        resting.remaining -= by;
        let (left, rank) = (resting.remaining, resting.order.price.0 * self.sign);
        if let Ok(index) = self.place_of(rank) {
            self.levels[index].size -= by;
            self.total -= by;
        }
        left
    }
}

/// Both sides of one contract.
#[derive(Clone, Debug)]
pub(super) struct Book {
    sides: [BookSide; 2],
}

impl Book {
    pub(super) fn new() -> Self {
        Self { sides: [BookSide::new(Side::Buy), BookSide::new(Side::Sell)] }
    }

    #[inline]
    pub(super) fn side(&self, side: Side) -> &BookSide {
        &self.sides[side.index()]
    }

    #[inline]
    pub(super) fn side_mut(&mut self, side: Side) -> &mut BookSide {
        &mut self.sides[side.index()]
    }

    /// Best price of a side.
    #[inline]
    pub(super) fn best_price(&self, side: Side) -> Option<Price> {
        self.side(side).best().map(|(price, _)| price)
    }

    /// An order of this side at this price would meet a resting one.
    #[inline]
    pub(super) fn crosses(&self, side: Side, price: Price) -> bool {
        self.best_price(side.opposite()).is_some_and(|best| match side {
            Side::Buy => price >= best,
            Side::Sell => price <= best,
        })
    }

    /// What stands before an order in its queue.
    pub(super) fn queue_ahead(&self, orders: &Orders, slot: Slot) -> Lots {
        let mut ahead = 0;
        let mut at = orders[slot].in_level.previous;
        while at != NONE {
            ahead += orders[at].remaining;
            at = orders[at].in_level.previous;
        }
        Lots(ahead)
    }
}
