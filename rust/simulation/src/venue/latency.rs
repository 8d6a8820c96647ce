//! How long messages travel.
//!
//! [`Latency`] is the recorded venue's constant pair; [`LatencyModel`] holds the laws of the matching venue. A drawn
//! delay depends on (seed, stream, number of the message) alone: the seed keys ChaCha8, the stream is its stream, and
//! each message has a ChaCha block of its own. So what one account sends changes no delay of anything else.

use hypermm_core::error::{Result, invalid_input};
use hypermm_core::online::lanes::exp;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

const DEFAULT_NS: i64 = 30_000_000;
const MAX_NS: i64 = 60_000_000_000;
const RANGE: &str = "0 to 60000000000 ns";
const HINT: &str = "30 ms is 30000000";
const MAX_DEVIATION: f64 = 3.0;
/// 32-bit words of a ChaCha block.
const WORDS_PER_DRAW: u128 = 16;
/// Streams of latency lie above those that other draws of one seed use.
const FIRST_STREAM: u64 = 1 << 40;

/// Constant latency of orders and cancels to the venue, and of its answers back, ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// From sending a request until the venue acts on it.
    pub to_venue_ns: i64,
    /// From the venue's act until we know of it.
    pub acknowledge_ns: i64,
}

impl Default for Latency {
    /// 30 ms each way.
    fn default() -> Self {
        Self { to_venue_ns: DEFAULT_NS, acknowledge_ns: DEFAULT_NS }
    }
}

impl Latency {
    /// Each way 0 to 60 s, ns.
    ///
    /// # Errors
    /// [`hypermm_core::error::Error::InvalidInput`] when one is out of range.
    pub fn validate(&self) -> Result<()> {
        for (field, value) in [("to_venue_ns", self.to_venue_ns), ("acknowledge_ns", self.acknowledge_ns)] {
            if !(0..=MAX_NS).contains(&value) {
                return Err(invalid_input(field, value, RANGE, HINT));
            }
        }
        Ok(())
    }
}

/// The law of one delay.
#[derive(Clone, Debug, PartialEq)]
pub enum LatencyLaw {
    /// Always the same, ns.
    Constant(i64),
    /// `floor + (median − floor)·exp(deviation·z)`, z standard normal: right-skewed, never below the floor.
    Lognormal {
        /// Median of the whole delay, ns.
        median_ns: i64,
        /// Standard deviation of ln(delay − floor), 0 to 3.
        deviation: f64,
        /// Least delay, ns, at most the median.
        floor_ns: i64,
    },
    /// Measured delays, ns, ascending, taken as evenly spaced quantiles: a uniform draw, linear between neighbors.
    Table(Vec<i64>),
}

impl LatencyLaw {
    /// All delays 0 to 60 s; floor at most the median; a table ascending and not empty.
    ///
    /// # Errors
    /// [`hypermm_core::error::Error::InvalidInput`] naming `field` and what of it is wrong.
    pub fn validate(&self, field: &str) -> Result<()> {
        let named = |part: &str| format!("{field}.{part}");
        match self {
            Self::Constant(delay_ns) => require_delay(named("constant_ns"), *delay_ns),
            Self::Lognormal { median_ns, deviation, floor_ns } => {
                require_delay(named("median_ns"), *median_ns)?;
                require_delay(named("floor_ns"), *floor_ns)?;
                if floor_ns > median_ns {
                    return Err(invalid_input(
                        named("floor_ns"),
                        *floor_ns,
                        format!("at most the median, {median_ns}"),
                        "the median is that of the whole delay, floor included",
                    ));
                }
                if !(0.0..=MAX_DEVIATION).contains(deviation) {
                    return Err(invalid_input(
                        named("deviation"),
                        *deviation,
                        "0 to 3",
                        "the deviation of ln(delay - floor), a number without unit",
                    ));
                }
                Ok(())
            }
            Self::Table(quantiles_ns) => {
                if quantiles_ns.is_empty() {
                    return Err(invalid_input(named("table"), "no delays", "at least one delay", ""));
                }
                for (place, pair) in quantiles_ns.windows(2).enumerate() {
                    if pair[1] < pair[0] {
                        let name = named(&format!("table[{}]", place + 1));
                        return Err(invalid_input(name, pair[1], format!("at least {}", pair[0]), "sort the delays"));
                    }
                }
                let mut places = quantiles_ns.iter().enumerate();
                places.try_for_each(|(place, delay_ns)| require_delay(named(&format!("table[{place}]")), *delay_ns))
            }
        }
    }

