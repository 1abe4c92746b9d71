//! The engine's own terminal, lent to the container's process in the foreground.
//!
//! The container has a terminal of its own, whose master the engine holds. What is typed here is written there, byte by
//! byte (raw mode): it is the container's terminal that turns Ctrl-C into SIGINT and echoes. What is shown there is
//! written here. The modes of our terminal are restored when the value that [`Lent::begin`] has begun is dropped.
//!
//! ```text
//!   begin ──▶ raw ◀────────── SIGCONT ──────────┐
//!              │ SIGTSTP, SIGTTIN, SIGTTOU       │
//!              ├──▶ modes restored, stopped ─────┤
//!              │                                 │ in the background: stopped again, as any program that reads
//!              ├──▶ hung up: master closed, so that the container's terminal hangs up too
//!              └──▶ the process has ended: drained, modes restored
//! ```

use alloc::{vec, vec::Vec};

use masu_sys::{
    fd::{stderr, stdin, stdout},
    signal::{SignalSet, set_mask},
};
use rustix::{
    event::{PollFd, PollFlags},
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{CWD, FileType, Mode, OFlags},
    io::Errno,
    process::{Signal, getpgrp, getpid},
    pty::OpenptFlags,
    termios::{OptionalActions, OutputModes, Termios, Winsize},
};

use crate::error::{Doing, Error, Result};

/// What is copied at once. A terminal gives less than 4096 bytes at a time.
const CHUNK: usize = 4096;

/// How much is still shown after the process has ended: more than the kernel keeps for a terminal. Another process
/// that goes on writing does not keep the engine.
const REST: usize = 1 << 20;

/// Our side, found before anything of the process exists.
#[derive(Debug)]
pub(crate) struct Host {
    /// The modes of standard input, if that is a terminal.
    modes: Option<Termios>,
    /// The size of the first terminal among ours.
    size: Winsize,
    /// The terminal whose size it is, when it is none of the standard streams.
    controlling: Option<OwnedFd>,
}

impl Host {
    /// Finds our terminal: a standard stream, or the controlling one.
    ///
    /// # Errors
    /// [`Error::System`] when there is none.
    pub(crate) fn find() -> Result<Self> {
        let modes = rustix::termios::tcgetattr(stdin()).ok();
        let streams = [stdin(), stdout(), stderr()];
        if let Some(size) = streams.into_iter().find_map(|stream| rustix::termios::tcgetwinsize(stream).ok())
        {
            return Ok(Self { modes, size, controlling: None });
        }
        let flags = OFlags::RDONLY | OFlags::NOCTTY | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(CWD, c"/dev/tty", flags, Mode::empty());
        let sized = opened.and_then(|tty| Ok((rustix::termios::tcgetwinsize(&tty)?, tty)));
        let (size, tty) = sized.map_err(|errno| Error::System {
            action: "process.terminal: open /dev/tty".into(),
            errno,
            hint: Some(
                "masu has no terminal to lend: run it on one, set process.terminal to false (exec: no --tty), or use \
                 --detach with --console-socket"
                    .into(),
            ),
        })?;
        Ok(Self { modes, size, controlling: Some(tty) })
    }

    fn size(&self) -> Option<Winsize> {
        let streams =
            [Some(stdin()), Some(stdout()), Some(stderr()), self.controlling.as_ref().map(AsFd::as_fd)];
        streams.into_iter().flatten().find_map(|stream| rustix::termios::tcgetwinsize(stream).ok())
    }

    /// Whether what we show goes to the terminal that becomes raw. Otherwise nobody will take the carriage returns away
    /// that a terminal puts before the end of a line.
    fn shows_on_raw(&self) -> bool {
        let device = |stream| rustix::fs::fstat(stream).map(|status| status.st_rdev).ok();
        let same = device(stdin()) == device(stdout());
        self.modes.is_some() && same && rustix::termios::tcgetwinsize(stdout()).is_ok()
    }
}

/// The master of the container's terminal, and ours.
#[derive(Debug)]
pub struct Lent {
    host: Host,
    master: OwnedFd,
    /// Keeps the terminal: when every process inside has closed it for a while, it can be opened again.
    slave: OwnedFd,
}

impl Lent {
    /// Takes the master, and gives the terminal our size before the program can ask for it.
    pub(crate) fn new(host: Host, master: OwnedFd) -> Result<Self> {
        let action = || "process.terminal: prepare the terminal".into();
        if host.size.ws_row != 0 && host.size.ws_col != 0 {
            rustix::termios::tcsetwinsize(&master, host.size).doing(action)?;
        }
        let slave = open_slave(&master).doing(action)?;
        if !host.shows_on_raw() {
            let mut modes = rustix::termios::tcgetattr(&slave).doing(action)?;
            modes.output_modes.remove(OutputModes::ONLCR);
            rustix::termios::tcsetattr(&slave, OptionalActions::Now, &modes).doing(action)?;
        }
        // Nobody else has this open file: the flag is ours alone.
        rustix::fs::fcntl_setfl(&master, OFlags::RDWR | OFlags::NONBLOCK).doing(action)?;
        Ok(Self { host, master, slave })
    }

