//! What goes into the hook's standard input.

use rustix::{
    event::PollFlags,
    fd::{AsFd, BorrowedFd, OwnedFd},
    io::{Errno, Result},
};

/// The pipe and what is still to be written; the pipe is closed behind the last byte, or when nobody reads.
#[derive(Debug)]
pub(crate) struct Feed<'a> {
    pipe: Option<OwnedFd>,
    rest: [&'a [u8]; 3],
}

impl<'a> Feed<'a> {
    pub(crate) fn new(pipe: OwnedFd, rest: [&'a [u8]; 3]) -> Self {
        Self { pipe: Some(pipe), rest }
    }

    pub(crate) fn set_nonblocking(&self) -> Result<()> {
        self.pipe.as_ref().map_or(Ok(()), crate::set_nonblocking)
    }

    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// None when nothing is left to be written: the pidfd that then stands in is looked at by itself.
    pub(crate) fn events(&self) -> PollFlags {
        if self.pipe.is_some() { PollFlags::OUT } else { PollFlags::empty() }
    }

    /// Writes as much as the pipe takes.
    pub(crate) fn give(&mut self) {
        let Some(pipe) = &self.pipe else { return };
        for part in &mut self.rest {
            while !part.is_empty() {
                match rustix::io::write(pipe, part) {
                    Ok(written) => *part = part.get(written..).unwrap_or_default(),
                    Err(Errno::INTR) => {}
                    Err(Errno::AGAIN) => return,
                    // EPIPE: the hook does not want the rest.
                    Err(_) => break,
                }
            }
        }
        self.pipe = None;
    }
}
