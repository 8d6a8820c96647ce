//! `QuoteEngine`: conversions around the core's engine, one call at a time.

use std::sync::Arc;

use hypermm_core::engine::QuoteEngine;
use hypermm_core::event::{Context, MarketEvent, Trade};
use hypermm_core::features::FEATURES;
use hypermm_core::pricing::decision::Decision;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyType};

use crate::access::{lock, over_rows, read};
use crate::config::{PyEngineConfig, config_of};
use crate::decision::PyDecision;
use crate::error::{guard, invalid_input};
use crate::estimators::drift::innovations_by_source;
use crate::input::{Given, floats, identifier, number, optional_number, optional_time_ns, sides, text, time_ns, times};
use crate::instrument::{PyInstrument, instrument_of};
use crate::open_order::PyOpenOrder;
use crate::state::state_bytes;
use crate::types::{order_status, side};

/// The quoting model of one instrument: events in, ladders out. No clock, no I/O, no randomness.
#[pyclass(name = "QuoteEngine", module = "hypermm._core", weakref)]
pub(crate) struct PyQuoteEngine {
    pub(crate) engine: QuoteEngine,
    /// Answers whose memory is used again once Python has let go of them.
    spare: [Arc<Decision>; 2],
}

type Engine<'py> = Bound<'py, PyQuoteEngine>;

impl PyQuoteEngine {
    fn new(engine: QuoteEngine) -> Self {
        Self { engine, spare: [Arc::new(Decision::default()), Arc::new(Decision::default())] }
    }
}

#[pymethods]
impl PyQuoteEngine {
    #[new]
    #[pyo3(signature = (instrument, config=None))]
    fn __new__(instrument: &Bound<'_, PyAny>, config: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let facts = instrument_of(instrument)?;
        let config = config.map_or(Ok(hypermm_core::config::EngineConfig::default()), config_of)?;
        Ok(Self::new(guard(|| QuoteEngine::new(facts, config))?))
    }

    /// Takes in a whole book.
    #[pyo3(signature = (time_ns, bid_prices, bid_sizes, ask_prices, ask_sizes, exchange_time_ns=None))]
    #[allow(clippy::too_many_arguments, reason = "a book has this many facts")]
    fn on_book(
        slf: &Engine<'_>,
        time_ns: &Bound<'_, PyAny>,
        bid_prices: &Bound<'_, PyAny>,
        bid_sizes: &Bound<'_, PyAny>,
        ask_prices: &Bound<'_, PyAny>,
        ask_sizes: &Bound<'_, PyAny>,
        exchange_time_ns: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let now = self::time_ns("time_ns", time_ns)?;
        let bid_prices = floats("bid_prices", bid_prices)?;
        let bid_sizes = floats("bid_sizes", bid_sizes)?;
        let ask_prices = floats("ask_prices", ask_prices)?;
        let ask_sizes = floats("ask_sizes", ask_sizes)?;
        let exchange_time_ns = optional_time_ns("exchange_time_ns", exchange_time_ns)?;
        let event = MarketEvent::Book {
            bid_prices: &bid_prices,
            bid_sizes: &bid_sizes,
            ask_prices: &ask_prices,
            ask_sizes: &ask_sizes,
            exchange_time_ns,
        };
        let engine = &mut lock(slf)?.engine;
        guard(|| engine.handle(now, &event))
    }

    /// Takes in the best bid and offer between books; None and None is an empty side.
    #[pyo3(signature = (time_ns, bid_price, bid_size, ask_price, ask_size, exchange_time_ns=None))]
    #[allow(clippy::too_many_arguments, reason = "a best bid and offer have this many facts")]
    fn on_best(
        slf: &Engine<'_>,
        time_ns: &Bound<'_, PyAny>,
        bid_price: &Bound<'_, PyAny>,
        bid_size: &Bound<'_, PyAny>,
        ask_price: &Bound<'_, PyAny>,
        ask_size: &Bound<'_, PyAny>,
        exchange_time_ns: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let now = self::time_ns("time_ns", time_ns)?;
        let bid = best_level(["bid_price", "bid_size"], bid_price, bid_size)?;
        let ask = best_level(["ask_price", "ask_size"], ask_price, ask_size)?;
        let exchange_time_ns = optional_time_ns("exchange_time_ns", exchange_time_ns)?;
        let engine = &mut lock(slf)?.engine;
        guard(|| engine.handle(now, &MarketEvent::Best { bid, ask, exchange_time_ns }))
    }

