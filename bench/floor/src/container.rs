//! The child: from the new namespaces to the program. Mounts are made by mount(2) at relative paths: one call where the
//! newer interface takes five, and the root is known to hold no symbolic link.

use crate::cgroup::Cgroups;
use crate::failure::{At, Failure, Result};
use crate::path::Path;
use core::ffi::CStr;
use masu_start::Arguments;
use masu_sys::exec::{PointerBlock, execve};
use masu_sys::mount::{MountAttr, MountSetattrFlags, mount_setattr};
use rustix::fs::{CWD, FileType, Mode};
use rustix::io::Errno;
use rustix::mount::{
    MountAttrFlags, MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_change, unmount,
};
use rustix::process::{DumpableBehavior, Resource, Rlimit};
use rustix::thread::{CapabilitySet, CapabilitySets};

const ENVIRONMENT: [&CStr; 3] =
    [c"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", c"TERM=xterm", c"HOME=/"];

const DEVICES: [(&CStr, u32, u32); 6] = [
    (c"dev/null", 1, 3),
    (c"dev/random", 1, 8),
    (c"dev/full", 1, 7),
    (c"dev/tty", 5, 0),
    (c"dev/zero", 1, 5),
    (c"dev/urandom", 1, 9),
];

const LINKS: [(&CStr, &CStr); 5] = [
    (c"/proc/self/fd", c"dev/fd"),
    (c"/proc/self/fd/0", c"dev/stdin"),
    (c"/proc/self/fd/1", c"dev/stdout"),
    (c"/proc/self/fd/2", c"dev/stderr"),
    (c"pts/ptmx", c"dev/ptmx"),
];

const READ_ONLY: [&CStr; 5] = [c"proc/bus", c"proc/fs", c"proc/irq", c"proc/sys", c"proc/sysrq-trigger"];

/// Masked paths that are directories, and those that are files.
const MASKED_DIRECTORIES: [&CStr; 5] =
    [c"proc/acpi", c"proc/asound", c"sys/devices/virtual/powercap", c"sys/firmware", c"proc/scsi"];
const MASKED_FILES: [&CStr; 7] = [
    c"proc/interrupts",
    c"proc/kcore",
    c"proc/keys",
    c"proc/latency_stats",
    c"proc/timer_list",
    c"proc/timer_stats",
    c"proc/sched_debug",
];

const CAPABILITIES: CapabilitySet =
    CapabilitySet::AUDIT_WRITE.union(CapabilitySet::KILL).union(CapabilitySet::NET_BIND_SERVICE);

/// Permissions of a session keyring that was joined by name, and `KEY_USR_SEARCH`, keyctl(2).
const KEYRING: u32 = 0x3f13_0000 | masu_sys::keyring::KEY_USR_SEARCH;

/// What the child is to become.
#[derive(Debug)]
pub(crate) struct Container<'a> {
    pub(crate) root: &'a CStr,
    pub(crate) cgroups: &'a Cgroups<'a>,
}

impl Container<'_> {
    /// Returns only when something failed.
    pub(crate) fn become_program(&self, program: Arguments) -> Failure {
        let made = self.isolate().and_then(|()| self.mount_root()).and_then(|()| self.confine());
        match made.and_then(|()| execute(program)) {
            Err(failure) => failure,
            Ok(never) => match never {},
        }
    }

    fn isolate(&self) -> Result<()> {
        rustix::process::setsid().at("setsid")?;
        rustix::process::umask(Mode::empty());
        rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).at("prctl dumpable")?;
        self.cgroups.join()?;
        masu_sys::scheduling::sched_setaffinity(&[0xff; 1024]).at("sched_setaffinity")?;
        masu_sys::network::raise_loopback().at("raise lo")?;
        let keyring = Path::of([b"_ses.", self.cgroups.name.to_bytes()])?;
        let keyring = masu_sys::keyring::join_session(keyring.as_c_str()).at("join keyring")?;
        masu_sys::keyring::set_permissions(keyring, KEYRING).at("keyring permissions")?;
        rustix::system::sethostname(b"masu").at("sethostname")
    }

    /// In the order of the configuration, since mounts lie on mounts.
    fn mount_root(&self) -> Result<()> {
        let slave = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
        mount_change(c"/", slave).at("make / slave")?;
        mount_bind(self.root, self.root).at("bind root")?;
        rustix::process::chdir(self.root).at("chdir root")?;
        let (nosuid, noexec, nodev) = (MountFlags::NOSUID, MountFlags::NOEXEC, MountFlags::NODEV);
        let none = MountFlags::empty();
        file_system(c"proc", c"proc", c"proc", none, c"")?;
        let flags = nosuid | MountFlags::STRICTATIME;
        file_system(c"tmpfs", c"dev", c"tmpfs", flags, c"mode=755,size=65536k")?;
        for directory in [c"dev/pts", c"dev/shm", c"dev/mqueue"] {
            make_directory(directory)?;
        }
        let options = c"newinstance,ptmxmode=0666,mode=0620,gid=5";
        file_system(c"devpts", c"dev/pts", c"devpts", nosuid | noexec, options)?;
        let flags = nosuid | noexec | nodev;
        file_system(c"shm", c"dev/shm", c"tmpfs", flags, c"mode=1777,size=65536k")?;
        file_system(c"mqueue", c"dev/mqueue", c"mqueue", flags, c"")?;
        file_system(c"sysfs", c"sys", c"sysfs", flags, c"")?;
        self.mount_cgroups(flags)?;
        make_devices()?;
        restrict()?;
        enter_root()
    }

    /// A tmpfs with one bind of the container's own cgroup a hierarchy, and all of `sys` made read-only by one call.
    fn mount_cgroups(&self, flags: MountFlags) -> Result<()> {
        file_system(c"cgroup", c"sys/fs/cgroup", c"tmpfs", flags, c"mode=755")?;
        for hierarchy in self.cgroups.hierarchies() {
            let target = Path::of([b"sys/fs/cgroup/", hierarchy])?;
            make_directory(target.as_c_str())?;
            mount_bind(self.cgroups.path(hierarchy, b"")?.as_c_str(), target.as_c_str()).at("bind cgroup")?;
        }
        let set = MountAttrFlags::MOUNT_ATTR_RDONLY
            | MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NOEXEC
            | MountAttrFlags::MOUNT_ATTR_NODEV;
        let change = MountAttr { set, ..MountAttr::default() };
        mount_setattr(CWD, c"sys", MountSetattrFlags::RECURSIVE, &change).at("protect sys")
    }

    fn confine(&self) -> Result<()> {
        let limit = Rlimit { current: Some(1024), maximum: Some(1024) };
        rustix::process::setrlimit(Resource::Nofile, limit).at("setrlimit")?;
        for capability in 0..64 {
            if CAPABILITIES.bits() >> capability & 1 == 0 {
                match masu_sys::capability::bounding_drop(capability) {
                    // Above the last one of this kernel.
                    Err(Errno::INVAL) => break,
                    outcome => outcome.at("drop capability")?,
                }
            }
        }
        masu_sys::process::setgroups(&[]).at("setgroups")?;
        masu_sys::process::setresgid(0, 0, 0).at("setresgid")?;
        masu_sys::process::setresuid(0, 0, 0).at("setresuid")?;
        rustix::thread::clear_ambient_capability_set().at("clear ambient")?;
        let sets = CapabilitySets {
            effective: CAPABILITIES,
            permitted: CAPABILITIES,
            inheritable: CapabilitySet::empty(),
        };
        rustix::thread::set_capabilities(None, sets).at("capset")?;
        rustix::thread::set_no_new_privs(true).at("no_new_privs")?;
        rustix::process::umask(Mode::from_bits_truncate(0o022));
        masu_sys::fd::set_cloexec_range(3, u32::MAX).at("close_range")?;
        masu_sys::signal::reset_dispositions().at("sigaction")?;
        masu_sys::signal::set_mask(masu_sys::signal::SignalSet::empty()).at("sigprocmask").map(drop)
    }
}

