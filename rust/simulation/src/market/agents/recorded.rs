//! A recording as the market: its books are the orders of one account, its prints those of another.
//!
//! In each block the account of the books moves its orders to the book of the block before, and the prints since then
//! arrive as taking orders at their own price: so they meet the book they met, and with it whoever else rests there.
//! Of a level that shrinks the newest orders go first. A new level that would cross somebody else's order trades with
//! it. After the last row the book stays as it is and nothing is printed any more.

use std::collections::BTreeMap;

use hypermm_core::error::{Result, invalid_input};
use hypermm_core::event::MarketEvent;
use hypermm_core::instrument::Instrument;
use hypermm_core::types::{Lots, Price, Side, TimestampNs};

use crate::market::agents::Background;
use crate::market::agents::grid::Grid;
use crate::market::session::Session;
use crate::venue::matching::exchange::Exchange;
use crate::venue::matching::order::{
    AccountId, Action, AssetId, ClientOrderId, NewOrder, OrderReference, OrderState, TimeInForce, VenueEvent,
};
use crate::venue::matching::rules::AccountKind;

/// An order of the books' account.
#[derive(Clone, Copy, Debug)]
struct Resting {
    name: ClientOrderId,
    size: i64,
}

/// Rows that are still to come.
#[derive(Clone, Copy, Debug, Default)]
struct Places {
    book: usize,
    best: usize,
    trade: usize,
    context: usize,
}

/// A recording that trades.
#[derive(Debug)]
pub struct RecordedMarket {
    asset: AssetId,
    instrument: Instrument,
    grid: Grid,
    session: Session,
    /// Venue time less the recording's.
    shift_ns: TimestampNs,
    next: Places,
    previous_ns: TimestampNs,
    /// The book to be shown: sizes by price, of each side.
    wanted: [BTreeMap<i64, i64>; 2],
    /// The book's orders by price, oldest first, of each side.
    resting: [BTreeMap<i64, Vec<Resting>>; 2],
    places: BTreeMap<ClientOrderId, (Side, i64)>,
    last_name: ClientOrderId,
    books: Option<AccountId>,
    prints: Option<AccountId>,
    fair_price: f64,
    oracle_price: Option<f64>,
    funding_rate: f64,
}

impl RecordedMarket {
    /// The recording in `session` as the market of `asset`.
    ///
    /// # Errors
    /// Columns that do not fit each other, or no book or best prices with two sides to begin with.
    pub fn new(session: Session, asset: AssetId, instrument: &Instrument) -> Result<Self> {
        session.columns().validate()?;
        let mut market = Self {
            asset,
            grid: Grid::new(instrument.clone()),
            instrument: instrument.clone(),
            session,
            shift_ns: 0,
            next: Places::default(),
            previous_ns: 0,
            wanted: Default::default(),
            resting: Default::default(),
            places: BTreeMap::new(),
            last_name: 0,
            books: None,
            prints: None,
            fair_price: 0.0,
            oracle_price: None,
            funding_rate: 0.0,
        };
        let Some(first_ns) = market.next_quote().map(|(_, time_ns)| time_ns) else {
            return Err(invalid_input("recording", "no books", "at least one book or best prices", ""));
        };
        market.show_until(first_ns);
        if market.fair_price <= 0.0 {
            return Err(invalid_input("recording", "one side", "a first book with bids and asks", ""));
        }
        market.previous_ns = first_ns;
        let session = &market.session;
        market.next.trade = session.trade_exchange_time_ns.iter().take_while(|time_ns| **time_ns <= first_ns).count();
        Ok(market)
    }

    /// The next book (true) or best prices by the venue's time, and that time.
    fn next_quote(&self) -> Option<(bool, TimestampNs)> {
        let book = self.session.book_exchange_time_ns.get(self.next.book);
        let best = self.session.best_exchange_time_ns.get(self.next.best);
        match (book, best) {
            (Some(book), Some(best)) if best < book => Some((false, *best)),
            (Some(book), _) => Some((true, *book)),
            (None, Some(best)) => Some((false, *best)),
            (None, None) => None,
        }
    }

