//! The end of a start that hangs: signals are blocked until the program runs, so somebody has to look for them.
//!
//! A start looks for them only where it is known to wait for somebody: in a paused container, until `masu resume`. The
//! common start asks for no descriptor and no poll(2) more.

use alloc::format;

use masu_cgroup::Layout;
use masu_sys::signal::{SignalSet, read_signalfd, signalfd};
use rustix::{
    event::{PollFd, PollFlags, Timespec},
    fd::{AsFd, OwnedFd},
    fs::{CWD, Mode, OFlags},
    io::Errno,
};

use crate::{
    error::{Doing, Error, Result},
    spawn::Child,
};

/// SIGHUP, SIGINT, SIGQUIT and SIGTERM.
const ENDING: [i32; 4] = [1, 2, 3, 15];

/// How often a killed process is moved out of a frozen cgroup, and the pause in between: 2 s in all.
const MOVES_MAX: u32 = 400;
const BETWEEN_MOVES: Timespec = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };

/// What may end a start.
#[derive(Debug)]
pub(crate) struct Interrupt {
    signals: OwnedFd,
    /// The `tasks` of our own cgroup in the version 1 freezer.
    thawed: Option<OwnedFd>,
}

impl Interrupt {
    /// Looks for signals, and for the way out of a frozen cgroup.
    pub(crate) fn new(cgroups: &Layout) -> Result<Self> {
        let signals = signalfd(ENDING.into_iter().fold(SignalSet::empty(), SignalSet::add))
            .doing(|| "signalfd".into())?;
        let freezer = cgroups.v1().iter().find(|hierarchy| hierarchy.has("freezer"));
        let own =
            freezer.and_then(|freezer| Some((freezer.mount_point.as_str(), freezer.own_below_mount()?)));
        let thawed = own.and_then(|(mount, own)| {
            let flags = OFlags::WRONLY | OFlags::CLOEXEC;
            // Who may not open it may not put a process into a frozen cgroup either.
            rustix::fs::openat(CWD, format!("{mount}{own}/tasks"), flags, Mode::empty()).ok()
        });
        Ok(Self { signals, thawed })
    }

    /// Waits until `channel` is readable.
    ///
    /// # Errors
    /// [`Error::Interrupted`] when a signal comes first.
    pub(crate) fn wait(&self, channel: &OwnedFd) -> Result<()> {
        loop {
            let mut ready = [PollFd::new(channel, PollFlags::IN), PollFd::new(&self.signals, PollFlags::IN)];
            match rustix::event::poll(&mut ready, None) {
                Err(Errno::INTR) => continue,
                outcome => outcome.map(drop).doing(|| "wait for init".into())?,
            }
            // First what init has said: it may be that it goes on in another process, which is then the one to kill.
            if ready.first().is_some_and(|channel| !channel.revents().is_empty()) {
                return Ok(());
            }
            if let Some(info) = read_signalfd(self.signals.as_fd()).doing(|| "read a signal".into())? {
                return Err(Error::Interrupted { signal: info.signal });
            }
        }
    }

    /// Kills a process that may be frozen. In version 1 a frozen process is not ended by SIGKILL before it is thawed
    /// (Documentation/admin-guide/cgroup-v1/freezer-subsystem.rst); it leaves its cgroup for ours, which is not frozen. It may
    /// be about to enter the frozen one by itself just now, and does so with the SIGKILL pending: so until it has ended.
    pub(crate) fn kill(&self, child: &Child) {
        // ignored: ESRCH, when it ended by itself.
        let _ = masu_sys::process::pidfd_send_signal(child.as_fd(), 9);
        let Some(tasks) = &self.thawed else { return };
        let process = child.as_fd();
        for _ in 0..MOVES_MAX {
            // ignored: as above; it is our child, so that the number is nobody else's.
            let _ = rustix::io::write(tasks, format!("{}", child.pid()).as_bytes());
            let mut ended = [PollFd::new(&process, PollFlags::IN)];
            if !matches!(rustix::event::poll(&mut ended, Some(&BETWEEN_MOVES)), Ok(0) | Err(Errno::INTR)) {
                return;
            }
        }
    }
}
