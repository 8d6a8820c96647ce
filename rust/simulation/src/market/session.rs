//! A seeded synthetic session: Poisson aggressors around a price with Ornstein–Uhlenbeck drift.
//!
//! dμ = −κμ dt + σ_μ dW,  d ln p = μ dt + σ dB. Quotes stand on the price grid and follow p in jumps; aggressor events of each side
//! arrive at a constant rate, reach Exp(k) bps beyond the best price and leave one to a few prints at one venue time.
//! Streams have the spacing and the two clocks of the real recordings: books every 0.54 s, best prices every 0.12 s,
//! everything received about 0.4 s after the venue's millisecond.

use hypermm_core::error::{Result, invalid_input};
use hypermm_core::instrument::Instrument;
use hypermm_core::types::{BPS, NS_PER_S, Side};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp1, LogNormal, StandardNormal};

use crate::market::recording::{ContextColumns, RecordingColumns};
use crate::venue::funding::next_settlement_ns;

const MS_NS: i64 = 1_000_000;
/// Ten minutes before a full hour, so that a session of the default length meets a funding settlement.
pub(crate) const START_NS: i64 = 1_757_016_000_000_000_000 - 600_000_000_000;
const CONTEXT_INTERVAL_S: f64 = 3.0;
/// Contracts; nothing in a session depends on it.
const OPEN_INTEREST: f64 = 100_000.0;
const MEAN_EXTRA_PRINTS: f64 = 1.5;
const LEVEL_SIZE_SPREAD: f64 = 0.8;
const PRINT_SIZE_SPREAD: f64 = 1.0;
const EXTRA_LATENCY_S: f64 = 0.03;
/// Below the grid's tolerance of rounding by far, above its tolerance of snapping.
const NEXT_LEVEL_NUDGE: f64 = 1e-7;

/// What the market is like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SessionSettings {
    /// Seed of all draws.
    pub seed: u64,
    /// Length, s.
    pub duration_s: f64,
    /// First price.
    pub start_price: f64,
    /// σ, bps/√s.
    pub volatility: f64,
    /// κ of the drift, 1/s.
    pub drift_mean_reversion_per_s: f64,
    /// Stationary deviation of the drift, bps/s.
    pub drift_deviation_bps_per_s: f64,
    /// Aggressor events of each side, 1/s.
    pub arrival_rate: f64,
    /// k of their reach, 1/bps.
    pub depth_decay: f64,
    /// How far the price may leave the middle of the quotes before they follow, bps. On the recordings the mid stands
    /// still in five of six quarters of a second.
    pub stickiness_bps: f64,
    /// Half-spread of the quotes before rounding, bps.
    pub half_spread_bps: f64,
    /// Mean size of a print, contracts.
    pub print_size: f64,
    /// Median size of a level, contracts.
    pub level_size: f64,
    /// Levels a side in a book.
    pub depth: usize,
    /// Mean time between books, s.
    pub book_interval_s: f64,
    /// Mean time between best bid/offer ticks, s.
    pub best_interval_s: f64,
    /// Least latency of reception, s.
    pub latency_s: f64,
    /// Funding rate, fraction per hour.
    pub funding_rate: f64,
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            seed: 0,
            duration_s: 1800.0,
            start_price: 4_270.0,
            volatility: 1.1,
            drift_mean_reversion_per_s: 0.02,
            drift_deviation_bps_per_s: 0.1,
            arrival_rate: 0.5,
            depth_decay: 0.5,
            stickiness_bps: 1.2,
            half_spread_bps: 0.15,
            print_size: 0.3,
            level_size: 20.0,
            depth: 20,
            book_interval_s: 0.54,
            best_interval_s: 0.12,
            latency_s: 0.37,
            funding_rate: 1.25e-5,
        }
    }
}

impl SessionSettings {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`hypermm_core::error::Error::InvalidInput`] naming the one that is out of range.
    pub fn validate(&self) -> Result<()> {
        for (field, value, low, high) in [
            ("duration_s", self.duration_s, 1.0, 1e7),
            ("start_price", self.start_price, 1e-6, 1e9),
            ("volatility", self.volatility, 0.0, 1e3),
            ("drift_mean_reversion_per_s", self.drift_mean_reversion_per_s, 1e-6, 10.0),
            ("drift_deviation_bps_per_s", self.drift_deviation_bps_per_s, 0.0, 100.0),
            ("arrival_rate", self.arrival_rate, 1e-6, 1e4),
            ("depth_decay", self.depth_decay, 1e-3, 50.0),
            ("stickiness_bps", self.stickiness_bps, 0.0, 100.0),
            ("half_spread_bps", self.half_spread_bps, 1e-3, 100.0),
            ("print_size", self.print_size, 1e-6, 1e9),
            ("level_size", self.level_size, 1e-6, 1e9),
            ("depth", self.depth as f64, 1.0, 20.0),
            ("book_interval_s", self.book_interval_s, 1e-6, 1e4),
            ("best_interval_s", self.best_interval_s, 1e-6, 1e4),
            ("latency_s", self.latency_s, 0.0, 10.0),
            ("funding_rate", self.funding_rate, -0.1, 0.1),
        ] {
            if !(value >= low && value <= high) {
                return Err(invalid_input(field, value, format!("{low} to {high}"), ""));
            }
        }
        Ok(())
    }
}

