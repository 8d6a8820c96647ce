//! The ladder, MODEL.md section 5: prices, then everything else at the rounded price. The hot path: no allocation, and the level
//! arithmetic as straight-line loops the compiler turns into vector lanes.

use super::costs::REQUEST_CREDIT_PER_USD;
use super::decision::{Binding, QuoteSide};
use super::fill_probability::{LifeCurve, MIN_PROBABILITY};
use super::risk::{InventoryRisk, InverseLanes};
use crate::config::MAX_LEVELS;
use crate::instrument::{Instrument, MAX_UNITS};
use crate::online::lanes::{
    CUBIC_ITERATIONS, CUBIC_ITERATIONS_FAR, CUBIC_NEAR, SNAP_TOLERANCE, cubic_root, erfc_lane, exp_lane, floor,
    floor_snapped, larger, nearest, smaller, to_integer,
};
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
    /// Fills of orders that ended which are not told yet.
    pub untold: Lots,
}

/// Lanes of one side.
struct Lanes<const W: usize> {
    spacing: [f64; W],
    rounded: [f64; W],
    price: [f64; W],
    depth: [f64; W],
    queue: [f64; W],
    request_weight: [f64; W],
    request: [f64; W],
    cap: [f64; W],
    probability: [f64; W],
    /// Cumulative size wanted up to here, whole lots (contracts in a curve).
    cumulative: [f64; W],
    pnl: [f64; W],
    edge: [f64; W],
}

impl<const W: usize> Lanes<W> {
    #[inline(always)]
    fn empty() -> Self {
        Self {
            spacing: [0.0; W],
            rounded: [0.0; W],
            price: [0.0; W],
            depth: [0.0; W],
            queue: [1.0; W],
            request_weight: [0.0; W],
            request: [0.0; W],
            cap: [0.0; W],
            probability: [0.0; W],
            cumulative: [0.0; W],
            pnl: [0.0; W],
            edge: [0.0; W],
        }
    }
}

/// Distinct prices of one side, best first, with the ladder indices each stands for.
struct Merged<const W: usize> {
    len: usize,
    units: [i64; W],
    inner: [u8; W],
    outer: [u8; W],
    /// Lots of ours that stand at the price and may be kept.
    kept: [i64; W],
}

/// One side as the model has it, before post-only clamp, price grid, merging, lots, minimum and cap, with nobody queueing before
/// any level: continuous in everything it is made from. Arrays hold `len` levels, best first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LadderCurve {
    /// Levels.
    pub len: usize,
    /// Price from mid, bps; below 0 for a bid below mid.
    pub offsets_bps: [f64; MAX_LEVELS],
    /// P_i.
    pub fill_probability: [f64; MAX_LEVELS],
    /// max(S_0..S_i): contracts at this price or better.
    pub cumulative_sizes: [f64; MAX_LEVELS],
}

/// The curve orders are cut from; made by the same steps as [`fill_side`].
#[must_use]
pub fn side_curve(inputs: &SideInputs<'_>, risk: &InventoryRisk) -> LadderCurve {
    let mut lanes = Lanes::<MAX_LEVELS>::empty();
    let len = space_levels(inputs, &mut lanes);
    let mut offsets_bps = [0.0; MAX_LEVELS];
    for (i, offset) in offsets_bps.iter_mut().enumerate().take(len) {
        *offset = inputs.first_offset_bps - inputs.side.sign() * lanes.spacing[i];
        lanes.price[i] = inputs.mid * (1.0 + *offset / BPS);
        bound_level(inputs, &mut lanes, i, i as u8, i as u8);
    }
    evaluate::<MAX_LEVELS, CUBIC_ITERATIONS_FAR, false>(&mut lanes, inputs, (1.0, 1.0), &risk.lanes());
    let mut cumulative_sizes = [0.0; MAX_LEVELS];
    let mut curve = 0.0;
    for (total, wanted) in cumulative_sizes.iter_mut().zip(&lanes.cumulative[..len]) {
        curve = larger(curve, *wanted);
        *total = curve;
    }
    LadderCurve { len, offsets_bps, fill_probability: lanes.probability, cumulative_sizes }
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
    let mut lanes = Lanes::<W>::empty();
    quotes.len = 0;
    let mut merged = price_levels(instrument, inputs, &mut lanes, binding);
    if merged.len == 0 {
        return;
    }
    join_queue(inputs, &mut merged, &mut lanes);
    let scales = (instrument.price_scale(), instrument.size_scale());
    let inverse = risk.lanes();
    if inverse.inner * inverse.full <= CUBIC_NEAR {
        evaluate::<W, CUBIC_ITERATIONS, true>(&mut lanes, inputs, scales, &inverse);
    } else {
        evaluate::<W, CUBIC_ITERATIONS_FAR, true>(&mut lanes, inputs, scales, &inverse);
    }
    emit(instrument, inputs, &lanes, &merged, quotes, binding);
}