    /// Takes in one print of the public tape.
    #[pyo3(signature = (time_ns, price, size, aggressor, *, exchange_time_ns=None))]
    fn on_trade(
        slf: &Engine<'_>,
        time_ns: &Bound<'_, PyAny>,
        price: &Bound<'_, PyAny>,
        size: &Bound<'_, PyAny>,
        aggressor: &Bound<'_, PyAny>,
        exchange_time_ns: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let now = self::time_ns("time_ns", time_ns)?;
        let trade = Trade {
            price: number("price", price)?,
            size: number("size", size)?,
            aggressor: side("aggressor", aggressor)?,
            exchange_time_ns: optional_time_ns("exchange_time_ns", exchange_time_ns)?,
        };
        let engine = &mut lock(slf)?.engine;
        guard(|| engine.on_trade(now, &trade))
    }

    /// Takes in many prints, all or none; the same as `on_trade` for each.
    #[pyo3(signature = (times, prices, sizes, aggressors, *, exchange_times=None))]
    fn on_trades(
        slf: &Engine<'_>,
        times: &Bound<'_, PyAny>,
        prices: &Bound<'_, PyAny>,
        sizes: &Bound<'_, PyAny>,
        aggressors: &Bound<'_, PyAny>,
        exchange_times: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let times = self::times("times", times)?;
        let prices = floats("prices", prices)?;
        let sizes = floats("sizes", sizes)?;
        let aggressors = sides("aggressors", aggressors)?;
        let exchange_times = exchange_times.map(|given| self::times("exchange_times", given)).transpose()?;
        let (times, prices, sizes): (&[i64], &[f64], &[f64]) = (&times, &prices, &sizes);
        let exchange_times = exchange_times.as_deref();
        let engine = &mut lock(slf)?.engine;
        let call = || engine.on_trades(times, prices, sizes, &aggressors, exchange_times);
        over_rows(slf.py(), times.len(), call)
    }

