//! Laws of margin, leverage and liquidation, and of money over all accounts whatever happens.

use hypermm_core::accounting::ledger::Mark;
use hypermm_core::instrument::Instrument;
use hypermm_core::types::{Lots, Price, Side};
use hypermm_simulation::venue::fees::FeeRates;
use hypermm_simulation::venue::matching::exchange::Exchange;
use hypermm_simulation::venue::matching::order::{
    AccountId, Action, Answer, AssetId, NewOrder, OrderState, Refusal, TimeInForce, VenueEvent,
};
use hypermm_simulation::venue::matching::rules::{AccountKind, AssetSettings, BACKSTOP, MarginTier, VenueRules};
use proptest::prelude::*;

use crate::matching_book::{ETH, Floor, ask, bid, buy_now, instrument, sell_now};

const USD: i128 = 1_000_000;
const S: i64 = 1_000_000_000;

/// A floor with a mark of 4000.0, two background accounts (1, 2) and a trader (3) that pays no fees.
fn floor(deposit_usd: i128) -> Floor {
    let mut floor = Floor::new(2);
    floor.exchange.open_account(trader(deposit_usd)).unwrap();
    mark(&mut floor, 400_000);
    floor
}

fn trader(deposit_usd: i128) -> AccountKind {
    AccountKind::Trader { deposit: deposit_usd * USD, fees: FeeRates::FREE }
}

const TRADER: u32 = 3;

/// A new mark, price units; what comes of it is left in `events`.
fn mark(floor: &mut Floor, price: i64) {
    floor.events.clear();
    let Floor { exchange, events, now_ns } = floor;
    exchange.set_reference(*now_ns, ETH, Mark(2 * price), Mark(2 * price), &mut |event| events.push(*event)).unwrap();
}

fn leverage(floor: &mut Floor, is_cross: bool, leverage: u32) -> Answer {
    floor.act(TRADER, &Action::UpdateLeverage { asset: ETH, is_cross, leverage })
}

/// A position of the trader at 4000.0, + = long.
fn give_position(floor: &mut Floor, lots: i64) {
    if lots > 0 {
        floor.rest(1, ask(400_000, lots));
        floor.place(TRADER, buy_now(400_000, lots));
    } else {
        floor.rest(1, bid(400_000, -lots));
        floor.place(TRADER, sell_now(400_000, -lots));
    }
    assert_eq!(floor.position(TRADER), lots);
}

fn account(floor: &Floor) -> hypermm_simulation::venue::matching::AccountView {
    floor.exchange.account(AccountId(TRADER)).unwrap()
}

fn position(floor: &Floor) -> hypermm_simulation::venue::matching::PositionView {
    floor.exchange.position(AccountId(TRADER), ETH).unwrap()
}

fn refused(reason: Refusal) -> Answer {
    Answer::Refused { reason, order_id: None }
}

/// Kills: margin of another leverage; margin asked of an order that reduces.
#[test]
fn opening_needs_size_times_mark_over_leverage_and_closing_nothing() {
    let mut floor = floor(100);
    // 100 USD at 20 times are 2,000 USD: half an ETH.
    let margin = |answer| matches!(answer, Answer::Refused { reason: Refusal::Margin, .. });
    assert!(margin(floor.place(TRADER, bid(390_000, 5_001))));
    give_position(&mut floor, 5_000);
    assert_eq!((account(&floor).cross_initial_margin, account(&floor).cross_value), (100 * USD, 100 * USD));
    assert!(margin(floor.place(TRADER, bid(390_000, 100))));
    assert!(margin(floor.place(TRADER, ask(410_000, 10_001))), "through zero to a larger short");
    floor.rest(TRADER, ask(410_000, 5_000));
    floor.rest(TRADER, ask(410_000, 10_000));
    assert!(!margin(floor.place(2, bid(390_000, 100_000))), "the background has no margin");
    // 50 USD are left at 3900: the long may be closed, but not turned into a short of nearly its size.
    mark(&mut floor, 390_000);
    assert!(margin(floor.place(TRADER, ask(410_000, 9_900))));
    floor.rest(TRADER, ask(410_000, 7_500));
}

