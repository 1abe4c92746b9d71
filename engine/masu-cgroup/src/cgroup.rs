//! A container's cgroup: one directory in each hierarchy, made, filled with limits, joined, kept on record.
//!
//! ```text
//!   begin ──> finish ──> made ──(open_join: init attaches itself)──> populated ──> remove
//!     │          │         │ Drop without keep(): removes what was made
//!     └ error ───┴─────────┘                record ──> open, in a later process of the engine
//! ```
//! An error on the way leaves nothing behind. `open` looks nothing up: each directory is opened when it is first
//! needed, so that a command that needs none pays for none.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use masu_spec::Resources;
use masu_sys::bpf::Instruction;
use rustix::fd::OwnedFd;
use rustix::io::Errno;

use crate::apply;
use crate::backoff::Backoff;
use crate::controllers::{self, Obstacle};
use crate::cpuset;
use crate::delegated;
use crate::device_program;
use crate::devices;
use crate::error::{Error, Result};
use crate::layout::{Hierarchy, Layout};
use crate::member::Member;
use crate::path::{self, CgroupsPath, HierarchyKind, SubCgroup};
use crate::plan::{self, Places, Write};
use crate::record::{CgroupRecord, Driver};
use crate::systemd::{self, PlannedUnit, Unit};

/// How far the caller's rights reach, which decides what a refusal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privilege {
    /// Root of the initial user namespace: every refusal is an error.
    Full,
    /// Root of another user namespace, told to behave as root (`--rootless=false`): every refusal is an error,
    /// but device rules are left to the host, since the kernel refuses them outside of the initial user namespace.
    UserNamespace,
    /// Root of the initial user namespace, told to behave as an ordinary user (`--rootless=true`): refusals as for
    /// [`Rootless`](Self::Rootless), as where a container's cgroups are mounted read-only; device rules wherever
    /// the cgroup for them could be made.
    Tolerant,
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
    /// The annotation `run.oci.delegate-cgroup`: the cgroup below that the container's process is in.
    pub delegated: Option<&'a str>,
}

impl Request<'_> {
    /// May a hierarchy that refuses this user be left out?
    pub fn is_lenient(&self) -> bool {
        matches!(self.privilege, Privilege::Rootless | Privilege::Tolerant)
            && self.cgroups_path.is_none_or(str::is_empty)
    }
}

/// Device rules in the form that the host takes.
#[derive(Debug)]
enum DevicePolicy {
    /// For the version 1 controller.
    Rules(devices::DeviceRules),
    /// For a version 2 cgroup.
    Program(Vec<Instruction>),
}

impl DevicePolicy {
    fn of(layout: &Layout, request: &Request<'_>) -> Result<Self> {
        let Request { resources, device_paths, .. } = request;
        if layout.v1().iter().any(|hierarchy| hierarchy.has("devices")) {
            return devices::device_rules(resources, device_paths).map(Self::Rules);
        }
        let rules = device_program::all_rules(resources, device_paths);
        Ok(Self::Program(device_program::compile(&rules)))
    }
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
    /// The unit of systemd whose cgroup it is.
    pub(crate) unit: Option<Unit>,
    /// What is yet to be written when the container's process is there.
    unsettled: Vec<Write>,
    /// The cgroup below that the container's processes are in, by the annotation `run.oci.delegate-cgroup`.
    pub(crate) delegated: Option<String>,
    pub(crate) remove_on_drop: bool,
    /// What [`finish`](Self::finish) has yet to do.
    unfinished: Option<Unfinished>,
}

/// The decisions about a cgroup that is not complete.
#[derive(Debug)]
struct Unfinished {
    places: Places,
    path: CgroupsPath,
    devices: Option<DevicePolicy>,
    has_subgroup: bool,
}

impl Cgroup {
    /// Makes the cgroup in every hierarchy and sets its limits. Nobody is in it yet.
    ///
    /// # Errors
    ///
    /// Every variant of [`Error`] but those of the freezer, removal and `exec`. Limits that the host cannot set
    /// fail before anything is made.
    pub fn create(layout: &Layout, request: &Request<'_>, unit: Option<PlannedUnit>) -> Result<Self> {
        let mut cgroup = Self::begin(layout, request, unit)?;
        cgroup.finish(layout, request)?;
        Ok(cgroup)
    }

