//! The process itself: limits, identity, capabilities, and what is executed. The same for `create` and `exec`.

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};

use masu_program::{Access, CText, Identity, Step};
use masu_seccomp::CompileError;
use masu_spec::{
    CAPABILITY_NAMES, Capabilities, FilterFlags, MemoryPolicy, Personality, Process, SECCOMP_FAIL_UNKNOWN,
    Scheduler, Seccomp, capability_name,
};

use super::{Origin, Plan, TextList, c_string, unsupported};
use crate::{
    error::{Error, Result},
    host::{CAP_SYS_ADMIN, Host},
};

/// Where programs are looked for when the environment has no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The permission bits that new files lack when the configuration is silent.
const DEFAULT_UMASK: u32 = 0o022;

/// What a process inherits, and what only the engine's own privileges can set: before any user namespace.
pub(super) fn plan_inherited(plan: &mut Plan, process: &Process<'_>, raise_limits: bool) -> Result<()> {
    if let Some(score) = process.oom_score_adj {
        let origin = Origin::Field("process.oomScoreAdj");
        let score = c_string(origin, &format!("{score}"))?;
        plan.push(origin, &Step::AdjustOomScore { score: CText::new(&score) })?;
    }
    if raise_limits {
        for (index, limit) in process.rlimits.iter().enumerate() {
            let origin = Origin::Entry("process.rlimits", index);
            let (resource, soft, hard) = (limit.resource, limit.soft, limit.hard);
            plan.push(origin, &Step::RaiseResourceLimit { resource, soft, hard })?;
        }
        if process.scheduler.is_some_and(|scheduler| scheduler.is_inherited()) {
            plan_scheduler(plan, process)?;
        }
        plan_io_priority(plan, process)?;
    }
    Ok(())
}

/// Whether the program runs under a label of its own.
pub(super) fn has_label(process: &Process<'_>) -> bool {
    process.apparmor_profile.is_some() || process.selinux_label.is_some()
}

/// Opens the file for the label: in the host's procfs, and behind the last fork. A kernel has one of the two security
/// modules in force, so that one file is enough.
pub(super) fn plan_hold_label(plan: &mut Plan, process: &Process<'_>) -> Result<()> {
    let (origin, path) = match (&process.apparmor_profile, &process.selinux_label) {
        (Some(_), Some(_)) => return Err(unsupported(SELINUX, "excludes process.apparmorProfile")),
        (Some(_), None) => (APPARMOR, c"self/attr/apparmor/exec"),
        (None, Some(_)) => (SELINUX, c"self/attr/exec"),
        (None, None) => return Ok(()),
    };
    plan.push(origin, &Step::HoldExecLabel { path: CText::new(path) })
}

/// What the next execve(2) changes to: before no_new_privs, which forbids a change to what is not a subset, and before
/// `Ready`, so that `create` tells of a profile that is not there. A hook of startContainer is confined by it too.
fn plan_label(plan: &mut Plan, process: &Process<'_>) -> Result<()> {
    let (origin, label) = match (&process.apparmor_profile, &process.selinux_label) {
        (Some(profile), _) => (APPARMOR, c_string(APPARMOR, &format!("exec {profile}"))?),
        (None, Some(label)) => (SELINUX, c_string(SELINUX, label)?),
        (None, None) => return Ok(()),
    };
    plan.push(origin, &Step::SetExecLabel { label: CText::new(&label) })
}

const APPARMOR: Origin = Origin::Field("process.apparmorProfile");
const SELINUX: Origin = Origin::Field("process.selinuxLabel");

fn plan_scheduler(plan: &mut Plan, process: &Process<'_>) -> Result<()> {
    let Some(scheduler) = process.scheduler else { return Ok(()) };
    let Scheduler { policy, nice, priority, flags, runtime, deadline, period } = scheduler;
    let (policy, flags, times) = (policy as u32, flags.bits(), (runtime, deadline, period));
    let step = Step::SetScheduler { policy, flags, nice, priority, times };
    plan.push(Origin::Field("process.scheduler"), &step)
}

fn plan_io_priority(plan: &mut Plan, process: &Process<'_>) -> Result<()> {
    let Some(priority) = process.io_priority else { return Ok(()) };
    plan.push(Origin::Field("process.ioPriority"), &Step::SetIoPriority { value: priority.value() })
}