/// Kills: a resting order that trades without margin; a taker that stops at it.
#[test]
fn the_resting_side_is_looked_at_again_when_it_trades() {
    let mut floor = floor(100);
    let first = floor.rest(TRADER, bid(400_000, 5_000));
    let second = floor.rest(TRADER, bid(400_000, 5_000));
    let other = floor.rest(1, bid(400_000, 5_000));
    floor.place(2, sell_now(400_000, 9_000));
    let fills: Vec<_> = floor.trades().iter().map(|trade| (trade.maker.order_id, trade.size.0)).collect();
    assert_eq!(fills, [(first, 5_000), (other, 4_000)]);
    assert!(floor.changes().contains(&(second, OrderState::MarginCanceled, 5_000)));
}

/// The venue's published formula for the price at which a position is liquidated.
fn liquidation_price(entry: f64, side: f64, size: f64, account_value: f64, max_leverage: f64) -> f64 {
    let l = 1.0 / (2.0 * max_leverage);
    let available = account_value - size * entry * l;
    entry - side * available / size / (1.0 - l * side)
}

/// Kills: maintenance from the leverage set; equity without profit; a comparison the wrong way.
#[test]
fn cross_positions_are_liquidated_at_the_published_price() {
    for lots in [20_000, -20_000] {
        let mut floor = floor(1_000);
        assert_eq!(leverage(&mut floor, true, 10), Answer::Done);
        give_position(&mut floor, lots);
        floor.rest(1, bid(100_000, 1_000_000));
        floor.rest(1, ask(700_000, 1_000_000));
        let liquidated = |price: i64| {
            let mut copy = Floor { exchange: floor.exchange.clone(), events: Vec::new(), now_ns: 0 };
            mark(&mut copy, price);
            copy.events.iter().any(|event| matches!(event, VenueEvent::Liquidation { .. }))
        };
        let formula = liquidation_price(4_000.0, lots.signum() as f64, 2.0, 1_000.0, 25.0);
        let edge = (formula * 100.0) as i64;
        println!("{lots} lots: liquidated at {formula:.4}");
        let (safe, due) = if lots > 0 { (edge + 1, edge) } else { (edge, edge + 1) };
        assert!(liquidated(due) && !liquidated(safe), "{formula} {lots}");
    }
}

/// Kills: a maintenance that jumps at a tier; leverage beyond a tier's.
#[test]
fn tiers_raise_maintenance_from_their_bound_on_and_limit_leverage() {
    let btc = Instrument::new("BTC", 5, 40, 10.0, 3600.0).unwrap();
    let tier = |millions: i128, max_leverage| MarginTier { lower_bound: millions * 1_000_000 * USD, max_leverage };
    let settings = AssetSettings { margin_tiers: vec![tier(0, 40), tier(150, 20)], ..AssetSettings::new(btc) };
    let rules = VenueRules { order_value_limit: false, default_leverage: 40, ..VenueRules::default() };
    let mut exchange = Exchange::new(vec![settings.clone()], rules).unwrap();
    let [one, two] = [(); 2].map(|()| exchange.open_account(AccountKind::Background).unwrap());
    let rich = exchange.open_account(trader(1_000_000_000)).unwrap();
    // One lot is 1 USD at 100,000.
    let trade = |exchange: &mut Exchange, side: Side, lots: i64| {
        let order = |side| NewOrder { side, ..ask(1_000_000, lots) };
        exchange.execute(0, one, &Action::Place(order(side.opposite())), &mut |_| {});
        exchange.execute(0, two, &Action::Place(order(side)), &mut |_| {});
        exchange.position(two, AssetId(0)).unwrap().maintenance_margin / USD
    };
    assert_eq!(trade(&mut exchange, Side::Buy, 150_000_000), 1_875_000);
    assert_eq!(trade(&mut exchange, Side::Buy, 50_000_000), 1_875_000 + 1_250_000);
    let large = Action::Place(bid(900_000, 150_000_000));
    let answer = exchange.execute(0, rich, &large, &mut |_| {});
    assert!(matches!(answer, Answer::Refused { reason: Refusal::MaxPosition, .. }), "{answer:?}");
    let lower = Action::UpdateLeverage { asset: ETH, is_cross: true, leverage: 20 };
    assert_eq!(exchange.execute(0, rich, &lower, &mut |_| {}), Answer::Done);
    assert!(matches!(exchange.execute(0, rich, &large, &mut |_| {}), Answer::Resting { .. }));
    for wrong in [vec![tier(1, 40)], vec![tier(0, 20), tier(1, 40)], vec![tier(0, 40), tier(0, 20)], vec![tier(0, 0)]] {
        let settings = AssetSettings { margin_tiers: wrong, ..settings.clone() };
        assert!(Exchange::new(vec![settings], VenueRules::default()).is_err());
    }
}

