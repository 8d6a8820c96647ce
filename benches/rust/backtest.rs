//! Speed of the backtest: engine and venue over arrays in memory, no file reading, no decision log.
//!
//! `cargo bench -p hypermm-simulation --bench backtest` plays a synthetic session of about a million events ten times
//! for each row and prints the rate over all ten million, the best of the ten runs, and how many quotes and requests an
//! event caused, for these are what a run's time depends on. Two feeds:
//!
//! - recorded pace: events in the numbers and proportions of the ETH recording of 2025-09-04 (12.4 events/s, of them
//!   15 % books of 20 levels a side, 59 % best prices, 26 % prints); a 250 ms cycle quotes at every fourth event;
//! - busy: best prices and prints ten times as often, books as before; a 250 ms cycle quotes at every thirtieth event.
//!
//! A session of a million events is some 100 MB: no cache holds it from one run to the next.
#![allow(clippy::disallowed_methods, reason = "a bench measures time; the library takes none")]
#![allow(clippy::print_stdout, reason = "a bench prints")]

use std::time::Instant;

use hypermm_core::config::EngineConfig;
use hypermm_core::error::Error;
use hypermm_core::instrument::Instrument;
use hypermm_simulation::backtest::output::Summary;
use hypermm_simulation::backtest::replay::{BacktestSettings, run, run_with};
use hypermm_simulation::backtest::silent::Silent;
use hypermm_simulation::market::recording::RecordingColumns;
use hypermm_simulation::market::session::{Session, SessionSettings};

const RUNS: usize = 10;
const EVENTS: f64 = 1.03e6;
const FAST: f64 = 1e6;
const CYCLE_NS: i64 = 250_000_000;
// The recording's aggressors of each side, 1/s; its other rates are the session's defaults.
const RECORDED_ARRIVALS: f64 = 0.69;
const BUSY: f64 = 10.0;

fn measure(
    name: &str,
    target_per_s: Option<f64>,
    mut once: impl FnMut() -> Result<Summary, Error>,
) -> Result<(), Error> {
    let (mut total, mut best, mut events) = (0.0, f64::INFINITY, 0);
    let mut last = None;
    for _ in 0..RUNS {
        let start = Instant::now();
        let summary = once()?;
        let seconds = start.elapsed().as_secs_f64();
        total += seconds;
        best = seconds.min(best);
        events += summary.events;
        last = Some(summary);
    }
    let Some(summary) = last else { return Ok(()) };
    let a_run = summary.events as f64;
    let target = target_per_s.map_or(String::new(), |target| format!(", target {:.1} M", target / FAST));
    println!(
        "  {name:<26} {:>5.2} M events/s over {events}, best run {:.2} M{target}; an event: {:.2} quotes, {:.2} requests; {} fills a run",
        events as f64 / total / FAST,
        a_run / best / FAST,
        summary.quote_cycles as f64 / a_run,
        (summary.orders_placed + summary.orders_canceled) as f64 / a_run,
        summary.fills,
    );
    Ok(())
}

fn describe(name: &str, columns: &RecordingColumns<'_>) {
    let events = columns.len() as f64;
    let share = |times: &[i64]| 100.0 * times.len() as f64 / events;
    let span_s = columns.span_ns().map_or(1.0, |(first, last)| (last - first) as f64 * 1e-9);
    println!(
        "{name}: {events} events, {:.1} a second: {:.0} % books of {} levels a side, {:.0} % best prices, {:.0} % prints",
        events / span_s,
        share(columns.book_time_ns),
        columns.depth,
        share(columns.best_time_ns),
        share(columns.trade_time_ns),
    );
}

fn main() -> Result<(), Error> {
    // `cargo test --benches` runs this with a filter it does not know: nothing to do then.
    if std::env::args().any(|argument| argument == "--test") {
        return Ok(());
    }
    let instrument = Instrument::new("ETH", 4, 25, 10.0, 3600.0)?;
    let config = EngineConfig::default();
    let pace = SessionSettings { arrival_rate: RECORDED_ARRIVALS, ..SessionSettings::default() };
    for (name, times_as_often, targets) in
        [("recorded pace", 1.0, [Some(1e6), Some(3e6)]), ("busy", BUSY, [None, Some(3e6)])]
    {
        let mut settings = SessionSettings {
            arrival_rate: pace.arrival_rate * times_as_often,
            best_interval_s: pace.best_interval_s / times_as_often,
            ..pace
        };
        // Books, best prices, 2.05 prints an aggressor and the context, 1/s.
        let events_per_s = 1.0 / settings.book_interval_s
            + 1.0 / settings.best_interval_s
            + 2.0 * 2.05 * settings.arrival_rate
            + 1.0 / 3.0;
        settings.duration_s = EVENTS / events_per_s;
        let session = Session::generate(&instrument, &settings)?;
        let columns = session.columns();
        describe(name, &columns);
        for (name, cycle_ns, target) in
            [("quoting on every event", 0, targets[0]), ("250 ms cycle", CYCLE_NS, targets[1])]
        {
            let settings = BacktestSettings { cycle_ns, ..BacktestSettings::default() };
            measure(name, target, || {
                run(&columns, &instrument, &config, &settings, &mut |_| {}).map(|output| output.summary)
            })?;
        }
        let settings = BacktestSettings { cycle_ns: 0, ..BacktestSettings::default() };
        measure("silent strategy: the venue", None, || {
            run_with(&columns, &instrument, &config, &settings, &mut Silent, &mut |_| {}).map(|output| output.summary)
        })?;
    }
    Ok(())
}
