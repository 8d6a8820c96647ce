//! The aggressive trades of a scenario: when, which side, how much, how deep.

use hypermm_core::types::Side;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Uniform};

use super::incidents::{Reach, Window};

const STREAM: u64 = 0x7377_6565_7073;

/// One aggressive trade to come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sweep {
    /// Seconds after the start.
    pub(crate) time_s: f64,
    /// Side of the aggressor.
    pub(crate) aggressor: Side,
    /// Contracts it takes beyond what the others have resting.
    pub(crate) size: f64,
}

/// How the sweeps of a scenario are known.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Plan {
    /// Each with its time and side.
    Listed(&'static [Reach]),
    /// Counts by window: times are drawn.
    Windows(&'static [Window]),
    /// The sizes of a list at drawn times from drawn sides.
    TwoSided(&'static [Reach]),
}

impl Plan {
    /// The sweeps of one seed, earliest first.
    pub(crate) fn draw(&self, seed: u64, duration_s: f64) -> Vec<Sweep> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(STREAM);
        let mut uniform =
            |low: f64, high: f64| Uniform::new(low, high).map_or(low, |law: Uniform<f64>| law.sample(&mut random));
        let mut sweeps: Vec<Sweep> = match self {
            Self::Listed(reaches) => {
                reaches.iter().map(|&(time_s, aggressor, size)| Sweep { time_s, aggressor, size }).collect()
            }
            Self::Windows(windows) => windows
                .iter()
                .flat_map(|window| {
                    let sides = [(Side::Sell, window.sells), (Side::Buy, window.buys)];
                    sides.map(|(aggressor, (count, size))| (window.from_s, window.to_s, aggressor, count, size))
                })
                .flat_map(|(from_s, to_s, aggressor, count, size)| {
                    (0..count).map(move |_| (from_s, to_s, aggressor, size))
                })
                .map(|(from_s, to_s, aggressor, size)| Sweep { time_s: uniform(from_s, to_s), aggressor, size })
                .collect(),
            Self::TwoSided(reaches) => reaches
                .iter()
                .map(|&(_, _, size)| {
                    let time_s = uniform(0.0, duration_s);
                    let aggressor = if uniform(0.0, 1.0) < 0.5 { Side::Buy } else { Side::Sell };
                    Sweep { time_s, aggressor, size }
                })
                .collect(),
        };
        sweeps.sort_by(|left, right| left.time_s.total_cmp(&right.time_s));
        sweeps
    }
}
