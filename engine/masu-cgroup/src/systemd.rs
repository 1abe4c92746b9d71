//! The systemd driver: the container's cgroup is that of a unit, which systemd makes, counts and removes.
//!
//! ```text
//! Unit::find   cgroupsPath ─▶ slice, name ─▶ the manager's own cgroup ─▶ the unit's           [the record is written]
//! Unit::start  holder ─▶ StartTransientUnit with it and all limits ─▶ JobRemoved "done"
//!              … the cgroup's files are written, and the container's process is born in it …
//! settle       the holder ends
//! stop         StopUnit ─▶ JobRemoved ─▶ ResetFailedUnit
//! ```
//! What fails in between drops the unit, which stops it. A caller that is killed takes the holder along, and systemd
//! removes a scope without processes by itself.

mod gvariant;
mod holder;
mod properties;
mod unit;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::RefCell;

use masu_spec::Str;
use masu_sys::errno::Described;
use rustix::fs::{Access, AtFlags, CWD};
use rustix::process::Pid;
use serde::{Deserialize, Serialize};

use crate::dbus::address::{Address, parse_addresses};
use crate::dbus::{Call, Connection, Failure, Value};
use crate::devices::DeviceRules;
use crate::error::{Error, Result};
use crate::layout::{Hierarchy, Layout};
use crate::path::normalize;
use crate::plan::Write;
use holder::Holder;
use properties::Property;
use unit::UnitName;

const DESTINATION: &str = "org.freedesktop.systemd1";
const OBJECT: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const UNIT_EXISTS: &str = "org.freedesktop.systemd1.UnitExists";
const NO_SUCH_UNIT: &str = "org.freedesktop.systemd1.NoSuchUnit";

/// crun's annotation: the name of a cgroup below the unit's, which gets the processes and the limits.
const SUBGROUP: &str = "run.oci.systemd.subgroup";

/// Which systemd is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instance<'a> {
    /// The system's.
    System,
    /// The caller's own.
    User {
        /// `XDG_RUNTIME_DIR`, which has its sockets.
        runtime_dir: Option<&'a str>,
        /// `DBUS_SESSION_BUS_ADDRESS`.
        session_bus: Option<&'a str>,
    },
}

impl Instance<'_> {
    /// Where it listens: its own socket first, which spares the bus, as systemctl(1) does.
    fn addresses(self) -> Vec<String> {
        match self {
            Self::System => Vec::from([
                "unix:path=/run/systemd/private".into(),
                "unix:path=/run/dbus/system_bus_socket".into(),
            ]),
            Self::User { runtime_dir, session_bus } => {
                let below = |socket: &str| runtime_dir.map(|dir| format!("unix:path={dir}/{socket}"));
                let bus = session_bus.map(String::from).or_else(|| below("bus"));
                below("systemd/private").into_iter().chain(bus).collect()
            }
        }
    }

    fn default_slice(self) -> &'static str {
        match self {
            Self::System => "system.slice",
            Self::User { .. } => "user.slice",
        }
    }
}

/// What state.json keeps of a unit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitRecord {
    /// Its name.
    pub name: String,
    /// Where its systemd listens: D-Bus addresses, in the order in which they are tried. A later caller may have
    /// another environment.
    pub addresses: Vec<String>,
}

/// A container's unit.
#[derive(Debug)]
pub(crate) struct Unit {
    record: UnitRecord,
    systemd: RefCell<Option<Systemd>>,
    holder: Option<Holder>,
}

/// A unit that is yet to be made.
#[derive(Debug)]
pub struct PlannedUnit {
    unit: Unit,
    name: UnitName,
    cgroup: String,
    id: String,
    annotated: Vec<Property>,
    /// Where the process goes, below the unit's cgroup; empty for the unit's own.
    subgroup: String,
}

impl PlannedUnit {
    /// Connects to systemd, and finds where the unit's cgroup will be. Nothing is made.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a path or an annotation, [`Error::NoSystemd`] and [`Error::Systemd`].
    pub fn find(
        instance: Instance<'_>,
        id: &str,
        cgroups_path: Option<&str>,
        annotations: &BTreeMap<Str<'_>, Str<'_>>,
    ) -> Result<Self> {
        let name = UnitName::parse(cgroups_path, id, instance.default_slice())?;
        let annotated = properties::annotated(annotations)?;
        let subgroup = subgroup(annotations)?;
        let addresses = instance.addresses();
        let mut systemd = Systemd::connect(&addresses)?;
        let above = match instance {
            Instance::System => String::new(),
            Instance::User { .. } => systemd.control_group()?,
        };
        let cgroup = normalize(&format!("{above}/{}", name.path()?));
        let record = UnitRecord { name: name.name.clone(), addresses };
        let unit = Unit { record, systemd: RefCell::new(Some(systemd)), holder: None };
        Ok(Self { unit, name, cgroup, id: id.into(), annotated, subgroup })
    }

