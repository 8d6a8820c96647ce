//! `backtest`: columns in, columns out. The engine's run works without the interpreter.

use std::cell::Cell;

use hypermm_core::config::EngineConfig;
use hypermm_core::error::Error;
use hypermm_core::instrument::Instrument;
use hypermm_core::state::queue::CancelModel;
use hypermm_simulation::backtest::output::BacktestOutput;
use hypermm_simulation::backtest::quoter::Quoter;
use hypermm_simulation::backtest::replay::{BacktestSettings, RecordingColumns, ReferenceColumns, run_timed};
use hypermm_simulation::venue::blocks::BlockSettings;
use hypermm_simulation::venue::fill_models::{FillCalibration, FillParameters, FillSettings};
use hypermm_simulation::venue::latency::Latency;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

use crate::access::over_rows;
use crate::config::config_of;
use crate::error::{guard, invalid_input as refuse_argument};
use crate::features::{Market, market};
use crate::input::{flag, number, seed_of, text, time_ns};
use crate::instrument::instrument_of;
use crate::progress::{Progress, keep, monotonic_s};
use crate::recording::HeldColumns;
use crate::result::PyBacktestResult;
use crate::strategy::{Ended, PythonStrategy, Watched, check_strategy};

const FILL_MODEL: &str = "\"paper\", \"default\", \"risk_averse\", \"power\", (\"power\", exponent), \"log\", \
                          \"calibrated\", (\"calibrated\", exponent, touch_probability, alone_probability) or a pair (touch_probability, queue_factor)";
const LATENCY: &str = "integer ns each way, a pair of them (to the venue, back from it), or \"venue\"";

/// Replays a recording to the engine, or to `strategy`, at the simulated venue.
#[pyfunction]
#[pyo3(signature = (recording, instrument, config, *, seed=None, fill_model=None, cycle_ns=None, latency=None,
                    strategy=None, progress=None, log_decisions=None, references=None),
       text_signature = "(recording, instrument, config, *, seed=0, fill_model='paper', cycle_ns=250000000, \
                         latency=(30000000, 30000000), strategy=None, progress=None, log_decisions=True, \
                         references=None)")]
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
    references: Option<&Bound<'_, PyAny>>,
) -> PyResult<PyBacktestResult> {
    let instrument = instrument_of(instrument)?;
    let config = config_of(config)?;
    let (latency, blocks) = latency.map_or(Ok((Latency::default(), None)), timing_of)?;
    let settings = BacktestSettings {
        seed: seed.map_or(Ok(0), |given| seed_of("seed", given))?,
        fill_model: fill_model.map_or(Ok(FillSettings::OPTIMISTIC), |given| fill_model_of(given, instrument.coin()))?,
        cycle_ns: cycle_ns.map_or(Ok(250_000_000), |given| time_ns("cycle_ns", given))?,
        latency,
        log_decisions: log_decisions.map_or(Ok(true), |given| flag("log_decisions", given))?,
        ..BacktestSettings::default()
    };
    let (quoter, object) = match strategy {
        Some(given) if given.is_instance_of::<PyString>() => {
            let name = text("strategy", &given)?;
            (guard(|| Quoter::named(&name))?, None)
        }
        Some(object) => {
            check_strategy(&object)?;
            (Quoter::Engine, Some(object))
        }
        None => (Quoter::Engine, None),
    };
    let held = HeldColumns::of(recording)?;
    let markets = markets_of(references)?;
    let others: Vec<_> =
        markets.iter().map(|(name, (time_ns, price))| ReferenceColumns { name, time_ns, price }).collect();
    let columns = RecordingColumns { references: &others, ..held.columns() };
    let mut progress = Progress::new(progress, columns.len() as u64)?;
    let begun_s = monotonic_s(py)?;
    let output: BacktestOutput = match object {
        Some(object) => {
            let failure = Cell::new(None);
            let mut strategy = PythonStrategy { object, instrument: &instrument, failure: &failure };
            let mut tell = |share: f64| keep(&failure, progress.tell(py, share));
            let output = guard(|| {
                Ok(run_timed(&columns, &instrument, &config, &settings, blocks.as_ref(), &mut strategy, &mut tell))
            })?;
            match failure.take() {
                Some(error) => Err(Ended::Raised(error)),
                None => output,
            }
        }
        None => over_rows(py, columns.len(), || {
            run_ours(quoter, &columns, &instrument, config, (&settings, blocks.as_ref()), &mut progress)
        })?,
    }
    .map_err(|ended| ended.into_exception(recording))?;
    PyBacktestResult::new(py, &output, None, monotonic_s(py)? - begun_s)
}

