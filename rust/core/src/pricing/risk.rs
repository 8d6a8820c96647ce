//! One convex potential of inventory and one horizon, MODEL.md section 3.

use crate::error::{Result, invalid_input, require_positive};
use crate::online::lanes::{CUBIC_ITERATIONS, CUBIC_ITERATIONS_FAR, CUBIC_NEAR, cubic_root, exp};

// Below this curvature the inverse is the straight line to 1e-12.
const FLAT: f64 = 1e-12;

/// R(x) = a·x·(1 + βx²), bps, for the inventory fraction x = q/q_max; a = N·γ₀·v(τ)·s_a.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InventoryRisk {
    slope_at_zero: f64,
    curvature: f64,
}

/// γ₀ and β with the state of the market folded in.
impl InventoryRisk {
    /// `risk_aversion` γ₀ per clip·bp, `inventory_curvature` β ≥ 0, `clips` N = q_max/clip, `displacement_variance` v(τ) in bps²,
    /// `validity_factor` s_a ≥ 1.
    ///
    /// # Errors
    /// [`crate::error::Error::InvalidInput`] for a number out of range.
    pub fn new(
        risk_aversion: f64,
        inventory_curvature: f64,
        clips: f64,
        displacement_variance: f64,
        validity_factor: f64,
    ) -> Result<Self> {
        require_positive("risk_aversion", risk_aversion)?;
        require_positive("clips", clips)?;
        require_positive("validity_factor", validity_factor)?;
        if !(inventory_curvature >= 0.0 && inventory_curvature.is_finite()) {
            return Err(invalid_input("inventory_curvature", inventory_curvature, "a finite number ≥ 0", ""));
        }
        if !(displacement_variance >= 0.0 && displacement_variance.is_finite()) {
            return Err(invalid_input("displacement_variance", displacement_variance, "a finite number ≥ 0, bps²", ""));
        }
        Ok(Self::from_parts(clips * risk_aversion * displacement_variance * validity_factor, inventory_curvature))
    }

    /// From a, bps, and β, both ≥ 0 and finite.
    #[inline]
    #[must_use]
    pub(crate) fn from_parts(slope_at_zero: f64, curvature: f64) -> Self {
        Self { slope_at_zero, curvature }
    }

    /// Adds a straight part (H1's cost of unwinding before a settlement): R = (a + b)x + aβx³.
    #[inline]
    #[must_use]
    pub fn with_terminal(self, straight_bps: f64) -> Self {
        let slope_at_zero = self.slope_at_zero + straight_bps;
        if slope_at_zero <= 0.0 {
            return self;
        }
        Self { slope_at_zero, curvature: self.slope_at_zero * self.curvature / slope_at_zero }
    }

    /// R(x), bps: the price of holding one contract more at inventory fraction x.
    #[inline]
    #[must_use]
    pub fn penalty(&self, x: f64) -> f64 {
        self.slope_at_zero * x * (1.0 + self.curvature * x * x)
    }

    /// R′(x), bps per unit of x.
    #[inline]
    #[must_use]
    pub fn slope(&self, x: f64) -> f64 {
        self.slope_at_zero * (1.0 + 3.0 * self.curvature * x * x)
    }

    /// Φ(x) = ∫₀ˣ R, bps.
    #[inline]
    #[must_use]
    pub fn potential(&self, x: f64) -> f64 {
        let square = x * x;
        self.slope_at_zero * square * (0.5 + 0.25 * self.curvature * square)
    }

    /// R⁻¹(m), the inventory fraction whose penalty is m bps: 2/√(3β)·sinh(asinh(1.5√(3β)·m/a)/3). ±∞ when R is zero everywhere.
    #[must_use]
    pub fn inverse(&self, margin_bps: f64) -> f64 {
        if self.slope_at_zero <= 0.0 {
            return if margin_bps == 0.0 { 0.0 } else { f64::INFINITY.copysign(margin_bps) };
        }
        let y = margin_bps / self.slope_at_zero;
        if self.curvature < FLAT {
            return y;
        }
        let root = (3.0 * self.curvature).sqrt();
        let w = 1.5 * root * y;
        // sinh(asinh(w)/3) loses its last digits to the closed form's own rounding; one Newton step on 4u³ + 3u = w gives them back.
        let mut u = libm::sinh(libm::asinh(w) / 3.0);
        u -= ((4.0 * u * u + 3.0) * u - w) / (12.0 * u * u + 3.0);
        2.0 / root * u
    }

