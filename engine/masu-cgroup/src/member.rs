//! The container's cgroup in one hierarchy: a directory below the mount point, made or found, and opened once.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::OnceCell;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::dir::{Dir, OpenMounts, path_for_message_only, read_all};
use crate::error::{Error, Result};
use crate::layout::Hierarchy;
use crate::path::HierarchyKind;
use crate::record::MemberRecord;

/// The container's cgroup in one hierarchy.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) controllers: Vec<String>,
    pub(crate) mount_point: String,
    /// Below the mount point, starting with `/`.
    pub(crate) path: String,
    pub(crate) version_2: bool,
    /// The unified hierarchy of a host that has no other: everything about the container is here.
    pub(crate) alone: bool,
    pub(crate) noprefix: bool,
    /// How many of the path's last names were made by us.
    pub(crate) made: usize,
    /// Whether it is known that nobody lived there before us.
    pub(crate) vacant: bool,
    /// The hierarchy's mount point, where it was opened for other cgroups too.
    mount: OnceCell<Rc<Dir>>,
    dir: OnceCell<Dir>,
}

impl Member {
    pub(crate) fn new(hierarchy: &Hierarchy, place: HierarchyKind, path: String) -> Self {
        Self {
            controllers: hierarchy.controllers.clone(),
            mount_point: hierarchy.mount_point.clone(),
            path,
            version_2: place != HierarchyKind::V1,
            alone: place == HierarchyKind::Alone,
            noprefix: hierarchy.noprefix,
            made: 0,
            vacant: false,
            mount: OnceCell::new(),
            dir: OnceCell::new(),
        }
    }

    pub(crate) fn from_record(record: &MemberRecord) -> Self {
        Self {
            controllers: record.controllers.clone(),
            mount_point: record.mount_point.clone(),
            path: record.path.clone(),
            version_2: record.version_2,
            alone: record.alone,
            noprefix: record.noprefix,
            made: record.made,
            vacant: false,
            mount: OnceCell::new(),
            dir: OnceCell::new(),
        }
    }

    /// The cgroup of the unit that this one is in: its own, or one above it.
    pub(crate) fn of_unit(&self, name: &str) -> Self {
        let below = self.path.find(&format!("/{name}/")).map(|start| start + 1 + name.len());
        let path = self.path.get(..below.unwrap_or(self.path.len())).unwrap_or_default().into();
        Self::from_record(&MemberRecord { path, ..self.record() })
    }

    pub(crate) fn record(&self) -> MemberRecord {
        MemberRecord {
            controllers: self.controllers.clone(),
            mount_point: self.mount_point.clone(),
            path: self.path.clone(),
            version_2: self.version_2,
            alone: self.alone,
            noprefix: self.noprefix,
            made: self.made,
        }
    }

    /// A hierarchy in which no limit can be set: named ones and a unified one beside version 1. Membership is
    /// for others' bookkeeping (and `cgroup.kill`), so a refusal there does not keep a container from running.
    pub(crate) fn is_optional(&self) -> bool {
        !self.alone && (self.version_2 || self.controllers.iter().all(|name| name.starts_with("name=")))
    }

    /// Is this the member meant by `cpu`, `systemd`, `name=systemd`, or the empty name of the unified hierarchy?
    pub(crate) fn answers_to(&self, name: &str) -> bool {
        if name.is_empty() {
            return self.version_2;
        }
        self.controllers.iter().any(|known| known == name || known.strip_prefix("name=") == Some(name))
    }

    /// The hierarchy's usual name.
    pub(crate) fn name(&self) -> &str {
        self.mount_point.rsplit('/').next().unwrap_or_default()
    }

    /// The cgroup's directory, opened once.
    pub(crate) fn dir(&self) -> Result<&Dir> {
        if let Some(dir) = self.dir.get() {
            return Ok(dir);
        }
        let mount = Dir::open_mount(&self.mount_point, self.version_2)?;
        let dir = mount.open(&self.path).map_err(|errno| self.failed("openat2", "", errno))?;
        Ok(self.dir.get_or_init(|| dir))
    }

    /// Reads a control file.
    pub(crate) fn read(&self, file: &str) -> Result<String> {
        self.dir()?.read(file).map_err(|errno| self.failed("read", file, errno))
    }

    /// As [`Member::read`], for who reads this one file.
    pub(crate) fn read_alone(&self, file: &str) -> Result<String> {
        let opened = self.open_alone(file, OFlags::RDONLY)?;
        read_all(opened.as_fd()).map_err(|errno| self.failed("read", file, errno))
    }

