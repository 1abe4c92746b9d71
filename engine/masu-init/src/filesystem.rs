//! Mounts: made detached, adjusted, and attached to a descriptor of their target.

use core::ffi::CStr;

use masu_program::{Attributes, CopyUp, Part, Propagation, Target, Texts};
use masu_sys::mount::{MountAttr, MountSetattrFlags, Propagation as Mode, mount_setattr};
use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{CWD, FileType, OFlags, XattrFlags},
    io::Errno,
    mount::{
        FsMountFlags, FsOpenFlags, FsPickFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
    },
};

use crate::{
    copy,
    failure::{At, Failure, Result, fail},
    path::{self, Above, IN_ROOT, IN_ROOT_NO_SYMLINKS},
};

/// Attaches a tree below `root`, with these attributes of all of it.
pub(crate) fn mount(
    root: BorrowedFd<'_>,
    above: &mut Above,
    tree: &OwnedFd,
    target: &Target<'static>,
    recursive: Attributes,
    propagation: [Option<Propagation>; 2],
) -> Result<()> {
    set_attributes(tree.as_fd(), recursive, MountSetattrFlags::EMPTY_PATH | MountSetattrFlags::RECURSIVE)?;
    let resolve = if target.no_symlinks { IN_ROOT_NO_SYMLINKS } else { IN_ROOT };
    let directory = is_directory(tree.as_fd())?;
    let place = above.make_target(root, target.path.as_c_str(), directory, resolve)?;
    attach(tree.as_fd(), place.as_fd())?;
    for change in propagation.into_iter().flatten() {
        propagate(tree.as_fd(), change)?;
    }
    Ok(())
}

/// Detaches the topmost mount at a path below `root`.
///
/// From the directory above it, which is held, since umount(2) knows no descriptors: whatever is renamed meanwhile, a mount
/// point stays under its name there. Through a symbolic link an image could have another mount taken away, a mask of
/// `/proc` perhaps.
pub(crate) fn unmount(root: BorrowedFd<'_>, path: &'static CStr) -> Result<()> {
    let (above, name) = path::find_parent(root, path, IN_ROOT_NO_SYMLINKS)?;
    rustix::process::fchdir(&above).at(Part::ChangeDirectory)?;
    let flags = UnmountFlags::DETACH | UnmountFlags::NOFOLLOW;
    rustix::mount::unmount(name, flags).at(Part::Detach)
}

/// The attributes of a mount that is to be filled before it gets its own.
pub(crate) const fn writable(attributes: Attributes) -> Attributes {
    Attributes { set: attributes.set & !READ_ONLY.set, ..attributes }
}

/// Attaches a [`writable`] tree at `path`, with what the directory there holds, and then these attributes: of the mount
/// alone, and of all below.
pub(crate) fn mount_copy(
    root: BorrowedFd<'_>,
    above: &mut Above,
    tree: &OwnedFd,
    path: &'static CStr,
    what: CopyUp,
    attributes: [Attributes; 2],
    propagation: [Option<Propagation>; 2],
) -> Result<()> {
    let there = path::open(root, path, OFlags::PATH, IN_ROOT);
    let is_new = matches!(there, Err(Errno::NOENT));
    let place =
        if is_new { above.make_target(root, path, true, IN_ROOT)? } else { there.at(Part::OpenTarget)? };
    match what {
        CopyUp::Permissions if is_new => (),
        CopyUp::Permissions => copy::permissions(place.as_fd(), tree.as_fd())?,
        CopyUp::Content | CopyUp::Directory => copy::up(place.as_fd(), tree.as_fd(), what)?,
    }
    set_both(tree.as_fd(), attributes)?;
    attach(tree.as_fd(), place.as_fd())?;
    propagation.into_iter().flatten().try_for_each(|change| propagate(tree.as_fd(), change))
}

