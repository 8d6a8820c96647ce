//! Orders and fills of our account come on two channels, either ahead of the other: what is left of an order, and the cap.

use std::collections::{BTreeSet, VecDeque};

use hypermm_core::config::EngineConfig;
use hypermm_core::engine::QuoteEngine;
use hypermm_core::error::{Error, Result};
use hypermm_core::event::{AccountEvent, MarketEvent};
use hypermm_core::instrument::Instrument;
use hypermm_core::orders::reconcile::{Action, Bounds, Reconciler, StandingOrder};
use hypermm_core::pricing::decision::Decision;
use hypermm_core::types::{Identifier, Lots, OrderStatus, Price, Side, TimestampNs};
use hypermm_simulation::backtest::sessions::{run_session, session_settings};
use hypermm_simulation::backtest::strategy::Strategy as Quoting;
use hypermm_simulation::market::preset::MarketPreset;
use hypermm_simulation::venue::gateway::VenueOrder;
use proptest::prelude::*;

const START_NS: i64 = 1_757_015_216_000_000_000;
const S: i64 = 1_000_000_000;
const CAP: i64 = 500;
const LOT: f64 = 1e-4;

fn engine(config: EngineConfig) -> QuoteEngine {
    let instrument = Instrument::new("ETH", 4, 25, 10.0, 3600.0).unwrap();
    let mut engine = QuoteEngine::new(instrument, config).unwrap();
    best(&mut engine, START_NS, 42_690);
    engine
}

fn capped() -> QuoteEngine {
    engine(EngineConfig { max_position: 0.05, clip: Some(0.05), ..EngineConfig::default() })
}

fn best(engine: &mut QuoteEngine, now: i64, bid: i64) {
    engine.on_best(now, Some((bid as f64 / 10.0, 5.0)), Some(((bid + 2) as f64 / 10.0, 5.0))).unwrap();
}

fn order(engine: &mut QuoteEngine, now: i64, status: OrderStatus, lots: i64, ordered: Option<i64>) {
    let ordered = ordered.map(|lots| lots as f64 * LOT);
    engine
        .on_order(now, &Identifier::Number(1), status, Side::Buy, 4268.0, (lots as f64 * 1e4).round() / 1e8, ordered)
        .unwrap();
}

fn fill(engine: &mut QuoteEngine, now: i64, lots: i64) {
    let id = Identifier::Number(1);
    engine.on_fill(now, Side::Buy, 4268.0, lots as f64 / 1e4, Some(&id), None, None).unwrap();
}

/// Bids a fresh ladder would add to what stands, lots.
fn offered(engine: &QuoteEngine, now: i64) -> i64 {
    let mut decision = Decision::default();
    engine.quote(now, &mut decision).unwrap();
    decision.bids.lots[..decision.bids.len].iter().map(|lots| lots.0).sum()
}

fn left(engine: &QuoteEngine) -> Vec<i64> {
    engine.open_orders().iter().map(|order| order.remaining.0).collect()
}

// Kills: what was ordered passed over, so that a fill from before the first word is taken off what is left.
#[test]
fn an_order_first_heard_of_in_part_filled_keeps_what_the_venue_says_is_left() {
    let mut engine = engine(EngineConfig::default());
    order(&mut engine, START_NS, OrderStatus::Open, 600, Some(1000));
    assert_eq!(engine.untold_fills(), [Lots(400), Lots(0)]);
    fill(&mut engine, START_NS + 1, 400);
    assert_eq!((left(&engine), engine.untold_fills()), (vec![600], [Lots(0); 2]));
    order(&mut engine, START_NS + 2, OrderStatus::Open, 600, Some(1000));
    assert_eq!(left(&engine), [600]);
}

// Kills: fills of orders not heard of forgotten, or counted for another order.
#[test]
fn a_fill_told_before_its_order_counts_once_the_order_is_known() {
    for (ordered, early) in [(Some(1000), 400), (None, 400), (Some(1000), 1000)] {
        let mut engine = engine(EngineConfig::default());
        fill(&mut engine, START_NS, early);
        let other = Identifier::Number(2);
        engine.on_order(START_NS + 1, &other, OrderStatus::Open, Side::Buy, 4267.0, 0.1, None).unwrap();
        order(&mut engine, START_NS + 1, OrderStatus::Open, 1000, ordered);
        assert_eq!(left(&engine), [1000, 1000 - early]);
        order(&mut engine, START_NS + 2, OrderStatus::Filled, 0, ordered);
        assert_eq!(engine.untold_fills()[0].0, 1000 - early);
    }
}

