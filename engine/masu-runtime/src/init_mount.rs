//! masu-init as a file that can be executed where no memfd may be: `vm.memfd_noexec=2`, Linux 6.3.

use masu_sys::mount::{MountAttr, MountSetattrFlags, mount_setattr};
use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{Mode, OFlags},
    io::Result,
    mount::{FsMountFlags, FsOpenFlags, MountAttrFlags},
};

use crate::files;

/// The image in a tmpfs of its own that is attached nowhere, and read-only by the time that it is opened to be executed: as
/// with the seals of a memfd, nobody can change it (CVE-2019-5736). Both end with the descriptor.
///
/// # Errors
/// EPERM without `CAP_SYS_ADMIN`.
pub(crate) fn executable(image: &[u8]) -> Result<OwnedFd> {
    let context = rustix::mount::fsopen(c"tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_create(context.as_fd())?;
    let tree =
        rustix::mount::fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&tree, c"masu-init", flags, Mode::from_bits_truncate(0o555))?;
    files::write_all(&file, image)?;
    // A mount with a writer cannot be made read-only.
    drop(file);
    let set = MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NOSUID;
    let read_only = MountAttr { set, ..MountAttr::default() };
    mount_setattr(tree.as_fd(), c"", MountSetattrFlags::EMPTY_PATH, &read_only)?;
    rustix::fs::openat(&tree, c"masu-init", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
}
