//! `LoopbackCoin`: a contract of a loopback venue with whatever makes its market.

use pyo3::prelude::*;

use crate::engine::instrument_of;
use crate::error::{guard, invalid_input};
use crate::input::{flag, integer, number, text};
use crate::instrument::PyInstrument;
use hypermm_core::instrument::Instrument;
use hypermm_simulation::market::preset::MarketPreset;

const MARGIN_MODES: [&str; 3] = ["cross", "no_cross", "strict_isolated"];

/// A contract of a `LoopbackVenue` with whatever makes its market; frozen.
#[pyclass(frozen, name = "LoopbackCoin", module = "hypermm._core")]
pub(crate) struct PyLoopbackCoin {
    instrument: Instrument,
    asset_id: u32,
    dex: String,
    deployer_fee_scale: f64,
    growth_mode: bool,
    margin_mode: &'static str,
    funding_multiplier: f64,
    _impact_notional_usd: f64,
    _preset: Option<MarketPreset>,
    _recording: Option<Py<PyAny>>,
}

#[pymethods]
impl PyLoopbackCoin {
    #[new]
    #[pyo3(signature = (instrument, asset_id, *, preset=None, recording=None, dex=None, deployer_fee_scale=None,
                        growth_mode=None, margin_mode=None, funding_multiplier=None, impact_notional_usd=None),
           text_signature = "(instrument, asset_id, *, preset=None, recording=None, dex='', deployer_fee_scale=0.0, \
                             growth_mode=False, margin_mode='cross', funding_multiplier=1.0, \
                             impact_notional_usd=6000.0)")]
    #[expect(clippy::too_many_arguments, reason = "what a contract is, by name")]
    fn new(
        instrument: &Bound<'_, PyAny>,
        asset_id: &Bound<'_, PyAny>,
        preset: Option<&Bound<'_, PyAny>>,
        recording: Option<&Bound<'_, PyAny>>,
        dex: Option<&Bound<'_, PyAny>>,
        deployer_fee_scale: Option<&Bound<'_, PyAny>>,
        growth_mode: Option<&Bound<'_, PyAny>>,
        margin_mode: Option<&Bound<'_, PyAny>>,
        funding_multiplier: Option<&Bound<'_, PyAny>>,
        impact_notional_usd: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let mode = margin_mode.map_or(Ok("cross".to_owned()), |given| text("margin_mode", given))?;
        let known = MARGIN_MODES.iter().find(|known| **known == mode).copied();
        let number_or = |field: &str, given: Option<&Bound<'_, PyAny>>, otherwise: f64| {
            given.map_or(Ok(otherwise), |given| number(field, given))
        };
        let preset = preset
            .map(|given| text("preset", given).and_then(|name| guard(|| MarketPreset::named(&name))))
            .transpose()?;
        if preset.is_some() == recording.is_some() {
            return Err(invalid_input("preset", asset_id, "either a preset or a recording", ""));
        }
        Ok(Self {
            instrument: instrument_of(instrument)?,
            asset_id: integer("asset_id", asset_id, "an integer of 0 or more", "")? as u32,
            dex: dex.map_or(Ok(String::new()), |given| text("dex", given))?,
            deployer_fee_scale: number_or("deployer_fee_scale", deployer_fee_scale, 0.0)?,
            growth_mode: growth_mode.map_or(Ok(false), |given| flag("growth_mode", given))?,
            margin_mode: known.unwrap_or("cross"),
            funding_multiplier: number_or("funding_multiplier", funding_multiplier, 1.0)?,
            _impact_notional_usd: number_or("impact_notional_usd", impact_notional_usd, 6_000.0)?,
            _preset: preset,
            _recording: recording.map(|given| given.clone().unbind()),
        })
    }

    /// The contract.
    #[getter]
    fn instrument(&self) -> PyInstrument {
        PyInstrument { inner: self.instrument.clone() }
    }

    /// Venue symbol.
    #[getter]
    fn coin(&self) -> &str {
        self.instrument.coin()
    }

    /// The venue's number of it.
    #[getter]
    fn asset_id(&self) -> u32 {
        self.asset_id
    }

    /// Dex it belongs to.
    #[getter]
    fn dex(&self) -> &str {
        &self.dex
    }

    /// What the builder adds to fees.
    #[getter]
    fn deployer_fee_scale(&self) -> f64 {
        self.deployer_fee_scale
    }

    /// Fees and volume count a tenth.
    #[getter]
    fn growth_mode(&self) -> bool {
        self.growth_mode
    }

    /// Margin mode.
    #[getter]
    fn margin_mode(&self) -> &'static str {
        self.margin_mode
    }

    /// Factor on the funding rate.
    #[getter]
    fn funding_multiplier(&self) -> f64 {
        self.funding_multiplier
    }
}
