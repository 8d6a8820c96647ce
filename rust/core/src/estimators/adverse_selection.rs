//! What our fills taught beyond toxicity: b_s of MODEL.md section 9.
//!
//! ```text
//! b_s = max(0, Σ w·(AS′ + sgn·μ̂T(10 s) − a₀ term at the fill) / (Σ w + 10)),   AS′ = −sgn·ln(m_10/m_c)·1e4
//! ```
//!
//! One sample an aggressor, forgotten with a half-life of 1 h; ten samples of nothing stand against the first. Mids are
//! those of whole seconds: m_10 ten seconds after the one nearest to the news of the fill, m_c one second before it. News of
//! a fill and an order's way take most of a second, so that is about the last mid a cycle could still act on; what the
//! price has walked since then is the fill's doing, what it walked before was ours to follow.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::online::second_grid::SecondGrid;
use crate::types::{SECOND_NS, Side, TimestampNs};

const HORIZON_NS: i64 = 10 * SECOND_NS;
const SPAN_S: usize = 11;
const PRIOR_SAMPLES: f64 = 10.0;
/// Weight kept per second: a half-life of 1 h.
const KEEP: f64 = 0.999_807_477_651_7;

/// A fill whose ten seconds are not over.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Pending {
    due_ns: TimestampNs,
    side: Side,
    /// Adverse move the model had foreseen, bps.
    expected_bps: f64,
}

/// Mean adverse move of our bids' and asks' fills beyond what was foreseen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LearnedAdverseSelection {
    sums: [f64; 2],
    weights: [f64; 2],
    pending: VecDeque<Pending>,
}

impl LearnedAdverseSelection {
    /// An aggressor filled us; `expected_bps` = a₀ term − sgn·μ̂T(10 s).
    pub fn on_fill(&mut self, now_ns: TimestampNs, side: Side, expected_bps: f64) {
        self.pending.push_back(Pending { due_ns: now_ns.saturating_add(HORIZON_NS), side, expected_bps });
    }

    /// A whole second has passed, and the grid holds its mid.
    pub fn on_second(&mut self, now_ns: TimestampNs, grid: &SecondGrid) {
        self.sums = self.sums.map(|sum| sum * KEEP);
        self.weights = self.weights.map(|weight| weight * KEEP);
        // The whole second nearest to the horizon's end, wherever on the clock whole seconds fall.
        let until_ns = now_ns.saturating_add(SECOND_NS / 2);
        while let Some(fill) = self.pending.front().copied().filter(|fill| fill.due_ns < until_ns) {
            self.pending.pop_front();
            if until_ns - fill.due_ns <= SECOND_NS
                && let Some(moved_bps) = grid.return_bps(SPAN_S)
            {
                let place = fill.side.index();
                self.sums[place] += -fill.side.sign() * moved_bps - fill.expected_bps;
                self.weights[place] += 1.0;
            }
        }
    }

    /// Returns across a gap are unknown.
    pub fn forget_pending(&mut self) {
        self.pending.clear();
    }

    /// b_b, b_a, bps, ≥ 0.
    #[must_use]
    pub fn values(&self) -> [f64; 2] {
        [0, 1].map(|place| (self.sums[place] / (self.weights[place] + PRIOR_SAMPLES)).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A grid whose mid stands still but for one move between two seconds.
    fn play(side: Side, fill_ms: i64, move_at: i64, factor: f64, expected_bps: f64) -> [f64; 2] {
        let (mut learned, mut grid) = (LearnedAdverseSelection::default(), SecondGrid::default());
        for second in 0..60 {
            grid.push(if second >= move_at { 100.0 * factor } else { 100.0 });
            if fill_ms / 1000 + 1 == second {
                learned.on_fill(fill_ms * 1_000_000, side, expected_bps);
            }
            learned.on_second(second * SECOND_NS, &grid);
        }
        learned.values()
    }

    // Kills: a flipped sign, swapped sides, a dropped prior.
    #[test]
    fn a_fall_after_our_buy_costs_bids_and_a_rise_after_our_sale_costs_asks() {
        let down = play(Side::Buy, 20_300, 25, 0.999, 0.0);
        assert!((down[0] - 10.0 / 11.0).abs() < 0.02 && down[1] == 0.0, "{down:?}");
        let up = play(Side::Sell, 20_300, 25, 1.001, 0.0);
        assert!((up[1] - 10.0 / 11.0).abs() < 0.02 && up[0] == 0.0, "{up:?}");
        assert_eq!(play(Side::Buy, 20_300, 25, 1.001, 0.0), [0.0, 0.0], "a gain is no cost below zero");
    }

    // Kills: the expected part added instead of taken off.
    #[test]
    fn what_was_foreseen_is_not_charged_twice() {
        let learned = play(Side::Buy, 20_300, 25, 0.999, 10.0);
        assert!(learned[0] < 0.01, "{learned:?}");
    }

    // Kills: m_c at the news itself, or long before it; m_10 at another horizon.
    #[test]
    fn moves_count_from_one_second_before_the_news_to_ten_after() {
        for (move_at, counts) in [(19, false), (20, true), (21, true), (30, true), (31, false)] {
            let learned = play(Side::Buy, 20_300, move_at, 0.999, 0.0);
            assert_eq!(learned[0] > 0.5, counts, "move at second {move_at}: {learned:?}");
        }
    }
}
