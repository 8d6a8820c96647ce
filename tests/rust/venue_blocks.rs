//! Laws of time around the matching venue: blocks, turns within a block, what is heard when.

use hypermm_core::accounting::ledger::Mark;
use hypermm_core::event::Context;
use hypermm_core::types::{Lots, Price, Side};
use hypermm_simulation::venue::block_clock::BlockClockSettings;
use hypermm_simulation::venue::blocks::{BlockSettings, BlockVenue};
use hypermm_simulation::venue::connections::{ReceivedAnswer, RequestId};
use hypermm_simulation::venue::feed::FeedSettings;
use hypermm_simulation::venue::fees::FeeRates;
use hypermm_simulation::venue::latency::{LatencyLaw, LatencyModel};
use hypermm_simulation::venue::matching::order::{
    AccountId, Action, Answer, AssetId, OrderReference, OrderState, Refusal, TimeInForce, Trade, VenueEvent,
};
use hypermm_simulation::venue::matching::rules::AccountKind;

use crate::venue_feed::{exchange, feed, order};
use crate::venue_latency::quantile;

const MS: i64 = 1_000_000;
const ASSET: AssetId = AssetId(0);

/// Blocks every 100 ms; nothing is held back and nothing takes time unless asked for.
fn even_blocks(latency: LatencyModel) -> BlockSettings {
    let clock = BlockClockSettings {
        start_ns: 0,
        interval: LatencyLaw::Constant(100 * MS),
        minimum_ns: 100 * MS,
        maximum_ns: 100 * MS,
    };
    BlockSettings { clock, latency, cancel_hold_ns: 0, taking_hold_ns: 0 }
}

fn post_only(side: Side, price: i64, name: u128) -> Action {
    Action::Place(order(ASSET, side, price, 10, TimeInForce::PostOnly, Some(name)))
}

fn immediate(side: Side, price: i64) -> Action {
    Action::Place(order(ASSET, side, price, 10, TimeInForce::ImmediateOrCancel, None))
}

fn cancel(name: u128) -> Action {
    Action::Cancel { asset: ASSET, order: OrderReference::Client(name) }
}

fn run(venue: &mut BlockVenue, background: &[(AccountId, Action)]) -> Vec<Trade> {
    let mut trades = Vec::new();
    venue.run_block(background, &mut |event| {
        if let VenueEvent::Trade(trade) = event {
            trades.push(*trade);
        }
    });
    trades
}

fn answers(venue: &mut BlockVenue) -> Vec<ReceivedAnswer> {
    std::iter::from_fn(|| venue.next_answer(i64::MAX)).collect()
}

// Account 0 is the exchange's own.
const MAKER: AccountId = AccountId(1);
const TAKER: AccountId = AccountId(2);
const LATE: AccountId = AccountId(3);
const OTHER: AccountId = AccountId(4);

/// Taker, cancel and post-only orders arrive in the reverse of their turns. Mutants: turns by arrival alone (the taker
/// meets the order that is being canceled); cancels before post-only orders (the post-only bid would rest); taking
/// orders before cancels.
#[test]
fn post_only_orders_go_before_cancels_and_cancels_before_takers() {
    let mut venue = BlockVenue::new(exchange(1, 4), even_blocks(LatencyModel::constant(0, 0, 0)), 0).unwrap();
    venue.submit(0, MAKER, &[post_only(Side::Sell, 100_000, 1)], None).unwrap();
    assert_eq!(run(&mut venue, &[]), []);
    let taking = venue.submit(MS, TAKER, &[immediate(Side::Buy, 100_000)], None).unwrap();
    let canceling = venue.submit(2 * MS, MAKER, &[cancel(1)], None).unwrap();
    let crossing = venue.submit(3 * MS, OTHER, &[post_only(Side::Buy, 100_000, 2)], None).unwrap();
    let joining = venue.submit(4 * MS, LATE, &[post_only(Side::Sell, 100_000, 3)], None).unwrap();
    let trades = run(&mut venue, &[]);
    assert_eq!(trades.len(), 1);
    assert_eq!((trades[0].maker.account, trades[0].taker.account), (LATE, TAKER));
    let heard = answers(&mut venue);
    assert_eq!(heard.len(), 5);
    for heard in heard {
        let expected = match heard.request {
            name if name == taking => matches!(heard.answer, Answer::Filled { size: Lots(10), .. }),
            name if name == canceling => heard.answer == Answer::Canceled,
            name if name == crossing => {
                matches!(heard.answer, Answer::Refused { reason: Refusal::PostOnlyWouldMatch { .. }, .. })
            }
            name if name == joining => matches!(heard.answer, Answer::Resting { .. }),
            _ => heard.request == RequestId(1),
        };
        assert!(expected, "{heard:?}");
    }
}

