//! Arbitrage: whatever rests beyond the fair price by more than a margin is hit, as soon as the fair price has been there
//! for a reaction time. This is what fills a quote that the market walks through.

use std::collections::VecDeque;

use hypermm_core::types::{BPS, NS_PER_S, Price, Side, TimestampNs};

use crate::market::agents::grid::Grid;
use crate::market::parameters::MarketParameters;

/// The fair prices of the last reaction time.
#[derive(Clone, Debug)]
pub struct Arbitrage {
    margin: f64,
    reaction_ns: TimestampNs,
    /// Changes of the fair price, oldest first; the first held a reaction time ago.
    seen: VecDeque<(TimestampNs, f64)>,
}

impl Arbitrage {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(parameters: &MarketParameters) -> Self {
        Self {
            margin: parameters.arbitrage_margin_bps / BPS,
            reaction_ns: (parameters.arbitrage_reaction_s * NS_PER_S) as TimestampNs,
            seen: VecDeque::new(),
        }
    }

    /// Sees the fair price at `time_ns`: sides to take with their limits, where the best price of the other side is beyond.
    pub fn advance(
        &mut self,
        time_ns: TimestampNs,
        fair_price: f64,
        grid: &Grid,
        best: [Option<Price>; 2],
        mut take: impl FnMut(Side, Price),
    ) {
        if self.seen.back().is_none_or(|(_, last)| *last != fair_price) {
            self.seen.push_back((time_ns, fair_price));
        }
        while self.seen.get(1).is_some_and(|(since, _)| *since + self.reaction_ns <= time_ns) {
            self.seen.pop_front();
        }
        let (low, high) = self
            .seen
            .iter()
            .fold((fair_price, fair_price), |(low, high), (_, price)| (low.min(*price), high.max(*price)));
        // A taker of its own limit never pays more than the fair price less the margin, now and a reaction time ago.
        let buy = grid.round(grid.units(low * (1.0 - self.margin)), Side::Buy);
        let sell = grid.round(grid.units(high * (1.0 + self.margin)), Side::Sell);
        if best[1].is_some_and(|ask| ask <= buy) {
            take(Side::Buy, buy);
        }
        if best[0].is_some_and(|bid| bid >= sell) {
            take(Side::Sell, sell);
        }
    }
}
