//! Extreme but legal input, and the order in which two streams tell of one order: laws found by reading the core against its model.

use hypermm_core::config::{EngineConfig, FieldValue};
use hypermm_core::engine::QuoteEngine;
use hypermm_core::estimators::depth_decay::{DepthDecay, Evidence};
use hypermm_core::estimators::drift::DriftFilter;
use hypermm_core::estimators::reach::ReachTracker;
use hypermm_core::event::{Context, Trade};
use hypermm_core::instrument::Instrument;
use hypermm_core::pricing::decision::Decision;
use hypermm_core::state::tape::AggressorEvent;
use hypermm_core::types::{Identifier, OrderStatus, QuoteStatus, Side};

const START_NS: i64 = 1_757_015_216_000_000_000;
const SECOND_NS: i64 = 1_000_000_000;

fn ether() -> Instrument {
    Instrument::new("ETH", 4, 25, 10.0, 3600.0).unwrap()
}

fn engine(config: EngineConfig) -> QuoteEngine {
    let mut engine = QuoteEngine::new(ether(), config).unwrap();
    best(&mut engine, START_NS, 4269.0);
    engine
}

fn best(engine: &mut QuoteEngine, now: i64, bid: f64) {
    engine.on_best(now, Some((bid, 5.0)), Some((bid + 0.2, 5.0))).unwrap();
}

fn quoted(engine: &QuoteEngine, now: i64) -> Decision {
    let mut decision = Decision::default();
    engine.quote(now, &mut decision).unwrap();
    decision
}

/// Kills: a remainder below zero that makes room past the cap.
#[test]
fn what_is_left_of_an_overfilled_order_is_never_negative() {
    let mut engine = engine(EngineConfig::default());
    let id = Identifier::Number(1);
    engine.on_order(START_NS, &id, OrderStatus::Open, Side::Buy, 4268.0, 0.1, None).unwrap();
    engine.on_fill(START_NS, Side::Buy, 4268.0, 0.3, Some(&id), None, None).unwrap();
    engine.on_order(START_NS, &id, OrderStatus::Open, Side::Buy, 4268.0, 0.05, None).unwrap();
    assert_eq!(engine.open_orders().iter().map(|order| order.remaining.0).collect::<Vec<_>>(), [0]);
}

/// Kills: fills of before a modify counted against what the order was enlarged to.
#[test]
fn an_enlarged_order_counts_whole_against_the_cap() {
    let mut engine = engine(EngineConfig::default());
    let id = Identifier::Number(1);
    engine.on_order(START_NS, &id, OrderStatus::Open, Side::Buy, 4268.0, 0.1, None).unwrap();
    engine.on_fill(START_NS, Side::Buy, 4268.0, 0.04, Some(&id), None, None).unwrap();
    engine.on_order(START_NS, &id, OrderStatus::Open, Side::Buy, 4268.0, 0.12, None).unwrap();
    assert_eq!(engine.open_orders()[0].remaining.0, 1200);
    engine.on_fill(START_NS, Side::Buy, 4268.0, 0.02, Some(&id), None, None).unwrap();
    assert_eq!(engine.open_orders()[0].remaining.0, 1000);
}

/// Kills: a sum of live sizes or a position that overflows.
#[test]
fn orders_and_fills_of_the_largest_size_do_not_overflow() {
    let mut engine = engine(EngineConfig::default());
    let size = 2_251_799_813_685_247.0 / 1e4;
    for name in 0..5_000 {
        let id = Identifier::Number(name);
        for side in [Side::Buy, Side::Sell] {
            let price = if side == Side::Buy { 4268.0 } else { 4270.0 };
            engine.on_order(START_NS, &id, OrderStatus::Open, side, price, size, None).unwrap();
            assert_eq!(engine.open_orders().len() as u64, name + 1, "an order that changed sides is one order");
        }
        engine.on_fill(START_NS, Side::Sell, 4269.0, size, None, None, None).unwrap();
    }
    for name in 5_000..10_000 {
        engine.on_order(START_NS, &Identifier::Number(name), OrderStatus::Open, Side::Buy, 4268.0, size, None).unwrap();
    }
    assert_eq!(quoted(&engine, START_NS).status, QuoteStatus::Quoting);
}

