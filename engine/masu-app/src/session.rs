//! What all commands of one call have.

use core::ffi::CStr;

use masu_cli::{CGROUP_MANAGER, Matches, SYSTEMD_CGROUP};
use masu_runtime::{CgroupDriver, Store, Trace, Work};

use crate::{failure::Result, log::Log, root::Root};

/// The environment of the engine: `NAME=value` strings.
#[derive(Debug, Clone, Copy)]
pub struct Environment<'a>(pub &'a [&'static CStr]);

impl Environment<'_> {
    /// The value of a variable; `None` too for one that is not valid UTF-8.
    pub(crate) fn variable(self, name: &str) -> Option<&'static str> {
        self.0.iter().find_map(|entry| entry.to_str().ok()?.strip_prefix(name)?.strip_prefix('='))
    }
}

/// Who makes cgroups, by `--systemd-cgroup` and `--cgroup-manager`.
#[must_use]
pub fn cgroup_driver<'a>(global: &Matches<'_>, env: Environment<'a>) -> CgroupDriver<'a> {
    let variable = |name| env.variable(name).filter(|value| !value.is_empty());
    match global.value(&CGROUP_MANAGER) {
        Some("disabled") if !global.flag(&SYSTEMD_CGROUP) => CgroupDriver::Disabled,
        Some("cgroupfs") | None if !global.flag(&SYSTEMD_CGROUP) => CgroupDriver::Cgroupfs,
        _ => CgroupDriver::Systemd {
            runtime_dir: variable("XDG_RUNTIME_DIR"),
            session_bus: variable("DBUS_SESSION_BUS_ADDRESS"),
        },
    }
}

/// One call of the engine.
pub(crate) struct Session<'a> {
    /// The global options.
    pub(crate) global: Matches<'a>,
    pub(crate) root: Root,
    pub(crate) store: Store,
    pub(crate) env: Environment<'a>,
    pub(crate) log: &'a Log,
    /// The program that enters containers.
    pub(crate) init_image: &'static [u8],
    /// What this call spends its time on.
    pub(crate) trace: Trace,
}

impl<'a> Session<'a> {
    pub(crate) fn new(
        global: Matches<'a>,
        env: Environment<'a>,
        log: &'a Log,
        init_image: &'static [u8],
    ) -> Result<Self> {
        let root = Root::choose(&global, env)?;
        let store = Store::at(&root.path);
        Ok(Self { global, root, store, env, log, init_image, trace: open_trace(env) })
    }

    /// Does the work, and keeps for `masu trace` what it took.
    pub(crate) fn measure<T>(&self, work: Work, act: impl FnOnce() -> T) -> T {
        self.trace.measure(work, act)
    }
}

/// Goes to the file that `masu trace` has named.
#[cfg(feature = "trace")]
fn open_trace(env: Environment<'_>) -> Trace {
    env.variable("MASU_TRACE").map(Trace::to_file).unwrap_or_default()
}

#[cfg(not(feature = "trace"))]
fn open_trace(_: Environment<'_>) -> Trace {
    Trace::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_found_by_its_whole_name() {
        let env = Environment(&[c"AB=1", c"A=x=y", c"A=later", c"BAD=\xff", c"NONE"]);
        for (name, value) in
            [("A", Some("x=y")), ("AB", Some("1")), ("B", None), ("BAD", None), ("NONE", None)]
        {
            assert_eq!(env.variable(name), value, "{name}");
        }
    }
}
