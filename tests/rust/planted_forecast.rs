//! What a forecast of known worth buys on Feb 19, through the whole way a calibrated feature takes: another market's price, the basis
//! to it, the fusion, the filter.
//!
//! κ_μ, P∞ and the memory of the noise are chosen as section 8 says, by the log-score on seeds that nothing is judged on. What the choice
//! is worth, and why the score must not count the drift's own variance twice: with σ of returns of 10 s in v(h) it chose κ_μ 0.04 and 3 s
//! of memory, with which the largest long was 2.28 (2.2 is the bar); without the drift's share in σ, κ_μ 0.2 and fresh noise.

use std::sync::Arc;

use hypermm_core::calibration::{CalibratedFeature, Calibration};
use hypermm_core::config::EngineConfig;
use hypermm_core::engine::QuoteEngine;
use hypermm_core::error::{Error, Result};
use hypermm_core::estimators::drift::{DriftFilter, expected_time};
use hypermm_core::estimators::fusion::FeatureFusion;
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
const SEEDS: u64 = 400;
const TRAINING: std::ops::Range<u64> = 10_000..10_100;

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

/// The engine, told where the planted market stands: its own mid moved by the forecast. It hears so just before the book that makes
/// this mid: a reference that is older than the mid would tell every move of the mid since as a forecast that it comes back.
struct Foresighted {
    engine: QuoteEngine,
    forecast: Option<Forecast>,
    watched_ns: Option<TimestampNs>,
    drift_then: Option<f64>,
}

fn mid_of(event: &MarketEvent<'_>) -> Option<f64> {
    match event {
        MarketEvent::Book { bid_prices, ask_prices, .. } => Some(0.5 * (bid_prices.first()? + ask_prices.first()?)),
        MarketEvent::Best { bid, ask, .. } => Some(0.5 * (bid.as_ref()?.0 + ask.as_ref()?.0)),
        _ => None,
    }
}

impl Strategy for Foresighted {
    type Error = Error;

