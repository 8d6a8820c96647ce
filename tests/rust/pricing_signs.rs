//! Signs and limits of the terms of the reservation price.

use hypermm_core::config::EngineConfig;
use hypermm_core::engine::QuoteEngine;
use hypermm_core::event::Trade;
use hypermm_core::instrument::Instrument;
use hypermm_core::pricing::decision::Decision;
use hypermm_core::pricing::reservation::{checked_flow_shift, drift_horizon, drift_shift, glft_half_spread};
use hypermm_core::types::Side;

const S: i64 = 1_000_000_000;

fn decision_after(act: impl Fn(&mut QuoteEngine)) -> Decision {
    let instrument = Instrument::new("ETH", 4, 25, 10.0, 3600.0).unwrap();
    let mut engine = QuoteEngine::new(instrument, EngineConfig::default()).unwrap();
    engine.on_best(0, Some((4268.9, 10.0)), Some((4269.0, 10.0))).unwrap();
    act(&mut engine);
    let mut decision = Decision::default();
    engine.quote(engine.now_ns().unwrap(), &mut decision).unwrap();
    decision
}

// Kills: a flipped drift, a horizon that is not one.
#[test]
fn bullish_signals_raise_the_reservation_price_and_the_target() {
    let still = decision_after(|_| {});
    let bullish = decision_after(|engine| engine.observe(0, 0.5, 1e-3, "outside").unwrap());
    let bearish = decision_after(|engine| engine.observe(0, -0.5, 1e-3, "outside").unwrap());
    assert!(bearish.reservation_price < still.reservation_price && still.reservation_price < bullish.reservation_price);
    assert!(bearish.target_inventory < 0.0 && bullish.target_inventory > 0.0);
    assert!((bullish.terms.drift + bearish.terms.drift).abs() < 1e-12 && bullish.terms.drift > 0.0);
}

// Kills: a flipped flow shift.
#[test]
fn more_buyers_raise_both_quotes_and_more_sellers_lower_them() {
    let side = |aggressor: Side, price: f64| {
        decision_after(|engine| {
            for i in 1..40 {
                engine.on_best(i * S, Some((4268.9, 10.0)), Some((4269.0, 10.0))).unwrap();
                engine.on_trade(i * S, &Trade { price, size: 0.1, aggressor, exchange_time_ns: None }).unwrap();
            }
        })
    };
    let (buyers, sellers) = (side(Side::Buy, 4269.0), side(Side::Sell, 4268.9));
    assert!(buyers.terms.flow > 0.0 && sellers.terms.flow < 0.0);
    assert!(buyers.reservation_price > sellers.reservation_price);
    assert!(checked_flow_shift(1.0, 2.0, 0.5, 0.5, 0.03, 30.0, 120.0).unwrap() > 0.0);
    assert_eq!(checked_flow_shift(1.0, 1.0, 0.5, 0.5, 0.03, 30.0, 120.0).unwrap(), 0.0);
    let bound = 0.5 * glft_half_spread(0.03, 0.5).unwrap();
    assert_eq!(checked_flow_shift(1.0, 1e9, 0.5, 0.5, 0.03, 1.0, 1e9).unwrap(), bound);
}

// Kills: any part of τ_D or D replaced; both limits are exact for κ_μ → 0.
#[test]
fn drift_horizon_meets_its_limits() {
    for tau in [2.0, 30.0, 600.0] {
        assert!((drift_horizon(tau, 0.0) / tau - 1.0).abs() < 1e-12);
        // Small a: τ(1 + √a/6).
        for a in [1e-8_f64, 1e-4, 1e-3] {
            let expected = tau * (1.0 + a.sqrt() / 6.0);
            assert!((drift_horizon(tau, a) / expected - 1.0).abs() < 1e-6, "a = {a}");
        }
        // Large a: 2τ/√a, from below.
        for a in [1e4_f64, 1e6, 1e8] {
            let share = drift_horizon(tau, a) / (2.0 * tau / a.sqrt());
            assert!(share <= 1.0 && share > 0.9999, "a = {a}: {share}");
        }
    }
    assert!((drift_shift(0.1, 1e-12, 30.0) - 3.0).abs() < 1e-9);
    assert!((drift_shift(0.1, 0.1, 30.0) - 0.75).abs() < 1e-12);
    assert!((glft_half_spread(1e-9, 0.5).unwrap() - 2.0).abs() < 1e-8);
}
