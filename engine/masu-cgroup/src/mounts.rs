//! What a container sees for a mount of type `cgroup`: with version 1 hierarchies a tmpfs with one directory
//! a hierarchy, as the host has them, and with version 2 alone one mount. Told as data; whoever assembles the root file
//! system carries it out.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::cgroup::Cgroup;
use crate::layout::Layout;

/// The mounts below the destination, in order, and the links.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContainerMounts {
    /// The data of the tmpfs on the destination itself, to be mounted with nosuid, nodev and noexec first.
    pub tmpfs_data: &'static str,
    /// One directory each, in the order of /proc/self/cgroup, the unified hierarchy last.
    pub mounts: Vec<ControllerMount>,
    /// (name, target): `cpu` and `cpuacct` point to `cpu,cpuacct`.
    pub symlinks: Vec<(String, String)>,
    /// The unified hierarchy on the destination itself: a mount of type `cgroup2`, and on a host with version 2 alone
    /// one of type `cgroup`, which has nothing below.
    pub unified: Option<ControllerMount>,
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
    /// Without one: a bind mount. Of a version 1 hierarchy it shows the container's own cgroup, which keeps it from
    /// seeing others'; of the unified one on the destination itself all of the host's, since that is what the paths in
    /// /proc/self/cgroup are relative to, and what runc and crun show. Never a new mount: the options of cgroup2
    /// are the same for every mount of a cgroup namespace, so that a new one would change the host's
    /// (runc issue 5258). To be made from a descriptor that the engine opens: below `mount_point`, at `path`.
    Bind {
        /// The directory's name.
        name: String,
        /// The hierarchy's mount point on the host.
        mount_point: String,
        /// What is bound, below it, starting with `/`.
        path: String,
    },
}

/// Lists them for a container with this cgroup. The mount's own flags (`ro` in nearly every config) go on each of
/// them; without a cgroup namespace read-only is no matter of taste: a writable bind of the host's hierarchy
/// lets the container change its own limits and device rules.
pub fn container_mounts(cgroup: &Cgroup, layout: &Layout, cgroup_namespace: bool) -> ContainerMounts {
    let unified = layout.unified().map(|unified| match cgroup_namespace {
        true => ControllerMount::New { name: String::new(), fstype: "cgroup2", data: String::new() },
        false => ControllerMount::Bind {
            name: String::new(),
            mount_point: unified.mount_point.clone(),
            path: "/".into(),
        },
    });
    let mut listed = ContainerMounts { tmpfs_data: "mode=755", unified, ..ContainerMounts::default() };
    for member in cgroup.members.iter().filter(|member| !member.alone) {
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
    listed.add_callers(cgroup, layout);
    listed
}

impl ContainerMounts {
    /// Hierarchies in which no cgroup could be made for the container, as for an ordinary user: it is in its caller's, and
    /// sees that one. Bound even with a cgroup namespace, since binds are read-only: the caller's limits are not
    /// the container's to change.
    fn add_callers(&mut self, cgroup: &Cgroup, layout: &Layout) {
        for hierarchy in layout.v1() {
            let is_member = cgroup.members.iter().any(|member| member.mount_point == hierarchy.mount_point);
            let Some(path) = hierarchy.own_below_mount().filter(|_| !is_member) else { continue };
            let name = hierarchy.name().to_string();
            if name.contains(',') {
                self.symlinks.extend(name.split(',').map(|part| (part.to_string(), name.clone())));
            }
            let (mount_point, path) = (hierarchy.mount_point.clone(), path.to_string());
            self.mounts.push(ControllerMount::Bind { name, mount_point, path });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Hierarchy;
    use crate::record::{CgroupRecord, Driver, MemberRecord};

    fn cgroup() -> Cgroup {
        let member = |controllers: &[&str], name: &str, version_2| MemberRecord {
            controllers: controllers.iter().map(|name| String::from(*name)).collect(),
            mount_point: format!("/sys/fs/cgroup/{name}"),
            path: "/box".into(),
            version_2,
            alone: false,
            noprefix: false,
            made: 1,
        };
        Cgroup::open(&CgroupRecord {
            driver: Driver::Cgroupfs,
            unit: None,
            lenient: false,
            denied: Vec::new(),
            delegated: None,
            members: vec![
                member(&["cpu", "cpuacct"], "cpu,cpuacct", false),
                member(&["name=systemd"], "systemd", false),
                member(&[], "unified", true),
            ],
        })
    }

    fn hybrid() -> Layout {
        let mount_point = String::from("/sys/fs/cgroup/unified");
        let unified = Hierarchy { mount_point, ..Hierarchy::default() };
        Layout::Hybrid { hierarchies: Vec::new(), unified }
    }

    #[test]
    fn version_2_is_one_mount_with_a_cgroup_namespace_and_a_bind_of_the_hosts_without() {
        let record = CgroupRecord {
            members: vec![MemberRecord {
                mount_point: "/sys/fs/cgroup".into(),
                path: "/box".into(),
                version_2: true,
                alone: true,
                ..MemberRecord::default()
            }],
            ..CgroupRecord::default()
        };
        let unified = Hierarchy { mount_point: "/sys/fs/cgroup".into(), ..Hierarchy::default() };
        let (cgroup, layout) = (Cgroup::open(&record), Layout::Unified { unified });
        let new = ControllerMount::New { name: String::new(), fstype: "cgroup2", data: String::new() };
        let bind = ControllerMount::Bind {
            name: String::new(),
            mount_point: "/sys/fs/cgroup".into(),
            path: "/".into(),
        };
        for (namespace, expected) in [(true, new), (false, bind)] {
            let listed = container_mounts(&cgroup, &layout, namespace);
            assert_eq!((listed.mounts, listed.unified), (Vec::new(), Some(expected)));
        }
    }

    #[test]
    fn where_the_container_has_no_cgroup_its_callers_is_bound() {
        let hierarchy = |name: &str| Hierarchy {
            mount_point: format!("/sys/fs/cgroup/{name}"),
            root: "/".into(),
            own: "/caller".into(),
            ..Hierarchy::default()
        };
        let layout = Layout::V1 { hierarchies: vec![hierarchy("cpu,cpuacct"), hierarchy("memory")] };
        let bind = |name: &str| ControllerMount::Bind {
            name: name.into(),
            mount_point: format!("/sys/fs/cgroup/{name}"),
            path: "/caller".into(),
        };
        for cgroup_namespace in [false, true] {
            let listed = container_mounts(&Cgroup::open(&CgroupRecord::default()), &layout, cgroup_namespace);
            assert_eq!(listed.mounts, [bind("cpu,cpuacct"), bind("memory")]);
            assert_eq!(listed.symlinks.len(), 2);
            let listed = container_mounts(&cgroup(), &layout, cgroup_namespace);
            assert_eq!(listed.mounts.last(), Some(&bind("memory")));
            assert_eq!(listed.mounts.len(), 4);
        }
    }

    #[test]
    fn a_cgroup_namespace_gets_new_mounts_and_links_for_co_mounted_names() {
        let listed = container_mounts(&cgroup(), &hybrid(), true);
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
        let listed = container_mounts(&cgroup(), &hybrid(), false);
        let bind = |name: &str| ControllerMount::Bind {
            name: name.into(),
            mount_point: format!("/sys/fs/cgroup/{name}"),
            path: "/box".into(),
        };
        assert_eq!(listed.mounts, [bind("cpu,cpuacct"), bind("systemd"), bind("unified")]);
    }
}
