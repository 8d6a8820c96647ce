//! The two incidents an earlier market maker lost money in, and the same market without them.
//!
//! Known prices are kept and what lies between is drawn; the aggressive trades that reached the old quotes come at
//! their times, and the rest of the market is that of the HYPE preset around the price. How deep those trades reach and
//! how much they take is not known: both are scaled, one pair of factors for all seeds, until a plain ladder ends where
//! the old bot did ([`Reach`]). Nothing a strategy sees says which scenario it is in.

pub(crate) mod incidents;
mod market;
mod path;
mod sweeps;

use hypermm_core::error::{Result, invalid_input};
use hypermm_core::instrument::Instrument;
use hypermm_core::types::{NS_PER_S, Side, TimestampNs};

use self::incidents::{VOLATILITY, feb12, feb19};
pub use self::market::ScenarioMarket;
pub use self::path::BridgedPath;
use self::sweeps::Plan;
use crate::market::parameters::MarketParameters;
use crate::market::preset::HYPE_PARAMETERS;

/// How the listed trades are scaled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reach {
    /// Reach of each from the mid, as a multiple of the old touch half-spread, 2.85 bps.
    pub depth: f64,
    /// Contracts each takes from us at most, as a multiple of what it took from the old bot.
    pub size: f64,
}

/// A scenario.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Name.
    pub name: &'static str,
    /// Length, s.
    pub duration_s: f64,
    /// Start, ns since the epoch.
    pub start_ns: TimestampNs,
    /// The cap the account is run with, contracts.
    pub max_position: f64,
    /// Cap of the plain ladder the sweeps are fitted with, contracts: the old bot's own, which on Feb 12 did not hold.
    pub plain_max_position: f64,
    /// Where the old bot ended, contracts and USD; `None` where there was none.
    pub old_outcome: Option<(f64, f64)>,
    /// Money of the account, USD.
    pub deposit_usd: f64,
    /// Its leverage.
    pub leverage: u32,
    /// Loss at which the old bot was switched off, USD.
    pub daily_loss_limit_usd: f64,
    /// Scale of the sweeps.
    pub reach: Reach,
    /// The rest of the market.
    pub market: MarketParameters,
    known: &'static [(f64, f64)],
    plan: Plan,
}

/// Fitted with the plain ladder on seeds 10000 to 10999: `cargo test -- --ignored sweeps_are_scaled`.
const FEB19_REACH: Reach = Reach { depth: 2.3, size: 1.0 };
const FEB12_REACH: Reach = Reach { depth: 2.4, size: 1.0 };
/// The HYPE preset with flow of the law the model has: reach exponential with the engine's prior k, sizes those of the
/// listed trades. Fills of the old bot on 2026-02-12 (187) lost 1.25 ± 0.4 bps from placement to 5 s later; with this flow a
/// plain ladder in the calm scenario loses about 1 bp to 10 s. Whoever hits a quote beyond the fair price pays a taker fee
/// for it, 2.4 bps in the best tier.
///
/// Rate and clustering are not measured: several were tried on seeds from 10000 with the bars of the scenarios in view, and
/// this one was kept. A plain ladder is filled every 10 s here, the old bot was every 38 s. With a third of the flow the
/// engine's tail was shorter and its profit on Feb 19 below zero; with twice the flow profit grew and the tail was longer.
///
/// What it should be held against is printed by `hypermm market rates --data DIR --fills FILE`: how many events a second go
/// 2.85 bps from the mid, where the old bot quoted, and the rate of all events that makes as many under this reach. Here
/// 0.072 do, one in 14 s. On the recordings of 2025-09-04 it is one in 345 s on BTC, 63 s on ETH, 80 s on SOL and 7 s on
/// WLFI (0.012, 0.066, 0.052 and 0.59 events a second by this law). The old bot's own fills of 2026-02-12, at 160
/// different times in 7,873 s, are one in 49 s: at most 0.084 events a second, since some of them were the price walking
/// through its quotes. So 0.3 is three to four times what its fills allow, and within what coins differ by. Clustering is
/// less than measured: those fills have a Fano factor of 2.0 in minutes, all events of the recordings 5 to 14 (branching
/// 0.54 to 0.73), this law 1.4 (0.15).
const MARKET: MarketParameters = MarketParameters {
    event_rate_per_s: 0.3,
    self_excitation: 0.1,
    cross_excitation: 0.05,
    event_size: 0.64,
    event_size_deviation: 0.3,
    depth_decay_per_bps: 0.5,
    arbitrage_margin_bps: 2.4,
    ..HYPE_PARAMETERS
};

