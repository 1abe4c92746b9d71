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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{CgroupRecord, Driver, MemberRecord};

    fn cgroup() -> Cgroup {
        let member = |controllers: &[&str], name: &str, version_2| MemberRecord {
            controllers: controllers.iter().map(|name| String::from(*name)).collect(),
            mount_point: format!("/sys/fs/cgroup/{name}"),
            path: "/box".into(),
            version_2,
            noprefix: false,
            made: 1,
        };
        Cgroup::open(&CgroupRecord {
            driver: Driver::Cgroupfs,
            lenient: false,
            denied: Vec::new(),
            members: vec![
                member(&["cpu", "cpuacct"], "cpu,cpuacct", false),
                member(&["name=systemd"], "systemd", false),
                member(&[], "unified", true),
            ],
        })
    }

    #[test]
    fn a_cgroup_namespace_gets_new_mounts_and_links_for_co_mounted_names() {
        let listed = container_mounts(&cgroup(), true);
        let new = |name: &str, fstype, data: &str| ControllerMount::New {
            name: name.into(),
            fstype,
            data: data.into(),
        };
        assert_eq!(
            listed.mounts,
            [
                new("cpu,cpuacct", "cgroup", "cpu,cpuacct"),
                new("systemd", "cgroup", "name=systemd"),
                new("unified", "cgroup2", ""),
            ]
        );
        let link = |name: &str| (String::from(name), String::from("cpu,cpuacct"));
        assert_eq!(listed.symlinks, [link("cpu"), link("cpuacct")]);
        assert_eq!(listed.tmpfs_data, "mode=755");
    }

    #[test]
    fn without_one_the_own_cgroups_are_bound() {
        let listed = container_mounts(&cgroup(), false);
        let bind = |name: &str| ControllerMount::Bind {
            name: name.into(),
            mount_point: format!("/sys/fs/cgroup/{name}"),
            path: "/box".into(),
        };
        assert_eq!(listed.mounts, [bind("cpu,cpuacct"), bind("systemd"), bind("unified")]);
    }
}
