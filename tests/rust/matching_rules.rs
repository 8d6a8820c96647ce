//! Laws of the venue's rules for orders: grid, minimum, reduce-only, names, modify, quotas, the dead-man switch, texts.

use hypermm_core::accounting::ledger::Mark;
use hypermm_core::instrument::Instrument;
use hypermm_core::types::{Lots, Price, Side};
use hypermm_simulation::venue::fees::FeeRates;
use hypermm_simulation::venue::matching::exchange::Exchange;
use hypermm_simulation::venue::matching::order::{
    AccountId, Action, Answer, AssetId, NewOrder, OrderReference, OrderState, Refusal, ScheduleCancelRefusal,
    TimeInForce,
};
use hypermm_simulation::venue::matching::rules::{AccountKind, AssetSettings, VenueRules, max_order_value_usd};

use crate::matching_book::{ETH, Floor, ask, bid, buy_now, instrument, order, sell_now};

const S: i64 = 1_000_000_000;
const USD: i128 = 1_000_000;

fn reduce(order: NewOrder) -> NewOrder {
    NewOrder { reduce_only: true, ..order }
}

fn named(order: NewOrder, name: u128) -> NewOrder {
    NewOrder { client_order_id: Some(name), ..order }
}

fn refused(reason: Refusal) -> Answer {
    Answer::Refused { reason, order_id: None }
}

/// A floor with one rich trader behind `accounts` background accounts.
fn with_trader(accounts: usize, rules: VenueRules) -> (Floor, u32) {
    let mut floor = Floor::with_rules(accounts, rules);
    let kind = AccountKind::Trader { deposit: 1_000_000_000 * USD, fees: FeeRates::default() };
    let trader = floor.exchange.open_account(kind).unwrap();
    (floor, trader.0)
}

/// Gives `account` a position by a trade with account 1 at 4000.0.
fn give_position(floor: &mut Floor, account: u32, lots: i64) {
    let size = lots.abs();
    let (resting, taking) = if lots > 0 {
        (ask(400_000, size), buy_now(400_000, size))
    } else {
        (bid(400_000, size), sell_now(400_000, size))
    };
    floor.rest(1, resting);
    floor.place(account, taking);
    assert_eq!(floor.position(account), lots);
}

/// Kills: five significant figures that forget decimals, or integers. The examples are the venue's.
#[test]
fn prices_have_five_figures_or_are_integers() {
    // (size decimals, price in 1e-6, valid)
    for (decimals, price, valid) in [
        (1, 1_234_500_000, true),
        (1, 1_234_560_000, false),
        (0, 1_234, true),
        (0, 12_345, true),
        (0, 123_456, false),
        (1, 12_340, true),
        (2, 123_456_000_000, true),
        (2, 12_345_600_000, false),
    ] {
        let settings = AssetSettings::new(Instrument::new("X", decimals, 10, 0.0, 3600.0).unwrap());
        let mut exchange = Exchange::new(vec![settings], VenueRules::default()).unwrap();
        let account = exchange.open_account(AccountKind::Background).unwrap();
        let units = price / 10_i64.pow(decimals);
        let answer = exchange.execute(0, account, &Action::Place(bid(units, 1)), &mut |_| {});
        let fits = price % 10_i64.pow(decimals) == 0;
        let accepted = fits && matches!(answer, Answer::Resting { .. });
        assert_eq!(accepted, valid, "{decimals} size decimals, price {price}e-6: {answer:?}");
        if !valid && fits {
            assert_eq!(answer, Answer::Refused { reason: Refusal::Tick, order_id: Some(1) });
        }
    }
}

