//! The streaming pipeline: events in, readings of every feature out; MODEL.md section 7.

use serde::{Deserialize, Serialize};

use super::book::{BAND_10, BAND_25, BAND_50, BANDS_BPS, Bands, DepthHistory, OrderFlow, microprice_offset_bps};
use super::cross::{Lead, OutsideSeries, basis_bps, basis_change_bps, open_interest_change_bps};
use super::flow::{FLOW_WINDOWS_S, FlowImbalance, SizeShift, SweepScore};
use super::funding::FundingForecast;
use super::trend::{Trend, TrendReading};
use super::volatility::Volatility;
use super::{FeatureId, FeatureValue, Tier};
use crate::error::{Result, invalid_input, require_positive};
use crate::event::Context;
pub use crate::feature_table::FeatureConfig;
use crate::online::hawkes::HawkesIntensity;
use crate::online::second_grid::{GRID_GAP_NS, SecondGrid};
use crate::state::book::Book;
use crate::state::tape::{AggressorEvent, TapeChange};
use crate::types::{SECOND_NS, Side, TimestampNs, seconds_between};

const HAWKES_MEAN_S: f64 = 300.0;
// Over less time a mean rate says nothing.
const MIN_HAWKES_S: f64 = 60.0;
// Of each pair the bullish sign: buys, sells.
const SIGNS: [f64; 2] = [1.0, -1.0];

/// Every feature of one instrument, fed by the events its owner takes in.
///
/// The owner keeps the book and the tape, checks events and their order, and for each of them calls [`FeaturePipeline::advance`] with the book
/// as it stood before it, then the method of the event. Reading is pure: [`FeaturePipeline::evaluate`] changes nothing. Nothing allocates
/// after construction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeaturePipeline {
    config: FeatureConfig,
    next_second_ns: Option<TimestampNs>,
    book_ns: Option<TimestampNs>,
    tape_ns: Option<TimestampNs>,
    funding_ns: Option<TimestampNs>,
    last_mid: Option<f64>,
    grid: SecondGrid,
    volatility: Volatility,
    trend: Trend,
    // As of the last whole second: it changes then only.
    trend_reading: TrendReading,
    depth: DepthHistory,
    order_flow: OrderFlow,
    flow: FlowImbalance,
    sweep: SweepScore,
    hawkes: HawkesIntensity,
    trade_sizes: [SizeShift; 2],
    fill_sizes: [SizeShift; 2],
    funding: FundingForecast,
    basis: OutsideSeries,
    leader: OutsideSeries,
    lead: Lead,
    open_interest: OutsideSeries,
}

impl FeaturePipeline {
    /// A pipeline that has seen nothing.
    ///
    /// # Errors
    /// [`crate::error::Error::InvalidInput`] for a config out of range.
    pub fn new(config: FeatureConfig) -> Result<Self> {
        config.validate()?;
        Ok(Self {
            next_second_ns: None,
            book_ns: None,
            tape_ns: None,
            funding_ns: None,
            last_mid: None,
            grid: SecondGrid::with_capacity(),
            volatility: Volatility::new(config.volatility),
            trend: Trend::default(),
            trend_reading: TrendReading::default(),
            depth: DepthHistory::default(),
            order_flow: OrderFlow::default(),
            flow: FlowImbalance::default(),
            sweep: SweepScore::new(config.sweep_s),
            hawkes: HawkesIntensity::new(config.hawkes_decay_per_s, config.hawkes_branching_ratio, HAWKES_MEAN_S),
            trade_sizes: [SizeShift::default(), SizeShift::default()],
            fill_sizes: [SizeShift::default(), SizeShift::default()],
            funding: FundingForecast::new(config.funding_interval_s),
            basis: OutsideSeries::new(FeatureId::Basis.row().stale_s),
            leader: OutsideSeries::new(FeatureId::Lead.row().stale_s),
            lead: Lead::default(),
            open_interest: OutsideSeries::new(FeatureId::OpenInterestChange.row().stale_s),
            config,
        })
    }

    /// Lets every whole second up to `now_ns` pass with `book` as it stood before the event at `now_ns`.
    #[inline]
    pub fn advance(&mut self, now_ns: TimestampNs, book: &Book) {
        match self.next_second_ns {
            Some(next) if now_ns < next => {}
            Some(next) => self.pass_seconds(next, now_ns, book),
            None => {
                self.hawkes.start(now_ns);
                self.next_second_ns = Some(now_ns.saturating_add(SECOND_NS));
            }
        }
    }

