//! Laws of the estimators.

use hypermm_core::estimators::depth_decay::{DepthDecay, Evidence};
use hypermm_core::estimators::drift::{DriftFilter, displacement_variance, expected_time};
use hypermm_core::estimators::flow::DirectionalFlow;
use hypermm_core::estimators::fusion::{FeatureFusion, Whitener};
use hypermm_core::estimators::reach::ReachTracker;
use hypermm_core::features::funding::FundingForecast;
use hypermm_core::state::tape::AggressorEvent;
use hypermm_core::types::Side;
use proptest::prelude::*;

const S: i64 = 1_000_000_000;

proptest! {
    // Kills: an Euler step, φ instead of φ² on P, a dropped process noise.
    #[test]
    fn stepping_twice_is_stepping_once(first in 0.0..500.0_f64, second in 0.0..500.0_f64, start in -1.0..1.0_f64) {
        let mut whole = DriftFilter::new(0.02, 0.075).unwrap();
        whole.observe(0, start, 0.01, "a").unwrap();
        let mut halves = whole.clone();
        let (t1, t2) = ((first * 1e9) as i64, ((first + second) * 1e9) as i64);
        whole.predict(t2).unwrap();
        halves.predict(t1).unwrap();
        halves.predict(t2).unwrap();
        prop_assert!((whole.mean() - halves.mean()).abs() < 1e-12);
        prop_assert!((whole.variance() - halves.variance()).abs() < 1e-14);
    }

    // Kills: a gain with the wrong variance on top, an update in the wrong direction.
    #[test]
    fn observations_of_one_moment_commute(z1 in -1.0..1.0_f64, z2 in -1.0..1.0_f64, r1 in 1e-3..1.0_f64, r2 in 1e-3..1.0_f64) {
        let prior = DriftFilter::new(0.02, 0.075).unwrap();
        let (mut ab, mut ba) = (prior.clone(), prior);
        ab.observe(0, z1, r1, "a").unwrap();
        ab.observe(0, z2, r2, "b").unwrap();
        ba.observe(0, z2, r2, "b").unwrap();
        ba.observe(0, z1, r1, "a").unwrap();
        prop_assert!((ab.mean() - ba.mean()).abs() < 1e-12 && (ab.variance() - ba.variance()).abs() < 1e-12);
        prop_assert!((ab.log_likelihood() - ba.log_likelihood()).abs() < 1e-9);
    }

    // Kills: a missing term of v(h), a series that does not meet its closed form.
    #[test]
    fn displacement_variance_is_the_integral_of_its_parts(kappa in 1e-5..0.5_f64, horizon in 0.1..600.0_f64, p in 0.0..0.1_f64) {
        let stationary = 0.02;
        let sigma = 1.3;
        // Var ∫μ = ∫∫ Cov(μ_s, μ_t) by Simpson on the inner closed form: d/dh of v is σ² + 2·Cov(x_h, μ_h).
        let n = 2000;
        let step = horizon / f64::from(n);
        let slope = |h: f64| {
            let decay = (-kappa * h).exp();
            let time = (1.0 - decay) / kappa;
            sigma * sigma + 2.0 * (p * decay * time + stationary * (time - decay * time))
        };
        let mut sum = slope(1e-12) + slope(horizon);
        for i in 1..n {
            sum += slope(f64::from(i) * step) * if i % 2 == 1 { 4.0 } else { 2.0 };
        }
        let integral = sum * step / 3.0;
        let value = displacement_variance(kappa, stationary, p, sigma, horizon);
        prop_assert!((value / integral - 1.0).abs() < 1e-6, "{} against {}", value, integral);
        prop_assert!(expected_time(kappa, horizon) <= horizon);
    }

    // Kills: correlated features counted twice, weights that do not sum to one.
    #[test]
    fn two_copies_of_one_feature_are_one_feature(z in -1.0..1.0_f64, noise in 1e-3..1.0_f64) {
        let filter = DriftFilter::new(0.02, 0.075).unwrap();
        let copies = [noise, noise * (1.0 - 1e-9), noise * (1.0 - 1e-9), noise];
        let (drift, variance) = FeatureFusion::default().fuse(&filter, 0, &[z, z], &copies, &[0.0, 0.0]).unwrap().unwrap();
        prop_assert!((drift - z).abs() < 1e-6);
        prop_assert!((variance / noise - 1.0).abs() < 1e-6);
        let missing = FeatureFusion::default().fuse(&filter, 0, &[f64::NAN, z], &copies, &[0.0, 0.0]).unwrap().unwrap();
        prop_assert!((missing.0 - z).abs() < 1e-12 && (missing.1 - noise).abs() < 1e-12);
    }

    // Kills: whitening left out of either path, different formulas in the two.
    #[test]
    fn one_feature_fused_is_that_feature_whitened(values in prop::collection::vec(-1.0..1.0_f64, 2..20), gap in 0.1..50.0_f64) {
        let filter = DriftFilter::new(0.02, 0.075).unwrap();
        let (mut whitener, mut fusion) = (Whitener::default(), FeatureFusion::default());
        for (i, z) in values.iter().enumerate() {
            let now = (i as f64 * gap * 1e9) as i64;
            let alone = whitener.whiten(now, *z, 0.3, 30.0, 0.02, filter.stationary_variance());
            let fused = fusion.fuse(&filter, now, &[*z], &[0.3], &[30.0]).unwrap().unwrap();
            prop_assert!((alone.0 - fused.0).abs() < 1e-9 && (alone.1 / fused.1 - 1.0).abs() < 1e-9);
        }
    }

    // Kills: swapped sides, a noise floor left out.
    #[test]
    fn flow_is_bullish_when_buyers_lift(buys in 20_usize..60) {
        let mut flow = DirectionalFlow::new(0.3, &[120.0]);
        for i in 0..buys {
            flow.update(i as i64 * S, Side::Buy);
        }
        let reading = flow.reading(0, buys as i64 * S);
        prop_assert!(reading.buy_rate > reading.sell_rate && reading.imbalance() < 0.0);
        let (against_bids, against_asks) = reading.toxicity();
        prop_assert!(against_bids == 0.0 && against_asks > 0.0 && against_asks <= 1.0);
    }
}

