//! What a calibration does to an engine: forecasts it must reproduce, sources it silences, shares it explains, when features speak.

use std::sync::Arc;

use hypermm_core::calibration::{CalibratedFeature, CalibratedFill, CalibratedInstrument, Calibration};
use hypermm_core::config::EngineConfig;
use hypermm_core::engine::QuoteEngine;
use hypermm_core::estimators::estimates::Estimates;
use hypermm_core::event::{Context, Trade};
use hypermm_core::features::FeatureId;
use hypermm_core::features::pipeline::FeatureConfig;
use hypermm_core::instrument::Instrument;
use hypermm_core::pricing::costs::toxic_adverse_selection;
use hypermm_core::pricing::decision::Decision;
use hypermm_core::types::Side;
use hypermm_simulation::backtest::replay::{BacktestSettings, run};
use hypermm_simulation::market::session::{Session, SessionSettings};
use proptest::prelude::*;

const START_NS: i64 = 1_757_015_216_000_000_000;
const MS: i64 = 1_000_000;
const STATIONARY: f64 = 0.01;

fn engine(config: EngineConfig) -> QuoteEngine {
    QuoteEngine::new(Instrument::new("ETH", 4, 25, 10.0, 3600.0).unwrap(), config).unwrap()
}

fn feature(feature: FeatureId, slope: f64, gain: f64) -> CalibratedFeature {
    CalibratedFeature { feature, slope, gain, noise_memory_s: 0.0, mean_evidence: None }
}

/// A calibration of features whose errors have nothing in common.
fn calibrated(features: &[CalibratedFeature]) -> Calibration {
    let n = features.len();
    let mut covariance = vec![0.0; n * n];
    for (place, it) in features.iter().enumerate() {
        covariance[place * n + place] = STATIONARY * (1.0 - it.gain) / it.gain;
    }
    Calibration { features: features.to_vec(), covariance, ..Calibration::of_drift(0.03, STATIONARY) }
}

fn with(calibration: Calibration) -> EngineConfig {
    EngineConfig { calibration: Some(Arc::new(calibration)), ..EngineConfig::default() }
}

fn quote(engine: &QuoteEngine, now_ns: i64) -> Decision {
    let mut decision = Decision::default();
    engine.quote(now_ns, &mut decision).unwrap();
    decision
}

fn count(engine: &QuoteEngine, name: &str) -> u64 {
    engine.model().drift().innovations().iter().find(|source| &*source.name == name).map_or(0, |source| source.count())
}

/// Two levels a side within 10 bps of 4269.0.
fn book(engine: &mut QuoteEngine, now_ns: i64, bid_size: f64, ask_size: f64) {
    shifted_book(engine, now_ns, 0, bid_size, ask_size);
}

fn shifted_book(engine: &mut QuoteEngine, now_ns: i64, ticks: i64, bid_size: f64, ask_size: f64) {
    let at = |away: i64| (42_690 + ticks + away) as f64 / 10.0;
    engine.on_book(now_ns, &[at(-1), at(-2)], &[bid_size, 1.0], &[at(1), at(2)], &[ask_size, 1.0]).unwrap();
}

proptest! {
    // Kills: a slope taken for a/K², a noise that is not P∞(1 − K)/K, a feature read before the book it is to be of.
    #[test]
    fn one_calibrated_feature_alone_reproduces_its_regression_forecast(
        alpha in -5.0..5.0_f64,
        explained in 0.01..0.8_f64,
        kappa in 0.005..0.2_f64,
        bid in 0.1..50.0_f64,
        ask in 0.1..50.0_f64,
        horizon in 1.0..60.0_f64,
    ) {
        prop_assume!(alpha.abs() > 1e-3);
        let value = (bid - ask) / (bid + ask + 2.0);
        let time_of = |seconds: f64| (1.0 - f64::exp(-kappa * seconds)) / kappa;
        // α is bps of `horizon` return per unit; the feature's variance is what gives it this gain.
        let (per_unit, gain) = (alpha / time_of(horizon), explained);
        let calibration = Calibration {
            mean_reversion_per_s: kappa,
            ..calibrated(&[feature(FeatureId::BookImbalance10, per_unit / gain, gain)])
        };
        let mut engine = engine(with(calibration));
        book(&mut engine, START_NS, bid, ask);
        let forecast = quote(&engine, START_NS).drift_bps_per_s * time_of(horizon);
        prop_assert!((forecast - alpha * value).abs() <= 1e-9, "{forecast} is not {}", alpha * value);
        // One observation from the prior leaves what it does not explain.
        let left = quote(&engine, START_NS).drift_variance;
        prop_assert!((left - STATIONARY * (1.0 - gain)).abs() <= 1e-12);
    }
}

