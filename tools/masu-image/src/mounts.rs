//! What a root is mounted of beside overlays: tmpfs and read-only binds. Each is made detached and then attached, so
//! that a refusal leaves nothing half mounted. They neither send nor receive mounts, and nor does what is mounted on them.

use crate::{Error, Result};
use masu_sys::mount::{MountAttr, MountSetattrFlags, Propagation, mount_setattr};
use rustix::fs::CWD;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags,
    fsconfig_create, fsconfig_set_string, fsmount, fsopen, mount_change, move_mount, open_tree,
};
use std::fs::{DirBuilder, Permissions};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

/// A directory with exactly this mode, whatever the umask says. The parents have to exist.
pub(crate) fn create_dir(path: &Path, mode: u32) -> Result<()> {
    DirBuilder::new().mode(mode).create(path).map_err(Error::file("create", path))?;
    std::fs::set_permissions(path, Permissions::from_mode(mode)).map_err(Error::file("chmod", path))
}

/// An empty tmpfs on `target`.
pub(crate) fn mount_tmpfs(target: &Path, mode: u32) -> Result<()> {
    let mount = || {
        let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_set_string(context.as_fd(), "mode", format!("{mode:o}"))?;
        let flags = MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOSUID;
        attach_new(context.as_fd(), flags, target)?;
        mount_change(target, MountPropagationFlags::PRIVATE)
    };
    mount().map_err(Error::mount("tmpfs", target))
}

/// `source` with everything mounted below it, read-only, on `target`. Recursive, because a user namespace may
/// not uncover what the mounts of a more privileged one hide (mount_namespaces(7)).
pub(crate) fn bind_read_only(source: &Path, target: &Path) -> rustix::io::Result<()> {
    let recursive = OpenTreeFlags::AT_RECURSIVE;
    let tree = open_tree(
        CWD,
        source,
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | recursive,
    )?;
    let read_only = MountAttr {
        set: MountAttrFlags::MOUNT_ATTR_RDONLY,
        propagation: Some(Propagation::Private),
        ..MountAttr::default()
    };
    let flags = MountSetattrFlags::EMPTY_PATH | MountSetattrFlags::RECURSIVE;
    mount_setattr(tree.as_fd(), c"", flags, &read_only)?;
    move_mount(tree.as_fd(), "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
}

pub(crate) fn attach_new(
    context: BorrowedFd<'_>,
    attributes: MountAttrFlags,
    target: &Path,
) -> rustix::io::Result<()> {
    fsconfig_create(context)?;
    let mount = fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
    move_mount(mount.as_fd(), "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
}
