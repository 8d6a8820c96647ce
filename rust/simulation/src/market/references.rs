//! Prices of other markets beside a recording.

use hypermm_core::error::{Result, invalid_input, require_positive, time_order};
use hypermm_core::types::TimestampNs;

/// Prices of another market, in receive order.
#[derive(Clone, Copy, Debug)]
pub struct ReferenceColumns<'a> {
    /// Name the calibration, or the pipeline's config, knows it under.
    pub name: &'a str,
    /// Receive time, ns.
    pub time_ns: &'a [i64],
    /// Price from then on.
    pub price: &'a [f64],
}

impl ReferenceColumns<'_> {
    /// Checks lengths, order and prices.
    ///
    /// # Errors
    /// Prices that are not one a time or not above 0, times that go back.
    pub fn validate(&self) -> Result<()> {
        let (prices, times) = (self.price.len(), self.time_ns.len());
        if prices != times {
            return Err(invalid_input(
                "price",
                format!("{prices} values"),
                format!("{times}, one a time"),
                self.name.to_owned(),
            ));
        }
        if let Some(row) = self.time_ns.windows(2).position(|pair| pair[1] < pair[0]) {
            let hint = format!("{} row {}; sort the prices by receive time", self.name, row + 1);
            return Err(time_order("time_ns", self.time_ns[row + 1], format!("at least {}", self.time_ns[row]), hint));
        }
        for (row, price) in self.price.iter().enumerate() {
            require_positive("price", *price).map_err(|error| error.at_place(&format!("{} row {row}", self.name)))?;
        }
        Ok(())
    }
}

/// The prices of all other markets in the order they were received.
#[derive(Debug)]
pub(crate) struct References<'a> {
    markets: &'a [ReferenceColumns<'a>],
    next: Vec<usize>,
}

impl<'a> References<'a> {
    pub(crate) fn new(markets: &'a [ReferenceColumns<'a>]) -> Self {
        Self { markets, next: vec![0; markets.len()] }
    }

    /// The next price received by `until_ns`: time, market, price. The earliest of all markets, so that time only goes forwards.
    #[inline]
    pub(crate) fn next(&mut self, until_ns: TimestampNs) -> Option<(TimestampNs, &'a str, f64)> {
        let due = self.markets.iter().zip(&self.next).enumerate().filter_map(|(market, (columns, row))| {
            columns.time_ns.get(*row).filter(|time_ns| **time_ns <= until_ns).map(|time_ns| (*time_ns, market))
        });
        let (time_ns, market) = due.min()?;
        let row = self.next[market];
        self.next[market] += 1;
        Some((time_ns, self.markets[market].name, self.markets[market].price[row]))
    }
}
