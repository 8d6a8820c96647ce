//! Plays a recording to a strategy and carries out its ladders at the recorded venue.
//!
//! Streams merge by receive time; at one time the order is book, best, trade, context, each in the recording's own.
//! Before an event the venue acts up to that moment and the strategy hears what has come back. After an event, when
//! the last quote is `cycle_ns` or more ago, the strategy quotes, and the plain reconcile turns the ladder into
//! cancels and placements. Nothing allocates per event once buffers have grown.

use hypermm_core::config::{EngineConfig, MAX_LEVELS};
use hypermm_core::engine::QuoteEngine;
use hypermm_core::error::{Error, Result, invalid_input};
use hypermm_core::event::{AccountEvent, MarketEvent};
use hypermm_core::instrument::Instrument;
use hypermm_core::orders::reconcile::{Action, Bounds, Reconciler, StandingOrder};
use hypermm_core::outcomes::prediction::Prediction;
use hypermm_core::pricing::decision::{Decision, QuoteSide};
use hypermm_core::types::{Identifier, Lots, OrderStatus, Price, Side, TimestampNs};

use super::account::Account;

use super::output::{BacktestOutput, DecisionColumns};
use crate::market::recording::at_row;
pub use crate::market::recording::{ContextColumns, RecordingColumns};
use crate::venue::fill_models::{FillModel, FillParameters, ProbabilisticFills};
use crate::venue::latency::Latency;
use crate::venue::recorded::{Notice, RecordedVenue, VenueOrder};

const PROGRESS_MASK: u64 = (1 << 16) - 1;
// The engine's own rule for a clip that was not set.
const CLIPS_TO_CAP: f64 = 20.0;
const CLIP_OVER_MINIMUM: f64 = 1.1;

/// How a run is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BacktestSettings {
    /// Seed of all draws.
    pub seed: u64,
    /// Numbers of the fill model.
    pub fill_model: FillParameters,
    /// Least time between quotes, ns; 0 quotes after every event.
    pub cycle_ns: i64,
    /// Latency of our own messages.
    pub latency: Latency,
    /// Keeps every decision.
    pub log_decisions: bool,
    /// Time between samples of the account, ns.
    pub equity_sample_ns: i64,
}

impl Default for BacktestSettings {
    fn default() -> Self {
        Self {
            seed: 0,
            fill_model: FillParameters::DEFAULT,
            cycle_ns: 250_000_000,
            latency: Latency::default(),
            log_decisions: false,
            equity_sample_ns: 1_000_000_000,
        }
    }
}

impl BacktestSettings {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] naming the one that is out of range.
    pub fn validate(&self) -> Result<()> {
        self.fill_model.validate()?;
        self.latency.validate()?;
        if !(0..=3_600_000_000_000).contains(&self.cycle_ns) {
            return Err(invalid_input("cycle_ns", self.cycle_ns, "0 to one hour in ns", "250 ms is 250000000"));
        }
        if self.equity_sample_ns <= 0 {
            return Err(invalid_input("equity_sample_ns", self.equity_sample_ns, "above 0 ns", ""));
        }
        Ok(())
    }
}

/// Whatever quotes: the engine, or a user's own code judged by the same venue.
pub trait Strategy {
    /// What its calls may fail with.
    type Error: From<Error>;

