//! What the benchmarks compare with: calls that do nothing, and the core's own time without Python around it.

use std::hint::black_box;

use hypermm_core::pricing::decision::Decision;
use pyo3::prelude::*;

use crate::access::read;
use crate::engine::PyQuoteEngine;
use crate::error::guard;
use crate::input::time_ns;

/// Methods that do nothing but take arguments: what a call costs at least.
#[pyclass(frozen, name = "_Empty", module = "hypermm._core")]
pub(crate) struct PyEmpty;

#[pymethods]
impl PyEmpty {
    #[new]
    fn new() -> Self {
        Self
    }

    fn take_1(&self, _a: &Bound<'_, PyAny>) {}

    fn take_3(&self, _a: &Bound<'_, PyAny>, _b: &Bound<'_, PyAny>, _c: &Bound<'_, PyAny>) {}

    fn take_4(&self, _a: &Bound<'_, PyAny>, _b: &Bound<'_, PyAny>, _c: &Bound<'_, PyAny>, _d: &Bound<'_, PyAny>) {}

    fn take_5(
        &self,
        _a: &Bound<'_, PyAny>,
        _b: &Bound<'_, PyAny>,
        _c: &Bound<'_, PyAny>,
        _d: &Bound<'_, PyAny>,
        _e: &Bound<'_, PyAny>,
    ) {
    }
}

/// Quotes `rounds` times without coming back to Python in between.
#[pyfunction]
pub(crate) fn _quote_in_rust(
    engine: &Bound<'_, PyQuoteEngine>,
    #[pyo3(from_py_with = nanoseconds)] time_ns: i64,
    rounds: u32,
) -> PyResult<()> {
    let this = read(engine)?;
    let mut decision = Decision::default();
    guard(|| {
        for _ in 0..rounds {
            this.engine.quote(black_box(time_ns), &mut decision)?;
            black_box(&decision);
        }
        Ok(())
    })
}

fn nanoseconds(value: &Bound<'_, PyAny>) -> PyResult<i64> {
    time_ns("time_ns", value)
}
