//! From a value's text to a value. Each is pure and returns `None` for text that is not one.

use crate::duration::parse_duration;
use crate::option::{Kind, Opt};

/// A truth value in any spelling of Go's `strconv.ParseBool`, which runc's callers rely on.
#[must_use]
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// A whole number: decimal, or after `0x`, `0o` or `0b`, with an optional sign. Unlike in Go, a leading zero is
/// not octal: nobody who writes 010 for an amount means 8.
#[must_use]
pub fn parse_number(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (radix, digits) = match digits.get(..2) {
        Some("0x" | "0X") => (16, digits.get(2..)?),
        Some("0o" | "0O") => (8, digits.get(2..)?),
        Some("0b" | "0B") => (2, digits.get(2..)?),
        _ => (10, digits),
    };
    if digits.is_empty() || digits.starts_with(['+', '-']) {
        return None;
    }
    let magnitude = i128::from(u64::from_str_radix(digits, radix).ok()?);
    i64::try_from(if sign.is_empty() { magnitude } else { -magnitude }).ok()
}

/// An amount of bytes, as docker's `units.RAMInBytes` reads it: a number, perhaps with a fraction, and a suffix k,
/// m, g, t or p (in either case, also as `kb` or `kib`) for powers of 1024. `-1` means no limit.
#[must_use]
pub fn parse_size(text: &str) -> Option<i64> {
    if text == "-1" {
        return Some(-1);
    }
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at_checked(end)?;
    let unit = parse_unit(suffix.strip_prefix(' ').unwrap_or(suffix))?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    // Six digits are exact for our purposes, and keep the product within 128 bits.
    let fraction = fraction.get(..6).unwrap_or(fraction);
    if whole.is_empty() || fraction.is_empty() || !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let scale = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let whole = i128::from(whole.parse::<u64>().ok()?);
    let fraction = fraction.parse::<i128>().ok()?;
    i64::try_from(whole * unit + fraction * unit / scale).ok()
}

fn parse_unit(suffix: &str) -> Option<i128> {
    let mut chars = suffix.chars();
    let power = match chars.next().map(|c| c.to_ascii_lowercase()) {
        None => return Some(1),
        Some('b') if suffix.len() == 1 => return Some(1),
        Some('k') => 1,
        Some('m') => 2,
        Some('g') => 3,
        Some('t') => 4,
        Some('p') => 5,
        Some(_) => return None,
    };
    matches!(chars.as_str(), "" | "b" | "B" | "ib" | "iB" | "IB" | "Ib")
        .then(|| 1024_i128.checked_pow(power))
        .flatten()
}

/// What is wrong with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadValue {
    /// It is not of the option's kind.
    Kind,
    /// It is, but does not work yet.
    Planned,
}

/// Checks one value of an option. An empty one is good for every kind but `Nonempty`: it counts as not given.
pub(crate) fn check_value(opt: &Opt, text: &str) -> Result<(), BadValue> {
    let good = match opt.kind {
        Kind::Switch => parse_bool(text).is_some(),
        Kind::Nonempty => !text.is_empty(),
        _ if text.is_empty() && !opt.repeatable => true,
        Kind::Text => true,
        Kind::Choice { planned, .. } if planned.contains(&text) => return Err(BadValue::Planned),
        Kind::Choice { works, .. } => works.contains(&text),
        Kind::BoolOrAuto => text == "auto" || parse_bool(text).is_some(),
        Kind::Number { min, max } => parse_number(text).is_some_and(|number| (min..=max).contains(&number)),
        Kind::Duration => parse_duration(text).is_some(),
        Kind::Size => parse_size(text).is_some(),
    };
    if good { Ok(()) } else { Err(BadValue::Kind) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_decimal_or_prefixed() {
        for (text, number) in [
            ("0", Some(0)),
            ("-1", Some(-1)),
            ("+7", Some(7)),
            ("010", Some(10)),
            ("0x10", Some(16)),
            ("-0b11", Some(-3)),
            ("0o17", Some(15)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("", None),
            ("-", None),
            ("--1", None),
            ("0x", None),
            ("0x-1", None),
            ("1 ", None),
            ("1,2", None),
            ("é", None),
        ] {
            assert_eq!(parse_number(text), number, "{text:?}");
        }
    }

    #[test]
    fn sizes_have_binary_suffixes() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("-1", Some(-1)),
            ("32", Some(32)),
            ("32b", Some(32)),
            ("32k", Some(32 << 10)),
            ("32KB", Some(32 << 10)),
            ("32kiB", Some(32 << 10)),
            ("32 m", Some(32 << 20)),
            ("1.5g", Some(1_610_612_736)),
            ("32.3Mb", Some(33_869_004)),
            ("2t", Some(2 << 40)),
            ("1p", Some(1 << 50)),
            ("8192p", None),
            ("-2", None),
            ("", None),
            ("m", None),
            (".5m", None),
            ("1.m", None),
            ("1.2.3m", None),
            ("1mm", None),
            ("1e", None),
            ("1bb", None),
            ("1é", None),
        ] {
            assert_eq!(parse_size(text), bytes, "{text:?}");
        }
    }

    #[test]
    fn truth_is_spelled_as_in_go() {
        for (text, truth) in
            [("1", Some(true)), ("True", Some(true)), ("f", Some(false)), ("yes", None), ("", None)]
        {
            assert_eq!(parse_bool(text), truth, "{text:?}");
        }
    }
}
