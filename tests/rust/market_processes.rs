//! Laws of the agents' processes by themselves, before they meet a book.

use hypermm_core::types::{Side, TimestampNs};
use hypermm_simulation::market::agents::draws::{Draws, Purpose};
use hypermm_simulation::market::agents::flow::Flow;
use hypermm_simulation::market::agents::funding::{Funding, hourly_rate};
use hypermm_simulation::market::agents::informed::Informed;
use hypermm_simulation::market::agents::latent::{Conditions, DriftingPrice, FairPrice};
use hypermm_simulation::market::agents::liquidations::{ForcedOrder, Liquidations};
use hypermm_simulation::market::agents::regime::{Regime, RegimeSwitching};
use hypermm_simulation::market::parameters::MarketParameters;
use hypermm_simulation::market::preset::MarketPreset;

use crate::market_loop::START_NS;

const SECOND_NS: TimestampNs = 1_000_000_000;

fn parameters(name: &str) -> MarketParameters {
    MarketPreset::named(name).unwrap().parameters
}

fn variance(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64
}

/// ln fair price in bps, one a second.
fn path(parameters: &MarketParameters, seed: u64, seconds: i64) -> Vec<f64> {
    let mut price = DriftingPrice::new(parameters, seed, START_NS);
    (0..seconds).map(|second| price.advance(START_NS + second * SECOND_NS).ln() * 1e4).collect()
}

