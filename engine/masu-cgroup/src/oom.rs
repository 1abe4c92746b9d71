//! Notices that the kernel ran out of memory for a cgroup, without looking again and again.
//!
//! Version 1 signals an eventfd(2) that was registered with `cgroup.event_control`, once for each time that the limit
//! could not be kept, and once more when the cgroup is removed. Version 2 wakes who polls `memory.events` whenever a
//! number in it changes; `oom_kill` among them counts the processes that were killed.

use alloc::format;
use alloc::string::String;

use rustix::event::{EventfdFlags, PollFlags, eventfd};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::cgroup::Cgroup;
use crate::dir::retry;
use crate::error::Result;
use crate::member::Member;

/// What a notice means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oom {
    /// Nothing that concerns memory running out.
    None,
    /// The kernel ran out of memory for the cgroup.
    Happened,
    /// The cgroup is gone.
    Gone,
}

/// Watches one cgroup for as long as it lives. Poll its descriptor for [`events`](Self::events), then
/// [`take`](Self::take).
#[derive(Debug)]
pub struct OomWatch(Kind);

#[derive(Debug)]
enum Kind {
    /// The eventfd, and `memory.oom_control`: while the cgroup is there it can be read.
    V1 { notices: OwnedFd, control: OwnedFd },
    /// `memory.events`, and its number of kills so far.
    V2 { events: OwnedFd, kills: u64 },
}

impl Cgroup {
    /// Starts to watch; `None` without a memory controller.
    ///
    /// # Errors
    ///
    /// [`Error::Io`](crate::Error::Io): without privilege, `cgroup.event_control` cannot be opened.
    pub fn watch_oom(&self) -> Result<Option<OomWatch>> {
        match self.member("memory") {
            Some(member) if member.version_2 => watch_v2(member).map(Some),
            Some(member) => watch_v1(member).map(Some),
            None => Ok(None),
        }
    }
}

/// cgroup-v1/memory.rst, section 10: the numbers of both descriptors, written to `cgroup.event_control`.
fn watch_v1(member: &Member) -> Result<OomWatch> {
    let failed = |call, file| move |errno| member.failed(call, file, errno);
    let control = member
        .dir()?
        .open_file("memory.oom_control", OFlags::RDONLY)
        .map_err(failed("openat2", "memory.oom_control"))?;
    let notices = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
        .map_err(failed("eventfd2", "memory.oom_control"))?;
    let line = format!("{} {} ", notices.as_raw_fd(), control.as_raw_fd());
    member.dir()?.write("cgroup.event_control", &line).map_err(failed("write", "cgroup.event_control"))?;
    Ok(OomWatch(Kind::V1 { notices, control }))
}

/// cgroup-v2.rst, `memory.events`: "a value change in this file generates a file modified event".
fn watch_v2(member: &Member) -> Result<OomWatch> {
    let failed = |call| move |errno| member.failed(call, "memory.events", errno);
    let events = member.dir()?.open_file("memory.events", OFlags::RDONLY).map_err(failed("openat2"))?;
    // Reading it is also what arms the next wake-up.
    let kills = read_kills(&events).map_err(failed("read"))?;
    Ok(OomWatch(Kind::V2 { events, kills }))
}

impl OomWatch {
    /// What to poll the descriptor for.
    pub fn events(&self) -> PollFlags {
        match self.0 {
            Kind::V1 { .. } => PollFlags::IN,
            Kind::V2 { .. } => PollFlags::PRI,
        }
    }

    /// What has happened since the last call.
    ///
    /// # Errors
    ///
    /// Those of read(2).
    pub fn take(&mut self) -> core::result::Result<Oom, Errno> {
        match &mut self.0 {
            Kind::V1 { notices, control } => {
                let mut count = [0; 8];
                match retry(|| rustix::io::read(&*notices, &mut count)) {
                    Err(Errno::AGAIN) => return Ok(Oom::None),
                    outcome => outcome?,
                };
                // The last notice is that of the removal.
                Ok(if read_start(control).is_ok() { Oom::Happened } else { Oom::Gone })
            }
            Kind::V2 { events, kills } => match read_kills(events) {
                Err(Errno::NODEV) => Ok(Oom::Gone),
                outcome => {
                    let before = core::mem::replace(kills, outcome?);
                    Ok(if *kills > before { Oom::Happened } else { Oom::None })
                }
            },
        }
    }
}

impl AsFd for OomWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.0 {
            Kind::V1 { notices, .. } => notices.as_fd(),
            Kind::V2 { events, .. } => events.as_fd(),
        }
    }
}

fn read_kills(events: &OwnedFd) -> core::result::Result<u64, Errno> {
    Ok(parse_kills(&read_start(events)?))
}

/// The file from its start; the few lines of both files fit. A removed cgroup's is ENODEV.
fn read_start(file: &OwnedFd) -> core::result::Result<String, Errno> {
    let mut bytes = [0; 1024];
    let length = retry(|| rustix::io::pread(file, &mut bytes, 0))?;
    Ok(String::from_utf8_lossy(bytes.get(..length).unwrap_or_default()).into_owned())
}

fn parse_kills(text: &str) -> u64 {
    let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    count.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::parse_kills;

    #[test]
    fn kills_are_one_line_of_memory_events() {
        for (text, kills) in [
            ("low 0\nhigh 0\nmax 17\noom 3\noom_kill 2\noom_group_kill 1\n", 2),
            ("low 0\nhigh 0\nmax 17\noom 3\n", 0),
            ("oom_kill x\n", 0),
            ("", 0),
        ] {
            assert_eq!(parse_kills(text), kills, "{text:?}");
        }
    }
}
