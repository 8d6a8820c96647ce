//! The pricing layer by itself: `InventoryRisk` and the formulas a bot may want without the engine.

use hypermm_core::error::{Error, require_finite};
use hypermm_core::pricing::risk::InventoryRisk;
use hypermm_core::pricing::{fill_probability as probability, reservation, standalone};
use pyo3::prelude::*;
use pyo3::types::{PyAnyMethods, PyFloat, PyInt, PyTuple};

use crate::access::over_rows;
use crate::decision::frozen_array;
use crate::error::{guard, invalid_input};
use crate::input::{floats, number, optional_number};
use crate::types::side;

/// v(τ) of a quiet market: 1.5 bps/√s over 30 s.
const DISPLACEMENT_VARIANCE: f64 = 67.5;

/// Applies `value` to a number, or to each element of an array or sequence.
fn each(
    field: &'static str,
    argument: &Bound<'_, PyAny>,
    value: impl Fn(f64) -> Result<f64, Error> + Send + Sync,
) -> PyResult<Py<PyAny>> {
    let py = argument.py();
    let is_number =
        argument.is_instance_of::<PyFloat>() || argument.is_instance_of::<PyInt>() || argument.len().is_err();
    if is_number {
        let one = number(field, argument)?;
        return Ok(PyFloat::new(py, guard(|| value(one))?).into_any().unbind());
    }
    let column = floats(field, argument)?;
    let rows: &[f64] = &column;
    let results = over_rows(py, rows.len(), || rows.iter().map(|row| value(*row)).collect::<Result<Vec<_>, _>>())?;
    Ok(frozen_array(py, &results))
}

/// The inventory penalty R(x) = N·γ₀·v·s_a·x·(1 + βx²), its potential and inverse (section 3); frozen.
#[pyclass(frozen, eq, name = "InventoryRisk", module = "hypermm._core")]
#[derive(PartialEq)]
pub(crate) struct PyInventoryRisk {
    risk: InventoryRisk,
    arguments: [f64; 5],
}

const ARGUMENTS: [&str; 5] =
    ["risk_aversion", "inventory_curvature", "clips", "displacement_variance", "validity_factor"];

#[pymethods]
impl PyInventoryRisk {
    #[new]
    #[pyo3(signature = (risk_aversion=None, inventory_curvature=None, clips=None, displacement_variance=None,
                        validity_factor=None),
           text_signature = "(risk_aversion=0.03, inventory_curvature=4.0, clips=20.0, displacement_variance=67.5, \
                             validity_factor=1.0)")]
    fn new(
        risk_aversion: Option<&Bound<'_, PyAny>>,
        inventory_curvature: Option<&Bound<'_, PyAny>>,
        clips: Option<&Bound<'_, PyAny>>,
        displacement_variance: Option<&Bound<'_, PyAny>>,
        validity_factor: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let arguments = [
            optional_number(ARGUMENTS[0], risk_aversion)?.unwrap_or(0.03),
            optional_number(ARGUMENTS[1], inventory_curvature)?.unwrap_or(4.0),
            optional_number(ARGUMENTS[2], clips)?.unwrap_or(20.0),
            optional_number(ARGUMENTS[3], displacement_variance)?.unwrap_or(DISPLACEMENT_VARIANCE),
            optional_number(ARGUMENTS[4], validity_factor)?.unwrap_or(1.0),
        ];
        let [aversion, curvature, clips, variance, factor] = arguments;
        Ok(Self { risk: guard(|| InventoryRisk::new(aversion, curvature, clips, variance, factor))?, arguments })
    }

    /// R(x), bps.
    fn penalty(&self, x: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        each("x", x, |x| require_finite("x", x).map(|()| self.risk.penalty(x)))
    }

    /// R⁻¹(m), an inventory fraction, not clamped.
    fn inverse(&self, margin_bps: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        each("margin_bps", margin_bps, |m| require_finite("margin_bps", m).map(|()| self.risk.inverse(m)))
    }

    /// Φ(x), bps.
    fn potential(&self, x: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        each("x", x, |x| require_finite("x", x).map(|()| self.risk.potential(x)))
    }

    /// R′(x), bps per unit of x.
    fn slope(&self, x: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        each("x", x, |x| require_finite("x", x).map(|()| self.risk.slope(x)))
    }

    /// The horizon τ, s, of GLFT: (1/σ)·√((1 + γ₀/k)^(1 + k/γ₀)/(2kLγ₀)), within the bounds.
    #[staticmethod]
    #[pyo3(signature = (volatility, bid_decay, ask_decay, bid_intensity, ask_intensity, risk_aversion, *,
                        minimum_s=None, maximum_s=None),
           text_signature = "(volatility, bid_decay, ask_decay, bid_intensity, ask_intensity, risk_aversion, *, \
                             minimum_s=2.0, maximum_s=600.0)")]
    #[expect(clippy::too_many_arguments, reason = "the formula's own arguments")]
    fn horizon(
        volatility: &Bound<'_, PyAny>,
        bid_decay: &Bound<'_, PyAny>,
        ask_decay: &Bound<'_, PyAny>,
        bid_intensity: &Bound<'_, PyAny>,
        ask_intensity: &Bound<'_, PyAny>,
        risk_aversion: &Bound<'_, PyAny>,
        minimum_s: Option<&Bound<'_, PyAny>>,
        maximum_s: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<f64> {
        let volatility = number("volatility", volatility)?;
        let decays = [number("bid_decay", bid_decay)?, number("ask_decay", ask_decay)?];
        let intensities = [number("bid_intensity", bid_intensity)?, number("ask_intensity", ask_intensity)?];
        let aversion = number("risk_aversion", risk_aversion)?;
        let minimum_s = optional_number("minimum_s", minimum_s)?.unwrap_or(2.0);
        let maximum_s = optional_number("maximum_s", maximum_s)?.unwrap_or(600.0);
        guard(|| standalone::two_sided_horizon(volatility, decays, intensities, aversion, minimum_s, maximum_s))
    }

    /// (a, s_a): the closed form holds within 2 % for a ≤ 0.2; s_a corrects beyond.
    #[staticmethod]
    fn validity(
        volatility: &Bound<'_, PyAny>,
        depth_decay: &Bound<'_, PyAny>,
        intensity: &Bound<'_, PyAny>,
        risk_aversion: &Bound<'_, PyAny>,
    ) -> PyResult<(f64, f64)> {
        let volatility = number("volatility", volatility)?;
        let depth_decay = number("depth_decay", depth_decay)?;
        let intensity = number("intensity", intensity)?;
        let aversion = number("risk_aversion", risk_aversion)?;
        guard(|| standalone::checked_validity(volatility, depth_decay, intensity, aversion))
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        PyTuple::new(py, self.arguments)?.hash()
    }

    fn __repr__(&self) -> String {
        let shown: Vec<_> =
            ARGUMENTS.iter().zip(self.arguments).map(|(name, value)| format!("{name}={value:?}")).collect();
        format!("InventoryRisk({})", shown.join(", "))
    }

    fn __getnewargs__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.arguments)
    }
}

