//! `Instrument`: facts of one contract and its price grid.

use hypermm_core::instrument::Instrument;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::error::{guard, invalid_input};
use crate::input::{count, number, text};

/// Facts of one perpetual contract, as the venue publishes them; frozen.
#[pyclass(frozen, eq, name = "Instrument", module = "hypermm._core")]
#[derive(Clone, PartialEq)]
pub(crate) struct PyInstrument {
    pub(crate) inner: Instrument,
}

#[pymethods]
impl PyInstrument {
    #[new]
    #[pyo3(signature = (coin, size_decimals, max_leverage, *, min_notional=None, funding_interval_s=None),
           text_signature = "(coin, size_decimals, max_leverage, *, min_notional=10.0, funding_interval_s=3600.0)")]
    fn new(
        coin: &Bound<'_, PyAny>,
        size_decimals: &Bound<'_, PyAny>,
        max_leverage: &Bound<'_, PyAny>,
        min_notional: Option<&Bound<'_, PyAny>>,
        funding_interval_s: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let coin = text("coin", coin)?;
        let size_decimals = count("size_decimals", size_decimals)?;
        let max_leverage = count("max_leverage", max_leverage)?;
        let min_notional = min_notional.map_or(Ok(10.0), |value| number("min_notional", value))?;
        let interval = funding_interval_s.map_or(Ok(3600.0), |value| number("funding_interval_s", value))?;
        let inner = guard(|| Instrument::new(&coin, size_decimals, max_leverage, min_notional, interval))?;
        Ok(Self { inner })
    }

    /// Venue symbol.
    #[getter]
    fn coin(&self) -> &str {
        self.inner.coin()
    }

    /// Decimal places of a size.
    #[getter]
    fn size_decimals(&self) -> u32 {
        self.inner.size_decimals()
    }

    /// Largest leverage the venue grants.
    #[getter]
    fn max_leverage(&self) -> u32 {
        self.inner.max_leverage()
    }

    /// Smallest order value, USD.
    #[getter]
    fn min_notional(&self) -> f64 {
        self.inner.min_notional()
    }

    /// Seconds between funding settlements.
    #[getter]
    fn funding_interval_s(&self) -> f64 {
        self.inner.funding_interval_s()
    }

    /// Distance between neighboring valid prices at `price`, quote currency.
    fn price_increment_at(&self, price: &Bound<'_, PyAny>) -> PyResult<f64> {
        let price = number("price", price)?;
        guard(|| self.inner.price_increment_at(price))
    }

    /// The nearest valid price that is not worse for us: down for a buy, up for a sell.
    fn round_price(&self, price: &Bound<'_, PyAny>, side: &Bound<'_, PyAny>) -> PyResult<f64> {
        let price = number("price", price)?;
        let side = crate::types::side("side", side)?;
        guard(|| self.inner.round_price(price, side))
    }

    /// Size rounded down to whole lots, contracts.
    fn round_size(&self, size: &Bound<'_, PyAny>) -> PyResult<f64> {
        let size = number("size", size)?;
        guard(|| self.inner.round_size(size))
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        self.key(py)?.hash()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let coin = PyString::new(py, self.inner.coin()).repr()?;
        let number = |value: f64| pyo3::types::PyFloat::new(py, value).repr();
        Ok(format!(
            "Instrument(coin={coin}, size_decimals={}, max_leverage={}, min_notional={}, funding_interval_s={})",
            self.inner.size_decimals(),
            self.inner.max_leverage(),
            number(self.inner.min_notional())?,
            number(self.inner.funding_interval_s())?,
        ))
    }

    fn __getnewargs_ex__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyTuple>, Bound<'py, PyDict>)> {
        let positional =
            (self.inner.coin(), self.inner.size_decimals(), self.inner.max_leverage()).into_pyobject(py)?;
        let keywords = PyDict::new(py);
        keywords.set_item("min_notional", self.inner.min_notional())?;
        keywords.set_item("funding_interval_s", self.inner.funding_interval_s())?;
        Ok((positional, keywords))
    }

    fn __copy__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __deepcopy__<'py>(slf: Bound<'py, Self>, _memo: &Bound<'py, PyAny>) -> Bound<'py, Self> {
        slf
    }
}

impl PyInstrument {
    fn key<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let it = &self.inner;
        (it.coin(), it.size_decimals(), it.max_leverage(), it.min_notional(), it.funding_interval_s()).into_pyobject(py)
    }
}

/// The facts of an argument that must be an `Instrument`.
pub(crate) fn instrument_of(value: &Bound<'_, PyAny>) -> PyResult<Instrument> {
    match value.cast::<PyInstrument>() {
        Ok(instrument) => Ok(instrument.get().inner.clone()),
        Err(_) => Err(invalid_input("instrument", value, "an Instrument", "")),
    }
}
