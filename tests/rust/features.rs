//! Laws of the feature pipeline: signs, staleness, what gives no value, restoring, and agreement with the engine's own readings.

use hypermm_core::config::EngineConfig;
use hypermm_core::engine::QuoteEngine;
use hypermm_core::event::MarketEvent;
use hypermm_core::features::pipeline::{FeatureConfig, FeaturePipeline};
use hypermm_core::features::{FEATURES, FeatureId, FeatureStatus, FeatureValue, Tier};
use hypermm_core::state::book::Book;
use hypermm_core::types::Side;
use hypermm_simulation::market::recording::RecordingColumns;
use hypermm_simulation::market::session::{Session, SessionSettings};
use proptest::prelude::*;

use crate::feature_market::{MID, Market, S, id_of, instrument, situation};

// Kills: a sign of any directional feature, a feature that forgets one of the sides.
#[test]
fn every_directional_feature_is_positive_where_the_market_is_bullish_and_negative_in_the_mirror() {
    for (place, feature) in FEATURES.iter().enumerate().filter(|(_, feature)| feature.directional) {
        let id = id_of(place);
        let [up, down] = [true, false].map(|bullish| {
            let (market, now_ns) = situation(id, bullish);
            let reading = market.read(id, now_ns);
            reading.value().unwrap_or_else(|| panic!("{}: {reading:?}", feature.name))
        });
        println!("{:24} bullish {up:+.4}, bearish {down:+.4}", feature.name);
        assert!(up > 0.0 && down < 0.0, "{}: {up}, {down}", feature.name);
    }
}

// Kills: zero in place of "not seen", staleness counted for what was never heard.
#[test]
fn a_pipeline_that_has_heard_nothing_has_seen_nothing_and_nothing_is_stale() {
    for (feature, reading) in FEATURES.iter().zip(Market::new().all(1_000_000 * S)) {
        assert_eq!((reading.status(), reading.value()), (FeatureStatus::Unseen, None), "{}", feature.name);
    }
}

// Kills: an age compared with the wrong limit, a stale value that is still given, one feature's staleness at another's limit.
#[test]
fn each_feature_lasts_as_long_as_its_table_says() {
    for (place, feature) in FEATURES.iter().enumerate().filter(|(_, feature)| feature.directional) {
        let (market, now_ns) = situation(id_of(place), true);
        let status = |after_s: f64| market.read(id_of(place), now_ns + (after_s * 1e9) as i64).status();
        let gone = status(feature.stale_s + 0.001);
        assert_eq!(gone, FeatureStatus::Stale, "{} after {} s", feature.name, feature.stale_s);
        // The last input is at most 20 s before the situation is read, and at most 1 s where less than that would be stale.
        let spent_s = if feature.stale_s > 20.0 { 20.0 } else { 1.0 };
        assert_eq!(status(feature.stale_s - spent_s), FeatureStatus::Fresh, "{}", feature.name);
    }
}

// Kills: a band with no level taken for balance, a one-sided, locked or crossed book that is read.
#[test]
fn an_empty_band_or_a_book_without_a_mid_gives_no_value() {
    use FeatureId as F;
    let mut market = Market::new();
    for second in 1..4 {
        market.on_even(second * S, MID);
    }
    // A spread of 40 bps: nothing within 2, 5 and 10.
    let wide = MarketEvent::Best { bid: Some((MID - 4.0, 1.0)), ask: Some((MID + 4.0, 2.0)), exchange_time_ns: None };
    market.on(4 * S, &wide);
    for id in [F::BookImbalance2, F::BookImbalance5, F::BookImbalance10, F::PressureGradient, F::BookAcceleration] {
        assert_eq!(market.read(id, 4 * S).status(), FeatureStatus::Undefined, "{id:?}");
    }
    assert!(market.read(F::BookImbalance25, 4 * S).value().is_some());
    let one_sided = MarketEvent::Best { bid: Some((MID - 4.0, 1.0)), ask: None, exchange_time_ns: None };
    let locked = MarketEvent::Best { bid: Some((MID, 1.0)), ask: Some((MID, 1.0)), exchange_time_ns: None };
    let crossed = MarketEvent::Best { bid: Some((MID + 1.0, 1.0)), ask: Some((MID, 1.0)), exchange_time_ns: None };
    for event in [one_sided, locked, crossed] {
        let mut market = market.clone();
        market.on(5 * S, &event);
        for place in 0..=F::DepthVelocity as usize {
            let reading = market.read(id_of(place), 5 * S);
            assert_eq!(
                (reading.status(), reading.value()),
                (FeatureStatus::Undefined, None),
                "{:?} {event:?}",
                id_of(place)
            );
        }
        // What does not need the present mid goes on.
        assert_eq!(market.read(F::TrendContinuation, 5 * S).status(), FeatureStatus::Unseen);
    }
}

