//! The plan of a container, from the engine's namespaces to its process.

use alloc::{format, string::String};
use core::ffi::CStr;

use masu_cgroup::ContainerMounts;
use masu_program::{Barrier, CText, Entry, Namespaces, Propagation, Source, Step};
use masu_spec::{
    Config, HookKind, KEEP_ORIGINAL_GROUPS, Linux, NamespaceKind, PropagationMode, SECCOMP_FAIL_UNKNOWN,
};
use masu_sys::keyring::{KEY_OTH_SEARCH, KEY_USR_SEARCH};

use super::{
    Origin, Plan, StartGate, TextList, TreePropagation, Want, c_string, devices, hooks, mounts, namespaces,
    process, terminal,
};
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
    /// Where the host has procfs and sysfs, if they stay below a root that is entered by chroot(2).
    pub host_views: &'a [String],
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
    let mut plan = begin_create(input.config, input.host, input.unified)?;
    go_on_create(&mut plan, input)?;
    Ok(plan)
}

/// Plans its process, and what that does before the cgroup is made. `unified` tells whether it gets a cgroup in the unified
/// hierarchy, which a process is born in.
///
/// # Errors
/// As [`plan_create`].
pub(crate) fn begin_create(config: &Config<'_>, host: &Host, unified: bool) -> Result<Plan> {
    check_privilege(config, host)?;
    check_net_devices(config, host)?;
    let mut plan = Plan::default();
    namespaces::begin(&mut plan, &config.linux, host, unified)?;
    plan.await_program()?;
    Ok(plan)
}

/// Plans the rest.
///
/// # Errors
/// As [`plan_create`].
pub(crate) fn go_on_create(plan: &mut Plan, input: &CreateInput<'_>) -> Result<()> {
    let config = input.config;
    plan.preserve_fds = input.preserve_fds;
    plan.warnings.extend(config.warnings.iter().map(|warning| format!("{warning}")));
    if config.linux.resources.memory.kernel.is_some() {
        let text = "linux.resources.memory.kernel: ignored: Linux has no such limit since 5.16";
        plan.warnings.push(text.into());
    }
    let new_user = config.linux.namespaces.is_new(NamespaceKind::User);
    hold_proc(plan)?;
    let raised = input.has_user_namespace() && input.host.is_privileged();
    process::plan_inherited(plan, &config.process, raised)?;
    // An engine without privilege can write the id maps of a process that it could trace, and of no other.
    let hide_late = new_user && !input.host.is_privileged();
    if !hide_late {
        plan.push(Origin::Engine, &Step::HideFromTracers)?;
    }
    namespaces::plan(plan, input)?;
    if hide_late {
        plan.push(Origin::Engine, &Step::HideFromTracers)?;
    }
    plan_cgroup(plan, input)?;
    plan_names(plan, input)?;
    plan_sysctl(plan, &config.linux)?;
    process::plan_hold_label(plan, &config.process)?;
    // After the last write below it, and before any path of the container is walked.
    plan.push(Origin::Engine, &Step::ReleaseProc)?;
    plan_root(plan, input)?;
    terminal::plan_take(plan, &config.process)?;
    let available = process::available_capabilities(input.host, input.has_user_namespace());
    let groups_forbidden = plan.forbids_setgroups(input.host);
    let confinement = confinement(config, available, groups_forbidden, raised);
    process::plan_identity(plan, &config.process, confinement)?;
    plan.push(Origin::Engine, &Step::Barrier(Barrier::Ready))?;
    if input.gate == StartGate::Fifo {
        let fifo = plan.want(Origin::Engine, Want::Fifo)?;
        let reporting = config.hooks.any(&[HookKind::StartContainer, HookKind::Poststart]);
        plan.push(Origin::Engine, &Step::AwaitStart { fifo, reporting })?;
    }
    plan_start(plan, config, input.id, input.bundle, confinement)
}

/// What is left of a container's plan when it is started: for the words of what fails then.
pub(crate) fn plan_started(config: &Config<'_>, id: &str, bundle: &str) -> Result<Plan> {
    let mut plan = Plan::default();
    // What it could have had changes none of the words.
    plan_start(&mut plan, config, id, bundle, confinement(config, u64::MAX, false, false))?;
    Ok(plan)
}

