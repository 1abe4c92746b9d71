//! The words for a step that failed: init sends numbers, the plan remembers what they mean.

use alloc::{format, string::String, vec::Vec};

use masu_program::{CText, CopyUp, Namespaces, Part, Source, Step, Steps};
use masu_spec::{HookKind, NamespaceKind, RLIMIT_NAMES};
use masu_sys::errno::Described;
use rustix::io::Errno;

use crate::{
    error::Error,
    hooks::{self, Place},
    plan::{CONTEXT_TYPES, KEY_LABEL, Origin, Plan},
    restrictions::Restrictions,
    unprivileged,
};

/// The error for a failure frame.
pub(crate) fn failed_step(plan: &Plan, number: u32, part: Part, errno: u16, detail: &[u8]) -> Error {
    let errno = Errno::from_raw_os_error(errno.into());
    let index = usize::try_from(number).unwrap_or(usize::MAX);
    let step = Steps::new(&plan.program).nth(index).and_then(Result::ok);
    let origin = plan.origins.get(index).copied().unwrap_or(Origin::Engine);
    let Some(step) = step else {
        let message = format!("container: start masu-init: {}: {}", part.name(), Described(errno));
        return Error::Step { message, hint: None };
    };
    if let Step::FindProgram { .. } = step {
        return Error::Step { message: not_found(plan, errno), hint: None };
    }
    if let Step::RunHook { path, timeout, .. } = step
        && let Some(ending) = hooks::ending(part, errno)
    {
        let place = if origin_is(origin, HookKind::StartContainer) { Place::Container } else { Place::Host };
        let path = plain(path);
        return hooks::failed(&format!("{origin}"), &path, ending, timeout, until_nul(detail), place);
    }
    let mut message = format!("{origin}: {}: ", describe(&step));
    if part == Part::Outside && errno == Errno::PERM {
        message += "the directory is outside of the container's root: operation not permitted (EPERM)";
        return Error::Step { message, hint: Some("give a path that is inside the container".into()) };
    }
    message += &format!("{}: {}", part.name(), Described(errno));
    let log = str::from_utf8(until_nul(detail)).unwrap_or_default();
    if !log.trim().is_empty() {
        message += &format!(": {}", log.trim());
    }
    let hint = hint(&step, part, errno)
        .or_else(|| unprivileged::hint(&step, part, errno, plan.id_maps.is_some(), Restrictions::probe));
    Error::Step { message, hint }
}

/// The text that begins `detail`, which fills it or ends with a NUL.
pub(crate) fn until_nul(detail: &[u8]) -> &[u8] {
    detail.split(|byte| *byte == 0).next().unwrap_or_default()
}

fn origin_is(origin: Origin, kind: HookKind) -> bool {
    matches!(origin, Origin::Entry(list, _) if list == kind.path())
}

/// What engines take for exit codes 126 and 127.
fn not_found(plan: &Plan, errno: Errno) -> String {
    let name = Steps::new(&plan.program).flatten().find_map(|step| match step {
        Step::Execute { mut arguments, .. } => arguments.next(),
        _ => None,
    });
    let name = name.map(|name| String::from_utf8_lossy(name.to_bytes())).unwrap_or_default();
    match errno {
        Errno::NOENT if name.contains('/') => {
            format!("exec: {name:?}: stat {name}: no such file or directory")
        }
        Errno::NOENT => format!("exec: {name:?}: executable file not found in $PATH"),
        Errno::ACCESS => format!("exec: {name:?}: permission denied"),
        // A directory may not be executed either; engines look for these words.
        Errno::ISDIR => format!("exec: {name:?}: is a directory: permission denied"),
        errno => format!("exec: {name:?}: {}", Described(errno)),
    }
}

