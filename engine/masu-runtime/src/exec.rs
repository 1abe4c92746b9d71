//! A further process in a running container.

use alloc::{ffi::CString, format, string::String, vec::Vec};

use masu_cgroup::{Join, SubCgroup};
use masu_spec::{
    KEEP_ORIGINAL_GROUPS, MemoryPolicy, Personality, Process, SECCOMP_FAIL_UNKNOWN, Seccomp, Status,
};
use rustix::fd::{AsFd, OwnedFd};

use crate::{
    acquire::{Held, acquire},
    console::{Console, Receiver},
    create::{Started, announce},
    descriptor_socket::PidfdReceivers,
    error::{Doing, Error, Result},
    files,
    hooks::{Environment, HookState},
    host::{Host, open_proc},
    id_programs::IdPrograms,
    intel_rdt,
    interrupt::Interrupt,
    lsm,
    plan::{ExecInput, Plan, StartGate, begin_exec, go_on_exec, is_staged},
    seccomp_agent::Agent,
    spawn::{self, Child, Engine, Spawn},
    state::{Container, not_running},
    trace::{Trace, Work},
};

/// What `exec` is told.
#[derive(Debug)]
pub struct ExecOptions<'a> {
    /// The process, complete.
    pub process: Process<'a>,
    /// The container's execution domain.
    pub personality: Option<Personality>,
    /// Where the container's memory comes from.
    pub memory_policy: Option<MemoryPolicy>,
    /// The container's filter for system calls.
    pub seccomp: Option<Seccomp<'a>>,
    /// Cgroups below the container's that it joins.
    pub sub_cgroups: &'a [SubCgroup],
    /// Who gets the terminal, if the process has one.
    pub console: Console<'a>,
    /// Where its pid is written.
    pub pid_file: Option<&'a str>,
    /// Whether a paused container is no obstacle.
    pub ignore_paused: bool,
    /// Descriptors after standard error that the process gets.
    pub preserve_fds: u32,
    /// Who gets a pidfd of the process.
    pub pidfd_socket: Option<&'a str>,
    /// The engine's own environment, which may name who decides about the process's system calls.
    pub environment: Environment<'a>,
    /// Where it is kept what takes how long.
    pub trace: &'a Trace,
}

/// Starts a process in a container.
///
/// # Errors
/// When the container does not run, or the process cannot be started; then nothing of it is left.
pub fn exec(container: &Container, options: &ExecOptions<'_>, init_image: &[u8]) -> Result<Started> {
    launch(container, options, init_image).map_err(|error| match container.status() {
        // It ended, or was deleted, on the way: whatever failed then, that is why.
        Ok(Status::Stopped) => stopped(),
        _ => error,
    })
}

fn stopped() -> Error {
    Error::State { message: "cannot exec in a stopped container".into(), hint: None }
}