    /// Takes in what the recording shows up to a time of its own.
    fn show_until(&mut self, time_ns: TimestampNs) {
        while let Some((is_book, quote_ns)) = self.next_quote()
            && quote_ns <= time_ns
        {
            let columns = self.session.columns();
            let event = if is_book { columns.book(self.next.book) } else { columns.best(self.next.best) };
            match event {
                MarketEvent::Book { bid_prices, bid_sizes, ask_prices, ask_sizes, .. } => {
                    self.wanted = Default::default();
                    for (side, prices, sizes) in
                        [(Side::Buy, bid_prices, bid_sizes), (Side::Sell, ask_prices, ask_sizes)]
                    {
                        let wanted = &mut self.wanted[side.index()];
                        for (price, size) in prices.iter().zip(sizes) {
                            want(&self.instrument, &self.grid, wanted, *price, *size);
                        }
                    }
                    self.next.book += 1;
                }
                MarketEvent::Best { bid, ask, .. } => {
                    for (side, level) in [(Side::Buy, bid), (Side::Sell, ask)] {
                        let wanted = &mut self.wanted[side.index()];
                        let Some((price, size)) = level else { continue };
                        let Ok(touch) = self.instrument.price_from_f64("best_price", price) else { continue };
                        wanted.retain(|price, _| match side {
                            Side::Buy => *price <= touch.0,
                            Side::Sell => *price >= touch.0,
                        });
                        want(&self.instrument, &self.grid, wanted, price, size);
                    }
                    self.next.best += 1;
                }
                _ => {}
            }
        }
        while let Some(row_ns) = self.session.context_time_ns.get(self.next.context)
            && *row_ns <= time_ns
        {
            let context = self.session.columns().context(self.next.context);
            self.oracle_price = context.oracle_price.filter(|price| *price > 0.0).or(self.oracle_price);
            self.funding_rate = context.funding_rate.unwrap_or(self.funding_rate);
            self.next.context += 1;
        }
        let (bid, ask) = (self.wanted[0].last_key_value(), self.wanted[1].first_key_value());
        if let (Some((bid, _)), Some((ask, _))) = (bid, ask) {
            let mid = (bid + ask) as f64 / (2.0 * self.instrument.price_scale());
            self.fair_price = self.oracle_price.unwrap_or(mid);
        }
    }

    /// Moves the book's orders to the book wanted.
    fn move_book(&mut self, best: [Option<Price>; 2], mut send: impl FnMut(Action)) {
        for side in [Side::Buy, Side::Sell] {
            let (wanted, resting) = (&self.wanted[side.index()], &mut self.resting[side.index()]);
            for (price, orders) in resting.iter_mut() {
                let mut excess = orders.iter().map(|order| order.size).sum::<i64>() - wanted.get(price).unwrap_or(&0);
                while excess > 0
                    && let Some(newest) = orders.pop()
                {
                    excess -= newest.size;
                    self.places.remove(&newest.name);
                    send(Action::Cancel { asset: self.asset, order: OrderReference::Client(newest.name) });
                }
            }
            resting.retain(|_, orders| !orders.is_empty());
            for (price, size) in wanted {
                let orders = resting.entry(*price).or_default();
                let missing = size - orders.iter().map(|order| order.size).sum::<i64>();
                let least = self.grid.lots(0.0, Price(*price)).0;
                if missing <= 0 || (missing < least && !orders.is_empty()) {
                    continue;
                }
                let crosses = best[side.opposite().index()].is_some_and(|other| match side {
                    Side::Buy => *price >= other.0,
                    Side::Sell => *price <= other.0,
                });
                self.last_name += 1;
                let order = Resting { name: self.last_name, size: missing.max(least) };
                orders.push(order);
                self.places.insert(order.name, (side, *price));
                send(Action::Place(NewOrder {
                    asset: self.asset,
                    side,
                    price: Price(*price),
                    size: Lots(order.size),
                    time_in_force: if crosses { TimeInForce::GoodTilCanceled } else { TimeInForce::PostOnly },
                    reduce_only: false,
                    client_order_id: Some(order.name),
                }));
            }
        }
    }

