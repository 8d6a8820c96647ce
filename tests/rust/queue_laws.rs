//! Laws of the estimated place in a queue, held against queues whose every order is known.

use hypermm_core::state::queue::{CancelModel, QueuePosition};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const MODELS: [CancelModel; 5] = [
    CancelModel::RiskAverse,
    CancelModel::Power(1.0),
    CancelModel::Power(0.5),
    CancelModel::Power(3.0),
    CancelModel::Log,
];

/// A level as the venue knows it: sizes in queue order, ours among them as nothing.
#[derive(Clone)]
struct Level {
    ahead: Vec<u32>,
    behind: Vec<u32>,
}

impl Level {
    fn shown(&self) -> f64 {
        f64::from(self.ahead.iter().chain(&self.behind).sum::<u32>())
    }

    fn before_us(&self) -> f64 {
        f64::from(self.ahead.iter().sum::<u32>())
    }

    fn print(&mut self, mut size: u32) {
        for order in self.ahead.iter_mut().chain(&mut self.behind) {
            let taken = size.min(*order);
            *order -= taken;
            size -= taken;
        }
        self.ahead.retain(|order| *order > 0);
        self.behind.retain(|order| *order > 0);
    }

    fn cancel(&mut self, place: usize) {
        if place < self.ahead.len() {
            self.ahead.remove(place);
        } else if place - self.ahead.len() < self.behind.len() {
            self.behind.remove(place - self.ahead.len());
        }
    }
}

proptest! {
    /// Kills: a snapshot that resets the place, size added that counts as ahead, a place beyond what is shown, cancels
    /// that run below nothing.
    #[test]
    fn the_place_stays_within_what_is_shown_and_never_grows(
        first in 0.0_f64..50.0,
        steps in prop::collection::vec((any::<bool>(), 0.0_f64..60.0), 1..60),
    ) {
        for model in MODELS {
            let mut queue = QueuePosition::behind(first);
            let mut last = queue.ahead();
            prop_assert_eq!(last, first);
            for (print, size) in &steps {
                if *print {
                    let left = queue.follow_print(*size);
                    prop_assert!((left - (size - last).max(0.0)).abs() < 1e-12);
                } else {
                    queue.follow_shown(*size, model);
                    prop_assert!(queue.ahead() <= *size, "{model:?}: {} ahead of {size} shown", queue.ahead());
                }
                prop_assert!(queue.ahead() >= 0.0 && queue.ahead() <= last, "{model:?}: {last} became {}", queue.ahead());
                last = queue.ahead();
            }
        }
    }

    /// Kills: a risk-averse model that gives us cancels it cannot know to be ahead, or keeps a level's size after it fell.
    #[test]
    fn the_risk_averse_place_is_never_nearer_than_the_true_one(
        ahead in prop::collection::vec(1_u32..20, 0..6),
        steps in prop::collection::vec((0_u8..3, 1_u32..30), 1..40),
    ) {
        let mut level = Level { ahead, behind: Vec::new() };
        let mut queue = QueuePosition::behind(level.shown());
        let mut proportional = queue;
        for (what, size) in steps {
            match what {
                0 => {
                    level.print(size);
                    queue.follow_print(f64::from(size));
                    proportional.follow_print(f64::from(size));
                }
                1 => level.behind.push(size),
                _ => level.cancel(size as usize % 8),
            }
            queue.follow_shown(level.shown(), CancelModel::RiskAverse);
            proportional.follow_shown(level.shown(), CancelModel::Power(1.0));
            prop_assert!(queue.ahead() >= level.before_us() - 1e-9, "{} for {}", queue.ahead(), level.before_us());
            prop_assert!(queue.ahead() >= proportional.ahead() - 1e-9);
        }
    }
}