fn everything() -> Calibration {
    let features = [
        feature(FeatureId::BookImbalance10, 0.4, 0.1),
        feature(FeatureId::HawkesBuy, 0.2, 0.02),
        feature(FeatureId::Basis, -0.05, 0.1),
        feature(FeatureId::Lead, 0.1, 0.05),
    ];
    Calibration {
        own_fill: Some(CalibratedFill { slope: 0.4, gain: 0.05 }),
        pipeline: FeatureConfig {
            basis_market: Some("spot".into()),
            lead_market: Some("BTC".into()),
            ..FeatureConfig::default()
        },
        ..calibrated(&features)
    }
}

/// Three minutes of book, tape, funding, other markets, two own fills and an outside signal.
fn three_minutes(engine: &mut QuoteEngine) -> i64 {
    let mut now = START_NS;
    for step in 0..720_i64 {
        now = START_NS + step * 250 * MS;
        let wave = f64::sin(step as f64 / 17.0);
        let late_wave = f64::sin((step - 3) as f64 / 17.0);
        shifted_book(engine, now, (15.0 * late_wave).round() as i64, 5.0 + 4.0 * wave, 5.0 - 4.0 * wave);
        engine.on_reference(now, "spot", 4269.0 + wave).unwrap();
        engine.on_reference(now, "BTC", 110_000.0 + 30.0 * wave).unwrap();
        if step % 4 == 0 {
            let aggressor = if step % 12 == 0 { Side::Sell } else { Side::Buy };
            engine.on_trade(now, &Trade { price: 4269.1, size: 0.5, aggressor, exchange_time_ns: None }).unwrap();
        }
        if step % 40 == 0 {
            let rate = 1e-5 * (1.0 + wave);
            engine.on_context(now, &Context { funding_rate: Some(rate), ..Context::default() }).unwrap();
        }
        if step == 500 || step == 600 {
            engine.on_fill(now, Side::Buy, 4268.5, 0.01, None, None, None).unwrap();
            engine.observe(now, 0.2, 0.5, "news").unwrap();
        }
    }
    now
}

// Kills: a share that does not fade with the drift, the fused weight left out, a revised fill that nobody is told of.
#[test]
fn the_shares_of_the_drift_sum_to_its_term_and_name_every_feature() {
    let mut engine = engine(with(everything()));
    let now = three_minutes(&mut engine);
    // A second fill of the same aggressor, deeper: the first is revised.
    engine.on_fill(now + MS, Side::Buy, 4268.0, 0.01, None, None, None).unwrap();
    engine.on_fill(now + 2 * MS, Side::Buy, 4267.0, 0.01, None, None, None).unwrap();
    for later_ms in [2, 150, 4000] {
        let decision = quote(&engine, now + later_ms * MS);
        let shares: Vec<_> = decision.drift_shares.iter().collect();
        let sum: f64 = shares.iter().map(|(_, bps)| bps).sum();
        println!("{later_ms} ms later: drift term {:.6} bps of {shares:?}", decision.terms.drift);
        assert!((sum - decision.terms.drift).abs() <= 1e-9);
        assert_eq!(decision.explain(Side::Buy, 0).unwrap().terms().next(), Some(("drift", decision.terms.drift)));
        for name in ["price", "fill", "outside", "book_imbalance_10bps", "hawkes_buy", "basis", "lead"] {
            let (_, bps) = shares.iter().find(|(named, _)| *named == name).unwrap();
            assert!(bps.abs() > 1e-6, "{name} says nothing");
        }
    }
}

