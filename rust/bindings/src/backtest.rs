//! `backtest` and `synthetic_session`: columns in, columns out. The engine's run works without the interpreter.

use std::cell::Cell;

use hypermm_core::config::{EngineConfig, MAX_LEVELS};
use hypermm_core::engine::QuoteEngine;
use hypermm_core::error::{Error, invalid_input};
use hypermm_core::event::{AccountEvent, MarketEvent};
use hypermm_core::instrument::Instrument;
use hypermm_core::pricing::decision::{Decision, QuoteSide};
use hypermm_core::state::queue::CancelModel;
use hypermm_core::types::{QuoteStatus, TimestampNs};
use hypermm_simulation::backtest::output::BacktestOutput;
use hypermm_simulation::backtest::replay::{BacktestSettings, run_with};
use hypermm_simulation::backtest::strategy::Strategy;
use hypermm_simulation::market::recording::at_row;
use hypermm_simulation::venue::fill_models::{FillParameters, FillSettings};
use hypermm_simulation::venue::latency::Latency;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple, PyType};

use crate::access::over_rows;
use crate::decision::PyDecision;
use crate::engine::{PyQuoteEngine, config_of, instrument_of};
use crate::error::{from_core, guard, invalid_input as refuse_argument};
use crate::event::PyEvent;
use crate::input::{flag, floats, integer, number, text, time_ns};
use crate::recording::HeldColumns;
use crate::result::PyBacktestResult;

/// Least time between two calls of the progress function, s.
const PROGRESS_INTERVAL_S: f64 = 0.05;

const STRATEGY: &str = "an object with methods on_event(event) and quote(time_ns)";
const ANSWER: &str = "a Decision, None, or an object with bids and asks";
const LADDER: &str = "an object with prices and sizes, best level first; empty ones for no quotes";
const FILL_MODEL: &str = "\"paper\", \"default\", \"risk_averse\", \"power\", (\"power\", exponent), \"log\" or a pair \
                          (touch_probability, queue_factor)";
const LATENCY: &str = "integer ns each way, or a pair of them (to the venue, back from it)";

/// Why a run ended early.
enum Ended {
    Refused(Error),
    /// A row of a stream was refused.
    RefusedRow(Error, &'static str, usize),
    Raised(PyErr),
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<PyErr> for Ended {
    fn from(error: PyErr) -> Self {
        Self::Raised(error)
    }
}

impl Ended {
    /// As an exception; a recording that was read from files says which line a refused row stood in.
    fn into_exception(self, recording: &Bound<'_, PyAny>) -> PyErr {
        match self {
            Self::Refused(error) => from_core(&error),
            Self::RefusedRow(error, stream, row) => match source_of(recording, stream, row, &error.detail().field) {
                Some(place) => from_core(&error.at_place(&place)),
                None => from_core(&at_row(stream, row, error)),
            },
            Self::Raised(error) => error,
        }
    }
}

/// File and line of a row, from a recording that knows them.
fn source_of(recording: &Bound<'_, PyAny>, stream: &str, row: usize, field: &str) -> Option<String> {
    let place = recording.call_method1("source_of", (stream, row, field)).ok()?.extract::<String>().ok()?;
    (!place.is_empty()).then_some(place)
}

/// The engine, stopped by what the progress function raises or by Ctrl-C.
struct Watched<'a> {
    engine: QuoteEngine,
    failure: &'a Cell<Option<PyErr>>,
}

impl Strategy for Watched<'_> {
    type Error = Ended;

    #[inline]
    fn on_event(&mut self, time_ns: TimestampNs, event: &MarketEvent<'_>) -> Result<(), Ended> {
        Ok(self.engine.handle(time_ns, event)?)
    }

    #[inline]
    fn on_account(&mut self, time_ns: TimestampNs, event: &AccountEvent) -> Result<(), Ended> {
        Ok(Strategy::on_account(&mut self.engine, time_ns, event)?)
    }

    #[inline]
    fn quote(&mut self, time_ns: TimestampNs, decision: &mut Decision) -> Result<(), Ended> {
        if let Some(failure) = self.failure.take() {
            return Err(Ended::Raised(failure));
        }
        Ok(self.engine.quote(time_ns, decision)?)
    }

