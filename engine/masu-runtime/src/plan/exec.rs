//! The plan of a further process in a running container.

use alloc::string::String;

use masu_program::{Barrier, CText, Entry, Identity, Namespaces, Step};
use masu_spec::Process;

use super::{Origin, Plan, Want, c_string, create, process};
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
    /// The container's root file system, for one without a mount namespace.
    pub rootfs: &'a str,
    /// The v1 hierarchies in which the process joins a cgroup, by the names of their mount points.
    pub hierarchies: &'a [String],
    /// Whether it joins one in the unified hierarchy.
    pub unified: bool,
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
    let mut plan = Plan { preserve_fds: input.preserve_fds, ..Plan::default() };
    let user = input.namespaces.contains(Namespaces::USER);
    create::hold_proc(&mut plan)?;
    process::plan_inherited(&mut plan, input.process, user && input.host.is_privileged())?;
    plan.push(Origin::Engine, &Step::ReleaseProc)?;
    plan.push(Origin::Engine, &Step::HideFromTracers)?;
    plan_namespaces(&mut plan, input)?;
    if !input.namespaces.contains(Namespaces::MOUNT) {
        let path = c_string(Origin::Field("root.path"), input.rootfs)?;
        plan.push(Origin::Field("root.path"), &Step::OpenRootDirectory { path: CText::new(&path) })?;
        plan.push(Origin::Field("root.path"), &Step::EnterRoot(Entry::Chroot))?;
    }
    let available = process::available_capabilities(input.host, user);
    process::plan_identity(&mut plan, input.process, available, input.groups_forbidden)?;
    plan.push(Origin::Engine, &Step::Barrier(Barrier::Ready))?;
    process::plan_execute(&mut plan, input.process)?;
    Ok(plan)
}

fn plan_namespaces(plan: &mut Plan, input: &ExecInput<'_>) -> Result<()> {
    let origin = Origin::Field("linux.namespaces");
    let mut rest = input.namespaces;
    // An engine without privilege gets it from the user namespace, which it owns.
    if rest.contains(Namespaces::USER) && !input.host.is_privileged() {
        join(plan, Namespaces::USER)?;
        rest -= Namespaces::USER;
    }
    let cgroup = match input.unified {
        true => Some(plan.want(Origin::Field("linux.cgroupsPath"), Want::UnifiedCgroup)?),
        false => None,
    };
    if rest.contains(Namespaces::PID) {
        join(plan, Namespaces::PID)?;
        rest -= Namespaces::PID;
        plan.push(origin, &Step::Fork { namespaces: Namespaces::empty(), cgroup })?;
    } else {
        plan.cgroup = cgroup;
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

fn join(plan: &mut Plan, namespaces: Namespaces) -> Result<()> {
    let origin = Origin::Field("linux.namespaces");
    let fd = plan.want(origin, Want::Process)?;
    plan.push(origin, &Step::JoinNamespaces { fd, namespaces })
}
