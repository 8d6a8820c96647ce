//! Any legal stream of events leaves the engine able to quote safely; any illegal event leaves it as it was.

use std::sync::Arc;

use hypermm_core::calibration::{CalibratedFeature, CalibratedFill, Calibration};
use hypermm_core::config::EngineConfig;
use hypermm_core::engine::QuoteEngine;
use hypermm_core::event::{Context, Trade};
use hypermm_core::features::FeatureId;
use hypermm_core::features::pipeline::FeatureConfig;
use hypermm_core::instrument::Instrument;
use hypermm_core::pricing::decision::{Decision, QuoteSide};
use hypermm_core::types::{Identifier, OrderStatus, QuoteStatus, Side};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Book { shift: i64, spread: i64, depth: usize, size: f64 },
    Best { shift: i64, spread: i64, size: f64 },
    EmptySide(bool),
    Trade { away: i64, size: f64, buy: bool },
    Context { rate: f64, predicted: f64 },
    Order { id: u64, status: u8, buy: bool, away: i64, lots: i64 },
    Fill { id: u64, buy: bool, away: i64, lots: i64 },
    Position { lots: i64 },
    Quota { remaining: f64, used: f64 },
    Observe { drift: f64, deviation: f64 },
    Reference { away: f64, leader: bool },
    Bad(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (-60_i64..60, 1_i64..40, 1_usize..21, 1e-3..1e4).prop_map(|(shift, spread, depth, size)| Step::Book { shift, spread, depth, size }),
        6 => (-60_i64..60, -3_i64..40, 1e-3..1e4).prop_map(|(shift, spread, size)| Step::Best { shift, spread, size }),
        1 => any::<bool>().prop_map(Step::EmptySide),
        6 => (-80_i64..80, 1e-4..1e3, any::<bool>()).prop_map(|(away, size, buy)| Step::Trade { away, size, buy }),
        1 => (-1e-2..1e-2, -1e-2..1e-2).prop_map(|(rate, predicted)| Step::Context { rate, predicted }),
        6 => (0_u64..12, 0_u8..7, any::<bool>(), -80_i64..80, 0_i64..20_000).prop_map(|(id, status, buy, away, lots)| Step::Order { id, status, buy, away, lots }),
        3 => (0_u64..12, any::<bool>(), -80_i64..80, 1_i64..5_000).prop_map(|(id, buy, away, lots)| Step::Fill { id, buy, away, lots }),
        1 => (-15_000_i64..15_000).prop_map(|lots| Step::Position { lots }),
        1 => (0.0..20_000.0, 0.0..50_000.0).prop_map(|(remaining, used)| Step::Quota { remaining, used }),
        1 => (-50.0..50.0, 1e-3..10.0).prop_map(|(drift, deviation)| Step::Observe { drift, deviation }),
        3 => (-20.0..20.0, any::<bool>()).prop_map(|(away, leader)| Step::Reference { away, leader }),
        2 => (0_u8..14).prop_map(Step::Bad),
    ]
}

const START_NS: i64 = 1_757_015_216_000_000_000;
const CENTER: i64 = 42_690;

fn price(units: i64) -> f64 {
    units as f64 / 10.0
}

fn status(number: u8) -> OrderStatus {
    [
        OrderStatus::Pending,
        OrderStatus::Open,
        OrderStatus::CancelPending,
        OrderStatus::Canceled,
        OrderStatus::Rejected,
        OrderStatus::Filled,
        OrderStatus::Unknown,
    ][number as usize]
}

fn side(buy: bool) -> Side {
    if buy { Side::Buy } else { Side::Sell }
}