    fn clip(&self) -> Option<f64> {
        self.engine.clip()
    }

    fn locate(error: Ended, stream: &'static str, row: usize) -> Ended {
        match error {
            Ended::Refused(error) => Ended::RefusedRow(error, stream, row),
            other => other,
        }
    }
}

/// Any Python object with `on_event(event)` and `quote(time_ns)`.
struct PythonStrategy<'a, 'py> {
    object: Bound<'py, PyAny>,
    instrument: &'a Instrument,
    failure: &'a Cell<Option<PyErr>>,
}

impl Strategy for PythonStrategy<'_, '_> {
    type Error = Ended;

    fn on_event(&mut self, time_ns: TimestampNs, event: &MarketEvent<'_>) -> Result<(), Ended> {
        self.object.call_method1("on_event", (PyEvent::of_market(time_ns, event),))?;
        Ok(())
    }

    fn on_account(&mut self, time_ns: TimestampNs, event: &AccountEvent) -> Result<(), Ended> {
        self.object.call_method1("on_event", (PyEvent::of_account(time_ns, event),))?;
        Ok(())
    }

    fn quote(&mut self, time_ns: TimestampNs, decision: &mut Decision) -> Result<(), Ended> {
        if let Some(failure) = self.failure.take() {
            return Err(Ended::Raised(failure));
        }
        let answer = self.object.call_method1("quote", (time_ns,))?;
        if let Ok(ours) = answer.cast::<PyDecision>() {
            decision.clone_from(&ours.get().inner);
            return Ok(());
        }
        decision.time_ns = time_ns;
        decision.status = QuoteStatus::Quoting;
        decision.bids.len = 0;
        decision.asks.len = 0;
        if answer.is_none() {
            return Ok(());
        }
        let refuse = || refuse_argument("quote()", &answer, ANSWER, "each side has prices and sizes");
        let bids = answer.getattr_opt("bids")?.ok_or_else(refuse)?;
        let asks = answer.getattr_opt("asks")?.ok_or_else(refuse)?;
        write_side(BIDS, &bids, self.instrument, &mut decision.bids)?;
        write_side(ASKS, &asks, self.instrument, &mut decision.asks)
    }

    /// A strategy may say the size of one order by an attribute `clip`.
    fn clip(&self) -> Option<f64> {
        self.object.getattr("clip").ok()?.extract().ok()
    }
}

/// A side of a user's ladder with the names of its columns.
type Named = (&'static str, [&'static str; 2]);
const BIDS: Named = ("bids", ["bids.prices", "bids.sizes"]);
const ASKS: Named = ("asks", ["asks.prices", "asks.sizes"]);

/// Reads prices and sizes of one side of a user's ladder.
fn write_side(
    (field, [price_field, size_field]): Named,
    given: &Bound<'_, PyAny>,
    instrument: &Instrument,
    side: &mut QuoteSide,
) -> Result<(), Ended> {
    let refuse = || refuse_argument(field, given, LADDER, "");
    let prices = floats(price_field, &given.getattr_opt("prices")?.ok_or_else(refuse)?)?;
    let sizes = floats(size_field, &given.getattr_opt("sizes")?.ok_or_else(refuse)?)?;
    if prices.len() != sizes.len() || prices.len() > MAX_LEVELS {
        let found = format!("{} prices, {} sizes", prices.len(), sizes.len());
        return Err(invalid_input(field, found, format!("as many of both, at most {MAX_LEVELS}"), "").into());
    }
    for (level, (price, size)) in prices.iter().zip(sizes.iter()).enumerate() {
        let at_level = |error: Error| error.at_index(level, &[]);
        side.price_units[level] = instrument.price_from_f64(price_field, *price).map_err(at_level)?;
        side.lots[level] = instrument.lots_from_f64(size_field, *size).map_err(at_level)?;
        side.prices[level] = *price;
        side.sizes[level] = *size;
        // A ladder of prices and sizes alone expects nothing that could be held against its fills.
        side.expected_edge_bps[level] = f64::NAN;
        side.expected_pnl_bps[level] = f64::NAN;
        side.fill_probability[level] = f64::NAN;
    }
    side.len = prices.len();
    Ok(())
}