// Kills: late words that raise the dead; a name that stays dead when we send an order by it again, or one at another price.
#[test]
fn a_late_acknowledgement_does_not_raise_the_dead() {
    let mut engine = engine(EngineConfig::default());
    order(&mut engine, START_NS, OrderStatus::Pending, 1000, None);
    order(&mut engine, START_NS + 1, OrderStatus::Canceled, 1000, None);
    for late in [OrderStatus::Open, OrderStatus::CancelPending, OrderStatus::Unknown] {
        order(&mut engine, START_NS + 2, late, 1000, Some(1000));
        assert_eq!(left(&engine), [0; 0]);
    }
    assert_eq!(engine.untold_fills(), [Lots(0); 2]);
    let mut again = engine.clone();
    order(&mut again, START_NS + 3, OrderStatus::Pending, 700, None);
    assert_eq!(left(&again), [700]);
    let id = Identifier::Number(1);
    engine.on_order(START_NS + 3, &id, OrderStatus::Open, Side::Buy, 4267.0, 0.07, None).unwrap();
    assert_eq!(left(&engine), [700]);
}

// Kills: an end that takes its fills out of the cap before they are told; an end told first of an order never heard of.
#[test]
fn an_order_that_ended_counts_until_its_fills_are_told() {
    for (status, never_filled, is_known) in
        [(OrderStatus::Filled, 0, true), (OrderStatus::Canceled, 100, true), (OrderStatus::Filled, 0, false)]
    {
        let mut engine = capped();
        if is_known {
            order(&mut engine, START_NS, OrderStatus::Open, CAP, None);
        }
        order(&mut engine, START_NS + 1, status, never_filled, Some(CAP));
        let filled = CAP - never_filled;
        assert_eq!((left(&engine), engine.untold_fills()), (vec![], [Lots(filled), Lots(0)]));
        let between = offered(&engine, START_NS + 1);
        assert!(filled + between <= CAP, "{between} lots offered while {filled} have filled");
        fill(&mut engine, START_NS + 2, filled - 50);
        assert_eq!(engine.untold_fills()[0].0, 50);
        fill(&mut engine, START_NS + 3, 50);
        assert_eq!((engine.untold_fills()[0].0, engine.position_lots().0), (0, filled));
    }
}

// Kills: a fill that never comes counted for ever; one forgotten at once; a position older than the news believed; a second
// end that says more filled passed over.
#[test]
fn an_untold_fill_is_waited_for_a_minute_or_until_a_position_must_contain_it() {
    let ended = || {
        let mut engine = capped();
        order(&mut engine, START_NS, OrderStatus::Open, CAP, None);
        order(&mut engine, START_NS, OrderStatus::Canceled, CAP, None);
        order(&mut engine, START_NS, OrderStatus::Filled, 0, None);
        engine
    };
    let mut engine = ended();
    best(&mut engine, START_NS + 59 * S, 42_690);
    assert_eq!(engine.untold_fills()[0].0, CAP);
    best(&mut engine, START_NS + 62 * S, 42_690);
    assert_eq!(engine.untold_fills()[0].0, 0);
    let mut engine = ended();
    engine.on_position(START_NS + S, 0.0, None).unwrap();
    assert_eq!(engine.untold_fills()[0].0, CAP);
    engine.on_position(START_NS + 6 * S, 0.05, None).unwrap();
    assert_eq!((engine.untold_fills()[0].0, offered(&engine, START_NS + 6 * S)), (0, 0));

    // An order that lives goes on as the venue has it, whether the fill is told after all or not.
    let mut engine = capped();
    order(&mut engine, START_NS, OrderStatus::Open, 300, Some(400));
    engine.on_position(START_NS + 6 * S, 0.01, None).unwrap();
    assert_eq!((left(&engine), engine.untold_fills()[0].0), (vec![300], 0));
    fill(&mut engine, START_NS + 7 * S, 100);
    assert_eq!(left(&engine), [300]);
    fill(&mut engine, START_NS + 7 * S, 100);
    assert_eq!(left(&engine), [200]);
}

// Kills: a flag of filled orders that outlives them, memory left out of the snapshot.
#[test]
fn a_restored_engine_equals_the_one_it_was_taken_from() {
    let mut engine = capped();
    order(&mut engine, START_NS, OrderStatus::Open, 400, None);
    fill(&mut engine, START_NS, 400);
    order(&mut engine, START_NS, OrderStatus::Filled, 0, None);
    engine.on_fill(START_NS, Side::Sell, 4270.0, 0.01, Some(&Identifier::Number(7)), None, None).unwrap();
    assert!(QuoteEngine::restore(&engine.snapshot(), None).unwrap() == engine);
}

