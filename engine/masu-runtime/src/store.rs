//! The root directory: one directory for each container, with its state, its configuration and its fifo.
//!
//! ```text
//! /run/masu/ID/claim.json    the state before its cgroup is known to be nobody else's
//! /run/masu/ID/state.json    the state from then on: first without a process, then with it, written whole by a rename
//! /run/masu/ID/config.json   the configuration as it was at create
//! /run/masu/ID/notify/       with notify.sock, for a container that was made with NOTIFY_SOCKET
//! /run/masu/ID/exec.fifo     there while the container waits for start
//! ```
//! A lock on the directory itself (flock(2)) orders what makes, starts and removes a container; the kernel drops it
//! with its holder, however that ends.
//!
//! ```text
//!   create: mkdir ─▶ lock ─▶ config.json ─▶ claim.json ─▶ cgroup ─▶ state.json, pid 0 ─▶ process ─▶ state.json, pid ─▶ unlock
//!              │ killed here: no state        │ here: of it what     │ here: it is ours,
//!              │                              │ is empty may be ours │ and init ends by itself
//!   delete: lock ─▶ processes, cgroups ─▶ files ─▶ rmdir
//!              │ killed here: as before, less     │ killed here: no state
//! ```
//! Whoever waited for the lock looks whether the directory is still there: the name may be another container's by now.
//! Without the lock one reads: a directory without a state that somebody holds is on its way in or out, and no
//! container yet, or any more; one that nobody holds is what an engine left that was killed, and `delete --force`
//! removes it.

use alloc::{boxed::Box, format, string::String, vec::Vec};
use core::mem::MaybeUninit;

use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{AtFlags, CWD, FlockOperation, Mode, OFlags, RawDir},
    io::Errno,
    thread::{NanosleepRelativeResult, Timespec, nanosleep},
};

use crate::{
    error::{Doing, Error, Result},
    files,
    state::{Container, RECORD_VERSION, Record},
};

/// Names of the files of a container.
pub(crate) const STATE: &str = "state.json";
const CLAIM: &str = "claim.json";
pub(crate) const CONFIG: &str = "config.json";
pub(crate) const FIFO: &str = "exec.fifo";

/// How long the lock may be held by another, and the shortest and longest pause between two tries, in nanoseconds.
const PATIENCE: i64 = 10_000_000_000;
const PAUSE_MIN: i64 = 100_000;
const PAUSE_MAX: i64 = 20_000_000;
/// How long one looks for a state before one says that there is none, in nanoseconds: in a directory that is empty, whose
/// maker may have it and not yet its lock, and in one with a lock that was let go of.
const PATIENCE_EMPTY: i64 = 1_000_000_000;
const PATIENCE_MADE: i64 = 1_000_000;

/// The root directory of the containers.
#[derive(Debug, Clone)]
pub struct Store {
    root: String,
}

/// A container of the list.
#[derive(Debug)]
pub enum Entry {
    /// One whose state can be read.
    Container(Box<Container>),
    /// One whose state cannot.
    Damaged {
        /// Its name.
        id: String,
        /// What is wrong.
        reason: String,
        /// The user who owns the directory.
        owner: u32,
    },
}

impl Entry {
    /// The container's name.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Container(container) => &container.id,
            Self::Damaged { id, .. } => id,
        }
    }
}

/// The open directory of one container.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) fd: OwnedFd,
}

