//! The gap between paper and live: one strategy with true queues at the matching venue, and on the public feed of the
//! same market at the recorded one, under several fill models.
//!
//! Which feed. A trader's recording is made without his orders, and live they are there. The synthetic market's draws
//! do not depend on us, so "the same public feed" can be had in two ways, and both are offered:
//!
//! - [`PublicFeed::OursLeftOut`]: what the live run published, with our orders taken out of every level and every best
//!   price, and the prints that met them left in. Price path and tape are those of the live run to the last lot, and
//!   what is left between the arms is fills alone: this is what fill models are fitted on.
//! - [`PublicFeed::WithoutUs`]: the market of the same seed in which we never traded, as a recording is. The difference
//!   to the other is our own impact, which no fill model knows.
//!
//! [`PublicFeed::Published`] keeps our orders in: a paper order then stands behind its live twin.
//!
//! Every arm has the engine's own configuration, the same account and the same block clock, and by the key of the draws
//! the same delays message by message as long as both send the same.

use hypermm_core::accounting::ledger::{MICROS, Micros};
use hypermm_core::config::EngineConfig;
use hypermm_core::engine::QuoteEngine;
use hypermm_core::error::Result;
use hypermm_core::outcomes::markout::{DEFAULT_HORIZON, HORIZONS_NS};
use hypermm_core::types::{BPS, TimestampNs};
use rayon::prelude::*;

use super::matched::MatchedSettings;
use super::output::{BacktestOutput, FillColumns};
use super::replay::{BacktestSettings, run_timed};
use super::sessions::{run_session, session_settings};
use super::silent::Silent;
use crate::market::preset::MarketPreset;
use crate::market::session::Session;
use crate::venue::fill_models::FillSettings;
use crate::venue::latency::Latency;

/// Which public feed a paper arm is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PublicFeed {
    /// That of the live run, our orders taken out.
    OursLeftOut,
    /// That of the live run as published.
    Published,
    /// That of the same seed in which we did not trade.
    WithoutUs,
}

/// A paper arm.
#[derive(Clone, Debug, PartialEq)]
pub struct PaperArm {
    /// What it is played.
    pub feed: PublicFeed,
    /// What fills its orders.
    pub fill_model: FillSettings,
    /// A constant latency; `None` is the live venue's blocks and delays.
    pub latency: Option<Latency>,
}

/// What is run.
#[derive(Clone, Debug, PartialEq)]
pub struct GapSettings {
    /// The market.
    pub preset: MarketPreset,
    /// The engine.
    pub config: EngineConfig,
    /// Length of a seed's session, s.
    pub duration_s: f64,
    /// Least time between quotes, ns.
    pub cycle_ns: i64,
    /// Paper arms.
    pub arms: Vec<PaperArm>,
}

/// What one arm of one seed came to. Sums over fills whose 10 s are over, so that means over seeds can be made of them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GapRow {
    /// Seed.
    pub seed: u64,
    /// 0 is live, then the paper arms in the order given.
    pub arm: u32,
    /// Fills.
    pub fills: u64,
    /// Fills whose 10 s are over.
    pub resolved: u64,
    /// Traded by those, USD.
    pub volume_usd: f64,
    /// Σ edge at 10 s after fees, bps.
    pub edge_sum_bps: f64,
    /// Σ edge · USD traded.
    pub edge_volume: f64,
    /// Σ markout at 10 s, bps.
    pub markout_sum_bps: f64,
    /// Σ markout · USD traded.
    pub markout_volume: f64,
    /// Σ depth at placement, bps.
    pub depth_sum_bps: f64,
    /// Σ age of the order, s.
    pub age_sum_s: f64,
    /// Fills of orders whose cancel was on its way.
    pub races: u64,
    /// Orders sent.
    pub orders_placed: u64,
    /// Orders refused.
    pub orders_rejected: u64,
    /// Profit, USD.
    pub pnl_usd: f64,
}

/// Runs every arm of one seed.
///
/// # Errors
/// Settings out of range; books that do not add up.
pub fn run_gap(settings: &GapSettings, seed: u64) -> Result<Vec<GapRow>> {
    let mut matched = session_settings(&settings.preset, seed, settings.duration_s)?;
    matched.cycle_ns = settings.cycle_ns;
    // The account holds the value of the cap: paper has no margin that could limit it.
    let worth_usd = settings.config.max_position * settings.preset.parameters.start_price;
    matched.deposit = matched.deposit.max((worth_usd * MICROS) as Micros);
    let end_ns = matched.blocks.clock.start_ns + matched.duration_ns;
    // Every fill is valued by prices without our own orders: live, they would stand in the mid.
    let (live, ours_left_out) = run_live(settings, &matched, true)?;
    let mids = Mids::of(&ours_left_out, end_ns);
    let mut rows = vec![row(seed, 0, &live, &mids)];
    for feed in [PublicFeed::OursLeftOut, PublicFeed::Published, PublicFeed::WithoutUs] {
        let mut arms = settings.arms.iter().zip(1..).filter(|(arm, _)| arm.feed == feed).peekable();
        if arms.peek().is_none() {
            continue;
        }
        let other = match feed {
            PublicFeed::OursLeftOut => None,
            PublicFeed::Published => Some(run_live(settings, &matched, false)?.1),
            PublicFeed::WithoutUs => {
                Some(run_session(&settings.preset, &settings.config, &matched, &mut Silent, &mut |_| {})?.session)
            }
        };
        let session = other.as_ref().unwrap_or(&ours_left_out);
        let without_us = (feed == PublicFeed::WithoutUs).then(|| Mids::of(session, end_ns));
        for (arm, number) in arms {
            let output = run_paper(settings, &matched, arm, session)?;
            rows.push(row(seed, number, &output, without_us.as_ref().unwrap_or(&mids)));
        }
    }
    rows.sort_by_key(|row| row.arm);
    Ok(rows)
}

