//! A recording as columns: the events of one instrument on two clocks.
//!
//! Every stream is in receive order. `*_time_ns` is the collector's clock, by which the strategy sees an event;
//! `*_exchange_time_ns` is the venue's, by which orders and prints meet. The two are taken as synchronized; their
//! difference is real latency.

use hypermm_core::error::{Error, Result, invalid_input, time_order};
use hypermm_core::event::{BestLevel, Context, MarketEvent, Trade};
use hypermm_core::types::{Side, TimestampNs};

use super::references::ReferenceColumns;

/// Times of settlement a context column may hold: 0 or less is unknown.
const UNKNOWN_TIME: TimestampNs = 0;

/// Optional context of a recording; NaN is no news. An empty `time_ns` is no context at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct ContextColumns<'a> {
    /// Receive time, ns.
    pub time_ns: &'a [i64],
    /// Mark price.
    pub mark_price: &'a [f64],
    /// Oracle price.
    pub oracle_price: &'a [f64],
    /// Funding rate, fraction per interval, + = longs pay.
    pub funding_rate: &'a [f64],
    /// Predicted funding rate.
    pub predicted_funding: &'a [f64],
    /// Time of the next settlement, ns; 0 = unknown.
    pub next_settlement_ns: &'a [i64],
    /// Open interest, contracts.
    pub open_interest: &'a [f64],
}

/// A recording of one instrument, borrowed. Books are row-major `[rows, depth]`, NaN = no such level.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecordingColumns<'a> {
    /// Levels a side in a book row.
    pub depth: usize,
    /// Receive time of books, ns.
    pub book_time_ns: &'a [i64],
    /// Venue time of books, ns.
    pub book_exchange_time_ns: &'a [i64],
    /// Bid prices, best first.
    pub bid_prices: &'a [f64],
    /// Bid sizes, contracts.
    pub bid_sizes: &'a [f64],
    /// Ask prices, best first.
    pub ask_prices: &'a [f64],
    /// Ask sizes, contracts.
    pub ask_sizes: &'a [f64],
    /// Receive time of best bids and offers, ns.
    pub best_time_ns: &'a [i64],
    /// Venue time of best bids and offers, ns.
    pub best_exchange_time_ns: &'a [i64],
    /// Best bid; NaN = empty side.
    pub best_bid_price: &'a [f64],
    /// Its size.
    pub best_bid_size: &'a [f64],
    /// Best ask; NaN = empty side.
    pub best_ask_price: &'a [f64],
    /// Its size.
    pub best_ask_size: &'a [f64],
    /// Receive time of prints, ns.
    pub trade_time_ns: &'a [i64],
    /// Venue time of prints, ns.
    pub trade_exchange_time_ns: &'a [i64],
    /// Price of prints.
    pub trade_price: &'a [f64],
    /// Contracts.
    pub trade_size: &'a [f64],
    /// +1 the aggressor bought, −1 it sold.
    pub trade_aggressor: &'a [i8],
    /// The venue's name of the print.
    pub trade_id: &'a [u64],
    /// Context.
    pub context: ContextColumns<'a>,
    /// Prices of other markets, where there are any.
    pub references: &'a [ReferenceColumns<'a>],
}

impl<'a> RecordingColumns<'a> {
    /// Events of all streams.
    #[must_use]
    pub fn len(&self) -> usize {
        self.book_time_ns.len() + self.best_time_ns.len() + self.trade_time_ns.len() + self.context.time_ns.len()
    }

    /// True without any event.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Receive times of the first and last event.
    #[must_use]
    pub fn span_ns(&self) -> Option<(i64, i64)> {
        let streams = [self.book_time_ns, self.best_time_ns, self.trade_time_ns, self.context.time_ns];
        let first = streams.iter().filter_map(|times| times.first()).min()?;
        let last = streams.iter().filter_map(|times| times.last()).max()?;
        Some((*first, *last))
    }