/// Mutants: the background executed before all requests; background without classes.
#[test]
fn our_cancel_goes_before_a_background_taker_of_the_same_block() {
    let mut venue = BlockVenue::new(exchange(1, 4), even_blocks(LatencyModel::constant(0, 0, 0)), 0).unwrap();
    run(&mut venue, &[(MAKER, post_only(Side::Sell, 100_000, 1))]);
    venue.submit(99 * MS, MAKER, &[cancel(1)], None).unwrap();
    let background = [
        (TAKER, immediate(Side::Buy, 100_000)),
        (LATE, post_only(Side::Sell, 100_100, 2)),
        (TAKER, immediate(Side::Buy, 100_100)),
    ];
    let trades = run(&mut venue, &background);
    let meetings: Vec<_> = trades.iter().map(|trade| (trade.maker.account, trade.price)).collect();
    assert_eq!(meetings, [(LATE, Price(100_100))]);
}

/// Two post-only orders at one price: the one that arrived first is filled first, whoever was sent first; background
/// orders count as arriving evenly through the block. Mutants: turns by name of the request; background always last or
/// always first.
#[test]
fn within_a_class_the_first_to_arrive_goes_first() {
    let first_maker = |sent_ns, background: bool| {
        let mut venue = BlockVenue::new(exchange(1, 4), even_blocks(LatencyModel::constant(0, 0, 0)), 0).unwrap();
        run(&mut venue, &[]);
        venue.submit(sent_ns, MAKER, &[post_only(Side::Sell, 100_000, 1)], None).unwrap();
        if !background {
            venue.submit(50 * MS, LATE, &[post_only(Side::Sell, 100_000, 2)], None).unwrap();
        }
        let one = [(LATE, post_only(Side::Sell, 100_000, 2))];
        run(&mut venue, if background { &one } else { &[] });
        run(&mut venue, &[(TAKER, immediate(Side::Buy, 100_000))])[0].maker.account
    };
    for background in [false, true] {
        assert_eq!(first_maker(49 * MS, background), MAKER);
        assert_eq!(first_maker(51 * MS, background), LATE);
    }
    // At one time: requests in the order they were sent, after the background.
    assert_eq!((first_maker(50 * MS, false), first_maker(50 * MS, true)), (MAKER, LATE));
}

/// Constant delays, so the times are sums. Mutants: answers at the block's time; the hold left out or applied to
/// post-only orders; a mixed batch classed by its first action; a request executed by the block before its arrival.
#[test]
fn a_request_is_answered_by_the_first_block_after_arrival_and_hold() {
    let mut settings = even_blocks(LatencyModel::constant(130 * MS, 40 * MS, 70 * MS));
    settings.taking_hold_ns = 300 * MS;
    settings.cancel_hold_ns = 100 * MS;
    let mut venue = BlockVenue::new(exchange(1, 4), settings, 0).unwrap();
    let batch = [post_only(Side::Buy, 90_000, 2), immediate(Side::Buy, 90_000)];
    let sent: [(RequestId, i64, usize); 4] = [
        (venue.submit(0, MAKER, &[post_only(Side::Buy, 80_000, 1)], None).unwrap(), 200, 1),
        (venue.submit(0, TAKER, &[immediate(Side::Buy, 90_000)], None).unwrap(), 500, 1),
        (venue.submit(0, LATE, &[cancel(9)], None).unwrap(), 300, 1),
        (venue.submit(0, OTHER, &batch, None).unwrap(), 500, 2),
    ];
    let mut heard = Vec::new();
    for _ in 0..10 {
        let block_ns = venue.next_block().time_ns;
        assert!(venue.next_answer(block_ns).is_none_or(|answer| answer.time_ns <= block_ns));
        run(&mut venue, &[]);
        heard.extend(answers(&mut venue));
    }
    for (request, block_ms, count) in sent {
        let times: Vec<i64> =
            heard.iter().filter(|answer| answer.request == request).map(|answer| answer.time_ns / MS).collect();
        assert_eq!(times, vec![block_ms + 40; count]);
    }
    let indices: Vec<usize> = heard.iter().filter(|one| one.account == OTHER).map(|one| one.index).collect();
    assert_eq!(indices, [0, 1]);
}

