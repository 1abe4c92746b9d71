//! What the machine offers: which hierarchies are mounted, where, with which controllers, and where this
//! process is in them. The parsing is pure; [`Layout::probe`] alone looks at the machine.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use masu_sys::mount::{MountBuffer, MountFacts, listmount, statmount};
use rustix::fs::{AtFlags, CWD, StatxFlags};

use crate::dir::{CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, read_path};
use crate::error::{Error, Result};

/// Where the hierarchies are mounted, as every distribution does it.
const USUAL: &str = "/sys/fs/cgroup";

/// One mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hierarchy {
    /// Where it is mounted.
    pub mount_point: String,
    /// Which cgroup of the hierarchy the mount shows as its root: `/` but for containers without a cgroup
    /// namespace, which see a bind mount of their own cgroup.
    pub root: String,
    /// The controllers in the kernel's order, such as `cpu`, `cpuacct`; a named hierarchy has the one
    /// entry `name=systemd`. For the unified hierarchy, those of `cgroup.controllers`.
    pub controllers: Vec<String>,
    /// This process's cgroup in the hierarchy as /proc/self/cgroup says it, relative to the cgroup namespace.
    pub own: String,
    /// Mounted with `noprefix`, so that the files of cpuset lack their prefix (Android does that).
    pub noprefix: bool,
}

impl Hierarchy {
    /// Does the hierarchy carry this controller?
    pub fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|name| name == controller)
    }

    /// The name people know it by, the last part of the mount point: `cpu,cpuacct`, `systemd`.
    pub fn name(&self) -> &str {
        self.mount_point.rsplit('/').next().unwrap_or_default()
    }

    /// This process's cgroup as a path below the mount point, or None when the mount does not show it: then
    /// the process is outside of its cgroup namespace's root, or of the bind mount that it sees.
    pub fn own_below_mount(&self) -> Option<&str> {
        if self.own.starts_with("/..") {
            return None;
        }
        match self.root.as_str() {
            "/" => Some(&self.own),
            root => match self.own.strip_prefix(root)? {
                "" => Some("/"),
                below => below.starts_with('/').then_some(below),
            },
        }
    }
}

/// How control groups are mounted here (cgroups(7), "Cgroups version 1" and "version 2").
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Layout {
    /// No cgroup file system is mounted.
    None,
    /// Version 1 hierarchies alone.
    V1 {
        /// In the order of /proc/self/cgroup.
        hierarchies: Vec<Hierarchy>,
    },
    /// Version 1 hierarchies, and the unified one beside them. Its `controllers` are often none (systemd
    /// keeps its own bookkeeping there), but may be what no version 1 hierarchy has, such as hugetlb.
    Hybrid {
        /// In the order of /proc/self/cgroup.
        hierarchies: Vec<Hierarchy>,
        /// The unified hierarchy.
        unified: Hierarchy,
    },
    /// The unified hierarchy alone.
    Unified {
        /// The unified hierarchy.
        unified: Hierarchy,
    },
}

impl Layout {
    /// Asks for the mounts, by statmount(2) or /proc/self/mountinfo, and reads /proc/self/cgroup and the unified
    /// hierarchy's list of controllers.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when procfs cannot be read, [`Error::Malformed`] when it is not as proc(5) describes.
    pub fn probe() -> Result<Self> {
        let memberships = parse_membership(&read_path("/proc/self/cgroup")?)?;
        // Nearly every machine has all hierarchies in the usual place; then nobody needs to know of its other mounts.
        let usual = usual_mount().and_then(|top| ask_mounts(Some(top)));
        let has_all = |mounts: &Vec<CgroupMount>| {
            memberships.iter().all(|membership| membership.find(mounts).is_some())
        };
        let mounts = match usual.filter(has_all).or_else(|| ask_mounts(None)) {
            Some(mounts) => mounts,
            None => parse_mountinfo(&read_path("/proc/self/mountinfo")?)?,
        };
        let mut layout = Self::join(&mounts, memberships);
        if let Self::Hybrid { unified, .. } | Self::Unified { unified } = &mut layout {
            let text = read_path(&alloc::format!("{}/cgroup.controllers", unified.mount_point))?;
            unified.controllers = text.split_whitespace().map(String::from).collect();
        }
        Ok(layout)
    }

    /// Joins the two texts. The unified hierarchy's controllers, which neither of them tells, stay empty.
    ///
    /// # Errors
    ///
    /// [`Error::Malformed`].
    pub fn parse(mountinfo: &str, own: &str) -> Result<Self> {
        Ok(Self::join(&parse_mountinfo(mountinfo)?, parse_membership(own)?))
    }

