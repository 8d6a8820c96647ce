//! `Decision` and its sides: frozen answers whose arrays are made when they are first asked for.

use std::sync::Arc;

use hypermm_core::config::MAX_LEVELS;
use hypermm_core::error::snapshot_refused;
use hypermm_core::pricing::decision::{Decision, QuoteSide};
use hypermm_core::types::Side;
use numpy::{Element, PyArray1, PyArrayMethods};
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyIterator, PyTuple, PyType};

use crate::error::{guard, invalid_input};
use crate::types::quote_status_member;

/// Columns of a side, in the order of their caches.
const COLUMNS: usize = 7;

/// A quote cycle's answer; frozen, comparable, picklable.
#[pyclass(frozen, name = "Decision", module = "hypermm._core")]
pub(crate) struct PyDecision {
    pub(crate) inner: Arc<Decision>,
    sides: [PyOnceLock<Py<PyQuoteSide>>; 2],
}

impl PyDecision {
    pub(crate) fn new(inner: Arc<Decision>) -> Self {
        Self { inner, sides: [PyOnceLock::new(), PyOnceLock::new()] }
    }

    fn side(&self, py: Python<'_>, side: Side) -> PyResult<Py<PyQuoteSide>> {
        let made = self.sides[side.index()].get_or_try_init(py, || {
            let columns = [const { PyOnceLock::new() }; COLUMNS];
            Py::new(py, PyQuoteSide { decision: Arc::clone(&self.inner), side, columns })
        })?;
        Ok(made.clone_ref(py))
    }
}

#[pymethods]
impl PyDecision {
    /// Time it was made for, ns.
    #[getter]
    fn time_ns(&self) -> i64 {
        self.inner.time_ns
    }

    /// Whether the book could be quoted on.
    #[getter]
    fn status(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        quote_status_member(py, self.inner.status)
    }

    /// Our bids, best (highest) first.
    #[getter]
    fn bids(&self, py: Python<'_>) -> PyResult<Py<PyQuoteSide>> {
        self.side(py, Side::Buy)
    }

    /// Our asks, best (lowest) first.
    #[getter]
    fn asks(&self, py: Python<'_>) -> PyResult<Py<PyQuoteSide>> {
        self.side(py, Side::Sell)
    }

    /// Mid price; 0 without a two-sided book.
    #[getter]
    fn mid_price(&self) -> f64 {
        self.inner.mid_price
    }

    /// mid·(1 + 1e-4·r); 0 without a two-sided book.
    #[getter]
    fn reservation_price(&self) -> f64 {
        self.inner.reservation_price
    }

    /// Inventory at which the quotes would be symmetric, contracts.
    #[getter]
    fn target_inventory(&self) -> f64 {
        self.inner.target_inventory
    }

    /// Drift estimate, bps/s.
    #[getter]
    fn drift_bps_per_s(&self) -> f64 {
        self.inner.drift_bps_per_s
    }

    /// Its posterior variance, (bps/s)².
    #[getter]
    fn drift_variance(&self) -> f64 {
        self.inner.drift_variance
    }

    /// Signed position the ladder was made for, contracts.
    #[getter]
    fn position(&self) -> f64 {
        self.inner.position
    }

    /// Every additive term of the prices of one level, bps of mid, and the price they sum to; under "drift", what each source of the
    /// drift gave to its term.
    #[pyo3(signature = (level=None), text_signature = "($self, level=0)")]
    fn explain<'py>(&self, py: Python<'py>, level: Option<&Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyDict>> {
        const EXPECTED: &str = "a level from 0 to 31";
        let level = match level {
            None => 0,
            Some(given) => {
                let whole = crate::input::integer("level", given, EXPECTED, "")?;
                usize::try_from(whole)
                    .ok()
                    .filter(|level| *level < MAX_LEVELS)
                    .ok_or_else(|| invalid_input("level", given, EXPECTED, ""))?
            }
        };
        let sides = PyDict::new(py);
        for (name, side) in [("bid", Side::Buy), ("ask", Side::Sell)] {
            let terms = PyDict::new(py);
            if let Some(explanation) = guard(|| Ok(self.inner.explain(side, level)))? {
                for (term, bps) in explanation.terms() {
                    terms.set_item(term, bps)?;
                }
                terms.set_item("price", explanation.price)?;
            }
            sides.set_item(name, terms)?;
        }
        let shares = PyDict::new(py);
        if !sides.values().iter().all(|side| side.len().is_ok_and(|terms| terms == 0)) {
            for (source, bps) in self.inner.drift_shares.iter() {
                shares.set_item(source, bps)?;
            }
        }
        sides.set_item("drift", shares)?;
        Ok(sides)
    }

