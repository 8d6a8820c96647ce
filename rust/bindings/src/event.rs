//! `Event`: what a backtest hands to a strategy written in Python.

use hypermm_core::event::{AccountEvent, BestLevel, Context, MarketEvent, Trade};
use pyo3::exceptions::PyAttributeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

use crate::access::lock;
use crate::decision::frozen_array;
use crate::engine::PyQuoteEngine;
use crate::error::guard;
use crate::input::identifier_object;
use crate::types::{order_status_member, side_member};

/// The event with memory of its own, so that a strategy may keep it.
enum Owned {
    Book { sides: [[Vec<f64>; 2]; 2], exchange_time_ns: Option<i64> },
    Best { bid: Option<BestLevel>, ask: Option<BestLevel>, exchange_time_ns: Option<i64> },
    Trade(Trade),
    Context(Context),
    Observation { drift_bps_per_s: f64, variance: f64, name: String },
    Reference { name: String, price: f64 },
    Account(AccountEvent),
}

/// What a backtest hands to a strategy: one event of the market or of our account; frozen.
#[pyclass(frozen, name = "Event", module = "hypermm._core")]
pub(crate) struct PyEvent {
    time_ns: i64,
    event: Owned,
    facts: PyOnceLock<Py<PyDict>>,
}

impl PyEvent {
    pub(crate) fn of_market(time_ns: i64, event: &MarketEvent<'_>) -> Self {
        let event = match *event {
            MarketEvent::Book { bid_prices, bid_sizes, ask_prices, ask_sizes, exchange_time_ns } => Owned::Book {
                sides: [[bid_prices.to_vec(), bid_sizes.to_vec()], [ask_prices.to_vec(), ask_sizes.to_vec()]],
                exchange_time_ns,
            },
            MarketEvent::Best { bid, ask, exchange_time_ns } => Owned::Best { bid, ask, exchange_time_ns },
            MarketEvent::Trade(trade) => Owned::Trade(trade),
            MarketEvent::Context(context) => Owned::Context(context),
            MarketEvent::Observation { drift_bps_per_s, variance, name } => {
                Owned::Observation { drift_bps_per_s, variance, name: name.to_owned() }
            }
            MarketEvent::Reference { name, price } => Owned::Reference { name: name.to_owned(), price },
        };
        Self { time_ns, event, facts: PyOnceLock::new() }
    }

    pub(crate) fn of_account(time_ns: i64, event: &AccountEvent) -> Self {
        Self { time_ns, event: Owned::Account(event.clone()), facts: PyOnceLock::new() }
    }

    /// The facts by name, made when first asked for.
    fn facts<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyDict>> {
        let made = self.facts.get_or_try_init(py, || self.made(py).map(Bound::unbind))?;
        Ok(made.bind(py))
    }

    fn made<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let fields = PyDict::new(py);
        match &self.event {
            Owned::Book { sides, exchange_time_ns } => {
                for (name, values) in
                    ["bid_prices", "bid_sizes", "ask_prices", "ask_sizes"].into_iter().zip(sides.iter().flatten())
                {
                    fields.set_item(name, frozen_array(py, values))?;
                }
                fields.set_item("exchange_time_ns", exchange_time_ns)?;
            }
            Owned::Best { bid, ask, exchange_time_ns } => {
                fields.set_item("bid_price", bid.map(|level| level.0))?;
                fields.set_item("bid_size", bid.map(|level| level.1))?;
                fields.set_item("ask_price", ask.map(|level| level.0))?;
                fields.set_item("ask_size", ask.map(|level| level.1))?;
                fields.set_item("exchange_time_ns", exchange_time_ns)?;
            }
            Owned::Trade(trade) => {
                fields.set_item("price", trade.price)?;
                fields.set_item("size", trade.size)?;
                fields.set_item("aggressor", side_member(py, trade.aggressor)?)?;
                fields.set_item("exchange_time_ns", trade.exchange_time_ns)?;
            }
            Owned::Context(context) => {
                fields.set_item("mark_price", context.mark_price)?;
                fields.set_item("oracle_price", context.oracle_price)?;
                fields.set_item("funding_rate", context.funding_rate)?;
                fields.set_item("predicted_funding", context.predicted_funding)?;
                fields.set_item("next_settlement_ns", context.next_settlement_ns)?;
                fields.set_item("open_interest", context.open_interest)?;
            }
            Owned::Observation { drift_bps_per_s, variance, name } => {
                fields.set_item("drift_bps_per_s", drift_bps_per_s)?;
                fields.set_item("variance", variance)?;
                fields.set_item("name", name)?;
            }
            Owned::Reference { name, price } => {
                fields.set_item("name", name)?;
                fields.set_item("price", price)?;
            }
            Owned::Account(event) => account_fields(py, event, &fields)?,
        }
        Ok(fields)
    }
}

