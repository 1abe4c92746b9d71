//! `sd_notify(3)` across the border of a container: the proxy of `NOTIFY_SOCKET`.
//!
//! The service manager's socket stays outside. The container gets one of ours, in a directory of its state that is bound
//! read-only on [`DIRECTORY`], and of what it says only that it is ready is passed on.
//!
//! ```text
//!   container ── READY=1 ──▶ ours ── READY=1, MAINPID=…, BARRIER=1 with a pipe ──▶ the manager's
//!                             │ everything else is dropped           the pipe closes ◀─┘ (at most 30 s)
//!   Listening ────────────────▶ Barrier ──────────────────────────▶ Done: what comes is read and dropped
//! ```

use alloc::{format, string::String};

use masu_spec::{AttrChange, Bind, Config, Mount, MountAttr, MountOptions, Status};
use rustix::{
    event::{PollFd, PollFlags, Timespec},
    fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    fs::{AtFlags, Mode, OFlags},
    io::Errno,
    net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, sockopt},
    pipe::PipeFlags,
    time::{ClockId, clock_gettime},
};

use crate::{
    descriptor_socket::send_descriptor,
    error::{Doing, Error, Result},
    state::not_running,
    store::{Directory, Store},
};

/// Where the socket is in the container.
const DIRECTORY: &str = "/run/notify";
/// Name of the directory in the container's state, and of the socket in it: runc's.
pub(crate) const NAME: &str = "notify";
const SOCKET: &str = "notify.sock";

/// How long the service manager may take for the barrier, in seconds: runc's and systemd's.
const BARRIER: i64 = 30;

/// The most messages that are read at a time.
const MESSAGES: usize = 64;

/// The proxy of one container.
#[derive(Debug)]
pub struct Notify {
    /// The container's side.
    socket: OwnedFd,
    /// The service manager's address.
    manager: String,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Listening,
    /// The pipe's end that closes when the manager has read all, and when patience ends, in seconds.
    Barrier(OwnedFd, i64),
    Done,
}

/// Adds the socket's mount and variable to a configuration.
pub(crate) fn add_to(config: &mut Config<'_>, store: &Store, id: &str) {
    let set = MountAttr::NOSUID | MountAttr::NOEXEC | MountAttr::NODEV | MountAttr::RDONLY;
    let options = MountOptions {
        bind: Bind::Bind,
        attr: AttrChange { set, ..AttrChange::default() },
        ..MountOptions::default()
    };
    config.mounts.push(Mount {
        destination: DIRECTORY.into(),
        fs_type: None,
        source: Some(format!("{}/{NAME}", store.path(id)).into()),
        options,
        ids: None,
    });
    config.process.env.push(format!("NOTIFY_SOCKET={DIRECTORY}/{SOCKET}").into());
}

/// Makes the directory of the socket.
pub(crate) fn make_directory(state: &Directory) -> Result<()> {
    rustix::fs::mkdirat(&state.fd, NAME, Mode::from_bits_truncate(0o755))
        .doing(|| format!("NOTIFY_SOCKET: make {NAME}"))
}