/// Tells a Python function how far the run is, at most twenty times a second.
struct Progress {
    function: Option<Py<PyAny>>,
    total: u64,
    last_s: f64,
}

impl Progress {
    fn tell(&mut self, py: Python<'_>, share: f64) -> PyResult<()> {
        py.check_signals()?;
        let Some(function) = &self.function else { return Ok(()) };
        let now_s = monotonic_s(py)?;
        if share < 1.0 && now_s - self.last_s < PROGRESS_INTERVAL_S {
            return Ok(());
        }
        self.last_s = now_s;
        let done = (share * self.total as f64).round() as u64;
        function.call1(py, (done, self.total)).map(|_| ())
    }
}

/// Python's monotonic clock: it paces the progress function and times the run, and decides nothing.
fn monotonic_s(py: Python<'_>) -> PyResult<f64> {
    py.import("time")?.getattr("perf_counter")?.call0()?.extract()
}

/// Replays a recording to the engine, or to `strategy`, at the simulated venue.
#[pyfunction]
#[pyo3(signature = (recording, instrument, config, *, seed=None, fill_model=None, cycle_ns=None, latency=None,
                    strategy=None, progress=None, log_decisions=None),
       text_signature = "(recording, instrument, config, *, seed=0, fill_model='paper', cycle_ns=250000000, \
                         latency=(30000000, 30000000), strategy=None, progress=None, log_decisions=True)")]
#[expect(clippy::too_many_arguments, reason = "what a run depends on, by name")]
pub(crate) fn backtest(
    py: Python<'_>,
    recording: &Bound<'_, PyAny>,
    instrument: &Bound<'_, PyAny>,
    config: &Bound<'_, PyAny>,
    seed: Option<&Bound<'_, PyAny>>,
    fill_model: Option<&Bound<'_, PyAny>>,
    cycle_ns: Option<&Bound<'_, PyAny>>,
    latency: Option<&Bound<'_, PyAny>>,
    strategy: Option<Bound<'_, PyAny>>,
    progress: Option<Bound<'_, PyAny>>,
    log_decisions: Option<&Bound<'_, PyAny>>,
) -> PyResult<PyBacktestResult> {
    let instrument = instrument_of(instrument)?;
    let config = config_of(config)?;
    let settings = BacktestSettings {
        seed: seed.map_or(Ok(0), |given| seed_of(given))?,
        fill_model: fill_model.map_or(Ok(FillSettings::OPTIMISTIC), fill_model_of)?,
        cycle_ns: cycle_ns.map_or(Ok(250_000_000), |given| time_ns("cycle_ns", given))?,
        latency: latency.map_or(Ok(Latency::default()), latency_of)?,
        log_decisions: log_decisions.map_or(Ok(true), |given| flag("log_decisions", given))?,
        ..BacktestSettings::default()
    };
    if let Some(object) = &strategy {
        check_strategy(object)?;
    }
    if let Some(function) = progress.as_ref().filter(|given| !given.is_callable()) {
        return Err(refuse_argument("progress", function, "a callable progress(done, total)", ""));
    }
    let held = HeldColumns::of(recording)?;
    let columns = held.columns();
    let mut progress =
        Progress { function: progress.map(Bound::unbind), total: columns.len() as u64, last_s: f64::NEG_INFINITY };
    let begun_s = monotonic_s(py)?;
    let output: BacktestOutput = match strategy {
        Some(object) => {
            let failure = Cell::new(None);
            let mut strategy = PythonStrategy { object, instrument: &instrument, failure: &failure };
            let mut tell = |share: f64| keep(&failure, progress.tell(py, share));
            let output = guard(|| Ok(run_with(&columns, &instrument, &config, &settings, &mut strategy, &mut tell)))?;
            match failure.take() {
                Some(error) => Err(Ended::Raised(error)),
                None => output,
            }
        }
        None => over_rows(py, columns.len(), || run_engine(&columns, &instrument, config, &settings, &mut progress))?,
    }
    .map_err(|ended| ended.into_exception(recording))?;
    PyBacktestResult::new(py, &output, monotonic_s(py)? - begun_s)
}

