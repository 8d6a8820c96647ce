//! Cost of the feature pipeline: updating it with a row of the feed, and reading a tier, with a proof that neither allocates.
//!
//! `update` is the difference of two runs over one session: book and tape alone, and with the pipeline behind them. With
//! `FEATURES_PART=rows` or `FEATURES_PART=hot` (warm, cold) the program does that part a thousand times and ends, for callgrind.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)]

use std::hint::black_box;
use std::time::Instant;

use criterion::{Criterion, criterion_group};
use hypermm_core::event::MarketEvent;
use hypermm_core::event::{BestLevel, Trade};
use hypermm_core::features::pipeline::{FeatureConfig, FeaturePipeline};
use hypermm_core::features::{FEATURES, FeatureValue, Tier};
use hypermm_core::instrument::Instrument;
use hypermm_core::state::book::{Book, SnapshotLevels};
use hypermm_core::state::tape::Tape;
use hypermm_core::types::Side;
use hypermm_simulation::market::recording::RecordingColumns;
use hypermm_simulation::market::session::{Session, SessionSettings};

const TIERS: [(Tier, &str); 3] = [(Tier::Hot, "hot"), (Tier::Warm, "warm"), (Tier::Cold, "cold")];

/// Rows of a session in receive order, as one loop takes them in.
struct Rows<'a> {
    columns: RecordingColumns<'a>,
    order: Vec<(i64, u8, usize)>,
}

impl<'a> Rows<'a> {
    fn of(session: &'a Session) -> Self {
        let columns = session.columns();
        let streams = [columns.book_time_ns, columns.best_time_ns, columns.trade_time_ns, columns.context.time_ns];
        let mut order: Vec<(i64, u8, usize)> = streams
            .into_iter()
            .zip(0_u8..)
            .flat_map(|(times, stream)| times.iter().enumerate().map(move |(row, time)| (*time, stream, row)))
            .collect();
        order.sort_unstable();
        Self { columns, order }
    }
}

struct Market {
    instrument: Instrument,
    book: Book,
    tape: Tape,
    pipeline: FeaturePipeline,
    now_ns: i64,
}

impl Market {
    fn new(instrument: &Instrument) -> Self {
        let config = FeatureConfig { lead_market: Some("BTC".into()), ..FeatureConfig::default() };
        Self {
            instrument: instrument.clone(),
            book: Book::default(),
            tape: Tape::default(),
            pipeline: FeaturePipeline::new(config).unwrap(),
            now_ns: 0,
        }
    }

    fn play<const FEATURES_ON: bool>(&mut self, rows: &Rows<'_>) {
        for &(time_ns, stream, row) in &rows.order {
            self.now_ns = time_ns;
            if FEATURES_ON {
                self.pipeline.advance(time_ns, &self.book);
            }
            match stream {
                0 => self.on_levels::<FEATURES_ON>(time_ns, &rows.columns.book(row)),
                1 => self.on_levels::<FEATURES_ON>(time_ns, &rows.columns.best(row)),
                2 => self.on_print::<FEATURES_ON>(time_ns, &rows.columns.trade(row)),
                _ if FEATURES_ON => self.pipeline.on_context(time_ns, &rows.columns.context(row)),
                _ => {}
            }
            // A leading market that speaks as often as ours.
            if FEATURES_ON && stream == 1 {
                self.pipeline.on_reference(time_ns, "BTC", 112_000.0 + (row % 7) as f64).unwrap();
            }
        }
    }

    #[inline(always)]
    fn on_levels<const FEATURES_ON: bool>(&mut self, time_ns: i64, event: &MarketEvent<'_>) {
        match event {
            MarketEvent::Book { bid_prices, bid_sizes, ask_prices, ask_sizes, .. } => {
                let levels = SnapshotLevels { bid_prices, bid_sizes, ask_prices, ask_sizes };
                let checked = Book::check_snapshot(&self.instrument, levels).unwrap();
                self.book.apply_snapshot(time_ns, &checked);
            }
            MarketEvent::Best { bid, ask, .. } => self.on_best(time_ns, *bid, *ask),
            _ => {}
        }
        if FEATURES_ON {
            self.pipeline.on_book(time_ns, &self.book);
        }
    }

