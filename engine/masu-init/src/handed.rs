//! The descriptors of the host that the engine hands over.

use core::cell::Cell;

use masu_program::{Fd, Frame, Part};
use masu_sys::socket::{DESCRIPTORS_AT_ONCE, receive_descriptors};
use rustix::{
    fd::{AsFd, OwnedFd},
    io::Errno,
};

use crate::{
    channel::Channel,
    failure::{At, Result, fail},
};

/// What one message brought, until a step takes it. Steps take them in their order.
pub(crate) struct Handed {
    /// The number of the first.
    first: Cell<i32>,
    count: Cell<i32>,
    open: [Cell<Option<OwnedFd>>; DESCRIPTORS_AT_ONCE],
}

impl Handed {
    /// Nothing yet: the program comes first.
    pub(crate) fn new() -> Self {
        Self {
            first: Cell::new(Fd::PROGRAM.0),
            count: Cell::new(0),
            open: core::array::from_fn(|_| Cell::new(None)),
        }
    }

    /// The descriptor of this number; it is closed when the step is done.
    pub(crate) fn take(&self, fd: Fd, channel: Option<&Channel>) -> Result<OwnedFd> {
        if fd.0 >= self.first.get() + self.count.get() {
            // What is used after the channel is closed has come with what was used before.
            let channel = channel.ok_or(fail(Part::Open, Errno::BADF))?;
            // The first come without being asked for.
            if self.count.get() > 0 {
                channel.send(Frame::Exhausted).at(Part::Write)?;
            }
            self.receive(channel)?;
        }
        let place = usize::try_from(fd.0 - self.first.get()).unwrap_or(usize::MAX);
        self.open.get(place).and_then(Cell::take).ok_or(fail(Part::Open, Errno::BADF))
    }

    /// The next message. An engine that died has closed its end, and then we end too.
    fn receive(&self, channel: &Channel) -> Result<()> {
        let count = receive_descriptors(channel.0.as_fd(), &self.open).at(Part::ReceiveDescriptors)?;
        let count = count.ok_or(fail(Part::ReceiveDescriptors, Errno::PIPE))?;
        self.first.set(self.first.get() + self.count.get());
        self.count.set(count.into());
        Ok(())
    }
}
