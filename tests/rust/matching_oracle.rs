//! The matching venue against a list of orders: the same answers, fills, ends and money, whatever is sent.
//!
//! The oracle, in `matching_naive`, is written from the venue's rules with a `Vec` of orders, sums over the list of all
//! fills, and the venue's own texts; it shares no code and no type with what it judges.

use std::collections::BTreeMap;

use hypermm_core::accounting::ledger::Mark;
use hypermm_core::instrument::Instrument;
use hypermm_core::types::{Lots, Price, Side};
use hypermm_simulation::venue::fees::{FeeRates, FeeScale};
use hypermm_simulation::venue::matching::exchange::Exchange;
use hypermm_simulation::venue::matching::order::{
    AccountId, Action, Answer, AssetId, NewOrder, OrderReference, TimeInForce, VenueEvent,
};
use hypermm_simulation::venue::matching::rules::{AccountKind, AssetSettings, VenueRules};
use proptest::prelude::*;

use crate::matching_naive::{
    Booked, CAP_ASSET_1, DEPOSITS, Fill, MIDDLE, Oracle, Reply, SECOND, TEN_USD, TICK, USD, Wire,
};

/// What a step asks for, in the oracle's own words.
#[derive(Clone, Debug)]
enum Step {
    Place(Wire),
    Cancel { asset: usize, target: usize, by_cloid: bool },
    Modify { target: usize, by_cloid: bool, wire: Wire, always: bool },
    Schedule { after_s: Option<i64> },
    Leverage { asset: usize, leverage: u32 },
    Isolated { asset: usize },
    Mark { asset: usize, shift: i64 },
    Funding { asset: usize, rate_e8: i64 },
}

fn rules() -> VenueRules {
    VenueRules {
        initial_requests: 15,
        extra_cancels: 4,
        open_orders: 5,
        volume_per_open_order: 100 * USD,
        max_open_orders: 8,
        schedule_cancel_volume: 60 * USD,
        schedule_cancels_per_day: 2,
        ..VenueRules::default()
    }
}

fn venue() -> Exchange {
    let first = AssetSettings::new(Instrument::new("ETH", 4, 25, 10.0, 3600.0).unwrap());
    let second = AssetSettings {
        fee_scale: FeeScale { deployer_scale: 1.0, growth: true },
        open_interest_cap: Some(CAP_ASSET_1),
        ..AssetSettings::new(Instrument::new("dex:THING", 2, 10, 10.0, 3600.0).unwrap())
    };
    let mut exchange = Exchange::new(vec![first, second], rules()).unwrap();
    exchange.open_account(AccountKind::Background).unwrap();
    let fees = [
        FeeRates::default(),
        FeeRates::tier(0.0).with_maker_share(0.02).with_staked(20_000.0),
        FeeRates::tier(6e6).with_referral(0.04),
    ];
    for (row, fees) in fees.into_iter().enumerate() {
        exchange.open_account(AccountKind::Trader { deposit: DEPOSITS[row + 2], fees }).unwrap();
    }
    exchange
}

struct Pair {
    exchange: Exchange,
    oracle: Oracle,
    actions: u64,
    limited: bool,
}

fn side(buy: bool) -> Side {
    if buy { Side::Buy } else { Side::Sell }
}

fn new_order(wire: &Wire) -> NewOrder {
    let off = i64::from(wire.off_grid) * TICK[wire.asset] / 2;
    NewOrder {
        asset: AssetId(wire.asset as u32),
        side: side(wire.buy),
        price: Price(MIDDLE[wire.asset] + wire.ticks * TICK[wire.asset] + off),
        size: Lots(wire.size),
        time_in_force: match wire.tif {
            "Alo" => TimeInForce::PostOnly,
            "Ioc" => TimeInForce::ImmediateOrCancel,
            _ => TimeInForce::GoodTilCanceled,
        },
        reduce_only: wire.reduce_only,
        client_order_id: wire.cloid,
    }
}

impl Pair {
    fn new() -> Self {
        let mut pair = Self { exchange: venue(), oracle: Oracle::default(), actions: 0, limited: false };
        for asset in 0..2 {
            pair.step(0, 0, &Step::Mark { asset, shift: 0 });
        }
        pair
    }