impl Directory {
    /// Waits until nobody else makes, starts or removes the container; not for ever, for whoever does may be stuck.
    fn lock(&self, id: &str) -> Result<()> {
        let (mut pause, mut waited) = (PAUSE_MIN, 0);
        loop {
            match rustix::fs::flock(&self.fd, FlockOperation::NonBlockingLockExclusive) {
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if waited < PATIENCE => {
                    sleep(pause);
                    waited += pause;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
                Err(Errno::AGAIN) => {
                    let seconds = PATIENCE / 1_000_000_000;
                    return Err(Error::State {
                        message: format!(
                            "container {id:?} is locked by another command for {seconds} seconds"
                        ),
                        hint: Some(
                            "a create, start or delete of it is under way: end that, or try again".into(),
                        ),
                    });
                }
                outcome => return outcome.doing(|| format!("lock container {id:?}")),
            }
        }
    }

    /// Whether somebody holds the lock. Not for one who holds it: asking would weaken it.
    fn is_locked(&self) -> rustix::io::Result<bool> {
        match rustix::fs::flock(&self.fd, FlockOperation::NonBlockingLockShared) {
            Err(Errno::AGAIN) => Ok(true),
            outcome => {
                outcome.and_then(|()| rustix::fs::flock(&self.fd, FlockOperation::Unlock)).map(|()| false)
            }
        }
    }

    /// Whether it still has a name: one that was removed has no links.
    fn is_linked(&self) -> Result<bool> {
        let status = rustix::fs::fstat(&self.fd).doing(|| "stat the container's directory".into())?;
        Ok(status.st_nlink > 0)
    }

    /// How long a state that is missing may still come.
    fn patience(&self) -> i64 {
        // Opened anew: a descriptor's directory is read but once.
        let names = rustix::fs::openat(&self.fd, c".", DIRECTORY, Mode::empty());
        let empty = names.and_then(|fd| file_names(&fd)).is_ok_and(|names| names.is_empty());
        if empty { PATIENCE_EMPTY } else { PATIENCE_MADE }
    }

    /// Writes a file that is not there yet, in a directory that is locked and new: nobody reads half of it, and there is
    /// nothing to put it in the place of.
    pub(crate) fn make_file(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&self.fd, name, flags, Mode::from_bits_truncate(0o600))
            .and_then(|file| files::write_all(&file, bytes))
            .doing(|| format!("write {name}"))
    }

    /// Writes the first state of a container that has its cgroup, or none.
    pub(crate) fn make_record(&self, record: &Record) -> Result<()> {
        self.make_file(STATE, &to_json(record)?)
    }

    /// Writes the first state of a container whose cgroup may yet turn out to be somebody else's.
    pub(crate) fn make_claim(&self, record: &Record) -> Result<()> {
        self.make_file(CLAIM, &to_json(record)?)
    }

    /// The cgroup of the claim is the container's. A rename, since a second file would cost several times as much.
    pub(crate) fn confirm_claim(&self) -> Result<()> {
        rustix::fs::renameat(&self.fd, CLAIM, &self.fd, STATE).doing(|| format!("rename {CLAIM} to {STATE}"))
    }

    /// Writes the next state beside the one that is there.
    pub(crate) fn draft_record(&self, record: &Record) -> Result<()> {
        files::write_beside(self.fd.as_fd(), STATE, &to_json(record)?, 0o600)
            .doing(|| format!("write {STATE}"))
    }

    /// Puts the drafted state in the place of the one before.
    pub(crate) fn publish_record(&self) -> Result<()> {
        files::put_in_place(self.fd.as_fd(), STATE).doing(|| format!("write {STATE}"))
    }

    /// Makes the fifo and opens it for reading and writing: init holds it so, and needs no procfs to wait.
    pub(crate) fn make_fifo(&self) -> Result<OwnedFd> {
        rustix::fs::mkfifoat(&self.fd, FIFO, Mode::from_bits_truncate(0o600))
            .doing(|| "make the start fifo".into())?;
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&self.fd, FIFO, flags, Mode::empty()).doing(|| "open the start fifo".into())
    }
}

impl Store {
    /// The store in the directory `root`, which need not exist.
    #[must_use]
    pub fn at(root: &str) -> Self {
        Self { root: root.into() }
    }

