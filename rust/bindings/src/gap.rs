//! `paper_gap`: a strategy live at the matching venue, and on the same public feed in each fill model.

use hypermm_simulation::backtest::gap::{GapRow, GapSettings, PaperArm, PublicFeed, run_gaps};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PySequence, PyTuple};

use crate::backtest::{fill_model_of, latency_of};
use crate::config::config_of;
use crate::decision::frozen_array;
use crate::error::invalid_input;
use crate::input::{number, seed_of, text, time_ns};
use crate::preset::preset_of;
use crate::progress::over_seeds;
use crate::scenario::seed_count;

const ARMS: &str = "a sequence of (feed, fill_model, latency)";
const FEEDS: &str = "\"ours_left_out\", \"published\" or \"without_us\"";

/// Plays `seeds` seeds live and in every paper arm, on all cores.
#[pyfunction]
#[pyo3(signature = (preset, config, arms, *, seeds=None, first_seed=None, duration_s=None, cycle_ns=None,
                    progress=None),
       text_signature = "(preset, config, arms, *, seeds=20, first_seed=0, duration_s=3600.0, cycle_ns=250000000, \
                         progress=None)")]
#[expect(clippy::too_many_arguments, reason = "what a run depends on, by name")]
pub(crate) fn paper_gap<'py>(
    py: Python<'py>,
    preset: &Bound<'py, PyAny>,
    config: &Bound<'py, PyAny>,
    arms: &Bound<'py, PyAny>,
    seeds: Option<&Bound<'py, PyAny>>,
    first_seed: Option<&Bound<'py, PyAny>>,
    duration_s: Option<&Bound<'py, PyAny>>,
    cycle_ns: Option<&Bound<'py, PyAny>>,
    progress: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let preset = preset_of(preset)?;
    let arms = arms_of(arms, &preset.coin)?;
    let settings = GapSettings {
        preset,
        config: config_of(config)?,
        duration_s: duration_s.map_or(Ok(3600.0), |given| number("duration_s", given))?,
        cycle_ns: cycle_ns.map_or(Ok(250_000_000), |given| time_ns("cycle_ns", given))?,
        arms,
    };
    let count = seeds.map_or(Ok(20), seed_count)?;
    let first = first_seed.map_or(Ok(0), |given| seed_of("first_seed", given))?;
    columns(py, &over_seeds(py, progress, first, count, |seeds| run_gaps(&settings, seeds))?)
}

fn arms_of(given: &Bound<'_, PyAny>, coin: &str) -> PyResult<Vec<PaperArm>> {
    let refuse = || invalid_input("arms", given, ARMS, "latency None is the live venue's own");
    let sequence = given.cast::<PySequence>().map_err(|_| refuse())?;
    let arms: PyResult<Vec<_>> = sequence
        .try_iter()?
        .map(|arm| {
            let arm = arm?;
            let arm = arm.cast::<PyTuple>().map_err(|_| refuse())?;
            if arm.len() != 3 {
                return Err(refuse());
            }
            let (feed, latency) = (arm.get_item(0)?, arm.get_item(2)?);
            Ok(PaperArm {
                feed: feed_of(&feed)?,
                fill_model: fill_model_of(&arm.get_item(1)?, coin)?,
                latency: if latency.is_none() { None } else { Some(latency_of(&latency)?) },
            })
        })
        .collect();
    arms
}

fn feed_of(given: &Bound<'_, PyAny>) -> PyResult<PublicFeed> {
    match text("feed", given)?.as_str() {
        "ours_left_out" => Ok(PublicFeed::OursLeftOut),
        "published" => Ok(PublicFeed::Published),
        "without_us" => Ok(PublicFeed::WithoutUs),
        _ => Err(invalid_input("feed", given, FEEDS, "")),
    }
}

fn columns<'py>(py: Python<'py>, rows: &[GapRow]) -> PyResult<Bound<'py, PyDict>> {
    let columns = PyDict::new(py);
    let arms: Vec<u32> = rows.iter().map(|row| row.arm).collect();
    columns.set_item("arm", frozen_array(py, &arms))?;
    let whole = |value: fn(&GapRow) -> u64| frozen_array(py, &rows.iter().map(value).collect::<Vec<_>>());
    columns.set_item("seed", whole(|row| row.seed))?;
    columns.set_item("fills", whole(|row| row.fills))?;
    columns.set_item("resolved", whole(|row| row.resolved))?;
    columns.set_item("races", whole(|row| row.races))?;
    columns.set_item("orders_placed", whole(|row| row.orders_placed))?;
    columns.set_item("orders_rejected", whole(|row| row.orders_rejected))?;
    let real = |value: fn(&GapRow) -> f64| frozen_array(py, &rows.iter().map(value).collect::<Vec<_>>());
    columns.set_item("volume_usd", real(|row| row.volume_usd))?;
    columns.set_item("edge_sum_bps", real(|row| row.edge_sum_bps))?;
    columns.set_item("edge_volume", real(|row| row.edge_volume))?;
    columns.set_item("markout_sum_bps", real(|row| row.markout_sum_bps))?;
    columns.set_item("markout_volume", real(|row| row.markout_volume))?;
    columns.set_item("depth_sum_bps", real(|row| row.depth_sum_bps))?;
    columns.set_item("age_sum_s", real(|row| row.age_sum_s))?;
    columns.set_item("pnl_usd", real(|row| row.pnl_usd))?;
    Ok(columns)
}
