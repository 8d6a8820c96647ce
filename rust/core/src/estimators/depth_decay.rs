//! How fast aggressive flow thins with depth: Gamma posteriors of decay and rate, MODEL.md section 2.

use serde::{Deserialize, Serialize};

use crate::online::decayed::fade;
use crate::online::lanes::{exp, larger, smaller};
use crate::types::{TimestampNs, seconds_between};

const PRIOR_EVENTS: f64 = 0.5;
const DECAY_RANGE: (f64, f64) = (1e-3, 50.0);
// A ≥ 1/(10·600 s): one event in ten longest horizons.
const MIN_INTENSITY: f64 = 1.0 / 6000.0;

/// What one aggressor event adds to the posteriors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Reaches seen to their end.
    pub shape: f64,
    /// Σ(D − d₀), bps.
    pub excess_bps: f64,
    /// Events beyond d₀.
    pub events: f64,
}

impl Evidence {
    /// Evidence of one event with reach D above the threshold d₀; right-censored when the last thing it took was our own order.
    #[must_use]
    pub fn of(reach_bps: f64, threshold_bps: f64, censored: bool) -> Self {
        if reach_bps <= threshold_bps {
            return Self::default();
        }
        Self { shape: if censored { 0.0 } else { 1.0 }, excess_bps: reach_bps - threshold_bps, events: 1.0 }
    }
}

/// Reach of aggressive flow on one side: λ(δ) = Λ₀·e^{−k(δ − d₀)} = A·e^{−kδ}.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DepthDecay {
    prior_decay: f64,
    prior_rate: f64,
    time_constant_s: f64,
    evidence: Evidence,
    threshold_bps: f64,
    // Λ_prior·e^{−k_prior·d₀}, kept so that reading the rate needs no exponential of it.
    prior_beyond: f64,
    // e^{−elapsed/T}: fades with the evidence.
    unseen: f64,
    last_ns: Option<TimestampNs>,
}

impl DepthDecay {
    /// Prior k, 1/bps, prior rate Λ_prior of events at the mid, 1/s, and the half-life of the evidence, seconds; all > 0.
    #[must_use]
    pub fn new(depth_decay: f64, arrival_rate: f64, half_life_s: f64) -> Self {
        Self {
            prior_decay: depth_decay,
            prior_rate: arrival_rate,
            time_constant_s: half_life_s / std::f64::consts::LN_2,
            evidence: Evidence::default(),
            threshold_bps: 0.0,
            prior_beyond: larger(arrival_rate, MIN_INTENSITY),
            unseen: 1.0,
            last_ns: None,
        }
    }

    /// Begins counting elapsed time; later calls change nothing.
    #[inline]
    pub fn start(&mut self, now_ns: TimestampNs) {
        if self.last_ns.is_none() {
            self.last_ns = Some(now_ns);
        }
    }

    /// Changes priors and half-life.
    pub fn set_prior(&mut self, depth_decay: f64, half_life_s: f64) {
        self.prior_decay = depth_decay;
        self.time_constant_s = half_life_s / std::f64::consts::LN_2;
        self.refresh_prior();
    }

    /// Takes in the rate the prior of Λ₀ is made of and the threshold d₀ in force.
    pub fn set_market(&mut self, arrival_rate: f64, threshold_bps: f64) {
        self.prior_rate = arrival_rate;
        self.set_threshold(threshold_bps);
    }

    /// Takes in the threshold d₀ in force.
    pub fn set_threshold(&mut self, threshold_bps: f64) {
        self.threshold_bps = threshold_bps;
        self.refresh_prior();
    }

    fn refresh_prior(&mut self) {
        self.prior_beyond = larger(self.prior_rate * exp(-self.prior_decay * self.threshold_bps), MIN_INTENSITY);
    }

    /// Adds one whole event.
    pub fn update(&mut self, now_ns: TimestampNs, reach_bps: f64, threshold_bps: f64, censored: bool) {
        self.set_threshold(threshold_bps);
        self.revise(now_ns, Evidence::default(), Evidence::of(reach_bps, threshold_bps, censored));
    }

    /// Replaces what an event under way had added by what it adds now.
    pub fn revise(&mut self, now_ns: TimestampNs, before: Evidence, after: Evidence) {
        self.start(now_ns);
        if let Some(last) = self.last_ns
            && now_ns > last
        {
            let decay = fade(seconds_between(last, now_ns), self.time_constant_s);
            self.evidence.shape *= decay;
            self.evidence.excess_bps *= decay;
            self.evidence.events *= decay;
            self.unseen *= decay;
            self.last_ns = Some(now_ns);
        }
        self.evidence.shape = larger(self.evidence.shape + after.shape - before.shape, 0.0);
        self.evidence.excess_bps = larger(self.evidence.excess_bps + after.excess_bps - before.excess_bps, 0.0);
        self.evidence.events = larger(self.evidence.events + after.events - before.events, 0.0);
    }

    /// k, 1/bps: posterior mean within [1e-3, 50].
    #[inline]
    #[must_use]
    pub fn decay(&self) -> f64 {
        let mean = (PRIOR_EVENTS + self.evidence.shape) / (PRIOR_EVENTS / self.prior_decay + self.evidence.excess_bps);
        smaller(larger(mean, DECAY_RANGE.0), DECAY_RANGE.1)
    }

    /// Λ₀: rate of events beyond d₀, 1/s.
    #[must_use]
    pub fn rate(&self, now_ns: TimestampNs) -> f64 {
        let fade = match self.last_ns {
            Some(last) if now_ns > last => fade(seconds_between(last, now_ns), self.time_constant_s),
            _ => 1.0,
        };
        let seen = self.time_constant_s * (1.0 - self.unseen * fade);
        (PRIOR_EVENTS + self.evidence.events * fade) / (PRIOR_EVENTS / self.prior_beyond + seen)
    }

    /// A = Λ₀·e^{k·d₀}, 1/s: the intensity extrapolated to the mid, at least 1/6000.
    #[must_use]
    pub fn intensity_at_mid(&self, now_ns: TimestampNs) -> f64 {
        larger(self.rate(now_ns) * exp(self.decay() * self.threshold_bps), MIN_INTENSITY)
    }

    /// 1/(1 + cv), cv = 1/√α: 0.41 with the prior alone, towards 1 with evidence.
    #[must_use]
    pub fn confidence(&self) -> f64 {
        let shape = PRIOR_EVENTS + self.evidence.shape;
        1.0 / (1.0 + 1.0 / shape.sqrt())
    }
}
