//! What the machine and whoever runs the tests have: the same cases run as root and as an ordinary user, on hosts of
//! either cgroup version, and each is run where it has what it needs.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::{getxattr, statfs};

use super::config::Config;
use super::host::CGROUPS;
use super::{Case, Check, ensure, fail, roots};

/// Something that a case cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// Root of the whole machine.
    Root,
    /// More ids in a user namespace than the caller's own: root has them, and who is granted some in /etc/subuid.
    Ids,
    /// A cgroup for each container.
    Cgroups,
    /// Version 1 hierarchies, alone or beside the unified one.
    CgroupV1,
    /// The unified hierarchy alone.
    CgroupV2,
    /// The version 1 hierarchy of net_cls and net_prio.
    NetworkCgroups,
    /// The cgroupfs driver, whose cgroupsPath is a path.
    Cgroupfs,
    /// A systemd of the caller's own, with the unified hierarchy: the system's for root.
    Systemd,
    /// An ordinary user who has a systemd of its own.
    SystemdOfUser,
    /// A Debian root, which takes mmdebstrap and a network to be made.
    Debian,
    /// apparmor_parser(8), and no SELinux: the kernel then has to have AppArmor in force.
    AppArmor,
    /// A kernel that has SELinux in force, and a policy with the types that distributions have for containers.
    Selinux,
    /// A kernel in which AppArmor is not in force.
    NoAppArmor,
    /// A kernel in which SELinux is not in force.
    NoSelinux,
    /// A machine without a resctrl file system, that is without Intel RDT or its use.
    NoResctrl,
}

impl Need {
    const ALL: [Self; 15] = [
        Self::Root,
        Self::Ids,
        Self::Cgroups,
        Self::CgroupV1,
        Self::CgroupV2,
        Self::NetworkCgroups,
        Self::Cgroupfs,
        Self::Systemd,
        Self::SystemdOfUser,
        Self::Debian,
        Self::AppArmor,
        Self::Selinux,
        Self::NoAppArmor,
        Self::NoSelinux,
        Self::NoResctrl,
    ];

    fn text(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Ids => "granted ids",
            Self::Cgroups => "cgroups of its own",
            Self::CgroupV1 => "cgroup v1",
            Self::CgroupV2 => "cgroup v2",
            Self::NetworkCgroups => "net_cls and net_prio",
            Self::Cgroupfs => "the cgroupfs driver",
            Self::Systemd => "systemd",
            Self::SystemdOfUser => "a user's systemd",
            Self::Debian => "a Debian root",
            Self::AppArmor => "apparmor_parser",
            Self::Selinux => "a kernel with SELinux",
            Self::NoAppArmor => "a kernel without AppArmor",
            Self::NoSelinux => "a kernel without SELinux",
            Self::NoResctrl => "a machine without resctrl",
        }
    }
}

/// Who makes the cgroups of the containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Driver {
    /// The runtime.
    Cgroupfs,
    /// systemd, as `--systemd-cgroup` asks for.
    Systemd,
}

impl Driver {
    /// The global options that ask for it.
    pub(crate) fn options(self) -> &'static [&'static str] {
        match self {
            Self::Cgroupfs => &[],
            Self::Systemd => &["--systemd-cgroup"],
        }
    }
}

/// What there is.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings {
    /// Who makes the cgroups of cases that do not choose.
    pub(crate) driver: Driver,
    /// The cgroup below which the caller's systemd has its units; None without one.
    pub(crate) manager: Option<String>,
    uid: u32,
    gid: u32,
    /// The first granted uid and gid, and how many there are; root needs none.
    granted: Option<[u32; 3]>,
    /// Whether the hierarchies are the unified one alone.
    pub(crate) unified: bool,
    /// The cgroup below which each container gets its own, as a config.json names it: empty for the root of the
    /// hierarchies. None where the caller may not make any.
    pub(crate) cgroup_parent: Option<String>,
}

/// `f_type` of the unified hierarchy: CGROUP2_SUPER_MAGIC of linux/magic.h.
const CGROUP2_MAGIC: i64 = 0x6367_7270;

