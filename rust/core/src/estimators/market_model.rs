//! Everything learned from the market, in one place: fed by events and whole seconds, read by pricing.

use serde::{Deserialize, Serialize};

use super::adverse_selection::LearnedAdverseSelection;
use super::depth_decay::DepthDecay;
use super::drift::{DriftFilter, SourceIndex};
use super::drift_scale::{DriftScale, SCALE_HORIZON_S};
use super::estimates::Estimates;
use super::feature_cycle::FeatureCycle;
use super::flow::DirectionalFlow;
use super::own_fill::{FillObservation, OwnFills};
use super::reach::{ReachTracker, belongs_to};
use super::source::{SlowSource, gains, reliability};
use crate::calibration::Calibration;
use crate::config::EngineConfig;
use crate::error::{Result, invalid_input};
use crate::event::Context;
use crate::features::flow::FLOW_WINDOWS_S;
use crate::features::funding::FundingForecast;
use crate::features::pipeline::FeaturePipeline;
use crate::features::trend::{Trend, TrendReading};
use crate::features::volatility::Volatility;
use crate::online::decayed::DecayedPair;
use crate::online::lanes::larger;
use crate::online::median::RollingMedian;
use crate::online::second_grid::SecondGrid;
use crate::state::book::Book;
use crate::state::tape::{AggressorEvent, TapeChange};
use crate::types::{BPS, Side, TimestampNs, seconds_between};

const FLOW_FEATURE: usize = 1;
const FLOW_PRICING: usize = 2;
const FLOW_MEMORY_S: f64 = 30.0;
const FUNDING_MEMORY_S: f64 = 600.0;
// The tape's bounce would enter finer returns.
const PRICE_GRID_NS: i64 = 5_000_000_000;
const HALF_SPREAD_SAMPLES: usize = 300;
const MIN_THRESHOLD_BPS: f64 = 0.25;
const EVENT_SIZE_S: f64 = 300.0;
// Fills this close together on one side are one aggressor's work.
const ONE_AGGRESSOR_NS: i64 = 100_000_000;

const PRICE: SourceIndex = SourceIndex::from_place(0);
const FILL: SourceIndex = SourceIndex::from_place(1);
const FLOW: SourceIndex = SourceIndex::from_place(2);
const FUNDING: SourceIndex = SourceIndex::from_place(3);
const SOURCE_NAMES: [&str; 4] = ["price", "fill", "flow", "funding"];

/// Estimators and the second grid that drives them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MarketModel {
    drift: DriftFilter,
    flow: DirectionalFlow,
    decays: [DepthDecay; 2],
    reaches: [ReachTracker; 2],
    // Contracts and events; their ratio is the mean size of an aggressor event.
    event_sizes: [DecayedPair; 2],
    half_spreads: RollingMedian,
    threshold_bps: f64,
    grid: SecondGrid,
    volatility: Volatility,
    volatility_factor: f64,
    trend: Trend,
    funding: FundingForecast,
    flow_source: SlowSource,
    funding_source: SlowSource,
    flow_events_observed: u64,
    funding_news: bool,
    scale: DriftScale,
    price_sample: Option<(TimestampNs, f64)>,
    own_fill: Option<FillObservation>,
    adverse_selection: LearnedAdverseSelection,
    /// The last fill of each side: those of one aggressor are one sample.
    last_fill_ns: [Option<TimestampNs>; 2],
    drift_deviation_ratio: f64,
    /// P∞ of the calibration, (bps/s)².
    calibrated_variance: Option<f64>,
    volatility_ratio_exponent: f64,
    informed_volatility: f64,
    gains: [f64; 3],
    own_fills: OwnFills,
    features: Option<Box<FeatureCycle>>,
}

