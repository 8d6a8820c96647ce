//! One market for many engines of an instrument: each event is checked and laid into the book once, whoever looks on.
//!
//! Engines take turns. Over a stretch of events the book is kept as it stood after each of them; an engine that has its
//! turn is lent these books instead of keeping one, and learns and follows as it would alone. What it comes to is the
//! same to the bit, for it reads the same numbers.

use super::QuoteEngine;
use super::market::{check_exchange_time, check_trade};
use crate::error::Result;
use crate::event::MarketEvent;
use crate::instrument::Instrument;
use crate::state::book::{Book, SnapshotLevels};
use crate::state::context::ContextState;
use crate::state::own_orders::OwnOrders;
use crate::types::{Side, TimestampNs};

/// What an event is to an engine that need not check it.
#[derive(Clone, Copy, Debug)]
enum Seen {
    /// The book is that of this place, after a snapshot.
    Snapshot(usize),
    /// The book is that of this place, after best levels were laid over it.
    Best(usize),
    /// A print, its price in units.
    Trade(i64),
    /// Nothing that is the same for all.
    Other,
}

/// A stretch of checked events with the book after each.
#[derive(Debug)]
#[expect(clippy::vec_box, reason = "a book is lent by swapping pointers, not 1.3 kB")]
pub struct SharedEvents<'a> {
    events: Vec<(TimestampNs, MarketEvent<'a>, Seen)>,
    /// The book before the stretch, then after each of its changes; those past `last_book` are of an earlier stretch.
    books: Vec<Box<Book>>,
    last_book: usize,
    /// Place of the book that is lent to the engine having its turn.
    lent: usize,
}

impl Default for SharedEvents<'_> {
    fn default() -> Self {
        Self { events: Vec::new(), books: vec![Box::default()], last_book: 0, lent: 0 }
    }
}

impl<'a> SharedEvents<'a> {
    /// Begins the next stretch where the last one ended.
    pub fn clear(&mut self) {
        self.events.clear();
        self.books.swap(0, self.last_book);
        self.last_book = 0;
    }

    /// Adds an event.
    ///
    /// # Errors
    /// As [`QuoteEngine::handle`] would refuse it, but for its time; the stretch is then as before.
    pub fn push(&mut self, instrument: &Instrument, time_ns: TimestampNs, event: MarketEvent<'a>) -> Result<()> {
        let seen = match &event {
            MarketEvent::Book { bid_prices, bid_sizes, ask_prices, ask_sizes, exchange_time_ns } => {
                check_exchange_time(time_ns, *exchange_time_ns)?;
                let levels = SnapshotLevels { bid_prices, bid_sizes, ask_prices, ask_sizes };
                let checked = Book::check_snapshot(instrument, levels)?;
                Seen::Snapshot(self.change(|book| book.apply_snapshot(time_ns, &checked)))
            }
            MarketEvent::Best { bid, ask, exchange_time_ns } => {
                check_exchange_time(time_ns, *exchange_time_ns)?;
                let bid = Book::check_best(instrument, Side::Buy, *bid)?;
                let ask = Book::check_best(instrument, Side::Sell, *ask)?;
                Seen::Best(self.change(|book| book.apply_best(time_ns, bid, ask)))
            }
            MarketEvent::Trade(trade) => Seen::Trade(check_trade(instrument, time_ns, trade)?),
            MarketEvent::Context(context) => {
                ContextState::check(time_ns, context)?;
                Seen::Other
            }
            _ => Seen::Other,
        };
        self.events.push((time_ns, event, seen));
        Ok(())
    }

    /// The place of a new book: the last one changed.
    fn change(&mut self, apply: impl FnOnce(&mut Book)) -> usize {
        let next = self.last_book + 1;
        if next == self.books.len() {
            self.books.push(Box::default());
        }
        let (before, after) = self.books.split_at_mut(next);
        after[0].clone_from(&before[self.last_book]);
        apply(&mut after[0]);
        self.last_book = next;
        next
    }

    /// Takes back the book that is lent and lends the one at `next`.
    #[inline]
    fn turn_to(&mut self, next: usize, book: &mut Box<Book>) {
        std::mem::swap(book, &mut self.books[self.lent]);
        std::mem::swap(book, &mut self.books[next]);
        self.lent = next;
    }

    /// Events of the stretch.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// True without an event.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Time and event at a place.
    #[inline]
    #[must_use]
    pub fn event(&self, place: usize) -> Option<(TimestampNs, MarketEvent<'a>)> {
        self.events.get(place).map(|(time_ns, event, _)| (*time_ns, *event))
    }
}

impl QuoteEngine {
    /// Begins a turn: the book is lent. Every turn goes through the whole stretch and ends with [`QuoteEngine::give_back`].
    pub fn take_turn(&mut self, shared: &mut SharedEvents<'_>) {
        shared.lent = 0;
        std::mem::swap(&mut self.book, &mut shared.books[0]);
    }

    /// Ends a turn.
    pub fn give_back(&mut self, shared: &mut SharedEvents<'_>) {
        std::mem::swap(&mut self.book, &mut shared.books[shared.lent]);
    }

    /// Takes in the event at a place of the stretch, one place after the other.
    ///
    /// # Errors
    /// A time before the last.
    #[inline]
    pub fn take_shared(&mut self, shared: &mut SharedEvents<'_>, place: usize) -> Result<()> {
        let Some(&(time_ns, event, seen)) = shared.events.get(place) else { return Ok(()) };
        match (seen, event) {
            (Seen::Snapshot(next), MarketEvent::Book { exchange_time_ns, .. }) => {
                self.check_time(time_ns)?;
                self.look(time_ns, exchange_time_ns, |book| shared.turn_to(next, book), OwnOrders::follow_book);
                Ok(())
            }
            (Seen::Best(next), MarketEvent::Best { exchange_time_ns, .. }) => {
                self.check_time(time_ns)?;
                self.look(time_ns, exchange_time_ns, |book| shared.turn_to(next, book), OwnOrders::follow_best);
                Ok(())
            }
            (Seen::Trade(units), MarketEvent::Trade(trade)) => {
                self.check_time(time_ns)?;
                self.advance(time_ns);
                self.apply_trade(time_ns, &trade, units);
                Ok(())
            }
            _ => self.handle(time_ns, &event),
        }
    }
}
