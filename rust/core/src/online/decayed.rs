//! Exponentially weighted sums in irregular time.

use serde::{Deserialize, Serialize};

use super::lanes::{exp, larger};
use crate::types::{TimestampNs, seconds_between};

/// e^{−elapsed/T} for elapsed ≥ 0. Events follow one another within small parts of most time constants: three terms of the series are
/// then exact to the last digit and cost a fraction of the exponential.
#[inline]
#[must_use]
pub fn fade(elapsed_s: f64, time_constant_s: f64) -> f64 {
    let x = elapsed_s / time_constant_s;
    if x < 1e-4 { 1.0 - x * (1.0 - x * (0.5 - x * (1.0 / 6.0))) } else { exp(-x) }
}

/// Two sums of weights e^{−(t − t_i)/T} on one clock, and the time T(1 − e^{−(t − t₀)/T}) they have effectively seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DecayedPair {
    time_constant_s: f64,
    sums: [f64; 2],
    // e^{−(t − t₀)/T}: it fades with the sums, so that one exponential serves all three.
    unseen: f64,
    last_ns: Option<TimestampNs>,
}

impl DecayedPair {
    /// Empty sums with time constant T > 0, seconds.
    #[must_use]
    pub fn new(time_constant_s: f64) -> Self {
        Self { time_constant_s, sums: [0.0; 2], unseen: 1.0, last_ns: None }
    }

    /// Begins counting elapsed time; later calls change nothing.
    #[inline]
    pub fn start(&mut self, now_ns: TimestampNs) {
        if self.last_ns.is_none() {
            self.last_ns = Some(now_ns);
        }
    }

    /// Adds `weight` to one of the two sums at `now_ns`.
    #[inline]
    pub fn add(&mut self, now_ns: TimestampNs, place: usize, weight: f64) {
        self.add_faded(now_ns, place, weight, self.fade(now_ns));
    }

    /// Adds to both sums at `now_ns`.
    #[inline]
    pub fn add_both(&mut self, now_ns: TimestampNs, weights: [f64; 2]) {
        self.add(now_ns, 0, weights[0]);
        self.sums[1] += weights[1];
    }

    /// Adds `weight` to the same sum of every pair, their exponentials in lanes.
    #[inline]
    pub(crate) fn add_to_all(pairs: &mut [Self], now_ns: TimestampNs, place: usize, weight: f64) {
        const LANES: usize = 4;
        for pairs in pairs.chunks_mut(LANES) {
            let mut fades = [0.0; LANES];
            for (fade, pair) in fades.iter_mut().zip(pairs.iter()) {
                let elapsed_s = pair.last_ns.map_or(0.0, |last| larger(seconds_between(last, now_ns), 0.0));
                *fade = -elapsed_s / pair.time_constant_s;
            }
            for fade in &mut fades {
                *fade = exp(*fade);
            }
            for (fade, pair) in fades.iter().zip(pairs) {
                pair.add_faded(now_ns, place, weight, *fade);
            }
        }
    }

    #[inline]
    fn add_faded(&mut self, now_ns: TimestampNs, place: usize, weight: f64, fade: f64) {
        self.sums = [self.sums[0] * fade, self.sums[1] * fade];
        self.unseen *= fade;
        self.sums[place] += weight;
        self.last_ns = Some(self.last_ns.map_or(now_ns, |last| last.max(now_ns)));
    }

    /// Both sums as of `now_ns`, and the time they have effectively seen, seconds.
    #[inline]
    #[must_use]
    pub fn at(&self, now_ns: TimestampNs) -> ([f64; 2], f64) {
        let fade = self.fade(now_ns);
        let seen = self.time_constant_s * (1.0 - self.unseen * fade);
        ([self.sums[0] * fade, self.sums[1] * fade], seen)
    }

    /// First sum over second: what fades in both is in neither.
    #[inline]
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        (self.sums[1] > 0.0).then(|| self.sums[0] / self.sums[1])
    }

    #[inline]
    fn fade(&self, now_ns: TimestampNs) -> f64 {
        match self.last_ns {
            Some(last) if now_ns > last => fade(seconds_between(last, now_ns), self.time_constant_s),
            _ => 1.0,
        }
    }
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
            let decay = fade(seconds_between(last, now_ns), self.time_constant_s);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fading_is_the_exponential_on_both_sides_of_the_series() {
        for i in 0..2000 {
            let x = 10f64.powf(-9.0 + f64::from(i) * 0.005);
            // The quotient is rounded before either function sees it.
            let elapsed_s = x * 300.0;
            let relative = fade(elapsed_s, 300.0) / libm::exp(-(elapsed_s / 300.0)) - 1.0;
            // One unit in the last place for the series, what `exp` itself grants (see its test) beyond it.
            let bound = if x < 1e-4 { 2.3e-16 } else { 5e-16 };
            assert!(relative.abs() < bound || x > 500.0, "at {x}: {relative:e}");
        }
        assert_eq!(fade(0.0, 300.0), 1.0);
    }
}
