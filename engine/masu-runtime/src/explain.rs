//! A plan in plain words: what happens, in which order, and which field of config.json asked for it.
//!
//! [`explain_create`] takes the way of [`create`](crate::create()) up to the plan and makes nothing on it.
//! [`explain_config`] decides as `create` does, and [`explain_plan`] is pure: it puts the engine's own work between the steps of
//! init, and gives each its sentence.
//! The sentences of the steps are in `sentence`, those of a step that failed in `message`. The engine itself never
//! calls this module, so that its binary has none of it.

mod sentence;
mod words;

use alloc::{format, string::String, vec::Vec};
use core::fmt::Display;

use masu_cgroup::{Cgroup, CgroupRecord, MemberRecord, Privilege, Setting, plan_settings};
use masu_program::{Barrier, Step, Steps};
use masu_spec::{Config, DELEGATE_CGROUP, HookKind, Hooks, NetDevice, parse_config};
use rustix::{
    fs::{Access, AtFlags, CWD},
    io::Errno,
};
use serde::Serialize;

use crate::{
    create::{CgroupDriver, absolute, cgroup_mounts, find_rootfs, read_config, request},
    error::{Doing, Result},
    host::{Host, open_proc},
    host_views::host_views,
    plan::{CreateInput, Origin, Plan, StartGate, Want, plan_create},
    store::Store,
};

/// Where on the way a step is taken, and by whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// By the engine, before the container's process exists.
    Engine,
    /// By the engine: the one system call that makes the process.
    Clone,
    /// By the engine, while masu-init begins.
    Meanwhile,
    /// By masu-init, in that process.
    Init,
    /// By both: masu-init waits until the engine, or `masu start`, has done its part.
    Barrier,
    /// The end of masu-init, and the beginning of the container's program.
    Execve,
    /// By the engine, when the program runs.
    After,
}

/// One step in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExplainedStep {
    /// Its place, counted from 1.
    pub number: usize,
    /// Its place in init's program, counted from 0, as a failure frame has it; `None` for the engine's own work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// Where on the way it is taken.
    pub phase: Phase,
    /// Its name: for a step of init the variant's of [`Step`].
    pub step: String,
    /// The field of config.json that asked for it; `container` for what every container gets.
    pub origin: String,
    /// What happens.
    pub sentence: String,
}

/// A whole plan in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// What is odd about the configuration, but no error.
    pub warnings: Vec<String>,
    /// The steps in their order.
    pub steps: Vec<ExplainedStep>,
}

/// What the engine's own work is about.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// The directory of the container's state.
    pub directory: &'a str,
    /// Where the container's cgroup will be; without members for a container that gets none.
    pub cgroup: &'a CgroupRecord,
    /// Its limits.
    pub settings: &'a [Setting],
    /// Whether its device rules are written: the kernel refuses them to all but the first user namespace's root.
    pub device_rules: bool,
    /// The hooks, some of which the engine runs itself.
    pub hooks: &'a Hooks<'a>,
    /// The network devices that it moves.
    pub net_devices: &'a [NetDevice<'a>],
}

/// What `explain` is told beside the configuration: the part of [`CreateOptions`](crate::CreateOptions) that changes
/// the plan.
#[derive(Debug, Clone, Copy)]
pub struct ExplainOptions<'a> {
    /// The name of the container.
    pub id: &'a str,
    /// The bundle's directory, as given.
    pub bundle: &'a str,
    /// Whether the root is entered by chroot(2) instead of pivot_root(2).
    pub no_pivot: bool,
    /// Whether the container keeps the caller's session keyring.
    pub no_new_keyring: bool,
    /// Descriptors after standard error that the process gets.
    pub preserve_fds: u32,
    /// Who makes the cgroup.
    pub cgroup_driver: CgroupDriver<'a>,
    /// Whether a cgroup that may not be made is no error; `None` decides by the user.
    pub rootless: Option<bool>,
}

/// Explains how a container would be made, and makes nothing: no directory, no cgroup, no process.
///
/// # Errors
/// Those of [`create`](crate::create()), as far as they can be known without making anything.
pub fn explain_create(store: &Store, options: &ExplainOptions<'_>) -> Result<Explanation> {
    masu_spec::check_container_id(options.id)?;
    let bundle = absolute(options.bundle)?;
    let json = read_config(&bundle)?;
    let config = parse_config(&json)?;
    let rootfs = find_rootfs(&bundle, &config)?;
    let host = Host::probe(&open_proc()?)?;
    let directory = store.path(options.id);
    explain_config(&config, &host, &rootfs, &directory, &ExplainOptions { bundle: &bundle, ..*options })
}