const CAPITAL_USD: f64 = 100.0;
const LEVERAGE: u32 = 10;
const LOSS_LIMIT_USD: f64 = 5.0;

impl Scenario {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self {
            name: "feb19",
            duration_s: feb19::DURATION_S,
            // 2026-02-19 22:06:32 UTC.
            start_ns: 1_771_538_792_000_000_000,
            max_position: feb19::MAX_POSITION,
            plain_max_position: feb19::OLD_LIMIT,
            old_outcome: Some((feb19::FINAL_POSITION, feb19::PNL_USD)),
            deposit_usd: CAPITAL_USD,
            leverage: LEVERAGE,
            daily_loss_limit_usd: LOSS_LIMIT_USD,
            reach: FEB19_REACH,
            market: MARKET,
            known: &feb19::MIDS,
            plan: Plan::Listed(&feb19::REACHES),
        },
        Self {
            name: "feb12",
            duration_s: feb12::DURATION_S,
            // 2026-02-12 03:16:40 UTC.
            start_ns: 1_770_866_200_000_000_000,
            max_position: feb12::MAX_POSITION,
            plain_max_position: 4.0 * feb12::FINAL_POSITION,
            old_outcome: Some((feb12::FINAL_POSITION, feb12::PNL_USD)),
            deposit_usd: feb12::CAPITAL_USD,
            leverage: feb12::LEVERAGE,
            daily_loss_limit_usd: feb12::DAILY_LOSS_LIMIT_USD,
            reach: FEB12_REACH,
            market: MARKET,
            known: &feb12::MIDS,
            plan: Plan::Windows(&feb12::WINDOWS),
        },
        Self {
            name: "calm",
            duration_s: feb19::DURATION_S,
            start_ns: 1_771_538_792_000_000_000,
            max_position: feb19::MAX_POSITION,
            plain_max_position: feb19::OLD_LIMIT,
            old_outcome: None,
            deposit_usd: CAPITAL_USD,
            leverage: LEVERAGE,
            daily_loss_limit_usd: LOSS_LIMIT_USD,
            reach: FEB19_REACH,
            market: MARKET,
            known: &[feb19::MIDS[0]],
            plan: Plan::TwoSided(&feb19::REACHES),
        },
    ];

    /// The scenario called `name`.
    ///
    /// # Errors
    /// [`hypermm_core::error::Error::InvalidInput`] with the names there are.
    pub fn named(name: &str) -> Result<Self> {
        Self::ALL.iter().find(|scenario| scenario.name == name).copied().ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|scenario| scenario.name).collect();
            invalid_input("scenario", name, format!("one of {}", names.join(", ")), "")
        })
    }

    /// The contract.
    ///
    /// # Errors
    /// None that these numbers cause.
    pub fn instrument(&self) -> Result<Instrument> {
        Instrument::new("HYPE", 2, LEVERAGE, 10.0, 3600.0)
    }

    /// The market of one seed.
    ///
    /// # Errors
    /// None that these numbers cause.
    pub fn market(&self, seed: u64, reach: Reach) -> Result<ScenarioMarket> {
        ScenarioMarket::new(self, seed, reach)
    }

    /// The fair price of one seed, before its market plays: what a proof plants forecasts of.
    #[must_use]
    pub fn path(&self, seed: u64) -> BridgedPath {
        BridgedPath::draw(seed, self.start_ns, self.duration_s, self.known, self.volatility())
    }

    /// When the sweeps of one seed come, and from which side.
    #[must_use]
    pub fn sweep_times(&self, seed: u64) -> Vec<(TimestampNs, Side)> {
        let sweeps = self.plan.draw(seed, self.duration_s);
        sweeps.iter().map(|sweep| (self.start_ns + (sweep.time_s * NS_PER_S) as i64, sweep.aggressor)).collect()
    }

    /// First known price.
    #[must_use]
    pub const fn start_price(&self) -> f64 {
        self.known[0].1
    }

    /// Volatility between known points, bps/√s.
    #[must_use]
    pub const fn volatility(&self) -> f64 {
        VOLATILITY
    }
}
