//! What a quote cycle answers: a frozen ladder with everything needed to explain it.

use crate::config::MAX_LEVELS;
use crate::types::{Lots, Price, QuoteStatus, TimestampNs};

/// One side's ladder as structure of arrays, best level first; entries past `len` are meaningless.
#[derive(Clone, Debug)]
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

/// A quote cycle's answer.
#[derive(Clone, Debug)]
pub struct Decision {
    /// Time it was made for.
    pub time_ns: TimestampNs,
    /// Whether the book could be quoted on.
    pub status: QuoteStatus,
    /// Mid price; NaN-free: 0 without a two-sided book.
    pub mid_price: f64,
    /// mid·(1 + 1e-4·r); 0 without a two-sided book.
    pub reservation_price: f64,
    /// R⁻¹(D − C + F)·q_max, contracts.
    pub target_inventory: f64,
    /// Drift estimate μ̂ at `time_ns`, bps/s.
    pub drift_bps_per_s: f64,
    /// Its posterior variance, (bps/s)².
    pub drift_variance: f64,
    /// Our bids, best (highest) first.
    pub bids: QuoteSide,
    /// Our asks, best (lowest) first.
    pub asks: QuoteSide,
    /// Signed position the ladder was made for, contracts.
    pub position: f64,
    /// Every additive term of the prices, filled by the pricing layer.
    pub terms: crate::pricing::explain::Terms,
}
