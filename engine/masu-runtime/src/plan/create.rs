//! The plan of a container, from the engine's namespaces to its process.

use alloc::{format, string::String};

use masu_cgroup::ContainerMounts;
use masu_program::{Barrier, CText, Entry, Namespaces, Propagation, Source, Step};
use masu_spec::{Config, Linux, NamespaceKind, PropagationMode};

use super::{Origin, Plan, StartGate, Want, c_string, devices, mounts, namespaces, process, unsupported};
use crate::{
    error::{Error, Result},
    host::{Host, needs_privilege},
};

/// What a container's plan is made from.
#[derive(Debug)]
pub struct CreateInput<'a> {
    /// The checked configuration.
    pub config: &'a Config<'a>,
    /// The machine.
    pub host: &'a Host,
    /// The container's name.
    pub id: &'a str,
    /// Absolute path of the bundle.
    pub bundle: &'a str,
    /// Absolute path of the root file system.
    pub rootfs: &'a str,
    /// The v1 hierarchies in which the container has a cgroup, by the names of their mount points.
    pub hierarchies: &'a [String],
    /// Whether it has one in the unified hierarchy.
    pub unified: bool,
    /// What a mount of type `cgroup` shows.
    pub cgroup_mounts: &'a ContainerMounts,
    /// When the process begins.
    pub gate: StartGate,
    /// Whether the root is entered by chroot(2), where pivot_root(2) cannot be used.
    pub no_pivot: bool,
    /// Whether the container keeps the caller's session keyring.
    pub no_new_keyring: bool,
    /// Descriptors of the caller, after standard error, that the process gets.
    pub preserve_fds: u32,
}

impl CreateInput<'_> {
    /// The kinds of namespaces that are not the host's.
    #[must_use]
    pub fn own_namespaces(&self) -> Namespaces {
        let (new, joined) = namespaces::sets(&self.config.linux);
        new | joined
    }

    /// Whether the container is in a user namespace that is not the engine's.
    pub(super) fn has_user_namespace(&self) -> bool {
        self.config.linux.namespaces.contains(NamespaceKind::User)
    }
}

/// Plans a container.
///
/// # Errors
/// [`Error::Unsupported`] for what the host or this version cannot do, with the field that asks for it.
pub fn plan_create(input: &CreateInput<'_>) -> Result<Plan> {
    let config = input.config;
    check_privilege(input)?;
    let mut plan = Plan { preserve_fds: input.preserve_fds, ..Plan::default() };
    plan.warnings.extend(config.warnings.iter().map(|warning| format!("{warning}")));
    if config.linux.resources.memory.kernel.is_some() {
        let text = "linux.resources.memory.kernel: ignored: Linux has no such limit since 5.16";
        plan.warnings.push(text.into());
    }
    let new_user = config.linux.namespaces.is_new(NamespaceKind::User);
    hold_proc(&mut plan)?;
    process::plan_inherited(
        &mut plan,
        &config.process,
        input.has_user_namespace() && input.host.is_privileged(),
    )?;
    // An engine without privilege can write the id maps of a process that it could trace, and of no other.
    let hide_late = new_user && !input.host.is_privileged();
    if !hide_late {
        plan.push(Origin::Engine, &Step::HideFromTracers)?;
    }
    namespaces::plan(&mut plan, input)?;
    if hide_late {
        plan.push(Origin::Engine, &Step::HideFromTracers)?;
    }
    plan_cgroup(&mut plan, input)?;
    plan_names(&mut plan, input)?;
    plan_sysctl(&mut plan, &config.linux)?;
    // After the last write below it, and before any path of the container is walked.
    plan.push(Origin::Engine, &Step::ReleaseProc)?;
    plan_root(&mut plan, input)?;
    let available = process::available_capabilities(input.host, input.has_user_namespace());
    let groups_forbidden = plan.forbids_setgroups(input.host);
    process::plan_identity(&mut plan, &config.process, available, groups_forbidden)?;
    plan.push(Origin::Engine, &Step::Barrier(Barrier::Ready))?;
    if input.gate == StartGate::Fifo {
        let fifo = plan.want(Origin::Engine, Want::Fifo)?;
        plan.push(Origin::Engine, &Step::AwaitStart { fifo })?;
    }
    process::plan_execute(&mut plan, &config.process)?;
    Ok(plan)
}

