//! `Calibration` and `CalibratedFeature`: what was measured, on its way into an `EngineConfig`.

use std::sync::Arc;

use hypermm_core::calibration::{CalibratedFeature, CalibratedFill, CalibratedInstrument, Calibration};
use hypermm_core::features::FeatureId;
use hypermm_core::features::pipeline::FeatureConfig;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple, PyType};

use crate::decision::frozen_array;
use crate::error::{Kind, guard, invalid_input, refused};
use crate::estimators::drift::square;
use crate::features::set;
use crate::input::{count, floats, number, optional_number, text};
use crate::state::{open, seal};

const KIND: u8 = 9;

/// One feature that passed the gate; frozen.
#[pyclass(frozen, eq, name = "CalibratedFeature", module = "hypermm._core")]
#[derive(Clone, PartialEq)]
pub(crate) struct PyCalibratedFeature(CalibratedFeature);

#[pymethods]
impl PyCalibratedFeature {
    #[new]
    #[pyo3(signature = (name, slope, gain, noise_memory_s=None, mean_evidence=None),
           text_signature = "(name, slope, gain, noise_memory_s=0.0, mean_evidence=None)")]
    fn new(
        name: &Bound<'_, PyAny>,
        slope: &Bound<'_, PyAny>,
        gain: &Bound<'_, PyAny>,
        noise_memory_s: Option<&Bound<'_, PyAny>>,
        mean_evidence: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let named = text("name", name)?;
        let feature = FeatureId::named(&named)
            .ok_or_else(|| refused(Kind::InvalidConfig, "name", name, "a feature of feature_table()", ""))?;
        Ok(Self(CalibratedFeature {
            feature,
            slope: number("slope", slope)?,
            gain: number("gain", gain)?,
            noise_memory_s: optional_number("noise_memory_s", noise_memory_s)?.unwrap_or(0.0),
            mean_evidence: optional_number("mean_evidence", mean_evidence)?,
        }))
    }

    /// Name in the table of features.
    #[getter]
    fn name(&self) -> &'static str {
        self.0.feature.row().name
    }

    /// a/K, bps/s per unit of the feature.
    #[getter]
    fn slope(&self) -> f64 {
        self.0.slope
    }

    /// K = Var(a·f)/P∞.
    #[getter]
    fn gain(&self) -> f64 {
        self.0.gain
    }

    /// τ_e, s.
    #[getter]
    fn noise_memory_s(&self) -> f64 {
        self.0.noise_memory_s
    }

    /// Mean of its evidence where the fit was made, or None.
    #[getter]
    fn mean_evidence(&self) -> Option<f64> {
        self.0.mean_evidence
    }

    fn __getnewargs__(&self) -> (&'static str, f64, f64, f64, Option<f64>) {
        (self.name(), self.0.slope, self.0.gain, self.0.noise_memory_s, self.0.mean_evidence)
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        self.__getnewargs__().into_pyobject(py)?.hash()
    }

    fn __repr__(&self) -> String {
        let it = &self.0;
        let mean = it.mean_evidence.map_or("None".to_owned(), |mean| format!("{mean:?}"));
        format!(
            "CalibratedFeature({:?}, slope={:?}, gain={:?}, noise_memory_s={:?}, mean_evidence={mean})",
            self.name(),
            it.slope,
            it.gain,
            it.noise_memory_s
        )
    }
}

/// What was measured on recordings of an instrument, checked; frozen.
#[pyclass(frozen, eq, name = "Calibration", module = "hypermm._core")]
#[derive(Clone, PartialEq)]
pub(crate) struct PyCalibration {
    pub(crate) inner: Arc<Calibration>,
}

