//! The process itself: limits, identity, capabilities, and what is executed. The same for `create` and `exec`.

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};

use masu_program::{Access, CText, Identity, Step};
use masu_spec::{CAPABILITY_NAMES, Capabilities, Process, capability_name};

use super::{Origin, Plan, TextList, c_string, unsupported};
use crate::{error::Result, host::Host};

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
    }
    Ok(())
}

/// What a process in the container can have: all of a user namespace's capabilities, or the engine's.
pub(super) fn available_capabilities(host: &Host, user_namespace: bool) -> u64 {
    let known = u64::MAX >> (64 - CAPABILITY_NAMES.len());
    if user_namespace { known } else { host.capabilities }
}

/// Plans the way from init to the container's user: limits, directory, capabilities, ids, program.
pub(super) fn plan_identity(
    plan: &mut Plan,
    process: &Process<'_>,
    available: u64,
    groups_forbidden: bool,
) -> Result<()> {
    for (index, limit) in process.rlimits.iter().enumerate() {
        let (resource, soft, hard) = (limit.resource, limit.soft, limit.hard);
        let origin = Origin::Entry("process.rlimits", index);
        plan.push(origin, &Step::SetResourceLimit { resource, soft, hard })?;
    }
    if !variables(process).contains_key("HOME") {
        plan.push(Origin::Field("process.env"), &Step::FindHome { uid: process.user.uid })?;
    }
    let cwd = c_string(Origin::Field("process.cwd"), &process.cwd)?;
    let directory = |access| Step::ChangeDirectory { path: CText::new(&cwd), access };
    plan.push(Origin::Field("process.cwd"), &directory(Access::Attempted))?;
    let capabilities = grantable(plan, process.capabilities.unwrap_or_default(), available);
    let origin = Origin::Field("process.capabilities");
    // Before the change of user: dropping from the bounding set takes CAP_SETPCAP.
    plan.push(origin, &Step::LimitCapabilities { bounding: capabilities.bounding })?;
    let groups = groups(process, groups_forbidden)?;
    let identity = Identity { uid: process.user.uid, gid: process.user.gid, groups: groups.as_deref() };
    plan.push(Origin::Field("process.user"), &Step::ChangeIdentity(identity))?;
    let Capabilities { effective, permitted, inheritable, ambient, .. } = capabilities;
    plan.push(origin, &Step::SetCapabilities { effective, permitted, inheritable, ambient })?;
    plan.push(Origin::Field("process.cwd"), &directory(Access::Required))?;
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
    plan.push(origin, &Step::FindProgram { programs: programs.as_texts() })
}

/// Plans the end of init.
pub(super) fn plan_execute(plan: &mut Plan, process: &Process<'_>) -> Result<()> {
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
    let preserve = plan.preserve_fds;
    let (arguments, environment) = (arguments.as_texts(), environment.as_texts());
    plan.push(Origin::Field("process.args"), &Step::Execute { preserve, arguments, environment })
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
    let split = process.env.iter().enumerate().map(|(index, variable)| {
        let (name, value) = variable.split_once('=').unwrap_or((variable.as_str(), ""));
        (name, value, index)
    });
    split
        .filter(|(name, value, _)| *name != "HOME" || !value.is_empty())
        .map(|(name, _, index)| (name, index))
        .collect()
}

fn groups(process: &Process<'_>, forbidden: bool) -> Result<Option<Vec<u8>>> {
    let origin = Origin::Field("process.user.additionalGids");
    let groups = &process.user.additional_gids;
    if groups.len() > Identity::GROUPS_MAX {
        return Err(unsupported(origin, &format!("more than {} groups", Identity::GROUPS_MAX)));
    }
    if forbidden {
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
        let names: Vec<_> =
            (0..64).filter(|number| refused >> number & 1 == 1).filter_map(capability_name).collect();
        let names = names.join(", ");
        plan.warnings.push(format!("process.capabilities: cannot be granted here and are left out: {names}"));
    }
    let permitted = asked.permitted & available;
    let inheritable = asked.inheritable & available;
    let ambient = asked.ambient & permitted & inheritable;
    if ambient != asked.ambient & available {
        let text = "process.capabilities.ambient: only what is permitted and inheritable too can be ambient";
        plan.warnings.push(text.into());
    }
    let effective = asked.effective & permitted;
    Capabilities { bounding: asked.bounding & available, permitted, effective, inheritable, ambient }
}