/// Kills: names used up by orders that never were; rejected modifies that use one up.
#[test]
fn refused_orders_use_up_a_name_unless_their_numbers_are_wrong() {
    let mut floor = Floor::new(1);
    let first = floor.rest(1, bid(400_000, 1_000));
    for (wrong, reason) in [
        (bid(0, 1_000), Refusal::InvalidPrice),
        (bid(-400_000, 1_000), Refusal::InvalidPrice),
        (bid(400_000, 0), Refusal::ZeroSize),
        (bid(400_000, -5), Refusal::ZeroSize),
        (bid(400_000, i64::MAX), Refusal::InvalidSize),
        (bid(i64::MAX, 1_000), Refusal::InvalidPrice),
        (NewOrder { asset: AssetId(9), ..bid(400_000, 1_000) }, Refusal::UnknownAsset),
    ] {
        assert_eq!(floor.place(1, wrong), refused(reason));
        assert!(floor.events.is_empty());
    }
    assert_eq!(
        floor.place(1, bid(400_005, 1_000)),
        Answer::Refused { reason: Refusal::Tick, order_id: Some(first + 1) }
    );
    assert_eq!(
        floor.place(1, bid(400_000, 24)),
        Answer::Refused { reason: Refusal::MinimumNotional, order_id: Some(first + 2) }
    );
    let invalid = Action::Modify { order: OrderReference::Order(first), replacement: bid(1, 1), always_place: false };
    assert_eq!(floor.act(1, &invalid), refused(Refusal::InvalidModify));
    assert_eq!(floor.rest(1, bid(400_000, 25)), first + 3);
    let nobody = floor.act(77, &Action::Place(bid(400_000, 1_000)));
    assert_eq!(nobody, refused(Refusal::UnknownAccount));
}

/// Kills: a minimum that stops the close of a position; one that lets a part of it through; an exemption that opens.
#[test]
fn ten_dollars_at_least_unless_it_closes_the_whole_position() {
    let mut floor = Floor::new(2);
    let too_small = |answer| matches!(answer, Answer::Refused { reason: Refusal::MinimumNotional, .. });
    assert!(!too_small(floor.place(2, bid(399_000, 26))));
    assert!(too_small(floor.place(2, bid(399_000, 25))), "25 lots are 9.975 USD");
    // From 30 lots down to 20: 8 USD.
    give_position(&mut floor, 2, 30);
    floor.rest(1, bid(400_000, 25));
    floor.exchange.execute(0, AccountId(2), &Action::Place(sell_now(400_000, 25)), &mut |_| {});
    assert_eq!(floor.position(2), 5);
    for part in [sell_now(401_000, 4), reduce(ask(401_000, 4)), ask(401_000, 6), bid(399_000, 5)] {
        assert!(too_small(floor.place(2, part)), "{part:?}");
    }
    floor.rest(2, reduce(ask(401_000, 9)));
    floor.rest(2, ask(401_000, 5));
}

/// Kills: a reduce-only order that opens, keeps its size when the position shrinks, or outlives it; the wrong order of ends.
#[test]
fn reduce_only_shrinks_with_the_position_and_dies_with_it() {
    let mut floor = Floor::new(3);
    let no_position = floor.place(2, reduce(ask(401_000, 1_000)));
    assert!(matches!(no_position, Answer::Refused { reason: Refusal::ReduceOnly, .. }));
    give_position(&mut floor, 2, 1_000);
    let same_side = floor.place(2, reduce(bid(399_000, 1_000)));
    assert!(matches!(same_side, Answer::Refused { reason: Refusal::ReduceOnly, .. }));
    let large = floor.rest(2, reduce(ask(402_000, 5_000)));
    assert_eq!(floor.changes(), [(large, OrderState::Open, 1_000)], "shrunk to the position");
    assert_eq!(floor.exchange.order(large).unwrap().order.size, Lots(5_000), "as sent");
    let near = floor.rest(2, reduce(ask(401_000, 800)));
    let small = floor.rest(2, reduce(ask(403_000, 300)));
    let plain = floor.rest(2, ask(403_000, 900));
    floor.place(3, buy_now(401_000, 400));
    let left = |floor: &Floor, id| floor.exchange.order(id).map(|view| view.remaining.0);
    assert_eq!([large, near, small].map(|id| left(&floor, id)), [Some(600), Some(400), Some(300)]);
    assert_eq!(floor.exchange.depth_to(ETH, Side::Sell, Price(402_000)), Lots(1_000));
    // Their own market order takes the rest of the position: all die, oldest first, the plain one lives.
    floor.rest(3, bid(400_000, 600));
    floor.place(2, reduce(sell_now(400_000, 9_000)));
    assert_eq!(floor.position(2), 0);
    let ends: Vec<_> =
        floor.changes().into_iter().filter(|change| change.1 == OrderState::ReduceOnlyCanceled).collect();
    println!("ends in order (order, state, left): {ends:?}");
    assert_eq!(ends.iter().map(|end| end.0).collect::<Vec<_>>(), [large, near, small]);
    assert_eq!(left(&floor, plain), Some(900));
}

