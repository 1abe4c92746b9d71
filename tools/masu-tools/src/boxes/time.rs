//! Points in time, from text.

use std::time::Duration;

/// Since 1970-01-01, UTC. Nothing here is older.
pub(super) type Time = Duration;

/// `--since`: RFC 3339, seconds since 1970, or how long ago, as in `90s`, `10m` or `1h30m`.
pub(super) fn parse_since(text: &str, now: Time) -> Option<Time> {
    let plain = text.split_once('.').map_or(text, |(whole, _)| whole);
    if !plain.is_empty() && plain.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Time::from_secs(plain.parse().ok()?));
    }
    parse_ago(text).map(|ago| now.saturating_sub(ago)).or_else(|| parse_rfc3339(text))
}

fn parse_ago(text: &str) -> Option<Duration> {
    let (mut total, mut rest) = (0_u64, text);
    (!text.is_empty()).then_some(())?;
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !letter.is_ascii_digit())?;
        let (number, unit) = rest.split_at_checked(end)?;
        let seconds = match unit.chars().next()? {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            _ => return None,
        };
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(seconds)?)?;
        rest = unit.get(1..)?;
    }
    Some(Duration::from_secs(total))
}

/// `2026-11-23T21:38:13.123456789Z`, with any number of decimals, or `+02:00` in place of the `Z`; a date alone begins at
/// midnight UTC.
pub(super) fn parse_rfc3339(text: &str) -> Option<Time> {
    let (date, time) = text.split_once(['T', 't', ' ']).unwrap_or((text, "00:00:00Z"));
    let [year, month, day] = numbers(date, '-')?;
    let end = time.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = time.split_at_checked(end)?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let [hour, minute, second] = numbers(clock, ':')?;
    let in_range =
        (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 61;
    let offset = match zone.split_at_checked(1)? {
        ("Z" | "z", "") => 0,
        ("+", zone) => minutes(zone)?,
        (_, zone) => -minutes(zone)?,
    };
    let seconds = ((days(year, month, day) * 24 + hour) * 60 + minute - offset) * 60 + second;
    let padded: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let nanoseconds = padded.parse().ok()?;
    in_range.then_some(())?;
    Some(Time::new(seconds.try_into().ok()?, nanoseconds))
}

fn minutes(zone: &str) -> Option<i64> {
    let (hours, minutes) = zone.split_once(':')?;
    Some(number(hours)? * 60 + number(minutes)?)
}

fn numbers(text: &str, between: char) -> Option<[i64; 3]> {
    let mut fields = text.split(between);
    let found = [number(fields.next()?)?, number(fields.next()?)?, number(fields.next()?)?];
    fields.next().is_none().then_some(found)
}

fn number(text: &str) -> Option<i64> {
    let is_number = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

/// Days from 1970-01-01 to a date of the Gregorian calendar, in years that begin in March.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        let cases = [
            ("1970-01-01T00:00:00Z", Some((0, 0))),
            ("2000-02-29T00:00:00Z", Some((951_782_400, 0))),
            ("2026-11-23T21:38:13.123456789Z", Some((1_795_469_893, 123_456_789))),
            ("2026-11-23T23:08:13.5+01:30", Some((1_795_469_893, 500_000_000))),
            ("2026-11-23T20:38:13-01:00", Some((1_795_469_893, 0))),
            ("2100-03-01", Some((4_107_542_400, 0))),
            ("2026-13-01T00:00:00Z", None),
            ("2026-11-23T21:38:13", None),
            ("2026-11-23T21:38Z", None),
            ("1969-12-31T23:59:59Z", None),
            ("ä", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_rfc3339(text), expected.map(|(s, n)| Time::new(s, n)), "{text}");
        }
    }

    #[test]
    fn since_is_a_time_or_how_long_ago() {
        let now = Time::from_secs(1_000_000);
        let cases = [
            ("90s", Some(999_910)),
            ("1h30m", Some(994_600)),
            ("2d", Some(827_200)),
            ("400000d", Some(0)),
            ("123", Some(123)),
            ("123.9", Some(123)),
            ("1970-01-02", Some(86_400)),
            ("", None),
            ("1w", None),
            ("m", None),
            ("99999999999999999999s", None),
            ("tomorrow", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_since(text, now), expected.map(Time::from_secs), "{text}");
        }
    }
}
