//! Plays a market to a strategy at the matching venue: what "live" is measured in.
//!
//! Blocks follow one another. Before a block, the strategy has heard all that reached it by then, and what it sent is
//! in the mempool; in the block, everybody else acts too. Oracle and mark move every three seconds, funding is settled
//! at the full hour, and the feed publishes what the block has changed.

use hypermm_core::accounting::ledger::{ConservationError, Law, Ledger, MICROS, Mark, Micros};
use hypermm_core::config::EngineConfig;
use hypermm_core::error::{Result, invalid_input};
use hypermm_core::event::Context;
use hypermm_core::instrument::Instrument;
use hypermm_core::types::{Lots, SECOND_NS, Side, TimestampNs};

use super::account::Sampling;
use super::cycle::Cycle;
use super::output::BacktestOutput;
use super::strategy::Strategy;
use crate::market::agents::Background;
use crate::market::session::Session;
use crate::venue::block_clock::BlockClockSettings;
use crate::venue::blocks::{BlockSettings, BlockVenue};
use crate::venue::feed::{Feed, FeedSettings};
use crate::venue::fees::FeeRates;
use crate::venue::funding::{HOUR_NS, next_settlement_ns};
use crate::venue::gateway::OrderGateway;
use crate::venue::latency::LatencyModel;
use crate::venue::matched::MatchedVenue;
use crate::venue::matching::exchange::{BestQuote, Exchange};
use crate::venue::matching::mark::MarkPrice;
use crate::venue::matching::order::{AccountId, Action, AssetId, VenueEvent};
use crate::venue::matching::rules::{AccountKind, AssetSettings, VenueRules};

const REFERENCE_INTERVAL_NS: i64 = 3_000_000_000;
const DURATION_NS: i64 = 1_800_000_000_000;
const CYCLE_NS: i64 = 250_000_000;
const MAX_DEPOSIT: Micros = 1_000_000_000_000_000_000;
const ASSET: AssetId = AssetId(0);

/// How a session at the matching venue is made.
#[derive(Clone, Debug)]
pub struct MatchedSettings {
    /// Seed of blocks, latencies and feed.
    pub seed: u64,
    /// Length, ns.
    pub duration_ns: i64,
    /// Least time between quotes, ns; 0 quotes after every event.
    pub cycle_ns: i64,
    /// Blocks and latencies; the clock's start is that of the session.
    pub blocks: BlockSettings,
    /// What the venue publishes, and how late.
    pub feed: FeedSettings,
    /// Contract as the venue has it.
    pub asset: AssetSettings,
    /// Rules of the venue.
    pub rules: VenueRules,
    /// Our money at the start, micros.
    pub deposit: Micros,
    /// Our fee rates.
    pub fees: FeeRates,
    /// Our leverage.
    pub leverage: u32,
    /// Keeps every decision.
    pub log_decisions: bool,
    /// Time between samples of the account, ns.
    pub equity_sample_ns: i64,
}

impl MatchedSettings {
    /// The venue as it was measured, an account of the lowest tier with this deposit, USD, and leverage, a quote cycle of
    /// 250 ms and a sample each second.
    #[must_use]
    pub fn new(instrument: &Instrument, start_ns: TimestampNs, deposit_usd: f64, leverage: u32) -> Self {
        let clock = BlockClockSettings { start_ns, ..BlockClockSettings::default() };
        let blocks = BlockSettings { clock, ..BlockSettings::default() };
        Self {
            seed: 0,
            duration_ns: DURATION_NS,
            cycle_ns: CYCLE_NS,
            feed: FeedSettings::new(blocks.latency.feed.clone()),
            blocks,
            asset: AssetSettings::new(instrument.clone()),
            // The account has traded before: its requests do not run out within a session.
            rules: VenueRules { request_quota: false, ..VenueRules::default() },
            deposit: (deposit_usd * MICROS) as Micros,
            fees: FeeRates::tier(0.0),
            leverage,
            log_decisions: false,
            equity_sample_ns: SECOND_NS,
        }
    }

    /// The same with other laws of latency; the feed has its own copy.
    #[must_use]
    pub fn with_latency(mut self, latency: LatencyModel) -> Self {
        self.feed.latency = latency.feed.clone();
        self.blocks.latency = latency;
        self
    }

