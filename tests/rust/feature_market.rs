//! A feature pipeline with the book and tape its owner keeps, and for each feature a market that is bullish in what it sees.

use hypermm_core::event::{Context, MarketEvent, Trade};
use hypermm_core::features::pipeline::{FeatureConfig, FeaturePipeline};
use hypermm_core::features::{FEATURES, FeatureId, FeatureValue, Tier};
use hypermm_core::instrument::Instrument;
use hypermm_core::state::book::{Book, SnapshotLevels};
use hypermm_core::state::tape::Tape;
use hypermm_core::types::Side;

pub(crate) const S: i64 = 1_000_000_000;
pub(crate) const MID: f64 = 2000.0;

pub(crate) fn instrument() -> Instrument {
    Instrument::new("ETH", 4, 25, 10.0, 3600.0).unwrap()
}

/// The pipeline with the book and tape its owner keeps.
#[derive(Clone)]
pub(crate) struct Market {
    pub(crate) instrument: Instrument,
    pub(crate) book: Book,
    pub(crate) tape: Tape,
    pub(crate) pipeline: FeaturePipeline,
}

impl Market {
    pub(crate) fn new() -> Self {
        let config = FeatureConfig { lead_market: Some("BTC".into()), ..FeatureConfig::default() };
        let pipeline = FeaturePipeline::new(config).unwrap();
        Self { instrument: instrument(), book: Book::default(), tape: Tape::default(), pipeline }
    }

    pub(crate) fn on(&mut self, time_ns: i64, event: &MarketEvent<'_>) {
        self.pipeline.advance(time_ns, &self.book);
        match event {
            MarketEvent::Book { bid_prices, bid_sizes, ask_prices, ask_sizes, .. } => {
                let levels = SnapshotLevels { bid_prices, bid_sizes, ask_prices, ask_sizes };
                self.book.apply_snapshot(time_ns, &Book::check_snapshot(&self.instrument, levels).unwrap());
                self.pipeline.on_book(time_ns, &self.book);
            }
            MarketEvent::Best { bid, ask, .. } => {
                let bid = Book::check_best(&self.instrument, Side::Buy, *bid).unwrap();
                let ask = Book::check_best(&self.instrument, Side::Sell, *ask).unwrap();
                self.book.apply_best(time_ns, bid, ask);
                self.pipeline.on_book(time_ns, &self.book);
            }
            MarketEvent::Trade(trade) => {
                let units = self.instrument.price_from_f64("price", trade.price).unwrap().0;
                let key_ns = trade.exchange_time_ns.unwrap_or(time_ns);
                let change = self.tape.apply(time_ns, key_ns, trade.aggressor, units, trade.price, trade.size, None);
                self.pipeline.on_trade(time_ns, self.tape.last(trade.aggressor).unwrap(), change, trade.size);
            }
            MarketEvent::Context(context) => self.pipeline.on_context(time_ns, context),
            MarketEvent::Observation { .. } | MarketEvent::Reference { .. } => {}
        }
    }

    /// Twenty levels a side, 3 bps apart around a mid; `sizes` by level.
    pub(crate) fn on_ladder(
        &mut self,
        time_ns: i64,
        mid: f64,
        bid_size: impl Fn(usize) -> f64,
        ask_size: impl Fn(usize) -> f64,
    ) {
        let at = |level: usize| 0.1 + 0.6 * level as f64;
        let rounded = |price: f64| (price * 10.0).round() / 10.0;
        let bid_prices: Vec<f64> = (0..20).map(|level| rounded(mid - at(level))).collect();
        let ask_prices: Vec<f64> = (0..20).map(|level| rounded(mid + at(level))).collect();
        let bid_sizes: Vec<f64> = (0..20).map(bid_size).collect();
        let ask_sizes: Vec<f64> = (0..20).map(ask_size).collect();
        let event = MarketEvent::Book {
            bid_prices: &bid_prices,
            bid_sizes: &bid_sizes,
            ask_prices: &ask_prices,
            ask_sizes: &ask_sizes,
            exchange_time_ns: None,
        };
        self.on(time_ns, &event);
    }

