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

/// A refused call. Nothing was signed and no nonce was used up. Never holds any part of a key file's content,
/// nor an argument that looks like a key.
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
/// What stands in place of a text that may hold a key.
pub(crate) const NOT_SHOWN: &str = "(not shown: it looks like a key)";
/// Hexadecimal digits in a row that are more than an address has: 40.
const DIGITS_OF_A_KEY: usize = 48;
/// Words in a row of a recovery phrase, and how many letters each has.
pub(crate) const WORDS_OF_A_PHRASE: usize = 12;
const LETTERS_OF_A_WORD: std::ops::RangeInclusive<usize> = 3..=8;

/// The text, unless someone put a private key or a recovery phrase where something else belongs. Hashes are as long
/// as keys and are not shown either. To be asked before a text is shortened, which would leave part of a key.
#[must_use]
pub fn redacted(text: &str) -> &str {
    let digits = text.split(|letter: char| !letter.is_ascii_hexdigit()).map(str::len).max().unwrap_or_default();
    let (mut words, mut longest) = (0, 0);
    for word in text.split([' ', '\t', '\r', '\n', ',']).filter(|word| !word.is_empty()) {
        let word = word.trim_matches(['"', '\'', '`', '(', ')', '[', ']']);
        let is_of_a_phrase = LETTERS_OF_A_WORD.contains(&word.chars().count()) && word.chars().all(char::is_alphabetic);
        words = if is_of_a_phrase { words + 1 } else { 0 };
        longest = longest.max(words);
    }
    if digits >= DIGITS_OF_A_KEY || longest >= WORDS_OF_A_PHRASE { NOT_SHOWN } else { text }
}

fn redacted_cow(text: Cow<'static, str>) -> Cow<'static, str> {
    match text {
        // Written in this program.
        Cow::Borrowed(_) => text,
        Cow::Owned(text) => redacted(&text).to_owned().into(),
    }
}

impl Error {
    #[cold]
    pub(crate) fn new(
        kind: Kind,
        field: &'static str,
        value: String,
        expected: &'static str,
        hint: impl Into<Cow<'static, str>>,
    ) -> Self {
        let (value, hint) = (redacted(&value).to_owned(), redacted_cow(hint.into()));
        Self { kind, field: field.into(), value, expected: expected.into(), hint }
    }

    /// A refused argument, shown shortened.
    #[cold]
    pub(crate) fn input(field: &'static str, value: &str, expected: impl Into<Cow<'static, str>>) -> Self {
        let value = redacted(value);
        let value = if value.chars().count() <= LONGEST {
            value.to_owned()
        } else {
            value.chars().take(LONGEST - 3).chain("...".chars()).collect()
        };
        let expected = redacted_cow(expected.into());
        Self { kind: Kind::Input, field: field.into(), value, expected, hint: "".into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Kills: a key shown because something stands before or after it, a phrase with capitals or commas, a key cut
    // short instead of left out, a text of the decoder passed on; and an address or a sentence taken for a key.
    #[test]
    fn a_key_in_place_of_an_argument_is_not_shown() {
        let key = "5a".repeat(32);
        let phrase = "Legal, winner thank year wave sausage worth useful legal winner thank yellow";
        for secret in [key.clone(), format!("0x{key}"), format!("{:<20}{key}", "account"), phrase.to_owned()] {
            for error in [
                Error::input("address", &secret, "0x and 40 hexadecimal digits"),
                Error::input("action", "x", format!("an action (invalid value: string \"{secret}\")")),
                Error::new(Kind::Key, "key file", secret.clone(), "a file", format!("chmod 600 {secret}")),
            ] {
                let told = format!("{error} {error:?}");
                assert!(!told.contains("5a5a") && !told.contains("sausage"), "{told}");
            }
        }
        let plain = "nobody knows 0x14791697260e4c9a71f18484c9f997b308e59325, which was never funded here: deposit to \
                     it, or check the address and the network, which is another";
        assert_eq!(redacted(plain), plain);
    }
}
