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

/// `0x` and the lowercase digits of up to 32 bytes, without an allocation.
pub(crate) struct HexText {
    text: [u8; 66],
    length: usize,
}

impl HexText {
    pub(crate) fn of<const N: usize>(bytes: &[u8; N]) -> Self {
        const { assert!(N <= 32) };
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 66];
        text[..2].copy_from_slice(b"0x");
        for (pair, byte) in text[2..].chunks_exact_mut(2).zip(bytes) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        Self { text, length: 2 + 2 * N }
    }

    pub(crate) fn as_str(&self) -> &str {
        // Digits are ASCII: the empty text is never taken.
        std::str::from_utf8(&self.text[..self.length]).unwrap_or_default()
    }
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
                formatter.write_str(HexText::of(&self.0).as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(HexText::of(&self.0).as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
                serializer.serialize_str(HexText::of(&self.0).as_str())
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
