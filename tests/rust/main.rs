//! Integration tests of all Rust crates, one binary. Each module holds the laws of one subject.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "tests may read how many cases to run, and the clock")]

mod calibrated_engine;
mod core_estimators;
mod core_state;
mod engine_storm;
mod feature_market;
mod features;
mod ladder_continuity;
mod layering;
mod loopback_laws;
mod market_laws;
mod market_loop;
mod market_makers;
mod market_processes;
mod market_statistics;
mod matching_book;
mod matching_fees;
#[path = "../../benches/rust/matching_flow.rs"]
mod matching_flow;
mod matching_margin;
mod matching_naive;
mod matching_oracle;
mod matching_rules;
mod matching_speed;
mod mid_before;
mod order_news;
mod outcome_breakdown;
mod paper_gap;
mod planted_forecast;
mod price_grid;
mod pricing_signs;
mod queue_follow;
mod queue_laws;
mod review_core;
mod scenario_incidents;
mod scenario_rows;
mod signing_actions;
mod signing_key;
mod signing_nonce;
mod simulation_fills;
mod simulation_ledger;
mod simulation_markout;
mod simulation_reconcile;
mod simulation_replay;
mod simulation_session;
mod simulation_venue;
mod sweep_laws;
mod two_channels;
mod venue_blocks;
mod venue_feed;
mod venue_latency;
mod venue_queues;
