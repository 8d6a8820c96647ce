//! Probability that an order fills within its expected life, MODEL.md section 5.

use crate::error::{Result, invalid_input, require_finite, require_positive};
use crate::state::own_orders::LIFE_CENTERS_BPS;

/// Smallest probability reported.
pub const MIN_PROBABILITY: f64 = 1e-4;

/// P = 1 − (1 − P_through)(1 − P_at·Q), within [1e-4, 1]: P_through = erfc(depth/(σ√(2Δ))), P_at = 1 − exp(−A·e^{−k·max(depth,0)}·Δ).
///
/// `depth_bps` from mid, `volatility` σ_eff bps/√s, `life_s` Δ, `intensity` A 1/s, `depth_decay` k 1/bps, `queue_factor` Q in [0, 1].
///
/// # Errors
/// A number out of range.
pub fn fill_probability(
    depth_bps: f64,
    volatility: f64,
    life_s: f64,
    intensity: f64,
    depth_decay: f64,
    queue_factor: f64,
) -> Result<f64> {
    require_finite("depth_bps", depth_bps)?;
    require_positive("volatility", volatility)?;
    require_positive("life_s", life_s)?;
    require_positive("intensity", intensity)?;
    require_positive("depth_decay", depth_decay)?;
    if !(0.0..=1.0).contains(&queue_factor) {
        return Err(invalid_input("queue_factor", queue_factor, "0 to 1", ""));
    }
    let through = if depth_bps <= 0.0 { 1.0 } else { libm::erfc(depth_bps / (volatility * (2.0 * life_s).sqrt())) };
    let at = -libm::expm1(-intensity * libm::exp(-depth_decay * depth_bps.max(0.0)) * life_s);
    Ok((1.0 - (1.0 - through) * (1.0 - at * queue_factor)).clamp(MIN_PROBABILITY, 1.0))
}

/// Expected life as a function of depth: linear between the bucket centers, flat outside.
#[derive(Clone, Copy, Debug)]
pub struct LifeCurve {
    first_s: f64,
    slopes: [f64; 6],
}

impl LifeCurve {
    /// From the expected lives at the bucket centers.
    #[inline]
    #[must_use]
    pub fn new(lives_s: &[f64; 7]) -> Self {
        let mut slopes = [0.0; 6];
        for (i, slope) in slopes.iter_mut().enumerate() {
            *slope = (lives_s[i + 1] - lives_s[i]) / (LIFE_CENTERS_BPS[i + 1] - LIFE_CENTERS_BPS[i]);
        }
        Self { first_s: lives_s[0], slopes }
    }

    /// Δ at a depth, seconds.
    #[inline(always)]
    #[must_use]
    pub fn at<const FUSED: bool>(&self, depth_bps: f64) -> f64 {
        use crate::online::lanes::{larger, multiply_add, smaller};
        let mut life = self.first_s;
        for i in 0..6 {
            let width = LIFE_CENTERS_BPS[i + 1] - LIFE_CENTERS_BPS[i];
            let inside = smaller(larger(depth_bps - LIFE_CENTERS_BPS[i], 0.0), width);
            life = multiply_add::<FUSED>(self.slopes[i], inside, life);
        }
        life
    }
}