fn file_system(source: &CStr, target: &CStr, kind: &CStr, flags: MountFlags, options: &CStr) -> Result<()> {
    mount(source, target, kind, flags, options).at("mount")
}

fn make_directory(path: &CStr) -> Result<()> {
    rustix::fs::mkdirat(CWD, path, Mode::from_bits_truncate(0o755)).at("mkdir")
}

fn make_devices() -> Result<()> {
    for (path, major, minor) in DEVICES {
        let (mode, device) = (Mode::from_bits_truncate(0o666), rustix::fs::makedev(major, minor));
        rustix::fs::mknodat(CWD, path, FileType::CharacterDevice, mode, device).at("mknod")?;
    }
    LINKS.iter().try_for_each(|(target, path)| rustix::fs::symlinkat(*target, CWD, *path)).at("symlink")
}

/// Read-only paths, masks, and the root itself.
fn restrict() -> Result<()> {
    for path in READ_ONLY {
        match mount_bind(path, path) {
            Err(Errno::NOENT) => {}
            outcome => outcome.at("bind").and_then(|()| protect(path))?,
        }
    }
    // One file system for all: making it is what costs.
    let mut first = None;
    for path in MASKED_DIRECTORIES {
        match (first, mask(first, path)) {
            (_, Err(Errno::NOENT)) => {}
            (None, Ok(())) => {
                protect(path)?;
                first = Some(path);
            }
            (_, masked) => masked.at("mask")?,
        }
    }
    for path in MASKED_FILES {
        mount_bind(c"/dev/null", path).unless_missing("mask")?;
    }
    protect(c".")
}

fn mask(first: Option<&CStr>, path: &CStr) -> rustix::io::Result<()> {
    match first {
        None => mount(c"none", path, c"tmpfs", MountFlags::empty(), c"mode=555"),
        Some(first) => mount_bind(first, path),
    }
}

fn protect(path: &CStr) -> Result<()> {
    let change = MountAttr { set: MountAttrFlags::MOUNT_ATTR_RDONLY, ..MountAttr::default() };
    mount_setattr(CWD, path, MountSetattrFlags::default(), &change).at("protect")
}

fn enter_root() -> Result<()> {
    rustix::process::pivot_root(c".", c".").at("pivot_root")?;
    unmount(c".", UnmountFlags::DETACH).at("umount")?;
    rustix::process::chdir(c"/").at("chdir")
}

fn execute(mut program: Arguments) -> Result<core::convert::Infallible> {
    let path = program.clone().next().ok_or(Failure::USAGE)?;
    let count = program.clone().count();
    let mut argv = PointerBlock::with_capacity(count).at("mmap")?;
    program.try_for_each(|argument| argv.push(argument)).at("argv")?;
    let mut envp = PointerBlock::with_capacity(ENVIRONMENT.len()).at("mmap")?;
    ENVIRONMENT.iter().try_for_each(|variable| envp.push(variable)).at("envp")?;
    Err(Failure::new("execve", execve(path, &argv, &envp)))
}