// Kills: coverage taken from the deeper side, or reported as the width of the band; a gradient over levels nobody has seen.
#[test]
fn the_band_covered_is_as_far_as_the_shallower_side_is_known() {
    use FeatureId as F;
    let mut market = Market::new();
    let (bids, asks) = ([1999.9, 1999.0], [2000.1, 2003.0, 2006.0]);
    let event = MarketEvent::Book {
        bid_prices: &bids,
        bid_sizes: &[1.0, 2.0],
        ask_prices: &asks,
        ask_sizes: &[3.0, 4.0, 5.0],
        exchange_time_ns: None,
    };
    market.on(S, &event);
    let covered = |id: FeatureId| market.read(id, S).covered_bps().unwrap();
    assert!((covered(F::BookImbalance2) - 2.0).abs() < 1e-12);
    assert!((covered(F::BookImbalance50) - 5.0).abs() < 1e-9);
    assert_eq!(market.read(F::PressureGradient, S).status(), FeatureStatus::Undefined);
    assert_eq!(market.read(F::BookImbalance50, S).value(), Some((3.0 - 12.0) / 15.0));
    assert_eq!(market.read(F::BookImbalance50, S).evidence(), Some(15.0));
    // On the very edge of a band is inside it: 1999 stands 5 bps below.
    assert_eq!(market.read(F::BookImbalance5, S).value(), Some((3.0 - 3.0) / 6.0));
    market.on_even(2 * S, MID);
    assert!((market.read(F::BookImbalance50, 2 * S).covered_bps().unwrap() - 50.0).abs() < 1e-12);
}

/// Rows of a session as events in receive order.
fn events<'a>(columns: &RecordingColumns<'a>) -> Vec<(i64, MarketEvent<'a>)> {
    let mut rows: Vec<(i64, u8, usize)> =
        [columns.book_time_ns, columns.best_time_ns, columns.trade_time_ns, columns.context.time_ns]
            .iter()
            .zip(0_u8..)
            .flat_map(|(times, stream)| times.iter().enumerate().map(move |(row, time)| (*time, stream, row)))
            .collect();
    rows.sort_unstable();
    let event = |(time_ns, stream, row)| {
        let event = match stream {
            0 => columns.book(row),
            1 => columns.best(row),
            2 => columns.trade(row),
            _ => MarketEvent::Context(columns.context(row)),
        };
        (time_ns, event)
    };
    rows.into_iter().map(event).collect()
}

