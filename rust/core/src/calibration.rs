//! What was measured on recordings of an instrument and enters its engine: MODEL.md section 8.
//!
//! A calibration is numbers only. Where they came from, when, and why the other features are out stands in the artefact it is read from.

use serde::{Deserialize, Serialize};

use crate::error::{Result, invalid_config};
use crate::feature_table::{FeatureConfig, FeatureId};
use crate::instrument::Instrument;
use crate::online::cholesky;

/// Most features a calibration may hold.
pub const MAX_CALIBRATED: usize = 32;
/// Most of a noise that may be new at every sight.
pub const MAX_FRESH_SHARE: f64 = 0.99;
const MAX_GAIN: f64 = 0.999;
const MAX_MEMORY_S: f64 = 600.0;

/// One feature that passed the gate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CalibratedFeature {
    /// Which one.
    pub feature: FeatureId,
    /// a/K, bps/s per unit of the feature: it observes a drift of slope × value.
    pub slope: f64,
    /// K = Var(a·f)/P∞: what one observation from the prior moves the drift by, above 0 and below 1.
    pub gain: f64,
    /// τ_e, s: how long its noise stands; 0 is fresh noise every cycle.
    pub noise_memory_s: f64,
    /// Mean of its evidence where the fit was made; noise then goes with mean/evidence, within [¼, 4]. `None` weighs all values alike.
    pub mean_evidence: Option<f64>,
}

/// How an own fill speaks: s = −sgn·depth/σ, clipped to ±4, once an aggressor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CalibratedFill {
    /// a/K, bps/s per unit of s.
    pub slope: f64,
    /// K, below 1; 0 silences fills.
    pub gain: f64,
}

/// What a calibration was made on: it holds there and nowhere else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalibratedInstrument {
    /// Venue symbol.
    pub coin: Box<str>,
    /// The venue's szDecimals: with it go the units of sizes and prices.
    pub size_decimals: u32,
}

/// The numbers of one calibration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// What it was made on, which an engine of anything else refuses. `None` for numbers that are of no recording: nothing is held against it.
    pub instrument: Option<CalibratedInstrument>,
    /// κ_μ, 1/s.
    pub mean_reversion_per_s: f64,
    /// P∞, (bps/s)².
    pub stationary_variance: f64,
    /// Spacing of the grid it was fitted on: features are read that often, s.
    pub cycle_s: f64,
    /// The features, each once; none leaves κ_μ and P∞.
    pub features: Vec<CalibratedFeature>,
    /// C: error covariance of their observations without the drift they share, (bps/s)², row by row, n×n, positive definite.
    pub covariance: Vec<f64>,
    /// u of each feature: the share of its noise that is new at every sight, 0 to 0.99, the rest standing for its memory. Empty: none is.
    pub fresh_noise_share: Vec<f64>,
    /// What the features were made with; the engine puts in its instrument's funding interval.
    pub pipeline: FeatureConfig,
    /// Own fills, where they were measured; else `fill_gain` of the config holds.
    pub own_fill: Option<CalibratedFill>,
    /// ν of σ_eff, where it was fitted; else the config's.
    pub volatility_ratio_exponent: Option<f64>,
    /// c_I of σ_eff, where it was fitted; else the config's.
    pub informed_volatility: Option<f64>,
    /// a₀ of adverse selection, where it was fitted; else the config's.
    pub adverse_selection_ratio: Option<f64>,
    /// κ_tail of adverse selection, where it was fitted; else the config's.
    pub tail_factor: Option<f64>,
}

type NoiseModel<'a> = (f64, f64, &'a [f64], &'a [f64]);

impl Calibration {
    /// A calibration of the drift alone.
    #[must_use]
    pub fn of_drift(mean_reversion_per_s: f64, stationary_variance: f64) -> Self {
        Self {
            instrument: None,
            mean_reversion_per_s,
            stationary_variance,
            cycle_s: 0.5,
            features: Vec::new(),
            covariance: Vec::new(),
            fresh_noise_share: Vec::new(),
            pipeline: FeatureConfig::default(),
            own_fill: None,
            volatility_ratio_exponent: None,
            informed_volatility: None,
            adverse_selection_ratio: None,
            tail_factor: None,
        }
    }

    /// R = P∞(1 − K)/K: what the noise of an observation with gain K is, (bps/s)².
    #[must_use]
    pub fn noise(&self, gain: f64) -> f64 {
        self.stationary_variance * (1.0 - gain) / gain
    }

