//! Owner, mode, extended attributes and times, and the order that they have to be set in.

use super::error::Error;
use super::ids::{IdMap, ROOTLESS};
use crate::tar::{Entry, Kind, Time};
use rustix::fs::{
    AtFlags, CWD, Gid, Mode, Stat, Timespec, Timestamps, Uid, XattrFlags, chmodat, chownat, utimensat,
};
use rustix::io::Errno;
use std::os::fd::{AsRawFd, BorrowedFd};

/// What a file has beside its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attributes {
    /// On this machine. `None` leaves the file to whoever makes it.
    pub(super) owner: Option<(u32, u32)>,
    pub(super) mode: u32,
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) accessed: Time,
    pub(super) modified: Time,
}

impl Attributes {
    /// Those of a member, with the ids of this machine.
    pub(super) fn of_entry(entry: &mut Entry, ids: &IdMap) -> Result<Self, Error> {
        let mut xattrs = std::mem::take(&mut entry.xattrs);
        // Labels are the policy's of the machine that they were made on.
        xattrs.retain(|(name, _)| name != b"security.selinux");
        let owner = ids.place(&entry.path, entry.uid, entry.gid, &mut xattrs)?;
        if !matches!(entry.kind, Kind::File { .. } | Kind::Directory) {
            // Nobody's links and devices have such attributes, xattr(7).
            xattrs.retain(|(name, _)| name != ROOTLESS);
        }
        let accessed = entry.accessed.unwrap_or(entry.modified);
        Ok(Self { owner, mode: entry.mode, xattrs, accessed, modified: entry.modified })
    }

    /// Those of a file that is there, without its extended attributes.
    pub(super) fn of_stat(stat: &Stat) -> Self {
        let time = |seconds, nanoseconds: u64| Time {
            seconds,
            nanoseconds: u32::try_from(nanoseconds).unwrap_or_default(),
        };
        Self {
            owner: Some((stat.st_uid, stat.st_gid)),
            mode: stat.st_mode & 0o7777,
            xattrs: Vec::new(),
            accessed: time(stat.st_atime, stat.st_atime_nsec),
            modified: time(stat.st_mtime, stat.st_mtime_nsec),
        }
    }

    /// A directory that no layer describes. Its time is 1970, so that the same layers make the same tree.
    pub(super) fn of_implied_directory(ids: &IdMap) -> Result<Self, Error> {
        let mut xattrs = Vec::new();
        let owner = ids.place(b"", 0, 0, &mut xattrs)?;
        Ok(Self { owner, mode: 0o755, xattrs, accessed: Time::default(), modified: Time::default() })
    }

    /// Roughly what it takes in memory beside itself.
    pub(super) fn size(&self) -> usize {
        self.xattrs.iter().map(|(name, value)| name.len() + value.len()).sum()
    }
}

