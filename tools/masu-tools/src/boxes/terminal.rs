//! The terminal of a box in the background: the engine makes it, and sends its master here (`--console-socket`).

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;

use masu_app::{Failure, Result};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

/// A socket in the working directory, which goes with this.
pub(super) struct Console(UnixListener);

impl Console {
    /// Its name.
    pub(super) const NAME: &str = "console";

    /// Makes it.
    ///
    /// # Errors
    ///
    /// Those of bind(2).
    pub(super) fn listen() -> Result<Self> {
        UnixListener::bind(Self::NAME).map(Self).map_err(told)
    }

    /// Takes what the engine has sent: after it has ended, so that nothing is waited for.
    ///
    /// # Errors
    ///
    /// When it has sent no descriptor.
    pub(super) fn accept(self) -> Result<OwnedFd> {
        self.0.set_nonblocking(true).map_err(told)?;
        let (socket, _) = self.0.accept().map_err(told)?;
        let mut name = [0; 4096];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        recvmsg(&socket, &mut [IoSliceMut::new(&mut name)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)
            .map_err(|errno| told(errno.into()))?;
        let master = ancillary.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        });
        master.ok_or_else(|| Failure::new("the engine has sent no terminal"))
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        // ignored: it goes with the box.
        std::fs::remove_file(Self::NAME).ok();
    }
}

fn told(error: std::io::Error) -> Failure {
    Failure::new(format!("the socket for the terminal of the box: {error}"))
}