#[test]
fn balanced_flow_is_not_called_informed() {
    let mut flow = DirectionalFlow::new(0.3, &[120.0]);
    for i in 0..2000_i64 {
        flow.update(i * S / 5, if i % 2 == 0 { Side::Buy } else { Side::Sell });
    }
    let reading = flow.reading(0, 400 * S);
    println!("balanced flow: imbalance {:.4}, floor {:.4}", reading.imbalance(), reading.noise_floor());
    assert_eq!(reading.informed_fraction(), 0.0);
}

fn sell_event(first: i64, worst: f64) -> AggressorEvent {
    AggressorEvent {
        key_ns: first,
        first_ns: first,
        last_ns: first,
        side: Side::Sell,
        mid_before: Some(1000.0),
        worst_units: (worst * 10.0) as i64,
        worst_price: worst,
        size: 1.0,
    }
}

#[test]
fn event_that_ended_at_our_order_is_right_censored_whichever_message_comes_first() {
    let mut decays = Vec::new();
    for fill_first in [true, false] {
        let mut decay = DepthDecay::new(0.5, 0.3, 3600.0);
        let mut tracker = ReachTracker::default();
        let event = sell_event(S, 999.5);
        if fill_first {
            tracker.on_own_fill(&mut decay, S, 9995, None);
            tracker.on_print(&mut decay, &event, true, 0.25);
        } else {
            tracker.on_print(&mut decay, &event, true, 0.25);
            tracker.on_own_fill(&mut decay, S, 9995, Some(&event));
        }
        decays.push(decay.decay());
    }
    let mut expected = DepthDecay::new(0.5, 0.3, 3600.0);
    expected.update(S, 5.0, 0.25, true);
    assert_eq!(decays, vec![expected.decay(); 2]);
    let mut uncensored = DepthDecay::new(0.5, 0.3, 3600.0);
    uncensored.update(S, 5.0, 0.25, false);
    assert!(expected.decay() < uncensored.decay());
}

#[test]
fn event_that_went_through_our_order_is_seen_to_its_end() {
    let mut decay = DepthDecay::new(0.5, 0.3, 3600.0);
    let mut tracker = ReachTracker::default();
    tracker.on_print(&mut decay, &sell_event(S, 999.5), true, 0.25);
    tracker.on_own_fill(&mut decay, S, 9995, Some(&sell_event(S, 999.5)));
    tracker.on_print(&mut decay, &sell_event(S, 999.0), false, 0.25);
    let mut expected = DepthDecay::new(0.5, 0.3, 3600.0);
    expected.update(S, 10.0, 0.25, false);
    assert!((decay.decay() - expected.decay()).abs() < 1e-12);
    assert_eq!(Evidence::of(0.2, 0.25, false), Evidence::default());
}

#[test]
fn settlement_belongs_to_the_next_interval_and_carry_has_one_sign() {
    let mut funding = FundingForecast::new(3600.0);
    funding.update(0, Some(1e-4), None, Some(3600 * S));
    assert_eq!(funding.seconds_to_settlement(0), 3600.0);
    assert!((funding.seconds_to_settlement(3599 * S) - 1.0).abs() < 1e-9);
    assert_eq!(funding.seconds_to_settlement(3600 * S), 3600.0);
    let late = funding.carry_bps(3599 * S, 60.0);
    let early = funding.carry_bps(3600 * S, 60.0);
    println!("carry 1 s before {late:.4} bps, at the settlement {early:.2e} bps");
    assert!(late > 0.95 && early < 1e-9);
    funding.update(3600 * S, Some(-1e-4), None, None);
    assert!(funding.carry_bps(7199 * S, 60.0) < 0.0);
}

#[test]
fn expected_settlements_equal_their_sum_over_an_exponential_life() {
    let funding = FundingForecast::new(3600.0);
    for tau in [30.0, 600.0, 7200.0] {
        let now = 1234 * S;
        let left = funding.seconds_to_settlement(now);
        let sum: f64 = (0..2000).map(|n| (-(left + 3600.0 * f64::from(n)) / tau).exp()).sum();
        assert!((funding.expected_settlements(now, tau) / sum - 1.0).abs() < 1e-9);
    }
}
