//! The process that becomes the hook.

use masu_sys::{
    exec::execve,
    process::exit_group,
    signal::{self, SignalSet},
};
use rustix::{
    fd::{BorrowedFd, OwnedFd},
    io::{Errno, Result},
    process::{Pid, Signal},
};

use crate::Hook;

/// Exit status of a process that did not become its hook, for whoever looks at the process itself; ours reads the pipe.
const NOT_EXECUTED: i32 = 127;

/// Becomes the hook, or writes the errno to `report` and ends. `parent` is the caller.
pub(crate) fn become_hook(hook: &Hook<'_>, streams: [BorrowedFd<'_>; 3], report: &OwnedFd, parent: Pid) -> ! {
    let errno = match prepare(hook, streams, parent) {
        Ok(()) => execve(hook.program, hook.arguments, hook.environment),
        Err(errno) => errno,
    };
    // ignored: without the errno the caller sees the exit status.
    let _ = rustix::io::write(report, &errno.raw_os_error().to_ne_bytes());
    exit_group(NOT_EXECUTED)
}

fn prepare(hook: &Hook<'_>, [input, output, error]: [BorrowedFd<'_>; 3], parent: Pid) -> Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have died before the prctl: then no signal comes.
    if rustix::process::getppid() != Some(parent) {
        return Err(Errno::SRCH);
    }
    if let Some(directory) = hook.directory {
        rustix::process::fchdir(directory)?;
    }
    rustix::stdio::dup2_stdin(input)?;
    rustix::stdio::dup2_stdout(output)?;
    rustix::stdio::dup2_stderr(error)?;
    // Descriptors that masu-init inherited and has not used yet are not close-on-exec by themselves.
    masu_sys::fd::set_cloexec_range(3, u32::MAX)?;
    signal::reset_dispositions()?;
    signal::set_mask(SignalSet::empty()).map(drop)
}

/// The errno of a hook that did not begin. Its process has ended, and with its exec or its end the pipe was closed.
pub(crate) fn read_failure(report: &OwnedFd) -> Result<Option<Errno>> {
    let mut bytes = [0; 4];
    match rustix::io::read(report, &mut bytes)? {
        4 => Ok(Some(Errno::from_raw_os_error(i32::from_ne_bytes(bytes)))),
        _ => Ok(None),
    }
}
