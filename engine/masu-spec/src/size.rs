//! Sizes with units, as the options of `update` take them.
use alloc::string::ToString;

use crate::error::ArgumentError;

/// Reads a number of bytes: a decimal number, perhaps with a fraction, and perhaps one of the units b, k, m, g, t and p,
/// each in any case and with `b` or `ib` behind it. All are powers of 1024, as in docker. -1 is unlimited. Fractions of
/// a byte are cut off.
///
/// # Errors
/// [`ArgumentError::IllegalSize`], also for a size of 2^63 and more.
pub fn parse_size(text: &str) -> Result<i64, ArgumentError> {
    if text == "-1" {
        return Ok(-1);
    }
    size(text).ok_or_else(|| ArgumentError::IllegalSize(text.to_string()))
}

fn size(text: &str) -> Option<i64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    // One space may stand between, as docker has it.
    let unit = unit.strip_prefix(' ').unwrap_or(unit);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let unit = u128::from(unit_size(unit)?);
    let whole = digits(whole)?.checked_mul(unit)?;
    // More digits than these change nothing: 10^-18 of a pebibyte is a thousandth of a byte.
    let fraction =
        fraction.get(..fraction.len().min(18)).filter(|_| fraction.bytes().all(|b| b.is_ascii_digit()))?;
    let scale = 10u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let fraction = digits(fraction)?.checked_mul(unit)?.checked_div(scale)?;
    i64::try_from(whole.checked_add(fraction)?).ok()
}

fn digits(text: &str) -> Option<u128> {
    if text.is_empty() { Some(0) } else { text.parse().ok() }
}

fn unit_size(unit: &str) -> Option<u64> {
    let unit = unit.to_ascii_lowercase();
    let exponent = match unit.as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        "p" | "pb" | "pib" => 5,
        _ => return None,
    };
    Some(1 << (10 * exponent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_1024() {
        let table = [
            ("0", 0),
            ("-1", -1),
            ("32", 32),
            ("32b", 32),
            ("32B", 32),
            ("32k", 32 << 10),
            ("32K", 32 << 10),
            ("32kb", 32 << 10),
            ("32KiB", 32 << 10),
            ("512m", 512 << 20),
            ("512 MB", 512 << 20),
            ("1.5g", 3 << 29),
            (".5GiB", 1 << 29),
            ("1.", 1),
            ("0.3b", 0),
            ("1.9999999999999999999999k", 2047),
            ("2t", 2 << 40),
            ("3Pib", 3 << 50),
            ("9223372036854775807", i64::MAX),
        ];
        for (text, bytes) in table {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn other_texts_are_no_sizes() {
        let table = [
            "",
            "-2",
            "-1m",
            "+1",
            "m",
            ".",
            "1x",
            "1kk",
            "1kib2",
            "1.2.3",
            "1  k",
            " 1",
            "1e3",
            "0x10",
            "hello",
            "9223372036854775808",
            "8192p",
            "99999999999999999999999999999999999999999",
            "1ü",
        ];
        for text in table {
            let error = parse_size(text).unwrap_err();
            assert_eq!(error.to_string(), alloc::format!("invalid size: {text:?}"));
        }
    }
}
