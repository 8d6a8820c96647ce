//! Slope of one series on another, forgetting exponentially.

use serde::{Deserialize, Serialize};

/// β = Σw·xy/Σw·xx of paired samples with mean zero, w = keep^(samples since). Returns over seconds have no mean to speak of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RollingBeta {
    keep: f64,
    weight: f64,
    xx: f64,
    xy: f64,
    yy: f64,
}

impl RollingBeta {
    /// Forgets with a time constant of `samples` > 0 samples.
    #[must_use]
    pub fn new(samples: f64) -> Self {
        Self { keep: libm::exp(-1.0 / samples), weight: 0.0, xx: 0.0, xy: 0.0, yy: 0.0 }
    }

    /// Adds a pair; one that is not finite teaches nothing.
    #[inline]
    pub fn add(&mut self, x: f64, y: f64) {
        if !(x.is_finite() && y.is_finite()) {
            return;
        }
        self.weight = self.weight * self.keep + 1.0;
        self.xx = self.xx * self.keep + x * x;
        self.xy = self.xy * self.keep + x * y;
        self.yy = self.yy * self.keep + y * y;
    }

    /// Sum of weights.
    #[must_use]
    pub fn weight(&self) -> f64 {
        self.weight
    }

    /// β; `None` while x has not moved.
    #[must_use]
    pub fn slope(&self) -> Option<f64> {
        (self.xx > 0.0).then(|| self.xy / self.xx)
    }

    /// Share of y's squares that β·x explains, within [0, 1]; 0 while either has not moved.
    #[must_use]
    pub fn explained(&self) -> f64 {
        if self.xx > 0.0 && self.yy > 0.0 { (self.xy * self.xy / (self.xx * self.yy)).min(1.0) } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Kills: x and y exchanged, a weight that does not fade with the products, R² without the square.
    #[test]
    fn slope_is_weighted_least_squares_through_the_origin() {
        let mut beta = RollingBeta::new(50.0);
        assert_eq!(beta.slope(), None);
        let pairs: Vec<(f64, f64)> = (0..200).map(|i| (f64::sin(f64::from(i)), f64::cos(f64::from(3 * i)))).collect();
        for (x, y) in &pairs {
            beta.add(*x, *y);
        }
        let weight = |i: usize| f64::exp(-((199 - i) as f64) / 50.0);
        let sum = |term: fn(f64, f64) -> f64| {
            pairs.iter().enumerate().map(|(i, (x, y))| weight(i) * term(*x, *y)).sum::<f64>()
        };
        let (xx, xy, yy) = (sum(|x, _| x * x), sum(|x, y| x * y), sum(|_, y| y * y));
        assert!((beta.slope().unwrap() - xy / xx).abs() < 1e-12);
        let residual: f64 = pairs.iter().enumerate().map(|(i, (x, y))| weight(i) * (y - xy / xx * x).powi(2)).sum();
        assert!((beta.explained() - (1.0 - residual / yy)).abs() < 1e-12);
    }
}
