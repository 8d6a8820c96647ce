//! Laws of what the makers leave out: gaps between prices, quotes that thin out before a move, orders a price.

use hypermm_core::types::{Price, Side};
use hypermm_simulation::market::preset::MarketPreset;
use hypermm_simulation::venue::matching::exchange::BookLevel;
use hypermm_simulation::venue::matching::order::{OrderId, VenueEvent};

use crate::market_loop::{ASSET, Session};

/// A market of makers alone who stand everywhere with one size, and the changes asked for.
fn makers(changes: &[(&str, f64)]) -> Session {
    let preset = MarketPreset::named("eth").unwrap();
    let quiet = [
        ("event_rate_per_s", 0.0),
        ("informed_rate_per_s", 0.0),
        ("liquidation_orders", 0.0),
        ("far_levels", 0.0),
        ("touch_orders", 1.0),
        ("level_orders", 1.0),
        ("near_levels", 10.0),
        ("touch_presence", 1.0),
        ("thinning", 0.0),
        ("tilt_pressure", 0.0),
        ("tilt_drift", 0.0),
        ("size_deviation", 0.0),
        ("touch_size_deviation", 0.0),
        ("lifetime_s", 0.5),
        ("size_growth_per_bps", 0.0),
        ("touch_size", 1.0),
        ("level_size", 1.0),
        ("thinness_bps", 1000.0),
        // A price that rarely moves: who must move draws anew.
        ("volatility_bps", 0.2),
        ("drift_deviation_bps_per_s", 0.0),
        ("jump_rate_per_hour", 0.0),
    ];
    let parameters = preset.parameters.with(&[&quiet[..], changes].concat()).unwrap();
    Session::new(&preset, &parameters, 6)
}

/// Books of a side once a second.
fn books(session: &mut Session, seconds: usize, mut see: impl FnMut(&[BookLevel])) {
    let mut levels = Vec::new();
    for second in 0..seconds {
        for _ in 0..Session::blocks_in(1.0) {
            session.block(&[], |_| {});
        }
        if second > 5 {
            for side in [Side::Buy, Side::Sell] {
                session.exchange.levels(ASSET, side, &mut levels, 50);
                see(&levels);
            }
        }
    }
}

/// Kills: a place that is always filled, an absence that outlasts its life, absence where all are to stand.
#[test]
fn as_many_places_stand_as_presence_says() {
    for presence in [1.0, 0.6, 0.25] {
        let (mut standing, mut count) = (0, 0);
        books(&mut makers(&[("touch_presence", presence)]), 1_500, |levels| {
            standing += levels.iter().map(|level| level.orders).sum::<u32>();
            count += 11;
        });
        let share = f64::from(standing) / f64::from(count);
        println!("presence {presence}: {share:.3} of places stand");
        // Places that wait for room across the spread are missing too: few.
        assert!((share - presence).abs() < 0.04, "{share} of {presence}");
    }
}

/// Kills: presence that ignores the distance.
#[test]
fn gaps_close_with_distance() {
    let mut gaps = [0, 0];
    books(&mut makers(&[("touch_presence", 0.2), ("thinness_bps", 0.3), ("near_levels", 20.0)]), 800, |levels| {
        let prices: Vec<i64> = levels.iter().map(|level| level.price.0).collect();
        let steps: Vec<i64> = prices.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect();
        let increment = steps.iter().copied().min().unwrap_or(1);
        for (place, step) in steps.iter().enumerate() {
            gaps[usize::from(place >= steps.len() / 2)] += step / increment - 1;
        }
    });
    println!("{} prices missing in the near half, {} in the far half", gaps[0], gaps[1]);
    assert!(gaps[0] > 10 * gaps[1] && gaps[0] > 150);
}

