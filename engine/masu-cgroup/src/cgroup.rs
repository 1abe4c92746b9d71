//! A container's cgroup: one directory in each hierarchy, made, filled with limits, joined, kept on record.
//!
//! ```text
//!   create ──> made ──(open_join: init attaches itself)──> populated ──> remove
//!     │          │ Drop without keep(): removes what create made
//!     └ error ───┘                    record ──> open, in a later process of the engine
//! ```
//! An error in `create` leaves nothing behind. `open` looks nothing up: each directory is opened when it is first
//! needed, so that a command that needs none pays for none.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::OnceCell;

use masu_spec::Resources;
use rustix::fd::OwnedFd;
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::apply;
use crate::backoff::Backoff;
use crate::cpuset;
use crate::devices::{self, DeviceRules};
use crate::dir::{Dir, path_for_message_only};
use crate::error::{Error, Result};
use crate::layout::{Hierarchy, Layout};
use crate::path::{CgroupsPath, SubCgroup};
use crate::plan::{self, Places};
use crate::record::{CgroupRecord, Driver, MemberRecord};

/// How far the caller's rights reach, which decides what a refusal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privilege {
    /// Root of the initial user namespace: every refusal is an error.
    Full,
    /// Root of another user namespace, told to behave as root (`--rootless=false`): every refusal is an error,
    /// but device rules are left to the host, since the kernel refuses them outside of the initial user namespace.
    UserNamespace,
    /// Rootless: a hierarchy in which no cgroup may be made is left out, unless `cgroupsPath` names one.
    /// A limit that needed it is an error all the same. No device rules.
    Rootless,
}

/// What a container asks for.
#[derive(Debug)]
pub struct Request<'a> {
    /// The container's id, the cgroup's name where `cgroups_path` names none.
    pub id: &'a str,
    /// `linux.cgroupsPath`.
    pub cgroups_path: Option<&'a str>,
    /// `linux.resources`.
    pub resources: &'a Resources<'a>,
    /// The `path` of each of `linux.devices`: a default device that the config defines anew loses its default rule.
    pub device_paths: &'a [&'a str],
    /// The caller's rights.
    pub privilege: Privilege,
}

/// What a process needs to enter a cgroup.
#[derive(Debug, Default)]
pub struct Join {
    /// The hierarchy's name, for messages, and its `tasks` file, opened for writing: the process writes `0` to it.
    /// Never `cgroup.procs`: moving a whole process waits for an RCU grace period.
    pub tasks: Vec<(String, OwnedFd)>,
    /// The directory for CLONE_INTO_CGROUP.
    pub unified: Option<OwnedFd>,
}

/// A container's cgroup.
#[derive(Debug)]
pub struct Cgroup {
    pub(crate) members: Vec<Member>,
    /// Controllers whose hierarchy is there, but not for this user.
    pub(crate) denied: Vec<String>,
    /// May hierarchies that refuse this user be left out?
    lenient: bool,
    pub(crate) remove_on_drop: bool,
}

/// The container's cgroup in one hierarchy.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) controllers: Vec<String>,
    pub(crate) mount_point: String,
    /// Below the mount point, starting with `/`.
    pub(crate) path: String,
    pub(crate) version_2: bool,
    pub(crate) noprefix: bool,
    /// How many of the path's last names were made by us.
    pub(crate) made: usize,
    dir: OnceCell<Dir>,
}

impl Cgroup {
    /// Makes the cgroup in every hierarchy and sets its limits. Nobody is in it yet.
    ///
    /// # Errors
    ///
    /// Every variant of [`Error`] but those of the freezer, removal and `exec`. Limits that the host cannot set
    /// fail before anything is made.
    pub fn create(layout: &Layout, request: &Request<'_>) -> Result<Self> {
        let lenient =
            request.privilege == Privilege::Rootless && request.cgroups_path.is_none_or(str::is_empty);
        check_layout(layout, request.privilege)?;
        let places = Places::of(layout);
        let path = CgroupsPath::parse(request.cgroups_path, request.id)?;
        let devices = match request.privilege {
            Privilege::Full => Some(devices::device_rules(request.resources, request.device_paths)?),
            Privilege::UserNamespace | Privilege::Rootless => None,
        };
        plan::plan_writes(request.resources, &places, &plan::Now::default())?;

        let mut cgroup = Self { members: Vec::new(), denied: Vec::new(), lenient, remove_on_drop: true };
        for (version_2, hierarchy) in
            layout.v1().iter().map(|v1| (false, v1)).chain(layout.unified().map(|unified| (true, unified)))
        {
            cgroup.add(Member::new(hierarchy, version_2, path.below_mount(hierarchy)?))?;
        }
        // Nothing is written before it is known that nobody else lives here.
        cgroup.check_vacant()?;
        cgroup.fill_cpuset(request.resources)?;
        cgroup.set(request.resources, &places, devices.as_ref())?;
        Ok(cgroup)
    }

