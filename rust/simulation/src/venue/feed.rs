//! What the matching venue publishes about one contract, and when we hear it.
//!
//! Four streams, each late by draws of its own and in order within itself: best bid and offer of every block that
//! changed them; books on the venue's push clock; trades, all those of a block at one time; mark, oracle and funding.
//! What shows the book comes over one connection: no book is older than a best heard before it, and no best older than
//! a book (none of 15,140 books was on the recordings of 2025-09-04). All show the state at the end of a block. A push comes with the first block at least half a second after the last
//! one, which with blocks of 70 ms is every 0.54 s as measured; a slower book is every so many-th push.
//!
//! Streams merge by receive time; at one time the order is book, best, trade, context, as in a replay. Rings grow to
//! what is on its way and are reused: whoever runs a feed must take what it brings.

use std::collections::VecDeque;

use hypermm_core::error::{Result, invalid_input};
use hypermm_core::event::{self, Context, MarketEvent};
use hypermm_core::instrument::Instrument;
use hypermm_core::types::{Side, TimestampNs};

use super::block_clock::Block;
use super::latency::{LatencyDraws, LatencyLaw, LatencyStream};
use super::matching::exchange::{BestQuote, BookLevel, Exchange};
use super::matching::order::{AccountId, AssetId, Trade, VenueEvent};
use crate::market::session::Session;

const MAX_DEPTH: usize = 100;
const MAX_INTERVAL_NS: i64 = 3_600_000_000_000;

/// Which books are published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BookFeed {
    /// Levels a side, 1 to 100.
    pub depth: usize,
    /// Least time between books, ns, above 0: a book goes with the first push after it.
    pub interval_ns: i64,
}

impl BookFeed {
    /// 5 levels with every push, about every 0.54 s (protocol sheet, 7.2).
    pub const FAST: Self = Self { depth: 5, interval_ns: 500_000_000 };
    /// 20 levels with the first push after 5 s: every 5.0 to 5.6 s (protocol sheet, 7.2).
    pub const FULL: Self = Self { depth: 20, interval_ns: 5_000_000_000 };
}

/// What is published, how often, and how late.
#[derive(Clone, Debug, PartialEq)]
pub struct FeedSettings {
    /// Books.
    pub books: BookFeed,
    /// Least time between pushes, ns, above 0.
    pub push_interval_ns: i64,
    /// Least time between contexts, ns, above 0.
    pub context_interval_ns: i64,
    /// From the block to us.
    pub latency: LatencyLaw,
    /// Keeps all that is published as the columns of a session.
    pub keeps_session: bool,
    /// What is kept is the feed without our own orders, while the strategy hears them.
    pub leaves_out_ours: bool,
}

impl FeedSettings {
    /// Fast books, a push every half second, a context every second (protocol sheet, 7.2), nothing kept.
    #[must_use]
    pub const fn new(latency: LatencyLaw) -> Self {
        Self {
            books: BookFeed::FAST,
            push_interval_ns: 500_000_000,
            context_interval_ns: 1_000_000_000,
            latency,
            keeps_session: false,
            leaves_out_ours: false,
        }
    }

    /// Checks every setting.
    ///
    /// # Errors
    /// [`hypermm_core::error::Error::InvalidInput`] naming the setting.
    pub fn validate(&self) -> Result<()> {
        self.latency.validate("feed.latency")?;
        if !(1..=MAX_DEPTH).contains(&self.books.depth) {
            return Err(invalid_input("feed.books.depth", self.books.depth, "1 to 100", "the venue has 5 or 20"));
        }
        for (field, value) in [
            ("feed.books.interval_ns", self.books.interval_ns),
            ("feed.push_interval_ns", self.push_interval_ns),
            ("feed.context_interval_ns", self.context_interval_ns),
        ] {
            if !(1..=MAX_INTERVAL_NS).contains(&value) {
                return Err(invalid_input(field, value, "1 ns to one hour in ns", "500 ms is 500000000"));
            }
        }
        Ok(())
    }
}

/// A message of the feed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FeedEvent<'a> {
    /// When it is received, ns.
    pub time_ns: TimestampNs,
    /// Time of the block it shows, ns.
    pub exchange_time_ns: TimestampNs,
    /// As the engine takes it.
    pub market: MarketEvent<'a>,
    /// As the venue has it.
    pub message: FeedMessage<'a>,
}

/// A message in the venue's own numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "borrowed from the feed for one call")]
pub enum FeedMessage<'a> {
    /// A book, best first.
    Book {
        /// Bids, prices falling.
        bids: &'a [BookLevel],
        /// Asks, prices rising.
        asks: &'a [BookLevel],
    },
    /// Best bid and offer.
    Best {
        /// Best bid.
        bid: BestQuote,
        /// Best ask.
        ask: BestQuote,
    },
    /// A trade.
    Trade(Trade),
    /// Mark, oracle, funding.
    Context(Context),
}

