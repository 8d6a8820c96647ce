//! Median of the last N samples.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Rolling median over a fixed number of samples; adding is O(N) in a short contiguous array.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RollingMedian {
    capacity: usize,
    arrival: VecDeque<f64>,
    sorted: Vec<f64>,
}

impl RollingMedian {
    /// Keeps at most `capacity` ≥ 1 samples.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.max(1);
        Self { capacity, arrival: VecDeque::with_capacity(capacity), sorted: Vec::with_capacity(capacity) }
    }

    /// Adds a finite sample, dropping the oldest when full.
    pub fn add(&mut self, sample: f64) {
        if self.arrival.len() == self.capacity
            && let Some(oldest) = self.arrival.pop_front()
        {
            let place = self.sorted.partition_point(|value| *value < oldest);
            self.sorted.remove(place);
        }
        self.arrival.push_back(sample);
        let place = self.sorted.partition_point(|value| *value < sample);
        self.sorted.insert(place, sample);
    }

    /// Lower median; `None` before the first sample.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        self.sorted.get(self.sorted.len().saturating_sub(1) / 2).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_equals_sorting_the_window() {
        let mut median = RollingMedian::new(7);
        let mut window: Vec<f64> = Vec::new();
        for i in 0..200_u32 {
            let sample = f64::from(i.wrapping_mul(2_654_435_761) % 31);
            median.add(sample);
            window.push(sample);
            let mut tail: Vec<f64> = window.iter().rev().take(7).copied().collect();
            tail.sort_by(f64::total_cmp);
            assert_eq!(median.value(), Some(tail[(tail.len() - 1) / 2]));
        }
    }
}
