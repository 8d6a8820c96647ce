//! Our account during a run: books, markouts, the profit's sources, and their columns.

use hypermm_core::accounting::attribution::Attribution;
use hypermm_core::accounting::ledger::{
    ConservationError, Law, Ledger, Mark, Micros, half_micros_to_quote, micros_to_quote,
};
use hypermm_core::config::EngineConfig;
use hypermm_core::error::Result;
use hypermm_core::estimators::volatility::{GRID_SECONDS, SecondGrid, Volatility};
use hypermm_core::event::Context;
use hypermm_core::instrument::Instrument;
use hypermm_core::outcomes::markout::{DEFAULT_HORIZON, HORIZON_COUNT, MarkoutTracker, Outcome, TrackedFill};
use hypermm_core::types::{Lots, Price, Side, TimestampNs};

use super::output::{EquityColumns, FillColumns, Summary, adverse_share, default_edge};
use crate::venue::gateway::{VenueFill, VenueOrder};

const SECOND_NS: i64 = 1_000_000_000;
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
    attribution: Attribution,
    markouts: MarkoutTracker,
    fills: FillColumns,
    booked: Vec<(Side, Price, Lots, Micros)>,
    funding_payments: Vec<Micros>,
    equity: EquityColumns,
    sample_ns: i64,
    next_sample_ns: TimestampNs,
    mid: f64,
    grid: SecondGrid,
    volatility: Volatility,
    next_second_ns: TimestampNs,
    funding_rate: f64,
    funding_price: f64,
    next_settlement_ns: TimestampNs,
    max_abs_position: i64,
}

impl<'a> Account<'a> {
    pub(crate) fn new(instrument: &'a Instrument, config: &EngineConfig, sample_ns: i64) -> Result<Self> {
        Ok(Self {
            instrument,
            ledger: Ledger::new(config.maker_fee_bps)?,
            attribution: Attribution::default(),
            markouts: MarkoutTracker::default(),
            fills: FillColumns::default(),
            booked: Vec::new(),
            funding_payments: Vec::new(),
            equity: EquityColumns::default(),
            sample_ns,
            next_sample_ns: TimestampNs::MIN,
            mid: 0.0,
            grid: SecondGrid::default(),
            volatility: Volatility::new(config.volatility),
            next_second_ns: 0,
            funding_rate: 0.0,
            funding_price: 0.0,
            next_settlement_ns: NEVER,
            max_abs_position: 0,
        })
    }

    pub(crate) fn position(&self) -> Lots {
        self.ledger.position()
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
            self.resolve(time_ns, mid)?;
            self.mid = mid;
        }
        if time_ns >= self.next_sample_ns {
            self.resolve(time_ns, mid)?;
            self.sample(time_ns)?;
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
        let (fills, attribution) = (&mut self.fills, &mut self.attribution);
        self.markouts.on_mid(time_ns, mid, |outcome| record(fills, attribution, outcome))
    }

