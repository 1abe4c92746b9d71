//! A terminal as people have it: its master side, to type on and to look at.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, Termios, Winsize, tcgetattr, tcgetwinsize, tcsetwinsize};

use crate::command::deadline;
use crate::{Check, ensure};

/// The master side of a terminal.
#[derive(Debug)]
pub struct Terminal {
    master: OwnedFd,
    seen: Vec<u8>,
}

impl Terminal {
    /// A terminal whose master is ours, and never blocks us.
    pub fn new(master: OwnedFd) -> Check<Self> {
        fcntl_setfl(&master, OFlags::RDWR | OFlags::NONBLOCK)?;
        Ok(Self { master, seen: Vec::new() })
    }

    /// A new terminal of the host of 24 rows and 80 columns, and its slave side.
    pub fn open() -> Check<(Self, OwnedFd)> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags)?;
        unlockpt(&master)?;
        let slave = ioctl_tiocgptpeer(&master, flags)?;
        let terminal = Self::new(master)?;
        terminal.resize(24, 80)?;
        Ok((terminal, slave))
    }

    /// Types.
    pub fn write(&self, text: &str) -> Check {
        let mut bytes = text.as_bytes();
        while !bytes.is_empty() {
            wait_for(&self.master, PollFlags::OUT, "room on the terminal")?;
            match rustix::io::write(&self.master, bytes) {
                Err(Errno::AGAIN) => {}
                outcome => bytes = bytes.get(outcome?..).unwrap_or_default(),
            }
        }
        Ok(())
    }

    /// All that was shown so far, with line ends as a file has them.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.seen).replace("\r\n", "\n")
    }

    /// Reads until `text` is shown; returns all that was shown.
    pub fn expect(&mut self, text: &str) -> Check<String> {
        let start = Instant::now();
        while !self.text().contains(text) {
            ensure!(start.elapsed() < deadline(), "{text:?} is not shown, but {:?}", self.text());
            ensure!(self.read_some()?, "hung up before {text:?} is shown: {:?}", self.text());
        }
        Ok(self.text())
    }

    /// Whether `text` is shown by now.
    pub fn shows(&mut self, text: &str) -> Check<bool> {
        let mut bytes = [0; 65536];
        // Nothing more, for whatever reason: who waits for it is told.
        while let Ok(length @ 1..) = rustix::io::read(&self.master, &mut bytes) {
            self.seen.extend_from_slice(bytes.get(..length).unwrap_or_default());
        }
        Ok(self.text().contains(text))
    }

    /// Reads until nobody has the slave any more; returns all that was shown.
    pub fn expect_end(&mut self) -> Check<String> {
        let start = Instant::now();
        while self.read_some()? {
            ensure!(start.elapsed() < deadline(), "it goes on and on: {} bytes", self.seen.len());
        }
        Ok(self.text())
    }

    /// Whether it still shows something, or may.
    fn read_some(&mut self) -> Check<bool> {
        let what = format!("more than {:?} on the terminal", self.text());
        wait_for(&self.master, PollFlags::IN, &what)?;
        let mut bytes = [0; 65536];
        match rustix::io::read(&self.master, &mut bytes) {
            Ok(0) | Err(Errno::IO) => Ok(false),
            Err(Errno::AGAIN) => Ok(true),
            outcome => {
                self.seen.extend_from_slice(bytes.get(..outcome?).unwrap_or_default());
                Ok(true)
            }
        }
    }

    /// Whether programs on it read line by line, as shells want it; raw otherwise.
    pub fn is_cooked(&self) -> Check<bool> {
        Ok(self.modes()?.local_modes.contains(LocalModes::ICANON))
    }

    /// Rows and columns.
    pub fn size(&self) -> Check<(u16, u16)> {
        let size = tcgetwinsize(self.master.as_fd())?;
        Ok((size.ws_row, size.ws_col))
    }

    /// Changes its size, as a window does.
    pub fn resize(&self, rows: u16, columns: u16) -> Check {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.master, size)?;
        Ok(())
    }

    /// Its modes, as text: all that could be left changed.
    pub fn all_modes(&self) -> Check<String> {
        Ok(format!("{:?}", self.modes()?))
    }

    fn modes(&self) -> Check<Termios> {
        Ok(tcgetattr(&self.master)?)
    }
}

/// Waits for one of these events until the deadline.
pub fn wait_for(fd: impl AsFd, events: PollFlags, what: &str) -> Check<PollFlags> {
    let timeout = Timespec::try_from(deadline())?;
    let mut fds = [PollFd::new(&fd, events)];
    loop {
        match poll(&mut fds, Some(&timeout)) {
            Err(Errno::INTR) => {}
            outcome => {
                ensure!(outcome? > 0, "not within {:?}: {what}", deadline());
                return Ok(fds[0].revents());
            }
        }
    }
}
