//! The estimators by themselves, for use inside other bots: `DriftFilter`, `DirectionalFlow`, `DepthDecay`,
//! `FundingForecast`. Array forms are loops over the single ones, all or nothing.

use hypermm_core::error::{Error, invalid_input, require_finite, require_positive, time_order};
use hypermm_core::estimators::depth_decay::DepthDecay;
use hypermm_core::estimators::drift::DriftFilter;
use hypermm_core::estimators::flow::{DirectionalFlow, FlowReading};
use hypermm_core::estimators::funding::FundingForecast;
use hypermm_core::estimators::fusion::FeatureFusion;
use numpy::{PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyType};
use serde::{Deserialize, Serialize};

use crate::access::{lock, over_rows, read};
use crate::engine::state_bytes;
use crate::error::{guard, invalid_input as refuse_argument};
use crate::input::{Column, flag, flags, floats, number, optional_number, optional_time_ns, sides, text, time_ns, times};
use crate::state::{open, seal};
use crate::types::side;

/// Refuses columns of different lengths.
pub(crate) fn same_length(field: &'static str, found: usize, first: &'static str, expected: usize) -> Result<(), Error> {
    if found == expected {
        return Ok(());
    }
    Err(invalid_input(field, format!("{found} rows"), format!("{expected} rows, as many as {first}"), ""))
}

/// Refuses a time before the last one taken in.
fn in_order(last_ns: Option<i64>, now_ns: i64) -> Result<(), Error> {
    match last_ns {
        Some(last) if now_ns < last => Err(time_order("time_ns", now_ns, format!("{last} or later"), "")),
        _ => Ok(()),
    }
}

fn require_non_negative(field: &'static str, value: f64) -> Result<(), Error> {
    if value >= 0.0 && value.is_finite() { Ok(()) } else { Err(invalid_input(field, value, "a finite number ≥ 0", "")) }
}

const DRIFT_FILTER: u8 = 1;
const DIRECTIONAL_FLOW: u8 = 2;
const DEPTH_DECAY: u8 = 3;
const FUNDING_FORECAST: u8 = 4;

type Reduced<'py> = PyResult<(Bound<'py, PyAny>, (Bound<'py, PyBytes>,))>;

/// The filter with the whitening of its features.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct DriftState {
    filter: DriftFilter,
    fusion: FeatureFusion,
}

#[pyclass(name = "DriftFilter", module = "hypermm._core")]
pub(crate) struct PyDriftFilter(DriftState);

