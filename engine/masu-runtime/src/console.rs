//! Who gets the master side of the container's terminal: `--console-socket`, or the engine in the foreground.

use alloc::{format, string::String};
use core::{mem::MaybeUninit, time::Duration};

use rustix::{
    fd::{AsFd, OwnedFd},
    io::{Errno, IoSlice},
    net::{
        AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags,
        SocketType, sockopt,
    },
};

use crate::{
    error::{Doing, Error, Result},
    terminal::{self, Lent},
};

/// What the message with the master says: the name that receivers know from runc. It must not be empty, since a
/// stream socket drops descriptors that come without a byte, unix(7).
const NAME: &[u8] = b"/dev/ptmx";

/// How long a receiver may take before the start is given up.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether the engine stays until the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attachment {
    /// It does, and lends its own terminal.
    Foreground,
    /// It returns once the process is made.
    Detached,
}

/// What the command line says of the terminal.
#[derive(Debug, Clone, Copy)]
pub struct Console<'a> {
    /// Whether the engine stays.
    pub attachment: Attachment,
    /// `--console-socket`; an empty path is none.
    pub socket: Option<&'a str>,
}

impl Console<'_> {
    /// Makes ready for the terminal of a process that is `asked` to have one, before anything of the process exists.
    ///
    /// # Errors
    /// When somebody would be missing to receive it, or nothing would come; when the socket cannot be reached.
    pub(crate) fn receiver(self, asked: bool) -> Result<Option<Receiver>> {
        let socket = self.socket.filter(|path| !path.is_empty());
        match (asked, self.attachment, socket) {
            (true, Attachment::Detached, Some(path)) => {
                connect(path).map(|socket| Some(Receiver::Socket { socket, path: path.into() }))
            }
            (true, Attachment::Detached, None) => Err(Error::State {
                message: "cannot allocate tty if masu will detach without setting console socket".into(),
                hint: Some("give --console-socket, or set process.terminal to false".into()),
            }),
            (_, _, Some(_)) => Err(Error::State {
                message: "cannot use console socket if masu will not detach or allocate tty".into(),
                hint: Some("it takes process.terminal (exec: --tty), and create or --detach".into()),
            }),
            (true, Attachment::Foreground, None) => {
                terminal::Host::find().map(|host| Some(Receiver::Engine { host: Some(host), lent: None }))
            }
            (false, _, None) => Ok(None),
        }
    }
}

/// Who gets the master.
#[derive(Debug)]
pub(crate) enum Receiver {
    /// A program that listens on a socket.
    Socket {
        /// The connection.
        socket: OwnedFd,
        /// Where it leads, for messages.
        path: String,
    },
    /// The engine itself.
    Engine {
        /// Our terminal, until the other one comes.
        host: Option<terminal::Host>,
        /// Both.
        lent: Option<Lent>,
    },
}

impl Receiver {
    /// The terminal that the engine has to attend to.
    pub(crate) fn into_lent(self) -> Option<Lent> {
        match self {
            Self::Socket { .. } => None,
            Self::Engine { lent, .. } => lent,
        }
    }

    /// Hands the master over.
    pub(crate) fn take(&mut self, master: OwnedFd) -> Result<()> {
        match self {
            Self::Socket { socket, path } => send(socket, &master).map_err(|errno| {
                let hint = matches!(errno, Errno::PIPE | Errno::CONNRESET)
                    .then(|| "its other side was closed before the terminal came".into());
                failed(path, "send the terminal", errno, hint)
            }),
            Self::Engine { host, lent } => {
                *lent = host.take().map(|host| Lent::new(host, master)).transpose()?;
                Ok(())
            }
        }
    }
}

fn connect(path: &str) -> Result<OwnedFd> {
    let address = SocketAddrUnix::new(path).map_err(|errno| {
        failed(path, "connect", errno, Some("the path of a socket has at most 108 bytes".into()))
    })?;
    let socket =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
            .doing(|| "socket".into())?;
    // connect(2) waits while too many wait already; it is this timeout that ends it.
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, Some(PATIENCE))
        .doing(|| "setsockopt SO_SNDTIMEO".into())?;
    rustix::net::connect(&socket, &address)
        .map_err(|errno| failed(path, "connect", errno, explain(errno)))?;
    Ok(socket)
}

fn explain(errno: Errno) -> Option<String> {
    let text = match errno {
        Errno::NOENT => "who receives the terminal makes the socket before it calls masu",
        Errno::CONNREFUSED => "it is no socket, or nobody listens on it",
        Errno::PROTOTYPE => "it has to be a stream socket",
        Errno::AGAIN => "too many connections wait there for somebody to accept them",
        _ => return None,
    };
    Some(text.into())
}

fn send(socket: &OwnedFd, master: &OwnedFd) -> rustix::io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let masters = [master.as_fd()];
    loop {
        let mut rights = SendAncillaryBuffer::new(&mut space);
        rights.push(SendAncillaryMessage::ScmRights(&masters));
        match rustix::net::sendmsg(socket, &[IoSlice::new(NAME)], &mut rights, SendFlags::NOSIGNAL) {
            Err(Errno::INTR) => {}
            outcome => return outcome.map(drop),
        }
    }
}

fn failed(path: &str, call: &str, errno: Errno, hint: Option<String>) -> Error {
    Error::System { action: format!("--console-socket {path:?}: {call}"), errno, hint }
}
