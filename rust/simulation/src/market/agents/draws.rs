//! Streams of random numbers, one for each purpose, so that no purpose takes from another's.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp1, StandardNormal, StandardUniform};

/// Logarithms of sizes are kept within this many deviations: a tail beyond it was in no recording.
const MAX_DEVIATIONS: f64 = 3.5;

/// What a stream of draws is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Diffusion, drift and jumps of the efficient price.
    Price = 1,
    /// Regime switches.
    Regime,
    /// Times and sides of the self-exciting flow.
    FlowTimes,
    /// Reach and size of its events.
    FlowMarks,
    /// Informed takers.
    Informed,
    /// Cascades.
    Liquidation,
    /// Premium over the oracle.
    Premium,
    /// Passive orders, one stream for each place in the book.
    Liquidity,
}

/// Draws of one purpose, in their own order.
#[derive(Clone, Debug)]
pub struct Draws(ChaCha8Rng);

impl Draws {
    /// The stream of `purpose`, numbered `index` where one purpose has many.
    #[must_use]
    pub fn new(seed: u64, purpose: Purpose, index: u32) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream((purpose as u64) << 32 | u64::from(index));
        Self(random)
    }

    /// Uniform in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        StandardUniform.sample(&mut self.0)
    }

    /// Standard normal.
    pub fn normal(&mut self) -> f64 {
        StandardNormal.sample(&mut self.0)
    }

    /// Exponential of mean 1.
    pub fn exponential(&mut self) -> f64 {
        Exp1.sample(&mut self.0)
    }

    /// Lognormal of median 1, its tails cut where no recording has any.
    pub fn size(&mut self, deviation: f64) -> f64 {
        libm::exp(deviation * self.normal().clamp(-MAX_DEVIATIONS, MAX_DEVIATIONS))
    }
}
