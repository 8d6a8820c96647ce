//! `run_scenario`: a scenario from many seeds, one row each, as columns.

use hypermm_core::config::EngineConfig;
use hypermm_simulation::backtest::quoter::Quoter;
use hypermm_simulation::backtest::scenarios::{ScenarioRow, default_config, run_seeds};
use hypermm_simulation::market::scenario::Scenario;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping};

use crate::config::with_changes;
use crate::decision::frozen_array;
use crate::error::{guard, invalid_input};
use crate::input::{integer, seed_of, text};
use crate::progress::over_seeds;

const MAX_SEEDS: i64 = 1_000_000;

/// Plays a scenario from `seeds` seeds, on all cores.
#[pyfunction]
#[pyo3(signature = (name, *, seeds=None, first_seed=None, strategy=None, engine=None, progress=None),
       text_signature = "(name, *, seeds=200, first_seed=0, strategy='engine', engine=None, progress=None)")]
pub(crate) fn run_scenario<'py>(
    py: Python<'py>,
    name: &Bound<'py, PyAny>,
    seeds: Option<&Bound<'py, PyAny>>,
    first_seed: Option<&Bound<'py, PyAny>>,
    strategy: Option<&Bound<'py, PyAny>>,
    engine: Option<&Bound<'py, PyAny>>,
    progress: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let name = text("scenario", name)?;
    let scenario = guard(|| Scenario::named(&name))?;
    let quoter = strategy.map_or(Ok(Quoter::Engine), |given| {
        let name = text("strategy", given)?;
        guard(|| Quoter::named(&name))
    })?;
    let count = seeds.map_or(Ok(200), seed_count)?;
    let first = first_seed.map_or(Ok(0), |given| seed_of("first_seed", given))?;
    let config = configured(&scenario, quoter, engine)?;
    let run = |seeds| run_seeds(&scenario, scenario.reach, quoter, &config, seeds);
    row_columns(py, &over_seeds(py, progress, first, count, run)?)
}

pub(crate) fn seed_count(given: &Bound<'_, PyAny>) -> PyResult<u64> {
    const EXPECTED: &str = "an integer from 1 to 1000000";
    match integer("seeds", given, EXPECTED, "")? {
        whole @ 1..=MAX_SEEDS => Ok(whole as u64),
        _ => Err(invalid_input("seeds", given, EXPECTED, "")),
    }
}

/// The scenario's defaults with the fields given.
fn configured(scenario: &Scenario, quoter: Quoter, engine: Option<&Bound<'_, PyAny>>) -> PyResult<EngineConfig> {
    let config = guard(|| default_config(scenario, quoter))?;
    let Some(given) = engine else { return Ok(config) };
    let refuse = || invalid_input("engine", given, "a mapping of EngineConfig fields", "such as {\"levels\": 3}");
    let fields = PyDict::new(given.py());
    fields.update(given.cast::<PyMapping>().map_err(|_| refuse())?)?;
    with_changes(config, Some(&fields))
}

fn row_columns<'py>(py: Python<'py>, rows: &[ScenarioRow]) -> PyResult<Bound<'py, PyDict>> {
    let columns = PyDict::new(py);
    let whole = |value: fn(&ScenarioRow) -> u64| frozen_array(py, &rows.iter().map(value).collect::<Vec<_>>());
    columns.set_item("seed", whole(|row| row.seed))?;
    columns.set_item("fills", whole(|row| row.fills))?;
    for (place, (name, _)) in rows.first().map(floats).into_iter().flatten().enumerate() {
        let values: Vec<f64> = rows.iter().map(|row| floats(row)[place].1).collect();
        columns.set_item(name, frozen_array(py, &values))?;
    }
    let killed: Vec<bool> = rows.iter().map(|row| row.killed).collect();
    columns.set_item("killed", frozen_array(py, &killed))?;
    Ok(columns)
}

/// The numbers of a row by name; a field that is new to the row does not compile until it has a column.
fn floats(row: &ScenarioRow) -> [(&'static str, f64); 12] {
    let ScenarioRow {
        seed: _,
        max_long,
        max_short,
        max_with_orders,
        final_position,
        pnl_usd,
        min_pnl_usd,
        fills: _,
        volume_usd,
        depth_bps,
        edge_bps,
        two_sided_share,
        reducing_share,
        reducing_wanted_share,
        killed: _,
    } = *row;
    [
        ("max_long", max_long),
        ("max_short", max_short),
        ("max_with_orders", max_with_orders),
        ("final_position", final_position),
        ("pnl_usd", pnl_usd),
        ("min_pnl_usd", min_pnl_usd),
        ("volume_usd", volume_usd),
        ("depth_bps", depth_bps),
        ("edge_bps", edge_bps),
        ("two_sided_share", two_sided_share),
        ("reducing_share", reducing_share),
        ("reducing_wanted_share", reducing_wanted_share),
    ]
}
