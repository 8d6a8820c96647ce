//! Exact decimal text, as the venue writes it: no trailing zeros, at least one decimal place.

/// `value` counts 10^−digits.
pub(super) fn decimal(value: i128, digits: u32) -> String {
    let scale = 10_u128.pow(digits);
    let size = value.unsigned_abs();
    let sign = if value < 0 { "-" } else { "" };
    let (whole, fraction) = (size / scale, size % scale);
    if fraction == 0 {
        return format!("{sign}{whole}.0");
    }
    let width = digits as usize;
    let mut text = format!("{sign}{whole}.{fraction:0width$}");
    text.truncate(text.trim_end_matches('0').len());
    text
}

/// A float with at most so many decimals, rounded.
pub(super) fn rounded(value: f64, digits: u32) -> String {
    // A float beyond the integers becomes the largest one.
    decimal((value * 10_f64.powi(digits as i32)).round() as i128, digits)
}

/// What a decimal is in units of 10^−digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Units {
    /// So many.
    Whole(i64),
    /// Between two.
    Finer,
    /// More than can be counted.
    TooMany,
}

/// Reads plain decimal text; `None` for anything else.
pub(super) fn units(text: &str, digits: u32) -> Option<Units> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |part: &str| part.bytes().all(|letter| letter.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let digits = digits as usize;
    let kept = &fraction[..fraction.len().min(digits)];
    if fraction[kept.len()..].bytes().any(|letter| letter != b'0') {
        return Some(Units::Finer);
    }
    let padding = std::iter::repeat_n(b'0', digits - kept.len());
    let all = whole.bytes().chain(kept.bytes()).chain(padding);
    let counted = all
        .into_iter()
        .try_fold(0_i64, |sum, letter| sum.checked_mul(10).and_then(|sum| sum.checked_add(i64::from(letter - b'0'))));
    Some(counted.map_or(Units::TooMany, |counted| Units::Whole(sign * counted)))
}
