//! The engine, running the box in the foreground.

use std::os::fd::{AsFd, OwnedFd};
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
use serde::Deserialize;

use super::OWN_FAILURE;
use crate::Session;
use crate::bundle::container_of;
use crate::engine::{self, ENGINE, cannot_run};

/// Exit codes that podman and docker have for a program that does not start.
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;

/// What ends a program that has not asked for it.
const ENDING: [Signal; 6] =
    [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT, Signal::USR1, Signal::USR2];

/// Signals of this process, held from the first file of a box to the last. The engine's are held with them, and it reads
/// them; the container's process begins with none held.
pub(crate) struct Signals(OwnedFd);

impl Signals {
    /// Holds what people and other programs end or wake a program with.
    ///
    /// # Errors
    ///
    /// Where the kernel has no descriptor left.
    pub(crate) fn hold() -> Result<Self> {
        let set = ENDING.iter().fold(SignalSet::empty(), |set, signal| set.add(signal.as_raw()));
        let set = set.add(Signal::WINCH.as_raw());
        block(set).map_err(|errno| failed("block signals", errno))?;
        Ok(Self(signalfd(set).map_err(|errno| failed("signalfd", errno))?))
    }

    /// The next one, if there is one.
    fn next(&self) -> Result<Option<SignalInfo>> {
        read_signalfd(self.0.as_fd()).map_err(|errno| failed("read a signal", errno))
    }

    /// The first that has come to end this process.
    fn end(&self) -> Result<Option<i32>> {
        while let Some(info) = self.next()? {
            if ENDING.iter().any(|signal| signal.as_raw() == info.signal) {
                return Ok(Some(info.signal));
            }
        }
        Ok(None)
    }
}

fn failed(what: &str, errno: Errno) -> Failure {
    Failure::new(format!("{what}: {errno}"))
}

/// What a shell says of a program that a signal has ended.
fn code_of_signal(signal: i32) -> u8 {
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
    let mut engine = engine::command(session, ENGINE)?;
    engine.arg("--log").arg(&log).args(["--log-format", "json"]);
    engine::add_global_options(session, &mut engine);
    engine.arg("run").args(matches.get_flag("keep").then_some("--keep"));
    engine.arg("--bundle").arg(directory).arg(name);
    if !matches.get_flag("interactive") && !matches.get_flag("tty") {
        engine.stdin(Stdio::null());
    }
    let child = engine.spawn().map_err(cannot_run)?;
    let status = wait(child, signals)?;
    relay(session, &log, status)
}

/// Removes the container of a bundle whose engine was killed, and kills what still runs in it.
pub(super) fn clear(session: &Session<'_>, directory: &Path) -> Result<()> {
    // Where the state cannot be read the engine has made nothing either.
    let Ok(Some(id)) = container_of(session, directory) else { return Ok(()) };
    let status =
        engine::command(session, ENGINE)?.args(["delete", "--force", &id]).status().map_err(cannot_run)?;
    match status.success() {
        true => Ok(()),
        false => Err(Failure::new(format!("container {id} is left: masu delete --force {id}"))),
    }
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

/// A line of the engine's log.
#[derive(Deserialize)]
struct Line {
    level: String,
    msg: String,
}

/// What the engine had to say. Its errors it has printed itself; one of them means that the status is the engine's.
fn relay(session: &Session<'_>, log: &Path, status: u8) -> Result<ExitCode> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<Line> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    for line in &lines {
        match line.level.as_str() {
            "warning" => session.log.warning(&line.msg),
            "debug" => session.log.debug(&line.msg),
            _ => {}
        }
    }
    let error = lines.iter().rfind(|line| line.level == "error");
    Ok(ExitCode::from(error.map_or(status, |error| failure_code(&error.msg))))
}

fn failure_code(message: &str) -> u8 {
    match message {
        message if !message.starts_with("exec: ") => OWN_FAILURE,
        message if message.contains("not found") || message.contains("no such file") => NOT_FOUND,
        _ => NOT_EXECUTABLE,
    }
}

#[cfg(test)]
mod tests {
    use super::failure_code;

    #[test]
    fn a_program_that_does_not_start_has_a_code_of_its_own() {
        assert_eq!(failure_code("exec: \"x\": executable file not found in $PATH"), 127);
        assert_eq!(failure_code("exec: \"/x\": no such file or directory (ENOENT)"), 127);
        assert_eq!(failure_code("exec: \"/\": is a directory: permission denied"), 126);
        assert_eq!(failure_code("mounts[7]: no such file or directory (ENOENT)"), 125);
    }
}
