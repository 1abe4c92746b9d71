//! Mount namespaces of the benchmark's own: what is mounted in one goes with it.

use anyhow::{Context, Result};
use masu_sys::process::{CloneFlags, unshare};
use rustix::mount::{
    MountFlags, MountPropagationFlags, mount, mount_bind_recursive, mount_change, mount_move,
};
use std::path::{Path, PathBuf};

const CGROUP: &str = "/sys/fs/cgroup";

/// Enters one, for good.
pub(super) fn enter_private() -> Result<()> {
    unshare(CloneFlags::NEWNS).context("unshare(CLONE_NEWNS)")?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).context("make / private")
}

/// Enters one in which `/sys/fs/cgroup` has the v1 hierarchies alone. On a machine with cgroup v2 alone there is nothing to
/// hide.
pub(super) fn enter_v1_only() -> Result<()> {
    enter_private()?;
    let file = "/proc/self/mountinfo";
    let mountinfo = std::fs::read_to_string(file).with_context(|| format!("read {file}"))?;
    let hierarchies: Vec<_> = mountinfo.lines().filter_map(parse_v1_hierarchy).collect();
    if hierarchies.is_empty() {
        return Ok(());
    }
    // Made elsewhere and moved over the old one: nothing has to be unmounted, which locked mounts may refuse.
    let place = Path::new("/tmp");
    mount("cgroup_root", place, "tmpfs", MountFlags::empty(), c"size=1m,mode=755")
        .context("mount tmpfs on /tmp")?;
    for hierarchy in hierarchies {
        let name = hierarchy.file_name().context("a hierarchy has a name")?;
        let target = place.join(name);
        std::fs::create_dir(&target).with_context(|| format!("create {}", target.display()))?;
        mount_bind_recursive(&hierarchy, &target).with_context(|| format!("bind {}", hierarchy.display()))?;
    }
    mount_move(place, CGROUP).with_context(|| format!("move the hierarchies to {CGROUP}"))
}

/// The mount point of a v1 hierarchy that lies directly in `/sys/fs/cgroup`, from a line of
/// proc_pid_mountinfo(5).
fn parse_v1_hierarchy(line: &str) -> Option<PathBuf> {
    let (left, right) = line.split_once(" - ")?;
    let point = Path::new(left.split(' ').nth(4)?);
    (right.starts_with("cgroup ") && point.parent() == Some(Path::new(CGROUP))).then(|| point.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_v1_hierarchies_in_their_usual_place_are_kept() {
        let cases = [
            ("30 24 0:26 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids", Some("/sys/fs/cgroup/pids")),
            ("31 24 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw", None),
            ("32 24 0:28 / /srv/pids rw - cgroup cgroup rw,pids", None),
            ("33 24 0:29 / /sys/fs/cgroup rw - tmpfs tmpfs rw", None),
        ];
        for (line, point) in cases {
            assert_eq!(parse_v1_hierarchy(line).as_deref(), point.map(Path::new), "{line}");
        }
    }
}