#[pymethods]
impl PyDriftFilter {
    #[new]
    #[pyo3(signature = (mean_reversion_per_s=None, drift_deviation_bps_per_s=None),
           text_signature = "(mean_reversion_per_s=0.02, drift_deviation_bps_per_s=0.075)")]
    fn __new__(
        mean_reversion_per_s: Option<&Bound<'_, PyAny>>,
        drift_deviation_bps_per_s: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let reversion = optional_number("mean_reversion_per_s", mean_reversion_per_s)?.unwrap_or(0.02);
        let deviation = optional_number("drift_deviation_bps_per_s", drift_deviation_bps_per_s)?.unwrap_or(0.075);
        let filter = guard(|| DriftFilter::new(reversion, deviation))?;
        Ok(Self(DriftState { filter, fusion: FeatureFusion::default() }))
    }

    fn predict(slf: &Bound<'_, Self>, time_ns: &Bound<'_, PyAny>) -> PyResult<()> {
        let now = self::time_ns("time_ns", time_ns)?;
        let filter = &mut lock(slf)?.0.filter;
        guard(|| filter.predict(now))
    }

    #[pyo3(signature = (time_ns, drift_bps_per_s, variance, *, name=None),
           text_signature = "($self, time_ns, drift_bps_per_s, variance, *, name='external')")]
    fn observe(
        slf: &Bound<'_, Self>,
        time_ns: &Bound<'_, PyAny>,
        drift_bps_per_s: &Bound<'_, PyAny>,
        variance: &Bound<'_, PyAny>,
        name: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let now = self::time_ns("time_ns", time_ns)?;
        let drift = number("drift_bps_per_s", drift_bps_per_s)?;
        let variance = number("variance", variance)?;
        let name = name.map(|given| text("name", given)).transpose()?;
        let filter = &mut lock(slf)?.0.filter;
        guard(|| filter.observe(now, drift, variance, name.as_deref().unwrap_or("external")))
    }

    #[pyo3(signature = (times_ns, drifts, variances, *, name=None),
           text_signature = "($self, times_ns, drifts, variances, *, name='external')")]
    fn observe_many(
        slf: &Bound<'_, Self>,
        times_ns: &Bound<'_, PyAny>,
        drifts: &Bound<'_, PyAny>,
        variances: &Bound<'_, PyAny>,
        name: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let times_ns = times("times_ns", times_ns)?;
        let drifts = floats("drifts", drifts)?;
        let variances = floats("variances", variances)?;
        let name = name.map(|given| text("name", given)).transpose()?;
        let name = name.as_deref().unwrap_or("external");
        let (times_ns, drifts, variances): (&[i64], &[f64], &[f64]) = (&times_ns, &drifts, &variances);
        let filter = &mut lock(slf)?.0.filter;
        over_rows(slf.py(), times_ns.len(), || {
            same_length("drifts", drifts.len(), "times_ns", times_ns.len())?;
            same_length("variances", variances.len(), "times_ns", times_ns.len())?;
            let mut next = filter.clone();
            for ((now, drift), variance) in times_ns.iter().zip(drifts).zip(variances) {
                next.observe(*now, *drift, *variance, name)?;
            }
            *filter = next;
            Ok(())
        })
    }

    #[pyo3(signature = (time_ns, values, covariance, noise_memory_s, *, name=None),
           text_signature = "($self, time_ns, values, covariance, noise_memory_s, *, name='features')")]
    fn observe_features(
        slf: &Bound<'_, Self>,
        time_ns: &Bound<'_, PyAny>,
        values: &Bound<'_, PyAny>,
        covariance: &Bound<'_, PyAny>,
        noise_memory_s: &Bound<'_, PyAny>,
        name: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let now = self::time_ns("time_ns", time_ns)?;
        let values = floats("values", values)?;
        let covariance = square("covariance", covariance)?;
        let memory_s = floats("noise_memory_s", noise_memory_s)?;
        let name = name.map(|given| text("name", given)).transpose()?;
        let state = &mut lock(slf)?.0;
        guard(|| {
            let mut next = state.clone();
            let DriftState { filter, fusion } = &mut next;
            match fusion.fuse(filter, now, &values, &covariance, &memory_s)? {
                Some((drift, variance)) => filter.observe(now, drift, variance, name.as_deref().unwrap_or("features"))?,
                None => filter.predict(now)?,
            }
            *state = next;
            Ok(())
        })
    }

    /// μ̂, bps/s.
    #[getter]
    fn mean(slf: &Bound<'_, Self>) -> PyResult<f64> {
        Ok(read(slf)?.0.filter.mean())
    }

    /// P, (bps/s)².
    #[getter]
    fn variance(slf: &Bound<'_, Self>) -> PyResult<f64> {
        Ok(read(slf)?.0.filter.variance())
    }

    /// P∞, (bps/s)².
    #[getter]
    fn stationary_variance(slf: &Bound<'_, Self>) -> PyResult<f64> {
        Ok(read(slf)?.0.filter.stationary_variance())
    }

    /// Time the posterior stands at; None before the first step.
    #[getter]
    fn time_ns(slf: &Bound<'_, Self>) -> PyResult<Option<i64>> {
        Ok(read(slf)?.0.filter.time_ns())
    }

    /// Sum of the sources' log-likelihoods.
    #[getter]
    fn log_likelihood(slf: &Bound<'_, Self>) -> PyResult<f64> {
        Ok(read(slf)?.0.filter.log_likelihood())
    }

    /// Innovation statistics by source.
    #[getter]
    fn innovations<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyDict>> {
        let by_source = PyDict::new(slf.py());
        for source in read(slf)?.0.filter.innovations() {
            let row = PyDict::new(slf.py());
            row.set_item("count", source.count())?;
            row.set_item("mean", source.mean())?;
            row.set_item("nis", source.normalized_square())?;
            row.set_item("log_likelihood", source.log_likelihood())?;
            by_source.set_item(&*source.name, row)?;
        }
        Ok(by_source)
    }

    fn displacement(slf: &Bound<'_, Self>, horizon_s: &Bound<'_, PyAny>) -> PyResult<f64> {
        let horizon = number("horizon_s", horizon_s)?;
        let this = read(slf)?;
        guard(|| require_non_negative("horizon_s", horizon).map(|()| this.0.filter.displacement(horizon)))
    }

    fn displacement_variance(
        slf: &Bound<'_, Self>,
        horizon_s: &Bound<'_, PyAny>,
        volatility: &Bound<'_, PyAny>,
    ) -> PyResult<f64> {
        let horizon = number("horizon_s", horizon_s)?;
        let volatility = number("volatility", volatility)?;
        let this = read(slf)?;
        guard(|| {
            require_non_negative("horizon_s", horizon)?;
            require_non_negative("volatility", volatility)?;
            Ok(this.0.filter.displacement_variance(horizon, volatility))
        })
    }

    fn reset(slf: &Bound<'_, Self>) -> PyResult<()> {
        let state = &mut lock(slf)?.0;
        state.filter.reset();
        state.fusion.reset();
        Ok(())
    }

    fn snapshot<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyBytes>> {
        let this = read(slf)?;
        Ok(PyBytes::new(slf.py(), &guard(|| seal(DRIFT_FILTER, &this.0))?))
    }

    #[classmethod]
    fn restore(_class: &Bound<'_, PyType>, state: &Bound<'_, PyAny>) -> PyResult<Self> {
        let bytes = state_bytes(state)?;
        Ok(Self(guard(|| open(DRIFT_FILTER, "DriftFilter", bytes))?))
    }

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

