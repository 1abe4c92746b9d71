//! The engine, running the box in the foreground.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ExitCode, Stdio};

use clap::ArgMatches;
use masu_app::{Failure, Result};
use masu_sys::process::pidfd_send_signal;
use masu_sys::signal::{SignalInfo, SignalSet, block, read_signalfd, signalfd};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};

use super::OWN_FAILURE;
use super::messages::{engine_with_log, failure_code, relay};
use crate::Session;
use crate::engine::cannot_run;

/// What ends a program that has not asked for it.
const ENDING: [Signal; 6] =
    [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT, Signal::USR1, Signal::USR2];

/// Signals of this process, held from the first file of a box to the last. The engine's are held with them, and it reads
/// them; the container's process begins with none held.
pub(crate) struct Signals(OwnedFd);

impl Signals {
    /// Holds what people and other programs end or wake a program with, and the news of its children.
    ///
    /// # Errors
    ///
    /// Where the kernel has no descriptor left.
    pub(crate) fn hold() -> Result<Self> {
        let set = ENDING.iter().fold(SignalSet::empty(), |set, signal| set.add(signal.as_raw()));
        let set = set.add(Signal::WINCH.as_raw()).add(Signal::CHILD.as_raw());
        block(set).map_err(|errno| failed("block signals", errno))?;
        Ok(Self(signalfd(set).map_err(|errno| failed("signalfd", errno))?))
    }

    /// The next one, if there is one.
    ///
    /// # Errors
    ///
    /// Those of read(2).
    pub(super) fn next(&self) -> Result<Option<SignalInfo>> {
        read_signalfd(self.0.as_fd()).map_err(|errno| failed("read a signal", errno))
    }

    /// Becomes readable when there is one.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// The first that has come to end this process.
    ///
    /// # Errors
    ///
    /// Those of read(2).
    pub(super) fn end(&self) -> Result<Option<i32>> {
        while let Some(info) = self.next()? {
            if ENDING.iter().any(|signal| signal.as_raw() == info.signal) {
                return Ok(Some(info.signal));
            }
        }
        Ok(None)
    }
}

/// A call of this process's own has failed.
pub(super) fn failed(what: &str, errno: Errno) -> Failure {
    Failure::new(format!("{what}: {errno}"))
}

/// What a shell says of a program that a signal has ended.
pub(super) fn code_of_signal(signal: i32) -> u8 {
    u8::try_from(128 + signal).unwrap_or(OWN_FAILURE)
}

/// Runs the bundle as the container `name`, and returns what its program came to.
pub(super) fn run(
    session: &Session<'_>,
    matches: &ArgMatches,
    name: &str,
    directory: &Path,
    signals: &Signals,
) -> Result<ExitCode> {
    if let Some(signal) = signals.end()? {
        return Ok(ExitCode::from(code_of_signal(signal)));
    }
    let log = directory.join("log");
    let mut engine = engine_with_log(session, &log)?;
    engine.arg("run").args(matches.get_flag("keep").then_some("--keep"));
    engine.arg("--bundle").arg(directory).arg(name);
    if !matches.get_flag("interactive") && !matches.get_flag("tty") {
        engine.stdin(Stdio::null());
    }
    let child = engine.spawn().map_err(cannot_run)?;
    let status = wait(child, signals)?;
    // Its errors it has printed itself.
    Ok(ExitCode::from(relay(session, &log).map_or(status, |error| failure_code(&error))))
}

/// Waits for the engine, and hands signals on that reached us alone.
///
/// # Errors
/// When it cannot be waited for.
pub(crate) fn wait(mut child: Child, signals: &Signals) -> Result<u8> {
    let pid = Pid::from_child(&child);
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).map_err(|errno| failed("pidfd_open", errno))?;
    loop {
        let mut fds = [PollFd::new(&pidfd, PollFlags::IN), PollFd::new(&signals.0, PollFlags::IN)];
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(failed("poll", errno)),
        }
        while let Some(info) = signals.next()? {
            // SI_USER and below (sigaction(2)): somebody sent it to this process alone.
            if info.code <= 0 {
                // ignored: the engine has ended.
                pidfd_send_signal(pidfd.as_fd(), info.signal).ok();
            }
        }
        let ended =
            child.try_wait().map_err(|error| Failure::new(format!("wait for the engine: {error}")))?;
        if let Some(status) = ended {
            let code = status.code().map(|code| u8::try_from(code).unwrap_or(OWN_FAILURE));
            return Ok(code.unwrap_or_else(|| code_of_signal(status.signal().unwrap_or_default())));
        }
    }
}
