//! Venues that carry out our orders: one over recorded prints, one that matches.

pub mod blocks;
pub mod fees;
pub mod fill_models;
pub mod gateway;
pub mod latency;
pub mod matching;
pub mod recorded;