    /// Sees to it that our processes can be born in the unit, as [`Cgroup::come_within_reach`](crate::Cgroup::come_within_reach)
    /// does for one that is there.
    ///
    /// # Errors
    ///
    /// [`Error::Systemd`].
    pub fn come_within_reach(&self, layout: &Layout) -> Result<()> {
        self.unit.come_within_reach(layout, &self.cgroup)
    }

    /// The cgroup that the process will be in, below the mount's root.
    pub(crate) fn path(&self) -> String {
        normalize(&format!("{}/{}", self.cgroup, self.subgroup))
    }

    pub(crate) fn has_subgroup(&self) -> bool {
        !self.subgroup.is_empty()
    }

    pub(crate) fn record(&self) -> UnitRecord {
        self.unit.record.clone()
    }

    /// Makes the unit, with a process of ours in it.
    ///
    /// # Errors
    ///
    /// [`Error::Systemd`]; nothing is left then.
    pub(crate) fn start(
        self,
        writes: &[Write],
        devices: Option<Vec<Property>>,
        version_2: bool,
    ) -> Result<Unit> {
        let mut unit = self.unit;
        let slice = Value::String(self.name.slice.clone());
        let mut properties = Vec::from([
            property("Description", Value::String(format!("masu container {}", self.id))),
            property("DefaultDependencies", Value::Bool(false)),
            // One that has failed goes by itself too, and its name is free again.
            property("CollectMode", Value::String("inactive-or-failed".into())),
        ]);
        if self.name.is_slice() {
            properties.push(property("Wants", Value::Array("s".into(), [slice].into())));
        } else {
            properties.push(property("Slice", slice));
            properties.push(property("Delegate", Value::Bool(true)));
            let failed =
                |errno| Error::Io { call: "clone3", path: "of the scope's first process".into(), errno };
            let holder = Holder::new().map_err(failed)?;
            properties.push(property("PIDs", pids([holder.pid()])));
            unit.holder = Some(holder);
        }
        let io = if version_2 { "IOAccounting" } else { "BlockIOAccounting" };
        for counter in ["MemoryAccounting", "CPUAccounting", "TasksAccounting", io] {
            properties.push(property(counter, Value::Bool(true)));
        }
        properties.extend(properties::limits(writes)?);
        properties.extend(devices.into_iter().flatten());
        properties.extend(self.annotated);
        unit.with(|systemd, name| systemd.start(name, properties))?;
        Ok(unit)
    }
}

impl Unit {
    /// The unit that an earlier process made. Connects when it is first needed.
    pub(crate) fn open(record: &UnitRecord) -> Self {
        Self { record: record.clone(), systemd: RefCell::new(None), holder: None }
    }

    pub(crate) fn record(&self) -> &UnitRecord {
        &self.record
    }

    /// The process that keeps the scope alive until the container's is there.
    pub(crate) fn holder(&self) -> Option<Pid> {
        self.holder.as_ref().map(Holder::pid)
    }

    /// The container's process is there.
    pub(crate) fn release_holder(&mut self) {
        self.holder = None;
    }

    /// Changes limits, until the next boot as all of a transient unit.
    ///
    /// # Errors
    ///
    /// [`Error::NoSystemd`] and [`Error::Systemd`].
    pub(crate) fn set(&self, writes: &[Write]) -> Result<()> {
        let properties = properties::limits(writes)?;
        if properties.is_empty() {
            return Ok(());
        }
        self.with(|systemd, name| systemd.set(name, properties))
    }

    /// Where the kernel would not let a process of ours be born in `cgroup`, moves us into a scope of our own, as
    /// `systemd-run --user --scope` does: below the user's systemd we have what it takes. The scope goes with us.
    ///
    /// # Errors
    ///
    /// [`Error::NoSystemd`] and [`Error::Systemd`].
    pub(crate) fn come_within_reach(&self, layout: &Layout, cgroup: &str) -> Result<()> {
        let Layout::Unified { unified } = layout else { return Ok(()) };
        if is_within_reach(unified, cgroup) {
            return Ok(());
        }
        let own = rustix::process::getpid();
        let name = format!("masu-engine-{}.scope", own.as_raw_nonzero());
        let properties = Vec::from([
            property("Description", Value::String("masu on its way to a container".into())),
            property("CollectMode", Value::String("inactive-or-failed".into())),
            property("PIDs", pids([own])),
        ]);
        self.with(|systemd, _| systemd.start(&name, properties)).map_err(|error| match error {
            Error::Systemd(action, why) => {
                let hint = format!(
                    "out of cgroup {:?} the user's systemd moves masu by way of the system's, which takes a message bus",
                    unified.own
                );
                Error::Systemd(action, format!("{why}\nhint: {hint}"))
            }
            error => error,
        })
    }

