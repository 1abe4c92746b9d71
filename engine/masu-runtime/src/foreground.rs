//! The engine while its container runs in the foreground: it passes signals on, and the exit status back.

use masu_sys::signal::{SignalSet, block, read_signalfd, signalfd};
use rustix::{
    event::{PollFd, PollFlags},
    fd::AsFd,
    io::Errno,
    process::{WaitOptions, WaitStatus},
};

use crate::{
    error::{Doing, Result},
    spawn::Child,
};

const SIGCHLD: i32 = 17;
/// The runtime's own business, or nobody's: not passed on.
const SIGURG: i32 = 23;
const SIGWINCH: i32 = 28;

/// Who collects orphans of the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaping {
    /// We do: processes whose parent has ended become our children.
    Subreaper,
    /// Whoever does it on the host.
    Child,
}

/// Blocks all signals: from here on they wait for [`wait`], and init starts with them blocked.
///
/// # Errors
/// Never on Linux; those of sigprocmask(2).
pub fn block_signals() -> Result<()> {
    block(SignalSet::all()).map(drop).doing(|| "block signals".into())
}

/// Becomes the parent of orphans. Before the container starts.
///
/// # Errors
/// Those of prctl(2).
pub fn become_subreaper() -> Result<()> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .doing(|| "become a subreaper".into())
}

/// Waits for the container's process, passing signals on to it. Returns its exit status, 128 and the number
/// of the signal for one that a signal ended.
///
/// # Errors
/// When the process cannot be waited for.
pub fn wait(child: &Child, reaping: Reaping) -> Result<i32> {
    let signals = signalfd(SignalSet::all()).doing(|| "signalfd".into())?;
    loop {
        if let Some(status) = reap(child, reaping)? {
            return Ok(status);
        }
        let mut ready = [PollFd::new(&signals, PollFlags::IN), PollFd::new(child, PollFlags::IN)];
        match rustix::event::poll(&mut ready, None) {
            Err(Errno::INTR) => {}
            outcome => outcome.map(drop).doing(|| "wait for the container".into())?,
        }
        while let Some(info) = read_signalfd(signals.as_fd()).doing(|| "read a signal".into())? {
            if !matches!(info.signal, SIGCHLD | SIGURG | SIGWINCH) {
                // ignored: the process has just ended, which the next round sees.
                let _ = masu_sys::process::pidfd_send_signal(child.as_fd(), info.signal);
            }
        }
    }
}

/// Collects every child that has ended; the status of the container's process if it is among them.
fn reap(child: &Child, reaping: Reaping) -> Result<Option<i32>> {
    let mut found = None;
    let mut take = |status: WaitStatus| {
        found = status.exit_status().or(status.terminating_signal().map(|signal| 128 + signal));
    };
    loop {
        let who = match reaping {
            Reaping::Subreaper => rustix::process::wait(WaitOptions::NOHANG),
            Reaping::Child => {
                rustix::process::waitpid(rustix::process::Pid::from_raw(child.pid()), WaitOptions::NOHANG)
            }
        };
        match who {
            Ok(Some((pid, status))) if pid.as_raw_nonzero().get() == child.pid() => take(status),
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) | Err(Errno::CHILD) => return Ok(found),
            Err(errno) => return Err(errno).doing(|| "wait for the container".into()),
        }
    }
}
