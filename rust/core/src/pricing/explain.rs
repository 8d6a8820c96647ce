//! Every price as a sum of named terms, in bps of mid; nothing is left over.

use serde::{Deserialize, Serialize};

use super::costs::SideCosts;
use super::decision::Decision;
use crate::estimators::drift::DriftFilter;
use crate::features::FeatureId;
use crate::online::lanes::larger;
use crate::types::{BPS, QuoteStatus, Side, TimestampNs};

// A distance both sides keep from the reservation price, wider than what the price grid snaps.
const MIN_DEPTH_BPS: f64 = 1e-3;

/// Estimates and terms one ladder was made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    /// σ, bps/√s.
    pub volatility: f64,
    /// σ_eff, bps/√s.
    pub effective_volatility: f64,
    /// Λ_b, Λ_a, 1/s.
    pub arrival_rates: [f64; 2],
    /// k_b, k_a, 1/bps.
    pub depth_decays: [f64; 2],
    /// A_b, A_a, 1/s.
    pub intensities: [f64; 2],
    /// Informed parts of sells (against bids) and of buys (against asks).
    pub toxicities: [f64; 2],
    /// τ, seconds.
    pub horizon_s: f64,
    /// v(τ), bps².
    pub displacement_variance: f64,
    /// a of the closed form's validity; above 2 risk aversion is too high for the flow.
    pub validity: f64,
    /// Request headroom h.
    pub headroom: f64,
    /// x = q/q_max.
    pub inventory_fraction: f64,
    /// D, bps.
    pub drift: f64,
    /// R(x), bps.
    pub inventory: f64,
    /// C, bps.
    pub carry: f64,
    /// F, bps.
    pub flow: f64,
    /// What clamping r to ±5000 bps adds, bps.
    pub domain_clamp: f64,
    /// (1/γ₀)ln(1 + γ₀/k_s), bps; bid, ask.
    pub half_spread: [f64; 2],
    /// R′(x)/(2N), bps.
    pub inventory_widening: f64,
    /// Costs; bid, ask.
    pub costs: [SideCosts; 2],
    /// d₁, bps.
    pub level_spacing_bps: f64,
    /// g.
    pub level_growth: f64,
    /// Best prices we may quote without taking: highest bid, lowest ask.
    pub post_only_limits: [f64; 2],
}

impl Terms {
    /// r before its clamp, bps.
    #[inline]
    #[must_use]
    pub fn reservation_bps(&self) -> f64 {
        self.drift - self.inventory - self.carry + self.flow
    }

    /// δ_s, bps, before its floor: a rebate can make it negative.
    #[inline]
    fn unfloored_depth(&self, side: Side) -> f64 {
        let place = side.index();
        self.half_spread[place] + self.inventory_widening + self.costs[place].in_depth()
    }

    /// What keeps δ_s above zero, bps: else a large rebate would cross our own bid and ask.
    #[inline]
    #[must_use]
    pub fn depth_floor(&self, side: Side) -> f64 {
        larger(MIN_DEPTH_BPS - self.unfloored_depth(side), 0.0)
    }

    /// δ_s, bps.
    #[inline]
    #[must_use]
    pub fn depth(&self, side: Side) -> f64 {
        self.unfloored_depth(side) + self.depth_floor(side)
    }

    /// d_i, bps.
    #[must_use]
    pub fn spacing(&self, index: u8) -> f64 {
        let (mut spacing, mut step) = (0.0, self.level_spacing_bps);
        for _ in 0..index {
            spacing += step;
            step *= self.level_growth;
        }
        spacing
    }
}

/// Where the drift term comes from: what each source gave to it, bps. They sum to [`Terms::drift`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DriftShares {
    own: [f64; OWN_SOURCES.len()],
    outside: f64,
    features: Vec<(FeatureId, f64)>,
}

const OWN_SOURCES: [&str; 4] = ["price", "fill", "flow", "funding"];

