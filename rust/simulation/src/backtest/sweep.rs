//! Many configurations over one recording, on all cores: each comes to what it comes to alone, to the bit.
//!
//! Columns and configurations are checked once, groups of runs are played on as many threads as are asked for, and of
//! each run its summary alone is kept.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use hypermm_core::config::EngineConfig;
use hypermm_core::engine::QuoteEngine;
use hypermm_core::error::{Result, invalid_input};
use hypermm_core::instrument::Instrument;

use super::output::Summary;
use super::replay::{BacktestSettings, run_checked};
use crate::market::recording::RecordingColumns;
use crate::venue::fill_models::FillSettings;

/// Most threads of one sweep.
pub const MAX_THREADS: usize = 256;
/// How often the caller is told how far the sweep is.
const TELL_INTERVAL: Duration = Duration::from_millis(50);

/// One run of a sweep.
#[derive(Clone, Debug, PartialEq)]
pub struct SweepRun {
    /// The engine's configuration.
    pub config: EngineConfig,
    /// What fills its orders.
    pub fill_model: FillSettings,
}

/// Plays every run over the recording; summaries in the order of `runs`. Of `settings` the fill model and the logs are
/// not read.
///
/// `tell` is called on this thread with the share done, now and then; when it answers false the sweep ends early and
/// there is no answer.
///
/// # Errors
/// Bad settings or columns, a configuration out of range (named `configs[i].field`), an event the engine refuses.
pub fn sweep(
    columns: &RecordingColumns<'_>,
    instrument: &Instrument,
    runs: &[SweepRun],
    settings: &BacktestSettings,
    threads: usize,
    tell: &mut dyn FnMut(f64) -> bool,
) -> Result<Option<Vec<Summary>>> {
    check(columns, instrument, runs, settings, threads)?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().map_err(|error| {
        invalid_input("threads", threads, "as many threads as the system grants", error.to_string())
    })?;
    let watch = Watch { done: AtomicU64::new(0), stopped: AtomicBool::new(false) };
    let total = (columns.len() as f64 * runs.len() as f64).max(1.0);
    let (sender, receiver) = mpsc::channel();
    let mut rows: Vec<Option<Result<Summary>>> = runs.iter().map(|_| None).collect();
    pool.in_place_scope(|scope| {
        for (place, run) in runs.iter().enumerate() {
            let (sender, watch) = (sender.clone(), &watch);
            scope.spawn(move |_| {
                // The receiver outlives the scope.
                let _ = sender.send((place, play(columns, instrument, run, settings, watch)));
            });
        }
        drop(sender);
        loop {
            match receiver.recv_timeout(TELL_INTERVAL) {
                Ok((place, row)) => {
                    // One failure is the sweep's: what has not begun need not.
                    if row.is_err() {
                        watch.stopped.store(true, Ordering::Relaxed);
                    }
                    rows[place] = row.transpose();
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
            if !tell(watch.done.load(Ordering::Relaxed) as f64 / total) {
                watch.stopped.store(true, Ordering::Relaxed);
            }
        }
    });
    let failed = rows.iter().position(|row| matches!(row, Some(Err(_))));
    if let Some(Some(Err(error))) = failed.map(|place| rows.swap_remove(place)) {
        return Err(error);
    }
    Ok(rows.into_iter().map(|row| row.transpose().ok().flatten()).collect())
}

/// Events done by all runs, and whether to go on.
struct Watch {
    done: AtomicU64,
    stopped: AtomicBool,
}

fn check(
    columns: &RecordingColumns<'_>,
    instrument: &Instrument,
    runs: &[SweepRun],
    settings: &BacktestSettings,
    threads: usize,
) -> Result<()> {
    settings.validate()?;
    if !(1..=MAX_THREADS).contains(&threads) {
        return Err(invalid_input("threads", threads, format!("1 to {MAX_THREADS}"), ""));
    }
    for (place, run) in runs.iter().enumerate() {
        run.fill_model.validate()?;
        // An engine refuses what the table of fields cannot know, such as a cap that is too large for the contract.
        QuoteEngine::new(instrument.clone(), run.config.clone())
            .map_err(|error| error.at_place(&format!("configs[{place}]")))?;
    }
    columns.validate()
}

fn play(
    columns: &RecordingColumns<'_>,
    instrument: &Instrument,
    run: &SweepRun,
    settings: &BacktestSettings,
    watch: &Watch,
) -> Result<Option<Summary>> {
    if watch.stopped.load(Ordering::Relaxed) {
        return Ok(None);
    }
    let settings =
        BacktestSettings { fill_model: run.fill_model, log_decisions: false, log_equity: false, ..*settings };
    let mut engine = QuoteEngine::new(instrument.clone(), run.config.clone())?;
    let mut seen = 0;
    let output = run_checked(columns, instrument, &run.config, &settings, &mut engine, &mut |share| {
        let now = (share * columns.len() as f64) as u64;
        watch.done.fetch_add(now - seen, Ordering::Relaxed);
        seen = now;
    })?;
    Ok(Some(output.summary))
}
