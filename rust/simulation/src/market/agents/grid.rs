//! Prices and sizes of the agents, on the instrument's grid and above the venue's minimum.

use hypermm_core::accounting::ledger::MICROS;
use hypermm_core::instrument::{Instrument, round_in_decade};
use hypermm_core::types::{BPS, Lots, Price, Side};

/// One contract's grid at one fair price.
#[derive(Clone, Debug)]
pub struct Grid {
    instrument: Instrument,
}

impl Grid {
    /// The grid of `instrument`.
    #[must_use]
    pub const fn new(instrument: Instrument) -> Self {
        Self { instrument }
    }

    /// A price in units, not rounded.
    #[must_use]
    pub fn units(&self, price: f64) -> f64 {
        price * self.instrument.price_scale()
    }

    /// Distance of neighboring prices at `units`, units.
    #[must_use]
    pub fn increment(&self, units: f64) -> f64 {
        self.instrument.decade(units).increment
    }

    /// The nearest price not worse for `side`, at least one increment.
    #[must_use]
    pub fn round(&self, units: f64, side: Side) -> Price {
        let decade = self.instrument.decade(units);
        Price(round_in_decade(units, decade, side).max(decade.increment) as i64)
    }

    /// The worst price a taker pays who goes `reach_bps` beyond `touch`.
    #[must_use]
    pub fn limit(&self, touch: Price, side: Side, reach_bps: f64) -> Price {
        let units = touch.0 as f64 * (1.0 + side.sign() * reach_bps / BPS);
        let limit = self.round(units, side);
        match side {
            Side::Buy => limit.max(touch),
            Side::Sell => limit.min(touch),
        }
    }

    /// Whole lots in `contracts`, at least the venue's smallest order at `price`.
    #[must_use]
    pub fn lots(&self, contracts: f64, price: Price) -> Lots {
        let least = (self.instrument.min_notional() * MICROS / price.0.max(1) as f64).ceil().max(1.0);
        Lots((contracts * self.instrument.size_scale()).max(least) as i64)
    }
}
