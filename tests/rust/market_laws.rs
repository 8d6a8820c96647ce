//! Laws of the synthetic market: one seed is one market, and what we do in it changes nothing anybody draws.

use std::collections::BTreeMap;
use std::time::Instant;

use hypermm_core::types::{Lots, Price, Side, TimestampNs};
use hypermm_simulation::market::agents::Background;
use hypermm_simulation::market::agents::latent::FairPrice;
use hypermm_simulation::market::agents::regime::Regime;
use hypermm_simulation::market::preset::MarketPreset;
use hypermm_simulation::venue::matching::order::{AccountId, Action, NewOrder, TimeInForce, VenueEvent};
use hypermm_simulation::venue::matching::rules::AccountKind;

use crate::market_loop::{ASSET, BLOCK_NS, START_NS, Session, record};
use crate::market_statistics::{correlation, figures};

/// Everything that happened, in order.
fn history(name: &str, seed: u64, seconds: f64) -> Vec<VenueEvent> {
    let mut session = Session::of(name, seed);
    let mut history = Vec::new();
    for _ in 0..Session::blocks_in(seconds) {
        session.block(&[], |event| history.push(*event));
    }
    history
}

/// Kills: a draw from the process, the clock or an unordered map; a seed that is not used.
#[test]
fn one_seed_is_one_market() {
    for preset in MarketPreset::ALL {
        assert!(history(&preset.name, 7, 120.0) == history(&preset.name, 7, 120.0), "two runs of one seed differ");
        assert!(history(&preset.name, 7, 120.0) != history(&preset.name, 8, 120.0), "two seeds give one market");
    }
}

/// What a run sent that carries draws: takers' and informed sides, and each maker order's size by its name.
#[derive(Default)]
struct Sent {
    fair_prices: Vec<u64>,
    funding: Vec<u64>,
    taken: Vec<(usize, AccountId, Side)>,
    /// Sizes of takers who did not take all within reach are draws; which those are, the book decides.
    sizes: Vec<i64>,
}

/// Runs a market; `trades` has a stranger quote at the touch and take large amounts all the time.
fn sent(name: &str, trades: bool) -> (Sent, BTreeMap<u128, usize>, u64) {
    let mut session = Session::of(name, 11);
    let stranger = session.exchange.open_account(AccountKind::Background).unwrap();
    let accounts = session.market.accounts();
    let (mut sent, mut names, mut ours) = (Sent::default(), BTreeMap::new(), 0);
    for block in 0..Session::blocks_in(600.0) {
        let mut mine: Vec<(AccountId, Action)> = Vec::new();
        let (bid, ask) = session.best();
        if trades && block % 3 == 0 {
            for (side, price) in [(Side::Buy, bid), (Side::Sell, ask)] {
                if let Some(price) = price {
                    mine.push((stranger, place(side, price, 5_000, TimeInForce::PostOnly)));
                }
            }
        }
        if trades && block % 50 == 0 {
            let side = if block % 100 == 0 { Side::Buy } else { Side::Sell };
            let price = if side == Side::Buy { ask } else { bid };
            if let Some(price) = price {
                mine.push((stranger, place(side, price, 1_000_000, TimeInForce::ImmediateOrCancel)));
            }
        }
        session.block(&mine, |event| {
            if let VenueEvent::Trade(trade) = event {
                ours += u64::from(trade.maker.account == stranger || trade.taker.account == stranger);
            }
        });
        sent.fair_prices.push(session.market.fair_price().to_bits());
        sent.funding.push(session.market.predicted_funding_rate().to_bits());
        for (account, action) in &session.actions {
            if let Action::Place(order) = action
                && [accounts.takers, accounts.informed, accounts.liquidated].contains(&Some(*account))
            {
                sent.taken.push((block, *account, order.side));
                sent.sizes.push(order.size.0);
            }
            if let Action::Place(order) | Action::Modify { replacement: order, .. } = action
                && Some(*account) == accounts.makers
            {
                names.insert(order.client_order_id.unwrap(), block);
            }
        }
    }
    (sent, names, ours)
}

fn place(side: Side, price: Price, lots: i64, time_in_force: TimeInForce) -> Action {
    let size = Lots(lots);
    Action::Place(NewOrder {
        asset: ASSET,
        side,
        price,
        size,
        time_in_force,
        reduce_only: false,
        client_order_id: None,
    })
}

