//! Cost of one event and of one quote cycle, with a proof that a quote does not allocate.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use hypermm_core::config::EngineConfig;
use hypermm_core::engine::QuoteEngine;
use hypermm_core::estimators::drift::DriftFilter;
use hypermm_core::event::Trade;
use hypermm_core::instrument::Instrument;
use hypermm_core::pricing::decision::Decision;
use hypermm_core::types::Side;

const MS: i64 = 1_000_000;

struct Feed {
    bid_prices: Vec<f64>,
    ask_prices: Vec<f64>,
    sizes: Vec<f64>,
}

fn feed(shift: i64) -> Feed {
    let tick = |units: i64| units as f64 / 10.0;
    Feed {
        bid_prices: (0..20).map(|i| tick(42_689 + shift - i)).collect(),
        ask_prices: (0..20).map(|i| tick(42_690 + shift + i)).collect(),
        sizes: (0..20).map(|i| 5.0 + f64::from(i)).collect(),
    }
}

/// An engine that has seen ten minutes of a moving market.
fn warmed(levels: u32) -> QuoteEngine {
    let instrument = Instrument::new("ETH", 4, 25, 10.0, 3600.0).unwrap();
    let config = EngineConfig { levels, max_position: 10.0, ..EngineConfig::default() };
    let mut engine = QuoteEngine::new(instrument, config).unwrap();
    for i in 0..1200_i64 {
        let now = i * 500 * MS;
        let book = feed((i * 7919) % 23 - 11);
        engine.on_book(now, &book.bid_prices, &book.sizes, &book.ask_prices, &book.sizes).unwrap();
        let aggressor = if i % 3 == 0 { Side::Sell } else { Side::Buy };
        let deep = (i % 5) as usize;
        let price = if aggressor == Side::Sell { book.bid_prices[deep] } else { book.ask_prices[deep] };
        engine.on_trade(now, &Trade { price, size: 0.5, aggressor, exchange_time_ns: None }).unwrap();
    }
    engine.on_position(600_000 * MS, 2.5, None).unwrap();
    engine
}

fn quote(criterion: &mut Criterion) {
    for levels in [1, 8, 20] {
        let engine = warmed(levels);
        let mut decision = Decision::default();
        let mut now = 600_100 * MS;
        engine.quote(now, &mut decision).unwrap();
        assert!(decision.bids.len > 0 && decision.asks.len > 0);
        let information = allocation_counter::measure(|| {
            for _ in 0..1000 {
                now += 1000;
                engine.quote(black_box(now), &mut decision).unwrap();
            }
        });
        println!("quote, {levels} levels a side: {} allocations in 1000 cycles", information.count_total);
        assert_eq!(information.count_total, 0);
        criterion.bench_function(&format!("quote_{levels}_levels_a_side"), |bencher| {
            bencher.iter(|| {
                now += 1000;
                engine.quote(black_box(now), &mut decision).unwrap();
                black_box(decision.bids.prices[0])
            });
        });
    }
}

/// A print before each quote: nothing of the last cycle can be used again. The print's own cost is measured beside it.
fn quote_after_print(criterion: &mut Criterion) {
    let trade = Trade { price: 4269.0, size: 0.5, aggressor: Side::Buy, exchange_time_ns: None };
    let mut decision = Decision::default();
    let mut engine = warmed(8);
    let mut now = 600_100 * MS;
    criterion.bench_function("print_and_quote_8_levels_a_side", |bencher| {
        bencher.iter(|| {
            now += 1000;
            engine.on_trade(now, &trade).unwrap();
            engine.quote(black_box(now), &mut decision).unwrap();
            black_box(decision.bids.prices[0])
        });
    });
}

fn events(criterion: &mut Criterion) {
    let mut engine = warmed(8);
    let mut now = 600_100 * MS;
    let books = [feed(0), feed(3)];
    let mut turn = 0;
    criterion.bench_function("on_book_20_levels", |bencher| {
        bencher.iter(|| {
            now += MS;
            turn ^= 1;
            let book = &books[turn];
            engine.on_book(black_box(now), &book.bid_prices, &book.sizes, &book.ask_prices, &book.sizes).unwrap();
        });
    });
    criterion.bench_function("on_best", |bencher| {
        bencher.iter(|| {
            now += MS;
            turn ^= 1;
            let book = &books[turn];
            engine.on_best(black_box(now), Some((book.bid_prices[0], 1.0)), Some((book.ask_prices[0], 2.0))).unwrap();
        });
    });
    criterion.bench_function("on_trade", |bencher| {
        let trade = Trade { price: 4269.0, size: 0.5, aggressor: Side::Buy, exchange_time_ns: None };
        bencher.iter(|| {
            now += MS;
            engine.on_trade(black_box(now), &trade).unwrap();
        });
    });
    criterion.bench_function("observe", |bencher| {
        bencher.iter(|| {
            now += MS;
            engine.observe(black_box(now), 0.01, 1.0, "external").unwrap();
        });
    });
}

fn drift(criterion: &mut Criterion) {
    let mut filter = DriftFilter::new(0.02, 0.075).unwrap();
    let mut now = 0;
    criterion.bench_function("drift_update", |bencher| {
        bencher.iter(|| {
            now += MS;
            filter.observe(black_box(now), black_box(0.01), 1.0, "price").unwrap();
        });
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .measurement_time(std::time::Duration::from_secs(2))
        .warm_up_time(std::time::Duration::from_millis(500));
    targets = quote, quote_after_print, events, drift
}
criterion_main!(benches);
