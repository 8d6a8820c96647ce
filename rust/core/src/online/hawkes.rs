//! Self-exciting arrivals of two kinds, MODEL.md section 7.

use serde::{Deserialize, Serialize};

use super::decayed::DecayedPair;
use crate::types::TimestampNs;

/// λ_s(t) = μ_s + α·Σ e^{−β(t − t_i)} over the arrivals of kind s, by the recursion S ← S·e^{−βΔ} + 1: O(1) an arrival.
///
/// α = nβ with the branching ratio n < 1, the mean number of arrivals that one arrival sets off (Hawkes, Biometrika 58, 1971).
/// Until μ is fitted it is (1 − n) of the mean rate, which is what n leaves of it in a stationary process.
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

    /// λ_s − μ_s = nβ·Σ e^{−β(t − t_i)}, 1/s.
    #[must_use]
    pub fn excess_per_s(&self, now_ns: TimestampNs) -> [f64; 2] {
        let excitation = self.branching_ratio * self.decay_per_s;
        self.excited.at(now_ns).0.map(|sum| excitation * sum)
    }

    /// μ_s = (1 − n)·mean rate, 1/s; 0 before any time has passed.
    #[must_use]
    pub fn baseline_per_s(&self, now_ns: TimestampNs) -> [f64; 2] {
        let (sums, seen_s) = self.mean.at(now_ns);
        if seen_s > 0.0 { sums.map(|sum| (1.0 - self.branching_ratio) * sum / seen_s) } else { [0.0; 2] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Kills: a decay in place of its inverse, α without β, kinds that excite one another.
    #[test]
    fn excess_is_the_sum_over_all_earlier_arrivals() {
        let mut hawkes = HawkesIntensity::new(0.5, 0.4, 300.0);
        let times_s = [0.0, 0.3, 0.35, 2.0, 7.5];
        hawkes.start(0);
        for (i, time_s) in times_s.iter().enumerate() {
            hawkes.update((time_s * 1e9) as i64, i % 2);
        }
        let sum: f64 = times_s.iter().step_by(2).map(|time_s| f64::exp(-0.5 * (9.0 - time_s))).sum();
        assert!((hawkes.excess_per_s(9_000_000_000)[0] - 0.4 * 0.5 * sum).abs() < 1e-12);
    }

    // Kills: a baseline that forgets the share n, or the time seen: a steady rate r has the baseline (1 − n)·r.
    #[test]
    fn baseline_of_a_steady_rate_is_what_branching_leaves_of_it() {
        let mut hawkes = HawkesIntensity::new(0.5, 0.4, 300.0);
        hawkes.start(0);
        for i in 1..=40_000_i64 {
            hawkes.update(i * 100_000_000, 0);
        }
        let base = hawkes.baseline_per_s(4_000_000_000_000);
        assert!((base[0] - 0.6 * 10.0).abs() < 1e-2 && base[1] == 0.0, "{base:?}");
    }
}
