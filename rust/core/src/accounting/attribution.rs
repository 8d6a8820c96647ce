//! Where the profit came from: spread capture, adverse selection, inventory, fees, funding.
//!
//! Per fill of signed size s (+ = bought) at price p, placed at mid m0, with m_10 the mid ten seconds after it and m
//! the mark now, the mark to market s·(m − p) is split without remainder:
//!
//! ```text
//! s (m − p) = s (m0 − p)          spread capture  = depth · size
//!           + s (m_10 − m0)       adverse selection = −AS_10 · size
//!           + s (m − m_10)        inventory
//! ```
//!
//! A fill whose ten seconds are not over has no adverse selection yet; its whole move since m0 counts as inventory.

use crate::types::Side;

/// Parts of the profit, quote currency; they add up to [`ProfitSplit::total`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProfitSplit {
    /// Σ depth·size.
    pub spread_capture: f64,
    /// −Σ AS_10·size.
    pub adverse_selection: f64,
    /// What holding the position earned after the first ten seconds.
    pub inventory: f64,
    /// Fees, a cost when positive.
    pub fees: f64,
    /// Funding, a cost when positive.
    pub funding: f64,
}

impl ProfitSplit {
    /// spread capture + adverse selection + inventory − fees − funding.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.spread_capture + self.adverse_selection + self.inventory - self.fees - self.funding
    }
}

/// Running sums of the split, O(1) per fill. Sums are kept relative to the first mid, so that a long session loses
/// no digits to the price level.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Attribution {
    origin: Option<f64>,
    spread_capture: f64,
    adverse_selection: f64,
    /// Σ s.
    signed_size: f64,
    /// Σ s·(reference − origin), the reference being m0 until m_10 is known.
    signed_reference: f64,
    fees: f64,
    funding: f64,
}

impl Attribution {
    /// A fill of ours, `fee` in quote currency.
    pub fn on_fill(&mut self, side: Side, price: f64, size: f64, mid_at_placement: f64, fee: f64) {
        let origin = *self.origin.get_or_insert(mid_at_placement);
        let signed = side.sign() * size;
        self.spread_capture += signed * (mid_at_placement - price);
        self.signed_size += signed;
        self.signed_reference += signed * (mid_at_placement - origin);
        self.fees += fee;
    }

    /// The mid ten seconds after a fill reported before.
    pub fn on_markout(&mut self, side: Side, size: f64, mid_at_placement: f64, mid_after: f64) {
        let moved = side.sign() * size * (mid_after - mid_at_placement);
        self.adverse_selection += moved;
        self.signed_reference += moved;
    }

    /// A funding payment, + = paid.
    pub fn on_funding(&mut self, paid: f64) {
        self.funding += paid;
    }

    /// The split with the open position valued at `mark`.
    #[must_use]
    pub fn split(&self, mark: f64) -> ProfitSplit {
        let origin = self.origin.unwrap_or(mark);
        ProfitSplit {
            spread_capture: self.spread_capture,
            adverse_selection: self.adverse_selection,
            inventory: self.signed_size * (mark - origin) - self.signed_reference,
            fees: self.fees,
            funding: self.funding,
        }
    }
}
