//! What a backtest answers: columns of fills, decisions and equity, and a summary.

use hypermm_core::accounting::attribution::ProfitSplit;
use hypermm_core::outcomes::breakdown::Breakdown;
use hypermm_core::outcomes::markout::{DEFAULT_HORIZON, HORIZON_COUNT};
use hypermm_core::pricing::decision::Decision;
use hypermm_core::types::{QuoteStatus, TimestampNs};

/// Fills in the order we heard of them. Columns by horizon are row-major `[fills, 6]` over
/// [`hypermm_core::outcomes::markout::HORIZONS_NS`]; NaN = the horizon passes the data's end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FillColumns {
    /// When we heard of it, ns.
    pub time_ns: Vec<i64>,
    /// Venue time of the print, ns.
    pub exchange_time_ns: Vec<i64>,
    /// When the order was sent, ns.
    pub placed_ns: Vec<i64>,
    /// +1 we bought, −1 we sold.
    pub side: Vec<i8>,
    /// Price.
    pub price: Vec<f64>,
    /// Contracts.
    pub size: Vec<f64>,
    /// Our order.
    pub order_id: Vec<u64>,
    /// The print.
    pub trade_id: Vec<u64>,
    /// Fee paid, USD, negative = rebate.
    pub fee_usd: Vec<f64>,
    /// Mid when the order was sent.
    pub mid_at_placement: Vec<f64>,
    /// Mid when we heard of the fill.
    pub mid_at_fill: Vec<f64>,
    /// Distance of the price from the mid at placement, bps.
    pub depth_bps: Vec<f64>,
    /// Level of the ladder the order was placed for, 0 = best.
    pub level: Vec<u8>,
    /// Seconds from sending the order to hearing of the fill.
    pub age_s: Vec<f64>,
    /// Regime when we heard of the fill: 0 quiet, 1 normal, 2 volatile, 3 cascade.
    pub regime: Vec<u8>,
    /// The venue filled it after we had sent the cancel.
    pub is_cancel_race: Vec<bool>,
    /// Position after the fill, contracts.
    pub position: Vec<f64>,
    /// Edge the last quote cycle before the fill expected, bps, comparable with edge at 10 s; NaN where none is known.
    pub expected_edge_bps: Vec<f64>,
    /// Probability of a fill that cycle gave the order.
    pub fill_probability: Vec<f64>,
    /// AS_h by horizon, bps.
    pub adverse_selection_bps: Vec<f64>,
    /// edge_h by horizon, bps.
    pub edge_bps: Vec<f64>,
    /// markout_h by horizon, bps.
    pub markout_bps: Vec<f64>,
    /// Adverse at the default horizon of 10 s: 1 yes, 0 no, −1 unknown.
    pub adverse: Vec<i8>,
}

impl FillColumns {
    /// Fills.
    #[must_use]
    pub fn len(&self) -> usize {
        self.time_ns.len()
    }

    /// True without a fill.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.time_ns.is_empty()
    }

    /// Size-weighted mean of the expected edge over the fills whose 10 s are inside the data and whose prediction is known.
    #[must_use]
    pub fn expected_edge(&self) -> Option<f64> {
        let (mut sum, mut weight) = (0.0, 0.0);
        for (row, (size, expected)) in self.size.iter().zip(&self.expected_edge_bps).enumerate() {
            if !expected.is_nan() && !self.edge_bps[row * HORIZON_COUNT + DEFAULT_HORIZON].is_nan() {
                sum += expected * size;
                weight += size;
            }
        }
        (weight > 0.0).then(|| sum / weight)
    }

    /// Size-weighted mean of a column by horizon over the fills whose horizon is inside the data; `None` without one.
    #[must_use]
    pub fn weighted_mean(&self, column: &[f64], horizon: usize) -> Option<f64> {
        let (mut sum, mut weight) = (0.0, 0.0);
        for (row, size) in self.size.iter().enumerate() {
            let value = column[row * HORIZON_COUNT + horizon];
            if !value.is_nan() {
                sum += value * size;
                weight += size;
            }
        }
        (weight > 0.0).then(|| sum / weight)
    }
}