/// A file to set attributes of: by a descriptor that can read or write, by one that is only its place (`O_PATH`), or
/// by its name in a directory (a symbolic link).
#[derive(Debug, Clone, Copy)]
pub(super) enum Object<'a> {
    Open(BorrowedFd<'a>),
    Place(BorrowedFd<'a>),
    Name(BorrowedFd<'a>, &'a [u8]),
}

/// Sets everything on `object`, which `path` names in messages. What the machine cannot keep is told to `lost`: an
/// attribute on a file system without them, or one that takes a privilege which an ordinary user lacks.
///
/// The owner comes first, since chown(2) takes set-user-id bits and file capabilities away; then the mode; then
/// the attributes, `security.capability` among them; then the times, which each of these changes (of the inode).
pub(super) fn set(
    object: Object<'_>,
    attributes: &Attributes,
    path: &[u8],
    lost: &mut impl FnMut(&[u8], &[u8], Errno),
) -> Result<(), Error> {
    if let Some((uid, gid)) = attributes.owner {
        chown(object, Uid::from_raw(uid), Gid::from_raw(gid)).map_err(Error::system("chown", path))?;
    }
    if !matches!(object, Object::Name(..)) {
        chmod(object, attributes.mode).map_err(Error::system("chmod", path))?;
    }
    for (name, value) in &attributes.xattrs {
        match set_xattr(object, name, value) {
            Ok(()) => {}
            Err(errno @ (Errno::OPNOTSUPP | Errno::PERM)) => lost(path, name, errno),
            Err(errno) => return Err(Error::system("setxattr", path)(errno)),
        }
    }
    set_times(object, attributes).map_err(Error::system("utimensat", path))
}

fn chown(object: Object<'_>, uid: Uid, gid: Gid) -> rustix::io::Result<()> {
    match object {
        Object::Open(fd) => rustix::fs::fchown(fd, Some(uid), Some(gid)),
        Object::Place(fd) => chownat(fd, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH),
        Object::Name(fd, name) => chownat(fd, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW),
    }
}

fn chmod(object: Object<'_>, mode: u32) -> rustix::io::Result<()> {
    let mode = Mode::from_raw_mode(mode);
    match object {
        Object::Open(fd) => rustix::fs::fchmod(fd, mode),
        // fchmodat2(2) with AT_EMPTY_PATH is of Linux 6.6.
        _ => chmodat(CWD, proc_path(object), mode, AtFlags::empty()),
    }
}

fn set_xattr(object: Object<'_>, name: &[u8], value: &[u8]) -> rustix::io::Result<()> {
    match object {
        Object::Open(fd) => rustix::fs::fsetxattr(fd, name, value, XattrFlags::empty()),
        // setxattrat(2) is of Linux 6.13.
        Object::Place(_) => rustix::fs::setxattr(proc_path(object), name, value, XattrFlags::empty()),
        Object::Name(..) => rustix::fs::lsetxattr(proc_path(object), name, value, XattrFlags::empty()),
    }
}

pub(super) fn set_times(object: Object<'_>, attributes: &Attributes) -> rustix::io::Result<()> {
    let timespec = |time: Time| Timespec { tv_sec: time.seconds, tv_nsec: time.nanoseconds.into() };
    let times = Timestamps {
        last_access: timespec(attributes.accessed),
        last_modification: timespec(attributes.modified),
    };
    match object {
        Object::Open(fd) => rustix::fs::futimens(fd, &times),
        // With AT_EMPTY_PATH since Linux 5.8.
        Object::Place(fd) => utimensat(fd, "", &times, AtFlags::EMPTY_PATH),
        Object::Name(fd, name) => utimensat(fd, name, &times, AtFlags::SYMLINK_NOFOLLOW),
    }
}

/// The kernel's link to a descriptor, which leads to the file itself whatever its type, with the one name behind it
/// that [`Object::Name`] has.
fn proc_path(object: Object<'_>) -> Vec<u8> {
    let (fd, name) = match object {
        Object::Open(fd) | Object::Place(fd) => (fd, &b""[..]),
        Object::Name(fd, name) => (fd, name),
    };
    let mut path = format!("/proc/self/fd/{}", fd.as_raw_fd()).into_bytes();
    if !name.is_empty() {
        path.push(b'/');
        path.extend_from_slice(name);
    }
    path
}

/// Name and value of every extended attribute of `place`, a descriptor of any kind. None on a file system without.
pub(crate) fn xattrs(place: BorrowedFd<'_>) -> rustix::io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let path = proc_path(Object::Place(place));
    // The kernel's limits of both: xattr(7).
    let mut names = vec![0; 64 << 10];
    let length = match rustix::fs::listxattr(path.as_slice(), &mut names[..]) {
        Err(Errno::OPNOTSUPP) => 0,
        other => other?,
    };
    let names = names.get(..length).unwrap_or_default();
    let mut value = vec![0; if length == 0 { 0 } else { 64 << 10 }];
    let mut xattrs = Vec::new();
    for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let length = rustix::fs::getxattr(path.as_slice(), name, &mut value[..])?;
        xattrs.push((name.to_vec(), value.get(..length).unwrap_or_default().to_vec()));
    }
    Ok(xattrs)
}
