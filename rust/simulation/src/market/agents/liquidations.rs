//! Liquidation cascades: a large move, or the cascade regime, forces a row of market orders its own way.

use hypermm_core::types::{BPS, Side, TimestampNs, seconds_between};

use crate::market::agents::draws::{Draws, Purpose};
use crate::market::agents::latent::Conditions;
use crate::market::agents::regime::Regime;
use crate::market::parameters::MarketParameters;

/// One forced order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ForcedOrder {
    /// Sells in a fall, buys in a rise.
    pub side: Side,
    /// How much, contracts.
    pub size: f64,
}

#[derive(Clone, Copy, Debug)]
struct Cascade {
    side: Side,
    size: f64,
    orders: u32,
    next_ns: TimestampNs,
}

/// Watches the fair price against its own mean and runs one cascade at a time.
#[derive(Clone, Debug)]
pub struct Liquidations {
    draws: Draws,
    trigger_bps: f64,
    window_s: f64,
    size: f64,
    decay: f64,
    mean_orders: f64,
    interval_s: f64,
    mean_price: Option<f64>,
    last_ns: TimestampNs,
    was_cascade: bool,
    cascade: Option<Cascade>,
}

impl Liquidations {
    /// Nothing has moved yet.
    #[must_use]
    pub fn new(parameters: &MarketParameters, seed: u64) -> Self {
        Self {
            draws: Draws::new(seed, Purpose::Liquidation, 0),
            trigger_bps: parameters.liquidation_trigger_bps,
            window_s: parameters.liquidation_window_s,
            size: parameters.liquidation_size,
            decay: parameters.liquidation_decay,
            mean_orders: parameters.liquidation_orders,
            interval_s: parameters.liquidation_interval_s,
            mean_price: None,
            last_ns: 0,
            was_cascade: false,
            cascade: None,
        }
    }

    /// Sees the fair price at `time_ns` and hands over the orders due by then.
    pub fn advance(
        &mut self,
        time_ns: TimestampNs,
        fair_price: f64,
        conditions: &Conditions,
        mut each: impl FnMut(ForcedOrder),
    ) {
        let mean = self.mean_price.unwrap_or(fair_price);
        let moved_bps = (fair_price / mean - 1.0) * BPS;
        let keep = libm::exp(-seconds_between(self.last_ns, time_ns).max(0.0) / self.window_s);
        self.mean_price = Some(fair_price + keep * (mean - fair_price));
        self.last_ns = time_ns;
        let is_cascade = conditions.regime == Regime::Cascade;
        let begins = is_cascade && !self.was_cascade;
        self.was_cascade = is_cascade;
        if self.cascade.is_none() && self.mean_orders > 0.0 && (begins || moved_bps.abs() > self.trigger_bps) {
            self.begin(time_ns, moved_bps);
        }
        while let Some(mut cascade) = self.cascade.take() {
            if cascade.next_ns > time_ns {
                self.cascade = Some(cascade);
                return;
            }
            each(ForcedOrder { side: cascade.side, size: cascade.size });
            cascade.size *= self.decay;
            cascade.orders -= 1;
            cascade.next_ns += self.interval_ns();
            if cascade.orders == 0 {
                // The next needs a move from here.
                self.mean_price = Some(fair_price);
            } else {
                self.cascade = Some(cascade);
            }
        }
    }

    fn begin(&mut self, time_ns: TimestampNs, moved_bps: f64) {
        let side = if moved_bps > 0.0 { Side::Buy } else { Side::Sell };
        let orders = 1 + (self.mean_orders * self.draws.exponential()) as u32;
        let next_ns = time_ns + self.interval_ns();
        self.cascade = Some(Cascade { side, size: self.size, orders, next_ns });
    }

    fn interval_ns(&mut self) -> TimestampNs {
        (self.interval_s * self.draws.exponential() * hypermm_core::types::NS_PER_S) as TimestampNs
    }
}