#[expect(clippy::too_many_lines, reason = "a flat table, a line or two for each step")]
fn describe(step: &Step<'_>) -> String {
    let on = |path: CText<'_>| format!("{:?}", path.as_c_str());
    match step {
        Step::AwaitProgram => "receive the steps".into(),
        Step::HoldProc { .. } | Step::ReleaseProc => "open /proc".into(),
        Step::HoldExecLabel { path } => format!("open /proc/{}", plain(*path)),
        Step::AdjustOomScore { score } => format!("set oom_score_adj to {}", plain(*score)),
        Step::JoinNamespaces { namespaces, .. } => format!("join {}", namespace_names(*namespaces)),
        Step::Unshare { namespaces } => format!("make {}", namespace_names(*namespaces)),
        Step::SetTimeOffsets { .. } => "set the clocks".into(),
        Step::Fork { namespaces, .. } if namespaces.is_empty() => "start the process".into(),
        Step::Fork { namespaces, .. } => format!("make {}", namespace_names(*namespaces)),
        Step::Barrier(_) => "wait for the engine".into(),
        Step::AttachCgroup { .. } => "join the cgroup".into(),
        Step::ChangeIdentity(identity) => format!("become user {}, group {}", identity.uid, identity.gid),
        Step::HideFromTracers => "hide from tracers".into(),
        Step::RaiseLoopback => "bring the loopback interface up".into(),
        Step::SetHostname { name } | Step::SetDomainname { name } => format!("set {}", on(*name)),
        Step::WriteSysctl { path, value } => format!("write {} to /proc/{}", on(*value), plain(*path)),
        Step::JoinKeyring { .. } => "join the container's session keyring".into(),
        Step::SetHostPropagation(_) | Step::SetRootPropagation(_) => {
            "change the propagation of mounts".into()
        }
        Step::OpenRoot { .. } | Step::OpenRootDirectory { .. } => "attach the root file system".into(),
        Step::Mount { source, target, .. } => mount(source, target.path),
        Step::Unmount { path } => format!("unmount {}", on(*path)),
        Step::MountCopy { source, path, what: CopyUp::Permissions, .. } => mount(source, *path),
        Step::MountCopy { path, .. } => format!("mount a copy on {}", on(*path)),
        Step::ChangeMount { path, .. } => format!("change the mount at {}", on(*path)),
        Step::MakeDevice { path, number: (major, minor), .. } => {
            format!("make device {major}:{minor} at {}", on(*path))
        }
        Step::MakeSymlink { path, target, .. } => format!("link {} to {}", on(*path), on(*target)),
        Step::MakeDirectory { path } => format!("make directory {}", on(*path)),
        Step::SetFileLabel { path, label } => format!("label {} {}", on(*path), on(*label)),
        Step::MaskPath { path, .. } => format!("mask {}", on(*path)),
        Step::ProtectPath { path } | Step::ProtectMount { path } => format!("make {} read-only", on(*path)),
        Step::HideFromRoot { path } => format!("hide {} of the host", on(*path)),
        Step::StackRoot => "move the root file system on top of /".into(),
        Step::RunHook { path, .. } => format!("run {}", plain(*path)),
        Step::OpenTerminal { .. } => "make a terminal".into(),
        Step::MountConsole => "mount the terminal on \"/dev/console\"".into(),
        Step::TakeTerminal => "take the terminal".into(),
        Step::EnterRoot(_) => "enter the root file system".into(),
        Step::RaiseResourceLimit { resource, soft, hard }
        | Step::SetResourceLimit { resource, soft, hard } => {
            let name = usize::try_from(*resource).ok().and_then(|number| RLIMIT_NAMES.get(number));
            format!("set {} to {soft}:{hard}", name.unwrap_or(&"a limit"))
        }
        Step::SetCpuAffinity { cpus: None } => "give all CPUs back".into(),
        Step::SetCpuAffinity { cpus: Some(_) } => "choose CPUs".into(),
        Step::SetScheduler { .. } => "set the scheduling policy".into(),
        Step::SetIoPriority { .. } => "set the I/O priority".into(),
        Step::SetMemoryPolicy { .. } => "set the memory policy".into(),
        Step::SetPersonality { .. } => "set the execution domain".into(),
        Step::SetUmask { mask } => format!("set umask {mask:04o}"),
        Step::ChangeDirectory { path, .. } => format!("change to directory {}", on(*path)),
        Step::LimitCapabilities { .. } | Step::SetCapabilities { .. } | Step::DropCapabilities { .. } => {
            "set capabilities".into()
        }
        Step::SetExecLabel { label } => match plain(*label).strip_prefix("exec ") {
            Some(profile) => format!("apply profile {profile:?}"),
            None => format!("set label {}", on(*label)),
        },
        Step::ForbidNewPrivileges => "forbid new privileges".into(),
        Step::FindHome { uid } => format!("find the home of user {uid}"),
        Step::FindProgram { .. } => "find the program".into(),
        Step::AwaitStart { .. } => "wait for start".into(),
        Step::CloseDescriptors { .. } => "close descriptors".into(),
        Step::ResetSignals => "reset the signals".into(),
        Step::LoadFilter { .. } | Step::LoadFilterWithListener { .. } => {
            "load the filter for system calls".into()
        }
        Step::Execute { arguments, .. } => {
            let mut arguments = *arguments;
            let name = arguments.next().unwrap_or_default();
            format!("exec {name:?}")
        }
    }
}

/// The kinds in the specification's words.
pub(crate) fn namespace_names(namespaces: Namespaces) -> String {
    let kinds = NamespaceKind::ALL.into_iter().filter(|kind| namespaces.bits() & kind.clone_flag() != 0);
    let names: Vec<_> = kinds.map(NamespaceKind::name).collect();
    match names.len() {
        1 => format!("the {} namespace", names.join("")),
        _ => format!("the namespaces {}", names.join(", ")),
    }
}

