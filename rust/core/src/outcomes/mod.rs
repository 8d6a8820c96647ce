//! What became of our fills.

pub mod markout;
pub mod prediction;
