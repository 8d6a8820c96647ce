//! Markets made of random numbers, for demonstrations and tests.

pub mod session;
