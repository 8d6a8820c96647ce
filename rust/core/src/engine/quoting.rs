//! The quote cycle: estimates → terms → ladder, reading the state and changing nothing.

use super::QuoteEngine;
use crate::error::Result;
use crate::online::lanes::{exp, smaller};
use crate::pricing::costs::{SideCosts, affordable_levels, quota_widening, request_price};
use crate::pricing::decision::{Binding, Decision};
use crate::pricing::explain::Terms;
use crate::pricing::fill_probability::LifeCurve;
use crate::pricing::ladder::{LadderCurve, SideInputs, fill_side, post_only_limit, side_curve};
use crate::pricing::prepared::Prepared;
use crate::pricing::reservation::drift_shift;
use crate::pricing::risk::InventoryRisk;
use crate::types::{BPS, Price, QuoteStatus, Side, TimestampNs};

// Above it the engine warns: risk aversion is too high for the flow.
const LARGEST_VALIDITY: f64 = 2.0;
const DOMAIN_BPS: f64 = 5000.0;

impl QuoteEngine {
    /// The ladder for `time_ns`, written into `decision`. Changes nothing: asked twice, the same answer; asked or not, the same future.
    ///
    /// # Errors
    /// A time before the last event. An unusable book is a status, not an error.
    pub fn quote(&self, time_ns: TimestampNs, decision: &mut Decision) -> Result<()> {
        if let Some((clip, prepared, risk)) = self.value(time_ns, decision)? {
            let life = LifeCurve::new(&self.own_orders.life().expected_s(time_ns));
            for side in [Side::Buy, Side::Sell] {
                let inputs = self.side_inputs(clip, prepared, decision, life, side);
                decision.terms.post_only_limits[side.index()] = self.instrument.price_to_f64(inputs.post_only_limit);
                let quotes = match side {
                    Side::Buy => &mut decision.bids,
                    Side::Sell => &mut decision.asks,
                };
                fill_side(&self.instrument, &inputs, &risk, quotes, &mut decision.binding);
            }
        }
        Ok(())
    }

    /// What `quote` would cut into orders: one side before clamp, grid, merging, lots, minimum and cap; `None` when there is no quote.
    ///
    /// # Errors
    /// A time before the last event.
    pub fn ladder_curve(&self, time_ns: TimestampNs, side: Side) -> Result<Option<LadderCurve>> {
        let mut decision = Decision::default();
        let valued = self.value(time_ns, &mut decision)?;
        Ok(valued.map(|(clip, prepared, risk)| {
            let life = LifeCurve::new(&self.own_orders.life().expected_s(time_ns));
            side_curve(&self.side_inputs(clip, prepared, &decision, life, side), &risk)
        }))
    }

    /// Everything of a decision but the ladders; `None` when there is nothing to quote on.
    #[inline]
    fn value(&self, time_ns: TimestampNs, decision: &mut Decision) -> Result<Option<(f64, &Prepared, InventoryRisk)>> {
        self.check_time(time_ns)?;
        decision.time_ns = time_ns;
        decision.status = self.book.status(time_ns, self.config.book_stale_s);
        decision.position = self.position();
        decision.bids.len = 0;
        decision.asks.len = 0;
        decision.binding = Binding::default();
        let (Some(mid), Some(clip), QuoteStatus::Quoting) = (self.book.mid(), self.clip, decision.status) else {
            (decision.drift_bps_per_s, decision.drift_variance) = self.model.drift().at(time_ns);
            decision.mid_price = 0.0;
            decision.reservation_price = 0.0;
            decision.target_inventory = 0.0;
            decision.terms = Terms::default();
            decision.drift_shares.clear();
            return Ok(None);
        };
        let prepared = self.memo.get_or_make(|| {
            // As of the print or second that last taught something, so that the answer does not depend on who asked before.
            let estimates = self.model.estimates(self.taught_ns);
            Prepared::new(&self.config, estimates, self.instrument.funding_interval_s())
        });
        (decision.drift_bps_per_s, decision.drift_variance) = self.model.drift().at(time_ns);
        decision.mid_price = mid;
        let drift = decision.drift_bps_per_s;
        let risk = self.price(time_ns, clip, prepared, drift, decision.drift_variance, &mut decision.terms);
        let per_drift = drift_shift(1.0, prepared.estimates.mean_reversion_per_s, prepared.drift_horizon_s);
        decision.drift_shares.take(self.model.drift(), time_ns, per_drift);
        let terms = &decision.terms;
        decision.reservation_price = mid * (1.0 + (terms.reservation_bps() + terms.domain_clamp) / BPS);
        decision.target_inventory =
            risk.fast_clamped_inverse(terms.drift - terms.carry + terms.flow) * self.config.max_position;
        decision.binding.risk_aversion_too_high = terms.validity > LARGEST_VALIDITY;
        decision.binding.cost_bound = terms.costs.iter().any(|costs| costs.bound_relief < 0.0);
        Ok(Some((clip, prepared, risk)))
    }

