//! What a loopback venue tells, as frozen objects of plain fields; numbers are decimal text.

use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// Price, size, number of orders.
pub(crate) type Level = (String, String, u32);

/// The end of a block: what it did was reported before it, answers included; frozen.
#[pyclass(frozen, get_all, name = "VenueBlock", module = "hypermm._core")]
pub(crate) struct PyVenueBlock {
    /// Counted from 0.
    pub(crate) height: u64,
    /// Its time, ns: that of everything in it.
    pub(crate) time_ns: i64,
}

/// What became of one item of a request; frozen.
#[pyclass(frozen, get_all, name = "VenueResult", module = "hypermm._core")]
pub(crate) struct PyVenueResult {
    /// FILLED says something traded on arrival; the rest of a good-till-canceled order rests. Cancels are DONE.
    pub(crate) kind: &'static str,
    /// The venue's number of the order, where one was used up; the new one of a modify.
    pub(crate) order_id: Option<u64>,
    /// The account's own name for it.
    pub(crate) client_order_id: Option<String>,
    /// What traded, when FILLED.
    pub(crate) size: Option<String>,
    /// Mean price of it, when FILLED.
    pub(crate) average_price: Option<String>,
    /// The venue's words, the suffix `` asset=N`` included where the venue has one, when REFUSED.
    pub(crate) text: Option<String>,
}

/// The answer to a request; frozen.
#[pyclass(frozen, get_all, name = "VenueAnswer", module = "hypermm._core")]
pub(crate) struct PyVenueAnswer {
    /// Which.
    pub(crate) request_id: u64,
    /// Whose.
    pub(crate) account: u32,
    /// When it leaves the venue for the account, ns: the block's time and the latency set.
    pub(crate) time_ns: i64,
    /// The venue's words where the whole action was refused; then nothing of it was carried out.
    pub(crate) refusal: Option<String>,
    /// One for each item, in their order; a single one for an order action refused before any of it was placed; none where the whole action was refused.
    pub(crate) results: Py<PyTuple>,
}

/// An order, as it stood when this was made; frozen. As an event it is a change of the order's status.
#[pyclass(frozen, get_all, name = "VenueOrder", module = "hypermm._core")]
pub(crate) struct PyVenueOrder {
    /// Whose.
    pub(crate) account: u32,
    /// Venue symbol.
    pub(crate) coin: String,
    /// Side.
    pub(crate) side: Py<PyAny>,
    /// Limit price.
    pub(crate) price: String,
    /// What is left of it; what was left unfilled when it died.
    pub(crate) size: String,
    /// As sent.
    pub(crate) original_size: String,
    /// The venue's number: one counter over all contracts.
    pub(crate) order_id: u64,
    /// The account's own name: "0x" and 32 hex digits, lower case.
    pub(crate) client_order_id: Option<String>,
    /// How long it lives.
    pub(crate) time_in_force: &'static str,
    /// It may only bring the position nearer to 0.
    pub(crate) reduce_only: bool,
    /// When it was placed, ns.
    pub(crate) placed_ns: i64,
    /// The venue's name of its status, such as "open", "canceled", "badAloPxRejected".
    pub(crate) status: &'static str,
    /// Since when, ns.
    pub(crate) status_ns: i64,
}

/// A trade, as everybody sees it; frozen.
#[pyclass(frozen, get_all, name = "VenueTrade", module = "hypermm._core")]
pub(crate) struct PyVenueTrade {
    /// Block time, ns.
    pub(crate) time_ns: i64,
    /// Venue symbol.
    pub(crate) coin: String,
    /// Price of the resting order.
    pub(crate) price: String,
    /// Contracts.
    pub(crate) size: String,
    /// Side of the taker.
    pub(crate) aggressor: Py<PyAny>,
    /// Account that bought.
    pub(crate) buyer: u32,
    /// Account that sold.
    pub(crate) seller: u32,
    /// 50 bits made of the two order numbers: unique only together with time and coin.
    pub(crate) trade_id: u64,
    /// All trades of one taker order share it: "0x" and 64 hex digits.
    pub(crate) transaction: String,
}

