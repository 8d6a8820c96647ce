//! Laws of the plain reconcile: the cap, queue places kept, nothing accumulating without a book.

use hypermm_core::instrument::Instrument;
use hypermm_core::orders::reconcile::{Action, Bounds, Reconciler, StandingOrder};
use hypermm_core::pricing::decision::{Decision, QuoteSide};
use hypermm_core::types::{Lots, OrderStatus, Price, QuoteStatus, Side};
use proptest::prelude::*;

const CLIP: i64 = 400;

fn instrument() -> Instrument {
    Instrument::new("ETH", 4, 25, 10.0, 3600.0).unwrap()
}

fn write(side: &mut QuoteSide, ladder: &[(i64, i64)]) {
    side.len = ladder.len();
    for (level, (price, lots)) in ladder.iter().enumerate() {
        side.price_units[level] = Price(*price);
        side.lots[level] = Lots(*lots);
    }
}

fn decision(bids: &[(i64, i64)], asks: &[(i64, i64)]) -> Decision {
    let mut decision = Decision { status: QuoteStatus::Quoting, ..Decision::default() };
    write(&mut decision.bids, bids);
    write(&mut decision.asks, asks);
    decision
}

fn standing(slot: usize, side: Side, price: i64, remaining: i64, status: OrderStatus) -> StandingOrder {
    StandingOrder { slot, side, price: Price(price), remaining: Lots(remaining), status }
}

fn bounds(position: i64) -> Bounds {
    Bounds { position: Lots(position), max_position: Lots(8_000), clip: Lots(CLIP) }
}

fn run(decision: &Decision, bounds: Bounds, orders: &[StandingOrder]) -> Vec<Action> {
    let mut actions = Vec::new();
    Reconciler::default().reconcile(decision, &instrument(), bounds, orders, &mut actions);
    actions
}

fn bid(price: i64, size: i64, level: usize) -> Action {
    Action::Place { side: Side::Buy, price: Price(price), size: Lots(size), level }
}

#[test]
fn an_order_at_a_wanted_price_and_about_the_wanted_size_is_left_alone() {
    let wanted = decision(&[(426_900, CLIP), (426_800, CLIP)], &[]);
    let orders = [
        standing(0, Side::Buy, 426_900, CLIP + CLIP / 4, OrderStatus::Open),
        standing(1, Side::Buy, 426_800, CLIP - CLIP / 4, OrderStatus::Pending),
    ];
    assert_eq!(run(&wanted, bounds(0), &orders), []);
}

#[test]
fn only_what_is_missing_is_placed_and_what_is_unwanted_goes() {
    let wanted = decision(&[(426_900, CLIP), (426_700, CLIP)], &[]);
    let orders = [
        standing(0, Side::Buy, 426_900, CLIP / 2, OrderStatus::Open),
        standing(1, Side::Buy, 426_800, CLIP, OrderStatus::Open),
        standing(2, Side::Buy, 426_600, CLIP, OrderStatus::Open),
        standing(3, Side::Buy, 427_000, CLIP, OrderStatus::CancelPending),
    ];
    let expected =
        [Action::Cancel { slot: 1 }, Action::Cancel { slot: 2 }, bid(426_900, CLIP / 2, 0), bid(426_700, CLIP, 1)];
    assert_eq!(run(&wanted, bounds(0), &orders), expected);
}

#[test]
fn a_size_above_tolerance_is_cancelled_and_the_older_order_keeps_its_place() {
    let wanted = decision(&[(426_900, CLIP)], &[]);
    let orders = [
        standing(3, Side::Buy, 426_900, CLIP, OrderStatus::Open),
        standing(7, Side::Buy, 426_900, CLIP, OrderStatus::Open),
    ];
    assert_eq!(run(&wanted, bounds(0), &orders), [Action::Cancel { slot: 7 }]);
    let large = [standing(1, Side::Buy, 426_900, 2 * CLIP, OrderStatus::Open)];
    assert_eq!(run(&wanted, bounds(0), &large), [Action::Cancel { slot: 1 }, bid(426_900, CLIP, 0)]);
}

