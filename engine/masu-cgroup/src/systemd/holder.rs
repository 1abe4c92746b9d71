//! A scope is born with a process, and ends with its last one. The container's own is to be born inside, when limits and
//! device rules are in force: so for the time in between another one, which does nothing, keeps the scope alive.

use masu_sys::process::{CloneArgs, Forked, exit_group, fork};
use rustix::event::poll;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::{Errno, Result};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

/// A child that waits for its end, which is when this value is dropped, or when we end, however that comes.
#[derive(Debug)]
pub(crate) struct Holder {
    pid: Pid,
    pidfd: OwnedFd,
}

impl Holder {
    /// # Errors
    ///
    /// Those of fork(2).
    pub(crate) fn new() -> Result<Self> {
        let parent = rustix::process::getpid();
        match fork(&CloneArgs::default())? {
            Forked::Parent { pid, pidfd } => Ok(Self { pid, pidfd }),
            Forked::Child => wait_for_the_end(parent),
        }
    }

    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // ignored: ESRCH, when systemd was faster.
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL);
        while let Err(Errno::INTR) =
            rustix::process::waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED)
        {}
    }
}

fn wait_for_the_end(parent: Pid) -> ! {
    // Without it a caller that is killed would leave the scope behind.
    let tied = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    // It may have died before the prctl: then no signal comes.
    while tied.is_ok() && rustix::process::getppid() == Some(parent) {
        // ignored: signals that are not blocked and do not end us.
        let _ = poll(&mut [], None);
    }
    exit_group(1)
}