    /// Plays a step to both and compares what they say and what they are.
    fn step(&mut self, user: usize, wait_s: i64, step: &Step) {
        self.actions += 1;
        let oracle = &mut self.oracle;
        oracle.now += wait_s * SECOND + 1;
        let now = oracle.now;
        let (fills_before, paid_before) = (oracle.fills.len(), oracle.funding.len());
        oracle.statuses.clear();
        oracle.fire();
        let mut events = Vec::new();
        let mut sink = |event: &VenueEvent| events.push(*event);
        self.exchange.fire_due_cancels(now, &mut sink);
        let account = AccountId(user as u32);
        let pick = |target: usize, by_cloid: bool| {
            let oid = target as u64 % (oracle.oid + 2);
            let cloid = (target % 5) as u128;
            if by_cloid {
                (None, Some(cloid), OrderReference::Client(cloid))
            } else {
                (Some(oid), None, OrderReference::Order(oid))
            }
        };
        let (expected, action) = match *step {
            Step::Place(ref wire) => {
                let reply =
                    oracle.spend(user, false).map_or_else(|refused| refused, |()| oracle.place(user, wire, true));
                (reply, Action::Place(new_order(wire)))
            }
            Step::Cancel { asset, target, by_cloid } => {
                let (oid, cloid, order) = pick(target, by_cloid);
                let reply = oracle.spend(user, true).map_or_else(
                    |refused| refused,
                    |()| match oracle.find(user, oid, cloid).filter(|index| oracle.book[*index].asset == asset) {
                        Some(index) => {
                            oracle.die(index, "canceled");
                            Reply::Fine
                        }
                        None => Reply::Error("Order was never placed, already canceled, or filled.", None),
                    },
                );
                (reply, Action::Cancel { asset: AssetId(asset as u32), order })
            }
            Step::Modify { target, by_cloid, ref wire, always } => {
                let (oid, cloid, order) = pick(target, by_cloid);
                let reply = oracle.spend(user, false).map_or_else(
                    |refused| refused,
                    |()| {
                        let found = oracle.find(user, oid, cloid);
                        oracle.modify(user, found, wire, always)
                    },
                );
                (reply, Action::Modify { order, replacement: new_order(wire), always_place: always })
            }
            Step::Schedule { after_s } => {
                let reply =
                    oracle.spend(user, false).map_or_else(|refused| refused, |()| oracle.schedule(user, after_s));
                (reply, Action::ScheduleCancel { time_ns: after_s.map(|after_s| now + after_s * SECOND) })
            }
            Step::Leverage { asset, leverage } => {
                let reply = oracle
                    .spend(user, false)
                    .map_or_else(|refused| refused, |()| oracle.set_leverage(user, asset, leverage));
                (reply, Action::UpdateLeverage { asset: AssetId(asset as u32), is_cross: true, leverage })
            }
            Step::Isolated { asset } => {
                let reply = oracle
                    .spend(user, false)
                    .map_or_else(|refused| refused, |()| Reply::Error("Position does not use isolated margin.", None));
                (reply, Action::UpdateIsolatedMargin { asset: AssetId(asset as u32), amount: 1 })
            }
            Step::Mark { asset, shift } => {
                let half = 2 * MIDDLE[asset] + shift;
                oracle.half_marks[asset] = half;
                let id = AssetId(asset as u32);
                self.exchange.set_reference(now, id, Mark(half), Mark(half), &mut sink).unwrap();
                return self.compare(&events, fills_before, paid_before);
            }
            Step::Funding { asset, rate_e8 } => {
                for user in 0..5 {
                    let held = i128::from(oracle.position(user, asset));
                    let paid = held * i128::from(oracle.half_marks[asset]) * i128::from(rate_e8) / 200_000_000;
                    if held != 0 {
                        oracle.funding.push((user, asset, paid));
                    }
                }
                let rate = rate_e8 as f64 / 1e8;
                self.exchange.settle_funding(now, AssetId(asset as u32), rate, &mut sink).unwrap();
                return self.compare(&events, fills_before, paid_before);
            }
        };
        let answer = self.exchange.execute(now, account, &action, &mut sink);
        self.limited = matches!(expected, Reply::Error(text, _) if text.starts_with("Too many cumulative"));
        self.compare_answer(step, &answer, &expected);
        self.compare(&events, fills_before, paid_before);
    }

    fn compare_answer(&self, step: &Step, answer: &Answer, expected: &Reply) {
        let agree = match (answer, expected) {
            (Answer::Resting { order_id }, Reply::Resting(oid)) => order_id == oid,
            (Answer::Filled { order_id, size, notional }, Reply::Filled(oid, sz, worth)) => {
                (order_id, size.0, notional) == (oid, *sz, worth)
            }
            (Answer::Canceled | Answer::Done, Reply::Fine) => true,
            (Answer::Refused { reason, order_id }, Reply::Error(text, oid)) => {
                let instrument = &self.exchange.settings(AssetId(0)).unwrap().instrument;
                order_id == oid && reason.text(instrument).starts_with(text)
            }
            _ => false,
        };
        assert!(agree, "{step:?}: the venue says {answer:?}, the oracle {expected:?}");
    }

