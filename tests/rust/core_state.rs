//! Laws of book, own orders, position and tape.

use hypermm_core::config::EngineConfig;
use hypermm_core::engine::QuoteEngine;
use hypermm_core::event::{Context, Trade};
use hypermm_core::instrument::Instrument;
use hypermm_core::pricing::decision::Decision;
use hypermm_core::types::{Identifier, OrderStatus, QuoteStatus, Side};

const S: i64 = 1_000_000_000;

fn engine_with(config: EngineConfig) -> QuoteEngine {
    QuoteEngine::new(Instrument::new("ETH", 4, 25, 10.0, 3600.0).unwrap(), config).unwrap()
}

fn engine() -> QuoteEngine {
    engine_with(EngineConfig::default())
}

fn book(engine: &mut QuoteEngine, now: i64, bids: &[f64], asks: &[f64]) {
    engine.on_book(now, bids, &vec![1.0; bids.len()], asks, &vec![1.0; asks.len()]).unwrap();
}

#[test]
fn best_bid_and_offer_lie_over_the_snapshot() {
    let mut engine = engine();
    book(&mut engine, 0, &[4269.0, 4268.9, 4268.5], &[4269.1, 4269.2]);
    engine.on_best(S, Some((4268.9, 7.0)), Some((4269.05_f64.ceil(), 2.0))).unwrap();
    assert_eq!(engine.book().bids().prices(), &[4268.9, 4268.5]);
    assert_eq!(engine.book().bids().sizes()[0], 7.0);
    assert_eq!(engine.book().asks().prices(), &[4270.0]);
    engine.on_best(2 * S, Some((4268.95_f64.floor(), 1.0)), Some((4269.4, 2.0))).unwrap();
    assert_eq!(engine.book().bids().prices(), &[4268.0]);
    assert_eq!(engine.book().asks().prices(), &[4269.4, 4270.0]);
}

#[test]
fn level_age_survives_snapshots_and_starts_anew_after_a_gap() {
    let mut engine = engine();
    book(&mut engine, 0, &[4269.0, 4268.9], &[4269.1]);
    book(&mut engine, 3 * S, &[4269.0, 4268.8], &[4269.1]);
    let ages: Vec<f64> = engine.book().bids().ages_s(5 * S).collect();
    assert_eq!(ages, vec![5.0, 2.0]);
    book(&mut engine, 6 * S, &[4268.8], &[4269.1]);
    book(&mut engine, 7 * S, &[4269.0, 4268.8], &[4269.1]);
    let ages: Vec<f64> = engine.book().bids().ages_s(7 * S).collect();
    assert_eq!(ages, vec![0.0, 4.0]);
}

#[test]
fn unusable_books_are_a_status_and_empty_sides() {
    let mut engine = engine();
    let mut decision = Decision::default();
    let mut status = |engine: &QuoteEngine, now: i64| {
        engine.quote(now, &mut decision).unwrap();
        assert!(decision.status == QuoteStatus::Quoting || decision.bids.len + decision.asks.len == 0);
        decision.status
    };
    assert_eq!(status(&engine, 0), QuoteStatus::NoBook);
    book(&mut engine, 0, &[], &[]);
    assert_eq!(status(&engine, 0), QuoteStatus::NoBook);
    book(&mut engine, 0, &[4269.0], &[]);
    assert_eq!(status(&engine, 0), QuoteStatus::OneSided);
    book(&mut engine, S, &[4269.0], &[4269.1]);
    assert_eq!(status(&engine, S), QuoteStatus::Quoting);
    assert_eq!(status(&engine, 6 * S), QuoteStatus::Quoting);
    assert_eq!(status(&engine, 6 * S + 1), QuoteStatus::Stale);
    engine.on_best(7 * S, Some((4269.2, 1.0)), Some((4269.1, 1.0))).unwrap();
    assert_eq!(status(&engine, 7 * S), QuoteStatus::Crossed);
    engine.on_best(8 * S, None, Some((4269.1, 1.0))).unwrap();
    assert_eq!(status(&engine, 8 * S), QuoteStatus::OneSided);
}

#[test]
fn fill_moves_the_position_once() {
    let mut engine = engine();
    book(&mut engine, 0, &[4269.0], &[4269.1]);
    let name = Identifier::from("fill-1");
    let fill = |engine: &mut QuoteEngine, now| {
        engine.on_fill(now, Side::Buy, 4269.0, 0.05, None, Some(&name), Some(0.03)).unwrap()
    };
    assert!(fill(&mut engine, S));
    assert!(!fill(&mut engine, 2 * S));
    assert_eq!(engine.position(), 0.05);
    assert_eq!(engine.on_position(3 * S, 0.02, None).unwrap(), -0.03);
    assert_eq!(engine.position(), 0.02);
}