    /// The market moved.
    ///
    /// # Errors
    /// Ends the run.
    fn on_event(&mut self, time_ns: TimestampNs, event: &MarketEvent<'_>) -> std::result::Result<(), Self::Error>;

    /// An order of ours changed or traded.
    ///
    /// # Errors
    /// Ends the run.
    fn on_account(&mut self, time_ns: TimestampNs, event: &AccountEvent) -> std::result::Result<(), Self::Error>;

    /// An order of ours has a new status; the venue knows price and size exactly.
    ///
    /// # Errors
    /// Ends the run.
    #[inline]
    fn on_order(
        &mut self,
        time_ns: TimestampNs,
        order: &VenueOrder,
        instrument: &Instrument,
    ) -> std::result::Result<(), Self::Error> {
        let event = AccountEvent::Order {
            order_id: Identifier::Number(order.id),
            status: order.status,
            side: order.side,
            price: instrument.price_to_f64(order.price),
            remaining_size: instrument.lots_to_f64(order.known_remaining),
        };
        self.on_account(time_ns, &event)
    }

    /// Writes the wanted ladder: exact prices and lots, best level first, `len` levels a side.
    ///
    /// # Errors
    /// Ends the run.
    fn quote(&mut self, time_ns: TimestampNs, decision: &mut Decision) -> std::result::Result<(), Self::Error>;

    /// Size of one order, contracts, where the strategy has such a thing.
    fn clip(&self) -> Option<f64> {
        None
    }

    /// Says which row of the recording a refused event stood in.
    fn locate(error: Self::Error, _stream: &'static str, _row: usize) -> Self::Error {
        error
    }
}

impl Strategy for QuoteEngine {
    type Error = Error;

    #[inline]
    fn on_event(&mut self, time_ns: TimestampNs, event: &MarketEvent<'_>) -> Result<()> {
        self.handle(time_ns, event)
    }

    #[inline]
    fn on_account(&mut self, time_ns: TimestampNs, event: &AccountEvent) -> Result<()> {
        match event {
            AccountEvent::Order { order_id, status, side, price, remaining_size } => {
                self.on_order(time_ns, order_id, *status, *side, *price, *remaining_size)
            }
            AccountEvent::Fill { side, price, size, order_id, fill_id, fee } => {
                self.on_fill(time_ns, *side, *price, *size, order_id.as_ref(), fill_id.as_ref(), *fee).map(|_| ())
            }
            AccountEvent::Position { position, entry_price } => {
                self.on_position(time_ns, *position, *entry_price).map(|_| ())
            }
            AccountEvent::Quota { requests_remaining, requests_last_day } => {
                self.on_quota(time_ns, *requests_remaining, *requests_last_day)
            }
        }
    }

    #[inline]
    fn on_order(&mut self, time_ns: TimestampNs, order: &VenueOrder, _: &Instrument) -> Result<()> {
        let id = Identifier::Number(order.id);
        self.on_exact_order(time_ns, &id, order.status, order.side, order.price, order.known_remaining)
    }

    #[inline]
    fn quote(&mut self, time_ns: TimestampNs, decision: &mut Decision) -> Result<()> {
        Self::quote(self, time_ns, decision)
    }

    fn clip(&self) -> Option<f64> {
        Self::clip(self)
    }

    fn locate(error: Error, stream: &'static str, row: usize) -> Error {
        at_row(stream, row, error)
    }
}

/// Runs a new engine over a recording.
///
/// `progress` is called with the share done, now and then and once with 1.0.
///
/// # Errors
/// Bad settings, configuration or columns, or an event the engine refuses, with its stream and row.
pub fn run(
    columns: &RecordingColumns<'_>,
    instrument: &Instrument,
    config: &EngineConfig,
    settings: &BacktestSettings,
    progress: &mut dyn FnMut(f64),
) -> Result<BacktestOutput> {
    let mut engine = QuoteEngine::new(instrument.clone(), *config)?;
    run_with(columns, instrument, config, settings, &mut engine, progress)
}

/// Runs any strategy over a recording. Of the configuration only the cap, the fee, the clip, the levels (width of the
/// decision log) and the prior volatility are read.
///
/// # Errors
/// As [`run`]; whatever the strategy fails with ends the run.
pub fn run_with<S: Strategy>(
    columns: &RecordingColumns<'_>,
    instrument: &Instrument,
    config: &EngineConfig,
    settings: &BacktestSettings,
    strategy: &mut S,
    progress: &mut dyn FnMut(f64),
) -> std::result::Result<BacktestOutput, S::Error> {
    settings.validate()?;
    config.validate()?;
    columns.validate()?;
    let model = ProbabilisticFills::new(settings.fill_model, settings.seed)?;
    let mut replay = Replay {
        columns: *columns,
        instrument,
        config,
        settings,
        venue: RecordedVenue::new(*columns, instrument, model, settings.latency),
        account: Account::new(instrument, config, settings.equity_sample_ns)?,
        reconciler: Reconciler::default(),
        decision: Decision::default(),
        decisions: settings
            .log_decisions
            .then(|| DecisionColumns { levels: config.levels as usize, ..DecisionColumns::default() }),
        standing: Vec::with_capacity(128),
        actions: Vec::with_capacity(128),
        max_position: instrument.floor_lots(config.max_position),
        clip: None,
        last_quote_ns: None,
        quote_cycles: 0,
        two_sided_cycles: 0,
        binding_cycles: [0; 4],
    };
    replay.play(strategy, progress)?;
    replay.finish().map_err(S::Error::from)
}

#[derive(Clone, Copy)]
enum Stream {
    Book,
    Best,
    Trade,
    Context,
}

/// Merges the streams by receive time.
struct Merge<'a> {
    times: [&'a [i64]; 4],
    next: [usize; 4],
    next_time: [i64; 4],
}

impl<'a> Merge<'a> {
    fn new(columns: &RecordingColumns<'a>) -> Self {
        let times = [columns.book_time_ns, columns.best_time_ns, columns.trade_time_ns, columns.context.time_ns];
        Self { times, next: [0; 4], next_time: times.map(|times| times.first().copied().unwrap_or(i64::MAX)) }
    }