/// Mutants: expiry judged at arrival instead of at the block; `>=` for `>`; an expired request executed all the same.
#[test]
fn a_request_whose_block_comes_too_late_is_refused() {
    let mut venue = BlockVenue::new(exchange(1, 4), even_blocks(LatencyModel::constant(30 * MS, 0, 0)), 0).unwrap();
    run(&mut venue, &[]);
    let in_time = venue.submit(0, MAKER, &[post_only(Side::Sell, 100_000, 1)], Some(100 * MS)).unwrap();
    let late = [post_only(Side::Sell, 99_000, 2), post_only(Side::Sell, 98_000, 3)];
    let too_late = venue.submit(0, MAKER, &late, Some(100 * MS - 1)).unwrap();
    run(&mut venue, &[]);
    let heard = answers(&mut venue);
    assert_eq!(heard.len(), 3);
    for one in heard {
        let expired = one.answer == Answer::Refused { reason: Refusal::Expired, order_id: None };
        assert_eq!((one.request == in_time, one.request == too_late), (!expired, expired));
    }
    let (_, ask) = venue.exchange().best(ASSET);
    assert_eq!(ask, Some((Price(100_000), Lots(10))));
}

#[test]
fn an_empty_batch_a_past_time_and_a_bad_hold_are_refused_by_name() {
    let mut venue = BlockVenue::new(exchange(1, 4), even_blocks(LatencyModel::default()), 0).unwrap();
    assert_eq!(venue.submit(0, MAKER, &[], None).unwrap_err().detail().field, "actions");
    run(&mut venue, &[]);
    run(&mut venue, &[]);
    assert_eq!(venue.submit(100 * MS - 1, MAKER, &[cancel(1)], None).unwrap_err().detail().field, "now_ns");
    venue.submit(100 * MS, MAKER, &[cancel(1)], None).unwrap();
    for (settings, field) in [
        (BlockSettings { cancel_hold_ns: -1, ..BlockSettings::default() }, "cancel_hold_ns"),
        (BlockSettings { taking_hold_ns: 10_000_000_001, ..BlockSettings::default() }, "taking_hold_ns"),
    ] {
        assert_eq!(BlockVenue::new(exchange(1, 4), settings, 0).unwrap_err().detail().field, field);
    }
}

/// Figures of the protocol sheet, 10.3: post-only 0.48–0.53 s, immediate-or-cancel 0.80 s in the median.
#[test]
fn default_round_trips_take_as_long_as_measured() {
    let mut venue = BlockVenue::new(exchange(1, 4), BlockSettings::default(), 11).unwrap();
    let mut sent = [Vec::new(), Vec::new()];
    let mut trips = [Vec::new(), Vec::new()];
    for number in 0..60_000 {
        let now_ns = venue.next_block().time_ns;
        if number % 15 == 0 {
            // Somewhere in the block, not always at its start.
            let now_ns = now_ns - number % 60 * MS / 2;
            let kind = number as usize / 15 % 2;
            let action = if kind == 0 { post_only(Side::Buy, 50_000, 0) } else { immediate(Side::Buy, 40_000) };
            let account = [MAKER, TAKER][kind];
            sent[kind].push((venue.submit(now_ns.max(0), account, &[action], None).unwrap(), now_ns));
        }
        run(&mut venue, &[]);
        for heard in answers(&mut venue) {
            let kind = usize::from(heard.account == TAKER);
            let place = sent[kind].binary_search_by_key(&heard.request, |(request, _)| *request).unwrap();
            trips[kind].push((heard.time_ns - sent[kind][place].1) / MS);
        }
    }
    for (kind, name, low, high) in [(0, "post-only", 480, 530), (1, "immediate-or-cancel", 770, 830)] {
        let trips = &mut trips[kind];
        trips.sort_unstable();
        let shown = [0.0, 0.05, 0.5, 0.95, 0.99].map(|share| quantile(trips, share));
        println!("{name} round trip, ms, min p5 p50 p95 p99: {shown:?} of {}", trips.len());
        assert!((low..=high).contains(&shown[2]));
    }
}

