//! The engine's only input. Every event carries the receiver's clock beside it.

use crate::types::{Identifier, OrderStatus, Side, TimestampNs};

/// Price and size of one book side's best level.
pub type BestLevel = (f64, f64);

/// What the market did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MarketEvent<'a> {
    /// A whole book: best first, prices strictly falling (bids) and rising (asks).
    Book {
        /// Bid prices, best first.
        bid_prices: &'a [f64],
        /// Bid sizes, contracts.
        bid_sizes: &'a [f64],
        /// Ask prices, best first.
        ask_prices: &'a [f64],
        /// Ask sizes, contracts.
        ask_sizes: &'a [f64],
        /// Time of the block it shows, by the venue's clock, if known: tells which prints came before it.
        exchange_time_ns: Option<TimestampNs>,
    },
    /// Best bid and offer; `None` is an empty side.
    Best {
        /// Best bid.
        bid: Option<BestLevel>,
        /// Best ask.
        ask: Option<BestLevel>,
        /// As a book's.
        exchange_time_ns: Option<TimestampNs>,
    },
    /// One print of the public tape.
    Trade(Trade),
    /// Mark, oracle, funding; `None` is no news.
    Context(Context),
    /// An outside drift signal, bps/s, with its error variance, (bps/s)².
    Observation {
        /// Observed drift, bps/s.
        drift_bps_per_s: f64,
        /// Error variance, (bps/s)².
        variance: f64,
        /// Source under which innovation statistics are kept.
        name: &'a str,
    },
    /// A price of another market: spot, an oracle, one that leads.
    Reference {
        /// Name the calibration knows the market under.
        name: &'a str,
        /// Its price, quote currency.
        price: f64,
    },
}

/// One print.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trade {
    /// Price on the grid.
    pub price: f64,
    /// Contracts.
    pub size: f64,
    /// Side of the aggressor.
    pub aggressor: Side,
    /// The venue's timestamp if known. Prints with one venue timestamp and side are one aggressor event;
    /// without it the receive time stands in.
    pub exchange_time_ns: Option<TimestampNs>,
}

/// Context of the contract; `None` is no news.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Context {
    /// Mark price.
    pub mark_price: Option<f64>,
    /// Oracle price.
    pub oracle_price: Option<f64>,
    /// Current funding rate, fraction per interval, + = longs pay.
    pub funding_rate: Option<f64>,
    /// Predicted funding rate, fraction per interval.
    pub predicted_funding: Option<f64>,
    /// Time of the next settlement, ns.
    pub next_settlement_ns: Option<TimestampNs>,
    /// Open interest, contracts.
    pub open_interest: Option<f64>,
}

/// What happened to our account.
#[derive(Clone, Debug, PartialEq)]
pub enum AccountEvent {
    /// An order of ours changed.
    Order {
        /// Our name for it.
        order_id: Identifier,
        /// Its state now.
        status: OrderStatus,
        /// Its side.
        side: Side,
        /// Its limit price, on the grid.
        price: f64,
        /// What is left of it, contracts; of one that ended, what never filled.
        remaining_size: f64,
        /// What was ordered, contracts, where told.
        original_size: Option<f64>,
    },
    /// An order of ours traded.
    Fill {
        /// Our side.
        side: Side,
        /// Price on the grid.
        price: f64,
        /// Contracts.
        size: f64,
        /// Order it belongs to.
        order_id: Option<Identifier>,
        /// The venue's name for the fill; a second fill of one name is ignored.
        fill_id: Option<Identifier>,
        /// Fee paid, quote currency, negative = rebate.
        fee: Option<f64>,
    },
    /// The venue's word on our position, contracts, + = long.
    Position {
        /// Signed position.
        position: f64,
        /// Mean entry price.
        entry_price: Option<f64>,
    },
    /// The venue's word on our request quota.
    Quota {
        /// Requests left.
        requests_remaining: f64,
        /// Requests of the last 24 h.
        requests_last_day: f64,
    },
}