fn apply(engine: &mut QuoteEngine, now: i64, step: &Step) {
    match *step {
        Step::Book { shift, spread, depth, size } => {
            let bids: Vec<f64> = (0..depth as i64).map(|i| price(CENTER + shift - i)).collect();
            let asks: Vec<f64> = (0..depth as i64).map(|i| price(CENTER + shift + spread + i)).collect();
            let sizes = vec![size; depth];
            engine.on_book(now, &bids, &sizes, &asks, &sizes).unwrap();
        }
        Step::Best { shift, spread, size } => {
            let bid = Some((price(CENTER + shift), size));
            let ask = Some((price(CENTER + shift + spread), size));
            engine.on_best(now, bid, ask).unwrap();
        }
        Step::EmptySide(bid) => {
            let level = Some((price(CENTER), 1.0));
            let (bid, ask) = if bid { (None, level) } else { (level, None) };
            engine.on_best(now, bid, ask).unwrap();
        }
        Step::Trade { away, size, buy } => {
            let trade = Trade { price: price(CENTER + away), size, aggressor: side(buy), exchange_time_ns: None };
            engine.on_trade(now, &trade).unwrap();
        }
        Step::Context { rate, predicted } => {
            let context =
                Context { funding_rate: Some(rate), predicted_funding: Some(predicted), ..Context::default() };
            engine.on_context(now, &context).unwrap();
        }
        Step::Order { id, status: number, buy, away, lots } => {
            let size = lots as f64 / 1e4;
            engine
                .on_order(now, &Identifier::Number(id), status(number), side(buy), price(CENTER + away), size, None)
                .unwrap();
        }
        Step::Fill { id, buy, away, lots } => {
            let size = lots as f64 / 1e4;
            let order = Identifier::Number(id);
            let applied = engine.on_fill(now, side(buy), price(CENTER + away), size, Some(&order), None, None).unwrap();
            assert!(applied);
        }
        Step::Position { lots } => {
            engine.on_position(now, lots as f64 / 1e4, None).unwrap();
        }
        Step::Quota { remaining, used } => engine.on_quota(now, remaining, used).unwrap(),
        Step::Observe { drift, deviation } => engine.observe(now, drift, deviation * deviation, "outside").unwrap(),
        Step::Reference { away, leader } => {
            let (name, price) = if leader { ("BTC", 110_000.0 + 50.0 * away) } else { ("spot", 4269.0 + away) };
            engine.on_reference(now, name, price).unwrap();
        }
        Step::Bad(kind) => refuse(engine, now, kind),
    }
}

/// Every refused event names its field and leaves the state as it was.
fn refuse(engine: &mut QuoteEngine, now: i64, kind: u8) {
    let before = engine.snapshot();
    let one = [1.0];
    let trade = |price, size| Trade { price, size, aggressor: Side::Buy, exchange_time_ns: None };
    let refused = match kind {
        0 => engine.on_book(now, &[4269.0, 4269.0], &[1.0, 1.0], &[4270.0], &one),
        1 => engine.on_book(now, &[4269.05], &one, &[4270.0], &one),
        2 => engine.on_book(now, &[4269.0], &[1.0, 2.0], &[4270.0], &one),
        3 => engine.on_book(now, &[4271.0], &one, &[4270.0], &one),
        4 => engine.on_best(now, Some((f64::NAN, 1.0)), Some((4270.0, 1.0))),
        5 => engine.on_best(now, Some((4269.0, 0.0)), Some((4270.0, 1.0))),
        6 => engine.on_trade(now, &trade(4269.0, f64::INFINITY)),
        7 => engine.on_trade(now, &trade(-1.0, 1.0)),
        8 => engine.observe(now, f64::NAN, 1.0, "outside"),
        9 => engine.on_position(now, 0.000_05, None).map(|_| ()),
        10 => engine.on_quota(now, -1.0, 5.0),
        11 => engine.on_reference(now, "spot", f64::NAN),
        12 => engine.on_reference(now, "", 4269.0),
        _ => engine.on_fill(now, Side::Buy, 4269.0, 0.0, None, None, None).map(|_| ()),
    };
    let error = refused.unwrap_err();
    assert!(!error.detail().field.is_empty() && !error.detail().expected.is_empty());
    assert_eq!(before, engine.snapshot(), "a refused event changed the state: {error}");
}

