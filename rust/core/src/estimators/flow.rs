//! Directional rates of aggressor events, MODEL.md section 2.

use serde::{Deserialize, Serialize};

use crate::features::flow::WINDOW_PRIOR_EVENTS;
use crate::online::decayed::DecayedPair;
use crate::types::{Side, TimestampNs};

// The coin's own hourly rate starts from the config's with the weight of one event.
const HOUR_PRIOR_EVENTS: f64 = 1.0;
const HOUR_S: f64 = 3600.0;

/// Rates at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FlowReading {
    /// Λ_b: aggressor events that sell (hit bids), 1/s.
    pub sell_rate: f64,
    /// Λ_a: aggressor events that buy (lift asks), 1/s.
    pub buy_rate: f64,
    /// Effective number of events both rates rest on.
    pub effective_events: f64,
}

impl FlowReading {
    /// (Λ_b − Λ_a)/(Λ_b + Λ_a), + when sells dominate.
    #[inline]
    #[must_use]
    pub fn imbalance(&self) -> f64 {
        (self.sell_rate - self.buy_rate) / (self.sell_rate + self.buy_rate)
    }

    /// n = √(2/(πN_eff)): mean |imbalance| of balanced flow; 1 below two events.
    #[inline]
    #[must_use]
    pub fn noise_floor(&self) -> f64 {
        if self.effective_events < 2.0 { 1.0 } else { (2.0 / (std::f64::consts::PI * self.effective_events)).sqrt() }
    }

    /// max(0, |imbalance| − n)/(1 − n); 0 below two effective events.
    #[inline]
    #[must_use]
    pub fn informed_fraction(&self) -> f64 {
        above_floor(self.imbalance().abs(), self.noise_floor())
    }

    /// One-sided parts of the informed fraction: (of sells, against our bids; of buys, against our asks).
    #[inline]
    #[must_use]
    pub fn toxicity(&self) -> (f64, f64) {
        let (imbalance, floor) = (self.imbalance(), self.noise_floor());
        (above_floor(imbalance, floor), above_floor(-imbalance, floor))
    }
}

#[inline]
fn above_floor(value: f64, floor: f64) -> f64 {
    if floor >= 1.0 || value <= floor { 0.0 } else { (value - floor) / (1.0 - floor) }
}

/// Exponentially weighted counts of aggressor events by side, over several windows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DirectionalFlow {
    arrival_rate: f64,
    hour: DecayedPair,
    windows: Vec<DecayedPair>,
    events: u64,
}

impl DirectionalFlow {
    /// Prior rate a side, 1/s, and the windows' time constants, seconds; all > 0.
    #[must_use]
    pub fn new(arrival_rate: f64, windows_s: &[f64]) -> Self {
        Self {
            arrival_rate,
            hour: DecayedPair::new(HOUR_S),
            windows: windows_s.iter().map(|window| DecayedPair::new(*window)).collect(),
            events: 0,
        }
    }

    /// Begins counting elapsed time; later calls change nothing.
    #[inline]
    pub fn start(&mut self, now_ns: TimestampNs) {
        self.hour.start(now_ns);
        for window in &mut self.windows {
            window.start(now_ns);
        }
    }

    /// Changes the prior rate.
    pub fn set_prior(&mut self, arrival_rate: f64) {
        self.arrival_rate = arrival_rate;
    }

    /// Counts one aggressor event.
    #[inline]
    pub fn update(&mut self, now_ns: TimestampNs, aggressor: Side) {
        self.start(now_ns);
        let place = aggressor.opposite().index();
        self.hour.add(now_ns, place, 1.0);
        DecayedPair::add_to_all(&mut self.windows, now_ns, place, 1.0);
        self.events += 1;
    }

    /// Aggressor events counted.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Λ_prior: the coin's own rate of the last hour a side, pooled over sides, 1/s.
    #[must_use]
    pub fn pooled_rate(&self, now_ns: TimestampNs) -> f64 {
        let (sums, seen) = self.hour.at(now_ns);
        (HOUR_PRIOR_EVENTS + sums[0] + sums[1]) / (HOUR_PRIOR_EVENTS / self.arrival_rate + 2.0 * seen)
    }

    /// Λ_s = (4 + Σe^{−(t − t_i)/T})/(4/Λ_prior + T(1 − e^{−(t − t₀)/T})) of one window.
    #[must_use]
    pub fn reading(&self, window: usize, now_ns: TimestampNs) -> FlowReading {
        self.reading_with(window, now_ns, self.pooled_rate(now_ns))
    }

    /// [`DirectionalFlow::reading`] with a pooled rate at hand.
    #[must_use]
    pub fn reading_with(&self, window: usize, now_ns: TimestampNs, pooled_rate: f64) -> FlowReading {
        let Some(window) = self.windows.get(window) else {
            return FlowReading { sell_rate: pooled_rate, buy_rate: pooled_rate, effective_events: 0.0 };
        };
        let (sums, seen) = window.at(now_ns);
        let exposure = WINDOW_PRIOR_EVENTS / pooled_rate + seen;
        let sell_rate = (WINDOW_PRIOR_EVENTS + sums[0]) / exposure;
        let buy_rate = (WINDOW_PRIOR_EVENTS + sums[1]) / exposure;
        FlowReading { sell_rate, buy_rate, effective_events: 2.0 * (sell_rate + buy_rate) * seen }
    }
}
