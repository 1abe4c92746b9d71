//! What the machine is: read once, and only what every container needs to know.

use alloc::{format, string::String};
use core::cell::OnceCell;

use masu_cgroup::Layout;
use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{CWD, Mode, OFlags, PROC_SUPER_MAGIC},
    io::Errno,
};

use crate::{
    error::{Doing, Error, Result},
    files,
};

/// The oldest kernel that masu runs on.
const KERNEL_FLOOR: (u32, u32) = (5, 14);

/// Numbers of capabilities(7).
const CAP_SETGID: u32 = 6;
const CAP_SETUID: u32 = 7;
pub(crate) const CAP_SYS_ADMIN: u32 = 21;

/// Facts about the machine and about what the engine may do on it.
#[derive(Debug, Clone)]
pub struct Host {
    /// What the engine may do: one bit for each capability in its permitted set.
    pub capabilities: u64,
    /// Effective user of the engine.
    pub uid: u32,
    /// Effective group of the engine.
    pub gid: u32,
    /// Whether the engine's user namespace is not the first one.
    pub in_user_namespace: bool,
    /// Whether the engine's user namespace forbids setgroups(2), as one that an ordinary user made does. Those below
    /// it inherit that, user_namespaces(7).
    pub setgroups_denied: bool,
    /// Whether the mounts that the engine sees belong to a user namespace above its own, as after `unshare --user`
    /// without `--mount`: it can see them, and neither clone nor change them.
    pub foreign_mounts: bool,
    /// Where the control groups are, once somebody has asked.
    pub cgroups: OnceCell<Layout>,
}

impl Host {
    /// Reads the facts. `proc` is the host's procfs, from [`open_proc`].
    ///
    /// # Errors
    /// When the kernel is older than the floor, or procfs cannot be read.
    pub fn probe(proc: &OwnedFd) -> Result<Self> {
        check_kernel(rustix::system::uname().release().to_str().unwrap_or_default())?;
        let capabilities = rustix::thread::capabilities(None).doing(|| "capget".into())?;
        let uid_map =
            files::read_below(proc.as_fd(), c"self/uid_map").doing(|| "read /proc/self/uid_map".into())?;
        let in_user_namespace = !is_initial(&uid_map);
        Ok(Self {
            capabilities: capabilities.permitted.bits(),
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            in_user_namespace,
            setgroups_denied: in_user_namespace && reads_deny(proc)?,
            foreign_mounts: in_user_namespace && sees_foreign_mounts(proc)?,
            cgroups: OnceCell::new(),
        })
    }

    /// Where the control groups are: looked up when it is first asked for, since `exec` mostly knows them from the
    /// container's state.
    ///
    /// # Errors
    /// Those of [`Layout::probe`].
    pub fn layout(&self) -> Result<&Layout> {
        if let Some(layout) = self.cgroups.get() {
            return Ok(layout);
        }
        let layout = Layout::probe()?;
        Ok(self.cgroups.get_or_init(|| layout))
    }

    /// Whether the engine may map any user of its own user namespace.
    #[must_use]
    pub fn may_set_users(&self) -> bool {
        self.capabilities >> CAP_SETUID & 1 == 1
    }

    /// Whether the engine may map any group of its own user namespace.
    #[must_use]
    pub fn may_map_groups(&self) -> bool {
        self.capabilities >> CAP_SETGID & 1 == 1
    }

    /// Whether the engine may map any group, and leave setgroups(2) to the container.
    #[must_use]
    pub fn may_set_groups(&self) -> bool {
        self.may_map_groups() && !self.setgroups_denied
    }

    /// Whether the engine may make mounts and join namespaces without a user namespace of its own.
    #[must_use]
    pub fn is_privileged(&self) -> bool {
        self.capabilities >> CAP_SYS_ADMIN & 1 == 1
    }
}

impl Host {
    /// Whether the engine may clone the host's mounts by itself; else init does, in the container's mount namespace.
    #[must_use]
    pub fn may_clone_mounts(&self) -> bool {
        self.is_privileged() && !self.foreign_mounts
    }
}

/// Opens the host's `/proc`, and proves that it is a procfs: everything that is written below it depends on it.
///
/// # Errors
/// When there is none.
pub fn open_proc() -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let proc = rustix::fs::openat(CWD, c"/proc", flags, Mode::empty()).doing(|| "open /proc".into())?;
    let status = rustix::fs::fstatfs(&proc).doing(|| "statfs /proc".into())?;
    if status.f_type == PROC_SUPER_MAGIC {
        return Ok(proc);
    }
    Err(Error::Unsupported {
        field: "/proc".into(),
        reason: "is not a procfs".into(),
        hint: Some("mount -t proc proc /proc".into()),
    })
}

/// Refuses a kernel that lacks what every container needs.
fn check_kernel(release: &str) -> Result<()> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version >= KERNEL_FLOOR {
        return Ok(());
    }
    let (major, minor) = KERNEL_FLOOR;
    Err(Error::Unsupported {
        field: "kernel".into(),
        reason: format!("Linux {release} is older than {major}.{minor}, the oldest that masu runs on"),
        hint: Some("a newer kernel, or another runtime".into()),
    })
}

fn sees_foreign_mounts(proc: &OwnedFd) -> Result<bool> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let mounts = rustix::fs::openat(proc, c"self/ns/mnt", flags, Mode::empty());
    let mounts = mounts.doing(|| "open /proc/self/ns/mnt".into())?;
    match masu_sys::namespace::ns_get_userns(mounts.as_fd()) {
        Ok(_) => Ok(false),
        // Its owner is outside of our own user namespace.
        Err(Errno::PERM) => Ok(true),
        Err(errno) => Err(errno).doing(|| "ioctl NS_GET_USERNS on /proc/self/ns/mnt".into()),
    }
}

fn reads_deny(proc: &OwnedFd) -> Result<bool> {
    let setgroups =
        files::read_below(proc.as_fd(), c"self/setgroups").doing(|| "read /proc/self/setgroups".into())?;
    Ok(setgroups.trim_ascii() == "deny")
}

/// The first user namespace maps all ids to themselves, user_namespaces(7).
fn is_initial(uid_map: &str) -> bool {
    uid_map.split_ascii_whitespace().eq(["0", "0", "4294967295"])
}

/// What this host could not do for an unprivileged engine.
pub(crate) fn needs_privilege(what: &str) -> (String, Option<String>) {
    (
        format!("{what} needs root, or a user namespace in linux.namespaces"),
        Some("run masu as root, or add a namespace of type user with its id mappings".into()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_below_the_floor_is_named() {
        for release in ["5.14.0", "6.18.44-fc", "5.15.0-91-generic", "10.0"] {
            assert!(check_kernel(release).is_ok(), "{release}");
        }
        for release in ["5.13.19", "4.19.0-amd64", "5", ""] {
            let error = check_kernel(release).expect_err("too old");
            let text = format!("kernel: Linux {release} is older than 5.14, the oldest that masu runs on");
            assert_eq!(format!("{error}"), text);
        }
    }

    #[test]
    fn the_first_user_namespace_is_told_from_others() {
        assert!(is_initial("         0          0 4294967295\n"));
        assert!(!is_initial("         0       1000          1\n"));
        assert!(!is_initial("0 0 1000\n1000 1000 4294966295\n"));
    }
}