fn returns(path: &[f64], horizon: usize) -> Vec<f64> {
    path.iter().step_by(horizon).collect::<Vec<_>>().windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// Kills: a stream that ignores its purpose, its index or the seed.
#[test]
fn streams_of_draws_have_nothing_in_common() {
    let first = |seed, purpose, index| Draws::new(seed, purpose, index).uniform().to_bits();
    let draws = [
        first(1, Purpose::Price, 0),
        first(2, Purpose::Price, 0),
        first(1, Purpose::Regime, 0),
        first(1, Purpose::Liquidity, 0),
        first(1, Purpose::Liquidity, 1),
    ];
    assert_eq!(draws[0], first(1, Purpose::Price, 0));
    for (place, draw) in draws.iter().enumerate() {
        assert!(!draws[..place].contains(draw));
    }
}

/// Kills: a diffusion that forgets what drift, jumps or regimes add; a price that loses what its stickiness held back.
#[test]
fn the_fair_price_has_the_volatility_asked_for() {
    for preset in MarketPreset::ALL {
        let ten: Vec<f64> = (0..8).flat_map(|seed| returns(&path(&preset.parameters, seed, 50_000), 10)).collect();
        let volatility = (variance(&ten) / 10.0).sqrt();
        println!("{}: σ at 10 s {volatility:.3}, asked for {} bps/√s", preset.name, preset.parameters.volatility_bps);
        // A price that follows by a share of its gap lags: about 2 % at 10 s.
        assert!((volatility / preset.parameters.volatility_bps - 1.0).abs() < 0.05);
    }
}

/// Oracle: the double integral of the drift's autocovariance P∞·e^{−κ|s−t|}, by summation.
#[test]
fn drift_displaces_the_price_as_its_autocovariance_says() {
    let (reversion, deviation) = (0.05, 0.5);
    let quiet = parameters("eth")
        .with(&[
            ("drift_reversion_per_s", reversion),
            ("drift_deviation_bps_per_s", deviation),
            ("jump_rate_per_hour", 0.0),
            ("stickiness_bps", 0.0),
            ("volatility_bps", 1.5),
        ])
        .unwrap();
    let diffusion = quiet.diffusion_bps().unwrap().powi(2) * RegimeSwitching::mean_square_volatility(&quiet);
    let path: Vec<f64> = path(&quiet, 3, 400_000);
    for horizon in [10_usize, 60] {
        let cells = 400_i32;
        let dt = horizon as f64 / f64::from(cells);
        let mut expected = diffusion * horizon as f64;
        for first in 0..cells {
            for second in 0..cells {
                let apart = f64::from((first - second).abs()) * dt;
                expected += deviation * deviation * (-reversion * apart).exp() * dt * dt;
            }
        }
        let measured = variance(&returns(&path, horizon));
        println!("{horizon} s: variance {measured:.1} bps², expected {expected:.1}");
        assert!((measured / expected - 1.0).abs() < 0.08);
    }
}

/// Kills: a path whose draws depend on how often it is asked.
#[test]
fn the_fair_price_does_not_depend_on_when_it_is_asked() {
    let eth = parameters("eth");
    let mut often = DriftingPrice::new(&eth, 5, START_NS);
    let mut rarely = DriftingPrice::new(&eth, 5, START_NS);
    for block in 1..=10_000 {
        often.advance(START_NS + block * 61_000_000);
        if block % 97 == 0 {
            assert_eq!(often.advance(START_NS + block * 61_000_000), rarely.advance(START_NS + block * 61_000_000));
            assert_eq!(often.conditions(), rarely.conditions());
        }
    }
}

#[test]
fn regimes_take_their_share_of_time() {
    let eth = parameters("eth");
    let mut chain = RegimeSwitching::new(&eth, 1, 1.0);
    let (mut counts, steps) = ([0.0; 4], 2_000_000);
    for _ in 0..steps {
        chain.step();
        counts[chain.regime() as usize] += 1.0 / f64::from(steps);
    }
    let shares = RegimeSwitching::stationary(&eth);
    println!("quiet, normal, volatile, cascade: {counts:.4?}, stationary {shares:.4?}");
    assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    for (count, share) in counts.iter().zip(shares) {
        assert!((count - share).abs() < 0.05 * share + 0.002);
    }
}

/// Counts of buyers and sellers in windows of the flow's own time.
fn counts(parameters: &MarketParameters, seed: u64, windows: usize, window_s: f64) -> Vec<[f64; 2]> {
    let mut flow = Flow::new(parameters, seed);
    (0..windows)
        .map(|_| {
            let mut count = [0.0; 2];
            flow.advance(window_s, |event| count[event.side.index()] += 1.0);
            count
        })
        .collect()
}

/// Oracle: counts of a stationary Hawkes process in long windows have the Fano factor 1/(1 − n)², of the sum with n = self
/// + cross, of the difference with n = self − cross. Kills: excitation of the wrong side, of the wrong mass, or none.
#[test]
fn branching_ratios_are_recovered_from_counts() {
    for preset in MarketPreset::ALL {
        let parameters = preset.parameters;
        let counts = counts(&parameters, 2, 4_000, 500.0);
        let sum: Vec<f64> = counts.iter().map(|count| count[0] + count[1]).collect();
        let difference: Vec<f64> = counts.iter().map(|count| count[0] - count[1]).collect();
        let mean = sum.iter().sum::<f64>() / sum.len() as f64;
        let branching = 1.0 - (mean / variance(&sum)).sqrt();
        let one_sided = 1.0 - (mean / variance(&difference)).sqrt();
        let (own, cross) = (parameters.self_excitation, parameters.cross_excitation);
        println!(
            "{}: branching {branching:.3} for {:.3}, own less cross {one_sided:.3} for {:.3}, {:.3} events a second for {}",
            preset.name,
            own + cross,
            own - cross,
            mean / 500.0,
            parameters.event_rate_per_s
        );
        assert!(own + cross < 1.0);
        assert!((branching - own - cross).abs() < 0.03 && (one_sided - own + cross).abs() < 0.03);
        assert!((mean / 500.0 / parameters.event_rate_per_s - 1.0).abs() < 0.05);
    }
}

/// Kills: marks taken from the stream of times, a reach that is no exponential of mean 1/k, a size of another median.
#[test]
fn events_carry_the_marks_asked_for() {
    let hype = parameters("hype");
    let mut flow = Flow::new(&hype, 9);
    let (mut reach, mut sizes, mut sweeps) = (Vec::new(), Vec::new(), 0.0);
    flow.advance(100_000.0, |event| {
        reach.push(event.reach_bps);
        sizes.push(event.size);
        sweeps += f64::from(u8::from(event.is_sweep));
    });
    let count = reach.len() as f64;
    let mean = reach.iter().sum::<f64>() / count;
    let beyond = reach.iter().filter(|reach| **reach > 4.0).count() as f64 / count;
    sizes.sort_by(f64::total_cmp);
    println!(
        "{count} events: reach {mean:.3} bps, beyond 4 bps {beyond:.4}, median size {:.3}",
        sizes[sizes.len() / 2]
    );
    assert!((mean * hype.depth_decay_per_bps - 1.0).abs() < 0.03);
    assert!((beyond / (-4.0 * hype.depth_decay_per_bps).exp() - 1.0).abs() < 0.06);
    assert!((sizes[sizes.len() / 2] / hype.event_size - 1.0).abs() < 0.05);
    assert!((sweeps / count / hype.sweep_share - 1.0).abs() < 0.05);
}

/// Kills: informed takers on the wrong side, or such as follow the return that has been.
#[test]
fn informed_takers_come_before_the_return() {
    let hype = parameters("hype").with(&[("informed_by_pressure", 0.0), ("informed_by_drift", 1.0)]).unwrap();
    let mut price = DriftingPrice::new(&hype, 4, START_NS);
    let mut informed = Informed::new(&hype, 4);
    let (mut net, mut log_price) = (Vec::new(), Vec::new());
    for window in 1..=20_000_i64 {
        let mut bought = 0.0;
        for tenth in 0..100 {
            let fair = price.advance(START_NS + (window * 100 + tenth) * SECOND_NS / 10);
            if tenth == 0 {
                log_price.push(fair.ln() * 1e4);
            }
            informed.advance(0.1, &price.conditions(), |event| bought += event.side.sign());
        }
        net.push(bought);
    }
    // Window n runs from price n to price n + 1.
    let covariance = |lag: usize| {
        let pairs: Vec<(f64, f64)> =
            (0..net.len() - 2).map(|at| (net[at], log_price[at + lag + 1] - log_price[at + lag])).collect();
        let (x, y): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
        pairs.iter().map(|(x, y)| x * y).sum::<f64>() / pairs.len() as f64 / (variance(&x) * variance(&y)).sqrt()
    };
    println!(
        "correlation of net informed flow with the return of its own ten seconds {:.3}, of the next {:.3}",
        covariance(0),
        covariance(1)
    );
    // Twenty thousand windows: a standard error of 0.007.
    assert!(covariance(1) > 0.05);
}

/// A price that falls by `fall_bps` a second from the tenth to the twentieth second.
fn forced(fall_bps: f64, regime: Regime) -> Vec<ForcedOrder> {
    let hype = parameters("hype");
    let mut liquidations = Liquidations::new(&hype, 1);
    let mut orders = Vec::new();
    for tenth in 0..600_i64 {
        let seconds = tenth as f64 / 10.0;
        let price = 30.0 * (1.0 - fall_bps / 1e4 * (seconds - 10.0).clamp(0.0, 10.0));
        let regime = if tenth > 100 { regime } else { Regime::Normal };
        let conditions = Conditions { regime, ..Conditions::default() };
        liquidations.advance(START_NS + tenth * SECOND_NS / 10, price, &conditions, |order| orders.push(order));
    }
    orders
}

/// Kills: a cascade against the move, one that grows, one from nothing.
#[test]
fn a_large_move_forces_orders_its_own_way_and_they_fade() {
    let decay = parameters("hype").liquidation_decay;
    assert!(forced(0.5, Regime::Normal).is_empty());
    for (fall, side) in [(10.0, Side::Sell), (-10.0, Side::Buy)] {
        let orders = forced(fall, Regime::Normal);
        assert!(!orders.is_empty() && orders.iter().all(|order| order.side == side));
        let first = orders.iter().filter(|order| order.size == orders[0].size).count();
        println!("fall of {fall} bps/s: {} forced orders in {first} cascades", orders.len());
        for pair in orders.windows(2) {
            assert!(pair[1].size == orders[0].size || (pair[1].size / pair[0].size - decay).abs() < 1e-12);
        }
    }
    assert!(!forced(-0.5, Regime::Cascade).is_empty(), "the cascade regime forces without a large move");
}

/// Rates of the venue's documents: no premium pays the interest alone, and 4 % an hour is the most.
#[test]
fn funding_rates_are_the_venues() {
    assert!((hourly_rate(0.0) - 0.000_012_5).abs() < 1e-15);
    assert!((hourly_rate(0.001) - 0.0005 / 8.0).abs() < 1e-15);
    assert!((hourly_rate(-0.001) + 0.0005 / 8.0).abs() < 1e-15);
    assert!((hourly_rate(0.0004) - 0.000_012_5).abs() < 1e-15);
    assert_eq!(hourly_rate(1.0), 0.04);
    assert_eq!(hourly_rate(-1.0), -0.04);
}

/// A premium without memory: an hour's mean of 720 samples scatters 27 times less than the first sample of the next.
/// Kills: an hour that settles early, or forgets to begin anew.
#[test]
fn the_funding_rate_is_that_of_one_full_hour() {
    let wild = parameters("hype").with(&[("premium_deviation", 0.05), ("premium_reversion_per_hour", 3600.0)]).unwrap();
    let mut funding = Funding::new(&wild, 1, START_NS);
    let (mut last, mut predicted, mut full, mut first) = (funding.settled_rate(), 0.0, Vec::new(), Vec::new());
    for sample in 1..=200 * 720_i64 {
        let time_ns = START_NS + sample * 5 * SECOND_NS;
        funding.advance(time_ns);
        if time_ns % (3600 * SECOND_NS) == 0 {
            full.push(funding.settled_rate());
            assert!((funding.settled_rate() - predicted).abs() < 1e-4, "the last prediction is what settles");
        } else {
            assert_eq!(funding.settled_rate(), last);
        }
        if time_ns % (3600 * SECOND_NS) == 5 * SECOND_NS {
            first.push(funding.predicted_rate());
        }
        (last, predicted) = (funding.settled_rate(), funding.predicted_rate());
    }
    let ratio = (variance(&first) / variance(&full[1..])).sqrt();
    println!("{} hours: one sample scatters {ratio:.1} times as much as an hour", full.len());
    assert!(full.len() == 200 && ratio > 15.0 && ratio < 40.0);
}

/// Kills: a name that falls back to a default, a range that is not checked, a refusal without its field.
#[test]
fn what_is_not_a_market_is_refused_by_name() {
    let refusal = MarketPreset::named("doge").unwrap_err();
    println!("{refusal}");
    let expected = "one of hype, eth, btc, sol, wlfi";
    assert_eq!((refusal.detail().field.as_ref(), refusal.detail().expected.as_ref()), ("preset", expected));
    for preset in MarketPreset::ALL {
        preset.parameters.validate().unwrap();
        preset.instrument().unwrap();
        for row in MarketParameters::TABLE {
            for value in [f64::NAN, row.low - 1e-9 - row.low.abs() * 0.1, row.high * 1.1 + 1e-9] {
                let error = preset.parameters.with(&[(row.name, value)]).unwrap_err();
                assert_eq!(error.detail().field, row.name);
            }
        }
    }
    let eth = parameters("eth");
    for (change, field) in [
        (&[("near_levels", 2.5)][..], "near_levels"),
        (&[("self_excitation", 0.9), ("cross_excitation", 0.2)], "self_excitation"),
        (&[("drift_deviation_bps_per_s", 5.0)], "volatility_bps"),
        (&[("far_levels", 100.0), ("far_spacing_bps", 100.0)], "far_levels"),
        (&[("no_such_thing", 1.0)], "parameter"),
    ] {
        assert_eq!(eth.with(change).unwrap_err().detail().field, field);
    }
}
