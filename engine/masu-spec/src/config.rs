//! The checked configuration: what the rest of masu works with.
//!
//! Everything here is already checked and complete: required fields are there, defaults are filled in, numbers fit the
//! system calls they are for, names are resolved, and strings that reach the kernel hold no NUL byte. What depends on
//! the machine (does a path exist, is a cgroup controller there) is left to the planner.
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::capabilities::Capabilities;
use crate::hooks::Hooks;
use crate::memory_policy::MemoryPolicy;
use crate::mount_options::MountOptions;
use crate::namespaces::Namespaces;
use crate::personality::Personality;
use crate::propagation::Propagation;
use crate::resources::Resources;
use crate::rlimits::Rlimit;
use crate::scheduling::{CpuAffinity, IoPriority, Scheduler};
use crate::seccomp::Seccomp;
use crate::text::Str;

/// A checked `config.json`, see config.md and config-linux.md of the runtime specification 1.3.0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config<'a> {
    /// `ociVersion`: 1.x.
    pub oci_version: Str<'a>,
    /// `process`.
    pub process: Process<'a>,
    /// `root`.
    pub root: Root<'a>,
    /// `hostname`: at most 64 bytes; the uts namespace is listed when this is set.
    pub hostname: Option<Str<'a>>,
    /// `domainname`: at most 64 bytes; the uts namespace is listed when this is set.
    pub domainname: Option<Str<'a>>,
    /// `hooks`.
    pub hooks: Hooks<'a>,
    /// `annotations`.
    pub annotations: BTreeMap<Str<'a>, Str<'a>>,
    /// `mounts`, in the order in which they are made.
    pub mounts: Vec<Mount<'a>>,
    /// `linux`; all defaults when the section is absent.
    pub linux: Linux<'a>,
    /// What was accepted with a doubt, of the whole file: for the log.
    pub warnings: Vec<Warning>,
}

/// `process`: also the whole of the file that `exec --process` takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process<'a> {
    /// `terminal`, with `consoleSize`; `None` when it is false or absent.
    pub terminal: Option<Terminal>,
    /// `args`: never empty.
    pub args: Vec<Str<'a>>,
    /// `env`: each `NAME=VALUE` with a name; duplicates are kept, the last one is to win.
    pub env: Vec<Str<'a>>,
    /// `cwd`: absolute.
    pub cwd: Str<'a>,
    /// `user`; root when absent, as Go's zero values make it in runc.
    pub user: User,
    /// `rlimits`: each resource at most once, soft never above hard.
    pub rlimits: Vec<Rlimit>,
    /// `capabilities`; `None` when the section is absent (`exec --process` then takes the container's).
    pub capabilities: Option<Capabilities>,
    /// `noNewPrivileges`.
    pub no_new_privileges: bool,
    /// `apparmorProfile`.
    pub apparmor_profile: Option<Str<'a>>,
    /// `selinuxLabel`.
    pub selinux_label: Option<Str<'a>>,
    /// `oomScoreAdj`: -1000 to 1000; `None` leaves the caller's.
    pub oom_score_adj: Option<i16>,
    /// `scheduler`; `None` leaves the caller's.
    pub scheduler: Option<Scheduler>,
    /// `ioPriority`; `None` leaves the caller's.
    pub io_priority: Option<IoPriority>,
    /// `execCPUAffinity`: for processes of `exec` alone.
    pub exec_cpu_affinity: Option<CpuAffinity>,
    /// What was accepted with a doubt: for the log. [`Config::warnings`] holds those of its process instead.
    pub warnings: Vec<Warning>,
}

/// `process.terminal`: the process gets a terminal of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terminal {
    /// `consoleSize`; `None` too when one of the two is 0, as engines write it that know no size.
    pub size: Option<ConsoleSize>,
}

/// `process.consoleSize`, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsoleSize {
    /// `height`: at least 1.
    pub height: u16,
    /// `width`: at least 1.
    pub width: u16,
}

/// `process.user`. No ID is 4294967295: the kernel reads that as "leave unchanged".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// `uid`.
    pub uid: u32,
    /// `gid`.
    pub gid: u32,
    /// `umask`: 0 to 0o777; `None` when absent.
    pub umask: Option<u16>,
    /// `additionalGids`.
    pub additional_gids: Vec<u32>,
}

/// `root`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root<'a> {
    /// `path`: absolute, or relative to the bundle.
    pub path: Str<'a>,
    /// `readonly`.
    pub readonly: bool,
}

/// One of `mounts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount<'a> {
    /// `destination`: absolute (a relative one was put below `/`, with a warning); may hold `..` and symlinks.
    pub destination: Str<'a>,
    /// `type`: the file system's name; `None` only when the mount is a bind mount.
    pub fs_type: Option<Str<'a>>,
    /// `source`: there for bind mounts, where a relative one is relative to the bundle.
    pub source: Option<Str<'a>>,
    /// `options`.
    pub options: MountOptions<'a>,
    /// The mount's own `uidMappings` and `gidMappings`; only of a bind mount.
    pub ids: Option<MountIds>,
}

/// The id map of one mount, mount_setattr(2) `MOUNT_ATTR_IDMAP`: a file of `container_id` on the disk belongs to
/// `host_id`, as the host sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountIds {
    /// `uidMappings`: not empty.
    pub uid_mappings: Vec<IdMapping>,
    /// `gidMappings`: not empty.
    pub gid_mappings: Vec<IdMapping>,
}

