//! Hooks of the container's own namespaces, as steps.

use masu_program::{Barrier, CText, Fd, Step};
use masu_spec::{Config, Hook, HookKind, Status, Str};
use serde::Serialize;

use super::{CreateInput, Origin, Plan, TextList, Want, c_string};
use crate::{
    error::Result,
    hooks::{HookOutputs, HookState, name_of},
};

/// The permission bits that files of a `createContainer` hook lack: init itself has none set.
const UMASK: u32 = 0o022;

/// Whether hooks look at the container's mounts before the root is entered: then the root is where the bundle has it,
/// so that a hook that joins the mount namespace finds the host's files, and the root at the path that it knows.
pub(super) fn see_mounts(input: &CreateInput<'_>) -> bool {
    input.config.hooks.any(&[HookKind::Prestart, HookKind::CreateRuntime, HookKind::CreateContainer])
}

/// The barrier at the assembled, not yet entered root, for the engine's hooks and for the network devices that it moves;
/// then the hooks of init. Before anything of the root is made read-only or masked, since hooks make mount points.
pub(super) fn plan_assembled(plan: &mut Plan, input: &CreateInput<'_>) -> Result<()> {
    let reasons = [
        (HookKind::Prestart.path(), input.config.hooks.any(&[HookKind::Prestart])),
        (HookKind::CreateRuntime.path(), input.config.hooks.any(&[HookKind::CreateRuntime])),
        ("linux.netDevices", !input.config.linux.net_devices.is_empty()),
    ];
    if let Some((field, _)) = reasons.into_iter().find(|(_, asked)| *asked) {
        plan.push(Origin::Field(field), &Step::Barrier(Barrier::Assembled))?;
    }
    let origin = Origin::Field(HookKind::CreateContainer.path());
    if input.config.hooks.any(&[HookKind::CreateContainer]) {
        plan.push(origin, &Step::SetUmask { mask: UMASK })?;
        let state = HookState { id: input.id, bundle: input.bundle, annotations: &input.config.annotations };
        plan_hooks(plan, input.config, HookKind::CreateContainer, (&state, Status::Creating))?;
        plan.push(origin, &Step::SetUmask { mask: 0 })?;
    }
    Ok(())
}

/// Hooks of the process that is about to execute the program: with its user, its limits and its directory.
pub(super) fn plan_start(plan: &mut Plan, config: &Config<'_>, id: &str, bundle: &str) -> Result<()> {
    let state = HookState { id, bundle, annotations: &config.annotations };
    plan_hooks(plan, config, HookKind::StartContainer, (&state, Status::Created))
}

fn plan_hooks(
    plan: &mut Plan,
    config: &Config<'_>,
    kind: HookKind,
    (state, status): (&HookState<'_, impl Serialize>, Status),
) -> Result<()> {
    let hooks = config.hooks.of(kind);
    if hooks.is_empty() {
        return Ok(());
    }
    // Not before it is known that somebody reads it: annotations may be a megabyte.
    let [before, after] = state.around_pid(status);
    let origin = Origin::Field(kind.path());
    let (before, after) = (c_string(origin, &before)?, c_string(origin, &after)?);
    for (index, hook) in hooks.iter().enumerate() {
        let origin = Origin::Entry(kind.path(), index);
        let path = c_string(origin, &hook.path)?;
        let mut arguments = TextList::default();
        arguments.push(origin, name_of(hook))?;
        for argument in hook.args.iter().skip(1) {
            arguments.push(origin, argument)?;
        }
        let environment = environment(origin, config, kind, hook)?;
        let outputs = outputs(plan, config)?;
        let step = Step::RunHook {
            path: CText::new(&path),
            arguments: arguments.as_texts(),
            environment: environment.as_texts(),
            with_home: inherits(kind, hook),
            outputs,
            timeout: hook.timeout,
            state: CText::new(&before),
            state_end: CText::new(&after),
        };
        plan.push(origin, &step)?;
    }
    Ok(())
}

/// The engine opens the files of each hook, since they are the host's.
fn outputs(plan: &mut Plan, config: &Config<'_>) -> Result<[Option<Fd>; 2]> {
    let HookOutputs([output, error]) =
        HookOutputs::find(|name| config.annotations.get(name).map(Str::as_str));
    let mut want = |path: Option<&str>| {
        let want = |path: &str| plan.want(Origin::Field("annotations"), Want::Output { path: path.into() });
        path.map(want).transpose()
    };
    Ok([want(output)?, want(error)?])
}

/// A hook gets its own environment and nothing else. A `startContainer` hook without one gets that of the process, which
/// it always had in runc, and which images rely on.
fn environment(origin: Origin, config: &Config<'_>, kind: HookKind, hook: &Hook<'_>) -> Result<TextList> {
    let own = hook.env.as_deref().unwrap_or_default();
    let variables = if inherits(kind, hook) { &config.process.env } else { own };
    let mut list = TextList::default();
    for variable in variables {
        list.push(origin, variable)?;
    }
    Ok(list)
}

fn inherits(kind: HookKind, hook: &Hook<'_>) -> bool {
    kind == HookKind::StartContainer && hook.env.as_ref().is_none_or(|env| env.is_empty())
}
