//! Our account during a run: books, markouts, the profit's sources, and their columns.

use hypermm_core::accounting::attribution::Attribution;
use hypermm_core::accounting::ledger::{
    ConservationError, Law, Ledger, Mark, Micros, half_micros_to_quote, micros_to_quote,
};
use hypermm_core::config::EngineConfig;
use hypermm_core::error::Result;
use hypermm_core::event::Context;
use hypermm_core::features::volatility::Volatility;
use hypermm_core::instrument::Instrument;
use hypermm_core::online::second_grid::{GRID_SECONDS, SecondGrid};
use hypermm_core::outcomes::breakdown::Breakdown;
use hypermm_core::outcomes::markout::{DEFAULT_HORIZON, HORIZON_COUNT, MarkoutTracker, Outcome, TrackedFill};
use hypermm_core::types::{Lots, Price, SECOND_NS, Side, TimestampNs};

use super::output::{EquityColumns, FillColumns, Summary, adverse_share, default_edge};
use crate::venue::gateway::{VenueFill, VenueOrder};

const NEVER: TimestampNs = TimestampNs::MAX;

/// A fill with its fee, as the strategy hears of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BookedFill {
    pub(crate) sequence: u64,
    pub(crate) side: Side,
    pub(crate) price: f64,
    pub(crate) size: f64,
    pub(crate) fee: f64,
}

#[derive(Debug)]
pub(crate) struct Account<'a> {
    instrument: &'a Instrument,
    ledger: Ledger,
    markouts: MarkoutTracker,
    results: Results,
    funding_payments: Vec<Micros>,
    /// The account over time, where it is kept.
    equity: Option<EquityColumns>,
    drawdown: Drawdown,
    sample_ns: i64,
    next_sample_ns: TimestampNs,
    mid: f64,
    grid: SecondGrid,
    volatility: Volatility,
    next_second_ns: TimestampNs,
    funding_rate: f64,
    funding_price: f64,
    next_settlement_ns: TimestampNs,
    venue_settles: bool,
    max_abs_position: i64,
}

impl<'a> Account<'a> {
    /// Empty books. Where the venue settles funding itself, contexts only inform.
    pub(crate) fn new(
        instrument: &'a Instrument,
        config: &EngineConfig,
        sampling: Sampling,
        venue_settles: bool,
    ) -> Result<Self> {
        Ok(Self {
            instrument,
            ledger: Ledger::new(config.maker_fee_bps)?,
            markouts: MarkoutTracker::default(),
            results: Results::default(),
            funding_payments: Vec::new(),
            equity: sampling.keeps_equity.then(EquityColumns::default),
            drawdown: Drawdown::default(),
            sample_ns: sampling.interval_ns,
            next_sample_ns: TimestampNs::MIN,
            mid: 0.0,
            grid: SecondGrid::default(),
            volatility: Volatility::new(config.volatility),
            next_second_ns: 0,
            funding_rate: 0.0,
            funding_price: 0.0,
            next_settlement_ns: NEVER,
            venue_settles,
            max_abs_position: 0,
        })
    }

    pub(crate) fn position(&self) -> Lots {
        self.ledger.position()
    }

    pub(crate) fn cash(&self) -> Micros {
        self.ledger.cash()
    }

    /// Last mid; 0 before the first.
    pub(crate) fn mid(&self) -> f64 {
        self.mid
    }

    /// Due time of the next funding settlement.
    pub(crate) fn next_settlement_ns(&self) -> TimestampNs {
        self.next_settlement_ns
    }

    /// The mid now, after an event; also samples the account and volatility on their grids.
    #[inline]
    pub(crate) fn on_mid(&mut self, time_ns: TimestampNs, mid: f64) -> Result<()> {
        if time_ns >= self.next_second_ns {
            self.pass_seconds(time_ns, mid);
        }
        if mid != self.mid {
            let mark = Mark::nearest(self.instrument, mid)?;
            self.resolve(time_ns, mid)?;
            self.mid = mid;
            self.results.mark = mark;
        }
        if time_ns >= self.next_sample_ns {
            self.resolve(time_ns, mid)?;
            self.sample(time_ns);
            self.next_sample_ns = time_ns - time_ns.rem_euclid(self.sample_ns) + self.sample_ns;
        }
        Ok(())
    }

