//! One contract of a loopback venue: its market, its reference prices, its funding and its volume of a day.

use std::collections::VecDeque;
use std::fmt;

use hypermm_core::accounting::ledger::{MICROS, Mark, Micros};
use hypermm_core::error::Result;
use hypermm_core::types::{Lots, Price, Side, TimestampNs};

use crate::market::agents::Background;
use crate::market::agents::recorded::RecordedMarket;
use crate::market::agents::synthetic::SyntheticMarket;
use crate::market::preset::MarketPreset;
use crate::market::session::Session;
use crate::venue::funding::{FundingTerms, HOUR_NS, PremiumAverage, next_settlement_ns};
use crate::venue::matching::exchange::{BestQuote, Exchange};
use crate::venue::matching::mark::MarkPrice;
use crate::venue::matching::order::{AssetId, Trade};
use crate::venue::matching::rules::AssetSettings;

const REFERENCE_INTERVAL_NS: TimestampNs = 3_000_000_000;
const SAMPLE_INTERVAL_NS: TimestampNs = 5_000_000_000;
const HOURS: i64 = 24;
/// Rates are whole multiples of this, so that what is shown is what is paid.
const RATE_STEP: f64 = 1e-10;

/// What trades a contract besides the accounts.
#[derive(Clone, Debug)]
pub enum CoinMarket {
    /// The agents of a preset.
    Preset(MarketPreset),
    /// A recording.
    Recording(Session),
}

/// A contract of a loopback venue.
#[derive(Clone, Debug)]
pub struct CoinSettings {
    /// Rules of the contract.
    pub asset: AssetSettings,
    /// Terms of its funding.
    pub funding: FundingTerms,
    /// Its market.
    pub market: CoinMarket,
}

/// An hour of trading.
#[derive(Clone, Copy, Debug)]
struct Hour {
    number: i64,
    /// Mark at its beginning.
    mark: Mark,
    notional: Micros,
    size: i64,
}

/// Impact prices and what follows from them, quote currency.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Impact {
    /// Average price of selling the impact notional, price units.
    pub bid: f64,
    /// Average price of buying it, price units.
    pub ask: f64,
    /// Premium over the oracle.
    pub premium: f64,
}

/// A contract as it runs.
pub(super) struct Coin {
    pub(super) asset: AssetId,
    pub(super) funding: FundingTerms,
    pub(super) market: Box<dyn Background + Send + Sync>,
    mark: MarkPrice,
    pub(super) oracle: Mark,
    pub(super) marked: Mark,
    next_reference_ns: TimestampNs,
    premium: PremiumAverage,
    next_sample_ns: TimestampNs,
    next_settlement_ns: TimestampNs,
    hours: VecDeque<Hour>,
    pub(super) best: (BestQuote, BestQuote),
}

impl fmt::Debug for Coin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Coin").field("asset", &self.asset).finish_non_exhaustive()
    }
}

impl Coin {
    /// The contract at `start_ns`; its first orders rest in `exchange` and it has its first reference prices.
    pub(super) fn open(
        settings: &CoinSettings,
        asset: AssetId,
        seed: u64,
        start_ns: TimestampNs,
        exchange: &mut Exchange,
    ) -> Result<Self> {
        settings.funding.check()?;
        let instrument = &settings.asset.instrument;
        let mut market: Box<dyn Background + Send + Sync> = match &settings.market {
            CoinMarket::Preset(preset) => {
                Box::new(SyntheticMarket::new(&preset.parameters, seed, start_ns, asset, instrument)?)
            }
            CoinMarket::Recording(session) => Box::new(RecordedMarket::new(session.clone(), asset, instrument)?),
        };
        market.open(start_ns, exchange)?;
        let mut coin = Self {
            asset,
            funding: settings.funding,
            market,
            mark: MarkPrice::default(),
            oracle: Mark(0),
            marked: Mark(0),
            next_reference_ns: start_ns,
            premium: PremiumAverage::default(),
            next_sample_ns: start_ns - start_ns.rem_euclid(SAMPLE_INTERVAL_NS) + SAMPLE_INTERVAL_NS,
            next_settlement_ns: next_settlement_ns(start_ns),
            hours: VecDeque::with_capacity(HOURS as usize + 2),
            best: (None, None),
        };
        if let Some((oracle, mark)) = coin.new_reference(start_ns, exchange)? {
            exchange.set_reference(start_ns, asset, oracle, mark, &mut |_| {})?;
        }
        coin.next_hour(start_ns);
        Ok(coin)
    }

