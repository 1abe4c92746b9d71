//! A program that listens on a Unix socket for what a runtime hands over: one message with a descriptor.

use std::fs;
use std::io::{ErrorKind, Read as _};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::io::IoSliceMut;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use super::command::{Running, deadline};
use super::{Check, ensure_eq, fail, host};

/// The socket.
#[derive(Debug)]
pub(crate) struct Receiver {
    /// Where it is.
    pub(crate) path: PathBuf,
    listener: UnixListener,
}

impl Receiver {
    /// Begins to listen.
    pub(crate) fn listen(path: &Path) -> Check<Self> {
        let listener = UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        Ok(Self { path: path.to_owned(), listener })
    }

    /// Waits for a connection: its text and its descriptor; nothing else follows.
    pub(crate) fn receive(&self) -> Check<(String, OwnedFd)> {
        let mut accepted = None;
        host::until("a connection to the socket", || {
            accepted = self.accept()?;
            Ok(accepted.is_some())
        })?;
        read(accepted.ok_or_else(|| fail("no connection"))?)
    }

    /// The same of a call that is under way, and that may fail instead.
    pub(crate) fn receive_of(&self, call: &mut Running) -> Check<(String, OwnedFd)> {
        let mut accepted = None;
        let waited = host::until("a connection to the socket", || {
            accepted = self.accept()?;
            Ok(accepted.is_some() || call.has_ended()?)
        });
        match accepted {
            Some(stream) => read(stream),
            None => {
                waited.map_err(|failure| fail(format!("{failure:?}: {}", describe(call.pid()))))?;
                Err(fail(format!("it ended without a connection: {}", call.stderr_so_far()?)))
            }
        }
    }

    fn accept(&self) -> Check<Option<UnixStream>> {
        match self.listener.accept() {
            Ok((stream, _)) => Ok(Some(stream)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// What a process that hangs is doing, and its children.
fn describe(pid: i32) -> String {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|child| child.parse().ok());
    let read = |pid: i32, name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let lines = [pid].into_iter().chain(children).map(|pid| {
        format!(
            "{pid} {:?} in {} at {}",
            read(pid, "cmdline"),
            read(pid, "wchan"),
            read(pid, "syscall").trim()
        )
    });
    lines.collect::<Vec<_>>().join("; ")
}

fn read(mut stream: UnixStream) -> Check<(String, OwnedFd)> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(deadline()))?;
    let mut bytes = [0; 4096];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let message =
        recvmsg(&stream, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut descriptors = Vec::new();
    for ancillary in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = ancillary {
            descriptors.extend(rights);
        }
    }
    ensure_eq!(descriptors.len(), 1, "descriptors");
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).map_err(|error| fail(format!("the connection stays open: {error}")))?;
    ensure_eq!(rest, Vec::<u8>::new(), "more than one message");
    let text = String::from_utf8_lossy(bytes.get(..message.bytes).unwrap_or_default()).into_owned();
    descriptors.pop().map(|descriptor| (text, descriptor)).ok_or_else(|| fail("no descriptor"))
}
