//! Laws of the books. Each names the mutant it kills. The oracle is a second set of books kept lot by lot.

use std::collections::VecDeque;

use hypermm_core::accounting::attribution::Attribution;
use hypermm_core::accounting::ledger::{ConservationError, Law, Ledger, MICROS, Mark, Micros, micros_from_quote};
use hypermm_core::error::Error;
use hypermm_core::instrument::Instrument;
use hypermm_core::types::{Lots, Price, Side};
use proptest::prelude::*;

fn side_of(buy: bool) -> Side {
    if buy { Side::Buy } else { Side::Sell }
}

prop_compose! {
    fn some_fills()(fills in prop::collection::vec((any::<bool>(), 1_i64..2_000_000, 1_i64..5_000), 1..60))
        -> Vec<(Side, Price, Lots)> {
        fills.into_iter().map(|(buy, price, size)| (side_of(buy), Price(price), Lots(size))).collect()
    }
}

proptest! {
    /// Kills: a sign flipped in cash or position, a fee added instead of taken, a fill booked twice.
    #[test]
    fn books_conserve_position_cash_and_equity(fills in some_fills(), fee_bps in -5.0_f64..10.0, rates in prop::collection::vec(-0.01_f64..0.01, 0..5), mark in 1_i64..4_000_000) {
        let mut ledger = Ledger::new(fee_bps).unwrap();
        let mut booked = Vec::new();
        for &(side, price, size) in &fills {
            let fee = ledger.on_fill(side, price, size, None).unwrap().fee;
            booked.push((side, price, size, fee));
        }
        let payments: Vec<Micros> = rates.iter().map(|rate| ledger.on_funding(Mark(mark), *rate).unwrap()).collect();
        prop_assert_eq!(ledger.check_conservation(booked.iter().copied(), payments.iter().copied(), Mark(mark)), Ok(()));
        // The check itself must see a fill too few (mutant: a check that always passes).
        let broken = ledger.check_conservation(booked.iter().skip(1).copied(), payments.iter().copied(), Mark(mark));
        prop_assert_eq!(broken.unwrap_err().law, Law::Position);
        let odd = payments.iter().copied().chain([1]);
        prop_assert_eq!(ledger.check_conservation(booked.iter().copied(), odd, Mark(mark)).unwrap_err().law, Law::Funding);
    }

    /// Kills: the fee rounded, floored or taken on size instead of notional. Oracle: decimal digits cut from a string.
    #[test]
    fn fee_is_notional_times_rate_cut_at_six_decimals(price in 1_i64..2_000_000, size in 1_i64..5_000, tenths in -30_i64..100) {
        let mut ledger = Ledger::new(tenths as f64 / 10.0).unwrap();
        let fee = ledger.on_fill(Side::Sell, Price(price), Lots(size), None).unwrap().fee;
        // notional in micros times tenths of a bp: five digits behind the micro are cut off, sign aside.
        let digits = (i128::from(price) * i128::from(size) * i128::from(tenths.abs())).to_string();
        let cut = digits.len().checked_sub(5).filter(|keep| *keep > 0).map_or("0", |keep| &digits[..keep]);
        let expected = cut.parse::<i128>().unwrap() * i128::from(tenths.signum());
        prop_assert_eq!(fee, expected);
        prop_assert_eq!(ledger.cash(), i128::from(price) * i128::from(size) - expected);
    }

    /// Kills: the entry moved by a closing fill, or the remainder of a flip booked at the old entry.
    /// Oracle: while the position only grows the entry is the size-weighted mean; a closing fill leaves it; a flip
    /// starts at its own price.
    #[test]
    fn average_entry_follows_its_definition(fills in some_fills()) {
        let mut ledger = Ledger::new(0.0).unwrap();
        let (mut position, mut entry) = (0.0_f64, 0.0_f64);
        for (side, price, size) in fills {
            ledger.on_fill(side, price, size, None).unwrap();
            let signed = side.sign() * size.0 as f64;
            let after = position + signed;
            if position * signed >= 0.0 {
                entry = (entry * position.abs() + price.0 as f64 * size.0 as f64) / after.abs();
            } else if after * position < 0.0 {
                entry = price.0 as f64;
            }
            position = after;
            match ledger.entry() {
                None => prop_assert_eq!(position, 0.0),
                // Releasing cost in whole micros may shift the entry by one micro a fill.
                Some(found) => prop_assert!((found - entry).abs() <= 1e-9 * entry + 60.0 / position.abs(), "{} {}", found, entry),
            }
        }
    }

    /// Kills: profit that depends on how closings are matched. Oracle: first-in-first-out lots; the split between
    /// realized and unrealized differs, their sum must not.
    #[test]
    fn realized_plus_unrealized_does_not_depend_on_matching(fills in some_fills(), mark in 1_i64..4_000_000) {
        let mut ledger = Ledger::new(0.0).unwrap();
        let mut open: VecDeque<(i64, i64)> = VecDeque::new();
        let mut realized: i128 = 0;
        for (side, price, size) in fills {
            ledger.on_fill(side, price, size, None).unwrap();
            let mut left = if side == Side::Buy { size.0 } else { -size.0 };
            while left != 0 && open.front().is_some_and(|(lots, _)| lots.signum() != left.signum()) {
                let (lots, entry) = open.pop_front().unwrap();
                let closed = lots.abs().min(left.abs()) * lots.signum();
                realized += i128::from(closed) * i128::from(price.0 - entry);
                left += closed;
                if lots != closed {
                    open.push_front((lots - closed, entry));
                }
            }
            if left != 0 {
                open.push_back((left, price.0));
            }
        }
        let unrealized: i128 = open.iter().map(|(lots, entry)| i128::from(*lots) * i128::from(mark - 2 * entry)).sum();
        prop_assert_eq!(ledger.equity_half_micros(Mark(mark)), 2 * realized + unrealized);
        let by_entry = ledger.realized() as f64 / MICROS + ledger.unrealized(Mark(mark));
        let expected = (2 * realized + unrealized) as f64 / (2.0 * MICROS);
        prop_assert!((by_entry - expected).abs() <= 1e-9 * (1.0 + expected.abs() + by_entry.abs()) + 1e-9);
    }

    /// Kills: funding with the sign of the position's side lost, paid on entry instead of mark, or rounded up.
    #[test]
    fn longs_pay_a_positive_rate_and_shorts_receive_it(size in 1_i64..5_000_000, mark in 1_i64..4_000_000, rate in 1_i64..10_000) {
        let rate_fraction = rate as f64 * 1e-7;
        let mut long = Ledger::new(0.0).unwrap();
        let mut short = Ledger::new(0.0).unwrap();
        long.on_fill(Side::Buy, Price(777), Lots(size), None).unwrap();
        short.on_fill(Side::Sell, Price(777), Lots(size), None).unwrap();
        let paid = long.on_funding(Mark(mark), rate_fraction).unwrap();
        prop_assert_eq!(short.on_funding(Mark(mark), rate_fraction).unwrap(), -paid);
        let expected = i128::from(size) * i128::from(mark) * i128::from(rate) / 20_000_000;
        prop_assert_eq!(paid, expected);
        prop_assert_eq!(long.funding(), paid);
        prop_assert_eq!(long.cash(), -777 * i128::from(size) - paid);
        prop_assert_eq!(Ledger::new(0.0).unwrap().on_funding(Mark(mark), rate_fraction).unwrap(), 0);
    }

    /// Kills: any part of the split left out, counted twice, with its sign flipped or rounded; m0 and m_10 exchanged;
    /// the fee taken for the doubled fee; a check that always passes. Oracle: each part from its definition, fill by fill.
    #[test]
    fn profit_split_is_its_definition_and_sums_to_the_ledger_exactly(
        fills in prop::collection::vec(
            (any::<bool>(), 1_i64..2_000_000, 1_i64..5_000, 1_i64..4_000_000, prop::option::of(1_i64..4_000_000)), 0..80),
        rates in prop::collection::vec((-0.001_f64..0.001, 1_i64..4_000_000), 0..6),
        (carried, entry) in (-5_000_i64..5_000, 1_i64..2_000_000),
        mark in 3_i64..4_000_000, fee_bps in -2.0_f64..8.0,
    ) {
        let mut ledger = Ledger::with_position(fee_bps, Lots(carried), Price(entry)).unwrap();
        let mut attribution = Attribution::with_position(Lots(carried), Price(entry));
        let (mut spread, mut adverse, mut fees, mut funding) = (0_i128, 0_i128, 0_i128, 0_i128);
        let mut inventory = i128::from(carried) * i128::from(mark - 2 * entry);
        for &(buy, price, size, placed, later) in &fills {
            let side = side_of(buy);
            let booked = ledger.on_fill(side, Price(price), Lots(size), None).unwrap();
            attribution.on_fill(side, Price(price), Lots(size), Mark(placed), booked.fee);
            let signed = i128::from(if buy { size } else { -size });
            spread += signed * i128::from(placed - 2 * price);
            adverse += signed * i128::from(later.unwrap_or(placed) - placed);
            inventory += signed * i128::from(mark - later.unwrap_or(placed));
            fees += 2 * booked.fee;
        }
        for &(buy, _, size, placed, later) in &fills {
            if let Some(later) = later {
                attribution.on_markout(side_of(buy), Lots(size), Mark(placed), Mark(later));
            }
        }
        for (rate, at) in rates {
            let paid = ledger.on_funding(Mark(at), rate).unwrap();
            attribution.on_funding(paid);
            funding += 2 * paid;
        }
        let split = attribution.split(Mark(mark));
        let parts = (split.spread_capture, split.adverse_selection, split.inventory, split.fees, split.funding);
        prop_assert_eq!(parts, (spread, adverse, inventory, fees, funding));
        prop_assert_eq!(split.total(), ledger.profit_half_micros(Mark(mark)));
        prop_assert_eq!(attribution.check_conservation(&ledger, Mark(mark)), Ok(()));
        let [mut fee_more, mut payment_more, mut fill_more] = [attribution; 3];
        fee_more.on_fill(Side::Buy, Price(1), Lots(1), Mark(2), 1);
        payment_more.on_funding(1);
        fill_more.on_fill(Side::Buy, Price(1), Lots(1), Mark(2), 0);
        for (spoiled, law) in [(fee_more, Law::Fees), (payment_more, Law::Funding), (fill_more, Law::Split)] {
            prop_assert_eq!(spoiled.check_conservation(&ledger, Mark(mark)).unwrap_err().law, law);
        }
    }
}

