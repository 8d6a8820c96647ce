//! Regimes: a Markov chain over quiet, normal, volatile and cascade.

use crate::market::agents::draws::{Draws, Purpose};
use crate::market::parameters::MarketParameters;

/// State of the market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Regime {
    /// Little moves, little trades.
    Quiet,
    /// The usual.
    Normal,
    /// Larger moves, more trades.
    Volatile,
    /// Forced selling or buying.
    Cascade,
}

/// Where the chain goes when it leaves the normal regime: quiet, cascade; else volatile.
const NORMAL_TO_QUIET: f64 = 0.5;
const NORMAL_TO_CASCADE: f64 = 0.05;
/// Where it goes when it leaves the volatile one: cascade; else normal. Quiet goes to normal, cascade to volatile.
const VOLATILE_TO_CASCADE: f64 = 0.1;

/// The chain, stepped on a fixed grid.
#[derive(Clone, Debug)]
pub struct RegimeSwitching {
    draws: Draws,
    regime: Regime,
    leave: [f64; 4],
    volatility: [f64; 4],
    activity: [f64; 4],
}

fn dwells(parameters: &MarketParameters) -> [f64; 4] {
    [parameters.quiet_dwell_s, parameters.normal_dwell_s, parameters.volatile_dwell_s, parameters.cascade_dwell_s]
}

fn volatilities(parameters: &MarketParameters) -> [f64; 4] {
    [parameters.quiet_volatility, 1.0, parameters.volatile_volatility, parameters.cascade_volatility]
}

fn activities(parameters: &MarketParameters) -> [f64; 4] {
    [parameters.quiet_activity, 1.0, parameters.volatile_activity, parameters.cascade_activity]
}

impl RegimeSwitching {
    /// The chain from its stationary law, in steps of `step_s`.
    #[must_use]
    pub fn new(parameters: &MarketParameters, seed: u64, step_s: f64) -> Self {
        let mut draws = Draws::new(seed, Purpose::Regime, 0);
        let mut left = draws.uniform();
        let shares = Self::stationary(parameters);
        let mut regime = Regime::Normal;
        for (candidate, share) in
            [Regime::Quiet, Regime::Normal, Regime::Volatile, Regime::Cascade].into_iter().zip(shares)
        {
            if left < share {
                regime = candidate;
                break;
            }
            left -= share;
        }
        Self {
            draws,
            regime,
            leave: dwells(parameters).map(|dwell| -libm::expm1(-step_s / dwell)),
            volatility: volatilities(parameters),
            activity: activities(parameters),
        }
    }

    /// Share of time in quiet, normal, volatile and cascade.
    #[must_use]
    pub fn stationary(parameters: &MarketParameters) -> [f64; 4] {
        // Visits for one visit of the normal regime: what leaves a regime comes back to it.
        let volatile = (1.0 - NORMAL_TO_QUIET) / (1.0 - VOLATILE_TO_CASCADE);
        let visits = [NORMAL_TO_QUIET, 1.0, volatile, NORMAL_TO_CASCADE + VOLATILE_TO_CASCADE * volatile];
        let dwells = dwells(parameters);
        let times: [f64; 4] = std::array::from_fn(|place| visits[place] * dwells[place]);
        let whole: f64 = times.iter().sum();
        times.map(|time| time / whole)
    }

    /// Mean square of the diffusion's factor.
    #[must_use]
    pub fn mean_square_volatility(parameters: &MarketParameters) -> f64 {
        let factors = volatilities(parameters);
        Self::stationary(parameters).iter().zip(factors).map(|(share, factor)| share * factor * factor).sum()
    }

    /// One step of the grid.
    pub fn step(&mut self) {
        if self.draws.uniform() >= self.leave[self.regime as usize] {
            return;
        }
        let way = self.draws.uniform();
        self.regime = match self.regime {
            Regime::Quiet => Regime::Normal,
            Regime::Normal if way < NORMAL_TO_QUIET => Regime::Quiet,
            Regime::Normal if way < NORMAL_TO_QUIET + NORMAL_TO_CASCADE => Regime::Cascade,
            Regime::Volatile if way < VOLATILE_TO_CASCADE => Regime::Cascade,
            Regime::Volatile => Regime::Normal,
            Regime::Normal | Regime::Cascade => Regime::Volatile,
        };
    }

    /// Where it is.
    #[must_use]
    pub const fn regime(&self) -> Regime {
        self.regime
    }

    /// Factor of the diffusion.
    #[must_use]
    pub const fn volatility(&self) -> f64 {
        self.volatility[self.regime as usize]
    }

    /// Factor of the flow's speed.
    #[must_use]
    pub const fn activity(&self) -> f64 {
        self.activity[self.regime as usize]
    }
}