/// Explains how a container would be made on `host`, from paths that are absolute: its root file system, the directory
/// for its state, and the bundle in `options`.
///
/// # Errors
/// Those of the plan, and of a cgroup's path.
pub fn explain_config(
    config: &Config<'_>,
    host: &Host,
    rootfs: &str,
    directory: &str,
    options: &ExplainOptions<'_>,
) -> Result<Explanation> {
    let asked = request(options.id, config, host, options.rootless);
    let request = asked.as_request();
    let no_cgroup = options.cgroup_driver == CgroupDriver::Disabled;
    let mut record = match no_cgroup {
        true => CgroupRecord::default(),
        false => {
            let unit = asked.plan_unit(options.cgroup_driver, host)?;
            Cgroup::record_before(host.layout()?, &request, unit.as_ref())?
        }
    };
    // What an ordinary user may not make is left out, unless the configuration names it, or systemd makes it.
    if request.is_lenient() && record.unit.is_none() {
        let (made, denied) = record.members.into_iter().partition(may_make);
        record.members = made;
        record.denied = Vec::into_iter(denied).flat_map(|member: MemberRecord| member.controllers).collect();
        // It is made in the version 2 hierarchy alone, below a cgroup that has to be there.
        record.delegated = record.delegated.filter(|_| record.members.iter().any(|member| member.alone));
    }
    let v1 = record.members.iter().filter(|member| !member.version_2);
    let hierarchies: Vec<String> = v1.map(|member| words::last_name(&member.mount_point).into()).collect();
    let cgroup = Cgroup::open(&record);
    let cgroup_mounts = cgroup_mounts(config, &cgroup, host)?;
    let mut plan = plan_create(&CreateInput {
        config,
        host,
        id: options.id,
        bundle: options.bundle,
        rootfs,
        hierarchies: &hierarchies,
        unified: record.members.iter().any(|member| member.version_2),
        cgroup_mounts: &cgroup_mounts,
        gate: StartGate::Fifo,
        no_pivot: options.no_pivot,
        host_views: &host_views(config, options.no_pivot)?,
        no_new_keyring: options.no_new_keyring,
        preserve_fds: options.preserve_fds,
    })?;
    plan.warnings.extend(cgroup.ignored(&config.linux.resources));
    let settings = match no_cgroup {
        true => Vec::new(),
        false => plan_settings(host.layout()?, &record.denied, &config.linux.resources)?,
    };
    let surroundings = Surroundings {
        directory,
        cgroup: &record,
        settings: &settings,
        device_rules: !cgroup.is_none() && matches!(request.privilege, Privilege::Full | Privilege::Tolerant),
        hooks: &config.hooks,
        net_devices: &config.linux.net_devices,
    };
    explain_plan(&plan, Some(&surroundings))
}

/// Whether the cgroup could be made: by the rights on what is there of the path to it.
fn may_make(member: &MemberRecord) -> bool {
    let path = format!("{}{}", member.mount_point, member.path);
    let mut ends = path.rmatch_indices('/').map(|(end, _)| end);
    ends.find_map(|end| {
        let parent = path.get(..end).filter(|parent| !parent.is_empty()).unwrap_or("/");
        match rustix::fs::accessat(CWD, parent, Access::WRITE_OK, AtFlags::EACCESS) {
            Err(Errno::NOENT) => None,
            outcome => Some(outcome.is_ok()),
        }
    })
    .unwrap_or(false)
}

/// Explains a plan; `surroundings` are those of a new container, and `None` for a process in one that exists.
///
/// # Errors
/// For a plan that this version did not make.
pub fn explain_plan(plan: &Plan, surroundings: Option<&Surroundings<'_>>) -> Result<Explanation> {
    let mut list = List(Vec::with_capacity(plan.origins.len() + plan.wants.len() + 4));
    if let Some(surroundings) = surroundings {
        list.before_clone(surroundings);
    }
    if plan.into_cgroup {
        let (name, sentence) = sentence::of_want(&Want::UnifiedCgroup);
        list.push(Phase::Engine, name, "linux.cgroupsPath", sentence);
    }
    let sealed = "Seals masu-init, and the steps that it begins with, into two files in memory that nobody can change.";
    list.push(Phase::Engine, "Seal", Origin::Engine, sealed.into());
    list.push(Phase::Clone, "Clone", Origin::Field("linux.namespaces"), sentence::of_clone(plan));
    for (index, (step, origin)) in Steps::new(&plan.program).zip(&plan.origins).enumerate() {
        let step = step.map_err(|_| Errno::ILSEQ).doing(|| "read the plan".into())?;
        if step == Step::AwaitProgram {
            list.meanwhile(plan, surroundings);
        }
        let name = words::variant(&format!("{step:?}"));
        let sentence = match (&step, surroundings) {
            (Step::Barrier(Barrier::Assembled), Some(Surroundings { hooks, net_devices, .. })) => {
                sentence::of_assembled(hooks, net_devices)
            }
            (
                Step::Barrier(Barrier::Ready),
                Some(Surroundings { cgroup: CgroupRecord { delegated: Some(path), .. }, .. }),
            ) => sentence::of_ready_to_move(path),
            _ => sentence::of_step(plan, &step),
        };
        list.push(phase(&step), &name, *origin, sentence);
        if let Some(last) = list.0.last_mut() {
            last.index = Some(index);
        }
    }
    let poststart = surroundings.map_or(&[][..], |surroundings| surroundings.hooks.of(HookKind::Poststart));
    for (index, hook) in poststart.iter().enumerate() {
        let origin = Origin::Entry(HookKind::Poststart.path(), index);
        list.push(Phase::After, "RunHook", origin, format!("Runs the hook {:?}.", hook.path.as_str()));
    }
    Ok(Explanation { warnings: plan.warnings.clone(), steps: list.0 })
}

