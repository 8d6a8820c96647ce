//! L2 book: whole snapshots, with best bid and offer laid over them in between.

use serde::{Deserialize, Serialize};

use crate::error::{Result, invalid_input, require_positive};
use crate::event::BestLevel;
use crate::instrument::{Decade, Instrument, MAX_UNITS};
use crate::online::lanes::{SNAP_TOLERANCE, larger, nearest, smaller, to_integer};
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
    #[inline]
    #[must_use]
    pub fn displayed_at(&self, side: Side, price: Price) -> Option<f64> {
        match side {
            Side::Buy => self.displayed::<true>(price.0),
            Side::Sell => self.displayed::<false>(price.0),
        }
    }

    #[inline]
    fn displayed<const BIDS: bool>(&self, price: i64) -> Option<f64> {
        let units = &self.units[..self.len];
        let (best, worst) = (*units.first()?, *units.last()?);
        if is_better::<BIDS>(worst, price) {
            return None;
        }
        // Levels stand about evenly: the share of the way down is the first guess.
        let share = (best - price) as f64 / (best - worst) as f64;
        let mut place = ((share * units.len() as f64) as usize).min(units.len() - 1);
        while place > 0 && !is_better::<BIDS>(units[place - 1], price) {
            place -= 1;
        }
        while is_better::<BIDS>(units[place], price) {
            place += 1;
        }
        Some(if units[place] == price { self.sizes[place] } else { 0.0 })
    }

    fn set(&mut self, place: usize, units: i64, price: f64, size: f64, since_ns: TimestampNs) {
        self.units[place] = units;
        self.prices[place] = price;
        self.sizes[place] = size;
        self.since_ns[place] = since_ns;
    }

    /// Lays a best level over the side: better levels are gone, the best one has this size.
    fn overlay<const BIDS: bool>(&mut self, level: &CheckedLevel, now_ns: TimestampNs) {
        let mut first = 0;
        while first < self.len && is_better::<BIDS>(self.units[first], level.units) {
            first += 1;
        }
        let stands = first < self.len && self.units[first] == level.units;
        if stands {
            if first > 0 {
                self.shift_left(first);
            }
            self.sizes[0] = level.size;
        } else if first > 0 {
            // At least one better level vanished: its place takes the new best.
            self.shift_left(first - 1);
            self.set(0, level.units, level.price, level.size, now_ns);
        } else {
            let kept = self.len.min(BOOK_DEPTH - 1);
            self.units.copy_within(0..kept, 1);
            self.prices.copy_within(0..kept, 1);
            self.sizes.copy_within(0..kept, 1);
            self.since_ns.copy_within(0..kept, 1);
            self.len = kept + 1;
            self.set(0, level.units, level.price, level.size, now_ns);
        }
    }

    /// Takes over a checked side. Levels that stood before keep their age.
    fn replace<const BIDS: bool>(&mut self, read: &ReadSide, prices: &[f64], sizes: &[f64], now_ns: TimestampNs) {
        let len = read.len;
        let units = read.units.map(to_integer);
        if len != self.len || units != self.units {
            let (old_units, old_since_ns) = (self.units, self.since_ns);
            let old_units = &old_units[..self.len];
            let mut old = 0;
            for (since_ns, &units) in self.since_ns.iter_mut().zip(&units[..len]) {
                while old < old_units.len() && is_better::<BIDS>(old_units[old], units) {
                    old += 1;
                }
                let stands = old < old_units.len() && old_units[old] == units;
                *since_ns = if stands { old_since_ns[old] } else { now_ns };
            }
            self.units = units;
            self.len = len;
            self.since_ns[len..].fill(0);
            self.prices[len..].fill(0.0);
            self.sizes[len..].fill(0.0);
        }
        self.prices[..len].copy_from_slice(&prices[..len]);
        self.sizes[..len].copy_from_slice(&sizes[..len]);
    }

    fn shift_left(&mut self, places: usize) {
        self.units.copy_within(places..self.len, 0);
        self.prices.copy_within(places..self.len, 0);
        self.sizes.copy_within(places..self.len, 0);
        self.since_ns.copy_within(places..self.len, 0);
        self.len -= places;
    }
}

/// True when price `left` is better than `right` among bids or among asks.
#[inline]
fn is_better<const BIDS: bool>(left: i64, right: i64) -> bool {
    if BIDS { left > right } else { left < right }
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

/// The levels of a snapshot as they came, best first.
#[derive(Clone, Copy, Debug)]
pub struct SnapshotLevels<'a> {
    /// Bid prices.
    pub bid_prices: &'a [f64],
    /// Bid sizes, contracts.
    pub bid_sizes: &'a [f64],
    /// Ask prices.
    pub ask_prices: &'a [f64],
    /// Ask sizes, contracts.
    pub ask_sizes: &'a [f64],
}

/// What a check found of one side: levels kept and their whole units; zeros past `len`.
#[derive(Clone, Copy, Debug)]
struct ReadSide {
    len: usize,
    units: [f64; BOOK_DEPTH],
}

