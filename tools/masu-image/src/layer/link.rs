//! Hard links, also to what only the layers below have: that is copied into this one first, as overlayfs itself does
//! when it links a file of a lower layer.

use super::attributes::{self, Object};
use super::error::{Error, Reason, show};
use super::lower::{self, Found};
use super::path;
use super::tree::{Absent, Parent, Seen, Tree};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ioctl_ficlone, linkat, mknodat, openat, symlinkat};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::rc::Rc;

/// Something that a hard link can be made to: its directory and its name in there.
pub(super) struct Origin {
    parent: Rc<Parent>,
    name: Vec<u8>,
}

impl Origin {
    /// Gives it another name. A symbolic link is linked itself, not what it leads to.
    pub(super) fn link(&self, directory: impl AsFd, name: &[u8]) -> rustix::io::Result<()> {
        linkat(&self.parent.fd, &self.name, directory, name, AtFlags::empty())
    }
}

impl Tree<'_> {
    /// Finds what the member `link` is a hard link to.
    pub(super) fn origin(
        &mut self,
        link: &[u8],
        target: &[u8],
        lost: &mut impl FnMut(&[u8], &[u8], Errno),
    ) -> Result<Origin, Error> {
        let refuse = |reason: fn(String) -> Reason| Error::refused(link, reason(show(target)));
        let target_path = path::parse(target)?;
        let (directory, name) = path::split(&target_path).ok_or_else(|| refuse(Reason::LinkToDirectory))?;
        let parent = self.parent(directory, Absent::Leave)?.ok_or_else(|| refuse(Reason::LinkToNothing))?;
        let path = path::join(&parent.path, name);
        let (kind, below) = match self.look(&parent.fd, name, &path)? {
            Seen::Here(stat) => (lower::kind(&stat), None),
            Seen::Below(found) => (found.kind(), Some(found)),
            Seen::Whiteout | Seen::Nothing => return Err(refuse(Reason::LinkToNothing)),
        };
        if kind == FileType::Directory {
            return Err(refuse(Reason::LinkToDirectory));
        }
        if let Some(found) = below {
            self.copy_up(&parent, name, &path, &found, lost)?;
            self.copied.insert(path);
        }
        Ok(Origin { name: name.to_vec(), parent })
    }

    fn copy_up(
        &self,
        parent: &Parent,
        name: &[u8],
        path: &[u8],
        found: &Found,
        lost: &mut impl FnMut(&[u8], &[u8], Errno),
    ) -> Result<(), Error> {
        let attributes = self.lower.attributes(found, path)?;
        match found.kind() {
            FileType::RegularFile => {
                let to = openat(&parent.fd, name, super::NEW_FILE, Mode::RUSR | Mode::WUSR)
                    .map_err(Error::system("openat", path))?;
                copy_content(found, &to).map_err(Error::system("copy", path))?;
                attributes::set(Object::Open(to.as_fd()), &attributes, path, lost)
            }
            FileType::Symlink => {
                let target = found.target().map_err(Error::system("readlinkat", path))?;
                symlinkat(&target, &parent.fd, name).map_err(Error::system("symlinkat", path))?;
                attributes::set(Object::Name(parent.fd.as_fd(), name), &attributes, path, lost)
            }
            kind => {
                mknodat(&parent.fd, name, kind, Mode::empty(), found.stat.st_rdev)
                    .map_err(Error::system("mknodat", path))?;
                let place = super::open_place(parent, name, path)?;
                attributes::set(Object::Place(place.as_fd()), &attributes, path, lost)
            }
        }
    }
}

/// Shares the content where the file system can, and copies it in the kernel otherwise (copy_file_range(2)).
fn copy_content(found: &Found, to: impl AsFd) -> rustix::io::Result<()> {
    let reopen = format!("/proc/self/fd/{}", found.place.as_raw_fd());
    let from = openat(CWD, reopen, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    if ioctl_ficlone(&to, &from).is_ok() {
        return Ok(());
    }
    let mut to = File::from(to.as_fd().try_clone_to_owned().map_err(errno)?);
    std::io::copy(&mut File::from(from), &mut to).map(drop).map_err(errno)
}

fn errno(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}
