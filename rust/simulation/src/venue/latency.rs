//! How long messages travel.

use hypermm_core::error::{Result, invalid_input};

const DEFAULT_NS: i64 = 30_000_000;
const MAX_NS: i64 = 60_000_000_000;

/// Constant latency of orders and cancels to the venue, and of its answers back, ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// From sending a request until the venue acts on it.
    pub to_venue_ns: i64,
    /// From the venue's act until we know of it.
    pub acknowledge_ns: i64,
}

impl Default for Latency {
    /// 30 ms each way.
    fn default() -> Self {
        Self { to_venue_ns: DEFAULT_NS, acknowledge_ns: DEFAULT_NS }
    }
}

impl Latency {
    /// Each way 0 to 60 s, ns.
    ///
    /// # Errors
    /// [`hypermm_core::error::Error::InvalidInput`] when one is out of range.
    pub fn validate(&self) -> Result<()> {
        for (field, value) in [("to_venue_ns", self.to_venue_ns), ("acknowledge_ns", self.acknowledge_ns)] {
            if !(0..=MAX_NS).contains(&value) {
                return Err(invalid_input(field, value, "0 to 60000000000 ns", "30 ms is 30000000"));
            }
        }
        Ok(())
    }
}