/// Kills: an event that stops being censored because another own fill came before the prints of its own event.
#[test]
fn a_censored_event_stays_censored_whatever_fills_later() {
    let event = |first_ns: i64| AggressorEvent {
        key_ns: first_ns,
        first_ns,
        last_ns: first_ns,
        side: Side::Sell,
        mid_before: Some(100.0),
        worst_units: 99_900,
        worst_price: 99.9,
        size: 1.0,
    };
    let mut decay = DepthDecay::new(0.5, 0.3, 3600.0);
    let mut tracker = ReachTracker::default();
    let first = event(START_NS);
    tracker.on_print(&mut decay, &first, true, 1.0);
    tracker.on_own_fill(&mut decay, START_NS, 99_900, Some(&first));
    let censored = decay.clone();
    tracker.on_own_fill(&mut decay, START_NS, 99_950, Some(&first));
    assert_eq!(decay, censored);
    // What the sweep took beyond our order is no longer cut off by it.
    let further = AggressorEvent { worst_units: 99_800, worst_price: 99.8, ..first };
    tracker.on_print(&mut decay, &further, false, 1.0);
    let mut whole = DepthDecay::new(0.5, 0.3, 3600.0);
    whole.set_threshold(0.0);
    whole.revise(START_NS, Evidence::default(), Evidence::of(20.0, 1.0, false));
    assert!((decay.decay() - whole.decay()).abs() < 1e-9);
}

/// Kills: a return across a long silence that is taken for one of a second, or for evidence on the present drift.
#[test]
fn a_jump_across_a_long_silence_teaches_neither_volatility_nor_drift() {
    let mut engine = engine(EngineConfig::default());
    for second in 0..120 {
        best(&mut engine, START_NS + second * SECOND_NS, 4269.0 + (second % 3) as f64 * 0.5);
    }
    let before = engine.model().estimates(engine.now_ns().unwrap()).volatility;
    let stationary = engine.model().drift().stationary_variance();
    let resumed = START_NS + 3_720 * SECOND_NS;
    for second in 0..30 {
        best(&mut engine, resumed + second * SECOND_NS, 4355.0 + (second % 3) as f64 * 0.5);
        let (_, variance) = engine.model().drift().at(resumed + second * SECOND_NS);
        assert!(second > 1 || variance > 0.99 * stationary, "{variance} of {stationary}");
    }
    let after = engine.model().estimates(engine.now_ns().unwrap()).volatility;
    println!("volatility {before:.3} before and {after:.3} after an hour's silence with a move of 200 bps");
    assert!(after < 1.5 * before);
}

/// Kills: a widening that outgrows the clamped reservation price and takes the closing side off the market.
#[test]
fn a_position_far_past_the_cap_is_closed_at_the_touch() {
    for lowered in [1.0, 0.2, 0.05, 0.01, 0.001] {
        for sign in [1.0, -1.0] {
            let mut engine = engine(EngineConfig::default());
            engine.on_position(START_NS, sign, None).unwrap();
            engine
                .update_config(EngineConfig { max_position: lowered, volatility: 10.0, ..EngineConfig::default() })
                .unwrap();
            for second in 1..40 {
                best(&mut engine, START_NS + second * SECOND_NS, 4269.0 + (second % 2) as f64 * 20.0);
            }
            let now = engine.now_ns().unwrap();
            let decision = quoted(&engine, now);
            let (closing, other) =
                if sign > 0.0 { (&decision.asks, &decision.bids) } else { (&decision.bids, &decision.asks) };
            assert!(closing.len > 0, "nothing closes {sign} of {lowered}");
            assert_eq!(other.len, 0);
            let touch = if sign > 0.0 { engine.book().asks() } else { engine.book().bids() }.prices()[0];
            assert!(sign * (closing.prices[0] - touch) <= 1e-9, "{} against {touch}", closing.prices[0]);
        }
    }
}

