//! Markouts, adverse selection and realized edge of fills: section 11 of the model, streaming.
//!
//! With m0 the mid at placement, m_f the mid at the fill and m_h the last mid at or before fill time + h, in bps of
//! m0 and with sgn = +1 for our buys:
//!
//! ```text
//! depth     =  sgn (m0 − price)/m0        AS_h    = −sgn (m_h − m0)/m0
//! edge_h    =  depth − AS_h − fee − funding = sgn (m_h − price)/m0 − fee − funding
//! markout_h =  sgn (m_h − m_f)/m0         adverse: AS_h > max(1, 2σ√(h + age))
//! ```
//!
//! All times are one clock's: the one the mids arrive by. A fill whose fill time + h lies past the last mid is left
//! out of horizon h and counted.

use std::collections::VecDeque;

use crate::config::MAX_LEVELS;
use crate::error::{Result, invalid_input, require_finite, require_positive};
use crate::types::{BPS, NS_PER_S, Regime, Side, TimestampNs, seconds_between};

/// Number of horizons.
pub const HORIZON_COUNT: usize = 6;

/// Horizons, ns: 0.5, 1, 5, 10, 30, 60 s.
pub const HORIZONS_NS: [i64; HORIZON_COUNT] =
    [500_000_000, 1_000_000_000, 5_000_000_000, 10_000_000_000, 30_000_000_000, 60_000_000_000];

/// Place of the default horizon, 10 s, in [`HORIZONS_NS`].
pub const DEFAULT_HORIZON: usize = 3;

/// A fill as the tracker needs it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrackedFill {
    /// Caller's name for it, handed back with every outcome.
    pub sequence: u64,
    /// When it happened, on the mids' clock.
    pub time_ns: TimestampNs,
    /// When its order was placed; the age at the fill is `time_ns − placed_ns`.
    pub placed_ns: TimestampNs,
    /// Our side.
    pub side: Side,
    /// Fill price, quote currency.
    pub price: f64,
    /// Contracts.
    pub size: f64,
    /// m0, mid when the order was placed.
    pub mid_at_placement: f64,
    /// Fee, quote currency per contract, negative = rebate.
    pub fee_per_contract: f64,
    /// σ at the fill, bps/√s, for the adverse flag only.
    pub volatility: f64,
    /// Rung of the ladder its order was placed on, 0 = best, below [`MAX_LEVELS`].
    pub level: u8,
    /// Regime at the fill.
    pub regime: Regime,
    /// The venue filled the order after we had sent its cancel.
    pub is_cancel_race: bool,
}

impl TrackedFill {
    /// Seconds from the placement to the fill.
    #[must_use]
    pub fn age_s(&self) -> f64 {
        seconds_between(self.placed_ns, self.time_ns)
    }

    /// Distance of the price from the mid at placement, bps, + = away from the other side.
    #[must_use]
    pub fn depth_bps(&self) -> f64 {
        self.side.sign() * (self.mid_at_placement - self.price) / self.mid_at_placement * BPS
    }

    fn validate(&self) -> Result<()> {
        require_positive("price", self.price)?;
        require_positive("size", self.size)?;
        require_positive("mid_at_placement", self.mid_at_placement)?;
        require_finite("fee_per_contract", self.fee_per_contract)?;
        if self.placed_ns > self.time_ns {
            return Err(invalid_input("placed_ns", self.placed_ns, format!("at most time_ns = {}", self.time_ns), ""));
        }
        if !(self.volatility >= 0.0 && self.volatility.is_finite()) {
            return Err(invalid_input("volatility", self.volatility, "a finite number ≥ 0, bps/√s", ""));
        }
        if usize::from(self.level) >= MAX_LEVELS {
            return Err(invalid_input("level", self.level, format!("below {MAX_LEVELS}"), ""));
        }
        Ok(())
    }
}

/// What had become of a fill at one horizon; everything in bps of the mid at placement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// The fill.
    pub fill: TrackedFill,
    /// Place in [`HORIZONS_NS`].
    pub horizon: usize,
    /// m_h.
    pub mid: f64,
    /// AS_h, + = the mid moved against us since placement.
    pub adverse_selection_bps: f64,
    /// Fee.
    pub fee_bps: f64,
    /// Funding paid on this fill between the fill and the horizon.
    pub funding_bps: f64,
    /// edge_h.
    pub edge_bps: f64,
    /// markout_h, + = the mid moved our way since the fill.
    pub markout_bps: f64,
    /// AS_h exceeded what diffusion explains.
    pub adverse: bool,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    fill: TrackedFill,
    mid_at_fill: f64,
    funding_at_fill: f64,
}

/// Follows fills until their last horizon. Amortised O(1) per mid and fill; allocates only to grow its queue.
#[derive(Clone, Debug)]
pub struct MarkoutTracker {
    pending: VecDeque<Pending>,
    /// Fills ever dropped from the front of `pending`.
    dropped: u64,
    /// Per horizon, the count of fills resolved so far, dropped ones included.
    resolved: [u64; HORIZON_COUNT],
    next_due_ns: TimestampNs,
    now_ns: TimestampNs,
    last_mid: f64,
    funding_per_contract: f64,
}

impl Default for MarkoutTracker {
    fn default() -> Self {
        Self {
            pending: VecDeque::with_capacity(256),
            dropped: 0,
            resolved: [0; HORIZON_COUNT],
            next_due_ns: TimestampNs::MAX,
            now_ns: 0,
            last_mid: 0.0,
            funding_per_contract: 0.0,
        }
    }
}

