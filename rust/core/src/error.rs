//! The one error type: what was wrong, with the field, its value, what was expected and how to mend it.

use std::borrow::Cow;

/// Result of every fallible call in this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Everything a caller needs to find and mend a refused input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detail {
    /// Name of the argument, config field or column.
    pub field: Cow<'static, str>,
    /// The refused value as text.
    pub value: String,
    /// What would have been accepted.
    pub expected: Cow<'static, str>,
    /// How to mend it; may be empty.
    pub hint: Cow<'static, str>,
}

impl std::fmt::Display for Detail {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} = {}: expected {}", self.field, self.value, self.expected)?;
        if !self.hint.is_empty() {
            write!(formatter, "; {}", self.hint)?;
        }
        Ok(())
    }
}

/// A refused call. The engine's state is unchanged after any of these.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument is non-finite, out of range, off the grid, of the wrong length or unsorted.
    #[error("{0}")]
    InvalidInput(Box<Detail>),
    /// A configuration field is unknown, out of range or inconsistent with another.
    #[error("{0}")]
    InvalidConfig(Box<Detail>),
    /// Time went backwards.
    #[error("{0}")]
    TimeOrder(Box<Detail>),
    /// Snapshot bytes are damaged, foreign or of another version.
    #[error("{0}")]
    Snapshot(Box<Detail>),
    /// The books of an account do not add up: a bug, never the caller's doing.
    #[error("{0}")]
    Conservation(Box<Detail>),
}

impl Error {
    /// The refused field with its value, expectation and hint.
    #[must_use]
    pub fn detail(&self) -> &Detail {
        match self {
            Self::InvalidInput(detail)
            | Self::InvalidConfig(detail)
            | Self::TimeOrder(detail)
            | Self::Snapshot(detail)
            | Self::Conservation(detail) => detail,
        }
    }

    fn detail_mut(&mut self) -> &mut Detail {
        match self {
            Self::InvalidInput(detail)
            | Self::InvalidConfig(detail)
            | Self::TimeOrder(detail)
            | Self::Snapshot(detail)
            | Self::Conservation(detail) => detail,
        }
    }

    /// The refusal of one row of columns: `price` becomes `prices[3]`. `columns` are pairs of field and column.
    #[cold]
    #[must_use]
    pub fn at_index(mut self, index: usize, columns: &[(&str, &str)]) -> Self {
        let detail = self.detail_mut();
        let column = columns.iter().find(|(field, _)| *field == detail.field).map(|(_, column)| *column);
        let name = column.unwrap_or(&detail.field);
        detail.field = format!("{name}[{index}]").into();
        self
    }

    /// The same refusal with `place` before its hint.
    #[cold]
    #[must_use]
    pub fn at_place(mut self, place: &str) -> Self {
        let detail = self.detail_mut();
        let hint = if detail.hint.is_empty() { place.to_owned() } else { format!("{place}; {}", detail.hint) };
        detail.hint = hint.into();
        self
    }
}

/// A refused value as text.
pub trait Shown {
    /// One short piece of text.
    fn shown(&self) -> String;
}

impl Shown for f64 {
    fn shown(&self) -> String {
        shortest(*self)
    }
}

impl<T: Shown> Shown for &T {
    fn shown(&self) -> String {
        T::shown(self)
    }
}

macro_rules! shown_as_displayed {
    ($($type:ty),*) => { $( impl Shown for $type {
        fn shown(&self) -> String {
            self.to_string()
        }
    } )* };
}

shown_as_displayed!(i8, i32, i64, u8, u16, u32, u64, usize, bool, String, &str);

/// A number in digits, or with an exponent where that is shorter than a long row of digits.
#[cold]
#[must_use]
pub fn shortest(number: f64) -> String {
    const LONG: usize = 10;
    let (plain, scientific) = (number.to_string(), format!("{number:e}"));
    if plain.len() > LONG && scientific.len() < plain.len() { scientific } else { plain }
}

fn detail(
    field: impl Into<Cow<'static, str>>,
    value: impl Shown,
    expected: impl Into<Cow<'static, str>>,
    hint: impl Into<Cow<'static, str>>,
) -> Box<Detail> {
    Box::new(Detail { field: field.into(), value: value.shown(), expected: expected.into(), hint: hint.into() })
}

macro_rules! constructor {
    ($(#[$meta:meta])* $name:ident, $variant:ident) => {
        $(#[$meta])*
        #[cold]
        #[must_use]
        pub fn $name(
            field: impl Into<Cow<'static, str>>,
            value: impl Shown,
            expected: impl Into<Cow<'static, str>>,
            hint: impl Into<Cow<'static, str>>,
        ) -> Error {
            Error::$variant(detail(field, value, expected, hint))
        }
    };
}

constructor!(
    /// Builds [`Error::InvalidInput`].
    invalid_input, InvalidInput
);
constructor!(
    /// Builds [`Error::InvalidConfig`].
    invalid_config, InvalidConfig
);
constructor!(
    /// Builds [`Error::TimeOrder`].
    time_order, TimeOrder
);
constructor!(
    /// Builds [`Error::Snapshot`].
    snapshot_refused, Snapshot
);
constructor!(
    /// Builds [`Error::Conservation`].
    conservation_broken, Conservation
);

/// Refuses a value that is not finite and > 0.
#[inline]
pub fn require_positive(field: &'static str, value: f64) -> Result<()> {
    if value > 0.0 && value < f64::INFINITY {
        Ok(())
    } else {
        Err(invalid_input(field, value, "a finite number above 0", ""))
    }
}

/// Refuses NaN and infinities.
#[inline]
pub fn require_finite(field: &'static str, value: f64) -> Result<()> {
    if value.is_finite() { Ok(()) } else { Err(invalid_input(field, value, "a finite number", "")) }
}