fn check_privilege(input: &CreateInput<'_>) -> Result<()> {
    let namespaces = &input.config.linux.namespaces;
    if !input.host.is_privileged() && !namespaces.contains(NamespaceKind::User) {
        let (reason, hint) = needs_privilege("this container");
        return Err(Error::Unsupported { field: "linux.namespaces".into(), reason, hint });
    }
    if namespaces.contains(NamespaceKind::Mount) {
        return Ok(());
    }
    let linux = &input.config.linux;
    let without = [
        ("mounts", input.config.mounts.is_empty()),
        ("linux.devices", linux.devices.is_empty()),
        ("linux.maskedPaths", linux.masked_paths.is_empty()),
        ("linux.readonlyPaths", linux.readonly_paths.is_empty()),
        ("root.readonly", !input.config.root.readonly),
    ];
    match without.into_iter().find(|(_, absent)| !absent) {
        None => Ok(()),
        Some((field, _)) => Err(Error::Unsupported {
            field: field.into(),
            reason: "needs a mount namespace: what it asks for would stay on the host".into(),
            hint: Some("add a namespace of type mount to linux.namespaces".into()),
        }),
    }
}

pub(super) fn hold_proc(plan: &mut Plan) -> Result<()> {
    let proc = plan.want(Origin::Engine, Want::Proc)?;
    plan.push(Origin::Engine, &Step::HoldProc { proc })
}

/// Joins the cgroup, and only then makes the cgroup namespace: its root is where the process is. After the
/// last fork, since a small `pids.max` counts init's helpers too.
fn plan_cgroup(plan: &mut Plan, input: &CreateInput<'_>) -> Result<()> {
    plan_attach(plan, input.hierarchies)?;
    if input.config.linux.namespaces.is_new(NamespaceKind::Cgroup) {
        let namespaces = Namespaces::CGROUP;
        plan.push(Origin::Field("linux.namespaces"), &Step::Unshare { namespaces })?;
    }
    Ok(())
}

pub(super) fn plan_attach(plan: &mut Plan, hierarchies: &[String]) -> Result<()> {
    let origin = Origin::Field("linux.cgroupsPath");
    for hierarchy in hierarchies {
        let tasks = plan.want(origin, Want::Tasks { hierarchy: hierarchy.clone() })?;
        plan.push(origin, &Step::AttachCgroup { tasks })?;
    }
    Ok(())
}

fn plan_names(plan: &mut Plan, input: &CreateInput<'_>) -> Result<()> {
    if input.config.linux.namespaces.is_new(NamespaceKind::Network) {
        plan.push(Origin::Field("linux.namespaces"), &Step::RaiseLoopback)?;
    }
    if !input.no_new_keyring {
        let name = c_string(Origin::Engine, &format!("_ses.{}", input.id))?;
        plan.push(Origin::Engine, &Step::JoinKeyring { name: CText::new(&name) })?;
    }
    if let Some(hostname) = &input.config.hostname {
        let origin = Origin::Field("hostname");
        let name = c_string(origin, hostname)?;
        plan.push(origin, &Step::SetHostname { name: CText::new(&name) })?;
    }
    if let Some(domainname) = &input.config.domainname {
        let origin = Origin::Field("domainname");
        let name = c_string(origin, domainname)?;
        plan.push(origin, &Step::SetDomainname { name: CText::new(&name) })?;
    }
    Ok(())
}

fn plan_sysctl(plan: &mut Plan, linux: &Linux<'_>) -> Result<()> {
    let origin = Origin::Field("linux.sysctl");
    for sysctl in &linux.sysctl {
        let path = c_string(origin, &format!("sys/{}", sysctl.file))?;
        let value = c_string(origin, &sysctl.value)?;
        plan.push(origin, &Step::WriteSysctl { path: CText::new(&path), value: CText::new(&value) })?;
    }
    Ok(())
}