/// Mutants: notices at the block's time; notices to accounts that have no part in the event; one delay for each event
/// instead of each block; the acknowledge law for notices.
#[test]
fn both_sides_of_a_trade_hear_of_it_after_the_block_and_nobody_else_does() {
    let latency = LatencyModel { acknowledge: LatencyLaw::Constant(1), ..LatencyModel::default() };
    let floor_ns = 170 * MS;
    let mut venue = BlockVenue::new(exchange(1, 4), even_blocks(latency), 5).unwrap();
    venue.connect(MAKER);
    venue.connect(TAKER);
    venue.connect(LATE);
    run(&mut venue, &[(MAKER, post_only(Side::Sell, 100_000, 1)), (MAKER, post_only(Side::Sell, 100_100, 2))]);
    let takers = [(TAKER, immediate(Side::Buy, 100_000)), (OTHER, immediate(Side::Buy, 100_100))];
    let block_ns = venue.next_block().time_ns;
    assert_eq!(run(&mut venue, &takers).len(), 2);
    let heard: Vec<_> = std::iter::from_fn(|| venue.next_notice(i64::MAX)).collect();
    assert!(heard.windows(2).all(|pair| pair[0].time_ns <= pair[1].time_ns));
    let trades_of =
        |account| heard.iter().filter(move |one| one.account == account && matches!(one.event, VenueEvent::Trade(_)));
    assert_eq!((trades_of(MAKER).count(), trades_of(TAKER).count()), (2, 1));
    assert!(heard.iter().all(|one| one.account != LATE && one.account != OTHER));
    let times: Vec<i64> = trades_of(MAKER).map(|one| one.time_ns).collect();
    assert!(times[0] == times[1] && times[0] >= block_ns + floor_ns);
    assert_ne!(times[0], trades_of(TAKER).next().unwrap().time_ns);
}

/// Mutants: events of the venue's own acts not sent on; their notices without latency; dead-man switches never fired,
/// or fired a block late.
#[test]
fn what_the_venue_does_of_itself_is_heard_by_those_it_concerns() {
    let mut venue = BlockVenue::new(exchange(1, 4), even_blocks(LatencyModel::constant(0, 0, 70 * MS)), 0).unwrap();
    run(&mut venue, &[(MAKER, post_only(Side::Sell, 100_000, 1)), (TAKER, immediate(Side::Buy, 100_000))]);
    venue.connect(MAKER);
    venue.connect(LATE);
    let mut seen = 0;
    venue.act(
        |exchange, now_ns, mut sink| {
            exchange.set_reference(now_ns, ASSET, Mark(200_000), Mark(200_000), &mut sink).unwrap();
            exchange.settle_funding(now_ns, ASSET, 0.01, &mut sink).unwrap();
        },
        &mut |event| seen += usize::from(matches!(event, VenueEvent::Funding(_))),
    );
    assert_eq!(seen, 2, "both positions pay or receive");
    let paid = venue.next_notice(i64::MAX).unwrap();
    assert!(matches!(paid.event, VenueEvent::Funding(payment) if payment.account == MAKER && payment.paid < 0));
    assert_eq!((paid.time_ns, paid.account), (170 * MS, MAKER));
    assert_eq!(venue.next_notice(i64::MAX), None);

    let switch = Action::ScheduleCancel { time_ns: Some(6_150 * MS) };
    venue.submit(50 * MS, LATE, &[post_only(Side::Buy, 90_000, 3), switch], None).unwrap();
    let mut changes = Vec::new();
    while venue.next_block().time_ns <= 7_000 * MS {
        run(&mut venue, &[]);
        changes.extend(std::iter::from_fn(|| venue.next_notice(i64::MAX)).filter_map(|heard| match heard.event {
            VenueEvent::Order(change) => Some((heard.time_ns / MS, change.state)),
            _ => None,
        }));
    }
    assert_eq!(changes, [(170, OrderState::Open), (6_270, OrderState::ScheduledCancel)]);
}

