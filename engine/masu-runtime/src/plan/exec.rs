//! The plan of a further process in a running container.

use alloc::string::String;

use masu_program::{Barrier, CText, Entry, Identity, Namespaces, Step};
use masu_spec::{CpuAffinity, MemoryPolicy, Personality, Process, Seccomp};

use super::{Origin, Plan, Want, c_string, create, process, terminal};
use crate::{error::Result, host::Host};

/// What the plan of a further process is made from.
#[derive(Debug)]
pub struct ExecInput<'a> {
    /// The process.
    pub process: &'a Process<'a>,
    /// The machine.
    pub host: &'a Host,
    /// The kinds of namespaces that the container does not share with the host.
    pub namespaces: Namespaces,
    /// User and group that stand for root in the container's user namespace.
    pub root: (u32, u32),
    /// Whether setgroups(2) is forbidden in it.
    pub groups_forbidden: bool,
    /// The container's execution domain.
    pub personality: Option<Personality>,
    /// Where the container's memory comes from.
    pub memory_policy: Option<&'a MemoryPolicy>,
    /// The container's filter for system calls.
    pub seccomp: Option<&'a Seccomp<'a>>,
    /// Whether the process keeps the caller's groups.
    pub keep_groups: bool,
    /// Whether a system call in it that is unknown is an error.
    pub only_known_calls: bool,
    /// The container's root file system, for one without a mount namespace.
    pub rootfs: &'a str,
    /// The v1 hierarchies in which the process joins a cgroup, by the names of their mount points.
    pub hierarchies: &'a [String],
    /// Whether it joins one in the unified hierarchy.
    pub unified: bool,
    /// The container whose session keyring the process joins; `None` where it keeps the caller's.
    pub keyring: Option<&'a str>,
    /// Descriptors of the caller, after standard error, that the process gets.
    pub preserve_fds: u32,
}

/// Plans a further process.
///
/// The process that joins is the sealed init, and it joins the pid namespace first and alone: by the time that
/// anything inside can see it, it is a child that cannot be traced and whose executable is nobody's file.
///
/// # Errors
/// As for [`plan_create`](super::plan_create).
pub fn plan_exec(input: &ExecInput<'_>) -> Result<Plan> {
    let mut plan = begin_exec(input.namespaces, input.process.exec_cpu_affinity.as_ref(), input.unified)?;
    go_on_exec(&mut plan, input)?;
    Ok(plan)
}

/// Plans it up to the program. `unified` tells whether it joins a cgroup in the unified hierarchy.
pub(crate) fn begin_exec(
    namespaces: Namespaces,
    affinity: Option<&CpuAffinity>,
    unified: bool,
) -> Result<Plan> {
    let mut plan = Plan { into_cgroup: unified && !is_staged(namespaces), ..Plan::default() };
    plan.affinity = affinity.and_then(|affinity| affinity.initial.clone());
    plan.await_program()?;
    Ok(plan)
}

/// Whether the process is a child of the one that joins: a pid namespace counts for children only, setns(2).
pub(crate) fn is_staged(namespaces: Namespaces) -> bool {
    namespaces.contains(Namespaces::PID)
}