#[derive(Clone, Debug, Default)]
struct SnapshotSide {
    levels: Vec<BookLevel>,
    prices: Vec<f64>,
    sizes: Vec<f64>,
}

#[derive(Debug)]
struct Pending<T> {
    time_ns: TimestampNs,
    exchange_time_ns: TimestampNs,
    content: T,
}

/// Messages of one kind on their way.
#[derive(Debug)]
struct Stream<T> {
    name: LatencyStream,
    last_ns: TimestampNs,
    pending: VecDeque<Pending<T>>,
}

impl<T> Stream<T> {
    fn new(name: LatencyStream) -> Self {
        Self { name, last_ns: TimestampNs::MIN, pending: VecDeque::with_capacity(64) }
    }

    /// When a message of `block` is received: never before an earlier one, nor before `not_before_ns`.
    fn receive_ns(
        &mut self,
        latency: &LatencyLaw,
        draws: &mut LatencyDraws,
        block: Block,
        not_before_ns: TimestampNs,
    ) -> TimestampNs {
        let delay_ns = latency.delay_ns(draws, self.name, block.number);
        self.last_ns = self.last_ns.max(block.time_ns + delay_ns).max(not_before_ns);
        self.last_ns
    }

    fn next_ns(&self) -> TimestampNs {
        self.pending.front().map_or(TimestampNs::MAX, |message| message.time_ns)
    }
}

/// A push or context is due when this long has passed.
fn is_due(last_ns: Option<TimestampNs>, interval_ns: i64, now_ns: TimestampNs) -> bool {
    last_ns.is_none_or(|last_ns| now_ns - last_ns >= interval_ns)
}

/// The public feed of one contract.
#[derive(Debug)]
pub struct Feed {
    asset: AssetId,
    instrument: Instrument,
    settings: FeedSettings,
    draws: LatencyDraws,
    last_push_ns: Option<TimestampNs>,
    last_book_ns: Option<TimestampNs>,
    last_context_ns: Option<TimestampNs>,
    last_best: Option<(BestQuote, BestQuote)>,
    /// Trades since the last block that was published.
    traded: Vec<Trade>,
    books: Stream<[SnapshotSide; 2]>,
    bests: Stream<(BestQuote, BestQuote)>,
    trades: Stream<Trade>,
    contexts: Stream<Context>,
    /// The book handed out last, and buffers of those before it.
    book: [SnapshotSide; 2],
    free: Vec<[SnapshotSide; 2]>,
    session: Session,
    /// Whose orders no book and no best price shows.
    left_out: Option<AccountId>,
    levels: Vec<BookLevel>,
}

impl Feed {
    /// A feed that has published nothing. `instrument` is that of `asset`.
    ///
    /// # Errors
    /// As [`FeedSettings::validate`].
    pub fn new(asset: AssetId, instrument: Instrument, settings: FeedSettings, seed: u64) -> Result<Self> {
        settings.validate()?;
        Ok(Self {
            asset,
            instrument,
            draws: LatencyDraws::new(seed),
            last_push_ns: None,
            last_book_ns: None,
            last_context_ns: None,
            last_best: None,
            traded: Vec::with_capacity(64),
            books: Stream::new(LatencyStream::Book(asset.0)),
            bests: Stream::new(LatencyStream::Best(asset.0)),
            trades: Stream::new(LatencyStream::Trade(asset.0)),
            contexts: Stream::new(LatencyStream::Context(asset.0)),
            book: Default::default(),
            free: Vec::with_capacity(16),
            session: Session { depth: settings.books.depth, ..Session::default() },
            settings,
            left_out: None,
            levels: Vec::with_capacity(64),
        })
    }

    /// The same feed as it would be if `account` had no orders: each level less what is theirs, a level of theirs alone
    /// gone. Prints that met them stay, since somebody else stood there or behind. Delays are drawn as those of the whole feed are.
    #[must_use]
    pub fn without(mut self, account: AccountId) -> Self {
        self.left_out = Some(account);
        self
    }

    /// Takes notice of what happens in a block; only trades of the contract are public.
    #[inline]
    pub fn note(&mut self, event: &VenueEvent) {
        if let VenueEvent::Trade(trade) = event
            && trade.asset == self.asset
        {
            self.traded.push(*trade);
        }
    }