    /// Feeds volatility the mid in force at each whole second since the last event.
    fn pass_seconds(&mut self, time_ns: TimestampNs, mid: f64) {
        let this_second_ns = time_ns - time_ns.rem_euclid(SECOND_NS);
        if self.mid <= 0.0 || this_second_ns - self.next_second_ns > GRID_SECONDS as i64 * SECOND_NS {
            self.grid.clear();
            self.grid.push(mid);
        } else {
            while self.next_second_ns <= time_ns {
                self.grid.push(self.mid);
                self.volatility.update(&self.grid);
                self.next_second_ns += SECOND_NS;
            }
        }
        self.next_second_ns = this_second_ns + SECOND_NS;
    }

    fn resolve(&mut self, time_ns: TimestampNs, mid: f64) -> Result<()> {
        let results = &mut self.results;
        self.markouts.on_mid(time_ns, mid, |outcome| results.take(outcome))
    }

    pub(crate) fn on_context(&mut self, time_ns: TimestampNs, context: &Context) {
        // Positions are funded on the oracle price; the mark stands in where the recording has none.
        if let Some(price) = context.oracle_price.or(context.mark_price) {
            self.funding_price = price;
        }
        if self.venue_settles {
            return;
        }
        if let Some(rate) = context.funding_rate {
            self.funding_rate = rate;
            if self.next_settlement_ns == NEVER {
                let interval_ns = self.interval_ns();
                self.next_settlement_ns = time_ns - time_ns.rem_euclid(interval_ns) + interval_ns;
            }
        }
        if let Some(next_ns) = context.next_settlement_ns.filter(|next_ns| *next_ns > time_ns) {
            self.next_settlement_ns = next_ns;
        }
    }

    fn interval_ns(&self) -> i64 {
        ((self.instrument.funding_interval_s() * SECOND_NS as f64) as i64).max(1)
    }

    /// Settles the funding due now.
    pub(crate) fn settle_funding(&mut self) -> Result<()> {
        let due_ns = self.next_settlement_ns;
        self.next_settlement_ns = due_ns.saturating_add(self.interval_ns());
        let price = if self.funding_price > 0.0 { self.funding_price } else { self.mid };
        if price <= 0.0 {
            return Ok(());
        }
        let paid = self.ledger.on_funding(Mark::nearest(self.instrument, price)?, self.funding_rate)?;
        self.after_funding(due_ns, paid, price * self.funding_rate)
    }

    /// Books a payment of a venue that settles our account itself.
    pub(crate) fn on_funding(&mut self, time_ns: TimestampNs, paid: Micros, per_contract: f64) -> Result<()> {
        self.ledger.on_funding_payment(paid);
        self.after_funding(time_ns, paid, per_contract)
    }

    fn after_funding(&mut self, time_ns: TimestampNs, paid: Micros, per_contract: f64) -> Result<()> {
        self.funding_payments.push(paid);
        let results = &mut self.results;
        results.attribution.on_funding(paid);
        self.markouts.on_funding(time_ns, per_contract, |outcome| results.take(outcome))
    }

