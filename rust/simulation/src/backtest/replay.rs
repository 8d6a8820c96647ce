//! Plays a recording to a strategy and carries out its ladders at the recorded venue.
//!
//! Streams merge by receive time; at one time the order is book, best, trade, context, each in the recording's own. A price of
//! another market is heard before the next event after it.
//! Before an event the venue acts up to that moment and the strategy hears what has come back. After an event, when
//! the last quote is `cycle_ns` or more ago, the strategy quotes, and the plain reconcile turns the ladder into
//! cancels and placements. Nothing allocates per event once buffers have grown.

use hypermm_core::config::EngineConfig;
use hypermm_core::engine::QuoteEngine;
use hypermm_core::error::{Result, invalid_input};
use hypermm_core::event::MarketEvent;
use hypermm_core::instrument::Instrument;
use hypermm_core::types::TimestampNs;

use super::account::Sampling;
use super::cycle::Cycle;
use super::output::BacktestOutput;
use super::strategy::Strategy;
use crate::market::merge::{Merge, Stream};
pub use crate::market::recording::{ContextColumns, RecordingColumns};
pub use crate::market::references::ReferenceColumns;
use crate::market::references::References;
use crate::venue::blocks::BlockSettings;
use crate::venue::fill_models::{FillModel, FillParameters, FillSettings, ProbabilisticFills, QueueFills};
use crate::venue::latency::Latency;
use crate::venue::recorded::RecordedVenue;

const PROGRESS_MASK: u64 = (1 << 16) - 1;

/// How a run is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BacktestSettings {
    /// Seed of all draws.
    pub seed: u64,
    /// What fills our orders.
    pub fill_model: FillSettings,
    /// Least time between quotes, ns; 0 quotes after every event.
    pub cycle_ns: i64,
    /// Latency of our own messages.
    pub latency: Latency,
    /// Keeps every decision.
    pub log_decisions: bool,
    /// Time between samples of the account, ns.
    pub equity_sample_ns: i64,
    /// Keeps the samples.
    pub log_equity: bool,
}

impl Default for BacktestSettings {
    fn default() -> Self {
        Self {
            seed: 0,
            fill_model: FillSettings::Probabilistic(FillParameters::DEFAULT),
            cycle_ns: 250_000_000,
            latency: Latency::default(),
            log_decisions: false,
            equity_sample_ns: 1_000_000_000,
            log_equity: true,
        }
    }
}

impl BacktestSettings {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`hypermm_core::error::Error::InvalidInput`] naming the one that is out of range.
    pub fn validate(&self) -> Result<()> {
        self.fill_model.validate()?;
        self.latency.validate()?;
        if !(0..=3_600_000_000_000).contains(&self.cycle_ns) {
            return Err(invalid_input("cycle_ns", self.cycle_ns, "0 to one hour in ns", "250 ms is 250000000"));
        }
        if self.equity_sample_ns <= 0 {
            return Err(invalid_input("equity_sample_ns", self.equity_sample_ns, "above 0 ns", ""));
        }
        Ok(())
    }
}

/// Runs a new engine over a recording.
///
/// `progress` is called with the share done, now and then and once with 1.0.
///
/// # Errors
/// Bad settings, configuration or columns, or an event the engine refuses, with its stream and row.
pub fn run(
    columns: &RecordingColumns<'_>,
    instrument: &Instrument,
    config: &EngineConfig,
    settings: &BacktestSettings,
    progress: &mut dyn FnMut(f64),
) -> Result<BacktestOutput> {
    let mut engine = QuoteEngine::new(instrument.clone(), config.clone())?;
    run_with(columns, instrument, config, settings, &mut engine, progress)
}

/// Runs any strategy over a recording. Of the configuration only the cap, the fee, the clip, the levels (width of the
/// decision log) and the prior volatility are read.
///
/// # Errors
/// As [`run`]; whatever the strategy fails with ends the run.
pub fn run_with<S: Strategy>(
    columns: &RecordingColumns<'_>,
    instrument: &Instrument,
    config: &EngineConfig,
    settings: &BacktestSettings,
    strategy: &mut S,
    progress: &mut dyn FnMut(f64),
) -> std::result::Result<BacktestOutput, S::Error> {
    run_timed(columns, instrument, config, settings, None, strategy, progress)
}