#[pymethods]
impl PyCalibration {
    #[new]
    #[pyo3(signature = (mean_reversion_per_s, stationary_variance, features=None, covariance=None, *, coin=None,
                        size_decimals=None, cycle_s=None, fresh_noise_share=None,
                        own_fill=None, volatility_ratio_exponent=None, informed_volatility=None,
                        adverse_selection_ratio=None, tail_factor=None,
                        basis_market=None, lead_market=None, **pipeline),
           text_signature = "(mean_reversion_per_s, stationary_variance, features=(), covariance=None, *, coin=None, size_decimals=None, cycle_s=0.5, fresh_noise_share=None, own_fill=None, volatility_ratio_exponent=None, informed_volatility=None, adverse_selection_ratio=None, tail_factor=None, basis_market=None, lead_market=None, volatility=1.5, sweep_s=2.0, hawkes_decay_per_s=0.5, hawkes_branching_ratio=0.5)")]
    #[expect(clippy::too_many_arguments, reason = "a calibration has this many numbers")]
    fn new(
        mean_reversion_per_s: &Bound<'_, PyAny>,
        stationary_variance: &Bound<'_, PyAny>,
        features: Option<&Bound<'_, PyAny>>,
        covariance: Option<&Bound<'_, PyAny>>,
        coin: Option<&Bound<'_, PyAny>>,
        size_decimals: Option<&Bound<'_, PyAny>>,
        cycle_s: Option<&Bound<'_, PyAny>>,
        fresh_noise_share: Option<&Bound<'_, PyAny>>,
        own_fill: Option<&Bound<'_, PyAny>>,
        volatility_ratio_exponent: Option<&Bound<'_, PyAny>>,
        informed_volatility: Option<&Bound<'_, PyAny>>,
        adverse_selection_ratio: Option<&Bound<'_, PyAny>>,
        tail_factor: Option<&Bound<'_, PyAny>>,
        basis_market: Option<&Bound<'_, PyAny>>,
        lead_market: Option<&Bound<'_, PyAny>>,
        pipeline: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let mut made_with = FeatureConfig {
            basis_market: market("basis_market", basis_market)?,
            lead_market: market("lead_market", lead_market)?,
            ..FeatureConfig::default()
        };
        for (name, value) in pipeline.into_iter().flat_map(|given| given.iter()) {
            set(&mut made_with, &text("setting", &name)?, &value)?;
        }
        let drift = Calibration::of_drift(
            number("mean_reversion_per_s", mean_reversion_per_s)?,
            number("stationary_variance", stationary_variance)?,
        );
        let calibration = Calibration {
            instrument: made_on(coin, size_decimals)?,
            cycle_s: optional_number("cycle_s", cycle_s)?.unwrap_or(drift.cycle_s),
            features: features.map_or(Ok(Vec::new()), features_of)?,
            covariance: match covariance.filter(|given| !given.is_none()) {
                Some(matrix) => square("covariance", matrix)?,
                None => Vec::new(),
            },
            fresh_noise_share: match fresh_noise_share.filter(|given| !given.is_none()) {
                Some(shares) => floats("fresh_noise_share", shares)?.to_vec(),
                None => Vec::new(),
            },
            pipeline: made_with,
            own_fill: fill_of(own_fill)?,
            volatility_ratio_exponent: optional_number("volatility_ratio_exponent", volatility_ratio_exponent)?,
            informed_volatility: optional_number("informed_volatility", informed_volatility)?,
            adverse_selection_ratio: optional_number("adverse_selection_ratio", adverse_selection_ratio)?,
            tail_factor: optional_number("tail_factor", tail_factor)?,
            ..drift
        };
        guard(|| calibration.validate())?;
        Ok(Self { inner: Arc::new(calibration) })
    }

    /// Coin it was made on, which an engine of another refuses; None where that is not known.
    #[getter]
    fn coin(&self) -> Option<&str> {
        self.inner.instrument.as_ref().map(|it| &*it.coin)
    }

    /// Size decimals of the instrument it was made on, or None.
    #[getter]
    fn size_decimals(&self) -> Option<u32> {
        self.inner.instrument.as_ref().map(|it| it.size_decimals)
    }

    /// κ_μ, 1/s.
    #[getter]
    fn mean_reversion_per_s(&self) -> f64 {
        self.inner.mean_reversion_per_s
    }

    /// P∞, (bps/s)².
    #[getter]
    fn stationary_variance(&self) -> f64 {
        self.inner.stationary_variance
    }

    /// The features that passed.
    #[getter]
    fn features<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.inner.features.iter().map(|feature| PyCalibratedFeature(*feature)))
    }

    /// Error covariance of their observations, (bps/s)², shape (n, n).
    #[getter]
    fn covariance<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let n = self.inner.features.len();
        frozen_array(py, &self.inner.covariance).bind(py).call_method1("reshape", ((n, n),))
    }

    /// Share of each feature's noise that is new at every reading, shape (n,); None where none is.
    #[getter]
    fn fresh_noise_share(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let shares = &self.inner.fresh_noise_share;
        (!shares.is_empty()).then(|| frozen_array(py, shares))
    }

    /// How often features are read, s.
    #[getter]
    fn cycle_s(&self) -> f64 {
        self.inner.cycle_s
    }

    /// (slope, gain) of own fills, or None.
    #[getter]
    fn own_fill(&self) -> Option<(f64, f64)> {
        self.inner.own_fill.map(|fill| (fill.slope, fill.gain))
    }

    /// What the features are made with: the settings of `feature_matrix`.
    #[getter]
    fn pipeline<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let it = &self.inner.pipeline;
        let settings = PyDict::new(py);
        for (name, value) in [
            ("volatility", it.volatility),
            ("sweep_s", it.sweep_s),
            ("hawkes_decay_per_s", it.hawkes_decay_per_s),
            ("hawkes_branching_ratio", it.hawkes_branching_ratio),
        ] {
            settings.set_item(name, value)?;
        }
        Ok(settings)
    }

    /// Exponent of the volatility ratio in the effective volatility, or None.
    #[getter]
    fn volatility_ratio_exponent(&self) -> Option<f64> {
        self.inner.volatility_ratio_exponent
    }

    /// Share of informed flow in the effective variance, or None.
    #[getter]
    fn informed_volatility(&self) -> Option<f64> {
        self.inner.informed_volatility
    }

    /// Adverse move per unit of toxicity in units of σ_eff√10, or None.
    #[getter]
    fn adverse_selection_ratio(&self) -> Option<f64> {
        self.inner.adverse_selection_ratio
    }

    /// Factor of excess kurtosis in adverse selection, or None.
    #[getter]
    fn tail_factor(&self) -> Option<f64> {
        self.inner.tail_factor
    }

    /// Name of the market the basis is taken against, or None: the oracle.
    #[getter]
    fn basis_market(&self) -> Option<&str> {
        self.inner.pipeline.basis_market.as_deref()
    }

    /// Name of the market that leads ours, or None.
    #[getter]
    fn lead_market(&self) -> Option<&str> {
        self.inner.pipeline.lead_market.as_deref()
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        self.bytes(py)?.hash()
    }

    fn __repr__(&self) -> String {
        let it = &self.inner;
        let names: Vec<_> = it.features.iter().map(|feature| feature.feature.row().name).collect();
        format!(
            "<Calibration of {}: mean reversion {} /s, drift deviation {} bps/s>",
            if names.is_empty() { "no feature".to_owned() } else { names.join(", ") },
            it.mean_reversion_per_s,
            it.stationary_variance.sqrt()
        )
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyBytes>,))> {
        Ok((py.get_type::<Self>().getattr("_from_bytes")?, (self.bytes(py)?,)))
    }

    #[classmethod]
    fn _from_bytes(_class: &Bound<'_, PyType>, state: &Bound<'_, PyAny>) -> PyResult<Self> {
        let calibration: Calibration = open(KIND, "Calibration", state)?;
        guard(|| calibration.validate())?;
        Ok(Self { inner: Arc::new(calibration) })
    }

    fn __copy__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __deepcopy__<'py>(slf: Bound<'py, Self>, _memo: &Bound<'py, PyAny>) -> Bound<'py, Self> {
        slf
    }
}