    /// Oracle and mark, where new ones are due. Oracles are whole price units.
    pub(super) fn new_reference(&mut self, now_ns: TimestampNs, exchange: &Exchange) -> Result<Option<(Mark, Mark)>> {
        let Some(settings) = exchange.settings(self.asset) else { return Ok(None) };
        if now_ns < self.next_reference_ns {
            return Ok(None);
        }
        self.next_reference_ns = now_ns + REFERENCE_INTERVAL_NS;
        let oracle = Mark::nearest(&settings.instrument, self.market.fair_price())?;
        self.oracle = Mark((oracle.0 / 2 * 2).max(2));
        let (bid, ask) = exchange.best(self.asset);
        let price = |level: BestQuote| level.map(|(price, _)| price);
        let last_trade = exchange.last_trade(self.asset);
        self.marked = self.mark.update(now_ns, self.oracle, price(bid), price(ask), last_trade);
        Ok(Some((self.oracle, self.marked)))
    }

    /// Impact prices now; `None` where the book does not hold the impact notional.
    pub(super) fn impact(&self, exchange: &Exchange) -> Option<Impact> {
        let notional = (self.funding.impact_notional_usd * MICROS) as Micros;
        let bid = exchange.impact_price(self.asset, Side::Buy, notional)?;
        let ask = exchange.impact_price(self.asset, Side::Sell, notional)?;
        let premium = self.funding.premium(bid, ask, self.oracle.0 as f64 / 2.0);
        Some(Impact { bid, ask, premium })
    }

    /// Takes the premium's sample, where one is due.
    pub(super) fn sample(&mut self, now_ns: TimestampNs, exchange: &Exchange) {
        if now_ns < self.next_sample_ns {
            return;
        }
        self.next_sample_ns += SAMPLE_INTERVAL_NS;
        if let Some(impact) = self.impact(exchange) {
            self.premium.update(impact.premium);
        }
    }

    /// Rate and average premium of the hour that is over, where one is.
    pub(super) fn settle(&mut self, now_ns: TimestampNs) -> Option<(f64, f64)> {
        if now_ns < self.next_settlement_ns {
            return None;
        }
        self.next_settlement_ns += HOUR_NS;
        let premium = self.premium.settle();
        Some((rounded(self.funding.hourly_rate(premium)), premium))
    }

    /// What the present hour would pay by its samples.
    pub(super) fn funding_rate(&self) -> f64 {
        rounded(self.funding.hourly_rate(self.premium.value()))
    }

    fn next_hour(&mut self, now_ns: TimestampNs) {
        let number = now_ns.div_euclid(HOUR_NS);
        if self.hours.back().is_none_or(|hour| hour.number < number) {
            self.hours.push_back(Hour { number, mark: self.marked, notional: 0, size: 0 });
        }
        // The hour of a day ago stays for its mark.
        while self.hours.len() > 1 && self.hours.front().is_some_and(|hour| hour.number < number - HOURS) {
            self.hours.pop_front();
        }
    }

    /// Counts a trade.
    pub(super) fn count(&mut self, trade: &Trade) {
        self.next_hour(trade.time_ns);
        if let Some(hour) = self.hours.back_mut() {
            hour.notional += Micros::from(trade.price.0) * Micros::from(trade.size.0);
            hour.size += trade.size.0;
        }
    }

    /// The end of a block.
    pub(super) fn end_block(&mut self, now_ns: TimestampNs) {
        self.next_hour(now_ns);
    }

    /// Mark of a day ago, or of the start; notional and lots traded since.
    pub(super) fn day(&self) -> (Mark, Micros, Lots) {
        let last = self.hours.back().map_or(0, |hour| hour.number);
        let of_day = self.hours.iter().filter(|hour| hour.number > last - HOURS);
        let (notional, size) =
            of_day.fold((0, 0), |(notional, size), hour| (notional + hour.notional, size + hour.size));
        (self.hours.front().map_or(self.marked, |hour| hour.mark), notional, Lots(size))
    }

    /// Middle of the best prices, half units.
    pub(super) fn mid(&self, exchange: &Exchange) -> Option<Mark> {
        match exchange.best(self.asset) {
            (Some((Price(bid), _)), Some((Price(ask), _))) => Some(Mark(bid + ask)),
            _ => None,
        }
    }
}

fn rounded(rate: f64) -> f64 {
    (rate / RATE_STEP).round() * RATE_STEP
}
