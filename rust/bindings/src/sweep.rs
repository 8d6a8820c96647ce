//! `run_sweep`: many configurations over one recording, one summary each.

use std::num::NonZero;
use std::thread::available_parallelism;

use hypermm_core::error::Error;
use hypermm_simulation::backtest::output::Summary;
use hypermm_simulation::backtest::replay::BacktestSettings;
use hypermm_simulation::backtest::sweep::{SweepRun, sweep};
use hypermm_simulation::market::recording::RecordingColumns;
use hypermm_simulation::market::references::ReferenceColumns;
use hypermm_simulation::venue::blocks::BlockSettings;
use hypermm_simulation::venue::latency::Latency;
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::access::over_rows;
use crate::backtest::{fill_model_of, markets_of, timing_of};
use crate::config::config_of;
use crate::error::invalid_input;
use crate::input::{count, seed_of, time_ns};
use crate::instrument::instrument_of;
use crate::progress::Progress;
use crate::recording::HeldColumns;
use crate::result::summary;

/// Plays every configuration under every fill model over the recording; summaries configuration by configuration.
#[pyfunction]
#[pyo3(signature = (recording, instrument, configs, fill_models, *, seed=None, cycle_ns=None, latency=None,
                    threads=None, progress=None, references=None),
       text_signature = "(recording, instrument, configs, fill_models, *, seed=0, cycle_ns=250000000, \
                         latency=(30000000, 30000000), threads=None, progress=None, references=None)")]
#[expect(clippy::too_many_arguments, reason = "what a run depends on, by name")]
pub(crate) fn run_sweep<'py>(
    py: Python<'py>,
    recording: &Bound<'py, PyAny>,
    instrument: &Bound<'py, PyAny>,
    configs: &Bound<'py, PyAny>,
    fill_models: &Bound<'py, PyAny>,
    seed: Option<&Bound<'py, PyAny>>,
    cycle_ns: Option<&Bound<'py, PyAny>>,
    latency: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
    progress: Option<Bound<'py, PyAny>>,
    references: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyList>> {
    let instrument = instrument_of(instrument)?;
    let models = items("fill_models", fill_models)?
        .iter()
        .map(|given| fill_model_of(given, instrument.coin()))
        .collect::<PyResult<Vec<_>>>()?;
    let timings = timings_of(latency, models.len())?;
    let mut runs = Vec::new();
    for config in items("configs", configs)? {
        let config = config_of(&config)?;
        runs.extend(models.iter().zip(&timings).map(|(model, (latency, blocks))| SweepRun {
            config: config.clone(),
            fill_model: *model,
            latency: *latency,
            blocks: blocks.clone(),
        }));
    }
    let settings = BacktestSettings {
        seed: seed.map_or(Ok(0), |given| seed_of("seed", given))?,
        cycle_ns: cycle_ns.map_or(Ok(250_000_000), |given| time_ns("cycle_ns", given))?,
        ..BacktestSettings::default()
    };
    let threads = match threads {
        Some(given) => count("threads", given)? as usize,
        None => available_parallelism().map_or(1, NonZero::get),
    };
    let held = HeldColumns::of(recording)?;
    let markets = markets_of(references)?;
    let others: Vec<_> =
        markets.iter().map(|(name, (time_ns, price))| ReferenceColumns { name, time_ns, price }).collect();
    let columns = RecordingColumns { references: &others, ..held.columns() };
    let mut progress = Progress::new(progress, (columns.len() * runs.len()) as u64)?;
    let mut failure = None;
    let played: Option<Vec<Summary>> = over_rows(py, columns.len() * runs.len(), || -> Result<_, Error> {
        sweep(&columns, &instrument, &runs, &settings, threads, &mut |share| {
            let told = Python::attach(|py| progress.tell(py, share));
            told.map_err(|error| failure = Some(error)).is_ok()
        })
    })?;
    if let Some(error) = failure {
        return Err(error);
    }
    let rows = played.ok_or_else(|| PyKeyboardInterrupt::new_err(()))?;
    PyList::new(py, rows.iter().map(|run| summary(py, run)).collect::<PyResult<Vec<Bound<'py, PyDict>>>>()?)
}

/// The timing of each fill model: one for all, or a list with one for each.
fn timings_of(given: Option<&Bound<'_, PyAny>>, models: usize) -> PyResult<Vec<(Latency, Option<BlockSettings>)>> {
    let Some(given) = given else { return Ok(vec![(Latency::default(), None); models]) };
    let Ok(list) = given.cast::<PyList>() else { return Ok(vec![timing_of(given)?; models]) };
    if list.len() != models {
        return Err(invalid_input("latency", given, "one, or a list with one for each fill model", ""));
    }
    list.iter().map(|each| timing_of(&each)).collect()
}

fn items<'py>(field: &str, given: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let refuse = |_| invalid_input(field, given, "a list or another sequence", "");
    given.try_iter().map_err(refuse)?.collect()
}
