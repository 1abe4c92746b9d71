//! Paths below the container's root: resolved by the kernel inside of it, never joined to a host path.

use core::{ffi::CStr, mem::MaybeUninit};

use masu_program::Part;
use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{CWD, Mode, OFlags, ResolveFlags},
    io::Errno,
};

use crate::failure::{At, Failure, Result, fail};

/// Symbolic links stay inside the root, as after a chroot(2) into it; links of procfs lead nowhere.
pub(crate) const IN_ROOT: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);

/// Like [`IN_ROOT`], and no symbolic link at all.
pub(crate) const IN_ROOT_NO_SYMLINKS: ResolveFlags = IN_ROOT.union(ResolveFlags::NO_SYMLINKS);

/// From a directory that is open, the file of this very name.
pub(crate) const NAMED: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS);

/// A directory, to look things up in.
const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY);

/// openat2(2) gives up with EAGAIN when something was renamed meanwhile; so often it is tried again.
const ATTEMPTS: u32 = 64;

/// How many symbolic links are followed, as by the kernel: path_resolution(7).
const LINKS: u32 = 40;

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
        Err(Errno::NOENT) => make_missing(root, path, true, resolve),
        outcome => outcome.at(Part::OpenTarget),
    }
}

/// Makes `path`, and the directories above it that are missing. A symbolic link on the way that leads to nothing is
/// followed inside the root, and what is missing there is made: an image may have a link in the place of a file that it
/// expects to be given, such as /etc/resolv.conf.
fn make_missing(
    root: BorrowedFd<'_>,
    path: &CStr,
    directory: bool,
    resolve: ResolveFlags,
) -> Result<OwnedFd> {
    let mut path = Buffer::of(path.to_bytes())?;
    'links: for _ in 0..LINKS {
        let (mut above, mut there) = find_above(root, path.as_bytes(), resolve)?;
        while let Some((name, end)) = component(path.as_bytes(), there) {
            let is_last = component(path.as_bytes(), end).is_none();
            let name = Buffer::of(name)?;
            let made = make_new(above.as_fd(), name.as_c_str(), directory || !is_last);
            let flags = if is_last { OFlags::PATH } else { DIRECTORY };
            match (made, open(above.as_fd(), name.as_c_str(), flags, NAMED)) {
                (Err(failure), _) if failure.errno != Errno::EXIST => return Err(failure),
                (_, Err(Errno::LOOP)) if !resolve.contains(ResolveFlags::NO_SYMLINKS) => {
                    path = behind_link(above.as_fd(), name.as_c_str(), path.as_bytes(), [there, end])?;
                    continue 'links;
                }
                (_, opened) => (above, there) = (opened.at(Part::OpenTarget)?, end),
            }
        }
        return Ok(above);
    }
    Err(fail(Part::OpenTarget, Errno::LOOP))
}

/// The last directory on the way of `path` that is there, which mostly is the one above, and where in `path` its name ends.
fn find_above(root: BorrowedFd<'_>, path: &[u8], resolve: ResolveFlags) -> Result<(OwnedFd, usize)> {
    let mut there = path;
    loop {
        let end = there.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        there = path.get(..end).unwrap_or_default();
        match open(root, Buffer::of(there)?.as_c_str(), DIRECTORY, resolve) {
            Err(Errno::NOENT) if end > 0 => {}
            outcome => return Ok((outcome.at(Part::OpenTarget)?, end)),
        }
    }
}

/// The component of `path` that begins at `start`, or behind the slashes there, and where it ends.
fn component(path: &[u8], start: usize) -> Option<(&[u8], usize)> {
    let rest = path.get(start..)?;
    let slashes = rest.iter().position(|byte| *byte != b'/')?;
    let rest = rest.get(slashes..)?;
    let length = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
    Some((rest.get(..length)?, start + slashes + length))
}

/// `path` with what the symbolic link `name` says instead of the component from `start` to `end`, of which `above` is the
/// directory.
fn behind_link(above: BorrowedFd<'_>, name: &CStr, path: &[u8], [start, end]: [usize; 2]) -> Result<Buffer> {
    let mut room = [MaybeUninit::uninit(); Buffer::SIZE];
    let (link, _) = rustix::fs::readlinkat_raw(above, name, &mut room).at(Part::OpenTarget)?;
    let before = if link.starts_with(b"/") { None } else { path.get(..start) };
    let parts = [before.unwrap_or_default(), b"/", link, path.get(end..).unwrap_or_default()];
    let mut behind = Buffer::new();
    parts.into_iter().try_for_each(|part| behind.append(part)).at(Part::OpenTarget)?;
    Ok(behind)
}

