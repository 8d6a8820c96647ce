//! The ladder, MODEL.md section 5: prices, then everything else at the rounded price. The hot path: no allocation, and the level
//! arithmetic as straight-line loops the compiler turns into vector lanes.

use super::decision::{Binding, QuoteSide};
use super::fill_probability::{LifeCurve, MIN_PROBABILITY};
use super::risk::{InventoryRisk, InverseLanes};
use crate::config::MAX_LEVELS;
use crate::instrument::{Decade, Instrument, round_in_decade};
use crate::online::lanes::{cubic_root, erfc, exp, larger, smaller};
use crate::state::book::BookSide;
use crate::state::own_orders::OwnOrder;
use crate::types::{BPS, Lots, Price, Side};

// Bids below this share of mid, and asks above its inverse, are not quotes but lottery tickets.
const DEEPEST_SHARE: f64 = 0.05;

/// What one side's ladder is made from.
#[derive(Clone, Copy, Debug)]
pub struct SideInputs<'a> {
    /// Which side.
    pub side: Side,
    /// Mid price.
    pub mid: f64,
    /// Best price we may quote without taking.
    pub post_only_limit: Price,
    /// r ∓ δ_s: bps from mid of the first level.
    pub first_offset_bps: f64,
    /// d₁, bps.
    pub spacing_bps: f64,
    /// g.
    pub growth: f64,
    /// Levels to price.
    pub levels: usize,
    /// sgn·(D − C + F) − AS − fee − race, bps: margin at depth 0 before the request term.
    pub base_margin_bps: f64,
    /// sgn·μ̂T(10 s) − AS − fee − race, bps.
    pub base_edge_bps: f64,
    /// sgn·R(x), bps.
    pub penalty_bps: f64,
    /// sgn·x.
    pub inventory_fraction: f64,
    /// q_max, contracts.
    pub max_position: f64,
    /// Clip, contracts.
    pub clip: f64,
    /// σ_eff, bps/√s.
    pub volatility: f64,
    /// A_s, 1/s.
    pub intensity: f64,
    /// k_s, 1/bps.
    pub depth_decay: f64,
    /// z̄_s, contracts.
    pub mean_event_size: f64,
    /// α.
    pub queue_exponent: f64,
    /// Expected order life by depth.
    pub life: LifeCurve,
    /// λ_req, USD.
    pub request_price_usd: f64,
    /// Signed position, lots.
    pub position: Lots,
    /// Book side our orders would join.
    pub book: &'a BookSide,
    /// Orders not known to be dead.
    pub own_orders: &'a [OwnOrder],
}

/// Lanes of one side.
struct Lanes<const W: usize> {
    depth: [f64; W],
    queue: [f64; W],
    request_weight: [f64; W],
    cap: [f64; W],
    probability: [f64; W],
    cumulative: [f64; W],
    pnl: [f64; W],
    edge: [f64; W],
}

/// Fills `quotes` with the ladder of one side.
pub fn fill_side(
    instrument: &Instrument,
    inputs: &SideInputs<'_>,
    risk: &InventoryRisk,
    quotes: &mut QuoteSide,
    binding: &mut Binding,
) {
    match inputs.levels {
        0..=8 => fill_lanes::<8>(instrument, inputs, risk, quotes, binding),
        9..=16 => fill_lanes::<16>(instrument, inputs, risk, quotes, binding),
        _ => fill_lanes::<MAX_LEVELS>(instrument, inputs, risk, quotes, binding),
    }
}

fn fill_lanes<const W: usize>(
    instrument: &Instrument,
    inputs: &SideInputs<'_>,
    risk: &InventoryRisk,
    quotes: &mut QuoteSide,
    binding: &mut Binding,
) {
    let mut units = [0_i64; W];
    let mut inner = [0_u8; W];
    let mut outer = [0_u8; W];
    let merged = price_levels(instrument, inputs, &mut units, &mut inner, &mut outer, binding);
    quotes.len = 0;
    if merged == 0 {
        return;
    }
    let mut lanes = Lanes::<W> {
        depth: [0.0; W],
        queue: [1.0; W],
        request_weight: [0.0; W],
        cap: [0.0; W],
        probability: [0.0; W],
        cumulative: [0.0; W],
        pnl: [0.0; W],
        edge: [0.0; W],
    };
    let scale = instrument.price_scale();
    let outward = -inputs.side.sign();
    let mut prices = [0.0; W];
    let mut place = 0;
    for i in 0..merged {
        let price = units[i] as f64 / scale;
        prices[i] = price;
        lanes.depth[i] = outward * (price - inputs.mid) / inputs.mid * BPS;
        lanes.cap[i] = (f64::from(outer[i]) + 1.0) * inputs.clip;
        lanes.request_weight[i] = request_weight(inputs, inner[i]);
        let ahead = ahead_at(inputs, units[i], &mut place);
        if ahead > 0.0 {
            let base = 1.0 + ahead / inputs.mean_event_size;
            lanes.queue[i] =
                if inputs.queue_exponent == 1.0 { 1.0 / base } else { libm::pow(base, -inputs.queue_exponent) };
        }
    }
    evaluate(&mut lanes, inputs, risk.lanes());
    emit(instrument, inputs, &lanes, merged, &units, &inner, &prices, quotes, binding);
}