/// Kills: margin from the wrong pocket; a close that keeps its margin; a loss beyond the isolated margin.
#[test]
fn an_isolated_position_has_its_own_margin_and_loses_no_more() {
    let mut floor = floor(10_000);
    assert_eq!(leverage(&mut floor, false, 10), Answer::Done);
    give_position(&mut floor, 10_000);
    assert_eq!((account(&floor).cash, position(&floor).margin_used), (9_600 * USD, 400 * USD));
    // Half is closed at 4200: half of 400 + 200 comes back.
    floor.rest(1, bid(420_000, 5_000));
    floor.place(TRADER, sell_now(420_000, 5_000));
    mark(&mut floor, 420_000);
    assert_eq!((account(&floor).cash, position(&floor).margin_used), (9_900 * USD, 300 * USD));
    assert_eq!(account(&floor).account_value, 10_200 * USD);
    // Nobody bids: the backstop takes the rest with its margin, and no more.
    mark(&mut floor, 300_000);
    assert!(floor.events.iter().any(|event| matches!(event, VenueEvent::Backstop { position: Lots(5_000), .. })));
    assert_eq!((account(&floor).cash, floor.position(TRADER)), (9_900 * USD, 0));
    assert_eq!(floor.exchange.ledger(BACKSTOP, ETH).unwrap().position(), Lots(5_000));
    assert_eq!(position(&floor).isolated_cash, 0);
}

/// Kills: a switch of mode with a position; margin taken out below what must stay.
#[test]
fn leverage_and_isolated_margin_are_set_within_their_bounds() {
    let mut floor = floor(1_000);
    assert_eq!(leverage(&mut floor, true, 0), refused(Refusal::InvalidLeverage));
    assert_eq!(leverage(&mut floor, true, 26), refused(Refusal::InvalidLeverage));
    let move_margin = |floor: &mut Floor, usd: i128| {
        floor.act(TRADER, &Action::UpdateIsolatedMargin { asset: ETH, amount: usd * USD })
    };
    assert_eq!(move_margin(&mut floor, 1), refused(Refusal::NotIsolated));
    give_position(&mut floor, 10_000);
    assert_eq!(leverage(&mut floor, false, 20), refused(Refusal::LeverageTypeWithPosition));
    assert_eq!(leverage(&mut floor, true, 3), refused(Refusal::LeverageMargin), "4,000/3 USD");
    assert_eq!(leverage(&mut floor, true, 4), Answer::Done);
    floor.rest(1, bid(400_000, 10_000));
    floor.place(TRADER, sell_now(400_000, 10_000));
    assert_eq!(leverage(&mut floor, false, 20), Answer::Done);
    give_position(&mut floor, 10_000);
    assert_eq!(position(&floor).margin_used, 200 * USD);
    assert_eq!(leverage(&mut floor, false, 3), refused(Refusal::LeverageMargin));
    assert_eq!(leverage(&mut floor, false, 8), Answer::Done);
    assert_eq!((position(&floor).margin_used, account(&floor).cash), (500 * USD, 500 * USD));
    assert_eq!(leverage(&mut floor, false, 20), Answer::Done, "raising it moves nothing");
    assert_eq!(position(&floor).margin_used, 500 * USD);
    assert_eq!(move_margin(&mut floor, -101), refused(Refusal::Margin), "a tenth of 4,000 stays");
    assert_eq!(move_margin(&mut floor, -100), Answer::Done);
    assert_eq!(move_margin(&mut floor, 601), refused(Refusal::Margin));
    assert_eq!(move_margin(&mut floor, 600), Answer::Done);
    let isolated = AssetSettings { isolated_only: true, ..AssetSettings::new(instrument()) };
    let mut exchange = Exchange::new(vec![isolated], VenueRules::default()).unwrap();
    let account = exchange.open_account(trader(100)).unwrap();
    let cross = Action::UpdateLeverage { asset: ETH, is_cross: true, leverage: 5 };
    assert_eq!(exchange.execute(0, account, &cross, &mut |_| {}), refused(Refusal::CrossNotAllowed));
    assert!(exchange.open_account(AccountKind::Trader { deposit: -1, fees: FeeRates::FREE }).is_err());
}

