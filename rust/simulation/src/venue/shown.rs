//! What the recorded book shows, on the venue's clock: snapshots with the latest best bid and offer laid over them.

use hypermm_core::types::{Side, TimestampNs};

use crate::market::recording::RecordingColumns;

/// Half of this, relative, is what two ways of writing one price may differ by; the grid is far coarser.
pub(super) const SAME_PRICE: f64 = 1e-9;

/// Levels of one side of one row, best first; NaN ends them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown<'a> {
    side: Side,
    prices: &'a [f64],
    sizes: &'a [f64],
}

impl Shown<'_> {
    /// Size shown at a price: `Some(0)` where the row shows it empty, `None` beyond its deepest level.
    pub(super) fn at(&self, price: f64) -> Option<f64> {
        for (level, size) in self.prices.iter().zip(self.sizes) {
            let beyond = self.side.sign() * (level - price);
            if beyond.is_nan() {
                return None;
            }
            if beyond.abs() <= SAME_PRICE * price {
                return Some(*size);
            }
            if beyond < 0.0 {
                return Some(0.0);
            }
        }
        None
    }

    /// As [`Shown::at`], leaving out the levels better than `price`: for prices asked for best first.
    pub(super) fn at_next(&mut self, price: f64) -> Option<f64> {
        let better = |level: &f64| self.side.sign() * (level - price) > SAME_PRICE * price;
        let passed = self.prices.iter().take_while(|level| better(level)).count();
        self.prices = &self.prices[passed..];
        self.sizes = &self.sizes[passed..];
        self.at(price)
    }

    /// Best price; NaN where the side is empty.
    pub(super) fn best(&self) -> f64 {
        self.prices.first().copied().unwrap_or(f64::NAN)
    }

    /// Size shown at prices at which an order of the other side at `price` would trade.
    pub(super) fn up_to(&self, price: f64) -> f64 {
        let reached = |level: &f64| self.side.sign() * (level - price) >= -SAME_PRICE * price;
        self.prices.iter().zip(self.sizes).take_while(|(level, _)| reached(level)).map(|(_, size)| *size).sum()
    }
}

/// Both streams of books, read in venue order.
#[derive(Clone, Copy, Debug)]
pub(super) struct BookRows<'a> {
    columns: RecordingColumns<'a>,
    next_book: usize,
    next_best: usize,
}

impl<'a> BookRows<'a> {
    /// Nothing has been shown.
    pub(super) fn new(columns: RecordingColumns<'a>) -> Self {
        Self { columns, next_book: 0, next_best: 0 }
    }

    /// Everything up to and including `now_ns` has been shown.
    pub(super) fn advance(&mut self, now_ns: TimestampNs) {
        let columns = &self.columns;
        while columns.book_exchange_time_ns.get(self.next_book).is_some_and(|time| *time <= now_ns) {
            self.next_book += 1;
        }
        while columns.best_exchange_time_ns.get(self.next_best).is_some_and(|time| *time <= now_ns) {
            self.next_best += 1;
        }
    }

    /// Venue time of the next row.
    #[inline]
    pub(super) fn next_time_ns(&self) -> Option<TimestampNs> {
        let book = self.columns.book_exchange_time_ns.get(self.next_book);
        let best = self.columns.best_exchange_time_ns.get(self.next_best);
        match (book, best) {
            (Some(book), Some(best)) => Some(*book.min(best)),
            (one, other) => one.or(other).copied(),
        }
    }

    /// Shows the next row: the time it was received, its bids and its asks.
    #[inline]
    pub(super) fn step(&mut self) -> Option<(TimestampNs, Shown<'a>, Shown<'a>)> {
        let columns = self.columns;
        let book_ns = columns.book_exchange_time_ns.get(self.next_book);
        let best_ns = columns.best_exchange_time_ns.get(self.next_best);
        let is_best = match (book_ns, best_ns) {
            (None, None) => return None,
            (Some(book), Some(best)) => best < book,
            (book, _) => book.is_none(),
        };
        let row = if is_best { self.next_best } else { self.next_book };
        let (bids, asks) = (self.side_of(Side::Buy, is_best, row), self.side_of(Side::Sell, is_best, row));
        if is_best {
            self.next_best += 1;
            Some((columns.best_time_ns[row], bids, asks))
        } else {
            self.next_book += 1;
            Some((columns.book_time_ns[row], bids, asks))
        }
    }

    /// Best price of a side now; NaN where the side is empty, `None` before the first row.
    pub(super) fn best_price(&self, side: Side) -> Option<f64> {
        let (is_best, row) = self.latest()?;
        self.side_of(side, is_best, row).prices.first().copied()
    }

    /// Size shown at a price now: `Some(0)` where it is empty, `None` beyond the deepest known level.
    pub(super) fn shown_at(&self, side: Side, price: f64) -> Option<f64> {
        let (is_best, row) = self.latest()?;
        let latest = self.side_of(side, is_best, row).at(price);
        if !is_best || latest.is_some() {
            return latest;
        }
        self.last_book().and_then(|row| self.side_of(side, false, row).at(price))
    }

    fn last_book(&self) -> Option<usize> {
        self.next_book.checked_sub(1).filter(|_| self.columns.depth > 0)
    }

    /// The newest row and whether it is a best bid and offer.
    fn latest(&self) -> Option<(bool, usize)> {
        let columns = &self.columns;
        match (self.last_book(), self.next_best.checked_sub(1)) {
            (Some(book), Some(best)) => {
                let is_best = columns.best_exchange_time_ns[best] >= columns.book_exchange_time_ns[book];
                Some((is_best, if is_best { best } else { book }))
            }
            (None, Some(best)) => Some((true, best)),
            (Some(book), None) => Some((false, book)),
            (None, None) => None,
        }
    }

    fn side_of(&self, side: Side, is_best: bool, row: usize) -> Shown<'a> {
        let columns = &self.columns;
        let (prices, sizes) = match (side, is_best) {
            (Side::Buy, true) => (columns.best_bid_price, columns.best_bid_size),
            (Side::Sell, true) => (columns.best_ask_price, columns.best_ask_size),
            (Side::Buy, false) => (columns.bid_prices, columns.bid_sizes),
            (Side::Sell, false) => (columns.ask_prices, columns.ask_sizes),
        };
        let rows = if is_best { row..row + 1 } else { row * columns.depth..(row + 1) * columns.depth };
        Shown { side, prices: &prices[rows.clone()], sizes: &sizes[rows] }
    }
}
