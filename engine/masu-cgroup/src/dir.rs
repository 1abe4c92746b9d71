//! Directories of the cgroup file system by descriptor. A mount point is looked up once, and checked to be
//! a cgroup file system by the descriptor that is then used; everything below is opened by openat2 beneath it,
//! without symbolic links and without crossing a mount. So a path is never looked up twice, and none that came
//! from a config can leave its hierarchy.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::RefCell;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::error::{Error, Result};

/// linux/magic.h; rustix has no names for these.
pub(crate) const CGROUP_SUPER_MAGIC: u64 = 0x0027_e0eb;
pub(crate) const CGROUP2_SUPER_MAGIC: u64 = 0x6367_7270;

const BENEATH: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS)
    .union(ResolveFlags::NO_XDEV);

/// An open directory of a cgroup file system.
#[derive(Debug)]
pub(crate) struct Dir(OwnedFd);

impl Dir {
    /// Opens the mount point of a hierarchy.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] of open; ENOTDIR's sibling ENODEV where something else is mounted there by now.
    pub(crate) fn open_mount(mount_point: &str, version_2: bool) -> Result<Self> {
        let failed = |call, errno| Error::Io { call, path: mount_point.to_string(), errno };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = retry(|| rustix::fs::openat(CWD, mount_point, flags, Mode::empty()))
            .map_err(|errno| failed("open", errno))?;
        let statfs = rustix::fs::fstatfs(&fd).map_err(|errno| failed("fstatfs", errno))?;
        let magic = if version_2 { CGROUP2_SUPER_MAGIC } else { CGROUP_SUPER_MAGIC };
        if u64::try_from(statfs.f_type) != Ok(magic) {
            return Err(failed("fstatfs", Errno::NODEV));
        }
        Ok(Self(fd))
    }

    /// Opens a directory below this one; `/`, or nothing, is this directory again.
    pub(crate) fn open(&self, path: &str) -> core::result::Result<Self, Errno> {
        let below = match path.trim_start_matches('/') {
            "" => ".",
            below => below,
        };
        self.openat2(below, OFlags::RDONLY | OFlags::DIRECTORY).map(Self)
    }

    /// Makes a child directory; says whether it was new.
    pub(crate) fn make(&self, name: &str) -> core::result::Result<bool, Errno> {
        match rustix::fs::mkdirat(&self.0, name, Mode::from_raw_mode(0o755)) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    /// Removes a child directory.
    pub(crate) fn remove(&self, name: &str) -> core::result::Result<(), Errno> {
        retry(|| rustix::fs::unlinkat(&self.0, name, AtFlags::REMOVEDIR))
    }

    /// Opens a control file.
    pub(crate) fn open_file(&self, name: &str, flags: OFlags) -> core::result::Result<OwnedFd, Errno> {
        if name.contains('/') {
            return Err(Errno::INVAL); // a huge page size of a config becomes part of a name
        }
        self.openat2(name, flags)
    }

    /// Opens a control file of a cgroup below this one.
    pub(crate) fn open_below(&self, path: &str, flags: OFlags) -> core::result::Result<OwnedFd, Errno> {
        self.openat2(path.trim_start_matches('/'), flags)
    }

    /// Reads a control file as a whole.
    pub(crate) fn read(&self, name: &str) -> core::result::Result<String, Errno> {
        read_all(self.open_file(name, OFlags::RDONLY)?.as_fd())
    }

    /// Writes a control file by one write: cgroupfs takes each write as one setting.
    pub(crate) fn write(&self, name: &str, value: &str) -> core::result::Result<(), Errno> {
        let file = self.open_file(name, OFlags::WRONLY)?;
        retry(|| rustix::io::write(&file, value.as_bytes())).map(|_| ())
    }

    /// The names of the child cgroups.
    pub(crate) fn children(&self) -> core::result::Result<Vec<String>, Errno> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.0)? {
            let entry = entry?;
            let name = entry.file_name().to_str().map_err(|_| Errno::INVAL)?;
            if entry.file_type() == FileType::Directory && !matches!(name, "." | "..") {
                names.push(name.to_string());
            }
        }
        Ok(names)
    }

    /// Gives the descriptor away.
    pub(crate) fn into_fd(self) -> OwnedFd {
        self.0
    }

    fn openat2(&self, path: &str, flags: OFlags) -> core::result::Result<OwnedFd, Errno> {
        // EAGAIN: a rename or mount elsewhere raced with the lookup (openat2(2), "RESOLVE_BENEATH").
        loop {
            match rustix::fs::openat2(&self.0, path, flags | OFlags::CLOEXEC, Mode::empty(), BENEATH) {
                Err(Errno::INTR | Errno::AGAIN) => (),
                result => return result,
            }
        }
    }
}

/// Mount points of hierarchies that were opened for one cgroup and serve for the next.
#[derive(Debug, Default)]
pub struct OpenMounts(RefCell<Vec<(String, Rc<Dir>)>>);

impl OpenMounts {
    /// The mount point, opened at the first time as by [`Dir::open_mount`].
    pub(crate) fn get(&self, mount_point: &str, version_2: bool) -> Result<Rc<Dir>> {
        let mut opened = self.0.borrow_mut();
        if let Some((_, dir)) = opened.iter().find(|(known, _)| known == mount_point) {
            return Ok(Rc::clone(dir));
        }
        let dir = Rc::new(Dir::open_mount(mount_point, version_2)?);
        opened.push((mount_point.to_string(), Rc::clone(&dir)));
        Ok(dir)
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Reads a file of procfs, sysfs or a mount root by its path.
///
/// # Errors
///
/// [`Error::Io`].
pub(crate) fn read_path(path: &str) -> Result<String> {
    let failed = |call, errno| Error::Io { call, path: path.to_string(), errno };
    let fd = retry(|| rustix::fs::openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()))
        .map_err(|errno| failed("open", errno))?;
    read_all(fd.as_fd()).map_err(|errno| failed("read", errno))
}

/// The names in a directory of sysfs; none when it does not exist.
pub(crate) fn read_dir_path(path: &str) -> Result<Vec<String>> {
    let failed = |call, errno| Error::Io { call, path: path.to_string(), errno };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = match retry(|| rustix::fs::openat(CWD, path, flags, Mode::empty())) {
        Err(Errno::NOENT) => return Ok(Vec::new()),
        result => result.map_err(|errno| failed("open", errno))?,
    };
    Dir(fd).children().map_err(|errno| failed("getdents64", errno))
}

/// A path for messages alone.
pub(crate) fn path_for_message_only(mount_point: &str, path: &str) -> String {
    match path {
        "/" => mount_point.to_string(),
        _ => format!("{mount_point}{path}"),
    }
}

/// Reads an open control file to its end.
pub(crate) fn read_all(fd: BorrowedFd<'_>) -> core::result::Result<String, Errno> {
    let mut bytes = Vec::with_capacity(4096);
    loop {
        if bytes.len() == bytes.capacity() {
            bytes.reserve(bytes.len());
        }
        if retry(|| rustix::io::read(fd, rustix::buffer::spare_capacity(&mut bytes)))? == 0 {
            return String::from_utf8(bytes).map_err(|_| Errno::INVAL);
        }
    }
}

pub(crate) fn retry<T>(
    mut call: impl FnMut() -> core::result::Result<T, Errno>,
) -> core::result::Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => (),
            result => return result,
        }
    }
}