    fn compare(&self, events: &[VenueEvent], fills_before: usize, paid_before: usize) {
        let (mut fills, mut statuses, mut paid) = (Vec::new(), Vec::new(), Vec::new());
        for event in events {
            match event {
                VenueEvent::Trade(trade) => fills.push(Fill {
                    asset: trade.asset.0 as usize,
                    px: trade.price.0,
                    sz: trade.size.0,
                    taker_buys: trade.aggressor == Side::Buy,
                    maker: (trade.maker.account.0 as usize, trade.maker.order_id),
                    taker: (trade.taker.account.0 as usize, trade.taker.order_id),
                    maker_fee: trade.maker.fee,
                    taker_fee: trade.taker.fee,
                    maker_start: trade.maker.position_before.0,
                    taker_start: trade.taker.position_before.0,
                    left: (trade.maker.remaining.0, trade.taker.remaining.0),
                }),
                VenueEvent::Order(change) => {
                    statuses.push((change.order_id, change.state.status(), change.remaining.0));
                }
                VenueEvent::Funding(payment) => {
                    paid.push((payment.account.0 as usize, payment.asset.0 as usize, payment.paid));
                }
                other => panic!("not expected here: {other:?}"),
            }
        }
        assert_eq!(fills, self.oracle.fills[fills_before..], "fills");
        assert_eq!(statuses, self.oracle.statuses, "states of orders");
        assert_eq!(paid, self.oracle.funding[paid_before..], "funding");
        self.compare_books();
        self.compare_money();
    }

    /// Every order where it stands, every level, no cross.
    fn compare_books(&self) {
        let (exchange, oracle) = (&self.exchange, &self.oracle);
        assert_eq!(exchange.resting_orders(), oracle.book.len());
        for (index, order) in oracle.book.iter().enumerate() {
            let view = exchange.order(order.oid).expect("the oracle's order rests at the venue");
            assert_eq!((view.remaining.0, view.order.price.0, view.account.0), (order.sz, order.px, order.user as u32));
            let same_queue = |other: &&Booked| (other.asset, other.buy, other.px) == (order.asset, order.buy, order.px);
            let ahead: i64 = oracle.book[..index].iter().filter(same_queue).map(|other| other.sz).sum();
            assert_eq!(exchange.queue_ahead(order.oid), Some(Lots(ahead)), "queue before {order:?}");
        }
        let mut levels = Vec::new();
        for asset in 0..2 {
            let id = AssetId(asset as u32);
            let (bid, ask) = exchange.best(id);
            if let (Some(bid), Some(ask)) = (bid, ask) {
                assert!(bid.0 < ask.0, "crossed: {bid:?} {ask:?}");
            }
            for buy in [true, false] {
                let mut expected: BTreeMap<i64, (i64, u32)> = BTreeMap::new();
                for order in oracle.book.iter().filter(|order| order.asset == asset && order.buy == buy) {
                    let level = expected.entry(order.px).or_default();
                    *level = (level.0 + order.sz, level.1 + 1);
                }
                exchange.levels(id, side(buy), &mut levels, 100);
                let mut seen: Vec<_> =
                    levels.iter().map(|level| (level.price.0, (level.size.0, level.orders))).collect();
                if buy {
                    seen.reverse();
                }
                assert_eq!(seen, expected.into_iter().collect::<Vec<_>>(), "levels");
                let total: i64 = levels.iter().map(|level| level.size.0).sum();
                let far = if buy { 1 } else { i64::MAX };
                assert_eq!(exchange.depth_to(id, side(buy), Price(far)).0, total);
            }
        }
    }

    /// Every position and every micro, and nothing created or lost over all accounts.
    fn compare_money(&self) {
        let (mut positions, mut money) = ([0_i64; 2], 0_i128);
        for user in 0..5 {
            let account = AccountId(user as u32);
            for (asset, sum) in positions.iter_mut().enumerate() {
                let ledger = self.exchange.ledger(account, AssetId(asset as u32)).unwrap();
                assert_eq!(ledger.position().0, self.oracle.position(user, asset), "position of {user} in {asset}");
                *sum += ledger.position().0;
                money += ledger.cash() + ledger.fees() + ledger.funding();
            }
            let view = self.exchange.account(account).unwrap();
            assert_eq!(view.cash, self.oracle.cash(user), "cash of {user}");
            assert_eq!(view.volume, self.oracle.volume(user), "volume of {user}");
            assert_eq!(i128::from(view.requests_used), self.oracle.sent[user], "requests of {user}");
            let open = self.oracle.book.iter().filter(|order| order.user == user).count();
            assert_eq!((view.open_orders as usize, self.exchange.open_orders(account).count()), (open, open));
        }
        assert_eq!((positions, money), ([0, 0], 0), "positions and money over all accounts");
    }
}

