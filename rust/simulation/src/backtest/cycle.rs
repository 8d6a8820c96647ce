//! One quote cycle at any venue: what the strategy hears, its ladder, and the orders that follow from it.

use hypermm_core::accounting::ledger::Micros;
use hypermm_core::config::{EngineConfig, MAX_LEVELS};
use hypermm_core::error::{Result, invalid_input};
use hypermm_core::event::{AccountEvent, MarketEvent};
use hypermm_core::instrument::Instrument;
use hypermm_core::orders::reconcile::{Action, Bounds, Reconciler, StandingOrder};
use hypermm_core::outcomes::prediction::Prediction;
use hypermm_core::pricing::decision::{Decision, QuoteSide};
use hypermm_core::types::{Identifier, Lots, OrderStatus, Price, Side, TimestampNs};

use super::account::{Account, Sampling};
use super::output::{BacktestOutput, DecisionColumns};
use super::strategy::Strategy;
use crate::venue::gateway::{Notice, OrderGateway, Placement};

/// Our side of a run: account, ladder and standing orders, at a venue of any kind.
#[derive(Debug)]
pub(crate) struct Cycle<'a, V> {
    instrument: &'a Instrument,
    config: &'a EngineConfig,
    cycle_ns: i64,
    pub(crate) venue: V,
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

impl<'a, V: OrderGateway> Cycle<'a, V> {
    /// Nothing has happened yet. `cycle_ns` is the least time between quotes.
    pub(crate) fn new(
        instrument: &'a Instrument,
        config: &'a EngineConfig,
        venue: V,
        cycle_ns: i64,
        sampling: Sampling,
        log_decisions: bool,
    ) -> Result<Self> {
        Ok(Self {
            instrument,
            config,
            cycle_ns,
            venue,
            account: Account::new(instrument, config, sampling, V::SETTLES_FUNDING)?,
            reconciler: Reconciler::default(),
            decision: Decision::default(),
            decisions: log_decisions
                .then(|| DecisionColumns { levels: config.levels as usize, ..DecisionColumns::default() }),
            standing: Vec::with_capacity(128),
            actions: Vec::with_capacity(128),
            max_position: instrument.floor_lots(config.max_position),
            clip: None,
            last_quote_ns: None,
            quote_cycles: 0,
            two_sided_cycles: 0,
            binding_cycles: [0; 4],
        })
    }

    /// Tells the strategy what it hears by `until_ns`, not later than `now_ns`, with settlements between.
    #[inline]
    pub(crate) fn catch_up<S: Strategy>(
        &mut self,
        strategy: &mut S,
        until_ns: TimestampNs,
        now_ns: TimestampNs,
    ) -> std::result::Result<(), S::Error> {
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
                Notice::Funding { paid, per_contract } => self.account.on_funding(time_ns, paid, per_contract)?,
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

    /// Takes what the account needs from an event the strategy has seen.
    #[inline]
    pub(crate) fn after_event(&mut self, time_ns: TimestampNs, event: &MarketEvent<'_>) -> Result<()> {
        let best = match event {
            MarketEvent::Book { bid_prices, ask_prices, .. } => {
                (bid_prices.first().copied(), ask_prices.first().copied())
            }
            MarketEvent::Best { bid, ask, .. } => (bid.map(|level| level.0), ask.map(|level| level.0)),
            MarketEvent::Context(context) => {
                self.account.on_context(time_ns, context);
                return Ok(());
            }
            _ => return Ok(()),
        };
        match best {
            (Some(bid), Some(ask)) if bid < ask => self.account.on_mid(time_ns, 0.5 * (bid + ask)),
            _ => Ok(()),
        }
    }

    /// Position by the fills we have heard of.
    pub(crate) fn position(&self) -> Lots {
        self.account.position()
    }

    /// Whether the last ladder had a level on this side.
    pub(crate) fn wants(&self, side: Side) -> bool {
        self.decision.side(side).len > 0
    }

    /// Cash by what we have heard of.
    pub(crate) fn cash(&self) -> Micros {
        self.account.cash()
    }

    /// Whether the last quote is a cycle or more ago.
    #[inline]
    pub(crate) fn is_due(&self, time_ns: TimestampNs) -> bool {
        self.last_quote_ns.is_none_or(|last_ns| time_ns - last_ns >= self.cycle_ns)
    }

    /// Asks for a ladder and sends what it takes to stand by it.
    pub(crate) fn quote<S: Strategy>(
        &mut self,
        strategy: &mut S,
        time_ns: TimestampNs,
    ) -> std::result::Result<(), S::Error> {
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
                Action::Place { side, price, size, level } => {
                    let mid = self.account.mid();
                    let slot = self.venue.place(time_ns, &Placement { side, price, size, level: level as u8, mid });
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
        self.venue.flush(time_ns);
        Ok(())
    }

    fn clip<S: Strategy>(&mut self, strategy: &S) -> Lots {
        if let Some(clip) = self.clip {
            return clip;
        }
        let mid = self.account.mid();
        let clip = strategy.clip().unwrap_or_else(|| self.config.clip_at(self.instrument, mid));
        let clip = self.instrument.floor_lots(clip);
        self.clip = Some(clip);
        clip
    }

    /// Closes the account at the data's end.
    pub(crate) fn finish(self, span_ns: (TimestampNs, TimestampNs), events: u64) -> Result<BacktestOutput> {
        let (fills, equity, mut summary) = self.account.finish(span_ns.1, self.venue.position())?;
        let counts = self.venue.counts();
        summary.quote_cycles = self.quote_cycles;
        let share = |count: u64| count as f64 / self.quote_cycles.max(1) as f64;
        summary.two_sided_share = share(self.two_sided_cycles);
        summary.cost_bound_share = share(self.binding_cycles[0]);
        summary.post_only_share = share(self.binding_cycles[1]);
        summary.cap_share = share(self.binding_cycles[2]);
        summary.risk_aversion_too_high_share = share(self.binding_cycles[3]);
        summary.events = events;
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