/// Kills: opening value left out of profit.
#[test]
fn a_position_carried_in_earns_only_from_its_entry_on() {
    let mut ledger = Ledger::with_position(0.0, Lots(-100), Price(5_000)).unwrap();
    assert_eq!(ledger.profit(Mark(10_000)), 0.0);
    assert_eq!(ledger.profit(Mark(9_000)), 100.0 * 500.0 / MICROS);
    let fee = ledger.on_fill(Side::Buy, Price(4_000), Lots(100), Some(7)).unwrap().fee;
    assert_eq!((fee, ledger.realized(), ledger.position()), (7, 100_000, Lots(0)));
    assert_eq!(ledger.profit(Mark(1)), (100_000.0 - 7.0) / MICROS);
    assert_eq!(ledger.check_conservation([(Side::Buy, Price(4_000), Lots(100), 7)], [], Mark(3)), Ok(()));
}

/// Kills: a violation told without its law, its two sides or that it is our bug.
#[test]
fn a_broken_law_is_an_error_that_says_what_differs() {
    let error = Error::from(ConservationError { law: Law::Split, books: -3, expected: 4 });
    assert!(matches!(error, Error::Conservation(_)));
    let detail = error.detail();
    assert_eq!((detail.field.as_ref(), detail.value.as_str()), ("conservation of split", "-3"));
    assert!(detail.expected.starts_with("4, ") && detail.hint.contains("bug"));
}