impl MarkoutTracker {
    /// The last mid seen.
    #[must_use]
    pub fn last_mid(&self) -> Option<f64> {
        (self.last_mid > 0.0).then_some(self.last_mid)
    }

    /// A new mid. Everything due strictly before it is resolved by the mid that stood until then.
    ///
    /// # Errors
    /// [`crate::error::Error::TimeOrder`] for an earlier time, [`crate::error::Error::InvalidInput`] for a mid that is
    /// not finite and positive.
    #[inline]
    pub fn on_mid(&mut self, time_ns: TimestampNs, mid: f64, mut sink: impl FnMut(&Outcome)) -> Result<()> {
        require_positive("mid_price", mid)?;
        self.advance(time_ns, &mut sink)?;
        self.last_mid = mid;
        Ok(())
    }

    /// A settlement: `payment_per_contract` = price × rate, what one long contract pays.
    ///
    /// # Errors
    /// As [`MarkoutTracker::on_mid`]; the payment must be finite.
    pub fn on_funding(
        &mut self,
        time_ns: TimestampNs,
        payment_per_contract: f64,
        mut sink: impl FnMut(&Outcome),
    ) -> Result<()> {
        require_finite("payment_per_contract", payment_per_contract)?;
        self.advance(time_ns, &mut sink)?;
        self.funding_per_contract += payment_per_contract;
        Ok(())
    }

    /// A fill of ours; answers the mid at the fill.
    ///
    /// # Errors
    /// [`crate::error::Error::TimeOrder`] when it is earlier than anything seen; [`crate::error::Error::InvalidInput`]
    /// for a bad number, or before the first mid.
    pub fn on_fill(&mut self, fill: TrackedFill, mut sink: impl FnMut(&Outcome)) -> Result<f64> {
        fill.validate()?;
        let Some(mid_at_fill) = self.last_mid() else {
            return Err(invalid_input("mid_price", "none yet", "a mid before the first fill", ""));
        };
        self.advance(fill.time_ns, &mut sink)?;
        self.pending.push_back(Pending { fill, mid_at_fill, funding_at_fill: self.funding_per_contract });
        self.next_due_ns = self.next_due_ns.min(fill.time_ns + HORIZONS_NS[0]);
        Ok(mid_at_fill)
    }

    /// Ends the data at `end_ns`: resolves what is due by then and answers, per horizon, how many fills are left out
    /// because their horizon passes the end.
    ///
    /// # Errors
    /// [`crate::error::Error::TimeOrder`] when the end is earlier than anything seen.
    pub fn finish(&mut self, end_ns: TimestampNs, mut sink: impl FnMut(&Outcome)) -> Result<[u64; HORIZON_COUNT]> {
        self.check_time(end_ns)?;
        self.resolve_before(end_ns.saturating_add(1), &mut sink);
        self.now_ns = end_ns;
        let fills = self.dropped + self.pending.len() as u64;
        Ok(self.resolved.map(|resolved| fills - resolved))
    }

    #[inline]
    fn advance(&mut self, time_ns: TimestampNs, sink: &mut impl FnMut(&Outcome)) -> Result<()> {
        self.check_time(time_ns)?;
        self.now_ns = time_ns;
        if time_ns > self.next_due_ns {
            self.resolve_before(time_ns, sink);
        }
        Ok(())
    }

    #[inline]
    fn check_time(&self, time_ns: TimestampNs) -> Result<()> {
        if time_ns < self.now_ns {
            return Err(crate::error::time_order("time_ns", time_ns, format!("at least {}", self.now_ns), ""));
        }
        Ok(())
    }

    #[cold]
    fn resolve_before(&mut self, time_ns: TimestampNs, sink: &mut impl FnMut(&Outcome)) {
        self.next_due_ns = TimestampNs::MAX;
        for (horizon, horizon_ns) in HORIZONS_NS.iter().enumerate() {
            let mut place = (self.resolved[horizon] - self.dropped) as usize;
            while let Some(pending) = self.pending.get(place) {
                let due_ns = pending.fill.time_ns + horizon_ns;
                if due_ns >= time_ns {
                    self.next_due_ns = self.next_due_ns.min(due_ns);
                    break;
                }
                sink(&pending.outcome(horizon, self.last_mid, self.funding_per_contract));
                place += 1;
            }
            self.resolved[horizon] = self.dropped + place as u64;
        }
        let keep_from = self.resolved[HORIZON_COUNT - 1];
        while self.dropped < keep_from {
            self.pending.pop_front();
            self.dropped += 1;
        }
    }
}

impl Pending {
    fn outcome(&self, horizon: usize, mid: f64, funding_per_contract: f64) -> Outcome {
        let fill = self.fill;
        let m0 = fill.mid_at_placement;
        let sign = fill.side.sign();
        let adverse_selection_bps = -sign * (mid - m0) / m0 * BPS;
        let fee_bps = fill.fee_per_contract / m0 * BPS;
        let funding_bps = sign * (funding_per_contract - self.funding_at_fill) / m0 * BPS;
        let spread_s = HORIZONS_NS[horizon] as f64 / NS_PER_S + fill.age_s();
        Outcome {
            fill,
            horizon,
            mid,
            adverse_selection_bps,
            fee_bps,
            funding_bps,
            edge_bps: sign * (mid - fill.price) / m0 * BPS - fee_bps - funding_bps,
            markout_bps: sign * (mid - self.mid_at_fill) / m0 * BPS,
            adverse: adverse_selection_bps > (2.0 * fill.volatility * spread_s.sqrt()).max(1.0),
        }
    }
}
