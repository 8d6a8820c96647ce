//! Request headroom.

use serde::{Deserialize, Serialize};

/// Requests left and used; never heard = full headroom.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Quota {
    heard: Option<(f64, f64)>,
}

impl Quota {
    /// Takes over the venue's word.
    pub fn apply(&mut self, requests_remaining: f64, requests_last_day: f64) {
        self.heard = Some((requests_remaining, requests_last_day));
    }

    /// h = clamp(requests remaining/max(1000, requests of the last 24 h), 0.01, 1); 1 when never heard.
    #[must_use]
    pub fn headroom(&self) -> f64 {
        self.heard.map_or(1.0, |(remaining, last_day)| (remaining / last_day.max(1000.0)).clamp(0.01, 1.0))
    }
}