    /// Begins to copy, and makes our terminal raw.
    pub(crate) fn begin(self) -> Result<Relay> {
        let mut relay = Relay {
            input: Chunk::default(),
            output: Chunk::default(),
            sink: Sink::open(),
            reads: true,
            raw: false,
            line: Some((self.master, self.slave)),
            host: self.host,
        };
        relay.resume()?;
        Ok(relay)
    }
}

fn open_slave(master: &OwnedFd) -> rustix::io::Result<OwnedFd> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    rustix::pty::ioctl_tiocgptpeer(master, flags)
}

/// Bytes on their way.
#[derive(Debug)]
struct Chunk {
    bytes: Vec<u8>,
    from: usize,
    to: usize,
}

impl Default for Chunk {
    fn default() -> Self {
        Self { bytes: vec![0; CHUNK], from: 0, to: 0 }
    }
}

impl Chunk {
    fn is_empty(&self) -> bool {
        self.from == self.to
    }

    fn clear(&mut self) {
        (self.from, self.to) = (0, 0);
    }

    /// Reads into the empty chunk; how much.
    fn fill(&mut self, fd: BorrowedFd<'_>) -> rustix::io::Result<usize> {
        self.clear();
        self.to = rustix::io::read(fd, &mut *self.bytes)?;
        Ok(self.to)
    }

    /// Writes as much as is taken.
    fn flush(&mut self, fd: BorrowedFd<'_>) -> rustix::io::Result<()> {
        while !self.is_empty() {
            let rest = self.bytes.get(self.from..self.to).unwrap_or_default();
            self.from += rustix::io::write(fd, rest)?;
        }
        Ok(())
    }
}

/// Where the output goes: standard output, as a file of our own where it could block. The flag O_NONBLOCK on standard
/// output itself would be that of the caller's shell too.
#[derive(Debug)]
struct Sink(Option<OwnedFd>);

impl Sink {
    fn open() -> Self {
        let kind = rustix::fs::fstat(stdout()).map(|status| FileType::from_raw_mode(status.st_mode));
        if !matches!(kind, Ok(FileType::CharacterDevice | FileType::Fifo)) {
            return Self(None);
        }
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        // A terminal that belongs to somebody else cannot be opened: then a write may block.
        Self(rustix::fs::openat(CWD, c"/proc/self/fd/1", flags, Mode::empty()).ok())
    }

    fn fd(&self) -> BorrowedFd<'_> {
        match &self.0 {
            Some(own) => own.as_fd(),
            None => stdout(),
        }
    }
}

/// The copying, in both directions.
#[derive(Debug)]
pub(crate) struct Relay {
    host: Host,
    /// Master and slave; `None` once our terminal, and with it the container's, is hung up.
    line: Option<(OwnedFd, OwnedFd)>,
    input: Chunk,
    output: Chunk,
    sink: Sink,
    /// Whether standard input is still read.
    reads: bool,
    /// Whether our terminal is raw, and its modes are to be restored.
    raw: bool,
}

/// What [`Relay::interests`] says of standard input, standard output and the master, in this order.
pub(crate) type Interests<'a> = [Option<(BorrowedFd<'a>, PollFlags)>; 3];

