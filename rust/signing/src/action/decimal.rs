//! Numbers as the venue writes them: at most eight decimals, no trailing zeros, no exponent.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::error::{Error, Result};

/// Decimals the venue keeps.
const PLACES: usize = 8;
const UNITS_PER_ONE: u64 = 100_000_000;
/// Digits before the point that are accepted: more than any price, size or leverage has.
const WHOLE_DIGITS: usize = 19;
/// Distance from eight decimals below which a float counts as that decimal.
const SAME: f64 = 1e-12;

/// A price, size or leverage of 0 or more, exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Decimal {
    whole: u64,
    /// Count of 1e-8, below 1e8.
    fraction: u32,
}

impl Decimal {
    /// The number nearest to `value` with eight decimals.
    ///
    /// # Errors
    ///
    /// `value` is not finite, is below 0, has 1e19 or more, or is 1e-12 or more away from eight decimals: a price
    /// or size that was not rounded.
    pub fn from_f64(field: &'static str, value: f64) -> Result<Self> {
        // Below this, value × 1e8 is within 0.01 of exact, and whatever lies that near to a half is refused anyway.
        const EXACT: f64 = 1e6;
        let refuse = || Error::input(field, &value.to_string(), "a finite number of 0 or more with at most 8 decimals");
        if (0.0..EXACT).contains(&value) {
            let units = (value * UNITS_PER_ONE as f64).round();
            if (units / UNITS_PER_ONE as f64 - value).abs() < SAME {
                let units = units as u64;
                return Ok(Self { whole: units / UNITS_PER_ONE, fraction: (units % UNITS_PER_ONE) as u32 });
            }
            return Err(refuse());
        }
        if !(0.0..1e19).contains(&value) {
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
        let value = |part: &str| part.bytes().fold(0, |sum: u64, digit| sum * 10 + u64::from(digit - b'0'));
        let missing = (PLACES - fraction.len()) as u32;
        Some(Self { whole: value(whole), fraction: value(fraction) as u32 * 10_u32.pow(missing) })
    }
}

/// Most characters a number has: its whole digits, a point and its decimals.
const LONGEST: usize = WHOLE_DIGITS + 1 + PLACES;

impl Decimal {
    /// Writes the number to the end of `text`, from its last digit on, and gives it back.
    fn write<'a>(&self, text: &'a mut [u8; LONGEST]) -> &'a str {
        let mut start = LONGEST;
        let mut push = |byte: u8| {
            start -= 1;
            text[start] = byte;
        };
        let Self { mut whole, mut fraction } = *self;
        if fraction != 0 {
            let mut places = PLACES;
            while fraction % 10 == 0 {
                fraction /= 10;
                places -= 1;
            }
            for _ in 0..places {
                push(b'0' + (fraction % 10) as u8);
                fraction /= 10;
            }
            push(b'.');
        }
        loop {
            push(b'0' + (whole % 10) as u8);
            whole /= 10;
            if whole == 0 {
                break;
            }
        }
        // Digits are ASCII: the empty text is never taken.
        std::str::from_utf8(&text[start..]).unwrap_or_default()
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.write(&mut [0; LONGEST]))
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.write(&mut [0; LONGEST]))
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