/// A square matrix, row by row.
fn square(field: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<f64>> {
    let refuse = || refuse_argument(field, value, "a square matrix of numbers", "");
    let py = value.py();
    let array = py.import("numpy")?.call_method1("asarray", (value,)).map_err(|_| refuse())?;
    let kind: String = array.getattr("dtype")?.getattr("kind")?.extract()?;
    if !"fiu".contains(&kind) {
        return Err(refuse());
    }
    let matrix = array.call_method1("astype", ("float64",))?;
    let matrix = matrix.extract::<PyReadonlyArray2<'_, f64>>().map_err(|_| refuse())?;
    if matrix.shape()[0] != matrix.shape()[1] {
        return Err(refuse());
    }
    Ok(matrix.as_array().iter().copied().collect())
}

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

    fn update_many(slf: &Bound<'_, Self>, times_ns: &Bound<'_, PyAny>, aggressors: &Bound<'_, PyAny>) -> PyResult<()> {
        let times_ns = times("times_ns", times_ns)?;
        let aggressors = sides("aggressors", aggressors)?;
        let times_ns: &[i64] = &times_ns;
        let state = &mut lock(slf)?.0;
        over_rows(slf.py(), times_ns.len(), || {
            same_length("aggressors", aggressors.len(), "times_ns", times_ns.len())?;
            let mut last = state.last_ns;
            for now in times_ns {
                in_order(last, *now)?;
                last = Some(*now);
            }
            for (now, aggressor) in times_ns.iter().zip(&aggressors) {
                state.flow.update(*now, *aggressor);
            }
            state.last_ns = last;
            Ok(())
        })
    }

    fn rates(slf: &Bound<'_, Self>, time_ns: &Bound<'_, PyAny>) -> PyResult<(f64, f64)> {
        Self::reading(slf, time_ns).map(|at| (at.sell_rate, at.buy_rate))
    }

    fn imbalance(slf: &Bound<'_, Self>, time_ns: &Bound<'_, PyAny>) -> PyResult<f64> {
        Self::reading(slf, time_ns).map(|at| at.imbalance())
    }

    fn informed_fraction(slf: &Bound<'_, Self>, time_ns: &Bound<'_, PyAny>) -> PyResult<f64> {
        Self::reading(slf, time_ns).map(|at| at.informed_fraction())
    }

    fn toxicity(slf: &Bound<'_, Self>, time_ns: &Bound<'_, PyAny>) -> PyResult<(f64, f64)> {
        Self::reading(slf, time_ns).map(|at| at.toxicity())
    }

    fn reset(slf: &Bound<'_, Self>) -> PyResult<()> {
        let state = &mut lock(slf)?.0;
        *state = guard(|| FlowState::begun(state.arrival_rate, state.window_s))?;
        Ok(())
    }

    fn snapshot<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyBytes>> {
        let this = read(slf)?;
        Ok(PyBytes::new(slf.py(), &guard(|| seal(DIRECTIONAL_FLOW, &this.0))?))
    }

    #[classmethod]
    fn restore(_class: &Bound<'_, PyType>, state: &Bound<'_, PyAny>) -> PyResult<Self> {
        let bytes = state_bytes(state)?;
        Ok(Self(guard(|| open(DIRECTIONAL_FLOW, "DirectionalFlow", bytes))?))
    }

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

/// Posterior of one side with the parameters it was begun with and the last time taken in.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct DecayState {
    posterior: DepthDecay,
    priors: [f64; 3],
    last_ns: Option<i64>,
}

