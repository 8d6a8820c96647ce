//! Instrument facts and the venue's price grid, in exact integers.
//!
//! A price is valid when it is an integer, or has at most 5 significant figures and at most
//! 6 − size_decimals decimal places. Every valid price is a multiple of one unit, 10^−(6 − size_decimals); the
//! increment at a price of `d` digits in units is 10^(d − 5), at least one unit and at most 1.0.

use serde::{Deserialize, Serialize};

use crate::error::{Result, invalid_input};
use crate::online::lanes::{SNAP_TOLERANCE, floor, floor_snapped, nearest, to_integer};
use crate::types::{Lots, Price, Side};

const SIGNIFICANT_FIGURES: u32 = 5;
const MAX_DECIMALS: u32 = 6;
// A larger minimum could not be counted in lots at the lowest price.
const MAX_NOTIONAL: f64 = 1e9;
// Rounding by addition is exact below 2^51.
/// Largest price or size in units.
pub const MAX_UNITS: f64 = 2_251_799_813_685_247.0;

/// The decade of prices that shares one increment: `low..high` in units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decade {
    /// First price of the decade, units.
    pub low: f64,
    /// First price past the decade, units.
    pub high: f64,
    /// Distance of neighboring valid prices, units.
    pub increment: f64,
}

/// Facts of one perpetual contract, as the venue publishes them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Instrument {
    coin: String,
    size_decimals: u32,
    max_leverage: u32,
    min_notional: f64,
    funding_interval_s: f64,
}

impl Instrument {
    /// `size_decimals` 0–6, `max_leverage` ≥ 1, `min_notional` USD 0 to 1e9, `funding_interval_s` 1 to 1e9.
    ///
    /// # Errors
    /// [`crate::error::Error::InvalidInput`] for an empty coin or a number out of range.
    pub fn new(
        coin: &str,
        size_decimals: u32,
        max_leverage: u32,
        min_notional: f64,
        funding_interval_s: f64,
    ) -> Result<Self> {
        if coin.is_empty() || coin.chars().any(char::is_whitespace) {
            return Err(invalid_input("coin", format!("{coin:?}"), "a venue symbol such as ETH or dex:COIN", ""));
        }
        if size_decimals > MAX_DECIMALS {
            return Err(invalid_input("size_decimals", size_decimals, "0 to 6", "the venue's szDecimals"));
        }
        if max_leverage == 0 {
            return Err(invalid_input("max_leverage", max_leverage, "1 or more", ""));
        }
        if !(0.0..=MAX_NOTIONAL).contains(&min_notional) {
            return Err(invalid_input("min_notional", min_notional, "0 to 1e9 USD", ""));
        }
        if !(1.0..=1e9).contains(&funding_interval_s) {
            return Err(invalid_input("funding_interval_s", funding_interval_s, "1 to 1e9 seconds", ""));
        }
        Ok(Self { coin: coin.to_owned(), size_decimals, max_leverage, min_notional, funding_interval_s })
    }

    /// Venue symbol.
    #[must_use]
    pub fn coin(&self) -> &str {
        &self.coin
    }

    /// Decimal places of a size.
    #[must_use]
    pub fn size_decimals(&self) -> u32 {
        self.size_decimals
    }

    /// Largest leverage the venue grants.
    #[must_use]
    pub fn max_leverage(&self) -> u32 {
        self.max_leverage
    }

    /// Smallest order value, USD.
    #[must_use]
    pub fn min_notional(&self) -> f64 {
        self.min_notional
    }

    /// Seconds between funding settlements.
    #[must_use]
    pub fn funding_interval_s(&self) -> f64 {
        self.funding_interval_s
    }

    /// Price units in 1.0 of quote currency.
    #[inline]
    #[must_use]
    pub fn price_scale(&self) -> f64 {
        POWERS[(MAX_DECIMALS - self.size_decimals) as usize] as f64
    }

    /// Lots in one contract.
    #[inline]
    #[must_use]
    pub fn size_scale(&self) -> f64 {
        POWERS[self.size_decimals as usize] as f64
    }

    /// The decade that holds a positive price given in units.
    #[inline]
    #[must_use]
    pub fn decade(&self, units: f64) -> Decade {
        let scale = POWERS[(MAX_DECIMALS - self.size_decimals) as usize];
        let five = POWERS[SIGNIFICANT_FIGURES as usize];
        if units < five as f64 {
            return Decade { low: 0.0, high: five as f64, increment: 1.0 };
        }
        let mut increment = 1;
        while increment < scale && units >= (increment * five) as f64 {
            increment *= 10;
        }
        // The loop leaves the increment of the decade `units` stands in, capped at 1.0 of quote currency.
        let high = if increment >= scale { f64::INFINITY } else { (increment * five) as f64 };
        let low = (increment * five / 10) as f64;
        Decade { low, high, increment: increment as f64 }
    }

    /// Distance between neighboring valid prices at `price`, quote currency.
    ///
    /// # Errors
    /// [`crate::error::Error::InvalidInput`] when the price is not finite and positive.
    pub fn price_increment_at(&self, price: f64) -> Result<f64> {
        let units = self.units_in_domain("price", price)?;
        Ok(self.decade(snap(units)).increment / self.price_scale())
    }