    /// Publishes what `block` has changed: the exchange as it stands after it, the trades noted since the last call,
    /// and the context as it is now. A settlement that is past when it is heard is left out.
    pub fn after_block(&mut self, block: Block, exchange: &Exchange, context: &Context) {
        let earlier_book_ns = self.books.last_ns;
        if is_due(self.last_push_ns, self.settings.push_interval_ns, block.time_ns) {
            self.last_push_ns = Some(block.time_ns);
            if is_due(self.last_book_ns, self.settings.books.interval_ns, block.time_ns) {
                self.last_book_ns = Some(block.time_ns);
                self.publish_book(block, exchange);
            }
        }
        let best = self.best(exchange);
        if self.last_best != Some(best) {
            self.last_best = Some(best);
            self.publish_best(block, best, earlier_book_ns);
        }
        if !self.traded.is_empty() {
            self.publish_trades(block);
        }
        if is_due(self.last_context_ns, self.settings.context_interval_ns, block.time_ns) {
            self.last_context_ns = Some(block.time_ns);
            self.publish_context(block, *context);
        }
    }

    fn best(&mut self, exchange: &Exchange) -> (BestQuote, BestQuote) {
        if self.left_out.is_none() {
            return exchange.best(self.asset);
        }
        let mut levels = std::mem::take(&mut self.levels);
        let [bid, ask] = [Side::Buy, Side::Sell].map(|side| {
            self.write_levels(exchange, side, &mut levels, 1);
            levels.first().map(|level| (level.price, level.size))
        });
        self.levels = levels;
        (bid, ask)
    }

    /// The first `count` levels of a side that the feed shows, best first.
    fn write_levels(&self, exchange: &Exchange, side: Side, levels: &mut Vec<BookLevel>, count: usize) {
        let Some(account) = self.left_out else { return exchange.levels(self.asset, side, levels, count) };
        let theirs =
            || exchange.open_orders(account).filter(|open| open.order.asset == self.asset && open.order.side == side);
        exchange.levels(self.asset, side, levels, count + theirs().count());
        for open in theirs() {
            if let Some(level) = levels.iter_mut().find(|level| level.price == open.order.price) {
                level.size.0 -= open.remaining.0;
                level.orders -= 1;
            }
        }
        levels.retain(|level| level.size.0 > 0);
        levels.truncate(count);
    }

    fn publish_book(&mut self, block: Block, exchange: &Exchange) {
        let depth = self.settings.books.depth;
        let mut content = self.free.pop().unwrap_or_default();
        for side in [Side::Buy, Side::Sell] {
            let SnapshotSide { levels, prices, sizes } = &mut content[side.index()];
            self.write_levels(exchange, side, levels, depth);
            prices.clear();
            sizes.clear();
            prices.extend(levels.iter().map(|level| self.instrument.price_to_f64(level.price)));
            sizes.extend(levels.iter().map(|level| self.instrument.lots_to_f64(level.size)));
        }
        // After the best of an earlier block, and not at one time with it: there the book would come first.
        let not_before_ns = self.bests.last_ns.saturating_add(1);
        let time_ns = self.books.receive_ns(&self.settings.latency, &mut self.draws, block, not_before_ns);
        if self.settings.keeps_session {
            let session = &mut self.session;
            session.book_time_ns.push(time_ns);
            session.book_exchange_time_ns.push(block.time_ns);
            let [bids, asks] = &content;
            for (column, values) in [
                (&mut session.bid_prices, &bids.prices),
                (&mut session.bid_sizes, &bids.sizes),
                (&mut session.ask_prices, &asks.prices),
                (&mut session.ask_sizes, &asks.sizes),
            ] {
                column.extend_from_slice(values);
                column.extend(std::iter::repeat_n(f64::NAN, depth - values.len()));
            }
        }
        self.books.pending.push_back(Pending { time_ns, exchange_time_ns: block.time_ns, content });
    }

    fn publish_best(&mut self, block: Block, best: (BestQuote, BestQuote), earlier_book_ns: TimestampNs) {
        let time_ns = self.bests.receive_ns(&self.settings.latency, &mut self.draws, block, earlier_book_ns);
        if self.settings.keeps_session {
            let session = &mut self.session;
            session.best_time_ns.push(time_ns);
            session.best_exchange_time_ns.push(block.time_ns);
            for (quote, prices, sizes) in [
                (best.0, &mut session.best_bid_price, &mut session.best_bid_size),
                (best.1, &mut session.best_ask_price, &mut session.best_ask_size),
            ] {
                let (price, size) = decimal(&self.instrument, quote).unwrap_or((f64::NAN, f64::NAN));
                prices.push(price);
                sizes.push(size);
            }
        }
        self.bests.pending.push_back(Pending { time_ns, exchange_time_ns: block.time_ns, content: best });
    }

