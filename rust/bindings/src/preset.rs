//! `MarketPreset`: a synthetic market by name, from a file, or with parameters of one's own; and its public feed.

use std::borrow::Cow;
use std::cell::Cell;

use hypermm_core::config::EngineConfig;
use hypermm_simulation::backtest::sessions::{recording_settings, run_session};
use hypermm_simulation::backtest::silent::Silent;
use hypermm_simulation::market::parameters::MarketParameters;
use hypermm_simulation::market::preset::MarketPreset;
use hypermm_simulation::market::scenario::Scenario;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping, PyTuple, PyType};

use crate::error::{guard, invalid_input};
use crate::input::{count, number, seed_of, text};
use crate::instrument::PyInstrument;
use crate::progress::{Progress, keep};
use crate::recording::session_columns;
use crate::strategy::{Ended, Watched};

/// Keys of a preset as a mapping.
const KEYS: [&str; 8] =
    ["name", "text", "coin", "size_decimals", "max_leverage", "maker_fee_bps", "taker_fee_bps", "parameters"];

/// A synthetic market by name, for `matching_session` and `synthetic_market`; frozen.
#[pyclass(frozen, eq, name = "MarketPreset", module = "hypermm._core")]
#[derive(Clone, PartialEq)]
pub(crate) struct PyMarketPreset {
    pub(crate) inner: MarketPreset,
}

/// A preset, or the name of one.
pub(crate) fn preset_of(given: &Bound<'_, PyAny>) -> PyResult<MarketPreset> {
    if let Ok(preset) = given.cast::<PyMarketPreset>() {
        return Ok(preset.get().inner.clone());
    }
    let name = text("preset", given)?;
    guard(|| MarketPreset::named(&name))
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
        PyTuple::new(py, MarketPreset::ALL.iter().map(|preset| preset.name.as_ref()))
    }

    /// The market around a scenario's price, its sweeps left out.
    #[staticmethod]
    fn of_scenario(name: &Bound<'_, PyAny>) -> PyResult<Self> {
        let name = text("scenario", name)?;
        let inner = guard(|| {
            let scenario = Scenario::named(&name)?;
            let line = format!("the background of scenario {}", scenario.name);
            let hype = MarketPreset::named("hype")?;
            Ok(MarketPreset { name: scenario.name.into(), text: line.into(), parameters: scenario.market, ..hype })
        })?;
        Ok(Self { inner })
    }

    /// The rows of the table of parameters: name, unit, least, most, what it is.
    #[staticmethod]
    fn parameter_table(py: Python<'_>) -> PyResult<Bound<'_, PyTuple>> {
        let rows = MarketParameters::TABLE.iter().map(|row| (row.name, row.unit, row.low, row.high, row.text));
        PyTuple::new(py, rows.collect::<Vec<_>>())
    }

    /// The preset a mapping describes; every key of `as_dict` and no other.
    #[classmethod]
    fn from_dict(_class: &Bound<'_, PyType>, mapping: &Bound<'_, PyAny>) -> PyResult<Self> {
        let given = mapping.cast::<PyMapping>().map_err(|_| {
            invalid_input("preset", mapping, "a mapping of name, text, coin, ... and parameters", "as as_dict gives it")
        })?;
        for key in given.keys()?.iter() {
            let name = text("preset key", &key)?;
            if !KEYS.contains(&name.as_str()) {
                let value = given.get_item(&name)?;
                return Err(invalid_input(&name, &value, "no such key", &format!("keys are {}", KEYS.join(", "))));
            }
        }
        let find = |key: &str| -> PyResult<Bound<'_, PyAny>> {
            given.get_item(key).map_err(|_| invalid_input(key, mapping, "a value", "the key is missing"))
        };
        let [name, line, coin] =
            [text("name", &find("name")?)?, text("text", &find("text")?)?, text("coin", &find("coin")?)?];
        let parameters = find("parameters")?;
        let written = changes("parameters", &parameters)?;
        for row in MarketParameters::TABLE {
            if !written.iter().any(|(name, _)| name == row.name) {
                return Err(invalid_input(row.name, &parameters, row.text, "the parameter is missing"));
            }
        }
        let inner = MarketPreset {
            name: Cow::Owned(name),
            text: Cow::Owned(line),
            coin: Cow::Owned(coin),
            size_decimals: count("size_decimals", &find("size_decimals")?)?,
            max_leverage: count("max_leverage", &find("max_leverage")?)?,
            maker_fee_bps: number("maker_fee_bps", &find("maker_fee_bps")?)?,
            taker_fee_bps: number("taker_fee_bps", &find("taker_fee_bps")?)?,
            // Each of its numbers is replaced.
            parameters: MarketPreset::ALL[0].parameters,
        };
        replaced(inner, &written).map(|inner| Self { inner })
    }

    /// Everything a preset is, as `from_dict` takes it.
    fn as_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let preset = &self.inner;
        let mapping = PyDict::new(py);
        mapping.set_item("name", preset.name.as_ref())?;
        mapping.set_item("text", preset.text.as_ref())?;
        mapping.set_item("coin", preset.coin.as_ref())?;
        mapping.set_item("size_decimals", preset.size_decimals)?;
        mapping.set_item("max_leverage", preset.max_leverage)?;
        mapping.set_item("maker_fee_bps", preset.maker_fee_bps)?;
        mapping.set_item("taker_fee_bps", preset.taker_fee_bps)?;
        mapping.set_item("parameters", self.parameters(py)?)?;
        Ok(mapping)
    }

    /// The preset of a JSON file that holds what `as_dict` gives.
    #[classmethod]
    fn from_file(class: &Bound<'_, PyType>, path: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = class.py();
        let load = || -> PyResult<Bound<'_, PyAny>> {
            let path = py.import("pathlib")?.getattr("Path")?.call1((path,))?;
            let written = path.call_method1("read_text", ("utf-8",))?;
            py.import("json")?.getattr("loads")?.call1((written,))
        };
        let place = path.str()?.to_string_lossy().into_owned();
        let mapping = load().map_err(|cause| {
            let why = cause.value(py).str().map_or_else(|_| String::new(), |text| text.to_string_lossy().into_owned());
            let refused = invalid_input(&place, path, "a JSON file as `hypermm market fit` writes it", &why);
            refused.set_cause(py, Some(cause));
            refused
        })?;
        Self::from_dict(class, &mapping).map_err(|refused| at_file(py, refused, &place))
    }

    /// The agents' parameters by name.
    #[getter]
    fn parameters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let mapping = PyDict::new(py);
        for row in MarketParameters::TABLE {
            mapping.set_item(row.name, self.inner.parameters.get(row.name))?;
        }
        Ok(mapping)
    }

    /// The same market with some parameters replaced, checked together.
    #[pyo3(signature = (changes, *, name=None, text=None), text_signature = "($self, changes, *, name=None, text=None)")]
    fn with_parameters(
        &self,
        changes: &Bound<'_, PyAny>,
        name: Option<&Bound<'_, PyAny>>,
        text: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let mut inner = self.inner.clone();
        if let Some(given) = name {
            inner.name = Cow::Owned(crate::input::text("name", given)?);
        }
        if let Some(given) = text {
            inner.text = Cow::Owned(crate::input::text("text", given)?);
        }
        replaced(inner, &self::changes("parameters", changes)?).map(|inner| Self { inner })
    }

    /// Name.
    #[getter]
    fn name(&self) -> &str {
        &self.inner.name
    }

    /// What it is like, in a line.
    #[getter]
    fn text(&self) -> &str {
        &self.inner.text
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

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyDict>,))> {
        Ok((py.get_type::<Self>().getattr("from_dict")?, (self.as_dict(py)?,)))
    }
}