    /// R⁻¹ clamped to [−1, 1]: m ≥ R(1) gives 1, m ≤ −R(1) gives −1, also where R(1) = 0 (sign of m).
    #[inline]
    #[must_use]
    pub fn clamped_inverse(&self, margin_bps: f64) -> f64 {
        let full = self.penalty(1.0);
        if margin_bps == 0.0 {
            0.0
        } else if margin_bps >= full {
            1.0
        } else if margin_bps <= -full {
            -1.0
        } else {
            self.inverse(margin_bps).clamp(-1.0, 1.0)
        }
    }

    /// [`InventoryRisk::clamped_inverse`] without the closed form's transcendental functions, equal to 1e-12.
    #[inline]
    #[must_use]
    pub(crate) fn fast_clamped_inverse(&self, margin_bps: f64) -> f64 {
        let lanes = self.lanes();
        if margin_bps.abs() >= lanes.full {
            return if margin_bps == 0.0 { 0.0 } else { margin_bps.signum() };
        }
        let w = lanes.inner * margin_bps;
        let root = if lanes.inner * lanes.full <= CUBIC_NEAR {
            cubic_root::<CUBIC_ITERATIONS, false>(w)
        } else {
            cubic_root::<CUBIC_ITERATIONS_FAR, false>(w)
        };
        lanes.outer * root
    }

    /// The inverse prepared for lanes.
    #[inline]
    #[must_use]
    pub(crate) fn lanes(&self) -> InverseLanes {
        let full = self.penalty(1.0);
        // A flat or tiny penalty is inverted with the smallest curvature and slope that divide safely; its clamp does the rest.
        let root = (3.0 * self.curvature.max(FLAT)).sqrt();
        let slope = self.slope_at_zero.max(1e-300);
        InverseLanes { full, inner: 1.5 * root / slope, outer: 2.0 / root }
    }
}

/// Constants of the clamped inverse: x = outer·u, 4u³ + 3u = inner·m.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InverseLanes {
    /// R(1).
    pub(crate) full: f64,
    /// 1.5√(3β)/a.
    pub(crate) inner: f64,
    /// 2/√(3β).
    pub(crate) outer: f64,
}

/// (1 + γ₀/k)^{1 + k/γ₀}, GLFT's constant, from the half-spread (1/γ₀)ln(1 + γ₀/k) at the same k.
#[inline]
#[must_use]
pub fn glft_power(depth_decay: f64, risk_aversion: f64, half_spread_bps: f64) -> f64 {
    exp((risk_aversion + depth_decay) * half_spread_bps)
}

/// τ = clamp((1/σ)·√((1 + γ₀/k)^{1 + k/γ₀}/(2kLγ₀)), minimum, maximum), seconds; k = (k_b + k_a)/2, L = √(A_b·A_a), `power` of
/// [`glft_power`].
///
/// GLFT's own horizon: with it γ₀σ²τ is exactly their skew per clip.
#[inline]
#[must_use]
pub fn horizon(
    volatility: f64,
    depth_decay: f64,
    intensity: f64,
    risk_aversion: f64,
    power: f64,
    minimum_s: f64,
    maximum_s: f64,
) -> f64 {
    let raw = (power / (2.0 * depth_decay * intensity * risk_aversion)).sqrt() / volatility;
    raw.clamp(minimum_s, maximum_s)
}

/// a = ½kγ₀σ²/(L(1 + γ₀/k)^{−(1 + k/γ₀)}) and s_a = 1 + (√a/6)·clip((0.6 − a)/0.3, 0, 1): where the closed form holds (a ≤ 0.2
/// within 2 %).
#[inline]
#[must_use]
pub fn validity(volatility: f64, depth_decay: f64, intensity: f64, risk_aversion: f64, power: f64) -> (f64, f64) {
    let a = 0.5 * depth_decay * risk_aversion * volatility * volatility * power / intensity;
    (a, 1.0 + a.sqrt() / 6.0 * ((0.6 - a) / 0.3).clamp(0.0, 1.0))
}