    /// The nearest valid price that is not worse for us: down for a buy, up for a sell.
    ///
    /// # Errors
    /// [`crate::error::Error::InvalidInput`] when the price is out of domain, or a buy rounds to zero.
    pub fn round_price(&self, price: f64, side: Side) -> Result<f64> {
        let units = self.units_in_domain("price", price)?;
        let rounded = self.round_units(units, side);
        if rounded <= 0.0 {
            return Err(invalid_input("price", price, "at least one price increment", ""));
        }
        Ok(rounded / self.price_scale())
    }

    /// Rounds a positive price in units to the grid: down for a buy, up for a sell, snapping within 1e-9.
    #[inline]
    #[must_use]
    pub fn round_units(&self, units: f64, side: Side) -> f64 {
        round_in_decade(units, self.decade(snap(units)), side)
    }

    /// The exact price of a float that stands on the grid.
    ///
    /// # Errors
    /// [`crate::error::Error::InvalidInput`] when it is not finite, not positive or off the grid.
    #[inline]
    pub fn price_from_f64(&self, field: &'static str, price: f64) -> Result<Price> {
        let units = self.units_in_domain(field, price)?;
        let increment = self.decade(snap(units)).increment;
        let steps = units / increment;
        let whole = nearest(steps);
        if (steps - whole).abs() > SNAP_TOLERANCE * steps || whole <= 0.0 {
            return Err(self.off_grid(field, price));
        }
        Ok(Price((whole * increment) as i64))
    }

    /// The float nearest to an exact price.
    #[inline]
    #[must_use]
    pub fn price_to_f64(&self, price: Price) -> f64 {
        price.0 as f64 / self.price_scale()
    }

    /// Size rounded down to whole lots, contracts.
    ///
    /// # Errors
    /// [`crate::error::Error::InvalidInput`] when it is negative, not finite or beyond 2^53 lots.
    pub fn round_size(&self, size: f64) -> Result<f64> {
        if !(size >= 0.0 && size * self.size_scale() <= MAX_UNITS) {
            return Err(invalid_input("size", size, "a finite number ≥ 0", ""));
        }
        Ok(self.floor_lots(size).0 as f64 / self.size_scale())
    }

    /// Whole lots in a non-negative size; a float within 1e-9 of a lot is that lot.
    #[inline]
    #[must_use]
    pub fn floor_lots(&self, size: f64) -> Lots {
        Lots(to_integer(floor_snapped(size * self.size_scale())))
    }

    /// The exact signed size of a float that is a whole number of lots.
    ///
    /// # Errors
    /// [`crate::error::Error::InvalidInput`] when it is not finite or not a whole number of lots.
    pub fn lots_from_f64(&self, field: &'static str, size: f64) -> Result<Lots> {
        let lots = size * self.size_scale();
        let whole = nearest(lots);
        if !(lots.abs() <= MAX_UNITS && (lots - whole).abs() <= SNAP_TOLERANCE * lots.abs().max(1.0)) {
            return Err(invalid_input(
                field,
                size,
                format!("a multiple of {} contracts", 1.0 / self.size_scale()),
                "round with instrument.round_size",
            ));
        }
        Ok(Lots(whole as i64))
    }

    /// The float nearest to a number of lots, contracts.
    #[inline]
    #[must_use]
    pub fn lots_to_f64(&self, lots: Lots) -> f64 {
        lots.0 as f64 / self.size_scale()
    }

    #[inline]
    fn units_in_domain(&self, field: &'static str, price: f64) -> Result<f64> {
        let units = price * self.price_scale();
        if units > 0.0 && units <= MAX_UNITS {
            Ok(units)
        } else {
            Err(invalid_input(field, price, "a finite price above 0", ""))
        }
    }

    #[cold]
    fn off_grid(&self, field: &'static str, price: f64) -> crate::error::Error {
        let increment = self.price_increment_at(price).unwrap_or(1.0);
        invalid_input(
            field,
            price,
            format!(
                "a valid {} price: an integer, or at most 5 significant figures and {} decimals (increment {increment} here)",
                self.coin,
                MAX_DECIMALS - self.size_decimals
            ),
            "round with instrument.round_price",
        )
    }
}

const POWERS: [i64; 7] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000];

#[inline]
fn snap(units: f64) -> f64 {
    let whole = nearest(units);
    if (units - whole).abs() <= SNAP_TOLERANCE * units { whole } else { units }
}

/// Rounds `units` to the grid of `decade`: down for a buy, up for a sell, snapping within 1e-9 relative.
#[inline]
#[must_use]
pub fn round_in_decade(units: f64, decade: Decade, side: Side) -> f64 {
    let steps = units / decade.increment;
    let whole = nearest(steps);
    let whole = if (steps - whole).abs() <= SNAP_TOLERANCE * steps {
        whole
    } else if side == Side::Buy {
        floor(steps)
    } else {
        floor(steps) + 1.0
    };
    whole * decade.increment
}
