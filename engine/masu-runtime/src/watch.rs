//! Waiting for what `events` tells of: the next sample, memory that runs out, and the end of the container.
//!
//! ```text
//!            ┌──────────────── one poll(2) ───────────────┐
//!   interval │ oom notice │ end of the process │ no reader │
//!            └────┬───────┴─────────┬──────────┴─────┬─────┘
//!            Interval, Memory   Memory, Ended     Unread
//! ```

use alloc::{format, string::String};

use masu_cgroup::{Oom, OomWatch};
use rustix::{
    event::{PollFd, PollFlags, Timespec},
    fd::{AsFd, BorrowedFd, OwnedFd},
    io::Errno,
    time::{ClockId, clock_gettime},
};

use crate::{
    error::{Doing, Result},
    state::{Container, not_running},
};

/// What has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening {
    /// A sample is due.
    Interval,
    /// The memory controller has told something.
    Memory(Oom),
    /// The container's process has ended.
    Ended,
    /// Nobody reads what is printed.
    Unread,
}

/// What `events` waits for.
#[derive(Debug)]
pub struct Watch {
    process: OwnedFd,
    oom: Option<OomWatch>,
    /// Why memory is not watched.
    blind: Option<String>,
    /// Nanoseconds between samples.
    interval: i64,
    /// When the next sample is due, in nanoseconds of the monotonic clock.
    due: i64,
    /// Whether the process was seen to have ended: the last notices are still taken.
    ended: bool,
}

impl Watch {
    /// Begins to watch a container that has not ended. `interval` is in nanoseconds, above 0.
    ///
    /// # Errors
    /// "container not running" when it has ended meanwhile.
    pub fn open(container: &Container, interval: i64) -> Result<Self> {
        let process = container.open_process()?.ok_or_else(not_running)?;
        let (oom, blind) = match container.cgroup().watch_oom() {
            Ok(Some(watch)) => (Some(watch), None),
            Ok(None) => (None, Some("the container has no cgroup of the memory controller".into())),
            // An ordinary user may read the cgroup and not register with it.
            Err(error) => (None, Some(format!("{error}"))),
        };
        Ok(Self { process, oom, blind, interval, due: now().saturating_add(interval), ended: false })
    }

    /// Why memory that runs out will not be noticed, if so.
    #[must_use]
    pub fn blind(&self) -> Option<&str> {
        self.blind.as_deref()
    }

    /// Waits for the next happening. `output` is where lines are printed.
    ///
    /// # Errors
    /// Those of poll(2) and of reading a notice.
    pub fn next(&mut self, output: BorrowedFd<'_>) -> Result<Happening> {
        loop {
            if self.ended {
                // The process may have ended for want of memory: what is known of that comes first.
                return Ok(match self.take_notice()? {
                    Some(Oom::Happened) => Happening::Memory(Oom::Happened),
                    _ => Happening::Ended,
                });
            }
            let left = (self.due - now()).max(0);
            let ready = self.poll(output, left)?;
            if ready.unread {
                return Ok(Happening::Unread);
            }
            if ready.ended {
                self.ended = true;
                continue;
            }
            if ready.memory
                && let Some(notice) = self.take_notice()?
            {
                return Ok(Happening::Memory(notice));
            }
            if self.due <= now() {
                // As a ticker of Go: a sample that took longer than the interval makes no backlog.
                self.due = self.due.saturating_add(self.interval).max(now());
                return Ok(Happening::Interval);
            }
        }
    }

    fn take_notice(&mut self) -> Result<Option<Oom>> {
        let taken = self.oom.as_mut().map(OomWatch::take).transpose();
        taken.doing(|| "read a notice of the memory controller".into())
    }

    fn poll(&self, output: BorrowedFd<'_>, nanoseconds: i64) -> Result<Ready> {
        const SECOND: i64 = 1_000_000_000;
        let timeout = Timespec { tv_sec: nanoseconds / SECOND, tv_nsec: nanoseconds % SECOND };
        // Errors are reported unasked: that of a pipe is that its reader has gone, poll(2).
        let output = PollFd::from_borrowed_fd(output, PollFlags::empty());
        let process = PollFd::new(&self.process, PollFlags::IN);
        let outcome = match &self.oom {
            Some(oom) => {
                let mut fds = [output, process, PollFd::from_borrowed_fd(oom.as_fd(), oom.events())];
                rustix::event::poll(&mut fds, Some(&timeout)).map(|_| Ready::of(&fds))
            }
            None => {
                let mut fds = [output, process];
                rustix::event::poll(&mut fds, Some(&timeout)).map(|_| Ready::of(&fds))
            }
        };
        match outcome {
            Err(Errno::INTR) => Ok(Ready::default()),
            outcome => outcome.doing(|| "wait for events".into()),
        }
    }
}

/// What poll(2) has found.
#[derive(Debug, Default)]
struct Ready {
    unread: bool,
    ended: bool,
    memory: bool,
}

impl Ready {
    fn of(fds: &[PollFd<'_>]) -> Self {
        let found = |index: usize| fds.get(index).map_or(PollFlags::empty(), PollFd::revents);
        Self {
            unread: found(0).contains(PollFlags::ERR),
            ended: !found(1).is_empty(),
            memory: !found(2).is_empty(),
        }
    }
}

/// The monotonic clock in nanoseconds; 292 years fit.
fn now() -> i64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec)
}