    #[inline]
    fn next(&mut self) -> Option<(Stream, usize, i64)> {
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

struct Replay<'a, M> {
    columns: RecordingColumns<'a>,
    instrument: &'a Instrument,
    config: &'a EngineConfig,
    settings: &'a BacktestSettings,
    venue: RecordedVenue<'a, M>,
    account: Account<'a>,
    reconciler: Reconciler,
    decision: Decision,
    decisions: Option<DecisionColumns>,
    standing: Vec<StandingOrder>,
    actions: Vec<Action>,
    max_position: Lots,
    clip: Option<Lots>,
    last_quote_ns: Option<TimestampNs>,
    quote_cycles: u64,
    two_sided_cycles: u64,
    /// Cycles in which the cost bound, the post-only clamp, the cap bound, and with risk aversion too high.
    binding_cycles: [u64; 4],
}

impl<M: FillModel> Replay<'_, M> {
    fn play<S: Strategy>(
        &mut self,
        strategy: &mut S,
        progress: &mut dyn FnMut(f64),
    ) -> std::result::Result<(), S::Error> {
        let mut merge = Merge::new(&self.columns);
        let total = self.columns.len() as f64;
        let mut events: u64 = 0;
        let mut end_ns = 0;
        while let Some((stream, row, time_ns)) = merge.next() {
            self.catch_up(strategy, time_ns, time_ns)?;
            self.hand_over(strategy, stream, row, time_ns)?;
            let due = self.last_quote_ns.is_none_or(|last_ns| time_ns - last_ns >= self.settings.cycle_ns);
            if due {
                self.quote(strategy, time_ns)?;
            }
            end_ns = time_ns;
            events += 1;
            if events & PROGRESS_MASK == 0 {
                progress(events as f64 / total);
            }
        }
        // What happened at the venue by the end is ours, though the news would have come later.
        self.catch_up(strategy, TimestampNs::MAX, end_ns)?;
        progress(1.0);
        Ok(())
    }

    /// Lets the venue act up to `now_ns` and tells the strategy what it hears by `until_ns`, with settlements between.
    #[inline]
    fn catch_up<S: Strategy>(
        &mut self,
        strategy: &mut S,
        until_ns: TimestampNs,
        now_ns: TimestampNs,
    ) -> std::result::Result<(), S::Error> {
        self.venue.advance(now_ns);
        while self.account.next_settlement_ns() <= now_ns {
            let due_ns = self.account.next_settlement_ns();
            self.hear(strategy, due_ns, now_ns)?;
            self.account.settle_funding()?;
        }
        self.hear(strategy, until_ns, now_ns)
    }

