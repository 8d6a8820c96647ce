//! Laws of the synthetic session.

use hypermm_core::instrument::Instrument;
use hypermm_simulation::market::session::{Session, SessionSettings};

fn instruments() -> [(Instrument, f64); 4] {
    [("ETH", 4, 4_270.0), ("BTC", 5, 109_755.0), ("SOL", 2, 203.5), ("WLFI", 0, 0.1834)]
        .map(|(coin, decimals, price)| (Instrument::new(coin, decimals, 25, 10.0, 3600.0).unwrap(), price))
}

#[test]
fn a_session_stands_on_the_price_grid_and_is_never_crossed() {
    for (instrument, start_price) in instruments() {
        let settings = SessionSettings { start_price, duration_s: 120.0, ..SessionSettings::default() };
        let session = Session::generate(&instrument, &settings).unwrap();
        session.columns().validate().unwrap();
        let depth = settings.depth;
        assert!(
            session.book_time_ns.len() > 100 && session.best_time_ns.len() > 100 && session.trade_time_ns.len() > 20
        );
        for row in 0..session.book_time_ns.len() {
            let bids = &session.bid_prices[row * depth..(row + 1) * depth];
            let asks = &session.ask_prices[row * depth..(row + 1) * depth];
            assert!(bids[0] < asks[0]);
            assert!(bids.windows(2).all(|pair| pair[1] < pair[0]) && asks.windows(2).all(|pair| pair[1] > pair[0]));
        }
        let prices = session.bid_prices.iter().chain(&session.ask_prices).chain(&session.trade_price);
        let sizes = session.bid_sizes.iter().chain(&session.best_ask_size).chain(&session.trade_size);
        for price in prices.chain(&session.best_bid_price).chain(&session.best_ask_price) {
            instrument.price_from_f64("price", *price).unwrap();
        }
        for size in sizes {
            assert!(instrument.lots_from_f64("size", *size).unwrap().0 > 0);
        }
    }
}

#[test]
fn one_seed_is_one_session() {
    let (eth, _) = &instruments()[0];
    let draw = |seed| {
        Session::generate(eth, &SessionSettings { seed, duration_s: 60.0, ..SessionSettings::default() }).unwrap()
    };
    assert!(draw(1) == draw(1), "two draws of one seed differ");
    assert!(draw(1) != draw(2), "two seeds give one session");
}

/// Oracles: counts of a Poisson process, the mean of an exponential, the deviation of ten-second returns.
#[test]
fn a_session_has_the_rates_reach_and_volatility_asked_for() {
    let (eth, _) = &instruments()[0];
    let settings =
        SessionSettings { duration_s: 40_000.0, drift_deviation_bps_per_s: 0.0, ..SessionSettings::default() };
    let session = Session::generate(eth, &settings).unwrap();
    for (name, count, interval_s) in
        [("books", session.book_time_ns.len(), 0.54), ("best prices", session.best_time_ns.len(), 0.12)]
    {
        let expected = settings.duration_s / interval_s;
        println!("{name}: {count}, expected {expected:.0}");
        assert!((count as f64 - expected).abs() < 5.0 * expected.sqrt());
    }
    let (mut events, mut reach) = (0, 0.0);
    for row in 0..session.trade_price.len() {
        let time = session.trade_exchange_time_ns[row];
        let last = session.trade_exchange_time_ns.get(row + 1) != Some(&time);
        if last && session.trade_aggressor[row] > 0 {
            events += 1;
            let first = session.trade_exchange_time_ns.partition_point(|other| *other < time);
            let place = session.best_exchange_time_ns.partition_point(|other| *other <= time);
            let best = session.best_ask_price[place.max(1) - 1].min(session.trade_price[first]);
            reach += (session.trade_price[row] / best - 1.0) * 1e4;
        }
    }
    let expected = settings.duration_s * settings.arrival_rate;
    // Events of both sides in one millisecond count once here, and quotes move between ticks: 5 % of slack.
    println!("buyers: {events}, expected {expected:.0}; mean reach {:.2} bps for 1/k = 2", reach / f64::from(events));
    assert!((f64::from(events) - expected).abs() < 5.0 * expected.sqrt() + 0.01 * expected);
    assert!((reach / f64::from(events) - 2.0).abs() < 0.3);
    let mids: Vec<f64> = (0..4_000)
        .map(|step| {
            let time = session.best_exchange_time_ns[0] + step * 10_000_000_000;
            let row = session.best_exchange_time_ns.partition_point(|other| *other <= time).max(1) - 1;
            0.5 * (session.best_bid_price[row] + session.best_ask_price[row])
        })
        .collect();
    let square: f64 = mids.windows(2).map(|pair| ((pair[1] / pair[0]).ln() * 1e4).powi(2)).sum::<f64>() / 3_999.0;
    let volatility = (square / 10.0).sqrt();
    // Quotes follow within ±1.2 bps: that adds at most its variance twice over ten seconds.
    println!("volatility of ten-second returns {volatility:.3}, asked for {}", settings.volatility);
    assert!(volatility > 0.95 * settings.volatility && volatility < 1.15 * settings.volatility);
}

#[test]
fn a_setting_out_of_range_is_refused_by_name() {
    let (eth, _) = &instruments()[0];
    for (settings, field) in [
        (SessionSettings { duration_s: f64::NAN, ..SessionSettings::default() }, "duration_s"),
        (SessionSettings { depth: 0, ..SessionSettings::default() }, "depth"),
        (SessionSettings { start_price: -1.0, ..SessionSettings::default() }, "start_price"),
    ] {
        assert_eq!(Session::generate(eth, &settings).unwrap_err().detail().field, field);
    }
}

/// Kills: a venue time of one wrong row that hides the market after it without a word (fills of 20 minutes fell from
/// hundreds to a few), prints refused with it.
#[test]
fn a_venue_time_that_falls_back_is_refused_by_row() {
    let instrument = Instrument::new("ETH", 4, 25, 10.0, 3600.0).unwrap();
    let session = Session::generate(&instrument, &SessionSettings::default()).unwrap();
    let hour_ns = 3_600_000_000_000;
    for (field, row) in [("book_exchange_time_ns", 2), ("best_exchange_time_ns", 5)] {
        let mut wrong = session.clone();
        let times = match row {
            2 => &mut wrong.book_exchange_time_ns,
            _ => &mut wrong.best_exchange_time_ns,
        };
        times[row] += hour_ns;
        let (ahead_ns, next_ns) = (times[row], times[row + 1]);
        let refused = wrong.columns().validate().unwrap_err();
        assert!(matches!(refused, hypermm_core::error::Error::TimeOrder(_)), "{refused}");
        let detail = refused.detail();
        assert_eq!(detail.field, field);
        assert_eq!(detail.value, next_ns.to_string());
        assert!(detail.expected.contains(&ahead_ns.to_string()), "{refused}");
        assert!(detail.hint.contains(&format!("row {}", row + 1)), "{refused}");
    }
    let mut late = session;
    late.trade_exchange_time_ns[7] += hour_ns;
    late.columns().validate().unwrap();
}
