//! What the tape shows: imbalance of aggressor events in count and volume, sweeps, and shifts of their size; MODEL.md section 7.
//!
//! Pairs are (buys, sells) of the aggressor.

use serde::{Deserialize, Serialize};

use crate::online::decayed::{DecayedMoments, DecayedPair};
use crate::online::lanes::{exp, larger};
use crate::state::tape::{AggressorEvent, TapeChange};
use crate::types::{Side, TimestampNs, seconds_between};

/// Windows of the directional flow, seconds.
pub const FLOW_WINDOWS_S: [f64; 4] = [5.0, 30.0, 120.0, 300.0];
/// Events a side that a window's prior weighs.
pub const WINDOW_PRIOR_EVENTS: f64 = 4.0;
const MEAN_SIZE_S: f64 = 3600.0;
const RECENT_SIZE_S: f64 = 30.0;
// Fewer sizes than this have no deviation to speak of.
const MIN_SIZES: f64 = 10.0;
const MIN_SIZE_DEVIATION: f64 = 1e-9;

/// Exponentially weighted events and contracts by aggressor over each window, on one clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FlowImbalance {
    // Of each window: events that bought, events that sold, contracts bought, contracts sold.
    sums: [[f64; 4]; FLOW_WINDOWS_S.len()],
    last_ns: Option<TimestampNs>,
    // Contracts and events of an hour; their ratio is the mean size.
    size: DecayedPair,
}

impl Default for FlowImbalance {
    fn default() -> Self {
        Self { sums: [[0.0; 4]; FLOW_WINDOWS_S.len()], last_ns: None, size: DecayedPair::new(MEAN_SIZE_S) }
    }
}

/// Imbalances of one window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FlowReading {
    /// (n_buy − n_sell)/(8 + n_buy + n_sell) of aggressor events: minus the imbalance of section 2's rates.
    pub count: f64,
    /// n_buy + n_sell.
    pub events: f64,
    /// The same of contracts, the prior's events having the mean size of the last hour; 0 before the first.
    pub volume: f64,
}

impl FlowImbalance {
    /// One print of `size` contracts, which began an event or joined one.
    #[inline]
    pub fn update(&mut self, now_ns: TimestampNs, aggressor: Side, size: f64, begun: bool) {
        let event = f64::from(u8::from(begun));
        let side = aggressor.index();
        let fades = self.fades(now_ns);
        for (sums, fade) in self.sums.iter_mut().zip(fades) {
            for sum in sums.iter_mut() {
                *sum *= fade;
            }
            sums[side] += event;
            sums[2 + side] += size;
        }
        self.last_ns = Some(self.last_ns.map_or(now_ns, |last| last.max(now_ns)));
        self.size.add_both(now_ns, [size, event]);
    }

    /// Every window as of `now_ns`.
    #[inline]
    #[must_use]
    pub fn readings(&self, now_ns: TimestampNs) -> [FlowReading; FLOW_WINDOWS_S.len()] {
        let prior = 2.0 * WINDOW_PRIOR_EVENTS;
        let volume_prior = prior * self.size.ratio().unwrap_or(1.0);
        let mut readings = [FlowReading::default(); FLOW_WINDOWS_S.len()];
        for ((reading, sums), fade) in readings.iter_mut().zip(&self.sums).zip(self.fades(now_ns)) {
            let [buys, sells, bought, sold] = [sums[0] * fade, sums[1] * fade, sums[2] * fade, sums[3] * fade];
            *reading = FlowReading {
                count: (buys - sells) / (prior + buys + sells),
                events: buys + sells,
                volume: (bought - sold) / (volume_prior + bought + sold),
            };
        }
        readings
    }

    /// e^{−elapsed/T} of each window, in lanes.
    #[inline]
    fn fades(&self, now_ns: TimestampNs) -> [f64; FLOW_WINDOWS_S.len()] {
        let elapsed_s = self.last_ns.map_or(0.0, |last| larger(seconds_between(last, now_ns), 0.0));
        let mut fades = [0.0; FLOW_WINDOWS_S.len()];
        for (fade, window_s) in fades.iter_mut().zip(FLOW_WINDOWS_S) {
            *fade = exp(-elapsed_s / window_s);
        }
        fades
    }
}

/// The event a side is at: what it has counted for so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct SweepUnderWay {
    worst_units: i64,
    levels: f64,
    score: f64,
}

/// Σ size × levels of aggressor events by side, fading with τ_sweep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweepScore {
    scores: DecayedPair,
    under_way: [SweepUnderWay; 2],
}

impl SweepScore {
    /// τ_sweep > 0, seconds.
    #[must_use]
    pub fn new(time_constant_s: f64) -> Self {
        Self { scores: DecayedPair::new(time_constant_s), under_way: [SweepUnderWay::default(); 2] }
    }

    /// A print began or joined `event`. Levels are the distinct prices it reached, each worse than the last.
    #[inline]
    pub fn update(&mut self, now_ns: TimestampNs, event: &AggressorEvent, begun: bool) {
        let side = event.side.index();
        let before = if begun { SweepUnderWay::default() } else { self.under_way[side] };
        let further = begun || event.worst_units != before.worst_units;
        let levels = before.levels + f64::from(u8::from(further));
        let score = event.size * levels;
        self.scores.add(now_ns, side, score - before.score);
        self.under_way[side] = SweepUnderWay { worst_units: event.worst_units, levels, score };
    }

    /// Score of buys less score of sells, contracts × levels.
    #[must_use]
    pub fn value(&self, now_ns: TimestampNs) -> f64 {
        let ([buys, sells], _) = self.scores.at(now_ns);
        buys - sells
    }
}

/// How far the mean log size of the last half minute stands from that of the last hour, in deviations of a single size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SizeShift {
    recent: DecayedMoments,
    usual: DecayedMoments,
    // Begun, and maybe not complete: it enters the moments when the next one begins.
    last: Option<(TimestampNs, f64)>,
}

impl Default for SizeShift {
    fn default() -> Self {
        Self { recent: DecayedMoments::new(RECENT_SIZE_S), usual: DecayedMoments::new(MEAN_SIZE_S), last: None }
    }
}

impl SizeShift {
    /// A print of the tape began or joined `event`.
    #[inline]
    pub fn on_print(&mut self, now_ns: TimestampNs, event: &AggressorEvent, change: TapeChange) {
        match (change, &mut self.last) {
            (TapeChange::Joined, Some((_, size))) => *size = event.size,
            _ => self.begin(now_ns, event.size),
        }
    }

    /// A new event of `size` contracts so far.
    pub fn begin(&mut self, now_ns: TimestampNs, size: f64) {
        self.settle();
        self.last = Some((now_ns, size));
    }

    /// When the last event began.
    #[must_use]
    pub fn last_ns(&self) -> Option<TimestampNs> {
        self.last.map(|(time_ns, _)| time_ns)
    }

    /// True once enough sizes were seen to know their deviation.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.usual.weight() >= MIN_SIZES
    }

    /// (mean of recent ln sizes − mean of usual ones)/deviation of usual ones; `None` while all are of one size.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        let mut settled = self.clone();
        settled.settle();
        let deviation = settled.usual.deviation();
        (deviation > MIN_SIZE_DEVIATION).then(|| (settled.recent.mean() - settled.usual.mean()) / deviation)
    }

    fn settle(&mut self) {
        if let Some((time_ns, size)) = self.last {
            let size = libm::log(size);
            self.recent.add(time_ns, size);
            self.usual.add(time_ns, size);
        }
    }
}
