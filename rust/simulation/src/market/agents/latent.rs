//! The fair price nobody sees: Ornstein–Uhlenbeck drift, diffusion, jumps, and regimes that scale them.
//!
//! dμ = −κμ dt + σ_μ dW,  d ln p = μ dt + σ(regime) dB + jumps, in exact steps of a fixed grid that no caller moves. The
//! fair price follows the efficient price p only when the two are more than the stickiness apart (on the recordings the
//! mid stands still in five of six quarters of a second), and then leaves a share of the stickiness open: where it does,
//! moves come in rows, as they do there. In the long run the variance of both is σ² per second; at 10 s the fair price
//! has as much less as it lags, and the diffusion makes up for it.

use hypermm_core::types::{BPS, TimestampNs};

use crate::market::agents::draws::{Draws, Purpose};
use crate::market::agents::regime::{Regime, RegimeSwitching};
use crate::market::parameters::MarketParameters;

/// Steps of the latent processes, ns.
pub const STEP_NS: TimestampNs = 50_000_000;
const STEP_S: f64 = 0.05;
const HOUR_S: f64 = 3600.0;
/// How far a random walk of normal steps of 1 goes beyond a border on leaving: −ζ(1/2)/√(2π).
const STEP_OVERSHOOT: f64 = 0.5826;
/// Horizon at which the volatility asked for is that of the fair price, s.
const VOLATILITY_HORIZON_S: f64 = 10.0;

/// What a fair price tells the agents beside itself. None of it depends on what anybody trades.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conditions {
    /// Drift in its own stationary deviations.
    pub drift: f64,
    /// Where the efficient price stands in its band around the fair price, −1 to 1: + will rise.
    pub pressure: f64,
    /// Speed of aggressive flow.
    pub activity: f64,
    /// State of the market.
    pub regime: Regime,
}

impl Default for Conditions {
    fn default() -> Self {
        Self { drift: 0.0, pressure: 0.0, activity: 1.0, regime: Regime::Normal }
    }
}

/// A latent price that agents quote around and informed takers know more of.
pub trait FairPrice: Send + Sync {
    /// Moves on to `to_ns` and gives the fair price there, quote currency, finite and above 0. Earlier times change nothing.
    fn advance(&mut self, to_ns: TimestampNs) -> f64;

    /// What the agents know at the time last advanced to.
    fn conditions(&self) -> Conditions {
        Conditions::default()
    }

    /// Pushes the price by `bps`. A path whose points are known ignores it.
    fn push(&mut self, _bps: f64) {}
}

/// Constants of an exact step of drift and displacement together.
#[derive(Clone, Copy, Debug, PartialEq)]
struct DriftStep {
    keep: f64,
    /// Mean displacement of a unit of drift, s.
    horizon: f64,
    drift_kick: f64,
    shared_kick: f64,
    own_kick: f64,
}

impl DriftStep {
    /// Cholesky factor of the joint law of (μ, ∫μ) after `dt` seconds.
    fn new(reversion: f64, deviation: f64, dt: f64) -> Self {
        let keep = libm::exp(-reversion * dt);
        let horizon = -libm::expm1(-reversion * dt) / reversion;
        let noise = 2.0 * reversion * deviation * deviation;
        let drift_kick = (deviation * deviation * (1.0 - keep * keep)).sqrt();
        let shared = 0.5 * noise * horizon * horizon;
        let own = displacement_variance(reversion, noise, dt);
        let shared_kick = if drift_kick > 0.0 { shared / drift_kick } else { 0.0 };
        Self { keep, horizon, drift_kick, shared_kick, own_kick: (own - shared_kick * shared_kick).max(0.0).sqrt() }
    }
}

/// Variance of ∫μ over `dt` from a known μ, process noise σ_μ² = `noise`.
fn displacement_variance(reversion: f64, noise: f64, dt: f64) -> f64 {
    let x = reversion * dt;
    if x < 1e-2 {
        // The closed form cancels to nothing here.
        return noise * dt * dt * dt * (1.0 / 3.0 - x / 4.0 + 7.0 * x * x / 60.0);
    }
    let once = -libm::expm1(-x);
    let twice = -libm::expm1(-2.0 * x);
    noise / (reversion * reversion * reversion) * (x - 2.0 * once + 0.5 * twice)
}

impl MarketParameters {
    /// σ of the diffusion in the normal regime, bps/√s, that leaves the fair price with `volatility_bps` at 10 s; `None`
    /// where drift and jumps alone have more.
    #[must_use]
    pub fn diffusion_bps(&self) -> Option<f64> {
        let h = VOLATILITY_HORIZON_S;
        let (reversion, deviation) = (self.drift_reversion_per_s, self.drift_deviation_bps_per_s);
        let known = -libm::expm1(-reversion * h) / reversion;
        let drift = displacement_variance(reversion, 2.0 * reversion * deviation * deviation, h)
            + deviation * deviation * known * known;
        let jumps = self.jump_rate_per_hour / HOUR_S * h * self.jump_deviation_bps * self.jump_deviation_bps;
        let left = self.volatility_bps * self.volatility_bps * h + self.lag_variance() - drift - jumps;
        (left > 0.0).then(|| (left / h / RegimeSwitching::mean_square_volatility(self)).sqrt())
    }
}