impl Surroundings {
    /// Looks at the machine.
    pub(crate) fn probe(driver: Driver) -> Check<Self> {
        let uid = rustix::process::geteuid().as_raw();
        let gid = rustix::process::getegid().as_raw();
        let unified = statfs(CGROUPS)?.f_type == CGROUP2_MAGIC;
        let delegated = if unified { delegated_cgroup()? } else { None };
        let cgroup_parent = delegated.or((uid == 0).then(String::new));
        let (manager, granted) = (find_manager(uid)?, read_granted(uid));
        Ok(Self { driver, manager, uid, gid, granted, unified, cgroup_parent })
    }

    /// Whether whoever runs the tests is root.
    pub(crate) fn is_root(&self) -> bool {
        self.uid == 0
    }

    /// The uid of a user whose own systemd runs, and the directory that its sockets are in.
    pub(crate) fn systemd_of_user() -> Option<(String, String)> {
        let mut users = fs::read_dir("/run/user").ok()?.flatten();
        let user =
            users.find(|user| user.file_name() != "0" && user.path().join("systemd/private").exists())?;
        Some((user.file_name().into_string().ok()?, user.path().to_string_lossy().into_owned()))
    }

    fn has(&self, need: Need) -> bool {
        match need {
            Need::Root => self.is_root(),
            Need::Ids => self.is_root() || self.granted.is_some(),
            Need::Cgroups => self.cgroup_parent.is_some(),
            Need::CgroupV1 => !self.unified && self.is_root(),
            Need::CgroupV2 => self.unified && self.cgroup_parent.is_some(),
            Need::NetworkCgroups => Path::new(CGROUPS).join("net_cls,net_prio/net_cls.classid").exists(),
            Need::Cgroupfs => self.driver == Driver::Cgroupfs,
            Need::Systemd => self.unified && self.manager.is_some(),
            Need::SystemdOfUser => Self::systemd_of_user().is_some(),
            Need::AppArmor => {
                self.is_root() && Path::new("/usr/sbin/apparmor_parser").exists() && !has_selinux()
            }
            Need::Selinux => self.is_root() && has_selinux(),
            Need::NoAppArmor => !has_apparmor(),
            Need::NoSelinux => !has_selinux(),
            Need::NoResctrl => {
                fs::read_to_string("/proc/self/mountinfo").is_ok_and(|mounts| !mounts.contains(" - resctrl "))
            }
            Need::Debian => self.is_root() && roots::can_make_debian(),
        }
    }

    /// Fails where something is lacking that this machine is known to have: its cases would be left out, and nobody the
    /// wiser.
    pub(crate) fn expect(&self, name: &str) -> Check {
        let need = Need::ALL.into_iter().find(|need| need.text() == name);
        let need =
            need.ok_or_else(|| fail(format!("--expect {name:?}: nothing of this name is ever needed")))?;
        ensure!(self.has(need), "this machine has to have {name}, and does not");
        Ok(())
    }

    /// Keeps the cases that have what they need, and says how many do not and what they lack.
    pub(crate) fn choose(&self, cases: Vec<Case>) -> (Vec<Case>, String) {
        let mut lacking = BTreeMap::<Need, usize>::new();
        let mut chosen = Vec::new();
        for case in cases {
            match case.needs.iter().find(|need| !self.has(**need)) {
                None => chosen.push(case),
                Some(need) => *lacking.entry(*need).or_default() += 1,
            }
        }
        let lacking: Vec<_> =
            lacking.iter().map(|(need, count)| format!("{count} that need {}", need.text())).collect();
        (chosen, lacking.join(", "))
    }

    /// The cgroup of the unit that `SLICE:PREFIX:NAME` names, for a slice without dashes.
    pub(crate) fn unit_cgroup(&self, path: &str) -> String {
        let mut parts = path.split(':');
        let (slice, prefix, name) = (parts.next(), parts.next(), parts.next());
        let default = if self.is_root() { "system.slice" } else { "user.slice" };
        let slice = slice.filter(|slice| !slice.is_empty()).unwrap_or(default);
        let manager = self.manager.as_deref().unwrap_or_default();
        format!("{manager}/{slice}/{}-{}.scope", prefix.unwrap_or_default(), name.unwrap_or_default())
    }