#[pymethods]
impl PyEvent {
    /// "book", "best", "trade", "context", "observation", "reference", "order", "fill", "position" or "quota".
    #[getter]
    fn kind(&self) -> &'static str {
        match &self.event {
            Owned::Book { .. } => "book",
            Owned::Best { .. } => "best",
            Owned::Trade(_) => "trade",
            Owned::Context(_) => "context",
            Owned::Observation { .. } => "observation",
            Owned::Reference { .. } => "reference",
            Owned::Account(AccountEvent::Order { .. }) => "order",
            Owned::Account(AccountEvent::Fill { .. }) => "fill",
            Owned::Account(AccountEvent::Position { .. }) => "position",
            Owned::Account(AccountEvent::Quota { .. }) => "quota",
        }
    }

    /// Receiver's clock, ns.
    #[getter]
    fn time_ns(&self) -> i64 {
        self.time_ns
    }

    /// The event's facts by name: the arguments of the engine's method for it.
    fn fields<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.facts(py)?.copy()
    }

    fn __getattr__<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        self.facts(py)?
            .get_item(name)?
            .ok_or_else(|| PyAttributeError::new_err(format!("a {} event has no {name}", self.kind())))
    }

    /// Hands the event to an engine.
    fn apply(&self, engine: &Bound<'_, PyAny>) -> PyResult<()> {
        let engine = match engine.cast::<PyQuoteEngine>() {
            Ok(engine) => engine,
            Err(_) => return Err(crate::error::invalid_input("engine", engine, "a QuoteEngine", "")),
        };
        let engine = &mut lock(engine)?.engine;
        let now = self.time_ns;
        guard(|| match &self.event {
            Owned::Book { sides: [[bid_prices, bid_sizes], [ask_prices, ask_sizes]], exchange_time_ns } => {
                let exchange_time_ns = *exchange_time_ns;
                engine
                    .handle(now, &MarketEvent::Book { bid_prices, bid_sizes, ask_prices, ask_sizes, exchange_time_ns })
            }
            Owned::Best { bid, ask, exchange_time_ns } => {
                engine.handle(now, &MarketEvent::Best { bid: *bid, ask: *ask, exchange_time_ns: *exchange_time_ns })
            }
            Owned::Trade(trade) => engine.on_trade(now, trade),
            Owned::Context(context) => engine.on_context(now, context),
            Owned::Observation { drift_bps_per_s, variance, name } => {
                engine.observe(now, *drift_bps_per_s, *variance, name)
            }
            Owned::Reference { name, price } => engine.on_reference(now, name, *price),
            Owned::Account(event) => hypermm_simulation::backtest::strategy::Strategy::on_account(engine, now, event),
        })
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("<Event {} at {} ns: {}>", self.kind(), self.time_ns, self.facts(py)?.repr()?))
    }
}

fn account_fields(py: Python<'_>, event: &AccountEvent, fields: &Bound<'_, PyDict>) -> PyResult<()> {
    match event {
        AccountEvent::Order { order_id, status, side, price, remaining_size, original_size } => {
            fields.set_item("order_id", identifier_object(py, order_id))?;
            fields.set_item("status", order_status_member(py, *status)?)?;
            fields.set_item("side", side_member(py, *side)?)?;
            fields.set_item("price", price)?;
            fields.set_item("remaining_size", remaining_size)?;
            fields.set_item("original_size", original_size)
        }
        AccountEvent::Fill { side, price, size, order_id, fill_id, fee } => {
            fields.set_item("side", side_member(py, *side)?)?;
            fields.set_item("price", price)?;
            fields.set_item("size", size)?;
            fields.set_item("order_id", order_id.as_ref().map(|id| identifier_object(py, id)))?;
            fields.set_item("fill_id", fill_id.as_ref().map(|id| identifier_object(py, id)))?;
            fields.set_item("fee", fee)
        }
        AccountEvent::Position { position, entry_price } => {
            fields.set_item("position", position)?;
            fields.set_item("entry_price", entry_price)
        }
        AccountEvent::Quota { requests_remaining, requests_last_day } => {
            fields.set_item("requests_remaining", requests_remaining)?;
            fields.set_item("requests_last_day", requests_last_day)
        }
    }
}