// Kills: an order that has filled up still said to be first in its queue.
#[test]
fn an_exhausted_order_has_no_place_in_a_queue() {
    let config = EngineConfig { max_position: 1000.0, levels: 8, ..EngineConfig::default() };
    let (bids, asks): (Vec<f64>, Vec<f64>) =
        (0..20).map(|i| (f64::from(42_690 - i) / 10.0, f64::from(42_691 + i) / 10.0)).unzip();
    let mut engine = engine(config);
    let book = |engine: &mut QuoteEngine| engine.on_book(START_NS, &bids, &[5000.0; 20], &asks, &[5000.0; 20]).unwrap();
    book(&mut engine);
    let probabilities = |engine: &QuoteEngine| {
        let mut decision = Decision::default();
        engine.quote(START_NS, &mut decision).unwrap();
        (decision.bids.prices[0], decision.bids.fill_probability)
    };
    let (price, _) = probabilities(&engine);
    let id = Identifier::Number(1);
    engine.on_order(START_NS, &id, OrderStatus::Open, Side::Buy, price, 0.1, None).unwrap();
    let through =
        hypermm_core::event::Trade { price: price - 0.1, size: 0.1, aggressor: Side::Sell, exchange_time_ns: None };
    engine.on_trade(START_NS, &through).unwrap();
    engine.on_fill(START_NS, Side::Buy, price, 0.1, Some(&id), None, None).unwrap();
    book(&mut engine);
    let waiting = probabilities(&engine);
    engine.on_order(START_NS, &id, OrderStatus::Filled, Side::Buy, price, 0.0, None).unwrap();
    assert_eq!(waiting, probabilities(&engine));
}

// Kills: a price beyond what the book shows taken for an empty level, where an order would be first for ever.
#[test]
fn an_order_beyond_the_shown_book_enters_its_queue_when_the_level_is_seen() {
    let mut engine = engine(EngineConfig::default());
    order(&mut engine, START_NS, OrderStatus::Open, 1000, None);
    let ahead = |engine: &QuoteEngine| engine.open_orders()[0].queue.ahead();
    assert_eq!(ahead(&engine), f64::INFINITY);
    best(&mut engine, START_NS + 1, 42_680);
    assert_eq!(ahead(&engine), 5.0);
}

/// One order of ours as the venue has it.
#[derive(Clone, Debug)]
struct Resting {
    id: u64,
    side: Side,
    price: Price,
    ordered: i64,
    left: i64,
    is_dead: bool,
}

/// The venue: news leaves it on two channels, each in its own order.
#[derive(Default)]
struct Venue {
    orders: Vec<Resting>,
    position: i64,
    words: VecDeque<(u64, OrderStatus, Side, Price, i64, i64)>,
    fills: VecDeque<(u64, Side, Price, i64)>,
}

impl Venue {
    fn say(&mut self, order: usize, status: OrderStatus) {
        let Resting { id, side, price, ordered, left, .. } = self.orders[order];
        self.words.push_back((id, status, side, price, left, ordered));
    }

    fn place(&mut self, id: u64, side: Side, price: Price, lots: i64) {
        self.orders.push(Resting { id, side, price, ordered: lots, left: lots, is_dead: false });
        self.say(self.orders.len() - 1, OrderStatus::Open);
    }

    fn trade(&mut self, order: usize, lots: i64) {
        let resting = &mut self.orders[order];
        if resting.is_dead {
            return;
        }
        let lots = lots.min(resting.left);
        resting.left -= lots;
        resting.is_dead = resting.left == 0;
        let Resting { id, side, price, is_dead, .. } = *resting;
        self.position += if side == Side::Buy { lots } else { -lots };
        self.fills.push_back((id, side, price, lots));
        self.say(order, if is_dead { OrderStatus::Filled } else { OrderStatus::Open });
    }

    fn cancel(&mut self, id: u64) {
        let place = self.orders.iter().position(|order| order.id == id && !order.is_dead);
        if let Some(place) = place {
            self.orders[place].is_dead = true;
            self.say(place, OrderStatus::Canceled);
        }
    }

    /// Position with every order of a side that lives filled.
    fn worst(&self, side: Side) -> i64 {
        let live = self.orders.iter().filter(|order| order.side == side && !order.is_dead);
        let lots: i64 = live.map(|order| order.left).sum();
        if side == Side::Buy { self.position + lots } else { lots - self.position }
    }

