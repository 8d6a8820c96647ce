//! The place of one order in the queue at its price, estimated from what everybody sees.
//!
//! An order enters behind all that is shown at its price. From then on
//!
//! ```text
//! print of size s at the price   ahead ← max(ahead − s, 0)
//! c canceled of what was shown  ahead ← ahead − max(c·w, c − behind),  w = f(ahead)/(f(ahead) + f(behind))
//! size that is added             stands behind
//! ```
//!
//! and never more than is shown. c is what has gone from the level since it was last seen, less what prints took. The
//! public feed does not say which orders were canceled: f is the [`CancelModel`]. A snapshot of the book states a level
//! anew and changes nothing else, so 0 ≤ ahead ≤ shown and ahead never grows but by entering again. The same estimate
//! feeds the engine's chance of a fill and the fill models of a backtest.

use serde::{Deserialize, Serialize};

use crate::error::{Result, invalid_input};
use crate::online::lanes::{larger, smaller};

/// Exponent of [`CancelModel::Power`] until it is fitted: cancels in proportion to the size on either side of us.
pub const DEFAULT_CANCEL_EXPONENT: f64 = 1.0;
const MAX_CANCEL_EXPONENT: f64 = 20.0;

/// Which of the orders at a level are canceled.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum CancelModel {
    /// Those behind us, as long as there are any: only prints, and a level smaller than our place, move us up.
    RiskAverse,
    /// f(x) = x^n, 0 < n ≤ 20: in proportion for 1, rather from the longer part for more.
    Power(f64),
    /// f(x) = ln(1 + x), x in contracts.
    Log,
}

impl Default for CancelModel {
    fn default() -> Self {
        Self::Power(DEFAULT_CANCEL_EXPONENT)
    }
}

impl CancelModel {
    /// The exponent is within its range.
    ///
    /// # Errors
    /// [`crate::error::Error::InvalidInput`] naming `cancel_exponent`.
    pub fn validate(&self) -> Result<()> {
        match *self {
            Self::Power(exponent) if !(exponent > 0.0 && exponent <= MAX_CANCEL_EXPONENT) => Err(invalid_input(
                "cancel_exponent",
                exponent,
                format!("above 0, at most {MAX_CANCEL_EXPONENT}"),
                "1 cancels in proportion",
            )),
            _ => Ok(()),
        }
    }

    /// Share of a canceled contract that stood ahead of us, 0 to 1. One of both sizes is above 0.
    fn share_ahead(self, ahead: f64, behind: f64) -> f64 {
        match self {
            Self::RiskAverse => 0.0,
            Self::Power(1.0) => ahead / (ahead + behind),
            // Of the ratio, so that no power overflows: the larger of both sizes is the base.
            Self::Power(exponent) if ahead >= behind => 1.0 / (1.0 + libm::pow(behind / ahead, exponent)),
            Self::Power(exponent) => 1.0 - 1.0 / (1.0 + libm::pow(ahead / behind, exponent)),
            Self::Log => {
                let (ahead, behind) = (libm::log1p(ahead), libm::log1p(behind));
                ahead / (ahead + behind)
            }
        }
    }
}

/// Where one order stands at its price.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueuePosition {
    ahead: f64,
    /// What the level shows as far as we know: as last seen, less the prints since.
    shown: f64,
}

impl QueuePosition {
    /// A place behind all that is shown at the price, contracts.
    #[must_use]
    pub fn behind(shown: f64) -> Self {
        Self { ahead: shown, shown }
    }

    /// A place at a price beyond what the book shows: the last one of the level once it is seen.
    #[must_use]
    pub fn unseen() -> Self {
        Self::behind(f64::INFINITY)
    }

    /// Size that stands before the order, contracts; infinite while its level has not been seen.
    #[inline]
    #[must_use]
    pub fn ahead(&self) -> f64 {
        self.ahead
    }

    /// The book shows this size at the order's price.
    #[inline]
    pub fn follow_shown(&mut self, shown: f64, cancels: CancelModel) {
        let gone = self.shown - shown;
        // Nobody stands ahead of the first, and of a level seen for the first time nothing is known to be gone.
        if self.ahead > 0.0 && gone > 0.0 && gone < f64::INFINITY {
            let behind = larger(self.shown - self.ahead, 0.0);
            let from_ahead = larger(gone * cancels.share_ahead(self.ahead, behind), gone - behind);
            self.ahead = larger(self.ahead - from_ahead, 0.0);
        }
        self.ahead = smaller(self.ahead, shown);
        self.shown = shown;
    }

    /// A print of this size at the order's price; answers what of it is left after those ahead.
    #[inline]
    pub fn follow_print(&mut self, size: f64) -> f64 {
        let left = larger(size - self.ahead, 0.0);
        self.ahead = larger(self.ahead - size, 0.0);
        self.shown = larger(self.shown - size, self.ahead);
        left
    }

    /// The market went through the order's price: nobody is ahead any more.
    #[inline]
    pub fn passed(&mut self) {
        self.ahead = 0.0;
        self.shown = 0.0;
    }
}
