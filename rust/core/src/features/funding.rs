//! Funding forecast and the carry of discrete settlements, MODEL.md section 6. Positive: longs pay.

use serde::{Deserialize, Serialize};

use crate::online::decayed::DecayedMoments;
use crate::online::lanes::exp;
use crate::types::{BPS, NS_PER_S, TimestampNs, seconds_between};

const SETTLED_WEIGHT: f64 = 0.2;
const PREDICTED_WEIGHT: f64 = 0.8;
const PREDICTED_MEMORY_S: f64 = 900.0;
// Settled rates are averaged over a third of a day, z-scores taken over a day.
const SETTLED_TIME_CONSTANT_S: f64 = 8.0 * 3600.0;
const DAY_S: f64 = 86_400.0;
const SAMPLE_NS: i64 = 60_000_000_000;

/// Forecast of the rate charged at the next settlement, bps an interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FundingForecast {
    interval_s: f64,
    current_bps: Option<f64>,
    predicted_bps: Option<f64>,
    next_settlement_ns: Option<TimestampNs>,
    settled: DecayedMoments,
    day: DecayedMoments,
    sampled_ns: Option<TimestampNs>,
}

impl FundingForecast {
    /// `interval_s` > 0: seconds between settlements.
    #[must_use]
    pub fn new(interval_s: f64) -> Self {
        Self {
            interval_s,
            current_bps: None,
            predicted_bps: None,
            next_settlement_ns: None,
            settled: DecayedMoments::new(SETTLED_TIME_CONSTANT_S),
            day: DecayedMoments::new(DAY_S),
            sampled_ns: None,
        }
    }

    /// Takes in news; `None` is no news. Rates are fractions an interval.
    pub fn update(
        &mut self,
        now_ns: TimestampNs,
        funding_rate: Option<f64>,
        predicted_funding: Option<f64>,
        next_settlement_ns: Option<TimestampNs>,
    ) {
        self.settle(now_ns);
        self.current_bps = funding_rate.map(|rate| rate * BPS).or(self.current_bps);
        self.predicted_bps = predicted_funding.map(|rate| rate * BPS).or(self.predicted_bps);
        self.next_settlement_ns = next_settlement_ns.or(self.next_settlement_ns);
        if self.next_settlement_ns.is_none() {
            self.next_settlement_ns = Some(self.after(now_ns));
        }
        if self.current_bps.is_some() && self.sampled_ns.is_none_or(|last| now_ns - last >= SAMPLE_NS) {
            self.day.add(now_ns, self.forecast_bps(now_ns));
            self.sampled_ns = Some(now_ns);
        }
    }

    /// Records the settlements that have passed by `now_ns`.
    fn settle(&mut self, now_ns: TimestampNs) {
        let Some(settlement) = self.next_settlement_ns else { return };
        if settlement > now_ns {
            return;
        }
        if let Some(rate) = self.current_bps {
            self.settled.add(settlement, rate);
        }
        self.next_settlement_ns = Some(self.after_settlement(settlement, now_ns));
    }

    /// First settlement after `now_ns` on the grid through a known one.
    fn after_settlement(&self, settlement: TimestampNs, now_ns: TimestampNs) -> TimestampNs {
        let interval = (self.interval_s * NS_PER_S) as i64;
        let interval = interval.max(1);
        ((now_ns - settlement) / interval + 1).saturating_mul(interval).saturating_add(settlement)
    }

    /// First whole interval of the epoch after `now_ns`.
    fn after(&self, now_ns: TimestampNs) -> TimestampNs {
        self.after_settlement(0, now_ns)
    }

    /// Seconds to the next settlement, in (0, interval]: the moment of settlement belongs to the next interval.
    #[must_use]
    pub fn seconds_to_settlement(&self, now_ns: TimestampNs) -> f64 {
        let next = match self.next_settlement_ns {
            Some(settlement) if settlement > now_ns => settlement,
            Some(settlement) => self.after_settlement(settlement, now_ns),
            None => self.after(now_ns),
        };
        seconds_between(now_ns, next)
    }

    /// f̂ = w_c·current + w_p·predicted + w_e·settled mean, bps an interval; w_e 0.2, w_p 0.8·e^{−s/900 s}, w_c the rest. The weight
    /// of what was never heard goes to the current rate; 0 before any news.
    #[must_use]
    pub fn forecast_bps(&self, now_ns: TimestampNs) -> f64 {
        let Some(current) = self.current_bps.or(self.predicted_bps) else { return 0.0 };
        let mut forecast = current;
        if let Some(predicted) = self.predicted_bps {
            let weight = PREDICTED_WEIGHT * exp(-self.seconds_to_settlement(now_ns) / PREDICTED_MEMORY_S);
            forecast += weight * (predicted - current);
        }
        if self.settled.weight() > 0.0 {
            forecast += SETTLED_WEIGHT * (self.settled.mean() - current);
        }
        forecast
    }

    /// N(τ) = e^{−s/τ}/(1 − e^{−I/τ}): settlements expected within an exponential holding time of mean τ.
    #[must_use]
    pub fn expected_settlements(&self, now_ns: TimestampNs, horizon_s: f64) -> f64 {
        exp(-self.seconds_to_settlement(now_ns) / horizon_s) / (1.0 - exp(-self.interval_s / horizon_s))
    }

    /// C = f̂·N(τ), bps: what holding one more contract costs in funding, negative when it earns.
    #[must_use]
    pub fn carry_bps(&self, now_ns: TimestampNs, horizon_s: f64) -> f64 {
        self.carry_with(now_ns, horizon_s, 1.0 / (1.0 - exp(-self.interval_s / horizon_s)))
    }

    /// [`FundingForecast::carry_bps`] with 1/(1 − e^{−I/τ}) at hand.
    #[inline]
    #[must_use]
    pub(crate) fn carry_with(&self, now_ns: TimestampNs, horizon_s: f64, settlement_scale: f64) -> f64 {
        if self.current_bps.is_none() && self.predicted_bps.is_none() {
            return 0.0;
        }
        self.forecast_bps(now_ns) * exp(-self.seconds_to_settlement(now_ns) / horizon_s) * settlement_scale
    }

    /// How many deviations the forecast stands from its mean of a day; `None` without spread.
    #[must_use]
    pub fn z_score(&self, now_ns: TimestampNs) -> Option<f64> {
        let deviation = self.day.deviation();
        // Rounding in a constant series is not spread.
        (deviation > 1e-9 * self.day.mean().abs().max(1e-6))
            .then(|| (self.forecast_bps(now_ns) - self.day.mean()) / deviation)
    }
}
