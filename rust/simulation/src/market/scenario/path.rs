//! A price path through known points: Brownian bridges between them, free diffusion after the last.
//!
//! Mids are slower than a Brownian motion at short range: on the recordings of 2025-09-04 (BTC, ETH, SOL, WLFI) the
//! deviation per √s at 0.1 s is 0.52–0.70, at 0.5 s 0.60–0.80, at 2 s 0.77–0.92 of that at 10 s. So between knots 5 s apart,
//! which known points are too, only 0.6 of the bridge's departure from the straight line is kept: 0.61, 0.65 and 0.79.

use hypermm_core::types::{BPS, TimestampNs, seconds_between};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

const STEP_S: f64 = 0.1;
const KNOT_STEPS: usize = 50;
const DEPARTURE_KEPT: f64 = 0.6;
const STREAM: u64 = 0x7061_7468;

/// ln price on a grid of 0.1 s.
#[derive(Clone, Debug)]
pub struct BridgedPath {
    start_ns: TimestampNs,
    log_prices: Vec<f64>,
}

impl BridgedPath {
    /// Draws a path of `duration_s` through `known` (seconds after the start, price; the first at 0), with
    /// `volatility` in bps/√s. A draw belongs to its step of the grid.
    pub(crate) fn draw(
        seed: u64,
        start_ns: TimestampNs,
        duration_s: f64,
        known: &[(f64, f64)],
        volatility: f64,
    ) -> Self {
        let steps = (duration_s / STEP_S).ceil() as usize + 1;
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(STREAM);
        let mut log_prices = Vec::with_capacity(steps + 1);
        let mut now = known.first().map_or(0.0, |(_, price)| libm::log(*price));
        let mut next = 1;
        let mut knots = vec![0];
        log_prices.push(now);
        for step in 1..=steps {
            let (before_s, time_s) = ((step - 1) as f64 * STEP_S, step as f64 * STEP_S);
            let normal: f64 = StandardNormal.sample(&mut random);
            while known.get(next).is_some_and(|(at_s, _)| *at_s <= before_s) {
                next += 1;
            }
            let diffusion = volatility / BPS;
            now = match known.get(next) {
                // A point inside the step: it is met at the step's end, less than a block late.
                Some((at_s, price)) if *at_s <= time_s => {
                    knots.push(step);
                    libm::log(*price)
                }
                Some((at_s, price)) => {
                    let left_s = at_s - before_s;
                    let share = STEP_S / left_s;
                    now + (libm::log(*price) - now) * share + diffusion * (STEP_S * (1.0 - share)).sqrt() * normal
                }
                None => now + diffusion * STEP_S.sqrt() * normal,
            };
            log_prices.push(now);
            if knots.last().is_some_and(|last| step - last >= KNOT_STEPS) || step == steps {
                knots.push(step);
            }
        }
        calm_between(&knots, &mut log_prices);
        Self { start_ns, log_prices }
    }

    /// Price at a time, linear in ln between grid points; the ends hold outside.
    #[must_use]
    pub fn price(&self, time_ns: TimestampNs) -> f64 {
        let position = (seconds_between(self.start_ns, time_ns) / STEP_S).max(0.0);
        let place = (position as usize).min(self.log_prices.len() - 1);
        let next = (place + 1).min(self.log_prices.len() - 1);
        let (from, to) = (self.log_prices[place], self.log_prices[next]);
        libm::exp(from + (to - from) * (position - place as f64).clamp(0.0, 1.0))
    }
}

/// Draws values between knots nearer to the straight line between these.
fn calm_between(knots: &[usize], values: &mut [f64]) {
    for pair in knots.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        let (first, last) = (values[from], values[to]);
        for (place, value) in values[from..to].iter_mut().enumerate() {
            let line = first + (last - first) * place as f64 / (to - from) as f64;
            *value = line + DEPARTURE_KEPT * (*value - line);
        }
    }
}
