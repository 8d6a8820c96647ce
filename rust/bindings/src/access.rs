//! Who may use an object, and the one place that lets other Python threads run.

use hypermm_core::error::Error;
use pyo3::PyClass;
use pyo3::marker::Ungil;
use pyo3::prelude::*;
use pyo3::pyclass::boolean_struct::False;

use crate::error::{busy, guard};

/// Rows from which on array work is worth letting the interpreter go: about 10 µs.
pub(crate) const WORTH_DETACHING: usize = 512;

/// Sole use of an object for one call; a second caller is refused at once, never made to wait.
#[inline]
pub(crate) fn lock<'py, T: PyClass<Frozen = False>>(object: &Bound<'py, T>) -> PyResult<PyRefMut<'py, T>> {
    object.try_borrow_mut().map_err(|_| busy(T::NAME))
}

/// Use of an object for reading.
#[inline]
pub(crate) fn read<'py, T: PyClass>(object: &Bound<'py, T>) -> PyResult<PyRef<'py, T>> {
    object.try_borrow().map_err(|_| busy(T::NAME))
}

/// Runs core code on `rows` rows, without the interpreter where that is worth it: only array work of 10 µs or more.
pub(crate) fn over_rows<T: Ungil + Send>(
    py: Python<'_>,
    rows: usize,
    call: impl FnOnce() -> Result<T, Error> + Ungil + Send,
) -> PyResult<T> {
    if rows < WORTH_DETACHING { guard(call) } else { guard(|| py.detach(call)) }
}
