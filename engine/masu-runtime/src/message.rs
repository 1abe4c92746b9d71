//! The words for a step that failed: init sends numbers, the plan remembers what they mean.

use alloc::{format, string::String, vec::Vec};
use core::ffi::CStr;

use masu_program::{CText, Namespaces, Part, Source, Step, Steps};
use masu_spec::{NamespaceKind, RLIMIT_NAMES};
use masu_sys::errno::Described;
use rustix::io::Errno;

use crate::{
    error::Error,
    plan::{Origin, Plan},
};

/// The error for a failure frame.
pub(crate) fn failed_step(plan: &Plan, number: u32, part: Part, errno: u16, detail: &[u8]) -> Error {
    let errno = Errno::from_raw_os_error(errno.into());
    let index = usize::try_from(number).unwrap_or(usize::MAX);
    let step = Steps::new(&plan.program).nth(index).and_then(Result::ok);
    let origin = plan.origins.get(index).copied().unwrap_or(Origin::Engine);
    let Some(step) = step else {
        let message = format!("container: {} masu-init: {}", part.name(), Described(errno));
        return Error::Step { message, hint: None };
    };
    if let Step::FindProgram { .. } = step {
        return Error::Step { message: not_found(plan, errno), hint: None };
    }
    let mut message = format!("{origin}: {}: ", describe(&step));
    if part == Part::Outside {
        message += "the directory is outside of the container's root: operation not permitted (EPERM)";
        return Error::Step { message, hint: Some("give a path that is inside the container".into()) };
    }
    message += &format!("{}: {}", part.name(), Described(errno));
    let log = CStr::from_bytes_until_nul(detail).ok().and_then(|log| log.to_str().ok()).unwrap_or_default();
    if !log.trim().is_empty() {
        message += &format!(": {}", log.trim());
    }
    Error::Step { message, hint: hint(&step, part, errno) }
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

fn describe(step: &Step<'_>) -> String {
    let on = |path: CText<'_>| format!("{:?}", path.as_c_str());
    match step {
        Step::HoldProc { .. } | Step::ReleaseProc => "open /proc".into(),
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
        Step::JoinKeyring { .. } => "join a new session keyring".into(),
        Step::SetHostPropagation(_) | Step::SetRootPropagation(_) => {
            "change the propagation of mounts".into()
        }
        Step::OpenRoot { .. } | Step::OpenRootDirectory { .. } => "attach the root file system".into(),
        Step::Mount { source, target, .. } => mount(source, target.path),
        Step::MakeDevice { path, number: (major, minor), .. } => {
            format!("make device {major}:{minor} at {}", on(*path))
        }
        Step::MakeSymlink { path, target, .. } => format!("link {} to {}", on(*path), on(*target)),
        Step::MakeDirectory { path } => format!("make directory {}", on(*path)),
        Step::MaskPath { path } => format!("mask {}", on(*path)),
        Step::ProtectPath { path } | Step::ProtectMount { path } => format!("make {} read-only", on(*path)),
        Step::EnterRoot(_) => "enter the root file system".into(),
        Step::RaiseResourceLimit { resource, soft, hard }
        | Step::SetResourceLimit { resource, soft, hard } => {
            let name = usize::try_from(*resource).ok().and_then(|number| RLIMIT_NAMES.get(number));
            format!("set {} to {soft}:{hard}", name.unwrap_or(&"a limit"))
        }
        Step::SetUmask { mask } => format!("set umask {mask:04o}"),
        Step::ChangeDirectory { path, .. } => format!("change to directory {}", on(*path)),
        Step::LimitCapabilities { .. } | Step::SetCapabilities { .. } => "set capabilities".into(),
        Step::ForbidNewPrivileges => "forbid new privileges".into(),
        Step::FindHome { uid } => format!("find the home of user {uid}"),
        Step::FindProgram { .. } => "find the program".into(),
        Step::AwaitStart { .. } => "wait for start".into(),
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

fn mount(source: &Source<'_>, target: CText<'_>) -> String {
    let what = match source {
        Source::Filesystem { kind, .. } => plain(*kind),
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
        (Step::Execute { .. }, _, Errno::NOENT) => {
            "the interpreter of the script, or the program's dynamic loader, is missing in the container"
        }
        (Step::Execute { .. }, _, Errno::NOEXEC) => {
            "not a program of this machine's architecture, and no script"
        }
        (Step::SetResourceLimit { .. } | Step::RaiseResourceLimit { .. }, _, Errno::PERM) => {
            "above the engine's own hard limit, which takes CAP_SYS_RESOURCE to raise"
        }
        (Step::AdjustOomScore { .. }, _, Errno::ACCESS | Errno::PERM) => {
            "below the engine's own score, which takes CAP_SYS_RESOURCE to lower"
        }
        (Step::Mount { target, .. }, Part::OpenTarget, Errno::LOOP) if target.no_symlinks => {
            "the mount point is a symbolic link, which could lead elsewhere; the image has to bring a directory"
        }
        (Step::Mount { .. }, Part::Attach, Errno::INVAL) => {
            "a directory can be mounted on a directory alone, and a file on a file"
        }
        (Step::Mount { .. }, Part::FsOpen, Errno::NODEV) => "this kernel does not know the file system",
        (
            Step::Mount { .. } | Step::MakeDirectory { .. },
            Part::MakeDirectory | Part::MakeFile,
            Errno::ROFS,
        ) => "the mount point is missing, and the root file system is read-only",
        (Step::EnterRoot(_), Part::PivotRoot, Errno::INVAL) => {
            "the host's root is an initial ramfs, or no mount: try --no-pivot"
        }
        _ => return None,
    };
    Some(text.into())
}
