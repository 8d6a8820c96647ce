//! When our messages act and are heard at a recorded venue that keeps the block clock of the matching one.
//!
//! A batch reaches the mempool after a drawn delay, never before an earlier one, and acts with the first block at or
//! after that (held back by its class). What a block does to our orders is heard together, after a drawn delay of that
//! block. Blocks and delays have the keys they have at the matching venue, so that of one seed both venues draw the
//! same block times, the n-th request travels as long, and the news of a block comes as late.

use std::collections::VecDeque;

use hypermm_core::error::Result;
use hypermm_core::types::TimestampNs;

use super::block_clock::{Block, BlockClock, BlockClockSettings};
use super::blocks::BlockSettings;
use super::latency::{LatencyDraws, LatencyModel, LatencyStream};
use super::matching::rules::BACKSTOP;

/// Row of our account at the matching venue, the first one opened: it names the streams of our delays.
const OUR_ROW: u32 = BACKSTOP.0 + 1;

/// Block times and delays of our messages.
#[derive(Debug)]
pub(super) struct BlockTimes {
    latency: LatencyModel,
    draws: LatencyDraws,
    clock: BlockClock,
    cancel_hold_ns: i64,
    /// Blocks made that may still be asked for, in order.
    blocks: VecDeque<Block>,
    sent: u64,
    last_arrival_ns: TimestampNs,
    last_heard_ns: TimestampNs,
}

impl BlockTimes {
    /// A clock that starts when the settings say, or at `first_ns` where they leave it at 0.
    pub(super) fn new(settings: &BlockSettings, first_ns: TimestampNs, seed: u64) -> Result<Self> {
        settings.validate()?;
        let start_ns = if settings.clock.start_ns == 0 { first_ns.max(0) } else { settings.clock.start_ns };
        let clock = BlockClockSettings { start_ns, ..settings.clock.clone() };
        Ok(Self {
            latency: settings.latency.clone(),
            draws: LatencyDraws::new(seed),
            clock: BlockClock::new(clock, seed)?,
            cancel_hold_ns: settings.cancel_hold_ns,
            blocks: VecDeque::with_capacity(64),
            sent: 0,
            last_arrival_ns: TimestampNs::MIN,
            last_heard_ns: TimestampNs::MIN,
        })
    }

    /// When the block comes that executes a batch sent now.
    pub(super) fn acts_ns(&mut self, now_ns: TimestampNs, is_cancel: bool) -> TimestampNs {
        let delay_ns = self.latency.order.delay_ns(&mut self.draws, LatencyStream::Order(OUR_ROW), self.sent);
        self.sent += 1;
        self.last_arrival_ns = self.last_arrival_ns.max(now_ns.saturating_add(delay_ns));
        let held_ns = if is_cancel { self.cancel_hold_ns } else { 0 };
        self.block_at(self.last_arrival_ns.saturating_add(held_ns)).time_ns
    }

    /// When we hear of what happened at `exchange_time_ns`. Asked for in the order of what happened.
    pub(super) fn heard_ns(&mut self, exchange_time_ns: TimestampNs) -> TimestampNs {
        let block = self.block_at(exchange_time_ns);
        let delay_ns = self.latency.feed.delay_ns(&mut self.draws, LatencyStream::Notice(OUR_ROW), block.number);
        self.last_heard_ns = self.last_heard_ns.max(block.time_ns.saturating_add(delay_ns));
        self.last_heard_ns
    }

    /// Nothing earlier than `time_ns` is asked for any more.
    pub(super) fn forget_before(&mut self, time_ns: TimestampNs) {
        while self.blocks.front().is_some_and(|block| block.time_ns < time_ns) {
            self.blocks.pop_front();
        }
    }

    /// The first block at or after a time.
    fn block_at(&mut self, time_ns: TimestampNs) -> Block {
        while self.blocks.back().is_none_or(|last| last.time_ns < time_ns) {
            let block = self.clock.advance();
            self.blocks.push_back(block);
        }
        let place = self.blocks.partition_point(|block| block.time_ns < time_ns);
        self.blocks.get(place).copied().unwrap_or_else(|| self.clock.next())
    }
}
