//! Laws of what the matching venue publishes.

use std::collections::BTreeMap;

use hypermm_core::config::EngineConfig;
use hypermm_core::event::{Context, MarketEvent};
use hypermm_core::instrument::Instrument;
use hypermm_core::types::{Lots, Price, Side};
use hypermm_simulation::backtest::replay::{BacktestSettings, run};
use hypermm_simulation::market::agents::Background;
use hypermm_simulation::market::agents::synthetic::SyntheticMarket;
use hypermm_simulation::market::preset::MarketPreset;
use hypermm_simulation::venue::block_clock::{Block, BlockClockSettings};
use hypermm_simulation::venue::blocks::{BlockSettings, BlockVenue};
use hypermm_simulation::venue::feed::{BookFeed, Feed, FeedMessage, FeedSettings};
use hypermm_simulation::venue::latency::{LatencyLaw, LatencyModel};
use hypermm_simulation::venue::matching::exchange::Exchange;
use hypermm_simulation::venue::matching::order::{
    AccountId, Action, AssetId, ClientOrderId, NewOrder, OrderReference, OrderState, TimeInForce, VenueEvent,
};
use hypermm_simulation::venue::matching::rules::{AccountKind, AssetSettings, VenueRules};
use proptest::prelude::*;

const MS: i64 = 1_000_000;
const ASSET: AssetId = AssetId(0);

pub(crate) fn instrument() -> Instrument {
    Instrument::new("HYPE", 2, 10, 0.0, 3600.0).unwrap()
}

/// Contracts of one kind, and accounts from 1 on that are bound by no margin or quota.
pub(crate) fn exchange(assets: usize, accounts: u32) -> Exchange {
    let mut exchange = Exchange::new(vec![AssetSettings::new(instrument()); assets], VenueRules::default()).unwrap();
    for account in 1..=accounts {
        assert_eq!(exchange.open_account(AccountKind::Background).unwrap(), AccountId(account));
    }
    exchange
}

pub(crate) fn feed(asset: AssetId, settings: FeedSettings, seed: u64) -> Feed {
    Feed::new(asset, instrument(), settings, seed).unwrap()
}

pub(crate) fn order(
    asset: AssetId,
    side: Side,
    price: i64,
    size: i64,
    time_in_force: TimeInForce,
    client_order_id: Option<ClientOrderId>,
) -> NewOrder {
    NewOrder { asset, side, price: Price(price), size: Lots(size), time_in_force, reduce_only: false, client_order_id }
}

