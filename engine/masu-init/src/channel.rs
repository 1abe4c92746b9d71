//! The line to the engine: frames out, one byte back at each barrier.

use masu_hook::Tail;
use masu_program::{Barrier, DETAIL_SIZE, Frame, Part};
use masu_sys::socket::send_descriptor;
use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    io::Errno,
    net::{RecvFlags, SendFlags},
};

use crate::failure::{At, Failure, Result, fail};

/// One end of the `SOCK_SEQPACKET` pair.
#[derive(Debug)]
pub(crate) struct Channel(pub(crate) OwnedFd);

impl Channel {
    /// Tells the engine that the process went on in `pid`.
    pub(crate) fn send_forked(&self, pid: i32) -> Result<()> {
        self.send(Frame::Forked { pid }).at(Part::Write)
    }

    /// Hands a descriptor to the engine; the frame says what it is.
    pub(crate) fn send_descriptor(&self, frame: Frame, descriptor: BorrowedFd<'_>) -> Result<()> {
        send_descriptor(self.0.as_fd(), &frame.encode(), descriptor).at(Part::SendDescriptor)
    }

    /// Stops at `barrier` until the engine has done its half.
    ///
    /// An engine that died has closed its end; then the answer is an end of file, and so is ours: nothing is
    /// left behind that nobody knows of.
    pub(crate) fn wait_at(&self, barrier: Barrier) -> Result<()> {
        self.send(Frame::Reached(barrier)).at(Part::Write)?;
        let mut go = [0; 1];
        let (received, _) = rustix::net::recv(self.0.as_fd(), &mut go, RecvFlags::empty()).at(Part::Read)?;
        if received == 0 { Err(fail(Part::Read, Errno::PIPE)) } else { Ok(()) }
    }

    /// Reports a failure.
    pub(crate) fn send_failure(&self, frame: Frame) {
        // ignored: an engine that is gone learns nothing, and the process ends in any case.
        let _ = self.send(frame);
    }

    /// Tells the engine. By value: a reference to a frame that is a constant would be a kilobyte of our file.
    pub(crate) fn send(&self, frame: Frame) -> rustix::io::Result<()> {
        rustix::net::send(self.0.as_fd(), &frame.encode(), SendFlags::NOSIGNAL).map(|_| ())
    }
}

/// The failure of step number `step`, with what the kernel or a hook said.
pub(crate) fn failure_frame(step: u32, failure: &Failure, said: &Tail) -> Frame {
    let errno = u16::try_from(failure.errno.raw_os_error()).unwrap_or(0);
    let detail = failure.log.as_ref().map_or_else(|| last_words(said), read_log);
    Frame::Failed { step, part: failure.part, errno, detail }
}

fn last_words(said: &Tail) -> [u8; DETAIL_SIZE] {
    let mut detail = [0; DETAIL_SIZE];
    detail.iter_mut().zip(said.as_bytes()).for_each(|(to, from)| *to = *from);
    detail
}

/// The first line of a file system context's log, without its class (`e `).
fn read_log(context: &OwnedFd) -> [u8; DETAIL_SIZE] {
    let mut line = [0; DETAIL_SIZE + 2];
    // ignored: without a log the errno alone is reported.
    let _ = rustix::io::read(context, &mut line);
    line.last_chunk().copied().unwrap_or([0; DETAIL_SIZE])
}
