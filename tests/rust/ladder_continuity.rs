//! The ladder as the model has it, before clamp, grid, merging, lots, minimum and cap, when a request has a price.

use hypermm_core::config::{EngineConfig, MAX_LEVELS};
use hypermm_core::engine::QuoteEngine;
use hypermm_core::instrument::Instrument;
use hypermm_core::pricing::decision::Decision;
use hypermm_core::pricing::ladder::LadderCurve;
use hypermm_core::types::Side;

const NOW_NS: i64 = 1_757_015_216_000_000_000;
const MID: f64 = 0.001;
const CLIPS: f64 = 20.0;
const STEPS: i32 = 10_000;
const SIDES: [Side; 2] = [Side::Buy, Side::Sell];

/// Half the quota gone: a request costs what the venue sells it for, or nothing.
fn engine(clip_usd: f64, request_price_usd: f64) -> QuoteEngine {
    let config = EngineConfig {
        max_position: CLIPS * clip_usd / MID,
        clip: Some(clip_usd / MID),
        volatility: 1.0,
        arrival_rate: 0.2,
        depth_decay: 0.4,
        levels: 11,
        risk_aversion: 0.3,
        level_spacing_bps: 2.0,
        level_growth: 1.1,
        request_price_usd,
        ..EngineConfig::default()
    };
    let mut engine = QuoteEngine::new(Instrument::new("TEST", 0, 10, 10.0, 3600.0).unwrap(), config).unwrap();
    engine.on_book(NOW_NS, &[MID - 1e-6], &[1e6], &[MID + 1e-6], &[1e6]).unwrap();
    engine.on_quota(NOW_NS, 5_000.0, 10_000.0).unwrap();
    engine
}

/// Both curves at every position from −q_max to q_max, the position in clips before them.
fn sweep(engine: &mut QuoteEngine) -> Vec<(f64, [LadderCurve; 2])> {
    let cap = engine.config().max_position;
    let clip = engine.clip().unwrap();
    (0..=STEPS)
        .map(|step| {
            let position = (cap * (2.0 * f64::from(step) / f64::from(STEPS) - 1.0)).round();
            engine.on_position(NOW_NS, position, None).unwrap();
            (position / clip, SIDES.map(|side| engine.ladder_curve(NOW_NS, side).unwrap().unwrap()))
        })
        .collect()
}

/// Prices in bps, cumulative curve and sizes in clips of one side, level by level.
fn columns(curve: &LadderCurve, clip: f64) -> [[f64; MAX_LEVELS]; 3] {
    let mut sizes = [0.0; MAX_LEVELS];
    let mut before = 0.0;
    for (size, total) in sizes.iter_mut().zip(&curve.cumulative_sizes[..curve.len]) {
        *size = (total - before) / clip;
        before = *total;
    }
    [curve.offsets_bps, curve.cumulative_sizes.map(|total| total / clip), sizes]
}

/// u_i by its definition: 0 at the first level, 1 where the order adds, what does not close where it reduces.
fn weight(side: Side, clips_held: f64, level: usize) -> f64 {
    let reduces = side.sign() * clips_held < 0.0;
    let reach = (level + 1) as f64;
    match level {
        0 => 0.0,
        _ if reduces => (reach - clips_held.abs()).max(0.0) / reach,
        _ => 1.0,
    }
}