/// Kills: whole positions where slices are due; slices within the cooldown; orders that outlive the liquidation.
#[test]
fn large_positions_are_liquidated_in_slices_then_whole() {
    let mut floor = floor(60_000);
    give_position(&mut floor, 3_000_000);
    let resting = floor.rest(TRADER, ask(500_000, 1_000));
    let bids = floor.rest(1, bid(387_000, 100_000_000));
    floor.now_ns = 100 * S;
    // Equity 60,000 − 300·125 = 22,500 of 23,250: to the book, not to the backstop.
    mark(&mut floor, 387_500);
    let sizes = |floor: &Floor| {
        let sold = floor.trades();
        assert!(sold.iter().all(|trade| trade.is_liquidation && trade.maker.order_id == bids));
        sold.iter().map(|trade| trade.size.0).collect::<Vec<_>>()
    };
    assert!(floor.changes().contains(&(resting, OrderState::LiquidatedCanceled, 1_000)));
    assert_eq!(sizes(&floor), [600_000], "a fifth");
    // 22,200 − 240·20 = 17,400 of 18,504: due again.
    let mut later = Floor { exchange: floor.exchange.clone(), events: Vec::new(), now_ns: 131 * S };
    floor.now_ns = 129 * S;
    mark(&mut floor, 385_500);
    assert_eq!(sizes(&floor), [2_400_000], "all, within 30 s");
    mark(&mut later, 385_500);
    assert_eq!(sizes(&later), [480_000], "a fifth again");
    assert_eq!(floor.position(TRADER), 0);
}

/// Kills: a backstop above two thirds of maintenance; a position left with an account that has nothing.
#[test]
fn below_two_thirds_of_maintenance_the_backstop_takes_position_and_money() {
    let mut floor = floor(1_000);
    give_position(&mut floor, 20_000);
    // No bids. Equity at m: 1000 + 2·(m − 4000); maintenance 0.04·m. Two thirds of it at 3547.29...
    mark(&mut floor, 354_800);
    assert!(floor.events.iter().any(|event| matches!(event, VenueEvent::Liquidation { asset: None, .. })));
    assert_eq!(floor.position(TRADER), 20_000, "nobody bought, and it is not yet for the backstop");
    mark(&mut floor, 354_700);
    let taken = floor.events.iter().find_map(|event| match event {
        VenueEvent::Backstop { account, position, price, realized, .. } => {
            Some((*account, *position, *price, *realized))
        }
        _ => None,
    });
    assert_eq!(taken, Some((AccountId(TRADER), Lots(20_000), Price(354_700), -906 * USD)));
    assert_eq!((account(&floor).account_value, floor.position(TRADER)), (0, 0));
    assert_eq!(floor.exchange.account(BACKSTOP).unwrap().account_value, 94 * USD);
    assert_eq!(floor.exchange.open_interest(ETH), Lots(20_000));
}