    /// The record of a cgroup that [`create`](Self::create) is about to make: what a caller writes down first, so that
    /// nothing is lost when it ends in between. Removal takes of it what is there.
    ///
    /// # Errors
    ///
    /// For a path that is none.
    pub fn record_before(layout: &Layout, request: &Request<'_>) -> Result<CgroupRecord> {
        let path = CgroupsPath::parse(request.cgroups_path, request.id)?;
        let mut record = CgroupRecord::default();
        let all = layout.v1().iter().map(|hierarchy| (hierarchy, false));
        for (hierarchy, version_2) in all.chain(layout.unified().map(|hierarchy| (hierarchy, true))) {
            record.members.push(Member::new(hierarchy, version_2, path.below_mount(hierarchy)?).record());
        }
        Ok(record)
    }

    /// The cgroup of a container that an earlier process created. Looks nothing up yet.
    pub fn open(record: &CgroupRecord) -> Self {
        let members = record.members.iter().map(Member::from_record).collect();
        Self { members, denied: record.denied.clone(), lenient: record.lenient, remove_on_drop: false }
    }

    /// What state.json keeps.
    pub fn record(&self) -> CgroupRecord {
        CgroupRecord {
            driver: Driver::Cgroupfs,
            lenient: self.lenient,
            denied: self.denied.clone(),
            members: self.members.iter().map(Member::record).collect(),
        }
    }

    /// The cgroup outlives this value.
    pub fn keep(&mut self) {
        self.remove_on_drop = false;
    }

    /// Is there no hierarchy in which the container has a cgroup? Rootless containers often have none.
    pub fn is_none(&self) -> bool {
        self.members.is_empty()
    }

    /// The container's cgroup in the hierarchy of this controller, below its mount point; `""` for the unified one.
    pub fn path_of(&self, controller: &str) -> Option<&str> {
        self.member(controller).map(|member| member.path.as_str())
    }

    /// Each version 1 hierarchy's `tasks` file, with the hierarchy's name.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn open_tasks(&self) -> Result<Vec<(String, OwnedFd)>> {
        self.open_join(&[]).map(|join| join.tasks)
    }

    /// The unified hierarchy's directory for CLONE_INTO_CGROUP.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn unified_dir(&self) -> Result<Option<OwnedFd>> {
        self.open_join(&[]).map(|join| join.unified)
    }

    /// Opens what a process needs to enter the cgroup, or with `exec --cgroup` existing cgroups below it.
    ///
    /// # Errors
    ///
    /// [`Error::SubCgroup`] for a controller the container has no cgroup of, [`Error::Io`] for one that is missing.
    pub fn open_join(&self, subs: &[SubCgroup]) -> Result<Join> {
        for controller in subs.iter().flat_map(|sub| &sub.controllers) {
            if self.member(controller).is_none() {
                return Err(Error::SubCgroup(alloc::format!(
                    "unknown controller {controller} in SubCgroupPaths"
                )));
            }
        }
        let mut join = Join::default();
        for member in &self.members {
            let sub = subs.iter().find(|sub| {
                sub.controllers.is_empty() || sub.controllers.iter().any(|name| member.answers_to(name))
            });
            let sub = sub.map_or("/", |sub| sub.path.as_str());
            let opened = match member.open_sub(sub) {
                Err(error) if self.may_ignore(&error) || (member.is_optional() && sub == "/") => continue,
                result => result?,
            };
            if member.version_2 {
                join.unified = Some(opened);
            } else {
                join.tasks.push((member.name().to_string(), opened));
            }
        }
        Ok(join)
    }

    /// Changes the limits of a running container. Device rules stay as they are, as with runc's update.
    ///
    /// # Errors
    ///
    /// As [`Cgroup::create`]; what was set before the refused setting stays set.
    pub fn update(&self, resources: &Resources<'_>) -> Result<()> {
        self.set(resources, &self.places(), None)
    }

    pub(crate) fn member(&self, controller: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.answers_to(controller))
    }

    /// Makes one hierarchy's directories, and puts it on the list, or among the denied.
    fn add(&mut self, mut member: Member) -> Result<()> {
        match member.make() {
            Ok(()) => self.members.push(member),
            Err(error) => self.leave_out(member, error)?,
        }
        Ok(())
    }

    /// Does without a hierarchy that refused us, or returns the refusal.
    fn leave_out(&mut self, mut member: Member, error: Error) -> Result<()> {
        let undone = member.remove_made(&mut Backoff::none());
        if self.may_ignore(&error) || member.is_optional() {
            self.denied.append(&mut member.controllers);
            return Ok(());
        }
        undone.and(Err(error))
    }

    fn fill_cpuset(&mut self, resources: &Resources<'_>) -> Result<()> {
        let is_cpuset = |member: &Member| !member.version_2 && member.answers_to("cpuset");
        let Some(index) = self.members.iter().position(is_cpuset) else { return Ok(()) };
        let filled = self.members.get(index).map_or(Ok(()), |member| cpuset::fill(member, resources));
        match filled {
            Ok(()) => Ok(()),
            Err(error) => {
                let member = self.members.remove(index);
                self.leave_out(member, error)
            }
        }
    }

    /// Limits, in runc's order of controllers.
    fn set(&self, resources: &Resources<'_>, places: &Places, devices: Option<&DeviceRules>) -> Result<()> {
        if let Some(rules) = devices {
            let member = self
                .member("devices")
                .ok_or_else(|| Error::NoController("linux.resources.devices".into(), "devices".into()))?;
            apply::apply_devices(member, rules)?;
        }
        if let Some(unified) = self.member("") {
            apply::enable_controllers(unified, &plan::v2_controllers(resources, places))?;
        }
        let now = apply::read_now(self, resources)?;
        let writes = plan::plan_writes(resources, places, &now)?;
        apply::apply_writes(self, &writes)
    }

    /// A cgroup that was there before must be empty and thawed: two containers in one would kill each other's
    /// processes at the end, and one started frozen would hang.
    fn check_vacant(&self) -> Result<()> {
        for member in self.members.iter().filter(|member| member.made == 0 && !member.is_optional()) {
            let count = member.processes()?.len();
            if count > 0 {
                return Err(Error::NotEmpty(count));
            }
            if member.answers_to("freezer") && self.is_frozen()? {
                return Err(Error::Frozen(member.path_for_message_only()));
            }
        }
        Ok(())
    }

    fn places(&self) -> Places {
        let known = self.members.iter().map(|member| (member.version_2, member.controllers.as_slice()));
        Places::from_members(known, &self.denied)
    }

    fn may_ignore(&self, error: &Error) -> bool {
        self.lenient && matches!(error, Error::Io { errno: Errno::ACCESS | Errno::PERM | Errno::ROFS, .. })
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        if self.remove_on_drop {
            for member in &mut self.members {
                // Ignored: the error that led here is the one to report.
                let _ = member.remove_made(&mut Backoff::for_removal());
            }
        }
    }
}

