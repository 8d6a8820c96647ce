//! Matching venue, market scenarios and backtest around the hypermm engine. Every draw is keyed by seed, order id
//! and trade id, so that no result depends on call order.
//!
//! market → venue → backtest: a market happens, a venue answers us in it, a backtest plays both to a strategy.
//!
//! The crate takes no clock: whoever wants a rate of events measures around [`backtest::replay::run`].

pub mod backtest;
pub mod market;
pub mod venue;