// Kills: hot features read at every event, warm ones every cycle, a cycle that waits for a quote.
#[test]
fn hot_features_speak_every_cycle_warm_every_second_cold_every_fifth() {
    let calibration = Calibration { cycle_s: 0.5, ..everything() };
    let mut engine = engine(with(calibration));
    three_minutes(&mut engine);
    let cycles = 360;
    let counts = ["book_imbalance_10bps", "basis", "lead"].map(|name| count(&engine, name));
    println!("{cycles} cycles: hot {}, warm {}, cold {}", counts[0], counts[1], counts[2]);
    // The first cycle comes before the first basis; the lead is known after 90 s of 180.
    assert_eq!(counts[0], cycles);
    assert!((cycles / 2 - 1..=cycles / 2).contains(&counts[1]));
    assert!((cycles / 10 - 2..=cycles / 10 + 1).contains(&counts[2]));
}

// Kills: an uncalibrated source beside what replaced it; a calibrated fill that still goes by the config.
#[test]
fn a_calibration_silences_flow_and_funding_and_fills_where_they_were_rejected() {
    let mut plain = engine(EngineConfig::default());
    three_minutes(&mut plain);
    assert!(count(&plain, "flow") > 0 && count(&plain, "funding") > 0 && count(&plain, "fill") > 0);
    let silent = Some(CalibratedFill { slope: 0.0, gain: 0.0 });
    for (own_fill, fills) in [(None, 2), (silent, 0), (Some(CalibratedFill { slope: 0.4, gain: 0.05 }), 2)] {
        let mut calibrated = engine(with(Calibration { own_fill, ..everything() }));
        three_minutes(&mut calibrated);
        assert_eq!(["flow", "funding", "fill"].map(|name| count(&calibrated, name)), [0, 0, fills], "{own_fill:?}");
    }
}

// Kills: a fill that enters by K₀ of the config, a sign lost.
#[test]
fn a_calibrated_fill_moves_the_drift_by_its_own_regression() {
    let (coefficient, gain) = (0.03, 0.2);
    let own_fill = Some(CalibratedFill { slope: coefficient / gain, gain });
    let mut engine = engine(with(Calibration { own_fill, ..calibrated(&[]) }));
    book(&mut engine, START_NS, 1.0, 1.0);
    // 3 bps below mid, σ₀ 1.5: s = −2.
    let price: f64 = 4269.0 * (1.0 - 3e-4);
    let price = (price * 10.0).round() / 10.0;
    engine.on_fill(START_NS, Side::Buy, price, 0.01, None, None, None).unwrap();
    let standardized = -(4269.0 - price) / 4269.0 * 1e4 / 1.5;
    let drift = quote(&engine, START_NS).drift_bps_per_s;
    assert!((drift - coefficient * standardized).abs() < 1e-9, "{drift}");
}

// Kills: a watched feature that reaches the filter, features that run unasked.
#[test]
fn uncalibrated_features_are_silent_however_much_they_see() {
    let mut plain = engine(EngineConfig::default());
    let mut watched = engine(EngineConfig { watch_features: true, ..EngineConfig::default() });
    let now = three_minutes(&mut plain);
    three_minutes(&mut watched);
    let (left, right) = (quote(&plain, now), quote(&watched, now));
    assert_eq!(left, right);
    assert!(plain.features(now).is_none());
    let imbalance = watched.features(now).unwrap()[FeatureId::BookImbalance10 as usize].value().unwrap();
    let wave = f64::sin(719.0 / 17.0);
    assert!((imbalance - 8.0 * wave / 12.0).abs() < 1e-12);
}

// Kills: a₀ or κ_tail of the config in what toxicity foretells; one side's toxicity charged to the other.
#[test]
fn what_toxicity_foretells_takes_the_calibrated_numbers() {
    let config = with(Calibration { adverse_selection_ratio: Some(0.9), tail_factor: Some(0.3), ..calibrated(&[]) });
    let estimates =
        Estimates { toxicities: [0.5, 0.25], effective_volatility: 2.0, excess_kurtosis: 4.0, ..Estimates::default() };
    for (side, toxicity) in [(0, 0.5), (1, 0.25)] {
        let expected = 0.9 * toxicity * 2.0 * 10.0_f64.sqrt() * (1.0 + 0.3 * 4.0);
        assert!((toxic_adverse_selection(&config, &estimates, side) - expected).abs() < 1e-12);
        let default = 0.5 * toxicity * 2.0 * 10.0_f64.sqrt() * (1.0 + 0.1 * 4.0);
        assert!((toxic_adverse_selection(&with(calibrated(&[])), &estimates, side) - default).abs() < 1e-12);
    }
}

