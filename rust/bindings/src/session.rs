//! `matching_session`: a strategy in the market of a preset, at the matching venue.

use std::cell::Cell;

use hypermm_core::accounting::ledger::{MICROS, Micros};
use hypermm_core::config::EngineConfig;
use hypermm_core::error::Error;
use hypermm_simulation::backtest::matched::{MatchedOutput, MatchedSettings};
use hypermm_simulation::backtest::quoter::Quoter;
use hypermm_simulation::backtest::sessions::{run_session, session_settings};
use hypermm_simulation::backtest::strategy::Strategy;
use hypermm_simulation::market::preset::MarketPreset;
use hypermm_simulation::venue::latency::LatencyModel;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::config::config_of;
use crate::error::{guard, invalid_input};
use crate::input::{count, flag, number, seed_of, text, time_ns};
use crate::preset::preset_of;
use crate::progress::{Progress, keep, monotonic_s};
use crate::recording::session_columns;
use crate::result::{PyBacktestResult, Watched as WatchedAccount};
use crate::strategy::{Ended, PythonStrategy, Watched, check_strategy};

const LATENCY: &str = "integer ns each way, or three of them (to the venue, back from it, of the feed)";

/// Plays the market of a preset to the engine, or to `strategy`, at the matching venue.
#[pyfunction]
#[pyo3(signature = (preset, config, *, seed=None, duration_s=None, cycle_ns=None, strategy=None, deposit_usd=None,
                    leverage=None, latency=None, progress=None, log_decisions=None),
       text_signature = "(preset, config, *, seed=0, duration_s=1800.0, cycle_ns=250000000, strategy=None, \
                         deposit_usd=10000.0, leverage=None, latency=None, progress=None, log_decisions=True)")]
#[expect(clippy::too_many_arguments, reason = "what a run depends on, by name")]
pub(crate) fn matching_session<'py>(
    py: Python<'py>,
    preset: &Bound<'py, PyAny>,
    config: &Bound<'py, PyAny>,
    seed: Option<&Bound<'py, PyAny>>,
    duration_s: Option<&Bound<'py, PyAny>>,
    cycle_ns: Option<&Bound<'py, PyAny>>,
    strategy: Option<Bound<'py, PyAny>>,
    deposit_usd: Option<&Bound<'py, PyAny>>,
    leverage: Option<&Bound<'py, PyAny>>,
    latency: Option<&Bound<'py, PyAny>>,
    progress: Option<Bound<'py, PyAny>>,
    log_decisions: Option<&Bound<'py, PyAny>>,
) -> PyResult<(PyBacktestResult, Bound<'py, PyDict>)> {
    let preset = preset_of(preset)?;
    let config = config_of(config)?;
    let seed = seed.map_or(Ok(0), |given| seed_of("seed", given))?;
    let duration_s = duration_s.map_or(Ok(1800.0), |given| number("duration_s", given))?;
    let mut settings = guard(|| session_settings(&preset, seed, duration_s))?;
    settings.log_decisions = log_decisions.map_or(Ok(true), |given| flag("log_decisions", given))?;
    if let Some(given) = cycle_ns {
        settings.cycle_ns = time_ns("cycle_ns", given)?;
    }
    if let Some(given) = deposit_usd {
        settings.deposit = (number("deposit_usd", given)? * MICROS) as Micros;
    }
    if let Some(given) = leverage {
        settings.leverage = count("leverage", given)?;
    }
    if let Some(given) = latency {
        settings = settings.with_latency(latency_of(given)?);
    }
    let run = Run { preset, config, settings };
    guard(|| run.settings.validate())?;
    let mut progress = Progress::new(progress, duration_s as u64)?;
    let begun_s = monotonic_s(py)?;
    let output = match strategy {
        Some(object) if !object.is_instance_of::<PyString>() => {
            check_strategy(&object)?;
            let instrument = guard(|| run.preset.instrument())?;
            let failure = Cell::new(None);
            let mut strategy = PythonStrategy { object, instrument: &instrument, failure: &failure };
            let mut tell = |share: f64| keep(&failure, progress.tell(py, share));
            guard(|| Ok(run.play(&mut strategy, &failure, &mut tell)))?
        }
        named => {
            let quoter = named.map_or(Ok(Quoter::Engine), |given| {
                let name = text("strategy", &given)?;
                guard(|| Quoter::named(&name))
            })?;
            guard(|| py.detach(|| run.play_ours(quoter, &mut progress)))?
        }
    }?;
    let wall_s = monotonic_s(py)? - begun_s;
    let instrument = &run.settings.asset.instrument;
    let watched = WatchedAccount { watch: &output.watch, instrument };
    let result = PyBacktestResult::new(py, &output.backtest, Some(&watched), wall_s)?;
    Ok((result, session_columns(py, &output.session)?))
}

struct Run {
    preset: MarketPreset,
    config: EngineConfig,
    settings: MatchedSettings,
}

impl Run {
    /// The run of a strategy of ours; it calls back into Python only to tell how far it is.
    fn play_ours(&self, quoter: Quoter, progress: &mut Progress) -> Result<Result<MatchedOutput, Ended>, Error> {
        let failure = Cell::new(None);
        let mut tell = |share: f64| keep(&failure, Python::attach(|py| progress.tell(py, share)));
        let inner = quoter.strategy(&self.preset.instrument()?, &self.config)?;
        Ok(self.play(&mut Watched { inner, failure: &failure }, &failure, &mut tell))
    }

    fn play<S: Strategy<Error = Ended>>(
        &self,
        strategy: &mut S,
        failure: &Cell<Option<PyErr>>,
        tell: &mut dyn FnMut(f64),
    ) -> Result<MatchedOutput, Ended> {
        let output = run_session(&self.preset, &self.config, &self.settings, strategy, tell);
        match failure.take() {
            Some(error) => Err(Ended::Raised(error)),
            None => output,
        }
    }
}

/// Nanoseconds each way and of the feed, or three numbers.
fn latency_of(given: &Bound<'_, PyAny>) -> PyResult<LatencyModel> {
    if let Ok(three) = given.cast::<PyTuple>() {
        if three.len() != 3 {
            return Err(invalid_input("latency", given, LATENCY, ""));
        }
        let way = |field: &str, place: usize| time_ns(field, &three.get_item(place)?);
        return Ok(LatencyModel::constant(way("order_ns", 0)?, way("acknowledge_ns", 1)?, way("feed_ns", 2)?));
    }
    let each = time_ns("latency", given)?;
    Ok(LatencyModel::constant(each, each, each))
}
