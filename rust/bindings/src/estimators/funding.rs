//! `FundingForecast`.

use hypermm_core::error::{Error, invalid_input, require_positive};
use hypermm_core::event::Context;
use hypermm_core::features::funding::FundingForecast;
use hypermm_core::state::context::ContextState;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyType};
use serde::{Deserialize, Serialize};

use super::{Reduced, in_order};
use crate::access::{lock, read};
use crate::error::guard;
use crate::input::{number, optional_number, optional_time_ns, time_ns};
use crate::state::{open, seal};

const KIND: u8 = 4;

/// Forecast with the last time taken in.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct FundingState {
    forecast: FundingForecast,
    interval_s: f64,
    last_ns: Option<i64>,
}

impl FundingState {
    fn begun(interval_s: f64) -> Result<Self, Error> {
        if !(1.0..=1e9).contains(&interval_s) {
            return Err(invalid_input("interval_s", interval_s, "1 to 1e9 seconds", ""));
        }
        Ok(Self { forecast: FundingForecast::new(interval_s), interval_s, last_ns: None })
    }
}

/// Forecast of the next funding rate and the carry of discrete settlements (section 6).
#[pyclass(name = "FundingForecast", module = "hypermm._core")]
pub(crate) struct PyFundingForecast(FundingState);

impl PyFundingForecast {
    fn at<T>(
        slf: &Bound<'_, Self>,
        time_ns: &Bound<'_, PyAny>,
        value: impl FnOnce(&FundingForecast, i64) -> Result<T, Error>,
    ) -> PyResult<T> {
        let now = self::time_ns("time_ns", time_ns)?;
        let this = read(slf)?;
        guard(|| in_order(this.0.last_ns, now).and_then(|()| value(&this.0.forecast, now)))
    }
}

#[pymethods]
impl PyFundingForecast {
    #[new]
    #[pyo3(signature = (interval_s=None), text_signature = "(interval_s=3600.0)")]
    fn __new__(interval_s: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let interval_s = optional_number("interval_s", interval_s)?.unwrap_or(3600.0);
        Ok(Self(guard(|| FundingState::begun(interval_s))?))
    }

    /// Takes in news; None is no news. Rates are fractions per interval, + = longs pay, at most 1 in size; a settlement
    /// lies after `time_ns`.
    #[pyo3(signature = (time_ns, funding_rate=None, predicted_funding=None, next_settlement_ns=None))]
    fn update(
        slf: &Bound<'_, Self>,
        time_ns: &Bound<'_, PyAny>,
        funding_rate: Option<&Bound<'_, PyAny>>,
        predicted_funding: Option<&Bound<'_, PyAny>>,
        next_settlement_ns: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let now = self::time_ns("time_ns", time_ns)?;
        let rate = optional_number("funding_rate", funding_rate)?;
        let predicted = optional_number("predicted_funding", predicted_funding)?;
        let next = optional_time_ns("next_settlement_ns", next_settlement_ns)?;
        let state = &mut lock(slf)?.0;
        guard(|| {
            in_order(state.last_ns, now)?;
            let context = Context {
                funding_rate: rate,
                predicted_funding: predicted,
                next_settlement_ns: next,
                ..Context::default()
            };
            ContextState::check(now, &context)?;
            state.forecast.update(now, rate, predicted, next);
            state.last_ns = Some(now);
            Ok(())
        })
    }

    /// Forecast f̂ of the rate charged at the next settlement, bps; 0 before any news.
    fn forecast_bps(slf: &Bound<'_, Self>, time_ns: &Bound<'_, PyAny>) -> PyResult<f64> {
        Self::at(slf, time_ns, |forecast, now| Ok(forecast.forecast_bps(now)))
    }

    /// N(τ) = exp(−s/τ)/(1 − exp(−I/τ)): settlements in an exponential holding time of mean `horizon_s`.
    fn expected_settlements(
        slf: &Bound<'_, Self>,
        time_ns: &Bound<'_, PyAny>,
        horizon_s: &Bound<'_, PyAny>,
    ) -> PyResult<f64> {
        let horizon = number("horizon_s", horizon_s)?;
        Self::at(slf, time_ns, |forecast, now| {
            require_positive("horizon_s", horizon).map(|()| forecast.expected_settlements(now, horizon))
        })
    }

    /// C = f̂·N(τ), bps: what holding one more contract costs, negative when it earns.
    fn carry_bps(slf: &Bound<'_, Self>, time_ns: &Bound<'_, PyAny>, horizon_s: &Bound<'_, PyAny>) -> PyResult<f64> {
        let horizon = number("horizon_s", horizon_s)?;
        Self::at(slf, time_ns, |forecast, now| {
            require_positive("horizon_s", horizon).map(|()| forecast.carry_bps(now, horizon))
        })
    }

    /// None while the rate has shown no spread.
    fn z_score(slf: &Bound<'_, Self>, time_ns: &Bound<'_, PyAny>) -> PyResult<Option<f64>> {
        Self::at(slf, time_ns, |forecast, now| Ok(forecast.z_score(now)))
    }

    /// Back to before any news.
    fn reset(slf: &Bound<'_, Self>) -> PyResult<()> {
        let state = &mut lock(slf)?.0;
        *state = guard(|| FundingState::begun(state.interval_s))?;
        Ok(())
    }

    /// The state as versioned bytes.
    fn snapshot<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyBytes>> {
        seal(slf.py(), KIND, &read(slf)?.0)
    }

    /// The forecast of a snapshot; `SnapshotError` for foreign or damaged bytes.
    #[classmethod]
    fn restore(_class: &Bound<'_, PyType>, state: &Bound<'_, PyAny>) -> PyResult<Self> {
        open(KIND, "FundingForecast", state).map(Self)
    }

    /// A forecast of its own with the same state.
    fn copy(slf: &Bound<'_, Self>) -> PyResult<Self> {
        Ok(Self(read(slf)?.0.clone()))
    }

    fn __copy__(slf: &Bound<'_, Self>) -> PyResult<Self> {
        Self::copy(slf)
    }

    fn __deepcopy__(slf: &Bound<'_, Self>, _memo: &Bound<'_, PyAny>) -> PyResult<Self> {
        Self::copy(slf)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> Reduced<'py> {
        Ok((slf.py().get_type::<Self>().getattr("restore")?, (Self::snapshot(slf)?,)))
    }
}
