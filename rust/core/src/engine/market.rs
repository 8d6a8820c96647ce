//! Events of the market, each checked whole before it changes anything.

use super::{QuoteEngine, check_time_after};
use crate::error::{Result, invalid_input, require_positive};
use crate::estimators::drift::DriftFilter;
use crate::event::{BestLevel, Context, MarketEvent, Trade};
use crate::instrument::{Instrument, MAX_UNITS};
use crate::state::book::{Book, SnapshotLevels};
use crate::state::context::ContextState;
use crate::state::own_orders::OwnOrders;
use crate::state::queue::CancelModel;
use crate::types::{COARSER_HINT, Side, TimestampNs, is_coarser_than};

// Field of one print and the column of `on_trades` it stands in.
const TRADE_COLUMNS: &[(&str, &str)] = &[
    ("time_ns", "times"),
    ("price", "prices"),
    ("size", "sizes"),
    ("aggressor", "aggressors"),
    ("exchange_time_ns", "exchange_times"),
];

impl QuoteEngine {
    /// Replaces the book by a snapshot, best levels first; [`QuoteEngine::handle`] takes the venue's time with it.
    ///
    /// # Errors
    /// Wrong lengths or order, numbers or prices that are not valid, a snapshot crossed in itself, a time before the last.
    pub fn on_book(
        &mut self,
        time_ns: TimestampNs,
        bid_prices: &[f64],
        bid_sizes: &[f64],
        ask_prices: &[f64],
        ask_sizes: &[f64],
    ) -> Result<()> {
        self.take_book(time_ns, None, SnapshotLevels { bid_prices, bid_sizes, ask_prices, ask_sizes })
    }

    #[inline]
    fn take_book(
        &mut self,
        time_ns: TimestampNs,
        exchange_time_ns: Option<TimestampNs>,
        levels: SnapshotLevels<'_>,
    ) -> Result<()> {
        self.check_time(time_ns)?;
        check_exchange_time(time_ns, exchange_time_ns)?;
        let checked = Book::check_snapshot(&self.instrument, levels)?;
        self.look(time_ns, exchange_time_ns, |book| book.apply_snapshot(time_ns, &checked), OwnOrders::follow_book);
        Ok(())
    }

    /// Lays best bid and offer over the book; `None` empties a side. [`QuoteEngine::handle`] takes the venue's time with it.
    ///
    /// # Errors
    /// Numbers or prices that are not valid, a time before the last.
    pub fn on_best(&mut self, time_ns: TimestampNs, bid: Option<BestLevel>, ask: Option<BestLevel>) -> Result<()> {
        self.take_best(time_ns, None, bid, ask)
    }

    #[inline]
    fn take_best(
        &mut self,
        time_ns: TimestampNs,
        exchange_time_ns: Option<TimestampNs>,
        bid: Option<BestLevel>,
        ask: Option<BestLevel>,
    ) -> Result<()> {
        self.check_time(time_ns)?;
        check_exchange_time(time_ns, exchange_time_ns)?;
        let bid = Book::check_best(&self.instrument, Side::Buy, bid)?;
        let ask = Book::check_best(&self.instrument, Side::Sell, ask)?;
        self.look(time_ns, exchange_time_ns, |book| book.apply_best(time_ns, bid, ask), OwnOrders::follow_best);
        Ok(())
    }

    /// Takes in a checked change of the book; our orders follow it.
    #[inline]
    pub(super) fn look(
        &mut self,
        time_ns: TimestampNs,
        exchange_time_ns: Option<TimestampNs>,
        change: impl FnOnce(&mut Box<Book>),
        follow: impl FnOnce(&mut OwnOrders, &Book, CancelModel),
    ) {
        // The seconds before this event belong to the old book.
        self.advance(time_ns);
        change(&mut self.book);
        self.after_book(time_ns, exchange_time_ns);
        follow(&mut self.own_orders, &self.book, CancelModel::default());
        self.observe_features(time_ns);
    }

    /// One print of the public tape.
    ///
    /// # Errors
    /// Numbers or a price that are not valid, a time before the last.
    pub fn on_trade(&mut self, time_ns: TimestampNs, trade: &Trade) -> Result<()> {
        self.check_time(time_ns)?;
        let units = check_trade(&self.instrument, time_ns, trade)?;
        self.advance(time_ns);
        self.apply_trade(time_ns, trade, units);
        Ok(())
    }

    /// Many prints at once, all or none.
    ///
    /// # Errors
    /// Lengths that differ, or any print that [`QuoteEngine::on_trade`] would refuse, named by its index.
    pub fn on_trades(
        &mut self,
        times_ns: &[TimestampNs],
        prices: &[f64],
        sizes: &[f64],
        aggressors: &[Side],
        exchange_times_ns: Option<&[TimestampNs]>,
    ) -> Result<()> {
        let n = times_ns.len();
        let exchange_length = exchange_times_ns.map_or(n, <[TimestampNs]>::len);
        for (field, length) in [
            ("prices", prices.len()),
            ("sizes", sizes.len()),
            ("aggressors", aggressors.len()),
            ("exchange_times", exchange_length),
        ] {
            if length != n {
                return Err(invalid_input(field, format!("{length} values"), format!("{n} values, one a time"), ""));
            }
        }
        let trade = |i: usize| Trade {
            price: prices[i],
            size: sizes[i],
            aggressor: aggressors[i],
            exchange_time_ns: exchange_times_ns.map(|times| times[i]),
        };
        let mut last = self.now_ns;
        for (i, &time_ns) in times_ns.iter().enumerate() {
            check_time_after(last, time_ns)
                .and_then(|()| check_trade(&self.instrument, time_ns, &trade(i)))
                .map_err(|error| error.at_index(i, TRADE_COLUMNS))?;
            last = Some(time_ns);
        }
        for (i, &time_ns) in times_ns.iter().enumerate() {
            let trade = trade(i);
            let units = check_trade(&self.instrument, time_ns, &trade)?;
            self.advance(time_ns);
            self.apply_trade(time_ns, &trade, units);
        }
        Ok(())
    }