/// Refuses hosts on which a container would run without the limits and the device rules it must have.
fn check_layout(layout: &Layout, privilege: Privilege) -> Result<()> {
    match layout {
        Layout::Unified { .. } => Err(Error::Layout(
            "cgroup: this host has cgroup v2 alone, which this version of masu cannot use yet",
        )),
        Layout::None if privilege != Privilege::Rootless => Err(Error::Layout(
            "cgroup: no cgroup file system is mounted\nhint: mount cgroup2 on /sys/fs/cgroup",
        )),
        Layout::V1 { hierarchies } | Layout::Hybrid { hierarchies, .. }
            if privilege == Privilege::Full
                && !hierarchies.iter().any(|hierarchy| hierarchy.has("devices")) =>
        {
            // Without it the container could open every device whose node it can make.
            Err(Error::NoController("linux.resources.devices".into(), "devices".into()))
        }
        _ => Ok(()),
    }
}

impl Member {
    fn new(hierarchy: &Hierarchy, version_2: bool, path: String) -> Self {
        Self {
            controllers: hierarchy.controllers.clone(),
            mount_point: hierarchy.mount_point.clone(),
            path,
            version_2,
            noprefix: hierarchy.noprefix,
            made: 0,
            dir: OnceCell::new(),
        }
    }

    fn from_record(record: &MemberRecord) -> Self {
        Self {
            controllers: record.controllers.clone(),
            mount_point: record.mount_point.clone(),
            path: record.path.clone(),
            version_2: record.version_2,
            noprefix: record.noprefix,
            made: record.made,
            dir: OnceCell::new(),
        }
    }

    fn record(&self) -> MemberRecord {
        MemberRecord {
            controllers: self.controllers.clone(),
            mount_point: self.mount_point.clone(),
            path: self.path.clone(),
            version_2: self.version_2,
            noprefix: self.noprefix,
            made: self.made,
        }
    }

    /// A hierarchy in which no limit can be set: named ones and a unified one without controllers. Membership is
    /// for others' bookkeeping (and `cgroup.kill`), so a refusal there does not keep a container from running.
    pub(crate) fn is_optional(&self) -> bool {
        self.version_2 || self.controllers.iter().all(|name| name.starts_with("name="))
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

    fn open_sub(&self, sub: &str) -> Result<OwnedFd> {
        let dir = self.dir()?;
        let sub = sub.trim_start_matches('/');
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
    fn make(&mut self) -> Result<()> {
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