    fn join(mounts: &[CgroupMount], memberships: Vec<Membership>) -> Self {
        let mut hierarchies = Vec::new();
        let mut unified = None;
        for membership in memberships {
            let Some(mount) = membership.find(mounts) else {
                continue; // known to the kernel, not mounted in this mount namespace
            };
            let hierarchy = Hierarchy {
                mount_point: mount.mount_point.clone(),
                root: mount.root.clone(),
                controllers: membership.controllers,
                own: membership.path,
                noprefix: mount.options.iter().any(|option| option == "noprefix"),
            };
            if mount.version_2 { unified = Some(hierarchy) } else { hierarchies.push(hierarchy) }
        }
        match (hierarchies.is_empty(), unified) {
            (true, None) => Self::None,
            (true, Some(unified)) => Self::Unified { unified },
            // runc's rule: when /sys/fs/cgroup itself is cgroup2, version 1 hierarchies elsewhere
            // (elogind's, net_cls for some VPN) are not the runtime's business.
            (false, Some(unified)) if unified.mount_point == USUAL => Self::Unified { unified },
            (false, Some(unified)) => Self::Hybrid { hierarchies, unified },
            (false, None) => Self::V1 { hierarchies },
        }
    }

    /// The version 1 hierarchies; none on a version 2 host.
    pub fn v1(&self) -> &[Hierarchy] {
        match self {
            Self::V1 { hierarchies } | Self::Hybrid { hierarchies, .. } => hierarchies,
            Self::None | Self::Unified { .. } => &[],
        }
    }

    /// The unified hierarchy, where there is one.
    pub fn unified(&self) -> Option<&Hierarchy> {
        match self {
            Self::Hybrid { unified, .. } | Self::Unified { unified } => Some(unified),
            Self::None | Self::V1 { .. } => None,
        }
    }
}

/// A line of mountinfo with the type cgroup or cgroup2.
#[derive(Debug, PartialEq, Eq)]
struct CgroupMount {
    root: String,
    mount_point: String,
    version_2: bool,
    options: Vec<String>,
}

/// Where a mount hangs in the tree.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    id: u64,
    parent: u64,
    point: &'a str,
}

/// The mount that the usual place of the hierarchies is in, which nothing covers, since a path led there.
///
/// KERNEL(6.8): before, statx(2) gives no ids that statmount(2) knows.
fn usual_mount() -> Option<u64> {
    // STATX_MNT_ID_UNIQUE of linux/stat.h, which rustix has no name for.
    let unique = StatxFlags::from_bits_retain(0x4000);
    let status = rustix::fs::statx(CWD, USUAL, AtFlags::empty(), unique).ok()?;
    (status.stx_mask & unique.bits() != 0).then_some(status.stx_mnt_id)
}

/// What [`parse_mountinfo`] finds, or what of it is `top` or below, without the kernel writing a line for every mount there
/// is, of which a machine with many containers has thousands. `None` where the kernel does not tell, or not all.
///
/// KERNEL(6.11): before, statmount(2) has no options.
fn ask_mounts(top: Option<u64>) -> Option<Vec<CgroupMount>> {
    let wanted = MountFacts::SB_BASIC | MountFacts::MNT_BASIC | MountFacts::MNT_POINT;
    let (mut points, mut all, mut cgroups) = (String::new(), Vec::new(), Vec::new());
    let mut buffer: MountBuffer = [0; 1088];
    let (mut ids, mut after) = ([0; 256], 0);
    // The list has what is below a mount, and not the mount.
    let mut itself = top;
    loop {
        let count = listmount(top, after, &mut ids).ok()?;
        for id in itself.take().into_iter().chain(ids.iter().take(count).copied()) {
            let status = statmount(id, wanted, &mut buffer).ok().filter(|status| status.facts == wanted)?;
            let point = status.point.to_str().ok()?;
            points.push_str(point);
            all.push((id, status.parent, point.len()));
            match status.magic {
                CGROUP_SUPER_MAGIC => cgroups.push((id, false)),
                CGROUP2_SUPER_MAGIC => cgroups.push((id, true)),
                _ => {}
            }
        }
        if count < ids.len() {
            break;
        }
        after = ids.last().copied()?;
    }
    let mut rest = points.as_str();
    let mut places = Vec::with_capacity(all.len());
    for (id, parent, length) in all {
        let (point, others) = rest.split_at_checked(length)?;
        places.push(Place { id, parent, point });
        rest = others;
    }
    let mut mounts = Vec::new();
    for (id, version_2) in cgroups {
        let place = places.iter().find(|place| place.id == id)?;
        // Outside of our root it has no place.
        if !place.point.starts_with('/') || is_covered(*place, &places) {
            continue;
        }
        let wanted = MountFacts::MNT_ROOT | MountFacts::MNT_OPTS;
        let status = statmount(id, wanted, &mut buffer).ok()?;
        // Where there are no options, the kernel does not say so before 6.13.
        if !status.facts.contains(MountFacts::MNT_ROOT) || (!version_2 && status.options.is_empty()) {
            return None;
        }
        mounts.push(CgroupMount {
            root: status.root.to_str().ok()?.into(),
            mount_point: place.point.into(),
            version_2,
            options: status.options.to_str().ok()?.split(',').map(String::from).collect(),
        });
    }
    Some(mounts)
}

