//! Laws of the breakdown of outcomes. The oracle keeps every outcome and goes through them group by group.

use hypermm_core::config::MAX_LEVELS;
use hypermm_core::features::volatility::Volatility;
use hypermm_core::online::second_grid::SecondGrid;
use hypermm_core::outcomes::breakdown::{Breakdown, Group};
use hypermm_core::outcomes::markout::{HORIZON_COUNT, Outcome, TrackedFill};
use hypermm_core::types::{Regime, Side};
use proptest::prelude::*;

const START: i64 = 1_757_000_000_000_000_000;

prop_compose! {
    fn some_outcome()(
        (buy, level, race, adverse) in (any::<bool>(), 0_u8..32, any::<bool>(), any::<bool>()),
        regime in 0_usize..4, horizon in 0..HORIZON_COUNT,
        // The ends of the classes, to the nanosecond on both sides, are the cases that matter.
        age_ns in prop_oneof![
            prop::sample::select(vec![0, 499_999_999, 500_000_000, 1_999_999_999, 2_000_000_000, 9_999_999_999,
                10_000_000_000, 59_999_999_999, 60_000_000_000_i64]),
            0_i64..100_000_000_000],
        (price, size) in (1.0_f64..1e5, 1e-3_f64..10.0),
        (depth, edge, markout, adverse_selection) in (-5.0_f64..20.0, -50.0_f64..50.0, -50.0_f64..50.0, -50.0_f64..50.0),
    ) -> Outcome {
        let side = if buy { Side::Buy } else { Side::Sell };
        let fill = TrackedFill {
            sequence: 0, time_ns: START + age_ns, placed_ns: START, side, price, size,
            mid_at_placement: price / (1.0 - if buy { 1.0 } else { -1.0 } * depth * 1e-4),
            fee_per_contract: 0.0, volatility: 1.0, level, regime: Regime::ALL[regime], is_cancel_race: race,
        };
        Outcome {
            fill, horizon, mid: price, adverse_selection_bps: adverse_selection, fee_bps: 0.0, funding_bps: 0.0,
            edge_bps: edge, markout_bps: markout, adverse,
        }
    }
}

fn belongs(fill: &TrackedFill, kind: &str, name: &str) -> bool {
    let age_ns = fill.time_ns - fill.placed_ns;
    match (kind, name) {
        ("all", "all") => true,
        ("side", _) => (fill.side == Side::Buy) == (name == "buy"),
        ("level", _) => fill.level.to_string() == name,
        ("age", "<0.5s") => age_ns < 500_000_000,
        ("age", "0.5-2s") => (500_000_000..2_000_000_000).contains(&age_ns),
        ("age", "2-10s") => (2_000_000_000..10_000_000_000).contains(&age_ns),
        ("age", "10-60s") => (10_000_000_000..60_000_000_000).contains(&age_ns),
        ("age", ">=60s") => age_ns >= 60_000_000_000,
        ("regime", _) => format!("{:?}", fill.regime).to_lowercase() == name,
        ("cancel_race", _) => fill.is_cancel_race == (name == "yes"),
        _ => panic!("no group {kind} {name}"),
    }
}

fn close(left: f64, right: f64) -> bool {
    (left - right).abs() <= 1e-9 * (1.0 + right.abs())
}