/// Makes a file or a directory in `above`.
///
/// # Errors
/// EEXIST when there is something of this name already.
fn make_new(above: BorrowedFd<'_>, name: &CStr, directory: bool) -> Result<()> {
    let mode = Mode::from_bits_truncate(0o755);
    if directory {
        return rustix::fs::mkdirat(above, name, mode).at(Part::MakeDirectory);
    }
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(above, name, flags, mode).map(drop).at(Part::MakeFile)
}

/// The directory that the last path was in, kept for the next ones in it: mount points, device nodes and links come in
/// rows.
///
/// Its path leads to it until something is mounted on the way; a mount on what has just been made in it is not.
#[derive(Debug, Default)]
pub(crate) struct Above(Option<Held>);

#[derive(Debug)]
struct Held {
    path: &'static [u8],
    resolve: ResolveFlags,
    directory: OwnedFd,
}

impl Above {
    pub(crate) fn forget(&mut self) {
        self.0 = None;
    }

    /// Opens the directory that `path` is in, made where it is missing, and gives the last component of `path`.
    pub(crate) fn open(
        &mut self,
        root: BorrowedFd<'_>,
        path: &'static CStr,
        resolve: ResolveFlags,
    ) -> Result<(BorrowedFd<'_>, &'static CStr)> {
        let (parent, name) = split(path);
        if self.get(parent, resolve).is_none() {
            let directory = make_directories(root, Buffer::of(parent)?.as_c_str(), resolve)?;
            self.0 = Some(Held { path: parent, resolve, directory });
        }
        Ok((self.get(parent, resolve).ok_or(fail(Part::OpenParent, Errno::BADF))?, name))
    }

    /// The directory at `path`, if it is the one that is kept.
    fn get(&self, path: &[u8], resolve: ResolveFlags) -> Option<BorrowedFd<'_>> {
        let held = self.0.as_ref().filter(|held| held.path == path && held.resolve == resolve);
        held.map(|held| held.directory.as_fd())
    }

    /// Opens the file or directory that a mount covers; a missing one is made, of the same type as the source. What has
    /// been there before may be anywhere, and so will the mount be: then nothing is kept.
    pub(crate) fn make_target(
        &mut self,
        root: BorrowedFd<'_>,
        path: &'static CStr,
        directory: bool,
        resolve: ResolveFlags,
    ) -> Result<OwnedFd> {
        if self.get(split(path).0, resolve).is_none() {
            match open(root, path, OFlags::PATH, resolve) {
                Err(Errno::NOENT) => {}
                outcome => {
                    self.forget();
                    return outcome.at(Part::OpenTarget);
                }
            }
        }
        let (above, name) = self.open(root, path, resolve)?;
        match make_new(above, name, directory) {
            Ok(()) => open(above, name, OFlags::PATH, NAMED).at(Part::OpenTarget),
            Err(Failure { errno: Errno::EXIST | Errno::NOENT, .. }) => {
                self.forget();
                match open(root, path, OFlags::PATH, resolve) {
                    Err(Errno::NOENT) => make_missing(root, path, directory, resolve),
                    outcome => outcome.at(Part::OpenTarget),
                }
            }
            Err(failure) => Err(failure),
        }
    }
}

/// Opens the directory that `path` is in, and gives the last component of `path`.
pub(crate) fn find_parent(
    root: BorrowedFd<'_>,
    path: &'static CStr,
    resolve: ResolveFlags,
) -> Result<(OwnedFd, &'static CStr)> {
    let (parent, name) = split(path);
    Ok((open(root, Buffer::of(parent)?.as_c_str(), DIRECTORY, resolve).at(Part::OpenTarget)?, name))
}