// Kills: κ_μ and P∞ of the config under a calibration; volatility's numbers not taken over.
#[test]
fn the_filter_and_volatility_take_the_calibrated_numbers() {
    let calibration = Calibration {
        volatility_ratio_exponent: Some(0.0),
        tail_factor: Some(0.0),
        informed_volatility: Some(0.0),
        ..calibrated(&[])
    };
    let config = with(calibration);
    assert_eq!((config.tail_factor_in_force(), config.volatility_ratio_exponent_in_force()), (0.0, 0.0));
    assert_eq!(EngineConfig::default().tail_factor_in_force(), EngineConfig::default().tail_factor);
    let mut engine = engine(config);
    for step in 0..400_i64 {
        // Quiet, then wild: σ₃₀ is far above σ₃₀₀.
        let mid = if step < 370 { 4269.0 } else { 4269.0 + 5.0 * (step % 2) as f64 };
        engine.on_best(START_NS + step * 1000 * MS, Some((mid - 0.1, 1.0)), Some((mid + 0.1, 1.0))).unwrap();
    }
    assert_eq!(engine.model().drift().mean_reversion_per_s(), 0.03);
    let scaled = engine.model().drift().stationary_variance() / STATIONARY;
    assert!((scaled - engine.model().drift_scale()).abs() < 1e-12);
    assert!(engine.model().volatility_ratio() > 1.2);
    let decision = quote(&engine, START_NS + 399_000 * MS);
    assert_eq!(decision.terms.effective_volatility, decision.terms.volatility);
}

// Kills: a calibration changed in flight that forgets what the pipeline saw, or keeps sights of other features.
#[test]
fn a_new_calibration_goes_on_with_what_the_features_have_seen() {
    let mut engine = engine(with(everything()));
    let now = three_minutes(&mut engine);
    let before = engine.features(now).unwrap();
    let mut fewer = everything();
    fewer.features.truncate(1);
    fewer.covariance.truncate(1);
    engine.update_config(with(fewer)).unwrap();
    assert_eq!(engine.features(now).unwrap(), before);
    let decision = quote(&engine, now);
    let sum: f64 = decision.drift_shares.iter().map(|(_, bps)| bps).sum();
    assert!((sum - decision.terms.drift).abs() < 1e-9, "what former features gave is still someone's");
    engine.update_config(EngineConfig::default()).unwrap();
    assert!(engine.features(now).is_none());
}

// Kills: what was seen of the noise kept under a calibration whose noise is another.
#[test]
fn a_calibration_of_other_noise_forgets_what_was_seen_of_the_noise() {
    let made = |share: f64, times: f64, reversion: f64, stationary: f64| {
        let mut calibration = calibrated(&[feature(FeatureId::BookImbalance10, 0.05, 0.2)]);
        calibration.features[0].noise_memory_s = 60.0;
        calibration.fresh_noise_share = vec![share];
        calibration.covariance[0] *= times;
        calibration.mean_reversion_per_s *= reversion;
        calibration.stationary_variance *= stationary;
        with(calibration)
    };
    // How much the next reading lowers the variance; the first sight, which nothing is known to stand of, by the most.
    let next = |after: Option<EngineConfig>| {
        let mut engine = engine(made(0.0, 1.0, 1.0, 1.0));
        for cycle in 0..40 {
            book(&mut engine, START_NS + cycle * 600 * MS, 9.0, 1.0);
        }
        if let Some(config) = after {
            engine.update_config(config).unwrap();
        }
        let before = engine.model().drift().variance();
        book(&mut engine, START_NS + 40 * 600 * MS, 9.0, 1.0);
        engine.model().drift().variance() / before
    };
    let mut other_kind = made(0.0, 1.0, 1.0, 1.0);
    other_kind.max_position *= 2.0;
    let kept = next(None);
    assert_eq!(next(Some(other_kind)), kept, "the same noise");
    for (share, times, reversion, stationary) in
        [(0.5, 1.0, 1.0, 1.0), (0.0, 1.01, 1.0, 1.0), (0.0, 1.0, 1.01, 1.0), (0.0, 1.0, 1.0, 1.01)]
    {
        let forgot = next(Some(made(share, times, reversion, stationary)));
        assert!(forgot < kept - 0.01, "{forgot} after {kept}: {share} {times} {reversion} {stationary}");
    }
}

