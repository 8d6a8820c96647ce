//! Laws of markouts. The oracle keeps every mid and searches it; the tracker streams.

use hypermm_core::outcomes::markout::{
    DEFAULT_HORIZON, HORIZON_COUNT, HORIZONS_NS, MarkoutTracker, Outcome, TrackedFill,
};
use hypermm_core::types::{Regime, Side};
use proptest::prelude::*;

const START: i64 = 1_757_000_000_000_000_000;
const MILLISECOND: i64 = 1_000_000;

#[derive(Clone, Copy, Debug)]
enum Step {
    Mid(f64),
    Fill { buy: bool, price: f64, m0: f64, age_ms: i64 },
    Funding(f64),
}

fn some_step() -> impl Strategy<Value = (i64, Step)> {
    let step = prop_oneof![
        6 => (990_i64..1_010).prop_map(|units| Step::Mid(units as f64 / 10.0)),
        2 => (any::<bool>(), 990_i64..1_010, 990_i64..1_010, 0_i64..20_000)
            .prop_map(|(buy, price, m0, age_ms)| Step::Fill { buy, price: price as f64 / 10.0, m0: m0 as f64 / 10.0, age_ms }),
        1 => (-50_i64..50).prop_map(|paid| Step::Funding(paid as f64 / 100.0)),
    ];
    // Gaps of 0 and of exactly a horizon are the cases where order and bounds matter.
    (prop_oneof![Just(0), Just(500), Just(9_500), 1_i64..30_000], step)
}

fn fill_at(sequence: u64, time_ns: i64, buy: bool, price: f64, m0: f64, age_ms: i64) -> TrackedFill {
    TrackedFill {
        sequence,
        time_ns,
        placed_ns: time_ns - age_ms * MILLISECOND,
        side: if buy { Side::Buy } else { Side::Sell },
        price,
        size: 2.0,
        mid_at_placement: m0,
        fee_per_contract: 0.015,
        volatility: 1.7,
        level: 0,
        regime: Regime::Normal,
        is_cancel_race: false,
    }
}

proptest! {
    /// Kills: < for ≤ at the horizon, the next mid instead of the last, an outcome lost, doubled or out of turn.
    #[test]
    fn streamed_outcomes_equal_a_search_of_all_mids(steps in prop::collection::vec(some_step(), 1..120), tail_ms in 0_i64..20_000) {
        let mut tracker = MarkoutTracker::default();
        let mut found: Vec<Outcome> = Vec::new();
        let (mut mids, mut fundings, mut fills) = (vec![(START, 100.0)], Vec::new(), Vec::new());
        tracker.on_mid(START, 100.0, |outcome| found.push(*outcome)).unwrap();
        let mut now = START;
        for (gap_ms, step) in steps {
            now += gap_ms * MILLISECOND;
            match step {
                Step::Mid(mid) => {
                    tracker.on_mid(now, mid, |outcome| found.push(*outcome)).unwrap();
                    mids.push((now, mid));
                }
                Step::Fill { buy, price, m0, age_ms } => {
                    let fill = fill_at(fills.len() as u64, now, buy, price, m0, age_ms);
                    let mid_at_fill = tracker.on_fill(fill, |outcome| found.push(*outcome)).unwrap();
                    prop_assert_eq!(mid_at_fill, mids.last().unwrap().1);
                    fills.push((fill, mid_at_fill, fundings.len()));
                }
                Step::Funding(paid) => {
                    tracker.on_funding(now, paid, |outcome| found.push(*outcome)).unwrap();
                    fundings.push((now, paid));
                }
            }
        }
        let end = now + tail_ms * MILLISECOND;
        let left_out = tracker.finish(end, |outcome| found.push(*outcome)).unwrap();
        let mut expected_count = [0_u64; HORIZON_COUNT];
        for (fill, mid_at_fill, funding_seen) in &fills {
            for (horizon, horizon_ns) in HORIZONS_NS.iter().enumerate() {
                let due = fill.time_ns + horizon_ns;
                let outcomes: Vec<&Outcome> =
                    found.iter().filter(|o| o.fill.sequence == fill.sequence && o.horizon == horizon).collect();
                if due > end {
                    prop_assert!(outcomes.is_empty());
                    expected_count[horizon] += 1;
                    continue;
                }
                prop_assert_eq!(outcomes.len(), 1);
                let outcome = outcomes[0];
                let mid = mids.iter().rev().find(|(time, _)| *time <= due).unwrap().1;
                prop_assert_eq!(outcome.mid, mid);
                let (m0, s) = (fill.mid_at_placement, if fill.side == Side::Buy { 1.0 } else { -1.0 });
                let paid: f64 = fundings[*funding_seen..].iter().filter(|(time, _)| *time <= due).map(|(_, paid)| paid).sum();
                let adverse_selection = -s * (mid - m0) / m0 * 1e4;
                let edge = s * (mid - fill.price) / m0 * 1e4 - 0.015 / m0 * 1e4 - s * paid / m0 * 1e4;
                prop_assert!((outcome.adverse_selection_bps - adverse_selection).abs() < 1e-9);
                prop_assert!((outcome.edge_bps - edge).abs() < 1e-9, "{} {}", outcome.edge_bps, edge);
                prop_assert!((outcome.markout_bps - s * (mid - mid_at_fill) / m0 * 1e4).abs() < 1e-9);
                // edge = depth − AS − fee − funding, the other form of the same law.
                let by_parts = fill.depth_bps() - outcome.adverse_selection_bps - outcome.fee_bps - outcome.funding_bps;
                prop_assert!((by_parts - outcome.edge_bps).abs() < 1e-9);
                let seconds = (due - fill.placed_ns) as f64 * 1e-9;
                prop_assert_eq!(outcome.adverse, adverse_selection > f64::max(1.0, 2.0 * 1.7 * seconds.sqrt()));
            }
        }
        prop_assert_eq!(left_out, expected_count);
    }
}

