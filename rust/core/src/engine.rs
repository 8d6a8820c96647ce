//! The engine: events in, ladders out. `quote` is pure; every learned number lives in the state the snapshot holds.

mod quoting;
mod snapshot;

use serde::{Deserialize, Serialize};

use crate::config::{EngineConfig, MAX_LEVELS};
use crate::error::{Result, invalid_config, invalid_input, require_positive, time_order};
use crate::estimators::drift::DriftFilter;
use crate::estimators::market_model::MarketModel;
use crate::event::{BestLevel, Context, MarketEvent, Trade};
use crate::instrument::{Instrument, MAX_UNITS};
use crate::pricing::costs::toxic_adverse_selection;
use crate::pricing::prepared::Memo;
use crate::pricing::readings::readings;
use crate::state::book::{Book, SnapshotLevels};
use crate::state::context::ContextState;
use crate::state::inventory::Inventory;
use crate::state::own_orders::{OwnOrder, OwnOrders};
use crate::state::queue::CancelModel;
use crate::state::quota::Quota;
use crate::state::tape::Tape;
use crate::types::{
    BPS, COARSER_HINT, EARLIEST_DATE_NS, Identifier, Lots, OrderStatus, Price, Side, TimestampNs, is_coarser_than,
};

const SECOND_NS: i64 = 1_000_000_000;
// Beyond this gap the second grid restarts.
const GRID_GAP_NS: i64 = 300 * SECOND_NS;
// Field of one print and the column of `on_trades` it stands in.
const TRADE_COLUMNS: &[(&str, &str)] = &[
    ("time_ns", "times"),
    ("price", "prices"),
    ("size", "sizes"),
    ("aggressor", "aggressors"),
    ("exchange_time_ns", "exchange_times"),
];

/// One instrument's quoting model with all it has learned.
///
/// ```
/// use hypermm_core::config::EngineConfig;
/// use hypermm_core::engine::QuoteEngine;
/// use hypermm_core::instrument::Instrument;
/// use hypermm_core::pricing::decision::Decision;
/// use hypermm_core::types::QuoteStatus;
///
/// let instrument = Instrument::new("ETH", 4, 25, 10.0, 3600.0)?;
/// let mut engine = QuoteEngine::new(instrument, EngineConfig::default())?;
/// engine.on_best(0, Some((4268.9, 10.1)), Some((4269.0, 8.2)))?;
///
/// let mut decision = Decision::default();
/// engine.quote(0, &mut decision)?;
/// assert_eq!(decision.status, QuoteStatus::Quoting);
/// assert!(decision.bids.prices[0] < 4268.9 && decision.asks.prices[0] > 4269.0);
/// # Ok::<(), hypermm_core::error::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuoteEngine {
    instrument: Instrument,
    config: EngineConfig,
    now_ns: Option<TimestampNs>,
    next_second_ns: TimestampNs,
    book: Book,
    tape: Tape,
    context: ContextState,
    inventory: Inventory,
    own_orders: OwnOrders,
    quota: Quota,
    model: MarketModel,
    last_mid: Option<f64>,
    mid_is_fresh: bool,
    clip: Option<f64>,
    taught_ns: TimestampNs,
    #[serde(skip)]
    memo: Memo,
}

impl QuoteEngine {
    /// An engine that has seen nothing.
    ///
    /// # Errors
    /// [`crate::error::Error::InvalidConfig`] for a config field out of range.
    pub fn new(instrument: Instrument, config: EngineConfig) -> Result<Self> {
        check_config(&instrument, &config)?;
        let model = MarketModel::new(&config, instrument.funding_interval_s())?;
        Ok(Self {
            instrument,
            config,
            now_ns: None,
            next_second_ns: 0,
            book: Book::default(),
            tape: Tape::default(),
            context: ContextState::default(),
            inventory: Inventory::default(),
            own_orders: OwnOrders::default(),
            quota: Quota::default(),
            model,
            last_mid: None,
            mid_is_fresh: false,
            clip: None,
            taught_ns: 0,
            memo: Memo::default(),
        })
    }