    fn __eq__(&self, other: &Self) -> bool {
        self.inner == other.inner
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let it = &self.inner;
        let status = quote_status_member(py, it.status)?;
        let touch = |side: &QuoteSide| match side.len {
            0 => "none".to_owned(),
            levels => format!("{} x {} ({levels} levels)", side.sizes[0], side.prices[0]),
        };
        Ok(format!(
            "<Decision {} at {} ns: bids {}, asks {}, mid {}, position {}>",
            status.bind(py).getattr("name")?,
            it.time_ns,
            touch(&it.bids),
            touch(&it.asks),
            it.mid_price,
            it.position
        ))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyBytes>,))> {
        let bytes = guard(|| {
            postcard::to_stdvec(&*self.inner)
                .map_err(|error| snapshot_refused("decision", error.to_string(), "a decision that can be written", ""))
        })?;
        Ok((py.get_type::<Self>().getattr("_from_bytes")?, (PyBytes::new(py, &bytes),)))
    }

    #[classmethod]
    fn _from_bytes(_class: &Bound<'_, PyType>, state: &[u8]) -> PyResult<Self> {
        let inner: Decision = guard(|| {
            postcard::from_bytes(state)
                .map_err(|error| snapshot_refused("decision", error.to_string(), "bytes of a pickled Decision", ""))
        })?;
        let sound = inner.bids.len <= MAX_LEVELS && inner.asks.len <= MAX_LEVELS;
        guard(|| match sound {
            true => Ok(Self::new(Arc::new(inner))),
            false => Err(snapshot_refused("decision", "a side too long", "bytes of a pickled Decision", "")),
        })
    }
}

/// One side of a decision, best level first; frozen. Columns have shape ``(len(side),)``.
#[pyclass(frozen, name = "QuoteSide", module = "hypermm._core")]
pub(crate) struct PyQuoteSide {
    decision: Arc<Decision>,
    side: Side,
    columns: [PyOnceLock<Py<PyAny>>; COLUMNS],
}

impl PyQuoteSide {
    #[inline]
    fn levels(&self) -> &QuoteSide {
        match self.side {
            Side::Buy => &self.decision.bids,
            Side::Sell => &self.decision.asks,
        }
    }

    #[inline]
    fn column<T: Element + Copy>(
        &self,
        py: Python<'_>,
        index: usize,
        values: impl FnOnce(&QuoteSide) -> &[T; MAX_LEVELS],
    ) -> Py<PyAny> {
        self.columns[index]
            .get_or_init(py, || frozen_array(py, &values(self.levels())[..self.levels().len]))
            .clone_ref(py)
    }

    fn level(&self, index: usize) -> PyLevel {
        let it = self.levels();
        PyLevel {
            price: it.prices[index],
            size: it.sizes[index],
            depth_bps: it.depth_bps[index],
            fill_probability: it.fill_probability[index],
            expected_edge_bps: it.expected_edge_bps[index],
            expected_pnl_bps: it.expected_pnl_bps[index],
            reduce_only: it.reduce_only[index],
        }
    }
}

/// A read-only NumPy array that owns a copy of `values`.
pub(crate) fn frozen_array<T: Element + Copy>(py: Python<'_>, values: &[T]) -> Py<PyAny> {
    PyArray1::from_slice(py, values).readwrite().make_nonwriteable().as_any().clone().unbind()
}

#[pymethods]
impl PyQuoteSide {
    /// Prices, quote currency, best first.
    #[getter]
    fn prices(&self, py: Python<'_>) -> Py<PyAny> {
        self.column(py, 0, |side| &side.prices)
    }

    /// Sizes, contracts.
    #[getter]
    fn sizes(&self, py: Python<'_>) -> Py<PyAny> {
        self.column(py, 1, |side| &side.sizes)
    }