// Kills: shares of fresh noise that the engine does not hand on, or that first sight already knows of.
#[test]
fn fresh_noise_lets_a_second_reading_say_more() {
    let at = |share: f64| {
        let mut calibration = calibrated(&[feature(FeatureId::BookImbalance10, 0.05, 0.2)]);
        calibration.features[0].noise_memory_s = 60.0;
        calibration.fresh_noise_share = vec![share];
        let mut engine = engine(with(calibration));
        let seen: Vec<f64> = (0..2)
            .map(|cycle| {
                book(&mut engine, START_NS + cycle * 600 * MS, 9.0, 1.0);
                engine.model().drift().variance()
            })
            .collect();
        (seen[0], seen[1])
    };
    let (first, second) = at(0.0);
    let (first_fresh, second_fresh) = at(0.5);
    assert_eq!(first, first_fresh);
    // By hand, u = ½: the first reading's k is ½, so q = ½ρ and s = ¼ρ² + ½(1 − ρ²) + ½ = 1 − ¼ρ².
    let (rho, phi) = (f64::exp(-0.6 / 60.0), f64::exp(-0.03 * 0.6));
    let prior = phi * phi * first + STATIONARY * (1.0 - phi * phi);
    let noise = STATIONARY * 0.8 / 0.2;
    let by_hand = |q: f64, share: f64| {
        let observed = (noise * share + q * q * STATIONARY * (1.0 - phi * phi)) / (1.0 - q * phi).powi(2);
        prior * observed / (prior + observed)
    };
    assert!((second - by_hand(rho, 1.0 - rho * rho)).abs() < 1e-15, "{second}");
    assert!((second_fresh - by_hand(0.5 * rho, 1.0 - 0.25 * rho * rho)).abs() < 1e-15, "{second_fresh}");
    assert!(second_fresh < second);
}

// Kills: each check of a calibration.
#[test]
fn a_calibration_that_does_not_hold_is_refused_by_its_field() {
    let refused = |change: fn(&mut Calibration)| {
        let mut calibration = everything();
        change(&mut calibration);
        let error = QuoteEngine::new(Instrument::new("ETH", 4, 25, 10.0, 3600.0).unwrap(), with(calibration));
        error.unwrap_err().detail().field.to_string()
    };
    assert_eq!(refused(|it| it.mean_reversion_per_s = f64::NAN), "calibration.mean_reversion_per_s");
    assert_eq!(refused(|it| it.stationary_variance = 0.0), "calibration.stationary_variance");
    assert_eq!(refused(|it| it.cycle_s = -1.0), "calibration.cycle_s");
    assert_eq!(refused(|it| it.features[1].gain = 1.0), "calibration.features.hawkes_buy.gain");
    assert_eq!(refused(|it| it.features[1].slope = f64::NAN), "calibration.features.hawkes_buy.slope");
    assert_eq!(
        refused(|it| it.features[0].noise_memory_s = 601.0),
        "calibration.features.book_imbalance_10bps.noise_memory_s"
    );
    assert_eq!(
        refused(|it| it.features[0].mean_evidence = Some(0.0)),
        "calibration.features.book_imbalance_10bps.mean_evidence"
    );
    assert_eq!(refused(|it| it.features[1] = it.features[0]), "calibration.features");
    assert_eq!(refused(|it| it.features[1].feature = FeatureId::ExcessKurtosis), "calibration.features");
    assert_eq!(refused(|it| it.covariance[1] = 0.01), "calibration.covariance");
    assert_eq!(refused(|it| it.covariance[5] = -1.0), "calibration.covariance");
    assert_eq!(refused(|it| it.covariance.truncate(3)), "calibration.covariance");
    assert_eq!(refused(|it| it.fresh_noise_share = vec![0.5]), "calibration.fresh_noise_share");
    assert_eq!(refused(|it| it.fresh_noise_share = vec![1.0; it.features.len()]), "calibration.fresh_noise_share");
    assert_eq!(refused(|it| it.fresh_noise_share = vec![f64::NAN; it.features.len()]), "calibration.fresh_noise_share");
    assert_eq!(refused(|it| it.own_fill = Some(CalibratedFill { slope: 0.0, gain: 1.0 })), "calibration.own_fill.gain");
    assert_eq!(refused(|it| it.tail_factor = Some(-0.1)), "calibration.tail_factor");
    assert_eq!(refused(|it| it.adverse_selection_ratio = Some(f64::NAN)), "calibration.adverse_selection_ratio");
    assert_eq!(refused(|it| it.pipeline.sweep_s = 0.0), "sweep_s");
}