impl MarketModel {
    /// Priors from the config.
    ///
    /// # Errors
    /// A config whose drift parameters are out of domain.
    pub fn new(config: &EngineConfig, funding_interval_s: f64) -> Result<Self> {
        let calibration = config.calibration.as_deref();
        let deviation =
            calibration.map_or(config.drift_deviation_ratio * config.volatility, |it| it.stationary_variance.sqrt());
        let mut drift = DriftFilter::new(mean_reversion(config), deviation)?;
        for name in SOURCE_NAMES {
            drift.source(name);
        }
        let decay = || DepthDecay::new(config.depth_decay, config.arrival_rate, config.depth_decay_half_life_s);
        let size = || DecayedPair::new(EVENT_SIZE_S);
        let features = FeatureCycle::wanted(config, funding_interval_s, &mut drift)?;
        Ok(Self {
            drift,
            flow: DirectionalFlow::new(config.arrival_rate, &FLOW_WINDOWS_S),
            decays: [decay(), decay()],
            reaches: [ReachTracker::default(), ReachTracker::default()],
            event_sizes: [size(), size()],
            half_spreads: RollingMedian::new(HALF_SPREAD_SAMPLES),
            threshold_bps: MIN_THRESHOLD_BPS,
            grid: SecondGrid::default(),
            volatility: Volatility::new(config.volatility),
            volatility_factor: 1.0,
            trend: Trend::default(),
            funding: FundingForecast::new(funding_interval_s),
            flow_source: SlowSource::new(FLOW_MEMORY_S),
            funding_source: SlowSource::new(FUNDING_MEMORY_S),
            flow_events_observed: 0,
            funding_news: false,
            scale: DriftScale::default(),
            price_sample: None,
            own_fill: None,
            adverse_selection: LearnedAdverseSelection::default(),
            last_fill_ns: [None, None],
            drift_deviation_ratio: config.drift_deviation_ratio,
            calibrated_variance: calibration.map(|it| it.stationary_variance),
            volatility_ratio_exponent: config.volatility_ratio_exponent_in_force(),
            informed_volatility: config.informed_volatility_in_force(),
            gains: gains(config),
            own_fills: OwnFills::new(config),
            features: features.map(Box::new),
        })
    }

    /// Takes over new settings in place of those `before`, keeping all that was learned; features begin anew where they are made otherwise.
    ///
    /// # Errors
    /// A calibration whose features cannot be made.
    pub fn update_config(
        &mut self,
        before: &EngineConfig,
        config: &EngineConfig,
        funding_interval_s: f64,
    ) -> Result<()> {
        let noise = [before, config].map(|it| it.calibration.as_deref().map(Calibration::noise_model));
        let features = FeatureCycle::wanted(config, funding_interval_s, &mut self.drift)?;
        self.features = match (self.features.take(), features) {
            (Some(before), Some(after)) => Some(Box::new(before.continued(after, noise[0] == noise[1]))),
            (_, after) => after.map(Box::new),
        };
        self.drift.set_mean_reversion(mean_reversion(config));
        self.calibrated_variance = config.calibration.as_ref().map(|it| it.stationary_variance);
        self.own_fills = OwnFills::new(config);
        self.flow.set_prior(config.arrival_rate);
        for decay in &mut self.decays {
            decay.set_prior(config.depth_decay, config.depth_decay_half_life_s);
        }
        self.volatility.set_prior(config.volatility);
        self.drift_deviation_ratio = config.drift_deviation_ratio;
        self.volatility_ratio_exponent = config.volatility_ratio_exponent_in_force();
        self.informed_volatility = config.informed_volatility_in_force();
        self.gains = gains(config);
        self.refresh_volatility();
        Ok(())
    }

    /// Lets the features' whole seconds up to `now_ns` pass, with the book as it stood before the event.
    #[inline]
    pub fn advance_features(&mut self, now_ns: TimestampNs, book: &Book) {
        if let Some(features) = &mut self.features {
            features.pipeline_mut().advance(now_ns, book);
        }
    }

    /// The book changed.
    #[inline]
    pub fn on_book(&mut self, now_ns: TimestampNs, book: &Book) {
        if let Some(features) = &mut self.features {
            features.pipeline_mut().on_book(now_ns, book);
        }
    }