/// A session's columns, owned. Layout and meaning as in [`RecordingColumns`].
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "each column is described where it is borrowed, in RecordingColumns")]
pub struct Session {
    pub depth: usize,
    pub book_time_ns: Vec<i64>,
    pub book_exchange_time_ns: Vec<i64>,
    pub bid_prices: Vec<f64>,
    pub bid_sizes: Vec<f64>,
    pub ask_prices: Vec<f64>,
    pub ask_sizes: Vec<f64>,
    pub best_time_ns: Vec<i64>,
    pub best_exchange_time_ns: Vec<i64>,
    pub best_bid_price: Vec<f64>,
    pub best_bid_size: Vec<f64>,
    pub best_ask_price: Vec<f64>,
    pub best_ask_size: Vec<f64>,
    pub trade_time_ns: Vec<i64>,
    pub trade_exchange_time_ns: Vec<i64>,
    pub trade_price: Vec<f64>,
    pub trade_size: Vec<f64>,
    pub trade_aggressor: Vec<i8>,
    pub trade_id: Vec<u64>,
    pub context_time_ns: Vec<i64>,
    pub mark_price: Vec<f64>,
    pub oracle_price: Vec<f64>,
    pub funding_rate: Vec<f64>,
    pub predicted_funding: Vec<f64>,
    pub next_settlement_ns: Vec<i64>,
    pub open_interest: Vec<f64>,
}

impl Session {
    /// Draws a session.
    ///
    /// # Errors
    /// Settings out of range, or a price that leaves the instrument's grid.
    pub fn generate(instrument: &Instrument, settings: &SessionSettings) -> Result<Self> {
        settings.validate()?;
        let mut market = Market {
            instrument,
            settings,
            random: ChaCha8Rng::seed_from_u64(settings.seed),
            now_s: 0.0,
            price: settings.start_price,
            middle: settings.start_price,
            drift: 0.0,
            session: Self { depth: settings.depth, ..Self::default() },
        };
        market.run()?;
        Ok(market.session)
    }

    /// Drops every row received after `end_ns`.
    pub fn end_at(&mut self, end_ns: i64) {
        let rows = |times: &[i64]| times.partition_point(|time_ns| *time_ns <= end_ns);
        let (books, bests) = (rows(&self.book_time_ns), rows(&self.best_time_ns));
        let (trades, contexts) = (rows(&self.trade_time_ns), rows(&self.context_time_ns));
        for (column, rows) in [
            (&mut self.book_time_ns, books),
            (&mut self.book_exchange_time_ns, books),
            (&mut self.best_time_ns, bests),
            (&mut self.best_exchange_time_ns, bests),
            (&mut self.trade_time_ns, trades),
            (&mut self.trade_exchange_time_ns, trades),
            (&mut self.context_time_ns, contexts),
            (&mut self.next_settlement_ns, contexts),
        ] {
            column.truncate(rows);
        }
        for (column, rows) in [
            (&mut self.bid_prices, books * self.depth),
            (&mut self.bid_sizes, books * self.depth),
            (&mut self.ask_prices, books * self.depth),
            (&mut self.ask_sizes, books * self.depth),
            (&mut self.best_bid_price, bests),
            (&mut self.best_bid_size, bests),
            (&mut self.best_ask_price, bests),
            (&mut self.best_ask_size, bests),
            (&mut self.trade_price, trades),
            (&mut self.trade_size, trades),
            (&mut self.mark_price, contexts),
            (&mut self.oracle_price, contexts),
            (&mut self.funding_rate, contexts),
            (&mut self.predicted_funding, contexts),
            (&mut self.open_interest, contexts),
        ] {
            column.truncate(rows);
        }
        self.trade_aggressor.truncate(trades);
        self.trade_id.truncate(trades);
    }