/// Kills: liquidation of accounts without margin.
#[test]
fn the_background_is_never_liquidated() {
    let mut floor = floor(1_000);
    floor.rest(1, ask(400_000, 1_000_000));
    floor.place(2, buy_now(400_000, 1_000_000));
    mark(&mut floor, 40_000);
    assert!(floor.events.is_empty());
    assert!(floor.exchange.set_reference(0, ETH, Mark(0), Mark(1), &mut |_| {}).is_err());
    assert!(floor.exchange.set_reference(0, AssetId(5), Mark(1), Mark(1), &mut |_| {}).is_err());
}

// --- whatever happens ---------------------------------------------------------------------------------------------

#[derive(Clone, Debug)]
enum Step {
    Order { account: u32, asset: u32, buy: bool, ticks: i64, lots: i64, immediate: bool, reduce_only: bool },
    Leverage { account: u32, asset: u32, is_cross: bool, leverage: u32 },
    Margin { account: u32, asset: u32, usd: i128 },
    Mark { asset: u32, percent: i64 },
    Funding { asset: u32, percent: i64 },
    CancelAll { account: u32 },
}

fn step() -> impl Strategy<Value = Step> {
    let (account, asset) = (1_u32..6, 0_u32..2);
    prop_oneof![
        20 => (account.clone(), asset.clone(), any::<bool>(), -12_i64..13, 25_i64..4_000, any::<bool>(), 0_u8..5).prop_map(
            |(account, asset, buy, ticks, lots, immediate, reduce)| Step::Order {
                account, asset, buy, ticks, lots, immediate, reduce_only: reduce == 0
            }
        ),
        2 => (account.clone(), asset.clone(), any::<bool>(), 1_u32..26)
            .prop_map(|(account, asset, is_cross, leverage)| Step::Leverage { account, asset, is_cross, leverage }),
        2 => (account.clone(), asset.clone(), -50_i128..50).prop_map(|(account, asset, usd)| Step::Margin { account, asset, usd }),
        4 => (asset.clone(), -12_i64..=12).prop_map(|(asset, percent)| Step::Mark { asset, percent }),
        1 => (asset, -4_i64..=4).prop_map(|(asset, percent)| Step::Funding { asset, percent }),
        1 => account.prop_map(|account| Step::CancelAll { account }),
    ]
}

/// Deposits of accounts 0 to 5, USD; the first three are background.
const DEPOSITS: [i128; 6] = [0, 0, 0, 30, 300, 3_000];

fn market() -> Exchange {
    let eth = AssetSettings::new(instrument());
    let mut exchange = Exchange::new(vec![eth.clone(), eth], VenueRules::default()).unwrap();
    for deposit in &DEPOSITS[1..] {
        let fees = FeeRates::default().with_maker_share(0.02);
        let kind =
            if *deposit == 0 { AccountKind::Background } else { AccountKind::Trader { deposit: deposit * USD, fees } };
        exchange.open_account(kind).unwrap();
    }
    exchange
}