    /// Checks what a replay relies on: lengths, receive times in order, venue times of books and bests in order, aggressors ±1, usable prints. Levels and
    /// prices are judged by the strategy as they come.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] or [`Error::TimeOrder`] naming the column and the row.
    pub fn validate(&self) -> Result<()> {
        if self.is_empty() {
            return Err(invalid_input("recording", "no events", "at least one event", ""));
        }
        let books = self.book_time_ns.len();
        let cells = books.saturating_mul(self.depth);
        let context = &self.context;
        for (field, found, expected) in [
            ("book_exchange_time_ns", self.book_exchange_time_ns.len(), books),
            ("bid_prices", self.bid_prices.len(), cells),
            ("bid_sizes", self.bid_sizes.len(), cells),
            ("ask_prices", self.ask_prices.len(), cells),
            ("ask_sizes", self.ask_sizes.len(), cells),
            ("best_exchange_time_ns", self.best_exchange_time_ns.len(), self.best_time_ns.len()),
            ("best_bid_price", self.best_bid_price.len(), self.best_time_ns.len()),
            ("best_bid_size", self.best_bid_size.len(), self.best_time_ns.len()),
            ("best_ask_price", self.best_ask_price.len(), self.best_time_ns.len()),
            ("best_ask_size", self.best_ask_size.len(), self.best_time_ns.len()),
            ("trade_exchange_time_ns", self.trade_exchange_time_ns.len(), self.trade_time_ns.len()),
            ("trade_price", self.trade_price.len(), self.trade_time_ns.len()),
            ("trade_size", self.trade_size.len(), self.trade_time_ns.len()),
            ("trade_aggressor", self.trade_aggressor.len(), self.trade_time_ns.len()),
            ("trade_id", self.trade_id.len(), self.trade_time_ns.len()),
            ("mark_price", context.mark_price.len(), context.time_ns.len()),
            ("oracle_price", context.oracle_price.len(), context.time_ns.len()),
            ("funding_rate", context.funding_rate.len(), context.time_ns.len()),
            ("predicted_funding", context.predicted_funding.len(), context.time_ns.len()),
            ("next_settlement_ns", context.next_settlement_ns.len(), context.time_ns.len()),
            ("open_interest", context.open_interest.len(), context.time_ns.len()),
        ] {
            if found != expected {
                return Err(invalid_input(field, format!("{found} values"), format!("{expected} values"), ""));
            }
        }
        for (field, times) in [
            ("book_time_ns", self.book_time_ns),
            ("best_time_ns", self.best_time_ns),
            ("trade_time_ns", self.trade_time_ns),
            ("context_time_ns", context.time_ns),
        ] {
            if let Some(row) = times.windows(2).position(|pair| pair[1] < pair[0]) {
                let hint = format!("row {}; sort each stream by receive time", row + 1);
                return Err(time_order(field, times[row + 1], format!("at least {}", times[row]), hint));
            }
        }
        // A book or best shows the contract as of its block, and at the venue it holds until a later one: a wrong time
        // would hide all that follows. Prints are put in venue order instead, since some are told late.
        for (field, times) in [
            ("book_exchange_time_ns", self.book_exchange_time_ns),
            ("best_exchange_time_ns", self.best_exchange_time_ns),
        ] {
            if let Some(row) = times.windows(2).position(|pair| pair[1] < pair[0]) {
                let hint = format!("row {}: its venue time is wrong or that of the row before; take one out", row + 1);
                return Err(time_order(field, times[row + 1], format!("at least {}", times[row]), hint));
            }
        }
        for row in 0..self.trade_time_ns.len() {
            if !matches!(self.trade_aggressor[row], 1 | -1) {
                return Err(at_row(
                    "trade",
                    row,
                    invalid_input("trade_aggressor", self.trade_aggressor[row], "1 or -1", ""),
                ));
            }
            for (field, value) in [("trade_price", self.trade_price[row]), ("trade_size", self.trade_size[row])] {
                if !(value > 0.0 && value < f64::INFINITY) {
                    return Err(at_row("trade", row, invalid_input(field, value, "a finite number above 0", "")));
                }
            }
        }
        self.references.iter().try_for_each(ReferenceColumns::validate)
    }

    /// Book row as an event, each side cut at its first missing level.
    #[inline]
    #[must_use]
    pub fn book(&self, row: usize) -> MarketEvent<'a> {
        let cells = row * self.depth..(row + 1) * self.depth;
        let bid_prices = &self.bid_prices[cells.clone()];
        let ask_prices = &self.ask_prices[cells.clone()];
        let bids = present(bid_prices);
        let asks = present(ask_prices);
        MarketEvent::Book {
            bid_prices: &bid_prices[..bids],
            bid_sizes: &self.bid_sizes[cells.clone()][..bids],
            ask_prices: &ask_prices[..asks],
            ask_sizes: &self.ask_sizes[cells][..asks],
            exchange_time_ns: Some(self.book_exchange_time_ns[row]),
        }
    }

    /// Best bid and offer of a row.
    #[inline]
    #[must_use]
    pub fn best(&self, row: usize) -> MarketEvent<'a> {
        MarketEvent::Best {
            bid: level(self.best_bid_price[row], self.best_bid_size[row]),
            ask: level(self.best_ask_price[row], self.best_ask_size[row]),
            exchange_time_ns: Some(self.best_exchange_time_ns[row]),
        }
    }

    /// Print of a row.
    #[inline]
    #[must_use]
    pub fn trade(&self, row: usize) -> MarketEvent<'a> {
        MarketEvent::Trade(Trade {
            price: self.trade_price[row],
            size: self.trade_size[row],
            aggressor: self.aggressor(row),
            exchange_time_ns: Some(self.trade_exchange_time_ns[row]),
        })
    }

    /// Side of a print's aggressor.
    #[inline]
    #[must_use]
    pub fn aggressor(&self, row: usize) -> Side {
        if self.trade_aggressor[row] > 0 { Side::Buy } else { Side::Sell }
    }

    /// Context of a row.
    #[must_use]
    pub fn context(&self, row: usize) -> Context {
        let news = |value: f64| (!value.is_nan()).then_some(value);
        let columns = &self.context;
        Context {
            mark_price: news(columns.mark_price[row]),
            oracle_price: news(columns.oracle_price[row]),
            funding_rate: news(columns.funding_rate[row]),
            predicted_funding: news(columns.predicted_funding[row]),
            next_settlement_ns: Some(columns.next_settlement_ns[row]).filter(|time| *time > UNKNOWN_TIME),
            open_interest: news(columns.open_interest[row]),
        }
    }
}

/// Adds the stream and row to a refused event's hint.
#[cold]
#[must_use]
pub fn at_row(stream: &'static str, row: usize, error: Error) -> Error {
    error.at_place(&format!("{stream} row {row}"))
}

#[inline]
fn present(prices: &[f64]) -> usize {
    match prices.last() {
        Some(last) if last.is_nan() => prices.iter().position(|price| price.is_nan()).unwrap_or(prices.len()),
        _ => prices.len(),
    }
}

#[inline]
fn level(price: f64, size: f64) -> Option<BestLevel> {
    (!price.is_nan()).then_some((price, size))
}
