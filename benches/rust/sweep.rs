//! What a sweep costs beside its runs alone: `cargo bench -p hypermm-simulation --bench sweep`.
//!
//! A grid of 100 configurations, 250 ms cycle, once as 100 runs one after another on one core, once as a sweep on one
//! core, once as a sweep on two; rounds of all three, so that a change of the machine's load meets all. No decision log
//! anywhere. Two feeds of about 25,000 events, as in the bench of the backtest: half an hour at the pace of the ETH
//! recording of 2025-09-04, where a cycle quotes at every fifth event, and four minutes ten times as busy.
//! `-- alone 5 busy` and `-- sweep 5 recorded` play five configurations one way only, for a profiler.
#![allow(clippy::disallowed_methods, reason = "a bench measures time; the library takes none")]
#![allow(clippy::print_stdout, reason = "a bench prints")]

use std::time::Instant;

use hypermm_core::config::EngineConfig;
use hypermm_core::error::Result;
use hypermm_core::instrument::Instrument;
use hypermm_simulation::backtest::output::Summary;
use hypermm_simulation::backtest::replay::{BacktestSettings, run};
use hypermm_simulation::backtest::sweep::{SweepRun, sweep};
use hypermm_simulation::market::recording::RecordingColumns;
use hypermm_simulation::market::session::{Session, SessionSettings};

const ROUNDS: usize = 3;
const POINTS: usize = 100;
// The recording's aggressors of each side, 1/s.
const RECORDED_ARRIVALS: f64 = 0.69;
/// Name, how many times as often prices and prints come, and seconds.
const FEEDS: [(&str, f64, f64); 2] = [("recorded pace", 1.0, 1800.0), ("busy", 10.0, 220.0)];

fn grid(points: usize) -> Vec<SweepRun> {
    let settings = BacktestSettings::default();
    (0..points)
        .map(|place| {
            let (row, column) = ((place / 10) as f64, (place % 10) as f64);
            let config = EngineConfig {
                risk_aversion: 0.005 + 0.003 * row,
                level_spacing_bps: 0.5 + 0.2 * column,
                ..EngineConfig::default()
            };
            SweepRun { config, fill_model: settings.fill_model, latency: settings.latency, blocks: None }
        })
        .collect()
}

fn alone(columns: &RecordingColumns<'_>, instrument: &Instrument, runs: &[SweepRun]) -> Result<Vec<Summary>> {
    let settings = BacktestSettings::default();
    runs.iter()
        .map(|one| run(columns, instrument, &one.config, &settings, &mut |_| {}).map(|output| output.summary))
        .collect()
}

fn swept(
    columns: &RecordingColumns<'_>,
    instrument: &Instrument,
    runs: &[SweepRun],
    threads: usize,
) -> Result<Vec<Summary>> {
    let rows = sweep(columns, instrument, runs, &BacktestSettings::default(), threads, &mut |_| true)?;
    Ok(rows.unwrap_or_default())
}

fn timed(once: impl FnOnce() -> Result<Vec<Summary>>) -> Result<(f64, Vec<Summary>)> {
    let start = Instant::now();
    let rows = once()?;
    Ok((start.elapsed().as_secs_f64(), rows))
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if arguments.iter().any(|argument| argument == "--test") {
        return Ok(());
    }
    let instrument = Instrument::new("ETH", 4, 25, 10.0, 3600.0)?;
    if let Some(way) = arguments.first() {
        let points = arguments.get(1).and_then(|count| count.parse().ok()).unwrap_or(POINTS);
        let feed = FEEDS[usize::from(arguments.get(2).is_some_and(|name| name == "busy"))];
        let session = session(&instrument, feed)?;
        let runs = grid(points);
        let rows = if way == "alone" {
            alone(&session.columns(), &instrument, &runs)?
        } else {
            swept(&session.columns(), &instrument, &runs, 1)?
        };
        println!("{} runs over {} events of {}", rows.len(), session.columns().len(), feed.0);
        return Ok(());
    }
    for feed in FEEDS {
        let session = session(&instrument, feed)?;
        compare(feed.0, &session.columns(), &instrument)?;
    }
    Ok(())
}

fn session(instrument: &Instrument, (_, times_as_often, duration_s): (&str, f64, f64)) -> Result<Session> {
    let settings = SessionSettings {
        arrival_rate: RECORDED_ARRIVALS * times_as_often,
        best_interval_s: SessionSettings::default().best_interval_s / times_as_often,
        duration_s,
        ..SessionSettings::default()
    };
    Session::generate(instrument, &settings)
}

fn compare(name: &str, columns: &RecordingColumns<'_>, instrument: &Instrument) -> Result<()> {
    let runs = grid(POINTS);
    let mut best = [f64::INFINITY; 3];
    for _ in 0..ROUNDS {
        let (one_by_one, expected) = timed(|| alone(columns, instrument, &runs))?;
        let (on_one, rows) = timed(|| swept(columns, instrument, &runs, 1))?;
        let (on_two, again) = timed(|| swept(columns, instrument, &runs, 2))?;
        for (best, seconds) in best.iter_mut().zip([one_by_one, on_one, on_two]) {
            *best = seconds.min(*best);
        }
        let same = if rows == expected && again == expected { "the same rows" } else { "OTHER ROWS" };
        println!("  {POINTS} runs {one_by_one:.2} s, a sweep on one core {on_one:.2} s, on two {on_two:.2} s, {same}");
    }
    println!(
        "{name}: a sweep of {POINTS} configurations over {} events costs {:.2} of its runs alone on one core (bar 0.50), and is {:.2} times as fast on two (bar 1.8)",
        columns.len(),
        best[1] / best[0],
        best[1] / best[2],
    );
    Ok(())
}