    /// All containers, by name; `None` when there is no such directory. Each is looked at when its turn comes: it holds
    /// descriptors, of which there may be fewer than containers.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn entries(&self) -> Result<Option<impl Iterator<Item = Entry>>> {
        let directory = match self.open_root() {
            Err(Errno::NOENT) => return Ok(None),
            outcome => outcome.doing(|| format!("open {}", self.root))?,
        };
        let mut ids = Vec::new();
        for name in file_names(&directory).doing(|| format!("read {}", self.root))? {
            if masu_spec::check_container_id(&name).is_ok() {
                ids.push(name);
            }
        }
        ids.sort_unstable();
        Ok(Some(ids.into_iter().filter_map(|id| match self.load(&id) {
            Ok(container) => Some(Entry::Container(container.into())),
            // Deleted since the directory was read.
            Err(Error::NotFound { .. }) => None,
            Err(error) => {
                let owner = self.owner(&id);
                let reason = match error {
                    Error::Damaged { reason, .. } => reason,
                    error => format!("{error}"),
                };
                Some(Entry::Damaged { id, reason, owner })
            }
        })))
    }

    /// One container.
    ///
    /// # Errors
    /// [`Error::NotFound`], or [`Error::Damaged`] when its state cannot be read.
    pub fn load(&self, id: &str) -> Result<Container> {
        let directory = self.open(id)?;
        let (mut pause, mut waited) = (PAUSE_MIN, 0);
        loop {
            let read = read_record(id, &directory);
            let locked = match &read {
                Ok(record) if record.pid != 0 => false,
                Ok(_) | Err(Error::Damaged { .. }) => {
                    directory.is_locked().doing(|| format!("look for the lock of container {id:?}"))?
                }
                Err(_) => false,
            };
            match read {
                // On its way in, or out.
                Err(Error::Damaged { .. }) if locked || !directory.is_linked()? => {
                    return Err(Error::NotFound { id: id.into() });
                }
                // Its maker may have it, and not yet its lock, or have written the state since we looked.
                Err(Error::Damaged { .. }) if waited < directory.patience() => {
                    sleep(pause);
                    waited += pause;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
                outcome => return Ok(Container::new(outcome?, directory, locked)),
            }
        }
    }

    /// One container, whose lock the caller has.
    ///
    /// # Errors
    /// As for [`load`](Self::load), with the directory.
    pub(crate) fn load_locked(
        id: &str,
        directory: Directory,
    ) -> core::result::Result<Container, (Error, Directory)> {
        match read_record(id, &directory) {
            Ok(record) => Ok(Container::new(record, directory, false)),
            Err(error) => Err((error, directory)),
        }
    }

    /// The directory of a container, whatever is in it, locked.
    ///
    /// # Errors
    /// [`Error::NotFound`], also when it was removed by who held the lock before; [`Error::State`] when somebody holds
    /// it for too long.
    pub(crate) fn lock(&self, id: &str) -> Result<Directory> {
        loop {
            let directory = self.open(id)?;
            directory.lock(id)?;
            if directory.is_linked()? {
                return Ok(directory);
            }
        }
    }

    /// The directory of a container, whatever is in it.
    fn open(&self, id: &str) -> Result<Directory> {
        masu_spec::check_container_id(id)?;
        match rustix::fs::openat(CWD, self.path(id), DIRECTORY, Mode::empty()) {
            Ok(fd) => Ok(Directory { fd }),
            Err(Errno::NOENT | Errno::NOTDIR) => Err(Error::NotFound { id: id.into() }),
            Err(errno) => Err(errno).doing(|| format!("open {}", self.path(id))),
        }
    }

    /// A new directory for a container, locked.
    pub(crate) fn make(&self, id: &str) -> Result<Directory> {
        masu_spec::check_container_id(id)?;
        let path = self.path(id);
        let mut has_root = false;
        loop {
            match rustix::fs::mkdirat(CWD, &*path, Mode::from_bits_truncate(0o700)) {
                // The first container since the machine began.
                Err(Errno::NOENT) if !has_root => {
                    self.make_root()?;
                    has_root = true;
                    continue;
                }
                Err(Errno::EXIST) => return Err(Error::Exists { id: id.into() }),
                Err(errno) => {
                    let hint = Some("--root names a directory that masu may write to".into());
                    return Err(Error::System { action: format!("make {path}"), errno, hint });
                }
                Ok(()) => {}
            }
            let opened = rustix::fs::openat(CWD, &*path, DIRECTORY, Mode::empty());
            let locked =
                opened.doing(|| format!("open {path}")).map(|fd| Directory { fd }).and_then(|directory| {
                    directory.lock(id)?;
                    Ok(directory.is_linked()?.then_some(directory))
                });
            match locked {
                Ok(Some(directory)) => return Ok(directory),
                // A `delete --force` was faster than we: it found a directory without a state.
                Ok(None) | Err(Error::System { errno: Errno::NOENT, .. }) => {}
                Err(error) => {
                    // ignored: the error that led here is the one to report; `delete --force` removes the rest.
                    let _ = rustix::fs::unlinkat(CWD, &*path, AtFlags::REMOVEDIR);
                    return Err(error);
                }
            }
        }
    }

    /// Removes the directory of a container.
    pub(crate) fn remove(&self, id: &str, directory: &Directory) -> Result<()> {
        let path = self.path(id);
        for name in file_names(&directory.fd).doing(|| format!("read {path}"))? {
            match rustix::fs::unlinkat(&directory.fd, &*name, AtFlags::empty()) {
                Err(Errno::NOENT) => {}
                // That of the socket for NOTIFY_SOCKET is the only one.
                Err(Errno::ISDIR) => {
                    remove_flat(&directory.fd, &name).doing(|| format!("remove {path}/{name}"))?;
                }
                outcome => outcome.doing(|| format!("remove {path}/{name}"))?,
            }
        }
        match rustix::fs::unlinkat(CWD, &*path, AtFlags::REMOVEDIR) {
            Err(Errno::NOENT) => Ok(()),
            outcome => outcome.doing(|| format!("remove {path}")),
        }
    }

    /// Makes the root, and what is above it, where it is missing.
    fn make_root(&self) -> Result<()> {
        let mut end = 0;
        for part in self.root.split_inclusive('/') {
            end += part.len();
            let Some(prefix) = self.root.get(..end).filter(|prefix| *prefix != "/") else { continue };
            match rustix::fs::mkdirat(CWD, prefix, Mode::from_bits_truncate(0o711)) {
                // EROFS and EACCES of a directory that exists come before EEXIST; the next step tells.
                Ok(()) | Err(Errno::EXIST | Errno::ROFS | Errno::ACCESS) => {}
                Err(errno) => return Err(errno).doing(|| format!("make {prefix}")),
            }
        }
        Ok(())
    }

    fn open_root(&self) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat(CWD, &*self.root, flags, Mode::empty())
    }

    fn owner(&self, id: &str) -> u32 {
        rustix::fs::statat(CWD, self.path(id), AtFlags::SYMLINK_NOFOLLOW).map_or(0, |status| status.st_uid)
    }

    /// The directory of a container.
    pub(crate) fn path(&self, id: &str) -> String {
        format!("{}/{id}", self.root)
    }
}