fn wire() -> impl Strategy<Value = Wire> {
    let tif = prop_oneof![4 => Just("Alo"), 3 => Just("Ioc"), 4 => Just("Gtc")];
    let ticks = prop_oneof![30 => -5_i64..=5, 1 => Just(-40_000), 1 => Just(60_000)];
    let size = prop_oneof![1 => 0_i64..10, 12 => 10_i64..60];
    let cloid = proptest::option::weighted(0.3, 0_u128..5);
    (0_usize..2, any::<bool>(), ticks, 0_u8..40, size, tif, 0_u8..4, cloid).prop_map(
        |(asset, buy, ticks, off, size, tif, reduce, cloid)| Wire {
            asset,
            buy,
            ticks,
            off_grid: off == 0,
            size: size * TEN_USD[asset] / 10,
            tif,
            reduce_only: reduce == 0,
            cloid,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        24 => wire().prop_map(Step::Place),
        6 => (0_usize..2, 0_usize..1000, any::<bool>()).prop_map(|(asset, target, by_cloid)| Step::Cancel { asset, target, by_cloid }),
        6 => (0_usize..1000, any::<bool>(), wire(), any::<bool>())
            .prop_map(|(target, by_cloid, wire, always)| Step::Modify { target, by_cloid, wire, always }),
        1 => proptest::option::weighted(0.8, 3_i64..30).prop_map(|after_s| Step::Schedule { after_s }),
        1 => (0_usize..2, 0_u32..27).prop_map(|(asset, leverage)| Step::Leverage { asset, leverage }),
        1 => (0_usize..2).prop_map(|asset| Step::Isolated { asset }),
        2 => (0_usize..2, -9_i64..=9).prop_map(|(asset, shift)| Step::Mark { asset, shift }),
        1 => (0_usize..2, -40_000_i64..40_000).prop_map(|(asset, rate_e8)| Step::Funding { asset, rate_e8 }),
    ]
}

/// Accounts 1 (background) to 4, with waits that let the request quota bite and recover.
fn sequence() -> impl Strategy<Value = Vec<(usize, i64, Step)>> {
    let wait = prop_oneof![12 => Just(0_i64), 3 => 1_i64..4, 1 => Just(11)];
    proptest::collection::vec((1_usize..5, wait, step()), 1..120)
}

/// Kills, each seen to fail: newest first in a level; no self-trade prevention; the wrong side's best price; a fee
/// rounded up; a reduce-only order that does not shrink; a modify that keeps its name.
#[test]
fn venue_agrees_with_a_naive_oracle() {
    let cases = std::env::var("LAW_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000);
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let seen = std::cell::RefCell::new(BTreeMap::<&str, u64>::new());
    runner
        .run(&sequence(), |steps| {
            let mut pair = Pair::new();
            for (user, wait_s, step) in &steps {
                pair.step(*user, *wait_s, step);
                let mut seen = seen.borrow_mut();
                if pair.limited {
                    *seen.entry("tooManyRequests").or_default() += 1;
                }
                for status in &pair.oracle.statuses {
                    *seen.entry(status.1).or_default() += 1;
                }
            }
            let mut seen = seen.borrow_mut();
            *seen.entry("sequences").or_default() += 1;
            *seen.entry("actions").or_default() += pair.actions;
            *seen.entry("fills").or_default() += pair.oracle.fills.len() as u64;
            Ok(())
        })
        .unwrap();
    let seen = seen.into_inner();
    println!("venue and oracle agree on: {seen:?}");
    for status in [
        "selfTradeCanceled",
        "reduceOnlyCanceled",
        "marginCanceled",
        "scheduledCancel",
        "perpMarginRejected",
        "reduceOnlyRejected",
        "badAloPxRejected",
        "iocCancelRejected",
        "minTradeNtlRejected",
        "tickRejected",
        "tooManyOpenOrdersRejected",
        "positionIncreaseAtOpenInterestCapRejected",
        "tooManyRequests",
    ] {
        assert!(seen.get(status).is_some_and(|count| *count > 0), "no sequence came to {status}");
    }
}
