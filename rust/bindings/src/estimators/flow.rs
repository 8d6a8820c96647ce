//! `DirectionalFlow`.

use hypermm_core::error::{Error, require_positive};
use hypermm_core::estimators::flow::{DirectionalFlow, FlowReading};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyType};
use serde::{Deserialize, Serialize};

use super::{Reduced, in_order, same_length};
use crate::access::{lock, over_rows, read};
use crate::error::guard;
use crate::input::{optional_number, sides, time_ns, times};
use crate::state::{open, seal};
use crate::types::side;

const KIND: u8 = 2;
const COLUMNS: &[(&str, &str)] = &[("time_ns", "times_ns")];

/// Counts with the parameters they were begun with and the last time taken in.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct FlowState {
    flow: DirectionalFlow,
    arrival_rate: f64,
    window_s: f64,
    last_ns: Option<i64>,
}

impl FlowState {
    fn begun(arrival_rate: f64, window_s: f64) -> Result<Self, Error> {
        require_positive("arrival_rate", arrival_rate)?;
        require_positive("window_s", window_s)?;
        Ok(Self { flow: DirectionalFlow::new(arrival_rate, &[window_s]), arrival_rate, window_s, last_ns: None })
    }

    fn reading(&self, now_ns: i64) -> Result<FlowReading, Error> {
        in_order(self.last_ns, now_ns)?;
        Ok(self.flow.reading(0, now_ns))
    }
}

/// Rates of aggressor events by side, bias-corrected from the first second (section 2).
#[pyclass(name = "DirectionalFlow", module = "hypermm._core")]
pub(crate) struct PyDirectionalFlow(FlowState);

impl PyDirectionalFlow {
    fn reading(slf: &Bound<'_, Self>, time_ns: &Bound<'_, PyAny>) -> PyResult<FlowReading> {
        let now = self::time_ns("time_ns", time_ns)?;
        let this = read(slf)?;
        guard(|| this.0.reading(now))
    }
}

#[pymethods]
impl PyDirectionalFlow {
    #[new]
    #[pyo3(signature = (arrival_rate=None, window_s=None), text_signature = "(arrival_rate=0.3, window_s=120.0)")]
    fn __new__(arrival_rate: Option<&Bound<'_, PyAny>>, window_s: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let arrival_rate = optional_number("arrival_rate", arrival_rate)?.unwrap_or(0.3);
        let window_s = optional_number("window_s", window_s)?.unwrap_or(120.0);
        Ok(Self(guard(|| FlowState::begun(arrival_rate, window_s))?))
    }

    /// Counts one aggressor event.
    fn update(slf: &Bound<'_, Self>, time_ns: &Bound<'_, PyAny>, aggressor: &Bound<'_, PyAny>) -> PyResult<()> {
        let now = self::time_ns("time_ns", time_ns)?;
        let aggressor = side("aggressor", aggressor)?;
        let state = &mut lock(slf)?.0;
        guard(|| {
            in_order(state.last_ns, now)?;
            state.flow.update(now, aggressor);
            state.last_ns = Some(now);
            Ok(())
        })
    }

    /// `update` for each row, all or none.
    fn update_many(slf: &Bound<'_, Self>, times_ns: &Bound<'_, PyAny>, aggressors: &Bound<'_, PyAny>) -> PyResult<()> {
        let times_ns = times("times_ns", times_ns)?;
        let aggressors = sides("aggressors", aggressors)?;
        let times_ns: &[i64] = &times_ns;
        let state = &mut lock(slf)?.0;
        over_rows(slf.py(), times_ns.len(), || {
            same_length("aggressors", aggressors.len(), "times_ns", times_ns.len())?;
            let mut last = state.last_ns;
            for (index, now) in times_ns.iter().enumerate() {
                in_order(last, *now).map_err(|error| error.at_index(index, COLUMNS))?;
                last = Some(*now);
            }
            for (now, aggressor) in times_ns.iter().zip(&aggressors) {
                state.flow.update(*now, *aggressor);
            }
            state.last_ns = last;
            Ok(())
        })
    }

    /// (Λ_b: sells hitting bids, Λ_a: buys lifting asks), 1/s.
    fn rates(slf: &Bound<'_, Self>, time_ns: &Bound<'_, PyAny>) -> PyResult<(f64, f64)> {
        Self::reading(slf, time_ns).map(|at| (at.sell_rate, at.buy_rate))
    }

    /// (Λ_b − Λ_a)/(Λ_b + Λ_a), −1 to 1, + when sells dominate.
    fn imbalance(slf: &Bound<'_, Self>, time_ns: &Bound<'_, PyAny>) -> PyResult<f64> {
        Self::reading(slf, time_ns).map(|at| at.imbalance())
    }

    /// |imbalance| above the noise of balanced flow, 0 to 1.
    fn informed_fraction(slf: &Bound<'_, Self>, time_ns: &Bound<'_, PyAny>) -> PyResult<f64> {
        Self::reading(slf, time_ns).map(|at| at.informed_fraction())
    }

    /// One-sided parts of the informed fraction: against our bids, against our asks.
    fn toxicity(slf: &Bound<'_, Self>, time_ns: &Bound<'_, PyAny>) -> PyResult<(f64, f64)> {
        Self::reading(slf, time_ns).map(|at| at.toxicity())
    }

    /// Back to the prior.
    fn reset(slf: &Bound<'_, Self>) -> PyResult<()> {
        let state = &mut lock(slf)?.0;
        *state = guard(|| FlowState::begun(state.arrival_rate, state.window_s))?;
        Ok(())
    }

    /// The state as versioned bytes.
    fn snapshot<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyBytes>> {
        seal(slf.py(), KIND, &read(slf)?.0)
    }

    /// The estimator of a snapshot; `SnapshotError` for foreign or damaged bytes.
    #[classmethod]
    fn restore(_class: &Bound<'_, PyType>, state: &Bound<'_, PyAny>) -> PyResult<Self> {
        open(KIND, "DirectionalFlow", state).map(Self)
    }

    /// An estimator of its own with the same state.
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
