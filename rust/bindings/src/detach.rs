//! The one place that lets other Python threads run: only for array work that takes 10 µs or more.

use hypermm_core::error::Error;
use pyo3::marker::Ungil;
use pyo3::prelude::*;

use crate::error::guard;

/// Rows from which on array work is worth letting the interpreter go.
pub(crate) const WORTH_DETACHING: usize = 512;

/// Runs core code without the interpreter; errors and panics become exceptions of the tree.
pub(crate) fn detached<T: Ungil + Send>(
    py: Python<'_>,
    call: impl FnOnce() -> Result<T, Error> + Ungil + Send,
) -> PyResult<T> {
    guard(|| py.detach(call))
}