    /// What the whitening of its features rests on beside the features: κ_μ, P∞, C and u.
    #[must_use]
    pub(crate) fn noise_model(&self) -> NoiseModel<'_> {
        (self.mean_reversion_per_s, self.stationary_variance, &self.covariance, &self.fresh_noise_share)
    }

    /// Checks every number and that they fit one another.
    ///
    /// # Errors
    /// [`crate::error::Error::InvalidConfig`] naming the first that does not hold.
    pub fn validate(&self) -> Result<()> {
        in_range("calibration.mean_reversion_per_s", self.mean_reversion_per_s, 1e-5, 10.0)?;
        in_range("calibration.stationary_variance", self.stationary_variance, 1e-12, 1e6)?;
        in_range("calibration.cycle_s", self.cycle_s, 0.01, 60.0)?;
        self.check_features()?;
        self.check_covariance()?;
        self.check_fresh_noise()?;
        self.pipeline.validate()?;
        if let Some(fill) = self.own_fill {
            in_range("calibration.own_fill.slope", fill.slope, -1e6, 1e6)?;
            in_range("calibration.own_fill.gain", fill.gain, 0.0, MAX_GAIN)?;
        }
        for (field, value, most) in [
            ("calibration.volatility_ratio_exponent", self.volatility_ratio_exponent, 2.0),
            ("calibration.informed_volatility", self.informed_volatility, 10.0),
            ("calibration.adverse_selection_ratio", self.adverse_selection_ratio, 10.0),
            ("calibration.tail_factor", self.tail_factor, 5.0),
        ] {
            in_range(field, value.unwrap_or(0.0), 0.0, most)?;
        }
        Ok(())
    }

    /// Checks that it was made on this instrument.
    ///
    /// # Errors
    /// [`crate::error::Error::InvalidConfig`] naming `calibration.coin` or `calibration.size_decimals`.
    pub fn check_instrument(&self, instrument: &Instrument) -> Result<()> {
        let Some(made_on) = &self.instrument else { return Ok(()) };
        let hint = "a calibration holds for the instrument it was made on";
        if *made_on.coin != *instrument.coin() {
            return Err(invalid_config(
                "calibration.coin",
                made_on.coin.to_string(),
                instrument.coin().to_owned(),
                hint,
            ));
        }
        let (found, wanted) = (made_on.size_decimals, instrument.size_decimals());
        if found != wanted {
            return Err(invalid_config("calibration.size_decimals", found, wanted.to_string(), hint));
        }
        Ok(())
    }

    fn check_features(&self) -> Result<()> {
        let found = self.features.len();
        if found > MAX_CALIBRATED {
            return Err(invalid_config("calibration.features", found, format!("at most {MAX_CALIBRATED}"), ""));
        }
        for (place, it) in self.features.iter().enumerate() {
            let name = it.feature.row().name;
            if self.features[..place].iter().any(|before| before.feature == it.feature) {
                return Err(invalid_config("calibration.features", name, "each feature once", ""));
            }
            if matches!(it.feature, FeatureId::VolatilityRatio | FeatureId::ExcessKurtosis) {
                let hint = "volatility features make the effective volatility and the tail factor";
                return Err(invalid_config("calibration.features", name, "features that say where price goes", hint));
            }
            let field = format!("calibration.features.{name}");
            in_range(&format!("{field}.slope"), it.slope, -1e6, 1e6)?;
            in_range(&format!("{field}.gain"), it.gain, 1e-9, MAX_GAIN)?;
            in_range(&format!("{field}.noise_memory_s"), it.noise_memory_s, 0.0, MAX_MEMORY_S)?;
            if let Some(mean) = it.mean_evidence {
                in_range(&format!("{field}.mean_evidence"), mean, 1e-12, 1e15)?;
            }
        }
        Ok(())
    }

    fn check_fresh_noise(&self) -> Result<()> {
        const FIELD: &str = "calibration.fresh_noise_share";
        let (found, n) = (self.fresh_noise_share.len(), self.features.len());
        if found != 0 && found != n {
            return Err(invalid_config(FIELD, format!("{found} numbers"), format!("{n} numbers, or none"), ""));
        }
        self.fresh_noise_share.iter().try_for_each(|share| in_range(FIELD, *share, 0.0, MAX_FRESH_SHARE))
    }

    fn check_covariance(&self) -> Result<()> {
        const FIELD: &str = "calibration.covariance";
        let n = self.features.len();
        let found = self.covariance.len();
        if found != n * n {
            return Err(invalid_config(FIELD, format!("{found} numbers"), format!("{n} × {n}, row by row"), ""));
        }
        for row in 0..n {
            for column in 0..n {
                let (value, mirrored) = (self.covariance[row * n + column], self.covariance[column * n + row]);
                if !(value.abs() < 1e12) {
                    return Err(invalid_config(FIELD, value, "finite numbers", ""));
                }
                if (value - mirrored).abs() > 1e-9 * (value.abs() + mirrored.abs()) {
                    let expected = format!("{mirrored}, as row {column} column {row}");
                    return Err(invalid_config(FIELD, value, expected, "a covariance is symmetric"));
                }
            }
        }
        if !cholesky::factor(&mut self.covariance.clone(), n) {
            return Err(invalid_config(FIELD, "(matrix)", "a positive definite matrix", "floor its eigenvalues"));
        }
        Ok(())
    }
}

fn in_range(field: &str, value: f64, least: f64, most: f64) -> Result<()> {
    if value >= least && value <= most {
        return Ok(());
    }
    Err(invalid_config(field.to_owned(), value, format!("{least} to {most}"), ""))
}
