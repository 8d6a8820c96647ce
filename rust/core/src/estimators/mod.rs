//! What is learned from the events: drift, flow, reach, volatility, trend, funding.

pub mod depth_decay;
pub mod drift;
pub mod flow;
pub mod funding;
pub mod fusion;
pub mod market_model;
pub mod reach;
pub mod source;
pub mod trend;
pub mod volatility;
