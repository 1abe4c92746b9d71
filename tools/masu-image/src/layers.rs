//! The three mounts that a root is made of: overlay, tmpfs, read-only bind. Each is made detached and then
//! attached, so that a refusal leaves nothing half mounted.

use crate::{Error, Result};
use masu_sys::mount::{MountAttr, MountSetattrFlags, mount_setattr};
use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};
use std::fs::{DirBuilder, Permissions};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The upper half of an overlay: a directory for what is written, one for the kernel's own work.
#[derive(Debug)]
pub(crate) struct Upper {
    pub(crate) upper: PathBuf,
    pub(crate) work: PathBuf,
}

impl Upper {
    /// Makes both, new, below `parent`. The upper directory's mode is what the merged root shows: `lower`'s.
    pub(crate) fn create(parent: &Path, name: &str, lower: &Path) -> Result<Self> {
        let base = parent.join(name);
        let this = Self { upper: base.join("upper"), work: base.join("work") };
        create_dir(&base, 0o700)?;
        create_dir(&this.work, 0o700)?;
        let mode = lower.metadata().map_err(Error::file("stat", lower))?.permissions().mode() & 0o7777;
        create_dir(&this.upper, mode)?;
        Ok(this)
    }
}

/// A directory with exactly this mode, whatever the umask says. The parents have to exist.
pub(crate) fn create_dir(path: &Path, mode: u32) -> Result<()> {
    DirBuilder::new().mode(mode).create(path).map_err(Error::file("create", path))?;
    std::fs::set_permissions(path, Permissions::from_mode(mode)).map_err(Error::file("chmod", path))
}

/// `lower` read-only below, `upper` above, on `target`. `userxattr` (Linux 5.11) keeps overlayfs' marks in
/// `user.*` attributes, since a user namespace has no `trusted.*`.
pub(crate) fn mount_overlay(
    lower: &Path,
    upper: &Upper,
    target: &Path,
    userxattr: bool,
) -> rustix::io::Result<()> {
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    let context = context.as_fd();
    for (key, path) in [("lowerdir", lower), ("upperdir", &upper.upper), ("workdir", &upper.work)] {
        fsconfig_set_string(context, key, escape(path))?;
    }
    if userxattr {
        fsconfig_set_flag(context, "userxattr")?;
    }
    fsconfig_set_string(context, "source", "masu-host")?;
    attach_new(context, MountAttrFlags::MOUNT_ATTR_NODEV, target)
}

/// An empty tmpfs on `target`.
pub(crate) fn mount_tmpfs(target: &Path, mode: u32) -> Result<()> {
    let mount = || {
        let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_set_string(context.as_fd(), "mode", format!("{mode:o}"))?;
        let flags = MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOSUID;
        attach_new(context.as_fd(), flags, target)
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
    let read_only = MountAttr { set: MountAttrFlags::MOUNT_ATTR_RDONLY, ..MountAttr::default() };
    let flags = MountSetattrFlags::EMPTY_PATH | MountSetattrFlags::RECURSIVE;
    mount_setattr(tree.as_fd(), c"", flags, &read_only)?;
    move_mount(tree.as_fd(), "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
}

fn attach_new(context: BorrowedFd<'_>, attributes: MountAttrFlags, target: &Path) -> rustix::io::Result<()> {
    fsconfig_create(context)?;
    let mount = fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
    move_mount(mount.as_fd(), "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
}

/// overlayfs splits `lowerdir` at colons and takes a backslash as the escape in all three.
fn escape(path: &Path) -> PathBuf {
    let mut escaped = Vec::new();
    for &byte in path.as_os_str().as_bytes() {
        if matches!(byte, b':' | b'\\') {
            escaped.push(b'\\');
        }
        escaped.push(byte);
    }
    std::ffi::OsString::from_vec(escaped).into()
}

/// Whether overlayfs refused this lower directory, in a way that another kind of mount may not:
/// "failed to clone lowerpath" (locked mounts below, `EINVAL`), a file system that cannot be a layer (`EINVAL`),
/// stacked too deep (`EINVAL`), or an overlayfs that is closed to user namespaces or absent.
pub(crate) fn is_refusal(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::INVAL | Errno::PERM | Errno::ACCESS | Errno::NODEV | Errno::LOOP | Errno::OPNOTSUPP
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colons_and_backslashes_of_a_path_are_escaped() {
        for (path, escaped) in [("/usr", "/usr"), ("/a:b", "/a\\:b"), ("/a\\b", "/a\\\\b"), ("/a,b", "/a,b")]
        {
            assert_eq!(escape(Path::new(path)), Path::new(escaped));
        }
    }
}