impl DecayState {
    fn begun(priors: [f64; 3]) -> Result<Self, Error> {
        require_positive("depth_decay", priors[0])?;
        require_positive("arrival_rate", priors[1])?;
        require_positive("half_life_s", priors[2])?;
        Ok(Self { posterior: DepthDecay::new(priors[0], priors[1], priors[2]), priors, last_ns: None })
    }

    fn update(&mut self, now_ns: i64, reach_bps: f64, threshold_bps: f64, censored: bool) -> Result<(), Error> {
        require_finite("reach_bps", reach_bps)?;
        require_non_negative("threshold_bps", threshold_bps)?;
        in_order(self.last_ns, now_ns)?;
        self.posterior.update(now_ns, reach_bps, threshold_bps, censored);
        self.last_ns = Some(now_ns);
        Ok(())
    }
}

#[pyclass(name = "DepthDecay", module = "hypermm._core")]
pub(crate) struct PyDepthDecay(DecayState);

#[pymethods]
impl PyDepthDecay {
    #[new]
    #[pyo3(signature = (depth_decay=None, arrival_rate=None, half_life_s=None),
           text_signature = "(depth_decay=0.5, arrival_rate=0.3, half_life_s=3600.0)")]
    fn __new__(
        depth_decay: Option<&Bound<'_, PyAny>>,
        arrival_rate: Option<&Bound<'_, PyAny>>,
        half_life_s: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let depth_decay = optional_number("depth_decay", depth_decay)?.unwrap_or(0.5);
        let arrival_rate = optional_number("arrival_rate", arrival_rate)?.unwrap_or(0.3);
        let half_life_s = optional_number("half_life_s", half_life_s)?.unwrap_or(3600.0);
        Ok(Self(guard(|| DecayState::begun([depth_decay, arrival_rate, half_life_s]))?))
    }

    #[pyo3(signature = (time_ns, reach_bps, threshold_bps, *, censored=None),
           text_signature = "($self, time_ns, reach_bps, threshold_bps, *, censored=False)")]
    fn update(
        slf: &Bound<'_, Self>,
        time_ns: &Bound<'_, PyAny>,
        reach_bps: &Bound<'_, PyAny>,
        threshold_bps: &Bound<'_, PyAny>,
        censored: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let now = self::time_ns("time_ns", time_ns)?;
        let reach = number("reach_bps", reach_bps)?;
        let threshold = number("threshold_bps", threshold_bps)?;
        let censored = censored.map_or(Ok(false), |given| flag("censored", given))?;
        let state = &mut lock(slf)?.0;
        guard(|| state.update(now, reach, threshold, censored))
    }

    /// `threshold_bps` is one number for all events, or one for each.
    #[pyo3(signature = (times_ns, reaches_bps, threshold_bps, censored=None))]
    fn update_many(
        slf: &Bound<'_, Self>,
        times_ns: &Bound<'_, PyAny>,
        reaches_bps: &Bound<'_, PyAny>,
        threshold_bps: &Bound<'_, PyAny>,
        censored: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let times_ns = times("times_ns", times_ns)?;
        let reaches = floats("reaches_bps", reaches_bps)?;
        let thresholds = match number("threshold_bps", threshold_bps) {
            Ok(one) => Column::Owned(vec![one; times_ns.len()]),
            Err(_) => floats("threshold_bps", threshold_bps)?,
        };
        let censored = match censored {
            Some(given) => flags("censored", given)?,
            None => Column::Owned(vec![false; times_ns.len()]),
        };
        let (times_ns, reaches, thresholds, censored): (&[i64], &[f64], &[f64], &[bool]) =
            (&times_ns, &reaches, &thresholds, &censored);
        let state = &mut lock(slf)?.0;
        over_rows(slf.py(), times_ns.len(), || {
            same_length("reaches_bps", reaches.len(), "times_ns", times_ns.len())?;
            same_length("threshold_bps", thresholds.len(), "times_ns", times_ns.len())?;
            same_length("censored", censored.len(), "times_ns", times_ns.len())?;
            let mut next = state.clone();
            for index in 0..times_ns.len() {
                next.update(times_ns[index], reaches[index], thresholds[index], censored[index])?;
            }
            *state = next;
            Ok(())
        })
    }

    /// k, 1/bps.
    #[getter]
    fn depth_decay(slf: &Bound<'_, Self>) -> PyResult<f64> {
        Ok(read(slf)?.0.posterior.decay())
    }

    /// 0.41 with the prior alone, towards 1 with evidence.
    #[getter]
    fn confidence(slf: &Bound<'_, Self>) -> PyResult<f64> {
        Ok(read(slf)?.0.posterior.confidence())
    }

    fn rate(slf: &Bound<'_, Self>, time_ns: &Bound<'_, PyAny>) -> PyResult<f64> {
        let now = self::time_ns("time_ns", time_ns)?;
        let this = read(slf)?;
        guard(|| in_order(this.0.last_ns, now).map(|()| this.0.posterior.rate(now)))
    }

    fn intensity_at_mid(slf: &Bound<'_, Self>, time_ns: &Bound<'_, PyAny>) -> PyResult<f64> {
        let now = self::time_ns("time_ns", time_ns)?;
        let this = read(slf)?;
        guard(|| in_order(this.0.last_ns, now).map(|()| this.0.posterior.intensity_at_mid(now)))
    }

    fn reset(slf: &Bound<'_, Self>) -> PyResult<()> {
        let state = &mut lock(slf)?.0;
        *state = guard(|| DecayState::begun(state.priors))?;
        Ok(())
    }

    fn snapshot<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyBytes>> {
        let this = read(slf)?;
        Ok(PyBytes::new(slf.py(), &guard(|| seal(DEPTH_DECAY, &this.0))?))
    }

    #[classmethod]
    fn restore(_class: &Bound<'_, PyType>, state: &Bound<'_, PyAny>) -> PyResult<Self> {
        let bytes = state_bytes(state)?;
        Ok(Self(guard(|| open(DEPTH_DECAY, "DepthDecay", bytes))?))
    }

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