    fn publish_trades(&mut self, block: Block) {
        let time_ns = self.trades.receive_ns(&self.settings.latency, &mut self.draws, block, TimestampNs::MIN);
        for trade in self.traded.drain(..) {
            if self.settings.keeps_session {
                let session = &mut self.session;
                session.trade_time_ns.push(time_ns);
                session.trade_exchange_time_ns.push(trade.time_ns);
                session.trade_price.push(self.instrument.price_to_f64(trade.price));
                session.trade_size.push(self.instrument.lots_to_f64(trade.size));
                session.trade_aggressor.push(if trade.aggressor == Side::Buy { 1 } else { -1 });
                session.trade_id.push(trade.trade_id);
            }
            self.trades.pending.push_back(Pending { time_ns, exchange_time_ns: trade.time_ns, content: trade });
        }
    }

    fn publish_context(&mut self, block: Block, mut context: Context) {
        let time_ns = self.contexts.receive_ns(&self.settings.latency, &mut self.draws, block, TimestampNs::MIN);
        context.next_settlement_ns = context.next_settlement_ns.filter(|settlement_ns| *settlement_ns > time_ns);
        if self.settings.keeps_session {
            let session = &mut self.session;
            session.context_time_ns.push(time_ns);
            for (column, value) in [
                (&mut session.mark_price, context.mark_price),
                (&mut session.oracle_price, context.oracle_price),
                (&mut session.funding_rate, context.funding_rate),
                (&mut session.predicted_funding, context.predicted_funding),
                (&mut session.open_interest, context.open_interest),
            ] {
                column.push(value.unwrap_or(f64::NAN));
            }
            session.next_settlement_ns.push(context.next_settlement_ns.unwrap_or(0));
        }
        self.contexts.pending.push_back(Pending { time_ns, exchange_time_ns: block.time_ns, content: context });
    }

    /// When the next message is received.
    #[inline]
    #[must_use]
    pub fn next_ns(&self) -> Option<TimestampNs> {
        let times = [self.books.next_ns(), self.bests.next_ns(), self.trades.next_ns(), self.contexts.next_ns()];
        times.into_iter().min().filter(|time_ns| *time_ns < TimestampNs::MAX)
    }

    /// The next message received by `until_ns`.
    pub fn next(&mut self, until_ns: TimestampNs) -> Option<FeedEvent<'_>> {
        let next_ns = self.next_ns().filter(|time_ns| *time_ns <= until_ns)?;
        let (time_ns, exchange_time_ns, market, message) = if self.books.next_ns() == next_ns {
            let Pending { time_ns, exchange_time_ns, content } = self.books.pending.pop_front()?;
            self.free.push(std::mem::replace(&mut self.book, content));
            let [bids, asks] = &self.book;
            let market = MarketEvent::Book {
                bid_prices: &bids.prices,
                bid_sizes: &bids.sizes,
                ask_prices: &asks.prices,
                ask_sizes: &asks.sizes,
                exchange_time_ns: Some(exchange_time_ns),
            };
            (time_ns, exchange_time_ns, market, FeedMessage::Book { bids: &bids.levels, asks: &asks.levels })
        } else if self.bests.next_ns() == next_ns {
            let Pending { time_ns, exchange_time_ns, content: (bid, ask) } = self.bests.pending.pop_front()?;
            let market = MarketEvent::Best {
                bid: decimal(&self.instrument, bid),
                ask: decimal(&self.instrument, ask),
                exchange_time_ns: Some(exchange_time_ns),
            };
            (time_ns, exchange_time_ns, market, FeedMessage::Best { bid, ask })
        } else if self.trades.next_ns() == next_ns {
            let Pending { time_ns, exchange_time_ns, content } = self.trades.pending.pop_front()?;
            let market = MarketEvent::Trade(event::Trade {
                price: self.instrument.price_to_f64(content.price),
                size: self.instrument.lots_to_f64(content.size),
                aggressor: content.aggressor,
                exchange_time_ns: Some(exchange_time_ns),
            });
            (time_ns, exchange_time_ns, market, FeedMessage::Trade(content))
        } else {
            let Pending { time_ns, exchange_time_ns, content } = self.contexts.pending.pop_front()?;
            (time_ns, exchange_time_ns, MarketEvent::Context(content), FeedMessage::Context(content))
        };
        Some(FeedEvent { time_ns, exchange_time_ns, market, message })
    }

    /// All that was published so far, whether it was received yet or not; empty unless
    /// [`FeedSettings::keeps_session`]. The recorded venue can replay it.
    #[must_use]
    pub const fn session(&self) -> &Session {
        &self.session
    }

    /// As [`Feed::session`], to keep.
    #[must_use]
    pub fn into_session(self) -> Session {
        self.session
    }
}

fn decimal(instrument: &Instrument, quote: BestQuote) -> Option<event::BestLevel> {
    quote.map(|(price, size)| (instrument.price_to_f64(price), instrument.lots_to_f64(size)))
}
