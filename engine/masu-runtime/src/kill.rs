//! Signals for a container.

use rustix::process::Signal;

use crate::{
    error::Result,
    state::{Container, not_running, signal},
};

const SIGKILL: i32 = 9;

/// Sends a signal to the container's first process.
///
/// SIGKILL ends all of its processes: where they are in a pid namespace of their own the kernel sees to that,
/// pid_namespaces(7), and otherwise everything in the cgroup gets it. What is frozen is thawed, or it would
/// not die.
pub(crate) fn kill(container: &Container, number: i32) -> Result<()> {
    let process = container.open_process()?;
    if number == SIGKILL && !container.record.own_pid_namespace {
        let cgroup = container.cgroup();
        if !cgroup.is_none() && (process.is_some() || !cgroup.processes()?.is_empty()) {
            return Ok(cgroup.kill_all(Signal::KILL)?);
        }
    }
    signal(&process.ok_or_else(not_running)?, number)?;
    if number == SIGKILL
        && container.cgroup().is_frozen()?
        && let Err(error) = container.cgroup().thaw()
        && container.open_process()?.is_some()
    {
        return Err(error.into());
    }
    Ok(())
}