/// Names and numbers of a mapping.
fn changes(field: &str, given: &Bound<'_, PyAny>) -> PyResult<Vec<(String, f64)>> {
    let refuse = |_| invalid_input(field, given, "a mapping of parameter names to numbers", "");
    let mapping = given.cast::<PyMapping>().map_err(refuse)?;
    let mut pairs = Vec::new();
    for item in mapping.items()?.iter() {
        let (name, value) = item.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>()?;
        let name = text("parameter", &name)?;
        let value = number(&name, &value)?;
        pairs.push((name, value));
    }
    Ok(pairs)
}

fn replaced(mut preset: MarketPreset, changes: &[(String, f64)]) -> PyResult<MarketPreset> {
    let pairs: Vec<(&str, f64)> = changes.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    guard(|| {
        preset.parameters = preset.parameters.with(&pairs)?;
        preset.validate()?;
        Ok(preset)
    })
}

/// The same refusal with the file ahead of its field.
fn at_file(py: Python<'_>, refused: PyErr, place: &str) -> PyErr {
    let build = || -> PyResult<PyErr> {
        let value = refused.value(py);
        let keywords = PyDict::new(py);
        keywords.set_item("field", format!("{place}: {}", value.getattr("field")?.str()?.to_string_lossy()))?;
        for name in ["value", "expected", "hint"] {
            keywords.set_item(name, value.getattr(name)?)?;
        }
        Ok(PyErr::from_value(value.get_type().call((), Some(&keywords))?))
    };
    build().unwrap_or(refused)
}

/// What the venue publishes of a preset's market that nobody else trades in.
#[pyfunction]
#[pyo3(signature = (preset, *, seed=None, duration_s=None, progress=None),
       text_signature = "(preset, *, seed=0, duration_s=1800.0, progress=None)")]
pub(crate) fn synthetic_market<'py>(
    py: Python<'py>,
    preset: &Bound<'py, PyAny>,
    seed: Option<&Bound<'py, PyAny>>,
    duration_s: Option<&Bound<'py, PyAny>>,
    progress: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let preset = preset_of(preset)?;
    let seed = seed.map_or(Ok(0), |given| seed_of("seed", given))?;
    let duration_s = duration_s.map_or(Ok(1800.0), |given| number("duration_s", given))?;
    let mut progress = Progress::new(progress, duration_s as u64)?;
    let settings = guard(|| recording_settings(&preset, seed, duration_s))?;
    let mut play = || {
        let failure = Cell::new(None);
        let mut tell = |share: f64| keep(&failure, Python::attach(|py| progress.tell(py, share)));
        let mut nobody = Watched { inner: Silent, failure: &failure };
        let output = run_session(&preset, &EngineConfig::default(), &settings, &mut nobody, &mut tell);
        failure.take().map_or(output, |error| Err(Ended::Raised(error)))
    };
    let output = guard(|| py.detach(|| Ok(play())))??;
    session_columns(py, &output.session)
}
