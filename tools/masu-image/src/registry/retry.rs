//! What is tried again, and when.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How often something is tried that does not get on.
pub(super) const ATTEMPTS: u32 = 5;
const FIRST_DELAY: Duration = Duration::from_millis(200);
const LONGEST_DELAY: Duration = Duration::from_secs(10);
/// A server that wants more patience than this is told no.
const LONGEST_WISH: Duration = Duration::from_secs(60);

/// Whether a server that answers this may answer something else the next time: too many requests, or its own trouble.
pub(super) fn is_temporary(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

/// How long to wait before attempt `next` (the first is 0), with what `Retry-After` asked for. `None`: not at all, it asked
/// for too much.
pub(super) fn delay(next: u32, wish: Option<Duration>) -> Option<Duration> {
    let own = FIRST_DELAY.saturating_mul(1 << next.saturating_sub(1).min(10)).min(LONGEST_DELAY);
    match wish {
        Some(wish) if wish > LONGEST_WISH => None,
        Some(wish) => Some(wish.max(own)),
        None => Some(own.mul_f64(0.75 + jitter() / 2.0)),
    }
}

/// Between 0 and 1, different in every process: those that failed together should not come back together.
fn jitter() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.subsec_nanos());
    f64::from((now ^ std::process::id()) % 1000) / 1000.0
}

/// The seconds of a `Retry-After`. The other form, a date, is not taken: nobody sends it.
pub(super) fn parse_retry_after(text: &str) -> Option<Duration> {
    text.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_and_heed_what_the_server_asks_for() {
        for (next, least, most) in [(1, 150, 250), (2, 300, 500), (3, 600, 1000), (30, 7500, 12500)] {
            let delay = delay(next, None).unwrap().as_millis();
            assert!((least..=most).contains(&delay), "attempt {next}: {delay} ms");
        }
        assert_eq!(delay(1, parse_retry_after("3")), Some(Duration::from_secs(3)));
        assert_eq!(delay(1, parse_retry_after("0")), Some(FIRST_DELAY));
        assert_eq!(delay(1, parse_retry_after("61")), None);
        assert_eq!(parse_retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), None);
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let temporary: Vec<u16> = (100..600).filter(|status| is_temporary(*status)).collect();
        assert_eq!(temporary, [408, 429, 500, 502, 503, 504]);
    }
}