    /// Distance from mid, bps, + = away from the other side.
    #[getter]
    fn depth_bps(&self, py: Python<'_>) -> Py<PyAny> {
        self.column(py, 2, |side| &side.depth_bps)
    }

    /// Probability of a fill within the order's expected life.
    #[getter]
    fn fill_probability(&self, py: Python<'_>) -> Py<PyAny> {
        self.column(py, 3, |side| &side.fill_probability)
    }

    /// Expected edge over 10 s after costs, bps.
    #[getter]
    fn expected_edge_bps(&self, py: Python<'_>) -> Py<PyAny> {
        self.column(py, 4, |side| &side.expected_edge_bps)
    }

    /// Fill probability times margin after the inventory penalty, bps.
    #[getter]
    fn expected_pnl_bps(&self, py: Python<'_>) -> Py<PyAny> {
        self.column(py, 5, |side| &side.expected_pnl_bps)
    }

    /// True where the cumulative size up to here only closes the position.
    #[getter]
    fn reduce_only(&self, py: Python<'_>) -> Py<PyAny> {
        self.column(py, 6, |side| &side.reduce_only)
    }

    fn __len__(&self) -> usize {
        self.levels().len
    }

    fn __getitem__(&self, index: isize) -> PyResult<PyLevel> {
        let length = self.levels().len as isize;
        let place = if index < 0 { index + length } else { index };
        if place < 0 || place >= length {
            return Err(PyIndexError::new_err("level out of range"));
        }
        Ok(self.level(place.unsigned_abs()))
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        let levels = (0..self.levels().len).map(|index| self.level(index));
        PyTuple::new(py, levels.collect::<Vec<_>>())?.try_iter()
    }

    fn __eq__(&self, other: &Self) -> bool {
        self.levels() == other.levels()
    }

    fn __repr__(&self) -> String {
        let it = self.levels();
        let levels: Vec<_> = (0..it.len).map(|index| format!("{} x {}", it.sizes[index], it.prices[index])).collect();
        format!("<QuoteSide [{}]>", levels.join(", "))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (PyDecision, &'static str))> {
        let name = if self.side == Side::Buy { "bids" } else { "asks" };
        Ok((py.import("builtins")?.getattr("getattr")?, (PyDecision::new(Arc::clone(&self.decision)), name)))
    }
}

/// One level of a side.
#[pyclass(frozen, eq, get_all, name = "Level", module = "hypermm._core")]
#[derive(PartialEq)]
pub(crate) struct PyLevel {
    /// Price, quote currency.
    price: f64,
    /// Size, contracts.
    size: f64,
    /// Distance from mid, bps.
    depth_bps: f64,
    /// Probability of a fill within the order's expected life.
    fill_probability: f64,
    /// Expected edge over 10 s after costs, bps.
    expected_edge_bps: f64,
    /// Fill probability times margin after the inventory penalty, bps.
    expected_pnl_bps: f64,
    /// The cumulative size up to here only closes the position.
    reduce_only: bool,
}

#[pymethods]
impl PyLevel {
    #[new]
    #[pyo3(signature = (price, size, depth_bps, fill_probability, expected_edge_bps, expected_pnl_bps, reduce_only))]
    fn new(
        price: f64,
        size: f64,
        depth_bps: f64,
        fill_probability: f64,
        expected_edge_bps: f64,
        expected_pnl_bps: f64,
        reduce_only: bool,
    ) -> Self {
        Self { price, size, depth_bps, fill_probability, expected_edge_bps, expected_pnl_bps, reduce_only }
    }

    fn __getnewargs__(&self) -> (f64, f64, f64, f64, f64, f64, bool) {
        (
            self.price,
            self.size,
            self.depth_bps,
            self.fill_probability,
            self.expected_edge_bps,
            self.expected_pnl_bps,
            self.reduce_only,
        )
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        self.__getnewargs__().into_pyobject(py)?.hash()
    }

    fn __repr__(&self) -> String {
        let reduce_only = if self.reduce_only { "True" } else { "False" };
        format!(
            "Level(price={:?}, size={:?}, depth_bps={:?}, fill_probability={:?}, expected_edge_bps={:?}, \
             expected_pnl_bps={:?}, reduce_only={reduce_only})",
            self.price, self.size, self.depth_bps, self.fill_probability, self.expected_edge_bps, self.expected_pnl_bps
        )
    }
}
