//! The orders of one account, dead ones as far back as the venue tells of them.

use std::collections::BTreeMap;

use hypermm_core::types::{Lots, TimestampNs};

use super::event::OrderRecord;
use crate::venue::matching::order::{ClientOrderId, OrderChange, OrderId, OrderReference, OrderState};

/// Dead orders that are kept.
pub const KEPT_ORDERS: usize = 2_000;

/// Orders by their names.
#[derive(Debug, Default)]
pub struct OrderHistory {
    orders: BTreeMap<OrderId, OrderRecord>,
    /// The newest order of each name.
    names: BTreeMap<ClientOrderId, OrderId>,
    dead: usize,
}

impl OrderHistory {
    /// Takes in a change; the order as it stands now.
    pub fn change(&mut self, change: &OrderChange) -> OrderRecord {
        let fresh = OrderRecord {
            account: change.account,
            id: change.order_id,
            order: change.order,
            remaining: change.remaining,
            placed_ns: change.time_ns,
            state: change.state,
            state_ns: change.time_ns,
        };
        let was_dead = self.orders.get(&change.order_id).is_some_and(|order| order.state != OrderState::Open);
        let record = *self
            .orders
            .entry(change.order_id)
            .and_modify(|order| {
                order.remaining = change.remaining;
                order.state = change.state;
                order.state_ns = change.time_ns;
            })
            .or_insert(fresh);
        if let Some(name) = change.order.client_order_id {
            let newest = self.names.entry(name).or_insert(change.order_id);
            *newest = (*newest).max(change.order_id);
        }
        if change.state != OrderState::Open && !was_dead {
            self.dead += 1;
            self.forget_oldest();
        }
        record
    }

    /// A trade left this much of an order.
    pub fn fill(&mut self, time_ns: TimestampNs, id: OrderId, remaining: Lots) {
        if let Some(order) = self.orders.get_mut(&id) {
            order.remaining = remaining;
            order.state_ns = time_ns;
        }
    }

    fn forget_oldest(&mut self) {
        if self.dead <= KEPT_ORDERS {
            return;
        }
        let oldest = self.orders.values().find(|order| order.state != OrderState::Open).copied();
        if let Some(order) = oldest {
            self.orders.remove(&order.id);
            self.dead -= 1;
            if let Some(name) = order.order.client_order_id
                && self.names.get(&name) == Some(&order.id)
            {
                self.names.remove(&name);
            }
        }
    }

    /// An order by either of its names.
    #[must_use]
    pub fn find(&self, order: OrderReference) -> Option<&OrderRecord> {
        let id = match order {
            OrderReference::Order(id) => id,
            OrderReference::Client(name) => *self.names.get(&name)?,
        };
        self.orders.get(&id)
    }

    /// Newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = &OrderRecord> {
        self.orders.values().rev()
    }
}
