//! Every feature of a recording at a grid of quote cycles, as the engine would have read them.

use hypermm_core::error::{Result, invalid_input};
use hypermm_core::event::MarketEvent;
use hypermm_core::features::pipeline::{FeatureConfig, FeaturePipeline};
use hypermm_core::features::{FEATURES, Feature, FeatureValue, Tier};
use hypermm_core::instrument::Instrument;
use hypermm_core::state::book::{Book, SnapshotLevels};
use hypermm_core::state::context::ContextState;
use hypermm_core::state::tape::Tape;
use hypermm_core::types::{Side, TimestampNs};

use super::merge::Merge;
use super::recording::{RecordingColumns, at_row};
pub use super::references::ReferenceColumns;
use super::references::References;

/// Columns by feature: `values[feature]` has one entry a cycle, NaN where the feature has none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FeatureMatrix {
    /// Cycle times, ns.
    pub time_ns: Vec<TimestampNs>,
    /// Mid as known then; NaN where the book has none.
    pub mid_price: Vec<f64>,
    /// Values, in the order of [`FEATURES`].
    pub values: Vec<Vec<f64>>,
    /// What each value rests on; empty for a feature without evidence.
    pub evidence: Vec<Vec<f64>>,
    /// How much of its band the known levels cover, bps; empty for a feature without a band.
    pub covered_bps: Vec<Vec<f64>>,
    /// Cycles unseen, stale, undefined, with a value.
    pub statuses: Vec<[u64; 4]>,
}

/// Runs the pipeline over a recording and reads every feature each `cycle_ns`, the events of that very moment included.
///
/// # Errors
/// Columns or a config that are not valid, a cycle that is not above 0, an event the engine would refuse, with its stream and row.
pub fn feature_matrix(
    columns: &RecordingColumns<'_>,
    references: &[ReferenceColumns<'_>],
    instrument: &Instrument,
    config: &FeatureConfig,
    cycle_ns: i64,
) -> Result<FeatureMatrix> {
    const SHORTEST_CYCLE_NS: i64 = 1_000_000;
    if cycle_ns < SHORTEST_CYCLE_NS {
        return Err(invalid_input("cycle_ns", cycle_ns, "1 ms or more in ns", "500 ms is 500000000"));
    }
    columns.validate()?;
    for reference in references {
        reference.validate()?;
    }
    let mut watcher = Watcher::new(instrument, config)?;
    let mut matrix = FeatureMatrix::sized(columns, cycle_ns);
    let mut others = References::new(references);
    let mut merge = Merge::new(columns);
    let (mut cycle_at, _) = columns.span_ns().unwrap_or_default();
    let mut next = merge.next();
    while let Some((stream, row, time_ns)) = next {
        while cycle_at < time_ns {
            watcher.hear_references(&mut others, cycle_at)?;
            matrix.push(cycle_at, &watcher)?;
            cycle_at = cycle_at.saturating_add(cycle_ns);
        }
        watcher.hear_references(&mut others, time_ns - 1)?;
        let (name, event) = stream.event(columns, row);
        watcher.on_event(time_ns, &event).map_err(|error| at_row(name, row, error))?;
        next = merge.next();
        if next.is_none() && cycle_at == time_ns {
            watcher.hear_references(&mut others, cycle_at)?;
            matrix.push(cycle_at, &watcher)?;
        }
    }
    Ok(matrix)
}

/// What owns the book and the tape around the pipeline, as the engine does.
struct Watcher<'a> {
    instrument: &'a Instrument,
    book: Book,
    tape: Tape,
    pipeline: FeaturePipeline,
}

impl<'a> Watcher<'a> {
    fn new(instrument: &'a Instrument, config: &FeatureConfig) -> Result<Self> {
        let pipeline = FeaturePipeline::new(config.clone())?;
        Ok(Self { instrument, book: Book::default(), tape: Tape::default(), pipeline })
    }

