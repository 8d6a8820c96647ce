//! The table of features, and every feature of a recording as columns.

use hypermm_core::error::Error;
use hypermm_core::features::pipeline::FeatureConfig;
use hypermm_core::features::{FEATURES, Feature};
use hypermm_simulation::market::feature_matrix::{FeatureMatrix, ReferenceColumns, feature_matrix as run};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::access::over_rows;
use crate::decision::frozen_array;
use crate::error::invalid_input;
use crate::input::{Column, floats, number, time_ns, times};
use crate::instrument::instrument_of;
use crate::recording::HeldColumns;

const BASIS: &str = "basis";
const LEAD: &str = "lead";
const STATUSES: [&str; 4] = ["unseen", "stale", "undefined", "fresh"];

/// One row of the table of features.
#[pyclass(frozen, name = "Feature", module = "hypermm._core")]
pub(crate) struct PyFeature {
    row: &'static Feature,
}

#[pymethods]
impl PyFeature {
    /// Name, the same in Python, files and artefacts.
    #[getter]
    fn name(&self) -> &'static str {
        self.row.name
    }

    /// "hot", "warm" or "cold".
    #[getter]
    fn tier(&self) -> &'static str {
        self.row.tier.name()
    }

    /// Unit; "1" for a pure number.
    #[getter]
    fn unit(&self) -> &'static str {
        self.row.unit
    }

    /// True where positive is bullish.
    #[getter]
    fn directional(&self) -> bool {
        self.row.directional
    }

    /// Age of its inputs beyond which it gives no value, s.
    #[getter]
    fn stale_s(&self) -> f64 {
        self.row.stale_s
    }

    /// Half-width of its band around mid, bps, or None.
    #[getter]
    fn band_bps(&self) -> Option<f64> {
        self.row.band_bps
    }

    /// What its evidence counts; "1" where every value rests on as much.
    #[getter]
    fn evidence(&self) -> &'static str {
        self.row.evidence
    }

    /// What it is.
    #[getter]
    fn text(&self) -> &'static str {
        self.row.text
    }

    fn __repr__(&self) -> String {
        format!("Feature({}: {}, in {})", self.row.name, self.row.tier.name(), self.row.unit)
    }
}

/// Every feature, hot ones first.
#[pyfunction]
pub(crate) fn feature_table(py: Python<'_>) -> PyResult<Bound<'_, PyTuple>> {
    PyTuple::new(py, FEATURES.iter().map(|row| PyFeature { row }))
}

/// Features of a recording, one entry a quote cycle.
#[pyclass(frozen, name = "FeatureMatrix", module = "hypermm._core")]
pub(crate) struct PyFeatureMatrix {
    time_ns: Py<PyAny>,
    mid_price: Py<PyAny>,
    values: Py<PyDict>,
    evidence: Py<PyDict>,
    covered_bps: Py<PyDict>,
    statuses: Py<PyDict>,
}

#[pymethods]
impl PyFeatureMatrix {
    /// Cycle times, ns.
    #[getter]
    fn time_ns(&self, py: Python<'_>) -> Py<PyAny> {
        self.time_ns.clone_ref(py)
    }

    /// Mid as known then.
    #[getter]
    fn mid_price(&self, py: Python<'_>) -> Py<PyAny> {
        self.mid_price.clone_ref(py)
    }

    /// Values by feature name.
    #[getter]
    fn values(&self, py: Python<'_>) -> Py<PyDict> {
        self.values.clone_ref(py)
    }

    /// What each value rests on, by feature name.
    #[getter]
    fn evidence(&self, py: Python<'_>) -> Py<PyDict> {
        self.evidence.clone_ref(py)
    }

    /// How much of its band the known levels cover, by feature name.
    #[getter]
    fn covered_bps(&self, py: Python<'_>) -> Py<PyDict> {
        self.covered_bps.clone_ref(py)
    }

    /// How many cycles were unseen, stale, undefined, fresh, by feature name.
    #[getter]
    fn statuses(&self, py: Python<'_>) -> Py<PyDict> {
        self.statuses.clone_ref(py)
    }
}

impl PyFeatureMatrix {
    fn new(py: Python<'_>, matrix: &FeatureMatrix) -> PyResult<Self> {
        let by_name = |columns: &[Vec<f64>]| -> PyResult<Py<PyDict>> {
            let named = PyDict::new(py);
            for (row, column) in FEATURES.iter().zip(columns).filter(|(_, column)| !column.is_empty()) {
                named.set_item(row.name, frozen_array(py, column))?;
            }
            Ok(named.unbind())
        };
        let statuses = PyDict::new(py);
        for (row, counts) in FEATURES.iter().zip(&matrix.statuses) {
            let counted = PyDict::new(py);
            for (name, count) in STATUSES.into_iter().zip(counts) {
                counted.set_item(name, count)?;
            }
            statuses.set_item(row.name, counted)?;
        }
        Ok(Self {
            time_ns: frozen_array(py, &matrix.time_ns),
            mid_price: frozen_array(py, &matrix.mid_price),
            values: by_name(&matrix.values)?,
            evidence: by_name(&matrix.evidence)?,
            covered_bps: by_name(&matrix.covered_bps)?,
            statuses: statuses.unbind(),
        })
    }
}

/// Another market's prices: a pair (times, prices).
pub(crate) type Market<'py> = (Column<'py, i64>, Column<'py, f64>);

pub(crate) fn market<'py>(field: &str, given: Option<&Bound<'py, PyAny>>) -> PyResult<Option<Market<'py>>> {
    let Some(given) = given.filter(|given| !given.is_none()) else { return Ok(None) };
    match given.cast::<PyTuple>() {
        Ok(pair) if pair.len() == 2 => Ok(Some((
            times(&format!("{field} times"), &pair.get_item(0)?)?,
            floats(&format!("{field} prices"), &pair.get_item(1)?)?,
        ))),
        _ => Err(invalid_input(field, given, "a pair (times in ns, prices)", "")),
    }
}

