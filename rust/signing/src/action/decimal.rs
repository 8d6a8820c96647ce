//! Numbers as the venue writes them: at most eight decimals, no trailing zeros, no exponent.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::error::{Error, Result};

/// Decimals the venue keeps.
const PLACES: usize = 8;
const UNITS_PER_ONE: u128 = 100_000_000;
/// Digits before the point that are accepted: more than any price, size or leverage has.
const WHOLE_DIGITS: usize = 20;
/// Distance from eight decimals below which a float counts as that decimal.
const SAME: f64 = 1e-12;

/// A price, size or leverage of 0 or more: an exact count of 1e-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Decimal(u128);

impl Decimal {
    /// The number nearest to `value` with eight decimals.
    ///
    /// # Errors
    ///
    /// `value` is not finite, is below 0, has 1e20 or more, or is 1e-12 or more away from eight decimals: a price
    /// or size that was not rounded.
    pub fn from_f64(field: &'static str, value: f64) -> Result<Self> {
        // Below this, value × 1e8 is within 0.01 of exact, and whatever lies that near to a half is refused anyway.
        const EXACT: f64 = 1e6;
        let refuse = || Error::input(field, &value.to_string(), "a finite number of 0 or more with at most 8 decimals");
        if (0.0..EXACT).contains(&value) {
            let units = (value * UNITS_PER_ONE as f64).round();
            if (units / UNITS_PER_ONE as f64 - value).abs() < SAME {
                return Ok(Self(units as u128));
            }
            return Err(refuse());
        }
        if !(0.0..1e20).contains(&value) {
            return Err(refuse());
        }
        let text = format!("{value:.PLACES$}");
        let rounded: f64 = text.parse().map_err(|_| refuse())?;
        if (rounded - value).abs() < SAME { Self::parse(&text).ok_or_else(refuse) } else { Err(refuse()) }
    }

    /// Reads digits with an optional point and fraction; zeros at either end are dropped.
    fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits_only = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits_only(whole) || !digits_only(fraction) {
            return None;
        }
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        if whole.len() > WHOLE_DIGITS || fraction.len() > PLACES {
            return None;
        }
        let value = |part: &str| part.bytes().fold(0, |sum: u128, digit| sum * 10 + u128::from(digit - b'0'));
        let missing = (PLACES - fraction.len()) as u32;
        Some(Self(value(whole) * UNITS_PER_ONE + value(fraction) * 10_u128.pow(missing)))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / UNITS_PER_ONE, self.0 % UNITS_PER_ONE);
        if fraction == 0 {
            return write!(formatter, "{whole}");
        }
        let (mut fraction, mut places) = (fraction, PLACES);
        while fraction % 10 == 0 {
            fraction /= 10;
            places -= 1;
        }
        write!(formatter, "{whole}.{fraction:0places$}")
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Decimal;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a decimal of 0 or more as text, at most 8 decimals, no exponent")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> std::result::Result<Decimal, E> {
                Decimal::parse(text).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_str(Text).map_err(D::Error::custom)
    }
}