    /// Sections 3, 4 and 9: every term of the prices.
    fn price(
        &self,
        time_ns: TimestampNs,
        clip: f64,
        prepared: &Prepared,
        drift_bps_per_s: f64,
        drift_variance: f64,
        terms: &mut Terms,
    ) -> InventoryRisk {
        let config = &self.config;
        let estimates = &prepared.estimates;
        let tau = prepared.horizon_s;
        let variance = prepared.base_variance + drift_variance * prepared.horizon_time_s * prepared.horizon_time_s;
        let clips = config.max_position / clip;
        let slope = clips * config.risk_aversion * variance * prepared.validity_factor;
        let mut risk = InventoryRisk::from_parts(slope, config.inventory_curvature);
        if config.terminal_penalty {
            let left = self.model.funding().seconds_to_settlement(time_ns);
            let unwind = prepared.mean_half_spread + config.taker_fee_bps;
            risk = risk.with_terminal(exp(-left / tau) * unwind);
        }
        let x = self.position() / config.max_position;
        let headroom = self.quota.headroom();
        let quota = quota_widening(config.quota_weight_bps, headroom);

        terms.volatility = estimates.volatility;
        terms.effective_volatility = estimates.effective_volatility;
        terms.arrival_rates = estimates.arrival_rates;
        terms.depth_decays = estimates.depth_decays;
        terms.intensities = estimates.intensities;
        terms.toxicities = estimates.toxicities;
        terms.horizon_s = tau;
        terms.displacement_variance = variance;
        terms.validity = prepared.validity;
        terms.headroom = headroom;
        terms.inventory_fraction = x;
        terms.drift = drift_shift(drift_bps_per_s, estimates.mean_reversion_per_s, prepared.drift_horizon_s);
        terms.inventory = risk.penalty(x);
        terms.carry = self.model.funding().carry_with(time_ns, tau, prepared.settlement_scale);
        terms.flow = prepared.flow;
        let reservation = terms.reservation_bps();
        terms.domain_clamp = reservation.clamp(-DOMAIN_BPS, DOMAIN_BPS) - reservation;
        terms.half_spread = prepared.half_spread;
        // Bounded below the clamp of r: far past the cap the closing side must still come out at the touch.
        terms.inventory_widening = smaller(risk.slope(x) / (2.0 * clips), 0.5 * DOMAIN_BPS);
        terms.level_spacing_bps = config.level_spacing_bps;
        terms.level_growth = config.level_growth;
        terms.costs = prepared.adverse_selection.map(|adverse_selection| {
            SideCosts { fee: config.maker_fee_bps, adverse_selection, quota, ..SideCosts::default() }
                .bounded(config.cost_bound_bps)
        });
        risk
    }

    /// Section 5: what one side's ladder is made from.
    #[inline(always)]
    fn side_inputs(
        &self,
        clip: f64,
        prepared: &Prepared,
        decision: &Decision,
        life: LifeCurve,
        side: Side,
    ) -> SideInputs<'_> {
        let config = &self.config;
        let estimates = &prepared.estimates;
        let terms = &decision.terms;
        let place = side.index();
        let sign = side.sign();
        let opposite = self.book.side(side.opposite());
        let limit = opposite.units().first().map_or(Price(0), |best| post_only_limit(&self.instrument, side, *best));
        let fill_costs = terms.costs[place].in_margin();
        let reservation = terms.reservation_bps() + terms.domain_clamp;
        SideInputs {
            side,
            mid: decision.mid_price,
            post_only_limit: limit,
            first_offset_bps: reservation - sign * terms.depth(side),
            spacing_bps: config.level_spacing_bps,
            growth: config.level_growth,
            levels: affordable_levels(config.levels, terms.headroom),
            base_margin_bps: sign * (terms.drift - terms.carry + terms.flow) - fill_costs,
            base_edge_bps: sign * decision.drift_bps_per_s * prepared.edge_time_s - fill_costs,
            penalty_bps: sign * terms.inventory,
            inventory_fraction: sign * terms.inventory_fraction,
            max_position: config.max_position,
            clip,
            volatility: estimates.effective_volatility,
            intensity: estimates.intensities[place],
            depth_decay: estimates.depth_decays[place],
            mean_event_size: estimates.mean_event_sizes[place].unwrap_or(clip),
            queue_exponent: config.queue_exponent,
            life,
            request_price_usd: request_price(config.request_price_usd, terms.headroom),
            position: self.inventory.position(),
            book: self.book.side(side),
            own_orders: self.own_orders.live(),
            untold: self.own_orders.untold_by_ended()[place],
        }
    }
}
