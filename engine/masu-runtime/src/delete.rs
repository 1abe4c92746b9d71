//! The end of a container: its processes, its cgroup, its directory, in this order.
//!
//! Whatever ends the engine on the way, what is left can be found again: the state goes last.

use alloc::format;

use masu_spec::Status;
use rustix::{
    event::{PollFd, PollFlags, Timespec},
    io::Errno,
    process::Signal,
};

use crate::{
    error::{Doing, Error, Result},
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

/// Removes a container.
///
/// # Errors
/// When it runs and is not to be forced, or when something of it cannot be removed.
pub fn delete(store: &Store, id: &str, mode: DeleteMode) -> Result<()> {
    let directory = match store.open(id) {
        Err(Error::NotFound { .. }) if mode == DeleteMode::Force => return Ok(()),
        outcome => outcome?,
    };
    // A create that is under way ends first.
    directory.lock()?;
    let container = match store.load(id) {
        Err(Error::Damaged { .. }) if mode == DeleteMode::Force => return store.remove(id, &directory),
        Err(Error::NotFound { .. }) if mode == DeleteMode::Force => return Ok(()),
        outcome => outcome?,
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
    container.cgroup().remove()?;
    store.remove(id, &directory)
}

fn end_processes(container: &Container) -> Result<()> {
    if let Some(process) = container.open_process()? {
        match masu_sys::process::pidfd_send_signal(rustix::fd::AsFd::as_fd(&process), 9) {
            Err(Errno::SRCH) => {}
            outcome => outcome.doing(|| format!("kill container {:?}", container.id))?,
        }
        if container.is_frozen() {
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
