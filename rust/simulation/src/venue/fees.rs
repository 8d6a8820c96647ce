//! What a fill costs: the tier table, the discounts, a contract's own scale, and the truncation to whole micros.
//!
//! Source: the venue's fee schedule. A fill of notional N pays N·rate, truncated toward zero at six decimals, rebates
//! likewise; the rate is worked out once per account and contract, in whole multiples of 1e-12.

use hypermm_core::accounting::ledger::Micros;
use hypermm_core::error::{Result, invalid_input};

/// Fills pay whole multiples of this fraction of a rate of 1.
const RATE_SCALE: i64 = 1_000_000_000_000;

/// Taker and maker rate above each 14-day volume, USD.
const TIERS: [(f64, f64, f64); 7] = [
    (0.0, 0.000_45, 0.000_15),
    (5e6, 0.000_40, 0.000_12),
    (25e6, 0.000_35, 0.000_08),
    (100e6, 0.000_30, 0.000_04),
    (500e6, 0.000_28, 0.0),
    (2e9, 0.000_26, 0.0),
    (7e9, 0.000_24, 0.0),
];

/// Maker rate above each share of the venue's maker volume.
const REBATES: [(f64, f64); 3] = [(0.005, -0.000_01), (0.015, -0.000_02), (0.03, -0.000_03)];

/// Discount on positive fees above each number of tokens staked.
const STAKING: [(f64, f64); 6] = [(10.0, 0.05), (1e2, 0.10), (1e3, 0.15), (1e4, 0.20), (1e5, 0.30), (5e5, 0.40)];

/// Rates of an account before a contract's scale, fractions of notional.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FeeRates {
    /// What a taker pays.
    pub taker: f64,
    /// What a maker pays; negative = rebate.
    pub maker: f64,
    /// Taken off positive fees, 0 to 1.
    pub referral_discount: f64,
}

impl Default for FeeRates {
    /// An account that has traded nothing yet: 4.5 bps taker, 1.5 bps maker.
    fn default() -> Self {
        Self::tier(0.0)
    }
}

impl FeeRates {
    /// Nothing at all.
    pub const FREE: Self = Self { taker: 0.0, maker: 0.0, referral_discount: 0.0 };

    /// The tier of a 14-day volume in USD; a tier starts above its volume.
    #[must_use]
    pub fn tier(volume_14d_usd: f64) -> Self {
        let tier = TIERS.iter().rev().find(|tier| volume_14d_usd > tier.0).unwrap_or(&TIERS[0]);
        Self { taker: tier.1, maker: tier.2, referral_discount: 0.0 }
    }

    /// With the rebate of an account that makes this share (0 to 1) of the venue's maker volume, where it earns one.
    #[must_use]
    pub fn with_maker_share(self, share: f64) -> Self {
        let maker = REBATES.iter().rev().find(|step| share > step.0).map_or(self.maker, |step| step.1);
        Self { maker, ..self }
    }

    /// With the discount of this many staked tokens, on positive fees only.
    #[must_use]
    pub fn with_staked(self, tokens: f64) -> Self {
        let kept = 1.0 - STAKING.iter().rev().find(|step| tokens > step.0).map_or(0.0, |step| step.1);
        let discounted = |rate: f64| if rate > 0.0 { rate * kept } else { rate };
        Self { taker: discounted(self.taker), maker: discounted(self.maker), ..self }
    }

    /// With a referral discount, a fraction of positive fees (0.04 for the first 25 M USD).
    #[must_use]
    pub fn with_referral(self, discount: f64) -> Self {
        Self { referral_discount: discount, ..self }
    }

    /// The rates of fills in a contract of this scale:
    /// taker·k·g·(1 − referral), maker likewise where positive, and rebate·g.
    ///
    /// # Errors
    /// A rate outside ±1 or a discount outside 0 to 1.
    pub fn in_contract(&self, scale: &FeeScale) -> Result<FillRates> {
        for (field, rate) in [("taker_fee", self.taker), ("maker_fee", self.maker)] {
            if !(0.0..=1.0).contains(&rate.abs()) {
                return Err(invalid_input(field, rate, "a fraction of at most 1", "1 bp is 0.0001"));
            }
        }
        if !(0.0..=1.0).contains(&self.referral_discount) {
            return Err(invalid_input("referral_discount", self.referral_discount, "0 to 1", "4 % is 0.04"));
        }
        let growth = if scale.growth { 0.1 } else { 1.0 };
        let charged = |rate: f64| {
            let factor = if rate > 0.0 { scale.deployer_factor() * (1.0 - self.referral_discount) } else { 1.0 };
            (rate * factor * growth * RATE_SCALE as f64).round() as i64
        };
        Ok(FillRates { taker: charged(self.taker), maker: charged(self.maker) })
    }
}

/// How a contract of a builder's exchange scales fees; the default is the venue's own contracts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FeeScale {
    /// The deployer's share, 0 to 10; 0 on the venue's own contracts.
    pub deployer_scale: f64,
    /// Growth mode: fees, rebates and what volume earns are a tenth.
    pub growth: bool,
}

impl FeeScale {
    /// Refuses a scale out of range.
    ///
    /// # Errors
    /// A scale outside 0 to 10.
    pub fn check(&self) -> Result<()> {
        if !(0.0..=10.0).contains(&self.deployer_scale) {
            return Err(invalid_input("deployer_scale", self.deployer_scale, "0 to 10", "1.0 doubles the fee"));
        }
        Ok(())
    }

    /// 1 + s below 1, 2·s from there on.
    fn deployer_factor(&self) -> f64 {
        if self.deployer_scale < 1.0 { 1.0 + self.deployer_scale } else { 2.0 * self.deployer_scale }
    }
}

/// Rates of one account in one contract, whole multiples of 1e-12.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FillRates {
    taker: i64,
    maker: i64,
}

impl FillRates {
    /// What the taker of this notional pays, truncated toward zero.
    #[inline]
    #[must_use]
    pub fn taker_fee(&self, notional: Micros) -> Micros {
        fee(notional, self.taker)
    }

    /// What the maker of this notional pays, truncated toward zero; negative = rebate.
    #[inline]
    #[must_use]
    pub fn maker_fee(&self, notional: Micros) -> Micros {
        fee(notional, self.maker)
    }
}

#[inline]
fn fee(notional: Micros, rate: i64) -> Micros {
    if rate == 0 {
        return 0;
    }
    // Nearly every fill fits 64 bits, where a division costs a fraction.
    match i64::try_from(notional).ok().and_then(|notional| notional.checked_mul(rate)) {
        Some(product) => Micros::from(product / RATE_SCALE),
        None => notional * Micros::from(rate) / Micros::from(RATE_SCALE),
    }
}