    pub(crate) fn on_fill(&mut self, time_ns: TimestampNs, order: &VenueOrder, fill: &VenueFill) -> Result<BookedFill> {
        let booked = self.ledger.on_fill(order.side, order.price, fill.size, fill.fee)?;
        self.max_abs_position = self.max_abs_position.max(self.ledger.position().0.abs());
        let sequence = self.results.fills.len() as u64;
        let fee = micros_to_quote(booked.fee);
        let tracked = TrackedFill {
            sequence,
            time_ns,
            placed_ns: order.sent_ns,
            side: order.side,
            price: self.instrument.price_to_f64(order.price),
            size: self.instrument.lots_to_f64(fill.size),
            mid_at_placement: order.mid_at_placement,
            fee_per_contract: fee / self.instrument.lots_to_f64(fill.size),
            volatility: self.volatility.value(),
            level: order.level,
            regime: self.volatility.regime(),
            // By the venue's time of the fill: news of a fill from before the cancel may be slow, which is no race.
            is_cancel_race: order.cancel_sent_ns.is_some_and(|sent_ns| fill.exchange_time_ns >= sent_ns),
        };
        let placed_at = Mark::nearest(self.instrument, order.mid_at_placement)?;
        let results = &mut self.results;
        let mid_at_fill = self.markouts.on_fill(tracked, |outcome| results.take(outcome))?;
        results.on_fill(order, fill.size, placed_at, booked.fee);
        let fills = &mut results.fills;
        fills.time_ns.push(time_ns);
        fills.exchange_time_ns.push(fill.exchange_time_ns);
        fills.placed_ns.push(order.sent_ns);
        fills.side.push(if order.side == Side::Buy { 1 } else { -1 });
        fills.price.push(tracked.price);
        fills.size.push(tracked.size);
        fills.order_id.push(order.id);
        fills.trade_id.push(fill.trade_id);
        fills.fee_usd.push(fee);
        fills.mid_at_placement.push(tracked.mid_at_placement);
        fills.mid_at_fill.push(mid_at_fill);
        fills.depth_bps.push(tracked.depth_bps());
        fills.level.push(tracked.level);
        fills.age_s.push(tracked.age_s());
        fills.regime.push(tracked.regime.index() as u8);
        fills.is_cancel_race.push(tracked.is_cancel_race);
        fills.position.push(self.instrument.lots_to_f64(self.ledger.position()));
        let expected = order.predictions.before(fill.exchange_time_ns);
        fills.expected_edge_bps.push(expected.map_or(f64::NAN, |prediction| prediction.expected_edge_bps));
        fills.fill_probability.push(expected.map_or(f64::NAN, |prediction| prediction.fill_probability));
        for column in [&mut fills.adverse_selection_bps, &mut fills.edge_bps, &mut fills.markout_bps] {
            column.extend([f64::NAN; HORIZON_COUNT]);
        }
        fills.adverse.push(-1);
        Ok(BookedFill { sequence, side: tracked.side, price: tracked.price, size: tracked.size, fee })
    }

    fn sample(&mut self, time_ns: TimestampNs) {
        let mark = self.results.mark;
        let profit_usd = self.ledger.profit(mark);
        self.drawdown.take(profit_usd);
        let Some(equity) = &mut self.equity else { return };
        let split = self.results.attribution.split(mark);
        equity.time_ns.push(time_ns);
        equity.mid_price.push(self.mid);
        equity.position.push(self.instrument.lots_to_f64(self.ledger.position()));
        equity.profit_usd.push(profit_usd);
        equity.realized_usd.push(micros_to_quote(self.ledger.realized()));
        equity.unrealized_usd.push(self.ledger.unrealized(mark));
        equity.spread_capture_usd.push(half_micros_to_quote(split.spread_capture));
        equity.adverse_selection_usd.push(half_micros_to_quote(split.adverse_selection));
        equity.inventory_usd.push(half_micros_to_quote(split.inventory));
        equity.fees_usd.push(half_micros_to_quote(split.fees));
        equity.funding_usd.push(half_micros_to_quote(split.funding));
    }