/// Forecast with the last time taken in.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct FundingState {
    forecast: FundingForecast,
    interval_s: f64,
    last_ns: Option<i64>,
}

impl FundingState {
    fn begun(interval_s: f64) -> Result<Self, Error> {
        if !(interval_s >= 1.0 && interval_s <= 1e9) {
            return Err(invalid_input("interval_s", interval_s, "1 to 1e9 seconds", ""));
        }
        Ok(Self { forecast: FundingForecast::new(interval_s), interval_s, last_ns: None })
    }
}

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
            rate.map_or(Ok(()), |value| require_finite("funding_rate", value))?;
            predicted.map_or(Ok(()), |value| require_finite("predicted_funding", value))?;
            state.forecast.update(now, rate, predicted, next);
            state.last_ns = Some(now);
            Ok(())
        })
    }

    fn forecast_bps(slf: &Bound<'_, Self>, time_ns: &Bound<'_, PyAny>) -> PyResult<f64> {
        Self::at(slf, time_ns, |forecast, now| Ok(forecast.forecast_bps(now)))
    }

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

    fn reset(slf: &Bound<'_, Self>) -> PyResult<()> {
        let state = &mut lock(slf)?.0;
        *state = guard(|| FundingState::begun(state.interval_s))?;
        Ok(())
    }

    fn snapshot<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyBytes>> {
        let this = read(slf)?;
        Ok(PyBytes::new(slf.py(), &guard(|| seal(FUNDING_FORECAST, &this.0))?))
    }

    #[classmethod]
    fn restore(_class: &Bound<'_, PyType>, state: &Bound<'_, PyAny>) -> PyResult<Self> {
        let bytes = state_bytes(state)?;
        Ok(Self(guard(|| open(FUNDING_FORECAST, "FundingForecast", bytes))?))
    }

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