    #[inline]
    fn hear<S: Strategy>(
        &mut self,
        strategy: &mut S,
        until_ns: TimestampNs,
        now_ns: TimestampNs,
    ) -> std::result::Result<(), S::Error> {
        while let Some((told_ns, notice)) = self.venue.next_notice(until_ns) {
            let time_ns = told_ns.min(now_ns);
            match notice {
                Notice::Status(slot, status) => {
                    // An acknowledgement overtaken by our own cancel is no news.
                    if self.venue.order(slot).status == status {
                        self.tell_status(strategy, time_ns, slot)?;
                    }
                }
                Notice::Fill(fill) => {
                    let booked = self.account.on_fill(time_ns, self.venue.order(fill.slot), &fill)?;
                    let event = AccountEvent::Fill {
                        side: booked.side,
                        price: booked.price,
                        size: booked.size,
                        order_id: Some(Identifier::Number(self.venue.order(fill.slot).id)),
                        fill_id: Some(Identifier::Number(booked.sequence)),
                        fee: Some(booked.fee),
                    };
                    strategy.on_account(time_ns, &event)?;
                    if self.venue.order(fill.slot).status == OrderStatus::Filled {
                        self.tell_status(strategy, time_ns, fill.slot)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn tell_status<S: Strategy>(
        &self,
        strategy: &mut S,
        time_ns: TimestampNs,
        slot: usize,
    ) -> std::result::Result<(), S::Error> {
        strategy.on_order(time_ns, self.venue.order(slot), self.instrument)
    }

    #[inline]
    fn hand_over<S: Strategy>(
        &mut self,
        strategy: &mut S,
        stream: Stream,
        row: usize,
        time_ns: TimestampNs,
    ) -> std::result::Result<(), S::Error> {
        let (name, event) = match stream {
            Stream::Book => ("book", self.columns.book(row)),
            Stream::Best => ("best", self.columns.best(row)),
            Stream::Trade => ("trade", self.columns.trade(row)),
            Stream::Context => ("context", MarketEvent::Context(self.columns.context(row))),
        };
        strategy.on_event(time_ns, &event).map_err(|error| S::locate(error, name, row))?;
        let best = match event {
            MarketEvent::Book { bid_prices, ask_prices, .. } => {
                (bid_prices.first().copied(), ask_prices.first().copied())
            }
            MarketEvent::Best { bid, ask } => (bid.map(|level| level.0), ask.map(|level| level.0)),
            MarketEvent::Context(context) => {
                self.account.on_context(time_ns, &context);
                return Ok(());
            }
            _ => return Ok(()),
        };
        if let (Some(bid), Some(ask)) = best
            && bid < ask
        {
            self.account.on_mid(time_ns, 0.5 * (bid + ask))?;
        }
        Ok(())
    }

    fn quote<S: Strategy>(&mut self, strategy: &mut S, time_ns: TimestampNs) -> std::result::Result<(), S::Error> {
        self.last_quote_ns = Some(time_ns);
        self.quote_cycles += 1;
        strategy.quote(time_ns, &mut self.decision)?;
        check_ladder("bids", Side::Buy, &self.decision.bids)?;
        check_ladder("asks", Side::Sell, &self.decision.asks)?;
        self.two_sided_cycles += u64::from(self.decision.bids.len > 0 && self.decision.asks.len > 0);
        let binding = self.decision.binding;
        let bound = [binding.cost_bound, binding.post_only, binding.cap, binding.risk_aversion_too_high];
        for (count, bound) in self.binding_cycles.iter_mut().zip(bound) {
            *count += u64::from(bound);
        }
        if let Some(log) = &mut self.decisions {
            log.push(time_ns, &self.decision, self.instrument.lots_to_f64(self.account.position()));
        }
        // Before the first mid there is nothing to measure a fill against: no order is sent.
        if self.account.mid() <= 0.0 {
            return Ok(());
        }
        let clip = self.clip(strategy);
        let bounds = Bounds { position: self.account.position(), max_position: self.max_position, clip };
        self.venue.write_standing(&mut self.standing);
        for order in &self.standing {
            if let Some(prediction) = prediction(&self.decision, time_ns, order.side, order.price) {
                self.venue.note_prediction(order.slot, prediction);
            }
        }
        self.reconciler.reconcile(&self.decision, self.instrument, bounds, &self.standing, &mut self.actions);
        let mut actions = std::mem::take(&mut self.actions);
        for action in &actions {
            let slot = match *action {
                Action::Cancel { slot } => {
                    self.venue.cancel(time_ns, slot);
                    slot
                }
                Action::Place { side, price, size, .. } => {
                    let slot = self.venue.place(time_ns, side, price, size, self.account.mid());
                    if let Some(prediction) = prediction(&self.decision, time_ns, side, price) {
                        self.venue.note_prediction(slot, prediction);
                    }
                    slot
                }
            };
            self.tell_status(strategy, time_ns, slot)?;
        }
        actions.clear();
        self.actions = actions;
        Ok(())
    }

    fn clip<S: Strategy>(&mut self, strategy: &S) -> Lots {
        if let Some(clip) = self.clip {
            return clip;
        }
        let derived = (self.config.max_position / CLIPS_TO_CAP)
            .max(CLIP_OVER_MINIMUM * self.instrument.min_notional() / self.account.mid());
        let clip = self.instrument.floor_lots(strategy.clip().or(self.config.clip).unwrap_or(derived));
        self.clip = Some(clip);
        clip
    }

    fn finish(self) -> Result<BacktestOutput> {
        let span_ns = self.columns.span_ns().unwrap_or_default();
        let (fills, equity, mut summary) = self.account.finish(span_ns.1, self.venue.position())?;
        let counts = self.venue.counts();
        summary.quote_cycles = self.quote_cycles;
        let share = |count: u64| count as f64 / self.quote_cycles.max(1) as f64;
        summary.two_sided_share = share(self.two_sided_cycles);
        summary.cost_bound_share = share(self.binding_cycles[0]);
        summary.post_only_share = share(self.binding_cycles[1]);
        summary.cap_share = share(self.binding_cycles[2]);
        summary.risk_aversion_too_high_share = share(self.binding_cycles[3]);
        summary.events = self.columns.len() as u64;
        summary.orders_placed = counts.placed;
        summary.orders_canceled = counts.canceled;
        summary.orders_rejected = counts.rejected;
        summary.span_ns = span_ns;
        Ok(BacktestOutput { fills, decisions: self.decisions, equity, summary })
    }
}

/// What a ladder expects of an order at one of its prices.
fn prediction(decision: &Decision, time_ns: TimestampNs, side: Side, price: Price) -> Option<Prediction> {
    let quotes = decision.side(side);
    let level = quotes.price_units[..quotes.len].iter().position(|wanted| *wanted == price)?;
    let (expected_edge_bps, fill_probability) = (quotes.expected_edge_bps[level], quotes.fill_probability[level]);
    Some(Prediction { time_ns, expected_edge_bps, fill_probability })
}

/// A ladder the reconcile can work on: known length, positive prices and sizes, strictly away from the best.
#[inline]
fn check_ladder(field: &'static str, side: Side, ladder: &QuoteSide) -> Result<()> {
    if ladder.len > MAX_LEVELS {
        return Err(invalid_input(field, format!("{} levels", ladder.len), format!("at most {MAX_LEVELS} levels"), ""));
    }
    for level in 0..ladder.len {
        let price = ladder.price_units[level];
        let apart = level == 0
            || match side {
                Side::Buy => price < ladder.price_units[level - 1],
                Side::Sell => price > ladder.price_units[level - 1],
            };
        if price.0 <= 0 || ladder.lots[level].0 <= 0 || !apart {
            return Err(invalid_input(
                field,
                format!("level {level}: {} price units, {} lots", price.0, ladder.lots[level].0),
                "positive prices and sizes, best level first, each price once",
                "merge_levels joins equal prices",
            ));
        }
    }
    Ok(())
}