    /// Closes the account at the data's end.
    ///
    /// # Errors
    /// [`hypermm_core::error::Error::Conservation`] when books, fills, payments, the venue's position and the split of
    /// the profit do not agree to the last half micro: then no figure of the run can be trusted.
    pub(crate) fn finish(
        mut self,
        end_ns: TimestampNs,
        venue_position: Lots,
    ) -> Result<(FillColumns, EquityColumns, Summary)> {
        let results = &mut self.results;
        let left_out = self.markouts.finish(end_ns, |outcome| results.take(outcome))?;
        // Without a single mid nothing was ever placed: any mark values an empty position at nothing.
        if self.mid > 0.0 {
            self.sample(end_ns);
        }
        let (ledger, mark) = (&self.ledger, self.results.mark);
        let booked = self.results.booked.iter().map(|(fill, _)| *fill);
        ledger.check_conservation(booked, self.funding_payments.iter().copied(), mark)?;
        self.results.attribution.check_conservation(ledger, mark)?;
        let (books, expected) = (i128::from(ledger.position().0), i128::from(venue_position.0));
        if books != expected {
            return Err(ConservationError { law: Law::Position, books, expected }.into());
        }
        let contracts = |lots: i64| self.instrument.lots_to_f64(Lots(lots));
        let fills = &self.results.fills;
        let summary = Summary {
            fills: fills.len() as u64,
            buy_fills: ledger.fills(Side::Buy),
            sell_fills: ledger.fills(Side::Sell),
            volume_usd: half_micros_to_quote(2 * ledger.volume()),
            pnl_usd: ledger.profit(mark),
            fees_usd: micros_to_quote(ledger.fees()),
            funding_usd: micros_to_quote(ledger.funding()),
            realized_usd: micros_to_quote(ledger.realized()),
            unrealized_usd: ledger.unrealized(mark),
            split: self.results.attribution.split(mark),
            edge_bps: default_edge(fills),
            expected_edge_bps: fills.expected_edge(),
            markout_bps: std::array::from_fn(|horizon| fills.weighted_mean(&fills.markout_bps, horizon)),
            left_out,
            adverse_share: adverse_share(fills),
            breakdown: self.results.breakdown,
            max_drawdown_usd: self.drawdown.largest_usd,
            max_abs_position: contracts(self.max_abs_position),
            final_position: contracts(ledger.position().0),
            quote_cycles: 0,
            two_sided_share: 0.0,
            cost_bound_share: 0.0,
            post_only_share: 0.0,
            cap_share: 0.0,
            risk_aversion_too_high_share: 0.0,
            events: 0,
            orders_placed: 0,
            orders_canceled: 0,
            orders_rejected: 0,
            span_ns: (end_ns, end_ns),
        };
        Ok((self.results.fills, self.equity.unwrap_or_default(), summary))
    }
}

/// How the account is sampled over time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sampling {
    /// Time between samples, ns.
    pub(crate) interval_ns: i64,
    /// Keeps the samples; the largest fall of the profit is known either way.
    pub(crate) keeps_equity: bool,
}

/// Largest fall of the sampled profit from its highest value before, the nothing it starts from included.
#[derive(Clone, Copy, Debug, Default)]
struct Drawdown {
    peak_usd: f64,
    largest_usd: f64,
}

impl Drawdown {
    fn take(&mut self, profit_usd: f64) {
        self.peak_usd = self.peak_usd.max(profit_usd);
        self.largest_usd = self.largest_usd.max(self.peak_usd - profit_usd);
    }
}

/// What becomes of fills, in its three forms.
#[derive(Debug)]
struct Results {
    fills: FillColumns,
    attribution: Attribution,
    breakdown: Breakdown,
    /// By row of `fills`: what was booked, and the mid its order was placed at.
    booked: Vec<((Side, Price, Lots, Micros), Mark)>,
    /// The mid in force: an outcome that is due before the next mid is valued at this one.
    mark: Mark,
}

impl Default for Results {
    fn default() -> Self {
        Self {
            fills: FillColumns::default(),
            attribution: Attribution::default(),
            breakdown: Breakdown::default(),
            booked: Vec::new(),
            mark: Mark(0),
        }
    }
}

impl Results {
    fn on_fill(&mut self, order: &VenueOrder, size: Lots, placed_at: Mark, fee: Micros) {
        self.attribution.on_fill(order.side, order.price, size, placed_at, fee);
        self.booked.push(((order.side, order.price, size, fee), placed_at));
    }

