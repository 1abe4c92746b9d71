//! The end of a container: its processes, its cgroup, its directory, in this order.
//!
//! Whatever ends the engine on the way, what is left can be found again: the state goes last.

use alloc::{format, string::String, vec::Vec};

use masu_spec::{Status, parse_config};
use rustix::{
    event::{PollFd, PollFlags, Timespec},
    io::Errno,
    process::Signal,
};

use crate::{
    error::{Doing, Error, Result},
    hooks::{EngineHooks, Environment, HookOutputs, HookState},
    host::open_proc,
    intel_rdt,
    state::Container,
    store::Store,
};

/// How long a killed process may take to end, in seconds.
const PATIENCE: i64 = 10;

/// Which containers may be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeleteMode {
    /// One that does not run.
    Stopped,
    /// Any, and what is left of one.
    Force,
}

/// Removes a container, and runs its `poststop` hooks: what they do wrong are warnings, which are returned.
/// `environment` is that of hooks which have none.
///
/// # Errors
/// When it runs and is not to be forced, or when something of it cannot be removed.
pub fn delete(
    store: &Store,
    id: &str,
    mode: DeleteMode,
    environment: Environment<'_>,
) -> Result<Vec<String>> {
    // A create that is under way ends first.
    let directory = match store.lock(id) {
        Err(Error::NotFound { .. }) if mode == DeleteMode::Force => return Ok(Vec::new()),
        outcome => outcome?,
    };
    let container = match Store::load_locked(id, directory) {
        Err((Error::Damaged { .. }, directory)) if mode == DeleteMode::Force => {
            return store.remove(id, &directory).map(|()| Vec::new());
        }
        outcome => outcome.map_err(|(error, _)| error)?,
    };
    let status = container.status()?;
    match (status, mode) {
        (Status::Stopped | Status::Creating | Status::Created, _) | (_, DeleteMode::Force) => {}
        (Status::Running | Status::Paused, DeleteMode::Stopped) => {
            return Err(Error::State {
                message: format!("cannot delete container {id} that is not stopped: {status}"),
                hint: Some(format!("masu kill {id} KILL, or masu delete --force {id}")),
            });
        }
    }
    end_processes(&container)?;
    remove_cgroup(&container)?;
    // A class is made when the cgroup is there.
    if container.record.intel_rdt.is_some() && !container.record.is_claim {
        intel_rdt::remove(&container, &open_proc()?)?;
    }
    // Before the copy of it goes; the bundle's may have changed since.
    let json = container.record.hooks_at_end.then(|| container.read_config());
    store.remove(id, &container.directory)?;
    Ok(json.map_or_else(Vec::new, |json| run_poststop(&container, json, environment)))
}

/// Runs the hooks of a container that is gone.
fn run_poststop(container: &Container, json: Result<Vec<u8>>, environment: Environment<'_>) -> Vec<String> {
    let json = match json {
        Ok(json) => json,
        Err(error) => return alloc::vec![format!("hooks.poststop: {error}")],
    };
    match parse_config(&json) {
        Ok(config) => {
            let annotations = &container.annotations;
            let state = HookState { id: &container.id, bundle: &container.bundle, annotations };
            let outputs = HookOutputs::find(|name| annotations.get(name).map(String::as_str));
            EngineHooks { hooks: &config.hooks, state, environment, outputs }.run_poststop()
        }
        Err(error) => alloc::vec![format!("hooks.poststop: {error}")],
    }
}

pub(crate) fn end_processes(container: &Container) -> Result<()> {
    if let Some(process) = container.open_process()? {
        match masu_sys::process::pidfd_send_signal(rustix::fd::AsFd::as_fd(&process), 9) {
            Err(Errno::SRCH) => {}
            outcome => outcome.doing(|| format!("kill container {:?}", container.id))?,
        }
        if container.cgroup().is_frozen()? {
            container.cgroup().thaw()?;
        }
        wait_for_end(&process)?;
    }
    let cgroup = container.cgroup();
    // Whoever shares our pid namespace outlives the first process, and so does an init whose engine died.
    if !cgroup.is_none() && !cgroup.processes()?.is_empty() {
        cgroup.kill_all(Signal::KILL)?;
    }
    Ok(())
}

/// Removes the cgroup. An `exec` that was on its way in may have entered it since its processes were ended.
fn remove_cgroup(container: &Container) -> Result<()> {
    let mut cgroup = container.cgroup();
    match cgroup.remove() {
        Err(masu_cgroup::Error::Busy { .. }) => {
            cgroup.kill_all(Signal::KILL)?;
            Ok(cgroup.remove()?)
        }
        outcome => Ok(outcome?),
    }
}

fn wait_for_end(process: &rustix::fd::OwnedFd) -> Result<()> {
    let patience = Timespec { tv_sec: PATIENCE, tv_nsec: 0 };
    loop {
        // A pidfd is readable when its process has ended, Linux 5.3.
        match rustix::event::poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&patience)) {
            Err(Errno::INTR) => {}
            Ok(0) => {
                let message = format!("the container's process does not end within {PATIENCE} seconds");
                return Err(Error::State {
                    message,
                    hint: Some("it may wait for a device; try again".into()),
                });
            }
            outcome => return outcome.map(drop).doing(|| "wait for the process".into()),
        }
    }
}