/// What must hold of one side of any ladder.
fn check_side(engine: &QuoteEngine, decision: &Decision, own: Side, quotes: &QuoteSide) {
    let best = engine.book().side(own.opposite()).units()[0];
    let instrument = engine.instrument();
    let held = if own == Side::Buy { engine.position_lots().0 } else { -engine.position_lots().0 };
    let cap = instrument.floor_lots(engine.config().max_position).0;
    let mut exposure = held;
    let mut cumulative = 0;
    for order in engine.open_orders().iter().filter(|order| order.side == own) {
        exposure += order.remaining.0;
    }
    let standing = exposure;
    for i in 0..quotes.len {
        let units = quotes.price_units[i].0;
        let lots = quotes.lots[i].0;
        assert!(lots > 0 && units > 0);
        assert!(if own == Side::Buy { units < best } else { units > best }, "a quote takes");
        assert_eq!(instrument.price_from_f64("price", quotes.prices[i]).unwrap().0, units);
        assert_eq!(instrument.lots_from_f64("size", quotes.sizes[i]).unwrap().0, lots);
        if i > 0 {
            let before = quotes.price_units[i - 1].0;
            assert!(if own == Side::Buy { units < before } else { units > before }, "levels out of order");
        }
        cumulative += lots;
        let closes_all = i == 0 && lots == -held;
        assert!(quotes.prices[i] * quotes.sizes[i] >= instrument.min_notional() || closes_all, "below the minimum");
        assert_eq!(quotes.reduce_only[i], cumulative <= -held);
        let kept: i64 = engine
            .open_orders()
            .iter()
            .filter(|order| order.side == own && order.price.0 == units && order.status.is_keepable())
            .map(|order| order.remaining.0)
            .sum();
        exposure += (lots - kept).max(0);
        for value in
            [quotes.depth_bps[i], quotes.fill_probability[i], quotes.expected_edge_bps[i], quotes.expected_pnl_bps[i]]
        {
            assert!(value.is_finite());
        }
        assert!((1e-4..=1.0).contains(&quotes.fill_probability[i]));
        let explanation = decision.explain(own, i).unwrap();
        let price = explanation.mid_price * (1.0 + explanation.total_bps() / 1e4);
        assert!((price / quotes.prices[i] - 1.0).abs() < 1e-9, "{price} is not {}", quotes.prices[i]);
    }
    assert!(exposure <= cap.max(standing), "past the cap: {exposure} of {cap}, {standing} stood");
}

fn check(engine: &QuoteEngine, now: i64, decision: &mut Decision) {
    let before = engine.snapshot();
    engine.quote(now, decision).unwrap();
    assert_eq!(before, engine.snapshot(), "quote changed the state");
    assert!(decision.drift_bps_per_s.is_finite() && decision.drift_variance > 0.0);
    if decision.status == QuoteStatus::Quoting {
        let shares: f64 = decision.drift_shares.iter().map(|(_, bps)| bps).sum();
        let (drift, size) = (decision.terms.drift, decision.drift_shares.iter().map(|(_, bps)| bps.abs()).sum::<f64>());
        assert!((shares - drift).abs() <= 1e-9 * (1.0 + size), "shares sum to {shares}, the drift term is {drift}");
        assert!(decision.reservation_price > 0.0 && decision.target_inventory.is_finite());
        check_side(engine, decision, Side::Buy, &decision.bids);
        check_side(engine, decision, Side::Sell, &decision.asks);
        if decision.bids.len > 0 && decision.asks.len > 0 {
            assert!(decision.bids.price_units[0] < decision.asks.price_units[0], "our own quotes cross");
        }
    } else {
        assert_eq!((decision.bids.len, decision.asks.len), (0, 0), "quotes from an unusable book");
    }
}

fn engine(max_position: f64, levels: u32, is_calibrated: bool) -> QuoteEngine {
    let instrument = Instrument::new("ETH", 4, 25, 10.0, 3600.0).unwrap();
    let calibration = is_calibrated.then(|| Arc::new(calibration()));
    let config = EngineConfig { max_position, levels, calibration, ..EngineConfig::default() };
    QuoteEngine::new(instrument, config).unwrap()
}

/// Features of every tier, slow and fast, of the book, the tape, other markets and our own fills.
pub(crate) fn calibration() -> Calibration {
    let ids = [
        (FeatureId::BookImbalance2, 0.0, Some(50.0)),
        (FeatureId::FlowCount30, 30.0, Some(4.0)),
        (FeatureId::TrendScore, 5.0, Some(1.0)),
        (FeatureId::FillSizeBuy, 60.0, None),
        (FeatureId::BasisChange, 600.0, None),
        (FeatureId::Lead, 2.0, None),
        (FeatureId::FundingZ, 600.0, Some(1.0)),
    ];
    let features: Vec<_> = ids
        .into_iter()
        .map(|(feature, noise_memory_s, mean_evidence)| CalibratedFeature {
            feature,
            slope: 0.3,
            gain: 0.1,
            noise_memory_s,
            mean_evidence,
        })
        .collect();
    let n = features.len();
    let covariance = (0..n * n).map(|at| if at % (n + 1) == 0 { 0.09 } else { 0.03 }).collect();
    Calibration {
        features,
        covariance,
        cycle_s: 0.25,
        own_fill: Some(CalibratedFill { slope: 0.5, gain: 0.05 }),
        pipeline: FeatureConfig {
            basis_market: Some("spot".into()),
            lead_market: Some("BTC".into()),
            ..FeatureConfig::default()
        },
        ..Calibration::of_drift(0.05, 0.01)
    }
}

