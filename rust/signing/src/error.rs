//! The one error type: what was wrong, with the field, its value, what was expected and how to mend it.

use std::borrow::Cow;
use std::fmt;

/// Result of every fallible call in this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Which part refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// An action, address, number or signature.
    Input,
    /// The key file, or what a key may be used for.
    Key,
    /// The nonce counter: in use, damaged, not writable, or far from the clock.
    Nonce,
}

/// A refused call. Nothing was signed and no nonce was used up. Never holds any part of a key file's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Which part refused.
    pub kind: Kind,
    /// Name of the argument or file.
    pub field: Cow<'static, str>,
    /// The refused value as text, shortened.
    pub value: String,
    /// What would have been accepted.
    pub expected: Cow<'static, str>,
    /// How to mend it; may be empty.
    pub hint: Cow<'static, str>,
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.hint.is_empty() { "" } else { "; " };
        write!(formatter, "{} = {}: expected {}{separator}{}", self.field, self.value, self.expected, self.hint)
    }
}

impl std::error::Error for Error {}

/// Longest value shown, characters.
const LONGEST: usize = 80;

impl Error {
    #[cold]
    pub(crate) fn new(
        kind: Kind,
        field: &'static str,
        value: String,
        expected: &'static str,
        hint: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { kind, field: field.into(), value, expected: expected.into(), hint: hint.into() }
    }

    /// A refused argument, shown shortened.
    #[cold]
    pub(crate) fn input(field: &'static str, value: &str, expected: impl Into<Cow<'static, str>>) -> Self {
        let value = if value.chars().count() <= LONGEST {
            value.to_owned()
        } else {
            value.chars().take(LONGEST - 3).chain("...".chars()).collect()
        };
        Self { kind: Kind::Input, field: field.into(), value, expected: expected.into(), hint: "".into() }
    }
}