/// Offsets → post-only clamp → price grid → merge; returns the number of distinct prices, best first.
fn price_levels<const W: usize>(
    instrument: &Instrument,
    inputs: &SideInputs<'_>,
    units: &mut [i64; W],
    inner: &mut [u8; W],
    outer: &mut [u8; W],
    binding: &mut Binding,
) -> usize {
    let side = inputs.side;
    let mid_units = inputs.mid * instrument.price_scale();
    let limit = inputs.post_only_limit.0 as f64;
    let lowest = mid_units * DEEPEST_SHARE;
    let highest = mid_units / DEEPEST_SHARE;
    let outward = -side.sign();
    let mut decade = Decade { low: 0.0, high: 0.0, increment: 1.0 };
    let (mut spacing, mut step) = (0.0, inputs.spacing_bps);
    let mut merged = 0;
    for i in 0..inputs.levels.min(W) {
        let raw = mid_units * (1.0 + (inputs.first_offset_bps + outward * spacing) / BPS);
        spacing += step;
        step *= inputs.growth;
        let clamped = if side == Side::Buy { smaller(raw, limit) } else { larger(raw, limit) };
        binding.post_only |= clamped != raw;
        if !(clamped > lowest && clamped < highest) {
            break;
        }
        if !(clamped >= decade.low && clamped < decade.high * (1.0 - 1e-9)) {
            decade = instrument.decade(clamped * (1.0 + 1e-9));
        }
        let rounded = round_in_decade(clamped, decade, side) as i64;
        if merged > 0 && units[merged - 1] == rounded {
            outer[merged - 1] = i as u8;
        } else {
            units[merged] = rounded;
            inner[merged] = i as u8;
            outer[merged] = i as u8;
            merged += 1;
        }
    }
    merged
}

/// u_i: 0 at the first level, 1 where the position grows, less where it shrinks.
fn request_weight(inputs: &SideInputs<'_>, inner: u8) -> f64 {
    if inner == 0 || inputs.request_price_usd <= 0.0 {
        return 0.0;
    }
    // On the side that closes the position sgn·x is negative.
    let closing = larger(-inputs.inventory_fraction, 0.0) * inputs.max_position;
    larger(1.0 - closing / ((f64::from(inner) + 1.0) * inputs.clip), 0.0)
}

/// Size before an order at a price: our kept order's place if one stands there, else what the book shows.
fn ahead_at(inputs: &SideInputs<'_>, units: i64, place: &mut usize) -> f64 {
    let book = inputs.book.units();
    let sign = if inputs.side == Side::Buy { 1 } else { -1 };
    while *place < book.len() && (book[*place] - units) * sign > 0 {
        *place += 1;
    }
    let shown = if *place < book.len() && book[*place] == units { inputs.book.sizes()[*place] } else { 0.0 };
    if inputs.own_orders.is_empty() {
        return shown;
    }
    inputs
        .own_orders
        .iter()
        .filter(|order| order.side == inputs.side && order.price.0 == units && order.status.is_keepable())
        .map(|order| order.ahead)
        .fold(f64::INFINITY, smaller)
        .min(shown)
}

/// Fill probability, margin, cumulative size, edge and PnL of every lane.
#[multiversion::multiversion(targets("x86_64+avx+avx2"))]
fn evaluate<const W: usize>(lanes: &mut Lanes<W>, inputs: &SideInputs<'_>, inverse: InverseLanes) {
    let notional = inputs.clip * inputs.mid;
    let iterations = inverse.iterations;
    for i in 0..W {
        let depth = lanes.depth[i];
        let outside = larger(depth, 0.0);
        let life = larger(inputs.life.at(depth), 1e-6);
        let through = erfc(outside / (inputs.volatility * (2.0 * life).sqrt()));
        let at = 1.0 - exp(-inputs.intensity * exp(-inputs.depth_decay * outside) * life);
        let probability = 1.0 - (1.0 - through) * (1.0 - at * lanes.queue[i]);
        lanes.probability[i] = smaller(larger(probability, MIN_PROBABILITY), 1.0);
    }
    for i in 0..W {
        let per_usd = 1.0 / (lanes.probability[i] * notional) - super::costs::REQUEST_CREDIT_PER_USD;
        let request = inputs.request_price_usd * larger(per_usd, 0.0) * BPS * lanes.request_weight[i];
        let margin = lanes.depth[i] + inputs.base_margin_bps - request;
        let bounded = smaller(larger(margin, -inverse.full), inverse.full);
        let inside = inverse.outer * cubic_root(inverse.inner * bounded, iterations);
        let below = if margin <= -inverse.full { -1.0 } else { inside };
        let optimum = if margin >= inverse.full { 1.0 } else { below };
        let optimum = if margin == 0.0 { 0.0 } else { optimum };
        let wanted = larger(optimum - inputs.inventory_fraction, 0.0) * inputs.max_position;
        lanes.cumulative[i] = smaller(wanted, lanes.cap[i]);
        lanes.edge[i] = lanes.depth[i] + inputs.base_edge_bps;
        lanes.pnl[i] = lanes.probability[i] * (margin - inputs.penalty_bps);
    }
}