fn gaps() -> impl Strategy<Value = i64> {
    prop_oneof![
        6 => 0_i64..1_000_000_000,
        1 => Just(0_i64),
        1 => 1_000_000_000_i64..20_000_000_000,
        1 => 100_000_000_000_i64..4_000_000_000_000_000,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(96)))]

    // Kills: a dropped live order in the cap, a missing post-only clamp, a term left out of explain, a quote that learns,
    // validation after mutation.
    #[test]
    fn any_storm_of_events_is_quoted_safely(
        steps in prop::collection::vec((gaps(), step()), 1..120),
        max_position in prop_oneof![Just(1.0), Just(0.01), Just(100.0)],
        levels in prop_oneof![Just(1_u32), Just(6), Just(12), Just(32)],
        is_calibrated in any::<bool>(),
    ) {
        let mut engine = engine(max_position, levels, is_calibrated);
        let mut decision = Decision::default();
        let mut now = START_NS;
        for (gap, step) in &steps {
            now += gap;
            apply(&mut engine, now, step);
            check(&engine, now, &mut decision);
        }
    }

    // Kills: a field left out of the snapshot, a memo that is part of the state.
    #[test]
    fn restored_engine_goes_on_bit_for_bit(
        steps in prop::collection::vec((gaps(), step()), 2..80),
        cut in 0_usize..80,
        is_calibrated in any::<bool>(),
    ) {
        let mut engine = engine(1.0, 6, is_calibrated);
        let mut now = START_NS;
        let cut = cut.min(steps.len() - 1);
        for (gap, step) in &steps[..cut] {
            now += gap;
            apply(&mut engine, now, step);
        }
        let mut restored = QuoteEngine::restore(&engine.snapshot(), None).unwrap();
        let (mut left, mut right) = (Decision::default(), Decision::default());
        for (gap, step) in &steps[cut..] {
            now += gap;
            apply(&mut engine, now, step);
            // One is asked at every event, the other never until the end: asking must not matter.
            engine.quote(now, &mut left).unwrap();
            apply(&mut restored, now, step);
        }
        restored.quote(now, &mut right).unwrap();
        prop_assert_eq!(engine.snapshot(), restored.snapshot());
        prop_assert_eq!(left.reservation_price.to_bits(), right.reservation_price.to_bits());
        prop_assert_eq!(left.bids.len, right.bids.len);
        for i in 0..left.bids.len {
            prop_assert_eq!(left.bids.price_units[i], right.bids.price_units[i]);
            prop_assert_eq!(left.bids.lots[i], right.bids.lots[i]);
            prop_assert_eq!(left.bids.expected_pnl_bps[i].to_bits(), right.bids.expected_pnl_bps[i].to_bits());
        }
    }

    // Kills: decoding before the checksum, a version that is not read.
    #[test]
    fn damaged_snapshot_is_refused(place in any::<prop::sample::Index>(), flip in 1_u8..=255) {
        let mut engine = engine(1.0, 6, true);
        engine.on_best(0, Some((4269.0, 1.0)), Some((4269.1, 1.0))).unwrap();
        let mut bytes = engine.snapshot();
        let at = place.index(bytes.len());
        bytes[at] ^= flip;
        prop_assert!(QuoteEngine::restore(&bytes, None).is_err());
        prop_assert!(QuoteEngine::restore(&bytes[..at], None).is_err());
    }
}

/// Cases of a property: `LAW_CASES` asks for more, as the slow proofs do.
#[allow(clippy::disallowed_methods, reason = "how many cases a run tries is not part of what is tested")]
pub(crate) fn cases(default: u32) -> u32 {
    std::env::var("LAW_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}