#[test]
fn fill_and_order_update_in_either_order_leave_the_same_remainder() {
    let id = Identifier::Number(1);
    let mut remaining = Vec::new();
    for fill_first in [true, false] {
        let mut engine = engine();
        book(&mut engine, 0, &[4269.0], &[4269.1]);
        engine.on_order(0, &id, OrderStatus::Open, Side::Buy, 4269.0, 0.05, None).unwrap();
        for turn in 0..2 {
            if fill_first == (turn == 0) {
                engine.on_fill(S, Side::Buy, 4269.0, 0.02, Some(&id), None, None).unwrap();
            } else {
                engine.on_order(S, &id, OrderStatus::Open, Side::Buy, 4269.0, 0.03, None).unwrap();
            }
        }
        remaining.push(engine.open_orders()[0].remaining.0);
    }
    assert_eq!(remaining, vec![300, 300]);
}

#[test]
fn filled_up_order_counts_no_more_even_before_the_venue_says_so() {
    let mut engine = engine();
    let id = Identifier::Number(1);
    book(&mut engine, 0, &[4269.0], &[4269.1]);
    engine.on_order(0, &id, OrderStatus::Open, Side::Buy, 4269.0, 0.05, None).unwrap();
    engine.on_fill(S, Side::Buy, 4269.0, 0.05, Some(&id), None, None).unwrap();
    engine.on_order(S, &id, OrderStatus::Open, Side::Buy, 4269.0, 0.05, None).unwrap();
    assert_eq!(engine.open_orders().iter().map(|order| order.remaining.0).sum::<i64>(), 0);
}

#[test]
fn queue_ahead_never_grows_and_snapshots_do_not_reset_it() {
    let mut engine = engine();
    let sized = |engine: &mut QuoteEngine, now: i64, size: f64| {
        engine.on_book(now, &[4269.0], &[size], &[4269.1], &[1.0]).unwrap();
    };
    sized(&mut engine, 0, 5.0);
    engine.on_order(0, &Identifier::Number(1), OrderStatus::Open, Side::Buy, 4269.0, 0.05, None).unwrap();
    let ahead = |engine: &QuoteEngine| engine.open_orders()[0].queue.ahead();
    assert_eq!(ahead(&engine), 5.0);
    sized(&mut engine, S, 9.0);
    assert_eq!(ahead(&engine), 5.0);
    let print = Trade { price: 4269.0, size: 1.5, aggressor: Side::Sell, exchange_time_ns: None };
    engine.on_trade(2 * S, &print).unwrap();
    assert_eq!(ahead(&engine), 3.5);
    engine.on_trade(2 * S, &Trade { aggressor: Side::Buy, price: 4269.1, ..print }).unwrap();
    assert_eq!(ahead(&engine), 3.5);
    // Of the 7.5 left 5.5 were canceled, 3.5/7.5 of them ahead of us.
    sized(&mut engine, 3 * S, 2.0);
    assert!((ahead(&engine) - 3.5 * 2.0 / 7.5).abs() < 1e-12);
    engine.on_trade(4 * S, &Trade { price: 4268.9, ..print }).unwrap();
    assert_eq!(ahead(&engine), 0.0);
}

#[test]
fn time_never_runs_backwards_and_a_wrong_unit_is_named() {
    let mut engine = engine();
    let wrong = engine.on_best(1_757_015_216_673, None, None).unwrap_err();
    assert!(wrong.to_string().contains("s/ms/µs"), "{wrong}");
    engine.on_best(5 * S / 10, None, None).unwrap();
    engine.on_best(5 * S / 10, None, None).unwrap();
    let early = engine.on_best(5 * S / 10 - 1, None, None).unwrap_err();
    assert!(matches!(early, hypermm_core::error::Error::TimeOrder(_)));
    let mut decision = Decision::default();
    assert!(engine.quote(0, &mut decision).is_err());
}

#[test]
fn reducing_side_survives_where_the_other_is_forbidden() {
    let mut engine = engine();
    book(&mut engine, 0, &[4269.0], &[4269.1]);
    let mut decision = Decision::default();
    for (position, bids, asks) in [(1.0, false, true), (-1.0, true, false), (1.5, false, true)] {
        engine.on_position(0, position, None).unwrap();
        engine.quote(0, &mut decision).unwrap();
        assert_eq!((decision.bids.len > 0, decision.asks.len > 0), (bids, asks), "at {position}");
        let closing = if position > 0.0 { &decision.asks } else { &decision.bids };
        assert!(closing.reduce_only[0]);
    }
}

