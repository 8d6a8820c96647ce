//! Funding: the premium of impact prices over the oracle, its average, and the hourly rate.
//!
//! The venue's own contracts, rates of 8 h: F = P + clamp(interest − P, ±clamp), and F/8 is paid each hour, with
//! P the hour's average of max(impact bid − oracle, 0) − max(oracle − impact ask, 0) over the oracle, sampled every
//! 5 s. A builder's contracts: P = (impact bid + impact ask)/2 over the oracle − 1, times a multiplier.

use hypermm_core::error::{Result, invalid_input, require_positive};
use hypermm_core::types::TimestampNs;

/// Time between two settlements, ns.
pub const HOUR_NS: i64 = 3_600_000_000_000;

/// The first whole hour after `time_ns`: when funding is settled next.
#[must_use]
pub const fn next_settlement_ns(time_ns: TimestampNs) -> TimestampNs {
    time_ns - time_ns.rem_euclid(HOUR_NS) + HOUR_NS
}

/// Hours in the interval that rates are quoted for.
const QUOTED_HOURS: f64 = 8.0;

/// How a contract measures its premium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PremiumRule {
    /// How far the oracle lies outside the impact prices.
    OutsideImpact,
    /// How far the middle of the impact prices lies from the oracle.
    ImpactMiddle,
}

/// Terms of a contract's funding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FundingTerms {
    /// How the premium is measured.
    pub premium: PremiumRule,
    /// Notional that an impact price executes, USD.
    pub impact_notional_usd: f64,
    /// Interest per 8 h.
    pub interest: f64,
    /// Largest distance of interest from premium that is paid, per 8 h.
    pub clamp: f64,
    /// Factor on the whole.
    pub multiplier: f64,
    /// Largest rate of one hour.
    pub cap_per_hour: f64,
}

impl FundingTerms {
    /// The venue's own contracts. Impact notional is 20,000 USD for BTC and ETH, 6,000 for others.
    #[must_use]
    pub const fn native(impact_notional_usd: f64) -> Self {
        Self {
            premium: PremiumRule::OutsideImpact,
            impact_notional_usd,
            interest: 0.0001,
            clamp: 0.0005,
            multiplier: 1.0,
            cap_per_hour: 0.04,
        }
    }

    /// A builder's contract with the default interest and clamp.
    #[must_use]
    pub const fn builder(impact_notional_usd: f64, multiplier: f64) -> Self {
        Self { premium: PremiumRule::ImpactMiddle, clamp: 0.0003, multiplier, ..Self::native(impact_notional_usd) }
    }

    /// Refuses terms out of range.
    ///
    /// # Errors
    /// A notional or cap that is not positive, interest outside ±0.01, clamp outside 0–0.01, multiplier outside 0–10.
    pub fn check(&self) -> Result<()> {
        require_positive("impact_notional_usd", self.impact_notional_usd)?;
        require_positive("cap_per_hour", self.cap_per_hour)?;
        for (field, value, range, expected) in [
            ("funding_interest", self.interest, -0.01..=0.01, "-0.01 to 0.01 per 8 h"),
            ("funding_clamp", self.clamp, 0.0..=0.01, "0 to 0.01 per 8 h"),
            ("funding_multiplier", self.multiplier, 0.0..=10.0, "0 to 10"),
        ] {
            if !range.contains(&value) {
                return Err(invalid_input(field, value, expected, ""));
            }
        }
        Ok(())
    }

    /// Premium of one sample; prices in any one unit, positive.
    #[must_use]
    pub fn premium(&self, impact_bid: f64, impact_ask: f64, oracle: f64) -> f64 {
        match self.premium {
            PremiumRule::OutsideImpact => ((impact_bid - oracle).max(0.0) - (oracle - impact_ask).max(0.0)) / oracle,
            PremiumRule::ImpactMiddle => 0.5 * (impact_bid + impact_ask) / oracle - 1.0,
        }
    }

    /// Rate of one hour from the hour's average premium, fraction of the position's value; + = longs pay.
    #[must_use]
    pub fn hourly_rate(&self, average_premium: f64) -> f64 {
        let quoted = average_premium + (self.interest - average_premium).clamp(-self.clamp, self.clamp);
        (self.multiplier * quoted / QUOTED_HOURS).clamp(-self.cap_per_hour, self.cap_per_hour)
    }
}

/// Average of the premium since the last settlement.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PremiumAverage {
    sum: f64,
    samples: u32,
}

impl PremiumAverage {
    /// One sample; the venue takes one every 5 s.
    pub fn update(&mut self, premium: f64) {
        self.sum += premium;
        self.samples += 1;
    }

    /// The average so far; 0 before the first sample, which leaves interest alone.
    #[must_use]
    pub fn value(&self) -> f64 {
        if self.samples == 0 { 0.0 } else { self.sum / f64::from(self.samples) }
    }

    /// The average, and a new hour.
    pub fn settle(&mut self) -> f64 {
        let average = self.value();
        *self = Self::default();
        average
    }
}
