//! The socket: authentication, one call at a time, and the signals that come in between.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::time::{ClockId, clock_gettime};

use super::address::Address;
use super::message::{self, Call, Message, PREFIX};
use super::value::{Malformed, Value};

/// How long an answer, or a job of systemd, may take in all: runc's and systemd's own.
const PATIENCE: i64 = 30;
/// The lines of an authentication are short.
const LONGEST_LINE: usize = 4096;

/// Why something was not to be had from the other side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// A system call on the socket.
    System(&'static str, Errno),
    /// It does not speak as the specification has it.
    Malformed(&'static str),
    /// It refused the authentication, with these words.
    Rejected(String),
    /// It refused a call: the error's name, and a text for people.
    Refused { name: String, text: String },
    /// It said nothing for [`PATIENCE`].
    Silent,
}

impl From<Malformed> for Failure {
    fn from(Malformed(why): Malformed) -> Self {
        Self::Malformed(why)
    }
}

type Result<T> = core::result::Result<T, Failure>;

/// A connection that is authenticated.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: OwnedFd,
    serial: u32,
    received: Vec<u8>,
    /// Those that came while an answer was waited for.
    signals: VecDeque<(String, Vec<Value>)>,
}

impl Connection {
    /// Connects, and tells who we are: `EXTERNAL` without a name, so that the server takes what the kernel says of us
    /// (`SO_PEERCRED`). A number would be wrong in a user namespace, where 0 is somebody else outside.
    ///
    /// # Errors
    ///
    /// Any [`Failure`] but a refused call.
    pub(crate) fn open(address: &Address) -> Result<Self> {
        let failed = |call| move |errno| Failure::System(call, errno);
        let flags = SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
            .map_err(failed("socket"))?;
        rustix::net::connect(&socket, &address.socket().map_err(failed("connect"))?)
            .map_err(failed("connect"))?;
        let mut this = Self { socket, serial: 0, received: Vec::new(), signals: VecDeque::new() };
        let deadline = deadline();
        // In one write, as libsystemd does it: the answers are read afterwards.
        this.send(b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n", deadline)?;
        let (asked, accepted) = (this.line(deadline)?, this.line(deadline)?);
        match (asked.as_str(), accepted.as_str()) {
            ("DATA", line) if line.starts_with("OK ") => Ok(this),
            ("DATA", line) => Err(Failure::Rejected(line.into())),
            (line, _) => Err(Failure::Rejected(line.into())),
        }
    }

    /// Calls a method, and returns what it returns.
    ///
    /// # Errors
    ///
    /// Any [`Failure`].
    pub(crate) fn call(&mut self, call: &Call<'_>, body: &[Value]) -> Result<Vec<Value>> {
        self.serial = self.serial.wrapping_add(1).max(1);
        let deadline = deadline();
        self.send(&call.encode(self.serial, body)?, deadline)?;
        loop {
            match self.receive(deadline)? {
                Message::Return { reply_to, body } if reply_to == self.serial => return Ok(body),
                Message::Error { reply_to, name, text } if reply_to == self.serial => {
                    return Err(Failure::Refused { name, text });
                }
                Message::Signal { member, body } => self.signals.push_back((member, body)),
                _ => {}
            }
        }
    }

    /// Waits for a signal of this name whose body `choose` takes, one that came before included.
    ///
    /// # Errors
    ///
    /// Any [`Failure`] but a refused call.
    pub(crate) fn wait_for<T>(&mut self, name: &str, choose: impl Fn(&[Value]) -> Option<T>) -> Result<T> {
        let deadline = deadline();
        loop {
            while let Some((member, body)) = self.signals.pop_front() {
                if let Some(found) = choose(&body).filter(|_| member == name) {
                    return Ok(found);
                }
            }
            if let Message::Signal { member, body } = self.receive(deadline)? {
                self.signals.push_back((member, body));
            }
        }
    }

    fn send(&mut self, mut bytes: &[u8], deadline: Timespec) -> Result<()> {
        while !bytes.is_empty() {
            let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
            match rustix::net::send(&self.socket, bytes, flags) {
                Ok(sent) => bytes = bytes.get(sent..).unwrap_or_default(),
                Err(Errno::AGAIN) => self.wait(PollFlags::OUT, deadline)?,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(Failure::System("send", errno)),
            }
        }
        Ok(())
    }

    /// A line of the authentication, without its end.
    fn line(&mut self, deadline: Timespec) -> Result<String> {
        loop {
            if let Some(end) = self.received.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.received.drain(..end + 2).take(end).collect();
                return String::from_utf8(line).map_err(|_| Failure::Malformed("a line is not text"));
            }
            if self.received.len() > LONGEST_LINE {
                return Err(Failure::Malformed("a line does not end"));
            }
            self.fill(deadline)?;
        }
    }

    fn receive(&mut self, deadline: Timespec) -> Result<Message> {
        while self.received.len() < PREFIX {
            self.fill(deadline)?;
        }
        let mut prefix = [0; PREFIX];
        prefix.iter_mut().zip(&self.received).for_each(|(to, from)| *to = *from);
        let length = message::length(&prefix)?;
        while self.received.len() < length {
            self.fill(deadline)?;
        }
        let message: Vec<u8> = self.received.drain(..length).collect();
        Ok(message::decode(&message)?)
    }

    /// Reads what is there, at least one byte.
    fn fill(&mut self, deadline: Timespec) -> Result<()> {
        let mut buffer = [0; 4096];
        loop {
            match rustix::net::recv(&self.socket, &mut buffer[..], RecvFlags::DONTWAIT) {
                Ok((0, _)) => return Err(Failure::System("recv", Errno::CONNRESET)),
                Ok((count, _)) => {
                    self.received.extend_from_slice(buffer.get(..count).unwrap_or_default());
                    return Ok(());
                }
                Err(Errno::AGAIN) => self.wait(PollFlags::IN, deadline)?,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(Failure::System("recv", errno)),
            }
        }
    }

    fn wait(&self, ready: PollFlags, deadline: Timespec) -> Result<()> {
        let now = clock_gettime(ClockId::Monotonic);
        let nanoseconds = (deadline.tv_sec - now.tv_sec) * 1_000_000_000 + (deadline.tv_nsec - now.tv_nsec);
        if nanoseconds <= 0 {
            return Err(Failure::Silent);
        }
        let left = Timespec { tv_sec: nanoseconds / 1_000_000_000, tv_nsec: nanoseconds % 1_000_000_000 };
        match poll(&mut [PollFd::new(&self.socket, ready)], Some(&left)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(Failure::System("poll", errno)),
        }
    }
}

fn deadline() -> Timespec {
    let now = clock_gettime(ClockId::Monotonic);
    Timespec { tv_sec: now.tv_sec + PATIENCE, tv_nsec: now.tv_nsec }
}
