//! When blocks come.

use hypermm_core::error::{Result, invalid_input};
use hypermm_core::types::TimestampNs;

use super::latency::{LatencyDraws, LatencyLaw, LatencyStream};

/// How far blocks lie apart.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockClockSettings {
    /// Time of block 0, ns.
    pub start_ns: TimestampNs,
    /// Law of the time from one block to the next.
    pub interval: LatencyLaw,
    /// Least time between blocks, ns, above 0.
    pub minimum_ns: i64,
    /// Largest time between blocks, ns.
    pub maximum_ns: i64,
}

impl Default for BlockClockSettings {
    /// Spacing as measured in 2026 (protocol sheet, 7.2 and 10.4): median 68–70 ms, 45 to 156 ms. The shape is that of
    /// 999 intervals of 2025-10-27: ln(interval − 45 ms) has a deviation of about 0.7, neighbors are uncorrelated
    /// (−0.04). Block 0 is at time 0.
    fn default() -> Self {
        Self {
            start_ns: 0,
            interval: LatencyLaw::Lognormal { median_ns: 69_000_000, deviation: 0.7, floor_ns: 45_000_000 },
            minimum_ns: 45_000_000,
            maximum_ns: 156_000_000,
        }
    }
}

impl BlockClockSettings {
    /// Checks the law and its bounds.
    ///
    /// # Errors
    /// [`hypermm_core::error::Error::InvalidInput`] naming the setting.
    pub fn validate(&self) -> Result<()> {
        self.interval.validate("clock.interval")?;
        if self.start_ns < 0 {
            return Err(invalid_input("clock.start_ns", self.start_ns, "0 or later", ""));
        }
        if self.minimum_ns <= 0 {
            return Err(invalid_input("clock.minimum_ns", self.minimum_ns, "above 0 ns", "45 ms is 45000000"));
        }
        if self.maximum_ns < self.minimum_ns {
            let expected = format!("at least the minimum, {}", self.minimum_ns);
            return Err(invalid_input("clock.maximum_ns", self.maximum_ns, expected, ""));
        }
        Ok(())
    }
}

/// A block's place and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Counted from 0.
    pub number: u64,
    /// Its time, ns: that of everything it does.
    pub time_ns: TimestampNs,
}

/// Times of the blocks, which follow from seed and number alone.
#[derive(Clone, Debug)]
pub struct BlockClock {
    settings: BlockClockSettings,
    draws: LatencyDraws,
    next: Block,
}

impl BlockClock {
    /// A clock that stands before block 0.
    ///
    /// # Errors
    /// As [`BlockClockSettings::validate`].
    pub fn new(settings: BlockClockSettings, seed: u64) -> Result<Self> {
        settings.validate()?;
        let next = Block { number: 0, time_ns: settings.start_ns };
        Ok(Self { settings, draws: LatencyDraws::new(seed), next })
    }

    /// The block to come.
    #[inline]
    #[must_use]
    pub const fn next(&self) -> Block {
        self.next
    }

    /// The block to come, which has come.
    pub fn advance(&mut self) -> Block {
        let block = self.next;
        let drawn_ns = self.settings.interval.delay_ns(&mut self.draws, LatencyStream::Block, block.number);
        let interval_ns = drawn_ns.clamp(self.settings.minimum_ns, self.settings.maximum_ns);
        self.next = Block { number: block.number + 1, time_ns: block.time_ns + interval_ns };
        block
    }
}