    #[inline(always)]
    fn on_best(&mut self, time_ns: i64, bid: Option<BestLevel>, ask: Option<BestLevel>) {
        let bid = Book::check_best(&self.instrument, Side::Buy, bid).unwrap();
        let ask = Book::check_best(&self.instrument, Side::Sell, ask).unwrap();
        self.book.apply_best(time_ns, bid, ask);
    }

    #[inline(always)]
    fn on_print<const FEATURES_ON: bool>(&mut self, time_ns: i64, event: &MarketEvent<'_>) {
        let MarketEvent::Trade(Trade { price, size, aggressor, exchange_time_ns }) = *event else { return };
        let units = self.instrument.price_from_f64("price", price).unwrap().0;
        let key_ns = exchange_time_ns.unwrap_or(time_ns);
        let change = self.tape.apply(time_ns, key_ns, aggressor, units, price, size, None);
        if FEATURES_ON {
            self.pipeline.on_trade(time_ns, self.tape.last(aggressor).unwrap(), change, size);
        }
    }

    fn read(&self, tier: Tier, now_ns: i64, out: &mut [FeatureValue]) {
        self.pipeline.evaluate(tier, now_ns, &self.book, out).unwrap();
    }
}

fn session() -> (Instrument, Session) {
    let instrument = Instrument::new("ETH", 4, 25, 10.0, 3600.0).unwrap();
    let session = Session::generate(&instrument, &SessionSettings::default()).unwrap();
    (instrument, session)
}

/// Seconds of the fastest of some runs over all rows.
fn fastest_s<const FEATURES_ON: bool>(instrument: &Instrument, rows: &Rows<'_>) -> f64 {
    (0..40)
        .map(|_| {
            let mut market = Market::new(instrument);
            let begin = Instant::now();
            market.play::<FEATURES_ON>(rows);
            black_box(&market.pipeline);
            begin.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min)
}

fn features(criterion: &mut Criterion) {
    let (instrument, session) = session();
    let rows = Rows::of(&session);
    let count = rows.order.len() as f64;
    let mut market = Market::new(&instrument);
    let allocations = allocation_counter::measure(|| market.play::<true>(&rows)).count_total;
    println!("update: {allocations} allocations in {count} rows");
    assert_eq!(allocations, 0);
    let (bare, full) = (fastest_s::<false>(&instrument, &rows), fastest_s::<true>(&instrument, &rows));
    println!(
        "update: {:.1} ns a row (book and tape alone {:.1}, with features {:.1})",
        (full - bare) / count * 1e9,
        bare / count * 1e9,
        full / count * 1e9
    );
    let mut out = [FeatureValue::default(); FEATURES.len()];
    for (tier, name) in TIERS {
        let mut now_ns = market.now_ns;
        let allocations = allocation_counter::measure(|| market.read(tier, now_ns, &mut out)).count_total;
        assert_eq!(allocations, 0);
        let batch_s = (0..400).map(|_| {
            let begin = Instant::now();
            for i in 0..1000 {
                market.read(tier, black_box(now_ns + i), black_box(&mut out));
            }
            begin.elapsed().as_secs_f64()
        });
        println!("evaluate_{name}: {:.0} ns in the fastest thousand", batch_s.fold(f64::INFINITY, f64::min) * 1e6);
        criterion.bench_function(&format!("evaluate_{name}"), |bencher| {
            bencher.iter(|| {
                now_ns += 1000;
                market.read(tier, black_box(now_ns), &mut out);
                black_box(out[0])
            });
        });
    }
}

/// One part a thousand times, for an instruction count; false when none was asked for.
fn count_instructions() -> bool {
    let Ok(part) = std::env::var("FEATURES_PART") else { return false };
    let (instrument, session) = session();
    let rows = Rows::of(&session);
    let mut market = Market::new(&instrument);
    if part == "bare" {
        market.play::<false>(&rows);
    } else {
        market.play::<true>(&rows);
    }
    println!("{} rows", rows.order.len());
    let mut out = [FeatureValue::default(); FEATURES.len()];
    for (tier, _) in TIERS.into_iter().filter(|(_, name)| *name == part) {
        for i in 0..1000 {
            market.read(tier, market.now_ns + i, black_box(&mut out));
        }
    }
    true
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .measurement_time(std::time::Duration::from_secs(2))
        .warm_up_time(std::time::Duration::from_millis(500));
    targets = features
}

fn main() {
    if count_instructions() {
        return;
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
}
