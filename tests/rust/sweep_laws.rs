//! A sweep is its runs alone.

use std::sync::Arc;

use hypermm_core::config::EngineConfig;
use hypermm_core::engine::QuoteEngine;
use hypermm_core::engine::shared::SharedEvents;
use hypermm_core::event::MarketEvent;
use hypermm_core::instrument::Instrument;
use hypermm_core::state::queue::CancelModel;
use hypermm_core::types::{Identifier, Lots, OrderStatus, Price, Side};
use hypermm_simulation::backtest::output::Summary;
use hypermm_simulation::backtest::replay::{BacktestSettings, run_timed};
use hypermm_simulation::backtest::sweep::{SweepRun, sweep};
use hypermm_simulation::market::recording::RecordingColumns;
use hypermm_simulation::market::references::ReferenceColumns;
use hypermm_simulation::market::session::{Session, SessionSettings};
use hypermm_simulation::venue::blocks::BlockSettings;
use hypermm_simulation::venue::fill_models::FillSettings;
use hypermm_simulation::venue::latency::Latency;
use proptest::prelude::*;

use crate::engine_storm::calibration;

fn eth() -> Instrument {
    Instrument::new("ETH", 4, 25, 10.0, 3600.0).unwrap()
}

/// A session that crosses a funding settlement, with a rate that shows.
fn session(duration_s: f64, seed: u64) -> Session {
    let settings = SessionSettings { duration_s, seed, funding_rate: 0.001, ..SessionSettings::default() };
    Session::generate(&eth(), &settings).unwrap()
}

/// Debug prints every digit of a float, and NaN alike.
fn bits(rows: &[Summary]) -> Vec<String> {
    rows.iter().map(|row| format!("{row:?}")).collect()
}

fn alone(columns: &RecordingColumns<'_>, runs: &[SweepRun], settings: &BacktestSettings) -> Vec<Summary> {
    let once = |one: &SweepRun| {
        let settings = BacktestSettings { fill_model: one.fill_model, latency: one.latency, ..*settings };
        let mut engine = QuoteEngine::new(eth(), one.config.clone()).unwrap();
        run_timed(columns, &eth(), &one.config, &settings, one.blocks.as_ref(), &mut engine, &mut |_| {})
            .unwrap()
            .summary
    };
    runs.iter().map(once).collect()
}

fn swept(
    columns: &RecordingColumns<'_>,
    runs: &[SweepRun],
    settings: &BacktestSettings,
    threads: usize,
) -> Vec<Summary> {
    sweep(columns, &eth(), runs, settings, threads, &mut |_| true).unwrap().unwrap()
}

/// Every field the engine reads, moved at random within a range in which something happens.
fn config() -> impl Strategy<Value = EngineConfig> {
    let quoting = (0.002..0.2, 0.0..8.0, 1_u32..12, 0.2..4.0, 1.0..3.0, proptest::option::of(0.01..0.2));
    let learning = (0.005..0.1, 0.01..0.2, 0.0..0.2, 0.0..0.2, 0.0..0.2, 0.05..3.0, 0.1..2.0, 100.0..7200.0, 0.2..8.0);
    let risk = (0.0..1.5, 0.0..2.0, 0.5..5.0, 6.0..900.0, 10.0..600.0, 0.0..2.0, 0.0..4e-4, 0.0..3.0, any::<bool>());
    (quoting, learning, risk, any::<bool>()).prop_map(|(quoting, learning, risk, is_calibrated)| EngineConfig {
        calibration: is_calibrated.then(|| Arc::new(calibration())),
        risk_aversion: quoting.0,
        inventory_curvature: quoting.1,
        levels: quoting.2,
        level_spacing_bps: quoting.3,
        level_growth: quoting.4,
        clip: quoting.5,
        drift_mean_reversion_per_s: learning.0,
        drift_deviation_ratio: learning.1,
        fill_gain: learning.2,
        flow_gain: learning.3,
        funding_gain: learning.4,
        arrival_rate: learning.5,
        depth_decay: learning.6,
        depth_decay_half_life_s: learning.7,
        volatility: learning.8,
        volatility_ratio_exponent: risk.0,
        informed_volatility: risk.1,
        horizon_min_s: risk.2,
        horizon_max_s: risk.3,
        flow_shift_memory_s: risk.4,
        adverse_selection_ratio: risk.5,
        request_price_usd: risk.6,
        queue_exponent: risk.7,
        terminal_penalty: risk.8,
        ..EngineConfig::default()
    })
}