    /// Gives `spec --rootless`'s configuration, which maps one id, the granted ones as well.
    pub(crate) fn map_granted_ids(&self, config: &mut Config) {
        let Some([first_uid, first_gid, size]) = self.granted else { return };
        for (pointer, own, first) in
            [("/linux/uidMappings", self.uid, first_uid), ("/linux/gidMappings", self.gid, first_gid)]
        {
            config.set(
                pointer,
                serde_json::json!([
                    {"containerID": 0, "hostID": own, "size": 1},
                    {"containerID": 1, "hostID": first, "size": size}
                ]),
            );
        }
    }
}

fn has_apparmor() -> bool {
    fs::read("/sys/module/apparmor/parameters/enabled").is_ok_and(|text| text.starts_with(b"Y"))
}

/// Its file system has a file where SELinux is in force, and is an empty directory, or none, elsewhere.
fn has_selinux() -> bool {
    Path::new("/sys/fs/selinux/enforce").exists()
}

/// Where the caller's systemd is: at the root of the hierarchy, or in the service that is an ordinary user's own.
fn find_manager(uid: u32) -> Check<Option<String>> {
    if !Path::new("/run/systemd/system").exists() {
        return Ok(None);
    }
    if uid == 0 {
        return Ok(Some(String::new()));
    }
    let own = fs::read_to_string("/proc/self/cgroup")?;
    let own = own.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
    let service = format!("/user@{uid}.service");
    Ok(own.find(&service).and_then(|start| own.get(..start + service.len())).map(str::to_owned))
}

/// The leaf below a delegated cgroup in which `cargo xtask vm` runs its command.
const SUBGROUP: &str = "command";

/// The cgroup that systemd has delegated to this service: the one above our own, if it carries the mark of it. Ours is a
/// leaf below, by `DelegateSubgroup=`, since on version 2 a cgroup that has controllers for others has no processes. A
/// user's own systemd 257 leaves no mark: there the leaf is known by its name.
fn delegated_cgroup() -> Check<Option<String>> {
    let own = fs::read_to_string("/proc/self/cgroup")?;
    let own = Path::new(own.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/"));
    let parent = own.parent().map(Path::to_owned).unwrap_or_default();
    let directory = PathBuf::from(format!("{CGROUPS}{}", parent.display()));
    let mut mark = [0; 8];
    // systemd.resource-control(5): user.delegate is "1" on a delegated cgroup.
    let marked = getxattr(&directory, "user.delegate", &mut mark).is_ok_and(|length| length == 1);
    let is_delegated = (marked && mark.first() == Some(&b'1')) || own.ends_with(SUBGROUP);
    Ok(is_delegated.then(|| parent.to_string_lossy().into_owned()))
}

/// The first line that grants this user ids in both files, as newuidmap(1) reads them.
fn read_granted(uid: u32) -> Option<[u32; 3]> {
    let in_path = |program: &str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join(OsStr::new(program)).is_file())
    };
    if uid == 0 || !in_path("newuidmap") || !in_path("newgidmap") {
        return None;
    }
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    let fields = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let user = fields.into_iter().find(|fields| fields.get(2) == Some(&uid.to_string().as_str()));
    let name = user.and_then(|fields| fields.first().map(|name| (*name).to_owned()))?;
    let range = |file: &str| {
        let text = fs::read_to_string(file).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(&name)?.strip_prefix(':'))?;
        let (first, size) = line.split_once(':')?;
        Some((first.parse::<u32>().ok()?, size.trim().parse::<u32>().ok()?))
    };
    let ((uids, size), (gids, gid_size)) = (range("/etc/subuid")?, range("/etc/subgid")?);
    Some([uids, gids, size.min(gid_size)])
}