/// d_i of every level; returns how many there are.
#[inline(always)]
fn space_levels<const W: usize>(inputs: &SideInputs<'_>, lanes: &mut Lanes<W>) -> usize {
    let levels = inputs.levels.min(W);
    let (mut spacing, mut step) = (0.0, inputs.spacing_bps);
    for slot in &mut lanes.spacing[..levels] {
        *slot = spacing;
        spacing += step;
        step *= inputs.growth;
    }
    levels
}

/// Cap and request weight of the level at `slot`, which stands for ladder levels `inner` to `outer`.
#[inline(always)]
fn bound_level<const W: usize>(inputs: &SideInputs<'_>, lanes: &mut Lanes<W>, slot: usize, inner: u8, outer: u8) {
    lanes.cap[slot] = (f64::from(outer) + 1.0) * inputs.clip;
    lanes.request_weight[slot] = request_weight(inputs, inner);
}

/// Offsets → post-only clamp → price grid → merge. Leaves the distinct prices in units in `lanes.price`.
fn price_levels<const W: usize>(
    instrument: &Instrument,
    inputs: &SideInputs<'_>,
    lanes: &mut Lanes<W>,
    binding: &mut Binding,
) -> Merged<W> {
    let side = inputs.side;
    let levels = space_levels(inputs, lanes);
    let mid_units = inputs.mid * instrument.price_scale();
    let limit = inputs.post_only_limit.0 as f64;
    let decade = instrument.decade(mid_units);
    round_lanes(lanes, inputs, mid_units, limit, decade.increment);
    let first = mid_units * (1.0 + inputs.first_offset_bps / BPS);
    binding.post_only |= if side == Side::Buy { first > limit } else { first < limit };

    let lowest = mid_units * DEEPEST_SHARE;
    let highest = smaller(mid_units / DEEPEST_SHARE, MAX_UNITS);
    let mut merged = Merged { len: 0, units: [0; W], inner: [0; W], outer: [0; W], kept: [0; W] };
    let mut last = i64::MIN;
    for i in 0..W {
        if i >= levels {
            break;
        }
        let mut rounded = lanes.rounded[i];
        if !(rounded > decade.low && rounded < decade.high) {
            // Another increment holds here: this level is rounded on its own.
            let raw = mid_units * (1.0 + (inputs.first_offset_bps - side.sign() * lanes.spacing[i]) / BPS);
            let clamped = if side == Side::Buy { smaller(raw, limit) } else { larger(raw, limit) };
            if !(clamped > lowest && clamped < highest) {
                break;
            }
            rounded = instrument.round_units(clamped, side);
        }
        if !(rounded > lowest && rounded < highest) {
            break;
        }
        let units = to_integer(rounded);
        if units == last {
            merged.outer[merged.len - 1] = i as u8;
            continue;
        }
        last = units;
        let slot = merged.len;
        if slot >= W {
            break;
        }
        merged.units[slot] = units;
        merged.inner[slot] = i as u8;
        merged.outer[slot] = i as u8;
        lanes.price[slot] = rounded;
        merged.len = slot + 1;
    }
    merged
}