/// Kills: an ahead counted as behind, prints counted as cancels too, an exponent other than one as the default.
///
/// Every step one order of a contract is canceled at random, one arrives, or a print takes one: the proportional
/// estimate is right on average whatever happens.
#[test]
fn cancels_in_proportion_are_right_on_average_where_everybody_cancels_alike() {
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let (mut error, mut square, mut moved) = (0.0, 0.0, 0.0);
    let runs = 4_000;
    for _ in 0..runs {
        let mut level = Level { ahead: vec![1; 20], behind: Vec::new() };
        let mut queue = QueuePosition::behind(level.shown());
        for _ in 0..40 {
            match random.random_range(0..8) {
                0 => {
                    level.print(1);
                    queue.follow_print(1.0);
                }
                1..=3 => level.behind.push(1),
                _ => level.cancel((random.random::<f64>() * level.shown()) as usize),
            }
            queue.follow_shown(level.shown(), CancelModel::default());
        }
        let difference = queue.ahead() - level.before_us();
        error += difference;
        square += difference * difference;
        moved += 20.0 - level.before_us();
    }
    let mean = error / f64::from(runs);
    let deviation = (square / f64::from(runs)).sqrt() / f64::from(runs).sqrt();
    println!("estimate − truth {mean:+.3} ± {deviation:.3} contracts, moved up {:.1}", moved / f64::from(runs));
    assert!(moved / f64::from(runs) > 8.0);
    // A print that empties the part ahead is cut off at nothing, which is worth a little.
    assert!(mean.abs() < 4.0 * deviation, "{mean} of {deviation}");
}

/// Kills: an exponent that is not one, log of the wrong argument, cancels beyond what stands behind.
#[test]
fn shares_of_cancels_are_those_worked_out_by_hand() {
    // 6 ahead, then 4 join behind, then 2.5 are canceled.
    let left = |model: CancelModel| {
        let mut queue = QueuePosition::behind(6.0);
        queue.follow_shown(10.0, model);
        queue.follow_shown(7.5, model);
        queue.ahead()
    };
    let rows = [
        (CancelModel::RiskAverse, 6.0),
        (CancelModel::Power(1.0), 6.0 - 2.5 * 6.0 / 10.0),
        (CancelModel::Power(2.0), 6.0 - 2.5 * 36.0 / 52.0),
        (CancelModel::Power(3.0), 6.0 - 2.5 * 216.0 / 280.0),
        (CancelModel::Log, 6.0 - 2.5 * 7.0_f64.ln() / (7.0_f64.ln() + 5.0_f64.ln())),
    ];
    for (model, expected) in rows {
        assert!((left(model) - expected).abs() < 1e-12, "{model:?}: {}, by hand {expected}", left(model));
        // Nobody is behind: every cancel is ahead. More canceled than is behind: the rest is ahead.
        let mut alone = QueuePosition::behind(6.0);
        alone.follow_shown(2.0, model);
        assert_eq!(alone.ahead(), 2.0);
    }
    let mut sparse = QueuePosition::behind(6.0);
    sparse.follow_shown(7.0, CancelModel::Power(0.001));
    sparse.follow_shown(3.0, CancelModel::Power(0.001));
    assert!((sparse.ahead() - 3.0).abs() < 1e-12, "1 behind, 4 gone: at least 3 were ahead");
    // A print is no cancel: of 10 shown 3 trade, and 7 are left.
    let mut printed = QueuePosition::behind(6.0);
    printed.follow_shown(10.0, CancelModel::Power(1.0));
    assert_eq!(printed.follow_print(3.0), 0.0);
    printed.follow_shown(7.0, CancelModel::Power(1.0));
    assert_eq!(printed.ahead(), 3.0);
    assert_eq!(printed.follow_print(4.5), 1.5);
    // A level first seen later: we stand last.
    let mut unseen = QueuePosition::unseen();
    assert_eq!(unseen.follow_print(5.0), 0.0);
    unseen.follow_shown(8.0, CancelModel::Power(1.0));
    assert_eq!(unseen.ahead(), 8.0);
}

#[test]
fn an_exponent_out_of_range_is_named() {
    for exponent in [0.0, -1.0, f64::NAN, f64::INFINITY, 20.5] {
        assert_eq!(CancelModel::Power(exponent).validate().unwrap_err().detail().field, "cancel_exponent");
    }
    assert!(MODELS.iter().all(|model| model.validate().is_ok()));
}
