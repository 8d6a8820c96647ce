//! Replenishing passive liquidity: a row of places on each side, each holding one order at a time.
//!
//! A place belongs to a ring of prices that are one spacing apart: when the fair price moves by a few spacings, only the
//! orders left behind move, to the far end of the window, and all others keep their place in the queue. An order lives
//! an exponential time and is then quoted anew; a filled one comes back after another; one the fair price has left moves
//! after its maker's reaction time. Near the fair price some places stay empty for a life, and quotes that the efficient
//! price is about to run through are small. The n-th order of a place has the n-th draws of that place's stream.

use hypermm_core::types::{BPS, NS_PER_S, Price, Side, TimestampNs};

use crate::market::agents::draws::{Draws, Purpose};
use crate::market::agents::grid::Grid;
use crate::market::parameters::MarketParameters;
use crate::venue::matching::order::{
    Action, AssetId, ClientOrderId, NewOrder, OrderChange, OrderReference, OrderState, TimeInForce, TradeLeg,
};

/// What makers know when they quote.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuotingView {
    /// Time of the block, ns.
    pub time_ns: TimestampNs,
    /// Time of the block before: what has changed since may have been seen at once.
    pub previous_ns: TimestampNs,
    /// Fair price, quote currency.
    pub fair_price: f64,
    /// Log size of new bids over asks.
    pub tilt: f64,
    /// Where the efficient price stands in its band, −1 to 1: + will run through asks.
    pub pressure: f64,
    /// Best bid and ask before this block.
    pub best: [Option<Price>; 2],
}

/// Orders of one side that stand one spacing apart.
#[derive(Clone, Copy, Debug)]
struct Ring {
    levels: i64,
    /// Price units.
    spacing: f64,
    /// Median size at the fair price, contracts.
    size: f64,
    /// Its growth with distance, 1/bps.
    growth: f64,
    lifetime_s: f64,
}

/// Draws of one order.
#[derive(Clone, Copy, Debug)]
struct Life {
    /// Size, in deviations of its logarithm.
    size: f64,
    /// Of mean 1.
    lifetime: f64,
    reaction_ns: TimestampNs,
    replenish_ns: TimestampNs,
    /// Uniform: below the presence there, the order stands.
    stands: f64,
}

/// Sizes on the recordings are skewed: large ones lie close together, small ones do not. Deviations of the logarithm are
/// cut at these.
const MAX_LARGE: f64 = 1.0;
const MAX_SMALL: f64 = 3.5;

/// How sizes scatter: much at the touch, less deeper; and what is not there at all.
#[derive(Clone, Copy, Debug)]
struct SizeLaw {
    deep: f64,
    touch: f64,
    scale_bps: f64,
    thinning: f64,
    presence: f64,
}

impl SizeLaw {
    /// 1 at the fair price, nothing deep in the book.
    fn nearness(&self, distance_bps: f64) -> f64 {
        libm::exp(-distance_bps / self.scale_bps)
    }

    /// Logarithm of a size over its median; `against` is the pressure on its side, 0 to 1.
    fn log(&self, life: &Life, nearness: f64, against: f64) -> f64 {
        let deviation = self.deep + (self.touch - self.deep) * nearness;
        deviation * life.size - self.thinning * against * nearness
    }

    /// Whether an order of this life stands.
    fn stands(&self, life: &Life, nearness: f64) -> bool {
        life.stands < 1.0 - (1.0 - self.presence) * nearness
    }
}

/// What an order's draws are like.
#[derive(Clone, Copy, Debug)]
struct LifeLaw {
    reaction_s: f64,
    replenish_s: f64,
    /// Some places may stay empty.
    has_gaps: bool,
}

impl LifeLaw {
    fn draw(&self, draws: &mut Draws) -> Life {
        Life {
            size: draws.normal().clamp(-MAX_SMALL, MAX_LARGE),
            lifetime: draws.exponential(),
            reaction_ns: nanoseconds(self.reaction_s * draws.exponential()),
            replenish_ns: nanoseconds(self.replenish_s * draws.exponential()),
            stands: if self.has_gaps { draws.uniform() } else { 0.0 },
        }
    }
}

#[derive(Clone, Debug)]
struct Place {
    side: Side,
    ring: usize,
    /// Its number in the ring.
    residue: i64,
    draws: Draws,
    /// Orders it has had; the name of the present one.
    lives: u64,
    life: Life,
    target: Price,
    resting: Option<Price>,
    expires_ns: TimestampNs,
    /// Since when its order stands elsewhere than it should.
    left_ns: Option<TimestampNs>,
    /// When something is to be done next.
    due_ns: TimestampNs,
}

