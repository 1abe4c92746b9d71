//! From a container that waits to one that runs.
//!
//! ```text
//!   start: opens the fifo ─▶ writes a byte ─▶ [waits for its end, reads it] ─▶ [poststart hooks]
//!   init:    waits ┄┄┄┄┄┄┄┄┄▶ startContainer hooks ─▶ writes EXECUTES ─▶ execve: closes the fifo
//!                                      └─ or a frame: what failed
//! ```
//! What is in brackets happens only for a container with hooks at its start: then init keeps the fifo, through which
//! it waited, until the program runs.

use alloc::{format, string::String, vec::Vec};

use masu_program::{EXECUTES, FRAME_SIZE, Frame};
use masu_spec::{Status, parse_config};
use rustix::{
    event::{PollFd, PollFlags},
    fd::OwnedFd,
    fs::{AtFlags, FlockOperation, Mode, OFlags},
    io::Errno,
};

use crate::{
    delete,
    error::{Doing, Error, Result},
    hooks::{EngineHooks, Environment, HookOutputs, HookState},
    message,
    plan::plan_started,
    state::Container,
    store::{self, Store},
};

/// What `start` writes into the fifo.
const GO: u8 = 0;

/// Lets a created container's process begin. `environment` is that of hooks which have none.
///
/// # Errors
/// When it is not in the state for it; when a hook fails, and the container's process has then ended.
pub fn start(store: &Store, id: &str, environment: Environment<'_>) -> Result<()> {
    // Two starts at once: the second finds the fifo gone. After a delete it finds nothing.
    let container = Store::load_locked(id, store.lock(id)?).map_err(|(error, _)| error)?;
    match container.status()? {
        Status::Created => {}
        Status::Running => return Err(state_error("cannot start an already running container")),
        Status::Stopped | Status::Creating => {
            return Err(state_error("cannot start a container that has stopped"));
        }
        Status::Paused => return Err(state_error("cannot start a paused container")),
    }
    let Some(fifo) = container.open_fifo()? else {
        return Err(state_error("cannot start an already running container"));
    };
    let report = container.record.hooks_at_start.then(|| open_report(&container)).transpose()?;
    rustix::io::write(&fifo, &[GO]).doing(|| format!("start container {id:?}"))?;
    drop(fifo);
    rustix::fs::unlinkat(&container.directory.fd, store::FIFO, AtFlags::empty())
        .doing(|| "remove the start fifo".into())?;
    report.map_or(Ok(()), |report| follow(&container, &report, environment))
}

fn state_error(message: &str) -> Error {
    Error::State { message: message.into(), hint: None }
}

fn open_report(container: &Container) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(&container.directory.fd, store::FIFO, flags, Mode::empty())
        .doing(|| format!("listen to container {:?}", container.id))
}

/// Waits until the program runs, and runs the hooks that come then.
fn follow(container: &Container, report: &OwnedFd, environment: Environment<'_>) -> Result<()> {
    let json = container.read_config()?;
    let config = parse_config(&json)?;
    let said = read_to_end(report).doing(|| format!("hear from container {:?}", container.id))?;
    let said = said.strip_prefix(&[GO]).unwrap_or(&said);
    let frame = said.get(said.len().saturating_sub(FRAME_SIZE)..).and_then(<[u8]>::first_chunk);
    if let Some(Frame::Failed { step, part, errno, detail }) = frame.and_then(Frame::decode) {
        let plan = plan_started(&config, &container.id, &container.bundle)?;
        return Err(message::failed_step(&plan, step, part, errno, &detail));
    }
    if said.first() != Some(&EXECUTES) {
        let how = "it was killed before its program began".into();
        return Err(Error::Died { how, hint: None });
    }
    // A hook may call us: for the container, which runs, nothing is to be ordered any more.
    rustix::fs::flock(&container.directory.fd, FlockOperation::Unlock)
        .doing(|| "unlock the container".into())?;
    let annotations = &container.annotations;
    let state = HookState { id: &container.id, bundle: &container.bundle, annotations };
    let outputs = HookOutputs::find(|name| annotations.get(name).map(String::as_str));
    let hooks = EngineHooks { hooks: &config.hooks, state, environment, outputs };
    hooks.run_poststart(container.record.pid).inspect_err(|_| {
        // ignored: the hook's error is the one to report, and `delete --force` ends what is left.
        let _ = delete::end_processes(container);
    })
}

/// Waits until init, the fifo's last writer, has closed it, and reads what is in it then. Not before: our own byte stays
/// there for init's poll(2), which would miss it.
fn read_to_end(report: &OwnedFd) -> rustix::io::Result<Vec<u8>> {
    loop {
        // Without events only the hang-up is told.
        match rustix::event::poll(&mut [PollFd::new(report, PollFlags::empty())], None) {
            Err(Errno::INTR) => {}
            outcome => {
                outcome?;
                break;
            }
        }
    }
    let mut said = Vec::new();
    loop {
        let mut chunk = [0; FRAME_SIZE];
        match rustix::io::read(report, &mut chunk) {
            Ok(0) => return Ok(said),
            Ok(length) => said.extend_from_slice(chunk.get(..length).unwrap_or_default()),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}
