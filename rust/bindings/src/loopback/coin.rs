//! `LoopbackCoin`: a contract of a loopback venue with whatever makes its market.

use hypermm_core::accounting::ledger::Mark;
use hypermm_core::instrument::Instrument;
use hypermm_core::types::Lots;
use hypermm_core::types::Price;
use hypermm_simulation::market::preset::MarketPreset;
use hypermm_simulation::market::session::Session;
use hypermm_simulation::venue::fees::FeeScale;
use hypermm_simulation::venue::funding::{FundingTerms, PremiumRule};
use hypermm_simulation::venue::loopback::coin::{CoinMarket, CoinSettings};
use hypermm_simulation::venue::matching::order::Refusal;
use hypermm_simulation::venue::matching::rules::AssetSettings;
use pyo3::prelude::*;

use super::decimal::decimal;
use crate::error::{guard, invalid_input};
use crate::input::{count, flag, number, text};
use crate::instrument::PyInstrument;
use crate::instrument::instrument_of;
use crate::recording::HeldColumns;

const MAX_DECIMALS: u32 = 6;

/// A contract of a `LoopbackVenue` with whatever makes its market; frozen.
#[pyclass(frozen, name = "LoopbackCoin", module = "hypermm._core")]
pub(crate) struct PyLoopbackCoin {
    pub(super) settings: CoinSettings,
    asset_id: u32,
    pub(super) dex: String,
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
        let market = match (preset, recording) {
            (Some(name), None) => {
                let name = text("preset", name)?;
                CoinMarket::Preset(guard(|| MarketPreset::named(&name))?)
            }
            (None, Some(recording)) => {
                let held = HeldColumns::of(recording)?;
                CoinMarket::Recording(Session::from(&held.columns()))
            }
            _ => return Err(invalid_input("preset", instrument, "either a preset or a recording", "")),
        };
        let number_or = |field: &str, given: Option<&Bound<'_, PyAny>>, otherwise: f64| {
            given.map_or(Ok(otherwise), |given| number(field, given))
        };
        let mut asset = AssetSettings::new(instrument_of(instrument)?);
        (asset.isolated_only, asset.keeps_isolated_margin) = margin_mode.map_or(Ok((false, false)), margin_mode_of)?;
        asset.fee_scale = FeeScale {
            deployer_scale: number_or("deployer_fee_scale", deployer_fee_scale, 0.0)?,
            growth: growth_mode.map_or(Ok(false), |given| flag("growth_mode", given))?,
        };
        guard(|| asset.fee_scale.check())?;
        let dex = dex.map_or(Ok(String::new()), |given| text("dex", given))?;
        let notional = number_or("impact_notional_usd", impact_notional_usd, 6_000.0)?;
        let multiplier = number_or("funding_multiplier", funding_multiplier, 1.0)?;
        let funding = if dex.is_empty() {
            FundingTerms { multiplier, ..FundingTerms::native(notional) }
        } else {
            FundingTerms::builder(notional, multiplier)
        };
        guard(|| funding.check())?;
        let asset_id = count("asset_id", asset_id)?;
        Ok(Self { settings: CoinSettings { asset, funding, market }, asset_id, dex })
    }

    /// The contract.
    #[getter]
    fn instrument(&self) -> PyInstrument {
        PyInstrument { inner: self.settings.asset.instrument.clone() }
    }

    /// Venue symbol.
    #[getter]
    pub(super) fn coin(&self) -> &str {
        self.settings.asset.instrument.coin()
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
        self.settings.asset.fee_scale.deployer_scale
    }

    /// Fees and volume count a tenth.
    #[getter]
    fn growth_mode(&self) -> bool {
        self.settings.asset.fee_scale.growth
    }

    /// Margin mode.
    #[getter]
    fn margin_mode(&self) -> &'static str {
        match (self.settings.asset.isolated_only, self.settings.asset.keeps_isolated_margin) {
            (false, _) => "cross",
            (true, false) => "no_cross",
            (true, true) => "strict_isolated",
        }
    }

    /// Factor on the funding rate.
    #[getter]
    fn funding_multiplier(&self) -> f64 {
        self.settings.funding.multiplier
    }

    fn __repr__(&self) -> String {
        let market = match self.settings.funding.premium {
            PremiumRule::OutsideImpact => "",
            PremiumRule::ImpactMiddle => ", a builder's",
        };
        format!("LoopbackCoin({}, asset_id={}{market})", self.coin(), self.asset_id)
    }
}

fn margin_mode_of(given: &Bound<'_, PyAny>) -> PyResult<(bool, bool)> {
    match text("margin_mode", given)?.as_str() {
        "cross" => Ok((false, false)),
        "no_cross" => Ok((true, false)),
        "strict_isolated" => Ok((true, true)),
        _ => Err(invalid_input("margin_mode", given, "\"cross\", \"no_cross\" or \"strict_isolated\"", "")),
    }
}

/// A contract's numbers as text.
pub(super) struct Label {
    pub(super) coin: String,
    pub(super) asset_id: u32,
    pub(super) instrument: Instrument,
}

impl Label {
    pub(super) fn of(coin: &PyLoopbackCoin) -> Self {
        let instrument = coin.settings.asset.instrument.clone();
        Self { coin: instrument.coin().to_owned(), asset_id: coin.asset_id, instrument }
    }

    pub(super) fn price_digits(&self) -> u32 {
        MAX_DECIMALS - self.instrument.size_decimals()
    }

    pub(super) fn price(&self, price: Price) -> String {
        decimal(price.0.into(), self.price_digits())
    }

    pub(super) fn mark(&self, mark: Mark) -> String {
        decimal(i128::from(mark.0) * 5, self.price_digits() + 1)
    }

    /// A price in units that need not be whole, to six decimals.
    pub(super) fn price_f64(&self, units: f64) -> String {
        super::decimal::rounded(units / self.instrument.price_scale(), MAX_DECIMALS)
    }

    pub(super) fn lots(&self, lots: Lots) -> String {
        decimal(lots.0.into(), self.instrument.size_decimals())
    }

    /// Mean price of so much notional in so many lots, to six decimals.
    pub(super) fn average(&self, notional: i128, size: Lots) -> String {
        let below = i128::from(size.0.max(1)) * 10_i128.pow(self.price_digits());
        let above = notional.saturating_mul(1_000_000);
        decimal((2 * above + below) / (2 * below), MAX_DECIMALS)
    }

    /// The venue's words, with the contract's number where the venue adds it.
    pub(super) fn refusal(&self, reason: &Refusal) -> String {
        let text = reason.text(&self.instrument);
        if reason.uses_up_name() || matches!(reason, Refusal::MissingOrder) {
            format!("{text} asset={}", self.asset_id)
        } else {
            text
        }
    }
}
