//! What other series say: basis to a reference price, a leading market, open interest; MODEL.md section 7.

use serde::{Deserialize, Serialize};

use crate::online::beta::RollingBeta;
use crate::online::second_grid::SecondGrid;
use crate::types::{BPS, TimestampNs, seconds_between};

const BETA_SAMPLES: f64 = 1800.0;
const BETA_RETURN_S: usize = 30;
const LEAD_RETURN_S: usize = 5;
const BASIS_CHANGE_S: usize = 30;
const OPEN_INTEREST_CHANGE_S: usize = 60;
// A minute of overlapping 30 s returns is two independent ones: fewer say nothing on β.
const MIN_BETA_SAMPLES: f64 = 60.0;

/// A positive series heard now and then, and what it was at whole seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutsideSeries {
    fresh_s: f64,
    last: Option<(TimestampNs, f64)>,
    grid: SecondGrid,
}

impl OutsideSeries {
    /// A value is in force for at most `fresh_s` seconds.
    #[must_use]
    pub fn new(fresh_s: f64) -> Self {
        Self { fresh_s, last: None, grid: SecondGrid::with_capacity() }
    }

    /// A new value > 0.
    pub fn hear(&mut self, now_ns: TimestampNs, value: f64) {
        self.last = Some((now_ns, value));
    }

    /// A whole second has passed. Silence is no zero return: the grid begins again after it.
    pub fn on_second(&mut self, now_ns: TimestampNs) {
        match self.last {
            Some((heard_ns, value)) if seconds_between(heard_ns, now_ns) <= self.fresh_s => self.grid.push(value),
            _ => self.grid.clear(),
        }
    }

    /// When it was last heard.
    #[must_use]
    pub fn heard_ns(&self) -> Option<TimestampNs> {
        self.last.map(|(heard_ns, _)| heard_ns)
    }

    /// Its last value.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        self.last.map(|(_, value)| value)
    }

    /// Its values at whole seconds.
    #[must_use]
    pub fn grid(&self) -> &SecondGrid {
        &self.grid
    }
}

/// ln(mid/reference), bps.
#[must_use]
pub fn basis_bps(mid: f64, reference: f64) -> f64 {
    libm::log(mid / reference) * BPS
}

/// Change of the basis over the last 30 s, bps.
#[must_use]
pub fn basis_change_bps(own: &SecondGrid, reference: &SecondGrid) -> Option<f64> {
    Some(own.return_bps(BASIS_CHANGE_S)? - reference.return_bps(BASIS_CHANGE_S)?)
}

/// Log change of open interest over a minute, bps, times the sign of our return over it.
#[must_use]
pub fn open_interest_change_bps(own: &SecondGrid, open_interest: &SecondGrid) -> Option<f64> {
    let change = open_interest.return_bps(OPEN_INTEREST_CHANGE_S)?;
    let return_bps = own.return_bps(OPEN_INTEREST_CHANGE_S)?;
    Some(if return_bps == 0.0 { 0.0 } else { change * return_bps.signum() })
}

/// A market that moves before ours: the part of its last move that ours has not made yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lead {
    beta: RollingBeta,
}

impl Default for Lead {
    fn default() -> Self {
        Self { beta: RollingBeta::new(BETA_SAMPLES) }
    }
}

impl Lead {
    /// A whole second has passed with both markets known.
    pub fn on_second(&mut self, own: &SecondGrid, leader: &SecondGrid) {
        if let (Some(x), Some(y)) = (leader.return_bps(BETA_RETURN_S), own.return_bps(BETA_RETURN_S)) {
            self.beta.add(x, y);
        }
    }

    /// True once β rests on a minute of samples.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.beta.weight() >= MIN_BETA_SAMPLES
    }

    /// β·r_leader(5 s) − r_own(5 s), bps; `None` without a return or while the leader stands still.
    #[must_use]
    pub fn residual_bps(&self, own: &SecondGrid, leader: &SecondGrid) -> Option<f64> {
        Some(self.beta.slope()? * leader.return_bps(LEAD_RETURN_S)? - own.return_bps(LEAD_RETURN_S)?)
    }

    /// R² of the regression β comes from.
    #[must_use]
    pub fn explained(&self) -> f64 {
        self.beta.explained()
    }
}