    fn tell_word(&mut self, engine: &mut QuoteEngine, now: i64) {
        if let Some((id, status, side, price, left, ordered)) = self.words.pop_front() {
            let (price, ordered) = (engine.instrument().price_to_f64(price), Some(ordered as f64 / 1e4));
            let left = left as f64 / 1e4;
            engine.on_order(now, &Identifier::Number(id), status, side, price, left, ordered).unwrap();
        }
    }

    fn tell_fill(&mut self, engine: &mut QuoteEngine, now: i64) {
        if let Some((id, side, price, lots)) = self.fills.pop_front() {
            let price = engine.instrument().price_to_f64(price);
            engine.on_fill(now, side, price, lots as f64 / 1e4, Some(&Identifier::Number(id)), None, None).unwrap();
        }
    }

    /// What the engine knows once nothing is under way.
    fn assert_agrees(&self, engine: &QuoteEngine) {
        assert_eq!((engine.position_lots().0, engine.untold_fills()), (self.position, [Lots(0); 2]));
        let mut known: Vec<_> = engine.open_orders().iter().map(|o| (o.id.clone(), o.remaining.0)).collect();
        known.sort();
        let live = self.orders.iter().filter(|order| !order.is_dead);
        let truth: Vec<_> = live.map(|order| (Identifier::Number(order.id), order.left)).collect();
        assert_eq!(known, truth);
    }
}

/// The engine's orders, and what ended ones have filled untold, as a reconcile counts them.
fn standing(engine: &QuoteEngine) -> Vec<StandingOrder> {
    let mut orders: Vec<StandingOrder> = engine
        .open_orders()
        .iter()
        .map(|order| {
            let Identifier::Number(id) = order.id else { unreachable!() };
            let (side, price, remaining, status) = (order.side, order.price, order.remaining, order.status);
            StandingOrder { slot: id as usize, side, price, remaining, status }
        })
        .collect();
    orders.sort_by_key(|order| order.slot);
    for (side, remaining) in [Side::Buy, Side::Sell].into_iter().zip(engine.untold_fills()) {
        let (slot, price, status) = (usize::MAX, Price(1), OrderStatus::CancelPending);
        orders.push(StandingOrder { slot, side, price, remaining, status });
    }
    orders
}

#[derive(Clone, Debug)]
enum Turn {
    Mid(i64),
    Trade(prop::sample::Index, i64),
    Word,
    Fill,
    Quote,
    Cancels,
    Restore,
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        3 => (-15_i64..=15).prop_map(Turn::Mid),
        4 => (any::<prop::sample::Index>(), prop_oneof![Just(CAP), 1_i64..125]).prop_map(|(at, lots)| Turn::Trade(at, lots)),
        6 => Just(Turn::Word),
        4 => Just(Turn::Fill),
        6 => Just(Turn::Quote),
        3 => Just(Turn::Cancels),
        1 => Just(Turn::Restore),
    ]
}

