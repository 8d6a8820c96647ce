//! A recording's columns: read in place from any object or mapping that has them, or made by a synthetic market.

use hypermm_core::instrument::Instrument;
use hypermm_simulation::market::recording::{ContextColumns, RecordingColumns};
use hypermm_simulation::market::session::{Session, SessionSettings};
use numpy::{Element, PyArray2, PyArrayMethods, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::decision::frozen_array;
use crate::error::{guard, invalid_input};
use crate::input::{Column, floats, integers, number, seed_of, times};
use crate::instrument::instrument_of;

/// Columns kept alive while a run reads them.
pub(crate) struct HeldColumns<'py> {
    depth: usize,
    books: [PyReadonlyArray2<'py, f64>; 4],
    times: [Column<'py, i64>; 8],
    best: [Column<'py, f64>; 4],
    trade: [Column<'py, f64>; 2],
    trade_aggressor: Column<'py, i8>,
    trade_id: Column<'py, u64>,
    context: [Column<'py, f64>; 5],
}

const BOOKS: [&str; 4] = ["bid_prices", "bid_sizes", "ask_prices", "ask_sizes"];
const TIMES: [&str; 8] = [
    "book_time_ns",
    "book_exchange_time_ns",
    "best_time_ns",
    "best_exchange_time_ns",
    "trade_time_ns",
    "trade_exchange_time_ns",
    "context_time_ns",
    "next_settlement_ns",
];
const BEST: [&str; 4] = ["best_bid_price", "best_bid_size", "best_ask_price", "best_ask_size"];
const TRADE: [&str; 2] = ["trade_price", "trade_size"];
const CONTEXT: [&str; 5] = ["mark_price", "oracle_price", "funding_rate", "predicted_funding", "open_interest"];

/// A column by name; `None` when the recording has none.
fn find<'py>(recording: &Bound<'py, PyAny>, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
    let found = match recording.cast::<PyDict>() {
        Ok(mapping) => mapping.get_item(name)?,
        Err(_) => recording.getattr_opt(name)?,
    };
    Ok(found.filter(|column| !column.is_none()))
}

fn each<'py, const N: usize, T: Element>(
    recording: &Bound<'py, PyAny>,
    names: [&str; N],
    read: impl Fn(&str, &Bound<'py, PyAny>) -> PyResult<Column<'py, T>>,
) -> PyResult<[Column<'py, T>; N]> {
    let mut columns = [const { Column::Owned(Vec::new()) }; N];
    for (column, name) in columns.iter_mut().zip(names) {
        if let Some(found) = find(recording, name)? {
            *column = read(name, &found)?;
        }
    }
    Ok(columns)
}

/// A book column, shape (rows, depth), contiguous.
fn levels<'py>(recording: &Bound<'py, PyAny>, name: &str) -> PyResult<PyReadonlyArray2<'py, f64>> {
    const EXPECTED: &str = "a contiguous float64 array of shape (rows, depth)";
    let Some(found) = find(recording, name)? else {
        return Err(invalid_input(name, recording, "a recording with this column", "load_recording makes one"));
    };
    match found.cast::<PyArray2<f64>>() {
        Ok(array) if array.is_c_contiguous() => {
            array.try_readonly().map_err(|_| invalid_input(name, &found, EXPECTED, "it is being written to"))
        }
        _ => Err(invalid_input(name, &found, EXPECTED, "np.ascontiguousarray(column, dtype=float)")),
    }
}

impl<'py> HeldColumns<'py> {
    pub(crate) fn of(recording: &Bound<'py, PyAny>) -> PyResult<Self> {
        let books = [
            levels(recording, BOOKS[0])?,
            levels(recording, BOOKS[1])?,
            levels(recording, BOOKS[2])?,
            levels(recording, BOOKS[3])?,
        ];
        let mut held = Self {
            depth: books[0].shape()[1],
            books,
            times: each(recording, TIMES, times)?,
            best: each(recording, BEST, floats)?,
            trade: each(recording, TRADE, floats)?,
            trade_aggressor: Column::Owned(Vec::new()),
            trade_id: Column::Owned(Vec::new()),
            context: each(recording, CONTEXT, floats)?,
        };
        if let Some(found) = find(recording, "trade_aggressor")? {
            held.trade_aggressor = integers("trade_aggressor", &found, "int8")?;
        }
        if let Some(found) = find(recording, "trade_id")? {
            held.trade_id = integers("trade_id", &found, "uint64")?;
        }
        Ok(held)
    }

    pub(crate) fn columns(&self) -> RecordingColumns<'_> {
        let book = |index: usize| self.books[index].as_slice().unwrap_or_default();
        let [book_time, book_exchange, best_time, best_exchange, trade_time, trade_exchange, context_time, settlement] =
            &self.times;
        RecordingColumns {
            depth: self.depth,
            book_time_ns: book_time,
            book_exchange_time_ns: book_exchange,
            bid_prices: book(0),
            bid_sizes: book(1),
            ask_prices: book(2),
            ask_sizes: book(3),
            best_time_ns: best_time,
            best_exchange_time_ns: best_exchange,
            best_bid_price: &self.best[0],
            best_bid_size: &self.best[1],
            best_ask_price: &self.best[2],
            best_ask_size: &self.best[3],
            trade_time_ns: trade_time,
            trade_exchange_time_ns: trade_exchange,
            trade_price: &self.trade[0],
            trade_size: &self.trade[1],
            trade_aggressor: &self.trade_aggressor,
            trade_id: &self.trade_id,
            context: ContextColumns {
                time_ns: context_time,
                mark_price: &self.context[0],
                oracle_price: &self.context[1],
                funding_rate: &self.context[2],
                predicted_funding: &self.context[3],
                next_settlement_ns: settlement,
                open_interest: &self.context[4],
            },
            references: &[],
        }
    }
}

/// A read-only array of shape (rows, width).
pub(crate) fn frozen_rows<T: Element + Copy>(py: Python<'_>, values: &[T], width: usize) -> PyResult<Py<PyAny>> {
    let flat = numpy::PyArray1::from_slice(py, values);
    let rows = values.len().checked_div(width).unwrap_or(0);
    Ok(flat.reshape([rows, width])?.readwrite().make_nonwriteable().as_any().clone().unbind())
}

/// Columns of a seeded market: Poisson flow of aggressors around a price with a mean-reverting drift.
#[pyfunction]
#[pyo3(signature = (seed=None, duration_s=None, *, instrument=None, **settings),
       text_signature = "(seed=0, duration_s=1800.0, *, instrument=None, **settings)")]
