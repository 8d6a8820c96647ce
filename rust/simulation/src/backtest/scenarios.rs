//! One scenario from many seeds, on all cores; a row does not depend on which others were asked for.

use hypermm_core::config::EngineConfig;
use hypermm_core::error::Result;
use hypermm_core::instrument::Instrument;
use hypermm_core::types::{Lots, NS_PER_S};
use rayon::prelude::*;

use super::matched::{MatchedOutput, MatchedSettings, run_matched};
use super::quoter::Quoter;
use super::strategy::Strategy;
use crate::market::scenario::{Reach, Scenario};

/// What one seed came to. Positions in contracts, at the venue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScenarioRow {
    /// Seed.
    pub seed: u64,
    /// Largest long position.
    pub max_long: f64,
    /// Largest short position, as a positive number.
    pub max_short: f64,
    /// Largest |position| with every order not known dead filled.
    pub max_with_orders: f64,
    /// Position at the end.
    pub final_position: f64,
    /// Profit with the position at the last mid, USD.
    pub pnl_usd: f64,
    /// Least profit on the way, by seconds, USD.
    pub min_pnl_usd: f64,
    /// Fills.
    pub fills: u64,
    /// Σ price·size, USD.
    pub volume_usd: f64,
    /// Size-weighted distance of the fills from the mid at placement, bps; NaN without fills.
    pub depth_bps: f64,
    /// Size-weighted edge of the fills at 10 s, bps; NaN without fills.
    pub edge_bps: f64,
    /// Share of quote cycles with both sides wanted.
    pub two_sided_share: f64,
    /// Share of the blocks with a position in which an order that reduces it rested at the venue; 1 without a position.
    pub reducing_share: f64,
    /// Share of the quote cycles with a position in which an order that reduces it was wanted; 1 without a position.
    pub reducing_wanted_share: f64,
    /// The profit fell to the loss at which the account would be switched off.
    pub killed: bool,
}

/// Runs one seed.
///
/// # Errors
/// A configuration out of range; books that do not add up.
pub fn run_scenario(
    scenario: &Scenario,
    reach: Reach,
    quoter: Quoter,
    config: &EngineConfig,
    seed: u64,
) -> Result<ScenarioRow> {
    let instrument = scenario.instrument()?;
    let mut strategy = quoter.strategy(&instrument, config)?;
    run_scenario_with(scenario, reach, config, seed, &mut strategy)
}

/// Runs one seed with any strategy.
///
/// # Errors
/// As [`run_scenario`]; whatever the strategy fails with.
pub fn run_scenario_with<S: Strategy>(
    scenario: &Scenario,
    reach: Reach,
    config: &EngineConfig,
    seed: u64,
    strategy: &mut S,
) -> std::result::Result<ScenarioRow, S::Error> {
    let instrument = scenario.instrument()?;
    let settings = settings(scenario, &instrument, seed);
    let mut market = scenario.market(seed, reach)?;
    let output = run_matched(&mut market, &instrument, config, &settings, strategy, &mut |_| {})?;
    Ok(row(scenario, &instrument, seed, &output))
}

/// Runs seeds in parallel, in the order given.
///
/// # Errors
/// As [`run_scenario`].
pub fn run_seeds(
    scenario: &Scenario,
    reach: Reach,
    quoter: Quoter,
    config: &EngineConfig,
    seeds: std::ops::Range<u64>,
) -> Result<Vec<ScenarioRow>> {
    seeds.into_par_iter().map(|seed| run_scenario(scenario, reach, quoter, config, seed)).collect()
}

/// The engine's defaults with the cap of the scenario. The plain ladder has the old bot's cap, and the engine's clip.
///
/// # Errors
/// None that these numbers cause.
pub fn default_config(scenario: &Scenario, quoter: Quoter) -> Result<EngineConfig> {
    let engine = EngineConfig { max_position: scenario.max_position, ..EngineConfig::default() };
    Ok(match quoter {
        Quoter::Engine | Quoter::Silent => engine,
        Quoter::Plain => EngineConfig {
            max_position: scenario.plain_max_position,
            clip: Some(engine.clip_at(&scenario.instrument()?, scenario.start_price())),
            ..engine
        },
    })
}

fn settings(scenario: &Scenario, instrument: &Instrument, seed: u64) -> MatchedSettings {
    MatchedSettings {
        seed,
        duration_ns: (scenario.duration_s * NS_PER_S) as i64,
        ..MatchedSettings::new(instrument, scenario.start_ns, scenario.deposit_usd, scenario.leverage)
    }
}

fn row(scenario: &Scenario, instrument: &Instrument, seed: u64, output: &MatchedOutput) -> ScenarioRow {
    let contracts = |lots: Lots| instrument.lots_to_f64(lots);
    let (summary, watch) = (&output.backtest.summary, &output.watch);
    let min_pnl_usd = output.backtest.equity.profit_usd.iter().copied().fold(0.0, f64::min);
    ScenarioRow {
        seed,
        max_long: contracts(watch.max_long),
        max_short: -contracts(watch.max_short),
        max_with_orders: contracts(watch.max_long_with_orders).max(-contracts(watch.max_short_with_orders)),
        final_position: summary.final_position,
        pnl_usd: summary.pnl_usd,
        min_pnl_usd,
        fills: summary.fills,
        volume_usd: summary.volume_usd,
        depth_bps: {
            let fills = &output.backtest.fills;
            let weighted: f64 = fills.depth_bps.iter().zip(&fills.size).map(|(depth, size)| depth * size).sum();
            weighted / fills.size.iter().sum::<f64>()
        },
        edge_bps: summary.edge_bps.unwrap_or(f64::NAN),
        two_sided_share: summary.two_sided_share,
        reducing_share: watch.reducing_share(),
        reducing_wanted_share: watch.reducing_wanted_share(),
        killed: min_pnl_usd <= -scenario.daily_loss_limit_usd,
    }
}