// Kills: a request term switched on or off where the position changes sign, a gate on headroom or probability.
#[test]
fn nothing_jumps_as_inventory_sweeps_the_range_while_requests_cost() {
    for clip_usd in [11.0, 20.0, 50.0] {
        let curves = sweep(&mut engine(clip_usd, 5e-4));
        let clip = clip_usd / MID;
        assert_eq!(curves[0].1[0].len, 6);
        for (place, side) in SIDES.into_iter().enumerate() {
            let rows: Vec<_> = curves.iter().map(|(_, pair)| columns(&pair[place], clip)).collect();
            let largest = |kind: usize, every: usize| {
                let kept: Vec<_> = rows.iter().step_by(every).collect();
                let steps =
                    kept.windows(2).flat_map(|pair| (0..6).map(move |i| (pair[1][kind][i] - pair[0][kind][i]).abs()));
                steps.fold(0.0, f64::max)
            };
            for (kind, name) in ["price, bps", "cumulative, clips", "size, clips"].into_iter().enumerate() {
                let (fine, coarse) = (largest(kind, 1), largest(kind, 10));
                println!(
                    "{clip_usd} USD a clip, {side:?}: largest step of {name}: {fine:.2e}, tenfold step {coarse:.2e}"
                );
                assert!(fine > 0.0 && fine <= 0.12 * coarse, "{name}: {fine} against {coarse}");
            }
        }
    }
}

// Kills: u_i = 1 on both sides, u_i = 0 on both, u_i of the wrong side or level, the request term dropped or of the wrong size.
#[test]
fn a_request_takes_from_the_margin_what_it_costs_and_nothing_from_orders_that_only_close() {
    for (clip_usd, price_usd) in [(11.0, 5e-5), (20.0, 5e-5), (20.0, 2e-4), (50.0, 2e-4)] {
        let mut paying = engine(clip_usd, price_usd);
        let (costly, free) = (sweep(&mut paying), sweep(&mut engine(clip_usd, 0.0)));
        let cap = paying.config().max_position;
        // R is a(x + βx³); a from the penalty the engine shows at the cap, where the sweep ended.
        let mut decision = Decision::default();
        paying.quote(NOW_NS, &mut decision).unwrap();
        let curvature = paying.config().inventory_curvature;
        let slope = decision.terms.inventory / (1.0 + curvature);
        let penalty = |x: f64| slope * (x + curvature * x * x * x);
        let (mut adding, mut partly, mut closing, mut worst) = (0, 0, 0, 0.0_f64);
        for ((clips_held, with), (_, without)) in costly.iter().zip(&free) {
            for (place, side) in SIDES.into_iter().enumerate() {
                let (with, without) = (&with[place], &without[place]);
                assert_eq!(with.offsets_bps, without.offsets_bps);
                for level in 0..with.len {
                    let share = weight(side, *clips_held, level);
                    let bound = (level + 1) as f64 * clip_usd / MID;
                    let totals = [with.cumulative_sizes, without.cumulative_sizes].map(|sizes| sizes[level]);
                    let before = [with.cumulative_sizes, without.cumulative_sizes]
                        .map(|sizes| if level == 0 { 0.0 } else { sizes[level - 1] });
                    assert!(totals[0] <= totals[1]);
                    // Levels before this one only close too.
                    if share == 0.0 {
                        assert_eq!(totals[0], totals[1]);
                        closing += usize::from(totals[0] > 0.0);
                        continue;
                    }
                    // Only where the margin itself set both sizes can it be read back.
                    if (0..2).any(|k| totals[k] >= bound || totals[k] <= before[k]) {
                        continue;
                    }
                    let held = side.sign() * clips_held / CLIPS;
                    let reached = totals.map(|total| held + total / cap);
                    if reached.iter().any(|x| x.abs() >= 1.0) {
                        continue;
                    }
                    let unpaid = (1.0 / (with.fill_probability[level] * clip_usd) - 1.0).max(0.0);
                    let expected = price_usd * 1e4 * unpaid * share;
                    let found = penalty(reached[1]) - penalty(reached[0]);
                    worst = worst.max((found - expected).abs() / (1.0 + expected));
                    if unpaid > 0.0 {
                        *(if share == 1.0 { &mut adding } else { &mut partly }) += 1;
                    }
                }
            }
        }
        println!("{clip_usd} USD a clip: {adding} adding, {partly} partly, {closing} only closing, worst {worst:.1e}");
        assert!(worst < 1e-9);
        assert!(adding > 100 && partly > 100 && closing > 100);
    }
}
