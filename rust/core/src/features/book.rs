//! What the book shows: imbalance within bands of mid, its change, the microprice, and order flow at the best levels; MODEL.md section 7.

use serde::{Deserialize, Serialize};

use crate::online::decayed::DecayedPair;
use crate::state::book::{Book, BookSide};
use crate::types::{BPS, TimestampNs, seconds_between};

/// Half-widths of the bands around mid, bps.
pub const BANDS_BPS: [f64; 5] = [2.0, 5.0, 10.0, 25.0, 50.0];
/// Places in [`BANDS_BPS`] of the bands that other features are made of.
pub(super) const BAND_10: usize = 2;
pub(super) const BAND_25: usize = 3;
pub(super) const BAND_50: usize = 4;
// A level on the edge of a band is inside, however its distance is rounded; no price increment is this small.
const EDGE_BPS: f64 = 1e-6;
const ORDER_FLOW_S: f64 = 5.0;
const BEST_SIZE_S: f64 = 300.0;

/// Sizes within each band of mid, and how far the known levels reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bands {
    /// Bid contracts within each band.
    pub bids: [f64; BANDS_BPS.len()],
    /// Ask contracts within each band.
    pub asks: [f64; BANDS_BPS.len()],
    /// Distance of the deepest known level from mid on the side that is known less far, bps.
    pub reach_bps: f64,
}

impl Bands {
    /// Reads the book; `None` where it has no mid.
    #[must_use]
    pub fn of(book: &Book) -> Option<Self> {
        let mid = book.mid()?;
        let (bids, deepest_bid) = within::<true>(book.bids(), mid)?;
        let (asks, deepest_ask) = within::<false>(book.asks(), mid)?;
        let reach_bps = (mid - deepest_bid).min(deepest_ask - mid) / mid * BPS;
        Some(Self { bids, asks, reach_bps })
    }

    /// (V_bid − V_ask)/(V_bid + V_ask); `None` for an empty band.
    #[inline]
    #[must_use]
    pub fn imbalance(&self, band: usize) -> Option<f64> {
        let (bid, ask) = (self.bids[band], self.asks[band]);
        (bid + ask > 0.0).then(|| (bid - ask) / (bid + ask))
    }

    /// Contracts in a band on both sides.
    #[inline]
    #[must_use]
    pub fn depth(&self, band: usize) -> f64 {
        self.bids[band] + self.asks[band]
    }

    /// How much of a band the known levels cover, bps.
    #[inline]
    #[must_use]
    pub fn covered_bps(&self, band: usize) -> f64 {
        self.reach_bps.min(BANDS_BPS[band])
    }

    /// BIM(10) − BIM(50); `None` where no level beyond 10 bps is known: what is not seen is not zero.
    #[must_use]
    pub fn pressure_gradient(&self) -> Option<f64> {
        if self.reach_bps <= BANDS_BPS[BAND_10] + EDGE_BPS {
            return None;
        }
        Some(self.imbalance(BAND_10)? - self.imbalance(BAND_50)?)
    }
}

/// Sizes of one side within each band, and its deepest price.
#[inline]
fn within<const BIDS: bool>(side: &BookSide, mid: f64) -> Option<([f64; BANDS_BPS.len()], f64)> {
    let (prices, sizes) = (side.prices(), side.sizes());
    let deepest = *prices.last()?;
    let sign = if BIDS { -1.0 } else { 1.0 };
    let edge = |band: usize| mid * (1.0 + sign * (BANDS_BPS[band] + EDGE_BPS) / BPS);
    let mut sums = [0.0; BANDS_BPS.len()];
    let (mut sum, mut band) = (0.0, 0);
    let mut band_edge = edge(band);
    for (price, size) in prices.iter().zip(sizes) {
        // Prices are sorted: the first one outside a band ends it.
        while if BIDS { *price < band_edge } else { *price > band_edge } {
            sums[band] = sum;
            band += 1;
            if band == BANDS_BPS.len() {
                return Some((sums, deepest));
            }
            band_edge = edge(band);
        }
        sum += size;
    }
    sums[band..].fill(sum);
    Some((sums, deepest))
}

/// Size-weighted price between the best quotes less mid, bps; `None` without a mid.
#[must_use]
pub fn microprice_offset_bps(book: &Book) -> Option<f64> {
    let mid = book.mid()?;
    let (bid, ask) = (book.bids().prices()[0], book.asks().prices()[0]);
    let (bid_size, ask_size) = (book.bids().sizes()[0], book.asks().sizes()[0]);
    let microprice = (ask * bid_size + bid * ask_size) / (bid_size + ask_size);
    Some((microprice - mid) / mid * BPS)
}