/// Kills: an endless loop over seconds that cannot pass.
#[test]
fn the_end_of_time_is_a_time_like_any_other() {
    let mut engine = QuoteEngine::new(ether(), EngineConfig::default()).unwrap();
    for _ in 0..3 {
        best(&mut engine, i64::MAX, 4269.0);
    }
    engine.on_context(i64::MAX, &Context { funding_rate: Some(1e-4), ..Context::default() }).unwrap();
    assert_eq!(quoted(&engine, i64::MAX).status, QuoteStatus::Quoting);
}

/// Kills: 1/(1 − e^−0), a settlement that overflows, a minimum no order can reach.
#[test]
fn instrument_facts_out_of_all_proportion_are_refused() {
    for interval_s in [1e-12, 0.5, 1e12, f64::MAX] {
        let refused = Instrument::new("ETH", 4, 25, 10.0, interval_s).unwrap_err();
        assert_eq!(refused.detail().field, "funding_interval_s");
    }
    let refused = Instrument::new("ETH", 4, 25, 1e300, 3600.0).unwrap_err();
    assert_eq!(refused.detail().field, "min_notional");

    let instrument = Instrument::new("ETH", 4, 25, 10.0, 1e9).unwrap();
    let mut engine = QuoteEngine::new(instrument, EngineConfig::default()).unwrap();
    let late = i64::MAX - 10 * SECOND_NS;
    let context =
        |settlement| Context { funding_rate: Some(1e-4), next_settlement_ns: settlement, ..Context::default() };
    engine.on_context(late, &context(Some(late + 1))).unwrap();
    best(&mut engine, late + SECOND_NS, 4269.0);
    assert!(quoted(&engine, late + 2 * SECOND_NS).terms.carry.is_finite());
    engine.on_context(late + 2 * SECOND_NS, &context(None)).unwrap();
}

/// Kills: sizes beyond the integers the lanes count in.
#[test]
fn a_cap_beyond_countable_lots_is_refused() {
    let config = EngineConfig { max_position: 1e12, ..EngineConfig::default() };
    let refused = QuoteEngine::new(ether(), config.clone()).unwrap_err();
    assert_eq!(refused.detail().field, "max_position");
    let mut engine = engine(EngineConfig::default());
    let before = engine.snapshot();
    assert_eq!(engine.update_config(config.clone()).unwrap_err().detail().field, "max_position");
    assert_eq!(engine.snapshot(), before);
    assert!(QuoteEngine::restore(&before, Some(config)).is_err());
}

/// Kills: log-likelihoods of ±∞ from variances that are large but legal.
#[test]
fn statistics_of_enormous_variances_stay_finite() {
    let mut filter = DriftFilter::new(0.02, 0.075).unwrap();
    for i in 0..10_i32 {
        filter.observe(i64::from(i), 1.0, if i % 2 == 0 { 1e90 } else { 1e300 }, "outside").unwrap();
    }
    assert!(filter.log_likelihood().is_finite());
}

/// Kills: an infinite sum of sizes that never fades, a division by a gain next to zero.
#[test]
fn numbers_at_the_ends_of_the_floats_do_not_poison_the_estimates() {
    let mut engine = engine(EngineConfig { fill_gain: 5e-324, flow_gain: 1e-310, ..EngineConfig::default() });
    let print = |size| Trade { price: 4268.0, size, aggressor: Side::Sell, exchange_time_ns: None };
    assert_eq!(engine.on_trade(START_NS, &print(1e308)).unwrap_err().detail().field, "size");
    engine.on_trade(START_NS, &print(1e-320)).unwrap();
    engine.on_fill(START_NS, Side::Buy, 4269.1, 0.1, None, None, None).unwrap();
    let decision = quoted(&engine, START_NS);
    assert!(decision.drift_bps_per_s.is_finite() && decision.drift_variance > 0.0);
}

/// Kills: statistics that grow with every new name.
#[test]
fn names_of_sources_are_bounded() {
    let mut engine = engine(EngineConfig::default());
    let mut refused = None;
    for i in 0..10_000 {
        let before = engine.model().drift().clone();
        if let Err(error) = engine.observe(START_NS, 0.1, 1.0, &format!("source {i}")) {
            assert_eq!(engine.model().drift(), &before);
            refused = Some(error);
            break;
        }
    }
    assert_eq!(refused.unwrap().detail().field, "name");
    engine.observe(START_NS, 0.1, 1.0, "source 0").unwrap();
    assert!(engine.snapshot().len() < 100_000);
}

