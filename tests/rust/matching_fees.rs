//! Laws of the venue's arithmetic: fees, funding, mark price. The expected numbers are captured or published ones.

use hypermm_core::accounting::ledger::Mark;
use hypermm_core::instrument::Instrument;
use hypermm_core::types::{Lots, Price, Side};
use hypermm_simulation::venue::fees::{FeeRates, FeeScale};
use hypermm_simulation::venue::funding::{FundingTerms, PremiumAverage};
use hypermm_simulation::venue::matching::exchange::Exchange;
use hypermm_simulation::venue::matching::mark::MarkPrice;
use hypermm_simulation::venue::matching::order::{AccountId, Action, AssetId, NewOrder, TimeInForce, VenueEvent};
use hypermm_simulation::venue::matching::rules::{AccountKind, AssetSettings, VenueRules};

const S: i64 = 1_000_000_000;

/// Fee in micros of a taker and a maker of one USD million.
fn of_a_million(rates: FeeRates, scale: FeeScale) -> (i128, i128) {
    let rates = rates.in_contract(&scale).unwrap();
    let million = 1_000_000_000_000;
    (rates.taker_fee(million), rates.maker_fee(million))
}

fn builder(deployer_scale: f64, growth: bool) -> FeeScale {
    FeeScale { deployer_scale, growth }
}

/// Kills: a tier that starts at its volume; discounts on rebates; scale or referral on rebates; 1 + s above 1.
#[test]
fn fee_rates_are_those_of_the_schedule() {
    let native = FeeScale::default();
    let tier = |usd| of_a_million(FeeRates::tier(usd), native);
    let usd = 1_000_000;
    assert_eq!(tier(0.0), (450 * usd, 150 * usd));
    assert_eq!(tier(5e6), (450 * usd, 150 * usd));
    assert_eq!(tier(5e6 + 1.0), (400 * usd, 120 * usd));
    assert_eq!(tier(1e8 + 1.0), (300 * usd, 40 * usd));
    assert_eq!(tier(8e9), (240 * usd, 0));
    let base = FeeRates::default();
    assert_eq!(of_a_million(base, builder(1.0, false)), (900 * usd, 300 * usd));
    assert_eq!(of_a_million(base, builder(1.0, true)), (90 * usd, 30 * usd));
    assert_eq!(of_a_million(base, builder(0.5, false)), (675 * usd, 225 * usd));
    assert_eq!(of_a_million(base, builder(3.0, false)), (2_700 * usd, 900 * usd));
    let rebate = base.with_maker_share(0.02).with_staked(600_000.0).with_referral(0.04);
    assert_eq!(of_a_million(rebate, native), (259_200_000, -20 * usd));
    assert_eq!(of_a_million(rebate, builder(1.0, true)), (51_840_000, -2 * usd));
    assert_eq!(of_a_million(FeeRates::FREE, builder(3.0, false)), (0, 0));
    // The schedule as the venue shows it: staked 0.3 off of the first tier.
    assert_eq!(of_a_million(base.with_staked(200_000.0), native), (315 * usd, 105 * usd));
    for wrong in [f64::NAN, f64::INFINITY, 1.5] {
        assert!(FeeRates { taker: wrong, ..base }.in_contract(&native).is_err());
        assert!(base.with_referral(wrong).in_contract(&native).is_err());
    }
}

/// Kills: rounding to nearest or away from zero. The first is a captured fill: 0.6 at 80.601, growth, referral, fee
/// 0.004178 where rounding up would give 0.004179.
#[test]
fn fees_are_truncated_toward_zero_at_six_decimals() {
    let silver = FeeRates::default().with_referral(0.04).in_contract(&builder(1.0, true)).unwrap();
    assert_eq!(silver.taker_fee(48_360_600), 4_178);
    let native = FeeRates::default().in_contract(&FeeScale::default()).unwrap();
    assert_eq!((native.taker_fee(2_222), native.taker_fee(2_223)), (0, 1));
    let rebate = FeeRates::default().with_maker_share(0.04).in_contract(&FeeScale::default()).unwrap();
    assert_eq!((rebate.maker_fee(33_333), rebate.maker_fee(33_334), rebate.maker_fee(66_667)), (0, -1, -2));
    // Past 64 bits the same law holds.
    assert_eq!(native.taker_fee(100_000_000_000_000_000_000_001), 45_000_000_000_000_000_000);
}

