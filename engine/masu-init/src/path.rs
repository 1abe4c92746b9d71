//! Paths below the container's root: resolved by the kernel inside of it, never joined to a host path.

use core::ffi::CStr;

use masu_program::Part;
use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{CWD, Mode, OFlags, ResolveFlags},
    io::Errno,
};

use crate::failure::{At, Result, fail};

/// Symbolic links stay inside the root, as after a chroot(2) into it; links of procfs lead nowhere.
pub(crate) const IN_ROOT: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);

/// Like [`IN_ROOT`], and no symbolic link at all.
pub(crate) const IN_ROOT_NO_SYMLINKS: ResolveFlags = IN_ROOT.union(ResolveFlags::NO_SYMLINKS);

/// A directory, to look things up in.
const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY);

/// openat2(2) gives up with EAGAIN when something was renamed meanwhile; so often it is tried again.
const ATTEMPTS: u32 = 64;

/// Opens `path` below `root`, without making anything.
pub(crate) fn open(
    root: BorrowedFd<'_>,
    path: &CStr,
    flags: OFlags,
    resolve: ResolveFlags,
) -> rustix::io::Result<OwnedFd> {
    let mut outcome = Err(Errno::AGAIN);
    for _ in 0..ATTEMPTS {
        outcome = rustix::fs::openat2(root, relative(path), flags | OFlags::CLOEXEC, Mode::empty(), resolve);
        if !matches!(outcome, Err(Errno::AGAIN)) {
            break;
        }
    }
    outcome
}

/// Opens the directory `path` below `root`; it and the directories above it are made where they are missing.
pub(crate) fn make_directories(root: BorrowedFd<'_>, path: &CStr, resolve: ResolveFlags) -> Result<OwnedFd> {
    match open(root, path, DIRECTORY, resolve) {
        Err(Errno::NOENT) => make_missing(root, path, resolve),
        outcome => outcome.at(Part::OpenTarget),
    }
}

/// The same for one that is known to be missing: up to the first directory that is there, which mostly is the one above,
/// and down again.
fn make_missing(root: BorrowedFd<'_>, path: &CStr, resolve: ResolveFlags) -> Result<OwnedFd> {
    let bytes = relative(path).to_bytes();
    let mut there = bytes;
    let (mut above, missing) = loop {
        let cut = there.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        let (before, missing) = bytes.split_at_checked(cut).unwrap_or_default();
        let mut prefix = Buffer::new();
        prefix.append(b"/").at(Part::OpenTarget)?;
        prefix.append(before).at(Part::OpenTarget)?;
        match open(root, prefix.as_c_str(), DIRECTORY, resolve) {
            Err(Errno::NOENT) if cut > 0 => there = before,
            outcome => break (outcome.at(Part::OpenTarget)?, missing),
        }
    };
    for name in missing.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
        above = make_directory(above.as_fd(), name)?;
    }
    Ok(above)
}

/// Opens the file or directory that a mount covers; a missing one is made, of the same type as the source.
pub(crate) fn make_target(
    root: BorrowedFd<'_>,
    path: &CStr,
    directory: bool,
    resolve: ResolveFlags,
) -> Result<OwnedFd> {
    match open(root, path, OFlags::PATH, resolve) {
        Err(Errno::NOENT) => {}
        outcome => return outcome.at(Part::OpenTarget),
    }
    if directory {
        return make_missing(root, path, resolve);
    }
    let (above, name) = open_parent(root, path, resolve)?;
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(&above, name.as_c_str(), flags, Mode::from_bits_truncate(0o755)) {
        Ok(_) | Err(Errno::EXIST) => open(root, path, OFlags::PATH, resolve).at(Part::OpenTarget),
        Err(errno) => Err(fail(Part::MakeFile, errno)),
    }
}

/// Opens the directory that `path` is in, made where it is missing, and gives the last component of `path`.
pub(crate) fn open_parent(
    root: BorrowedFd<'_>,
    path: &CStr,
    resolve: ResolveFlags,
) -> Result<(OwnedFd, Buffer)> {
    let (above, name) = split(path)?;
    Ok((make_directories(root, above.as_c_str(), resolve)?, name))
}

