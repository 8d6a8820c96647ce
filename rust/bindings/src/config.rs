//! `EngineConfig`: constructor, attributes, signature and documentation all read from the core's field table.

use hypermm_core::config::{EngineConfig, Field, FieldKind, FieldValue};
use hypermm_core::error::{Detail, shortest};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyCFunction, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple, PyType};

use crate::calibration;
use crate::error::{Kind, guard, invalid_input, raise, refused, shown};
use crate::input::text;

/// The one field that is no number of the table.
const CALIBRATION: &str = "calibration";

/// Every number the engine is tuned by; frozen. `EngineConfig.fields()` is the table it comes from.
#[pyclass(frozen, eq, name = "EngineConfig", module = "hypermm._core")]
#[derive(Clone, PartialEq)]
pub(crate) struct PyEngineConfig {
    pub(crate) inner: EngineConfig,
}

#[pymethods]
impl PyEngineConfig {
    #[new]
    #[pyo3(signature = (*values, **changes), text_signature = None)]
    fn new(values: &Bound<'_, PyTuple>, changes: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let fields = EngineConfig::FIELDS;
        if values.len() > fields.len() {
            let message = format!("EngineConfig() takes at most {} arguments ({} given)", fields.len(), values.len());
            return Err(PyTypeError::new_err(message));
        }
        let mut inner = EngineConfig::default();
        for (field, value) in fields.iter().zip(values.iter()) {
            if changes.map_or(Ok(false), |given| given.contains(field.name))? {
                let message = format!("EngineConfig() got multiple values for argument '{}'", field.name);
                return Err(PyTypeError::new_err(message));
            }
            set(&mut inner, field.name, &value)?;
        }
        finished(inner, changes)
    }

    /// A copy with some fields changed.
    #[pyo3(signature = (**changes))]
    fn replace(&self, changes: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        finished(self.inner.clone(), changes)
    }

    /// Every field by name, in the order of the table; `EngineConfig(**config.to_dict())` equals the config.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let values = PyDict::new(py);
        for field in EngineConfig::FIELDS {
            values.set_item(field.name, get(py, &self.inner, field.name)?)?;
        }
        calibration::put(py, &values, self.inner.calibration.as_ref())?;
        Ok(values)
    }

    /// The table of fields, one `ConfigField` a row.
    #[staticmethod]
    fn fields(py: Python<'_>) -> PyResult<Bound<'_, PyTuple>> {
        PyTuple::new(py, EngineConfig::FIELDS.iter().map(|row| PyConfigField { row }))
    }

    /// What was measured on recordings of the instrument, or None.
    #[getter]
    fn calibration(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        calibration::calibration_object(py, self.inner.calibration.as_ref())
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        (self.values(py)?, self.calibration(py)?).into_pyobject(py)?.hash()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let mut shown = Vec::new();
        for field in EngineConfig::FIELDS {
            if self.inner.get(field.name) != Some(field.default) {
                shown.push(format!("{}={}", field.name, get(py, &self.inner, field.name)?.bind(py).repr()?));
            }
        }
        if self.inner.calibration.is_some() {
            shown.push(format!("calibration={}", self.calibration(py)?.bind(py).repr()?));
        }
        Ok(format!("EngineConfig({})", shown.join(", ")))
    }

    fn __getnewargs_ex__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyTuple>, Bound<'py, PyDict>)> {
        Ok((PyTuple::empty(py), self.to_dict(py)?))
    }

    fn __copy__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __deepcopy__<'py>(slf: Bound<'py, Self>, _memo: &Bound<'py, PyAny>) -> Bound<'py, Self> {
        slf
    }
}

impl PyEngineConfig {
    fn values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let values: PyResult<Vec<_>> =
            EngineConfig::FIELDS.iter().map(|field| get(py, &self.inner, field.name)).collect();
        PyTuple::new(py, values?)
    }
}

/// One row of the field table.
#[pyclass(frozen, name = "ConfigField", module = "hypermm._core")]
pub(crate) struct PyConfigField {
    row: &'static Field,
}

#[pymethods]
impl PyConfigField {
    /// Key, the same in Python, TOML and JSON.
    #[getter]
    fn name(&self) -> &'static str {
        self.row.name
    }

    /// "float", "optional_float", "integer" or "bool".
    #[getter]
    fn kind(&self) -> &'static str {
        match self.row.kind {
            FieldKind::Float => "float",
            FieldKind::OptionalFloat => "optional_float",
            FieldKind::Integer => "integer",
            FieldKind::Bool => "bool",
        }
    }

    /// Unit; "1" for a pure number.
    #[getter]
    fn unit(&self) -> &'static str {
        self.row.unit
    }

    /// Smallest and largest legal value.
    #[getter]
    fn range(&self) -> (f64, f64) {
        (self.row.min, self.row.max)
    }

    /// Default; None when the engine derives it.
    #[getter]
    fn default(&self, py: Python<'_>) -> Py<PyAny> {
        to_python(py, self.row.default)
    }

    /// What it is.
    #[getter]
    fn text(&self) -> &'static str {
        self.row.text
    }

    /// What happens when it is too high.
    #[getter]
    fn too_high(&self) -> &'static str {
        self.row.too_high
    }

    /// What happens when it is too low.
    #[getter]
    fn too_low(&self) -> &'static str {
        self.row.too_low
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let row = self.row;
        let default = to_python(py, row.default);
        let default = default.bind(py).repr()?;
        Ok(format!(
            "ConfigField({}: {} in [{}, {}]{}, default {default})",
            row.name,
            self.kind(),
            shortest(row.min),
            shortest(row.max),
            row.unit_after(" ")
        ))
    }

    fn __eq__(&self, other: &Self) -> bool {
        self.row.name == other.row.name
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        PyString::new(py, self.row.name).hash()
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (&'static str,))> {
        Ok((py.get_type::<Self>().getattr("_named")?, (self.row.name,)))
    }

    #[classmethod]
    fn _named(_class: &Bound<'_, PyType>, name: &str) -> PyResult<Self> {
        guard(|| Ok(Self { row: EngineConfig::field(name)? }))
    }
}

