//! An own fill as an observation of the drift, MODEL.md section 1.

use serde::{Deserialize, Serialize};

use super::source::{CLIP, MIN_GAIN, from_gain, gains};
use crate::config::EngineConfig;
use crate::types::{Side, TimestampNs};

/// An own fill that has entered the filter and may yet be replaced by a deeper one of the same aggressor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct FillObservation {
    pub(super) time_ns: TimestampNs,
    pub(super) side: Side,
    pub(super) depth_bps: f64,
    pub(super) drift: f64,
    pub(super) noise: f64,
}

/// How an own fill becomes an observation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum OwnFills {
    /// By K₀ of the config.
    ByGain(f64),
    /// As calibrated: z = slope·s, with this noise.
    Fitted { slope: f64, noise: f64 },
}

impl OwnFills {
    pub(super) fn new(config: &EngineConfig) -> Self {
        match config.calibration.as_ref().and_then(|it| it.own_fill.map(|fill| (it, fill))) {
            Some((_, fill)) if fill.gain < MIN_GAIN => Self::ByGain(0.0),
            Some((calibration, fill)) => Self::Fitted { slope: fill.slope, noise: calibration.noise(fill.gain) },
            None => Self::ByGain(gains(config)[0]),
        }
    }

    /// (z, R) of a standardized fill; `None` where fills are silent.
    pub(super) fn observation(self, standardized: f64, stationary_variance: f64) -> Option<(f64, f64)> {
        match self {
            Self::ByGain(gain) => (gain > 0.0).then(|| from_gain(standardized, gain, stationary_variance)),
            Self::Fitted { slope, noise } => Some((slope * standardized.clamp(-CLIP, CLIP), noise)),
        }
    }
}
