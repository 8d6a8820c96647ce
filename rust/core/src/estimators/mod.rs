//! What is learned from the events: drift, flow, reach.

pub mod adverse_selection;
pub mod depth_decay;
pub mod drift;
pub mod drift_scale;
pub mod estimates;
pub mod feature_cycle;
pub mod flow;
pub mod fusion;
pub mod market_model;
mod own_fill;
pub mod reach;
pub mod source;