    /// Takes in what the venue says of the contract; None is no news.
    #[pyo3(signature = (time_ns, mark_price=None, oracle_price=None, funding_rate=None, predicted_funding=None,
                        next_settlement_ns=None, open_interest=None))]
    #[expect(clippy::too_many_arguments, reason = "the venue's context has this many numbers")]
    fn on_context(
        slf: &Engine<'_>,
        time_ns: &Bound<'_, PyAny>,
        mark_price: Option<&Bound<'_, PyAny>>,
        oracle_price: Option<&Bound<'_, PyAny>>,
        funding_rate: Option<&Bound<'_, PyAny>>,
        predicted_funding: Option<&Bound<'_, PyAny>>,
        next_settlement_ns: Option<&Bound<'_, PyAny>>,
        open_interest: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let now = self::time_ns("time_ns", time_ns)?;
        let context = Context {
            mark_price: optional_number("mark_price", mark_price)?,
            oracle_price: optional_number("oracle_price", oracle_price)?,
            funding_rate: optional_number("funding_rate", funding_rate)?,
            predicted_funding: optional_number("predicted_funding", predicted_funding)?,
            next_settlement_ns: optional_time_ns("next_settlement_ns", next_settlement_ns)?,
            open_interest: optional_number("open_interest", open_interest)?,
        };
        let engine = &mut lock(slf)?.engine;
        guard(|| engine.on_context(now, &context))
    }

    /// Takes in the state of one of our orders. Feeds order life, queue, reach censoring and the cap.
    #[pyo3(signature = (time_ns, order_id, status, side, price, remaining_size, *, original_size=None))]
    #[expect(clippy::too_many_arguments, reason = "an order has this many facts")]
    fn on_order(
        slf: &Engine<'_>,
        time_ns: &Bound<'_, PyAny>,
        order_id: &Bound<'_, PyAny>,
        status: &Bound<'_, PyAny>,
        side: &Bound<'_, PyAny>,
        price: &Bound<'_, PyAny>,
        remaining_size: &Bound<'_, PyAny>,
        original_size: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let now = self::time_ns("time_ns", time_ns)?;
        let order_id = identifier("order_id", order_id)?;
        let status = order_status("status", status)?;
        let side = self::side("side", side)?;
        let price = number("price", price)?;
        let remaining = number("remaining_size", remaining_size)?;
        let original = optional_number("original_size", original_size)?;
        let engine = &mut lock(slf)?.engine;
        guard(|| engine.on_order(now, &order_id, status, side, price, remaining, original))
    }

    /// Takes in a fill of ours; the position moves once for each `fill_id`.
    #[pyo3(signature = (time_ns, side, price, size, *, order_id=None, fill_id=None, fee=None))]
    #[expect(clippy::too_many_arguments, reason = "a fill has this many facts")]
    fn on_fill(
        slf: &Engine<'_>,
        time_ns: &Bound<'_, PyAny>,
        side: &Bound<'_, PyAny>,
        price: &Bound<'_, PyAny>,
        size: &Bound<'_, PyAny>,
        order_id: Option<&Bound<'_, PyAny>>,
        fill_id: Option<&Bound<'_, PyAny>>,
        fee: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let now = self::time_ns("time_ns", time_ns)?;
        let side = self::side("side", side)?;
        let price = number("price", price)?;
        let size = number("size", size)?;
        let order_id = order_id.map(|given| identifier("order_id", given)).transpose()?;
        let fill_id = fill_id.map(|given| identifier("fill_id", given)).transpose()?;
        let fee = optional_number("fee", fee)?;
        let engine = &mut lock(slf)?.engine;
        guard(|| engine.on_fill(now, side, price, size, order_id.as_ref(), fill_id.as_ref(), fee))
    }

    /// Replaces our position by the venue's truth.
    #[pyo3(signature = (time_ns, position, *, entry_price=None))]
    fn on_position(
        slf: &Engine<'_>,
        time_ns: &Bound<'_, PyAny>,
        position: &Bound<'_, PyAny>,
        entry_price: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<f64> {
        let now = self::time_ns("time_ns", time_ns)?;
        let position = number("position", position)?;
        let entry_price = optional_number("entry_price", entry_price)?;
        let engine = &mut lock(slf)?.engine;
        guard(|| engine.on_position(now, position, entry_price))
    }

    /// Takes in the request quota (section 9); never called, requests cost nothing.
    fn on_quota(
        slf: &Engine<'_>,
        time_ns: &Bound<'_, PyAny>,
        requests_remaining: &Bound<'_, PyAny>,
        requests_last_day: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let now = self::time_ns("time_ns", time_ns)?;
        let remaining = number("requests_remaining", requests_remaining)?;
        let last_day = number("requests_last_day", requests_last_day)?;
        let engine = &mut lock(slf)?.engine;
        guard(|| engine.on_quota(now, remaining, last_day))
    }

    /// Any outside signal joins the drift filter (section 1).
    #[pyo3(signature = (time_ns, drift_bps_per_s, variance, *, name=Given(None)),
           text_signature = "($self, time_ns, drift_bps_per_s, variance, *, name='external')")]
    fn observe(
        slf: &Engine<'_>,
        time_ns: &Bound<'_, PyAny>,
        drift_bps_per_s: &Bound<'_, PyAny>,
        variance: &Bound<'_, PyAny>,
        name: Given<'_>,
    ) -> PyResult<()> {
        let now = self::time_ns("time_ns", time_ns)?;
        let drift = number("drift_bps_per_s", drift_bps_per_s)?;
        let variance = number("variance", variance)?;
        let name = name.text_or("name", "external")?;
        let engine = &mut lock(slf)?.engine;
        guard(|| engine.observe(now, drift, variance, &name))
    }

    /// Takes in a price of another market, by the name the calibration knows it under.
    fn on_reference(
        slf: &Engine<'_>,
        time_ns: &Bound<'_, PyAny>,
        name: &Bound<'_, PyAny>,
        price: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let now = self::time_ns("time_ns", time_ns)?;
        let name = text("name", name)?;
        let price = number("price", price)?;
        let engine = &mut lock(slf)?.engine;
        guard(|| engine.on_reference(now, &name, price))
    }

    /// Every feature by name as of `time_ns`, None where it has no value; empty where none runs.
    fn features<'py>(slf: &Engine<'py>, time_ns: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
        let now = self::time_ns("time_ns", time_ns)?;
        let values = PyDict::new(slf.py());
        let this = read(slf)?;
        for (row, reading) in FEATURES.iter().zip(guard(|| Ok(this.engine.features(now)))?.into_iter().flatten()) {
            values.set_item(row.name, reading.value())?;
        }
        Ok(values)
    }

    /// Changes the configuration between quotes; keeps all that was learned.
    fn update_config(slf: &Engine<'_>, config: &Bound<'_, PyAny>) -> PyResult<()> {
        let config = config_of(config)?;
        let engine = &mut lock(slf)?.engine;
        guard(|| engine.update_config(config))
    }

    /// The ladder for `time_ns`; changes nothing that a later quote returns.
    fn quote(slf: &Engine<'_>, time_ns: &Bound<'_, PyAny>) -> PyResult<PyDecision> {
        let now = self::time_ns("time_ns", time_ns)?;
        let this = &mut *lock(slf)?;
        let free = usize::from(Arc::strong_count(&this.spare[0]) > 1);
        let slot = &mut this.spare[free];
        if Arc::get_mut(slot).is_none() {
            *slot = Arc::new(Decision::default());
        }
        if let Some(decision) = Arc::get_mut(slot) {
            guard(|| this.engine.quote(now, decision))?;
        }
        Ok(PyDecision::new(Arc::clone(slot)))
    }

    /// Signed position, contracts, + = long.
    #[getter]
    fn position(slf: &Engine<'_>) -> PyResult<f64> {
        Ok(read(slf)?.engine.position())
    }

    /// Time of the last event, ns; None before the first.
    #[getter]
    fn now_ns(slf: &Engine<'_>) -> PyResult<Option<i64>> {
        Ok(read(slf)?.engine.now_ns())
    }

    /// Mid price; None without a two-sided book.
    #[getter]
    fn mid_price(slf: &Engine<'_>) -> PyResult<Option<f64>> {
        Ok(read(slf)?.engine.mid_price())
    }

    /// Size of one order, contracts; None before the first book.
    #[getter]
    fn clip(slf: &Engine<'_>) -> PyResult<Option<f64>> {
        Ok(read(slf)?.engine.clip())
    }

    /// Our orders not known to be dead.
    #[getter]
    fn open_orders(slf: &Engine<'_>) -> PyResult<Vec<PyOpenOrder>> {
        let this = read(slf)?;
        let instrument = this.engine.instrument();
        Ok(this.engine.open_orders().iter().map(|order| PyOpenOrder::new(order, instrument)).collect())
    }

    /// Facts of the contract.
    #[getter]
    fn instrument(slf: &Engine<'_>) -> PyResult<PyInstrument> {
        Ok(PyInstrument { inner: read(slf)?.engine.instrument().clone() })
    }

    /// Configuration in force.
    #[getter]
    fn config(slf: &Engine<'_>) -> PyResult<PyEngineConfig> {
        Ok(PyEngineConfig { inner: read(slf)?.engine.config().clone() })
    }

    /// Innovation statistics of the drift filter by source: price, fill, flow, funding and outside signals.
    #[getter]
    fn innovations<'py>(slf: &Engine<'py>) -> PyResult<Bound<'py, PyDict>> {
        innovations_by_source(slf.py(), read(slf)?.engine.model().drift().innovations())
    }

    /// What the engine has learned of its market, by name.
    fn estimates<'py>(slf: &Engine<'py>) -> PyResult<Bound<'py, PyDict>> {
        let values = PyDict::new(slf.py());
        for (name, value) in read(slf)?.engine.readings() {
            values.set_item(name, value)?;
        }
        Ok(values)
    }

    /// An engine of its own with the same state.
    fn copy(slf: &Engine<'_>) -> PyResult<Self> {
        Ok(Self::new(read(slf)?.engine.clone()))
    }

    fn __copy__(slf: &Engine<'_>) -> PyResult<Self> {
        Self::copy(slf)
    }

    fn __deepcopy__(slf: &Engine<'_>, _memo: &Bound<'_, PyAny>) -> PyResult<Self> {
        Self::copy(slf)
    }

    /// All learned state as versioned bytes.
    fn snapshot<'py>(slf: &Engine<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let this = read(slf)?;
        let bytes = guard(|| Ok(this.engine.snapshot()))?;
        Ok(PyBytes::new(slf.py(), &bytes))
    }

    /// An engine that goes on as if never stopped, bit for bit; `config` replaces the stored one.
    #[classmethod]
    #[pyo3(signature = (state, *, config=None))]
    fn restore(
        _class: &Bound<'_, PyType>,
        state: &Bound<'_, PyAny>,
        config: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let bytes = state_bytes(state)?;
        let config = config.map(config_of).transpose()?;
        Ok(Self::new(guard(|| QuoteEngine::restore(bytes, config))?))
    }

    fn __reduce__<'py>(slf: &Engine<'py>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyBytes>,))> {
        Ok((slf.py().get_type::<Self>().getattr("restore")?, (Self::snapshot(slf)?,)))
    }

    fn __repr__(slf: &Engine<'_>) -> PyResult<String> {
        let this = read(slf)?;
        let now = this.engine.now_ns().map_or("no events".to_owned(), |now| format!("at {now} ns"));
        Ok(format!("<QuoteEngine {} {now}, position {}>", this.engine.instrument().coin(), this.engine.position()))
    }
}

#[inline]
fn best_level(
    fields: [&'static str; 2],
    price: &Bound<'_, PyAny>,
    size: &Bound<'_, PyAny>,
) -> PyResult<Option<(f64, f64)>> {
    match (price.is_none(), size.is_none()) {
        (true, true) => Ok(None),
        (false, false) => Ok(Some((number(fields[0], price)?, number(fields[1], size)?))),
        (true, false) => Err(invalid_input(fields[0], price, "a number, or None together with the size", "")),
        (false, true) => Err(invalid_input(fields[1], size, "a number, or None together with the price", "")),
    }
}