#[test]
fn over_the_cap_the_deepest_kept_order_goes_first() {
    let wanted = decision(&[(426_900, CLIP), (426_800, CLIP)], &[]);
    let orders = [
        standing(0, Side::Buy, 426_900, CLIP, OrderStatus::Open),
        standing(1, Side::Buy, 426_800, CLIP, OrderStatus::Open),
    ];
    assert_eq!(run(&wanted, bounds(8_000 - CLIP), &orders), [Action::Cancel { slot: 1 }]);
    // An order already leaving counts too: with it there is no room for either.
    let leaving = [orders[0], orders[1], standing(2, Side::Buy, 426_700, CLIP, OrderStatus::Unknown)];
    assert_eq!(run(&wanted, bounds(8_000 - CLIP), &leaving), [Action::Cancel { slot: 1 }, Action::Cancel { slot: 0 }]);
}

// Kills: orders cancelled for the cap put back because the side closes the position.
#[test]
fn what_was_cut_for_the_cap_is_not_put_back_on_a_reducing_side() {
    let wanted = decision(&[(426_900, CLIP)], &[]);
    let orders = [
        standing(0, Side::Buy, 426_700, 8_200, OrderStatus::CancelPending),
        standing(1, Side::Buy, 426_900, CLIP, OrderStatus::Open),
    ];
    assert_eq!(run(&wanted, bounds(-200), &orders), [Action::Cancel { slot: 1 }]);
    let small = [standing(0, Side::Buy, 426_700, 7_800, OrderStatus::CancelPending), orders[1]];
    assert_eq!(run(&decision(&[], &[]), bounds(-200), &small), [], "with room beside it, it stays");
}

#[test]
fn without_a_usable_book_accumulating_orders_go_and_reducing_ones_stand_up_to_the_position() {
    for status in [QuoteStatus::NoBook, QuoteStatus::OneSided, QuoteStatus::Crossed, QuoteStatus::Stale] {
        let mut wanted = decision(&[(426_900, CLIP)], &[(427_100, CLIP)]);
        wanted.status = status;
        let orders = [
            standing(0, Side::Buy, 426_900, CLIP, OrderStatus::Open),
            standing(1, Side::Sell, 427_100, CLIP, OrderStatus::Open),
            standing(2, Side::Sell, 427_200, CLIP, OrderStatus::Open),
        ];
        let expected = [Action::Cancel { slot: 0 }, Action::Cancel { slot: 2 }];
        assert_eq!(run(&wanted, bounds(CLIP + 10), &orders), expected);
        assert_eq!(run(&wanted, bounds(0), &orders).len(), 3);
    }
}

#[test]
fn a_size_the_cap_cuts_below_the_venue_minimum_is_not_sent_and_a_closing_remainder_is() {
    let wanted = decision(&[(426_900, CLIP)], &[]);
    assert_eq!(run(&wanted, bounds(8_000 - 10), &[]), []);
    let closing = decision(&[(426_900, 10)], &[]);
    assert_eq!(run(&closing, bounds(-10), &[]), [bid(426_900, 10, 0)]);
}

fn some_status() -> impl Strategy<Value = OrderStatus> {
    prop_oneof![
        4 => Just(OrderStatus::Open),
        1 => Just(OrderStatus::Pending),
        1 => Just(OrderStatus::CancelPending),
        1 => Just(OrderStatus::Unknown),
        1 => Just(OrderStatus::Canceled),
    ]
}

/// Some near the cap: while they are being cancelled there is room for little else.
fn some_lots() -> impl Strategy<Value = i64> {
    prop_oneof![6 => 1_i64..1_200, 1 => 6_000_i64..9_000]
}

prop_compose! {
    fn some_order()(buy in any::<bool>(), step in 1_i64..8, lots in some_lots(), status in some_status()) -> (bool, i64, i64, OrderStatus) {
        (buy, step, lots, status)
    }
}

