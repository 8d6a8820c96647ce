//! Features: what precedes a move, each with its name, tier, unit and staleness; MODEL.md section 7.
//!
//! [`FEATURES`] is the table Python, recordings of features and calibrations take their names from. A feature is silent until it is calibrated:
//! nothing here is a forecast.

pub mod book;
pub mod cross;
pub mod flow;
pub mod funding;
pub mod pipeline;
pub mod trend;
pub mod volatility;

pub use crate::feature_table::{FEATURES, Feature, FeatureId, FeatureStatus, FeatureValue, Tier};