/// The run of a strategy of ours; it calls back into Python only to tell how far it is.
fn run_ours(
    quoter: Quoter,
    columns: &RecordingColumns<'_>,
    instrument: &Instrument,
    config: EngineConfig,
    (settings, blocks): (&BacktestSettings, Option<&BlockSettings>),
    progress: &mut Progress,
) -> Result<Result<BacktestOutput, Ended>, Error> {
    let failure = Cell::new(None);
    let inner = quoter.strategy(instrument, &config)?;
    let mut strategy = Watched { inner, failure: &failure };
    let mut tell = |share: f64| keep(&failure, Python::attach(|py| progress.tell(py, share)));
    let output = run_timed(columns, instrument, &config, settings, blocks, &mut strategy, &mut tell);
    Ok(match failure.take() {
        Some(error) => Err(Ended::Raised(error)),
        None => output,
    })
}

/// Other markets by name: each a pair (times, prices).
pub(crate) fn markets_of<'py>(given: Option<&Bound<'py, PyAny>>) -> PyResult<Vec<(String, Market<'py>)>> {
    let Some(given) = given.filter(|given| !given.is_none()) else { return Ok(Vec::new()) };
    let Ok(by_name) = given.cast::<PyDict>() else {
        return Err(refuse_argument("references", given, "a dictionary of pairs (times in ns, prices)", ""));
    };
    let mut markets = Vec::new();
    for (name, pair) in by_name.iter() {
        let name = text("references", &name)?;
        if let Some(columns) = market(&name, Some(&pair))? {
            markets.push((name, columns));
        }
    }
    Ok(markets)
}

/// A latency, or by its name the matching venue's blocks and delays, as measured, in its place.
pub(crate) fn timing_of(given: &Bound<'_, PyAny>) -> PyResult<(Latency, Option<BlockSettings>)> {
    if given.extract::<String>().is_ok_and(|name| name == "venue") {
        return Ok((Latency::default(), Some(BlockSettings::default())));
    }
    Ok((latency_of(given)?, None))
}

/// The fitted numbers of the calibrated fill model for a coin, pooled where it has none of its own.
#[pyfunction]
pub(crate) fn fill_calibration(coin: &Bound<'_, PyAny>) -> PyResult<(f64, f64, f64)> {
    let FillCalibration { cancel_exponent, touch_probability, alone_probability } =
        FillCalibration::of(&text("coin", coin)?);
    Ok((cancel_exponent, touch_probability, alone_probability))
}

/// A name, a pair (touch_probability, queue_factor), ("power", exponent), or "calibrated" with its three numbers;
/// without them they are those of `coin`.
pub(crate) fn fill_model_of(given: &Bound<'_, PyAny>, coin: &str) -> PyResult<FillSettings> {
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
    if let Ok(numbers) = given.cast::<PyTuple>() {
        let name = numbers.get_item(0).and_then(|first| first.extract::<String>());
        if numbers.len() != 4 || name.map_err(|_| refuse())? != "calibrated" {
            return Err(refuse());
        }
        let item = |field: &str, place: usize| number(field, &numbers.get_item(place)?);
        return Ok(FillSettings::Calibrated(FillCalibration {
            cancel_exponent: item("cancel_exponent", 1)?,
            touch_probability: item("touch_probability", 2)?,
            alone_probability: item("alone_probability", 3)?,
        }));
    }
    let name = text("fill_model", given).map_err(|_| refuse())?;
    match name.as_str() {
        "calibrated" => Ok(FillSettings::Calibrated(FillCalibration::of(coin))),
        _ => FillSettings::named(&name).map_err(|_| refuse()),
    }
}

/// Nanoseconds each way, or a pair (to the venue, back from it).
pub(crate) fn latency_of(given: &Bound<'_, PyAny>) -> PyResult<Latency> {
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