/// What there is to say when no further namespace may be made.
pub(crate) const TOO_MANY_NAMESPACES: &str = "/proc/sys/user/max_*_namespaces limits how many there can be";

/// What clone3 with CLONE_INTO_CGROUP means by an errno, clone(2).
pub(crate) fn cgroup_hint(errno: Errno) -> Option<&'static str> {
    match errno {
        Errno::BUSY => Some(
            "the cgroup has controllers enabled for cgroups below it, and so takes no process itself: choose one below",
        ),
        Errno::OPNOTSUPP => Some(
            "the cgroup lies in a threaded tree, which takes no process from outside: choose another cgroupsPath",
        ),
        Errno::ACCESS => Some(
            "entering the cgroup takes the right to write cgroup.procs of the one that it has in common with the engine's; \
             systemd-run --user --scope runs a command where the user's own systemd has it",
        ),
        _ => None,
    }
}

fn mount(source: &Source<'_>, target: CText<'_>) -> String {
    let what = match source {
        Source::Filesystem { kind, .. } | Source::FilesystemOr { kind, .. } => plain(*kind),
        Source::Tree { .. } => "the bound tree".into(),
        Source::Path { path, .. } => format!("{:?}", path.as_c_str()),
    };
    format!("mount {what} on {:?}", target.as_c_str())
}

fn plain(text: CText<'_>) -> String {
    String::from_utf8_lossy(text.as_c_str().to_bytes()).into_owned()
}

fn hint(step: &Step<'_>, part: Part, errno: Errno) -> Option<String> {
    let text = match (step, part, errno) {
        (Step::Fork { cgroup: Some(_), .. }, _, Errno::BUSY | Errno::OPNOTSUPP | Errno::ACCESS) => {
            cgroup_hint(errno)?
        }
        (Step::Unshare { .. }, _, Errno::NOSPC) => TOO_MANY_NAMESPACES,
        (Step::Execute { .. }, _, Errno::NOENT) => {
            "the interpreter of the script, or the program's dynamic loader, is missing in the container"
        }
        (Step::Execute { .. }, _, Errno::NOEXEC) => {
            "not a program of this machine's architecture, and no script"
        }
        (Step::Execute { .. }, _, Errno::PERM) => {
            "the file has capabilities that process.capabilities.bounding lacks (getcap), or a security module denies it (dmesg)"
        }
        (Step::SetResourceLimit { .. } | Step::RaiseResourceLimit { .. }, _, Errno::PERM) => {
            "above the engine's own hard limit, which takes CAP_SYS_RESOURCE to raise"
        }
        (Step::AdjustOomScore { .. }, _, Errno::ACCESS | Errno::PERM) => {
            "below the engine's own score, which takes CAP_SYS_RESOURCE to lower"
        }
        (Step::LoadFilter { .. } | Step::LoadFilterWithListener { .. }, Part::LoadFilter, Errno::ACCESS) => {
            "without process.noNewPrivileges a filter takes CAP_SYS_ADMIN, which the engine does not have"
        }
        (Step::LoadFilterWithListener { .. }, Part::LoadFilter, Errno::BUSY) => {
            "masu itself runs below a filter with a listener, and the kernel takes one for each process alone"
        }
        (Step::LoadFilter { .. } | Step::LoadFilterWithListener { .. }, Part::LoadFilter, Errno::INVAL) => {
            "this kernel is built without CONFIG_SECCOMP_FILTER, or older than one of the filter's flags or actions"
        }
        (Step::OpenTerminal { .. }, Part::FindDevpts | Part::OpenMaster, Errno::NOSPC) => {
            "no terminal is left: raise sysctl kernel.pty.max, or the option max of the devpts in mounts"
        }
        (Step::OpenTerminal { .. }, Part::FindDevpts, _) => {
            "a terminal needs a mount of type devpts on /dev/pts, as masu spec writes it; or set process.terminal to false"
        }
        (Step::MountConsole, Part::OpenTarget, Errno::LOOP) => {
            "/dev/console is a symbolic link, which could lead elsewhere; remove it from the image"
        }
        (Step::MountConsole, Part::MakeFile, Errno::ROFS) => {
            "there is no /dev/console, and /dev cannot be written: mount a tmpfs on /dev"
        }
        (Step::SetHostPropagation(_), _, Errno::INVAL) => {
            "/ is no mount here, as in a chroot: mount --bind DIR DIR before chroot DIR makes it one"
        }
        (Step::EnterRoot(_), Part::PivotRoot, Errno::INVAL) => {
            "the host's root is an initial ramfs, or no mount: try --no-pivot"
        }
        (Step::SetExecLabel { .. }, Part::Write, Errno::NOENT) => {
            "no AppArmor profile of this name is loaded: aa-status lists those that are, apparmor_parser FILE loads one"
        }
        (Step::SetExecLabel { .. }, Part::Write, Errno::INVAL) => UNKNOWN_LABEL,
        (Step::WriteSysctl { path, .. }, Part::Write, Errno::INVAL) if path.as_c_str() == KEY_LABEL => {
            UNKNOWN_LABEL
        }
        (Step::SetExecLabel { .. }, Part::Write, Errno::ACCESS | Errno::PERM) => {
            "masu itself is confined by a profile or policy that does not allow this change"
        }
        _ => scheduling_hint(step, errno).or_else(|| mount_hint(step, part, errno))?,
    };
    Some(text.into())
}

