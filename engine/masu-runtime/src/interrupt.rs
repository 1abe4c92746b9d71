//! The end of a start that hangs: signals are blocked until the program runs, so somebody has to look for them.
//!
//! A start looks for them only where it is known to wait for somebody: in a paused container, until `masu resume`. The
//! common start asks for no descriptor and no poll(2) more.

use alloc::format;

use masu_cgroup::Layout;
use masu_sys::signal::{SignalSet, read_signalfd, signalfd};
use rustix::{
    event::{PollFd, PollFlags},
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
            if let Some(info) = read_signalfd(self.signals.as_fd()).doing(|| "read a signal".into())? {
                return Err(Error::Interrupted { signal: info.signal });
            }
            return Ok(());
        }
    }

    /// Kills a process that may be frozen. In version 1 a frozen process is not ended by SIGKILL before it is thawed
    /// (Documentation/admin-guide/cgroup-v1/freezer-subsystem.rst); it leaves its cgroup for ours, which is not frozen.
    pub(crate) fn kill(&self, child: &Child) {
        // ignored: ESRCH, when it ended by itself.
        let _ = masu_sys::process::pidfd_send_signal(child.as_fd(), 9);
        if let Some(tasks) = &self.thawed {
            // ignored: as above; it is our child, so that the number is nobody else's.
            let _ = rustix::io::write(tasks, format!("{}", child.pid()).as_bytes());
        }
    }
}