    /// A price of another market.
    ///
    /// # Errors
    /// A price that is not finite and above 0.
    pub fn on_reference(&mut self, now_ns: TimestampNs, name: &str, price: f64) -> Result<()> {
        match &mut self.features {
            Some(features) => features.pipeline_mut().on_reference(now_ns, name, price).map(|_| ()),
            None => Ok(()),
        }
    }

    /// After an event of the market: when the last cycle is `cycle_s` ago, the features that are due enter the filter.
    #[inline]
    pub fn observe_features(&mut self, now_ns: TimestampNs, book: &Book, calibration: Option<&Calibration>) {
        if let (Some(features), Some(calibration)) = (&mut self.features, calibration) {
            features.observe(now_ns, book, calibration, &mut self.drift);
        }
    }

    /// The features, where they run.
    #[must_use]
    pub fn features(&self) -> Option<&FeaturePipeline> {
        self.features.as_ref().map(|features| features.pipeline())
    }

    /// The first event of all: clocks of rates begin.
    pub fn start(&mut self, now_ns: TimestampNs) {
        self.flow.start(now_ns);
        for decay in &mut self.decays {
            decay.start(now_ns);
        }
    }

    /// A gap longer than the grid: returns across it are unknown.
    pub fn forget_grid(&mut self) {
        self.price_sample = None;
        self.grid.clear();
        self.scale.forget_pending();
        self.adverse_selection.forget_pending();
    }

    /// A whole second has passed. `mid` was in force at it, `fresh` when the book spoke since the last price sample.
    pub fn on_second(
        &mut self,
        now_ns: TimestampNs,
        mid: Option<f64>,
        half_spread_bps: Option<f64>,
        fresh: bool,
    ) -> bool {
        let mut sampled = false;
        if let Some(mid) = mid {
            self.grid.push(mid);
            self.volatility.update(&self.grid);
            self.trend.update(&self.grid);
            self.adverse_selection.on_second(now_ns, &self.grid);
            self.refresh_volatility();
            sampled = self.observe_price(now_ns, mid, fresh);
        }
        if let Some(half_spread) = half_spread_bps {
            self.half_spreads.add(half_spread);
            self.threshold_bps = self.half_spreads.value().unwrap_or(0.0).max(MIN_THRESHOLD_BPS);
        }
        let pooled = self.flow.pooled_rate(now_ns);
        for decay in &mut self.decays {
            decay.set_market(pooled, self.threshold_bps);
        }
        self.observe_flow(now_ns, pooled);
        self.observe_funding(now_ns);
        if mid.is_some() {
            self.drift.step(now_ns);
            let forecast = self.drift.displacement(SCALE_HORIZON_S as f64);
            self.scale.update(self.grid.return_bps(SCALE_HORIZON_S), forecast);
        }
        sampled
    }

    fn refresh_volatility(&mut self) {
        let stationary = self.calibrated_variance.unwrap_or_else(|| {
            let deviation = self.drift_deviation_ratio * self.volatility.value();
            deviation * deviation
        });
        self.drift.set_stationary_variance(stationary * self.scale.value());
        let ratio = self.volatility.ratio();
        self.volatility_factor = if ratio > 1.0 { libm::pow(ratio, self.volatility_ratio_exponent) } else { 1.0 };
    }

    /// Return of 5 s or more: z = Δmid/dt, R = σ²/dt. Silence of the feed is no zero return: the next one spans it.
    fn observe_price(&mut self, now_ns: TimestampNs, mid: f64, fresh: bool) -> bool {
        let Some((last_ns, last_mid)) = self.price_sample else {
            self.price_sample = Some((now_ns, mid));
            return true;
        };
        if !fresh || now_ns - last_ns < PRICE_GRID_NS {
            return false;
        }
        let elapsed = seconds_between(last_ns, now_ns);
        let sigma = self.volatility.value();
        self.drift.step(now_ns);
        self.drift.update(libm::log(mid / last_mid) * BPS / elapsed, sigma * sigma / elapsed, PRICE);
        self.price_sample = Some((now_ns, mid));
        true
    }

