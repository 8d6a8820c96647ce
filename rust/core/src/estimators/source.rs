//! Standardized sources of drift before calibration, MODEL.md section 1.

use serde::{Deserialize, Serialize};

use super::drift::{DriftFilter, SourceIndex};
use super::fusion::Whitener;
use crate::config::EngineConfig;
use crate::online::decayed::DecayedMoments;
use crate::types::{TimestampNs, seconds_between};

/// Largest standardized value.
pub(crate) const CLIP: f64 = 4.0;
/// A smaller gain is silence: its noise would leave the floats.
pub(super) const MIN_GAIN: f64 = 1e-9;
const STATISTICS_S: f64 = 300.0;
const SILENT_S: f64 = 60.0;
const RELIABILITY_RANGE: (f64, f64) = (0.25, 4.0);

/// (z, R) of a standardized value: z = s·√(P∞/K0), R = P∞(1 − K0)/K0; from the prior its gain is K0.
#[inline]
#[must_use]
pub fn from_gain(standardized: f64, gain: f64, stationary_variance: f64) -> (f64, f64) {
    let s = standardized.clamp(-CLIP, CLIP);
    (s * (stationary_variance / gain).sqrt(), stationary_variance * (1.0 - gain) / gain)
}

/// Noise factor g within [¼, 4].
#[must_use]
pub fn reliability(factor: f64) -> f64 {
    if factor.is_nan() { 1.0 } else { factor.clamp(RELIABILITY_RANGE.0, RELIABILITY_RANGE.1) }
}

/// K0 in force of own fills, flow and funding; 0 = silent.
pub(super) fn gains(config: &EngineConfig) -> [f64; 3] {
    // What a calibration has judged, and not let in, is silent.
    let slow = if config.calibration.is_some() { [0.0; 2] } else { [config.flow_gain, config.funding_gain] };
    [config.fill_gain, slow[0], slow[1]].map(|gain| if gain < MIN_GAIN { 0.0 } else { gain.min(config.max_gain) })
}

/// A slow source with its noise memory and, unless given standardized, its own statistics of 300 s.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SlowSource {
    memory_s: f64,
    moments: DecayedMoments,
    counts: DecayedMoments,
    first_ns: Option<TimestampNs>,
    whitener: Whitener,
}

impl SlowSource {
    /// Noise memory τ_e, seconds.
    #[must_use]
    pub fn new(memory_s: f64) -> Self {
        Self {
            memory_s,
            moments: DecayedMoments::new(STATISTICS_S),
            counts: DecayedMoments::new(STATISTICS_S),
            first_ns: None,
            whitener: Whitener::default(),
        }
    }

    /// Standardizes a raw value by what was seen before it; `None` in the first 60 s and without spread.
    pub fn standardize(&mut self, now_ns: TimestampNs, value: f64) -> Option<f64> {
        let (mean, deviation) = (self.moments.mean(), self.moments.deviation());
        self.moments.add(now_ns, value);
        (self.past_silence(now_ns) && deviation > 1e-12).then(|| (value - mean) / deviation)
    }

    /// True once 60 s have passed since the first call.
    pub fn past_silence(&mut self, now_ns: TimestampNs) -> bool {
        let first = *self.first_ns.get_or_insert(now_ns);
        seconds_between(first, now_ns) >= SILENT_S
    }

    /// g = n̄/n of a count behind the value.
    pub fn count_reliability(&mut self, now_ns: TimestampNs, count: f64) -> f64 {
        self.counts.add(now_ns, count);
        reliability(self.counts.mean() / count)
    }

    /// Lets a standardized value enter the filter, whitened, with noise R·g.
    pub fn observe(
        &mut self,
        filter: &mut DriftFilter,
        now_ns: TimestampNs,
        standardized: f64,
        gain: f64,
        noise_factor: f64,
        source: SourceIndex,
    ) {
        if gain <= 0.0 {
            return;
        }
        let (drift, noise) = from_gain(standardized, gain, filter.stationary_variance());
        let (drift, noise) = self.whitener.whiten(
            now_ns,
            drift,
            noise * noise_factor,
            self.memory_s,
            filter.mean_reversion_per_s(),
            filter.stationary_variance(),
        );
        filter.step(now_ns);
        filter.update(drift, noise, source);
    }
}
