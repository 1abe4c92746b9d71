//! The engine while its container runs in the foreground: it passes signals on, the exit status back, and what
//! is typed and shown where the process has a terminal.

use alloc::vec;

use masu_sys::signal::{SignalSet, block, read_signalfd, signalfd};
use rustix::{
    event::{PollFd, PollFlags},
    fd::{AsFd, OwnedFd},
    io::Errno,
    process::{Signal, WaitOptions, WaitStatus},
};

use crate::{
    create::Started,
    error::{Doing, Result},
    notify::Notify,
    spawn::Child,
    terminal::{Lent, Relay},
};

const SIGCHLD: i32 = 17;
/// The runtime's own business, or nobody's: not passed on.
const SIGURG: i32 = 23;
const SIGWINCH: i32 = 28;
const SIGCONT: i32 = 18;
const SIGTSTP: i32 = 20;
const SIGTTIN: i32 = 21;
const SIGTTOU: i32 = 22;
/// SIGHUP, SIGINT, SIGQUIT and SIGTERM: with these people end what they do not want to wait for.
const INTERRUPTING: [i32; 4] = [1, 2, 3, 15];

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

/// Lets all signals act again.
///
/// # Errors
/// As for [`block_signals`].
pub fn unblock_signals() -> Result<()> {
    masu_sys::signal::set_mask(SignalSet::empty()).map(drop).doing(|| "unblock signals".into())
}

/// Becomes the parent of orphans. Before the container starts.
///
/// # Errors
/// Those of prctl(2).
pub fn become_subreaper() -> Result<()> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .doing(|| "become a subreaper".into())
}

/// Waits for the container's process, passing signals on to it, and lends it our terminal. Returns its exit status, 128
/// and the number of the signal for one that a signal ended. What the container tells the service manager is passed on;
/// what goes wrong with that is `warn`ed of.
///
/// # Errors
/// When the process cannot be waited for.
pub fn wait(started: &mut Started, reaping: Reaping, warn: &dyn Fn(&str)) -> Result<i32> {
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let child = &started.child;
    let mut notify = started.notify.take();
    let signals = signalfd(SignalSet::all()).doing(|| "signalfd".into())?;
    // Dropped at the end of this function, however that is reached: our terminal is restored.
    let mut relay = started.terminal.take().map(Lent::begin).transpose()?;
    loop {
        let ended = reap(child, reaping)?;
        if let Some(notify) = &mut notify {
            notify.attend(own, warn);
        }
        if let Some(status) = ended {
            if let Some(relay) = &mut relay {
                relay.drain(signals.as_fd(), || is_interrupted(&signals))?;
            }
            return Ok(status);
        }
        let ready = poll(child, &signals, relay.as_ref(), notify.as_ref())?;
        while let Some(info) = read_signalfd(signals.as_fd()).doing(|| "read a signal".into())? {
            let attended = match &mut relay {
                Some(relay) => attend(relay, info.signal)?,
                None => false,
            };
            if !attended && !matches!(info.signal, SIGCHLD | SIGURG | SIGWINCH) {
                // ignored: the process has just ended, which the next round sees.
                let _ = masu_sys::process::pidfd_send_signal(child.as_fd(), info.signal);
            }
        }
        if let Some(relay) = &mut relay {
            relay.copy(ready)?;
        }
    }
}

/// Waits until a signal comes, the process ends, or there is something to pass on; what of the terminals.
fn poll(
    child: &Child,
    signals: &OwnedFd,
    relay: Option<&Relay>,
    notify: Option<&Notify>,
) -> Result<[PollFlags; 3]> {
    let mut ready = vec![PollFd::new(signals, PollFlags::IN), PollFd::new(child, PollFlags::IN)];
    let told = notify.into_iter().flat_map(Notify::descriptors);
    ready.extend(told.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
    let interests = relay.map(Relay::interests).unwrap_or_default();
    let wanted = interests.iter().flatten();
    ready.extend(wanted.map(|(fd, events)| PollFd::from_borrowed_fd(*fd, *events)));
    match rustix::event::poll(&mut ready, notify.and_then(Notify::timeout).as_ref()) {
        Err(Errno::INTR) => return Ok([PollFlags::empty(); 3]),
        outcome => outcome.map(drop).doing(|| "wait for the container".into())?,
    }
    // The terminals are the last ones, and come in their order.
    let mut last = ready.iter().rev().map(PollFd::revents);
    let mut found = [PollFlags::empty(); 3];
    for (place, interest) in found.iter_mut().zip(interests).rev() {
        if interest.is_some() {
            *place = last.next().unwrap_or(PollFlags::empty());
        }
    }
    Ok(found)
}

/// What a terminal's own signals mean to the one who lends his; whether it was one. They are ours: the container's
/// terminal has its own.
fn attend(relay: &mut Relay, signal: i32) -> Result<bool> {
    match signal {
        SIGWINCH => relay.resize(),
        SIGCONT => relay.resume()?,
        SIGTSTP => relay.stop(Signal::TSTP)?,
        SIGTTIN => relay.stop(Signal::TTIN)?,
        SIGTTOU => relay.stop(Signal::TTOU)?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// Whether a signal came that ends a program: then the rest of the output is not waited for.
fn is_interrupted(signals: &OwnedFd) -> Result<bool> {
    while let Some(info) = read_signalfd(signals.as_fd()).doing(|| "read a signal".into())? {
        if INTERRUPTING.contains(&info.signal) {
            return Ok(true);
        }
    }
    Ok(false)
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
