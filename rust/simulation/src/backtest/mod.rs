//! Replays a recording through a strategy and a venue.

mod account;
pub mod output;
pub mod replay;