fn session(seed: u64, depth: usize) -> Session {
    let settings =
        SessionSettings { seed, depth, start_price: 2000.0, duration_s: 700.0, ..SessionSettings::default() };
    Session::generate(&instrument(), &settings).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    // Kills: state that the snapshot does not hold, or that is rebuilt otherwise than it grew.
    #[test]
    fn restored_is_never_stopped(seed in 0_u64..1000, share in 0.0..1.0_f64, depth in prop::sample::select(vec![5_usize, 20])) {
        let session = session(seed, depth);
        let events = events(&session.columns());
        let stop = (share * events.len() as f64) as usize;
        let mut whole = Market::new();
        for (time_ns, event) in &events[..stop] {
            whole.on(*time_ns, event);
        }
        let bytes = postcard::to_stdvec(&whole.pipeline).unwrap();
        let mut restored = Market { pipeline: postcard::from_bytes(&bytes).unwrap(), ..whole.clone() };
        prop_assert_eq!(&whole.pipeline, &restored.pipeline);
        for (time_ns, event) in &events[stop..] {
            whole.on(*time_ns, event);
            restored.on(*time_ns, event);
        }
        let now_ns = events.last().map_or(0, |(time_ns, _)| *time_ns);
        prop_assert_eq!(&whole.pipeline, &restored.pipeline);
        prop_assert_eq!(whole.all(now_ns), restored.all(now_ns));
    }

    // Kills: reading that teaches, a value that leaves the reals, an imbalance that leaves [−1, 1].
    #[test]
    fn reading_changes_nothing_and_values_are_numbers(seed in 0_u64..1000, depth in prop::sample::select(vec![5_usize, 20])) {
        let session = session(seed, depth);
        let (mut market, mut unread) = (Market::new(), Market::new());
        for (i, (time_ns, event)) in events(&session.columns()).iter().enumerate() {
            market.on(*time_ns, event);
            unread.on(*time_ns, event);
            if i % 7 == 0 {
                for (feature, reading) in FEATURES.iter().zip(market.all(*time_ns + 1000)) {
                    let value = reading.value().unwrap_or(0.0);
                    prop_assert!(value.is_finite() && reading.evidence().is_none_or(|evidence| evidence >= 0.0));
                    prop_assert!(!feature.name.contains("imbalance_") || value.abs() <= 1.0, "{} = {value}", feature.name);
                }
            }
        }
        prop_assert_eq!(&market.pipeline, &unread.pipeline);
    }
}

// Kills: another second grid than the engine's, another window, prior or sign in what both compute.
#[test]
fn what_the_engine_reads_too_is_the_same_number() {
    let session = session(4, 20);
    let mut engine = QuoteEngine::new(instrument(), EngineConfig::default()).unwrap();
    let mut market = Market::new();
    let mut compared = 0;
    let mut worst: f64 = 0.0;
    for (time_ns, event) in &events(&session.columns()) {
        engine.handle(*time_ns, event).unwrap();
        market.on(*time_ns, event);
        let readings = engine.readings();
        for (name, id, sign) in [
            ("trend_10s_bps", FeatureId::TrendReturn10, 1.0),
            ("trend_60s_bps", FeatureId::TrendReturn60, 1.0),
            ("trend_300s_bps", FeatureId::TrendReturn300, 1.0),
            ("trend_agreement", FeatureId::TrendAgreement, 1.0),
            ("trend_continuation", FeatureId::TrendContinuation, 1.0),
            ("trend_score", FeatureId::TrendScore, 1.0),
            ("volatility_ratio", FeatureId::VolatilityRatio, 1.0),
            ("excess_kurtosis", FeatureId::ExcessKurtosis, 1.0),
            ("funding_z_score", FeatureId::FundingZ, -1.0),
            ("flow_imbalance_5s", FeatureId::FlowCount5, -1.0),
            ("flow_imbalance_30s", FeatureId::FlowCount30, -1.0),
            ("flow_imbalance_120s", FeatureId::FlowCount120, -1.0),
            ("flow_imbalance_300s", FeatureId::FlowCount300, -1.0),
        ] {
            let known = readings.iter().find(|(reading, _)| *reading == name);
            if let (Some((_, theirs)), Some(ours)) = (known, market.read(id, *time_ns).value()) {
                worst = worst.max((theirs - sign * ours).abs());
                compared += 1;
            }
        }
    }
    println!("engine and features: {compared} readings compared, worst difference {worst:.1e}");
    assert!(compared > 20_000 && worst < 1e-12);
}

// Kills: a buffer that grows with the events.
#[test]
fn nothing_allocates_after_construction() {
    let session = session(5, 20);
    let events = events(&session.columns());
    let mut market = Market::new();
    let mut out = vec![FeatureValue::default(); FEATURES.len()];
    let allocated = allocation_counter::measure(|| {
        for (time_ns, event) in &events {
            market.on(*time_ns, event);
            market.pipeline.on_reference(*time_ns, "BTC", 1e5).unwrap();
            market.pipeline.on_own_fill(*time_ns, Side::Buy, 1.0);
            for tier in [Tier::Hot, Tier::Warm, Tier::Cold] {
                market.pipeline.evaluate(tier, *time_ns, &market.book, &mut out).unwrap();
            }
        }
    });
    assert_eq!(allocated.count_total, 0);
}

