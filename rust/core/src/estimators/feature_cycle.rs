//! When features speak and how they enter the filter: tiers, reliability, whitening, fusion; MODEL.md sections 1 and 7.
//!
//! A cycle is the first event of the market at least `cycle_s` after the last one: it belongs to the events, not to whoever asks for
//! quotes, so that the same events give the same drift live, on paper and in a backtest, however often a ladder is asked for. Between
//! cycles the filter predicts.

use serde::{Deserialize, Serialize};

use super::drift::{DriftFilter, SourceIndex};
use super::fusion::{FeatureFusion, Fused, FusionInput, MAX_FEATURES};
use super::source::reliability;
use crate::calibration::{CalibratedFeature, Calibration, MAX_CALIBRATED};
use crate::config::EngineConfig;
use crate::error::Result;
use crate::features::pipeline::{FeatureConfig, FeaturePipeline};
use crate::features::{FEATURES, FeatureId, FeatureValue, Tier};
use crate::state::book::Book;
use crate::types::{NS_PER_S, TimestampNs};

// Every so many cycles.
const WARM_EVERY: u64 = 2;
const COLD_EVERY: u64 = 5;
const FUSED_NAME: &str = "features";
const _: () = assert!(MAX_CALIBRATED <= MAX_FEATURES);

/// The pipeline of one engine with the memory of what its features last said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeatureCycle {
    pipeline: FeaturePipeline,
    features: Vec<CalibratedFeature>,
    sources: Vec<SourceIndex>,
    memory_s: Vec<f64>,
    fused: SourceIndex,
    cycle_ns: i64,
    last_ns: Option<TimestampNs>,
    cycles: u64,
    fusion: FeatureFusion,
}

impl FeatureCycle {
    /// What the config asks for: `None` where nothing would use or read the features.
    ///
    /// # Errors
    /// Settings of the pipeline out of range.
    pub fn wanted(config: &EngineConfig, funding_interval_s: f64, drift: &mut DriftFilter) -> Result<Option<Self>> {
        let calibration = config.calibration.as_deref();
        let features = calibration.map_or(&[][..], |it| &it.features);
        if features.is_empty() && !config.watch_features {
            return Ok(None);
        }
        let made_with = calibration.map_or_else(FeatureConfig::default, |it| it.pipeline.clone());
        let pipeline = FeaturePipeline::new(FeatureConfig { funding_interval_s, ..made_with })?;
        Ok(Some(Self {
            pipeline,
            fused: drift.source(FUSED_NAME),
            sources: features.iter().map(|it| drift.feature_source(it.feature)).collect(),
            memory_s: features.iter().map(|it| it.noise_memory_s).collect(),
            features: features.to_vec(),
            cycle_ns: calibration.map_or(0, |it| (it.cycle_s * NS_PER_S) as i64),
            last_ns: None,
            cycles: 0,
            fusion: FeatureFusion::default(),
        }))
    }

    /// True for a name that outside signals may not have.
    #[must_use]
    pub fn is_own_name(name: &str) -> bool {
        name == FUSED_NAME || FeatureId::named(name).is_some()
    }

    /// What `after` asks for, with what these features have seen where they are made alike.
    ///
    /// `same_noise`: whether both calibrations have the same noise model; what the sights say of the noise holds under no other.
    #[must_use]
    pub fn continued(self, after: Self, same_noise: bool) -> Self {
        if self.pipeline.config() != after.pipeline.config() {
            return after;
        }
        if !same_noise || self.features != after.features || self.cycle_ns != after.cycle_ns {
            return Self { pipeline: self.pipeline, ..after };
        }
        self
    }

    /// The features.
    #[must_use]
    pub fn pipeline(&self) -> &FeaturePipeline {
        &self.pipeline
    }

    #[inline]
    pub(crate) fn pipeline_mut(&mut self) -> &mut FeaturePipeline {
        &mut self.pipeline
    }

    /// An event has been taken in. When a cycle is due, reads what is due of it and lets the filter observe it.
    #[inline]
    pub(crate) fn observe(
        &mut self,
        now_ns: TimestampNs,
        book: &Book,
        calibration: &Calibration,
        drift: &mut DriftFilter,
    ) {
        let due = self.last_ns.is_none_or(|last_ns| now_ns - last_ns >= self.cycle_ns);
        if due && !self.features.is_empty() {
            self.cycle(now_ns, book, calibration, drift);
        }
    }

    fn cycle(&mut self, now_ns: TimestampNs, book: &Book, calibration: &Calibration, drift: &mut DriftFilter) {
        let due = |tier: Tier| match tier {
            Tier::Hot => true,
            Tier::Warm => self.cycles % WARM_EVERY == 0,
            Tier::Cold => self.cycles % COLD_EVERY == 0,
        };
        let mut readings = [FeatureValue::default(); FEATURES.len()];
        for tier in [Tier::Hot, Tier::Warm, Tier::Cold] {
            if due(tier) && self.features.iter().any(|it| it.feature.row().tier == tier) {
                self.pipeline.read(tier, now_ns, book, &mut readings);
            }
        }
        let n = self.features.len().min(MAX_FEATURES);
        let (mut values, mut factors) = ([f64::NAN; MAX_FEATURES], [1.0; MAX_FEATURES]);
        for (place, it) in self.features[..n].iter().enumerate() {
            let reading = readings[it.feature as usize];
            let drift = it.slope * reading.value().unwrap_or(f64::NAN);
            // A drift that no filter may observe is no observation.
            values[place] = if DriftFilter::check(drift, 1.0).is_ok() { drift } else { f64::NAN };
            if let (Some(mean), Some(evidence)) = (it.mean_evidence, reading.evidence()) {
                factors[place] = reliability(mean / evidence);
            }
        }
        self.last_ns = Some(now_ns);
        self.cycles += 1;
        let input = FusionInput {
            values: &values[..n],
            covariance: &calibration.covariance,
            memory_s: &self.memory_s,
            noise_factors: &factors[..n],
            fresh_share: &calibration.fresh_noise_share,
        };
        let mut fused = Fused::default();
        drift.step(now_ns);
        if self.fusion.fuse_checked(drift, now_ns, &input, &mut fused) && !fused.parts().is_empty() {
            drift.update_fused(fused.parts(), fused.noise, self.fused, &self.sources);
        }
    }
}