fn scheduling_hint(step: &Step<'_>, errno: Errno) -> Option<&'static str> {
    Some(match (step, errno) {
        (Step::SetScheduler { .. }, Errno::PERM) => {
            "SCHED_FIFO, SCHED_RR, SCHED_DEADLINE and a nice below the engine's take CAP_SYS_NICE; a version 1 cgroup \
             needs linux.resources.cpu.realtimeRuntime for the first two; and by the third one the process scheduler can't \
             be used together with AllowedCPUs (linux.resources.cpu.cpus)"
        }
        (Step::SetScheduler { .. }, Errno::INVAL) => {
            "SCHED_FIFO and SCHED_RR have priorities from 1 to 99, and SCHED_DEADLINE a runtime up to its deadline, and \
             that up to its period; no kernel has SCHED_ISO"
        }
        (Step::SetIoPriority { .. }, Errno::PERM) => "IOPRIO_CLASS_RT takes CAP_SYS_ADMIN or CAP_SYS_NICE",
        (Step::SetCpuAffinity { .. }, Errno::INVAL) => {
            "none of the CPUs is online and in the container's cgroup (linux.resources.cpu.cpus)"
        }
        (Step::SetMemoryPolicy { .. }, Errno::INVAL) => {
            "none of the nodes has memory and is in the container's cgroup (linux.resources.cpu.mems), or this kernel \
             is older than the mode or the flag"
        }
        (Step::SetMemoryPolicy { .. }, Errno::NOSYS) => "this kernel is built without CONFIG_NUMA",
        _ => return None,
    })
}

/// What there is to say of a label of SELinux that is refused.
const UNKNOWN_LABEL: &str = "the loaded SELinux policy does not know this label";

fn mount_hint(step: &Step<'_>, part: Part, errno: Errno) -> Option<&'static str> {
    Some(match (step, part, errno) {
        (Step::Mount { target, .. }, Part::OpenTarget, Errno::LOOP) if target.no_symlinks => {
            "the mount point is a symbolic link, which could lead elsewhere: this must be mounted on ordinary directory"
        }
        (Step::ChangeMount { .. }, Part::SetAttributes | Part::FsPick, Errno::INVAL) => {
            "remount changes what is mounted at the destination already; nothing is mounted there"
        }
        (Step::MountCopy { .. }, Part::Write, Errno::NOSPC) => {
            "the tmpfs is too small for the copy that tmpcopyup makes; its option is size="
        }
        (Step::Mount { .. }, Part::Attach, Errno::INVAL) => {
            "a directory can be mounted on a directory alone, and a file on a file"
        }
        (Step::Unmount { .. }, Part::OpenTarget, Errno::LOOP) => {
            "a symbolic link on the way is not followed; name the place where the mount is"
        }
        (Step::Unmount { .. }, Part::Detach, Errno::INVAL) => "nothing is mounted there",
        (Step::Mount { source, .. } | Step::MountCopy { source, .. }, Part::FsConfig, Errno::INVAL)
            if is_labelled(*source) =>
        {
            "an option is wrong, or the loaded SELinux policy does not know linux.mountLabel"
        }
        (Step::Mount { .. }, Part::FsOpen, Errno::NODEV) => "this kernel does not know the file system",
        (
            Step::Mount { .. } | Step::MountCopy { .. } | Step::MakeDirectory { .. },
            Part::MakeDirectory | Part::MakeFile,
            Errno::ROFS,
        ) => "the mount point is missing, and the root file system is read-only",
        _ => return None,
    })
}

/// Whether a file system gets a label of SELinux.
fn is_labelled(source: Source<'_>) -> bool {
    let Source::Filesystem { mut parameters, .. } = source else { return false };
    parameters.any(|text| CONTEXT_TYPES.iter().any(|kind| kind.as_bytes() == text.to_bytes()))
}
