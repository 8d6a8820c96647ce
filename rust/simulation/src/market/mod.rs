//! What a market did: recordings as columns, and sessions made of random numbers.

pub mod agents;
pub mod feature_matrix;
pub(crate) mod merge;
pub mod parameters;
pub mod preset;
pub mod recording;
pub mod references;
pub mod scenario;
pub mod session;
