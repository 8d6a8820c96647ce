//! What a quote cycle answers: a frozen ladder with everything needed to explain it.

use serde::{Deserialize, Serialize};

use crate::config::MAX_LEVELS;
use crate::pricing::explain::{DriftShares, Terms};
use crate::types::{Lots, Price, QuoteStatus, Side, TimestampNs};

/// One side's ladder as structure of arrays, best level first; entries past `len` are meaningless.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct QuoteSide {
    /// Levels in use.
    pub len: usize,
    /// Exact prices.
    pub price_units: [Price; MAX_LEVELS],
    /// Exact sizes.
    pub lots: [Lots; MAX_LEVELS],
    /// Prices, quote currency.
    pub prices: [f64; MAX_LEVELS],
    /// Sizes, contracts.
    pub sizes: [f64; MAX_LEVELS],
    /// Distance from mid, bps, + = away from the other side.
    pub depth_bps: [f64; MAX_LEVELS],
    /// Probability of a fill within the order's expected life.
    pub fill_probability: [f64; MAX_LEVELS],
    /// depth + sgn·μ̂T(10 s) − adverse selection − fee − race, bps.
    pub expected_edge_bps: [f64; MAX_LEVELS],
    /// P·(margin − inventory penalty), bps.
    pub expected_pnl_bps: [f64; MAX_LEVELS],
    /// Cumulative size up to here is at most |position| on the closing side.
    pub reduce_only: [bool; MAX_LEVELS],
    /// Ladder index whose spacing d_i made the price (the innermost of those merged).
    pub ladder_index: [u8; MAX_LEVELS],
}

/// Which hard limits bound this ladder; a run counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The bound on log-odds + quota + mark-up + race.
    pub cost_bound: bool,
    /// The post-only clamp.
    pub post_only: bool,
    /// The position cap.
    pub cap: bool,
    /// a above 2: risk aversion is too high for the flow, and the closed form loses value (MODEL.md section 3).
    pub risk_aversion_too_high: bool,
}

/// A quote cycle's answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Time it was made for.
    pub time_ns: TimestampNs,
    /// Whether the book could be quoted on.
    pub status: QuoteStatus,
    /// Mid price; 0 without a book that can be quoted on.
    pub mid_price: f64,
    /// mid·(1 + 1e-4·r); 0 without a book that can be quoted on.
    pub reservation_price: f64,
    /// R⁻¹(D − C + F)·q_max within ±q_max, contracts.
    pub target_inventory: f64,
    /// Drift estimate μ̂ at `time_ns`, bps/s.
    pub drift_bps_per_s: f64,
    /// Its posterior variance, (bps/s)².
    pub drift_variance: f64,
    /// Signed position the ladder was made for, contracts.
    pub position: f64,
    /// Our bids, best (highest) first.
    pub bids: QuoteSide,
    /// Our asks, best (lowest) first.
    pub asks: QuoteSide,
    /// Limits that bound.
    pub binding: Binding,
    /// Every additive term of the prices and the estimates behind them.
    pub terms: Terms,
    /// Where the drift term comes from.
    pub drift_shares: DriftShares,
}

impl Decision {
    /// The side our orders of `side` belong to.
    #[must_use]
    pub fn side(&self, side: Side) -> &QuoteSide {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }
}

/// Equal when the levels in use are, column by column.
impl PartialEq for QuoteSide {
    fn eq(&self, other: &Self) -> bool {
        let used = self.len.min(MAX_LEVELS);
        self.len == other.len
            && self.price_units[..used] == other.price_units[..used]
            && self.lots[..used] == other.lots[..used]
            && self.prices[..used] == other.prices[..used]
            && self.sizes[..used] == other.sizes[..used]
            && self.depth_bps[..used] == other.depth_bps[..used]
            && self.fill_probability[..used] == other.fill_probability[..used]
            && self.expected_edge_bps[..used] == other.expected_edge_bps[..used]
            && self.expected_pnl_bps[..used] == other.expected_pnl_bps[..used]
            && self.reduce_only[..used] == other.reduce_only[..used]
            && self.ladder_index[..used] == other.ladder_index[..used]
    }
}
