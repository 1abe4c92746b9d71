//! mount_setattr(2), listmount(2) and statmount(2). The other calls of the mount API are rustix's.

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

/// `struct mnt_id_req` of `<linux/mount.h>` in its version 0 (24 bytes).
#[repr(C)]
struct MountRequest {
    size: u32,
    spare: u32,
    mount: u64,
    /// What is asked for; of listmount(2), the mount after which the list begins.
    parameter: u64,
}

impl MountRequest {
    fn new(mount: u64, parameter: u64) -> Self {
        Self { size: 24, spare: 0, mount, parameter }
    }
}

/// `listmount({top, after}, ids, len, 0)`—Lists the mounts below `top`, or all of this process's namespace (`LSMT_ROOT`),
/// in the order of `/proc/self/mountinfo`. Returns how many it has written; as many as there is room for means that there may be more, after
/// the last one. 0 as `after` begins at the first.
///
/// # Errors
///
/// `ENOSYS` before Linux 6.8, `ENOENT` when there is no such mount, `EPERM` in a root of its own without CAP_SYS_ADMIN, or by a filter that does not know the call.
///
/// # References
///  - [Linux](https://man7.org/linux/man-pages/man2/listmount.2.html)
pub fn listmount(top: Option<u64>, after: u64, ids: &mut [u64]) -> Result<usize> {
    const LSMT_ROOT: u64 = u64::MAX;
    let request = MountRequest::new(top.unwrap_or(LSMT_ROOT), after);
    let (request, size) = ((&raw const request) as usize, ids.len());
    // SAFETY: listmount reads a mnt_id_req, which `request` is, and writes at most `size` ids, which `ids` holds.
    result(unsafe { syscall6(nr::LISTMOUNT, request, ids.as_mut_ptr() as usize, size, 0, 0, 0) })
}

bitflags::bitflags! {
    /// `STATMOUNT_*` for [`statmount`]: what is asked for.
    #[derive(Copy, Clone, Debug, PartialEq, Eq)]
    pub struct MountFacts: u64 {
        /// `STATMOUNT_SB_BASIC`: [`MountStatus::magic`].
        const SB_BASIC = 1;
        /// `STATMOUNT_MNT_BASIC`: [`MountStatus::parent`].
        const MNT_BASIC = 2;
        /// `STATMOUNT_MNT_ROOT`: [`MountStatus::root`].
        const MNT_ROOT = 8;
        /// `STATMOUNT_MNT_POINT`: [`MountStatus::point`].
        const MNT_POINT = 0x10;
        /// `STATMOUNT_MNT_OPTS` (Linux 6.11): [`MountStatus::options`].
        const MNT_OPTS = 0x80;
    }
}

/// What [`statmount`] tells; a text that was not asked for is empty.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct MountStatus<'a> {
    /// Which of the facts the kernel knows.
    pub facts: MountFacts,
    /// Type of the file system, as statfs(2) has it.
    pub magic: u64,
    /// The mount that it is attached to.
    pub parent: u64,
    /// What of the file system is its root.
    pub root: &'a CStr,
    /// Where it is.
    pub point: &'a CStr,
    /// The file system's own options, joined by commas.
    pub options: &'a CStr,
}

/// Room for what statmount(2) says of a mount: a header of 512 bytes, and the texts.
pub type MountBuffer = [u64; 1088];

/// `statmount({id, facts}, buf, sizeof(*buf), 0)`—Tells of one mount.
///
/// # Errors
///
/// `ENOSYS` before Linux 6.8, `ENOENT` for a mount that is gone, `EOVERFLOW` for texts of more than 8 KiB, `EPERM` for
/// mounts out of reach.
///
/// # References
///  - [Linux](https://man7.org/linux/man-pages/man2/statmount.2.html)
pub fn statmount(id: u64, facts: MountFacts, buffer: &mut MountBuffer) -> Result<MountStatus<'_>> {
    let request = MountRequest::new(id, facts.bits());
    let (request, size) = ((&raw const request) as usize, size_of::<MountBuffer>());
    let buffer: &MountBuffer = {
        let address = buffer.as_mut_ptr() as usize;
        // SAFETY: statmount reads a mnt_id_req, which `request` is, and writes at most `size` bytes, which the buffer has.
        result(unsafe { syscall6(nr::STATMOUNT, request, address, size, 0, 0, 0) })?;
        buffer
    };
    // The places are those of `struct statmount`, counted in its words of eight bytes; the strings follow at 512.
    let word = |index: usize| buffer.get(index).copied().unwrap_or_default();
    let known = MountFacts::from_bits_truncate(word(1));
    let text = |fact: MountFacts, offset: u64| match known.contains(fact) {
        true => text_at(buffer, 512 + usize::try_from(offset).unwrap_or(usize::MAX / 2)),
        false => c"",
    };
    let (low, high) = (|word: u64| word & 0xffff_ffff, |word: u64| word >> 32);
    Ok(MountStatus {
        facts: known,
        magic: word(3),
        parent: word(6),
        root: text(MountFacts::MNT_ROOT, low(word(13))),
        point: text(MountFacts::MNT_POINT, high(word(13))),
        options: text(MountFacts::MNT_OPTS, high(word(0))),
    })
}

/// The C string at a byte of the buffer; an empty one when there is none.
fn text_at(buffer: &MountBuffer, start: usize) -> &CStr {
    // SAFETY: the slice needs as many initialised bytes as the buffer has, which lives as long; words have no padding.
    let bytes =
        unsafe { core::slice::from_raw_parts(buffer.as_ptr().cast::<u8>(), size_of::<MountBuffer>()) };
    bytes.get(start..).and_then(|rest| CStr::from_bytes_until_nul(rest).ok()).unwrap_or_default()
}
