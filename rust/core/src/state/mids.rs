//! The last mids with when they were so: which one a print or a fill met.
//!
//! The venue publishes a block's best bid and offer and its trades separately, and the best is mostly heard first: on
//! the recordings for 72 to 85 % of the trade messages, by 8 ms in the median and 46 to 69 ms at the 95th percentile.
//! The mid heard last is then one after the print, and a reach measured from it is too short.

use serde::{Deserialize, Serialize};

use crate::types::TimestampNs;

/// Mids kept: with one of every block of 70 ms more than a second.
const KEPT: usize = 16;
/// By how much a book that shows a print may be heard before it, where no venue time tells: about the 95th percentile
/// of the recordings.
pub const LEAD_NS: i64 = 50_000_000;

/// A mid from when it was first heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct HeardMid {
    heard_ns: TimestampNs,
    exchange_time_ns: Option<TimestampNs>,
    mid: f64,
}

/// The last mids, each kept from the first book that showed it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MidHistory {
    ring: [HeardMid; KEPT],
    heard: usize,
}

impl MidHistory {
    /// A book or best of venue time `exchange_time_ns`, where that is known, was heard at `now_ns`.
    #[inline]
    pub fn hear(&mut self, now_ns: TimestampNs, exchange_time_ns: Option<TimestampNs>, mid: f64) {
        if self.newest_first().next().is_some_and(|last| last.mid == mid) {
            return;
        }
        self.ring[self.heard % KEPT] = HeardMid { heard_ns: now_ns, exchange_time_ns, mid };
        self.heard += 1;
    }

    /// The mid that what is heard at `now_ns` met at the venue at `exchange_time_ns`: the last one of a venue time
    /// strictly before it, since a book shows the end of its block. Where either has no venue time, the last one heard
    /// at least [`LEAD_NS`] before. The oldest kept where none is; `None` before the first.
    #[must_use]
    pub fn before(&self, now_ns: TimestampNs, exchange_time_ns: Option<TimestampNs>) -> Option<f64> {
        let is_before = |mid: &&HeardMid| match (mid.exchange_time_ns, exchange_time_ns) {
            (Some(shown_ns), Some(met_ns)) => shown_ns < met_ns,
            _ => now_ns - mid.heard_ns >= LEAD_NS,
        };
        self.newest_first().find(is_before).or(self.newest_first().last()).map(|mid| mid.mid)
    }

    /// Newest first.
    fn newest_first(&self) -> impl Iterator<Item = &HeardMid> {
        (self.heard.saturating_sub(KEPT)..self.heard).rev().map(|place| &self.ring[place % KEPT])
    }
}