/// Every quote cycle. Ladders are row-major `[cycles, levels]`, best level first, NaN = no such level.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DecisionColumns {
    /// Columns of a ladder row.
    pub levels: usize,
    /// Time, ns.
    pub time_ns: Vec<i64>,
    /// 0 quoting, 1 no book, 2 one-sided, 3 crossed, 4 stale.
    pub status: Vec<u8>,
    /// Mid.
    pub mid_price: Vec<f64>,
    /// Reservation price.
    pub reservation_price: Vec<f64>,
    /// Position, contracts.
    pub position: Vec<f64>,
    /// Drift, bps/s.
    pub drift_bps_per_s: Vec<f64>,
    /// Its variance, (bps/s)².
    pub drift_variance: Vec<f64>,
    /// Target inventory, contracts.
    pub target_inventory: Vec<f64>,
    /// Bid prices.
    pub bid_prices: Vec<f64>,
    /// Bid sizes.
    pub bid_sizes: Vec<f64>,
    /// Ask prices.
    pub ask_prices: Vec<f64>,
    /// Ask sizes.
    pub ask_sizes: Vec<f64>,
    /// P of each bid.
    pub bid_fill_probability: Vec<f64>,
    /// Expected edge of each bid, bps.
    pub bid_expected_edge_bps: Vec<f64>,
    /// Expected PnL of each bid, bps.
    pub bid_expected_pnl_bps: Vec<f64>,
    /// P of each ask.
    pub ask_fill_probability: Vec<f64>,
    /// Expected edge of each ask, bps.
    pub ask_expected_edge_bps: Vec<f64>,
    /// Expected PnL of each ask, bps.
    pub ask_expected_pnl_bps: Vec<f64>,
    /// Costs in the depth of bids, bps.
    pub bid_cost_bps: Vec<f64>,
    /// Costs in the depth of asks, bps.
    pub ask_cost_bps: Vec<f64>,
}

impl DecisionColumns {
    pub(crate) fn push(&mut self, time_ns: TimestampNs, decision: &Decision, position: f64) {
        let quoting = decision.mid_price > 0.0;
        let known = |value: f64| if quoting { value } else { f64::NAN };
        self.time_ns.push(time_ns);
        self.status.push(status_code(decision.status));
        self.mid_price.push(known(decision.mid_price));
        self.reservation_price.push(known(decision.reservation_price));
        self.position.push(position);
        self.drift_bps_per_s.push(decision.drift_bps_per_s);
        self.drift_variance.push(decision.drift_variance);
        self.target_inventory.push(decision.target_inventory);
        let (bids, asks) = (&decision.bids, &decision.asks);
        for (column, values, side) in [
            (&mut self.bid_prices, &bids.prices, bids),
            (&mut self.bid_sizes, &bids.sizes, bids),
            (&mut self.bid_fill_probability, &bids.fill_probability, bids),
            (&mut self.bid_expected_edge_bps, &bids.expected_edge_bps, bids),
            (&mut self.bid_expected_pnl_bps, &bids.expected_pnl_bps, bids),
            (&mut self.ask_prices, &asks.prices, asks),
            (&mut self.ask_sizes, &asks.sizes, asks),
            (&mut self.ask_fill_probability, &asks.fill_probability, asks),
            (&mut self.ask_expected_edge_bps, &asks.expected_edge_bps, asks),
            (&mut self.ask_expected_pnl_bps, &asks.expected_pnl_bps, asks),
        ] {
            column.extend((0..self.levels).map(|level| if level < side.len { values[level] } else { f64::NAN }));
        }
        self.bid_cost_bps.push(decision.terms.costs[0].in_depth());
        self.ask_cost_bps.push(decision.terms.costs[1].in_depth());
    }
}

fn status_code(status: QuoteStatus) -> u8 {
    match status {
        QuoteStatus::Quoting => 0,
        QuoteStatus::NoBook => 1,
        QuoteStatus::OneSided => 2,
        QuoteStatus::Crossed => 3,
        QuoteStatus::Stale => 4,
    }
}

