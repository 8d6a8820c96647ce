//! L2 book: whole snapshots, with best bid and offer laid over them in between.

use serde::{Deserialize, Serialize};

use crate::error::{Result, invalid_input, require_positive};
use crate::event::BestLevel;
use crate::instrument::Instrument;
use crate::types::{BPS, Price, QuoteStatus, Side, TimestampNs, seconds_between};

/// Levels kept a side; deeper ones of a longer snapshot are checked and dropped.
pub const BOOK_DEPTH: usize = 20;

/// One side, best level first; entries past `len` are meaningless.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BookSide {
    len: usize,
    units: [i64; BOOK_DEPTH],
    prices: [f64; BOOK_DEPTH],
    sizes: [f64; BOOK_DEPTH],
    since_ns: [TimestampNs; BOOK_DEPTH],
}

impl Default for BookSide {
    fn default() -> Self {
        Self {
            len: 0,
            units: [0; BOOK_DEPTH],
            prices: [0.0; BOOK_DEPTH],
            sizes: [0.0; BOOK_DEPTH],
            since_ns: [0; BOOK_DEPTH],
        }
    }
}

impl BookSide {
    /// Levels known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// True without any level.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Prices, best first.
    #[must_use]
    pub fn prices(&self) -> &[f64] {
        &self.prices[..self.len]
    }

    /// Exact prices in units, best first.
    #[must_use]
    pub fn units(&self) -> &[i64] {
        &self.units[..self.len]
    }

    /// Sizes, contracts, best first.
    #[must_use]
    pub fn sizes(&self) -> &[f64] {
        &self.sizes[..self.len]
    }

    /// Seconds each price has stood without a gap, best first.
    pub fn ages_s(&self, now_ns: TimestampNs) -> impl Iterator<Item = f64> + '_ {
        self.since_ns[..self.len].iter().map(move |since| seconds_between(*since, now_ns).max(0.0))
    }

    /// Size displayed at a price: `Some(0)` where the book shows the price empty, `None` beyond the deepest known level.
    #[must_use]
    pub fn displayed_at(&self, side: Side, price: Price) -> Option<f64> {
        for i in 0..self.len {
            if self.units[i] == price.0 {
                return Some(self.sizes[i]);
            }
            if is_better(side, price.0, self.units[i]) {
                return Some(0.0);
            }
        }
        None
    }

    fn set(&mut self, place: usize, units: i64, price: f64, size: f64, since_ns: TimestampNs) {
        self.units[place] = units;
        self.prices[place] = price;
        self.sizes[place] = size;
        self.since_ns[place] = since_ns;
    }

    /// Lays a best level over the side: better levels are gone, the best one has this size.
    fn overlay(&mut self, side: Side, units: i64, price: f64, size: f64, now_ns: TimestampNs) {
        let mut first = 0;
        while first < self.len && is_better(side, self.units[first], units) {
            first += 1;
        }
        let stands = first < self.len && self.units[first] == units;
        if stands {
            if first > 0 {
                self.shift_left(first);
            }
            self.sizes[0] = size;
        } else if first > 0 {
            // At least one better level vanished: its place takes the new best.
            self.shift_left(first - 1);
            self.set(0, units, price, size, now_ns);
        } else {
            let kept = self.len.min(BOOK_DEPTH - 1);
            self.units.copy_within(0..kept, 1);
            self.prices.copy_within(0..kept, 1);
            self.sizes.copy_within(0..kept, 1);
            self.since_ns.copy_within(0..kept, 1);
            self.len = kept + 1;
            self.set(0, units, price, size, now_ns);
        }
    }

    fn shift_left(&mut self, places: usize) {
        self.units.copy_within(places..self.len, 0);
        self.prices.copy_within(places..self.len, 0);
        self.sizes.copy_within(places..self.len, 0);
        self.since_ns.copy_within(places..self.len, 0);
        self.len -= places;
    }
}

/// True when price `left` is better than `right` on our `side` of the book.
#[inline]
fn is_better(side: Side, left: i64, right: i64) -> bool {
    match side {
        Side::Buy => left > right,
        Side::Sell => left < right,
    }
}

/// The book as last heard.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Book {
    bids: BookSide,
    asks: BookSide,
    updated_ns: Option<TimestampNs>,
}

/// A checked best level.
#[derive(Clone, Copy, Debug)]
pub struct CheckedLevel {
    units: i64,
    price: f64,
    size: f64,
}

/// A checked snapshot.
#[derive(Clone, Debug)]
pub struct CheckedSnapshot {
    bids: BookSide,
    asks: BookSide,
}

impl Book {
    /// Bids, best first.
    #[must_use]
    pub fn bids(&self) -> &BookSide {
        &self.bids
    }

    /// Asks, best first.
    #[must_use]
    pub fn asks(&self) -> &BookSide {
        &self.asks
    }

    /// The side our orders of `side` rest on.
    #[must_use]
    pub fn side(&self, side: Side) -> &BookSide {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }

    /// Time of the last snapshot or overlay.
    #[must_use]
    pub fn updated_ns(&self) -> Option<TimestampNs> {
        self.updated_ns
    }

    /// Mid price of a book that is neither one-sided nor crossed.
    #[inline]
    #[must_use]
    pub fn mid(&self) -> Option<f64> {
        if self.bids.len > 0 && self.asks.len > 0 && self.bids.units[0] < self.asks.units[0] {
            Some(0.5 * (self.bids.prices[0] + self.asks.prices[0]))
        } else {
            None
        }
    }