/// Kills: a reduce-only order that lives on when the position flips.
#[test]
fn reduce_only_dies_when_the_position_changes_sides() {
    let mut floor = Floor::new(2);
    give_position(&mut floor, 2, 1_000);
    let resting = floor.rest(2, reduce(ask(402_000, 1_000)));
    floor.rest(1, bid(400_000, 3_000));
    floor.place(2, sell_now(400_000, 3_000));
    assert_eq!(floor.position(2), -2_000);
    assert!(floor.changes().contains(&(resting, OrderState::ReduceOnlyCanceled, 1_000)));
}

/// Kills: a client id that means another account's order, a dead one, or the older of two.
#[test]
fn client_ids_name_the_accounts_newest_living_order() {
    let mut floor = Floor::new(2);
    let old = floor.rest(1, named(bid(400_000, 100), 7));
    let new = floor.rest(1, named(bid(400_000, 200), 7));
    floor.rest(2, bid(400_000, 300));
    let cancel = Action::Cancel { asset: ETH, order: OrderReference::Client(7) };
    assert_eq!(floor.act(2, &cancel), refused(Refusal::MissingOrder));
    assert_eq!(floor.exchange.order_of_client(AccountId(1), 7).unwrap().id, new);
    assert_eq!(floor.act(1, &cancel), Answer::Canceled);
    assert_eq!(floor.changes(), [(new, OrderState::Canceled, 200)]);
    assert_eq!(floor.act(1, &cancel), Answer::Canceled);
    assert_eq!(floor.changes(), [(old, OrderState::Canceled, 100)]);
    assert_eq!(floor.act(1, &cancel), refused(Refusal::MissingOrder));
}

/// Kills: a modify that keeps name or place; one that takes; one that loses the original where it may not, or keeps it
/// where it may not.
#[test]
fn modify_is_cancel_and_new_order_with_two_ways_to_fail() {
    let mut floor = Floor::new(2);
    floor.rest(2, ask(400_100, 1_000));
    let modify =
        |id, replacement, always_place| Action::Modify { order: OrderReference::Order(id), replacement, always_place };
    let first = floor.rest(1, bid(400_000, 1_000));
    floor.rest(2, bid(400_000, 50));
    let Answer::Resting { order_id: second } = floor.act(1, &modify(first, bid(400_000, 900), false)) else { panic!() };
    assert_eq!(floor.changes(), [(first, OrderState::Canceled, 1_000), (second, OrderState::Open, 900)]);
    assert_eq!(floor.exchange.queue_ahead(second), Some(Lots(50)), "last in the queue");
    // Invalid in itself: the original rests.
    for wrong in [buy_now(400_000, 900), ask(400_200, 900), bid(400_000, 3), bid(400_003, 900), bid(0, 900)] {
        assert_eq!(floor.act(1, &modify(second, wrong, false)), refused(Refusal::InvalidModify), "{wrong:?}");
        assert!(floor.exchange.order(second).is_some());
    }
    // It would take: the original is gone, and no name is used up.
    let crossing = floor.act(1, &modify(second, bid(400_100, 900), false));
    assert!(matches!(crossing, Answer::Refused { reason: Refusal::PostOnlyWouldMatch { .. }, order_id: None }));
    assert_eq!(floor.changes(), [(second, OrderState::Canceled, 900)]);
    assert_eq!(floor.act(1, &modify(second, bid(400_000, 900), false)), refused(Refusal::ModifyGone));
    // With `always_place` it is placed although the old one is gone, and may take.
    let answer = floor.act(1, &modify(second, bid(400_100, 900), true));
    assert!(matches!(answer, Answer::Filled { size: Lots(900), .. }), "{answer:?}");
    // Not somebody else's order.
    let theirs = floor.rest(2, bid(399_900, 100));
    assert_eq!(floor.act(1, &modify(theirs, bid(399_900, 100), false)), refused(Refusal::ModifyGone));
}