/// `raised` tells whether the engine's privileges were used before a user namespace was entered.
fn confinement<'a>(
    config: &'a Config<'a>,
    available: u64,
    groups_forbidden: bool,
    raised: bool,
) -> process::Confinement<'a> {
    let Linux { personality, memory_policy, seccomp, .. } = &config.linux;
    process::Confinement {
        available,
        groups_forbidden,
        keep_groups: config.annotations.contains_key(KEEP_ORIGINAL_GROUPS),
        raised,
        personality: *personality,
        memory_policy: memory_policy.as_ref(),
        seccomp: seccomp.as_ref(),
        only_known_calls: config.annotations.contains_key(SECCOMP_FAIL_UNKNOWN),
    }
}

fn plan_start(
    plan: &mut Plan,
    config: &Config<'_>,
    id: &str,
    bundle: &str,
    confinement: process::Confinement<'_>,
) -> Result<()> {
    hooks::plan_start(plan, config, id, bundle)?;
    process::plan_execute(plan, &config.process, confinement)
}

fn check_privilege(config: &Config<'_>, host: &Host) -> Result<()> {
    let namespaces = &config.linux.namespaces;
    if !host.is_privileged() && !namespaces.contains(NamespaceKind::User) {
        let (reason, hint) = needs_privilege("this container");
        return Err(Error::Unsupported { field: "linux.namespaces".into(), reason, hint });
    }
    if namespaces.contains(NamespaceKind::Mount) {
        return Ok(());
    }
    let linux = &config.linux;
    let without = [
        ("mounts", config.mounts.is_empty()),
        ("linux.devices", linux.devices.is_empty()),
        ("linux.maskedPaths", linux.masked_paths.is_empty()),
        ("linux.readonlyPaths", linux.readonly_paths.is_empty()),
        ("root.readonly", !config.root.readonly),
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

/// A device leaves the host's network namespace by its owner's will alone, network_namespaces(7).
fn check_net_devices(config: &Config<'_>, host: &Host) -> Result<()> {
    if config.linux.net_devices.is_empty() || host.is_privileged() {
        return Ok(());
    }
    let reason = "moving a network device takes root's privileges".into();
    Err(Error::Unsupported { field: "linux.netDevices".into(), reason, hint: None })
}

pub(super) fn hold_proc(plan: &mut Plan) -> Result<()> {
    let proc = plan.want(Origin::Engine, Want::Proc)?;
    plan.push(Origin::Engine, &Step::HoldProc { proc })
}

/// Joins the cgroup, and only then makes the cgroup namespace: its root is where the process is. After the
/// last fork, since a small `pids.max` counts init's helpers too.
fn plan_cgroup(plan: &mut Plan, input: &CreateInput<'_>) -> Result<()> {
    plan_attach(plan, input.hierarchies)?;
    // The caller's CPUs are no limit of the container's: since Linux 6.2 they would stay one in its cgroup.
    plan.push(Origin::Engine, &Step::SetCpuAffinity { cpus: None })?;
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
    if !input.no_new_keyring {
        // Who joins it later must be allowed to find it: its owner, and in a user namespace, as in runc, everybody.
        let others = if input.has_user_namespace() { KEY_OTH_SEARCH } else { 0 };
        plan_key_label(plan, input.config.process.selinux_label.as_deref())?;
        plan_keyring(plan, input.id, KEY_USR_SEARCH | others)?;
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

/// Where the label of the next key is written, below /proc.
pub(crate) const KEY_LABEL: &CStr = c"self/attr/keycreate";

/// A keyring that is made has its maker's label, by which the container could not search it. execve(2) resets this.
fn plan_key_label(plan: &mut Plan, label: Option<&str>) -> Result<()> {
    let Some(label) = label else { return Ok(()) };
    let origin = Origin::Field("process.selinuxLabel");
    let value = c_string(origin, label)?;
    let path = CText::new(KEY_LABEL);
    plan.push(origin, &Step::WriteSysctl { path, value: CText::new(&value) })
}

/// The session keyring of a container: runc's name, so that each of its processes finds the same.
pub(super) fn plan_keyring(plan: &mut Plan, id: &str, permissions: u32) -> Result<()> {
    let name = c_string(Origin::Engine, &format!("_ses.{id}"))?;
    plan.push(Origin::Engine, &Step::JoinKeyring { name: CText::new(&name), permissions })
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
        hooks::plan_assembled(plan, input)?;
        make_directory(plan, input)?;
        // Without a mount on /dev/console, which would stay on the host.
        terminal::plan_open(plan, &input.config.process)?;
        return plan.push(origin, &Step::EnterRoot(Entry::Chroot));
    }
    let propagation = input.config.linux.rootfs_propagation;
    let shared = propagation.is_some_and(|propagation| propagation.mode == PropagationMode::Shared);
    // A shared root needs mounts below that stay the host's peers; only `/` itself must let go, or the new
    // root would be attached on the host too.
    // Beside hooks the root is attached at its own path, and the mount that this lies on must let go likewise.
    let own_path = hooks::see_mounts(input);
    let alone = shared && !own_path;
    let mode = if alone { PropagationMode::Private } else { PropagationMode::Slave };
    let host = Propagation { mode: mode.flag(), recursive: !alone };
    plan.push(Origin::Field("linux.rootfsPropagation"), &Step::SetHostPropagation(host))?;
    attach_root(plan, input, shared, if own_path { input.rootfs } else { "/" })?;
    mounts::plan(plan, input, shared)?;
    devices::plan(plan, input)?;
    hooks::plan_assembled(plan, input)?;
    if own_path {
        plan.push(Origin::Field("hooks"), &Step::StackRoot)?;
    }
    make_directory(plan, input)?;
    restrict(plan, input)?;
    let entry = if input.no_pivot { Entry::Chroot } else { Entry::Pivot };
    for view in input.host_views {
        let path = c_string(origin, view)?;
        plan.push(origin, &Step::HideFromRoot { path: CText::new(&path) })?;
    }
    plan.push(origin, &Step::EnterRoot(entry))?;
    if let Some(propagation) = propagation {
        let change = Propagation { mode: propagation.mode.flag(), recursive: propagation.recursive };
        plan.push(Origin::Field("linux.rootfsPropagation"), &Step::SetRootPropagation(change))?;
    }
    Ok(())
}

fn attach_root(plan: &mut Plan, input: &CreateInput<'_>, shared: bool, place: &str) -> Result<()> {
    let origin = Origin::Field("root.path");
    let place = c_string(origin, place)?;
    let place = CText::new(&place);
    if input.host.may_clone_mounts() {
        let propagation = if shared { TreePropagation::SharedBelow } else { TreePropagation::Slave };
        let (path, recursive, only_procfs, id_map) = (input.rootfs.into(), true, false, None);
        let want = Want::Tree { path, recursive, propagation, only_procfs, id_map };
        let fd = plan.want(origin, want)?;
        return plan.push(origin, &Step::OpenRoot { source: Source::Tree { fd }, place });
    }
    let path = c_string(origin, input.rootfs)?;
    let source = Source::Path { path: CText::new(&path), recursive: true };
    plan.push(origin, &Step::OpenRoot { source, place })
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
        if linux.masked_paths.iter().take(index).any(|before| before == path) {
            continue;
        }
        let origin = Origin::Entry("linux.maskedPaths", index);
        let path = c_string(origin, path)?;
        let mut parameters = TextList::default();
        for text in ["mode", "555"] {
            parameters.push(origin, text)?;
        }
        mounts::push_label(&mut parameters, input.config)?;
        let parameters = parameters.as_texts();
        plan.push(origin, &Step::MaskPath { path: CText::new(&path), parameters })?;
    }
    if input.config.root.readonly {
        plan.push(Origin::Field("root.readonly"), &Step::ProtectMount { path: CText::new(c"/") })?;
    }
    Ok(())
}