    fn take(&mut self, outcome: &Outcome) {
        let row = outcome.fill.sequence as usize;
        let cell = row * HORIZON_COUNT + outcome.horizon;
        self.fills.adverse_selection_bps[cell] = outcome.adverse_selection_bps;
        self.fills.edge_bps[cell] = outcome.edge_bps;
        self.fills.markout_bps[cell] = outcome.markout_bps;
        self.breakdown.on_outcome(outcome);
        if outcome.horizon == DEFAULT_HORIZON {
            self.fills.adverse[row] = i8::from(outcome.adverse);
            let ((side, _, size, _), placed_at) = self.booked[row];
            self.attribution.on_markout(side, size, placed_at, self.mark);
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests stop where something is wrong")]
mod tests {
    use hypermm_core::error::Error;
    use hypermm_core::types::OrderStatus;

    use super::*;

    const START: TimestampNs = 1_757_000_000_000_000_000;

    fn order(cancel_sent_ns: Option<TimestampNs>) -> VenueOrder {
        VenueOrder {
            id: 1,
            side: Side::Buy,
            price: Price(999_900),
            level: 3,
            sent_ns: START,
            cancel_sent_ns,
            mid_at_placement: 10_000.0,
            predictions: hypermm_core::outcomes::prediction::PredictionTrail::default(),
            status: OrderStatus::Open,
            known_remaining: Lots(0),
        }
    }

    fn fill(exchange_time_ns: TimestampNs) -> VenueFill {
        VenueFill { slot: 0, exchange_time_ns, trade_id: 7, size: Lots(100), fee: None }
    }

    /// An account with one fill of 100 lots, 2 s after placement.
    fn account(instrument: &Instrument) -> Account<'_> {
        let mut account = Account::new(
            instrument,
            &EngineConfig::default(),
            Sampling { interval_ns: SECOND_NS, keeps_equity: true },
            false,
        )
        .unwrap();
        account.on_mid(START, 10_000.0).unwrap();
        account.on_fill(START + 2 * SECOND_NS, &order(None), &fill(START + SECOND_NS)).unwrap();
        account
    }

    fn broken(account: Account<'_>, venue_position: i64) -> String {
        match account.finish(START + 100 * SECOND_NS, Lots(venue_position)) {
            Err(Error::Conservation(detail)) => detail.field.into_owned(),
            other => format!("{other:?}"),
        }
    }

    // Kills: a check left out of a run, or one whose verdict is only noted: each kind of damage must end the run.
    #[test]
    fn a_run_whose_books_do_not_add_up_ends_in_an_error() {
        let eth = Instrument::new("ETH", 4, 25, 10.0, 3600.0).unwrap();
        assert!(account(&eth).finish(START + 100 * SECOND_NS, Lots(100)).is_ok());
        assert_eq!(broken(account(&eth), 99), "conservation of position");
        let mut damaged = account(&eth);
        damaged.results.booked[0].0.2.0 += 1;
        assert_eq!(broken(damaged, 100), "conservation of position");
        let mut damaged = account(&eth);
        damaged.funding_payments.push(1);
        assert_eq!(broken(damaged, 100), "conservation of funding");
        let mut damaged = account(&eth);
        damaged.results.attribution.on_funding(1);
        assert_eq!(broken(damaged, 100), "conservation of funding");
        let mut damaged = account(&eth);
        damaged.results.attribution.on_fill(Side::Sell, Price(1), Lots(1), Mark(1), 0);
        assert_eq!(broken(damaged, 100), "conservation of split");
    }

    // Kills: news of the fill instead of the fill, or its acknowledgement, held against the cancel; the age from there.
    #[test]
    fn a_cancel_race_is_a_fill_at_the_venue_after_the_cancel_was_sent() {
        let eth = Instrument::new("ETH", 4, 25, 10.0, 3600.0).unwrap();
        let mut account = account(&eth);
        for (cancel_after_ns, fill_after_ns) in [(10, 10), (11, 10), (9, 10)] {
            let (cancel_ns, fill_ns) = (START + cancel_after_ns, START + fill_after_ns);
            account.on_fill(START + 3 * SECOND_NS, &order(Some(cancel_ns)), &fill(fill_ns)).unwrap();
        }
        let fills = account.finish(START + 100 * SECOND_NS, Lots(400)).unwrap().0;
        assert_eq!(fills.is_cancel_race, [false, true, false, true]);
        assert_eq!(fills.age_s, [2.0, 3.0, 3.0, 3.0]);
        assert_eq!((fills.level, fills.regime), (vec![3; 4], vec![1; 4]));
    }
}
