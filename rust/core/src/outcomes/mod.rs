//! What became of our fills.

pub mod breakdown;
pub mod markout;
pub mod prediction;
