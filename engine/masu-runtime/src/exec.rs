//! A further process in a running container.

use alloc::{string::String, vec::Vec};

use masu_cgroup::SubCgroup;
use masu_spec::{Process, Status};

use crate::{
    acquire::{Held, acquire},
    create::{Started, write_pid_file},
    error::{Error, Result},
    host::{Host, open_proc},
    plan::{ExecInput, StartGate, plan_exec},
    spawn::{Spawn, spawn},
    state::{Container, not_running},
};

/// What `exec` is told.
#[derive(Debug)]
pub struct ExecOptions<'a> {
    /// The process, complete.
    pub process: Process<'a>,
    /// Cgroups below the container's that it joins.
    pub sub_cgroups: &'a [SubCgroup],
    /// Where its pid is written.
    pub pid_file: Option<&'a str>,
    /// Whether a paused container is no obstacle.
    pub ignore_paused: bool,
    /// Descriptors after standard error that the process gets.
    pub preserve_fds: u32,
}

/// Starts a process in a container.
///
/// # Errors
/// When the container does not run, or the process cannot be started; then nothing of it is left.
pub fn exec(container: &Container, options: &ExecOptions<'_>, init_image: &[u8]) -> Result<Started> {
    match container.status()? {
        Status::Stopped | Status::Creating => {
            let hint = None;
            return Err(Error::State { message: "cannot exec in a stopped container".into(), hint });
        }
        Status::Paused if !options.ignore_paused => {
            let message = "cannot exec in a paused container (use --ignore-paused to override)".into();
            return Err(Error::State { message, hint: None });
        }
        _ => {}
    }
    let process = container.open_process()?.ok_or_else(not_running)?;
    let proc = open_proc()?;
    let host = Host::probe(&proc)?;
    let join = container.cgroup().open_join(options.sub_cgroups)?;
    let hierarchies: Vec<String> = join.tasks.iter().map(|(name, _)| name.clone()).collect();
    let plan = plan_exec(&ExecInput {
        process: &options.process,
        host: &host,
        namespaces: container.namespaces(),
        root: container.record.root,
        groups_forbidden: container.record.groups_forbidden,
        rootfs: &container.rootfs,
        hierarchies: &hierarchies,
        unified: join.unified.is_some(),
        preserve_fds: options.preserve_fds,
    })?;
    let held = Held { proc, join, process: Some(process), fifo: None };
    let descriptors = acquire(&plan, &held)?;
    let Held { proc, .. } = held;
    let spawned = Spawn { plan: &plan, descriptors, proc: &proc, init_image, gate: StartGate::Open };
    let pid_file = options.pid_file;
    let mut child =
        spawn(spawned, |child| pid_file.map_or(Ok(()), |path| write_pid_file(path, child.pid())))?;
    child.keep();
    Ok(Started { child, warnings: plan.warnings })
}
