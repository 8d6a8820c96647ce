//! How far a run is, told to Python; and Ctrl-C, heard by the way.

use std::cell::Cell;
use std::num::NonZero;
use std::ops::Range;
use std::thread::available_parallelism;

use hypermm_core::error::Error;
use pyo3::marker::Ungil;
use pyo3::prelude::*;

use crate::error::{guard, invalid_input};

/// Seeds of a chunk for each core: Ctrl-C is heard between chunks.
const SEEDS_PER_CORE: u64 = 4;
/// Least time between two calls of the progress function, s.
const PROGRESS_INTERVAL_S: f64 = 0.05;

/// Tells a Python function how far the run is, at most twenty times a second.
pub(crate) struct Progress {
    function: Option<Py<PyAny>>,
    total: u64,
    last_s: f64,
}

impl Progress {
    /// `total` is what the function is told for all of it.
    pub(crate) fn new(function: Option<Bound<'_, PyAny>>, total: u64) -> PyResult<Self> {
        if let Some(function) = function.as_ref().filter(|given| !given.is_callable()) {
            return Err(invalid_input("progress", function, "a callable progress(done, total)", ""));
        }
        Ok(Self { function: function.map(Bound::unbind), total, last_s: f64::NEG_INFINITY })
    }

    pub(crate) fn tell(&mut self, py: Python<'_>, share: f64) -> PyResult<()> {
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

/// The rows of `count` seeds from `first` on, run in chunks without the interpreter.
pub(crate) fn over_seeds<T: Send>(
    py: Python<'_>,
    progress: Option<Bound<'_, PyAny>>,
    first: u64,
    count: u64,
    run: impl Fn(Range<u64>) -> Result<Vec<T>, Error> + Ungil + Sync,
) -> PyResult<Vec<T>> {
    let mut progress = Progress::new(progress, count)?;
    let chunk = SEEDS_PER_CORE * available_parallelism().map_or(1, NonZero::get) as u64;
    let mut rows = Vec::with_capacity(count as usize);
    for begin in (0..count).step_by(chunk as usize) {
        progress.tell(py, begin as f64 / count as f64)?;
        let seeds = first + begin..first + count.min(begin + chunk);
        rows.extend(guard(|| py.detach(|| run(seeds)))?);
    }
    progress.tell(py, 1.0)?;
    Ok(rows)
}

/// Python's monotonic clock: it paces the progress function and times the run, and decides nothing.
pub(crate) fn monotonic_s(py: Python<'_>) -> PyResult<f64> {
    py.import("time")?.getattr("perf_counter")?.call0()?.extract()
}

/// Keeps the first failure of the progress function until the strategy can end the run with it.
pub(crate) fn keep(failure: &Cell<Option<PyErr>>, told: PyResult<()>) {
    if let Err(error) = told {
        failure.set(Some(failure.take().unwrap_or(error)));
    }
}