impl Notify {
    /// Listens for the container whose state is in `state`; `manager` is `NOTIFY_SOCKET` of the engine.
    pub(crate) fn listen(state: &Directory, manager: &str) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(&state.fd, NAME, flags, Mode::empty()).map_err(|errno| {
            let hint =
                (errno == Errno::NOENT).then(|| "the container was created without NOTIFY_SOCKET".into());
            Error::System { action: format!("NOTIFY_SOCKET: open {NAME}"), errno, hint }
        })?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)
            .doing(|| "NOTIFY_SOCKET: socket".into())?;
        // By the descriptor, since the path of a state directory may be longer than an address.
        let path = format!("/proc/self/fd/{}/{SOCKET}", directory.as_raw_fd());
        let address = SocketAddrUnix::new(path.as_str()).doing(|| "NOTIFY_SOCKET".into())?;
        match rustix::fs::unlinkat(&directory, SOCKET, AtFlags::empty()) {
            Err(Errno::NOENT) => {}
            outcome => outcome.doing(|| "NOTIFY_SOCKET: remove an old socket".into())?,
        }
        rustix::net::bind(&socket, &address).doing(|| "NOTIFY_SOCKET: bind".into())?;
        // Whatever user the container has: who reaches the directory may write.
        rustix::fs::chmodat(&directory, SOCKET, Mode::from_bits_truncate(0o777), AtFlags::empty())
            .doing(|| "NOTIFY_SOCKET: chmod".into())?;
        Ok(Self { socket, manager: manager.into(), phase: Phase::Listening })
    }

    /// Listens for a container that waits for its start; `None` for one that does not.
    ///
    /// # Errors
    /// When it was made without a socket, or there is no such container.
    pub fn listen_for(store: &Store, id: &str, manager: &str) -> Result<Option<Self>> {
        let container = store.load(id)?;
        match container.status()? {
            Status::Created => Self::listen(&container.directory, manager).map(Some),
            // `start` says what is wrong.
            _ => Ok(None),
        }
    }

    /// Passes on that the container is ready, and returns then, or when its process has ended. What goes wrong on the
    /// manager's side is `warn`ed of: the container runs in any case.
    ///
    /// # Errors
    /// Those of poll(2), and "container not running".
    pub fn forward(mut self, store: &Store, id: &str, warn: &dyn Fn(&str)) -> Result<()> {
        let container = store.load(id)?;
        let Some(process) = container.open_process()? else { return Err(not_running()) };
        loop {
            let mut fds = alloc::vec![PollFd::new(&process, PollFlags::IN)];
            fds.extend(self.descriptors().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
            match rustix::event::poll(&mut fds, self.timeout().as_ref()) {
                Err(Errno::INTR) => continue,
                outcome => outcome.doing(|| "wait for the container".into())?,
            };
            let ended = fds.first().is_some_and(|fd| !fd.revents().is_empty());
            self.attend(container.record.pid, warn);
            if ended || matches!(self.phase, Phase::Done) {
                return Ok(());
            }
        }
    }

    /// What to poll for reading.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let pipe = match &self.phase {
            Phase::Barrier(pipe, _) => Some(pipe.as_fd()),
            Phase::Listening | Phase::Done => None,
        };
        core::iter::once(self.socket.as_fd()).chain(pipe)
    }

    /// How long to poll at most.
    pub(crate) fn timeout(&self) -> Option<Timespec> {
        match self.phase {
            Phase::Barrier(_, until) => Some(Timespec { tv_sec: (until - seconds()).max(0), tv_nsec: 0 }),
            Phase::Listening | Phase::Done => None,
        }
    }

    /// Does what can be done without waiting. `main` is the process that the manager is told of.
    pub(crate) fn attend(&mut self, main: i32, warn: &dyn Fn(&str)) {
        // A container that never stops talking must not keep us from its signals.
        for _ in 0..MESSAGES {
            let Some(ready) = self.receive() else { break };
            if let (Phase::Listening, Some(line)) = (&self.phase, ready) {
                self.phase = match self.tell(&line, main) {
                    Ok(pipe) => Phase::Barrier(pipe, seconds() + BARRIER),
                    Err(error) => {
                        warn(&format!("{error}"));
                        Phase::Done
                    }
                };
            }
        }
        if let Phase::Barrier(pipe, until) = &self.phase {
            match rustix::event::poll(&mut [PollFd::new(pipe, PollFlags::IN)], Some(&Timespec::default())) {
                Ok(0) | Err(_) if seconds() < *until => {}
                Ok(0) | Err(_) => {
                    warn(&format!("NOTIFY_SOCKET: no answer to BARRIER=1 within {BARRIER} seconds"));
                    self.phase = Phase::Done;
                }
                Ok(_) => self.phase = Phase::Done,
            }
        }
    }

    /// The next message, if there is one: its line that says READY, if it has one.
    fn receive(&self) -> Option<Option<String>> {
        let mut message = [0; 4096];
        loop {
            return match rustix::net::recv(&self.socket, &mut message, RecvFlags::empty()) {
                Err(Errno::INTR) => continue,
                Err(_) => None,
                Ok((length, _)) => Some(find_ready(message.get(..length).unwrap_or_default())),
            };
        }
    }

    /// Tells the manager, and returns the pipe that it closes when it has read all: sd_notify_barrier(3).
    fn tell(&self, ready: &str, main: i32) -> Result<OwnedFd> {
        let manager = connect(&self.manager)?;
        let failed = || format!("NOTIFY_SOCKET {:?}: send", self.manager);
        for text in [format!("{ready}\n"), format!("MAINPID={main}\n")] {
            rustix::net::send(&manager, text.as_bytes(), SendFlags::NOSIGNAL).doing(failed)?;
        }
        let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).doing(|| "pipe".into())?;
        send_descriptor(manager.as_fd(), b"BARRIER=1", writer.as_fd()).doing(failed)?;
        Ok(reader)
    }
}

fn connect(manager: &str) -> Result<OwnedFd> {
    let address = match manager.strip_prefix('@') {
        Some(name) => SocketAddrUnix::new_abstract_name(name.as_bytes()),
        None => SocketAddrUnix::new(manager),
    };
    let failed = |call: &'static str| move || format!("NOTIFY_SOCKET {manager:?}: {call}");
    let address = address.doing(failed("connect"))?;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
        .doing(failed("socket"))?;
    // A manager that does not read must not hold the container up.
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, Some(core::time::Duration::from_secs(10)))
        .doing(failed("setsockopt SO_SNDTIMEO"))?;
    rustix::net::connect(&socket, &address).doing(failed("connect"))?;
    Ok(socket)
}

fn find_ready(message: &[u8]) -> Option<String> {
    let line = message.split(|byte| *byte == b'\n').find(|line| line.starts_with(b"READY="))?;
    core::str::from_utf8(line).ok().map(Into::into)
}

fn seconds() -> i64 {
    clock_gettime(ClockId::Monotonic).tv_sec
}

#[cfg(test)]
mod tests {
    use super::find_ready;

    #[test]
    fn of_a_message_only_the_line_that_says_ready_counts() {
        for (message, line) in [
            (&b"READY=1"[..], Some("READY=1")),
            (b"READY=1\nSTATUS=up\n", Some("READY=1")),
            (b"STATUS=up\nREADY=1\n", Some("READY=1")),
            (b"STATUS=READY=1", None),
            (b"STOPPING=1", None),
            (b"READY=\xff", None),
            (b"", None),
        ] {
            assert_eq!(find_ready(message).as_deref(), line, "{message:?}");
        }
    }
}
