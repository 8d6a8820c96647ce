//! Many configurations over one recording, on all cores: each comes to what it comes to alone, to the bit.
//!
//! What does not depend on a configuration is done once for a group of them: columns are checked, streams merged, events
//! checked and laid into the book. The group's runs then take turns, a stretch of events each, so that a stretch and one
//! run fit the caches. Groups are played on as many threads as are asked for, and of each run its summary alone is kept.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use hypermm_core::config::EngineConfig;
use hypermm_core::engine::QuoteEngine;
use hypermm_core::engine::shared::SharedEvents;
use hypermm_core::error::{Error, Result, invalid_input};
use hypermm_core::event::MarketEvent;
use hypermm_core::instrument::Instrument;
use hypermm_core::types::TimestampNs;

use super::cycle::Cycle;
use super::output::Summary;
use super::replay::{BacktestSettings, new_cycle, run_out};
use crate::market::merge::Merge;
use crate::market::recording::{RecordingColumns, at_row};
use crate::market::references::References;
use crate::venue::blocks::BlockSettings;
use crate::venue::fill_models::{FillModel, FillSettings, ProbabilisticFills, QueueFills};
use crate::venue::latency::Latency;
use crate::venue::recorded::RecordedVenue;

/// Most threads of one sweep.
pub const MAX_THREADS: usize = 256;
/// Runs of a group at most: what is shared costs a thirtieth of a run by then.
const MAX_GROUP: usize = 32;
/// So that threads end together though runs differ in length.
const GROUPS_PER_THREAD: usize = 2;
/// Events of a turn: their books, 1.3 kB each, take a part of the second-level cache.
const STRETCH: usize = 128;
/// How often the caller is told how far the sweep is.
const TELL_INTERVAL: Duration = Duration::from_millis(50);

/// One run of a sweep.
#[derive(Clone, Debug, PartialEq)]
pub struct SweepRun {
    /// The engine's configuration.
    pub config: EngineConfig,
    /// What fills its orders.
    pub fill_model: FillSettings,
    /// Latency of its messages.
    pub latency: Latency,
    /// Blocks and delays of the matching venue in place of the latency, where given.
    pub blocks: Option<BlockSettings>,
}

/// Plays every run over the recording; summaries in the order of `runs`. Of `settings` the fill model, the latency and
/// the logs are not read.
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
    let market = Market { columns, instrument, settings, watch: &watch };
    let (sender, receiver) = mpsc::channel();
    let mut rows: Vec<Option<Summary>> = runs.iter().map(|_| None).collect();
    let mut failure = None;
    pool.in_place_scope(|scope| {
        for group in groups(runs, threads) {
            let (sender, market) = (sender.clone(), &market);
            scope.spawn(move |_| {
                // The receiver outlives the scope.
                let _ = sender.send(market.play(&group));
            });
        }
        drop(sender);
        loop {
            match receiver.recv_timeout(TELL_INTERVAL) {
                Ok(Ok(played)) => played.into_iter().for_each(|(place, summary)| rows[place] = Some(summary)),
                Ok(Err(error)) => {
                    // One failure is the sweep's: what has not begun need not.
                    watch.stopped.store(true, Ordering::Relaxed);
                    failure.get_or_insert(error);
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
            if !tell(watch.done.load(Ordering::Relaxed) as f64 / total) {
                watch.stopped.store(true, Ordering::Relaxed);
            }
        }
    });
    match failure {
        Some(error) => Err(error),
        None => Ok(rows.into_iter().collect()),
    }
}

/// A run with its place among all.
type Placed<'a> = (usize, &'a SweepRun);

/// Runs that can be played together: of one kind of fill model, and no more than leave work for every thread.
fn groups(runs: &[SweepRun], threads: usize) -> Vec<Vec<Placed<'_>>> {
    let (chances, queues): (Vec<_>, Vec<_>) =
        runs.iter().enumerate().partition(|(_, run)| matches!(run.fill_model, FillSettings::Probabilistic(_)));
    let size = runs.len().div_ceil(GROUPS_PER_THREAD * threads).clamp(1, MAX_GROUP);
    [chances, queues].iter().flat_map(|kind| kind.chunks(size).map(<[_]>::to_vec)).collect()
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
        run.latency.validate()?;
        // An engine refuses what the table of fields cannot know, such as a cap that is too large for the contract.
        QuoteEngine::new(instrument.clone(), run.config.clone())
            .map_err(|error| error.at_place(&format!("configs[{place}]")))?;
    }
    columns.validate()
}

/// What all runs of a sweep see.
struct Market<'a> {
    columns: &'a RecordingColumns<'a>,
    instrument: &'a Instrument,
    settings: &'a BacktestSettings,
    watch: &'a Watch,
}

