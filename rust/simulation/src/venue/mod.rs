//! A venue that fills our orders against recorded prints.

pub mod fill_models;
pub mod latency;
pub mod recorded;