/// proc_pid_mountinfo(5), without the mounts that a path does not lead to because others lie on top.
fn parse_mountinfo(text: &str) -> Result<Vec<CgroupMount>> {
    let mut places = Vec::new();
    let mut found = Vec::new();
    for line in text.lines() {
        let malformed = || Error::Malformed("/proc/self/mountinfo".into(), line.into());
        let (fields, tail) = line.split_once(" - ").ok_or_else(malformed)?;
        let mut fields = fields.split(' ');
        let mut number = || fields.next().and_then(|field| field.parse().ok()).ok_or_else(malformed);
        let (id, parent) = (number()?, number()?);
        let (Some(_), Some(root), Some(point)) = (fields.next(), fields.next(), fields.next()) else {
            return Err(malformed());
        };
        let place = Place { id, parent, point };
        places.push(place);
        let mut tail = tail.split(' ');
        let version_2 = match tail.next() {
            Some("cgroup") => false,
            Some("cgroup2") => true,
            _ => continue,
        };
        let options = tail.nth(1).ok_or_else(malformed)?;
        let mount = CgroupMount {
            root: unescape(root),
            mount_point: unescape(point),
            version_2,
            options: options.split(',').map(String::from).collect(),
        };
        found.push((place, mount));
    }
    found.retain(|(place, _)| !is_covered(*place, &places));
    Ok(found.into_iter().map(|(_, mount)| mount).collect())
}

/// Whether a path to the mount ends in another one, which lies on top of it or on a directory above.
fn is_covered(mount: Place<'_>, places: &[Place<'_>]) -> bool {
    let mut below = mount;
    // On the mount itself only its root counts: what is mounted deeper hides nothing of it.
    let mut covered = places.iter().any(|other| other.parent == mount.id && other.point == mount.point);
    // Each mount on the way hangs in its parent; something else in that parent hides it when a path meets it
    // first. The bound is that of the list: the topmost mount is its own parent in some namespaces.
    for _ in 0..places.len() {
        let position = places.iter().position(|place| place.id == below.id);
        covered |= places.iter().enumerate().any(|(index, other)| {
            let sibling = other.parent == below.parent && other.id != below.id && other.id != below.parent;
            let later = other.point != below.point || Some(index) > position;
            sibling && later && leads_through(other.point, below.point)
        });
        let above = places.iter().find(|place| place.id == below.parent && place.id != below.id);
        let Some(above) = above else { break };
        below = *above;
    }
    covered
}

/// Whether the path `point` is `directory` or lies below it.
fn leads_through(directory: &str, point: &str) -> bool {
    let rest = point.strip_prefix(directory.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A line of /proc/pid/cgroup; no controllers means the unified hierarchy.
#[derive(Debug, PartialEq, Eq)]
struct Membership {
    controllers: Vec<String>,
    path: String,
}

impl Membership {
    /// The mount of the hierarchy.
    fn find<'a>(&self, mounts: &'a [CgroupMount]) -> Option<&'a CgroupMount> {
        let shows = |mount: &&CgroupMount| {
            mount.version_2 == self.controllers.is_empty()
                && self.controllers.iter().all(|name| mount.options.iter().any(|option| option == name))
        };
        // A mount below /sys/fs/cgroup wins over copies elsewhere, which agents mount for themselves;
        // they are the first ones made by the system and so come first in the list anyway.
        let usual = |mount: &&CgroupMount| mount.mount_point.starts_with(USUAL);
        mounts.iter().filter(shows).find(usual).or_else(|| mounts.iter().find(shows))
    }
}

/// cgroups(7), "/proc/pid/cgroup": `hierarchy-ID:controller-list:cgroup-path`.
fn parse_membership(text: &str) -> Result<Vec<Membership>> {
    let mut memberships = Vec::new();
    for line in text.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else {
            return Err(Error::Malformed("/proc/self/cgroup".into(), line.into()));
        };
        let controllers = controllers.split(',').filter(|name| !name.is_empty()).map(String::from).collect();
        memberships.push(Membership { controllers, path: path.into() });
    }
    Ok(memberships)
}

/// Resolves the octal escapes of a path in mountinfo, proc_pid_mountinfo(5): space, tab, newline and backslash.
#[must_use]
pub fn unescape(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_string();
    }
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

#[cfg(test)]
#[path = "layout_tests.rs"]
mod tests;