    fn pass_seconds(&mut self, mut next_ns: TimestampNs, now_ns: TimestampNs, book: &Book) {
        if now_ns - next_ns > GRID_GAP_NS {
            self.forget_grid();
            next_ns = now_ns;
        }
        while next_ns <= now_ns && next_ns < TimestampNs::MAX {
            if self.last_mid.is_some() && book.updated_ns().is_some_and(|heard| next_ns - heard > GRID_GAP_NS) {
                self.forget_grid();
            }
            self.on_second(next_ns, book);
            next_ns = next_ns.saturating_add(SECOND_NS);
        }
        self.next_second_ns = Some(next_ns);
    }

    /// After a long silence the mid is unknown: the old one would put the whole jump into one second.
    fn forget_grid(&mut self) {
        self.grid.clear();
        self.last_mid = None;
    }

    fn on_second(&mut self, now_ns: TimestampNs, book: &Book) {
        let book_age_s = age_s(self.book_ns, now_ns);
        let is_fresh = book_age_s.is_some_and(|age_s| age_s <= FeatureId::BookAcceleration.row().stale_s);
        let bands = if is_fresh { Bands::of(book) } else { None };
        self.depth.on_second(now_ns, bands.as_ref());
        if is_fresh {
            self.order_flow.on_second(now_ns);
        }
        for series in [&mut self.basis, &mut self.leader, &mut self.open_interest] {
            series.on_second(now_ns);
        }
        if let Some(mid) = self.last_mid {
            self.grid.push(mid);
            self.volatility.update(&self.grid);
            self.trend.update(&self.grid);
            self.trend_reading = self.trend.reading(&self.grid, self.volatility.value());
            if is_fresh {
                self.lead.on_second(&self.grid, self.leader.grid());
            }
        }
    }

    /// The book changed, by a snapshot or a best bid and offer laid over it.
    #[inline]
    pub fn on_book(&mut self, now_ns: TimestampNs, book: &Book) {
        self.book_ns = Some(now_ns);
        if let Some(mid) = book.mid() {
            self.last_mid = Some(mid);
        }
        self.order_flow.update(now_ns, book);
    }

    /// A checked print of `size` contracts; `event` is the aggressor event it began or joined, the print included.
    #[inline]
    pub fn on_trade(&mut self, now_ns: TimestampNs, event: &AggressorEvent, change: TapeChange, size: f64) {
        self.tape_ns = Some(now_ns);
        let begun = change == TapeChange::Begun;
        self.flow.update(now_ns, event.side, size, begun);
        self.sweep.update(now_ns, event, begun);
        if begun {
            self.hawkes.update(now_ns, event.side.index());
        }
        self.trade_sizes[event.side.index()].on_print(now_ns, event, change);
    }

    /// A checked fill of our own: we took `side` of `size` contracts, so its aggressor took the other.
    pub fn on_own_fill(&mut self, now_ns: TimestampNs, side: Side, size: f64) {
        self.fill_sizes[side.opposite().index()].begin(now_ns, size);
    }

    /// Checked news of the contract's context.
    pub fn on_context(&mut self, now_ns: TimestampNs, context: &Context) {
        self.funding.update(now_ns, context.funding_rate, context.predicted_funding, context.next_settlement_ns);
        if context.funding_rate.is_some() || context.predicted_funding.is_some() {
            self.funding_ns = Some(now_ns);
        }
        if let (Some(oracle), None) = (context.oracle_price, &self.config.basis_market) {
            self.basis.hear(now_ns, oracle);
        }
        if let Some(interest) = context.open_interest.filter(|interest| *interest > 0.0) {
            self.open_interest.hear(now_ns, interest);
        }
    }

    /// A price of another market, by the name the config knows it under; true where a feature uses it.
    ///
    /// # Errors
    /// A price that is not finite and above 0.
    pub fn on_reference(&mut self, now_ns: TimestampNs, name: &str, price: f64) -> Result<bool> {
        require_positive("price", price)?;
        let is = |market: &Option<Box<str>>| market.as_deref() == Some(name);
        let (basis, lead) = (is(&self.config.basis_market), is(&self.config.lead_market));
        if basis {
            self.basis.hear(now_ns, price);
        }
        if lead {
            self.leader.hear(now_ns, price);
        }
        Ok(basis || lead)
    }

    /// Reads every feature of one tier as of `now_ns` into its place of `out`; the other places stay as they are.
    ///
    /// # Errors
    /// `out` is not as long as the table.
    pub fn evaluate(&self, tier: Tier, now_ns: TimestampNs, book: &Book, out: &mut [FeatureValue]) -> Result<()> {
        let expected = super::FEATURES.len();
        if out.len() != expected {
            return Err(invalid_input(
                "out",
                format!("{} places", out.len()),
                format!("{expected}, one a feature"),
                "",
            ));
        }
        self.read(tier, now_ns, book, out);
        Ok(())
    }