    fn on_event(&mut self, time_ns: TimestampNs, event: &MarketEvent<'_>) -> Result<()> {
        if let Some(watched_ns) = self.watched_ns.filter(|watched_ns| time_ns >= *watched_ns) {
            self.drift_then = Some(self.engine.model().drift().at(watched_ns).0);
            self.watched_ns = None;
        }
        if let (Some(forecast), Some(mid)) = (&self.forecast, mid_of(event)) {
            self.engine.on_reference(time_ns, MARKET, mid * (forecast.at(time_ns) / 1e4).exp())?;
        }
        self.engine.handle(time_ns, event)
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

/// κ_μ, 1/s, and τ_e, s, that section 8 would try; P∞ is the least that explains the forecast, and more.
const KAPPAS: [f64; 8] = [0.01, 0.02, 0.03, 0.04, 0.05, 0.07, 0.1, 0.2];
const MEMORIES: [f64; 7] = [0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 10.0];
const SPREADS: [f64; 3] = [1.0, 1.5, 2.5];
const PRICE_EVERY: i64 = 10;
/// The engine has its volatility and the filter its P by then.
const SETTLED: i64 = 60;

#[derive(Clone, Copy, Debug)]
struct Numbers {
    kappa: f64,
    memory_s: f64,
    stationary: f64,
    gain: f64,
}

impl Numbers {
    /// a = α/T, V = Var(a·f), K = V/P∞, for slope 1.
    fn new(kappa: f64, memory_s: f64, spread: f64, forecast_square: f64) -> Self {
        let time_s = expected_time(kappa, 10.0);
        let explained = forecast_square / (time_s * time_s);
        let stationary = explained / 0.9 * spread;
        Self { kappa, memory_s, stationary, gain: explained / stationary }
    }

    fn slope(&self) -> f64 {
        1.0 / expected_time(self.kappa, 10.0) / self.gain
    }

    fn noise(&self) -> f64 {
        self.stationary * (1.0 - self.gain) / self.gain
    }

    /// σ without what the drift itself adds to returns of 10 s, which v(h) counts for itself, bps/√s.
    fn diffusion(&self, volatility: f64) -> f64 {
        let x = self.kappa * 10.0;
        let of_drift = 2.0 * self.stationary / (self.kappa * self.kappa) * (x - 1.0 + (-x).exp());
        (volatility * volatility - of_drift / 10.0).max(0.05 * volatility * volatility).sqrt()
    }

    /// Mean Gaussian log-score of the displacement over 10 s and 30 s, forecast and price in.
    fn score(&self, scenario: &Scenario, forecasts: &[Forecast], volatility: f64) -> f64 {
        let diffusion = self.diffusion(volatility);
        let (mut total, mut count) = (0.0, 0.0);
        for forecast in forecasts {
            let mut filter = DriftFilter::new(self.kappa, self.stationary.sqrt()).unwrap();
            let mut fusion = FeatureFusion::default();
            let mut sampled = 0;
            for step in 0..2 * (scenario.duration_s as i64 - 31) {
                let time_ns = |step: i64| scenario.start_ns + step * SPACING_NS;
                let moved = |from: i64, to: i64| {
                    (forecast.path.price(time_ns(to)) / forecast.path.price(time_ns(from))).ln() * 1e4
                };
                let now_ns = time_ns(step);
                if step - sampled == PRICE_EVERY {
                    filter.observe(now_ns, moved(sampled, step) / 5.0, volatility * volatility / 5.0, "price").unwrap();
                    sampled = step;
                }
                filter.predict(now_ns).unwrap();
                let drift = self.slope() * forecast.at(now_ns);
                let fused = fusion.fuse(&filter, now_ns, &[drift], &[self.noise()], &[self.memory_s]).unwrap();
                let (drift, noise) = fused.unwrap();
                filter.observe(now_ns, drift, noise, "planted").unwrap();
                if step < SETTLED {
                    continue;
                }
                for (horizon_s, steps) in [(10.0, 20), (30.0, 60)] {
                    let spread = filter.displacement_variance(horizon_s, diffusion);
                    let error = moved(step, step + steps) - filter.displacement(horizon_s);
                    total -= 0.25 * ((std::f64::consts::TAU * spread).ln() + error * error / spread);
                }
                count += 1.0;
            }
        }
        total / count
    }
}

/// Section 8's numbers, by the log-score on seeds that nothing is judged on.
fn fitted(scenario: &Scenario, explained: f64) -> Numbers {
    let square = mean_square(scenario);
    let volatility = (square / 10.0).sqrt();
    let forecasts: Vec<_> = TRAINING.map(|seed| Forecast::new(scenario, seed, explained)).collect();
    let candidates: Vec<_> = KAPPAS
        .iter()
        .flat_map(|kappa| {
            MEMORIES.iter().flat_map(|memory_s| SPREADS.iter().map(|spread| (*kappa, *memory_s, *spread)))
        })
        .map(|(kappa, memory_s, spread)| Numbers::new(kappa, memory_s, spread, explained * square))
        .collect();
    let scores: Vec<_> = candidates.par_iter().map(|it| it.score(scenario, &forecasts, volatility)).collect();
    let best = (0..scores.len()).max_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap();
    println!("{}, R² {explained}: fitted {:?}, log-score {:.4}", scenario.name, candidates[best], scores[best]);
    candidates[best]
}

fn calibration(scenario: &Scenario, explained: f64) -> Calibration {
    let numbers = fitted(scenario, explained);
    let feature = CalibratedFeature {
        feature: FeatureId::Basis,
        // The basis is our mid over theirs: it falls as the forecast rises.
        slope: -numbers.slope(),
        gain: numbers.gain,
        noise_memory_s: numbers.memory_s,
        mean_evidence: None,
    };
    Calibration {
        features: vec![feature],
        covariance: vec![numbers.noise()],
        cycle_s: 0.5,
        pipeline: FeatureConfig { basis_market: Some(MARKET.into()), ..FeatureConfig::default() },
        ..Calibration::of_drift(numbers.kappa, numbers.stationary)
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
#[ignore = "minutes"]
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
#[ignore = "minutes"]
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