/// Changes the mount at `path` below `root`, and its file system where that is asked for.
pub(crate) fn change(
    root: BorrowedFd<'_>,
    path: &CStr,
    [flags, parameters]: [Texts<'_>; 2],
    attributes: [Attributes; 2],
    propagation: [Option<Propagation>; 2],
) -> Result<()> {
    let mount = path::open(root, path, OFlags::PATH, IN_ROOT).at(Part::OpenTarget)?;
    if !flags.is_empty() || !parameters.is_empty() {
        reconfigure(mount.as_fd(), flags, parameters)?;
    }
    set_both(mount.as_fd(), attributes)?;
    propagation.into_iter().flatten().try_for_each(|change| propagate(mount.as_fd(), change))
}

/// The attributes of the mount alone, then the recursive.
fn set_both(mount: BorrowedFd<'_>, [alone, recursive]: [Attributes; 2]) -> Result<()> {
    set_attributes(mount, alone, MountSetattrFlags::EMPTY_PATH)?;
    set_attributes(mount, recursive, MountSetattrFlags::EMPTY_PATH | MountSetattrFlags::RECURSIVE)
}

fn reconfigure(mount: BorrowedFd<'_>, flags: Texts<'_>, parameters: Texts<'_>) -> Result<()> {
    let pick = FsPickFlags::FSPICK_CLOEXEC | FsPickFlags::FSPICK_EMPTY_PATH;
    let context = rustix::mount::fspick(mount, c"", pick).at(Part::FsPick)?;
    let changed = set_parameters(context.as_fd(), flags, parameters)
        .and_then(|()| rustix::mount::fsconfig_reconfigure(context.as_fd()).at(Part::FsReconfigure));
    changed.map_err(|failure| Failure { log: Some(context), ..failure })
}

/// Makes an instance of procfs or sysfs; where the kernel refuses it, clones what is mounted at a path of the host.
pub(crate) fn make_or_clone(
    kind: &CStr,
    flags: Texts<'_>,
    parameters: Texts<'_>,
    instead: &CStr,
    attributes: Attributes,
) -> Result<OwnedFd> {
    match make(kind, flags, parameters, attributes) {
        Err(Failure { errno: Errno::PERM, .. }) => clone_path(instead, true, attributes),
        outcome => outcome,
    }
}

/// Clones what is mounted at a path of the host.
pub(crate) fn clone_path(path: &CStr, recursive: bool, attributes: Attributes) -> Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    flags.set(OpenTreeFlags::AT_RECURSIVE, recursive);
    let tree = rustix::mount::open_tree(CWD, path, flags).at(Part::OpenTree)?;
    set_attributes(tree.as_fd(), attributes, MountSetattrFlags::EMPTY_PATH)?;
    Ok(tree)
}

/// Makes an instance of a file system. Its attributes come with the mount, not after it: where only a read-only one
/// may be mounted, as below a container whose own is locked so, the kernel looks at these.
pub(crate) fn make(
    kind: &CStr,
    flags: Texts<'_>,
    parameters: Texts<'_>,
    attributes: Attributes,
) -> Result<OwnedFd> {
    let context = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).at(Part::FsOpen)?;
    match configure(context.as_fd(), flags, parameters, attributes) {
        Ok(tree) => Ok(tree),
        Err(failure) => Err(Failure { log: Some(context), ..failure }),
    }
}

fn configure(
    context: BorrowedFd<'_>,
    flags: Texts<'_>,
    parameters: Texts<'_>,
    attributes: Attributes,
) -> Result<OwnedFd> {
    set_parameters(context, flags, parameters)?;
    rustix::mount::fsconfig_create(context).at(Part::FsCreate)?;
    // A new mount has nothing to clear.
    let attributes = bits(attributes.set)?;
    rustix::mount::fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, attributes).at(Part::FsMount)
}

fn set_parameters(context: BorrowedFd<'_>, flags: Texts<'_>, mut parameters: Texts<'_>) -> Result<()> {
    while let (Some(name), Some(value)) = (parameters.next(), parameters.next()) {
        rustix::mount::fsconfig_set_string(context, name, value).at(Part::FsConfig)?;
    }
    for name in flags {
        rustix::mount::fsconfig_set_flag(context, name).at(Part::FsConfig)?;
    }
    Ok(())
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

pub(crate) const READ_ONLY: Attributes =
    Attributes { set: MountAttrFlags::MOUNT_ATTR_RDONLY.bits() as u64, clear: 0 };

/// Sets and clears attributes of a mount.
pub(crate) fn set_attributes(
    tree: BorrowedFd<'_>,
    attributes: Attributes,
    flags: MountSetattrFlags,
) -> Result<()> {
    if attributes.is_empty() {
        return Ok(());
    }
    let change =
        MountAttr { set: bits(attributes.set)?, clear: bits(attributes.clear)?, ..MountAttr::default() };
    mount_setattr(tree, c"", flags, &change).at(Part::SetAttributes)
}

fn bits(bits: u64) -> Result<MountAttrFlags> {
    u32::try_from(bits)
        .map(MountAttrFlags::from_bits_retain)
        .map_err(|_| fail(Part::SetAttributes, Errno::INVAL))
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

/// Sets the SELinux label of what is at a path below `root`.
pub(crate) fn set_label(root: BorrowedFd<'_>, path: &CStr, label: &CStr) -> Result<()> {
    let file = path::open(root, path, OFlags::RDONLY, IN_ROOT).at(Part::OpenTarget)?;
    rustix::fs::fsetxattr(file, c"security.selinux", label.to_bytes(), XattrFlags::empty())
        .at(Part::SetAttribute)
}
