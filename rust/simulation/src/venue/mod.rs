//! Venues that carry out our orders: one over recorded prints, one that matches.

pub mod block_clock;
mod block_times;
pub mod blocks;
pub mod connections;
pub mod feed;
pub mod fees;
pub mod fill_models;
pub mod funding;
pub mod gateway;
pub mod latency;
pub mod loopback;
pub mod matched;
pub mod matching;
pub mod recorded;
mod shown;
