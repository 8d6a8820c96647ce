//! What everybody else does: seeded agents who make the market we quote in.
//!
//! A latent fair price that only some know ([`latent`]), makers around it ([`liquidity`]), self-exciting takers
//! ([`flow`]), takers who know ([`informed`]), whoever picks off stale quotes ([`arbitrage`]), forced sellers and buyers
//! ([`liquidations`]) and the funding they pay ([`funding`]). Every draw belongs to a stream of its purpose and is taken
//! in an order that no trade changes: what we quote changes how the others' orders meet the book, never what they draw.

pub mod arbitrage;
pub mod draws;
pub mod flow;
pub mod funding;
pub mod grid;
pub mod informed;
pub mod latent;
pub mod liquidations;
pub mod liquidity;
pub mod recorded;
pub mod regime;
pub mod synthetic;

use hypermm_core::error::Result;
use hypermm_core::types::TimestampNs;

use crate::venue::matching::exchange::Exchange;
use crate::venue::matching::order::{AccountId, Action, VenueEvent};

/// What everybody else does at one contract.
pub trait Background {
    /// Opens its accounts and lays the first book (executes directly).
    ///
    /// # Errors
    /// Whatever the exchange refuses.
    fn open(&mut self, time_ns: TimestampNs, exchange: &mut Exchange) -> Result<()>;

    /// Pushes what the others send for the block at `time_ns`, in order of arrival.
    fn act(&mut self, time_ns: TimestampNs, exchange: &Exchange, actions: &mut Vec<(AccountId, Action)>);

    /// Sees everything that happens (fills of its own orders).
    fn on_event(&mut self, event: &VenueEvent);

    /// Latent fair price now (drives oracle and mark), quote currency.
    fn fair_price(&self) -> f64;

    /// Funding rate of the last full hour, fraction, + = longs pay.
    fn funding_rate(&self) -> f64;

    /// Funding rate the present hour has earned so far.
    fn predicted_funding_rate(&self) -> f64;
}