/// Protocol sheet, 2.6: five requests for each action. Mutants: an expired request for free; charged once a batch.
#[test]
fn an_expired_request_costs_five_for_each_action() {
    let mut market = exchange(1, 4);
    let kind = AccountKind::Trader { deposit: 1_000_000_000, fees: FeeRates::default() };
    let trader = market.open_account(kind).unwrap();
    let mut venue = BlockVenue::new(market, even_blocks(LatencyModel::constant(MS, 0, 0)), 0).unwrap();
    let used = |venue: &BlockVenue| venue.exchange().account(trader).unwrap().requests_used;
    run(&mut venue, &[]);
    let batch = [post_only(Side::Buy, 90_000, 1), post_only(Side::Buy, 89_000, 2)];
    venue.submit(0, trader, &batch, Some(100 * MS)).unwrap();
    run(&mut venue, &[]);
    assert_eq!(used(&venue), 2);
    venue.submit(100 * MS, trader, &batch, Some(150 * MS)).unwrap();
    run(&mut venue, &[]);
    assert_eq!(used(&venue), 2 + 10);
    assert_eq!(venue.exchange().resting_orders(), 2);
}

/// Delays of up to 2 s on requests sent every 100 ms. Mutants: a request that overtakes the one before; answers or
/// notices that do; two accounts with one row of delays.
#[test]
fn nothing_overtakes_on_a_connection_and_each_account_has_delays_of_its_own() {
    let law = LatencyLaw::Table(vec![0, 2_000 * MS]);
    let latency = LatencyModel { order: law.clone(), acknowledge: law.clone(), feed: law };
    let mut venue = BlockVenue::new(exchange(1, 4), even_blocks(latency), 2).unwrap();
    let mut sent = 0;
    let mut heard = [Vec::new(), Vec::new()];
    let mut noticed = [Vec::new(), Vec::new()];
    for number in 0..400 {
        let now_ns = venue.next_block().time_ns;
        if number < 300 {
            for account in [MAKER, TAKER] {
                venue.submit(now_ns, account, &[post_only(Side::Buy, 90_000, number)], None).unwrap();
                sent += 1;
            }
        }
        run(&mut venue, &[]);
        while let Some(one) = venue.next_answer(now_ns) {
            let Answer::Resting { order_id } = one.answer else { panic!("{one:?}") };
            heard[usize::from(one.account == TAKER)].push((one.time_ns, one.request, order_id));
        }
        while let Some(one) = venue.next_notice(now_ns) {
            let VenueEvent::Order(change) = one.event else { panic!("{one:?}") };
            noticed[usize::from(one.account == TAKER)].push((one.time_ns, change.order_id));
        }
    }
    assert_eq!((heard[0].len() + heard[1].len(), noticed[0].len() + noticed[1].len()), (sent, sent));
    for account in 0..2 {
        // Each column rises: time heard, name of the request, turn at the exchange.
        assert!(heard[account].is_sorted_by(|one, next| one.0 <= next.0 && one.1 < next.1 && one.2 < next.2));
        assert!(noticed[account].is_sorted_by(|one, next| one.0 <= next.0 && one.1 < next.1));
    }
    let same = |one: &[i64], other: &[i64]| one.iter().zip(other).filter(|(one, other)| one == other).count();
    let times = heard.each_ref().map(|heard| heard.iter().map(|one| one.0).collect::<Vec<_>>());
    assert!(same(&times[0], &times[1]) < 15, "answers");
    // Sent in pairs: one block for both would give them neighboring names every time.
    let pairs = heard[0].iter().zip(&heard[1]).filter(|(one, other)| one.2.abs_diff(other.2) == 1).count();
    println!("{pairs} of {} pairs were executed one after the other", sent / 2);
    assert!(pairs < sent / 4, "requests");
}