    /// Stops the unit, and waits until it is gone. One that is gone is right.
    ///
    /// # Errors
    ///
    /// [`Error::NoSystemd`] and [`Error::Systemd`].
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.release_holder();
        self.with(Systemd::stop)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Systemd, &str) -> Result<T>) -> Result<T> {
        let mut slot = self.systemd.borrow_mut();
        let systemd = match &mut *slot {
            Some(systemd) => systemd,
            None => slot.insert(Systemd::connect(&self.record.addresses)?),
        };
        act(systemd, &self.record.name)
    }
}

/// Whether the kernel lets a process of ours be born in a cgroup: it wants the right to write `cgroup.procs` of the one that
/// is above both (cgroups(7), "Cgroups delegation: moving processes").
fn is_within_reach(unified: &Hierarchy, cgroup: &str) -> bool {
    // Out of sight it is left to the kernel.
    let Some(own) = unified.own_below_mount() else { return true };
    let common = own.split('/').zip(cgroup.split('/')).take_while(|(own, other)| own == other);
    let above = common.fold(unified.mount_point.clone(), |above, (name, _)| match name {
        "" => above,
        name => format!("{above}/{name}"),
    });
    let procs = format!("{above}/cgroup.procs");
    rustix::fs::accessat(CWD, procs, Access::WRITE_OK, AtFlags::EACCESS).is_ok()
}

/// The device rules as properties.
pub(crate) fn device_properties(rules: Option<&DeviceRules>, version_2: bool) -> Vec<Property> {
    properties::devices(rules, version_2)
}

fn subgroup(annotations: &BTreeMap<Str<'_>, Str<'_>>) -> Result<String> {
    let Some((_, subgroup)) = annotations.iter().find(|(key, _)| **key == *SUBGROUP) else {
        return Ok(String::new());
    };
    if subgroup.contains(['/', '\0', '\n']) || subgroup.len() > 255 || matches!(&**subgroup, "." | "..") {
        let why = format!("{:?} is not the name of a cgroup", &**subgroup);
        return Err(Error::Invalid(format!("annotations[{SUBGROUP:?}]"), why));
    }
    Ok(subgroup.to_string())
}

fn property(name: &str, value: Value) -> Property {
    (name.into(), value)
}

fn pids<const N: usize>(pids: [Pid; N]) -> Value {
    let number = |pid: Pid| Value::Uint32(pid.as_raw_nonzero().get().unsigned_abs());
    Value::Array("u".into(), pids.map(number).to_vec())
}

/// A connection to a systemd, org.freedesktop.systemd1(5).
#[derive(Debug)]
struct Systemd {
    connection: Connection,
    /// Whether a message bus is between, to which systemd tells nothing before somebody asks for it.
    is_to_subscribe: bool,
}

impl Systemd {
    fn connect(addresses: &[String]) -> Result<Self> {
        let mut failures = String::new();
        let listed = addresses.iter().flat_map(|list| parse_addresses(list));
        for address in listed {
            match Self::connect_to(&address) {
                Ok(systemd) => return Ok(systemd),
                Err(failure) => {
                    let place = match &address {
                        Address::Path(place) | Address::Abstract(place) => place,
                    };
                    let separator = if failures.is_empty() { "" } else { "; " };
                    failures.push_str(&format!("{separator}{place}: {}", words(&failure)));
                }
            }
        }
        if failures.is_empty() {
            failures.push_str("neither XDG_RUNTIME_DIR nor DBUS_SESSION_BUS_ADDRESS is set");
        }
        Err(Error::NoSystemd(failures))
    }

    fn connect_to(address: &Address) -> core::result::Result<Self, Failure> {
        let is_private = matches!(address, Address::Path(path) if path.ends_with("/systemd/private"));
        let mut connection = Connection::open(address)?;
        if !is_private {
            let bus = Call {
                destination: "org.freedesktop.DBus",
                path: "/org/freedesktop/DBus",
                interface: "org.freedesktop.DBus",
                member: "Hello",
            };
            connection.call(&bus, &[])?;
            let rule =
                format!("type='signal',sender='{DESTINATION}',interface='{MANAGER}',member='JobRemoved'");
            connection.call(&Call { member: "AddMatch", ..bus }, &[Value::String(rule)])?;
        }
        Ok(Self { connection, is_to_subscribe: !is_private })
    }