/// As [`run_with`], with the blocks and delays of the matching venue in place of the constant latency where given.
///
/// # Errors
/// As [`run_with`].
pub fn run_timed<S: Strategy>(
    columns: &RecordingColumns<'_>,
    instrument: &Instrument,
    config: &EngineConfig,
    settings: &BacktestSettings,
    blocks: Option<&BlockSettings>,
    strategy: &mut S,
    progress: &mut dyn FnMut(f64),
) -> std::result::Result<BacktestOutput, S::Error> {
    settings.validate()?;
    config.validate()?;
    columns.validate()?;
    match settings.fill_model {
        FillSettings::Probabilistic(parameters) => {
            let model = ProbabilisticFills::new(parameters, settings.seed)?;
            run_filled(columns, instrument, config, (settings, blocks), model, strategy, progress)
        }
        FillSettings::Queue(cancels) => {
            let model = QueueFills::new(cancels, instrument.size_scale())?;
            run_filled(columns, instrument, config, (settings, blocks), model, strategy, progress)
        }
        FillSettings::Calibrated(calibration) => {
            let model = QueueFills::calibrated(calibration, instrument.size_scale(), settings.seed)?;
            run_filled(columns, instrument, config, (settings, blocks), model, strategy, progress)
        }
    }
}

fn run_filled<M: FillModel, S: Strategy>(
    columns: &RecordingColumns<'_>,
    instrument: &Instrument,
    config: &EngineConfig,
    (settings, blocks): (&BacktestSettings, Option<&BlockSettings>),
    model: M,
    strategy: &mut S,
    progress: &mut dyn FnMut(f64),
) -> std::result::Result<BacktestOutput, S::Error> {
    let mut cycle = new_cycle(columns, instrument, config, (settings, blocks), model)?;
    play(columns, &mut cycle, strategy, progress)?;
    cycle.finish(columns.span_ns().unwrap_or_default(), columns.len() as u64).map_err(S::Error::from)
}

/// Our side of a run over a recording, before its first event.
pub(super) fn new_cycle<'a, M: FillModel>(
    columns: &RecordingColumns<'a>,
    instrument: &'a Instrument,
    config: &'a EngineConfig,
    (settings, blocks): (&BacktestSettings, Option<&BlockSettings>),
    model: M,
) -> Result<Cycle<'a, RecordedVenue<'a, M>>> {
    let mut venue = RecordedVenue::new(*columns, instrument, model, settings.latency);
    if let Some(blocks) = blocks {
        venue = venue.with_blocks(blocks, settings.seed)?;
    }
    let sampling = Sampling { interval_ns: settings.equity_sample_ns, keeps_equity: settings.log_equity };
    Cycle::new(instrument, config, venue, settings.cycle_ns, sampling, settings.log_decisions)
}

fn play<M: FillModel, S: Strategy>(
    columns: &RecordingColumns<'_>,
    cycle: &mut Cycle<'_, RecordedVenue<'_, M>>,
    strategy: &mut S,
    progress: &mut dyn FnMut(f64),
) -> std::result::Result<(), S::Error> {
    let mut merge = Merge::new(columns);
    let mut references = References::new(columns.references);
    let total = columns.len() as f64;
    let mut events: u64 = 0;
    let mut end_ns = 0;
    while let Some((stream, row, time_ns)) = merge.next() {
        cycle.venue.advance(time_ns);
        while let Some((heard_ns, name, price)) = references.next(time_ns - 1) {
            cycle.catch_up(strategy, heard_ns, heard_ns)?;
            strategy.on_event(heard_ns, &MarketEvent::Reference { name, price })?;
        }
        cycle.catch_up(strategy, time_ns, time_ns)?;
        hand_over(columns, cycle, strategy, stream, row, time_ns)?;
        if cycle.is_due(time_ns) {
            cycle.quote(strategy, time_ns)?;
        }
        end_ns = time_ns;
        events += 1;
        if events & PROGRESS_MASK == 0 {
            progress(events as f64 / total);
        }
    }
    run_out(cycle, strategy, end_ns)?;
    progress(1.0);
    Ok(())
}

/// After the last event: what happened at the venue by the end is ours, though the news would have come later.
pub(super) fn run_out<M: FillModel, S: Strategy>(
    cycle: &mut Cycle<'_, RecordedVenue<'_, M>>,
    strategy: &mut S,
    end_ns: TimestampNs,
) -> std::result::Result<(), S::Error> {
    cycle.venue.advance(end_ns);
    cycle.catch_up(strategy, TimestampNs::MAX, end_ns)
}

#[inline]
fn hand_over<M: FillModel, S: Strategy>(
    columns: &RecordingColumns<'_>,
    cycle: &mut Cycle<'_, RecordedVenue<'_, M>>,
    strategy: &mut S,
    stream: Stream,
    row: usize,
    time_ns: TimestampNs,
) -> std::result::Result<(), S::Error> {
    let (name, event) = stream.event(columns, row);
    strategy.on_event(time_ns, &event).map_err(|error| S::locate(error, name, row))?;
    cycle.after_event(time_ns, &event).map_err(S::Error::from)
}