/// Kills: other numbers than 10,000 and one per USD; cancels without their extra; a window that refusals restart; a batch
/// that passes as one request.
#[test]
fn requests_are_limited_by_volume_and_then_one_in_ten_seconds() {
    let (mut floor, trader) = with_trader(1, VenueRules::default());
    let resting = floor.rest(1, ask(400_000, 500_000));
    let bad = Action::Cancel { asset: ETH, order: OrderReference::Order(resting) };
    let view = |floor: &Floor| floor.exchange.account(AccountId(trader)).unwrap();
    assert_eq!((view(&floor).requests_cap, view(&floor).cancels_cap), (10_000, 20_000));
    for _ in 0..9_999 {
        assert_eq!(floor.act(trader, &bad), refused(Refusal::MissingOrder), "failed requests count");
    }
    floor.place(trader, buy_now(400_000, 25));
    let (used, cap) = (view(&floor).requests_used, view(&floor).requests_cap);
    println!("after a trade of 10 USD: {used} used of {cap}");
    assert_eq!((used, cap), (10_000, 10_010));
    for _ in 0..10 {
        floor.place(trader, buy_now(1_000, 25));
    }
    let too_many = Refusal::TooManyRequests { used: 10_011, cap: 10_010, volume: 10 * USD };
    let place = Action::Place(bid(390_000, 1_000));
    assert_eq!(floor.act(trader, &place), refused(too_many));
    assert_eq!(floor.act(trader, &bad), refused(Refusal::MissingOrder), "cancels go on");
    let last = floor.now_ns;
    for waited in [5 * S, 10 * S - 1] {
        floor.now_ns = last + waited - 1;
        assert!(matches!(floor.act(trader, &place), Answer::Refused { reason: Refusal::TooManyRequests { .. }, .. }));
    }
    let two = floor.exchange.over_quota(floor.now_ns, AccountId(trader), 2, false);
    assert_eq!(two, Some(Refusal::TooManyRequests { used: 10_013, cap: 10_010, volume: 10 * USD }), "two are not one");
    assert!(matches!(floor.act(trader, &place), Answer::Resting { .. }), "10 s after the last that was accepted");
    assert!(matches!(floor.act(trader, &place), Answer::Refused { reason: Refusal::TooManyRequests { .. }, .. }));
    floor.exchange.charge_requests(AccountId(trader), 10_010);
    assert!(matches!(
        floor.act(trader, &bad),
        Answer::Refused { reason: Refusal::TooManyRequests { used: 20_023, cap: 20_020, .. }, .. }
    ));
}

/// Kills: cancels allowed twice the limit whatever it is.
#[test]
fn cancels_reach_at_most_a_hundred_thousand_further() {
    let (mut floor, trader) = with_trader(1, VenueRules { order_value_limit: false, ..VenueRules::default() });
    floor.rest(1, ask(400_000, 1_000_000));
    floor.place(trader, buy_now(400_000, 500_000));
    let view = floor.exchange.account(AccountId(trader)).unwrap();
    assert_eq!((view.requests_cap, view.cancels_cap), (210_000, 310_000));
}

