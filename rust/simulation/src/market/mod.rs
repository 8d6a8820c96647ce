//! What a market did: recordings as columns, and sessions made of random numbers.

pub mod recording;
pub mod session;