/// (1/γ₀)·ln(1 + γ₀/k), bps (Guéant, Lehalle and Fernandez-Tapia 2013): both arguments 1/bps, above 0.
#[pyfunction]
pub(crate) fn glft_half_spread(risk_aversion: &Bound<'_, PyAny>, depth_decay: &Bound<'_, PyAny>) -> PyResult<f64> {
    let aversion = number("risk_aversion", risk_aversion)?;
    let decay = number("depth_decay", depth_decay)?;
    guard(|| reservation::glft_half_spread(aversion, decay))
}

/// F = ln(Λ_a/Λ_b)/(k_a + k_b)/(1 + τ/τ_f), bps, within ± half the GLFT half-spread (section 4).
#[pyfunction]
#[pyo3(signature = (sell_rate, buy_rate, bid_decay, ask_decay, risk_aversion, horizon_s, *, memory_s=None),
       text_signature = "(sell_rate, buy_rate, bid_decay, ask_decay, risk_aversion, horizon_s, *, memory_s=120.0)")]
pub(crate) fn flow_shift(
    sell_rate: &Bound<'_, PyAny>,
    buy_rate: &Bound<'_, PyAny>,
    bid_decay: &Bound<'_, PyAny>,
    ask_decay: &Bound<'_, PyAny>,
    risk_aversion: &Bound<'_, PyAny>,
    horizon_s: &Bound<'_, PyAny>,
    memory_s: Option<&Bound<'_, PyAny>>,
) -> PyResult<f64> {
    let sell = number("sell_rate", sell_rate)?;
    let buy = number("buy_rate", buy_rate)?;
    let bid = number("bid_decay", bid_decay)?;
    let ask = number("ask_decay", ask_decay)?;
    let aversion = number("risk_aversion", risk_aversion)?;
    let horizon = number("horizon_s", horizon_s)?;
    let memory = optional_number("memory_s", memory_s)?.unwrap_or(120.0);
    guard(|| reservation::checked_flow_shift(sell, buy, bid, ask, aversion, horizon, memory))
}

/// D = μ̂·τ_D/(1 + κ_μ·τ_D), bps (section 4): drift bps/s, κ_μ 1/s, τ s; τ_D = τ/((1 + √a/6)⁻⁴ + a²/16)^¼ with `validity` a ≥ 0,
/// the first of `InventoryRisk.validity`; at 0 it is τ.
#[pyfunction]
#[pyo3(signature = (drift, mean_reversion_per_s, horizon_s, *, validity=None),
       text_signature = "(drift, mean_reversion_per_s, horizon_s, *, validity=0.0)")]