/// Kills: a price, flow, informed or cascade draw that is taken when an order fills, or that depends on the book.
#[test]
fn what_we_trade_changes_nothing_that_is_drawn() {
    for preset in MarketPreset::ALL {
        let (alone, alone_names, none) = sent(&preset.name, false);
        let (disturbed, names, ours) = sent(&preset.name, true);
        println!("{}: {} trades of the stranger, {} takers drawn", preset.name, ours, alone.taken.len());
        assert!(none == 0 && ours > 100, "the stranger did not trade");
        assert!(names != alone_names, "the stranger did not disturb the makers");
        assert!(alone.taken.len() > 200);
        assert!(alone.fair_prices == disturbed.fair_prices && alone.funding == disturbed.funding);
        assert!(alone.taken == disturbed.taken);
        let same = alone.sizes.iter().zip(&disturbed.sizes).filter(|(left, right)| left == right).count();
        println!("{} of {} sizes do not depend on the book", same, alone.sizes.len());
        assert!(same as f64 > 0.6 * alone.sizes.len() as f64);
    }
}

/// Bounds the presets state: mean spread, bps, and aggressor events a second.
const BOUNDS: [(&str, [f64; 2], [f64; 2]); 5] = [
    ("hype", [0.75, 1.05], [0.75, 1.1]),
    ("eth", [0.24, 0.31], [1.1, 1.6]),
    ("btc", [0.1, 0.13], [1.0, 1.4]),
    ("sol", [0.48, 0.62], [0.8, 1.25]),
    ("wlfi", [2.0, 3.2], [0.45, 0.65]),
];

/// Kills: a half-spread off by a factor, flow at the wrong speed in some regime, a mid that does not follow the fair price.
#[test]
fn presets_have_their_volatility_spread_and_trade_rate() {
    for (name, spread_bounds, rate_bounds) in BOUNDS {
        let preset = MarketPreset::named(name).unwrap();
        let runs: Vec<_> =
            (20..23).map(|seed| figures(&record(&mut Session::of(name, seed), &preset, 6_000.0, 400))).collect();
        let mean = |figure: &str| {
            let row = runs[0].iter().position(|(name, _)| *name == figure).unwrap();
            runs.iter().map(|run| run[row].1).sum::<f64>() / runs.len() as f64
        };
        let volatility = mean("return deviation, 10 s") / 10.0_f64.sqrt();
        let (spread, rate) = (mean("spread, mean, bps"), mean("events, 1/s"));
        let asked = preset.parameters.volatility_bps;
        println!(
            "{name}: σ at 10 s {volatility:.3} for {asked} bps/√s, spread {spread:.3} bps, {rate:.3} events a second"
        );
        assert!((volatility / asked - 1.0).abs() < 0.1);
        assert!(spread > spread_bounds[0] && spread < spread_bounds[1]);
        assert!(rate > rate_bounds[0] && rate < rate_bounds[1]);
    }
}

/// Kills: makers who do not come back, or wait for each other for ever.
#[test]
fn the_book_is_never_empty_for_a_second_outside_cascades() {
    for preset in MarketPreset::ALL {
        let (mut empty, mut longest, mut crossed) = (0, 0, 0);
        for seed in 30..32 {
            let mut session = Session::of(&preset.name, seed);
            for _ in 0..Session::blocks_in(3_000.0) {
                session.block(&[], |_| {});
                let (bid, ask) = session.best();
                crossed += u32::from(bid.zip(ask).is_some_and(|(bid, ask)| bid >= ask));
                let quiet = session.market.conditions().regime != Regime::Cascade;
                empty = if (bid.is_none() || ask.is_none()) && quiet { empty + 1 } else { 0 };
                longest = longest.max(empty);
            }
        }
        println!("{}: a side empty for at most {} ms", preset.name, longest * BLOCK_NS / 1_000_000);
        assert!(longest * BLOCK_NS <= 1_000_000_000);
        assert_eq!(crossed, 0);
    }
}

/// Kills: arbitrage that misses a side, takes too little, or takes inside its margin.
#[test]
fn a_quote_is_hit_when_the_fair_price_has_gone_through_it_and_not_before() {
    let preset = MarketPreset::named("hype").unwrap();
    let instrument = preset.instrument().unwrap();
    let margin = preset.parameters.arbitrage_margin_bps;
    let mut session = Session::of("hype", 3);
    let stranger = session.exchange.open_account(AccountKind::Background).unwrap();
    let arbitrage = session.market.accounts().arbitrage.unwrap();
    let (mut survived, mut early, mut hits) = (0, 0, 0);
    for block in 0..Session::blocks_in(600.0) {
        let mut mine = Vec::new();
        let (bid, ask) = session.best();
        if block % 20 == 0 {
            for (side, price) in [(Side::Buy, bid), (Side::Sell, ask)] {
                mine.extend(price.map(|price| (stranger, place(side, price, 50_000, TimeInForce::PostOnly))));
            }
        }
        let before: Vec<_> = session.exchange.open_orders(stranger).collect();
        let mut prices = Vec::new();
        session.block(&mine, |event| {
            if let VenueEvent::Trade(trade) = event
                && trade.taker.account == arbitrage
            {
                prices.push((trade.aggressor, trade.price, trade.maker.account == stranger));
            }
        });
        let beyond = |side: Side, price: Price| {
            -side.sign() * (session.market.fair_price() / instrument.price_to_f64(price) - 1.0) * 1e4
        };
        for order in before {
            let beyond = beyond(order.order.side, order.order.price);
            survived += u32::from(beyond > margin + 1e-3 && session.exchange.order(order.id).is_some());
        }
        for (aggressor, price, ours) in prices {
            early += u32::from(beyond(aggressor.opposite(), price) < margin - 1e-3);
            hits += u32::from(ours);
        }
    }
    println!("{hits} hits, {survived} quotes left beyond the fair price, {early} taken inside the margin");
    assert!(hits > 50);
    assert_eq!((survived, early), (0, 0));
}