    /// Checks what the parts do not check themselves.
    ///
    /// # Errors
    /// [`hypermm_core::error::Error::InvalidInput`] naming the setting.
    pub fn validate(&self) -> Result<()> {
        let max_leverage = self.asset.instrument.max_leverage();
        if !(1..=max_leverage).contains(&self.leverage) {
            let expected = format!("1 to {max_leverage}, what the contract grants");
            return Err(invalid_input("leverage", self.leverage, expected, ""));
        }
        if !(1..=MAX_DEPOSIT).contains(&self.deposit) {
            let found = self.deposit as f64 / MICROS;
            return Err(invalid_input("deposit_usd", found, "0.000001 to 1000000000000 USD", ""));
        }
        if !(1..=30 * 24 * HOUR_NS).contains(&self.duration_ns) {
            return Err(invalid_input("duration_ns", self.duration_ns, "1 ns to 30 days in ns", ""));
        }
        if !(0..=HOUR_NS).contains(&self.cycle_ns) {
            return Err(invalid_input("cycle_ns", self.cycle_ns, "0 to one hour in ns", "250 ms is 250000000"));
        }
        if self.equity_sample_ns <= 0 {
            return Err(invalid_input("equity_sample_ns", self.equity_sample_ns, "above 0 ns", ""));
        }
        Ok(())
    }
}

/// What the venue itself saw of our account, block by block.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Watch {
    /// Largest position, lots, 0 when it was never long.
    pub max_long: Lots,
    /// Smallest position, lots, 0 when it was never short.
    pub max_short: Lots,
    /// Largest position with every buy order not known dead filled, lots.
    pub max_long_with_orders: Lots,
    /// Smallest position with every sell order not known dead filled, lots.
    pub max_short_with_orders: Lots,
    /// Blocks in which we held a position.
    pub holding_blocks: u64,
    /// Of these, blocks in which an order of ours that reduces it rested.
    pub reducing_blocks: u64,
    /// Quote cycles in which we knew of a position.
    pub holding_cycles: u64,
    /// Of these, cycles that wanted an order that reduces it.
    pub reducing_cycles: u64,
}

impl Watch {
    /// Share of the blocks with a position in which an order that reduces it rested; 1 without a position.
    #[must_use]
    pub fn reducing_share(&self) -> f64 {
        match self.holding_blocks {
            0 => 1.0,
            blocks => self.reducing_blocks as f64 / blocks as f64,
        }
    }

    /// Share of the quote cycles with a position in which an order that reduces it was wanted; 1 without a position.
    #[must_use]
    pub fn reducing_wanted_share(&self) -> f64 {
        match self.holding_cycles {
            0 => 1.0,
            cycles => self.reducing_cycles as f64 / cycles as f64,
        }
    }
}

/// What a session at the matching venue answers.
#[derive(Debug)]
pub struct MatchedOutput {
    /// As of any backtest.
    pub backtest: BacktestOutput,
    /// What the venue saw.
    pub watch: Watch,
    /// What was published and received by the end, where it was kept.
    pub session: Session,
}