/// Kills: signs of buy and sell swapped. A worked example in round numbers.
#[test]
fn a_buy_below_a_mid_that_rises_has_positive_edge_and_markout() {
    let mut tracker = MarkoutTracker::default();
    let mut found = Vec::new();
    tracker.on_mid(START, 10_000.0, |_| {}).unwrap();
    tracker.on_fill(fill_at(0, START, true, 9_998.0, 10_000.0, 0), |_| {}).unwrap();
    tracker.on_fill(fill_at(1, START, false, 10_002.0, 10_000.0, 0), |_| {}).unwrap();
    tracker.on_mid(START + 1, 10_005.0, |_| {}).unwrap();
    tracker.finish(START + 11_000 * MILLISECOND, |outcome| found.push(*outcome)).unwrap();
    let at_ten: Vec<&Outcome> = found.iter().filter(|outcome| outcome.horizon == DEFAULT_HORIZON).collect();
    assert_eq!(at_ten.len(), 2);
    let buy = at_ten[0];
    assert!((buy.adverse_selection_bps + 5.0).abs() < 1e-9 && (buy.markout_bps - 5.0).abs() < 1e-9);
    assert!((buy.edge_bps - (2.0 + 5.0 - 0.015)).abs() < 1e-9);
    assert!(!buy.adverse);
    assert!((at_ten[1].edge_bps - (2.0 - 5.0 - 0.015)).abs() < 1e-9);
}

/// Kills: refused input that still moves the tracker, or times accepted backwards.
#[test]
fn bad_input_is_refused_by_name_and_changes_nothing() {
    let mut tracker = MarkoutTracker::default();
    let early = tracker.on_fill(fill_at(0, START, true, 100.0, 100.0, 0), |_| {});
    assert_eq!(early.unwrap_err().detail().field, "mid_price");
    tracker.on_mid(START, 100.0, |_| {}).unwrap();
    assert_eq!(tracker.on_mid(START - 1, 100.0, |_| {}).unwrap_err().detail().field, "time_ns");
    assert_eq!(tracker.on_mid(START + 1, f64::NAN, |_| {}).unwrap_err().detail().field, "mid_price");
    assert_eq!(tracker.on_funding(START, f64::NAN, |_| {}).unwrap_err().detail().field, "payment_per_contract");
    for (mut bad, field) in [
        (fill_at(0, START, true, -1.0, 100.0, 0), "price"),
        (fill_at(0, START, true, 1.0, f64::NAN, 0), "mid_at_placement"),
        (fill_at(0, START, true, 1.0, 100.0, -5), "placed_ns"),
        (fill_at(0, START, true, 1.0, 100.0, 0), "volatility"),
        (fill_at(0, START, true, 1.0, 100.0, 0), "level"),
    ] {
        if field == "volatility" {
            bad.volatility = f64::NAN;
        }
        if field == "level" {
            bad.level = 32;
        }
        assert_eq!(tracker.on_fill(bad, |_| {}).unwrap_err().detail().field, field);
    }
    // Time has not moved on: START is still accepted.
    tracker.on_mid(START, 100.0, |_| {}).unwrap();
    assert_eq!(tracker.finish(START, |_| {}).unwrap(), [0; HORIZON_COUNT]);
}