#[test]
fn dust_position_is_closed_by_one_order_or_left_within_itself() {
    // Only the closing side is wanted: drift far against the position.
    for lots in [1_i64, 10, 22, 23, 24, 30, 100] {
        let mut engine = engine();
        book(&mut engine, 0, &[4269.0], &[4269.1]);
        engine.on_position(0, lots as f64 / 1e4, None).unwrap();
        let mut decision = Decision::default();
        engine.quote(0, &mut decision).unwrap();
        let total: i64 = decision.asks.lots[..decision.asks.len].iter().map(|lots| lots.0).sum();
        assert!(total > 0);
        for i in 0..decision.asks.len {
            let value = decision.asks.prices[i] * decision.asks.sizes[i];
            assert!(value >= 10.0 || (decision.asks.lots[i].0 == lots && i == 0));
        }
    }
}

#[test]
fn positive_funding_lowers_both_quotes_whatever_we_hold() {
    for position in [-0.3, 0.0, 0.3] {
        let mut prices = Vec::new();
        for rate in [-1e-3, 0.0, 1e-3] {
            let mut engine = engine();
            book(&mut engine, 0, &[4269.0], &[4269.1]);
            engine.on_position(0, position, None).unwrap();
            let context = Context { funding_rate: Some(rate), next_settlement_ns: Some(60 * S), ..Context::default() };
            engine.on_context(0, &context).unwrap();
            let mut decision = Decision::default();
            engine.quote(0, &mut decision).unwrap();
            prices.push(decision.reservation_price);
        }
        assert!(prices[0] > prices[1] && prices[1] > prices[2], "{prices:?}");
    }
}

#[test]
fn shrinking_quota_takes_levels_but_never_a_side() {
    let mut levels = Vec::new();
    for remaining in [20_000.0, 5_000.0, 1_000.0, 0.0] {
        let mut engine = engine();
        book(&mut engine, 0, &[4269.0], &[4269.1]);
        engine.on_quota(0, remaining, 10_000.0).unwrap();
        let mut decision = Decision::default();
        engine.quote(0, &mut decision).unwrap();
        assert!(decision.bids.len > 0 && decision.asks.len > 0);
        levels.push(decision.bids.len);
    }
    assert!(levels.windows(2).all(|pair| pair[0] >= pair[1]) && levels[0] > levels[3], "{levels:?}");
}

#[test]
fn new_settings_keep_what_was_learned() {
    let mut engine = engine();
    for i in 0..120 {
        book(&mut engine, i * S, &[4269.0 + f64::from(i as u32 % 3)], &[4275.0]);
        let print = Trade { price: 4275.0, size: 1.0, aggressor: Side::Buy, exchange_time_ns: None };
        engine.on_trade(i * S, &print).unwrap();
    }
    let before = engine.model().estimates(119 * S);
    let config = EngineConfig { risk_aversion: 0.1, max_position: 2.0, ..EngineConfig::default() };
    engine.update_config(config).unwrap();
    assert_eq!(engine.model().estimates(119 * S).arrival_rates, before.arrival_rates);
    assert_eq!(engine.clip(), Some(2.0 / 22.0));
    let bad = EngineConfig { risk_aversion: f64::NAN, ..EngineConfig::default() };
    assert!(engine.update_config(bad).is_err());
    assert_eq!(engine.config().risk_aversion, 0.1);
}

#[test]
fn an_order_refused_for_its_price_is_known_dead() {
    let mut engine = engine();
    let id = Identifier::Number(1);
    book(&mut engine, 0, &[4269.0], &[4269.1]);
    engine.on_order(0, &id, OrderStatus::Pending, Side::Buy, 4269.0, 0.05, None).unwrap();
    engine.on_order(S, &id, OrderStatus::Rejected, Side::Buy, 4268.955, 0.05, None).unwrap();
    assert!(engine.open_orders().is_empty());
    assert!(engine.on_order(S, &id, OrderStatus::Rejected, Side::Buy, f64::NAN, 0.05, None).is_err());
}

#[test]
fn too_much_risk_aversion_for_the_flow_is_told() {
    let mut decision = Decision::default();
    let mut told = Vec::new();
    for risk_aversion in [0.003, 3.0] {
        let mut engine = engine_with(EngineConfig { risk_aversion, ..EngineConfig::default() });
        book(&mut engine, 0, &[4269.0], &[4269.1]);
        engine.quote(0, &mut decision).unwrap();
        println!("risk aversion {risk_aversion}: validity {:.3}", decision.terms.validity);
        told.push(decision.binding.risk_aversion_too_high);
    }
    assert_eq!(told, vec![false, true]);
}