    /// Opens a control file: in the directory where that is open, and else by one lookup from the mount.
    fn open_alone(&self, file: &str, flags: OFlags) -> Result<OwnedFd> {
        let below = || format!("{}/{file}", self.path);
        let opened = match (self.dir.get(), self.mount.get()) {
            (Some(dir), _) => dir.open_file(file, flags),
            (None, Some(mount)) => mount.open_below(&below(), flags),
            (None, None) => Dir::open_mount(&self.mount_point, self.version_2)?.open_below(&below(), flags),
        };
        opened.map_err(|errno| self.failed("openat2", file, errno))
    }

    /// Has the next file read alone be looked up from a mount point that other cgroups share.
    pub(crate) fn share_mount(&self, mounts: &OpenMounts) -> Result<()> {
        let mount = mounts.get(&self.mount_point, self.version_2)?;
        self.mount.get_or_init(|| mount);
        Ok(())
    }

    /// Reads a control file that older kernels or other configurations do not have.
    pub(crate) fn read_optional(&self, file: &str) -> Result<Option<String>> {
        match self.dir()?.read(file) {
            Ok(text) => Ok(Some(text)),
            Err(Errno::NOENT | Errno::OPNOTSUPP) => Ok(None),
            Err(errno) => Err(self.failed("read", file, errno)),
        }
    }

    pub(crate) fn failed(&self, call: &'static str, file: &str, errno: Errno) -> Error {
        let mut path = self.path_for_message_only();
        if !file.is_empty() {
            path.push('/');
            path.push_str(file);
        }
        Error::Io { call, path, errno }
    }

    pub(crate) fn path_for_message_only(&self) -> String {
        path_for_message_only(&self.mount_point, &self.path)
    }

    /// May this user enter it?
    pub(crate) fn check_entry(&self) -> Result<()> {
        let file = if self.version_2 { "cgroup.procs" } else { "tasks" };
        let opened = self.dir()?.open_file(file, OFlags::WRONLY);
        opened.map(drop).map_err(|errno| self.failed("openat2", file, errno))
    }

    /// Opens what a process enters the cgroup by, or one below it: `tasks` in version 1, the directory in version 2.
    pub(crate) fn open_sub(&self, sub: &str) -> Result<OwnedFd> {
        let sub = sub.trim_start_matches('/');
        if !self.version_2 && sub.is_empty() {
            return self.open_alone("tasks", OFlags::WRONLY);
        }
        let dir = self.dir()?;
        let below = match sub {
            "" => None,
            sub => Some(dir.open(sub).map_err(|errno| self.failed("openat2", sub, errno))?),
        };
        if self.version_2 {
            let own = || dir.open("").map_err(|errno| self.failed("openat2", "", errno));
            return Ok(below.map_or_else(own, Ok)?.into_fd());
        }
        let tasks = below.as_ref().unwrap_or(dir).open_file("tasks", OFlags::WRONLY);
        tasks.map_err(|errno| self.failed("openat2", "tasks", errno))
    }

    /// Makes the directories, from the mount's root down.
    pub(crate) fn make(&mut self) -> Result<()> {
        // Another container's end may remove a parent that we share with it between our two calls.
        let mut attempts = 4;
        loop {
            match self.make_once() {
                Err(Error::Io { errno: Errno::NOENT | Errno::NODEV, call: "mkdir" | "openat2", .. })
                    if attempts > 0 =>
                {
                    attempts -= 1;
                }
                result => return result,
            }
        }
    }

    fn make_once(&mut self) -> Result<()> {
        let mut dir = Dir::open_mount(&self.mount_point, self.version_2)?;
        let path = self.path.clone();
        let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
        for (index, name) in names.iter().enumerate() {
            let below = names.len() - index;
            // The last one is new as a rule, those above it are there as a rule: each first try costs one call.
            let found = if below == 1 { Err(Errno::NOENT) } else { dir.open(name) };
            dir = match found {
                Ok(dir) => dir,
                Err(Errno::NOENT) => {
                    if dir.make(name).map_err(|errno| self.failed("mkdir", "", errno))? {
                        self.made = self.made.max(below);
                    }
                    dir.open(name).map_err(|errno| self.failed("openat2", "", errno))?
                }
                Err(errno) => return Err(self.failed("openat2", "", errno)),
            };
        }
        self.dir = OnceCell::from(dir);
        Ok(())
    }
}
