//! Id-mapped mounts: a clone of a tree of the host, through which its files have other owners.
//!
//! The kernel takes the id map from a user namespace, mount_setattr(2). The engine makes one whose only process waits for
//! its end, since a namespace lives as long as a descriptor of it does. It is not the container's own: that one comes
//! into being with the container's process, and the mounts are cloned before.

use alloc::format;

use masu_sys::{
    mount::{MountAttr, MountSetattrFlags, mount_setattr},
    process::{CloneArgs, CloneFlags, Forked, exit_group, fork},
};
use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{Mode, OFlags},
    io::Errno,
    mount::MountAttrFlags,
    pipe::PipeFlags,
};

use crate::{
    acquire::open_namespace,
    error::{Doing, Error, Result},
    plan::{Origin, TreeIdMap, TreeIds},
    spawn::{Child, write_id_map},
};

/// Gives a detached tree its id map. `path` is where it was cloned from.
pub(crate) fn apply(
    origin: Origin,
    path: &str,
    tree: &OwnedFd,
    id_map: &TreeIdMap,
    proc: &OwnedFd,
) -> Result<()> {
    let namespace = match &id_map.ids {
        TreeIds::Own { uid, gid } => make_namespace(origin, proc, uid, gid)?,
        TreeIds::Namespace { path } => open_namespace(origin, path)?,
    };
    let set = MountAttrFlags::MOUNT_ATTR_IDMAP;
    let change = MountAttr { set, userns: Some(namespace.as_fd()), ..MountAttr::default() };
    let mut flags = MountSetattrFlags::EMPTY_PATH;
    flags.set(MountSetattrFlags::RECURSIVE, id_map.recursive);
    mount_setattr(tree.as_fd(), c"", flags, &change).map_err(|errno| Error::System {
        action: format!("{origin}: give {path:?} an id map: mount_setattr"),
        errno,
        hint: hint(errno).map(Into::into),
    })
}

fn hint(errno: Errno) -> Option<&'static str> {
    match errno {
        Errno::INVAL => Some(
            "its file system, or with ridmap that of a mount below it, cannot be mapped: ext4, xfs, btrfs and others can, \
             tmpfs since Linux 6.3",
        ),
        Errno::PERM => Some("it has an id map already, or its file system belongs to another user namespace"),
        _ => None,
    }
}

/// A user namespace with these ids. Its process ends with us: it reads from a pipe that nobody else writes to.
fn make_namespace(origin: Origin, proc: &OwnedFd, uid: &str, gid: &str) -> Result<OwnedFd> {
    let doing = || format!("{origin}: make a user namespace for the id map");
    let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).doing(doing)?;
    let arguments = CloneArgs { flags: CloneFlags::NEWUSER, cgroup: None };
    let child = match fork(&arguments).doing(doing)? {
        Forked::Parent { pid, pidfd } => Child::new(pid, pidfd),
        Forked::Child => {
            drop(write);
            // ignored: with or without an end of file there is nothing more to wait for.
            let _ = rustix::io::read(&read, &mut [0; 1]);
            exit_group(0)
        }
    };
    let pid = child.pid();
    write_id_map(proc, pid, &format!("{origin}.uidMappings"), "uid_map", uid)?;
    write_id_map(proc, pid, &format!("{origin}.gidMappings"), "gid_map", gid)?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    rustix::fs::openat(proc, format!("{pid}/ns/user"), flags, Mode::empty()).doing(doing)
}
