//! Plays a market to a strategy and carries out its ladders at a venue.

mod account;
mod cycle;
pub mod output;
pub mod plain;
pub mod replay;
pub mod strategy;
