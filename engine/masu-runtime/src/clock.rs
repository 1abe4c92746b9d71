//! Dates as the state file has them.

use alloc::{format, string::String};

use rustix::time::{ClockId, clock_gettime};

/// Now, in RFC 3339 with nanoseconds, UTC: `2026-11-23T21:38:13.123456789Z`.
#[must_use]
pub fn now() -> String {
    let time = clock_gettime(ClockId::Realtime);
    format_utc(time.tv_sec, time.tv_nsec)
}

fn format_utc(seconds: i64, nanoseconds: i64) -> String {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanoseconds:09}Z")
}

/// The date of a day since 1970-01-01, in the Gregorian calendar: years that begin in March, in eras of 400.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::format_utc;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let table = [
            (0, 0, "1970-01-01T00:00:00.000000000Z"),
            (951_782_399, 5, "2000-02-28T23:59:59.000000005Z"),
            (951_782_400, 0, "2000-02-29T00:00:00.000000000Z"),
            (1_795_469_893, 123_456_789, "2026-11-23T21:38:13.123456789Z"),
            (4_107_542_400, 0, "2100-03-01T00:00:00.000000000Z"),
        ];
        for (seconds, nanoseconds, text) in table {
            assert_eq!(format_utc(seconds, nanoseconds), text);
        }
    }
}