/// Runs a strategy among the others of `market`. Of the configuration only the cap, the fee, the clip, the levels
/// (width of the decision log) and the prior volatility are read.
///
/// # Errors
/// Bad settings or configuration; whatever the strategy fails with; books that do not add up.
pub fn run_matched<S: Strategy, B: Background>(
    market: &mut B,
    instrument: &Instrument,
    config: &EngineConfig,
    settings: &MatchedSettings,
    strategy: &mut S,
    progress: &mut dyn FnMut(f64),
) -> std::result::Result<MatchedOutput, S::Error> {
    settings.validate()?;
    config.validate()?;
    let start_ns = settings.blocks.clock.start_ns;
    let mut exchange = Exchange::new(vec![settings.asset.clone()], settings.rules)?;
    let account = exchange.open_account(AccountKind::Trader { deposit: settings.deposit, fees: settings.fees })?;
    let lever =
        Action::UpdateLeverage { asset: ASSET, is_cross: !settings.asset.isolated_only, leverage: settings.leverage };
    exchange.execute(start_ns, account, &lever, &mut |_| {});
    market.open(start_ns, &mut exchange)?;
    let blocks = BlockVenue::new(exchange, settings.blocks.clone(), settings.seed)?;
    let venue = MatchedVenue::new(blocks, account, ASSET, instrument.clone());
    let heard = FeedSettings {
        keeps_session: settings.feed.keeps_session && !settings.feed.leaves_out_ours,
        ..settings.feed.clone()
    };
    let feed = Feed::new(ASSET, instrument.clone(), heard, settings.seed)?;
    let kept = settings
        .feed
        .leaves_out_ours
        .then(|| Feed::new(ASSET, instrument.clone(), settings.feed.clone(), settings.seed));
    let kept = kept.transpose()?.map(|feed| feed.without(account));
    let sampling = Sampling { interval_ns: settings.equity_sample_ns, keeps_equity: true };
    let cycle = Cycle::new(instrument, config, venue, settings.cycle_ns, sampling, settings.log_decisions)?;
    let mut run = Run {
        market,
        instrument,
        cycle,
        feed,
        kept,
        account,
        watch: Watch::default(),
        actions: Vec::with_capacity(256),
        reference_ns: start_ns - REFERENCE_INTERVAL_NS,
        reference: (Mark(0), Mark(0)),
        mark: MarkPrice::default(),
        settlement_ns: next_settlement_ns(start_ns),
        events: 0,
    };
    run.play(strategy, start_ns, start_ns + settings.duration_ns, progress)?;
    run.finish(start_ns, start_ns + settings.duration_ns).map_err(S::Error::from)
}

struct Run<'a, B> {
    market: &'a mut B,
    instrument: &'a Instrument,
    cycle: Cycle<'a, MatchedVenue>,
    feed: Feed,
    /// The feed without our orders, where that is what is kept.
    kept: Option<Feed>,
    account: AccountId,
    watch: Watch,
    actions: Vec<(AccountId, Action)>,
    reference_ns: TimestampNs,
    /// Oracle and mark.
    reference: (Mark, Mark),
    mark: MarkPrice,
    settlement_ns: TimestampNs,
    events: u64,
}