fn to_python(py: Python<'_>, value: FieldValue) -> Py<PyAny> {
    match value {
        FieldValue::Float(number) => PyFloat::new(py, number).into_any().unbind(),
        FieldValue::Integer(number) => PyInt::new(py, number).into_any().unbind(),
        FieldValue::Bool(value) => PyBool::new(py, value).to_owned().into_any().unbind(),
        FieldValue::Unset => py.None(),
    }
}

fn get(py: Python<'_>, config: &EngineConfig, name: &str) -> PyResult<Py<PyAny>> {
    guard(|| Ok(config.get(name).unwrap_or(FieldValue::Unset))).map(|value| to_python(py, value))
}

fn from_python(name: &str, value: &Bound<'_, PyAny>) -> PyResult<FieldValue> {
    let wrong_type = |field: &Field| {
        let expected = match field.kind {
            FieldKind::Float => format!("a number{}", field.unit_after(", in ")),
            FieldKind::OptionalFloat => format!("a number{}, or None", field.unit_after(", in ")),
            FieldKind::Integer => "an integer".to_owned(),
            FieldKind::Bool => "True or False".to_owned(),
        };
        refused(Kind::InvalidConfig, name, value, &expected, field.text)
    };
    let field = EngineConfig::field(name).map_err(|unknown| {
        let detail = Detail { value: shown(value), ..unknown.detail().clone() };
        raise(Kind::InvalidConfig, &detail)
    })?;
    if value.is_none() {
        return if field.kind == FieldKind::OptionalFloat { Ok(FieldValue::Unset) } else { Err(wrong_type(field)) };
    }
    let is_flag = value.is_instance_of::<PyBool>() || value.get_type().name().is_ok_and(|class| class == "bool");
    if is_flag {
        let flag = value.extract::<bool>()?;
        return if field.kind == FieldKind::Bool { Ok(FieldValue::Bool(flag)) } else { Err(wrong_type(field)) };
    }
    if value.is_instance_of::<PyString>() {
        return Err(wrong_type(field));
    }
    match field.kind {
        FieldKind::Float | FieldKind::OptionalFloat => {
            value.extract::<f64>().map(FieldValue::Float).map_err(|_| wrong_type(field))
        }
        FieldKind::Integer => value.extract::<i64>().map(FieldValue::Integer).map_err(|_| wrong_type(field)),
        FieldKind::Bool => Err(wrong_type(field)),
    }
}

fn set(config: &mut EngineConfig, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let value = from_python(name, value)?;
    guard(|| config.set(name, value))
}

fn finished(config: EngineConfig, changes: Option<&Bound<'_, PyDict>>) -> PyResult<PyEngineConfig> {
    with_changes(config, changes).map(|inner| PyEngineConfig { inner })
}

/// The configuration with some fields set, checked.
pub(crate) fn with_changes(mut config: EngineConfig, changes: Option<&Bound<'_, PyDict>>) -> PyResult<EngineConfig> {
    for (name, value) in changes.into_iter().flat_map(|given| given.iter()) {
        match text("engine field", &name)?.as_str() {
            CALIBRATION => config.calibration = calibration::calibration_of(&value)?,
            field => set(&mut config, field, &value)?,
        }
    }
    guard(|| config.validate())?;
    Ok(config)
}

/// Gives the class one documented property for each field, and the signature `help` shows.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add_class::<PyConfigField>()?;
    module.add_class::<PyEngineConfig>()?;
    let class = py.get_type::<PyEngineConfig>();
    let property = py.import("builtins")?.getattr("property")?;
    let inspect = py.import("inspect")?;
    let parameter = inspect.getattr("Parameter")?;
    let kind = parameter.getattr("POSITIONAL_OR_KEYWORD")?;
    let parameters = PyList::empty(py);
    for field in EngineConfig::FIELDS {
        let getter = PyCFunction::new_closure(py, None, None, move |arguments, _keywords| -> PyResult<Py<PyAny>> {
            let this = arguments.get_item(0)?;
            let config = this.cast::<PyEngineConfig>()?;
            get(arguments.py(), &config.get().inner, field.name)
        })?;
        let doc = format!(
            "{}\n\nUnit: {}. Range: {} to {}. Too high: {}. Too low: {}.",
            field.text, field.unit, field.min, field.max, field.too_high, field.too_low
        );
        class.setattr(field.name, property.call1((getter, py.None(), py.None(), doc))?)?;
        let keywords = PyDict::new(py);
        keywords.set_item("default", to_python(py, field.default))?;
        parameters.append(parameter.call((field.name, &kind), Some(&keywords))?)?;
    }
    let keywords = PyDict::new(py);
    keywords.set_item("default", py.None())?;
    parameters.append(parameter.call((CALIBRATION, parameter.getattr("KEYWORD_ONLY")?), Some(&keywords))?)?;
    class.setattr("__signature__", inspect.getattr("Signature")?.call1((parameters,))?)
}

/// The settings of an argument that must be an `EngineConfig`.
pub(crate) fn config_of(value: &Bound<'_, PyAny>) -> PyResult<EngineConfig> {
    match value.cast::<PyEngineConfig>() {
        Ok(config) => Ok(config.get().inner.clone()),
        Err(_) => Err(invalid_input("config", value, "an EngineConfig", "")),
    }
}