impl Market<'_> {
    /// Plays one group; no rows when the sweep was stopped.
    fn play(&self, group: &[Placed<'_>]) -> Result<Vec<(usize, Summary)>> {
        match group.first().map(|(_, run)| run.fill_model) {
            None => Ok(Vec::new()),
            Some(FillSettings::Probabilistic(_)) => self.play_by(group, |model| match model {
                FillSettings::Probabilistic(parameters) => ProbabilisticFills::new(parameters, self.settings.seed),
                FillSettings::Queue(_) | FillSettings::Calibrated(_) => Err(other_kind()),
            }),
            Some(FillSettings::Queue(_) | FillSettings::Calibrated(_)) => self.play_by(group, |model| match model {
                FillSettings::Queue(cancels) => QueueFills::new(cancels, self.instrument.size_scale()),
                FillSettings::Calibrated(calibration) => {
                    QueueFills::calibrated(calibration, self.instrument.size_scale(), self.settings.seed)
                }
                FillSettings::Probabilistic(_) => Err(other_kind()),
            }),
        }
    }

    fn play_by<M: FillModel>(
        &self,
        group: &[Placed<'_>],
        model: impl Fn(FillSettings) -> Result<M>,
    ) -> Result<Vec<(usize, Summary)>> {
        let mut lanes = Vec::with_capacity(group.len());
        for (_, run) in group {
            let engine = QuoteEngine::new(self.instrument.clone(), run.config.clone())?;
            let settings =
                BacktestSettings { latency: run.latency, log_decisions: false, log_equity: false, ..*self.settings };
            let timing = (&settings, run.blocks.as_ref());
            let cycle = new_cycle(self.columns, self.instrument, &run.config, timing, model(run.fill_model)?)?;
            lanes.push(Lane { engine, cycle });
        }
        let mut stretch = Stretch {
            merge: Merge::new(self.columns),
            references: References::new(self.columns.references),
            shared: SharedEvents::default(),
            venue_until_ns: Vec::with_capacity(STRETCH),
            rows: 0,
        };
        let mut end_ns = 0;
        loop {
            let refused = stretch.go_on(self.columns, self.instrument);
            if let Some(last_ns) = stretch.venue_until_ns.last() {
                end_ns = *last_ns;
            } else if refused.is_ok() {
                break;
            }
            for lane in &mut lanes {
                lane.play(&mut stretch)?;
            }
            // What came before a refused event may be refused for reasons of its own, and was then first.
            refused?;
            self.watch.done.fetch_add((stretch.rows * lanes.len()) as u64, Ordering::Relaxed);
            if self.watch.stopped.load(Ordering::Relaxed) {
                return Ok(Vec::new());
            }
        }
        let span_ns = self.columns.span_ns().unwrap_or_default();
        let mut rows = Vec::with_capacity(group.len());
        for ((place, _), mut lane) in group.iter().zip(lanes) {
            run_out(&mut lane.cycle, &mut lane.engine, end_ns)?;
            rows.push((*place, lane.cycle.finish(span_ns, self.columns.len() as u64)?.summary));
        }
        Ok(rows)
    }
}

#[cold]
fn other_kind() -> Error {
    invalid_input("fill_model", "another kind", "one kind of fill model in a group", "")
}

/// Some events after one another, as all runs of a group see them.
struct Stretch<'a> {
    merge: Merge<'a>,
    references: References<'a>,
    shared: SharedEvents<'a>,
    /// Until when the venue has acted before each event.
    venue_until_ns: Vec<TimestampNs>,
    /// Rows of the recording among them; the rest are prices of other markets.
    rows: usize,
}

impl<'a> Stretch<'a> {
    /// The next events, up to one that is refused.
    fn go_on(&mut self, columns: &RecordingColumns<'a>, instrument: &Instrument) -> Result<()> {
        self.shared.clear();
        self.venue_until_ns.clear();
        self.rows = 0;
        while self.rows < STRETCH
            && let Some((stream, row, time_ns)) = self.merge.next()
        {
            while let Some((heard_ns, name, price)) = self.references.next(time_ns - 1) {
                self.shared.push(instrument, heard_ns, MarketEvent::Reference { name, price })?;
                self.venue_until_ns.push(time_ns);
            }
            let (name, event) = stream.event(columns, row);
            self.shared.push(instrument, time_ns, event).map_err(|error| at_row(name, row, error))?;
            self.venue_until_ns.push(time_ns);
            self.rows += 1;
        }
        Ok(())
    }
}

/// One run of a group.
struct Lane<'a, M> {
    engine: QuoteEngine,
    cycle: Cycle<'a, RecordedVenue<'a, M>>,
}

impl<M: FillModel> Lane<'_, M> {
    /// Its turn over a stretch: what a replay of it alone does, event by event.
    fn play(&mut self, stretch: &mut Stretch<'_>) -> Result<()> {
        let (engine, cycle) = (&mut self.engine, &mut self.cycle);
        engine.take_turn(&mut stretch.shared);
        for (place, venue_until_ns) in stretch.venue_until_ns.iter().enumerate() {
            let Some((time_ns, event)) = stretch.shared.event(place) else { break };
            cycle.venue.advance(*venue_until_ns);
            cycle.catch_up(engine, time_ns, time_ns)?;
            engine.take_shared(&mut stretch.shared, place)?;
            if matches!(event, MarketEvent::Reference { .. }) {
                continue;
            }
            cycle.after_event(time_ns, &event)?;
            if cycle.is_due(time_ns) {
                cycle.quote(engine, time_ns)?;
            }
        }
        engine.give_back(&mut stretch.shared);
        Ok(())
    }
}
