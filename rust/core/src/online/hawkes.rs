//! Self-exciting arrivals of two kinds, MODEL.md section 7.

use serde::{Deserialize, Serialize};

use super::decayed::DecayedPair;
use crate::types::TimestampNs;

/// λ_s(t) = μ_s + α·Σ e^{−β(t − t_i)} over the arrivals of kind s, by the recursion S ← S·e^{−βΔ} + 1: O(1) an arrival.
///
/// α = nβ with the branching ratio n < 1, the mean number of arrivals that one arrival sets off (Hawkes, Biometrika 58, 1971).
/// μ_s = (1 − n)Λ_s, what n leaves of the mean rate Λ_s in a stationary process; Λ_s forgets exponentially.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HawkesIntensity {
    decay_per_s: f64,
    branching_ratio: f64,
    excited: DecayedPair,
    mean: DecayedPair,
}

impl HawkesIntensity {
    /// β > 0 in 1/s, 0 ≤ n < 1, and the time constant of the mean rate, seconds.
    #[must_use]
    pub fn new(decay_per_s: f64, branching_ratio: f64, mean_s: f64) -> Self {
        Self {
            decay_per_s,
            branching_ratio,
            excited: DecayedPair::new(1.0 / decay_per_s),
            mean: DecayedPair::new(mean_s),
        }
    }

    /// Begins counting elapsed time; later calls change nothing.
    pub fn start(&mut self, now_ns: TimestampNs) {
        self.excited.start(now_ns);
        self.mean.start(now_ns);
    }

    /// One arrival of kind 0 or 1.
    #[inline]
    pub fn update(&mut self, now_ns: TimestampNs, kind: usize) {
        self.excited.add(now_ns, kind, 1.0);
        self.mean.add(now_ns, kind, 1.0);
    }

    /// Mean rates Λ_s, 1/s; 0 before any time has passed.
    #[must_use]
    pub fn mean_per_s(&self, now_ns: TimestampNs) -> [f64; 2] {
        let (sums, seen_s) = self.mean.at(now_ns);
        if seen_s > 0.0 { sums.map(|sum| sum / seen_s) } else { [0.0; 2] }
    }

    /// λ_s(t) − Λ_s = nβ·Σ e^{−β(t − t_i)} − nΛ_s, 1/s: above 0 in a burst, below 0 in a lull, 0 on average.
    #[must_use]
    pub fn excess_per_s(&self, now_ns: TimestampNs) -> [f64; 2] {
        let (excited, _) = self.excited.at(now_ns);
        let mean = self.mean_per_s(now_ns);
        let n = self.branching_ratio;
        [0, 1].map(|kind| n * (self.decay_per_s * excited[kind] - mean[kind]))
    }

    /// Time the mean rates have effectively seen, seconds.
    #[must_use]
    pub fn seen_s(&self, now_ns: TimestampNs) -> f64 {
        self.mean.at(now_ns).1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Kills: a decay in place of its inverse, α without β, a mean that forgets the time seen, kinds that excite one another.
    #[test]
    fn excess_is_the_sum_over_all_earlier_arrivals_less_its_mean() {
        let mut hawkes = HawkesIntensity::new(0.5, 0.4, 300.0);
        let times_s = [0.0, 0.3, 0.35, 2.0, 7.5];
        hawkes.start(0);
        for (i, time_s) in times_s.iter().enumerate() {
            hawkes.update((time_s * 1e9) as i64, i % 2);
        }
        let sum = |constant_s: f64| {
            times_s.iter().step_by(2).map(|time_s| f64::exp(-(9.0 - time_s) / constant_s)).sum::<f64>()
        };
        let mean = sum(300.0) / (300.0 * (1.0 - f64::exp(-9.0 / 300.0)));
        let excess = hawkes.excess_per_s(9_000_000_000)[0];
        assert!((excess - 0.4 * (0.5 * sum(2.0) - mean)).abs() < 1e-12, "{excess}");
    }

    // Kills: an excess that is not centered: evenly spaced arrivals are neither burst nor lull.
    #[test]
    fn excess_of_a_steady_rate_is_nothing() {
        let mut hawkes = HawkesIntensity::new(0.5, 0.4, 300.0);
        hawkes.start(0);
        for i in 1..=40_000_i64 {
            hawkes.update(i * 100_000_000, 0);
        }
        let now_ns = 4_000_050_000_000;
        let (mean, excess) = (hawkes.mean_per_s(now_ns), hawkes.excess_per_s(now_ns));
        assert!((mean[0] - 10.0).abs() < 1e-2 && mean[1] == 0.0, "{mean:?}");
        assert!(excess[0].abs() < 1e-2 && excess[1] == 0.0, "{excess:?}");
    }
}
