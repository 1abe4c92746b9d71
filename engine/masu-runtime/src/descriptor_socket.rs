//! Descriptors for somebody who listens on a Unix socket: a pidfd, or the listener of a filter.

use alloc::{format, string::String, vec::Vec};
use core::{mem::MaybeUninit, time::Duration};

use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    io::{Errno, IoSlice},
    net::{
        AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags,
        SocketType, sockopt,
    },
};

use crate::error::{Error, Result};

/// How long a receiver may take before the start is given up.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection to who receives a descriptor.
#[derive(Debug)]
pub(crate) struct DescriptorSocket {
    socket: OwnedFd,
    name: SocketName,
}

/// What messages say of a socket.
#[derive(Debug, Clone)]
pub(crate) struct SocketName {
    /// The option or the field that names it.
    pub(crate) origin: &'static str,
    /// What it gets.
    pub(crate) what: &'static str,
    /// Where it is.
    pub(crate) path: String,
}

impl DescriptorSocket {
    /// Connects to a stream socket.
    ///
    /// # Errors
    /// When nobody listens there.
    pub(crate) fn connect(name: SocketName) -> Result<Self> {
        let connected = connect(&name.path);
        let socket = connected.map_err(|errno| name.failed("connect", errno, name.explain(errno)))?;
        Ok(Self { socket, name })
    }

    /// Sends the descriptor with a text.
    ///
    /// # Errors
    /// When the other side is gone.
    pub(crate) fn send(&self, descriptor: BorrowedFd<'_>, text: &[u8]) -> Result<()> {
        send_descriptor(self.socket.as_fd(), text, descriptor).map_err(|errno| {
            let what = self.name.what;
            let hint = matches!(errno, Errno::PIPE | Errno::CONNRESET)
                .then(|| format!("its other side was closed before the {what} came"));
            self.name.failed(&format!("send the {what}"), errno, hint)
        })
    }
}

/// Who gets a pidfd of a process: `--pidfd-socket`, and what the annotation `run.oci.pidfd_receiver` says.
#[derive(Debug)]
pub(crate) struct PidfdReceivers(Vec<DescriptorSocket>);

impl PidfdReceivers {
    /// Connects to them before anything of the process exists; an empty path is none.
    ///
    /// # Errors
    /// When nobody listens at one of them.
    pub(crate) fn connect(option: Option<&str>, annotation: Option<&str>) -> Result<Self> {
        let origins = [("--pidfd-socket", option), ("run.oci.pidfd_receiver", annotation)];
        let named = origins.into_iter().filter_map(|(origin, path)| {
            let path = path.filter(|path| !path.is_empty())?.into();
            Some(SocketName { origin, what: "pidfd", path })
        });
        named.map(DescriptorSocket::connect).collect::<Result<_>>().map(Self)
    }

    /// Sends the pidfd, with runc's word for the kind of process: `standard` is a container's first one, `setns` one
    /// of `exec`.
    ///
    /// # Errors
    /// When one of them is gone.
    pub(crate) fn send(&self, pidfd: BorrowedFd<'_>, kind: &str) -> Result<()> {
        self.0.iter().try_for_each(|socket| socket.send(pidfd, kind.as_bytes()))
    }
}

fn connect(path: &str) -> rustix::io::Result<OwnedFd> {
    let address = SocketAddrUnix::new(path)?;
    let socket =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    // connect(2) waits while too many wait already; it is this timeout that ends it.
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, Some(PATIENCE))?;
    rustix::net::connect(&socket, &address)?;
    Ok(socket)
}

/// Sends one message with a descriptor, unix(7). It must have text: a stream socket drops descriptors that come without a
/// byte.
pub(crate) fn send_descriptor(
    socket: BorrowedFd<'_>,
    text: &[u8],
    descriptor: BorrowedFd<'_>,
) -> rustix::io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let descriptors = [descriptor];
    loop {
        let mut rights = SendAncillaryBuffer::new(&mut space);
        rights.push(SendAncillaryMessage::ScmRights(&descriptors));
        match rustix::net::sendmsg(socket, &[IoSlice::new(text)], &mut rights, SendFlags::NOSIGNAL) {
            Err(Errno::INTR) => {}
            outcome => return outcome.map(drop),
        }
    }
}

impl SocketName {
    fn explain(&self, errno: Errno) -> Option<String> {
        let text = match errno {
            Errno::NAMETOOLONG => "the path of a socket has at most 108 bytes",
            Errno::NOENT => {
                return Some(format!("who receives the {} makes the socket before it calls masu", self.what));
            }
            Errno::CONNREFUSED => "it is no socket, or nobody listens on it",
            Errno::PROTOTYPE => "it has to be a stream socket",
            Errno::AGAIN => "too many connections wait there for somebody to accept them",
            _ => return None,
        };
        Some(text.into())
    }

    fn failed(&self, call: &str, errno: Errno, hint: Option<String>) -> Error {
        Error::System { action: format!("{} {:?}: {call}", self.origin, self.path), errno, hint }
    }
}
