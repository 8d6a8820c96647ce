//! Funding: a mean-reverting premium over the oracle, and the venue's hourly rate made of it.
//!
//! F8 = P + clamp(0.0001 − P, ±0.0005), P the hour's mean of the premium sampled every 5 s; an hour pays F8/8, at most
//! 4 % (venue documentation).

use hypermm_core::types::TimestampNs;

use crate::market::agents::draws::{Draws, Purpose};
use crate::market::parameters::MarketParameters;
use crate::venue::funding::HOUR_NS;

const SAMPLE_NS: TimestampNs = 5_000_000_000;
const INTEREST_8H: f64 = 0.0001;
const CLAMP_8H: f64 = 0.0005;
const HOURS: f64 = 8.0;
const CAP_PER_HOUR: f64 = 0.04;

/// The venue's rate of an hour, fraction of notional, from the mean premium of that hour.
#[must_use]
pub fn hourly_rate(mean_premium: f64) -> f64 {
    let interest = (INTEREST_8H - mean_premium).clamp(-CLAMP_8H, CLAMP_8H);
    ((mean_premium + interest) / HOURS).clamp(-CAP_PER_HOUR, CAP_PER_HOUR)
}

/// The premium and the rate it makes.
#[derive(Clone, Debug)]
pub struct Funding {
    draws: Draws,
    mean: f64,
    keep: f64,
    kick: f64,
    premium: f64,
    next_ns: TimestampNs,
    sum: f64,
    samples: u32,
    settled: f64,
}

impl Funding {
    /// A premium from its stationary law at `start_ns`.
    #[must_use]
    pub fn new(parameters: &MarketParameters, seed: u64, start_ns: TimestampNs) -> Self {
        let mut draws = Draws::new(seed, Purpose::Premium, 0);
        let steps_per_hour = (HOUR_NS / SAMPLE_NS) as f64;
        let keep = libm::exp(-parameters.premium_reversion_per_hour / steps_per_hour);
        let premium = parameters.premium_mean + parameters.premium_deviation * draws.normal();
        Self {
            draws,
            mean: parameters.premium_mean,
            keep,
            kick: parameters.premium_deviation * (1.0 - keep * keep).sqrt(),
            premium,
            next_ns: start_ns - start_ns.rem_euclid(SAMPLE_NS) + SAMPLE_NS,
            sum: premium,
            samples: 1,
            settled: hourly_rate(premium),
        }
    }

    /// Takes the samples due by `to_ns`.
    pub fn advance(&mut self, to_ns: TimestampNs) {
        while self.next_ns <= to_ns {
            self.premium = self.mean + self.keep * (self.premium - self.mean) + self.kick * self.draws.normal();
            self.sum += self.premium;
            self.samples += 1;
            if self.next_ns.rem_euclid(HOUR_NS) == 0 {
                self.settled = self.predicted_rate();
                self.sum = 0.0;
                self.samples = 0;
            }
            self.next_ns += SAMPLE_NS;
        }
    }

    /// Rate of the last full hour, fraction, + = longs pay.
    #[must_use]
    pub const fn settled_rate(&self) -> f64 {
        self.settled
    }

    /// Rate the present hour has earned so far.
    #[must_use]
    pub fn predicted_rate(&self) -> f64 {
        if self.samples == 0 { self.settled } else { hourly_rate(self.sum / f64::from(self.samples)) }
    }
}
