//! Exponentially weighted sums in irregular time.

use serde::{Deserialize, Serialize};

use super::lanes::exp;
use crate::types::{TimestampNs, seconds_between};

/// A sum of weights e^{−(t − t_i)/T}.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DecayedSum {
    time_constant_s: f64,
    sum: f64,
    last_ns: Option<TimestampNs>,
}

impl DecayedSum {
    /// Empty sum with time constant T > 0, seconds.
    #[must_use]
    pub fn new(time_constant_s: f64) -> Self {
        Self { time_constant_s, sum: 0.0, last_ns: None }
    }

    /// Adds `weight` at `now_ns`.
    #[inline]
    pub fn add(&mut self, now_ns: TimestampNs, weight: f64) {
        self.sum = self.value(now_ns) + weight;
        self.last_ns = Some(now_ns);
    }

    /// The sum as of `now_ns`.
    #[inline]
    #[must_use]
    pub fn value(&self, now_ns: TimestampNs) -> f64 {
        match self.last_ns {
            Some(last) if now_ns > last => self.sum * exp(-seconds_between(last, now_ns) / self.time_constant_s),
            _ => self.sum,
        }
    }

    /// T, seconds.
    #[must_use]
    pub fn time_constant_s(&self) -> f64 {
        self.time_constant_s
    }
}

/// T(1 − e^{−elapsed/T}): the time an exponentially weighted count has effectively seen, seconds.
#[inline]
#[must_use]
pub fn effective_elapsed_s(elapsed_s: f64, time_constant_s: f64) -> f64 {
    time_constant_s * (1.0 - exp(-elapsed_s / time_constant_s))
}

/// Weighted mean and variance with exponential forgetting; each sample decays the earlier ones by e^{−dt/T}.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DecayedMoments {
    time_constant_s: f64,
    weight: f64,
    mean: f64,
    spread: f64,
    last_ns: Option<TimestampNs>,
}

impl DecayedMoments {
    /// Empty moments with time constant T > 0, seconds.
    #[must_use]
    pub fn new(time_constant_s: f64) -> Self {
        Self { time_constant_s, weight: 0.0, mean: 0.0, spread: 0.0, last_ns: None }
    }

    /// Adds one sample (West's incremental form).
    #[inline]
    pub fn add(&mut self, now_ns: TimestampNs, sample: f64) {
        if let Some(last) = self.last_ns
            && now_ns > last
        {
            let decay = exp(-seconds_between(last, now_ns) / self.time_constant_s);
            self.weight *= decay;
            self.spread *= decay;
        }
        self.last_ns = Some(now_ns);
        self.weight += 1.0;
        let change = sample - self.mean;
        self.mean += change / self.weight;
        self.spread += change * (sample - self.mean);
    }

    /// Weighted mean; 0 before the first sample.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// Weighted standard deviation; 0 before the second sample.
    #[must_use]
    pub fn deviation(&self) -> f64 {
        if self.weight > 0.0 { (self.spread / self.weight).max(0.0).sqrt() } else { 0.0 }
    }

    /// Sum of weights.
    #[must_use]
    pub fn weight(&self) -> f64 {
        self.weight
    }
}
