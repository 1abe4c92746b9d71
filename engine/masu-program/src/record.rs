//! The record of a traced start: memory that engine and init share, two words for each step of the program.
//!
//! A word is a time in nanoseconds since 1970 on `CLOCK_REALTIME`, and 0 for what never was. That clock is the one that
//! a time namespace leaves alone, time_namespaces(7): `CLOCK_MONOTONIC` would jump in the middle of a start.

/// The word that says when `step` began.
#[must_use]
pub const fn begin(step: u32) -> usize {
    (step as usize).saturating_mul(2)
}

/// The word that says when `step` was done.
#[must_use]
pub const fn end(step: u32) -> usize {
    begin(step).saturating_add(1)
}

/// How many bytes the record of a program of `steps` steps has.
#[must_use]
pub const fn size(steps: usize) -> u64 {
    (steps as u64).saturating_mul(16)
}

/// A time as a word has it, from the two parts of a `timespec`; 0 before 1970.
#[must_use]
pub fn nanoseconds(seconds: i64, nanoseconds: i64) -> u64 {
    let (seconds, nanoseconds) = (u64::try_from(seconds), u64::try_from(nanoseconds));
    seconds.unwrap_or(0).saturating_mul(1_000_000_000).saturating_add(nanoseconds.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_has_two_words_of_its_own_within_the_size() {
        let words: Vec<usize> = (0..3).flat_map(|step| [begin(step), end(step)]).collect();
        assert_eq!(words, [0, 1, 2, 3, 4, 5]);
        assert_eq!(size(3), 6 * 8);
    }

    #[test]
    fn a_time_before_1970_is_no_time() {
        assert_eq!(nanoseconds(2, 5), 2_000_000_005);
        assert_eq!(nanoseconds(-2, 5), 5);
    }
}
