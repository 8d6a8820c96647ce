//! The extension module `hypermm._core`: conversions and exports, one file per layer of the core.

mod config;
mod detach;
mod error;
mod input;
mod instrument;
mod types;

use pyo3::prelude::*;

#[pymodule]
#[pyo3(name = "_core")]
fn core_module(module: &Bound<'_, PyModule>) -> PyResult<()> {
    types::register(module)?;
    module.add_class::<instrument::PyInstrument>()?;
    config::register(module)?;
    module.add_function(wrap_pyfunction!(error::_panic, module)?)
}