/// Runs seeds in parallel; rows by seed and arm. A row depends on its seed and arm alone.
///
/// # Errors
/// As [`run_gap`].
pub fn run_gaps(settings: &GapSettings, seeds: std::ops::Range<u64>) -> Result<Vec<GapRow>> {
    let rows: Result<Vec<_>> = seeds.into_par_iter().map(|seed| run_gap(settings, seed)).collect();
    Ok(rows?.into_iter().flatten().collect())
}

fn run_live(
    settings: &GapSettings,
    matched: &MatchedSettings,
    leaves_out_ours: bool,
) -> Result<(BacktestOutput, Session)> {
    let mut matched = matched.clone();
    matched.feed.leaves_out_ours = leaves_out_ours;
    let mut engine = QuoteEngine::new(settings.preset.instrument()?, settings.config.clone())?;
    let output = run_session(&settings.preset, &settings.config, &matched, &mut engine, &mut |_| {})?;
    Ok((output.backtest, output.session))
}

fn run_paper(
    settings: &GapSettings,
    matched: &MatchedSettings,
    arm: &PaperArm,
    session: &Session,
) -> Result<BacktestOutput> {
    let instrument = settings.preset.instrument()?;
    let mut engine = QuoteEngine::new(instrument.clone(), settings.config.clone())?;
    let backtest = BacktestSettings {
        seed: matched.seed,
        fill_model: arm.fill_model,
        cycle_ns: matched.cycle_ns,
        latency: arm.latency.unwrap_or_default(),
        ..BacktestSettings::default()
    };
    let blocks = arm.latency.is_none().then_some(&matched.blocks);
    run_timed(&session.columns(), &instrument, &settings.config, &backtest, blocks, &mut engine, &mut |_| {})
}

fn row(seed: u64, arm: u32, output: &BacktestOutput, mids: &Mids) -> GapRow {
    let (fills, summary) = (&output.fills, &output.summary);
    let mut row = GapRow {
        seed,
        arm,
        fills: fills.len() as u64,
        orders_placed: summary.orders_placed,
        orders_rejected: summary.orders_rejected,
        pnl_usd: summary.pnl_usd,
        races: fills.is_cancel_race.iter().filter(|race| **race).count() as u64,
        ..GapRow::default()
    };
    for place in 0..fills.len() {
        add(&mut row, fills, place, mids);
    }
    row
}

fn add(row: &mut GapRow, fills: &FillColumns, place: usize, mids: &Mids) {
    let time_ns = fills.time_ns[place];
    let (Some(mid), Some(later)) = (mids.at(time_ns), mids.at(time_ns + HORIZONS_NS[DEFAULT_HORIZON])) else { return };
    let sign = BPS * f64::from(fills.side[place]) / fills.mid_at_placement[place];
    let volume_usd = fills.price[place] * fills.size[place];
    let edge_bps = sign * (later - fills.price[place]) - BPS * fills.fee_usd[place] / volume_usd;
    let markout_bps = sign * (later - mid);
    row.resolved += 1;
    row.volume_usd += volume_usd;
    row.edge_sum_bps += edge_bps;
    row.edge_volume += edge_bps * volume_usd;
    row.markout_sum_bps += markout_bps;
    row.markout_volume += markout_bps * volume_usd;
    row.depth_sum_bps += fills.depth_bps[place];
    row.age_sum_s += fills.age_s[place];
}

/// Mids of a public feed on our clock, the same for all arms that are played it.
struct Mids {
    time_ns: Vec<TimestampNs>,
    mid: Vec<f64>,
    end_ns: TimestampNs,
}

impl Mids {
    fn of(session: &Session, end_ns: TimestampNs) -> Self {
        let sides = session.best_bid_price.iter().zip(&session.best_ask_price);
        let rows = session.best_time_ns.iter().zip(sides).map(|(time_ns, (bid, ask))| (*time_ns, 0.5 * (bid + ask)));
        let (time_ns, mid) = rows.filter(|(_, mid)| mid.is_finite()).unzip();
        Self { time_ns, mid, end_ns }
    }

    /// The mid in force; `None` before the first and after the end.
    fn at(&self, time_ns: TimestampNs) -> Option<f64> {
        let rows = self.time_ns.partition_point(|row_ns| *row_ns <= time_ns);
        let known = (time_ns <= self.end_ns).then_some(&self.mid)?;
        rows.checked_sub(1).and_then(|row| known.get(row).copied())
    }
}
