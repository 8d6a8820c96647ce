//! What was expected of each order, to be held against what came: MODEL.md section 11.

use crate::types::TimestampNs;

const REMEMBERED: usize = 8;
// Cycles closer together than this add nothing: the trail then spans at least 0.8 s, more than news of a fill takes.
const SPACING_NS: i64 = 100_000_000;

/// What a quote cycle expected of one order.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Prediction {
    /// Time of the cycle.
    pub time_ns: TimestampNs,
    /// depth + sgn·μ̂T(10 s) − adverse selection − fee − race, bps: comparable with edge_10.
    pub expected_edge_bps: f64,
    /// P of a fill within the order's expected life.
    pub fill_probability: f64,
}

/// The last predictions of one order. News of a fill comes later than the fill, so the newest is not the one to hold against it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PredictionTrail {
    recent: [Prediction; REMEMBERED],
    count: usize,
}

impl PredictionTrail {
    /// Remembers a cycle's prediction, unless one less than 0.1 s older is remembered.
    pub fn push(&mut self, prediction: Prediction) {
        if self.count > 0 {
            let last = self.recent[(self.count - 1) % REMEMBERED];
            if prediction.time_ns - last.time_ns < SPACING_NS {
                return;
            }
        }
        self.recent[self.count % REMEMBERED] = prediction;
        self.count += 1;
    }

    /// The last prediction made at or before `time_ns`; `None` where all that is remembered is younger.
    #[must_use]
    pub fn before(&self, time_ns: TimestampNs) -> Option<Prediction> {
        let known = self.count.min(REMEMBERED);
        (1..=known)
            .map(|back| self.recent[(self.count - back) % REMEMBERED])
            .find(|prediction| prediction.time_ns <= time_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time_ns: i64) -> Prediction {
        Prediction { time_ns, expected_edge_bps: time_ns as f64, fill_probability: 0.5 }
    }

    // Kills: the newest prediction taken, a trail that is read past its end.
    #[test]
    fn a_fill_is_held_against_the_last_cycle_before_it() {
        let mut trail = PredictionTrail::default();
        assert_eq!(trail.before(i64::MAX), None);
        for cycle in 0..20 {
            trail.push(at(cycle * 250_000_000));
        }
        assert_eq!(trail.before(4_600_000_000), Some(at(4_500_000_000)));
        assert_eq!(trail.before(4_500_000_000), Some(at(4_500_000_000)));
        assert_eq!(trail.before(4_499_999_999), Some(at(4_250_000_000)));
        assert_eq!(trail.before(2_900_000_000), None);
    }

    #[test]
    fn cycles_close_together_do_not_push_the_past_out() {
        let mut trail = PredictionTrail::default();
        for cycle in 0..50 {
            trail.push(at(cycle * 10_000_000));
        }
        assert_eq!(trail.before(450_000_000), Some(at(400_000_000)));
        assert_eq!(trail.before(0), Some(at(0)));
    }
}