/// Kills: tolerance taken of the smallest unit instead of the grid the price stands on.
#[test]
fn a_float_within_a_billionth_of_a_valid_price_is_that_price() {
    let coin = Instrument::new("COIN", 0, 5, 10.0, 3600.0).unwrap();
    for (float, exact) in [(5_000.100_001, 5000.1), (1e9 + 0.3, 1e9), (9_999.999_995, 10_000.0), (1e-6, 1e-6)] {
        let price = coin.price_from_f64("price", float).unwrap();
        assert_eq!(coin.price_to_f64(price), exact);
    }
    for float in [5_000.100_01, 1e8 + 0.3, 5000.15, 1.5e-6] {
        assert!(coin.price_from_f64("price", float).is_err(), "{float}");
    }
}

/// Kills: a setting that `update_config` forgets to hand on.
#[test]
fn settings_taken_over_before_any_event_are_those_of_a_new_engine() {
    for field in EngineConfig::FIELDS {
        let mut config = EngineConfig::default();
        let value = match (field.name, field.default) {
            ("horizon_min_s", _) => FieldValue::Float(5.0),
            (_, FieldValue::Float(number)) => FieldValue::Float((number * 0.9 + 1e-3).clamp(field.min, field.max)),
            (_, FieldValue::Integer(number)) => FieldValue::Integer(number + 1),
            (_, FieldValue::Bool(flag)) => FieldValue::Bool(!flag),
            (_, FieldValue::Unset) => FieldValue::Float(0.1),
        };
        config.set(field.name, value).unwrap();
        assert_ne!(config, EngineConfig::default(), "{}", field.name);
        let mut updated = QuoteEngine::new(ether(), EngineConfig::default()).unwrap();
        updated.update_config(config.clone()).unwrap();
        let mut fresh = QuoteEngine::new(ether(), config).unwrap();
        for engine in [&mut updated, &mut fresh] {
            for second in 0..30 {
                best(engine, START_NS + second * SECOND_NS, 4269.0 + (second % 4) as f64);
            }
        }
        assert!(updated == fresh, "{} is not taken over", field.name);
    }
}

/// Kills: a fill seen from the mid after its own sweep, which turns its evidence round.
#[test]
fn a_swept_bid_is_never_bullish_whichever_stream_tells_first() {
    let sweep = Trade { price: 4262.0, size: 50.0, aggressor: Side::Sell, exchange_time_ns: None };
    let drift = |tape: bool, book: bool| {
        let mut engine = engine(EngineConfig::default());
        if tape {
            engine.on_trade(START_NS + 50, &sweep).unwrap();
        }
        if book {
            best(&mut engine, START_NS + 100, 4260.0);
        }
        engine.on_fill(START_NS + 200, Side::Buy, 4268.0, 0.01, None, None, None).unwrap();
        quoted(&engine, START_NS + 200).drift_bps_per_s
    };
    let told_first = drift(false, false);
    assert!(told_first < 0.0);
    assert_eq!(drift(true, true), told_first);
    assert!(drift(false, true) <= 0.0);
}

/// Kills: zero returns learned from a book nobody hears of any more.
#[test]
fn a_book_that_falls_silent_while_other_news_comes_does_not_look_calm() {
    let mut engine = engine(EngineConfig::default());
    for second in 0..600 {
        best(&mut engine, START_NS + second * SECOND_NS, 4269.0 + (second % 7) as f64 * 0.5);
    }
    let before = quoted(&engine, engine.now_ns().unwrap()).terms.volatility;
    for second in 600..2_400 {
        engine.on_quota(START_NS + second * SECOND_NS, 1e4, 1e3).unwrap();
    }
    let resumed = START_NS + 2_400 * SECOND_NS;
    best(&mut engine, resumed, 4312.0);
    let after = quoted(&engine, resumed).terms.volatility;
    println!("volatility {before:.3} before and {after:.3} after half an hour without a book");
    assert!(after > 0.5 * before);
    for second in 1..20 {
        best(&mut engine, resumed + second * SECOND_NS, 4312.0);
    }
    assert!(quoted(&engine, engine.now_ns().unwrap()).terms.volatility < 1.5 * before);
}

