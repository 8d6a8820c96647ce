//! Online scale of P∞, MODEL.md section 1: each minute × clip(b, 0.98, 1.02), b the shrunk slope of realized 10 s displacement on
//! μ̂T(10 s) over an hour, within [⅓, 3].

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Horizon of forecast and outcome, seconds.
pub const SCALE_HORIZON_S: usize = 10;
const HOUR_KEEP: f64 = 0.999_722_260_8;
const PRIOR_WINDOWS: f64 = 30.0;

/// The factor, and what it is learned from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DriftScale {
    value: f64,
    forecasts: VecDeque<f64>,
    product: f64,
    square: f64,
    weight: f64,
    seconds: u32,
}

impl Default for DriftScale {
    fn default() -> Self {
        Self { value: 1.0, forecasts: VecDeque::new(), product: 0.0, square: 0.0, weight: 0.0, seconds: 0 }
    }
}

impl DriftScale {
    /// The factor in force.
    #[must_use]
    pub fn value(&self) -> f64 {
        self.value
    }

    /// Returns across a gap are unknown: forecasts before it have no outcome.
    pub fn forget_pending(&mut self) {
        self.forecasts.clear();
    }

    /// A second has passed: the return of the last 10 s, and what the drift expects of the next.
    pub fn update(&mut self, realized_bps: Option<f64>, forecast_bps: f64) {
        if self.forecasts.len() == SCALE_HORIZON_S
            && let (Some(before), Some(realized)) = (self.forecasts.pop_front(), realized_bps)
        {
            self.product = self.product * HOUR_KEEP + before * realized;
            self.square = self.square * HOUR_KEEP + before * before;
            self.weight = self.weight * HOUR_KEEP + 1.0;
        }
        self.forecasts.push_back(forecast_bps);
        self.seconds += 1;
        if self.seconds == 60 {
            self.seconds = 0;
            self.value = (self.value * self.slope().clamp(0.98, 1.02)).clamp(1.0 / 3.0, 3.0);
        }
    }

    /// Slope shrunk towards 1 with the weight of 30 independent windows.
    fn slope(&self) -> f64 {
        if self.square <= 0.0 {
            return 1.0;
        }
        let windows = self.weight / SCALE_HORIZON_S as f64;
        (self.product / self.square * windows + PRIOR_WINDOWS) / (windows + PRIOR_WINDOWS)
    }
}
