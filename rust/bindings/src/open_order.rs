//! `OpenOrder`: one order of ours as the engine knows it.

use hypermm_core::instrument::Instrument;
use hypermm_core::state::own_orders::OwnOrder;
use pyo3::prelude::*;

use crate::input::identifier_object;
use crate::types::{order_status_member, side_member};

/// One order of ours that is not known to be dead.
#[pyclass(frozen, eq, name = "OpenOrder", module = "hypermm._core")]
#[derive(PartialEq)]
pub(crate) struct PyOpenOrder {
    order: OwnOrder,
    price: f64,
    remaining_size: f64,
}

impl PyOpenOrder {
    pub(crate) fn new(order: &OwnOrder, instrument: &Instrument) -> Self {
        Self {
            order: order.clone(),
            price: instrument.price_to_f64(order.price),
            remaining_size: instrument.lots_to_f64(order.remaining),
        }
    }
}

#[pymethods]
impl PyOpenOrder {
    /// Our name for it, as it was given.
    #[getter]
    fn order_id(&self, py: Python<'_>) -> Py<PyAny> {
        identifier_object(py, &self.order.id)
    }

    /// Its state.
    #[getter]
    fn status(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        order_status_member(py, self.order.status)
    }

    /// Its side.
    #[getter]
    fn side(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        side_member(py, self.order.side)
    }

    /// Its limit price, quote currency.
    #[getter]
    fn price(&self) -> f64 {
        self.price
    }

    /// What can still fill, contracts.
    #[getter]
    fn remaining_size(&self) -> f64 {
        self.remaining_size
    }

    /// When the engine first heard of it, ns.
    #[getter]
    fn placed_ns(&self) -> i64 {
        self.order.placed_ns
    }

    /// Size that stands before it at its price, contracts.
    #[getter]
    fn ahead(&self) -> f64 {
        self.order.queue.ahead()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let id = self.order_id(py);
        let (status, side) = (self.status(py)?, self.side(py)?);
        Ok(format!(
            "<OpenOrder {} {} {} {} x {}>",
            id.bind(py).repr()?,
            status.bind(py).getattr("name")?,
            side.bind(py).getattr("name")?,
            self.remaining_size,
            self.price
        ))
    }
}
