//! What the plan's steps need from the host, as open descriptors.
//!
//! All of it is opened before anything is done in the container, by the engine and with its privileges. A path is
//! looked up here once; what comes after works on the descriptor.

use alloc::{format, string::String, vec::Vec};

use masu_sys::mount::{MountAttr, MountSetattrFlags, Propagation, mount_setattr};
use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{CWD, FileType, Mode, OFlags},
    io::Errno,
    mount::OpenTreeFlags,
};

use crate::{
    error::{Error, Result},
    hooks::open_output,
    id_mapped,
    plan::{Origin, Plan, TreePropagation, Want},
};

/// What the engine has open already.
#[derive(Debug)]
pub(crate) struct Held {
    /// The host's procfs.
    pub(crate) proc: OwnedFd,
    /// The container's cgroups.
    pub(crate) join: masu_cgroup::Join,
    /// The process whose namespaces are joined.
    pub(crate) process: Option<OwnedFd>,
    /// The start fifo.
    pub(crate) fifo: Option<OwnedFd>,
}

/// Opens everything that `plan` wants, in its order; of what is open already, the cgroups' files are taken.
pub(crate) fn acquire(plan: &Plan, held: &mut Held) -> Result<Vec<OwnedFd>> {
    plan.wants.iter().map(|(origin, want)| open(*origin, want, held)).collect()
}

fn open(origin: Origin, want: &Want, held: &mut Held) -> Result<OwnedFd> {
    match want {
        Want::Proc => duplicate(origin, Some(&held.proc)),
        Want::Process => duplicate(origin, held.process.as_ref()),
        Want::Fifo => duplicate(origin, held.fifo.as_ref()),
        Want::UnifiedCgroup => taken(origin, held.join.unified.take()),
        Want::Tasks { hierarchy } => {
            let found = held.join.tasks.iter().position(|(name, _)| name == hierarchy);
            taken(origin, found.map(|index| held.join.tasks.swap_remove(index).1))
        }
        Want::Namespace { path } => open_namespace(origin, path),
        Want::Tree { path, recursive, propagation, only_procfs, id_map } => {
            let tree = open_tree(origin, path, *recursive, *propagation)?;
            if let Some(id_map) = id_map {
                id_mapped::apply(origin, path, &tree, id_map, &held.proc)?;
            }
            if *only_procfs { check_procfs(origin, path, tree) } else { Ok(tree) }
        }
        Want::Device { path, number } => open_device(origin, path, *number),
        Want::Output { path } => {
            open_output(path).map_err(|errno| failed(origin, format!("open {path:?}"), errno))
        }
    }
}

pub(crate) fn open_namespace(origin: Origin, path: &str) -> Result<OwnedFd> {
    rustix::fs::openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| failed(origin, format!("open namespace {path:?}"), errno))
}

/// What exactly one step uses.
fn taken(origin: Origin, held: Option<OwnedFd>) -> Result<OwnedFd> {
    held.ok_or_else(|| failed(origin, "find the cgroup's file".into(), Errno::BADF))
}

/// Init closes what a step used, so each step gets a descriptor of its own.
fn duplicate(origin: Origin, held: Option<&OwnedFd>) -> Result<OwnedFd> {
    let duplicated = held.ok_or(Errno::BADF).and_then(|fd| rustix::io::fcntl_dupfd_cloexec(fd, 3));
    duplicated.map_err(|errno| failed(origin, "duplicate a descriptor".into(), errno))
}

/// Clones a tree of the host's mounts, detached from all that happens on the host.
fn open_tree(origin: Origin, path: &str, recursive: bool, kept: TreePropagation) -> Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    flags.set(OpenTreeFlags::AT_RECURSIVE, recursive);
    let tree = rustix::mount::open_tree(CWD, path, flags)
        .map_err(|errno| failed(origin, format!("open_tree {path:?}"), errno))?;
    let change = match kept {
        TreePropagation::Kept => None,
        TreePropagation::SharedBelow => Some((Propagation::Private, MountSetattrFlags::EMPTY_PATH)),
        TreePropagation::Slave => {
            Some((Propagation::Slave, MountSetattrFlags::EMPTY_PATH | MountSetattrFlags::RECURSIVE))
        }
    };
    if let Some((mode, flags)) = change {
        let change = MountAttr { propagation: Some(mode), ..MountAttr::default() };
        mount_setattr(tree.as_fd(), c"", flags, &change)
            .map_err(|errno| failed(origin, format!("mount_setattr {path:?}"), errno))?;
    }
    Ok(tree)
}

/// What is bound on `/proc` has to be one: programs in the container trust it.
fn check_procfs(origin: Origin, path: &str, tree: OwnedFd) -> Result<OwnedFd> {
    let status =
        rustix::fs::fstatfs(&tree).map_err(|errno| failed(origin, format!("statfs {path:?}"), errno))?;
    if status.f_type == rustix::fs::PROC_SUPER_MAGIC {
        return Ok(tree);
    }
    let reason = format!("{path:?} cannot be mounted on /proc: it is not a procfs");
    Err(Error::Unsupported { field: format!("{origin}"), reason, hint: None })
}

/// Clones a device node of the host, proven to be the device that was asked for.
fn open_device(origin: Origin, path: &str, number: (u32, u32)) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let device = rustix::fs::openat(CWD, path, flags, Mode::empty())
        .map_err(|errno| failed(origin, format!("open the host's {path:?}"), errno))?;
    let status =
        rustix::fs::fstat(&device).map_err(|errno| failed(origin, format!("stat {path:?}"), errno))?;
    let kind = FileType::from_raw_mode(status.st_mode);
    let is_device = matches!(kind, FileType::CharacterDevice | FileType::BlockDevice);
    if !is_device || status.st_rdev != rustix::fs::makedev(number.0, number.1) {
        let (major, minor) = number;
        let reason = format!("the host's {path:?} is not the device {major}:{minor}");
        return Err(Error::Unsupported { field: format!("{origin}"), reason, hint: None });
    }
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    rustix::mount::open_tree(&device, c"", flags)
        .map_err(|errno| failed(origin, format!("open_tree {path:?}"), errno))
}

fn failed(origin: Origin, action: String, errno: Errno) -> Error {
    let missing_root = origin == Origin::Field("root.path") && errno == Errno::NOENT;
    let hint = missing_root.then(|| "root.path is relative to the bundle's directory".into());
    Error::System { action: format!("{origin}: {action}"), errno, hint }
}