/// Where and when the process runs, and where its memory comes from: in its cgroup, whose CPUs and memory nodes are the
/// most that it can have, and while it is privileged.
fn plan_scheduling(plan: &mut Plan, process: &Process<'_>, confinement: &Confinement<'_>) -> Result<()> {
    // In a user namespace nobody has the CAP_SYS_NICE that counts, so that it was done before; but what a fork does not
    // inherit, or cannot have, comes behind the last one.
    let inherited = process.scheduler.is_some_and(|scheduler| scheduler.is_inherited());
    if !(confinement.raised && inherited) {
        plan_scheduler(plan, process)?;
    }
    if !confinement.raised {
        plan_io_priority(plan, process)?;
    }
    if let Some(MemoryPolicy { mode, nodes, flags }) = confinement.memory_policy {
        let (mode, nodes) = (*mode as u32 | flags.bits(), nodes.as_bytes());
        plan.push(Origin::Field("linux.memoryPolicy"), &Step::SetMemoryPolicy { mode, nodes })?;
    }
    if let Some(personality) = confinement.personality {
        let domain = personality as u32;
        plan.push(Origin::Field("linux.personality"), &Step::SetPersonality { domain })?;
    }
    Ok(())
}

/// What a process in the container can have: all of a user namespace's capabilities, or the engine's.
pub(super) fn available_capabilities(host: &Host, user_namespace: bool) -> u64 {
    let known = u64::MAX >> (64 - CAPABILITY_NAMES.len());
    if user_namespace { known } else { host.capabilities }
}

/// What decides about a process beside itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Confinement<'a> {
    /// The capabilities that it can have.
    pub(super) available: u64,
    /// Whether setgroups(2) is forbidden to it.
    pub(super) groups_forbidden: bool,
    /// Whether it keeps the caller's groups: `run.oci.keep_original_groups`.
    pub(super) keep_groups: bool,
    /// Whether the engine's privileges were used before its user namespace was entered.
    pub(super) raised: bool,
    /// `linux.personality` of its container.
    pub(super) personality: Option<Personality>,
    /// `linux.memoryPolicy` of its container.
    pub(super) memory_policy: Option<&'a MemoryPolicy>,
    /// `linux.seccomp` of its container.
    pub(super) seccomp: Option<&'a Seccomp<'a>>,
    /// Whether a system call in it that is unknown is an error: `run.oci.seccomp_fail_unknown_syscall`.
    pub(super) only_known_calls: bool,
}

/// Plans the way from init to the container's user: limits, directory, capabilities, ids, program.
pub(super) fn plan_identity(
    plan: &mut Plan,
    process: &Process<'_>,
    confinement: Confinement<'_>,
) -> Result<()> {
    for (index, limit) in process.rlimits.iter().enumerate() {
        let (resource, soft, hard) = (limit.resource, limit.soft, limit.hard);
        let origin = Origin::Entry("process.rlimits", index);
        plan.push(origin, &Step::SetResourceLimit { resource, soft, hard })?;
    }
    plan_scheduling(plan, process, &confinement)?;
    if !variables(process).contains_key("HOME") {
        plan.push(Origin::Field("process.env"), &Step::FindHome { uid: process.user.uid })?;
    }
    let cwd = c_string(Origin::Field("process.cwd"), &process.cwd)?;
    let directory = |access| Step::ChangeDirectory { path: CText::new(&cwd), access };
    plan.push(Origin::Field("process.cwd"), &directory(Access::Attempted))?;
    let capabilities = grantable(plan, process.capabilities.unwrap_or_default(), confinement.available);
    let origin = Origin::Field("process.capabilities");
    // Before the change of user: dropping from the bounding set takes CAP_SETPCAP.
    plan.push(origin, &Step::LimitCapabilities { bounding: capabilities.bounding })?;
    let groups = groups(process, &confinement)?;
    let identity = Identity { uid: process.user.uid, gid: process.user.gid, groups: groups.as_deref() };
    plan.push(Origin::Field("process.user"), &Step::ChangeIdentity(identity))?;
    let needed = filter_capability(process, confinement);
    let Capabilities { effective, permitted, inheritable, ambient, .. } = capabilities;
    let (effective, permitted) = (effective | needed, permitted | needed);
    plan.push(origin, &Step::SetCapabilities { effective, permitted, inheritable, ambient })?;
    plan.push(Origin::Field("process.cwd"), &directory(Access::Required))?;
    plan_label(plan, process)?;
    if process.no_new_privileges {
        plan.push(Origin::Field("process.noNewPrivileges"), &Step::ForbidNewPrivileges)?;
    }
    let mask = process.user.umask.map_or(DEFAULT_UMASK, u32::from);
    plan.push(Origin::Field("process.user.umask"), &Step::SetUmask { mask })?;
    let origin = Origin::Field("process.args");
    let mut programs = TextList::default();
    for path in executable_paths(process) {
        programs.push(origin, &path)?;
    }
    plan.push(origin, &Step::FindProgram { programs: programs.as_texts() })?;
    match confinement.seccomp {
        Some(seccomp) if seccomp.notifies() => plan_listening_filter(plan, process, confinement, seccomp),
        _ => Ok(()),
    }
}

