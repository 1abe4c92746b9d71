//! What a container sees for a mount of type `cgroup` on a host with version 1 hierarchies: a tmpfs with one
//! directory a hierarchy, as the host has them. Told as data; whoever assembles the root file system carries it out.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::cgroup::Cgroup;

/// The mounts below the destination, in order, and the links.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContainerMounts {
    /// The data of the tmpfs on the destination itself, to be mounted with nosuid, nodev and noexec first.
    pub tmpfs_data: &'static str,
    /// One directory each, in the order of /proc/self/cgroup, the unified hierarchy last.
    pub mounts: Vec<ControllerMount>,
    /// (name, target): `cpu` and `cpuacct` point to `cpu,cpuacct`.
    pub symlinks: Vec<(String, String)>,
}

/// One hierarchy in the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControllerMount {
    /// With a cgroup namespace: a new mount, which shows the container's cgroup as its root. To be mounted by a
    /// process that is in the namespace already.
    New {
        /// The directory's name.
        name: String,
        /// `cgroup` or `cgroup2`.
        fstype: &'static str,
        /// The mount data: `cpu,cpuacct`, `name=systemd`; empty for the unified hierarchy.
        data: String,
    },
    /// Without one: a bind mount of the container's own cgroup, which keeps it from seeing others'. To be made
    /// from a descriptor that the engine opens: below `mount_point`, at `path`.
    Bind {
        /// The directory's name.
        name: String,
        /// The hierarchy's mount point on the host.
        mount_point: String,
        /// The container's cgroup below it, starting with `/`.
        path: String,
    },
}

/// Lists them for a container with this cgroup. The mount's own flags (`ro` in nearly every config) go on each of
/// them; without a cgroup namespace read-only is no matter of taste: a writable bind of the host's hierarchy
/// lets the container change its own limits and device rules.
pub fn container_mounts(cgroup: &Cgroup, cgroup_namespace: bool) -> ContainerMounts {
    let mut listed = ContainerMounts { tmpfs_data: "mode=755", ..ContainerMounts::default() };
    for member in &cgroup.members {
        let name = member.name().to_string();
        if name.contains(',') {
            listed.symlinks.extend(name.split(',').map(|part| (part.to_string(), name.clone())));
        }
        listed.mounts.push(match cgroup_namespace {
            true => ControllerMount::New {
                name,
                fstype: if member.version_2 { "cgroup2" } else { "cgroup" },
                data: if member.version_2 { String::new() } else { member.controllers.join(",") },
            },
            false => ControllerMount::Bind {
                name,
                mount_point: member.mount_point.clone(),
                path: member.path.clone(),
            },
        });
    }
    listed
}