/// One side of a trade of an account from `LoopbackVenue.open_account`; frozen.
#[pyclass(frozen, get_all, name = "VenueFill", module = "hypermm._core")]
pub(crate) struct PyVenueFill {
    /// Whose.
    pub(crate) account: u32,
    /// Venue symbol.
    pub(crate) coin: String,
    /// Price.
    pub(crate) price: String,
    /// Contracts.
    pub(crate) size: String,
    /// What the account did.
    pub(crate) side: Py<PyAny>,
    /// Block time, ns.
    pub(crate) time_ns: i64,
    /// Position before it, + = long.
    pub(crate) start_position: String,
    /// The venue's words for what it did to the position, such as "Open Long" or "Short > Long".
    pub(crate) direction: &'static str,
    /// Profit of the part that closed, before fees.
    pub(crate) closed_pnl: String,
    /// As in the trade; zeros where the backstop took over.
    pub(crate) transaction: String,
    /// The venue's number of the order.
    pub(crate) order_id: u64,
    /// The account's own name for it.
    pub(crate) client_order_id: Option<String>,
    /// The account was the taker.
    pub(crate) crossed: bool,
    /// Fee in the dex's collateral, negative = rebate.
    pub(crate) fee: String,
    /// As in the trade.
    pub(crate) trade_id: u64,
    /// Of a liquidation, of either side: the liquidated account, the mark, the method.
    pub(crate) liquidation: Option<(u32, String, &'static str)>,
}

/// A funding payment of an account from `LoopbackVenue.open_account`; frozen.
#[pyclass(frozen, get_all, name = "VenueFunding", module = "hypermm._core")]
pub(crate) struct PyVenueFunding {
    /// Whose.
    pub(crate) account: u32,
    /// Venue symbol.
    pub(crate) coin: String,
    /// Block time, ns: the first block after the hour.
    pub(crate) time_ns: i64,
    /// What the account got; negative = it paid.
    pub(crate) amount: String,
    /// What it was paid on, + = long.
    pub(crate) position: String,
    /// Rate of the hour.
    pub(crate) rate: String,
}

/// An hour's funding of a contract; frozen.
#[pyclass(frozen, get_all, name = "VenueSettlement", module = "hypermm._core")]
pub(crate) struct PyVenueSettlement {
    /// Venue symbol.
    pub(crate) coin: String,
    /// Block time, ns.
    pub(crate) time_ns: i64,
    /// Rate of the hour that was charged.
    pub(crate) rate: String,
    /// Average premium of the hour, in terms of 8 h.
    pub(crate) premium: String,
}

/// An account went into liquidation; frozen.
#[pyclass(frozen, get_all, name = "VenueLiquidation", module = "hypermm._core")]
pub(crate) struct PyVenueLiquidation {
    /// Whose.
    pub(crate) account: u32,
    /// Block time, ns.
    pub(crate) time_ns: i64,
    /// The isolated position; None: all cross positions of the dex.
    pub(crate) coin: Option<String>,
    /// The dex.
    pub(crate) dex: String,
    /// Value of the positions concerned at the mark.
    pub(crate) notional: String,
    /// Margin left behind them.
    pub(crate) account_value: String,
}

/// Best bid and ask after a block that changed them; frozen. Price, size, number of orders; None: nothing there.
#[pyclass(frozen, get_all, name = "VenueBest", module = "hypermm._core")]
pub(crate) struct PyVenueBest {
    /// Venue symbol.
    pub(crate) coin: String,
    /// Block time, ns.
    pub(crate) time_ns: i64,
    /// Best bid.
    pub(crate) bid: Option<Level>,
    /// Best ask.
    pub(crate) ask: Option<Level>,
}

/// What a contract stands at; frozen.
#[pyclass(frozen, get_all, name = "VenueContext", module = "hypermm._core")]
pub(crate) struct PyVenueContext {
    /// Mark.
    pub(crate) mark_price: String,
    /// Oracle.
    pub(crate) oracle_price: String,
    /// Middle of best bid and ask; None without one of them.
    pub(crate) mid_price: Option<String>,
    /// Average prices at which the impact notional would sell and buy; None where the book does not hold it.
    pub(crate) impact_prices: Option<(String, String)>,
    /// Premium of the impact prices over the oracle now; None without them.
    pub(crate) premium: Option<String>,
    /// Rate the present hour would pay by what it has sampled so far, per hour, + = longs pay.
    pub(crate) funding_rate: String,
    /// Contracts.
    pub(crate) open_interest: String,
    /// Mark of 24 h ago, or of the start.
    pub(crate) previous_day_price: String,
    /// Traded in the last 24 h, to the hour, USD.
    pub(crate) day_notional_volume: String,
    /// The same, contracts.
    pub(crate) day_base_volume: String,
}

/// An account in one contract; frozen.
#[pyclass(frozen, get_all, name = "VenuePosition", module = "hypermm._core")]
pub(crate) struct PyVenuePosition {
    /// Venue symbol.
    pub(crate) coin: String,
    /// + = long; "0.0" when flat.
    pub(crate) size: String,
    /// Leverage set.
    pub(crate) leverage: u32,
    /// Backed by all money of the dex.
    pub(crate) is_cross: bool,
    /// Isolated: margin moved in less what the position cost; "0.0" for cross.
    pub(crate) raw_usd: String,
    /// Average entry; None when flat.
    pub(crate) entry_price: Option<String>,
    /// Size at the mark, without sign.
    pub(crate) value: String,
    /// Profit of what is open, at the mark.
    pub(crate) unrealized_pnl: String,
    /// That over entry notional / leverage.
    pub(crate) return_on_equity: String,
    /// Mark at which it would be liquidated; None where no positive price does it.
    pub(crate) liquidation_price: Option<String>,
    /// Margin behind it.
    pub(crate) margin_used: String,
    /// Largest leverage at this value.
    pub(crate) max_leverage: u32,
    /// Funding paid on this contract, negative = received.
    pub(crate) funding_all_time: String,
    /// Since the position was opened.
    pub(crate) funding_since_open: String,
    /// Since its last fill.
    pub(crate) funding_since_change: String,
}

/// An account's money on one dex, at the mark; frozen.
#[pyclass(frozen, get_all, name = "VenueAccount", module = "hypermm._core")]
pub(crate) struct PyVenueAccount {
    /// Cross value and isolated positions with their margin.
    pub(crate) account_value: String,
    /// Value of all positions, without signs.
    pub(crate) notional: String,
    /// Account value less positions at the mark, with signs.
    pub(crate) raw_usd: String,
    /// Margin behind all positions.
    pub(crate) margin_used: String,
    /// Account value without isolated positions.
    pub(crate) cross_account_value: String,
    /// Value of cross positions.
    pub(crate) cross_notional: String,
    /// Cross account value less cross positions at the mark.
    pub(crate) cross_raw_usd: String,
    /// Initial margin of cross positions.
    pub(crate) cross_margin_used: String,
    /// Maintenance margin of cross positions.
    pub(crate) cross_maintenance_margin: String,
    /// What may be taken out.
    pub(crate) withdrawable: String,
}

/// An account's budget of requests, over all dexes; frozen.
#[pyclass(frozen, get_all, name = "VenueRequests", module = "hypermm._core")]
pub(crate) struct PyVenueRequests {
    /// Volume that counts, USD.
    pub(crate) volume: String,
    /// Requests so far.
    pub(crate) used: u64,
    /// Requests allowed so far.
    pub(crate) cap: u64,
    /// Open orders.
    pub(crate) open_orders: u32,
    /// Open orders allowed.
    pub(crate) open_orders_cap: u32,
    /// When the dead-man switch fires, ns.
    pub(crate) scheduled_cancel_ns: Option<i64>,
}

/// Adds the classes to the module.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyVenueBlock>()?;
    module.add_class::<PyVenueResult>()?;
    module.add_class::<PyVenueAnswer>()?;
    module.add_class::<PyVenueOrder>()?;
    module.add_class::<PyVenueTrade>()?;
    module.add_class::<PyVenueFill>()?;
    module.add_class::<PyVenueFunding>()?;
    module.add_class::<PyVenueSettlement>()?;
    module.add_class::<PyVenueLiquidation>()?;
    module.add_class::<PyVenueBest>()?;
    module.add_class::<PyVenueContext>()?;
    module.add_class::<PyVenuePosition>()?;
    module.add_class::<PyVenueAccount>()?;
    module.add_class::<PyVenueRequests>()?;
    Ok(())
}
