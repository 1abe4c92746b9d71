//! The cgroup in each hierarchy: made with the rules of the default configuration, joined, removed.

use crate::failure::{At, Result};
use crate::path::Path;
use core::ffi::CStr;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, Mode, OFlags};

const TOP: &[u8] = b"/sys/fs/cgroup/";

/// What the version 1 controller is told after `a *:* rwm` was denied: the default devices of the specification, those of
/// terminals, /dev/net/tun, and that every node may be made. One rule is one write.
const ALLOWED: [&[u8]; 11] = [
    b"c *:* m",
    b"b *:* m",
    b"c 1:3 rwm",
    b"c 1:5 rwm",
    b"c 1:7 rwm",
    b"c 1:8 rwm",
    b"c 1:9 rwm",
    b"c 5:0 rwm",
    b"c 5:2 rwm",
    b"c 10:200 rwm",
    b"c 136:* rwm",
];

/// The container's cgroup, by its name in each hierarchy.
#[derive(Debug)]
pub(crate) struct Cgroups<'a> {
    pub(crate) name: &'a CStr,
    pub(crate) hierarchies: &'a CStr,
}

impl Cgroups<'_> {
    pub(crate) fn hierarchies(&self) -> impl Iterator<Item = &[u8]> {
        self.hierarchies.to_bytes().split(|byte| *byte == b':').filter(|name| !name.is_empty())
    }

    /// The directory, or a file in it, which then begins with a slash.
    pub(crate) fn path(&self, hierarchy: &[u8], file: &[u8]) -> Result<Path> {
        Path::of([TOP, hierarchy, b"/", self.name.to_bytes(), file])
    }

    /// Makes them all. Returns the one of the unified hierarchy, for clone3 to start the child in.
    pub(crate) fn make(&self) -> Result<Option<OwnedFd>> {
        let mut unified = None;
        for hierarchy in self.hierarchies() {
            let path = self.path(hierarchy, b"")?;
            rustix::fs::mkdirat(CWD, path.as_c_str(), Mode::from_bits_truncate(0o755)).at("mkdir cgroup")?;
            match hierarchy {
                b"cpuset" => self.fill_cpuset()?,
                b"devices" => self.forbid_devices()?,
                b"unified" => {
                    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
                    let open = rustix::fs::openat(CWD, path.as_c_str(), flags, Mode::empty());
                    unified = Some(open.at("open cgroup")?);
                }
                _ => {}
            }
        }
        Ok(unified)
    }

    /// A new cpuset has neither processors nor memory, and takes no task until it has.
    fn fill_cpuset(&self) -> Result<()> {
        for file in [&b"/cpuset.cpus"[..], b"/cpuset.mems"] {
            let parent = open(&Path::of([TOP, b"cpuset", file])?, OFlags::RDONLY)?;
            let mut list = [0; 256];
            let length = rustix::io::read(&parent, &mut list).at("read cpuset")?;
            let own = open(&self.path(b"cpuset", file)?, OFlags::WRONLY)?;
            rustix::io::write(&own, list.get(..length).unwrap_or_default()).at("write cpuset")?;
        }
        Ok(())
    }

    fn forbid_devices(&self) -> Result<()> {
        let deny = open(&self.path(b"devices", b"/devices.deny")?, OFlags::WRONLY)?;
        rustix::io::write(&deny, b"a *:* rwm").at("write devices.deny")?;
        let allow = open(&self.path(b"devices", b"/devices.allow")?, OFlags::WRONLY)?;
        ALLOWED
            .iter()
            .try_for_each(|rule| rustix::io::write(&allow, rule).map(drop))
            .at("write devices.allow")
    }

    /// Moves the caller into them. `tasks`, not `cgroup.procs`: a thread that moves itself waits for no grace period.
    pub(crate) fn join(&self) -> Result<()> {
        for hierarchy in self.hierarchies().filter(|name| *name != b"unified") {
            let tasks = open(&self.path(hierarchy, b"/tasks")?, OFlags::WRONLY)?;
            rustix::io::write(&tasks, b"0").at("write tasks")?;
        }
        Ok(())
    }

    /// Removes what is there of them, all of it even after a failure.
    pub(crate) fn remove(&self) -> Result<()> {
        let mut result = Ok(());
        for hierarchy in self.hierarchies() {
            let path = self.path(hierarchy, b"")?;
            result = result.and(
                rustix::fs::unlinkat(CWD, path.as_c_str(), AtFlags::REMOVEDIR).unless_missing("rmdir cgroup"),
            );
        }
        result
    }
}

fn open(path: &Path, flags: OFlags) -> Result<OwnedFd> {
    rustix::fs::openat(CWD, path.as_c_str(), flags | OFlags::CLOEXEC, Mode::empty()).at("open cgroup file")
}
