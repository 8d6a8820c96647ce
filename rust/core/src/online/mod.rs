//! Streaming primitives: O(1) memory, exact in irregular time, the same bits on every machine.

pub mod beta;
pub mod cholesky;
pub mod decayed;
pub mod hawkes;
pub mod lanes;
pub mod median;
pub mod second_grid;
