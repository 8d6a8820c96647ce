//! Self-exciting aggressive flow of two sides.
//!
//! λ_s(t) = μ + Σ over events of s: n_self·β·e^{−β(t−t_i)} + Σ over events of the other side: n_cross·β·e^{−β(t−t_i)}. Time here is
//! the flow's own: a regime only makes it run faster or slower, so the same events come in every run of a seed.

use hypermm_core::types::Side;

use crate::market::agents::draws::{Draws, Purpose};
use crate::market::parameters::MarketParameters;

/// One aggressor as drawn, before it meets a book.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AggressorEvent {
    /// When, seconds of the flow's own time.
    pub time_s: f64,
    /// Side.
    pub side: Side,
    /// How far beyond the touch it is willing to go, bps.
    pub reach_bps: f64,
    /// How much it wants, contracts.
    pub size: f64,
    /// Takes all that stands within its reach, if that is more.
    pub is_sweep: bool,
}

/// The point process with its marks.
#[derive(Clone, Debug)]
pub struct Flow {
    times: Draws,
    marks: Draws,
    base: f64,
    own_kick: f64,
    cross_kick: f64,
    decay: f64,
    reach_bps: f64,
    size: f64,
    size_deviation: f64,
    sweep_share: f64,
    /// Excess intensity of buyers and of sellers at `last_s`.
    excess: [f64; 2],
    last_s: f64,
    now_s: f64,
    pending: Option<(f64, Side)>,
}

impl Flow {
    /// The flow at its mean intensity.
    #[must_use]
    pub fn new(parameters: &MarketParameters, seed: u64) -> Self {
        let branching = parameters.self_excitation + parameters.cross_excitation;
        let mean = 0.5 * parameters.event_rate_per_s;
        let decay = parameters.excitation_decay_per_s;
        Self {
            times: Draws::new(seed, Purpose::FlowTimes, 0),
            marks: Draws::new(seed, Purpose::FlowMarks, 0),
            base: mean * (1.0 - branching),
            own_kick: parameters.self_excitation * decay,
            cross_kick: parameters.cross_excitation * decay,
            decay,
            reach_bps: 1.0 / parameters.depth_decay_per_bps,
            size: parameters.event_size,
            size_deviation: parameters.event_size_deviation,
            sweep_share: parameters.sweep_share,
            excess: [mean * branching; 2],
            last_s: 0.0,
            now_s: 0.0,
            pending: None,
        }
    }

    /// Runs `elapsed_s` seconds of its own time and hands over every event in them.
    pub fn advance(&mut self, elapsed_s: f64, mut each: impl FnMut(AggressorEvent)) {
        self.now_s += elapsed_s;
        if self.base <= 0.0 {
            return;
        }
        loop {
            let (time_s, side) = self.pending.take().unwrap_or_else(|| self.next());
            if time_s > self.now_s {
                self.pending = Some((time_s, side));
                return;
            }
            let (reach, size, sweep) =
                (self.marks.exponential(), self.marks.size(self.size_deviation), self.marks.uniform());
            each(AggressorEvent {
                time_s,
                side,
                reach_bps: reach * self.reach_bps,
                size: size * self.size,
                is_sweep: sweep < self.sweep_share,
            });
        }
    }

    /// Ogata's thinning: between events intensity only falls, so the present one bounds it.
    fn next(&mut self) -> (f64, Side) {
        loop {
            let bound = 2.0 * self.base + self.excess[0] + self.excess[1];
            let wait = self.times.exponential() / bound;
            let fade = libm::exp(-self.decay * wait);
            self.last_s += wait;
            self.excess = self.excess.map(|excess| excess * fade);
            let mark = self.times.uniform() * bound;
            let buyers = self.base + self.excess[0];
            let side = if mark < buyers {
                Side::Buy
            } else if mark < buyers + self.base + self.excess[1] {
                Side::Sell
            } else {
                continue;
            };
            self.excess[side.index()] += self.own_kick;
            self.excess[side.opposite().index()] += self.cross_kick;
            return (self.last_s, side);
        }
    }
}