    /// Replaces the book by a snapshot, best levels first.
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
        self.check_time(time_ns)?;
        let levels = SnapshotLevels { bid_prices, bid_sizes, ask_prices, ask_sizes };
        let checked = Book::check_snapshot(&self.instrument, levels)?;
        // The seconds before this event belong to the old book.
        self.advance(time_ns);
        self.book.apply_snapshot(time_ns, &checked);
        self.after_book();
        self.own_orders.follow_book(&self.book, CancelModel::default());
        Ok(())
    }

    /// Lays best bid and offer over the book; `None` empties a side.
    ///
    /// # Errors
    /// Numbers or prices that are not valid, a time before the last.
    pub fn on_best(&mut self, time_ns: TimestampNs, bid: Option<BestLevel>, ask: Option<BestLevel>) -> Result<()> {
        self.check_time(time_ns)?;
        let bid = Book::check_best(&self.instrument, Side::Buy, bid)?;
        let ask = Book::check_best(&self.instrument, Side::Sell, ask)?;
        self.advance(time_ns);
        self.book.apply_best(time_ns, bid, ask);
        self.after_book();
        self.own_orders.follow_best(&self.book, CancelModel::default());
        Ok(())
    }

    /// One print of the public tape.
    ///
    /// # Errors
    /// Numbers or a price that are not valid, a time before the last.
    pub fn on_trade(&mut self, time_ns: TimestampNs, trade: &Trade) -> Result<()> {
        self.check_time(time_ns)?;
        let units = self.check_trade(time_ns, trade)?;
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
                .and_then(|()| self.check_trade(time_ns, &trade(i)))
                .map_err(|error| error.at_index(i, TRADE_COLUMNS))?;
            last = Some(time_ns);
        }
        for (i, &time_ns) in times_ns.iter().enumerate() {
            let trade = trade(i);
            let units = self.check_trade(time_ns, &trade)?;
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
        Ok(())
    }

    /// The state of one of our orders. Every order not known to be dead counts against the cap.
    ///
    /// # Errors
    /// A price off the grid, a size that is not whole lots, a time before the last.
    pub fn on_order(
        &mut self,
        time_ns: TimestampNs,
        order_id: &Identifier,
        status: OrderStatus,
        side: Side,
        price: f64,
        remaining_size: f64,
    ) -> Result<()> {
        self.check_time(time_ns)?;
        // An order the venue refused for its price or size must still be known dead.
        if status.is_dead() {
            crate::error::require_finite("price", price)?;
            crate::error::require_finite("remaining_size", remaining_size)?;
            self.advance(time_ns);
            self.own_orders.end(time_ns, order_id);
            return Ok(());
        }
        let exact = self.instrument.price_from_f64("price", price)?;
        let remaining = self.instrument.lots_from_f64("remaining_size", remaining_size)?;
        if remaining.0 < 0 {
            return Err(invalid_input(
                "remaining_size",
                remaining_size,
                "a size ≥ 0; the side is its own argument",
                "",
            ));
        }
        self.advance(time_ns);
        self.place_order(time_ns, order_id, status, side, (exact, price), remaining);
        Ok(())
    }

    /// [`QuoteEngine::on_order`] for a caller that keeps prices and sizes exact, as the backtest's venue does.
    ///
    /// # Errors
    /// A price that is not positive, a negative size, a time before the last.
    pub fn on_exact_order(
        &mut self,
        time_ns: TimestampNs,
        order_id: &Identifier,
        status: OrderStatus,
        side: Side,
        price: Price,
        remaining: Lots,
    ) -> Result<()> {
        self.check_time(time_ns)?;
        for (field, value, least) in [("price", price.0, 1), ("remaining_size", remaining.0, 0)] {
            if value < least {
                return Err(invalid_input(field, value, format!("{least} or more units"), ""));
            }
        }
        self.advance(time_ns);
        self.place_order(time_ns, order_id, status, side, (price, self.instrument.price_to_f64(price)), remaining);
        Ok(())
    }

    fn place_order(
        &mut self,
        time_ns: TimestampNs,
        order_id: &Identifier,
        status: OrderStatus,
        side: Side,
        (exact, price): (Price, f64),
        remaining: Lots,
    ) {
        let (last_mid, book) = (self.last_mid, &self.book);
        // Only an order not heard of before, or moved, is looked up in the book.
        let place_in_book = || {
            let depth_bps = last_mid.map_or(0.0, |mid| side.sign() * (mid - price) / mid * BPS);
            (depth_bps, book.side(side).displayed_at(side, exact).unwrap_or(0.0))
        };
        self.own_orders.apply(time_ns, order_id, status, side, exact, remaining, place_in_book);
    }

    /// A fill of ours. Moves the position once: false for a `fill_id` seen before.
    ///
    /// # Errors
    /// A price off the grid, a size that is not a positive number of lots, a fee that is not finite, a time before the last.
    #[allow(clippy::too_many_arguments, reason = "a fill has this many facts")]
    pub fn on_fill(
        &mut self,
        time_ns: TimestampNs,
        side: Side,
        price: f64,
        size: f64,
        order_id: Option<&Identifier>,
        fill_id: Option<&Identifier>,
        fee: Option<f64>,
    ) -> Result<bool> {
        self.check_time(time_ns)?;
        let exact = self.instrument.price_from_f64("price", price)?;
        let lots = self.instrument.lots_from_f64("size", size)?;
        if lots.0 <= 0 {
            return Err(invalid_input("size", size, "a size above 0; the side is its own argument", ""));
        }
        if let Some(fee) = fee {
            crate::error::require_finite("fee", fee)?;
        }
        self.advance(time_ns);
        if fill_id.is_some_and(|name| self.inventory.has_seen(name)) {
            return Ok(false);
        }
        self.inventory.apply_fill(side, price, lots, fill_id);
        if let Some(order) = order_id {
            self.own_orders.apply_fill(time_ns, order, lots);
        }
        let event = self.tape.last(side.opposite());
        self.model.on_own_fill(time_ns, side, price, exact.0, self.last_mid, event);
        let toxic_bps = toxic_adverse_selection(&self.config, &self.model.estimates(time_ns), side.index());
        self.model.learn_from_fill(time_ns, side, toxic_bps);
        self.taught(time_ns);
        Ok(true)
    }

    /// The venue's word on our position replaces ours; returns venue − ours, contracts.
    ///
    /// # Errors
    /// A position that is not whole lots, an entry price that is not positive, a time before the last.
    pub fn on_position(&mut self, time_ns: TimestampNs, position: f64, entry_price: Option<f64>) -> Result<f64> {
        self.check_time(time_ns)?;
        let lots = self.instrument.lots_from_f64("position", position)?;
        if let Some(price) = entry_price {
            require_positive("entry_price", price)?;
        }
        self.advance(time_ns);
        Ok(self.instrument.lots_to_f64(self.inventory.replace(lots, entry_price)))
    }

    /// The venue's word on our request quota.
    ///
    /// # Errors
    /// Numbers that are not finite or negative, a time before the last.
    pub fn on_quota(&mut self, time_ns: TimestampNs, requests_remaining: f64, requests_last_day: f64) -> Result<()> {
        self.check_time(time_ns)?;
        for (field, value) in [("requests_remaining", requests_remaining), ("requests_last_day", requests_last_day)] {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(invalid_input(field, value, "a finite number ≥ 0", ""));
            }
        }
        self.advance(time_ns);
        self.quota.apply(requests_remaining, requests_last_day);
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
            MarketEvent::Book { bid_prices, bid_sizes, ask_prices, ask_sizes } => {
                self.on_book(time_ns, bid_prices, bid_sizes, ask_prices, ask_sizes)
            }
            MarketEvent::Best { bid, ask } => self.on_best(time_ns, *bid, *ask),
            MarketEvent::Trade(trade) => self.on_trade(time_ns, trade),
            MarketEvent::Context(context) => self.on_context(time_ns, context),
            MarketEvent::Observation { drift_bps_per_s, variance, name } => {
                self.observe(time_ns, *drift_bps_per_s, *variance, name)
            }
        }
    }

    /// Takes over new settings between quotes, keeping all that was learned.
    ///
    /// # Errors
    /// [`crate::error::Error::InvalidConfig`] for a field out of range.
    pub fn update_config(&mut self, config: EngineConfig) -> Result<()> {
        check_config(&self.instrument, &config)?;
        // The same settings again change nothing, not even what is refreshed once a second.
        if config == self.config {
            return Ok(());
        }
        let resize = config.max_position != self.config.max_position || config.clip != self.config.clip;
        self.model.update_config(&config);
        self.config = config;
        self.memo.forget();
        if resize {
            self.clip = None;
            self.fix_clip();
        }
        Ok(())
    }

    /// Signed position, contracts, + = long.
    #[must_use]
    pub fn position(&self) -> f64 {
        self.instrument.lots_to_f64(self.inventory.position())
    }

    /// Signed position, lots.
    #[must_use]
    pub fn position_lots(&self) -> Lots {
        self.inventory.position()
    }

    /// Mean entry price, where known.
    #[must_use]
    pub fn entry_price(&self) -> Option<f64> {
        self.inventory.entry_price()
    }

    /// Time of the last event.
    #[must_use]
    pub fn now_ns(&self) -> Option<TimestampNs> {
        self.now_ns
    }

    /// Mid of a book that is neither one-sided nor crossed.
    #[must_use]
    pub fn mid_price(&self) -> Option<f64> {
        self.book.mid()
    }

    /// The instrument.
    #[must_use]
    pub fn instrument(&self) -> &Instrument {
        &self.instrument
    }

    /// The settings in force.
    #[must_use]
    pub fn config(&self) -> &EngineConfig {
        &self.config
    }

    /// Size of one order, contracts; known from the first two-sided book on.
    #[must_use]
    pub fn clip(&self) -> Option<f64> {
        self.clip
    }

    /// Orders not known to be dead.
    #[must_use]
    pub fn open_orders(&self) -> &[OwnOrder] {
        self.own_orders.live()
    }

    /// The book as last heard.
    #[must_use]
    pub fn book(&self) -> &Book {
        &self.book
    }

    /// The contract's context as last heard.
    #[must_use]
    pub fn context(&self) -> &ContextState {
        &self.context
    }

    /// Everything learned.
    #[must_use]
    pub fn model(&self) -> &MarketModel {
        &self.model
    }

    /// Everything learned so far under its name, as of the last event; priors before the first. See [`crate::pricing::readings`].
    #[must_use]
    pub fn readings(&self) -> Vec<(&'static str, f64)> {
        let now_ns = self.now_ns.unwrap_or(0);
        readings(&self.model, &self.config, self.instrument.funding_interval_s(), now_ns)
    }

    fn check_time(&self, time_ns: TimestampNs) -> Result<()> {
        check_time_after(self.now_ns, time_ns)
    }

    fn check_trade(&self, time_ns: TimestampNs, trade: &Trade) -> Result<i64> {
        let units = self.instrument.price_from_f64("price", trade.price)?.0;
        require_positive("size", trade.size)?;
        if trade.size > MAX_UNITS {
            return Err(invalid_input("size", trade.size, format!("at most {MAX_UNITS} contracts"), ""));
        }
        if let Some(time) = trade.exchange_time_ns
            && (time < 0 || is_coarser_than(time, time_ns))
        {
            let hint = if time < 0 { "" } else { COARSER_HINT };
            return Err(invalid_input("exchange_time_ns", time, "nanoseconds since 1970, as the receiver's", hint));
        }
        Ok(units)
    }

    fn apply_trade(&mut self, time_ns: TimestampNs, trade: &Trade, units: i64) {
        let key_ns = trade.exchange_time_ns.unwrap_or(time_ns);
        let change = self.tape.apply(time_ns, key_ns, trade.aggressor, units, trade.price, trade.size, self.last_mid);
        self.own_orders.follow_trade(trade.aggressor, units, trade.size);
        if let Some(event) = self.tape.last(trade.aggressor) {
            self.model.on_print(time_ns, event, change, trade.size);
            self.taught(time_ns);
        }
    }

    /// Lets every whole second up to `time_ns` pass with the state as it stood.
    #[inline]
    fn advance(&mut self, time_ns: TimestampNs) {
        match self.now_ns {
            None => {
                self.model.start(time_ns);
                self.taught(time_ns);
                self.next_second_ns = time_ns.saturating_add(SECOND_NS);
            }
            Some(_) if time_ns < self.next_second_ns => {}
            Some(_) => self.pass_seconds(time_ns),
        }
        self.now_ns = Some(time_ns);
    }

    fn pass_seconds(&mut self, time_ns: TimestampNs) {
        if time_ns - self.next_second_ns > GRID_GAP_NS {
            self.forget_mid();
            self.next_second_ns = time_ns;
        }
        // The last representable second is never passed, so that the grid ends with time itself.
        while self.next_second_ns <= time_ns && self.next_second_ns < TimestampNs::MAX {
            let silent = self.book.updated_ns().is_some_and(|heard| self.next_second_ns - heard > GRID_GAP_NS);
            if silent && self.last_mid.is_some() {
                self.forget_mid();
            }
            let half_spread_bps = if silent { None } else { self.book.half_spread_bps() };
            if self.model.on_second(self.next_second_ns, self.last_mid, half_spread_bps, self.mid_is_fresh) {
                self.mid_is_fresh = false;
            }
            self.taught(self.next_second_ns);
            self.next_second_ns = self.next_second_ns.saturating_add(SECOND_NS);
        }
    }

    /// After a long silence the mid is unknown until the book speaks: the old one would teach that nothing moves, and then
    /// put the whole jump into one second.
    fn forget_mid(&mut self) {
        self.model.forget_grid();
        self.last_mid = None;
        self.mid_is_fresh = false;
    }

    /// The model learned something at `time_ns`: what pricing had prepared is old.
    fn taught(&mut self, time_ns: TimestampNs) {
        self.taught_ns = time_ns;
        self.memo.forget();
    }

    fn after_book(&mut self) {
        if let Some(mid) = self.book.mid() {
            self.last_mid = Some(mid);
            self.mid_is_fresh = true;
            if self.clip.is_none() {
                self.fix_clip();
            }
        }
    }

    /// Clip = q_max/22 but at least 1.1 × the venue's minimum, at most q_max; taken once.
    fn fix_clip(&mut self) {
        let mid = self.last_mid.or(self.book.mid());
        self.clip = self.config.clip.or_else(|| Some(self.config.clip_at(&self.instrument, mid?)));
    }
}

/// Checks the settings, and that a ladder as wide as the cap can be counted in lots.
fn check_config(instrument: &Instrument, config: &EngineConfig) -> Result<()> {
    config.validate()?;
    let most = (MAX_UNITS / MAX_LEVELS as f64).floor() / instrument.size_scale();
    if config.max_position > most {
        return Err(invalid_config(
            "max_position",
            config.max_position,
            format!("at most {most} contracts of {}", instrument.coin()),
            "larger sizes cannot be counted in lots exactly",
        ));
    }
    Ok(())
}

#[inline]
fn check_time_after(last: Option<TimestampNs>, time_ns: TimestampNs) -> Result<()> {
    match last {
        Some(last) if time_ns < last => Err(time_order(
            "time_ns",
            time_ns,
            format!("{last} or later"),
            "events enter in the order the receiver's clock gave them",
        )),
        Some(_) => Ok(()),
        None if time_ns < 0 => Err(invalid_input("time_ns", time_ns, "nanoseconds ≥ 0", "")),
        None if (1_000_000_000..EARLIEST_DATE_NS).contains(&time_ns) => {
            Err(invalid_input("time_ns", time_ns, "nanoseconds since 1970, or a small count from 0", COARSER_HINT))
        }
        None => Ok(()),
    }
}