/// Kills: a rate per 8 h paid each hour; a clamp on the sum; the middle where the outside counts.
#[test]
fn funding_rates_are_those_the_venue_paid() {
    let close = |left: f64, right: f64| assert!((left - right).abs() < 1e-15, "{left} {right}");
    let native = FundingTerms::native(20_000.0);
    // Interest alone, while the premium lies within the clamp's reach of it.
    close(native.hourly_rate(0.0), 0.000_012_5);
    close(native.hourly_rate(-0.000_187_530_3), 0.000_012_5);
    // A captured context: premium −0.0006413454 gives −0.0001413454/8; its funding of 0.0000018952 is an average.
    close(native.hourly_rate(-0.000_641_345_4), -0.000_141_345_4 / 8.0);
    close(native.hourly_rate(0.001), 0.000_5 / 8.0);
    close(native.hourly_rate(1.0), 0.04);
    // A builder's contract with half the multiplier, at rest: 0.00000625.
    let half = FundingTerms::builder(6_000.0, 0.5);
    close(half.hourly_rate(0.0), 0.000_006_25);
    close(half.hourly_rate(0.001), 0.5 * 0.000_7 / 8.0);
    close(native.premium(99.0, 101.0, 100.0), 0.0);
    close(native.premium(101.0, 102.0, 100.0), 0.01);
    close(native.premium(98.0, 99.0, 100.0), -0.01);
    close(half.premium(101.0, 102.0, 100.0), 0.015);
    let mut average = PremiumAverage::default();
    close(average.value(), 0.0);
    average.update(0.001);
    average.update(0.002);
    close(average.settle(), 0.0015);
    close(average.settle(), 0.0);
    assert!(FundingTerms { clamp: f64::NAN, ..native }.check().is_err());
    assert!(FundingTerms { multiplier: 11.0, ..native }.check().is_err());
    assert!(native.check().is_ok() && half.check().is_ok());
}

/// Kills: payment at the mark; rounding; a sign the wrong way. A captured payment: short 15 at rate 0.00000625 received
/// 2.378343, which at an oracle of 25369.0 is 2.37834375.
#[test]
fn funding_is_paid_on_every_position_at_the_oracle_and_truncated() {
    let instrument = Instrument::new("xyz:XYZ100", 4, 20, 10.0, 3600.0).unwrap();
    let mut exchange = Exchange::new(vec![AssetSettings::new(instrument)], VenueRules::default()).unwrap();
    let asset = AssetId(0);
    let short = exchange.open_account(AccountKind::Background).unwrap();
    let long = exchange.open_account(AccountKind::Background).unwrap();
    let order = |side| NewOrder {
        asset,
        side,
        price: Price(2_540_000),
        size: Lots(150_000),
        time_in_force: TimeInForce::GoodTilCanceled,
        reduce_only: false,
        client_order_id: None,
    };
    exchange.execute(0, short, &Action::Place(order(Side::Sell)), &mut |_| {});
    exchange.execute(0, long, &Action::Place(order(Side::Buy)), &mut |_| {});
    assert!(exchange.settle_funding(0, asset, 0.000_006_25, &mut |_| {}).is_err(), "no oracle yet");
    exchange.set_reference(0, asset, Mark(5_073_800), Mark(5_100_000), &mut |_| {}).unwrap();
    let mut paid = Vec::new();
    let mut sink = |event: &VenueEvent| {
        if let VenueEvent::Funding(payment) = event {
            paid.push((payment.account, payment.position.0, payment.paid));
        }
    };
    exchange.settle_funding(S, asset, 0.000_006_25, &mut sink).unwrap();
    assert!(exchange.settle_funding(S, asset, f64::NAN, &mut |_| {}).is_err());
    println!("funding paid (account, position, micros): {paid:?}");
    assert_eq!(paid, [(short, -150_000, -2_378_343), (long, 150_000, 2_378_343)]);
    assert_eq!(exchange.ledger(short, asset).unwrap().funding(), -2_378_343);
    assert_eq!(exchange.account(AccountId(0)).unwrap().cash, 0);
}