proptest! {
    /// Kills: canceled or leaving orders left out of the cap, kept size not counted before placing.
    #[test]
    fn position_and_every_live_order_stay_within_the_cap(
        orders in prop::collection::vec(some_order(), 0..16),
        position in prop_oneof![-8_000_i64..=8_000, -600_i64..=600],
        ladder in prop::collection::vec(1_i64..1_500, 0..6),
    ) {
        let price = |buy: bool, step: i64| if buy { 426_900 - 100 * step } else { 427_000 + 100 * step };
        let orders: Vec<StandingOrder> = orders.iter().enumerate().map(|(slot, (buy, step, lots, status))| {
            standing(slot, if *buy { Side::Buy } else { Side::Sell }, price(*buy, *step), *lots, *status)
        }).collect();
        let levels = |buy: bool| ladder.iter().enumerate().map(|(i, lots)| (price(buy, i as i64 + 1), *lots)).collect::<Vec<_>>();
        let wanted = decision(&levels(true), &levels(false));
        let actions = run(&wanted, bounds(position), &orders);
        for side in [Side::Buy, Side::Sell] {
            let sign = if side == Side::Buy { 1 } else { -1 };
            let live: i64 = orders.iter().filter(|o| o.side == side && !o.status.is_dead()).map(|o| o.remaining.0).sum();
            let placed: i64 = actions.iter().map(|action| match action {
                Action::Place { side: placed_side, size, .. } if *placed_side == side => size.0,
                _ => 0,
            }).sum();
            // What already stood may be too much, but nothing is added to it then.
            prop_assert!(placed == 0 || sign * position + live + placed <= 8_000);
            let cancelled = |slot: usize| actions.contains(&Action::Cancel { slot });
            let leaving = |o: &&StandingOrder| !o.status.is_dead() && !o.status.is_keepable();
            let kept: i64 = orders.iter().filter(|o| o.side == side && o.status.is_keepable() && !cancelled(o.slot)).map(|o| o.remaining.0).sum();
            let gone: i64 = orders.iter().filter(|o| o.side == side).filter(leaving).map(|o| o.remaining.0).sum();
            prop_assert!(kept == 0 || sign * position + kept + gone <= 8_000);
        }
        // Only keepable orders are canceled, each once.
        let mut slots: Vec<usize> = actions.iter().filter_map(|a| if let Action::Cancel { slot } = a { Some(*slot) } else { None }).collect();
        prop_assert!(slots.iter().all(|slot| orders[*slot].status.is_keepable()));
        let count = slots.len();
        slots.sort_unstable();
        slots.dedup();
        prop_assert_eq!(slots.len(), count);
    }

    /// Kills: a reconcile that keeps trading its own orders. Once its actions are carried out, it asks for nothing.
    #[test]
    fn a_reconciled_ladder_needs_no_further_action(
        orders in prop::collection::vec(some_order(), 0..16), ladder in prop::collection::vec(100_i64..600, 0..6),
    ) {
        let price = |buy: bool, step: i64| if buy { 426_900 - 100 * step } else { 427_000 + 100 * step };
        let mut orders: Vec<StandingOrder> = orders.iter().enumerate().map(|(slot, (buy, step, lots, status))| {
            standing(slot, if *buy { Side::Buy } else { Side::Sell }, price(*buy, *step), *lots, *status)
        }).collect();
        let levels = |buy: bool| ladder.iter().enumerate().map(|(i, lots)| (price(buy, i as i64 + 1), *lots)).collect::<Vec<_>>();
        let wanted = decision(&levels(true), &levels(false));
        let wide = Bounds { max_position: Lots(1_000_000), ..bounds(0) };
        for action in run(&wanted, wide, &orders) {
            match action {
                Action::Cancel { slot } => orders[slot].status = OrderStatus::Canceled,
                Action::Place { side, price, size, .. } => {
                    orders.push(standing(orders.len(), side, price.0, size.0, OrderStatus::Open));
                }
            }
        }
        prop_assert_eq!(run(&wanted, wide, &orders), []);
    }
}