    fn on_event(&mut self, time_ns: TimestampNs, event: &MarketEvent<'_>) -> Result<()> {
        match event {
            MarketEvent::Book { bid_prices, bid_sizes, ask_prices, ask_sizes, .. } => {
                let levels = SnapshotLevels { bid_prices, bid_sizes, ask_prices, ask_sizes };
                let checked = Book::check_snapshot(self.instrument, levels)?;
                self.pipeline.advance(time_ns, &self.book);
                self.book.apply_snapshot(time_ns, &checked);
                self.after_book(time_ns);
            }
            MarketEvent::Best { bid, ask, .. } => {
                let bid = Book::check_best(self.instrument, Side::Buy, *bid)?;
                let ask = Book::check_best(self.instrument, Side::Sell, *ask)?;
                self.pipeline.advance(time_ns, &self.book);
                self.book.apply_best(time_ns, bid, ask);
                self.after_book(time_ns);
            }
            MarketEvent::Trade(trade) => {
                let units = self.instrument.price_from_f64("price", trade.price)?.0;
                self.pipeline.advance(time_ns, &self.book);
                let key_ns = trade.exchange_time_ns.unwrap_or(time_ns);
                let (side, price, size) = (trade.aggressor, trade.price, trade.size);
                // No feature reads how far an event reached from mid.
                let change = self.tape.apply(time_ns, key_ns, side, units, price, size, None);
                if let Some(event) = self.tape.last(side) {
                    self.pipeline.on_trade(time_ns, event, change, size);
                }
            }
            MarketEvent::Context(context) => {
                ContextState::check(time_ns, context)?;
                self.pipeline.advance(time_ns, &self.book);
                self.pipeline.on_context(time_ns, context);
            }
            // A recording holds no signals from outside; other markets come beside it.
            MarketEvent::Observation { .. } | MarketEvent::Reference { .. } => {}
        }
        Ok(())
    }

    fn after_book(&mut self, time_ns: TimestampNs) {
        self.pipeline.on_book(time_ns, &self.book);
    }

    /// Takes in the prices of other markets received by `until_ns`.
    fn hear_references(&mut self, others: &mut References<'_>, until_ns: TimestampNs) -> Result<()> {
        while let Some((time_ns, name, price)) = others.next(until_ns) {
            self.pipeline.advance(time_ns, &self.book);
            self.pipeline.on_reference(time_ns, name, price)?;
        }
        Ok(())
    }
}

impl FeatureMatrix {
    fn sized(columns: &RecordingColumns<'_>, cycle_ns: i64) -> Self {
        let cycles = columns.span_ns().map_or(0, |(first, last)| ((last - first) / cycle_ns + 1) as usize);
        let column = || Vec::with_capacity(cycles);
        let each = |has: fn(&Feature) -> bool| {
            FEATURES.iter().map(|feature| if has(feature) { column() } else { Vec::new() }).collect()
        };
        Self {
            time_ns: Vec::with_capacity(cycles),
            mid_price: column(),
            values: each(|_| true),
            evidence: each(Feature::has_evidence),
            covered_bps: each(|feature| feature.band_bps.is_some()),
            statuses: vec![[0; 4]; FEATURES.len()],
        }
    }

    fn push(&mut self, time_ns: TimestampNs, watcher: &Watcher<'_>) -> Result<()> {
        let mut readings = [FeatureValue::default(); FEATURES.len()];
        for tier in [Tier::Hot, Tier::Warm, Tier::Cold] {
            watcher.pipeline.evaluate(tier, time_ns, &watcher.book, &mut readings)?;
        }
        self.time_ns.push(time_ns);
        self.mid_price.push(watcher.book.mid().unwrap_or(f64::NAN));
        for (feature, reading) in readings.iter().enumerate() {
            self.values[feature].push(reading.value().unwrap_or(f64::NAN));
            if FEATURES[feature].has_evidence() {
                self.evidence[feature].push(reading.evidence().unwrap_or(f64::NAN));
            }
            if FEATURES[feature].band_bps.is_some() {
                self.covered_bps[feature].push(reading.covered_bps().unwrap_or(f64::NAN));
            }
            self.statuses[feature][reading.status() as usize] += 1;
        }
        Ok(())
    }
}