    pub(crate) fn on_context(&mut self, time_ns: TimestampNs, context: &Context) {
        // Positions are funded on the oracle price; the mark stands in where the recording has none.
        if let Some(price) = context.oracle_price.or(context.mark_price) {
            self.funding_price = price;
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
        self.funding_payments.push(paid);
        self.attribution.on_funding(micros_to_quote(paid));
        let (fills, attribution) = (&mut self.fills, &mut self.attribution);
        self.markouts.on_funding(due_ns, price * self.funding_rate, |outcome| record(fills, attribution, outcome))
    }

    pub(crate) fn on_fill(&mut self, time_ns: TimestampNs, order: &VenueOrder, fill: &VenueFill) -> Result<BookedFill> {
        let booked = self.ledger.on_fill(order.side, order.price, fill.size, fill.fee)?;
        self.booked.push((order.side, order.price, fill.size, booked.fee));
        self.max_abs_position = self.max_abs_position.max(self.ledger.position().0.abs());
        let sequence = self.fills.len() as u64;
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
        };
        let (fills, attribution) = (&mut self.fills, &mut self.attribution);
        let mid_at_fill = self.markouts.on_fill(tracked, |outcome| record(fills, attribution, outcome))?;
        self.attribution.on_fill(tracked.side, tracked.price, tracked.size, tracked.mid_at_placement, fee);
        let fills = &mut self.fills;
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

    fn sample(&mut self, time_ns: TimestampNs) -> Result<()> {
        let mark = Mark::nearest(self.instrument, self.mid)?;
        let split = self.attribution.split(self.mid);
        let equity = &mut self.equity;
        equity.time_ns.push(time_ns);
        equity.mid_price.push(self.mid);
        equity.position.push(self.instrument.lots_to_f64(self.ledger.position()));
        equity.profit_usd.push(self.ledger.profit(mark));
        equity.realized_usd.push(micros_to_quote(self.ledger.realized()));
        equity.unrealized_usd.push(self.ledger.unrealized(mark));
        equity.spread_capture_usd.push(split.spread_capture);
        equity.adverse_selection_usd.push(split.adverse_selection);
        equity.inventory_usd.push(split.inventory);
        equity.fees_usd.push(split.fees);
        equity.funding_usd.push(split.funding);
        Ok(())
    }

    /// Closes the account at the data's end.
    pub(crate) fn finish(
        mut self,
        end_ns: TimestampNs,
        venue_position: Lots,
    ) -> Result<(FillColumns, EquityColumns, Summary)> {
        let (fills, attribution) = (&mut self.fills, &mut self.attribution);
        let left_out = self.markouts.finish(end_ns, |outcome| record(fills, attribution, outcome))?;
        // Without a single mid nothing was ever placed: any mark values an empty position at nothing.
        let mark = if self.mid > 0.0 {
            self.sample(end_ns)?;
            Mark::nearest(self.instrument, self.mid)?
        } else {
            Mark(0)
        };
        let ledger = &self.ledger;
        let split = self.attribution.split(self.mid);
        let pnl_usd = ledger.profit(mark);
        let conservation = ledger
            .check_conservation(self.booked.iter().copied(), self.funding_payments.iter().copied(), mark)
            .and_then(|()| {
                let (books, expected) = (i128::from(ledger.position().0), i128::from(venue_position.0));
                if books == expected { Ok(()) } else { Err(ConservationError { law: Law::Position, books, expected }) }
            });
        let contracts = |lots: i64| self.instrument.lots_to_f64(Lots(lots));
        let fills = &self.fills;
        let summary = Summary {
            fills: fills.len() as u64,
            buy_fills: ledger.fills(Side::Buy),
            sell_fills: ledger.fills(Side::Sell),
            volume_usd: half_micros_to_quote(2 * ledger.volume()),
            pnl_usd,
            fees_usd: micros_to_quote(ledger.fees()),
            funding_usd: micros_to_quote(ledger.funding()),
            realized_usd: micros_to_quote(ledger.realized()),
            unrealized_usd: ledger.unrealized(mark),
            split,
            edge_bps: default_edge(fills),
            expected_edge_bps: fills.expected_edge(),
            markout_bps: std::array::from_fn(|horizon| fills.weighted_mean(&fills.markout_bps, horizon)),
            left_out,
            adverse_share: adverse_share(fills),
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
            conservation,
            split_gap_usd: (split.total() - pnl_usd).abs(),
        };
        Ok((self.fills, self.equity, summary))
    }
}

fn record(fills: &mut FillColumns, attribution: &mut Attribution, outcome: &Outcome) {
    let row = outcome.fill.sequence as usize;
    let cell = row * HORIZON_COUNT + outcome.horizon;
    fills.adverse_selection_bps[cell] = outcome.adverse_selection_bps;
    fills.edge_bps[cell] = outcome.edge_bps;
    fills.markout_bps[cell] = outcome.markout_bps;
    if outcome.horizon == DEFAULT_HORIZON {
        fills.adverse[row] = i8::from(outcome.adverse);
        let fill = &outcome.fill;
        attribution.on_markout(fill.side, fill.size, fill.mid_at_placement, outcome.mid);
    }
}
