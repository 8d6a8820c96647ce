//! The quoting model of hypermm as one pure state machine: events in, ladders out.
//!
//! No clock, no randomness, no I/O, no threads: the same events give the same bits, live, on paper and in a backtest.
//! The mathematics, with units and sources, is in `MODEL.md` beside this crate; the reasons are in `DESIGN.md`.

#![allow(clippy::neg_cmp_op_on_partial_ord, reason = "a negated comparison is what refuses NaN")]
#![cfg_attr(test, allow(clippy::print_stdout, clippy::unwrap_used, reason = "tests print their figures"))]

pub mod accounting;
pub mod calibration;
pub mod config;
pub mod engine;
pub mod error;
pub mod estimators;
pub mod event;
pub mod feature_table;
pub mod features;
pub mod instrument;
pub mod online;
pub mod orders;
pub mod outcomes;
pub mod pricing;
pub mod state;
pub mod types;