    fn observe_flow(&mut self, now_ns: TimestampNs, pooled: f64) {
        if self.flow.events() == self.flow_events_observed {
            return;
        }
        self.flow_events_observed = self.flow.events();
        let reading = self.flow.reading_with(FLOW_FEATURE, now_ns, pooled);
        let factor = self.flow_source.count_reliability(now_ns, reading.effective_events.max(1e-9));
        if let Some(standardized) = self.flow_source.standardize(now_ns, -reading.imbalance()) {
            self.flow_source.observe(&mut self.drift, now_ns, standardized, self.gains[1], factor, FLOW);
        }
    }

    fn observe_funding(&mut self, now_ns: TimestampNs) {
        if !std::mem::take(&mut self.funding_news) {
            return;
        }
        let past_silence = self.funding_source.past_silence(now_ns);
        if let Some(score) = self.funding.z_score(now_ns)
            && past_silence
        {
            let factor = reliability(1.0 / score.abs().min(1.0));
            self.funding_source.observe(&mut self.drift, now_ns, -score, self.gains[2], factor, FUNDING);
        }
    }

    /// A print began or joined an aggressor event.
    pub fn on_print(&mut self, now_ns: TimestampNs, event: &AggressorEvent, change: TapeChange, size: f64) {
        let place = event.side.opposite().index();
        let begun = change == TapeChange::Begun;
        if begun {
            self.flow.update(now_ns, event.side);
        }
        self.event_sizes[place].add_both(now_ns, [size, if begun { 1.0 } else { 0.0 }]);
        self.reaches[place].on_print(&mut self.decays[place], event, begun, self.threshold_bps);
        if let Some(features) = &mut self.features {
            features.pipeline_mut().on_trade(now_ns, event, change, size);
        }
    }

    /// An order of ours traded `size` contracts: the drift observes s = −sgn·depth/σ once per aggressor, at its deepest fill; its event is censored there.
    pub fn on_own_fill(
        &mut self,
        now_ns: TimestampNs,
        side: Side,
        (price, units, size): (f64, i64, f64),
        mid: Option<f64>,
        event: Option<&AggressorEvent>,
    ) {
        let place = side.index();
        if let Some(features) = &mut self.features {
            features.pipeline_mut().on_own_fill(now_ns, side, size);
        }
        self.reaches[place].on_own_fill(&mut self.decays[place], now_ns, units, event);
        // Seen from the mid before its aggressor: once the book has told of the sweep, the order would seem to have stood beyond mid.
        let before = event.filter(|event| belongs_to(event, now_ns)).and_then(|event| event.mid_before);
        let Some(mid) = before.or(mid) else { return };
        // No resting order stands beyond mid, so that no fill is evidence for its own side.
        let depth_bps = larger(side.sign() * (mid - price) / mid * BPS, 0.0);
        let standardized = -side.sign() * depth_bps / self.volatility.value();
        let Some((drift, noise)) = self.own_fills.observation(standardized, self.drift.stationary_variance()) else {
            return;
        };
        self.drift.step(now_ns);
        match self.own_fill {
            Some(before) if before.side == side && now_ns - before.time_ns <= ONE_AGGRESSOR_NS => {
                if depth_bps > before.depth_bps {
                    self.drift.revise(before.drift, drift, before.noise, FILL);
                    self.own_fill = Some(FillObservation { depth_bps, drift, ..before });
                }
            }
            _ => {
                self.drift.update(drift, noise, FILL);
                self.own_fill = Some(FillObservation { time_ns: now_ns, side, depth_bps, drift, noise });
            }
        }
    }

    /// What becomes of a fill is to be held against `toxic_bps`, the a₀ term at the fill.
    pub fn learn_from_fill(&mut self, now_ns: TimestampNs, side: Side, toxic_bps: f64) {
        let last_ns = self.last_fill_ns[side.index()].replace(now_ns);
        if last_ns.is_none_or(|last_ns| now_ns - last_ns > ONE_AGGRESSOR_NS) {
            self.drift.step(now_ns);
            let drift_bps = self.drift.displacement(SCALE_HORIZON_S as f64);
            self.adverse_selection.on_fill(now_ns, side, toxic_bps - side.sign() * drift_bps);
        }
    }