impl PyCalibration {
    fn bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        seal(py, KIND, &*self.inner)
    }
}

fn features_of(given: &Bound<'_, PyAny>) -> PyResult<Vec<CalibratedFeature>> {
    let refuse = || invalid_input("features", given, "a sequence of CalibratedFeature", "");
    if !(given.is_instance_of::<PyList>() || given.is_instance_of::<PyTuple>()) {
        return Err(refuse());
    }
    given
        .try_iter()?
        .map(|item| item?.cast::<PyCalibratedFeature>().map(|it| it.get().0).map_err(|_| refuse()))
        .collect()
}

fn fill_of(given: Option<&Bound<'_, PyAny>>) -> PyResult<Option<CalibratedFill>> {
    let Some(given) = given.filter(|given| !given.is_none()) else { return Ok(None) };
    match given.cast::<PyTuple>() {
        Ok(two) if two.len() == 2 => Ok(Some(CalibratedFill {
            slope: number("own_fill slope", &two.get_item(0)?)?,
            gain: number("own_fill gain", &two.get_item(1)?)?,
        })),
        _ => Err(invalid_input("own_fill", given, "a pair (slope, gain)", "gain 0 silences fills")),
    }
}

fn made_on(
    coin: Option<&Bound<'_, PyAny>>,
    size_decimals: Option<&Bound<'_, PyAny>>,
) -> PyResult<Option<CalibratedInstrument>> {
    match (coin.filter(|it| !it.is_none()), size_decimals.filter(|it| !it.is_none())) {
        (Some(coin), Some(decimals)) => Ok(Some(CalibratedInstrument {
            coin: text("coin", coin)?.into(),
            size_decimals: count("size_decimals", decimals)?,
        })),
        (None, None) => Ok(None),
        (Some(alone), None) | (None, Some(alone)) => {
            Err(invalid_input("coin", alone, "coin and size_decimals, or neither", ""))
        }
    }
}

fn market(field: &str, given: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Box<str>>> {
    given.filter(|given| !given.is_none()).map(|given| Ok(text(field, given)?.into())).transpose()
}

/// The calibration of a config, for Python; None where it has none.
pub(crate) fn calibration_object(py: Python<'_>, inner: Option<&Arc<Calibration>>) -> PyResult<Py<PyAny>> {
    match inner {
        Some(inner) => Ok(Bound::new(py, PyCalibration { inner: Arc::clone(inner) })?.into_any().unbind()),
        None => Ok(py.None()),
    }
}

/// The calibration given to a config; None is none.
pub(crate) fn calibration_of(given: &Bound<'_, PyAny>) -> PyResult<Option<Arc<Calibration>>> {
    if given.is_none() {
        return Ok(None);
    }
    match given.cast::<PyCalibration>() {
        Ok(calibration) => Ok(Some(Arc::clone(&calibration.get().inner))),
        Err(_) => {
            let hint = "engine_calibration(load_calibration(path), instrument, now_ns) of hypermm.config makes one";
            Err(refused(Kind::InvalidConfig, "calibration", given, "a Calibration, or None", hint))
        }
    }
}

/// Puts a calibration in the place that `to_dict` and the constructor know it by.
pub(crate) fn put(py: Python<'_>, values: &Bound<'_, PyDict>, inner: Option<&Arc<Calibration>>) -> PyResult<()> {
    match inner {
        Some(_) => values.set_item("calibration", calibration_object(py, inner)?),
        None => Ok(()),
    }
}
