//! One directory of a resctrl file system: the root, a class, or a monitoring group.

use alloc::{format, string::String};

use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{Mode, OFlags, ResolveFlags},
    io::Errno,
};

use crate::{
    error::{Error, Result},
    schemata,
};

const BENEATH: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_XDEV);

/// The most that is read of a file: `schemata` has a line for each resource, and a few numbers for each cache.
const SIZE_MAX: usize = 64 * 1024;

/// A class of service, or a monitoring group.
#[derive(Debug)]
pub struct Group {
    directory: OwnedFd,
    path: String,
}

impl Group {
    pub(crate) fn new(directory: OwnedFd, path: String) -> Self {
        Self { directory, path }
    }

    pub(crate) fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    pub(crate) fn path_of(&self, name: &str) -> String {
        format!("{}/{name}", self.path)
    }

    /// Moves a process's first thread here; what that makes from then on begins here.
    ///
    /// # Errors
    /// [`Error::Io`]
    pub fn join(&self, pid: i32) -> Result<()> {
        self.write("tasks", &format!("{pid}\n"))
    }

    /// Makes the monitoring group of a container in this class.
    ///
    /// # Errors
    /// [`Error::Io`], also when there is one of its name.
    pub fn make_monitor(&self, id: &str) -> Result<Self> {
        self.make(&format!("mon_groups/{id}"))?;
        self.open_monitor(id)
    }

    /// Opens the monitoring group of a container in this class.
    ///
    /// # Errors
    /// [`Error::Io`] when it is gone.
    pub fn open_monitor(&self, id: &str) -> Result<Self> {
        self.open(&format!("mon_groups/{id}"))
    }

    /// Makes a directory.
    pub(crate) fn make(&self, path: &str) -> Result<()> {
        rustix::fs::mkdirat(&self.directory, path, Mode::from_raw_mode(0o755))
            .map_err(|errno| Error::io("mkdir", &self.path_of(path), errno))
    }

    /// Opens a directory below; `/` is this one again.
    pub(crate) fn open(&self, path: &str) -> Result<Self> {
        let below = if path == "/" { "." } else { path };
        let directory = self.openat2(below, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let path = if path == "/" { self.path.clone() } else { self.path_of(path) };
        Ok(Self { directory, path })
    }

    fn openat2(&self, path: &str, flags: OFlags) -> Result<OwnedFd> {
        rustix::fs::openat2(&self.directory, path, flags | OFlags::CLOEXEC, Mode::empty(), BENEATH)
            .map_err(|errno| Error::io("open", &self.path_of(path), errno))
    }

    /// Writes the shares, each piece by a write(2) of its own.
    ///
    /// # Errors
    /// [`Error::Io`]
    pub fn write_schemata(&self, writes: &[String]) -> Result<()> {
        writes.iter().try_for_each(|lines| self.write("schemata", lines))
    }

    /// Compares the shares with what is asked for.
    pub(crate) fn compare(&self, writes: &[String]) -> Result<()> {
        if writes.is_empty() {
            return Ok(());
        }
        let found = self.read("schemata")?;
        match writes.iter().flat_map(|lines| lines.lines()).find(|line| !schemata::has(&found, line)) {
            None => Ok(()),
            Some(wanted) => Err(Error::Differs { path: self.path.clone(), wanted: wanted.into() }),
        }
    }

    /// What the kernel says of its last refusal; only of the root.
    pub(crate) fn last_status(&self) -> String {
        let text = self.read("info/last_cmd_status").unwrap_or_default();
        text.trim().into()
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let file = self.openat2(name, OFlags::WRONLY)?;
        match rustix::io::write(file, text.as_bytes()) {
            Ok(count) if count == text.len() => Ok(()),
            Ok(_) => Err(Error::io("write", &self.path_of(name), Errno::INVAL)),
            Err(errno) => Err(Error::io("write", &self.path_of(name), errno)),
        }
    }

    pub(crate) fn read(&self, name: &str) -> Result<String> {
        let failed = |errno| Error::io("read", &self.path_of(name), errno);
        let file = self.openat2(name, OFlags::RDONLY)?;
        let mut bytes = alloc::vec![0; SIZE_MAX];
        let mut used = 0;
        loop {
            match rustix::io::read(&file, bytes.get_mut(used..).unwrap_or_default()).map_err(failed)? {
                0 => break,
                count => used += count,
            }
        }
        bytes.truncate(used);
        String::from_utf8(bytes).map_err(|_| failed(Errno::ILSEQ))
    }
}