pub(crate) fn drift_shift(
    drift: &Bound<'_, PyAny>,
    mean_reversion_per_s: &Bound<'_, PyAny>,
    horizon_s: &Bound<'_, PyAny>,
    validity: Option<&Bound<'_, PyAny>>,
) -> PyResult<f64> {
    let drift = number("drift", drift)?;
    let reversion = number("mean_reversion_per_s", mean_reversion_per_s)?;
    let horizon = number("horizon_s", horizon_s)?;
    let validity = optional_number("validity", validity)?.unwrap_or(0.0);
    guard(|| reservation::checked_drift_shift(drift, reversion, horizon, validity))
}

/// Probability of a fill within the order's life, 1e-4 to 1 (section 5).
#[pyfunction]
#[pyo3(signature = (depth_bps, volatility, life_s, intensity, depth_decay, *, queue_factor=None),
       text_signature = "(depth_bps, volatility, life_s, intensity, depth_decay, *, queue_factor=1.0)")]
pub(crate) fn fill_probability(
    depth_bps: &Bound<'_, PyAny>,
    volatility: &Bound<'_, PyAny>,
    life_s: &Bound<'_, PyAny>,
    intensity: &Bound<'_, PyAny>,
    depth_decay: &Bound<'_, PyAny>,
    queue_factor: Option<&Bound<'_, PyAny>>,
) -> PyResult<Py<PyAny>> {
    let volatility = number("volatility", volatility)?;
    let life = number("life_s", life_s)?;
    let intensity = number("intensity", intensity)?;
    let decay = number("depth_decay", depth_decay)?;
    let queue = optional_number("queue_factor", queue_factor)?.unwrap_or(1.0);
    each("depth_bps", depth_bps, |depth| {
        probability::fill_probability(depth, volatility, life, intensity, decay, queue)
    })
}

/// Expected PnL of one contract quoted `depth_bps` from mid, bps (section 5).
#[pyfunction]
#[pyo3(signature = (depth_bps, side, *, drift_shift, carry, flow_shift, costs, fill_probability, penalty))]
#[expect(clippy::too_many_arguments, reason = "the formula's own arguments")]
pub(crate) fn expected_pnl(
    depth_bps: &Bound<'_, PyAny>,
    side: &Bound<'_, PyAny>,
    drift_shift: &Bound<'_, PyAny>,
    carry: &Bound<'_, PyAny>,
    flow_shift: &Bound<'_, PyAny>,
    costs: &Bound<'_, PyAny>,
    fill_probability: &Bound<'_, PyAny>,
    penalty: &Bound<'_, PyAny>,
) -> PyResult<Py<PyAny>> {
    let side = self::side("side", side)?;
    let terms = standalone::PnlTerms {
        drift_shift: number("drift_shift", drift_shift)?,
        carry: number("carry", carry)?,
        flow_shift: number("flow_shift", flow_shift)?,
        costs: number("costs", costs)?,
        fill_probability: number("fill_probability", fill_probability)?,
        penalty: number("penalty", penalty)?,
    };
    each("depth_bps", depth_bps, |depth| terms.expected_pnl(depth, side))
}

/// Contracts worth trading at a gross margin: from x to R⁻¹(±m), clamped to the cap (section 5).
#[pyfunction]
pub(crate) fn optimal_size(
    margin_bps: &Bound<'_, PyAny>,
    side: &Bound<'_, PyAny>,
    inventory_fraction: &Bound<'_, PyAny>,
    risk: &Bound<'_, PyAny>,
    max_position: &Bound<'_, PyAny>,
) -> PyResult<Py<PyAny>> {
    let side = self::side("side", side)?;
    let x = number("inventory_fraction", inventory_fraction)?;
    let risk = match risk.cast::<PyInventoryRisk>() {
        Ok(risk) => risk.get().risk,
        Err(_) => return Err(invalid_input("risk", risk, "an InventoryRisk", "")),
    };
    let cap = number("max_position", max_position)?;
    each("margin_bps", margin_bps, |margin| standalone::optimal_size(margin, side, x, &risk, cap))
}

/// Levels that landed on one price become one; its cumulative size is the largest so far.
#[pyfunction]
pub(crate) fn merge_levels(
    py: Python<'_>,
    prices: &Bound<'_, PyAny>,
    cumulative_sizes: &Bound<'_, PyAny>,
) -> PyResult<(Py<PyAny>, Py<PyAny>)> {
    let prices = floats("prices", prices)?;
    let cumulative = floats("cumulative_sizes", cumulative_sizes)?;
    let (prices, sizes) = guard(|| standalone::merge_levels(&prices, &cumulative))?;
    Ok((frozen_array(py, &prices), frozen_array(py, &sizes)))
}

/// Adds the class and the functions.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PyInventoryRisk>()?;
    module.add_function(wrap_pyfunction!(glft_half_spread, module)?)?;
    module.add_function(wrap_pyfunction!(flow_shift, module)?)?;
    module.add_function(wrap_pyfunction!(drift_shift, module)?)?;
    module.add_function(wrap_pyfunction!(fill_probability, module)?)?;
    module.add_function(wrap_pyfunction!(expected_pnl, module)?)?;
    module.add_function(wrap_pyfunction!(optimal_size, module)?)?;
    module.add_function(wrap_pyfunction!(merge_levels, module)?)
}
