//! The strategy that wants nothing: what a run costs before anybody quotes.

use hypermm_core::error::{Error, Result};
use hypermm_core::event::{AccountEvent, MarketEvent};
use hypermm_core::pricing::decision::Decision;
use hypermm_core::types::{QuoteStatus, TimestampNs};

use super::strategy::Strategy;

/// Hears everything, quotes nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Strategy for Silent {
    type Error = Error;

    fn on_event(&mut self, _: TimestampNs, event: &MarketEvent<'_>) -> Result<()> {
        // The event is made even where nobody reads it, as for any strategy.
        std::hint::black_box(event);
        Ok(())
    }

    fn on_account(&mut self, _: TimestampNs, _: &AccountEvent) -> Result<()> {
        Ok(())
    }

    fn quote(&mut self, time_ns: TimestampNs, decision: &mut Decision) -> Result<()> {
        decision.time_ns = time_ns;
        decision.status = QuoteStatus::Quoting;
        (decision.bids.len, decision.asks.len) = (0, 0);
        Ok(())
    }
}