// Kills: a closing order below the venue's minimum cut by the cap, which the venue would refuse.
#[test]
fn an_order_below_the_minimum_closes_the_whole_position_or_is_not_there() {
    let mut closed = 0;
    for live_lots in 0..400 {
        let mut engine = engine(EngineConfig { max_position: 0.03, ..EngineConfig::default() });
        engine.on_position(START_NS, 0.001, None).unwrap();
        if live_lots > 0 {
            let (id, size) = (Identifier::Number(1), f64::from(live_lots) / 1e4);
            engine.on_order(START_NS, &id, OrderStatus::CancelPending, Side::Sell, 4290.0, size, None).unwrap();
        }
        let asks = quoted(&engine, START_NS).asks;
        for level in 0..asks.len {
            let worth = asks.prices[level] * asks.sizes[level];
            assert!(worth >= 10.0 || asks.lots[level].0 == 10, "{live_lots} lots live: an ask of {worth} USD");
            closed += u32::from(asks.lots[level].0 == 10);
        }
    }
    assert!(closed > 0, "the case was met");
}

// Kills: a sum of times past the last one, after the position has moved.
#[test]
fn the_last_representable_times_are_times() {
    for back in [0, 1, SECOND_NS, 5 * SECOND_NS, 20 * SECOND_NS] {
        let now = i64::MAX - back;
        let mut engine = QuoteEngine::new(ether(), EngineConfig::default()).unwrap();
        best(&mut engine, now - 2 * SECOND_NS, 4269.0);
        assert!(engine.on_fill(now, Side::Buy, 4269.0, 0.1, None, None, None).unwrap());
        engine.on_context(now, &Context { funding_rate: Some(1e-4), ..Context::default() }).unwrap();
        best(&mut engine, now, 4269.4);
        let trade = Trade { price: 4269.0, size: 0.1, aggressor: Side::Sell, exchange_time_ns: None };
        engine.on_trade(now, &trade).unwrap();
        let id = Identifier::Number(1);
        engine.on_order(now, &id, OrderStatus::Open, Side::Buy, 4268.0, 0.1, None).unwrap();
        engine.on_order(now, &id, OrderStatus::Filled, Side::Buy, 4268.0, 0.0, None).unwrap();
        engine.on_position(now, 0.2, None).unwrap();
        quoted(&engine, now);
    }
}

// Kills: a level beyond the largest price, which the engine itself would refuse.
#[test]
fn every_price_quoted_is_a_price_near_the_largest_and_with_the_steepest_ladder() {
    let instrument = Instrument::new("X", 0, 25, 10.0, 3600.0).unwrap();
    let mut config = EngineConfig { max_position: 10.0, levels: 32, clip: Some(1.0), ..EngineConfig::default() };
    for field in EngineConfig::FIELDS.iter().filter(|field| ["level_growth", "level_spacing_bps"].contains(&field.name))
    {
        config.set(field.name, FieldValue::Float(field.max)).unwrap();
    }
    for (config, bid) in [(config.clone(), 1e8), (config, 2.2517e9), (EngineConfig::default(), 2.251_799_8e9)] {
        let mut engine = QuoteEngine::new(instrument.clone(), config).unwrap();
        engine.on_best(START_NS, Some((bid, 5.0)), Some((bid + 1.0, 5.0))).unwrap();
        engine.on_position(START_NS, 5.0, None).unwrap();
        let decision = quoted(&engine, START_NS);
        for (side, quotes) in [(Side::Buy, &decision.bids), (Side::Sell, &decision.asks)] {
            for level in 0..quotes.len {
                let price = instrument.price_from_f64("price", quotes.prices[level]).unwrap();
                assert_eq!(price, quotes.price_units[level], "{side:?} {level} at {bid}");
            }
        }
    }
}