/// The root file system: attached, filled, restricted, entered.
fn plan_root(plan: &mut Plan, input: &CreateInput<'_>) -> Result<()> {
    let origin = Origin::Field("root.path");
    if !input.config.linux.namespaces.contains(NamespaceKind::Mount) {
        let path = c_string(origin, input.rootfs)?;
        plan.push(origin, &Step::OpenRootDirectory { path: CText::new(&path) })?;
        make_directory(plan, input)?;
        return plan.push(origin, &Step::EnterRoot(Entry::Chroot));
    }
    let propagation = input.config.linux.rootfs_propagation;
    let shared = propagation.is_some_and(|propagation| propagation.mode == PropagationMode::Shared);
    // A shared root needs mounts below that stay the host's peers; only `/` itself must let go, or the new
    // root would be attached on the host too.
    let mode = if shared { PropagationMode::Private } else { PropagationMode::Slave };
    let host = Propagation { mode: mode.flag(), recursive: !shared };
    plan.push(Origin::Field("linux.rootfsPropagation"), &Step::SetHostPropagation(host))?;
    attach_root(plan, input, shared)?;
    mounts::plan(plan, input, shared)?;
    devices::plan(plan, input)?;
    make_directory(plan, input)?;
    restrict(plan, input)?;
    let entry = if input.no_pivot { Entry::Chroot } else { Entry::Pivot };
    plan.push(origin, &Step::EnterRoot(entry))?;
    if let Some(propagation) = propagation {
        let change = Propagation { mode: propagation.mode.flag(), recursive: propagation.recursive };
        plan.push(Origin::Field("linux.rootfsPropagation"), &Step::SetRootPropagation(change))?;
    }
    Ok(())
}

fn attach_root(plan: &mut Plan, input: &CreateInput<'_>, keep_propagation: bool) -> Result<()> {
    let origin = Origin::Field("root.path");
    if input.host.is_privileged() {
        let want =
            Want::Tree { path: input.rootfs.into(), recursive: true, keep_propagation, only_procfs: false };
        let fd = plan.want(origin, want)?;
        return plan.push(origin, &Step::OpenRoot { source: Source::Tree { fd } });
    }
    let path = c_string(origin, input.rootfs)?;
    plan.push(origin, &Step::OpenRoot { source: Source::Path { path: CText::new(&path), recursive: true } })
}

/// An image may lack its working directory; engines rely on the runtime to make it.
fn make_directory(plan: &mut Plan, input: &CreateInput<'_>) -> Result<()> {
    let cwd = mounts::clean(&input.config.process.cwd);
    if cwd == "/" || cwd.starts_with("/proc/") {
        return Ok(());
    }
    let origin = Origin::Field("process.cwd");
    let path = c_string(origin, &cwd)?;
    plan.push(origin, &Step::MakeDirectory { path: CText::new(&path) })
}

/// Read-only paths, then masks (a mask may lie in a read-only path), then the root itself.
fn restrict(plan: &mut Plan, input: &CreateInput<'_>) -> Result<()> {
    let linux = &input.config.linux;
    for (index, path) in linux.readonly_paths.iter().enumerate() {
        let origin = Origin::Entry("linux.readonlyPaths", index);
        let path = c_string(origin, path)?;
        plan.push(origin, &Step::ProtectPath { path: CText::new(&path) })?;
    }
    for (index, path) in linux.masked_paths.iter().enumerate() {
        let origin = Origin::Entry("linux.maskedPaths", index);
        let path = c_string(origin, path)?;
        plan.push(origin, &Step::MaskPath { path: CText::new(&path) })?;
    }
    if input.config.root.readonly {
        plan.push(Origin::Field("root.readonly"), &Step::ProtectMount { path: CText::new(c"/") })?;
    }
    Ok(())
}

/// Refuses what is known but not built.
pub(super) fn not_built(origin: Origin, what: &str) -> Error {
    unsupported(origin, &format!("{what} is not implemented in this version"))
}