    /// The delay of message `number` of `stream`, ns, 0 to 60 s.
    pub fn delay_ns(&self, draws: &mut LatencyDraws, stream: LatencyStream, number: u64) -> i64 {
        match self {
            Self::Constant(delay_ns) => *delay_ns,
            Self::Lognormal { median_ns, deviation, floor_ns } => {
                let normal: f64 = StandardNormal.sample(draws.at(stream, number));
                let excess_ns = (median_ns - floor_ns) as f64 * exp(deviation * normal);
                // A float beyond the integers becomes the largest one.
                floor_ns.saturating_add(excess_ns as i64).min(MAX_NS)
            }
            Self::Table(quantiles_ns) => {
                let uniform = (draws.at(stream, number).next_u64() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64);
                let place = uniform * quantiles_ns.len().saturating_sub(1) as f64;
                let below = place as usize;
                let low = quantiles_ns.get(below).copied().unwrap_or(0);
                let high = quantiles_ns.get(below + 1).copied().unwrap_or(low);
                low + ((high - low) as f64 * (place - below as f64)) as i64
            }
        }
    }
}

fn require_delay(field: String, delay_ns: i64) -> Result<()> {
    if (0..=MAX_NS).contains(&delay_ns) { Ok(()) } else { Err(invalid_input(field, delay_ns, RANGE, HINT)) }
}

/// Laws of a request's way to the venue, of its answer's way back, and of what the venue publishes.
#[derive(Clone, Debug, PartialEq)]
pub struct LatencyModel {
    /// From sending a request until it reaches the mempool; what the mempool holds back comes on top.
    pub order: LatencyLaw,
    /// From the time of the block until its answers reach us.
    pub acknowledge: LatencyLaw,
    /// From the time of the block until what it publishes reaches us.
    pub feed: LatencyLaw,
}

impl Default for LatencyModel {
    /// What was measured far from the venue.
    ///
    /// Feed: the recordings of 2025-09-04 (15,221 books, 102,438 best bids and offers, 20,380 trades), receive time
    /// less venue time: medians 0.40–0.43 s for books, 0.36 s for best prices, 0.41–0.44 s for trades, never below
    /// 0.177 s; ln(delay − 0.17 s) of best prices has a deviation of 0.43 below the median and 0.53 at the 95th
    /// percentile. One law for all streams: floor 0.17 s, median 0.38 s, deviation 0.5.
    ///
    /// Order and acknowledge: the protocol sheet (10.3) has only round trips, 0.48–0.53 s in the median for post-only
    /// orders. A node hears of a block 0.31 s after the block's own time (1,000 blocks of 2025-10-27, median; least
    /// 0.15 s), so that much is on the way back; 0.04 s is the wait for the next block, which leaves 0.16 s for the
    /// way there.
    fn default() -> Self {
        Self {
            order: LatencyLaw::Lognormal { median_ns: 160_000_000, deviation: 0.4, floor_ns: 60_000_000 },
            acknowledge: LatencyLaw::Lognormal { median_ns: 300_000_000, deviation: 0.4, floor_ns: 150_000_000 },
            feed: LatencyLaw::Lognormal { median_ns: 380_000_000, deviation: 0.5, floor_ns: 170_000_000 },
        }
    }
}

impl LatencyModel {
    /// One constant for each way, ns.
    #[must_use]
    pub const fn constant(order_ns: i64, acknowledge_ns: i64, feed_ns: i64) -> Self {
        Self {
            order: LatencyLaw::Constant(order_ns),
            acknowledge: LatencyLaw::Constant(acknowledge_ns),
            feed: LatencyLaw::Constant(feed_ns),
        }
    }

    /// Checks the three laws.
    ///
    /// # Errors
    /// As [`LatencyLaw::validate`], with the fields `latency.order`, `latency.acknowledge` and `latency.feed`.
    pub fn validate(&self) -> Result<()> {
        self.order.validate("latency.order")?;
        self.acknowledge.validate("latency.acknowledge")?;
        self.feed.validate("latency.feed")
    }
}

/// What a delay belongs to; rows are those of accounts and contracts at the venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LatencyStream {
    /// From one block to the next.
    Block,
    /// Requests of an account.
    Order(u32),
    /// Answers to an account.
    Answer(u32),
    /// Order changes and fills of an account.
    Notice(u32),
    /// Best bids and offers of a contract.
    Best(u32),
    /// Books of a contract.
    Book(u32),
    /// Trades of a contract.
    Trade(u32),
    /// Mark, oracle and funding of a contract.
    Context(u32),
}

impl LatencyStream {
    const fn key(self) -> u64 {
        let (kind, row) = match self {
            Self::Block => (0, 0),
            Self::Order(row) => (1, row),
            Self::Answer(row) => (2, row),
            Self::Notice(row) => (3, row),
            Self::Best(row) => (4, row),
            Self::Book(row) => (5, row),
            Self::Trade(row) => (6, row),
            Self::Context(row) => (7, row),
        };
        FIRST_STREAM | (kind << 32) | row as u64
    }
}

/// Random numbers of delays, the same whenever they are asked for.
#[derive(Clone, Debug)]
pub struct LatencyDraws {
    generator: ChaCha8Rng,
}

impl LatencyDraws {
    /// Draws of one seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { generator: ChaCha8Rng::seed_from_u64(seed) }
    }

    fn at(&mut self, stream: LatencyStream, number: u64) -> &mut ChaCha8Rng {
        self.generator.set_stream(stream.key());
        self.generator.set_word_pos(u128::from(number) * WORDS_PER_DRAW);
        &mut self.generator
    }
}