    /// [`FeaturePipeline::evaluate`] into as many places as the table has rows.
    #[inline]
    pub(crate) fn read(&self, tier: Tier, now_ns: TimestampNs, book: &Book, out: &mut [FeatureValue]) {
        let mut put = |id: FeatureId, value: FeatureValue| {
            if let Some(place) = out.get_mut(id as usize) {
                *place = value;
            }
        };
        match tier {
            Tier::Hot => {
                self.read_book(now_ns, book, &mut put);
                self.read_flow(now_ns, &mut put);
                self.read_trend(now_ns, &mut put);
            }
            Tier::Warm => self.read_warm(now_ns, book, &mut put),
            Tier::Cold => self.read_cold(now_ns, &mut put),
        }
    }

    /// What it was made with.
    #[must_use]
    pub fn config(&self) -> &FeatureConfig {
        &self.config
    }

    #[inline]
    fn read_book(&self, now_ns: TimestampNs, book: &Book, put: &mut impl FnMut(FeatureId, FeatureValue)) {
        use FeatureId::{
            BookAcceleration, BookImbalance2, BookImbalance5, BookImbalance10, BookImbalance25, BookImbalance50,
            DepthVelocity, MicropriceOffset, OrderFlowImbalance, PressureGradient,
        };
        const IMBALANCES: [FeatureId; BANDS_BPS.len()] =
            [BookImbalance2, BookImbalance5, BookImbalance10, BookImbalance25, BookImbalance50];
        let age_s = age_s(self.book_ns, now_ns);
        let bands = Bands::of(book);
        let mut put_banded = |id: FeatureId, age_s: Option<f64>, band: usize, value: Option<f64>| {
            let reading = FeatureValue::new(id, age_s, value);
            put(
                id,
                match &bands {
                    Some(bands) => reading.with_evidence(bands.depth(band)).covering(bands.covered_bps(band)),
                    None => reading,
                },
            );
        };
        let some_bands = bands.as_ref();
        for (band, id) in IMBALANCES.into_iter().enumerate() {
            put_banded(id, age_s, band, some_bands.and_then(|bands| bands.imbalance(band)));
        }
        put_banded(PressureGradient, age_s, BAND_50, some_bands.and_then(Bands::pressure_gradient));
        let change_age_s = age_s.filter(|_| self.depth.is_known());
        let acceleration = some_bands.and_then(|bands| self.depth.acceleration_per_s(now_ns, bands));
        put_banded(BookAcceleration, change_age_s, BAND_10, acceleration);
        let velocity = some_bands.and_then(|bands| self.depth.velocity_per_s(now_ns, bands));
        put_banded(DepthVelocity, change_age_s, BAND_25, velocity);
        put(MicropriceOffset, FeatureValue::new(MicropriceOffset, age_s, microprice_offset_bps(book)));
        let flow_age_s = age_s.filter(|_| self.order_flow.is_known());
        put(OrderFlowImbalance, FeatureValue::new(OrderFlowImbalance, flow_age_s, self.order_flow.imbalance(now_ns)));
    }

    #[inline]
    fn read_flow(&self, now_ns: TimestampNs, put: &mut impl FnMut(FeatureId, FeatureValue)) {
        use FeatureId::{
            FlowCount5, FlowCount30, FlowCount120, FlowCount300, FlowVolume5, FlowVolume30, FlowVolume120,
            FlowVolume300, SweepScore,
        };
        const COUNTS: [FeatureId; FLOW_WINDOWS_S.len()] = [FlowCount5, FlowCount30, FlowCount120, FlowCount300];
        const VOLUMES: [FeatureId; FLOW_WINDOWS_S.len()] = [FlowVolume5, FlowVolume30, FlowVolume120, FlowVolume300];
        let age_s = age_s(self.tape_ns, now_ns);
        for ((flow, count_id), volume_id) in self.flow.readings(now_ns).into_iter().zip(COUNTS).zip(VOLUMES) {
            put(count_id, FeatureValue::new(count_id, age_s, Some(flow.count)).with_evidence(flow.events));
            put(volume_id, FeatureValue::new(volume_id, age_s, Some(flow.volume)).with_evidence(flow.events));
        }
        put(SweepScore, FeatureValue::new(SweepScore, age_s, Some(self.sweep.value(now_ns))));
    }

    #[inline]
    fn read_trend(&self, now_ns: TimestampNs, put: &mut impl FnMut(FeatureId, FeatureValue)) {
        use FeatureId::{TrendAgreement, TrendContinuation, TrendReturn10, TrendReturn60, TrendReturn300, TrendScore};
        let age_s = age_s(self.book_ns, now_ns);
        let seen = |id: FeatureId, horizon_s: usize, value: f64, evidence: f64| {
            let age_s = age_s.filter(|_| self.grid.len() > horizon_s);
            FeatureValue::new(id, age_s, Some(value)).with_evidence(evidence)
        };
        let trend = &self.trend_reading;
        let evidence = trend.agreement * trend.agreement;
        let [short, middle, long] = Trend::HORIZONS_S;
        put(TrendReturn10, seen(TrendReturn10, short, trend.returns_bps[0], evidence));
        put(TrendReturn60, seen(TrendReturn60, middle, trend.returns_bps[1], evidence));
        put(TrendReturn300, seen(TrendReturn300, long, trend.returns_bps[2], evidence));
        put(TrendAgreement, seen(TrendAgreement, long, trend.agreement, 1.0));
        put(TrendScore, seen(TrendScore, long, trend.score, evidence));
        put(TrendContinuation, seen(TrendContinuation, 2 * short, trend.continuation, 1.0));
    }

