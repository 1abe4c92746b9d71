//! A program that listens on a Unix socket for what a runtime hands over: one message with a descriptor.

use std::io::{ErrorKind, Read as _};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::io::IoSliceMut;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

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
        host::until("a connection to the socket", || match self.listener.accept() {
            Ok((stream, _)) => {
                accepted = Some(stream);
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error.into()),
        })?;
        let mut stream = accepted.ok_or_else(|| fail("no connection"))?;
        stream.set_nonblocking(false)?;
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
        stream.read_to_end(&mut rest)?;
        ensure_eq!(rest, Vec::<u8>::new(), "more than one message");
        let text = String::from_utf8_lossy(bytes.get(..message.bytes).unwrap_or_default()).into_owned();
        descriptors.pop().map(|descriptor| (text, descriptor)).ok_or_else(|| fail("no descriptor"))
    }
}