    /// One of the book's orders has this much left.
    fn set_remaining(&mut self, name: Option<ClientOrderId>, remaining: i64) {
        let Some(name) = name else { return };
        let Some((side, price)) = self.places.get(&name).copied() else { return };
        let Some(orders) = self.resting[side.index()].get_mut(&price) else { return };
        if remaining > 0 {
            orders.iter_mut().filter(|order| order.name == name).for_each(|order| order.size = remaining);
        } else {
            orders.retain(|order| order.name != name);
            self.places.remove(&name);
        }
    }
}

/// A level of the recording, on the grid and no smaller than the venue's smallest order; others are left out.
fn want(instrument: &Instrument, grid: &Grid, wanted: &mut BTreeMap<i64, i64>, price: f64, size: f64) {
    if let Ok(price) = instrument.price_from_f64("price", price)
        && size > 0.0
        && size.is_finite()
    {
        wanted.insert(price.0, grid.lots(size, price).0);
    }
}

impl Background for RecordedMarket {
    fn open(&mut self, time_ns: TimestampNs, exchange: &mut Exchange) -> Result<()> {
        let books = exchange.open_account(AccountKind::Background)?;
        self.books = Some(books);
        self.prints = Some(exchange.open_account(AccountKind::Background)?);
        self.shift_ns = time_ns - self.previous_ns;
        self.previous_ns = time_ns;
        let mut first = Vec::new();
        self.move_book([None; 2], |action| first.push(action));
        for action in &first {
            exchange.execute(time_ns, books, action, &mut |event| self.on_event(event));
        }
        Ok(())
    }

    fn act(&mut self, time_ns: TimestampNs, exchange: &Exchange, actions: &mut Vec<(AccountId, Action)>) {
        let (Some(books), Some(prints)) = (self.books, self.prints) else { return };
        let previous_ns = std::mem::replace(&mut self.previous_ns, time_ns);
        let columns = self.session.columns();
        while let Some(print_ns) = columns.trade_exchange_time_ns.get(self.next.trade)
            && print_ns + self.shift_ns <= time_ns
        {
            let row = self.next.trade;
            self.next.trade += 1;
            let Ok(price) = self.instrument.price_from_f64("trade_price", columns.trade_price[row]) else { continue };
            actions.push((
                prints,
                Action::Place(NewOrder {
                    asset: self.asset,
                    side: columns.aggressor(row),
                    price,
                    size: self.grid.lots(columns.trade_size[row], price),
                    time_in_force: TimeInForce::ImmediateOrCancel,
                    reduce_only: false,
                    client_order_id: None,
                }),
            ));
        }
        self.show_until(previous_ns - self.shift_ns);
        let (bid, ask) = exchange.best(self.asset);
        let best = [bid.map(|(price, _)| price), ask.map(|(price, _)| price)];
        self.move_book(best, |action| actions.push((books, action)));
    }

    fn on_event(&mut self, event: &VenueEvent) {
        match event {
            VenueEvent::Trade(trade) if trade.asset == self.asset => {
                for leg in [&trade.maker, &trade.taker] {
                    if Some(leg.account) == self.books {
                        self.set_remaining(leg.client_order_id, leg.remaining.0);
                    }
                }
            }
            VenueEvent::Order(change) if Some(change.account) == self.books && change.state != OrderState::Open => {
                self.set_remaining(change.order.client_order_id, 0);
            }
            _ => {}
        }
    }

    fn fair_price(&self) -> f64 {
        self.fair_price
    }

    fn funding_rate(&self) -> f64 {
        self.funding_rate
    }

    fn predicted_funding_rate(&self) -> f64 {
        self.funding_rate
    }
}