impl Relay {
    /// What to wait for. A descriptor that nothing is wanted of is left out: its hang-up would wake us for ever.
    pub(crate) fn interests(&self) -> Interests<'_> {
        let Some((master, _)) = &self.line else { return [None; 3] };
        let lent = self.raw || self.host.modes.is_none();
        let mut wanted = PollFlags::empty();
        wanted.set(PollFlags::IN, self.output.is_empty());
        wanted.set(PollFlags::OUT, !self.input.is_empty());
        [
            (self.reads && lent && self.input.is_empty()).then(|| (stdin(), PollFlags::IN)),
            (!self.output.is_empty()).then(|| (self.sink.fd(), PollFlags::OUT)),
            (!wanted.is_empty()).then(|| (master.as_fd(), wanted)),
        ]
    }

    /// Copies what is ready, as poll(2) has said it of [`interests`](Self::interests).
    pub(crate) fn copy(&mut self, [stdin, sink, master]: [PollFlags; 3]) -> Result<()> {
        if !stdin.is_empty() {
            self.read_input()?;
        }
        if !stdin.is_empty() || master.intersects(PollFlags::OUT | PollFlags::HUP | PollFlags::ERR) {
            self.write_input();
        }
        if !sink.is_empty() {
            self.write_output();
        }
        if master.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) && self.output.is_empty() {
            self.read_output()?;
        }
        Ok(())
    }

    fn read_input(&mut self) -> Result<()> {
        match self.input.fill(stdin()) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            Ok(0) if self.host.modes.is_none() => self.reads = false,
            // In the background what is typed is not for us; a hung-up terminal is at its end.
            Err(Errno::IO) if self.host.modes.is_some() && !is_foreground() => self.stop(Signal::TTIN)?,
            Ok(0) | Err(_) if self.host.modes.is_some() => self.hang_up(),
            Err(_) => self.reads = false,
            Ok(_) => {}
        }
        Ok(())
    }

    fn write_input(&mut self) {
        let Some((master, _)) = &self.line else { return };
        match self.input.flush(master.as_fd()) {
            Ok(()) | Err(Errno::AGAIN | Errno::INTR) => {}
            // Nobody reads there: what was typed is lost, as on every terminal that is hung up.
            Err(_) => self.input.clear(),
        }
    }

    /// Reads from the container's terminal; how much.
    fn read_output(&mut self) -> Result<usize> {
        let Some((master, slave)) = &mut self.line else { return Ok(0) };
        match self.output.fill(master.as_fd()) {
            Ok(read) => Ok(read),
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            // A process inside has hung it up, vhangup(2), and with it our slave. It can be opened anew.
            Err(Errno::IO) => {
                *slave = open_slave(master).doing(|| "process.terminal: open the terminal again".into())?;
                Ok(0)
            }
            Err(errno) => Err(errno).doing(|| "process.terminal: read from the terminal".into()),
        }
    }

    fn write_output(&mut self) {
        match self.output.flush(self.sink.fd()) {
            Ok(()) | Err(Errno::AGAIN | Errno::INTR) => {}
            // Nobody is left to look at it.
            Err(_) => self.hang_up(),
        }
    }

    /// Closes the container's terminal: the kernel sends SIGHUP to those on it, as ours was sent.
    fn hang_up(&mut self) {
        self.line = None;
        self.input.clear();
        self.output.clear();
    }

    /// Our terminal has another size.
    pub(crate) fn resize(&self) {
        if let (Some((master, _)), Some(size)) = (&self.line, self.host.size()) {
            // ignored: a terminal that has gone has no size.
            let _ = rustix::termios::tcsetwinsize(master, size);
        }
    }

    /// At the beginning, and after SIGCONT: our terminal is raw while it is ours.
    pub(crate) fn resume(&mut self) -> Result<()> {
        let Some(modes) = &self.host.modes else { return Ok(()) };
        if !is_foreground() {
            return self.stop(Signal::TTIN);
        }
        let mut raw = modes.clone();
        raw.make_raw();
        match rustix::termios::tcsetattr(stdin(), OptionalActions::Now, &raw) {
            Ok(()) => self.raw = true,
            Err(Errno::IO) => self.hang_up(),
            Err(errno) => return Err(errno).doing(|| "make the terminal raw".into()),
        }
        self.resize();
        Ok(())
    }

    /// Stops, as the shell wants it, with our terminal as it was. SIGCONT waits in the signalfd afterwards. In a process
    /// group that no shell looks after the kernel does not stop us; then our terminal is left alone.
    pub(crate) fn stop(&mut self, signal: Signal) -> Result<()> {
        self.restore();
        let others = (1..=64).filter(|number| *number != signal.as_raw());
        let mask = others.fold(SignalSet::empty(), SignalSet::add);
        let blocked = set_mask(mask).doing(|| "unblock a signal".into())?;
        let stopped = rustix::process::kill_process(getpid(), signal);
        set_mask(blocked).doing(|| "block a signal".into())?;
        stopped.doing(|| "stop".into())
    }

    /// Shows the rest once the process has ended; `interrupted` is asked while that takes long.
    pub(crate) fn drain(
        &mut self,
        signals: BorrowedFd<'_>,
        interrupted: impl Fn() -> Result<bool>,
    ) -> Result<()> {
        let mut rest = REST;
        loop {
            self.write_output();
            if self.line.is_none() {
                return Ok(());
            }
            if !self.output.is_empty() {
                let sink = self.sink.fd();
                let mut ready = [
                    PollFd::from_borrowed_fd(sink, PollFlags::OUT),
                    PollFd::from_borrowed_fd(signals, PollFlags::IN),
                ];
                match rustix::event::poll(&mut ready, None) {
                    Err(Errno::INTR) => {}
                    outcome => outcome.map(drop).doing(|| "wait for the terminal".into())?,
                }
                if interrupted()? {
                    return Ok(());
                }
                continue;
            }
            let read = self.read_output()?;
            if read == 0 || read > rest {
                self.write_output();
                return Ok(());
            }
            rest -= read;
        }
    }

    fn restore(&mut self) {
        if let (true, Some(modes)) = (self.raw, &self.host.modes) {
            // ignored: a terminal that is hung up has no modes.
            let _ = rustix::termios::tcsetattr(stdin(), OptionalActions::Now, modes);
        }
        self.raw = false;
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.restore();
    }
}

/// Whether standard input, a terminal, is ours to read: it is not our controlling one, or we are its foreground.
fn is_foreground() -> bool {
    rustix::termios::tcgetpgrp(stdin()).map_or(true, |group| group == getpgrp())
}