/// Kills: a limit that does not grow with volume, or without end; reduce-only orders let through from 1,000 on.
#[test]
fn open_orders_are_limited_by_volume() {
    let (mut floor, trader) = with_trader(1, VenueRules { request_quota: false, ..VenueRules::default() });
    give_position(&mut floor, trader, 1_000);
    for row in 0..1_000 {
        floor.rest(trader, bid(300_000 - 10 * (row % 50), 100));
    }
    let too_many = |answer| matches!(answer, Answer::Refused { reason: Refusal::TooManyOpenOrders, .. });
    assert!(too_many(floor.place(trader, bid(300_000, 100))));
    assert!(too_many(floor.place(trader, reduce(ask(401_000, 100)))));
    assert!(too_many(floor.place(trader, reduce(sell_now(300_000, 100)))));
    assert!(!too_many(floor.place(trader, buy_now(400_000, 100))), "it does not rest");
    // 5 M USD of volume are one more.
    floor.rest(1, ask(400_000, 12_500_000));
    floor.place(trader, buy_now(400_000, 12_500_000));
    assert_eq!(floor.exchange.account(AccountId(trader)).unwrap().open_orders_cap, 1_001);
    floor.rest(trader, bid(300_000, 100));
    assert!(too_many(floor.place(trader, bid(300_000, 100))));
    assert!(too_many(floor.place(trader, reduce(ask(401_000, 100)))), "still refused below the limit");
    assert_eq!(floor.exchange.open_orders(AccountId(trader)).count(), 1_001);
}

/// Kills: a distance measured from nothing or beyond 95 %; a value limit at another leverage's number.
#[test]
fn prices_far_from_the_mark_and_very_large_orders_are_refused() {
    let (mut floor, trader) = with_trader(1, VenueRules::default());
    floor.exchange.set_reference(0, ETH, Mark(800_000), Mark(800_000), &mut |_| {}).unwrap();
    assert_eq!(floor.place(trader, bid(19_990, 10_000)), refused(Refusal::PriceTooFar));
    floor.rest(trader, bid(20_000, 10_000));
    assert_eq!(floor.place(1, ask(780_010, 10_000)), refused(Refusal::PriceTooFar));
    floor.rest(1, ask(780_000, 10_000));
    assert_eq!([25, 20, 10, 5].map(max_order_value_usd), [300_000_000, 50_000_000, 20_000_000, 5_000_000]);
    assert_eq!(floor.place(trader, bid(400_000, 750_000_001)), refused(Refusal::ValueTooLarge));
    assert!(matches!(floor.place(trader, bid(400_000, 750_000_000)), Answer::Resting { .. }));
}

/// Kills: a switch without its volume or notice, that fires early, spares orders, or fires an eleventh time a day.
#[test]
fn the_dead_mans_switch_needs_volume_notice_and_fires_ten_times_a_day() {
    let (mut floor, trader) = with_trader(1, VenueRules::default());
    let schedule = |floor: &mut Floor, in_s: i64| {
        let time_ns = Some(floor.now_ns + 1 + in_s * S);
        floor.act(trader, &Action::ScheduleCancel { time_ns })
    };
    let too_little =
        |traded| Refusal::ScheduleCancel(ScheduleCancelRefusal::Volume { required: 1_000_000 * USD, traded });
    assert_eq!(schedule(&mut floor, 60), refused(too_little(0)));
    give_position(&mut floor, trader, 2_500_000);
    assert_eq!(schedule(&mut floor, 4), refused(Refusal::ScheduleCancel(ScheduleCancelRefusal::TooSoon)));
    for fired in 0..11 {
        let resting = [floor.rest(trader, bid(399_000, 100)), floor.rest(trader, ask(401_000, 100))];
        let other = floor.rest(1, bid(398_000, 100));
        let answer = schedule(&mut floor, 5);
        if fired == 10 {
            assert_eq!(answer, refused(Refusal::ScheduleCancel(ScheduleCancelRefusal::TooOften)));
            floor.now_ns += 86_400 * S;
            assert_eq!(schedule(&mut floor, 5), Answer::Done, "a new day");
            break;
        }
        assert_eq!(answer, Answer::Done);
        let due = floor.exchange.next_due_cancel().unwrap();
        assert_eq!(due, floor.now_ns + 5 * S);
        let mut ended = Vec::new();
        floor.exchange.fire_due_cancels(due - 1, &mut |event| ended.push(*event));
        assert!(ended.is_empty());
        floor.exchange.fire_due_cancels(due, &mut |event| ended.push(*event));
        assert_eq!(ended.len(), 2);
        assert!(resting.iter().all(|id| floor.exchange.order(*id).is_none()));
        assert!(floor.exchange.order(other).is_some());
    }
    assert_eq!(floor.act(trader, &Action::ScheduleCancel { time_ns: None }), Answer::Done);
    assert_eq!(floor.exchange.next_due_cancel(), None);
}

