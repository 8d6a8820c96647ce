//! Our position, moved once by each fill, replaced by the venue's word.

use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::types::{Identifier, Lots, Side};

// A reconnect replays at most the venue's last 2,000 fills; twice that is remembered, and memory stays flat.
const REMEMBERED_FILLS: usize = 4096;

/// Signed position and the fills already counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Inventory {
    position: Lots,
    entry_price: Option<f64>,
    seen: BTreeSet<Identifier>,
    order_seen: VecDeque<Identifier>,
}

impl Inventory {
    /// Signed position, + = long.
    #[must_use]
    pub fn position(&self) -> Lots {
        self.position
    }

    /// Mean entry price of the position held.
    #[must_use]
    pub fn entry_price(&self) -> Option<f64> {
        self.entry_price
    }

    /// True when a fill of this name was counted before.
    #[must_use]
    pub fn has_seen(&self, fill_id: &Identifier) -> bool {
        self.seen.contains(fill_id)
    }

    /// Moves the position by a fill.
    pub fn apply_fill(&mut self, side: Side, price: f64, lots: Lots, fill_id: Option<&Identifier>) {
        if let Some(name) = fill_id {
            if self.order_seen.len() == REMEMBERED_FILLS
                && let Some(oldest) = self.order_seen.pop_front()
            {
                self.seen.remove(&oldest);
            }
            self.seen.insert(name.clone());
            self.order_seen.push_back(name.clone());
        }
        let before = self.position.0;
        let change = if side == Side::Buy { lots.0 } else { -lots.0 };
        let after = before.saturating_add(change).max(-i64::MAX);
        self.entry_price = if after == 0 {
            None
        } else if before == 0 || before.signum() != after.signum() {
            Some(price)
        } else if before.signum() == change.signum() {
            let entry = self.entry_price.unwrap_or(price);
            Some((entry * before as f64 + price * change as f64) / after as f64)
        } else {
            self.entry_price
        };
        self.position = Lots(after);
    }

    /// Replaces the position by the venue's; returns the difference in lots.
    pub fn replace(&mut self, position: Lots, entry_price: Option<f64>) -> Lots {
        let difference = position.0.saturating_sub(self.position.0);
        if position.0 == 0 {
            self.entry_price = None;
        } else if entry_price.is_some() || difference != 0 {
            self.entry_price = entry_price;
        }
        self.position = position;
        Lots(difference)
    }
}