fn play(turns: &[Turn]) {
    let config = EngineConfig { max_position: CAP as f64 / 1e4, clip: Some(0.0125), ..EngineConfig::default() };
    let mut engine = engine(config);
    let mut venue = Venue::default();
    let mut reconciler = Reconciler::default();
    let (mut now, mut bid, mut last_id, mut leaving) = (START_NS, 42_690, 0, Vec::new());
    for turn in turns {
        now += S / 4;
        match turn {
            Turn::Mid(shift) => bid = (bid + shift).clamp(42_000, 43_300),
            Turn::Trade(at, lots) if !venue.orders.is_empty() => {
                venue.trade(at.index(venue.orders.len()), *lots);
            }
            Turn::Trade(..) => {}
            Turn::Word => venue.tell_word(&mut engine, now),
            Turn::Fill => venue.tell_fill(&mut engine, now),
            Turn::Cancels => leaving.drain(..).for_each(|id| venue.cancel(id)),
            Turn::Restore => {
                let restored = QuoteEngine::restore(&engine.snapshot(), None).unwrap();
                assert!(restored == engine);
                engine = restored;
            }
            Turn::Quote => {
                best(&mut engine, now, bid);
                let (mut decision, mut actions) = (Decision::default(), Vec::new());
                engine.quote(now, &mut decision).unwrap();
                let bounds = Bounds { position: engine.position_lots(), max_position: Lots(CAP), clip: Lots(125) };
                let standing = standing(&engine);
                reconciler.reconcile(&decision, engine.instrument(), bounds, &standing, &mut actions);
                for action in actions {
                    let (id, status, side, price, lots) = match action {
                        Action::Cancel { slot } => {
                            leaving.push(slot as u64);
                            let order = standing.iter().find(|order| order.slot == slot).unwrap();
                            let status = OrderStatus::CancelPending;
                            (slot as u64, status, order.side, order.price, order.remaining)
                        }
                        Action::Place { side, price, size, .. } => {
                            last_id += 1;
                            venue.place(last_id, side, price, size.0);
                            (last_id, OrderStatus::Pending, side, price, size)
                        }
                    };
                    engine.on_exact_order(now, &Identifier::Number(id), status, side, price, lots).unwrap();
                }
            }
        }
        for side in [Side::Buy, Side::Sell] {
            let worst = venue.worst(side);
            assert!(worst <= CAP, "{side:?}: {worst} lots of a cap of {CAP} after {turn:?}");
        }
    }
    while !venue.words.is_empty() || !venue.fills.is_empty() {
        venue.tell_word(&mut engine, now);
        venue.tell_fill(&mut engine, now);
    }
    venue.assert_agrees(&engine);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(crate::engine_storm::cases(64)))]

    /// Kills: anything that lets the true position, with every order that lives filled, past the cap in any order of news.
    #[test]
    fn the_true_position_stays_within_the_cap_in_any_order_of_news(turns in prop::collection::vec(turn(), 1..200)) {
        play(&turns);
    }

    /// Kills: what is left of an order depending on which channel speaks first. Nothing is told by ourselves here.
    #[test]
    fn when_all_is_told_the_engine_agrees_with_the_venue_in_any_order_of_news(
        events in prop::collection::vec((0_usize..6, 0_u8..8, 1_i64..600), 1..60),
        order in prop::collection::vec(any::<bool>(), 0..80),
    ) {
        let mut engine = engine(EngineConfig::default());
        let mut venue = Venue::default();
        for (at, kind, lots) in events {
            match kind {
                0..=2 => venue.place(venue.orders.len() as u64, Side::Buy, Price(426_800), lots),
                3..=6 if at < venue.orders.len() => venue.trade(at, lots / 2 + 1),
                _ => venue.cancel(at as u64),
            }
        }
        for words_first in order {
            if words_first { venue.tell_word(&mut engine, START_NS) } else { venue.tell_fill(&mut engine, START_NS) }
        }
        while !venue.words.is_empty() || !venue.fills.is_empty() {
            venue.tell_word(&mut engine, START_NS);
            venue.tell_fill(&mut engine, START_NS);
        }
        // Some that filled up are told dead later or never; they have nothing left.
        prop_assert!(engine.open_orders().iter().all(|order| order.remaining.0 > 0));
        venue.assert_agrees(&engine);
    }
}

/// The engine, and what it was told of orders that had ended.
struct Watched {
    engine: QuoteEngine,
    dead: BTreeSet<u64>,
    raised: u32,
}

impl Quoting for Watched {
    type Error = Error;

    fn on_event(&mut self, time_ns: TimestampNs, event: &MarketEvent<'_>) -> Result<()> {
        self.engine.on_event(time_ns, event)
    }

    fn on_account(&mut self, time_ns: TimestampNs, event: &AccountEvent) -> Result<()> {
        self.engine.on_account(time_ns, event)
    }

    fn on_order(&mut self, time_ns: TimestampNs, order: &VenueOrder, instrument: &Instrument) -> Result<()> {
        if order.status.is_dead() {
            self.dead.insert(order.id);
        } else {
            self.raised += u32::from(self.dead.contains(&order.id));
        }
        Quoting::on_order(&mut self.engine, time_ns, order, instrument)
    }

    fn quote(&mut self, time_ns: TimestampNs, decision: &mut Decision) -> Result<()> {
        self.engine.quote(time_ns, decision)
    }
}

// Kills: a refused cancel heard after the fill that ended its order, and the order said to be open again.
#[test]
fn a_cancel_refused_for_want_of_quota_raises_no_order_that_has_filled() {
    let preset = MarketPreset::named("hype").unwrap();
    let mut settings = session_settings(&preset, 3, 600.0).unwrap();
    settings.rules.request_quota = true;
    settings.rules.initial_requests = 200;
    settings.rules.extra_cancels = 0;
    let config = EngineConfig { max_position: 20.0, ..EngineConfig::default() };
    let engine = QuoteEngine::new(preset.instrument().unwrap(), config.clone()).unwrap();
    let mut watched = Watched { engine, dead: BTreeSet::new(), raised: 0 };
    run_session(&preset, &config, &settings, &mut watched, &mut |_| {}).unwrap();
    let open = watched.engine.open_orders().len();
    println!("{} ended, {} raised, {open} open at the end", watched.dead.len(), watched.raised);
    assert!(!watched.dead.is_empty() && watched.raised == 0, "{} raised", watched.raised);
}