/// Kills: a changed word in a text that clients match on.
#[test]
fn refusals_have_the_venues_statuses_and_texts() {
    let eth = instrument();
    let bbo = Refusal::PostOnlyWouldMatch { bid: Some(Price(5_000_100)), ask: Some(Price(189_145)) };
    let requests = Refusal::TooManyRequests { used: 97_460, cap: 97_456, volume: 87_457_460_000 };
    let volume = ScheduleCancelRefusal::Volume { required: 1_000_000 * USD, traded: 12_066_750_000 };
    for (reason, status, text) in [
        (Refusal::Tick, "tickRejected", "Price must be divisible by tick size."),
        (Refusal::MinimumNotional, "minTradeNtlRejected", "Order must have minimum value of $10."),
        (Refusal::Margin, "perpMarginRejected", "Insufficient margin to place order."),
        (Refusal::ReduceOnly, "reduceOnlyRejected", "Reduce only order would increase position."),
        (bbo, "badAloPxRejected", "Post only order would have immediately matched, bbo was 50001@1891.45."),
        (
            Refusal::NoImmediateMatch,
            "iocCancelRejected",
            "Order could not immediately match against any resting orders.",
        ),
        (
            Refusal::MaxPosition,
            "perpMaxPositionRejected",
            "Order would exceed maximum position size for current leverage.",
        ),
        (Refusal::TooManyOpenOrders, "tooManyOpenOrdersRejected", "Too many open orders"),
        (Refusal::MissingOrder, "rejected", "Order was never placed, already canceled, or filled."),
        (Refusal::InvalidModify, "rejected", "Attempted to modify to invalid new order"),
        (Refusal::ModifyGone, "rejected", "Cannot modify canceled or filled order"),
        (Refusal::ValueTooLarge, "rejected", "Order value too large. Max is $300000000."),
        (
            requests,
            "rejected",
            "Too many cumulative requests sent (97460 > 97456) for cumulative volume traded $87457.46. \
             Place taker orders to free up 1 request per USDC traded.",
        ),
        (
            Refusal::ScheduleCancel(volume),
            "rejected",
            "Cannot set scheduled cancel time until enough volume traded. Required: $1000000. Traded: $12066.75.",
        ),
    ] {
        assert_eq!((reason.status(), reason.text(&eth).as_str()), (status, text));
    }
    let only_asks = Refusal::PostOnlyWouldMatch { bid: None, ask: Some(Price(400_000)) };
    assert!(only_asks.text(&eth).ends_with("bbo was @4000."));
    let states = [OrderState::Open, OrderState::SelfTradeCanceled, OrderState::ReduceOnlyCanceled, OrderState::Filled];
    assert_eq!(states.map(|state| state.status()), ["open", "selfTradeCanceled", "reduceOnlyCanceled", "filled"]);
}

/// Kills: a class that lets a taking order overtake cancels.
#[test]
fn a_modify_has_the_class_of_the_order_it_places() {
    let reference = OrderReference::Order(1);
    let modify = |time_in_force| Action::Modify {
        order: reference,
        replacement: order(Side::Buy, 1, 1, time_in_force),
        always_place: false,
    };
    let cancel = Action::Cancel { asset: ETH, order: reference };
    let mut classes =
        [modify(TimeInForce::GoodTilCanceled).class(), cancel.class(), modify(TimeInForce::PostOnly).class()];
    classes.sort();
    assert_eq!(classes[0], Action::Place(order(Side::Buy, 1, 1, TimeInForce::PostOnly)).class());
    assert_eq!(classes[2], Action::Place(buy_now(1, 1)).class());
}