/// `linux.intelRdt`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IntelRdt<'a> {
    /// `closID`: the name of a directory, or `/` for the default class; `None` for the container's own.
    pub clos_id: Option<Str<'a>>,
    /// `l3CacheSchema`: a line.
    pub l3_cache_schema: Option<Str<'a>>,
    /// `memBwSchema`: a line that begins with `MB:`.
    pub mem_bw_schema: Option<Str<'a>>,
    /// `schemata`: lines.
    pub schemata: Vec<Str<'a>>,
    /// `enableMonitoring`.
    pub enable_monitoring: bool,
}

/// `linux`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Linux<'a> {
    /// `namespaces`.
    pub namespaces: Namespaces<'a>,
    /// `timeOffsets`: only beside a new time namespace.
    pub time_offsets: TimeOffsets,
    /// `uidMappings`: at least one beside a new user namespace. Beside a joined one they may be given too (containerd
    /// and CRI-O do so): they must then equal the namespace's own map, which the caller has to compare.
    pub uid_mappings: Vec<IdMapping>,
    /// `gidMappings`, likewise.
    pub gid_mappings: Vec<IdMapping>,
    /// `devices`.
    pub devices: Vec<Device<'a>>,
    /// `netDevices`, in the order of the names on the host; only beside a network namespace.
    pub net_devices: Vec<NetDevice<'a>>,
    /// `cgroupsPath`: as written; `slice:prefix:name` with the systemd driver.
    pub cgroups_path: Option<Str<'a>>,
    /// `resources`.
    pub resources: Resources<'a>,
    /// `sysctl`: only what the container's own namespaces hold, in the order of the keys.
    pub sysctl: Vec<Sysctl<'a>>,
    /// `seccomp`.
    pub seccomp: Option<Seccomp<'a>>,
    /// `rootfsPropagation`.
    pub rootfs_propagation: Option<Propagation>,
    /// `maskedPaths`: absolute.
    pub masked_paths: Vec<Str<'a>>,
    /// `readonlyPaths`: absolute.
    pub readonly_paths: Vec<Str<'a>>,
    /// `mountLabel`.
    pub mount_label: Option<Str<'a>>,
    /// `personality`.
    pub personality: Option<Personality>,
    /// `intelRdt`.
    pub intel_rdt: Option<IntelRdt<'a>>,
    /// `memoryPolicy`.
    pub memory_policy: Option<MemoryPolicy>,
}

/// `linux.timeOffsets`, see time_namespaces(7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeOffsets {
    /// `monotonic`.
    pub monotonic: Option<TimeOffset>,
    /// `boottime`.
    pub boottime: Option<TimeOffset>,
}

/// The offset of one clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeOffset {
    /// `secs`.
    pub secs: i64,
    /// `nanosecs`: below 1 000 000 000.
    pub nanosecs: u32,
}

/// One line of `/proc/PID/uid_map` or `gid_map`, see user_namespaces(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdMapping {
    /// `containerID`: the first ID inside.
    pub container_id: u32,
    /// `hostID`: the first ID outside.
    pub host_id: u32,
    /// `size`: at least 1; neither range passes the last ID.
    pub size: u32,
}

impl IdMapping {
    /// The ID outside that `id` is inside, when this mapping covers it.
    pub fn to_host(&self, id: u32) -> Option<u32> {
        let offset = id.checked_sub(self.container_id)?;
        (offset < self.size).then(|| self.host_id.checked_add(offset)).flatten()
    }
}

/// What kind of node a [`Device`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// `c`, and `u` (an unbuffered one, which Linux does not tell apart).
    Char,
    /// `b`.
    Block,
    /// `p`.
    Fifo,
}

/// One of `linux.devices`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device<'a> {
    /// `path`: absolute.
    pub path: Str<'a>,
    /// `type`.
    pub kind: DeviceKind,
    /// `major`: 12 bits; 0 for a fifo.
    pub major: u32,
    /// `minor`: 20 bits; 0 for a fifo.
    pub minor: u32,
    /// `fileMode`: permission bits only, 0o666 when absent.
    pub mode: u16,
    /// `uid`; 0 when absent.
    pub uid: u32,
    /// `gid`; 0 when absent.
    pub gid: u32,
}

/// One of `linux.netDevices`: a network device of the host that moves into the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetDevice<'a> {
    /// The key: its name on the host.
    pub host_name: Str<'a>,
    /// `name`: its name in the container, where `%d` stands for a number that the kernel finds; `None` keeps it.
    pub name: Option<Str<'a>>,
}

impl NetDevice<'_> {
    /// Its name in the container.
    pub fn inside(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.host_name)
    }
}

/// One of `linux.sysctl`.
///
/// A `net.*` key stands here when the configuration lists a network namespace; that a joined one is not the caller's
/// own is for the caller to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sysctl<'a> {
    /// The key as written, for messages.
    pub key: Str<'a>,
    /// The file below `/proc/sys`: relative, without empty components, `.` or `..`.
    pub file: String,
    /// The value.
    pub value: Str<'a>,
}

/// Something in the configuration that was accepted with a doubt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The JSON path, such as `mounts[3].destination`.
    pub path: String,
    /// What is odd and what becomes of it.
    pub text: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.text)
    }
}
