//! Ground types shared by every layer: sides, integer prices and sizes, time, identifiers.

use serde::{Deserialize, Serialize};

/// Nanoseconds of the receiver's clock, never negative.
pub type TimestampNs = i64;

/// Nanoseconds in one second.
pub const NS_PER_S: f64 = 1e9;

/// One second, ns.
pub const SECOND_NS: i64 = 1_000_000_000;

/// Basis points in one unit of price fraction.
pub const BPS: f64 = 1e4;

/// Earliest time taken for a date, 3 March 1973: dates of our century in s, ms or µs lie below.
pub const EARLIEST_DATE_NS: TimestampNs = 100_000_000_000_000_000;

/// Hint for a time in a coarser unit.
pub const COARSER_HINT: &str = "this looks like s/ms/µs: multiply to nanoseconds";

/// True for a time that cannot be ns since 1970 beside one that is.
#[inline]
#[must_use]
pub fn is_coarser_than(time_ns: TimestampNs, reference_ns: TimestampNs) -> bool {
    time_ns < EARLIEST_DATE_NS && reference_ns >= EARLIEST_DATE_NS
}

/// Seconds from `earlier` to `later`; exact to one nanosecond for gaps below 104 days.
#[inline]
#[must_use]
pub fn seconds_between(earlier: TimestampNs, later: TimestampNs) -> f64 {
    (later - earlier) as f64 / NS_PER_S
}

/// Direction of an order, a fill or an aggressor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Side {
    /// Buys: our bids, or an aggressor that lifts asks.
    Buy,
    /// Sells: our asks, or an aggressor that hits bids.
    Sell,
}

impl Side {
    /// +1 for a buy, −1 for a sell.
    #[inline]
    #[must_use]
    pub const fn sign(self) -> f64 {
        match self {
            Self::Buy => 1.0,
            Self::Sell => -1.0,
        }
    }

    /// The other side.
    #[inline]
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }

    /// 0 for a buy, 1 for a sell: the place in a pair ordered bid, ask.
    #[inline]
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Buy => 0,
            Self::Sell => 1,
        }
    }
}

/// Price in integer units of 10^−(6 − size_decimals) quote currency; see [`crate::instrument::Instrument`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Price(pub i64);

/// Size in integer lots of 10^−size_decimals contracts. Orders are unsigned, positions signed (+ = long).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Lots(pub i64);

/// An identifier chosen outside the engine (order id, fill id): a number or a text, compared as given.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Identifier {
    /// An integer such as the venue's order id.
    Number(u64),
    /// Any text such as a client order id.
    Text(Box<str>),
}

impl From<u64> for Identifier {
    fn from(value: u64) -> Self {
        Self::Number(value)
    }
}

impl From<&str> for Identifier {
    fn from(value: &str) -> Self {
        Self::Text(value.into())
    }
}

impl std::fmt::Display for Identifier {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => write!(formatter, "{number}"),
            Self::Text(text) => write!(formatter, "{text}"),
        }
    }
}

/// Where an order of ours stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OrderStatus {
    /// Sent, not acknowledged.
    Pending,
    /// Resting.
    Open,
    /// Cancel sent, not confirmed: it can still fill.
    CancelPending,
    /// Dead by cancel.
    Canceled,
    /// Dead by refusal.
    Rejected,
    /// Dead by complete execution.
    Filled,
    /// Nothing is known; counted as live until proven dead.
    Unknown,
}

impl OrderStatus {
    /// True when the order can no longer fill.
    #[inline]
    #[must_use]
    pub const fn is_dead(self) -> bool {
        matches!(self, Self::Canceled | Self::Rejected | Self::Filled)
    }

    /// True when the order may be kept as part of the next ladder.
    #[inline]
    #[must_use]
    pub const fn is_keepable(self) -> bool {
        matches!(self, Self::Pending | Self::Open)
    }
}

/// What a quote cycle could do with the book it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum QuoteStatus {
    /// The book is usable; sides may still be empty where no margin is left.
    Quoting,
    /// No book was ever received, or both sides are empty.
    #[default]
    NoBook,
    /// One side is empty.
    OneSided,
    /// Best bid at or above best ask.
    Crossed,
    /// The book is older than `book_stale_s`.
    Stale,
}

/// How the market moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Regime {
    /// Calmer than of late.
    Quiet,
    /// As of late.
    #[default]
    Normal,
    /// Livelier than of late.
    Volatile,
    /// Far livelier than a diffusion could be by chance.
    Cascade,
}

impl Regime {
    /// All of them, calmest first.
    pub const ALL: [Self; 4] = [Self::Quiet, Self::Normal, Self::Volatile, Self::Cascade];

    /// Place in [`Regime::ALL`].
    #[inline]
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// "quiet", "normal", "volatile" or "cascade".
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Normal => "normal",
            Self::Volatile => "volatile",
            Self::Cascade => "cascade",
        }
    }
}
