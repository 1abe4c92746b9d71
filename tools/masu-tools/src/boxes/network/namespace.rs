//! Namespaces of a container, bound to files of its box: there they outlive it, and can be opened by programs that may not
//! look into its process.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use masu_app::{Failure, Result};
use rustix::fs::statfs;
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, mount_bind, unmount};

/// The type of the file system of namespaces, linux/magic.h.
const NSFS_MAGIC: u64 = 0x6e73_6673;

/// One of them.
#[derive(Debug, Clone, Copy)]
pub(super) enum Namespace {
    Net,
    User,
}

impl Namespace {
    /// Its file in the box.
    pub(super) fn file(self, directory: &Path) -> PathBuf {
        directory.join(format!("{}ns", self.name()))
    }

    /// Its name in /proc/PID/ns.
    fn name(self) -> &'static str {
        match self {
            Self::Net => "net",
            Self::User => "user",
        }
    }

    /// Binds that of a process, and returns the file.
    ///
    /// # Errors
    ///
    /// When the file is there, or the process is not.
    pub(super) fn bind(self, directory: &Path, pid: u32) -> Result<PathBuf> {
        let file = self.file(directory);
        let told =
            |what: &str, error: std::io::Error| Failure::new(format!("{what} {}: {error}", file.display()));
        File::create_new(&file).map_err(|error| told("create", error))?;
        let source = format!("/proc/{pid}/ns/{}", self.name());
        mount_bind(source, &file).map_err(|errno| told("mount", errno.into()))?;
        Ok(file)
    }

    /// Whether the file has a namespace: not when a kill came before the mount or after the unmounting, nor after a restart of
    /// the machine.
    pub(super) fn is_bound(self, directory: &Path) -> bool {
        statfs(self.file(directory)).is_ok_and(|status| u64::try_from(status.f_type) == Ok(NSFS_MAGIC))
    }

    /// Removes the file, if it is there.
    ///
    /// # Errors
    ///
    /// When it stays.
    pub(super) fn release(self, directory: &Path) -> Result<()> {
        let file = self.file(directory);
        let told =
            |what: &str, error: std::io::Error| Failure::new(format!("{what} {}: {error}", file.display()));
        match unmount(&file, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(()),
            // A kill came before the mount, or it went with an ordinary user's mount namespace. Whoever is in another one
            // may not unmount anything, which is EPERM.
            Ok(()) | Err(Errno::INVAL | Errno::PERM) => {}
            Err(errno) => return Err(told("unmount", errno.into())),
        }
        fs::remove_file(&file).map_err(|error| told("remove", error))
    }
}
