//! Layers whose files belong to others than is written in them: clones with an id map (mount_setattr(2)), for root's
//! containers with a user namespace.
//!
//! An overlay takes such layers since Linux 5.19, and only from the mount table before 6.15: for the moment in which it
//! clones them itself they are mounted in the bundle.

use super::config::IdMaps;
use crate::layer::IdRange;
use crate::mounts::create_dir;
use crate::{Error, Result};
use masu_sys::mount::{MountAttr, MountSetattrFlags, Propagation, mount_setattr};
use masu_sys::process::{CloneArgs, CloneFlags, Forked, exit_group, fork};
use rustix::fs::CWD;
use rustix::mount::{
    MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, move_mount, open_tree, unmount,
};
use rustix::pipe::PipeFlags;
use rustix::process::{WaitId, WaitIdOptions, waitid};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

/// They are unmounted with this.
pub(super) struct Clones {
    directory: PathBuf,
    count: usize,
}

impl Clones {
    /// Clones the layers, each into a directory of its own in `directory`, which is made.
    ///
    /// # Errors
    ///
    /// [`Error::Namespace`] when the kernel makes no user namespace with these ids; [`Error::Mount`] for what it cannot
    /// map, which is what most file systems of networks are.
    pub(super) fn make(
        directory: &Path,
        ids: &IdMaps,
        layers: impl Iterator<Item = PathBuf>,
    ) -> Result<Self> {
        let namespace = namespace(ids)?;
        create_dir(directory, 0o700)?;
        let mut clones = Self { directory: directory.to_owned(), count: 0 };
        for layer in layers {
            let target = clones.path(clones.count);
            create_dir(&target, 0o700)?;
            clones.count += 1;
            mount_mapped(&layer, namespace.as_fd(), &target)
                .map_err(Error::mount("with an id map", &target))?;
        }
        Ok(clones)
    }

    /// Where they are, in the order in which they were given.
    pub(super) fn paths(&self) -> impl Iterator<Item = PathBuf> {
        (0..self.count).map(|number| self.path(number))
    }

    fn path(&self, number: usize) -> PathBuf {
        self.directory.join(number.to_string())
    }
}

impl Drop for Clones {
    fn drop(&mut self) {
        for path in self.paths() {
            // ignored: `masu bundle rm` takes what is left.
            unmount(&path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW).ok();
            std::fs::remove_dir(&path).ok();
        }
        // ignored: as above.
        std::fs::remove_dir(&self.directory).ok();
    }
}

fn mount_mapped(source: &Path, namespace: BorrowedFd<'_>, target: &Path) -> rustix::io::Result<()> {
    let tree = open_tree(CWD, source, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)?;
    let mapped = MountAttr {
        set: MountAttrFlags::MOUNT_ATTR_IDMAP,
        propagation: Some(Propagation::Private),
        userns: Some(namespace),
        ..MountAttr::default()
    };
    mount_setattr(tree.as_fd(), c"", MountSetattrFlags::EMPTY_PATH, &mapped)?;
    move_mount(tree.as_fd(), "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
}

/// A user namespace with these ids, by its descriptor. Its only process is gone when this returns, or when we are.
fn namespace(ids: &IdMaps) -> Result<File> {
    let call = |call| move |errno| Error::Namespace { call, errno };
    let (waiting, ours) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(call("pipe2"))?;
    let arguments = CloneArgs { flags: CloneFlags::NEWUSER, ..CloneArgs::default() };
    match fork(&arguments).map_err(call("clone3(CLONE_NEWUSER)"))? {
        Forked::Child => {
            drop(ours);
            // ignored: with or without an end of file there is nothing more to wait for.
            rustix::io::read(&waiting, &mut [0]).ok();
            exit_group(0)
        }
        Forked::Parent { pid, pidfd } => {
            let of_process = |name: &str| PathBuf::from(format!("/proc/{}/{name}", pid.as_raw_nonzero()));
            let write = |name, ranges: &[IdRange]| {
                let path = of_process(name);
                std::fs::write(&path, lines(ranges)).map_err(Error::file("write", &path))
            };
            let path = of_process("ns/user");
            let made = write("uid_map", &ids.uids)
                .and_then(|()| write("gid_map", &ids.gids))
                .and_then(|()| File::open(&path).map_err(Error::file("open", &path)));
            drop(ours);
            waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED).map_err(call("waitid"))?;
            made
        }
    }
}

/// As user_namespaces(7) has them.
fn lines(ranges: &[IdRange]) -> String {
    let line = |range: &IdRange| format!("{} {} {}\n", range.inside, range.outside, range.count);
    ranges.iter().map(line).collect()
}