/// The book at a whole second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct DepthSample {
    time_ns: TimestampNs,
    imbalance: Option<f64>,
    bids: f64,
    asks: f64,
}

/// The last two whole seconds of the book, which rates of change are taken against: one to two seconds back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DepthHistory {
    older: Option<DepthSample>,
    newer: Option<DepthSample>,
}

impl DepthHistory {
    /// Takes in the book in force at a whole second; `None` where it had no mid or was silent.
    pub fn on_second(&mut self, now_ns: TimestampNs, bands: Option<&Bands>) {
        self.older = self.newer;
        self.newer = bands.map(|bands| DepthSample {
            time_ns: now_ns,
            imbalance: bands.imbalance(BAND_10),
            bids: bands.bids[BAND_25],
            asks: bands.asks[BAND_25],
        });
    }

    /// True once there is a book to compare with.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.older.is_some()
    }

    /// ΔBIM(10)/Δt, 1/s.
    #[must_use]
    pub fn acceleration_per_s(&self, now_ns: TimestampNs, bands: &Bands) -> Option<f64> {
        let before = self.older?;
        let elapsed_s = seconds_between(before.time_ns, now_ns);
        (elapsed_s > 0.0).then_some((bands.imbalance(BAND_10)? - before.imbalance?) / elapsed_s)
    }

    /// (ΔV_bid − ΔV_ask)/(V_bid + V_ask before)/Δt within 25 bps, 1/s.
    #[must_use]
    pub fn velocity_per_s(&self, now_ns: TimestampNs, bands: &Bands) -> Option<f64> {
        let before = self.older?;
        let (elapsed_s, depth) = (seconds_between(before.time_ns, now_ns), before.bids + before.asks);
        let change = (bands.bids[BAND_25] - before.bids) - (bands.asks[BAND_25] - before.asks);
        (elapsed_s > 0.0 && depth > 0.0 && bands.depth(BAND_25) > 0.0).then_some(change / depth / elapsed_s)
    }
}

/// Best levels as last seen: price units and contracts, bid then ask.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct BestLevels {
    units: [i64; 2],
    sizes: [f64; 2],
}

impl BestLevels {
    #[inline]
    fn of(book: &Book) -> Option<Self> {
        let (bids, asks) = (book.bids(), book.asks());
        let units = [*bids.units().first()?, *asks.units().first()?];
        (units[0] < units[1]).then(|| Self { units, sizes: [bids.sizes()[0], asks.sizes()[0]] })
    }
}

/// Order-flow imbalance of the best levels (Cont, Kukanov, Stoikov, J. Fin. Econometrics 12, 2014) over 5 s, in mean best sizes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderFlow {
    last: Option<BestLevels>,
    // Flow into bids, flow into asks.
    flow: DecayedPair,
    // Best sizes at whole seconds and their number; the ratio is the mean best size.
    size: DecayedPair,
}

impl Default for OrderFlow {
    fn default() -> Self {
        Self { last: None, flow: DecayedPair::new(ORDER_FLOW_S), size: DecayedPair::new(BEST_SIZE_S) }
    }
}

impl OrderFlow {
    /// Takes in the best levels after a change; a book without a mid interrupts the flow.
    #[inline]
    pub fn update(&mut self, now_ns: TimestampNs, book: &Book) {
        let Some(now) = BestLevels::of(book) else {
            self.last = None;
            return;
        };
        if let Some(before) = self.last.replace(now) {
            let [bid, ask] = now.units;
            let flow_in = |better_or_same: bool, worse_or_same: bool, size: f64, size_before: f64| {
                f64::from(u8::from(better_or_same)) * size - f64::from(u8::from(worse_or_same)) * size_before
            };
            let flows = [
                flow_in(bid >= before.units[0], bid <= before.units[0], now.sizes[0], before.sizes[0]),
                flow_in(ask <= before.units[1], ask >= before.units[1], now.sizes[1], before.sizes[1]),
            ];
            self.flow.add_both(now_ns, flows);
        }
    }

    /// A whole second has passed with the best levels as last taken in.
    pub fn on_second(&mut self, now_ns: TimestampNs) {
        if let Some(best) = &self.last {
            self.size.add_both(now_ns, [0.5 * (best.sizes[0] + best.sizes[1]), 1.0]);
        }
    }

    /// True once the mean best size is known.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.size.ratio().is_some()
    }

    /// (Σ flow into bids − Σ flow into asks)/mean best size; `None` while the book has no mid.
    #[inline]
    #[must_use]
    pub fn imbalance(&self, now_ns: TimestampNs) -> Option<f64> {
        self.last?;
        let ([bids, asks], _) = self.flow.at(now_ns);
        Some((bids - asks) / self.size.ratio()?)
    }
}
