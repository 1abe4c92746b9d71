//! `tmpcopyup`: a new tmpfs begins with what the directory below it holds.
//!
//! One name at a time, below descriptors, and through no symbolic link: another container may change the directory
//! meanwhile. Nothing is copied but what a tar archive would hold: types, contents, owners and permissions; a file with
//! several names becomes several files.

use core::{ffi::CStr, mem::MaybeUninit};

use masu_program::{CopyUp, Part};
use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{AtFlags, FileType, Gid, Mode, OFlags, RawDir, Stat, Uid},
    io::Errno,
};

use crate::failure::{At, Result, fail};

/// How deep directories may be nested: each level holds two descriptors and some stack.
const DEPTH_MAX: u32 = 200;

/// Copies what the directory `from` holds into the root of the detached mount `to`.
pub(crate) fn up(from: BorrowedFd<'_>, to: BorrowedFd<'_>, what: CopyUp) -> Result<()> {
    copy_content(from, to, 0)?;
    if what == CopyUp::Directory {
        let status = rustix::fs::fstat(from).at(Part::Stat)?;
        give(to, c".", &status)?;
    }
    Ok(())
}

/// Gives the root of the detached mount `to` the permissions of the directory `from`.
pub(crate) fn permissions(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
    let status = rustix::fs::fstat(from).at(Part::Stat)?;
    change_mode(to, c".", &status)
}

fn copy_content(from: BorrowedFd<'_>, to: BorrowedFd<'_>, depth: u32) -> Result<()> {
    if depth > DEPTH_MAX {
        return Err(fail(Part::Read, Errno::NAMETOOLONG));
    }
    let list = open(from, c".", OFlags::RDONLY | OFlags::DIRECTORY).at(Part::Open)?;
    let mut buffer = [MaybeUninit::uninit(); 1024];
    let mut entries = RawDir::new(&list, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry.at(Part::Read)?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            copy(list.as_fd(), to, name, depth)?;
        }
    }
    Ok(())
}

fn copy(above: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &CStr, depth: u32) -> Result<()> {
    let from = open(above, name, OFlags::PATH).at(Part::Open)?;
    let status = rustix::fs::fstat(&from).at(Part::Stat)?;
    match FileType::from_raw_mode(status.st_mode) {
        FileType::Directory => {
            rustix::fs::mkdirat(to, name, Mode::RWXU).at(Part::MakeDirectory)?;
            let made = open(to, name, OFlags::PATH | OFlags::DIRECTORY).at(Part::Open)?;
            copy_content(from.as_fd(), made.as_fd(), depth + 1)?;
        }
        FileType::RegularFile => copy_file(above, to, name)?,
        FileType::Symlink => copy_symlink(&from, to, name)?,
        kind => {
            rustix::fs::mknodat(to, name, kind, Mode::RWXU, status.st_rdev).at(Part::MakeNode)?;
        }
    }
    give(to, name, &status)
}

/// Owner and permissions; in this order, since a change of owner clears set-user-ID bits, chown(2).
fn give(to: BorrowedFd<'_>, name: &CStr, status: &Stat) -> Result<()> {
    let (uid, gid) = (Uid::from_raw(status.st_uid), Gid::from_raw(status.st_gid));
    rustix::fs::chownat(to, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW).at(Part::ChangeOwner)?;
    if FileType::from_raw_mode(status.st_mode) == FileType::Symlink {
        return Ok(());
    }
    change_mode(to, name, status)
}

/// Nobody else can reach the new mount: the name is still what was made just now.
fn change_mode(to: BorrowedFd<'_>, name: &CStr, status: &Stat) -> Result<()> {
    rustix::fs::chmodat(to, name, Mode::from_raw_mode(status.st_mode), AtFlags::empty()).at(Part::ChangeMode)
}

/// As much as the file has now: one that grows while it is read does not fill the memory.
fn copy_file(above: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    // Neither waits for a fifo nor takes a terminal, should the name be one by now.
    let from = open(above, name, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY).at(Part::Open)?;
    let status = rustix::fs::fstat(&from).at(Part::Stat)?;
    if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
        return Err(fail(Part::Open, Errno::STALE));
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(to, name, flags, Mode::RWXU).at(Part::MakeFile)?;
    let mut left = usize::try_from(status.st_size).unwrap_or(0);
    let mut buffer = [0; 8192];
    while left > 0 {
        let space = buffer.get_mut(..left.min(8192)).unwrap_or_default();
        let length = rustix::io::read(&from, &mut *space).at(Part::Read)?;
        if length == 0 {
            break;
        }
        left -= length;
        write_all(&file, space.get(..length).unwrap_or_default())?;
    }
    Ok(())
}

fn write_all(file: &OwnedFd, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        let written = rustix::io::write(file, bytes).at(Part::Write)?;
        bytes = bytes.get(written..).unwrap_or_default();
    }
    Ok(())
}

fn copy_symlink(from: &OwnedFd, to: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    // PATH_MAX and its NUL, which readlink(2) does not write.
    let mut buffer = [0; 4097];
    let space = buffer.get_mut(..4096).unwrap_or_default();
    rustix::fs::readlinkat_raw(from, c"", space).at(Part::Read)?;
    let target = CStr::from_bytes_until_nul(&buffer).unwrap_or_default();
    rustix::fs::symlinkat(target, to, name).at(Part::MakeSymlink)
}

fn open(directory: BorrowedFd<'_>, name: &CStr, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(directory, name, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}