    pub(crate) fn on_even(&mut self, time_ns: i64, mid: f64) {
        self.on_ladder(time_ns, mid, |_| 5.0, |_| 5.0);
    }

    pub(crate) fn on_print(&mut self, time_ns: i64, aggressor: Side, price: f64, size: f64) {
        self.on(time_ns, &MarketEvent::Trade(Trade { price, size, aggressor, exchange_time_ns: Some(time_ns) }));
    }

    pub(crate) fn all(&self, now_ns: i64) -> Vec<FeatureValue> {
        let mut out = vec![FeatureValue::default(); FEATURES.len()];
        for tier in [Tier::Hot, Tier::Warm, Tier::Cold] {
            self.pipeline.evaluate(tier, now_ns, &self.book, &mut out).unwrap();
        }
        out
    }

    pub(crate) fn read(&self, id: FeatureId, now_ns: i64) -> FeatureValue {
        self.all(now_ns)[id as usize]
    }
}

/// A situation that is bullish in what this feature sees, or with `bullish` false its mirror image; and when it is read.
pub(crate) fn situation(id: FeatureId, bullish: bool) -> (Market, i64) {
    use FeatureId as F;
    let sign = if bullish { 1.0 } else { -1.0 };
    let (buys, sells) = if bullish { (Side::Buy, Side::Sell) } else { (Side::Sell, Side::Buy) };
    let mut market = Market::new();
    let (more, less) = if bullish { (9.0, 4.0) } else { (4.0, 9.0) };
    match id {
        F::BookImbalance2 | F::BookImbalance5 | F::BookImbalance10 | F::BookImbalance25 | F::BookImbalance50 => {
            market.on_ladder(S, MID, |_| more, |_| less);
            (market, S)
        }
        F::MicropriceOffset => {
            market.on_ladder(
                S,
                MID,
                |level| if level == 0 { more } else { 5.0 },
                |level| if level == 0 { less } else { 5.0 },
            );
            (market, S)
        }
        F::PressureGradient => {
            market.on_ladder(
                S,
                MID,
                |level| if level < 3 { more } else { 5.0 },
                |level| if level < 3 { less } else { 5.0 },
            );
            (market, S)
        }
        F::BookAcceleration | F::DepthVelocity | F::OrderFlowImbalance => {
            for second in 1..5 {
                market.on_even(second * S, MID);
            }
            market.on_ladder(5 * S, MID, |_| more, |_| less);
            (market, 5 * S)
        }
        F::SweepScore
        | F::FlowCount5
        | F::FlowCount30
        | F::FlowCount120
        | F::FlowCount300
        | F::FlowVolume5
        | F::FlowVolume30
        | F::FlowVolume120
        | F::FlowVolume300 => {
            market.on_even(S, MID);
            market.on_print(2 * S, sells, MID, 1.0);
            for second in 3..6 {
                market.on_print(second * S, buys, MID, 1.0);
                market.on_print(second * S, buys, MID + 0.1 * if buys == Side::Buy { 1.0 } else { -1.0 }, 1.0);
            }
            (market, 6 * S)
        }
        F::TrendReturn10 | F::TrendReturn60 | F::TrendReturn300 | F::TrendScore => {
            for second in 1..320 {
                market.on_even(second * S, MID + 0.1 * sign * second as f64);
            }
            (market, 319 * S)
        }
        F::HawkesBuy | F::HawkesSell => {
            // Evenly spaced prints of the one side, then a burst or a lull.
            let side = if id == F::HawkesBuy { Side::Buy } else { Side::Sell };
            market.on_even(S, MID);
            for second in 1..120 {
                market.on_print(second * S, side, MID, 1.0);
            }
            if bullish == (side == Side::Buy) {
                for moment in 0..20 {
                    market.on_print(120 * S + moment * S / 20, side, MID, 1.0);
                }
                (market, 121 * S)
            } else {
                (market, 135 * S)
            }
        }
        F::TradeSizeBuy | F::TradeSizeSell | F::FillSizeBuy | F::FillSizeSell => {
            let aggressor = if matches!(id, F::TradeSizeBuy | F::FillSizeBuy) { Side::Buy } else { Side::Sell };
            let grows = bullish == (aggressor == Side::Buy);
            market.on_even(S, MID);
            for second in 1..600 {
                let usual = 1.0 + 0.1 * (second % 3) as f64;
                let size = if second < 580 { usual } else { usual * if grows { 2.0 } else { 0.5 } };
                match id {
                    F::TradeSizeBuy | F::TradeSizeSell => market.on_print(second * S, aggressor, MID, size),
                    _ => market.pipeline.on_own_fill(second * S, aggressor.opposite(), size),
                }
            }
            (market, 600 * S)
        }
        F::BasisChange => {
            for second in 1..60 {
                let premium = if second < 40 { 0.0 } else { sign * (second - 40) as f64 * 0.1 };
                market.on_even(second * S, MID + premium);
                let oracle = Context { oracle_price: Some(MID), ..Context::default() };
                market.on(second * S, &MarketEvent::Context(oracle));
            }
            (market, 59 * S)
        }
        F::Lead => {
            let mut leader = 100_000.0;
            for second in 1..200_i64 {
                // Both go up and down together, but the last move of the leader.
                let together = f64::from(u8::from(second % 40 < 20));
                leader = if second < 197 { 100_000.0 + 100.0 * together } else { leader + sign * 50.0 };
                market.on_even(second * S, MID + 2.0 * together);
                market.pipeline.on_reference(second * S, "BTC", leader).unwrap();
            }
            (market, 199 * S)
        }
        F::OpenInterestChange => {
            for second in 1..100 {
                market.on_even(second * S, MID + 0.1 * sign * second as f64);
                let interest = Context { open_interest: Some(1e5 + 10.0 * second as f64), ..Context::default() };
                market.on(second * S, &MarketEvent::Context(interest));
            }
            (market, 99 * S)
        }
        F::FundingZ => {
            for minute in 0..100 {
                let usual = 1e-5 + 1e-6 * (minute % 2) as f64;
                let rate = if minute < 99 { usual } else { usual - sign * 5e-6 };
                let context = Context { funding_rate: Some(rate), ..Context::default() };
                market.on(minute * 60 * S, &MarketEvent::Context(context));
            }
            (market, 99 * 60 * S)
        }
        F::TrendAgreement | F::TrendContinuation | F::Basis | F::VolatilityRatio | F::ExcessKurtosis => {
            panic!("{id:?} has no direction")
        }
    }
}

