//! Runs one hook of the runtime specification: the state on its standard input, what it says caught, its time bounded.
//!
//! The engine runs hooks of the runtime's namespaces, and masu-init those of the container's; both do it with [`run`].
//! It neither allocates nor formats, and nothing that a hook does can stop it, but a hook without a timeout that
//! does not end:
//!
//! | a hook that | meets |
//! |---|---|
//! | does not read, or closes its standard input | the pipe is given up at the first EPIPE, or when the hook ends |
//! | writes more than is kept | it is all read; the end of it is kept |
//! | leaves a daemon behind that holds its output | the end of the hook counts, not that of the pipe |
//! | ignores signals | SIGKILL, at its timeout |
//! | looks for descriptors of the caller | 0, 1 and 2 are its own pipes; everything else is closed at its exec |
//! | outlives its caller | it is killed when the caller dies, prctl(2) `PR_SET_PDEATHSIG` |
//!
//! The caller ignores SIGPIPE, as engine and init do.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod child;
mod feed;
mod tail;

use core::ffi::CStr;

use masu_sys::{
    exec::PointerBlock,
    process::{CloneArgs, Forked, fork, pidfd_send_signal},
};
use rustix::{
    event::{PollFd, PollFlags},
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::OFlags,
    io::{Errno, Result},
    pipe::PipeFlags,
    process::{WaitId, WaitIdOptions, WaitIdStatus},
    time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec},
};

pub use tail::{TAIL_SIZE, Tail};

use feed::Feed;

const SIGKILL: i32 = 9;

/// Reads of what is left in the pipe when the hook has ended: as many as its 64 KiB can take, pipe(7). A daemon that the
/// hook left behind could fill it for ever.
const LAST_READS: usize = 17;

/// A hook that is to be run.
#[derive(Debug, Clone, Copy)]
pub struct Hook<'a> {
    /// The program, by its absolute path.
    pub program: &'a CStr,
    /// Its arguments, the name first.
    pub arguments: &'a PointerBlock<'a>,
    /// Its environment, complete.
    pub environment: &'a PointerBlock<'a>,
    /// The directory that it starts in; the caller's own if there is none.
    pub directory: Option<BorrowedFd<'a>>,
    /// Where its standard output and its standard error go, instead of where we hear them.
    pub outputs: [Option<BorrowedFd<'a>>; 2],
    /// What it reads from its standard input, in three parts.
    pub input: [&'a [u8]; 3],
    /// After so many seconds it is killed.
    pub timeout: Option<u32>,
    /// Something that ends the hook when it becomes readable, such as a signalfd.
    pub interrupt: Option<BorrowedFd<'a>>,
}

/// How a hook ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// By itself, with this status.
    Exited(i32),
    /// By this signal.
    Killed(i32),
    /// By us, at its timeout.
    TimedOut,
    /// By us, since `interrupt` became readable.
    Interrupted,
    /// It did not begin.
    NotExecuted(Errno),
}

/// Runs `hook` to its end and keeps the last of what it writes in `tail`.
///
/// # Errors
/// Those of pipe2(2), clone3(2) and poll(2); a hook that was begun is then dead.
pub fn run(hook: &Hook<'_>, tail: &mut Tail) -> Result<Ending> {
    let (input, feed) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    let (output, theirs) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    let (failure, report) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    let us = rustix::process::getpid();
    let pidfd = match fork(&CloneArgs::default())? {
        Forked::Child => {
            let [output, error] = hook.outputs.map(|output| output.unwrap_or(theirs.as_fd()));
            child::become_hook(hook, [input.as_fd(), output, error], &report, us)
        }
        Forked::Parent { pidfd, .. } => pidfd,
    };
    drop((input, theirs, report));
    let attended = attend(hook, &pidfd, Feed::new(feed, hook.input), &output, tail);
    if !matches!(attended, Ok(None)) {
        // ignored: ESRCH, when it has ended just now.
        let _ = pidfd_send_signal(pidfd.as_fd(), SIGKILL);
    }
    let status = reap(&pidfd)?;
    if let Some(ending) = attended? {
        return Ok(ending);
    }
    Ok(match child::read_failure(&failure)? {
        Some(errno) => Ending::NotExecuted(errno),
        None => ending(&status),
    })
}