    fn read_warm(&self, now_ns: TimestampNs, book: &Book, put: &mut impl FnMut(FeatureId, FeatureValue)) {
        use FeatureId::{
            Basis, BasisChange, FillSizeBuy, FillSizeSell, HawkesBuy, HawkesSell, TradeSizeBuy, TradeSizeSell,
            VolatilityRatio,
        };
        let tape_age_s = age_s(self.tape_ns, now_ns);
        let (excess, mean) = (self.hawkes.excess_per_s(now_ns), self.hawkes.mean_per_s(now_ns));
        let hawkes_age_s = tape_age_s.filter(|_| self.hawkes.seen_s(now_ns) >= MIN_HAWKES_S);
        // λ = Λ + excess.
        let intensity = mean[0] + mean[1] + excess[0] + excess[1];
        for (side, id) in [HawkesBuy, HawkesSell].into_iter().enumerate() {
            put(id, FeatureValue::new(id, hawkes_age_s, Some(SIGNS[side] * excess[side])).with_evidence(intensity));
        }
        for (sizes, ids) in
            [(&self.trade_sizes, [TradeSizeBuy, TradeSizeSell]), (&self.fill_sizes, [FillSizeBuy, FillSizeSell])]
        {
            for ((shift, id), sign) in sizes.iter().zip(ids).zip(SIGNS) {
                let age_s = age_s(shift.last_ns(), now_ns).filter(|_| shift.is_known());
                put(id, FeatureValue::new(id, age_s, shift.value().map(|shift| sign * shift)));
            }
        }
        let book_age_s = age_s(self.book_ns, now_ns);
        let basis_age_s = older(book_age_s, age_s(self.basis.heard_ns(), now_ns));
        let basis = book.mid().zip(self.basis.value()).map(|(mid, reference)| basis_bps(mid, reference));
        put(Basis, FeatureValue::new(Basis, basis_age_s, basis));
        let change = basis_change_bps(&self.grid, self.basis.grid());
        put(BasisChange, FeatureValue::new(BasisChange, basis_age_s, change));
        let known_age_s = book_age_s.filter(|_| self.volatility.is_known());
        put(VolatilityRatio, FeatureValue::new(VolatilityRatio, known_age_s, Some(self.volatility.ratio())));
    }

    fn read_cold(&self, now_ns: TimestampNs, put: &mut impl FnMut(FeatureId, FeatureValue)) {
        use FeatureId::{ExcessKurtosis, FundingZ, Lead, OpenInterestChange};
        let book_age_s = age_s(self.book_ns, now_ns);
        let lead_age_s = older(book_age_s, age_s(self.leader.heard_ns(), now_ns)).filter(|_| self.lead.is_known());
        let residual = self.lead.residual_bps(&self.grid, self.leader.grid());
        put(Lead, FeatureValue::new(Lead, lead_age_s, residual).with_evidence(self.lead.explained()));
        let interest_age_s = older(book_age_s, age_s(self.open_interest.heard_ns(), now_ns));
        let change = open_interest_change_bps(&self.grid, self.open_interest.grid());
        put(OpenInterestChange, FeatureValue::new(OpenInterestChange, interest_age_s, change));
        let score = self.funding.z_score(now_ns);
        let evidence = score.map_or(0.0, |score| score.abs().min(1.0));
        let funding_age_s = age_s(self.funding_ns, now_ns);
        put(FundingZ, FeatureValue::new(FundingZ, funding_age_s, score.map(|score| -score)).with_evidence(evidence));
        let tail_age_s = book_age_s.filter(|_| self.volatility.tail_is_known());
        put(ExcessKurtosis, FeatureValue::new(ExcessKurtosis, tail_age_s, Some(self.volatility.excess_kurtosis())));
    }
}

/// Seconds since something was heard, at least 0.
#[inline]
fn age_s(heard_ns: Option<TimestampNs>, now_ns: TimestampNs) -> Option<f64> {
    heard_ns.map(|heard_ns| seconds_between(heard_ns, now_ns).max(0.0))
}

/// The age of two inputs together.
#[inline]
fn older(left: Option<f64>, right: Option<f64>) -> Option<f64> {
    Some(left?.max(right?))
}
