//! The snapshots below the one that is being made, as overlayfs will merge them.

use super::attributes::{self, Attributes};
use super::error::Error;
use super::marks::Marks;
use super::path;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, openat2, readlinkat, statat};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Finished snapshots, topmost first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lower<'a> {
    pub(super) layers: &'a [BorrowedFd<'a>],
    pub(super) marks: Marks,
}

/// Something in a layer below.
#[derive(Debug)]
pub(super) struct Found {
    /// Its place: `O_PATH`.
    pub(super) place: OwnedFd,
    pub(super) stat: Stat,
}

/// What one layer says about a path.
enum Answer {
    Found(Found),
    /// Nothing, and nothing of what the layers below it have.
    Hidden,
    /// Nothing: the next layer decides.
    Unknown,
}

/// Without following anything, and without leaving the file system of the snapshot.
const STRICT: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_XDEV);

/// Opens `path`, relative and maybe empty, below `directory`.
pub(super) fn open_below(directory: impl AsFd, path: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let path = if path.is_empty() { b"." } else { path };
    openat2(directory, path, flags | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty(), STRICT)
}

/// The file's type.
pub(super) fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// Whether this is overlayfs' whiteout, a character device 0:0.
pub(super) fn is_whiteout(stat: &Stat) -> bool {
    kind(stat) == FileType::CharacterDevice && stat.st_rdev == 0
}

impl Found {
    pub(super) fn kind(&self) -> FileType {
        kind(&self.stat)
    }

    /// Of a symbolic link.
    pub(super) fn target(&self) -> rustix::io::Result<Vec<u8>> {
        Ok(readlinkat(&self.place, "", Vec::new())?.into_bytes())
    }
}

impl Lower<'_> {
    /// What the merged directory would show at `path` with nothing above.
    pub(super) fn find(&self, path: &[u8]) -> Result<Option<Found>, Error> {
        for layer in self.layers {
            match self.ask(layer.as_fd(), path).map_err(Error::system("look up", path))? {
                Answer::Found(found) => return Ok(Some(found)),
                Answer::Hidden => return Ok(None),
                Answer::Unknown => {}
            }
        }
        Ok(None)
    }

    fn ask(&self, layer: BorrowedFd<'_>, path: &[u8]) -> rustix::io::Result<Answer> {
        let mut directory = open_below(layer, b"", OFlags::PATH | OFlags::DIRECTORY)?;
        let mut opaque = false;
        let mut components = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()).peekable();
        if components.peek().is_none() {
            let stat = statat(&directory, "", AtFlags::EMPTY_PATH)?;
            return Ok(Answer::Found(Found { place: directory, stat }));
        }
        while let Some(name) = components.next() {
            let place = match open_below(&directory, name, OFlags::PATH) {
                Err(Errno::NOENT) if opaque => return Ok(Answer::Hidden),
                Err(Errno::NOENT) => return Ok(Answer::Unknown),
                other => other?,
            };
            let stat = statat(&place, "", AtFlags::EMPTY_PATH)?;
            if is_whiteout(&stat) {
                return Ok(Answer::Hidden);
            }
            if components.peek().is_none() {
                return Ok(Answer::Found(Found { place, stat }));
            }
            if kind(&stat) != FileType::Directory {
                return Ok(Answer::Hidden);
            }
            opaque |= self.is_opaque(&directory, name)?;
            directory = place;
        }
        Ok(Answer::Unknown)
    }

    fn is_opaque(&self, directory: &OwnedFd, name: &[u8]) -> rustix::io::Result<bool> {
        let directory = open_below(directory, name, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mut value = [0; 1];
        match rustix::fs::fgetxattr(&directory, self.marks.opaque(), &mut value[..]) {
            Ok(1) => Ok(value == *b"y"),
            Ok(_) | Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::RANGE) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    /// All of `found`'s attributes, without overlayfs' marks.
    pub(super) fn attributes(&self, found: &Found, path: &[u8]) -> Result<Attributes, Error> {
        let mut xattrs = attributes::xattrs(found.place.as_fd()).map_err(Error::system("getxattr", path))?;
        xattrs.retain(|(name, _)| !self.marks.is_mark(name));
        Ok(Attributes { xattrs, ..Attributes::of_stat(&found.stat) })
    }

    /// What the roots of the layers have, each name once, whiteouts included.
    pub(super) fn top_level(&self) -> Result<BTreeSet<Vec<u8>>, Error> {
        let mut all = BTreeSet::new();
        for layer in self.layers {
            all.extend(names(layer).map_err(Error::system("read", b""))?);
        }
        Ok(all)
    }
}

/// The names in a directory, but for `.` and `..`.
pub(super) fn names(directory: impl AsFd) -> rustix::io::Result<Vec<Vec<u8>>> {
    let readable = open_below(directory, b"", OFlags::RDONLY | OFlags::DIRECTORY)?;
    let mut names = Vec::new();
    for entry in Dir::new(readable)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            names.push(name.to_vec());
        }
    }
    Ok(names)
}

/// Removes `name` of `directory` and all below it, without following anything.
pub(super) fn remove(directory: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<()> {
    match rustix::fs::unlinkat(directory, name, AtFlags::empty()) {
        Err(Errno::ISDIR) => {}
        other => return other,
    }
    let below = open_below(directory, name, OFlags::PATH | OFlags::DIRECTORY)?;
    for name in names(&below)? {
        remove(below.as_fd(), &name)?;
    }
    rustix::fs::unlinkat(directory, name, AtFlags::REMOVEDIR)
}

/// A path in a layer, from a symbolic link's target: its components, the last first.
pub(super) fn components_reversed(target: &[u8]) -> Vec<Vec<u8>> {
    let names = target.split(|byte| *byte == b'/').filter(|name| !matches!(*name, b"" | b"."));
    names.rev().map(<[u8]>::to_vec).collect()
}

/// The directory above, the root staying what it is.
pub(super) fn parent_of(path: &mut Vec<u8>) {
    let length = path::split(path).map_or(0, |(directory, _)| directory.len());
    path.truncate(length);
}
