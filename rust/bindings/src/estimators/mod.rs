//! The estimators by themselves, for use inside other bots. Array forms are loops over the single ones, all or
//! nothing.

pub(crate) mod depth_decay;
pub(crate) mod drift;
pub(crate) mod flow;
pub(crate) mod funding;

use hypermm_core::error::{Error, invalid_input, time_order};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// What `__reduce__` of an estimator answers: `restore` and its bytes.
type Reduced<'py> = PyResult<(Bound<'py, PyAny>, (Bound<'py, PyBytes>,))>;

/// Refuses columns of different lengths.
fn same_length(field: &'static str, found: usize, first: &'static str, expected: usize) -> Result<(), Error> {
    if found == expected {
        return Ok(());
    }
    Err(invalid_input(field, format!("{found} rows"), format!("{expected} rows, as many as {first}"), ""))
}

/// Refuses a time before the last one taken in.
fn in_order(last_ns: Option<i64>, now_ns: i64) -> Result<(), Error> {
    match last_ns {
        Some(last) if now_ns < last => Err(time_order("time_ns", now_ns, format!("{last} or later"), "")),
        _ => Ok(()),
    }
}

fn require_non_negative(field: &'static str, value: f64) -> Result<(), Error> {
    if value >= 0.0 && value.is_finite() {
        Ok(())
    } else {
        Err(invalid_input(field, value, "a finite number ≥ 0", ""))
    }
}