/// Kills: orders of a price that are all one, or that stand elsewhere.
#[test]
fn each_price_has_the_orders_asked_for() {
    let mut wrong = 0;
    let mut seen = 0;
    books(&mut makers(&[("level_orders", 3.0), ("touch_orders", 4.0)]), 300, |levels| {
        // The touch has its own and those of the first price; ends of the window may be on their way.
        let counts: Vec<u32> = levels.iter().map(|level| level.orders).collect();
        seen += 1;
        wrong += u32::from(counts.first() != Some(&7) || counts[1..counts.len() - 1].iter().any(|count| *count != 3));
    });
    println!("{wrong} of {seen} books have other numbers of orders");
    assert!(seen > 500 && f64::from(wrong) < 0.1 * f64::from(seen));
}

/// Oracle: ln of the size that stands against the pressure over the other side's is −thinning·|pressure|, since all sizes are
/// one otherwise. Kills: thinning of the wrong side, or of both, or without pressure.
#[test]
fn quotes_in_the_way_of_the_efficient_price_are_thin() {
    let thinning = 3.0;
    let (mut sum_xy, mut sum_xx, mut leaning) = (0.0, 0.0, 0);
    let mut session =
        makers(&[("thinning", thinning), ("lifetime_s", 0.1), ("level_size", 50.0), ("touch_size", 50.0)]);
    let mut levels = Vec::new();
    for _ in 0..Session::blocks_in(1_200.0) {
        session.block(&[], |_| {});
        let pressure = session.market.conditions().pressure;
        let mut size = |side| {
            session.exchange.levels(ASSET, side, &mut levels, 10);
            levels.iter().skip(1).map(|level| level.size.0 as f64).sum::<f64>() / levels.len().max(2) as f64
        };
        let (bids, asks) = (size(Side::Buy), size(Side::Sell));
        if bids > 0.0 && asks > 0.0 && pressure != 0.0 {
            let log = (bids / asks).ln();
            sum_xy += log * pressure;
            sum_xx += pressure * pressure;
            leaning += i32::from((log > 0.0) == (pressure > 0.0));
        }
    }
    let slope = sum_xy / sum_xx;
    println!(
        "ln of bids over asks grows by {slope:.2} with pressure, {thinning} asked for; {leaning} books lean its way"
    );
    // Orders live for a tenth of a second and remember the pressure they were made under.
    assert!((slope / thinning - 1.0).abs() < 0.15);
}

/// Kills: informed takers who never sweep, or always do.
#[test]
fn informed_takers_sweep_their_share() {
    let preset = MarketPreset::named("eth").unwrap();
    let reach = |share: f64| {
        let changes = [
            ("event_rate_per_s", 0.0),
            ("liquidation_orders", 0.0),
            ("informed_rate_per_s", 1.0),
            ("informed_sweep_share", share),
            ("informed_size", 1e-4),
            ("event_size_deviation", 0.0),
        ];
        let mut session = Session::new(&preset, &preset.parameters.with(&changes).unwrap(), 2);
        let informed = session.market.accounts().informed;
        let (mut takers, mut deep) = (0, 0);
        let mut last: Option<(OrderId, Price, bool)> = None;
        for _ in 0..Session::blocks_in(3_000.0) {
            session.block(&[], |event| {
                if let VenueEvent::Trade(trade) = event
                    && Some(trade.taker.account) == informed
                {
                    // The next price of one taker.
                    let order = trade.taker.order_id;
                    match last {
                        Some((taker, price, counted)) if taker == order => {
                            let beyond = price != trade.price && !counted;
                            deep += i32::from(beyond);
                            last = Some((taker, price, counted || beyond));
                        }
                        _ => {
                            takers += 1;
                            last = Some((order, trade.price, false));
                        }
                    }
                }
            });
        }
        f64::from(deep) / f64::from(takers)
    };
    let (never, half, always) = (reach(0.0), reach(0.5), reach(1.0));
    println!("takers beyond the touch: {never:.3} without sweeps, {half:.3} with half, {always:.3} with all");
    // A tenth of the venue's smallest order is taken up to that, which may be more than one order, rarely more than one price.
    assert!(never < 0.1 && always > 0.5 && (half - 0.5 * (never + always)).abs() < 0.08);
}