/// Cumulative curve → lots, minimum value and cap → orders.
#[allow(clippy::too_many_arguments, reason = "the ladder's columns")]
fn emit<const W: usize>(
    instrument: &Instrument,
    inputs: &SideInputs<'_>,
    lanes: &Lanes<W>,
    merged: usize,
    units: &[i64; W],
    inner: &[u8; W],
    prices: &[f64; W],
    quotes: &mut QuoteSide,
    binding: &mut Binding,
) {
    let side = inputs.side;
    let held = if side == Side::Buy { inputs.position.0 } else { -inputs.position.0 };
    let cap = instrument.floor_lots(inputs.max_position).0;
    let live: i64 = inputs.own_orders.iter().filter(|order| order.side == side).map(|order| order.remaining.0).sum();
    let mut room = cap.saturating_sub(held).saturating_sub(live);
    let closing = (-held).max(0);
    let size_scale = instrument.size_scale();
    let mut curve = 0.0;
    let mut emitted = 0_i64;
    let mut last_emitted = 0;

    let mut place = |i: usize, lots: i64, emitted: &mut i64, room: &mut i64, binding: &mut Binding| -> bool {
        let kept: i64 = if inputs.own_orders.is_empty() {
            0
        } else {
            inputs
                .own_orders
                .iter()
                .filter(|order| order.side == side && order.price.0 == units[i] && order.status.is_keepable())
                .map(|order| order.remaining.0)
                .sum()
        };
        // What stands at this price is counted as live already; only what is added needs room.
        let allowed = lots.min(kept.saturating_add((*room).max(0)));
        binding.cap |= allowed < lots;
        let size = allowed as f64 / size_scale;
        let closes_all = allowed == closing && *emitted == 0;
        if allowed <= 0 || (size * prices[i] < instrument.min_notional() && !closes_all) {
            return false;
        }
        *room -= (allowed - kept).max(0);
        *emitted += allowed;
        let slot = quotes.len;
        quotes.price_units[slot] = Price(units[i]);
        quotes.lots[slot] = Lots(allowed);
        quotes.prices[slot] = prices[i];
        quotes.sizes[slot] = size;
        quotes.depth_bps[slot] = lanes.depth[i];
        quotes.fill_probability[slot] = lanes.probability[i];
        quotes.expected_edge_bps[slot] = lanes.edge[i];
        quotes.expected_pnl_bps[slot] = lanes.pnl[i];
        quotes.reduce_only[slot] = *emitted <= closing;
        quotes.ladder_index[slot] = inner[i];
        quotes.len += 1;
        true
    };

    for (i, &price) in prices.iter().enumerate().take(merged) {
        curve = larger(curve, lanes.cumulative[i]);
        let lots = instrument.floor_lots(curve).0 - emitted;
        let worth_it = lots > 0 && lots as f64 / size_scale * price >= instrument.min_notional();
        if worth_it && place(i, lots, &mut emitted, &mut room, binding) {
            last_emitted = i + 1;
        }
    }
    let left = instrument.floor_lots(curve).0 - emitted;
    if left > 0 && emitted < closing && last_emitted != merged {
        // A closing remainder is raised to the venue's minimum while it stays within the position, else one order closes all.
        let last = merged - 1;
        let minimum = minimum_lots(instrument, prices[last]);
        if emitted + minimum <= closing {
            place(last, minimum, &mut emitted, &mut room, binding);
        } else if emitted == 0 {
            place(last, closing, &mut emitted, &mut room, binding);
        }
    }
}

/// Fewest lots whose value at a price reaches the venue's minimum.
fn minimum_lots(instrument: &Instrument, price: f64) -> i64 {
    let lots = instrument.min_notional() / price * instrument.size_scale();
    let mut whole = lots as i64;
    while whole as f64 / instrument.size_scale() * price < instrument.min_notional() {
        whole += 1;
    }
    whole.max(1)
}

/// The best price of `side` that does not take: the last valid price before the opposite best.
#[must_use]
pub fn post_only_limit(instrument: &Instrument, side: Side, opposite_best_units: i64) -> Price {
    let neighbor = match side {
        Side::Buy => opposite_best_units - 1,
        Side::Sell => opposite_best_units + 1,
    };
    if neighbor <= 0 {
        return Price(0);
    }
    Price(instrument.round_units(neighbor as f64, side) as i64)
}
