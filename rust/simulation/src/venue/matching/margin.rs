//! Initial and maintenance margin.
//!
//! Initial = size·mark/leverage, looked at only where a position grows. Maintenance = value/(2·L) − deduction with the
//! largest leverage L of the tier; deduction_n = deduction_{n−1} + lower_n·(1/(2·L_n) − 1/(2·L_{n−1})), so that it is
//! continuous at a tier's bound. All are truncated at six decimals.

use hypermm_core::accounting::ledger::{Mark, Micros};
use hypermm_core::error::{Result, invalid_input};
use hypermm_core::types::{Price, Side};

use super::account::Account;
use super::exchange::{Asset, Exchange};
use super::order::Refusal;
use super::rules::MarginTier;

#[derive(Clone, Copy, Debug)]
struct Tier {
    lower_bound: Micros,
    max_leverage: u32,
    deduction: Micros,
}

/// Tiers of one contract with their deductions.
#[derive(Clone, Debug)]
pub(super) struct MarginTable {
    tiers: Vec<Tier>,
}

impl MarginTable {
    pub(super) fn new(max_leverage: u32, tiers: &[MarginTier]) -> Result<Self> {
        let single = [MarginTier { lower_bound: 0, max_leverage }];
        let mut table: Vec<Tier> = Vec::new();
        for tier in if tiers.is_empty() { &single[..] } else { tiers } {
            if tier.max_leverage == 0 {
                return Err(invalid_input("margin_tiers.max_leverage", 0_u32, "1 or more", ""));
            }
            let deduction = match table.last() {
                None if tier.lower_bound == 0 => 0,
                Some(last) if tier.lower_bound > last.lower_bound && tier.max_leverage <= last.max_leverage => {
                    last.deduction + tier.lower_bound / (2 * Micros::from(tier.max_leverage))
                        - tier.lower_bound / (2 * Micros::from(last.max_leverage))
                }
                _ => {
                    return Err(invalid_input(
                        "margin_tiers.lower_bound",
                        tier.lower_bound.to_string(),
                        "rising bounds from 0 on with falling leverage",
                        "micros: 1 USD is 1000000",
                    ));
                }
            };
            table.push(Tier { lower_bound: tier.lower_bound, max_leverage: tier.max_leverage, deduction });
        }
        Ok(Self { tiers: table })
    }

    fn tier(&self, value: Micros) -> Option<&Tier> {
        self.tiers.iter().rev().find(|tier| value >= tier.lower_bound)
    }

    /// Largest leverage for a position of this value.
    pub(super) fn max_leverage(&self, value: Micros) -> u32 {
        self.tier(value).map_or(1, |tier| tier.max_leverage)
    }

    /// Below this margin a position of this value is liquidated.
    pub(super) fn maintenance(&self, value: Micros) -> Micros {
        self.tier(value).map_or(value, |tier| value / (2 * Micros::from(tier.max_leverage)) - tier.deduction)
    }
}

/// Value of a position at a mark, truncated to the micro.
pub(super) fn value_of(size: i64, mark: Mark) -> Micros {
    Micros::from(size.abs()) * Micros::from(mark.0) / 2
}

/// Cross positions of an account in one clearinghouse together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CrossMargin {
    /// Cash and positions at the mark.
    pub(super) equity: Micros,
    pub(super) initial: Micros,
    pub(super) maintenance: Micros,
    pub(super) value: Micros,
}

impl CrossMargin {
    /// What more positions could be opened with.
    pub(super) fn available(&self) -> Micros {
        self.equity - self.initial
    }
}

impl Exchange {
    /// Margin of all cross positions of a clearinghouse; `without` leaves out one contract's demand but not its value.
    pub(super) fn cross_margin(&self, account: &Account, clearinghouse: usize, without: Option<usize>) -> CrossMargin {
        let mut doubled_equity = 2 * account.cash.get(clearinghouse).copied().unwrap_or(0);
        let mut margin = CrossMargin::default();
        for (index, (position, asset)) in account.positions.iter().zip(&self.assets).enumerate() {
            let size = position.size();
            if size == 0 || !position.is_cross || position.clearinghouse != clearinghouse {
                continue;
            }
            let mark = asset.mark_or(Price(0));
            doubled_equity += Micros::from(size) * Micros::from(mark.0);
            if without != Some(index) {
                let value = value_of(size, mark);
                margin.value += value;
                margin.initial += value / Micros::from(position.leverage);
                margin.maintenance += asset.margin.maintenance(value);
            }
        }
        margin.equity = doubled_equity.div_euclid(2);
        margin
    }

    /// Money and profit behind an isolated position.
    pub(super) fn isolated_equity(account: &Account, asset: &Asset, index: usize) -> Micros {
        let position = &account.positions[index];
        let mark = asset.mark_or(Price(0));
        (2 * position.isolated + Micros::from(position.size()) * Micros::from(mark.0)).div_euclid(2)
    }

    /// Whether the account can carry a fill of this size. At placement the fill is taken to be at the mark, at a
    /// match at its price.
    pub(super) fn check_margin(
        &self,
        account: &Account,
        index: usize,
        side: Side,
        size: i64,
        price: Price,
        at_match: bool,
    ) -> std::result::Result<(), Refusal> {
        let (asset, position) = (&self.assets[index], &account.positions[index]);
        let before = position.size();
        let signed = if side == Side::Buy { size } else { -size };
        let after = before + signed;
        let flips = (before > 0 && after < 0) || (before < 0 && after > 0);
        if account.is_background || (after.abs() <= before.abs() && !flips) {
            return Ok(());
        }
        let mark = asset.mark_or(price);
        let value = value_of(after, mark);
        if position.leverage > asset.margin.max_leverage(value) {
            return Err(Refusal::MaxPosition);
        }
        let leverage = Micros::from(position.leverage);
        let fits = if position.is_cross {
            let margin = self.cross_margin(account, position.clearinghouse, Some(index));
            let lost = if at_match {
                Micros::from(signed) * (2 * Micros::from(price.0) - Micros::from(mark.0)) / 2
            } else {
                0
            };
            margin.initial + value / leverage <= margin.equity - lost
        } else {
            let free = self.cross_margin(account, position.clearinghouse, None).available();
            let (opened, released) = if flips {
                (after, Self::isolated_equity(account, asset, index))
            } else {
                (after.abs() - before.abs(), 0)
            };
            value_of(opened, mark) / leverage <= free + released
        };
        if fits { Ok(()) } else { Err(Refusal::Margin) }
    }
}