/// A known path: 3 bps down a second after a minute.
struct Falling;

impl FairPrice for Falling {
    fn advance(&mut self, to_ns: TimestampNs) -> f64 {
        let seconds = (to_ns - START_NS) as f64 / 1e9;
        30.0 * (1.0 - 3e-4 * (seconds - 60.0).max(0.0))
    }
}

/// Kills: makers who stay behind a path they are given, or agents who want more of a path than its price.
#[test]
fn agents_quote_around_any_path_they_are_given() {
    let preset = MarketPreset::named("hype").unwrap();
    let instrument = preset.instrument().unwrap();
    let mut session = Session::around(&preset, &preset.parameters, 1, Box::new(Falling));
    let mut far: f64 = 0.0;
    for _ in 0..Session::blocks_in(120.0) {
        session.block(&[], |_| {});
        let seconds = (session.time_ns - START_NS) as f64 / 1e9;
        let expected = 30.0 * (1.0 - 3e-4 * (seconds - 60.0).max(0.0));
        assert_eq!(session.market.fair_price(), expected);
        if let (Some(bid), Some(ask)) = session.best() {
            let mid = 0.5 * (instrument.price_to_f64(bid) + instrument.price_to_f64(ask));
            far = far.max((mid / expected - 1.0).abs() * 1e4);
        }
    }
    println!("the mid was never more than {far:.2} bps from the path");
    assert!(far < 10.0);
}

/// Kills: a tilt that is not applied, or applied to the wrong side.
#[test]
fn sizes_lean_with_past_flow_where_they_are_told_to() {
    let preset = MarketPreset::named("eth").unwrap();
    let lean = |tilt: f64| {
        let changes = [("tilt_pressure", 0.0), ("tilt_drift", 0.0), ("tilt_flow", tilt), ("touch_size_deviation", 1.0)];
        let tape =
            record(&mut Session::new(&preset, &preset.parameters.with(&changes).unwrap(), 5), &preset, 4_000.0, 50);
        let pairs: Vec<_> = tape
            .books
            .iter()
            .map(|book| {
                let [from, to] = [book.time_s - 30.0, book.time_s]
                    .map(|time_s| tape.events.partition_point(|event| event.time_s <= time_s));
                let flow: f64 = tape.events[from..to].iter().map(|event| event.side.sign()).sum();
                let size = |levels: &[(f64, f64)]| levels.iter().map(|level| level.1).sum::<f64>();
                (flow / (1.0 + (to - from) as f64), (size(&book.bids) / size(&book.asks)).ln())
            })
            .collect();
        correlation(&pairs)
    };
    let (with, against, without) = (lean(3.0), lean(-3.0), lean(0.0));
    println!(
        "correlation of past flow with ln of bid over ask sizes: {with:.2}, {against:.2} against it, {without:.2} without"
    );
    assert!(with > 0.4 && against < -0.4 && without.abs() < 0.3);
}

/// `cargo nextest run --cargo-profile fast --run-ignored only twenty_minutes --no-capture`
#[test]
#[ignore = "a figure of speed: meant for a machine with nothing else to do"]
fn twenty_minutes_cost_at_most_fifty_milliseconds() {
    for preset in MarketPreset::ALL {
        let mut best_ms = f64::INFINITY;
        let mut executed = 0;
        for seed in 0..10 {
            let mut session = Session::of(&preset.name, seed);
            let start = Instant::now();
            for _ in 0..Session::blocks_in(1_200.0) {
                session.block(&[], |_| {});
            }
            best_ms = best_ms.min(start.elapsed().as_secs_f64() * 1e3);
            executed = session.executed;
        }
        println!(
            "{}: {best_ms:.1} ms for 20 minutes, {:.1} actions a second of the market",
            preset.name,
            executed as f64 / 1_200.0
        );
        assert!(preset.name != "hype" || best_ms <= 50.0);
    }
}
