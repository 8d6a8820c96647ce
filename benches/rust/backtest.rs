//! Speed of the backtest: engine and venue over arrays in memory, no file reading, no decision log.
//!
//! `cargo bench -p hypermm-simulation --bench backtest` plays a synthetic session of about 1 M events (books of 20
//! levels, best prices and prints in the proportions of the real recordings) ten times for each quote cycle and prints
//! the rate over all ten million, the best run, and the venue's own cost under a strategy that does nothing.
#![allow(clippy::disallowed_methods, reason = "a bench measures time; the library takes none")]
#![allow(clippy::print_stdout, reason = "a bench prints")]

use std::time::Instant;

use hypermm_core::config::EngineConfig;
use hypermm_core::error::Error;
use hypermm_core::event::{AccountEvent, MarketEvent};
use hypermm_core::instrument::Instrument;
use hypermm_core::pricing::decision::Decision;
use hypermm_simulation::backtest::replay::{BacktestSettings, Strategy, run, run_with};
use hypermm_simulation::market::session::{Session, SessionSettings};

const RUNS: usize = 10;
const SESSION_S: f64 = 78_000.0;
const FAST: f64 = 1e6;

/// Hears everything, wants nothing.
struct Silent;

impl Strategy for Silent {
    type Error = Error;

    fn on_event(&mut self, _: i64, event: &MarketEvent<'_>) -> Result<(), Error> {
        std::hint::black_box(event);
        Ok(())
    }

    fn on_account(&mut self, _: i64, _: &AccountEvent) -> Result<(), Error> {
        Ok(())
    }

    fn quote(&mut self, _: i64, decision: &mut Decision) -> Result<(), Error> {
        std::hint::black_box(decision);
        Ok(())
    }
}

fn measure(name: &str, target_per_s: Option<f64>, mut once: impl FnMut() -> u64) {
    let mut seconds = Vec::with_capacity(RUNS);
    let mut events = 0;
    for _ in 0..RUNS {
        let start = Instant::now();
        events += once();
        seconds.push(start.elapsed().as_secs_f64());
    }
    let total: f64 = seconds.iter().sum();
    let best = seconds.iter().copied().fold(f64::INFINITY, f64::min);
    let rate = events as f64 / total / FAST;
    let best_rate = events as f64 / RUNS as f64 / best / FAST;
    let target = target_per_s.map_or(String::new(), |target| format!(", target {:.1} M", target / FAST));
    println!("{name:<42} {rate:>6.2} M events/s over {events} events, best run {best_rate:.2} M{target}");
}

fn main() -> Result<(), Error> {
    // `cargo test --benches` runs this with a filter it does not know: nothing to do then.
    if std::env::args().any(|argument| argument == "--test") {
        return Ok(());
    }
    let instrument = Instrument::new("ETH", 4, 25, 10.0, 3600.0)?;
    let config = EngineConfig::default();
    let session = Session::generate(&instrument, &SessionSettings { duration_s: SESSION_S, ..Default::default() })?;
    let columns = session.columns();
    println!(
        "session: {} events, {} books, {} prints",
        columns.len(),
        columns.book_time_ns.len(),
        columns.trade_price.len()
    );
    for (name, cycle_ns, target) in
        [("engine, quoting on every event", 0, Some(1e6)), ("engine, 250 ms cycle", 250_000_000, Some(3e6))]
    {
        let settings = BacktestSettings { cycle_ns, ..BacktestSettings::default() };
        let mut fills = 0;
        measure(name, target, || match run(&columns, &instrument, &config, &settings, &mut |_| {}) {
            Ok(output) => {
                fills = output.summary.fills;
                output.summary.events
            }
            Err(error) => {
                println!("{error}");
                0
            }
        });
        println!("{:<42} {fills} fills a run", "");
    }
    let settings = BacktestSettings { cycle_ns: 0, ..BacktestSettings::default() };
    measure("venue and merge alone, silent strategy", None, || {
        run_with(&columns, &instrument, &config, &settings, &mut Silent, &mut |_| {})
            .map_or(0, |output| output.summary.events)
    });
    Ok(())
}