/// The feature of a row of the table.
pub(crate) fn id_of(place: usize) -> FeatureId {
    use FeatureId as F;
    const ALL: [FeatureId; 38] = [
        F::BookImbalance2,
        F::BookImbalance5,
        F::BookImbalance10,
        F::BookImbalance25,
        F::BookImbalance50,
        F::PressureGradient,
        F::BookAcceleration,
        F::MicropriceOffset,
        F::OrderFlowImbalance,
        F::DepthVelocity,
        F::SweepScore,
        F::FlowCount5,
        F::FlowCount30,
        F::FlowCount120,
        F::FlowCount300,
        F::FlowVolume5,
        F::FlowVolume30,
        F::FlowVolume120,
        F::FlowVolume300,
        F::TrendReturn10,
        F::TrendReturn60,
        F::TrendReturn300,
        F::TrendAgreement,
        F::TrendContinuation,
        F::TrendScore,
        F::HawkesBuy,
        F::HawkesSell,
        F::TradeSizeBuy,
        F::TradeSizeSell,
        F::FillSizeBuy,
        F::FillSizeSell,
        F::Basis,
        F::BasisChange,
        F::VolatilityRatio,
        F::Lead,
        F::OpenInterestChange,
        F::FundingZ,
        F::ExcessKurtosis,
    ];
    assert_eq!(ALL.len(), FEATURES.len());
    assert_eq!(ALL[place] as usize, place);
    ALL[place]
}