/// The list in the making.
struct List(Vec<ExplainedStep>);

impl List {
    fn push(&mut self, phase: Phase, step: &str, origin: impl Display, sentence: String) {
        let (number, origin) = (self.0.len() + 1, format!("{origin}"));
        self.0.push(ExplainedStep { number, index: None, phase, step: step.into(), origin, sentence });
    }

    /// What the engine makes before the process.
    fn before_clone(&mut self, surroundings: &Surroundings<'_>) {
        let text =
            format!("Makes the directory {:?}, which keeps the container's state.", surroundings.directory);
        self.push(Phase::Engine, "MakeStateDirectory", Origin::Engine, text);
        if let Some(unit) = &surroundings.cgroup.unit {
            let text = format!("Asks systemd for the unit {:?}, with its limits as properties.", unit.name);
            self.push(Phase::Engine, "StartUnit", Origin::Field("linux.cgroupsPath"), text);
        }
        self.cgroup(Phase::Engine, surroundings, |member| member.version_2);
        if is_complete(surroundings) {
            self.limits(Phase::Engine, surroundings);
        }
    }

    /// What it does while masu-init begins.
    fn meanwhile(&mut self, plan: &Plan, surroundings: Option<&Surroundings<'_>>) {
        if let Some(surroundings) = surroundings {
            self.cgroup(Phase::Meanwhile, surroundings, |member| !member.version_2);
            if !is_complete(surroundings) {
                self.limits(Phase::Meanwhile, surroundings);
            }
        }
        for (origin, want) in &plan.wants {
            let (name, sentence) = sentence::of_want(want);
            self.push(Phase::Meanwhile, name, *origin, sentence);
        }
        let sealed = "Seals the other steps likewise, and hands them over with all that it has opened.";
        self.push(Phase::Meanwhile, "SealProgram", Origin::Engine, sealed.into());
    }

    /// The cgroup in some of the hierarchies.
    fn cgroup(
        &mut self,
        phase: Phase,
        surroundings: &Surroundings<'_>,
        is_meant: impl Fn(&MemberRecord) -> bool,
    ) {
        let members = || surroundings.cgroup.members.iter().filter(|member| is_meant(member));
        let mut paths: Vec<&str> = Vec::new();
        for path in members().map(|member| member.path.as_str()) {
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
        for path in paths {
            let here = members().filter(|member| member.path == path);
            // systemd has made it in some hierarchies, or all.
            let verb = if surroundings.cgroup.unit.is_some() { "Takes or makes" } else { "Makes" };
            let text = format!("{verb} the cgroup {path:?} in {}.", words::hierarchies(here));
            self.push(phase, "MakeCgroup", Origin::Field("linux.cgroupsPath"), text);
        }
    }

    /// What is written to the cgroup.
    fn limits(&mut self, phase: Phase, surroundings: &Surroundings<'_>) {
        if surroundings.device_rules {
            let text = "Allows the cgroup the default devices and those of the configuration, and no others.";
            self.push(phase, "AllowDevices", "linux.resources.devices", text.into());
        }
        for Setting { file, value, field } in surroundings.settings {
            let (file, value) = (words::plain(file.as_bytes()), words::plain(value.as_bytes()));
            self.push(phase, "SetLimit", field, format!("Sets {file} of the cgroup to {value}."));
        }
        if let Some(path) = &surroundings.cgroup.delegated {
            let text = format!("Makes the cgroup {path:?} below it, without limits of its own.");
            let origin = format!("annotations[{DELEGATE_CGROUP:?}]");
            self.push(phase, "MakeCgroup", origin, text);
        }
    }
}

/// Whether all of the cgroup is there before the process: on a host without version 1 hierarchies.
fn is_complete(surroundings: &Surroundings<'_>) -> bool {
    surroundings.cgroup.members.iter().all(|member| member.version_2)
}

fn phase(step: &Step<'_>) -> Phase {
    match step {
        Step::Barrier(Barrier::Mapped | Barrier::Assembled | Barrier::Ready) | Step::AwaitStart { .. } => {
            Phase::Barrier
        }
        Step::Execute { .. } => Phase::Execve,
        _ => Phase::Init,
    }
}

/// What the plan wants as number `fd`.
fn wanted(plan: &Plan, fd: masu_program::Fd) -> Option<&Want> {
    plan.wants.get(usize::try_from(fd.0).ok()?).map(|(_, want)| want)
}
