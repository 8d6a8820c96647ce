//! Plays a market to a strategy and carries out its ladders at a venue.

mod account;
mod cycle;
pub mod gap;
pub mod matched;
pub mod output;
pub mod plain;
pub mod quoter;
pub mod replay;
pub mod scenarios;
pub mod sessions;
pub mod silent;
pub mod strategy;
pub mod sweep;