proptest! {
    /// Kills: a group or horizon mixed up with its neighbor, < for ≤ at an age's end, count for size as weight, size
    /// for count in the adverse share, the error of an unweighted mean, an error of one fill.
    #[test]
    fn every_cell_is_the_weighted_mean_of_its_outcomes(outcomes in prop::collection::vec(some_outcome(), 0..150)) {
        let mut breakdown = Breakdown::default();
        outcomes.iter().for_each(|outcome| breakdown.on_outcome(outcome));
        prop_assert_eq!(Group::every().count(), 1 + 2 + MAX_LEVELS + 5 + 4 + 2);
        for group in Group::every() {
            for horizon in 0..HORIZON_COUNT {
                let name = group.name();
                let mine: Vec<&Outcome> =
                    outcomes.iter().filter(|o| o.horizon == horizon && belongs(&o.fill, group.kind(), &name)).collect();
                let Some(cell) = breakdown.cell(group, horizon) else {
                    prop_assert!(mine.is_empty());
                    continue;
                };
                let size: f64 = mine.iter().map(|o| o.fill.size).sum();
                let mean = |value: fn(&Outcome) -> f64| mine.iter().map(|o| o.fill.size / size * value(o)).sum::<f64>();
                let error = |value: fn(&Outcome) -> f64| {
                    let center = mean(value);
                    mine.iter().map(|o| (o.fill.size / size * (value(o) - center)).powi(2)).sum::<f64>().sqrt()
                };
                prop_assert_eq!(cell.fills, mine.len() as u64);
                prop_assert!(close(cell.volume, mine.iter().map(|o| o.fill.price * o.fill.size).sum()));
                prop_assert!(close(cell.depth_bps, mean(|o| o.fill.depth_bps())));
                prop_assert!(close(cell.adverse_selection_bps, mean(|o| o.adverse_selection_bps)));
                prop_assert!(close(cell.edge_bps, mean(|o| o.edge_bps)));
                prop_assert!(close(cell.markout_bps, mean(|o| o.markout_bps)));
                prop_assert!(close(cell.adverse_share * mine.len() as f64, mine.iter().filter(|o| o.adverse).count() as f64));
                prop_assert_eq!(cell.edge_error_bps.is_some(), mine.len() > 1);
                if let (Some(edge), Some(markout)) = (cell.edge_error_bps, cell.markout_error_bps) {
                    // The running sums cancel: an error far below the values keeps half of their digits.
                    prop_assert!((edge - error(|o| o.edge_bps)).abs() < 1e-5, "{} {}", edge, error(|o| o.edge_bps));
                    prop_assert!((markout - error(|o| o.markout_bps)).abs() < 1e-5);
                }
            }
        }
        prop_assert_eq!(breakdown.cell(Group::All, HORIZON_COUNT), None);
        prop_assert_eq!(breakdown.cell(Group::Level(MAX_LEVELS), 0).is_some(), false);
    }
}

/// Kills: a threshold of the regimes moved, the ratio upside down, the slow σ in its place. Oracle: alternating moves of
/// one size, then of another; the ratio follows from the two exponential windows.
#[test]
fn regimes_follow_the_ratio_of_short_to_long_volatility() {
    let mut seen = [0; 4];
    for step in 0..=120 {
        let factor = 0.02 * 1.06_f64.powi(step);
        let (mut grid, mut volatility, mut log_mid) = (SecondGrid::default(), Volatility::new(2.0), 0.0_f64);
        for second in 0..3_030_i64 {
            let size = if second < 3_000 { 2.0e-4 } else { 2.0e-4 * factor };
            log_mid += if second % 10 < 5 { size } else { -size };
            grid.push(4_000.0 * log_mid.exp());
            volatility.update(&grid);
        }
        // After 30 s of a new level f: σ₃₀² = 1 + (f² − 1)(1 − 1/e), σ₃₀₀² = 1 + (f² − 1)(1 − e^(−1/10)).
        let gain = factor * factor - 1.0;
        let expected = ((1.0 + gain * (1.0 - (-1.0_f64).exp())) / (1.0 + gain * (1.0 - (-0.1_f64).exp()))).sqrt();
        let ratio = volatility.short_term() / volatility.long_term();
        assert!((ratio - expected).abs() < 0.12 * expected, "factor {factor}: {ratio} {expected}");
        let regime = volatility.regime();
        seen[regime.index()] += 1;
        let by_bounds = [0.7, 1.3, 1.8].iter().filter(|bound| ratio >= **bound).count();
        assert_eq!(regime, Regime::ALL[by_bounds], "ratio {ratio}");
    }
    println!("regimes over 121 steps of volatility: {seen:?}");
    assert!(seen.iter().all(|count| *count > 3));
}
