//! Client order ids and addresses: bytes here, lowercase hexadecimal text in an action.

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::error::{Error, Result};

/// Reads `0x` and exactly 2 × N hexadecimal digits of either case.
pub(crate) fn bytes_from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.strip_prefix("0x")?.as_bytes();
    let mut bytes = [0; N];
    fill_from_hex(digits, &mut bytes).then_some(bytes)
}

/// Fills `bytes` from exactly twice as many hexadecimal digits; false when there are others.
pub(crate) fn fill_from_hex(digits: &[u8], bytes: &mut [u8]) -> bool {
    let value = |digit: u8| char::from(digit).to_digit(16);
    digits.len() == bytes.len() * 2
        && digits.chunks_exact(2).zip(bytes).all(|(pair, byte)| match (value(pair[0]), value(pair[1])) {
            (Some(high), Some(low)) => {
                *byte = (high * 16 + low) as u8;
                true
            }
            _ => false,
        })
}

/// Writes `0x` and the lowercase digits of `bytes`.
pub(crate) fn write_hex(formatter: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    formatter.write_str("0x")?;
    bytes.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
}

macro_rules! hex_text {
    ($(#[$meta:meta])* $name:ident, $length:literal, $field:literal, $expected:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $length]);

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                bytes_from_hex(text).map(Self).ok_or_else(|| Error::input($field, text, $expected))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(formatter, &self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(formatter, &self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
                struct Text;

                impl Visitor<'_> for Text {
                    type Value = $name;

                    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                        formatter.write_str($expected)
                    }

                    fn visit_str<E: serde::de::Error>(self, text: &str) -> std::result::Result<$name, E> {
                        let refuse = |_| E::invalid_value(serde::de::Unexpected::Str(text), &self);
                        text.parse().map_err(refuse)
                    }
                }

                deserializer.deserialize_str(Text)
            }
        }
    };
}

hex_text!(
    /// A client order id of 128 bits.
    Cloid, 16, "cloid", "0x and 32 hexadecimal digits"
);
hex_text!(
    /// An account, agent, vault or builder.
    Address, 20, "address", "0x and 40 hexadecimal digits"
);