fn quantile(sorted: &[i64], share: f64) -> i64 {
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

/// Oracle of the book: every order by name, from the events alone.
#[derive(Default)]
struct Replica {
    orders: BTreeMap<u64, (Side, i64, i64)>,
    trade_ids: Vec<u64>,
}

impl Replica {
    fn apply(&mut self, event: &VenueEvent) {
        match event {
            VenueEvent::Order(change) if change.order.asset == ASSET => {
                if change.state == OrderState::Open {
                    let rests = (change.order.side, change.order.price.0, change.remaining.0);
                    self.orders.insert(change.order_id, rests);
                } else {
                    self.orders.remove(&change.order_id);
                }
            }
            VenueEvent::Trade(trade) if trade.asset == ASSET => {
                self.trade_ids.push(trade.trade_id);
                for leg in [&trade.maker, &trade.taker] {
                    let left = &mut self.orders.get_mut(&leg.order_id).expect("both sides are open").2;
                    *left -= trade.size.0;
                    assert_eq!(*left, leg.remaining.0);
                }
            }
            _ => {}
        }
    }

    /// Price, size and number of orders, best first.
    fn levels(&self, side: Side) -> Vec<(i64, i64, u32)> {
        let mut levels: BTreeMap<i64, (i64, u32)> = BTreeMap::new();
        for (_, price, size) in self.orders.values().filter(|order| order.0 == side && order.2 > 0) {
            let level = levels.entry(*price).or_default();
            level.0 += size;
            level.1 += 1;
        }
        let rising = levels.into_iter().map(|(price, (size, orders))| (price, size, orders));
        if side == Side::Buy { rising.rev().collect() } else { rising.collect() }
    }
}

fn actions() -> impl Strategy<Value = Vec<Vec<(AccountId, Action)>>> {
    let time_in_force = prop_oneof![
        3 => Just(TimeInForce::PostOnly),
        2 => Just(TimeInForce::GoodTilCanceled),
        2 => Just(TimeInForce::ImmediateOrCancel),
    ];
    let side = prop_oneof![Just(Side::Buy), Just(Side::Sell)];
    let place = (side, -12_i64..12, 1_i64..50, time_in_force, 0_u128..40).prop_map(
        |(side, ticks, size, time_in_force, name)| {
            let price = 100_000 + 10 * ticks - 30 * side.sign() as i64;
            Action::Place(order(ASSET, side, price, size, time_in_force, Some(name)))
        },
    );
    let cancel = (0_u128..40).prop_map(|name| Action::Cancel { asset: ASSET, order: OrderReference::Client(name) });
    let action = (1_u32..5, prop_oneof![4 => place, 1 => cancel]);
    let block = prop::collection::vec(action.prop_map(|(account, action)| (AccountId(account), action)), 0..8);
    prop::collection::vec(block, 1..120)
}

fn shown(levels: &[(i64, i64, u32)], depth: usize) -> Vec<(i64, i64, u32)> {
    levels.iter().take(depth).copied().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// The feed against a book put together from the events alone. Mutants: a book of the block before; levels beyond
    /// the depth; a best price published though unchanged, or left out though only its size changed; trades lost,
    /// doubled or out of order; a stream whose receive times fall; anything received before its block; a book older
    /// than a best heard before it, or a best older than a book.
    #[test]
    fn the_feed_shows_each_block_as_it_ended_and_loses_no_trade(
        blocks in actions(),
        depth in 1_usize..8,
        seed in any::<u64>(),
        latency in prop_oneof![
            Just(LatencyLaw::Constant(0)),
            Just(LatencyModel::default().feed),
            Just(LatencyLaw::Table(vec![0, 2_000 * MS])),
        ],
    ) {
        let settings = FeedSettings {
            books: BookFeed { depth, interval_ns: 1 },
            push_interval_ns: 150 * MS,
            keeps_session: true,
            ..FeedSettings::new(latency)
        };
        let mut feed = feed(ASSET, settings, seed);
        let mut venue = BlockVenue::new(exchange(1, 4), BlockSettings::default(), seed).unwrap();
        let mut replica = Replica::default();
        // By block time: what stood at its end, and whether best bid or offer differ from the block before.
        let mut ends = BTreeMap::new();
        let mut last_best = None;
        for background in &blocks {
            let block = venue.run_block(background, &mut |event| {
                feed.note(event);
                replica.apply(event);
            });
            feed.after_block(block, venue.exchange(), &Context::default());
            let (bids, asks) = (replica.levels(Side::Buy), replica.levels(Side::Sell));
            if let (Some(bid), Some(ask)) = (bids.first(), asks.first()) {
                prop_assert!(bid.0 < ask.0, "crossed at the end of a block");
            }
            let best = (bids.first().map(|level| (level.0, level.1)), asks.first().map(|level| (level.0, level.1)));
            let changed = last_best.replace(best) != Some(best);
            ends.insert(block.time_ns, (bids, asks, best, changed));
        }
        let mut last = [i64::MIN; 4];
        let mut newest_shown_ns = i64::MIN;
        let mut trade_ids = Vec::new();
        let mut bests = 0;
        let mut events = Vec::new();
        while let Some(event) = feed.next(i64::MAX) {
            let (bids, asks, best, changed) = &ends[&event.exchange_time_ns];
            let stream = match event.message {
                FeedMessage::Book { bids: found_bids, asks: found_asks } => {
                    for (found, expected) in [(found_bids, bids), (found_asks, asks)] {
                        let found: Vec<_> = found.iter().map(|level| (level.price.0, level.size.0, level.orders)).collect();
                        prop_assert_eq!(found, shown(expected, depth));
                    }
                    0
                }
                FeedMessage::Best { bid, ask } => {
                    let plain = |quote: Option<(Price, Lots)>| quote.map(|(price, size)| (price.0, size.0));
                    prop_assert_eq!((plain(bid), plain(ask)), *best);
                    prop_assert!(*changed, "published though unchanged");
                    bests += 1;
                    1
                }
                FeedMessage::Trade(trade) => {
                    trade_ids.push(trade.trade_id);
                    2
                }
                FeedMessage::Context(_) => 3,
            };
            prop_assert!(event.time_ns >= event.exchange_time_ns && event.time_ns >= last[stream]);
            last[stream] = event.time_ns;
            if stream < 2 {
                prop_assert!(event.exchange_time_ns >= newest_shown_ns, "older than what was heard");
                newest_shown_ns = event.exchange_time_ns;
            }
            events.push((event.time_ns, stream, format!("{:?}", event.market)));
        }
        prop_assert_eq!(bests, ends.values().filter(|end| end.3).count());
        prop_assert_eq!(&trade_ids, &replica.trade_ids);
        prop_assert!(events.is_sorted_by_key(|event| event.0), "streams are not merged by receive time");

        // The kept session holds the same messages for a replay.
        let columns = feed.session().columns();
        columns.validate().unwrap();
        let mut replayed = Vec::new();
        replayed.extend((0..columns.book_time_ns.len()).map(|row| (columns.book_time_ns[row], 0, columns.book(row))));
        replayed.extend((0..columns.best_time_ns.len()).map(|row| (columns.best_time_ns[row], 1, columns.best(row))));
        replayed.extend((0..columns.trade_time_ns.len()).map(|row| (columns.trade_time_ns[row], 2, columns.trade(row))));
        let contexts = 0..columns.context.time_ns.len();
        replayed.extend(contexts.map(|row| (columns.context.time_ns[row], 3, MarketEvent::Context(columns.context(row)))));
        replayed.sort_by_key(|(time_ns, stream, _)| (*time_ns, *stream));
        let replayed: Vec<_> =
            replayed.into_iter().map(|(time_ns, stream, event)| (time_ns, stream, format!("{event:?}"))).collect();
        prop_assert_eq!(replayed, events);
    }
}

/// Figures of the protocol sheet, 7.2. Mutants: pushes counted from the time they were due instead of from the last one;
/// books without a push; a second book in one push.
#[test]
fn books_and_contexts_come_as_often_as_measured() {
    for (books, low, high, least, most) in
        [(BookFeed::FAST, 520, 560, 500, 656), (BookFeed::FULL, 5_000, 5_600, 5_000, 5_656)]
    {
        let settings = FeedSettings { books, ..FeedSettings::new(LatencyModel::default().feed) };
        let mut feed = feed(ASSET, settings, 9);
        let mut venue = BlockVenue::new(exchange(1, 4), BlockSettings::default(), 9).unwrap();
        let mut times = [Vec::new(), Vec::new()];
        for number in 0..30_000 {
            let name = number % 7;
            let quote = order(ASSET, Side::Buy, 99_000 - 10 * name, 10, TimeInForce::PostOnly, Some(name as u128));
            let cancel = Action::Cancel { asset: ASSET, order: OrderReference::Client(name as u128) };
            let action = if number / 7 % 2 == 0 { Action::Place(quote) } else { cancel };
            let block = venue.run_block(&[(AccountId(1), action)], &mut |event| feed.note(event));
            feed.after_block(block, venue.exchange(), &Context::default());
            while let Some(event) = feed.next(block.time_ns) {
                match event.message {
                    FeedMessage::Book { .. } => times[0].push(event.exchange_time_ns / MS),
                    FeedMessage::Context(_) => times[1].push(event.exchange_time_ns / MS),
                    _ => {}
                }
            }
        }
        for (name, times, (low, high), (least, most)) in
            [("books", &times[0], (low, high), (least, most)), ("contexts", &times[1], (1_000, 1_080), (1_000, 1_156))]
        {
            let mut gaps: Vec<i64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
            gaps.sort_unstable();
            let shown = [0.0, 0.05, 0.5, 0.95, 1.0].map(|share| quantile(&gaps, share));
            println!("{name} of {} levels, ms apart, min p5 p50 p95 max: {shown:?} of {}", books.depth, gaps.len());
            assert!(shown[0] >= least - 1 && shown[4] <= most + 1 && (low..=high).contains(&shown[2]));
        }
    }
}

/// The feed's delays follow from the block's number: what else is published does not move them. Delays stay below the
/// distance of blocks here, so that none waits for another. Mutant: delays numbered by message.
#[test]
fn a_message_is_as_late_whether_or_not_others_were_published_before_it() {
    let receive_times = |ours: bool| {
        let latency = LatencyLaw::Table(vec![MS, 40 * MS]);
        let mut feed = feed(ASSET, FeedSettings::new(latency), 4);
        let mut venue = BlockVenue::new(exchange(1, 4), BlockSettings::default(), 4).unwrap();
        let mut times = BTreeMap::new();
        for number in 0..600_i64 {
            let quote = |account, side, price| {
                (AccountId(account), Action::Place(order(ASSET, side, price, 1, TimeInForce::PostOnly, None)))
            };
            let mut background = Vec::new();
            if number % 10 == 0 {
                background.push(quote(1, Side::Buy, 50_000 + number));
            }
            if ours && number % 3 == 1 {
                background.push(quote(2, Side::Sell, 99_000 - number));
            }
            let block = venue.run_block(&background, &mut |event| feed.note(event));
            feed.after_block(block, venue.exchange(), &Context::default());
            while let Some(event) = feed.next(i64::MAX) {
                if matches!(event.message, FeedMessage::Best { .. }) {
                    times.insert(event.exchange_time_ns, event.time_ns);
                }
            }
        }
        times
    };
    let (alone, beside) = (receive_times(false), receive_times(true));
    assert!(alone.len() >= 60 && beside.len() > 2 * alone.len());
    assert!(alone.iter().all(|(block_ns, time_ns)| beside[block_ns] == *time_ns));
}

/// The engine refuses a settlement that is past. Mutant: the settlement handed on as it stood at the block.
#[test]
fn a_settlement_that_has_passed_when_it_is_heard_is_no_news() {
    let mut feed = feed(ASSET, FeedSettings::new(LatencyLaw::Constant(400 * MS)), 0);
    let market = exchange(1, 4);
    let mut settlements = Vec::new();
    for (number, time_ns) in [(0, 1_000 * MS), (1, 2_599 * MS), (2, 4_600 * MS)] {
        let context = Context { next_settlement_ns: Some(3_000 * MS), mark_price: Some(10.0), ..Context::default() };
        let late = Context { next_settlement_ns: Some(5_000 * MS), ..context };
        feed.after_block(Block { number, time_ns }, &market, if number == 2 { &late } else { &context });
        while let Some(event) = feed.next(i64::MAX) {
            if let MarketEvent::Context(heard) = event.market {
                assert_eq!(heard.mark_price, Some(10.0));
                settlements.push(heard.next_settlement_ns);
            }
        }
    }
    assert_eq!(settlements, [Some(3_000 * MS), Some(3_000 * MS), None]);
}

#[test]
fn a_setting_of_the_feed_out_of_range_is_refused_by_name() {
    let good = FeedSettings::new(LatencyLaw::Constant(0));
    for (settings, field) in [
        (FeedSettings { books: BookFeed { depth: 0, ..BookFeed::FAST }, ..good.clone() }, "feed.books.depth"),
        (FeedSettings { books: BookFeed { depth: 101, ..BookFeed::FAST }, ..good.clone() }, "feed.books.depth"),
        (
            FeedSettings { books: BookFeed { interval_ns: 0, ..BookFeed::FAST }, ..good.clone() },
            "feed.books.interval_ns",
        ),
        (FeedSettings { push_interval_ns: 0, ..good.clone() }, "feed.push_interval_ns"),
        (FeedSettings { context_interval_ns: -1, ..good.clone() }, "feed.context_interval_ns"),
        (FeedSettings { latency: LatencyLaw::Constant(-1), ..good }, "feed.latency.constant_ns"),
    ] {
        assert_eq!(Feed::new(ASSET, instrument(), settings, 0).unwrap_err().detail().field, field);
    }
}

/// Agents, blocks, feed and session together: five minutes of a synthetic market, published, kept, and replayed to the
/// engine by the recorded venue, which refuses a crossed, unsorted or past message. Mutants: prices off by the scale;
/// missing levels kept as zeros.
#[test]
fn the_session_of_a_synthetic_market_replays_to_the_engine() {
    let preset = MarketPreset::named("hype").unwrap();
    let instrument = preset.instrument().unwrap();
    let start_ns = 1_757_016_000_000_000_000;
    let mut market = Exchange::new(vec![AssetSettings::new(instrument.clone())], VenueRules::default()).unwrap();
    let mut agents = SyntheticMarket::new(&preset.parameters, 5, start_ns, ASSET, &instrument).unwrap();
    agents.open(start_ns, &mut market).unwrap();
    let clock = BlockClockSettings { start_ns, ..BlockClockSettings::default() };
    let settings = BlockSettings { clock, ..BlockSettings::default() };
    let publishing = FeedSettings { keeps_session: true, ..FeedSettings::new(settings.latency.feed.clone()) };
    let mut feed = Feed::new(ASSET, instrument.clone(), publishing, 5).unwrap();
    let mut venue = BlockVenue::new(market, settings, 5).unwrap();
    let (mut actions, mut taken, mut printed) = (Vec::new(), 0, 0);
    while venue.next_block().time_ns < start_ns + 300_000 * MS {
        actions.clear();
        agents.act(venue.next_block().time_ns, venue.exchange(), &mut actions);
        let block = venue.run_block(&actions, &mut |event| {
            printed += usize::from(matches!(event, VenueEvent::Trade(_)));
            agents.on_event(event);
            feed.note(event);
        });
        let context = Context {
            mark_price: Some(agents.fair_price()),
            oracle_price: Some(agents.fair_price()),
            funding_rate: Some(agents.predicted_funding_rate()),
            next_settlement_ns: Some(start_ns + 3_600_000 * MS),
            ..Context::default()
        };
        feed.after_block(block, venue.exchange(), &context);
        while feed.next(block.time_ns).is_some() {
            taken += 1;
        }
    }
    while feed.next(i64::MAX).is_some() {
        taken += 1;
    }
    let columns = feed.session().columns();
    assert_eq!((columns.len(), columns.trade_id.len()), (taken, printed));
    println!(
        "300 s: {} books, {} best prices, {printed} trades, {} contexts",
        columns.book_time_ns.len(),
        columns.best_time_ns.len(),
        columns.context.time_ns.len()
    );
    assert!(printed > 100 && columns.book_time_ns.len() > 500 && columns.best_time_ns.len() > 500);
    for row in 0..columns.best_time_ns.len() {
        assert!(columns.best_bid_price[row] < columns.best_ask_price[row], "crossed or one-sided in row {row}");
    }
    let output =
        run(&columns, &instrument, &EngineConfig::default(), &BacktestSettings::default(), &mut |_| {}).unwrap();
    println!("{} quote cycles", output.summary.quote_cycles);
    // Best prices and trades wake it between the books, to the end of the session.
    assert!(output.summary.quote_cycles as usize > columns.book_time_ns.len());
}
