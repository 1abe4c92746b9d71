//! The container's class of service and monitoring group, `linux.intelRdt`.

use alloc::{format, string::String};
use core::cell::Cell;

use masu_resctrl::{Group, Resctrl, Stats};
use masu_spec::{Config, IntelRdt};
use rustix::fd::{AsFd, OwnedFd};
use serde::{Deserialize, Serialize};

use crate::{
    error::{Doing, Error, Result},
    files,
    host::open_proc,
    state::Container,
};

/// What the state remembers: where the container's class is, and what of it is the container's alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RdtRecord {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    clos_id: Option<String>,
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    monitoring: bool,
}

impl RdtRecord {
    pub(crate) fn of(config: &Config<'_>) -> Option<Self> {
        let rdt = config.linux.intel_rdt.as_ref()?;
        let clos_id = rdt.clos_id.as_ref().map(|name| name.as_str().into());
        Some(Self { clos_id, monitoring: rdt.enable_monitoring })
    }

    fn as_request(&self) -> IntelRdt<'_> {
        let clos_id = self.clos_id.as_deref().map(Into::into);
        IntelRdt { clos_id, enable_monitoring: self.monitoring, ..IntelRdt::default() }
    }
}

/// The class of a container in the making; what was made of it goes again, unless it is kept. Nothing without the field.
pub(crate) struct Class<'a>(Option<Made<'a>>);

struct Made<'a> {
    root: Resctrl,
    class: Group,
    rdt: &'a IntelRdt<'a>,
    id: &'a str,
    /// Whether the monitoring group is ours to remove.
    monitored: Cell<bool>,
    kept: Cell<bool>,
}

impl<'a> Class<'a> {
    /// Finds or makes the class.
    pub(crate) fn make(config: &'a Config<'a>, id: &'a str, proc: &OwnedFd) -> Result<Self> {
        let Some(rdt) = &config.linux.intel_rdt else { return Ok(Self(None)) };
        let root = open(proc)?;
        let class = root.begin(rdt, id).and_then(masu_resctrl::Begun::finish).map_err(failed)?;
        Ok(Self(Some(Made { root, class, rdt, id, monitored: Cell::new(false), kept: Cell::new(false) })))
    }

    /// Moves the process there while it has one thread, and waits for us: all that it becomes or makes follows.
    pub(crate) fn join(&self, pid: i32) -> Result<()> {
        let Some(made) = &self.0 else { return Ok(()) };
        made.class.join(pid).map_err(failed)?;
        if made.rdt.enable_monitoring {
            let group = made.class.make_monitor(made.id).map_err(failed)?;
            made.monitored.set(true);
            group.join(pid).map_err(failed)?;
        }
        Ok(())
    }

    pub(crate) fn keep(&self) {
        if let Some(made) = &self.0 {
            made.kept.set(true);
        }
    }
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        if !self.kept.get() {
            let own = self.rdt.clos_id.is_none() || self.monitored.get();
            // ignored: the error that led here is the one to report.
            let _ = if own { self.root.remove_of(self.rdt, self.id) } else { Ok(()) };
        }
    }
}

/// Moves a further process to where the container's are.
pub(crate) fn join(container: &Container, proc: &OwnedFd, pid: i32) -> Result<()> {
    let Some(record) = &container.record.intel_rdt else { return Ok(()) };
    let class = open(proc)?.open(&record.as_request(), &container.id).map_err(failed)?;
    class.join(pid).map_err(failed)?;
    if record.monitoring {
        class.open_monitor(&container.id).and_then(|group| group.join(pid)).map_err(failed)?;
    }
    Ok(())
}

/// A class with other shares than before, if it has.
pub(crate) struct Changed(Option<(Group, String)>);

impl Changed {
    pub(crate) fn take_back(self) {
        if let Some((class, before)) = self.0 {
            // ignored: the error that led here is the one to report.
            let _ = class.write_schemata(&[before]);
        }
    }
}

/// Gives the container's class other shares, if any are given.
pub(crate) fn change(container: &Container, shares: &IntelRdt<'_>) -> Result<Changed> {
    if *shares == IntelRdt::default() {
        return Ok(Changed(None));
    }
    let field = || String::from("linux.intelRdt");
    let Some(record) = &container.record.intel_rdt else {
        let reason = "the container has no class whose shares could change".into();
        let hint = Some("a container has the class that it was created with".into());
        return Err(Error::Unsupported { field: field(), reason, hint });
    };
    if record.clos_id.as_deref() == Some("/") {
        let reason = "the container is in the default class, whose shares are the host's".into();
        return Err(Error::Unsupported { field: field(), reason, hint: None });
    }
    let root = open(&open_proc()?)?;
    let class = root.open(&record.as_request(), &container.id).map_err(failed)?;
    let before = root.change(&class, shares).map_err(failed)?;
    Ok(Changed(Some((class, before))))
}

/// What the container has used: its monitoring group, or else its class.
pub(crate) fn stats(container: &Container) -> Result<Stats> {
    let Some(record) = &container.record.intel_rdt else { return Ok(Stats::default()) };
    let root = open(&open_proc()?)?;
    let class = root.open(&record.as_request(), &container.id).map_err(failed)?;
    let group = record.monitoring.then(|| class.open_monitor(&container.id)).transpose().map_err(failed)?;
    root.stats(&class, group.as_ref().unwrap_or(&class)).map_err(failed)
}

/// Removes what is the container's alone.
pub(crate) fn remove(container: &Container, proc: &OwnedFd) -> Result<()> {
    let Some(record) = &container.record.intel_rdt else { return Ok(()) };
    match Resctrl::find(&mountinfo(proc)?) {
        // It was unmounted since, and took all groups with it.
        Err(masu_resctrl::Error::NotMounted) => Ok(()),
        root => root.and_then(|root| root.remove_of(&record.as_request(), &container.id)).map_err(failed),
    }
}

fn open(proc: &OwnedFd) -> Result<Resctrl> {
    Resctrl::find(&mountinfo(proc)?).map_err(failed)
}

fn mountinfo(proc: &OwnedFd) -> Result<String> {
    files::read_below(proc.as_fd(), c"self/mountinfo").doing(|| "read /proc/self/mountinfo".into())
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(error: masu_resctrl::Error) -> Error {
    let hint = error.hint().map(Into::into);
    Error::Unsupported { field: "linux.intelRdt".into(), reason: format!("{error}"), hint }
}