/// Rounds every level with the increment at mid; levels of another decade are rounded again by the caller.
#[multiversion::multiversion(targets("x86_64+avx+avx2"))]
fn round_lanes<const W: usize>(
    lanes: &mut Lanes<W>,
    inputs: &SideInputs<'_>,
    mid_units: f64,
    limit: f64,
    increment: f64,
) {
    let outward = -inputs.side.sign();
    let first = inputs.first_offset_bps;
    // A bid is rounded down, an ask up: −⌊−x⌋.
    for i in 0..W {
        let raw = mid_units * (1.0 + (first + outward * lanes.spacing[i]) / BPS);
        let clamped = if outward < 0.0 { smaller(raw, limit) } else { larger(raw, limit) };
        let bounded = smaller(larger(clamped, 0.0), MAX_UNITS);
        let steps = bounded / increment;
        let whole = nearest(steps);
        let down = -outward * floor(-outward * steps);
        let snapped = if (steps - whole).abs() <= SNAP_TOLERANCE * steps { whole } else { down };
        lanes.rounded[i] = snapped * increment;
    }
}

/// Caps, request weights, what of ours stands at each distinct price, and the queue before it.
fn join_queue<const W: usize>(inputs: &SideInputs<'_>, merged: &mut Merged<W>, lanes: &mut Lanes<W>) {
    let (book, sizes) = (inputs.book.units(), inputs.book.sizes());
    let buys = inputs.side == Side::Buy;
    let mut ahead = [0.0; W];
    let mut place = 0;
    for (i, before) in ahead.iter_mut().enumerate().take(merged.len) {
        let units = merged.units[i];
        bound_level(inputs, lanes, i, merged.inner[i], merged.outer[i]);
        while book.get(place).is_some_and(|shown| if buys { *shown > units } else { *shown < units }) {
            place += 1;
        }
        if place < book.len() && book[place] == units {
            *before = sizes[place];
        }
    }
    // A kept order's own place in the queue counts, not what the book shows now; one that has filled up has none.
    for order in inputs.own_orders {
        if order.side == inputs.side
            && order.status.is_keepable()
            && order.remaining.0 > 0
            && let Some(i) = merged.units[..merged.len].iter().position(|units| *units == order.price.0)
        {
            merged.kept[i] = merged.kept[i].saturating_add(order.remaining.0);
            ahead[i] = smaller(ahead[i], order.queue.ahead());
        }
    }
    for (factor, before) in lanes.queue.iter_mut().zip(ahead) {
        if before > 0.0 {
            let base = 1.0 + before / inputs.mean_event_size;
            *factor = if inputs.queue_exponent == 1.0 { 1.0 / base } else { libm::pow(base, -inputs.queue_exponent) };
        }
    }
}

/// u_i: 0 at the first level, 1 where the position grows, less where it shrinks.
#[inline]
fn request_weight(inputs: &SideInputs<'_>, inner: u8) -> f64 {
    if inner == 0 || inputs.request_price_usd <= 0.0 {
        return 0.0;
    }
    // On the side that closes the position sgn·x is negative.
    let closing = larger(-inputs.inventory_fraction, 0.0) * inputs.max_position;
    larger(1.0 - closing / ((f64::from(inner) + 1.0) * inputs.clip), 0.0)
}

