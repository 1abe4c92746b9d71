//! Durations as Go's `time.ParseDuration` reads them, which runc's callers write: `5s`, `100ms`, `1m30s`, `1.5h`.

/// The units and their nanoseconds. The two letters for micro are different characters.
const UNITS: [(&str, i128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// A duration in nanoseconds: an optional sign, then numbers, perhaps with a fraction, each with its unit. `0` needs
/// none. `None` for text that is not one, and for more than about 292 years.
#[must_use]
pub fn parse_duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut sum = 0;
    while !rest.is_empty() {
        let (part, after) = split_part(rest)?;
        sum += part;
        if sum > i128::from(i64::MAX) {
            return None;
        }
        rest = after;
    }
    i64::try_from(if negative { -sum } else { sum }).ok()
}

/// The nanoseconds of the first number with its unit, and what follows.
fn split_part(text: &str) -> Option<(i128, &str)> {
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    let (number, rest) = text.split_at_checked(text.find(|c| !is_number(c))?)?;
    let (unit, rest) = rest.split_at_checked(rest.find(is_number).unwrap_or(rest.len()))?;
    let (_, nanoseconds) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    // Thirteen digits tell every nanosecond of an hour.
    let fraction = fraction.get(..13).unwrap_or(fraction);
    let scale = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let parse = |digits: &str| if digits.is_empty() { Some(0) } else { digits.parse::<u64>().ok() };
    let (whole, fraction) = (i128::from(parse(whole)?), i128::from(parse(fraction)?));
    Some((whole * nanoseconds + fraction * nanoseconds / scale, rest))
}

#[cfg(test)]
mod tests {
    use super::parse_duration;

    #[test]
    fn durations_are_those_of_go() {
        const SECOND: i64 = 1_000_000_000;
        for (text, nanoseconds) in [
            ("0", Some(0)),
            ("5s", Some(5 * SECOND)),
            ("+5s", Some(5 * SECOND)),
            ("-5s", Some(-5 * SECOND)),
            ("100ms", Some(SECOND / 10)),
            ("1m30s", Some(90 * SECOND)),
            ("1h0m0.5s", Some(3600 * SECOND + SECOND / 2)),
            (".5s", Some(SECOND / 2)),
            ("5.s", Some(5 * SECOND)),
            ("1.0000000000001h", Some(3600 * SECOND)),
            ("3ns", Some(3)),
            ("7us7\u{b5}s7\u{3bc}s", Some(21_000)),
            ("2562047h47m16.854775807s", Some(i64::MAX)),
            ("2562047h47m16.854775808s", None),
            ("99999999999999999999s", None),
            ("5", None),
            ("", None),
            ("-", None),
            ("+-5s", None),
            ("s", None),
            (".s", None),
            ("1.2.3s", None),
            ("5S", None),
            ("5 s", None),
            ("5sec", None),
            ("1d", None),
            ("1s5", None),
            ("1s\u{e9}", None),
        ] {
            assert_eq!(parse_duration(text), nanoseconds, "{text:?}");
        }
    }
}