pub(crate) fn synthetic_session<'py>(
    py: Python<'py>,
    seed: Option<&Bound<'py, PyAny>>,
    duration_s: Option<&Bound<'py, PyAny>>,
    instrument: Option<&Bound<'py, PyAny>>,
    settings: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyDict>> {
    let mut market = SessionSettings::default();
    if let Some(given) = seed {
        market.seed = seed_of("seed", given)?;
    }
    if let Some(given) = duration_s {
        market.duration_s = number("duration_s", given)?;
    }
    for (name, value) in settings.into_iter().flat_map(|given| given.iter()) {
        set(&mut market, &name.extract::<String>()?, &value)?;
    }
    let instrument = match instrument {
        Some(given) => instrument_of(given)?,
        None => guard(|| Instrument::new("SYNTHETIC", 4, 25, 10.0, 3600.0))?,
    };
    let session = guard(|| Session::generate(&instrument, &market))?;
    session_columns(py, &session)
}

fn set(market: &mut SessionSettings, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let field = match name {
        "start_price" => &mut market.start_price,
        "volatility" => &mut market.volatility,
        "drift_mean_reversion_per_s" => &mut market.drift_mean_reversion_per_s,
        "drift_deviation_bps_per_s" => &mut market.drift_deviation_bps_per_s,
        "arrival_rate" => &mut market.arrival_rate,
        "depth_decay" => &mut market.depth_decay,
        "half_spread_bps" => &mut market.half_spread_bps,
        "print_size" => &mut market.print_size,
        "level_size" => &mut market.level_size,
        "book_interval_s" => &mut market.book_interval_s,
        "best_interval_s" => &mut market.best_interval_s,
        "latency_s" => &mut market.latency_s,
        "funding_rate" => &mut market.funding_rate,
        "depth" => {
            market.depth = crate::input::count(name, value)? as usize;
            return Ok(());
        }
        _ => return Err(invalid_input(name, value, "a setting of synthetic_session", "see its documentation")),
    };
    *field = number(name, value)?;
    Ok(())
}

/// Columns by name, as a `Recording` takes them.
pub(crate) fn session_columns<'py>(py: Python<'py>, session: &Session) -> PyResult<Bound<'py, PyDict>> {
    let columns = session.columns();
    let by_name = PyDict::new(py);
    let books = [columns.bid_prices, columns.bid_sizes, columns.ask_prices, columns.ask_sizes];
    for (name, values) in BOOKS.iter().zip(books) {
        by_name.set_item(name, frozen_rows(py, values, columns.depth)?)?;
    }
    let times = [
        columns.book_time_ns,
        columns.book_exchange_time_ns,
        columns.best_time_ns,
        columns.best_exchange_time_ns,
        columns.trade_time_ns,
        columns.trade_exchange_time_ns,
        columns.context.time_ns,
        columns.context.next_settlement_ns,
    ];
    for (name, values) in TIMES.iter().zip(times) {
        by_name.set_item(name, frozen_array(py, values))?;
    }
    let context = columns.context;
    let floats = [
        columns.best_bid_price,
        columns.best_bid_size,
        columns.best_ask_price,
        columns.best_ask_size,
        columns.trade_price,
        columns.trade_size,
        context.mark_price,
        context.oracle_price,
        context.funding_rate,
        context.predicted_funding,
        context.open_interest,
    ];
    for (name, values) in BEST.iter().chain(&TRADE).chain(&CONTEXT).zip(floats) {
        by_name.set_item(name, frozen_array(py, values))?;
    }
    by_name.set_item("trade_aggressor", frozen_array(py, columns.trade_aggressor))?;
    by_name.set_item("trade_id", frozen_array(py, columns.trade_id))?;
    Ok(by_name)
}