    /// As much of [`create`](Self::create) as has to be there before the container's process, which is born in the
    /// unified hierarchy and joins the others: on a host that has no others that is all of it.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    pub fn begin(layout: &Layout, request: &Request<'_>, unit: Option<PlannedUnit>) -> Result<Self> {
        let lenient = request.is_lenient() && unit.is_none();
        check_layout(layout, request.privilege)?;
        let places = Places::of(layout);
        let path = cgroup_path(request, unit.as_ref())?;
        let delegated = delegated::parse(layout, request)?;
        let devices = match request.privilege {
            Privilege::Full | Privilege::Tolerant => Some(DevicePolicy::of(layout, request)?),
            Privilege::UserNamespace | Privilege::Rootless => None,
        };
        let writes = plan::plan_writes(request.resources, &places, &plan::Now::default())?;

        let mut cgroup = Self::open(&CgroupRecord { lenient, delegated, ..CgroupRecord::default() });
        cgroup.remove_on_drop = true;
        let has_subgroup = unit.as_ref().is_some_and(PlannedUnit::has_subgroup);
        if let Some(unit) = unit {
            let version_2 = layout.v1().is_empty();
            let properties = devices.is_some().then(|| device_properties(request, version_2));
            cgroup.unit = Some(unit.start(&writes, properties, version_2)?);
        }
        let unified = path::places(layout).filter(|(place, _)| *place != HierarchyKind::V1);
        cgroup.add_all(unified, &path)?;
        let unfinished = Unfinished { places, path, devices, has_subgroup };
        match layout.v1().is_empty() {
            true => cgroup.complete(unfinished, request)?,
            false => {
                cgroup.check_vacant()?;
                cgroup.unfinished = Some(unfinished);
            }
        }
        Ok(cgroup)
    }

    /// Whether nothing is left for [`finish`](Self::finish).
    pub fn is_complete(&self) -> bool {
        self.unfinished.is_none()
    }

    /// The rest of [`create`](Self::create).
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    pub fn finish(&mut self, layout: &Layout, request: &Request<'_>) -> Result<()> {
        let Some(unfinished) = self.unfinished.take() else { return Ok(()) };
        let begun = self.members.len();
        let v1 = path::places(layout).filter(|(place, _)| *place == HierarchyKind::V1);
        self.add_all(v1, &unfinished.path)?;
        // The unified one last, as everywhere.
        self.members.rotate_left(begun);
        self.complete(unfinished, request)
    }

    /// Makes the cgroup's directories in these hierarchies.
    fn add_all<'a>(
        &mut self,
        hierarchies: impl Iterator<Item = (HierarchyKind, &'a Hierarchy)>,
        path: &CgroupsPath,
    ) -> Result<()> {
        for (place, hierarchy) in hierarchies {
            match path.below_mount(hierarchy, place) {
                Ok(path) => self.add(Member::new(hierarchy, place, path))?,
                // Out of sight is out of reach: a user who may do without does.
                Err(_) if self.lenient => self.denied.extend(hierarchy.controllers.iter().cloned()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Writes to it.
    fn complete(&mut self, unfinished: Unfinished, request: &Request<'_>) -> Result<()> {
        let Unfinished { places, devices, has_subgroup, .. } = unfinished;
        // Nothing is written before it is known that nobody else lives here.
        self.check_vacant()?;
        if has_subgroup {
            self.move_holder()?;
        }
        self.fill_cpuset(request.resources)?;
        match &devices {
            Some(devices) if !self.lenient || self.has_devices() => self.set_devices(devices)?,
            _ => {}
        }
        let obstacles = self.enable_controllers(request.resources, &places)?;
        self.set(request.resources, &places, &obstacles)?;
        self.make_delegated()
    }

    /// The record of a cgroup that [`create`](Self::create) is about to make: what a caller writes down first, so that
    /// nothing is lost when it ends in between. Removal takes of it what is there.
    ///
    /// # Errors
    ///
    /// For a path that is none.
    pub fn record_before(
        layout: &Layout,
        request: &Request<'_>,
        unit: Option<&PlannedUnit>,
    ) -> Result<CgroupRecord> {
        let path = cgroup_path(request, unit)?;
        let mut record = CgroupRecord { unit: unit.map(PlannedUnit::record), ..CgroupRecord::default() };
        record.driver = driver(record.unit.is_some());
        record.lenient = request.is_lenient() && unit.is_none();
        record.delegated = delegated::parse(layout, request)?;
        for (place, hierarchy) in path::places(layout) {
            match path.below_mount(hierarchy, place) {
                Ok(path) => record.members.push(Member::new(hierarchy, place, path).record()),
                Err(_) if record.lenient => (),
                Err(error) => return Err(error),
            }
        }
        Ok(record)
    }

    /// The cgroup of a container that an earlier process created. Looks nothing up yet.
    pub fn open(record: &CgroupRecord) -> Self {
        Self {
            members: record.members.iter().map(Member::from_record).collect(),
            denied: record.denied.clone(),
            lenient: record.lenient,
            unit: record.unit.as_ref().map(Unit::open),
            unsettled: Vec::new(),
            delegated: record.delegated.clone(),
            remove_on_drop: false,
            unfinished: None,
        }
    }

    /// Leaves out cgroups that this user may not enter, where it may do without them: an engine that was killed has
    /// written down where it was about to make its own, and somebody else's of that name may be there.
    pub fn forget_foreign(&mut self) {
        let members = core::mem::take(&mut self.members);
        let is_foreign = |member: &Member| member.check_entry().is_err_and(|error| self.may_ignore(&error));
        self.members = members.into_iter().filter(|member| !is_foreign(member)).collect();
    }

    /// Leaves out what somebody lives in, of a cgroup of which it was not yet known whether it is somebody else's: nobody of
    /// ours can be in it, but for the first process of a unit, which ends with its engine and the unit with it, and for the
    /// container's, which was born beside version 1 hierarchies while they were made, and ends with the engine too.
    pub fn forget_inhabited(&mut self) {
        let unit = self.unit.as_ref().map(|unit| unit.record().name.clone());
        let is_vacant = |member: &Member| {
            let processes = match &unit {
                Some(name) => member.of_unit(name).processes(),
                None => member.processes(),
            };
            processes.is_ok_and(|pids| pids.is_empty())
        };
        // Whoever else lives there lives in the other hierarchies too.
        let is_born = |members: &[Member]| {
            let (born, joined): (Vec<_>, Vec<_>) = members.iter().partition(|member| member.version_2);
            let is_inhabited = |member: &&Member| !is_vacant(member);
            !joined.is_empty() && !joined.iter().any(is_inhabited) && born.iter().any(is_inhabited)
        };
        let mut backoff = Backoff::for_removal();
        while is_born(&self.members) && backoff.wait() {}
        let known = self.members.len();
        self.members.retain(is_vacant);
        if self.members.len() < known {
            self.unit = None;
        }
    }

    /// Sees to it that a process of ours can be born in the cgroup of a unit. Below the user's own systemd that takes to be
    /// there too: whoever comes from elsewhere, as from a session of ssh, goes on in a scope of its own.
    ///
    /// # Errors
    ///
    /// [`Error::NoSystemd`] and [`Error::Systemd`].
    pub fn come_within_reach(&self, layout: &Layout) -> Result<()> {
        match (&self.unit, self.path_of("")) {
            (Some(unit), Some(cgroup)) => unit.come_within_reach(layout, cgroup),
            _ => Ok(()),
        }
    }

    /// What state.json keeps.
    pub fn record(&self) -> CgroupRecord {
        CgroupRecord {
            driver: driver(self.unit.is_some()),
            unit: self.unit.as_ref().map(|unit| unit.record().clone()),
            lenient: self.lenient,
            denied: self.denied.clone(),
            delegated: self.delegated.clone(),
            members: self.members.iter().map(Member::record).collect(),
        }
    }

    /// The container's process `pid` is in the cgroup, and in its cgroup namespace: nobody else of ours needs to be, the
    /// limits hold as they were asked for, and it goes to the cgroup below that it was promised.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] and [`Error::Refused`].
    pub fn settle(&mut self, pid: i32) -> Result<()> {
        self.enter_delegated(pid)?;
        if let Some(unit) = &mut self.unit {
            unit.release_holder();
        }
        let unsettled = core::mem::take(&mut self.unsettled);
        apply::apply_writes(self, &unsettled)?;
        self.enable_delegated()
    }

    /// The cgroup outlives this value.
    pub fn keep(&mut self) {
        self.remove_on_drop = false;
    }

    /// Is there no hierarchy in which the container has a cgroup? Rootless containers often have none.
    pub fn is_none(&self) -> bool {
        self.members.is_empty()
    }

    /// Can the container's devices be limited by a cgroup of its own?
    pub fn has_devices(&self) -> bool {
        self.member("devices").or_else(|| self.member("")).is_some_and(|member| {
            // Beside version 1 hierarchies the unified one is for bookkeeping.
            member.alone || !member.version_2
        })
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
        let v1 = self.members.iter().filter(|member| !member.version_2);
        self.open_members(v1, &[]).map(|join| join.tasks)
    }

    /// The unified hierarchy's directory for CLONE_INTO_CGROUP.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn unified_dir(&self) -> Result<Option<OwnedFd>> {
        let unified = self.members.iter().filter(|member| member.version_2);
        self.open_members(unified, &[]).map(|join| join.unified)
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
        self.open_members(self.members.iter(), subs)
    }

    fn open_members<'a>(
        &self,
        members: impl Iterator<Item = &'a Member>,
        subs: &[SubCgroup],
    ) -> Result<Join> {
        let mut join = Join::default();
        for member in members {
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

    /// What these limits ask for that the host has no setting for, in sentences for the log.
    pub fn ignored(&self, resources: &Resources<'_>) -> Vec<String> {
        match self.members.iter().any(|member| member.alone) {
            true => plan::ignored(resources),
            false => Vec::new(),
        }
    }

    /// Changes the limits of a running container, all of them or none. Device rules stay as they are, as with runc's
    /// update.
    ///
    /// # Errors
    ///
    /// As [`Cgroup::create`]; what was set before the refused setting is as it was.
    pub fn update(&self, resources: &Resources<'_>) -> Result<()> {
        let writes = self.plan_set(resources, &self.places(), &[])?;
        apply::apply_all_or_none(self, &writes)?;
        let Some(unit) = &self.unit else { return Ok(()) };
        // Then systemd, so that it is told of nothing that the kernel refused; it writes a quota in whole hundredths of a
        // processor, and so they are written once more.
        unit.set(&writes)?;
        apply::apply_writes(self, &writes)
    }

    pub(crate) fn member(&self, controller: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.answers_to(controller))
    }

    /// Makes one hierarchy's directories, and puts it on the list, or among the denied.
    fn add(&mut self, mut member: Member) -> Result<()> {
        let made = member.make().and_then(|()| match self.lenient && member.made == 0 {
            // One that was there may be somebody else's who gave it the same name.
            true => member.check_entry(),
            false => Ok(()),
        });
        match made {
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

    fn set_devices(&self, devices: &DevicePolicy) -> Result<()> {
        let name = match devices {
            DevicePolicy::Rules(_) => "devices",
            DevicePolicy::Program(_) => "",
        };
        let member = self
            .member(name)
            .ok_or_else(|| Error::NoController("linux.resources.devices".into(), "devices".into()))?;
        match devices {
            DevicePolicy::Rules(rules) => apply::apply_devices(member, rules),
            DevicePolicy::Program(program) => device_program::attach(member, program),
        }
    }

    /// On a host with version 2 alone all controllers, as runc does: they count even where nothing is limited. Beside
    /// version 1 hierarchies only those that a limit needs.
    fn enable_controllers(&mut self, resources: &Resources<'_>, places: &Places) -> Result<Vec<Obstacle>> {
        let Some(unified) = self.members.iter_mut().find(|member| member.version_2) else {
            return Ok(Vec::new());
        };
        let needed = || plan::v2_controllers(resources, places);
        match unified.alone {
            true => controllers::enable_all(unified, needed),
            false => controllers::enable(unified, &needed(), &[]),
        }
    }

    /// Sets the limits of a new cgroup.
    fn set(&mut self, resources: &Resources<'_>, places: &Places, obstacles: &[Obstacle]) -> Result<()> {
        let mut writes = self.plan_set(resources, places, obstacles)?;
        if self.unit.as_ref().and_then(Unit::holder).is_some() {
            // The scope's first process counts too, until the container's is born beside it.
            let limits = |write: &&mut Write| write.file == "pids.max";
            for write in writes.iter_mut().filter(limits) {
                self.unsettled.push(write.clone());
                if let Ok(limit) = write.value.parse::<u64>() {
                    write.value = limit.saturating_add(1).to_string();
                }
            }
        }
        apply::apply_writes(self, &writes)
    }

    /// The writes for these limits, in runc's order, each to a controller that is there.
    fn plan_set(
        &self,
        resources: &Resources<'_>,
        places: &Places,
        obstacles: &[Obstacle],
    ) -> Result<Vec<Write>> {
        let now = apply::read_now(self, resources)?;
        let writes = plan::plan_writes(resources, places, &now)?;
        if let Some(unified) = self.member("") {
            let in_unified = |write: &&Write| {
                unified.alone || self.member(write.controller).is_some_and(|member| member.version_2)
            };
            for write in writes.iter().filter(in_unified) {
                controllers::check(unified, write, obstacles)?;
            }
        }
        Ok(writes)
    }

    /// Into the cgroup below the unit's: one that has controllers for those below may not hold processes.
    fn move_holder(&self) -> Result<()> {
        let holder = self.unit.as_ref().and_then(Unit::holder);
        let (Some(holder), Some(unified)) = (holder, self.member("")) else { return Ok(()) };
        let moved = unified.dir()?.write("cgroup.procs", &holder.as_raw_nonzero().to_string());
        moved.map_err(|errno| unified.failed("write", "cgroup.procs", errno))
    }

    /// A cgroup that was there before must be empty and thawed: two containers in one would kill each other's
    /// processes at the end, and one started frozen would hang. Where it is for bookkeeping alone, it is done without.
    fn check_vacant(&mut self) -> Result<()> {
        let holder = self.unit.as_ref().and_then(Unit::holder).map(|pid| pid.as_raw_nonzero().get());
        let count =
            |member: &Member| Ok(member.processes()?.into_iter().filter(|pid| Some(*pid) != holder).count());
        let is_old = |member: &Member| member.made == 0 && !member.vacant;
        let is_others =
            |member: &mut Member| is_old(member) && member.is_optional() && !matches!(count(member), Ok(0));
        let others = self.members.extract_if(.., is_others);
        self.denied.extend(others.flat_map(|member| member.controllers));
        for member in self.members.iter().filter(|member| is_old(member) && !member.is_optional()) {
            match count(member)? {
                0 => {}
                count => return Err(Error::NotEmpty(count)),
            }
            if (member.alone || member.answers_to("freezer")) && self.is_frozen()? {
                return Err(Error::Frozen(member.path_for_message_only()));
            }
        }
        self.members.iter_mut().for_each(|member| member.vacant = true);
        Ok(())
    }

    fn places(&self) -> Places {
        let known = self.members.iter().map(|member| (member.version_2, member.controllers.as_slice()));
        let alone = self.members.iter().find(|member| member.alone).map(|member| member.path.clone());
        Places::from_members(known, &self.denied, alone)
    }

    fn may_ignore(&self, error: &Error) -> bool {
        self.lenient && matches!(error, Error::Io { errno: Errno::ACCESS | Errno::PERM | Errno::ROFS, .. })
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        if self.remove_on_drop {
            if let Some(unit) = &mut self.unit {
                // Ignored: the error that led here is the one to report.
                let _ = unit.stop();
            }
            for member in &mut self.members {
                // Ignored: the error that led here is the one to report.
                let _ = member.remove_made(&mut Backoff::for_removal());
            }
        }
    }
}

fn cgroup_path(request: &Request<'_>, unit: Option<&PlannedUnit>) -> Result<CgroupsPath> {
    match unit {
        Some(unit) => Ok(CgroupsPath::Absolute(unit.path())),
        None => CgroupsPath::parse(request.cgroups_path, request.id),
    }
}

fn driver(has_unit: bool) -> Driver {
    if has_unit { Driver::Systemd } else { Driver::Cgroupfs }
}

fn device_properties(request: &Request<'_>, version_2: bool) -> Vec<(String, crate::dbus::Value)> {
    // Rules that version 1 cannot have are none that systemd can be told.
    let rules = devices::device_rules(request.resources, request.device_paths).ok();
    systemd::device_properties(rules.as_ref(), version_2)
}

/// Refuses hosts on which a container would run without the limits and the device rules it must have.
fn check_layout(layout: &Layout, privilege: Privilege) -> Result<()> {
    match layout {
        Layout::None if !matches!(privilege, Privilege::Rootless | Privilege::Tolerant) => {
            Err(Error::Layout(
                "cgroup: no cgroup file system is mounted\nhint: mount cgroup2 on /sys/fs/cgroup, or do without: --rootless true",
            ))
        }
        Layout::V1 { hierarchies }
            if privilege == Privilege::Full
                && !hierarchies.iter().any(|hierarchy| hierarchy.has("devices")) =>
        {
            // Without it the container could open every device whose node it can make.
            Err(Error::NoController("linux.resources.devices".into(), "devices".into()))
        }
        _ => Ok(()),
    }
}
