//! News of one order that come twice, late or of another order under its name: what is left of it, and what still counts against the cap.

use hypermm_core::config::EngineConfig;
use hypermm_core::engine::QuoteEngine;
use hypermm_core::instrument::Instrument;
use hypermm_core::pricing::decision::Decision;
use hypermm_core::types::OrderStatus::{Canceled, Filled, Open};
use hypermm_core::types::{Identifier, OrderStatus, Side, TimestampNs};

const START_NS: TimestampNs = 1_757_015_216_000_000_000;
const S: TimestampNs = 1_000_000_000;

fn engine() -> QuoteEngine {
    let instrument = Instrument::new("ETH", 4, 25, 10.0, 3600.0).unwrap();
    let config = EngineConfig { max_position: 0.05, clip: Some(0.05), ..EngineConfig::default() };
    let mut engine = QuoteEngine::new(instrument, config).unwrap();
    best(&mut engine, 0);
    engine
}

fn best(engine: &mut QuoteEngine, after_ns: TimestampNs) {
    engine.on_best(START_NS + after_ns, Some((4269.0, 5.0)), Some((4269.2, 5.0))).unwrap();
}

fn order(engine: &mut QuoteEngine, after_ns: TimestampNs, status: OrderStatus, lots: i64, ordered: i64) {
    let (left, ordered) = (lots as f64 / 1e4, ordered as f64 / 1e4);
    let id = Identifier::Number(1);
    engine.on_order(START_NS + after_ns, &id, status, Side::Buy, 4268.0, left, Some(ordered)).unwrap();
}

fn fill(engine: &mut QuoteEngine, after_ns: TimestampNs, lots: i64) {
    let id = Identifier::Number(1);
    engine.on_fill(START_NS + after_ns, Side::Buy, 4268.0, lots as f64 / 1e4, Some(&id), None, None).unwrap();
}

fn left(engine: &QuoteEngine) -> Vec<i64> {
    engine.open_orders().iter().map(|order| order.remaining.0).collect()
}

fn untold(engine: &QuoteEngine) -> i64 {
    engine.untold_fills()[0].0
}

fn bids(engine: &QuoteEngine, after_ns: TimestampNs) -> i64 {
    let mut decision = Decision::default();
    engine.quote(START_NS + after_ns, &mut decision).unwrap();
    decision.bids.lots[..decision.bids.len].iter().map(|lots| lots.0).sum()
}

/// Kills: a name that died taken for the late word of the dead, though another size was ordered.
#[test]
fn an_order_of_another_size_under_the_name_of_a_dead_one_lives() {
    let mut engine = engine();
    order(&mut engine, 0, Open, 500, 500);
    order(&mut engine, S, Canceled, 500, 500);
    order(&mut engine, S, Open, 400, 400);
    best(&mut engine, S);
    assert_eq!(left(&engine), [400]);
    assert!(bids(&engine, S) <= 100);
}

/// Kills: fills of the order before the change counted against the one after it.
#[test]
fn an_order_resized_where_it_stands_is_another_order() {
    let mut engine = engine();
    order(&mut engine, 0, Open, 300, 300);
    fill(&mut engine, 0, 200);
    order(&mut engine, S, Open, 100, 300);
    order(&mut engine, 2 * S, Open, 250, 250);
    assert_eq!(left(&engine), [250]);
}

/// Kills: the time of the first end kept for the second, with which a position that may be older settles it.
#[test]
fn an_end_that_says_more_filled_is_news_of_its_own_time() {
    let mut engine = engine();
    order(&mut engine, 0, Open, 500, 500);
    order(&mut engine, 0, Canceled, 500, 500);
    order(&mut engine, 6 * S, Filled, 0, 500);
    engine.on_position(START_NS + 6 * S, 0.0, None).unwrap();
    assert_eq!(untold(&engine), 500);
}

/// Kills: what a position settled raised again by the same end.
#[test]
fn an_end_told_again_after_the_position_held_its_fills_adds_nothing() {
    let mut engine = engine();
    order(&mut engine, 0, Open, 500, 500);
    order(&mut engine, 0, Filled, 0, 500);
    engine.on_position(START_NS + 6 * S, 0.05, None).unwrap();
    assert_eq!(untold(&engine), 0);
    order(&mut engine, 7 * S, Filled, 0, 500);
    assert_eq!(untold(&engine), 0);
}

/// Kills: words that say nothing new taken for news, with which no position ever settles the order.
#[test]
fn a_word_repeated_does_not_keep_a_lost_fill_counted() {
    let mut engine = engine();
    order(&mut engine, 0, Open, 100, 400);
    for word in 1..20 {
        best(&mut engine, 4 * word * S);
        order(&mut engine, 4 * word * S, Open, 100, 400);
        engine.on_position(START_NS + (4 * word + 1) * S, 0.03, None).unwrap();
    }
    assert_eq!(untold(&engine), 0);
}

/// Kills: sizes beyond every order that sum to less than nothing, which is room without end.
#[test]
fn absurd_sizes_never_make_room() {
    let mut engine = engine();
    for number in [11, 12] {
        let id = Identifier::Number(number);
        engine.on_order(START_NS, &id, Filled, Side::Buy, 4268.0, 0.0, Some(1e300)).unwrap();
    }
    assert_eq!(bids(&engine, 0), 0);
    best(&mut engine, 62 * S);
    assert_eq!(untold(&engine), 0);
    assert!(bids(&engine, 62 * S) <= 500);
}