impl MarketParameters {
    /// Variance that the fair price lacks beside the efficient price over more than a few moves, bps².
    ///
    /// The gap g lives on (−s, s) and is put back to ±a, a = (1 − f)·s, where it leaves. Its variance G is (s² + a²)/6 and its
    /// covariance C with the efficient price (s + a)²/6 (from ½σ²v″ = −x, v(s) = v(a), C = σ²·E v′(g)), and the fair price
    /// has 2(C − G) = ⅔·s·a less. In steps it leaves a little beyond s.
    fn lag_variance(&self) -> f64 {
        let overshoot = STEP_OVERSHOOT * self.volatility_bps * STEP_S.sqrt();
        let back = (1.0 - self.follow_share) * self.stickiness_bps;
        2.0 / 3.0 * (self.stickiness_bps + overshoot) * back
    }
}

/// The drifting price of the synthetic market.
#[derive(Clone, Debug)]
pub struct DriftingPrice {
    draws: Draws,
    regime: RegimeSwitching,
    step: DriftStep,
    /// Next point of the grid, ns.
    next_ns: TimestampNs,
    /// Deviation of one step's diffusion in the normal regime, bps.
    diffusion_kick: f64,
    jump_probability: f64,
    jump_deviation_bps: f64,
    stickiness_bps: f64,
    follow: f64,
    drift_deviation: f64,
    drift: f64,
    fair_price: f64,
    /// Efficient over fair price, bps.
    gap_bps: f64,
}

impl DriftingPrice {
    /// A price at `start_ns` with a drift from its stationary law.
    #[must_use]
    pub fn new(parameters: &MarketParameters, seed: u64, start_ns: TimestampNs) -> Self {
        let mut draws = Draws::new(seed, Purpose::Price, 0);
        let (reversion, deviation) = (parameters.drift_reversion_per_s, parameters.drift_deviation_bps_per_s);
        Self {
            drift: deviation * draws.normal(),
            draws,
            regime: RegimeSwitching::new(parameters, seed, STEP_S),
            step: DriftStep::new(reversion, deviation, STEP_S),
            next_ns: start_ns + STEP_NS,
            diffusion_kick: parameters.diffusion_bps().unwrap_or(0.0) * STEP_S.sqrt(),
            jump_probability: parameters.jump_rate_per_hour / HOUR_S * STEP_S,
            jump_deviation_bps: parameters.jump_deviation_bps,
            stickiness_bps: parameters.stickiness_bps,
            follow: parameters.follow_share,
            drift_deviation: deviation,
            fair_price: parameters.start_price,
            gap_bps: 0.0,
        }
    }

    fn one_step(&mut self) {
        self.regime.step();
        let (z_drift, z_own, z_diffusion) = (self.draws.normal(), self.draws.normal(), self.draws.normal());
        let (chance, z_jump) = (self.draws.uniform(), self.draws.normal());
        let step = self.step;
        let displacement = step.horizon * self.drift + step.shared_kick * z_drift + step.own_kick * z_own;
        self.drift = step.keep * self.drift + step.drift_kick * z_drift;
        let jump = if chance < self.jump_probability { self.jump_deviation_bps * z_jump } else { 0.0 };
        self.gap_bps += displacement + self.diffusion_kick * self.regime.volatility() * z_diffusion + jump;
        self.follow();
    }

    fn follow(&mut self) {
        if self.gap_bps.abs() > self.stickiness_bps {
            let left_bps = ((1.0 - self.follow) * self.stickiness_bps).copysign(self.gap_bps);
            self.fair_price *= libm::exp((self.gap_bps - left_bps) / BPS);
            self.gap_bps = left_bps;
        }
    }
}

impl FairPrice for DriftingPrice {
    fn advance(&mut self, to_ns: TimestampNs) -> f64 {
        while self.next_ns <= to_ns {
            self.one_step();
            self.next_ns += STEP_NS;
        }
        self.fair_price
    }

    fn conditions(&self) -> Conditions {
        let share = |value: f64, whole: f64| if whole > 0.0 { value / whole } else { 0.0 };
        Conditions {
            drift: share(self.drift, self.drift_deviation),
            pressure: share(self.gap_bps, self.stickiness_bps),
            activity: self.regime.activity(),
            regime: self.regime.regime(),
        }
    }

    fn push(&mut self, bps: f64) {
        self.gap_bps += bps;
        self.follow();
    }
}