    /// Half the spread in bps of mid, where there is a mid.
    #[must_use]
    pub fn half_spread_bps(&self) -> Option<f64> {
        self.mid().map(|mid| 0.5 * (self.asks.prices[0] - self.bids.prices[0]) / mid * BPS)
    }

    /// Whether the book can be quoted on at `now_ns`.
    #[inline]
    #[must_use]
    pub fn status(&self, now_ns: TimestampNs, stale_s: f64) -> QuoteStatus {
        let Some(updated) = self.updated_ns else { return QuoteStatus::NoBook };
        match (self.bids.len, self.asks.len) {
            (0, 0) => QuoteStatus::NoBook,
            (0, _) | (_, 0) => QuoteStatus::OneSided,
            _ if self.bids.units[0] >= self.asks.units[0] => QuoteStatus::Crossed,
            _ if seconds_between(updated, now_ns) > stale_s => QuoteStatus::Stale,
            _ => QuoteStatus::Quoting,
        }
    }

    /// Checks a snapshot against the grid and the order of levels, carrying over level ages; changes nothing.
    ///
    /// # Errors
    /// Lengths that differ, non-finite or non-positive numbers, prices off the grid, a side out of order, a snapshot crossed in itself.
    pub fn read_snapshot(
        &self,
        instrument: &Instrument,
        now_ns: TimestampNs,
        bid_prices: &[f64],
        bid_sizes: &[f64],
        ask_prices: &[f64],
        ask_sizes: &[f64],
    ) -> Result<CheckedSnapshot> {
        let bids = read_side(instrument, Side::Buy, &self.bids, now_ns, bid_prices, bid_sizes)?;
        let asks = read_side(instrument, Side::Sell, &self.asks, now_ns, ask_prices, ask_sizes)?;
        if bids.len > 0 && asks.len > 0 && bids.units[0] > asks.units[0] {
            return Err(invalid_input(
                "bid_prices",
                bids.prices[0],
                format!("a best bid below the best ask {}", asks.prices[0]),
                "a snapshot is never crossed in itself; are bids and asks swapped?",
            ));
        }
        Ok(CheckedSnapshot { bids, asks })
    }

    /// Takes over a checked snapshot.
    pub fn apply_snapshot(&mut self, now_ns: TimestampNs, snapshot: CheckedSnapshot) {
        self.bids = snapshot.bids;
        self.asks = snapshot.asks;
        self.updated_ns = Some(now_ns);
    }

    /// Checks one best level.
    ///
    /// # Errors
    /// Non-finite or non-positive numbers, a price off the grid.
    pub fn check_best(instrument: &Instrument, side: Side, level: Option<BestLevel>) -> Result<Option<CheckedLevel>> {
        let (price_field, size_field) = match side {
            Side::Buy => ("bid_price", "bid_size"),
            Side::Sell => ("ask_price", "ask_size"),
        };
        let Some((price, size)) = level else { return Ok(None) };
        let units = instrument.price_from_f64(price_field, price)?.0;
        require_positive(size_field, size)?;
        Ok(Some(CheckedLevel { units, price, size }))
    }

    /// Lays checked best levels over the book; `None` empties that side.
    pub fn apply_best(&mut self, now_ns: TimestampNs, bid: Option<CheckedLevel>, ask: Option<CheckedLevel>) {
        match bid {
            Some(level) => self.bids.overlay(Side::Buy, level.units, level.price, level.size, now_ns),
            None => self.bids.len = 0,
        }
        match ask {
            Some(level) => self.asks.overlay(Side::Sell, level.units, level.price, level.size, now_ns),
            None => self.asks.len = 0,
        }
        self.updated_ns = Some(now_ns);
    }
}

fn read_side(
    instrument: &Instrument,
    side: Side,
    before: &BookSide,
    now_ns: TimestampNs,
    prices: &[f64],
    sizes: &[f64],
) -> Result<BookSide> {
    let (price_field, size_field) = match side {
        Side::Buy => ("bid_prices", "bid_sizes"),
        Side::Sell => ("ask_prices", "ask_sizes"),
    };
    if prices.len() != sizes.len() {
        return Err(invalid_input(
            size_field,
            format!("{} sizes", sizes.len()),
            format!("{} sizes, one a price", prices.len()),
            "",
        ));
    }
    let mut read = BookSide { len: prices.len().min(BOOK_DEPTH), ..BookSide::default() };
    let mut last = match side {
        Side::Buy => i64::MAX,
        Side::Sell => 0,
    };
    let mut old = 0;
    for (i, (&price, &size)) in prices.iter().zip(sizes).enumerate() {
        let units = instrument.price_from_f64(price_field, price)?.0;
        if !(size > 0.0 && size < f64::INFINITY) {
            return Err(invalid_input(size_field, size, format!("a finite size above 0 at index {i}"), ""));
        }
        if !is_better(side, last, units) {
            return Err(invalid_input(
                price_field,
                price,
                format!(
                    "strictly {} prices, best first, at index {i}",
                    if side == Side::Buy { "falling" } else { "rising" }
                ),
                "sort the levels and join equal prices",
            ));
        }
        last = units;
        if i < BOOK_DEPTH {
            while old < before.len && is_better(side, before.units[old], units) {
                old += 1;
            }
            let stands = old < before.len && before.units[old] == units;
            read.set(i, units, price, size, if stands { before.since_ns[old] } else { now_ns });
        }
    }
    Ok(read)
}
