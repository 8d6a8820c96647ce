//! `DriftFilter`.

use hypermm_core::estimators::drift::{DriftFilter, Innovations};
use hypermm_core::estimators::fusion::FeatureFusion;
use numpy::{PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyType};
use serde::{Deserialize, Serialize};

use super::{Reduced, require_non_negative, same_length};
use crate::access::{lock, over_rows, read};
use crate::decision::frozen_array;
use crate::error::{guard, invalid_input};
use crate::input::{Given, floats, number, optional_number, time_ns, times};
use crate::state::{open, seal};

const KIND: u8 = 1;
const COLUMNS: &[(&str, &str)] = &[("time_ns", "times_ns"), ("drift_bps_per_s", "drifts"), ("variance", "variances")];

/// The filter with the whitening of its features.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct DriftState {
    filter: DriftFilter,
    fusion: FeatureFusion,
}

/// Scalar Kalman filter of an OU drift, exact for any gap between times (section 1).
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

    /// Steps to `time_ns`: mean ← φ·mean, P ← φ²P + P∞(1 − φ²), φ = exp(−κ_μ·dt).
    fn predict(slf: &Bound<'_, Self>, time_ns: &Bound<'_, PyAny>) -> PyResult<()> {
        let now = self::time_ns("time_ns", time_ns)?;
        let filter = &mut lock(slf)?.0.filter;
        guard(|| filter.predict(now))
    }

    /// Steps to `time_ns` and takes in drift = μ + noise; `variance` (bps/s)², above 0.
    #[pyo3(signature = (time_ns, drift_bps_per_s, variance, *, name=Given(None)),
           text_signature = "($self, time_ns, drift_bps_per_s, variance, *, name='external')")]
    fn observe(
        slf: &Bound<'_, Self>,
        time_ns: &Bound<'_, PyAny>,
        drift_bps_per_s: &Bound<'_, PyAny>,
        variance: &Bound<'_, PyAny>,
        name: Given<'_>,
    ) -> PyResult<()> {
        let now = self::time_ns("time_ns", time_ns)?;
        let drift = number("drift_bps_per_s", drift_bps_per_s)?;
        let variance = number("variance", variance)?;
        let name = name.text_or("name", "external")?;
        let filter = &mut lock(slf)?.0.filter;
        guard(|| filter.observe(now, drift, variance, &name))
    }

    /// `observe` for each row of columns of shape (n,), all or none.
    #[pyo3(signature = (times_ns, drifts, variances, *, name=Given(None)),
           text_signature = "($self, times_ns, drifts, variances, *, name='external')")]
    fn observe_many(
        slf: &Bound<'_, Self>,
        times_ns: &Bound<'_, PyAny>,
        drifts: &Bound<'_, PyAny>,
        variances: &Bound<'_, PyAny>,
        name: Given<'_>,
    ) -> PyResult<()> {
        let times_ns = times("times_ns", times_ns)?;
        let drifts = floats("drifts", drifts)?;
        let variances = floats("variances", variances)?;
        let name = name.text_or("name", "external")?;
        let (times_ns, drifts, variances): (&[i64], &[f64], &[f64]) = (&times_ns, &drifts, &variances);
        let filter = &mut lock(slf)?.0.filter;
        over_rows(slf.py(), times_ns.len(), || {
            same_length("drifts", drifts.len(), "times_ns", times_ns.len())?;
            same_length("variances", variances.len(), "times_ns", times_ns.len())?;
            let mut next = filter.clone();
            for (index, ((now, drift), variance)) in times_ns.iter().zip(drifts).zip(variances).enumerate() {
                next.observe(*now, *drift, *variance, &name).map_err(|error| match error.detail().field.as_ref() {
                    "name" => error,
                    _ => error.at_index(index, COLUMNS),
                })?;
            }
            *filter = next;
            Ok(())
        })
    }

    /// Whitens slow, correlated features, fuses them by generalized least squares, takes in the one result.
    #[pyo3(signature = (time_ns, values, covariance, noise_memory_s, *, fresh_noise_share=None, name=Given(None)),
           text_signature = "($self, time_ns, values, covariance, noise_memory_s, *, fresh_noise_share=None, name='features')")]
    #[allow(clippy::too_many_arguments, reason = "each named in Python")]
    fn observe_features(
        slf: &Bound<'_, Self>,
        time_ns: &Bound<'_, PyAny>,
        values: &Bound<'_, PyAny>,
        covariance: &Bound<'_, PyAny>,
        noise_memory_s: &Bound<'_, PyAny>,
        fresh_noise_share: Option<&Bound<'_, PyAny>>,
        name: Given<'_>,
    ) -> PyResult<()> {
        let now = self::time_ns("time_ns", time_ns)?;
        let values = floats("values", values)?;
        let covariance = square("covariance", covariance)?;
        let memory_s = floats("noise_memory_s", noise_memory_s)?;
        let fresh = fresh_noise_share.map(|given| floats("fresh_noise_share", given)).transpose()?;
        let fresh: &[f64] = fresh.as_deref().unwrap_or(&[]);
        let name = name.text_or("name", "features")?;
        let state = &mut lock(slf)?.0;
        guard(|| {
            let mut next = state.clone();
            let DriftState { filter, fusion } = &mut next;
            match fusion.fuse_with_fresh(filter, now, &values, &covariance, &memory_s, fresh)? {
                Some((drift, variance)) => filter.observe(now, drift, variance, &name)?,
                None => filter.predict(now)?,
            }
            *state = next;
            Ok(())
        })
    }

    /// Filters columns in one pass: at each time the direct observation, where there is one, then the fused features.
    #[pyo3(signature = (times_ns, drifts, variances, values, covariance, noise_memory_s, *, noise_factors=None, fresh_noise_share=None))]
    #[allow(clippy::too_many_arguments, reason = "columns, each named in Python")]
    fn filter_columns<'py>(
        slf: &Bound<'py, Self>,
        times_ns: &Bound<'py, PyAny>,
        drifts: &Bound<'py, PyAny>,
        variances: &Bound<'py, PyAny>,
        values: &Bound<'py, PyAny>,
        covariance: &Bound<'py, PyAny>,
        noise_memory_s: &Bound<'py, PyAny>,
        noise_factors: Option<&Bound<'py, PyAny>>,
        fresh_noise_share: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<(Py<PyAny>, Py<PyAny>)> {
        let times_ns = times("times_ns", times_ns)?;
        let drifts = floats("drifts", drifts)?;
        let variances = floats("variances", variances)?;
        let (values, [rows, count]) = matrix("values", values)?;
        let covariance = square("covariance", covariance)?;
        let memory_s = floats("noise_memory_s", noise_memory_s)?;
        let factors = match noise_factors {
            Some(given) => {
                let (factors, shape) = matrix("noise_factors", given)?;
                if shape != [rows, count] || factors.iter().any(|factor| !(*factor > 0.0 && factor.is_finite())) {
                    return Err(invalid_input("noise_factors", given, "numbers above 0 in the shape of values", ""));
                }
                Some(factors)
            }
            None => None,
        };
        let fresh = fresh_noise_share.map(|given| floats("fresh_noise_share", given)).transpose()?;
        let fresh: &[f64] = fresh.as_deref().unwrap_or(&[]);
        let (times_ns, drifts, variances, memory_s): (&[i64], &[f64], &[f64], &[f64]) =
            (&times_ns, &drifts, &variances, &memory_s);
        let state = &mut lock(slf)?.0;
        let (means, posterior) = over_rows(slf.py(), times_ns.len(), || {
            for (name, length) in [("drifts", drifts.len()), ("variances", variances.len()), ("values", rows)] {
                same_length(name, length, "times_ns", times_ns.len())?;
            }
            let mut next = state.clone();
            let DriftState { filter, fusion } = &mut next;
            let (mut means, mut posterior) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
            let mut scaled = covariance.clone();
            for (row, &now) in times_ns.iter().enumerate() {
                filter.predict(now).map_err(|error| error.at_index(row, COLUMNS))?;
                if !drifts[row].is_nan() {
                    filter
                        .observe(now, drifts[row], variances[row], "price")
                        .map_err(|error| error.at_index(row, COLUMNS))?;
                }
                let readings = &values[row * count..(row + 1) * count];
                if readings.iter().any(|value| !value.is_nan()) {
                    if let Some(factors) = &factors {
                        let factors = &factors[row * count..(row + 1) * count];
                        for (place, entry) in scaled.iter_mut().enumerate() {
                            *entry = covariance[place] * (factors[place / count] * factors[place % count]).sqrt();
                        }
                    }
                    if let Some((drift, variance)) =
                        fusion.fuse_with_fresh(filter, now, readings, &scaled, memory_s, fresh)?
                    {
                        filter.observe(now, drift, variance, "features")?;
                    }
                }
                means.push(filter.mean());
                posterior.push(filter.variance());
            }
            *state = next;
            Ok((means, posterior))
        })?;
        Ok((frozen_array(slf.py(), &means), frozen_array(slf.py(), &posterior)))
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
        innovations_by_source(slf.py(), read(slf)?.0.filter.innovations())
    }

    /// Expected displacement μ̂·T(h), bps, T(h) = (1 − exp(−κ_μ·h))/κ_μ.
    fn displacement(slf: &Bound<'_, Self>, horizon_s: &Bound<'_, PyAny>) -> PyResult<f64> {
        let horizon = number("horizon_s", horizon_s)?;
        let this = read(slf)?;
        guard(|| require_non_negative("horizon_s", horizon).map(|()| this.0.filter.displacement(horizon)))
    }

    /// Variance v(h) of the displacement, bps²; `volatility` in bps/√s.
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

    /// Back to the prior.
    fn reset(slf: &Bound<'_, Self>) -> PyResult<()> {
        let state = &mut lock(slf)?.0;
        state.filter.reset();
        state.fusion.reset();
        Ok(())
    }

    /// The state as versioned bytes.
    fn snapshot<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyBytes>> {
        seal(slf.py(), KIND, &read(slf)?.0)
    }

    /// The filter of a snapshot; `SnapshotError` for foreign or damaged bytes.
    #[classmethod]
    fn restore(_class: &Bound<'_, PyType>, state: &Bound<'_, PyAny>) -> PyResult<Self> {
        open(KIND, "DriftFilter", state).map(Self)
    }

    /// A filter of its own with the same state.
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
pub(crate) fn square(field: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<f64>> {
    let (numbers, [rows, columns]) = matrix(field, value)?;
    if rows == columns { Ok(numbers) } else { Err(invalid_input(field, value, "a square matrix of numbers", "")) }
}

/// A matrix, row by row, and its shape.
fn matrix(field: &str, value: &Bound<'_, PyAny>) -> PyResult<(Vec<f64>, [usize; 2])> {
    let refuse = || invalid_input(field, value, "a matrix of numbers", "");
    let py = value.py();
    let array = py.import("numpy")?.call_method1("asarray", (value,)).map_err(|_| refuse())?;
    let kind: String = array.getattr("dtype")?.getattr("kind")?.extract()?;
    if !"fiu".contains(&kind) {
        return Err(refuse());
    }
    let matrix = array.call_method1("astype", ("float64",))?;
    let matrix = matrix.extract::<PyReadonlyArray2<'_, f64>>().map_err(|_| refuse())?;
    let shape = [matrix.shape()[0], matrix.shape()[1]];
    Ok((matrix.as_array().iter().copied().collect(), shape))
}

/// Statistics of each source as a dictionary of dictionaries.
pub(crate) fn innovations_by_source<'py>(py: Python<'py>, sources: &[Innovations]) -> PyResult<Bound<'py, PyDict>> {
    let by_source = PyDict::new(py);
    for source in sources {
        let row = PyDict::new(py);
        row.set_item("count", source.count())?;
        row.set_item("mean", source.mean())?;
        row.set_item("nis", source.normalized_square())?;
        row.set_item("log_likelihood", source.log_likelihood())?;
        by_source.set_item(&*source.name, row)?;
    }
    Ok(by_source)
}
