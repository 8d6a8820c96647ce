//! Laws of the probabilistic fill model and its keyed draws.

use hypermm_core::state::queue::QueuePosition;
use hypermm_core::types::{Lots, Price, Side};
use hypermm_simulation::venue::fill_models::{
    FillModel, FillParameters, FillSettings, KeyedDraws, ProbabilisticFills, Touch,
};
use proptest::prelude::*;

fn touch() -> Touch {
    Touch {
        order_id: 1,
        side: Side::Buy,
        order_price: Price(1_000),
        order_remaining: Lots(100),
        age_ns: 5_000_000_000,
        trade_id: 1,
        trade_price: Price(1_000),
        trade_size: Lots(100),
        aggressor: Side::Sell,
    }
}

/// Each row is worked out by hand from the numbers of seed 003.
#[test]
fn probability_is_the_product_of_the_seed_factors() {
    let paper = FillParameters::PAPER;
    let default = FillParameters::DEFAULT;
    let base = touch();
    let at_level = Price(1_000);
    let through = Price(999);
    let (young, middle, old) = (999_999_999, 1_000_000_000, 10_000_000_001);
    let rows = [
        // model, trade price, trade size, age, aggressor, expected
        (paper, at_level, 100, middle, Side::Sell, 0.30),
        (paper, at_level, 100, young, Side::Sell, 0.21),
        (paper, at_level, 100, old, Side::Sell, 0.39),
        (paper, at_level, 100, 10_000_000_000, Side::Sell, 0.30),
        (paper, through, 100, middle, Side::Sell, 0.45),
        (paper, at_level, 150, middle, Side::Sell, 0.45),
        (paper, at_level, 900, middle, Side::Sell, 0.60),
        (paper, at_level, 10, middle, Side::Sell, 0.15),
        (paper, through, 900, old, Side::Sell, 0.95),
        (paper, at_level, 100, middle, Side::Buy, 0.09),
        (default, at_level, 100, middle, Side::Sell, 0.15),
        (default, through, 900, old, Side::Sell, 0.585),
        (default, at_level, 10, young, Side::Buy, 0.01575),
        (paper, Price(1_001), 900, old, Side::Sell, 0.0),
    ];
    for (model, trade_price, size, age_ns, aggressor, expected) in rows {
        let buy = Touch { trade_price, trade_size: Lots(size), age_ns, aggressor, ..base };
        // A sell is the same picture upside down.
        let mirrored = Touch {
            side: Side::Sell,
            trade_price: Price(2_000 - trade_price.0),
            aggressor: aggressor.opposite(),
            ..buy
        };
        for case in [buy, mirrored] {
            let found = model.probability(&case);
            assert!((found - expected).abs() < 1e-12, "{case:?}: {found}, by hand {expected}");
        }
    }
    assert_eq!(FillSettings::named("paper").unwrap(), FillSettings::Probabilistic(paper));
    assert_eq!(FillSettings::named("default").unwrap(), FillSettings::Probabilistic(default));
    assert_eq!(FillSettings::named("papers").unwrap_err().detail().field, "fill_model");
    let bad = FillParameters { touch_probability: f64::NAN, queue_factor: 0.5 };
    assert_eq!(ProbabilisticFills::new(bad, 0).unwrap_err().detail().field, "touch_probability");
}

proptest! {
    /// Kills: a draw that depends on what was asked before it.
    #[test]
    fn draws_do_not_depend_on_call_order(seed in any::<u64>(), keys in prop::collection::vec((any::<u64>(), any::<u64>()), 1..40), turn in any::<prop::sample::Index>()) {
        let mut draws = KeyedDraws::new(seed);
        let in_order: Vec<f64> = keys.iter().map(|(order, trade)| draws.uniform(*order, *trade)).collect();
        let start = turn.index(keys.len());
        let mut other = KeyedDraws::new(seed);
        for offset in 0..keys.len() {
            let place = (start + keys.len() - offset) % keys.len();
            prop_assert_eq!(other.uniform(keys[place].0, keys[place].1), in_order[place]);
        }
        // Asking twice is asking once.
        prop_assert_eq!(draws.uniform(keys[0].0, keys[0].1), in_order[0]);
        prop_assert!(in_order.iter().all(|draw| (0.0..1.0).contains(draw)));
    }
}

/// Chi-square over 64 equal bins; 63 degrees of freedom exceed 113.5 with probability 1e-4.
fn chi_square(draws: impl Iterator<Item = f64>) -> (f64, usize) {
    let mut bins = [0_u32; 64];
    let mut count = 0_usize;
    for draw in draws {
        bins[(draw * 64.0) as usize] += 1;
        count += 1;
    }
    let expected = count as f64 / 64.0;
    (bins.iter().map(|bin| (f64::from(*bin) - expected).powi(2) / expected).sum(), count)
}

/// Kills: keys that share bits of the stream. Ids as they occur: small consecutive orders, consecutive and venue-like
/// trades, neighboring seeds.
#[test]
fn draws_are_uniform_and_neighbours_are_independent() {
    let venue_like = |index: u64| 965_165_769_510_088_u64.wrapping_mul(index + 1) >> 4;
    let mut draws = KeyedDraws::new(7);
    let by_trade: Vec<f64> = (0..40_000).map(|trade| draws.uniform(3, trade)).collect();
    let by_order: Vec<f64> = (0..40_000).map(|order| draws.uniform(order, 11)).collect();
    let by_venue_id: Vec<f64> = (0..40_000).map(|index| draws.uniform(index / 7, venue_like(index))).collect();
    let by_seed: Vec<f64> = (0..40_000).map(|seed| KeyedDraws::new(seed).uniform(1, 1)).collect();
    for (name, column) in [("trade", &by_trade), ("order", &by_order), ("venue id", &by_venue_id), ("seed", &by_seed)] {
        let (statistic, count) = chi_square(column.iter().copied());
        let mean = column.iter().sum::<f64>() / count as f64;
        let lag: f64 =
            column.windows(2).map(|pair| (pair[0] - 0.5) * (pair[1] - 0.5)).sum::<f64>() * 12.0 / count as f64;
        println!("draws by {name}: chi-square {statistic:.1} of 63, lag-1 correlation {lag:+.4} over {count}");
        assert!(statistic < 113.5);
        assert!((mean - 0.5).abs() < 4.0 * (1.0 / 12.0_f64).sqrt() / (count as f64).sqrt());
        assert!(lag.abs() < 4.0 / (count as f64).sqrt());
    }
}

/// Kills: a comparison the wrong way round, or a draw not spread over the unit interval.
#[test]
fn fills_happen_as_often_as_the_probability_says() {
    let parameters = FillParameters::PAPER;
    let mut model = ProbabilisticFills::new(parameters, 42).unwrap();
    let count = 40_000;
    let mut fills = |touch: Touch| model.take(&touch, touch.trade_size, &mut QueuePosition::unseen()).0 > 0;
    let count_of_fills = (0..count).filter(|trade| fills(Touch { trade_id: *trade, ..touch() })).count();
    let share = count_of_fills as f64 / count as f64;
    let deviation = (0.3 * 0.7 / count as f64).sqrt();
    println!("fill share {share:.4} for probability 0.3, {:.1} deviations off", (share - 0.3) / deviation);
    assert!((share - 0.3).abs() < 4.0 * deviation);
    assert!(!fills(Touch { trade_price: Price(1_001), ..touch() }));
}