fn launch(container: &Container, options: &ExecOptions<'_>, init_image: &[u8]) -> Result<Started> {
    lsm::check(&options.process, None)?;
    let paused = is_paused(container, options.ignore_paused)?;
    let mut console = options.console.receiver(options.process.terminal.is_some())?;
    // The annotation is about the container's first process.
    let receivers = PidfdReceivers::connect(options.pidfd_socket, None)?;
    let annotation = |name: &str| container.annotations.get(name).map(String::as_str);
    let agent = Agent::find(options.seccomp.as_ref(), annotation, options.environment)?;
    let process = container.open_process()?.ok_or_else(not_running)?;
    let (trace, affinity) = (options.trace, options.process.exec_cpu_affinity.as_ref());
    let begin = |unified: Option<&OwnedFd>| {
        let plan = begin_exec(container.namespaces(), affinity, unified.is_some())?;
        let begun = spawn::begin(&plan, unified, init_image, trace)?;
        Ok::<_, Error>((plan, begun))
    };
    // What is not born in the cgroup executes masu-init while we look for it. To reach the cgroup of a unit we may have to
    // go elsewhere first, and it has to come along.
    let is_early = is_staged(container.namespaces()) && container.record.cgroup.unit.is_none();
    let early = is_early.then(|| begin(None)).transpose()?;
    let proc = open_proc()?;
    let host = trace.measure(Work::ProbeHost, || Host::probe(&proc))?;
    let membership = || {
        let path = CString::new(format!("{}/cgroup", container.record.pid)).unwrap_or_default();
        let text = files::read_below(proc.as_fd(), &path).doing(|| format!("read /proc/{path:?}"))?;
        // After the read: what is alive now had that number all along.
        container.open_process()?.ok_or_else(not_running)?;
        Ok::<_, Error>((host.layout()?, text))
    };
    let join = trace.measure(Work::OpenCgroup, || {
        let cgroup = container.cgroup();
        if container.record.cgroup.unit.is_some() {
            cgroup.come_within_reach(host.layout()?)?;
        }
        cgroup.open_join_beside(options.sub_cgroups, membership)
    })?;
    let (mut plan, begun) = early.map_or_else(|| begin(join.unified.as_ref()), Ok)?;
    trace.measure(Work::Plan, || go_on(&mut plan, container, options, &host, &join))?;
    let mut held = Held { proc, join, process: Some(process), fifo: None };
    let descriptors = trace.measure(Work::Acquire, || acquire(&plan, &mut held))?;
    let Held { proc, .. } = held;
    // No user namespace is made here.
    let id_programs = &IdPrograms::default();
    let (gate, terminal) = (StartGate::Open, console.as_mut());
    let assembled = &|_| Ok(());
    let proc = &proc;
    let interrupt = paused.then(|| Interrupt::new(host.layout()?)).transpose()?;
    let listener = &|listener: OwnedFd, pid| {
        let (id, bundle, annotations) = (&container.id, &container.bundle, &container.annotations);
        let state = HookState { id, bundle, annotations }.with_pid(Status::Running, container.record.pid);
        agent.as_ref().map_or(Ok(()), |agent| agent.send(&listener, pid, &state))
    };
    let spawned =
        Spawn { plan: &plan, descriptors, proc, id_programs, gate, assembled, terminal, listener, trace };
    let pid_file = options.pid_file;
    let ready = |child: &Child| {
        intel_rdt::join(container, proc, child.pid())?;
        announce(child, pid_file, &receivers, "setns")
    };
    let mut child = Engine::start(begun, spawned, interrupt.as_ref())?.attend(ready)?;
    child.keep();
    let terminal = console.and_then(Receiver::into_lent);
    Ok(Started { child, terminal, warnings: plan.warnings, notify: None })
}

fn go_on(
    plan: &mut Plan,
    container: &Container,
    options: &ExecOptions<'_>,
    host: &Host,
    join: &Join,
) -> Result<()> {
    let hierarchies: Vec<String> = join.tasks.iter().map(|(name, _)| name.clone()).collect();
    let input = ExecInput {
        process: &options.process,
        personality: options.personality,
        memory_policy: options.memory_policy.as_ref(),
        seccomp: options.seccomp.as_ref(),
        keep_groups: container.annotations.contains_key(KEEP_ORIGINAL_GROUPS),
        only_known_calls: container.annotations.contains_key(SECCOMP_FAIL_UNKNOWN),
        host,
        namespaces: container.namespaces(),
        root: container.record.root,
        groups_forbidden: container.record.groups_forbidden,
        rootfs: &container.rootfs,
        hierarchies: &hierarchies,
        unified: join.unified.is_some(),
        keyring: container.record.keyring.then_some(container.id.as_str()),
        preserve_fds: options.preserve_fds,
    };
    go_on_exec(plan, &input)
}

/// Whether the container is paused; then a process that joins it waits for its resume.
fn is_paused(container: &Container, allowed: bool) -> Result<bool> {
    match container.status()? {
        Status::Stopped | Status::Creating => Err(stopped()),
        Status::Paused if !allowed => {
            let message = "cannot exec in a paused container (use --ignore-paused to override)".into();
            Err(Error::State { message, hint: None })
        }
        status => Ok(status == Status::Paused),
    }
}
