//! Mounts: made detached, adjusted, and attached to a descriptor of their target.

use core::ffi::CStr;

use masu_program::{Attributes, Part, Propagation, Source, Target, Texts};
use masu_sys::mount::{MountAttr, MountSetattrFlags, Propagation as Mode, mount_setattr};
use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{CWD, FileType, OFlags},
    io::Errno,
    mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags},
};

use crate::{
    failure::{At, Failure, Result, fail},
    path::{self, IN_ROOT, IN_ROOT_NO_SYMLINKS},
};

/// Makes a mount and attaches it below `root`; `attributes` are those of the mount alone, then the recursive.
pub(crate) fn mount(
    root: BorrowedFd<'_>,
    source: &Source<'_>,
    target: &Target<'_>,
    attributes: [Attributes; 2],
    propagation: [Option<Propagation>; 2],
) -> Result<()> {
    let tree = open_source(source)?;
    let [alone, recursive] = attributes;
    set_attributes(tree.as_fd(), alone, MountSetattrFlags::EMPTY_PATH)?;
    set_attributes(tree.as_fd(), recursive, MountSetattrFlags::EMPTY_PATH | MountSetattrFlags::RECURSIVE)?;
    let resolve = if target.no_symlinks { IN_ROOT_NO_SYMLINKS } else { IN_ROOT };
    let place = path::make_target(root, target.path.as_c_str(), is_directory(tree.as_fd())?, resolve)?;
    attach(tree.as_fd(), place.as_fd())?;
    for change in propagation.into_iter().flatten() {
        propagate(tree.as_fd(), change)?;
    }
    Ok(())
}

/// Opens the detached tree that a mount is made of.
pub(crate) fn open_source(source: &Source<'_>) -> Result<OwnedFd> {
    match *source {
        Source::Filesystem { kind, flags, parameters } => make(kind.as_c_str(), flags, parameters),
        Source::Tree { fd } => masu_sys::fd::inherited(fd.0).at(Part::Open),
        Source::Path { path, recursive } => {
            let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
            flags.set(OpenTreeFlags::AT_RECURSIVE, recursive);
            rustix::mount::open_tree(CWD, path.as_c_str(), flags).at(Part::OpenTree)
        }
    }
}

/// Makes an instance of a file system.
fn make(kind: &CStr, flags: Texts<'_>, parameters: Texts<'_>) -> Result<OwnedFd> {
    let context = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).at(Part::FsOpen)?;
    match configure(context.as_fd(), flags, parameters) {
        Ok(tree) => Ok(tree),
        Err(failure) => Err(Failure { log: Some(context), ..failure }),
    }
}

fn configure(context: BorrowedFd<'_>, flags: Texts<'_>, mut parameters: Texts<'_>) -> Result<OwnedFd> {
    while let (Some(name), Some(value)) = (parameters.next(), parameters.next()) {
        rustix::mount::fsconfig_set_string(context, name, value).at(Part::FsConfig)?;
    }
    for name in flags {
        rustix::mount::fsconfig_set_flag(context, name).at(Part::FsConfig)?;
    }
    rustix::mount::fsconfig_create(context).at(Part::FsCreate)?;
    rustix::mount::fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).at(Part::FsMount)
}

/// Makes a path and all below it read-only, by a mount of itself. A missing one is skipped, as the
/// specification's `readonlyPaths` asks for.
pub(crate) fn protect(root: BorrowedFd<'_>, path: &CStr) -> Result<()> {
    let place = match path::open(root, path, OFlags::PATH, IN_ROOT) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
        outcome => outcome.at(Part::OpenTarget)?,
    };
    let tree = clone(place.as_fd(), OpenTreeFlags::AT_RECURSIVE)?;
    set_attributes(tree.as_fd(), READ_ONLY, MountSetattrFlags::EMPTY_PATH | MountSetattrFlags::RECURSIVE)?;
    attach(tree.as_fd(), place.as_fd())
}

/// Makes the mount at a path below `root` read-only.
pub(crate) fn protect_mount_at(root: BorrowedFd<'_>, path: &CStr) -> Result<()> {
    protect_mount(path::open(root, path, OFlags::PATH, IN_ROOT).at(Part::OpenTarget)?.as_fd())
}

/// Makes one mount read-only, by its descriptor alone: a path to it could lead elsewhere by now.
pub(crate) fn protect_mount(mount: BorrowedFd<'_>) -> Result<()> {
    set_attributes(mount, READ_ONLY, MountSetattrFlags::EMPTY_PATH)
}

/// Clones the tree at a descriptor.
pub(crate) fn clone(place: BorrowedFd<'_>, recursive: OpenTreeFlags) -> Result<OwnedFd> {
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    rustix::mount::open_tree(place, c"", flags | recursive).at(Part::OpenTree)
}

/// Attaches a detached tree to the file or directory that was opened as its place.
pub(crate) fn attach(tree: BorrowedFd<'_>, place: BorrowedFd<'_>) -> Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(tree, c"", place, c"", flags).at(Part::Attach)
}

/// Whether the file at a descriptor is a directory.
pub(crate) fn is_directory(file: BorrowedFd<'_>) -> Result<bool> {
    let status = rustix::fs::fstat(file).at(Part::Stat)?;
    Ok(FileType::from_raw_mode(status.st_mode) == FileType::Directory)
}

const READ_ONLY: Attributes = Attributes { set: MountAttrFlags::MOUNT_ATTR_RDONLY.bits() as u64, clear: 0 };

fn set_attributes(tree: BorrowedFd<'_>, attributes: Attributes, flags: MountSetattrFlags) -> Result<()> {
    if attributes.is_empty() {
        return Ok(());
    }
    let bits = |bits| {
        u32::try_from(bits)
            .map(MountAttrFlags::from_bits_retain)
            .map_err(|_| fail(Part::SetAttributes, Errno::INVAL))
    };
    let change =
        MountAttr { set: bits(attributes.set)?, clear: bits(attributes.clear)?, ..MountAttr::default() };
    mount_setattr(tree, c"", flags, &change).at(Part::SetAttributes)
}

fn propagate(tree: BorrowedFd<'_>, change: Propagation) -> Result<()> {
    let modes = [
        (1 << 17, Mode::Unbindable),
        (1 << 18, Mode::Private),
        (1 << 19, Mode::Slave),
        (1 << 20, Mode::Shared),
    ];
    let mode = modes.into_iter().find(|(bit, _)| *bit == change.mode).map(|(_, mode)| mode);
    let mut flags = MountSetattrFlags::EMPTY_PATH;
    flags.set(MountSetattrFlags::RECURSIVE, change.recursive);
    let change = MountAttr { propagation: mode, ..MountAttr::default() };
    mount_setattr(tree, c"", flags, &change).at(Part::Propagate)
}