/// Plans the rest.
///
/// # Errors
/// As for [`plan_create`](super::plan_create).
pub(crate) fn go_on_exec(plan: &mut Plan, input: &ExecInput<'_>) -> Result<()> {
    plan.preserve_fds = input.preserve_fds;
    let user = input.namespaces.contains(Namespaces::USER);
    create::hold_proc(plan)?;
    let raised = user && input.host.is_privileged();
    process::plan_inherited(plan, input.process, raised)?;
    // A label is written by who opened the file for it, and so held on to behind the last fork.
    let labelled = process::has_label(input.process);
    if !labelled {
        plan.push(Origin::Engine, &Step::ReleaseProc)?;
    }
    plan.push(Origin::Engine, &Step::HideFromTracers)?;
    plan_namespaces(plan, input)?;
    if labelled {
        process::plan_hold_label(plan, input.process)?;
        plan.push(Origin::Engine, &Step::ReleaseProc)?;
    }
    plan_affinity(plan, input.process)?;
    // Inside the user namespace, which has the names of its own keyrings; before the user is another one.
    if let Some(id) = input.keyring {
        create::plan_keyring(plan, id, 0)?;
    }
    plan_root(plan, input)?;
    terminal::plan_take(plan, input.process)?;
    let available = process::available_capabilities(input.host, user);
    let groups_forbidden = input.groups_forbidden;
    let ExecInput { keep_groups, personality, memory_policy, seccomp, only_known_calls, .. } = *input;
    let confinement = process::Confinement {
        available,
        groups_forbidden,
        keep_groups,
        raised,
        personality,
        memory_policy,
        seccomp,
        only_known_calls,
    };
    process::plan_identity(plan, input.process, confinement)?;
    plan.push(Origin::Engine, &Step::Barrier(Barrier::Ready))?;
    process::plan_execute(plan, input.process, confinement)
}

/// Enters the root where no mount namespace has brought it along. `/dev/console` stays the terminal of the container's
/// first process.
fn plan_root(plan: &mut Plan, input: &ExecInput<'_>) -> Result<()> {
    let origin = Origin::Field("root.path");
    if !input.namespaces.contains(Namespaces::MOUNT) {
        let path = c_string(origin, input.rootfs)?;
        plan.push(origin, &Step::OpenRootDirectory { path: CText::new(&path) })?;
        terminal::plan_open(plan, input.process)?;
        return plan.push(origin, &Step::EnterRoot(Entry::Chroot));
    }
    if input.process.terminal.is_some() {
        plan.push(origin, &Step::OpenRootDirectory { path: CText::new(c"/") })?;
        terminal::plan_open(plan, input.process)?;
    }
    Ok(())
}

pub(super) fn plan_namespaces(plan: &mut Plan, input: &ExecInput<'_>) -> Result<()> {
    let origin = Origin::Field("linux.namespaces");
    let mut rest = input.namespaces;
    // An engine without privilege gets it from the user namespace, which it owns.
    if rest.contains(Namespaces::USER) && !input.host.is_privileged() {
        join(plan, Namespaces::USER)?;
        rest -= Namespaces::USER;
    }
    if is_staged(rest) {
        let cgroup = match input.unified {
            true => Some(plan.want(Origin::Field("linux.cgroupsPath"), Want::UnifiedCgroup)?),
            false => None,
        };
        join(plan, Namespaces::PID)?;
        rest -= Namespaces::PID;
        plan.push(origin, &Step::Fork { namespaces: Namespaces::empty(), cgroup })?;
    }
    create::plan_attach(plan, input.hierarchies)?;
    if !rest.is_empty() {
        join(plan, rest)?;
    }
    if input.namespaces.contains(Namespaces::USER) {
        let (uid, gid) = input.root;
        plan.push(origin, &Step::ChangeIdentity(Identity { uid, gid, groups: None }))?;
    }
    Ok(())
}

/// The CPUs from here on: those of `final`; the kernel's choice from those of `initial`; or all, whatever the caller has.
fn plan_affinity(plan: &mut Plan, process: &Process<'_>) -> Result<()> {
    match &process.exec_cpu_affinity {
        Some(CpuAffinity { last: Some(cpus), .. }) => {
            let cpus = Some(cpus.as_bytes());
            plan.push(Origin::Field("process.execCPUAffinity"), &Step::SetCpuAffinity { cpus })
        }
        Some(CpuAffinity { initial: Some(_), last: None }) => Ok(()),
        _ => plan.push(Origin::Engine, &Step::SetCpuAffinity { cpus: None }),
    }
}

fn join(plan: &mut Plan, namespaces: Namespaces) -> Result<()> {
    let origin = Origin::Field("linux.namespaces");
    let fd = plan.want(origin, Want::Process)?;
    plan.push(origin, &Step::JoinNamespaces { fd, namespaces })
}
