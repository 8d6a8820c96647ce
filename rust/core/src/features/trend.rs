//! Trend detector: three horizons, their agreement, and how often a sign goes on. Reported only: it is made of returns the
//! filter has seen (MODEL.md sections 1 and 7).

use serde::{Deserialize, Serialize};

use crate::online::second_grid::SecondGrid;

const STEP_S: u32 = 10;
// Sign agreements are forgotten with a half-life of one hour, 360 steps.
const STEP_KEEP: f64 = 0.998_076_45;

/// What the detector sees, bullish positive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrendReading {
    /// Returns over 10, 60, 300 s, bps; 0 where not yet seen.
    pub returns_bps: [f64; 3],
    /// |Σ signs|/3: 1 when all horizons agree.
    pub agreement: f64,
    /// Posterior mean probability that the sign of one 10 s return is that of the next.
    pub continuation: f64,
    /// Mean of return/(σ√h), times agreement, times continuation.
    pub score: f64,
}

/// State of the detector.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Trend {
    seconds: u32,
    agreed: f64,
    turned: f64,
}

impl Trend {
    /// Horizons of the three returns, seconds.
    pub const HORIZONS_S: [usize; 3] = [10, 60, 300];

    /// Takes in the grid after each whole second.
    pub fn update(&mut self, grid: &SecondGrid) {
        self.seconds += 1;
        if self.seconds < STEP_S {
            return;
        }
        self.seconds = 0;
        if let (Some(before), Some(now)) = (grid.return_between(20, 10), grid.return_bps(10))
            && before != 0.0
            && now != 0.0
        {
            self.agreed *= STEP_KEEP;
            self.turned *= STEP_KEEP;
            if (before > 0.0) == (now > 0.0) {
                self.agreed += 1.0;
            } else {
                self.turned += 1.0;
            }
        }
    }

    /// Mean of the Beta(1 + agreed, 1 + turned) posterior.
    #[must_use]
    pub fn continuation(&self) -> f64 {
        (1.0 + self.agreed) / (2.0 + self.agreed + self.turned)
    }

    /// The present reading.
    #[must_use]
    pub fn reading(&self, grid: &SecondGrid, volatility: f64) -> TrendReading {
        let mut returns_bps = [0.0; 3];
        let (mut signs, mut strength) = (0.0, 0.0);
        for (slot, seconds) in returns_bps.iter_mut().zip(Self::HORIZONS_S) {
            let change = grid.return_bps(seconds).unwrap_or(0.0);
            *slot = change;
            if change != 0.0 {
                signs += change.signum();
            }
            strength += change / (volatility * (seconds as f64).sqrt());
        }
        let agreement = f64::abs(signs) / 3.0;
        let continuation = self.continuation();
        TrendReading { returns_bps, agreement, continuation, score: strength / 3.0 * agreement * continuation }
    }
}