/// Like [`open_parent`], and makes nothing.
pub(crate) fn find_parent(
    root: BorrowedFd<'_>,
    path: &CStr,
    resolve: ResolveFlags,
) -> Result<(OwnedFd, Buffer)> {
    let (above, name) = split(path)?;
    Ok((open(root, above.as_c_str(), DIRECTORY, resolve).at(Part::OpenTarget)?, name))
}

/// The directory that a path is in, from `/`, and its last component.
fn split(path: &CStr) -> Result<(Buffer, Buffer)> {
    let bytes = relative(path).to_bytes();
    let split = bytes.iter().rposition(|byte| *byte == b'/');
    let (directory, name) = match split.and_then(|at| bytes.split_at_checked(at)) {
        Some((directory, name)) => (directory, name.get(1..).unwrap_or_default()),
        None => (&b""[..], bytes),
    };
    let mut above = Buffer::new();
    above.append(b"/").at(Part::OpenParent)?;
    above.append(directory).at(Part::OpenParent)?;
    let mut last = Buffer::new();
    last.append(name).at(Part::OpenParent)?;
    Ok((above, last))
}

fn make_directory(above: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd> {
    let mut text = Buffer::new();
    text.append(name).at(Part::MakeDirectory)?;
    match rustix::fs::mkdirat(above, text.as_c_str(), Mode::from_bits_truncate(0o755)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(fail(Part::MakeDirectory, errno)),
    }
    // A symbolic link that leads nowhere, or that took the directory's place just now, ends here.
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    open(above, text.as_c_str(), DIRECTORY, resolve).at(Part::OpenTarget)
}

/// The host's file at `path`, as it is found while the host's tree is still in view.
pub(crate) fn open_on_host(path: &CStr, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(CWD, path, flags | OFlags::CLOEXEC, Mode::empty())
}

/// `/` itself for an empty path, since openat2(2) refuses one.
fn relative(path: &CStr) -> &CStr {
    if path.is_empty() { c"/" } else { path }
}

/// A path that is put together without an allocator.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: [u8; Self::SIZE],
    used: usize,
}

impl Buffer {
    /// `PATH_MAX` of Linux.
    const SIZE: usize = 4096;

    pub(crate) const fn new() -> Self {
        Self { bytes: [0; Self::SIZE], used: 0 }
    }

    /// # Errors
    /// ENAMETOOLONG when the text and its NUL do not fit.
    pub(crate) fn append(&mut self, text: &[u8]) -> rustix::io::Result<()> {
        let end = self.used + text.len();
        if end >= Self::SIZE {
            return Err(Errno::NAMETOOLONG);
        }
        self.bytes.get_mut(self.used..end).ok_or(Errno::NAMETOOLONG)?.copy_from_slice(text);
        self.used = end;
        Ok(())
    }

    pub(crate) fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_made_inside_the_root_and_never_through_a_dangling_link() {
        let directory = std::env::temp_dir().join(format!("masu-test-path-{}", std::process::id()));
        std::fs::create_dir(&directory).expect("mkdir");
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let root = rustix::fs::open(&*directory.to_string_lossy(), flags, Mode::empty()).expect("open");
        make_directories(root.as_fd(), c"/a/b/c", IN_ROOT).expect("makes");
        assert!(directory.join("a/b/c").is_dir());
        std::os::unix::fs::symlink("/nowhere", directory.join("link")).expect("symlink");
        let failure = make_directories(root.as_fd(), c"link/x", IN_ROOT).expect_err("refused");
        assert_eq!((failure.part, failure.errno), (Part::OpenTarget, Errno::LOOP));
        assert!(!directory.join("nowhere").exists());
        std::fs::remove_dir_all(&directory).expect("remove");
    }

    #[test]
    fn a_path_longer_than_the_kernel_takes_is_refused() {
        let mut buffer = Buffer::new();
        assert_eq!(buffer.append(&[b'a'; 4095]), Ok(()));
        assert_eq!(buffer.append(b"b"), Err(Errno::NAMETOOLONG));
        assert_eq!(buffer.as_c_str().count_bytes(), 4095);
    }
}
