//! The streams of a recording in the order they were received.

use hypermm_core::event::MarketEvent;

use super::recording::RecordingColumns;

/// A stream of a recording.
#[derive(Clone, Copy)]
pub(crate) enum Stream {
    Book,
    Best,
    Trade,
    Context,
}

impl Stream {
    /// A row as an event, with the stream's name.
    #[inline]
    pub(crate) fn event<'a>(self, columns: &RecordingColumns<'a>, row: usize) -> (&'static str, MarketEvent<'a>) {
        match self {
            Self::Book => ("book", columns.book(row)),
            Self::Best => ("best", columns.best(row)),
            Self::Trade => ("trade", columns.trade(row)),
            Self::Context => ("context", MarketEvent::Context(columns.context(row))),
        }
    }
}

/// Merges the streams by receive time; at one time the order is book, best, trade, context.
pub(crate) struct Merge<'a> {
    times: [&'a [i64]; 4],
    next: [usize; 4],
    next_time: [i64; 4],
}

impl<'a> Merge<'a> {
    pub(crate) fn new(columns: &RecordingColumns<'a>) -> Self {
        let times = [columns.book_time_ns, columns.best_time_ns, columns.trade_time_ns, columns.context.time_ns];
        Self { times, next: [0; 4], next_time: times.map(|times| times.first().copied().unwrap_or(i64::MAX)) }
    }

    #[inline]
    pub(crate) fn next(&mut self) -> Option<(Stream, usize, i64)> {
        let [book, best, trade, context] = self.next_time;
        let (early, early_time) = if book <= best { (0, book) } else { (1, best) };
        let (late, late_time) = if trade <= context { (2, trade) } else { (3, context) };
        let place = if early_time <= late_time { early } else { late };
        let row = self.next[place];
        let time_ns = *self.times[place].get(row)?;
        self.next[place] = row + 1;
        self.next_time[place] = self.times[place].get(row + 1).copied().unwrap_or(i64::MAX);
        Some(([Stream::Book, Stream::Best, Stream::Trade, Stream::Context][place], row, time_ns))
    }
}