/// The directory that a path is in, and its last component.
fn split(path: &'static CStr) -> (&'static [u8], &'static CStr) {
    let bytes = path.to_bytes();
    let Some(slash) = bytes.iter().rposition(|byte| *byte == b'/') else { return (b"", path) };
    let name =
        path.to_bytes_with_nul().get(slash + 1..).and_then(|name| CStr::from_bytes_with_nul(name).ok());
    (bytes.get(..slash).unwrap_or_default(), name.unwrap_or_default())
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

    /// A path of its own.
    fn of(path: &[u8]) -> Result<Self> {
        let mut buffer = Self::new();
        buffer.append(path).at(Part::OpenTarget)?;
        Ok(buffer)
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

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.used).unwrap_or_default()
    }

    pub(crate) fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn directories_are_made_inside_the_root() {
        let directory = std::env::temp_dir().join(format!("masu-test-path-{}", std::process::id()));
        std::fs::create_dir(&directory).expect("mkdir");
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let root = rustix::fs::open(&*directory.to_string_lossy(), flags, Mode::empty()).expect("open");
        make_directories(root.as_fd(), c"/a/b/c", IN_ROOT).expect("makes");
        assert!(directory.join("a/b/c").is_dir());
        let outcome = make_directories(root.as_fd(), c"/a/b/c/../d//e/", IN_ROOT).map(drop);
        assert!(outcome.is_ok() && directory.join("a/b/d/e").is_dir(), "{outcome:?}");
        std::fs::remove_dir_all(&directory).expect("remove");
    }

    /// Links of an image, what is to be made, and where it is made then; or the error.
    #[test]
    fn a_link_that_leads_to_nothing_is_followed_inside_the_root() {
        let directory = std::env::temp_dir().join(format!("masu-test-links-{}", std::process::id()));
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        type Links = &'static [(&'static str, &'static str)];
        let cases: [(Links, &CStr, core::result::Result<&str, Errno>); 9] = [
            (&[("etc/resolv.conf", "../run/stub.conf")], c"/etc/resolv.conf", Ok("run/stub.conf")),
            (&[("data", "/var/deep/data")], c"/data", Ok("var/deep/data")),
            (&[("data", "/var/deep")], c"/data/below/it", Ok("var/deep/below/it")),
            (&[("data", "../../../../escape")], c"/data", Ok("escape")),
            (&[("a", "b"), ("b", "c"), ("c", "d/e")], c"/a", Ok("d/e")),
            (&[("etc/x", "etc-of-x"), ("data", "etc/x/y")], c"/data", Ok("etc/etc-of-x/y")),
            (&[("a", "b"), ("b", "a")], c"/a", Err(Errno::LOOP)),
            (&[("a", "a/b")], c"/a", Err(Errno::LOOP)),
            (&[("data", "/etc/file/x")], c"/data", Err(Errno::NOTDIR)),
        ];
        for (links, path, expected) in cases {
            for is_directory in [true, false] {
                std::fs::create_dir_all(directory.join("root/etc")).expect("mkdir");
                std::fs::write(directory.join("root/etc/file"), "").expect("write");
                for (link, target) in links {
                    std::os::unix::fs::symlink(target, directory.join("root").join(link)).expect("symlink");
                }
                let root = directory.join("root");
                let root_fd = rustix::fs::open(&*root.to_string_lossy(), flags, Mode::empty()).expect("open");
                let made = Above::default().make_target(root_fd.as_fd(), path, is_directory, IN_ROOT);
                match expected {
                    Ok(place) => {
                        let status = rustix::fs::fstat(made.expect("makes")).expect("fstat");
                        let metadata = std::fs::symlink_metadata(root.join(place)).expect("is there");
                        assert_eq!(
                            (metadata.ino(), metadata.is_dir()),
                            (status.st_ino, is_directory),
                            "{path:?}"
                        );
                    }
                    Err(errno) => {
                        assert_eq!(made.map(drop).map_err(|failure| failure.errno), Err(errno), "{path:?}")
                    }
                }
                let made =
                    Above::default().make_target(root_fd.as_fd(), path, is_directory, IN_ROOT_NO_SYMLINKS);
                assert_eq!(made.map(drop).map_err(|failure| failure.errno), Err(Errno::LOOP), "{path:?}");
                let outside = std::fs::read_dir(&directory).expect("readdir").count();
                assert_eq!(outside, 1, "{path:?} has left the root");
                std::fs::remove_dir_all(&directory).expect("remove");
            }
        }
    }

    #[test]
    fn a_directory_is_opened_once_for_all_that_is_made_in_it() {
        let directory = std::env::temp_dir().join(format!("masu-test-above-{}", std::process::id()));
        std::fs::create_dir_all(directory.join("dev/there")).expect("mkdir");
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let root = rustix::fs::open(&*directory.to_string_lossy(), flags, Mode::empty()).expect("open");
        let mut above = Above::default();
        for (path, is_directory, is_kept) in [
            (c"/dev/pts", true, true),
            (c"/dev/shm", true, true),
            (c"/dev/console", false, true),
            // What was there may be a link to anywhere, and so may a mount on it.
            (c"/dev/there", true, false),
            (c"/dev/mqueue", true, true),
            (c"/dev/pts", true, false),
        ] {
            let place = above.make_target(root.as_fd(), path, is_directory, IN_ROOT).expect("makes");
            let status = rustix::fs::fstat(place).expect("fstat");
            let name = path.to_str().expect("text").trim_start_matches('/');
            assert_eq!(std::fs::metadata(directory.join(name)).expect("is there").ino(), status.st_ino);
            assert_eq!(above.get(b"/dev", IN_ROOT).is_some(), is_kept, "{path:?}");
            assert!(above.get(b"/dev", IN_ROOT_NO_SYMLINKS).is_none());
        }
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
