//! mount_setattr(2). The other calls of the mount API are rustix's.

use crate::arch::{nr, result, syscall6};
use core::ffi::CStr;
use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::io::Result;
use rustix::mount::MountAttrFlags;

bitflags::bitflags! {
    /// `AT_*` for [`mount_setattr`].
    #[derive(Copy, Clone, Debug, PartialEq, Eq, Default)]
    pub struct MountSetattrFlags: u32 {
        /// `AT_SYMLINK_NOFOLLOW`
        const SYMLINK_NOFOLLOW = 0x100;
        /// `AT_NO_AUTOMOUNT`
        const NO_AUTOMOUNT = 0x800;
        /// `AT_EMPTY_PATH`: the mount is that of the descriptor itself.
        const EMPTY_PATH = 0x1000;
        /// `AT_RECURSIVE`: with every mount below it, all or nothing.
        const RECURSIVE = 0x8000;
    }
}

/// How mounts and unmounts travel between a mount and its peers.
///
/// # References
///  - [Linux](https://man7.org/linux/man-pages/man7/mount_namespaces.7.html)
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// `MS_UNBINDABLE`: as private, and no bind mount can be made of it.
    Unbindable,
    /// `MS_PRIVATE`: not at all.
    Private,
    /// `MS_SLAVE`: from the peers to here only.
    Slave,
    /// `MS_SHARED`: both ways.
    Shared,
}

/// `struct mount_attr`: what [`mount_setattr`] changes.
#[derive(Copy, Clone, Debug)]
pub struct MountAttr<'a> {
    /// Attributes to set. An access time mode is set by clearing `MOUNT_ATTR__ATIME` too.
    pub set: MountAttrFlags,
    /// Attributes to clear.
    pub clear: MountAttrFlags,
    /// The new propagation.
    pub propagation: Option<Propagation>,
    /// The user namespace whose id maps the mount gets; goes with `MOUNT_ATTR_IDMAP` in `set`.
    pub userns: Option<BorrowedFd<'a>>,
}

impl Default for MountAttr<'_> {
    /// Changes nothing.
    fn default() -> Self {
        let none = MountAttrFlags::empty();
        Self { set: none, clear: none, propagation: None, userns: None }
    }
}

/// `struct mount_attr` of `<linux/mount.h>` in its version 0 (32 bytes).
#[repr(C)]
struct RawMountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

/// `mount_setattr(dirfd, path, flags, attr, sizeof(*attr))`—Changes the attributes of a mount.
///
/// # Errors
///
/// `EINVAL` for attributes that exclude each other, for what is not a mount's root, and for a file system or
/// user namespace that cannot be mapped; `EPERM` without CAP_SYS_ADMIN or for a locked attribute; `EBUSY` for read-only
/// while it is written to.
///
/// # References
///  - [Linux](https://man7.org/linux/man-pages/man2/mount_setattr.2.html), Linux 5.12
pub fn mount_setattr(
    dirfd: BorrowedFd<'_>,
    path: &CStr,
    flags: MountSetattrFlags,
    attr: &MountAttr<'_>,
) -> Result<()> {
    let raw = RawMountAttr {
        attr_set: u64::from(attr.set.bits()),
        attr_clr: u64::from(attr.clear.bits()),
        propagation: match attr.propagation {
            None => 0,
            Some(Propagation::Unbindable) => 1 << 17,
            Some(Propagation::Private) => 1 << 18,
            Some(Propagation::Slave) => 1 << 19,
            Some(Propagation::Shared) => 1 << 20,
        },
        userns_fd: attr.userns.map_or(0, |fd| u64::from(fd.as_raw_fd().cast_unsigned())),
    };
    let dirfd = dirfd.as_raw_fd().cast_unsigned() as usize;
    let (path, attr) = (path.as_ptr() as usize, (&raw const raw) as usize);
    // SAFETY: mount_setattr reads a C string, which `path` is, and a mount_attr of the given size, which `raw`
    // is. It writes to neither.
    result(unsafe {
        syscall6(nr::MOUNT_SETATTR, dirfd, path, flags.bits() as usize, attr, size_of::<RawMountAttr>(), 0)
    })
    .map(drop)
}