/// The capability that loading the filter takes where new privileges are not forbidden, seccomp(2): it is kept until
/// then, so that the filter comes last and need not allow what init does.
fn filter_capability(process: &Process<'_>, confinement: Confinement<'_>) -> u64 {
    match confinement.seccomp {
        Some(_) if !process.no_new_privileges => 1 << CAP_SYS_ADMIN & confinement.available,
        _ => 0,
    }
}

/// Plans the end of init: nothing of masu stays, and the filter comes right before the program.
pub(super) fn plan_execute(
    plan: &mut Plan,
    process: &Process<'_>,
    confinement: Confinement<'_>,
) -> Result<()> {
    plan.push(Origin::Engine, &Step::CloseDescriptors { preserve: plan.preserve_fds })?;
    plan.push(Origin::Engine, &Step::ResetSignals)?;
    if let Some(seccomp) = confinement.seccomp.filter(|seccomp| !seccomp.notifies()) {
        // seccomp(2) takes this flag beside a listener alone; a profile may say it for rules that are not there.
        let flags = (seccomp.flags - FilterFlags::WAIT_KILLABLE_RECV).bits();
        let program = compile(plan, seccomp, confinement.only_known_calls)?;
        plan.push(FILTER, &Step::LoadFilter { program: &program, flags })?;
        plan_drop(plan, process, confinement)?;
    }
    plan_program(plan, process)
}

const FILTER: Origin = Origin::Field("linux.seccomp");

/// What init calls from its listening filter on to the program. Of these only the first is made while nobody can answer.
const CALLS_BEHIND_FILTER: [&str; 11] = [
    "sendmsg",
    "sendto",
    "recvfrom",
    "capset",
    "signalfd4",
    "ppoll",
    "read",
    "close_range",
    "rt_sigaction",
    "rt_sigprocmask",
    "execve",
];

/// Plans a filter with a listener: while the engine is there to hand the listener on, and so, as in runc, before the
/// wait for start.
fn plan_listening_filter(
    plan: &mut Plan,
    process: &Process<'_>,
    confinement: Confinement<'_>,
    seccomp: &Seccomp<'_>,
) -> Result<()> {
    let refused: Vec<_> = CALLS_BEHIND_FILTER.into_iter().filter(|name| !seccomp.passes(name)).collect();
    if !refused.is_empty() {
        let names = refused.join(", ");
        return Err(Error::Unsupported {
            field: format!("{FILTER}"),
            reason: format!("beside SCMP_ACT_NOTIFY the filter has to allow {names}"),
            hint: Some("masu-init makes these calls within it, until the program runs".into()),
        });
    }
    let (program, flags) = (compile(plan, seccomp, confinement.only_known_calls)?, seccomp.flags.bits());
    plan.push(FILTER, &Step::LoadFilterWithListener { program: &program, flags })?;
    plan_drop(plan, process, confinement)
}

/// Gives up the capability that loading the filter took, if it did.
fn plan_drop(plan: &mut Plan, process: &Process<'_>, confinement: Confinement<'_>) -> Result<()> {
    if process.no_new_privileges {
        return Ok(());
    }
    let Capabilities { effective, permitted, inheritable, .. } =
        limited(process.capabilities.unwrap_or_default(), confinement.available);
    let origin = Origin::Field("process.capabilities");
    plan.push(origin, &Step::DropCapabilities { effective, permitted, inheritable })
}

fn compile(plan: &mut Plan, seccomp: &Seccomp<'_>, only_known_calls: bool) -> Result<Vec<u8>> {
    let filter = masu_seccomp::compile(seccomp).map_err(|error| match error {
        CompileError::TooLong(instructions) => {
            let limit = masu_seccomp::INSTRUCTIONS_MAX;
            unsupported(FILTER, &format!("takes {instructions} instructions, more than the kernel's {limit}"))
        }
        CompileError::NoNumbers(architecture) => Error::Unsupported {
            field: "linux.seccomp.architectures".into(),
            reason: format!("masu does not know the system calls of {}", architecture.name()),
            hint: Some(
                "without it in the list, programs of this architecture end at their first call".into(),
            ),
        },
    })?;
    if !filter.unknown.is_empty() {
        let names = filter.unknown.join(", ");
        if only_known_calls {
            return Err(Error::Unsupported {
                field: "linux.seccomp.syscalls".into(),
                reason: format!("unknown system calls: {names}"),
                hint: Some(format!("without the annotation {SECCOMP_FAIL_UNKNOWN} they are left out")),
            });
        }
        plan.warnings.push(format!("linux.seccomp.syscalls: unknown system calls are left out: {names}"));
    }
    Ok(filter.to_bytes())
}