fn play(exchange: &mut Exchange, now_ns: i64, step: &Step, sink: &mut impl FnMut(&VenueEvent)) {
    match *step {
        Step::Order { account, asset, buy, ticks, lots, immediate, reduce_only } => {
            let order = NewOrder {
                asset: AssetId(asset),
                side: if buy { Side::Buy } else { Side::Sell },
                price: Price(400_000 + 2_000 * ticks),
                size: Lots(lots),
                time_in_force: if immediate { TimeInForce::ImmediateOrCancel } else { TimeInForce::GoodTilCanceled },
                reduce_only,
                client_order_id: None,
            };
            exchange.execute(now_ns, AccountId(account), &Action::Place(order), sink);
        }
        Step::Leverage { account, asset, is_cross, leverage } => {
            let action = Action::UpdateLeverage { asset: AssetId(asset), is_cross, leverage };
            exchange.execute(now_ns, AccountId(account), &action, sink);
        }
        Step::Margin { account, asset, usd } => {
            let action = Action::UpdateIsolatedMargin { asset: AssetId(asset), amount: usd * USD };
            exchange.execute(now_ns, AccountId(account), &action, sink);
        }
        Step::Mark { asset, percent } => {
            let mark = Mark(8_000 * (100 + percent) + 1);
            exchange.set_reference(now_ns, AssetId(asset), mark, mark, sink).unwrap();
        }
        Step::Funding { asset, percent } => {
            // Before there is an oracle it is refused, and nothing is paid.
            let paid = exchange.settle_funding(now_ns, AssetId(asset), percent as f64 / 100.0, sink);
            assert_eq!(paid.is_ok(), exchange.reference(AssetId(asset)).is_some());
        }
        Step::CancelAll { account } => {
            let orders: Vec<_> = exchange.open_orders(AccountId(account)).collect();
            for view in orders {
                let order = hypermm_simulation::venue::matching::order::OrderReference::Order(view.id);
                let action = Action::Cancel { asset: view.order.asset, order };
                assert_eq!(exchange.execute(now_ns, AccountId(account), &action, sink), Answer::Canceled);
            }
        }
    }
}

fn check(exchange: &Exchange) {
    let (mut money, mut pockets) = (0, 0);
    for asset in [0, 1].map(AssetId) {
        let held: Vec<i64> = (0..6).map(|id| exchange.ledger(AccountId(id), asset).unwrap().position().0).collect();
        assert_eq!(held.iter().sum::<i64>(), 0, "{held:?}");
        assert_eq!(exchange.open_interest(asset).0, held.iter().map(|size| size.max(&0)).sum::<i64>());
        if let (Some(bid), Some(ask)) = exchange.best(asset) {
            assert!(bid.0 < ask.0);
        }
    }
    for (id, deposit) in DEPOSITS.iter().enumerate() {
        let account = AccountId(id as u32);
        pockets += exchange.account(account).unwrap().cash - deposit * USD;
        for asset in [0, 1].map(AssetId) {
            let (ledger, position) =
                (exchange.ledger(account, asset).unwrap(), exchange.position(account, asset).unwrap());
            money += ledger.cash() + ledger.fees() + ledger.funding();
            pockets += position.isolated_cash + ledger.fees() + ledger.funding();
            assert!(!position.is_cross || position.isolated_cash == 0);
            assert!(position.size.0 != 0 || position.isolated_cash == 0, "money left in a closed position");
        }
        for view in exchange.open_orders(account).filter(|view| view.order.reduce_only) {
            let size = exchange.ledger(account, view.order.asset).unwrap().position().0;
            let most = if view.order.side == Side::Buy { -size } else { size };
            assert!(view.remaining.0 <= most, "{view:?} with a position of {size}");
        }
    }
    assert_eq!((money, pockets), (0, 0), "money over all accounts, by books and by pockets");
}

/// Kills: margin that is lost or made on its way between pockets; a liquidation that books one side; open interest
/// that forgets the backstop.
#[test]
fn nothing_is_created_or_lost_in_storms_with_liquidations() {
    let cases = std::env::var("LAW_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(500);
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let counts = std::cell::RefCell::new([0_u64; 4]);
    runner
        .run(&proptest::collection::vec(step(), 1..150), |steps| {
            let mut exchange = market();
            let mut counts = counts.borrow_mut();
            for (row, step) in steps.iter().enumerate() {
                let mut sink = |event: &VenueEvent| match event {
                    VenueEvent::Trade(trade) => counts[usize::from(trade.is_liquidation)] += 1,
                    VenueEvent::Liquidation { .. } => counts[2] += 1,
                    VenueEvent::Backstop { .. } => counts[3] += 1,
                    _ => {}
                };
                play(&mut exchange, row as i64 * S, step, &mut sink);
                check(&exchange);
            }
            Ok(())
        })
        .unwrap();
    let counts = counts.into_inner();
    println!("trades, trades of liquidations, liquidations, taken over: {counts:?}");
    assert!(counts.iter().all(|count| *count > 0));
}