// Kills: another coin's calibration taken by a new engine, by a running one or by a restored one; a coin without its units.
#[test]
fn a_calibration_of_another_instrument_is_refused_by_its_field() {
    let of = |coin: &str, size_decimals| {
        let instrument = Some(CalibratedInstrument { coin: coin.into(), size_decimals });
        with(Calibration { instrument, ..everything() })
    };
    let ours = || Instrument::new("ETH", 4, 25, 10.0, 3600.0).unwrap();
    let mut running = QuoteEngine::new(ours(), of("ETH", 4)).unwrap();
    let snapshot = running.snapshot();
    for (config, field) in [(of("BTC", 4), "calibration.coin"), (of("ETH", 3), "calibration.size_decimals")] {
        for refused in [
            QuoteEngine::new(ours(), config.clone()).map(|_| ()),
            running.update_config(config.clone()),
            QuoteEngine::restore(&snapshot, Some(config)).map(|_| ()),
        ] {
            let error = refused.unwrap_err();
            assert!(matches!(error, hypermm_core::error::Error::InvalidConfig(_)), "{error}");
            assert_eq!(error.detail().field, field);
        }
    }
    assert!(running.update_config(with(everything())).is_ok(), "numbers of no recording");
}

// Kills: a reference no feature uses that changes the drift, one that is not checked.
#[test]
fn a_price_of_an_unknown_market_only_lets_time_pass() {
    let (mut left, mut right) = (engine(with(everything())), engine(with(everything())));
    let now = three_minutes(&mut left);
    three_minutes(&mut right);
    left.on_reference(now + 10 * MS, "DOGE", 0.2).unwrap();
    assert_eq!(quote(&left, now + 20 * MS), quote(&right, now + 20 * MS));
    left.on_reference(now + 30 * MS, "spot", 4300.0).unwrap();
    left.on_reference(now + 900 * MS, "DOGE", 0.2).unwrap();
    right.on_reference(now + 900 * MS, "DOGE", 0.2).unwrap();
    let moved = [&left, &right].map(|it| quote(it, now + 900 * MS).drift_bps_per_s);
    // The basis fell, and its slope is negative: the spot leads up.
    assert!(moved[0] > moved[1], "{moved:?}");
}

/// Kills: features that cost a replay more than three tenths of its speed.
#[test]
#[ignore = "timing: make verify, on a machine that does nothing else"]
fn a_replay_with_every_tier_keeps_seven_tenths_of_its_throughput() {
    let instrument = Instrument::new("ETH", 4, 25, 10.0, 3600.0).unwrap();
    let session = Session::generate(&instrument, &SessionSettings::default()).unwrap();
    let columns = session.columns();
    let plain = EngineConfig::default();
    let settings = BacktestSettings::default();
    let full = with(everything());
    let mut fastest = [f64::INFINITY; 2];
    // In turns, so that what else the machine does falls on both.
    for _ in 0..12 {
        for (place, config) in [&plain, &full].into_iter().enumerate() {
            let begin = std::time::Instant::now();
            run(&columns, &instrument, config, &settings, &mut |_| {}).unwrap();
            fastest[place] = fastest[place].min(begin.elapsed().as_secs_f64());
        }
    }
    let events = columns.len() as f64;
    let [without, with] = fastest.map(|seconds| events / seconds);
    println!("replay: {without:.0} events/s without features, {with:.0} with, ratio {:.2}", with / without);
    assert!(with / without >= 0.7);
}