    /// The columns as a replay takes them.
    #[must_use]
    pub fn columns(&self) -> RecordingColumns<'_> {
        RecordingColumns {
            depth: self.depth,
            book_time_ns: &self.book_time_ns,
            book_exchange_time_ns: &self.book_exchange_time_ns,
            bid_prices: &self.bid_prices,
            bid_sizes: &self.bid_sizes,
            ask_prices: &self.ask_prices,
            ask_sizes: &self.ask_sizes,
            best_time_ns: &self.best_time_ns,
            best_exchange_time_ns: &self.best_exchange_time_ns,
            best_bid_price: &self.best_bid_price,
            best_bid_size: &self.best_bid_size,
            best_ask_price: &self.best_ask_price,
            best_ask_size: &self.best_ask_size,
            trade_time_ns: &self.trade_time_ns,
            trade_exchange_time_ns: &self.trade_exchange_time_ns,
            trade_price: &self.trade_price,
            trade_size: &self.trade_size,
            trade_aggressor: &self.trade_aggressor,
            trade_id: &self.trade_id,
            context: ContextColumns {
                time_ns: &self.context_time_ns,
                mark_price: &self.mark_price,
                oracle_price: &self.oracle_price,
                funding_rate: &self.funding_rate,
                predicted_funding: &self.predicted_funding,
                next_settlement_ns: &self.next_settlement_ns,
                open_interest: &self.open_interest,
            },
            references: &[],
        }
    }
}

impl From<&RecordingColumns<'_>> for Session {
    fn from(columns: &RecordingColumns<'_>) -> Self {
        Self {
            depth: columns.depth,
            book_time_ns: columns.book_time_ns.to_vec(),
            book_exchange_time_ns: columns.book_exchange_time_ns.to_vec(),
            bid_prices: columns.bid_prices.to_vec(),
            bid_sizes: columns.bid_sizes.to_vec(),
            ask_prices: columns.ask_prices.to_vec(),
            ask_sizes: columns.ask_sizes.to_vec(),
            best_time_ns: columns.best_time_ns.to_vec(),
            best_exchange_time_ns: columns.best_exchange_time_ns.to_vec(),
            best_bid_price: columns.best_bid_price.to_vec(),
            best_bid_size: columns.best_bid_size.to_vec(),
            best_ask_price: columns.best_ask_price.to_vec(),
            best_ask_size: columns.best_ask_size.to_vec(),
            trade_time_ns: columns.trade_time_ns.to_vec(),
            trade_exchange_time_ns: columns.trade_exchange_time_ns.to_vec(),
            trade_price: columns.trade_price.to_vec(),
            trade_size: columns.trade_size.to_vec(),
            trade_aggressor: columns.trade_aggressor.to_vec(),
            trade_id: columns.trade_id.to_vec(),
            context_time_ns: columns.context.time_ns.to_vec(),
            mark_price: columns.context.mark_price.to_vec(),
            oracle_price: columns.context.oracle_price.to_vec(),
            funding_rate: columns.context.funding_rate.to_vec(),
            predicted_funding: columns.context.predicted_funding.to_vec(),
            next_settlement_ns: columns.context.next_settlement_ns.to_vec(),
            open_interest: columns.context.open_interest.to_vec(),
        }
    }
}

struct Market<'a> {
    instrument: &'a Instrument,
    settings: &'a SessionSettings,
    random: ChaCha8Rng,
    now_s: f64,
    price: f64,
    /// Middle of the quotes.
    middle: f64,
    drift: f64,
    session: Session,
}