/// Removes a directory and the files in it.
fn remove_flat(above: &OwnedFd, name: &str) -> rustix::io::Result<()> {
    let directory = rustix::fs::openat(above, name, DIRECTORY, Mode::empty())?;
    for file in file_names(&directory)? {
        rustix::fs::unlinkat(&directory, &*file, AtFlags::empty())?;
    }
    rustix::fs::unlinkat(above, name, AtFlags::REMOVEDIR)
}

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

fn read_record(id: &str, directory: &Directory) -> Result<Record> {
    let damaged = |reason: String| Error::Damaged { id: id.into(), reason };
    let opened = open_record(directory).doing(|| format!("open {STATE} of container {id:?}"))?;
    let (name, file) = opened.ok_or_else(|| damaged(format!("it has no {STATE}")))?;
    let bytes = match files::read_all(&file) {
        Err(errno @ (Errno::ISDIR | Errno::FBIG)) => {
            return Err(damaged(format!("{name}: {}", masu_sys::errno::Described(errno))));
        }
        // Not damage: what cannot be read now must not be taken for a container of which nothing is left.
        outcome => outcome.doing(|| format!("read {name} of container {id:?}"))?,
    };
    if bytes.is_empty() {
        return Err(damaged(format!("{name} is empty")));
    }
    let mut record: Record =
        serde_json::from_slice(&bytes).map_err(|error| damaged(format!("{name}: {error}")))?;
    if record.version != RECORD_VERSION || record.id != id {
        return Err(damaged(format!("{name} was written by another version, or for another container")));
    }
    record.is_claim = name == CLAIM;
    Ok(record)
}

/// The file that the state is in, with its name; `None` where there is none.
fn open_record(directory: &Directory) -> rustix::io::Result<Option<(&'static str, OwnedFd)>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    // A claim may become the state between two looks.
    for name in [STATE, CLAIM, STATE] {
        match rustix::fs::openat(&directory.fd, name, flags, Mode::empty()) {
            Err(Errno::NOENT) => {}
            outcome => return outcome.map(|file| Some((name, file))),
        }
    }
    Ok(None)
}

fn sleep(nanoseconds: i64) {
    let mut request = Timespec { tv_sec: 0, tv_nsec: nanoseconds };
    while let NanosleepRelativeResult::Interrupted(remaining) = nanosleep(&request) {
        request = remaining;
    }
}

fn to_json(record: &Record) -> Result<Vec<u8>> {
    serde_json::to_vec(record).map_err(|_| Errno::INVAL).doing(|| "write the state".into())
}

fn file_names(directory: &OwnedFd) -> rustix::io::Result<Vec<String>> {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut entries = RawDir::new(directory, &mut buffer);
    let mut names = Vec::new();
    while let Some(entry) = entries.next() {
        let entry = entry?;
        if let Ok(name) = entry.file_name().to_str()
            && !matches!(name, "." | "..")
        {
            names.push(name.into());
        }
    }
    Ok(names)
}
