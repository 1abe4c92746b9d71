//! Waiting for a version 2 cgroup: its `cgroup.events` says whether processes are in it or below, and whether all of
//! them are frozen, and tells by poll(2) when that changes (Documentation/admin-guide/cgroup-v2.rst).

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::backoff::Backoff;
use crate::dir::{Dir, retry};

/// An open `cgroup.events`.
#[derive(Debug)]
pub(crate) struct Events(OwnedFd);

/// What can be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// Nobody is left.
    Empty,
    /// All are frozen.
    Frozen,
}

impl Events {
    pub(crate) fn open(dir: &Dir) -> Result<Self, Errno> {
        dir.open_file("cgroup.events", OFlags::RDONLY).map(Self)
    }

    /// Is it so now? A cgroup that is gone is empty, and not frozen.
    pub(crate) fn is(&self, event: Event) -> Result<bool, Errno> {
        // Two short lines, and room for those of later kernels.
        let mut text = [0; 256];
        let length = match retry(|| rustix::io::pread(&self.0, &mut text, 0)) {
            Err(Errno::NODEV) => return Ok(event == Event::Empty),
            length => length?,
        };
        let text = text.get(..length).unwrap_or_default();
        let line: &[u8] = match event {
            Event::Empty => b"populated 0",
            Event::Frozen => b"frozen 1",
        };
        Ok(text.split(|byte| *byte == b'\n').any(|known| known == line))
    }

    /// Waits until it is so; false when the time is used up.
    pub(crate) fn wait_for(&self, event: Event, backoff: &mut Backoff) -> Result<bool, Errno> {
        // A change after this look wakes the poll.
        while !self.is(event)? {
            if !backoff.wait_or_change(self.0.as_fd()) {
                return self.is(event);
            }
        }
        Ok(true)
    }
}