/// What account LATE and the feed of contract 0 receive while MAKER quotes contract 1 now and then, or all the time.
fn heard_beside(busy: bool, seed: u64) -> (Vec<i64>, Vec<ReceivedAnswer>, Vec<String>) {
    let settings = BlockSettings::default();
    let mut feed = feed(AssetId(0), FeedSettings::new(settings.latency.feed.clone()), seed);
    let mut venue = BlockVenue::new(exchange(2, 4), settings, seed).unwrap();
    let (mut times, mut heard, mut published) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..2_000 {
        let now_ns = venue.next_block().time_ns - 45 * MS;
        if busy || number % 20 == 3 {
            let quote = order(AssetId(1), Side::Buy, 50_000, 10, TimeInForce::PostOnly, None);
            venue.submit(now_ns.max(0), MAKER, &[Action::Place(quote)], None).unwrap();
        }
        if number % 7 == 0 {
            venue.submit(now_ns.max(0), LATE, &[cancel(1)], None).unwrap();
        }
        let side = if number % 2 == 0 { Side::Buy } else { Side::Sell };
        let price = 100_000 + 10 * (number % 5);
        let action = Action::Place(order(ASSET, side, price, 10, TimeInForce::GoodTilCanceled, None));
        let block = venue.run_block(&[(OTHER, action)], &mut |event| feed.note(event));
        feed.after_block(block, venue.exchange(), &Context::default());
        times.push(block.time_ns);
        heard.extend(std::iter::from_fn(|| venue.next_answer(block.time_ns)).filter(|one| one.account == LATE));
        while let Some(event) = feed.next(block.time_ns) {
            // Names of orders and requests are counted over all contracts and accounts; prices and times are not.
            published.push(format!("{} {} {:?}", event.time_ns, event.exchange_time_ns, event.market));
        }
    }
    for one in &mut heard {
        one.request = RequestId(0);
    }
    (times, heard, published)
}

/// Mutants: one running generator for all draws; delays numbered over all accounts; a clock that draws with the requests.
#[test]
fn one_seed_is_one_run_and_one_account_does_not_touch_the_times_of_another() {
    let first = heard_beside(false, 1);
    assert!(first.1.len() > 200 && first.2.len() > 1_000);
    assert!(first == heard_beside(false, 1), "two runs of one seed differ");
    let busy = heard_beside(true, 1);
    assert_eq!(first.0, busy.0, "block times");
    assert_eq!(first.1, busy.1, "answers to another account");
    assert_eq!(first.2, busy.2, "the feed of another contract");
    let other = heard_beside(false, 2);
    assert!(first.0 != other.0 && first.1 != other.1 && first.2 != other.2, "two seeds give one run");
}

/// Blocks and delays are constant here, so that as much is on its way at any time. Mutant: buffers made anew for each
/// block or request.
#[test]
fn blocks_allocate_nothing_once_warm() {
    let latency = LatencyModel::constant(130 * MS, 250 * MS, 310 * MS);
    let mut feed = feed(ASSET, FeedSettings::new(latency.feed.clone()), 1);
    let mut venue = BlockVenue::new(exchange(1, 4), even_blocks(latency), 1).unwrap();
    let mut published = 0;
    let mut blocks = |count: u64| {
        for number in 0..count {
            let now_ns = venue.next_block().time_ns - 45 * MS;
            let names = [2 * u128::from(number), 2 * u128::from(number) + 1];
            let quotes = [post_only(Side::Buy, 99_000, names[0]), post_only(Side::Sell, 101_000, names[1])];
            venue.submit(now_ns.max(0), MAKER, &quotes, None).unwrap();
            venue.submit(now_ns.max(0), MAKER, &names.map(cancel), None).unwrap();
            let side = if number % 2 == 0 { Side::Buy } else { Side::Sell };
            let price = 100_000 + 10 * (number as i64 % 5);
            let action = Action::Place(order(ASSET, side, price, 10, TimeInForce::GoodTilCanceled, None));
            let background = [(OTHER, action), (TAKER, immediate(side.opposite(), price))];
            let block = venue.run_block(&background, &mut |event| feed.note(event));
            feed.after_block(block, venue.exchange(), &Context::default());
            while venue.next_answer(block.time_ns).is_some() {}
            while venue.next_notice(block.time_ns).is_some() {}
            while feed.next(block.time_ns).is_some() {
                published += 1;
            }
        }
    };
    blocks(5_000);
    let counted = allocation_counter::measure(|| blocks(5_000));
    let resting = venue.exchange().resting_orders();
    println!("5,000 blocks, {published} messages in all: {} allocations; {resting} orders rest", counted.count_total);
    assert_eq!(counted.count_total, 0);
}