fn fill_model() -> impl Strategy<Value = FillSettings> {
    prop_oneof![
        Just(FillSettings::OPTIMISTIC),
        Just(FillSettings::Queue(CancelModel::RiskAverse)),
        (0.3..4.0).prop_map(|exponent| FillSettings::Queue(CancelModel::Power(exponent))),
        Just(FillSettings::Queue(CancelModel::Log)),
    ]
}

fn one_run() -> impl Strategy<Value = SweepRun> {
    let to_venue_ms = prop_oneof![Just(30_i64), 0_i64..400];
    (config(), fill_model(), to_venue_ms, any::<bool>()).prop_map(|(config, fill_model, to_venue_ms, is_venue)| {
        let latency = Latency { to_venue_ns: to_venue_ms * 1_000_000, ..Latency::default() };
        SweepRun { config, fill_model, latency, blocks: is_venue.then(BlockSettings::default) }
    })
}

fn paper(config: EngineConfig) -> SweepRun {
    SweepRun { config, fill_model: FillSettings::OPTIMISTIC, latency: Latency::default(), blocks: None }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    // Kills: any state two runs of a sweep share that one of them changes, a field read from another run's
    // configuration, a latency or blocks that are not the run's own, a row in the wrong place, a fold that depends on threads.
    #[test]
    fn a_sweep_is_its_runs_alone_to_the_bit(
        runs in proptest::collection::vec(one_run(), 1..9),
        threads in 1_usize..4,
        cycle_ms in prop_oneof![Just(0_i64), Just(250), 1..2000_i64],
        seed in 0_u64..1000,
    ) {
        let session = session(240.0, seed);
        let mut columns = session.columns();
        // Prices of other markets just after each tenth best price, some of them several before one event.
        let times_ns: Vec<i64> = columns.best_time_ns.iter().step_by(10).flat_map(|time_ns| [time_ns + 1; 2]).collect();
        let prices: Vec<f64> = (0..times_ns.len()).map(|row| 4270.0 + (row % 7) as f64).collect();
        let others = ["spot", "BTC"].map(|name| ReferenceColumns { name, time_ns: &times_ns, price: &prices });
        columns.references = &others;
        let settings = BacktestSettings { seed, cycle_ns: cycle_ms * 1_000_000, ..BacktestSettings::default() };
        prop_assert_eq!(bits(&swept(&columns, &runs, &settings, threads)), bits(&alone(&columns, &runs, &settings)));
    }
}

/// Every event of a recording in the order it was received.
fn events<'a>(columns: &RecordingColumns<'a>) -> Vec<(i64, MarketEvent<'a>)> {
    let books = columns.book_time_ns.iter().enumerate().map(|(row, time_ns)| (*time_ns, columns.book(row)));
    let bests = columns.best_time_ns.iter().enumerate().map(|(row, time_ns)| (*time_ns, columns.best(row)));
    let trades = columns.trade_time_ns.iter().enumerate().map(|(row, time_ns)| (*time_ns, columns.trade(row)));
    let contexts = columns.context.time_ns.iter().enumerate();
    let contexts = contexts.map(|(row, time_ns)| (*time_ns, MarketEvent::Context(columns.context(row))));
    let mut events: Vec<_> = books.chain(bests).chain(trades).chain(contexts).collect();
    events.sort_by_key(|(time_ns, _)| *time_ns);
    events
}

