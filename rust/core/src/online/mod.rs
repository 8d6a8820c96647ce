//! Streaming primitives: O(1) memory, exact in irregular time, the same bits on every machine.

pub mod decayed;
pub mod lanes;
pub mod median;