/// The run of our own engine; it calls back into Python only to tell how far it is.
fn run_engine(
    columns: &hypermm_simulation::market::recording::RecordingColumns<'_>,
    instrument: &Instrument,
    config: EngineConfig,
    settings: &BacktestSettings,
    progress: &mut Progress,
) -> Result<Result<BacktestOutput, Ended>, Error> {
    let failure = Cell::new(None);
    let engine = QuoteEngine::new(instrument.clone(), config)?;
    let mut strategy = Watched { engine, failure: &failure };
    let mut tell = |share: f64| keep(&failure, Python::attach(|py| progress.tell(py, share)));
    let output = run_with(columns, instrument, &config, settings, &mut strategy, &mut tell);
    Ok(match failure.take() {
        Some(error) => Err(Ended::Raised(error)),
        None => output,
    })
}

/// Keeps the first failure of the progress function until the strategy can end the run with it.
fn keep(failure: &Cell<Option<PyErr>>, told: PyResult<()>) {
    if let Err(error) = told {
        failure.set(Some(failure.take().unwrap_or(error)));
    }
}

/// Refuses what has not both methods; a bare engine has `quote` only.
fn check_strategy(object: &Bound<'_, PyAny>) -> PyResult<()> {
    let hint = if object.is_instance_of::<PyQuoteEngine>() {
        "leave strategy out to run our own engine, or wrap yours: on_event calls event.apply(engine), quote returns \
         engine.quote(time_ns)"
    } else if object.cast::<PyType>().is_ok() {
        "this is a class: give an object of it"
    } else {
        ""
    };
    for name in ["on_event", "quote"] {
        let callable = object.getattr_opt(name)?.is_some_and(|method| method.is_callable());
        if !callable || !hint.is_empty() {
            return Err(refuse_argument("strategy", object, STRATEGY, hint));
        }
    }
    Ok(())
}

fn seed_of(given: &Bound<'_, PyAny>) -> PyResult<u64> {
    const EXPECTED: &str = "an integer from 0 to 2^63 − 1";
    let whole = integer("seed", given, EXPECTED, "")?;
    u64::try_from(whole).map_err(|_| refuse_argument("seed", given, EXPECTED, ""))
}

/// A name, a pair (touch_probability, queue_factor) or a pair ("power", exponent).
fn fill_model_of(given: &Bound<'_, PyAny>) -> PyResult<FillSettings> {
    let refuse = || refuse_argument("fill_model", given, FILL_MODEL, "");
    if let Ok(pair) = given.cast::<PyTuple>()
        && pair.len() == 2
    {
        let (first, second) = (pair.get_item(0)?, pair.get_item(1)?);
        if let Ok(name) = first.extract::<String>() {
            return match name.as_str() {
                "power" => Ok(FillSettings::Queue(CancelModel::Power(number("cancel_exponent", &second)?))),
                _ => Err(refuse()),
            };
        }
        let touch_probability = number("touch_probability", &first)?;
        let queue_factor = number("queue_factor", &second)?;
        return Ok(FillSettings::Probabilistic(FillParameters { touch_probability, queue_factor }));
    }
    let name = text("fill_model", given).map_err(|_| refuse())?;
    FillSettings::named(&name).map_err(|_| refuse())
}

/// Nanoseconds each way, or a pair (to the venue, back from it).
fn latency_of(given: &Bound<'_, PyAny>) -> PyResult<Latency> {
    if let Ok(pair) = given.cast::<PyTuple>()
        && pair.len() == 2
    {
        let to_venue_ns = time_ns("to_venue_ns", &pair.get_item(0)?)?;
        let acknowledge_ns = time_ns("acknowledge_ns", &pair.get_item(1)?)?;
        return Ok(Latency { to_venue_ns, acknowledge_ns });
    }
    if given.is_instance_of::<PyTuple>() || given.is_instance_of::<PyList>() {
        return Err(refuse_argument("latency", given, LATENCY, ""));
    }
    let each_way = time_ns("latency", given)?;
    Ok(Latency { to_venue_ns: each_way, acknowledge_ns: each_way })
}
