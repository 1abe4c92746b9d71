//! Waiting in growing steps up to a bound. The time slept is what is counted, so no clock is read where nothing can
//! cut a step short.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::BorrowedFd;
use rustix::thread::{NanosleepRelativeResult, Timespec, nanosleep};
use rustix::time::{ClockId, clock_gettime};

const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000 * MICROSECOND;

/// A bounded series of waits, each twice as long as the one before.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: u64,
    longest: u64,
    left: u64,
}

impl Backoff {
    /// For tasks that are about to leave: 50 µs first, 2 s in all.
    pub(crate) fn for_removal() -> Self {
        Self { next: 50 * MICROSECOND, longest: 50 * MILLISECOND, left: 2_000 * MILLISECOND }
    }

    /// For a cgroup that is freezing: 20 µs first, 2 s in all.
    pub(crate) fn for_freezing() -> Self {
        Self { next: 20 * MICROSECOND, longest: 10 * MILLISECOND, left: 2_000 * MILLISECOND }
    }

    /// No waiting.
    pub(crate) fn none() -> Self {
        Self { next: 0, longest: 0, left: 0 }
    }

    /// Sleeps the next step, or until the kernel tells of a change of this file; false when the time is used up.
    ///
    /// The kernel tells at most every 10 ms (CGROUP_FILE_NOTIFY_MIN_INTV): the first steps are shorter than that.
    pub(crate) fn wait_or_change(&mut self, file: BorrowedFd<'_>) -> bool {
        if self.left == 0 {
            return false;
        }
        let step = self.next.min(self.left);
        self.next = (self.next * 2).min(self.longest);
        let timeout = Timespec { tv_sec: 0, tv_nsec: i64::try_from(step).unwrap_or(0) };
        let began = clock_gettime(ClockId::Monotonic);
        // Ignored: EINTR, which is a shorter step; whoever waits looks for himself afterwards.
        let _ = poll(&mut [PollFd::from_borrowed_fd(file, PollFlags::PRI)], Some(&timeout));
        let ended = clock_gettime(ClockId::Monotonic);
        let spent = (ended.tv_sec - began.tv_sec) * 1_000_000_000 + ended.tv_nsec - began.tv_nsec;
        // At least a little, so that the number of steps is bounded whatever the clock says.
        self.left = self.left.saturating_sub(u64::try_from(spent).unwrap_or(step).max(20 * MICROSECOND));
        true
    }

    /// Sleeps the next step; false when the time is used up.
    pub(crate) fn wait(&mut self) -> bool {
        if self.left == 0 {
            return false;
        }
        let step = self.next.min(self.left);
        self.left -= step;
        self.next = (self.next * 2).min(self.longest);
        let mut request = Timespec { tv_sec: 0, tv_nsec: i64::try_from(step).unwrap_or(0) };
        while let NanosleepRelativeResult::Interrupted(remaining) = nanosleep(&request) {
            request = remaining;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_double_up_to_the_longest_and_end_with_the_budget() {
        let mut backoff = Backoff { next: 1, longest: 4, left: 12 };
        let mut lefts = Vec::new();
        while backoff.wait() {
            lefts.push(backoff.left);
        }
        assert_eq!(lefts, [11, 9, 5, 1, 0]);
    }
}