/// The makers of one contract.
#[derive(Clone, Debug)]
pub struct Liquidity {
    asset: AssetId,
    grid: Grid,
    half_spread: f64,
    sizes: SizeLaw,
    law: LifeLaw,
    rings: Vec<Ring>,
    /// Bids, then as many asks.
    places: Vec<Place>,
    fair_price: f64,
    is_rising: bool,
    /// Best bid and ask of the makers when the fair price last changed.
    own_best: [Option<Price>; 2],
}

const PLACE_BITS: u32 = 32;
/// Ring of the orders spaced wider; all of them stand.
const FAR: usize = 2;

fn nanoseconds(seconds: f64) -> TimestampNs {
    (seconds * NS_PER_S) as TimestampNs
}

impl Liquidity {
    /// All places empty, due at once.
    #[must_use]
    pub fn new(parameters: &MarketParameters, seed: u64, asset: AssetId, grid: Grid) -> Self {
        let start = grid.units(parameters.start_price);
        let tick = grid.increment(start);
        let far_spacing = (start * parameters.far_spacing_bps / BPS / tick).round().max(1.0) * tick;
        let near = Ring {
            levels: parameters.near_levels as i64,
            spacing: parameters.near_spacing_ticks * tick,
            size: parameters.level_size,
            growth: parameters.size_growth_per_bps,
            lifetime_s: parameters.lifetime_s,
        };
        let touch = Ring { levels: 1, spacing: tick, size: parameters.touch_size, growth: 0.0, ..near };
        let far = Ring {
            levels: parameters.far_levels as i64,
            spacing: far_spacing,
            size: parameters.level_size * parameters.far_size,
            lifetime_s: parameters.far_lifetime_s,
            ..near
        };
        let mut makers = Self {
            asset,
            grid,
            half_spread: parameters.half_spread_bps / BPS,
            sizes: SizeLaw {
                deep: parameters.size_deviation,
                touch: parameters.touch_size_deviation,
                scale_bps: parameters.thinness_bps,
                thinning: parameters.thinning,
                presence: parameters.touch_presence,
            },
            law: LifeLaw {
                reaction_s: parameters.reaction_s,
                replenish_s: parameters.replenish_s,
                has_gaps: parameters.touch_presence < 1.0,
            },
            rings: vec![touch, near, far],
            places: Vec::new(),
            fair_price: f64::NAN,
            is_rising: false,
            own_best: [None; 2],
        };
        for side in [Side::Buy, Side::Sell] {
            for (ring, copies) in [parameters.touch_orders, parameters.level_orders, 1.0].into_iter().enumerate() {
                let copies = copies as i64;
                for residue in 0..makers.rings[ring].levels * copies {
                    makers.add_place(seed, side, ring, residue);
                }
            }
        }
        makers
    }

    fn add_place(&mut self, seed: u64, side: Side, ring: usize, residue: i64) {
        let mut draws = Draws::new(seed, Purpose::Liquidity, self.places.len() as u32);
        let life = self.law.draw(&mut draws);
        self.places.push(Place {
            side,
            ring,
            residue,
            draws,
            lives: 0,
            life,
            target: Price(0),
            resting: None,
            expires_ns: TimestampNs::MAX,
            left_ns: None,
            due_ns: TimestampNs::MIN,
        });
    }

    /// Pushes what the makers send for the block at `view.time_ns`.
    pub fn act(&mut self, view: &QuotingView, mut send: impl FnMut(Action)) {
        if view.fair_price != self.fair_price {
            self.is_rising = view.fair_price > self.fair_price;
            self.fair_price = view.fair_price;
            self.aim(view.previous_ns);
        }
        // The side that retreats goes first, so that the other finds room in the same block.
        let bids = self.places.len() / 2;
        let order = if self.is_rising { [bids..2 * bids, 0..bids] } else { [0..bids, bids..2 * bids] };
        for place in order.into_iter().flatten() {
            if self.places[place].due_ns <= view.time_ns
                && let Some(action) = self.quote(place, view)
            {
                send(action);
            }
        }
    }

