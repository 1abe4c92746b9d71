//! The end of a box in the background, for who waits for it.
//!
//! The supervisor holds a lock on a file of the box for as long as it lives, and writes the exit code of the program into
//! it. The kernel lets go of the lock whatever ends the supervisor, and the file can be read by who has opened it after the
//! box is gone: neither a process id that may be another's by now, nor asking again and again.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use masu_app::{Failure, Result};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

fn told(error: impl std::fmt::Display) -> Failure {
    Failure::new(format!("the status of the box: {error}"))
}

/// The supervisor's side.
pub(super) struct Held(File);

impl Held {
    /// Makes the file in the box, and takes the lock.
    ///
    /// # Errors
    ///
    /// Where the file system has no room or no locks.
    pub(super) fn create(directory: &Path) -> Result<Self> {
        let file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(directory.join(Watched::NAME));
        let file = file.map_err(told)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(told)?;
        Ok(Self(file))
    }

    /// Writes what the program came to. Who waits reads it once this is dropped.
    ///
    /// # Errors
    ///
    /// Where the file system has no room.
    pub(super) fn write(&mut self, code: u8) -> Result<()> {
        writeln!(self.0, "{code}").map_err(told)
    }
}

/// The side of who waits.
pub(super) struct Watched(File);

impl Watched {
    /// The file in the box.
    pub(super) const NAME: &str = "status";

    /// `None` for a box that no supervisor was made for.
    ///
    /// # Errors
    ///
    /// For a file that cannot be opened.
    pub(super) fn open(directory: &Path) -> Result<Option<Self>> {
        match File::open(directory.join(Self::NAME)) {
            Ok(file) => Ok(Some(Self(file))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(told(error)),
        }
    }

    /// Waits for the end, and says what the program came to: nothing when the supervisor was killed first.
    ///
    /// # Errors
    ///
    /// Those of flock(2) and read(2).
    pub(super) fn wait(mut self) -> Result<Option<u8>> {
        loop {
            match flock(&self.0, FlockOperation::LockShared) {
                Ok(()) => break,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(told(errno)),
            }
        }
        let mut text = String::new();
        self.0.read_to_string(&mut text).map_err(told)?;
        Ok(text.trim_end().parse().ok())
    }

    /// Whether the supervisor has ended.
    pub(super) fn has_ended(&self) -> bool {
        flock(&self.0, FlockOperation::NonBlockingLockShared).is_ok_and(|()| {
            // ignored: a lock that stays hinders nobody, as the supervisor takes it once.
            flock(&self.0, FlockOperation::Unlock).ok();
            true
        })
    }
}