// Kills: a long silence taken for a still market, its end for one second's return.
#[test]
fn after_a_long_silence_returns_begin_again() {
    let mut market = Market::new();
    for second in 1..100 {
        market.on_even(second * S, MID + 0.1 * (second % 2) as f64);
    }
    market.on_even(600 * S, MID + 40.0);
    assert_eq!(market.read(FeatureId::TrendReturn10, 600 * S).status(), FeatureStatus::Unseen);
    for second in 601..615 {
        market.on_even(second * S, MID + 40.0);
    }
    assert_eq!(market.read(FeatureId::TrendReturn10, 614 * S).value(), Some(0.0));
}

// Kills: a side exchanged, a raw size for its logarithm, one of the two windows, the last fill left out. Own fills are on no recording,
// so the recomputation of the Python tests cannot see them.
#[test]
fn fill_sizes_shift_as_their_formula_says() {
    let mut market = Market::new();
    let fills: Vec<(f64, f64)> =
        (0..200).map(|i| (f64::from(i * 7) + f64::from(i % 5), 1.0 + f64::from(i * i % 17))).collect();
    for (time_s, size) in &fills {
        market.pipeline.on_own_fill((time_s * 1e9) as i64, Side::Sell, *size);
    }
    let last_s = fills[199].0;
    let mean = |window_s: f64, of: &dyn Fn(f64) -> f64| {
        let weight = |time_s: f64| f64::exp(-(last_s - time_s) / window_s);
        let total: f64 = fills.iter().map(|(time_s, _)| weight(*time_s)).sum();
        fills.iter().map(|(time_s, size)| weight(*time_s) * of(size.ln())).sum::<f64>() / total
    };
    let usual = mean(3600.0, &|size| size);
    let deviation = mean(3600.0, &|size| (size - usual).powi(2)).sqrt();
    let expected = (mean(30.0, &|size| size) - usual) / deviation;
    let now_ns = (last_s * 1e9) as i64;
    let found = market.read(FeatureId::FillSizeBuy, now_ns).value().unwrap();
    assert!((found - expected).abs() < 1e-9, "{found}, {expected}");
    assert_eq!(market.read(FeatureId::FillSizeSell, now_ns).status(), FeatureStatus::Unseen);
}

// Kills: an unknown market taken for a known one, a price that is no price.
#[test]
fn a_reference_is_used_by_name_and_refused_without_a_price() {
    let mut market = Market::new();
    assert!(market.pipeline.on_reference(S, "BTC", 1e5).unwrap());
    assert!(!market.pipeline.on_reference(S, "SOL", 100.0).unwrap());
    let before = market.pipeline.clone();
    for price in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(market.pipeline.on_reference(S, "BTC", price).unwrap_err().detail().field, "price");
    }
    assert_eq!(market.pipeline, before);
    assert!(market.pipeline.evaluate(Tier::Hot, S, &Book::default(), &mut []).is_err());
    // Prices so far apart that their quotient leaves the floats give no value, and spoil none.
    for second in 1..100 {
        let leader = 1e300 * (1.0 + 1e-4 * (second % 7) as f64);
        market.on_even(second * S, MID + 0.1 * (second % 7) as f64);
        market.pipeline.on_reference(second * S, "BTC", if second == 50 { 1e-300 } else { leader }).unwrap();
        let reading = market.read(FeatureId::Lead, second * S);
        assert!(reading.value().is_none_or(f64::is_finite), "{reading:?}");
    }
    assert!(market.read(FeatureId::Lead, 99 * S).value().is_some());
}

// Kills: a bound of the config that is not checked.
#[test]
fn a_config_out_of_range_is_refused_by_name() {
    type Change = fn(&mut FeatureConfig);
    let changes: [(&str, Change); 5] = [
        ("volatility", |config| config.volatility = 0.0),
        ("funding_interval_s", |config| config.funding_interval_s = f64::NAN),
        ("sweep_s", |config| config.sweep_s = -1.0),
        ("hawkes_decay_per_s", |config| config.hawkes_decay_per_s = f64::INFINITY),
        ("hawkes_branching_ratio", |config| config.hawkes_branching_ratio = 1.0),
    ];
    for (field, change) in changes {
        let mut config = FeatureConfig::default();
        change(&mut config);
        assert_eq!(FeaturePipeline::new(config).unwrap_err().detail().field, field);
    }
}