/// Every feature of a recording at a grid of quote cycles.
#[pyfunction]
#[pyo3(signature = (recording, instrument, *, cycle_ns=None, basis=None, lead=None, **settings),
       text_signature = "(recording, instrument, *, cycle_ns=500000000, basis=None, lead=None, **settings)")]
pub(crate) fn feature_matrix(
    py: Python<'_>,
    recording: &Bound<'_, PyAny>,
    instrument: &Bound<'_, PyAny>,
    cycle_ns: Option<&Bound<'_, PyAny>>,
    basis: Option<&Bound<'_, PyAny>>,
    lead: Option<&Bound<'_, PyAny>>,
    settings: Option<&Bound<'_, PyDict>>,
) -> PyResult<PyFeatureMatrix> {
    let instrument = instrument_of(instrument)?;
    let cycle_ns = cycle_ns.map_or(Ok(500_000_000), |given| time_ns("cycle_ns", given))?;
    let (basis, lead) = (market(BASIS, basis)?, market(LEAD, lead)?);
    let mut config = FeatureConfig {
        funding_interval_s: instrument.funding_interval_s(),
        basis_market: basis.as_ref().map(|_| BASIS.into()),
        lead_market: lead.as_ref().map(|_| LEAD.into()),
        ..FeatureConfig::default()
    };
    for (name, value) in settings.into_iter().flat_map(|given| given.iter()) {
        set(&mut config, &name.extract::<String>()?, &value)?;
    }
    let held = HeldColumns::of(recording)?;
    let columns = held.columns();
    let references: Vec<ReferenceColumns<'_>> = [(BASIS, &basis), (LEAD, &lead)]
        .into_iter()
        .filter_map(|(name, market)| market.as_ref().map(|(time_ns, price)| ReferenceColumns { name, time_ns, price }))
        .collect();
    let matrix = over_rows(py, columns.len(), || -> Result<FeatureMatrix, Error> {
        run(&columns, &references, &instrument, &config, cycle_ns)
    })?;
    PyFeatureMatrix::new(py, &matrix)
}

pub(crate) fn set(config: &mut FeatureConfig, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let field = match name {
        "volatility" => &mut config.volatility,
        "sweep_s" => &mut config.sweep_s,
        "hawkes_decay_per_s" => &mut config.hawkes_decay_per_s,
        "hawkes_branching_ratio" => &mut config.hawkes_branching_ratio,
        _ => return Err(invalid_input(name, value, "a setting of feature_matrix", "see its documentation")),
    };
    *field = number(name, value)?;
    Ok(())
}