impl DriftShares {
    /// Takes the shares of a filter, `bps_per_drift` being D per unit of drift.
    #[inline]
    pub(crate) fn take(&mut self, drift: &DriftFilter, now_ns: TimestampNs, bps_per_drift: f64) {
        self.clear();
        for (place, (feature, share)) in drift.shares(now_ns).enumerate() {
            let share = bps_per_drift * share;
            match (feature, self.own.get_mut(place)) {
                (Some(feature), _) => self.features.push((feature, share)),
                (None, Some(own)) => *own = share,
                (None, None) => self.outside += share,
            }
        }
    }

    /// No drift, no shares.
    pub(crate) fn clear(&mut self) {
        self.own = [0.0; OWN_SOURCES.len()];
        self.outside = 0.0;
        self.features.clear();
    }

    /// Source and bps: our own sources, all outside signals together, then each feature by its name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, f64)> + '_ {
        let own = OWN_SOURCES.into_iter().zip(self.own);
        let features = self.features.iter().map(|(feature, share)| (feature.row().name, *share));
        own.chain([("outside", self.outside)]).chain(features)
    }
}

/// Number of named terms.
pub const TERM_COUNT: usize = 18;

/// The terms of one level's price, signed as they move that price.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Explanation {
    /// The level's price.
    pub price: f64,
    /// Mid the terms are relative to: price = mid·(1 + 1e-4·Σ terms).
    pub mid_price: f64,
    /// Name and bps.
    pub terms: [(&'static str, f64); TERM_COUNT],
}

impl Explanation {
    /// Names and values, bps.
    pub fn terms(&self) -> impl Iterator<Item = (&'static str, f64)> + '_ {
        self.terms.iter().copied()
    }

    /// Σ terms, bps: (price/mid − 1)·1e4.
    #[must_use]
    pub fn total_bps(&self) -> f64 {
        self.terms.iter().map(|(_, value)| value).sum()
    }
}

impl Decision {
    /// Every additive term of the price of one level; `None` past the ladder or without one.
    #[must_use]
    pub fn explain(&self, side: Side, level: usize) -> Option<Explanation> {
        let quotes = self.side(side);
        if self.status != QuoteStatus::Quoting || level >= quotes.len {
            return None;
        }
        let terms = &self.terms;
        let place = side.index();
        let costs = &terms.costs[place];
        // Terms of r move both sides alike; those of δ push a bid down and an ask up.
        let outward = -side.sign();
        let spacing = terms.spacing(quotes.ladder_index[level]);
        let unclamped = terms.reservation_bps() + terms.domain_clamp + outward * (terms.depth(side) + spacing);
        let limit = (terms.post_only_limits[place] / self.mid_price - 1.0) * BPS;
        let clamped = if side == Side::Buy { unclamped.min(limit) } else { unclamped.max(limit) };
        let price = quotes.prices[level];
        Some(Explanation {
            price,
            mid_price: self.mid_price,
            terms: [
                ("drift", terms.drift),
                ("inventory", -terms.inventory),
                ("funding_carry", -terms.carry),
                ("flow", terms.flow),
                ("domain_clamp", terms.domain_clamp),
                ("half_spread", outward * terms.half_spread[place]),
                ("inventory_widening", outward * terms.inventory_widening),
                ("fee", outward * costs.fee),
                ("adverse_selection", outward * costs.adverse_selection),
                ("cancel_race", outward * costs.race),
                ("log_odds", outward * costs.log_odds),
                ("quota", outward * costs.quota),
                ("mark_up", outward * costs.mark_up),
                ("cost_bound", outward * costs.bound_relief),
                ("depth_floor", outward * terms.depth_floor(side)),
                ("level_spacing", outward * spacing),
                ("post_only_clamp", clamped - unclamped),
                ("price_increment", (price / self.mid_price - 1.0) * BPS - clamped),
            ],
        })
    }
}
