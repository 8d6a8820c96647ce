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
//!
//! Everything is whole half micros, as the [ledger](super::ledger)'s equity: the parts add up to its profit exactly.

use crate::types::{Lots, Price, Side};

use super::ledger::{ConservationError, Law, Ledger, Mark, Micros};

/// Parts of the profit, half micros; they add up to [`ProfitSplit::total`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProfitSplit {
    /// Σ depth·size.
    pub spread_capture: i128,
    /// −Σ AS_10·size.
    pub adverse_selection: i128,
    /// What holding the position earned after the first ten seconds.
    pub inventory: i128,
    /// Fees, a cost when positive.
    pub fees: i128,
    /// Funding, a cost when positive.
    pub funding: i128,
}

impl ProfitSplit {
    /// spread capture + adverse selection + inventory − fees − funding.
    #[must_use]
    pub fn total(&self) -> i128 {
        self.spread_capture + self.adverse_selection + self.inventory - self.fees - self.funding
    }
}

/// Running sums of the split, O(1) per fill.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attribution {
    spread_capture: i128,
    adverse_selection: i128,
    /// Σ s.
    signed_size: i128,
    /// Σ s·reference, the reference being m0 until m_10 is known.
    signed_reference: i128,
    fees: Micros,
    funding: Micros,
}

fn signed(side: Side, size: Lots) -> i128 {
    match side {
        Side::Buy => i128::from(size.0),
        Side::Sell => -i128::from(size.0),
    }
}

impl Attribution {
    /// The split of an account that starts with a position bought (or sold, when negative) at `entry`: whatever that
    /// position earns is inventory.
    #[must_use]
    pub fn with_position(position: Lots, entry: Price) -> Self {
        let signed_size = i128::from(position.0);
        Self { signed_size, signed_reference: 2 * signed_size * i128::from(entry.0), ..Self::default() }
    }

    /// A fill of ours with its fee.
    pub fn on_fill(&mut self, side: Side, price: Price, size: Lots, mid_at_placement: Mark, fee: Micros) {
        let signed = signed(side, size);
        self.spread_capture += signed * (i128::from(mid_at_placement.0) - 2 * i128::from(price.0));
        self.signed_size += signed;
        self.signed_reference += signed * i128::from(mid_at_placement.0);
        self.fees += fee;
    }

    /// The mid ten seconds after a fill reported before.
    pub fn on_markout(&mut self, side: Side, size: Lots, mid_at_placement: Mark, mid_after: Mark) {
        let moved = signed(side, size) * (i128::from(mid_after.0) - i128::from(mid_at_placement.0));
        self.adverse_selection += moved;
        self.signed_reference += moved;
    }

    /// A funding payment, + = paid.
    pub fn on_funding(&mut self, paid: Micros) {
        self.funding += paid;
    }

    /// The split with the open position valued at `mark`.
    #[must_use]
    pub fn split(&self, mark: Mark) -> ProfitSplit {
        ProfitSplit {
            spread_capture: self.spread_capture,
            adverse_selection: self.adverse_selection,
            inventory: self.signed_size * i128::from(mark.0) - self.signed_reference,
            fees: 2 * self.fees,
            funding: 2 * self.funding,
        }
    }

    /// Holds the split against the books it was kept beside.
    ///
    /// # Errors
    /// [`Law::Split`], [`Law::Fees`] or [`Law::Funding`] with both sides, half micros, when they differ at all.
    pub fn check_conservation(&self, ledger: &Ledger, mark: Mark) -> Result<(), ConservationError> {
        let split = self.split(mark);
        for (law, books, expected) in [
            (Law::Fees, 2 * ledger.fees(), split.fees),
            (Law::Funding, 2 * ledger.funding(), split.funding),
            (Law::Split, ledger.profit_half_micros(mark), split.total()),
        ] {
            if books != expected {
                return Err(ConservationError { law, books, expected });
            }
        }
        Ok(())
    }
}
