//! The root: attached on top of the host's, filled, and entered.

use core::ffi::CStr;

use masu_program::{Entry, Part, Propagation};
use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{CWD, OFlags},
    io::Errno,
    mount::{MountFlags, MountPropagationFlags, MoveMountFlags, UnmountFlags},
};

use crate::{
    failure::{At, Result},
    path,
};

/// Before a detach: with shared mounts it would travel to the host.
const SLAVES: MountPropagationFlags = MountPropagationFlags::DOWNSTREAM.union(MountPropagationFlags::REC);

/// Changes how the mount at `/`, or all mounts, propagate.
pub(crate) fn set_propagation(propagation: Propagation) -> Result<()> {
    let mut flags = MountPropagationFlags::from_bits_truncate(propagation.mode);
    if propagation.recursive {
        flags |= MountPropagationFlags::REC;
    }
    rustix::mount::mount_change(c"/", flags).at(Part::Propagate)
}

/// Attaches the tree of the root file system.
///
/// It goes on top of `/`, not onto its own path, unless a hook is to find it there: that path may be out of reach for a
/// user namespace, and where it is attached does not matter to the pivot, which moves it.
pub(crate) fn attach(tree: OwnedFd, place: &CStr) -> Result<OwnedFd> {
    put(tree.as_fd(), place)?;
    Ok(tree)
}

/// Moves the root on top of `/`, as [`attach`] leaves it without hooks.
pub(crate) fn stack(root: BorrowedFd<'_>) -> Result<()> {
    put(root, c"/")
}

fn put(tree: BorrowedFd<'_>, place: &CStr) -> Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_SYMLINKS;
    rustix::mount::move_mount(tree, c"", CWD, place, flags).at(Part::Attach)
}

/// Detaches all that is mounted at `path` of the host's tree, or covers it.
pub(crate) fn hide(path: &CStr) -> Result<()> {
    loop {
        match rustix::mount::mount_change(path, SLAVES) {
            // Nothing is mounted there any more.
            Err(Errno::INVAL | Errno::NOENT) => return Ok(()),
            outcome => outcome.at(Part::Propagate)?,
        }
        match rustix::mount::unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
            // Locked: all mounts are, of a mount namespace that a user namespace has got a copy of.
            Err(Errno::INVAL) => return cover(path),
            outcome => outcome.at(Part::Detach)?,
        }
    }
}

/// Mounts an empty directory at `path`.
fn cover(path: &CStr) -> Result<()> {
    rustix::mount::mount(c"tmpfs", path, c"tmpfs", MountFlags::RDONLY, None).at(Part::Attach)
}

/// Opens a root that stays where it is.
pub(crate) fn open(path: &CStr) -> Result<OwnedFd> {
    path::open_on_host(path, OFlags::PATH | OFlags::DIRECTORY).at(Part::Open)
}

/// Makes `root` the process's `/`, and leaves no way back to the host's tree.
pub(crate) fn enter(root: BorrowedFd<'_>, entry: Entry) -> Result<()> {
    match entry {
        Entry::Pivot => pivot(root)?,
        Entry::Chroot => {
            rustix::process::fchdir(root).at(Part::ChangeDirectory)?;
            rustix::process::chroot(c".").at(Part::Chroot)?;
        }
    }
    rustix::process::chdir(c"/").at(Part::ChangeDirectory)
}

fn pivot(root: BorrowedFd<'_>) -> Result<()> {
    let host = path::open_on_host(c"/", OFlags::PATH | OFlags::DIRECTORY).at(Part::Open)?;
    rustix::process::fchdir(root).at(Part::ChangeDirectory)?;
    // Both paths may be the same: the host's tree then lies on top of the new root, pivot_root(2), NOTES.
    rustix::process::pivot_root(c".", c".").at(Part::PivotRoot)?;
    rustix::process::fchdir(&host).at(Part::ChangeDirectory)?;
    rustix::mount::mount_change(c".", SLAVES).at(Part::Propagate)?;
    rustix::mount::unmount(c".", UnmountFlags::DETACH).at(Part::Detach)
}