fn plan_program(plan: &mut Plan, process: &Process<'_>) -> Result<()> {
    let (mut arguments, mut environment) = (TextList::default(), TextList::default());
    for argument in &process.args {
        arguments.push(Origin::Field("process.args"), argument)?;
    }
    let last = variables(process);
    for (index, variable) in process.env.iter().enumerate() {
        let name = variable.split_once('=').map_or(variable.as_str(), |(name, _)| name);
        // Of a variable that is set twice the last one counts; C libraries would find the first.
        if last.get(name) == Some(&index) {
            environment.push(Origin::Entry("process.env", index), variable)?;
        }
    }
    let (arguments, environment) = (arguments.as_texts(), environment.as_texts());
    plan.push(Origin::Field("process.args"), &Step::Execute { arguments, environment })
}

/// Where the program may be: its path, or its name in each directory of the process's `PATH`.
fn executable_paths(process: &Process<'_>) -> Vec<String> {
    let Some(name) = process.args.first() else { return Vec::new() };
    if name.contains('/') {
        return alloc::vec![name.as_str().into()];
    }
    let path = process.env.iter().rev().find_map(|variable| variable.strip_prefix("PATH="));
    let directories = path.unwrap_or(DEFAULT_PATH).split(':').filter(|directory| !directory.is_empty());
    directories.map(|directory| format!("{directory}/{name}")).collect()
}

/// The variables with the place of their last setting; an empty `HOME` counts as none.
fn variables<'a>(process: &'a Process<'_>) -> BTreeMap<&'a str, usize> {
    let name = |variable: &'a str| variable.split_once('=').map_or(variable, |(name, _)| name);
    let names = process.env.iter().enumerate().map(|(index, variable)| (name(variable), index));
    let mut variables: BTreeMap<_, _> = names.collect();
    let home = variables.get("HOME").and_then(|index| process.env.get(*index));
    if home.is_some_and(|home| matches!(home.as_str(), "HOME" | "HOME=")) {
        variables.remove("HOME");
    }
    variables
}

fn groups(process: &Process<'_>, confinement: &Confinement<'_>) -> Result<Option<Vec<u8>>> {
    if confinement.keep_groups {
        return Ok(None);
    }
    let origin = Origin::Field("process.user.additionalGids");
    let groups = &process.user.additional_gids;
    if groups.len() > Identity::GROUPS_MAX {
        return Err(unsupported(origin, &format!("more than {} groups", Identity::GROUPS_MAX)));
    }
    if confinement.groups_forbidden {
        let reason = "cannot be set: the kernel forbids it in a user namespace that an ordinary user makes";
        return if groups.is_empty() { Ok(None) } else { Err(unsupported(origin, reason)) };
    }
    Ok(Some(groups.iter().flat_map(|group| group.to_ne_bytes()).collect()))
}

/// The sets without what cannot be granted: the one thing that the specification lets a runtime leave out,
/// with a warning.
fn grantable(plan: &mut Plan, asked: Capabilities, available: u64) -> Capabilities {
    let refused = (asked.bounding | asked.permitted | asked.effective | asked.inheritable) & !available;
    if refused != 0 {
        let names = names(refused).collect::<Vec<_>>().join(", ");
        plan.warnings.push(format!("process.capabilities: cannot be granted here and are left out: {names}"));
    }
    let sets = limited(asked, available);
    for name in names(asked.ambient & available & !sets.ambient) {
        plan.warnings.push(format!(
            "process.capabilities.ambient: can't raise ambient capability {name}: it is not permitted and inheritable too"
        ));
    }
    sets
}

/// The names of the capabilities in a set.
fn names(set: u64) -> impl Iterator<Item = &'static str> {
    (0..64).filter(move |number| set >> number & 1 == 1).filter_map(capability_name)
}

fn limited(asked: Capabilities, available: u64) -> Capabilities {
    let permitted = asked.permitted & available;
    let inheritable = asked.inheritable & available;
    let ambient = asked.ambient & permitted & inheritable;
    let effective = asked.effective & permitted;
    Capabilities { bounding: asked.bounding & available, permitted, effective, inheritable, ambient }
}