/// Kills: an impact price that is the touch; one that ignores a book too thin.
#[test]
fn impact_price_is_the_average_execution_of_its_notional() {
    let instrument = Instrument::new("ETH", 4, 25, 10.0, 3600.0).unwrap();
    let mut exchange = Exchange::new(vec![AssetSettings::new(instrument)], VenueRules::default()).unwrap();
    let maker = exchange.open_account(AccountKind::Background).unwrap();
    for (price, size) in [(400_000, 10_000), (390_000, 100_000)] {
        let order = NewOrder {
            asset: AssetId(0),
            side: Side::Buy,
            price: Price(price),
            size: Lots(size),
            time_in_force: TimeInForce::PostOnly,
            reduce_only: false,
            client_order_id: None,
        };
        exchange.execute(0, maker, &Action::Place(order), &mut |_| {});
    }
    let usd = 1_000_000;
    let impact = |notional| exchange.impact_price(AssetId(0), Side::Buy, notional);
    assert!((impact(2_000 * usd).unwrap() - 400_000.0).abs() < 1e-6);
    // 4,000 USD at 4,000 and 3,900 at 3,900: two ETH for 7,900.
    assert!((impact(7_900 * usd).unwrap() - 395_000.0).abs() < 1e-6);
    assert_eq!(impact(60_000 * usd), None);
    assert_eq!(exchange.impact_price(AssetId(0), Side::Sell, usd), None);
}

/// Kills: a mean for the median; an average without its decay; a one-sided book that moves the mark to nothing.
#[test]
fn mark_price_is_the_median_of_basis_book_and_its_average() {
    let mut mark = MarkPrice::default();
    let at = |mark: &mut MarkPrice, s: i64, oracle: i64, bid: i64, ask: i64, last: i64| {
        mark.update(s * S, Mark(2 * oracle), Some(Price(bid)), Some(Price(ask)), Some(Price(last))).0
    };
    // Book about the oracle: the mark is there.
    assert_eq!(at(&mut mark, 0, 1_000, 999, 1_001, 1_000), 2_000);
    // One bad print far away moves the book's part to the ask, and the mark to its average with the print before.
    assert_eq!(at(&mut mark, 3, 1_000, 999, 1_001, 5_000), 2_001);
    // The oracle jumps by 100 and the book stays: basis lies at once near 2200 less little, the book at 2000; the
    // middle is the 30 s average of the book, and that is about 2000 too.
    let jumped = at(&mut mark, 6, 1_100, 999, 1_001, 1_000);
    assert!((2_000..2_004).contains(&jumped), "{jumped}");
    // The book jumps by 100 and the oracle stays: its 30 s average trails, by hand e^{-0.1} a step.
    let mut mark = MarkPrice::default();
    at(&mut mark, 0, 1_000, 999, 1_001, 1_000);
    let trailing = at(&mut mark, 3, 1_000, 1_099, 1_101, 1_100);
    let kept = (-3.0_f64 / 30.0).exp() * 3.0;
    let average = (kept * 2_000.0 + 3.0 * 2_200.0) / (kept + 3.0);
    let kept_basis = (-3.0_f64 / 150.0).exp() * 3.0;
    let basis = 2_000.0 + (3.0 * 200.0) / (kept_basis + 3.0);
    assert_eq!(trailing, average.clamp(basis.min(2_200.0), basis.max(2_200.0)).round() as i64);
    let mut empty = MarkPrice::default();
    assert_eq!(empty.update(0, Mark(2_000), None, None, None), Mark(2_000));
    assert_eq!(empty.update(S, Mark(2_000), None, Some(Price(900)), None).0, 1_800);
}