/// A checked snapshot; its prices and sizes stay where they are.
#[derive(Clone, Debug)]
pub struct CheckedSnapshot<'a> {
    levels: SnapshotLevels<'a>,
    bids: ReadSide,
    asks: ReadSide,
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

    /// Checks a snapshot against the grid and the order of levels; no book is needed for that.
    ///
    /// # Errors
    /// Lengths that differ, non-finite or non-positive numbers, prices off the grid, a side out of order, a snapshot crossed in itself.
    pub fn check_snapshot<'a>(instrument: &Instrument, levels: SnapshotLevels<'a>) -> Result<CheckedSnapshot<'a>> {
        let bids = read_side(instrument, Side::Buy, levels.bid_prices, levels.bid_sizes)?;
        let asks = read_side(instrument, Side::Sell, levels.ask_prices, levels.ask_sizes)?;
        if bids.len > 0 && asks.len > 0 && bids.units[0] > asks.units[0] {
            return Err(invalid_input(
                "bid_prices",
                levels.bid_prices[0],
                format!("a best bid below the best ask {}", levels.ask_prices[0]),
                "a snapshot is never crossed in itself; are bids and asks swapped?",
            ));
        }
        Ok(CheckedSnapshot { levels, bids, asks })
    }

    /// Takes over a checked snapshot.
    pub fn apply_snapshot(&mut self, now_ns: TimestampNs, snapshot: &CheckedSnapshot<'_>) {
        let levels = &snapshot.levels;
        self.bids.replace::<true>(&snapshot.bids, levels.bid_prices, levels.bid_sizes, now_ns);
        self.asks.replace::<false>(&snapshot.asks, levels.ask_prices, levels.ask_sizes, now_ns);
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
            Some(level) => self.bids.overlay::<true>(&level, now_ns),
            None => self.bids.len = 0,
        }
        match ask {
            Some(level) => self.asks.overlay::<false>(&level, now_ns),
            None => self.asks.len = 0,
        }
        self.updated_ns = Some(now_ns);
    }
}

/// Whether a whole side is plainly in order, with its units: on the grid of one decade, strictly sorted, sizes positive
/// and finite. It has no early exit and no division, so that the levels are checked in lanes. False says nothing yet.
#[multiversion::multiversion(targets("x86_64+avx+avx2"))]
fn read_lanes(
    scale: f64,
    decade: Decade,
    sign: f64,
    prices: &[f64],
    sizes: &[f64],
    whole: &mut [f64; BOOK_DEPTH],
) -> bool {
    let inverse = 1.0 / decade.increment;
    let len = prices.len().min(sizes.len()).min(BOOK_DEPTH);
    // A full side has a length the compiler knows.
    let fine = match (prices.first_chunk::<BOOK_DEPTH>(), sizes.first_chunk::<BOOK_DEPTH>()) {
        (Some(prices), Some(sizes)) => are_fine(scale, (decade.increment, inverse), sign, prices, sizes, whole),
        _ => are_fine(scale, (decade.increment, inverse), sign, &prices[..len], &sizes[..len], &mut whole[..len]),
    };
    // Of a sorted side the ends say that all levels are in the decade.
    let (low, high) = (larger(decade.low, 1.0), smaller(decade.high, MAX_UNITS));
    let inside = |units: f64| units >= low && units < high;
    fine && len > 0 && inside(whole[0]) && inside(whole[len - 1])
}

#[inline(always)]
fn are_fine(
    scale: f64,
    (increment, inverse): (f64, f64),
    sign: f64,
    prices: &[f64],
    sizes: &[f64],
    whole: &mut [f64],
) -> bool {
    let mut fine = true;
    for ((whole, &price), &size) in whole.iter_mut().zip(prices).zip(sizes) {
        let units = price * scale;
        let rounded = nearest(units);
        // The increment is a power of ten and units stay below 2^51: one product finds the only possible multiple.
        let multiple = nearest(rounded * inverse) * increment;
        *whole = rounded;
        fine &= (units - rounded).abs() <= SNAP_TOLERANCE * units;
        fine &= multiple == rounded;
        fine &= size > 0.0;
        fine &= size <= f64::MAX;
    }
    for pair in whole.windows(2) {
        fine &= sign * (pair[0] - pair[1]) > 0.0;
    }
    fine
}

fn read_side(instrument: &Instrument, side: Side, prices: &[f64], sizes: &[f64]) -> Result<ReadSide> {
    let mut read = ReadSide { len: prices.len().min(BOOK_DEPTH), units: [0.0; BOOK_DEPTH] };
    if prices.len() == sizes.len()
        && prices.len() <= BOOK_DEPTH
        && let Some(best) = prices.first()
    {
        let scale = instrument.price_scale();
        let decade = instrument.decade(nearest(best * scale));
        if read_lanes(scale, decade, side.sign(), prices, sizes, &mut read.units) {
            return Ok(read);
        }
    }
    read_carefully(instrument, side, prices, sizes, &mut read.units)?;
    Ok(read)
}

/// Level by level: a side over two decades, one longer than is kept, or one with something wrong, which is named.
#[cold]
#[inline(never)]
fn read_carefully(
    instrument: &Instrument,
    side: Side,
    prices: &[f64],
    sizes: &[f64],
    whole: &mut [f64; BOOK_DEPTH],
) -> Result<()> {
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
    let mut last = match side {
        Side::Buy => i64::MAX,
        Side::Sell => 0,
    };
    *whole = [0.0; BOOK_DEPTH];
    for (i, (&price, &size)) in prices.iter().zip(sizes).enumerate() {
        let units = instrument.price_from_f64(price_field, price)?.0;
        if !(size > 0.0 && size < f64::INFINITY) {
            return Err(invalid_input(size_field, size, format!("a finite size above 0 at index {i}"), ""));
        }
        let sorted = match side {
            Side::Buy => is_better::<true>(last, units),
            Side::Sell => is_better::<false>(last, units),
        };
        if !sorted {
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
            whole[i] = units as f64;
        }
    }
    Ok(())
}