/// Feeds and hears the hook until it ends by itself, or is to be killed.
fn attend(
    hook: &Hook<'_>,
    pidfd: &OwnedFd,
    mut feed: Feed<'_>,
    output: &OwnedFd,
    tail: &mut Tail,
) -> Result<Option<Ending>> {
    set_nonblocking(output)?;
    feed.set_nonblocking()?;
    let timer = hook.timeout.map(start_timer).transpose()?;
    let mut heard = Some(output);
    loop {
        // The pidfd stands in for what is not there. It may become readable while poll(2) looks from one to the next, so
        // that its events mean nothing in any place but the first.
        let mut ready = [
            PollFd::new(pidfd, PollFlags::IN),
            PollFd::new(heard.unwrap_or(pidfd), PollFlags::IN),
            PollFd::from_borrowed_fd(feed.descriptor().unwrap_or(pidfd.as_fd()), feed.events()),
            PollFd::from_borrowed_fd(hook.interrupt.unwrap_or(pidfd.as_fd()), PollFlags::IN),
            PollFd::new(timer.as_ref().unwrap_or(pidfd), PollFlags::IN),
        ];
        match rustix::event::poll(&mut ready, None) {
            Err(Errno::INTR) => continue,
            outcome => outcome?,
        };
        let [ended, said, hungry, interrupted, late] = ready.map(|fd| !fd.revents().is_empty());
        if said && heard.is_some_and(|output| !hear(output, tail)) {
            heard = None;
        }
        if hungry {
            feed.give();
        }
        if ended {
            hear_rest(heard, tail);
            return Ok(None);
        }
        if interrupted && hook.interrupt.is_some() {
            return Ok(Some(Ending::Interrupted));
        }
        if late && timer.is_some() {
            return Ok(Some(Ending::TimedOut));
        }
    }
}

/// Reads once; `false` at the end of the pipe.
fn hear(output: &OwnedFd, tail: &mut Tail) -> bool {
    let mut chunk = [0; 4096];
    match rustix::io::read(output, &mut chunk) {
        Ok(0) => false,
        Ok(length) => {
            tail.push(chunk.get(..length).unwrap_or_default());
            true
        }
        Err(errno) => matches!(errno, Errno::AGAIN | Errno::INTR),
    }
}

/// Reads what the hook wrote just before its end.
fn hear_rest(output: Option<&OwnedFd>, tail: &mut Tail) {
    let Some(output) = output else { return };
    for _ in 0..LAST_READS {
        let mut chunk = [0; 4096];
        match rustix::io::read(output, &mut chunk) {
            Ok(length @ 1..) => tail.push(chunk.get(..length).unwrap_or_default()),
            Err(Errno::INTR) => {}
            _ => break,
        }
    }
}

fn reap(pidfd: &OwnedFd) -> Result<WaitIdStatus> {
    loop {
        match rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED) {
            Err(Errno::INTR) => {}
            outcome => return outcome?.ok_or(Errno::CHILD),
        }
    }
}

fn ending(status: &WaitIdStatus) -> Ending {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Ending::Exited(code),
        (None, signal) => Ending::Killed(signal.unwrap_or(SIGKILL)),
    }
}

fn set_nonblocking(fd: impl AsFd) -> Result<()> {
    rustix::fs::fcntl_setfl(fd, OFlags::NONBLOCK)
}

/// A descriptor that is readable after so many seconds. Against a deadline each round would have to ask for the time.
fn start_timer(seconds: u32) -> Result<OwnedFd> {
    let timer = rustix::time::timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC)?;
    let once = Timespec { tv_sec: 0, tv_nsec: 0 };
    let value = Itimerspec { it_interval: once, it_value: Timespec { tv_sec: seconds.into(), tv_nsec: 0 } };
    rustix::time::timerfd_settime(&timer, TimerfdTimerFlags::empty(), &value)?;
    Ok(timer)
}
