//! Private namespaces for the mounts, so that the host's mount table never changes.

use crate::{Error, Result};
use masu_sys::namespace::ns_get_userns;
use masu_sys::process::{CloneFlags, unshare};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, mount_change};
use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

/// Enters a mount namespace of its own and, without CAP_SYS_ADMIN, a user namespace in which the caller is
/// root and nobody else exists.
///
/// # Errors
///
/// [`Error::Namespace`] when the kernel refuses; `EINVAL` when the process has more than one thread.
pub(crate) fn enter() -> Result<()> {
    match enter_private_mounts() {
        Err(Error::Namespace { errno: Errno::PERM, .. }) => {
            let both = CloneFlags::NEWUSER | CloneFlags::NEWNS;
            enter_alone("unshare(CLONE_NEWUSER|CLONE_NEWNS)", both)?;
            make_mounts_private()
        }
        other => other,
    }
}

/// Enters a mount namespace of its own, from which nothing gets out. It takes CAP_SYS_ADMIN.
///
/// # Errors
///
/// [`Error::Namespace`] when the kernel refuses.
pub fn enter_private_mounts() -> Result<()> {
    unshare(CloneFlags::NEWNS).map_err(|errno| Error::Namespace { call: "unshare(CLONE_NEWNS)", errno })?;
    make_mounts_private()
}

fn make_mounts_private() -> Result<()> {
    let root = Path::new("/");
    mount_change(root, MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(Error::mount("private", root))
}

/// Enters these namespaces, a user namespace among them, with the caller's own uid and gid mapped to 0 and nothing else:
/// the one map that needs no privilege and no `newuidmap`. `setgroups` has to be denied before the gid map is written
/// (user_namespaces(7)).
///
/// # Errors
///
/// [`Error::Namespace`] when the kernel refuses; `EINVAL` when the process has more than one thread.
pub(crate) fn enter_alone(call: &'static str, namespaces: CloneFlags) -> Result<()> {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    unshare(namespaces).map_err(|errno| Error::Namespace { call, errno })?;
    let maps = [
        ("/proc/self/setgroups", "deny".to_owned()),
        ("/proc/self/uid_map", format!("0 {uid} 1")),
        ("/proc/self/gid_map", format!("0 {gid} 1")),
    ];
    for (file, text) in maps {
        std::fs::write(file, text).map_err(Error::file("write", Path::new(file)))?;
    }
    Ok(())
}

/// Whether every id is mapped to itself, as in the initial user namespace. Anywhere else the `trusted.*`
/// extended attributes of overlayfs are out of reach.
pub(crate) fn is_initial_user_namespace() -> Result<bool> {
    Ok(maps_everything(&read_map("uid_map")?))
}

/// Whether there is but one user in the caller's user namespace.
pub(crate) fn maps_one_id() -> Result<bool> {
    let map = read_map("uid_map")?;
    Ok(map.lines().count() == 1 && map.split_whitespace().nth(2) == Some("1"))
}

/// Whether the mounts that the caller sees belong to its own user namespace or one below: otherwise it can do nothing to
/// them, whatever it may do in there.
pub(crate) fn owns_mounts() -> bool {
    File::open("/proc/self/ns/mnt").is_ok_and(|mounts| ns_get_userns(mounts.as_fd()).is_ok())
}

/// `uid_map` or `gid_map` of the caller's user namespace.
pub(crate) fn read_map(name: &str) -> Result<String> {
    let file = Path::new("/proc/self").join(name);
    std::fs::read_to_string(&file).map_err(Error::file("read", &file))
}

fn maps_everything(map: &str) -> bool {
    map.split_whitespace().eq(["0", "0", "4294967295"])
}

#[cfg(test)]
mod tests {
    use super::maps_everything;

    #[test]
    fn only_the_full_identity_map_is_the_initial_namespace() {
        assert!(maps_everything("         0          0 4294967295\n"));
        assert!(!maps_everything("         0       1000          1\n"));
        assert!(!maps_everything("0 0 65536\n"));
    }
}