impl Market<'_> {
    fn run(&mut self) -> Result<()> {
        let settings = self.settings;
        // Book, best, seller arrives, buyer arrives, context. A book comes first: nothing is known before it.
        let intervals = [
            settings.book_interval_s,
            settings.best_interval_s,
            1.0 / settings.arrival_rate,
            1.0 / settings.arrival_rate,
            CONTEXT_INTERVAL_S,
        ];
        let mut due = intervals.map(|interval| interval * self.exponential());
        due[0] = 0.0;
        due[4] = 0.0;
        loop {
            let next = (1..due.len()).fold(0, |first, other| if due[other] < due[first] { other } else { first });
            if due[next] > settings.duration_s {
                return Ok(());
            }
            self.move_price(due[next]);
            match next {
                0 => self.book()?,
                1 => self.best()?,
                2 => self.aggressor(Side::Sell)?,
                3 => self.aggressor(Side::Buy)?,
                _ => self.context(),
            }
            due[next] += intervals[next] * if next == 4 { 1.0 } else { self.exponential() };
        }
    }

    fn exponential(&mut self) -> f64 {
        Exp1.sample(&mut self.random)
    }

    fn normal(&mut self) -> f64 {
        StandardNormal.sample(&mut self.random)
    }

    /// A size in whole lots, at least one.
    fn size(&mut self, median: f64, spread: f64) -> Result<f64> {
        let factor = LogNormal::new(0.0, spread).map_or(1.0, |law| law.sample(&mut self.random));
        let lot = 1.0 / self.instrument.size_scale();
        self.instrument.round_size((median * factor).max(lot))
    }

    fn move_price(&mut self, to_s: f64) {
        let dt = to_s - self.now_s;
        self.now_s = to_s;
        let keep = (-self.settings.drift_mean_reversion_per_s * dt).exp();
        let kick = self.settings.drift_deviation_bps_per_s * (1.0 - keep * keep).sqrt();
        self.drift = keep * self.drift + kick * self.normal();
        let change_bps = self.drift * dt + self.settings.volatility * dt.sqrt() * self.normal();
        self.price *= (change_bps / BPS).exp();
        if (self.price / self.middle - 1.0).abs() * BPS > self.settings.stickiness_bps {
            self.middle = self.price;
        }
    }

    fn best_price(&self, side: Side) -> Result<f64> {
        let quote = self.middle * (1.0 - side.sign() * self.settings.half_spread_bps / BPS);
        self.instrument.round_price(quote, side)
    }

    fn exchange_time_ns(&self) -> i64 {
        let ns = (self.now_s * NS_PER_S) as i64;
        START_NS + ns - ns % MS_NS
    }

    /// Receive time of something that happens now, never before what the stream last received.
    fn receive_time_ns(&mut self, last: Option<i64>) -> i64 {
        let latency_s = self.settings.latency_s + EXTRA_LATENCY_S * self.exponential();
        let received = self.exchange_time_ns() + (latency_s * NS_PER_S) as i64;
        last.map_or(received, |last| received.max(last))
    }

    fn book(&mut self) -> Result<()> {
        let received = self.receive_time_ns(self.session.book_time_ns.last().copied());
        self.session.book_time_ns.push(received);
        self.session.book_exchange_time_ns.push(self.exchange_time_ns());
        for side in [Side::Buy, Side::Sell] {
            let mut price = self.best_price(side)?;
            for _ in 0..self.settings.depth {
                let size = self.size(self.settings.level_size, LEVEL_SIZE_SPREAD)?;
                let session = &mut self.session;
                let (prices, sizes) = match side {
                    Side::Buy => (&mut session.bid_prices, &mut session.bid_sizes),
                    Side::Sell => (&mut session.ask_prices, &mut session.ask_sizes),
                };
                prices.push(price);
                sizes.push(size);
                price = self.instrument.round_price(price * (1.0 - side.sign() * NEXT_LEVEL_NUDGE), side)?;
            }
        }
        Ok(())
    }

    fn best(&mut self) -> Result<()> {
        let (bid, ask) = (self.best_price(Side::Buy)?, self.best_price(Side::Sell)?);
        let bid_size = self.size(self.settings.level_size, LEVEL_SIZE_SPREAD)?;
        let ask_size = self.size(self.settings.level_size, LEVEL_SIZE_SPREAD)?;
        let received = self.receive_time_ns(self.session.best_time_ns.last().copied());
        let exchange = self.exchange_time_ns();
        let session = &mut self.session;
        session.best_time_ns.push(received);
        session.best_exchange_time_ns.push(exchange);
        session.best_bid_price.push(bid);
        session.best_bid_size.push(bid_size);
        session.best_ask_price.push(ask);
        session.best_ask_size.push(ask_size);
        Ok(())
    }

    /// One aggressor: prints walk from the best price to its reach, all at one venue time.
    fn aggressor(&mut self, aggressor: Side) -> Result<()> {
        let resting = aggressor.opposite();
        let best = self.best_price(resting)?;
        let reach_bps = self.exponential() / self.settings.depth_decay;
        let prints = 1 + (self.exponential() * MEAN_EXTRA_PRINTS) as usize;
        let received = self.receive_time_ns(self.session.trade_time_ns.last().copied());
        let exchange = self.exchange_time_ns();
        for print in 0..prints {
            // The last print stands at the reach, a single one too: the reach is what the tape shows.
            let share = (print + 1) as f64 / prints as f64;
            let target = best * (1.0 - resting.sign() * share * reach_bps / BPS);
            let price = self.instrument.round_price(target, aggressor)?;
            let price = match resting {
                Side::Buy => price.min(best),
                Side::Sell => price.max(best),
            };
            let size = self.size(self.settings.print_size, PRINT_SIZE_SPREAD)?;
            let session = &mut self.session;
            session.trade_time_ns.push(received);
            session.trade_exchange_time_ns.push(exchange);
            session.trade_price.push(price);
            session.trade_size.push(size);
            session.trade_aggressor.push(if aggressor == Side::Buy { 1 } else { -1 });
            session.trade_id.push(session.trade_id.len() as u64 + 1);
        }
        Ok(())
    }

    fn context(&mut self) {
        let received = self.receive_time_ns(self.session.context_time_ns.last().copied());
        let session = &mut self.session;
        session.context_time_ns.push(received);
        session.mark_price.push(self.price);
        session.oracle_price.push(self.price);
        session.funding_rate.push(self.settings.funding_rate);
        session.predicted_funding.push(self.settings.funding_rate);
        session.next_settlement_ns.push(next_settlement_ns(received));
        session.open_interest.push(OPEN_INTEREST);
    }
}