/// Fill probability, margin, cumulative size (in whole lots with `LOTS`, else contracts), edge and PnL of every lane; two loops
/// without a branch or a call.
#[multiversion::multiversion(targets("x86_64+avx+avx2+fma"))]
fn evaluate<const W: usize, const ITERATIONS: u32, const LOTS: bool>(
    lanes: &mut Lanes<W>,
    inputs: &SideInputs<'_>,
    scales: (f64, f64),
    inverse: &InverseLanes,
) {
    const FUSED: bool = multiversion::target::target_cfg_f!(target_feature = "fma");
    let (price_scale, size_scale) = scales;
    let SideInputs { volatility, intensity, depth_decay, life, mid, .. } = *inputs;
    let bps_of_mid = -inputs.side.sign() * BPS / mid;
    for i in 0..W {
        let price = lanes.price[i] / price_scale;
        let depth = (price - mid) * bps_of_mid;
        lanes.price[i] = price;
        lanes.depth[i] = depth;
        let outside = larger(depth, 0.0);
        let expected = larger(life.at::<FUSED>(depth), 1e-6);
        let through = erfc_lane::<FUSED>(outside / (volatility * (2.0 * expected).sqrt()));
        let at = 1.0 - exp_lane::<FUSED>(-intensity * exp_lane::<FUSED>(-depth_decay * outside) * expected);
        let probability = 1.0 - (1.0 - through) * (1.0 - at * lanes.queue[i]);
        lanes.probability[i] = smaller(larger(probability, MIN_PROBABILITY), 1.0);
    }
    let SideInputs { base_margin_bps, base_edge_bps, penalty_bps, inventory_fraction, max_position, .. } = *inputs;
    let InverseLanes { full, inner, outer } = *inverse;
    let notional = inputs.clip * inputs.mid;
    let request_bps = inputs.request_price_usd * BPS;
    if request_bps > 0.0 {
        for i in 0..W {
            let unpaid = larger(1.0 / (lanes.probability[i] * notional) - REQUEST_CREDIT_PER_USD, 0.0);
            lanes.request[i] = request_bps * unpaid * lanes.request_weight[i];
        }
    }
    for i in 0..W {
        let probability = lanes.probability[i];
        let margin = lanes.depth[i] + base_margin_bps - lanes.request[i];
        let bounded = smaller(larger(margin, -full), full);
        let inside = outer * cubic_root::<ITERATIONS, FUSED>(inner * bounded);
        let above = if margin >= full { 1.0 } else { inside };
        let optimum = if margin <= -full { -1.0 } else { above };
        // At zero margin and zero penalty both clamps hold; the optimum is then to hold nothing.
        let optimum = if margin == 0.0 { 0.0 } else { optimum };
        let wanted = larger(optimum - inventory_fraction, 0.0) * max_position;
        let held = smaller(wanted, lanes.cap[i]);
        lanes.cumulative[i] = if LOTS { floor_snapped(held * size_scale) } else { held };
        lanes.edge[i] = lanes.depth[i] + base_edge_bps;
        lanes.pnl[i] = probability * (margin - penalty_bps);
    }
}

/// Cumulative curve → lots, minimum value and cap → orders.
fn emit<const W: usize>(
    instrument: &Instrument,
    inputs: &SideInputs<'_>,
    lanes: &Lanes<W>,
    merged: &Merged<W>,
    quotes: &mut QuoteSide,
    binding: &mut Binding,
) {
    let side = inputs.side;
    let held = if side == Side::Buy { inputs.position.0 } else { -inputs.position.0 };
    let cap = instrument.floor_lots(inputs.max_position).0;
    // Saturating: what does not fit an integer does not fit the cap.
    let own_side = inputs.own_orders.iter().filter(|order| order.side == side);
    let live = own_side.fold(inputs.untold.0, |sum, order| sum.saturating_add(order.exposed().0));
    let mut orders = Orders {
        lanes,
        merged,
        quotes,
        room: cap.saturating_sub(held).saturating_sub(live).max(0),
        closing: (-held).max(0),
        emitted: 0,
        capped: false,
    };
    let size_scale = instrument.size_scale();
    let minimum = instrument.min_notional();
    let mut curve = 0.0;
    let mut last_emitted = 0;
    for i in 0..W {
        if i >= merged.len {
            break;
        }
        curve = larger(curve, lanes.cumulative[i]);
        let lots = to_integer(curve) - orders.emitted;
        if lots > 0 && orders.place(i, lots, size_scale, minimum) {
            last_emitted = i + 1;
        }
    }
    let left = to_integer(curve) - orders.emitted;
    if left > 0 && orders.emitted < orders.closing && last_emitted != merged.len {
        close_remainder(instrument, &mut orders);
    }
    binding.cap |= orders.capped;
}

