//! Terminals as engines have them: a socket that receives a container's.

use std::io::Read as _;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::event::PollFlags;
use rustix::io::IoSliceMut;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

pub(crate) use masu_harness::terminal::Terminal;
use masu_harness::terminal::wait_for;

use super::{Bench, Check, ensure, ensure_eq, fail};

/// A socket as engines give it to `--console-socket`.
#[derive(Debug)]
pub(crate) struct ConsoleSocket {
    /// Its path.
    pub(crate) path: PathBuf,
    listener: UnixListener,
}

impl ConsoleSocket {
    /// Listens in the directory of the case.
    pub(crate) fn listen(bench: &Bench<'_>) -> Check<Self> {
        Self::at(bench.path("console.sock"))
    }

    /// Listens at a path.
    pub(crate) fn at(path: PathBuf) -> Check<Self> {
        let listener = UnixListener::bind(&path)?;
        Ok(Self { path, listener })
    }

    /// The path as an argument.
    pub(crate) fn argument(&self) -> String {
        self.path.to_string_lossy().into_owned()
    }

    /// The terminal that a runtime has sent.
    pub(crate) fn receive(&self) -> Check<Terminal> {
        wait_for(&self.listener, PollFlags::IN, "a connection to the console socket")?;
        let (stream, _) = self.listener.accept()?;
        let (name, master) = receive_descriptor(&stream)?;
        ensure!(name.starts_with("/dev/"), "the message names {name:?}");
        let mut rest = Vec::new();
        (&stream).read_to_end(&mut rest)?;
        ensure_eq!(rest, Vec::<u8>::new(), "more than one message");
        Terminal::new(master)
    }
}

/// One message with one descriptor, as go-runc and conmon read it.
fn receive_descriptor(stream: &UnixStream) -> Check<(String, OwnedFd)> {
    wait_for(stream, PollFlags::IN, "a message on the console socket")?;
    let mut bytes = [0; 4096];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let message = recvmsg(stream, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut descriptors = Vec::new();
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = part {
            descriptors.extend(rights);
        }
    }
    ensure_eq!(descriptors.len(), 1, "descriptors in the message");
    let name = bytes.get(..message.bytes).unwrap_or_default();
    let master = descriptors.pop().ok_or_else(|| fail("no descriptor"))?;
    Ok((String::from_utf8_lossy(name).into_owned(), master))
}

/// A path that no socket can have.
pub(crate) fn too_long(directory: &Path) -> PathBuf {
    directory.join("s".repeat(120))
}
