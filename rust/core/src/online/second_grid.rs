//! A series sampled at whole seconds, and its returns.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::types::{BPS, SECOND_NS};

/// Seconds kept: the longest trend horizon.
pub const GRID_SECONDS: usize = 300;

/// Beyond this gap a grid restarts.
pub const GRID_GAP_NS: i64 = GRID_SECONDS as i64 * SECOND_NS;

/// Values at whole seconds since the first, newest last; all above 0.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SecondGrid {
    values: VecDeque<f64>,
}

impl SecondGrid {
    /// An empty grid that will not allocate again.
    #[must_use]
    pub fn with_capacity() -> Self {
        Self { values: VecDeque::with_capacity(GRID_SECONDS + 1) }
    }

    /// Seconds held, the newest included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// True before the first second.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Appends the value in force at the next whole second.
    pub fn push(&mut self, value: f64) {
        if self.values.len() > GRID_SECONDS {
            self.values.pop_front();
        }
        self.values.push_back(value);
    }

    /// Forgets everything, after a gap longer than the grid.
    pub fn clear(&mut self) {
        self.values.clear();
    }

    /// Log return over the last `seconds`, bps; `None` before that much was seen.
    #[must_use]
    pub fn return_bps(&self, seconds: usize) -> Option<f64> {
        self.return_between(seconds, 0)
    }

    /// Log return from `from` to `to` seconds ago, bps.
    #[must_use]
    pub fn return_between(&self, from: usize, to: usize) -> Option<f64> {
        let newest = self.values.len().checked_sub(1)?;
        let start = self.values.get(newest.checked_sub(from)?)?;
        let end = self.values.get(newest.checked_sub(to)?)?;
        Some(libm::log(end / start) * BPS)
    }
}