    /// News of the contract's context.
    pub fn on_context(&mut self, now_ns: TimestampNs, context: &Context) {
        self.funding.update(now_ns, context.funding_rate, context.predicted_funding, context.next_settlement_ns);
        self.funding_news |= context.funding_rate.is_some() || context.predicted_funding.is_some();
        if let Some(features) = &mut self.features {
            features.pipeline_mut().on_context(now_ns, context);
        }
    }

    /// Refuses a name that an outside signal may not have: none, one of our own sources, or one too many.
    ///
    /// # Errors
    /// [`crate::error::Error::InvalidInput`].
    pub fn check_outside_name(&self, name: &str) -> Result<()> {
        if SOURCE_NAMES.contains(&name) || FeatureCycle::is_own_name(name) {
            return Err(invalid_input(
                "name",
                name,
                "a name of your own",
                format!(
                    "{} and the features are the engine's own sources; call it external_{name}",
                    SOURCE_NAMES.join(", ")
                ),
            ));
        }
        self.drift.check_name(name)
    }

    /// A checked outside signal.
    pub fn observe(&mut self, now_ns: TimestampNs, drift_bps_per_s: f64, variance: f64, name: &str) {
        self.drift.step(now_ns);
        let source = self.drift.source(name);
        self.drift.update(drift_bps_per_s, variance, source);
    }

    /// The drift filter.
    #[must_use]
    pub fn drift(&self) -> &DriftFilter {
        &self.drift
    }

    /// The funding forecast.
    #[must_use]
    pub fn funding(&self) -> &FundingForecast {
        &self.funding
    }

    /// The directional flow, windows as in [`FLOW_WINDOWS_S`].
    #[must_use]
    pub fn flow(&self) -> &DirectionalFlow {
        &self.flow
    }

    /// The trend detector's present reading.
    #[must_use]
    pub fn trend(&self) -> TrendReading {
        self.trend.reading(&self.grid, self.volatility.value())
    }

    /// Online factor on P∞ within [⅓, 3].
    #[must_use]
    pub fn drift_scale(&self) -> f64 {
        self.scale.value()
    }

    /// d₀ in force: reaches below it teach nothing on depth decay, bps.
    #[must_use]
    pub fn reach_threshold_bps(&self) -> f64 {
        self.threshold_bps
    }

    /// σ₃₀/σ₃₀₀.
    #[must_use]
    pub fn volatility_ratio(&self) -> f64 {
        self.volatility.ratio()
    }

    /// Every slow estimate pricing reads, as of `now_ns`.
    #[must_use]
    pub fn estimates(&self, now_ns: TimestampNs) -> Estimates {
        let flow = self.flow.reading(FLOW_PRICING, now_ns);
        let volatility = self.volatility.value();
        let informed = if self.informed_volatility > 0.0 {
            (1.0 + self.informed_volatility * flow.informed_fraction()).sqrt()
        } else {
            1.0
        };
        let (bid_toxicity, ask_toxicity) = flow.toxicity();
        Estimates {
            learned_adverse_selection_bps: self.adverse_selection.values(),
            stationary_variance: self.drift.stationary_variance(),
            mean_reversion_per_s: self.drift.mean_reversion_per_s(),
            volatility,
            effective_volatility: volatility * self.volatility_factor * informed,
            excess_kurtosis: self.volatility.excess_kurtosis(),
            arrival_rates: [flow.sell_rate, flow.buy_rate],
            toxicities: [bid_toxicity, ask_toxicity],
            depth_decays: [self.decays[0].decay(), self.decays[1].decay()],
            intensities: [self.decays[0].intensity_at_mid(now_ns), self.decays[1].intensity_at_mid(now_ns)],
            mean_event_sizes: [self.event_sizes[0].ratio(), self.event_sizes[1].ratio()],
            regime_probabilities: [0.0; 4],
            log_risk_aversion_shift: 0.0,
        }
    }
}

fn mean_reversion(config: &EngineConfig) -> f64 {
    config.calibration.as_ref().map_or(config.drift_mean_reversion_per_s, |it| it.mean_reversion_per_s)
}