    /// Gives every place its price; those whose order stands elsewhere react.
    fn aim(&mut self, changed_ns: TimestampNs) {
        let standing =
            |side: Side| self.places.iter().filter(move |place| place.side == side).filter_map(|place| place.resting);
        self.own_best = [standing(Side::Buy).max(), standing(Side::Sell).min()];
        let fair = self.grid.units(self.fair_price);
        let edges = [fair * (1.0 - self.half_spread), fair * (1.0 + self.half_spread)];
        for place in &mut self.places {
            let ring = &self.rings[place.ring];
            let (side, levels) = (place.side, ring.levels);
            let target = match side {
                Side::Buy => {
                    let first = (edges[0] / ring.spacing).floor() as i64;
                    first - (first - place.residue).rem_euclid(levels)
                }
                Side::Sell => {
                    let first = (edges[1] / ring.spacing).ceil() as i64;
                    first + (place.residue - first).rem_euclid(levels)
                }
            };
            place.target = self.grid.round(target as f64 * ring.spacing, side);
            match place.resting {
                Some(price) if price != place.target => {
                    let since = *place.left_ns.get_or_insert(changed_ns);
                    place.due_ns = place.expires_ns.min(since + place.life.reaction_ns);
                }
                Some(_) => {
                    place.left_ns = None;
                    place.due_ns = place.expires_ns;
                }
                None => {}
            }
        }
    }

    /// The order a place is to have now, unless it would take.
    fn quote(&mut self, number: usize, view: &QuotingView) -> Option<Action> {
        let name = |lives: u64| (u128::from(lives) << PLACE_BITS) | number as u128;
        let (side, target) = (self.places[number].side, self.places[number].target);
        let old =
            self.places[number].resting.is_some().then(|| OrderReference::Client(name(self.places[number].lives)));
        let crosses = self.would_take(side, target, view);
        if crosses {
            // The other side has not moved yet. What stands is pulled, and comes back when there is room.
            self.places[number].resting = None;
            return old.map(|order| Action::Cancel { asset: self.asset, order });
        }
        let law = self.law;
        let distance_bps = (target.0 as f64 / self.grid.units(view.fair_price) - 1.0).abs() * BPS;
        let nearness = self.sizes.nearness(distance_bps);
        let place = &mut self.places[number];
        let ring = self.rings[place.ring];
        place.life = law.draw(&mut place.draws);
        place.lives += 1;
        place.expires_ns = view.time_ns + nanoseconds(ring.lifetime_s * place.life.lifetime);
        place.due_ns = place.expires_ns;
        place.left_ns = None;
        if place.ring != FAR && !self.sizes.stands(&place.life, nearness) {
            place.resting = None;
            return old.map(|order| Action::Cancel { asset: self.asset, order });
        }
        place.resting = Some(target);
        let median = ring.size * (1.0 + ring.growth * distance_bps);
        let against = (-side.sign() * view.pressure).max(0.0);
        let scatter = self.sizes.log(&place.life, nearness, against);
        let contracts = median * libm::exp(scatter + 0.5 * side.sign() * view.tilt);
        let order = NewOrder {
            asset: self.asset,
            side,
            price: target,
            size: self.grid.lots(contracts, target),
            time_in_force: TimeInForce::PostOnly,
            reduce_only: false,
            client_order_id: Some(name(place.lives)),
        };
        Some(match old {
            Some(order_reference) => Action::Modify { order: order_reference, replacement: order, always_place: true },
            None => Action::Place(order),
        })
    }

    /// True where an order would meet a stranger's quote, or one of the makers' own that has not moved yet.
    fn would_take(&self, side: Side, target: Price, view: &QuotingView) -> bool {
        let meets = |other: Price| match side {
            Side::Buy => target >= other,
            Side::Sell => target <= other,
        };
        let Some(best) = view.best[side.opposite().index()].filter(|best| meets(*best)) else { return false };
        let mut others = self.places.iter().filter(|place| place.side != side);
        // A maker's quote that was best and has moved by now leaves room. Where a stranger stood behind it, the venue
        // refuses, and the order comes again.
        others.any(|place| place.resting.is_some_and(meets)) || self.own_best[side.opposite().index()] != Some(best)
    }

    /// Sees a trade of one of its orders.
    pub fn on_fill(&mut self, time_ns: TimestampNs, leg: &TradeLeg) {
        if leg.remaining.0 == 0
            && let Some(place) = self.present(leg.client_order_id)
        {
            place.resting = None;
            place.due_ns = time_ns + place.life.replenish_ns;
        }
    }

    /// Sees a change of one of its orders.
    pub fn on_order(&mut self, change: &OrderChange) {
        // A filled order has been seen as a trade.
        if !matches!(change.state, OrderState::Open | OrderState::Filled)
            && let Some(place) = self.present(change.order.client_order_id)
        {
            place.resting = None;
            place.due_ns = change.time_ns;
        }
    }

    /// The place of a name, if it is that of the order it has now.
    fn present(&mut self, name: Option<ClientOrderId>) -> Option<&mut Place> {
        let name = name?;
        let place = self.places.get_mut((name & ((1 << PLACE_BITS) - 1)) as usize)?;
        (u128::from(place.lives) == name >> PLACE_BITS && place.resting.is_some()).then_some(place)
    }
}