    /// The cgroup of systemd itself, which those of its units are below.
    fn control_group(&mut self) -> Result<String> {
        let call = Call {
            destination: DESTINATION,
            path: OBJECT,
            interface: "org.freedesktop.DBus.Properties",
            member: "Get",
        };
        let arguments = [MANAGER, "ControlGroup"].map(|name| Value::String(name.into()));
        let answer = self.connection.call(&call, &arguments).map_err(failed("read its ControlGroup"))?;
        match answer.as_slice() {
            [Value::Variant(path)] => match &**path {
                Value::String(path) => Ok(path.clone()),
                _ => Err(unexpected("read its ControlGroup")),
            },
            _ => Err(unexpected("read its ControlGroup")),
        }
    }

    fn start(&mut self, unit: &str, properties: Vec<Property>) -> Result<()> {
        let action = format!("start unit {unit:?}");
        let auxiliary = Value::Array("(sa(sv))".into(), Vec::new());
        let arguments =
            [Value::String(unit.into()), Value::String("replace".into()), list(properties), auxiliary];
        let job = match self.job("StartTransientUnit", &arguments) {
            // It may be what is left of one that failed.
            Err(Failure::Refused { name, .. }) if name == UNIT_EXISTS => {
                self.reset_failed(unit)?;
                self.job("StartTransientUnit", &arguments)
            }
            outcome => outcome,
        };
        match job.map_err(failed(&action))?.as_str() {
            "done" => Ok(()),
            result => {
                self.reset_failed(unit)?;
                Err(Error::Systemd(action, format!("its job ended with {result:?}")))
            }
        }
    }

    fn stop(&mut self, unit: &str) -> Result<()> {
        let arguments = [unit, "replace"].map(|text| Value::String(text.into()));
        match self.job("StopUnit", &arguments) {
            Err(Failure::Refused { name, .. }) if name == NO_SUCH_UNIT => return Ok(()),
            outcome => outcome.map_err(failed(&format!("stop unit {unit:?}")))?,
        };
        self.reset_failed(unit)
    }

    fn set(&mut self, unit: &str, properties: Vec<Property>) -> Result<()> {
        let arguments = [Value::String(unit.into()), Value::Bool(true), list(properties)];
        let answer = self.connection.call(&manager("SetUnitProperties"), &arguments);
        answer.map(drop).map_err(failed(&format!("set properties of unit {unit:?}")))
    }

    /// Lets go of a unit that has failed. One that has not, or is gone, is right.
    fn reset_failed(&mut self, unit: &str) -> Result<()> {
        match self.connection.call(&manager("ResetFailedUnit"), &[Value::String(unit.into())]) {
            Ok(_) | Err(Failure::Refused { .. }) => Ok(()),
            Err(failure) => Err(failed(&format!("reset unit {unit:?}"))(failure)),
        }
    }

    /// Calls a method that starts a job, and waits for its end: `done`, `failed`, `timeout`, …
    fn job(&mut self, member: &str, arguments: &[Value]) -> core::result::Result<String, Failure> {
        if self.is_to_subscribe {
            self.connection.call(&manager("Subscribe"), &[])?;
            self.is_to_subscribe = false;
        }
        let answer = self.connection.call(&manager(member), arguments)?;
        let [Value::ObjectPath(job)] = answer.as_slice() else {
            return Err(Failure::Malformed("the answer is no job"));
        };
        self.connection.wait_for("JobRemoved", |body| match body {
            [_, Value::ObjectPath(removed), _, Value::String(result), ..] if removed == job => {
                Some(result.clone())
            }
            _ => None,
        })
    }
}

fn manager(member: &str) -> Call<'_> {
    Call { destination: DESTINATION, path: OBJECT, interface: MANAGER, member }
}

/// `a(sv)`
fn list(properties: Vec<Property>) -> Value {
    let pair =
        |(name, value): Property| Value::Struct([Value::String(name), Value::Variant(value.into())].into());
    Value::Array("(sv)".into(), properties.into_iter().map(pair).collect())
}

fn failed(action: &str) -> impl FnOnce(Failure) -> Error {
    move |failure| Error::Systemd(action.into(), words(&failure))
}

fn unexpected(action: &str) -> Error {
    Error::Systemd(action.into(), words(&Failure::Malformed("the answer is of another type")))
}

fn words(failure: &Failure) -> String {
    match failure {
        Failure::System(call, errno) => format!("{call}: {}", Described(*errno)),
        Failure::Malformed(why) => format!("it does not speak D-Bus: {why}"),
        Failure::Rejected(line) => format!("it refused the authentication: {line:?}"),
        Failure::Refused { name, text } if text.is_empty() => name.clone(),
        Failure::Refused { name, text } => format!("{text} ({name})"),
        Failure::Silent => "it did not answer in time".into(),
    }
}