/// The account over time; money in USD.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EquityColumns {
    /// Time, ns.
    pub time_ns: Vec<i64>,
    /// Mid.
    pub mid_price: Vec<f64>,
    /// Position, contracts.
    pub position: Vec<f64>,
    /// Profit since the start, the position at mid.
    pub profit_usd: Vec<f64>,
    /// Realized part by average entry, before fees and funding.
    pub realized_usd: Vec<f64>,
    /// Profit of the open position.
    pub unrealized_usd: Vec<f64>,
    /// Spread capture.
    pub spread_capture_usd: Vec<f64>,
    /// Adverse selection, a loss when negative.
    pub adverse_selection_usd: Vec<f64>,
    /// Inventory.
    pub inventory_usd: Vec<f64>,
    /// Fees paid.
    pub fees_usd: Vec<f64>,
    /// Funding paid.
    pub funding_usd: Vec<f64>,
}

/// One run in numbers; money in USD.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Fills.
    pub fills: u64,
    /// Of them bought.
    pub buy_fills: u64,
    /// Of them sold.
    pub sell_fills: u64,
    /// Σ price·size.
    pub volume_usd: f64,
    /// Profit, the position at the last mid, after fees and funding.
    pub pnl_usd: f64,
    /// Fees paid.
    pub fees_usd: f64,
    /// Funding paid.
    pub funding_usd: f64,
    /// Realized part by average entry, before fees and funding.
    pub realized_usd: f64,
    /// Profit of the open position.
    pub unrealized_usd: f64,
    /// Where the profit came from, half micros; the parts add up to the profit exactly.
    pub split: ProfitSplit,
    /// Size-weighted edge at 10 s; `None` without a fill inside the horizon.
    pub edge_bps: Option<f64>,
    /// Size-weighted edge expected by the last cycle before each of those fills; `None` without one.
    pub expected_edge_bps: Option<f64>,
    /// Size-weighted markouts by horizon.
    pub markout_bps: [Option<f64>; HORIZON_COUNT],
    /// Fills left out of each horizon because it passes the data's end.
    pub left_out: [u64; HORIZON_COUNT],
    /// Share of fills adverse at 10 s, among those known.
    pub adverse_share: Option<f64>,
    /// Outcomes by side, level, age, regime and cancel race.
    pub breakdown: Breakdown,
    /// Largest fall of the sampled profit from its highest value before, USD, ≥ 0.
    pub max_drawdown_usd: f64,
    /// Largest |position|, contracts.
    pub max_abs_position: f64,
    /// Position at the end, contracts.
    pub final_position: f64,
    /// Quote cycles.
    pub quote_cycles: u64,
    /// Share of them with both sides quoted.
    pub two_sided_share: f64,
    /// Share of them in which the bound on mark-ups held prices in.
    pub cost_bound_share: f64,
    /// Share of them in which a price was held back from taking.
    pub post_only_share: f64,
    /// Share of them in which the cap on position and live orders cut a size.
    pub cap_share: f64,
    /// Share of them in which risk aversion was too high for the flow (a above 2).
    pub risk_aversion_too_high_share: f64,
    /// Events handed to the strategy.
    pub events: u64,
    /// Orders sent.
    pub orders_placed: u64,
    /// Cancels sent.
    pub orders_canceled: u64,
    /// Orders refused because they would have taken.
    pub orders_rejected: u64,
    /// First and last receive time, ns.
    pub span_ns: (i64, i64),
}

/// Everything a run answers.
#[derive(Clone, Debug, PartialEq)]
pub struct BacktestOutput {
    /// Fills.
    pub fills: FillColumns,
    /// Decisions, where asked for.
    pub decisions: Option<DecisionColumns>,
    /// The account over time; empty where it is not kept.
    pub equity: EquityColumns,
    /// The run in numbers.
    pub summary: Summary,
}

pub(crate) fn adverse_share(fills: &FillColumns) -> Option<f64> {
    let known = fills.adverse.iter().filter(|flag| **flag >= 0).count();
    let adverse = fills.adverse.iter().filter(|flag| **flag > 0).count();
    (known > 0).then(|| adverse as f64 / known as f64)
}

pub(crate) fn default_edge(fills: &FillColumns) -> Option<f64> {
    fills.weighted_mean(&fills.edge_bps, DEFAULT_HORIZON)
}
