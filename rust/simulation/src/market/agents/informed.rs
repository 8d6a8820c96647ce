//! Takers who know the latent drift, and where the efficient price stands, before either shows.

use hypermm_core::types::Side;

use crate::market::agents::draws::{Draws, Purpose};
use crate::market::agents::latent::Conditions;
use crate::market::parameters::MarketParameters;

/// One informed taker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InformedEvent {
    /// Side: that of the signal.
    pub side: Side,
    /// How far beyond the touch it is willing to go, bps.
    pub reach_bps: f64,
    /// How much, contracts.
    pub size: f64,
    /// Takes all that stands within its reach, if that is more.
    pub is_sweep: bool,
}

/// A Poisson process whose rate is proportional to the strength of the signal.
#[derive(Clone, Debug)]
pub struct Informed {
    draws: Draws,
    rate_per_s: f64,
    reach_bps: f64,
    size: f64,
    size_deviation: f64,
    sweep_share: f64,
    by_drift: f64,
    by_pressure: f64,
    /// Expected events until the next.
    left: f64,
}

impl Informed {
    /// Nobody has traded yet.
    #[must_use]
    pub fn new(parameters: &MarketParameters, seed: u64) -> Self {
        let mut draws = Draws::new(seed, Purpose::Informed, 0);
        Self {
            left: draws.exponential(),
            draws,
            rate_per_s: parameters.informed_rate_per_s,
            reach_bps: 1.0 / parameters.depth_decay_per_bps,
            size: parameters.informed_size,
            size_deviation: parameters.event_size_deviation,
            sweep_share: parameters.informed_sweep_share,
            by_drift: parameters.informed_by_drift,
            by_pressure: parameters.informed_by_pressure,
        }
    }

    /// Runs `elapsed_s` seconds under one set of conditions.
    pub fn advance(&mut self, elapsed_s: f64, conditions: &Conditions, mut each: impl FnMut(InformedEvent)) {
        let signal = self.by_drift * conditions.drift + self.by_pressure * conditions.pressure;
        self.left -= self.rate_per_s * signal.abs() * conditions.activity * elapsed_s;
        while self.left <= 0.0 {
            self.left += self.draws.exponential();
            let side = if signal > 0.0 { Side::Buy } else { Side::Sell };
            let reach_bps = self.reach_bps * self.draws.exponential();
            let size = self.size * self.draws.size(self.size_deviation);
            let is_sweep = self.sweep_share > 0.0 && self.draws.uniform() < self.sweep_share;
            each(InformedEvent { side, reach_bps, size, is_sweep });
        }
    }
}