impl<B: Background> Run<'_, B> {
    fn play<S: Strategy>(
        &mut self,
        strategy: &mut S,
        start_ns: TimestampNs,
        end_ns: TimestampNs,
        progress: &mut dyn FnMut(f64),
    ) -> std::result::Result<(), S::Error> {
        let span_ns = (end_ns - start_ns) as f64;
        loop {
            let next_ns = self.cycle.venue.blocks.next_block().time_ns;
            while let Some(event) = self.feed.next(next_ns.min(end_ns)) {
                let time_ns = event.time_ns;
                self.cycle.catch_up(strategy, time_ns, time_ns)?;
                strategy.on_event(time_ns, &event.market)?;
                self.cycle.after_event(time_ns, &event.market)?;
                self.events += 1;
                if self.cycle.is_due(time_ns) {
                    self.cycle.quote(strategy, time_ns)?;
                    self.watch_orders();
                }
            }
            if next_ns > end_ns {
                break;
            }
            self.run_block()?;
            let number = self.cycle.venue.blocks.next_block().number;
            if number % 1024 == 0 {
                progress((next_ns - start_ns) as f64 / span_ns);
            }
        }
        // What happened at the venue by the end is ours, though the news would have come later.
        self.cycle.catch_up(strategy, TimestampNs::MAX, end_ns)?;
        self.cycle.venue.check()?;
        progress(1.0);
        Ok(())
    }

    fn run_block(&mut self) -> Result<()> {
        let time_ns = self.cycle.venue.blocks.next_block().time_ns;
        let venue = &mut self.cycle.venue.blocks;
        self.actions.clear();
        self.market.act(time_ns, venue.exchange(), &mut self.actions);
        let block = venue.run_block(&self.actions, &mut listener(self.market, &mut self.feed, &mut self.kept));
        let (fair_price, funding_rate) = (self.market.fair_price(), self.market.funding_rate());
        if time_ns - self.reference_ns >= REFERENCE_INTERVAL_NS {
            self.reference_ns = time_ns;
            let oracle = Mark::nearest(self.instrument, fair_price)?;
            let (bid, ask) = venue.exchange().best(ASSET);
            let price = |level: BestQuote| level.map(|(price, _)| price);
            let last_trade = venue.exchange().last_trade(ASSET);
            let mark = self.mark.update(time_ns, oracle, price(bid), price(ask), last_trade);
            self.reference = (oracle, mark);
            let sink = &mut listener(self.market, &mut self.feed, &mut self.kept);
            venue.set_reference(block, ASSET, oracle, mark, sink)?;
        }
        if time_ns >= self.settlement_ns {
            self.settlement_ns += HOUR_NS;
            let sink = &mut listener(self.market, &mut self.feed, &mut self.kept);
            venue.settle_funding(block, ASSET, funding_rate, sink)?;
        }
        self.watch_block();
        let price = |mark: Mark| mark.0 as f64 / (2.0 * self.instrument.price_scale());
        let exchange = self.cycle.venue.blocks.exchange();
        let context = Context {
            mark_price: Some(price(self.reference.1)),
            oracle_price: Some(price(self.reference.0)),
            funding_rate: Some(self.market.predicted_funding_rate()),
            predicted_funding: None,
            next_settlement_ns: Some(self.settlement_ns),
            // Nobody holds anything yet: no news rather than a number that no recording has.
            open_interest: Some(self.instrument.lots_to_f64(exchange.open_interest(ASSET))).filter(|held| *held > 0.0),
        };
        self.feed.after_block(block, exchange, &context);
        if let Some(kept) = &mut self.kept {
            kept.after_block(block, exchange, &context);
            // Nobody listens: what it brings is dropped.
            while kept.next(time_ns).is_some() {}
        }
        Ok(())
    }

    fn watch_block(&mut self) {
        let position = self.cycle.venue.position();
        let watch = &mut self.watch;
        watch.max_long = watch.max_long.max(position);
        watch.max_short = watch.max_short.min(position);
        if position.0 != 0 {
            let reducing = if position.0 > 0 { Side::Sell } else { Side::Buy };
            let mut orders = self.cycle.venue.blocks.exchange().open_orders(self.account);
            watch.holding_blocks += 1;
            watch.reducing_blocks += u64::from(orders.any(|order| order.order.side == reducing));
        }
    }

    /// Fills not heard yet are still counted as orders: what is known of position and orders adds up to the truth.
    fn watch_orders(&mut self) {
        let position = self.cycle.position().0;
        let [buys, sells] = self.cycle.venue.exposed();
        let watch = &mut self.watch;
        watch.max_long_with_orders = watch.max_long_with_orders.max(Lots(position + buys.0));
        watch.max_short_with_orders = watch.max_short_with_orders.min(Lots(position - sells.0));
        if position != 0 {
            let reducing = if position > 0 { Side::Sell } else { Side::Buy };
            watch.holding_cycles += 1;
            watch.reducing_cycles += u64::from(self.cycle.wants(reducing));
        }
    }

    /// Closes the account; its cash is held against the venue's books.
    fn finish(self, start_ns: TimestampNs, end_ns: TimestampNs) -> Result<MatchedOutput> {
        let ledger = self.cycle.venue.blocks.exchange().ledger(self.account, ASSET);
        let expected = ledger.map_or(0, Ledger::cash);
        let books = self.cycle.cash();
        if books != expected {
            return Err(ConservationError { law: Law::Cash, books, expected }.into());
        }
        let mut session = self.kept.unwrap_or(self.feed).into_session();
        session.end_at(end_ns);
        let backtest = self.cycle.finish((start_ns, end_ns), self.events)?;
        Ok(MatchedOutput { backtest, watch: self.watch, session })
    }
}

/// Where the venue's events go: to the market, and to whoever publishes them.
fn listener<'a, B: Background>(
    market: &'a mut B,
    feed: &'a mut Feed,
    kept: &'a mut Option<Feed>,
) -> impl FnMut(&VenueEvent) + 'a {
    move |event| {
        market.on_event(event);
        feed.note(event);
        if let Some(kept) = kept {
            kept.note(event);
        }
    }
}