/// A closing remainder is raised to the venue's minimum while it stays within the position, else one order closes all.
#[cold]
#[inline(never)]
fn close_remainder<const W: usize>(instrument: &Instrument, orders: &mut Orders<'_, W>) {
    let (size_scale, minimum) = (instrument.size_scale(), instrument.min_notional());
    let last = orders.merged.len - 1;
    let raised = minimum_lots(instrument, orders.lanes.price[last]);
    if orders.emitted + raised <= orders.closing {
        orders.place(last, raised, size_scale, minimum);
    } else if orders.emitted == 0 {
        // Below the minimum the venue takes only what closes all.
        if orders.merged.kept[last].saturating_add(orders.room) >= orders.closing {
            orders.place(last, orders.closing, size_scale, 0.0);
        } else {
            orders.capped = true;
        }
    }
}

/// One side's orders as they are laid down, best first.
struct Orders<'a, const W: usize> {
    lanes: &'a Lanes<W>,
    merged: &'a Merged<W>,
    quotes: &'a mut QuoteSide,
    /// Lots that may still be added before the cap.
    room: i64,
    /// Lots that close the position on this side.
    closing: i64,
    emitted: i64,
    capped: bool,
}

impl<const W: usize> Orders<'_, W> {
    /// Lays down an order of `lots` at distinct price `i`, cut to the cap; false when what is left is worth less than `minimum`.
    #[inline(always)]
    fn place(&mut self, i: usize, lots: i64, size_scale: f64, minimum: f64) -> bool {
        let slot = self.quotes.len;
        if i >= W || slot >= MAX_LEVELS {
            return false;
        }
        let (lanes, quotes) = (self.lanes, &mut *self.quotes);
        let units = self.merged.units[i];
        let size = lots as f64 / size_scale;
        if size * lanes.price[i] < minimum {
            return false;
        }
        // What stands at this price is counted as live already; only what is added needs room.
        let kept = self.merged.kept[i];
        let (mut allowed, mut size) = (lots, size);
        let most = kept.saturating_add(self.room);
        if lots > most {
            self.capped = true;
            allowed = most;
            size = allowed as f64 / size_scale;
            if allowed <= 0 || size * lanes.price[i] < minimum {
                return false;
            }
        }
        self.room -= (allowed - kept).max(0);
        self.emitted += allowed;
        quotes.price_units[slot] = Price(units);
        quotes.lots[slot] = Lots(allowed);
        quotes.prices[slot] = lanes.price[i];
        quotes.sizes[slot] = size;
        quotes.depth_bps[slot] = lanes.depth[i];
        quotes.fill_probability[slot] = lanes.probability[i];
        quotes.expected_edge_bps[slot] = lanes.edge[i];
        quotes.expected_pnl_bps[slot] = lanes.pnl[i];
        quotes.reduce_only[slot] = self.emitted <= self.closing;
        quotes.ladder_index[slot] = self.merged.inner[i];
        quotes.len = slot + 1;
        true
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
    // By whole increments: one unit more could be snapped back onto the very price it must avoid.
    match side {
        Side::Buy if opposite_best_units <= 1 => Price(0),
        Side::Buy => Price(opposite_best_units - instrument.decade((opposite_best_units - 1) as f64).increment as i64),
        Side::Sell => Price(opposite_best_units + instrument.decade(opposite_best_units as f64).increment as i64),
    }
}
