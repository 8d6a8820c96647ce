//! `MarketPreset`: a synthetic market by name.

use hypermm_simulation::market::preset::MarketPreset;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::error::guard;
use crate::input::text;
use crate::instrument::PyInstrument;

/// A synthetic market by name, for `matching_session`; frozen.
#[pyclass(frozen, eq, name = "MarketPreset", module = "hypermm._core")]
#[derive(Clone, PartialEq)]
pub(crate) struct PyMarketPreset {
    pub(crate) inner: MarketPreset,
}

#[pymethods]
impl PyMarketPreset {
    #[new]
    #[pyo3(signature = (name), text_signature = "(name)")]
    fn new(name: &Bound<'_, PyAny>) -> PyResult<Self> {
        let name = text("preset", name)?;
        guard(|| MarketPreset::named(&name)).map(|inner| Self { inner })
    }

    /// Every name there is.
    #[staticmethod]
    fn names(py: Python<'_>) -> PyResult<Bound<'_, PyTuple>> {
        PyTuple::new(py, MarketPreset::ALL.iter().map(|preset| preset.name))
    }

    /// Name.
    #[getter]
    fn name(&self) -> &'static str {
        self.inner.name
    }

    /// What it is like, in a line.
    #[getter]
    fn text(&self) -> &'static str {
        self.inner.text
    }

    /// The contract.
    #[getter]
    fn instrument(&self) -> PyResult<PyInstrument> {
        guard(|| self.inner.instrument()).map(|inner| PyInstrument { inner })
    }

    /// First fair price, quote currency.
    #[getter]
    fn start_price(&self) -> f64 {
        self.inner.parameters.start_price
    }

    /// What a maker pays, bps.
    #[getter]
    fn maker_fee_bps(&self) -> f64 {
        self.inner.maker_fee_bps
    }

    /// What a taker pays, bps.
    #[getter]
    fn taker_fee_bps(&self) -> f64 {
        self.inner.taker_fee_bps
    }

    fn __repr__(&self) -> String {
        format!("MarketPreset('{}')", self.inner.name)
    }

    fn __getnewargs__(&self) -> (&'static str,) {
        (self.inner.name,)
    }
}