// Kills: an order that does not follow a lent book, a second that passes with the book after it, a book lent twice, a
// stretch that begins with the wrong book.
#[test]
fn a_lent_book_teaches_all_that_an_own_one_does() {
    let session = session(120.0, 3);
    let columns = session.columns();
    let config = EngineConfig { calibration: Some(Arc::new(calibration())), ..EngineConfig::default() };
    let mut alone: Vec<_> = (0..2).map(|_| QuoteEngine::new(eth(), config.clone()).unwrap()).collect();
    let mut sharing = alone.clone();
    let mut shared = SharedEvents::default();
    let mut order = 0;
    for (round, stretch) in events(&columns).chunks(37).enumerate() {
        shared.clear();
        for (time_ns, event) in stretch {
            shared.push(&eth(), *time_ns, *event).unwrap();
        }
        for (which, (own, lent)) in alone.iter_mut().zip(&mut sharing).enumerate() {
            lent.take_turn(&mut shared);
            for (place, (time_ns, event)) in stretch.iter().enumerate() {
                own.handle(*time_ns, event).unwrap();
                lent.take_shared(&mut shared, place).unwrap();
                // Each has orders of its own, at and behind the best prices.
                if place % 9 == which
                    && let (Some(bid), Some(ask)) =
                        (own.book().bids().units().first(), own.book().asks().units().first())
                {
                    order += 1;
                    let deep = (round % 4) as i64;
                    for (side, price) in [(Side::Buy, Price(bid - deep)), (Side::Sell, Price(ask + deep))] {
                        let id = Identifier::Number(2 * (order % 8) + u64::from(side == Side::Sell));
                        for engine in [&mut *own, &mut *lent] {
                            engine.on_exact_order(*time_ns, &id, OrderStatus::Open, side, price, Lots(1000)).unwrap();
                        }
                    }
                }
            }
            assert!(own.snapshot() == lent.snapshot(), "stretch {round}, engine {which}");
            lent.give_back(&mut shared);
        }
    }
    assert!(order > 100 && alone[0].snapshot() != alone[1].snapshot());
}

// Kills: a silence after which runs that heard of an order in between would pass other seconds than those that did not.
#[test]
fn a_silence_of_the_feed_changes_nothing_of_that() {
    let settings = BacktestSettings::default();
    for gap_ms in (298_900..301_100).step_by(200) {
        let mut session = session(300.0, 5);
        let (first_ns, last_ns) = session.columns().span_ns().unwrap();
        let middle_ns = first_ns + (last_ns - first_ns) / 2;
        for times in [
            &mut session.book_time_ns,
            &mut session.book_exchange_time_ns,
            &mut session.best_time_ns,
            &mut session.best_exchange_time_ns,
            &mut session.trade_time_ns,
            &mut session.trade_exchange_time_ns,
            &mut session.context_time_ns,
            &mut session.next_settlement_ns,
        ] {
            for time_ns in times.iter_mut().filter(|time_ns| **time_ns > middle_ns) {
                *time_ns += gap_ms * 1_000_000;
            }
        }
        let columns = session.columns();
        let runs: Vec<SweepRun> = [0.005, 0.015, 0.1]
            .map(|risk_aversion| paper(EngineConfig { risk_aversion, ..EngineConfig::default() }))
            .to_vec();
        let rows = swept(&columns, &runs, &settings, 1);
        assert!(rows.iter().all(|row| row.fills > 10), "{rows:?}");
        assert_eq!(bits(&rows), bits(&alone(&columns, &runs, &settings)));
    }
}

#[test]
fn a_wrong_run_is_refused_by_its_place_and_nothing_is_played() {
    let session = session(60.0, 1);
    let columns = session.columns();
    let good = paper(EngineConfig::default());
    let config = EngineConfig { levels: 99, ..EngineConfig::default() };
    let runs = [good.clone(), SweepRun { config, ..good.clone() }];
    let told = &mut 0;
    let refused = sweep(&columns, &eth(), &runs, &BacktestSettings::default(), 2, &mut |_| {
        *told += 1;
        true
    })
    .unwrap_err();
    assert_eq!((refused.detail().field.as_ref(), *told), ("levels", 0));
    assert!(refused.detail().hint.starts_with("configs[1]"), "{refused}");
    for threads in [0, 257] {
        assert!(
            sweep(&columns, &eth(), std::slice::from_ref(&good), &BacktestSettings::default(), threads, &mut |_| true)
                .is_err()
        );
    }
}

#[test]
fn a_refused_event_ends_the_sweep_with_stream_and_row() {
    let session = session(60.0, 1);
    let mut columns = session.columns();
    let mut prices = columns.trade_price.to_vec();
    let row = prices.len() / 2;
    prices[row] += 0.000_123;
    columns.trade_price = &prices;
    let run = paper(EngineConfig::default());
    let refused = sweep(&columns, &eth(), &vec![run; 5], &BacktestSettings::default(), 2, &mut |_| true).unwrap_err();
    assert!(refused.detail().hint.contains(&format!("trade row {row}")), "{refused}");
}

#[test]
fn a_caller_that_says_stop_gets_no_answer() {
    let session = session(60.0, 1);
    let run = paper(EngineConfig::default());
    let answer =
        sweep(&session.columns(), &eth(), &vec![run; 50], &BacktestSettings::default(), 1, &mut |_| false).unwrap();
    assert!(answer.is_none());
}