/// Kills: a refused fill that leaves a trace.
#[test]
fn a_refused_entry_changes_nothing() {
    let mut ledger = Ledger::new(1.5).unwrap();
    ledger.on_fill(Side::Buy, Price(10), Lots(10), None).unwrap();
    let before = ledger.clone();
    assert_eq!(ledger.on_fill(Side::Buy, Price(0), Lots(1), None).unwrap_err().detail().field, "price");
    assert_eq!(ledger.on_fill(Side::Buy, Price(1), Lots(-1), None).unwrap_err().detail().field, "size");
    assert_eq!(ledger.on_fill(Side::Buy, Price(i64::MAX), Lots(i64::MAX), None).unwrap_err().detail().field, "size");
    assert_eq!(ledger.on_funding(Mark(10), f64::NAN).unwrap_err().detail().field, "funding_rate");
    assert_eq!(ledger.on_funding(Mark(10), 1.1).unwrap_err().detail().field, "funding_rate");
    assert_eq!(ledger, before);
    assert_eq!(Ledger::new(f64::NAN).unwrap_err().detail().field, "maker_fee_bps");
    assert!(micros_from_quote("fee", f64::INFINITY).is_err());
    assert_eq!(micros_from_quote("fee", -0.0012349).unwrap(), -1234);
    assert_eq!(micros_from_quote("fee", 0.3).unwrap(), 300_000);
}

/// Kills: a wrong unit of money for any number of size decimals.
#[test]
fn one_price_unit_times_one_lot_is_one_micro_for_every_instrument() {
    for decimals in 0..=6 {
        let instrument = Instrument::new("X", decimals, 10, 10.0, 3600.0).unwrap();
        let product = instrument.price_to_f64(Price(1)) * instrument.lots_to_f64(Lots(1));
        assert!((product * MICROS - 1.0).abs() < 1e-12);
    }
}

// Kills: a position added up past what can be counted.
#[test]
fn a_position_past_the_largest_is_refused_and_nothing_is_booked() {
    let mut ledger = Ledger::new(1.5).unwrap();
    ledger.on_fill(Side::Buy, Price(1), Lots(i64::MAX / 5), None).unwrap();
    let before = ledger.clone();
    assert!(ledger.on_fill(Side::Buy, Price(1), Lots(i64::MAX), None).is_err());
    assert_eq!(ledger, before);
}