    /// Mark, oracle, funding; `None` is no news.
    ///
    /// # Errors
    /// Numbers out of domain, a settlement in the past, a time before the last.
    pub fn on_context(&mut self, time_ns: TimestampNs, context: &Context) -> Result<()> {
        self.check_time(time_ns)?;
        ContextState::check(time_ns, context)?;
        self.advance(time_ns);
        self.context.apply(context);
        self.model.on_context(time_ns, context);
        self.observe_features(time_ns);
        Ok(())
    }

    /// A price of another market, by the name its calibration knows it under. One that no feature uses only lets time pass.
    ///
    /// # Errors
    /// An empty name, a price that is not finite and above 0, a time before the last.
    pub fn on_reference(&mut self, time_ns: TimestampNs, name: &str, price: f64) -> Result<()> {
        self.check_time(time_ns)?;
        if name.is_empty() {
            return Err(invalid_input("name", "\"\"", "the name of a market", ""));
        }
        require_positive("price", price)?;
        self.advance(time_ns);
        self.model.on_reference(time_ns, name, price)?;
        self.observe_features(time_ns);
        Ok(())
    }

    /// An outside drift signal joins the filter: z in bps/s with error variance in (bps/s)².
    ///
    /// # Errors
    /// A non-finite signal, a variance that is not positive, a name that is empty, one of the engine's own or beyond the sources that
    /// are kept, a time before the last.
    pub fn observe(&mut self, time_ns: TimestampNs, drift_bps_per_s: f64, variance: f64, name: &str) -> Result<()> {
        self.check_time(time_ns)?;
        DriftFilter::check(drift_bps_per_s, variance)?;
        self.model.check_outside_name(name)?;
        self.advance(time_ns);
        self.model.observe(time_ns, drift_bps_per_s, variance, name);
        Ok(())
    }

    /// Any market event.
    ///
    /// # Errors
    /// As the method of that event.
    pub fn handle(&mut self, time_ns: TimestampNs, event: &MarketEvent<'_>) -> Result<()> {
        match event {
            MarketEvent::Book { bid_prices, bid_sizes, ask_prices, ask_sizes, exchange_time_ns } => {
                let levels = SnapshotLevels { bid_prices, bid_sizes, ask_prices, ask_sizes };
                self.take_book(time_ns, *exchange_time_ns, levels)
            }
            MarketEvent::Best { bid, ask, exchange_time_ns } => self.take_best(time_ns, *exchange_time_ns, *bid, *ask),
            MarketEvent::Trade(trade) => self.on_trade(time_ns, trade),
            MarketEvent::Context(context) => self.on_context(time_ns, context),
            MarketEvent::Observation { drift_bps_per_s, variance, name } => {
                self.observe(time_ns, *drift_bps_per_s, *variance, name)
            }
            MarketEvent::Reference { name, price } => self.on_reference(time_ns, name, *price),
        }
    }

    pub(super) fn apply_trade(&mut self, time_ns: TimestampNs, trade: &Trade, units: i64) {
        let key_ns = trade.exchange_time_ns.unwrap_or(time_ns);
        let mid = self.mids.before(time_ns, trade.exchange_time_ns);
        let change = self.tape.apply(time_ns, key_ns, trade.aggressor, units, trade.price, trade.size, mid);
        self.own_orders.follow_trade(trade.aggressor, units, trade.size);
        if let Some(event) = self.tape.last(trade.aggressor) {
            self.model.on_print(time_ns, event, change, trade.size);
            self.taught(time_ns);
        }
        self.observe_features(time_ns);
    }

    /// A cycle of the features, when one is due.
    #[inline]
    fn observe_features(&mut self, time_ns: TimestampNs) {
        self.model.observe_features(time_ns, &self.book, self.config.calibration.as_deref());
    }
}

/// A print's price in units.
pub(super) fn check_trade(instrument: &Instrument, time_ns: TimestampNs, trade: &Trade) -> Result<i64> {
    let units = instrument.price_from_f64("price", trade.price)?.0;
    require_positive("size", trade.size)?;
    if trade.size > MAX_UNITS {
        return Err(invalid_input("size", trade.size, format!("at most {MAX_UNITS} contracts"), ""));
    }
    check_exchange_time(time_ns, trade.exchange_time_ns)?;
    Ok(units)
}

/// Refuses a venue time that cannot be one.
#[inline]
pub(super) fn check_exchange_time(time_ns: TimestampNs, exchange_time_ns: Option<TimestampNs>) -> Result<()> {
    if let Some(time) = exchange_time_ns
        && (time < 0 || is_coarser_than(time, time_ns))
    {
        let hint = if time < 0 { "" } else { COARSER_HINT };
        return Err(invalid_input("exchange_time_ns", time, "nanoseconds since 1970, as the receiver's", hint));
    }
    Ok(())
}
