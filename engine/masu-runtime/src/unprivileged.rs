//! Advice for steps that fail for want of privilege: in a user namespace, and in a container around this one.

use alloc::{format, string::String};

use masu_program::{CText, DeviceSource, Namespaces, Part, Source, Step};
use rustix::io::Errno;

use crate::restrictions::Restrictions;

/// What to do about a step that failed; `None` where privilege is not the reason. `user_namespace` is whether the container
/// has a new one.
pub(crate) fn hint(
    step: &Step<'_>,
    part: Part,
    errno: Errno,
    user_namespace: bool,
    restrictions: impl FnOnce() -> Restrictions,
) -> Option<String> {
    match (step, part) {
        (Step::Fork { namespaces, .. }, Part::Fork) if namespaces.contains(Namespaces::USER) => {
            restrictions().hint(errno)
        }
        (Step::MakeDevice { source: DeviceSource::Path(path), .. }, Part::Open | Part::WrongDevice) => {
            Some(format!(
                "device nodes cannot be made in a user namespace; the host's {:?} would be bound, and it is not that device",
                path.as_c_str()
            ))
        }
        _ if !matches!(errno, Errno::PERM | Errno::ACCESS) => None,
        (Step::Mount { source, .. }, _) if user_namespace || part == Part::FsMount => {
            mount_hint(source, part)
                .map(Into::into)
                .or_else(|| confinement(step, user_namespace, restrictions))
        }
        _ => confinement(step, user_namespace, restrictions),
    }
}

/// Where AppArmor takes all capabilities of a new user namespace away, anything that needs one fails. And the filter of a
/// container around forbids what that one may not do, without asking in which namespace.
fn confinement(
    step: &Step<'_>,
    user_namespace: bool,
    restrictions: impl FnOnce() -> Restrictions,
) -> Option<String> {
    if !user_namespace {
        return None;
    }
    let restrictions = restrictions();
    if restrictions.is_restricted_by_apparmor() {
        return Some(restrictions.apparmor_hint());
    }
    let hint = restrictions.seccomp_hint("this")?;
    Some(match step {
        Step::SetHostname { .. } | Step::SetDomainname { .. } => {
            format!("{hint}; or without a uts namespace for this one (masu box --ns pid,ipc,cgroup)")
        }
        _ => hint,
    })
}

fn mount_hint(source: &Source<'_>, part: Part) -> Option<&'static str> {
    let kind = match source {
        Source::Filesystem { kind, .. } | Source::FilesystemOr { kind, .. } => Some(kind_name(*kind)),
        Source::Tree { .. } | Source::Path { .. } => None,
    };
    match (kind, part) {
        (Some("proc"), Part::FsMount) => Some(
            "the container around this one masks parts of /proc, and so the kernel allows no new one: run it with \
             --security-opt unmask=ALL (podman, masu box), --security-opt systempaths=unconfined (docker) or procMount: \
             Unmasked (Kubernetes); or without a pid namespace for this one (masu box --ns ipc,uts,cgroup)",
        ),
        (Some("proc"), Part::FsCreate) => Some(
            "the pid namespace belongs to another user namespace: add {\"type\": \"pid\"} to linux.namespaces",
        ),
        (Some("sysfs"), Part::FsMount | Part::FsCreate | Part::FsOpen) => Some(
            "a new sysfs needs a network namespace of the container's own user namespace; the host's will do: \"type\": \
             \"none\", \"source\": \"/sys\", \"options\": [\"rbind\", \"ro\"]",
        ),
        (Some("cgroup" | "cgroup2"), Part::FsMount | Part::FsCreate | Part::FsOpen) => {
            Some("in a user namespace cgroups can be mounted in a new cgroup namespace alone")
        }
        (Some(_), Part::FsCreate | Part::FsOpen) => Some(
            "this file system cannot be mounted in a user namespace; the host could mount it, and the mount be bound",
        ),
        (None, Part::SetAttributes) => Some(
            "in a user namespace the options of the host's mount are locked: options can be added, and none be taken away",
        ),
        (None, Part::OpenTree) => Some(
            "the source has to be within reach of the container's user, and what the host has mounted below it comes along \
             or not at all: use rbind",
        ),
        _ => None,
    }
}

fn kind_name(kind: CText<'_>) -> &str {
    kind.as_c_str().to_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use masu_program::{Attributes, Target, Texts};

    use super::*;

    fn mount<'a>(source: Source<'a>) -> Step<'a> {
        let (attributes, recursive) = (Attributes::default(), Attributes::default());
        let target = Target { path: CText::new(c"/t"), no_symlinks: false };
        Step::Mount { source, target, attributes, recursive, propagation: [None; 2] }
    }

    fn filesystem(kind: &core::ffi::CStr) -> Source<'_> {
        Source::Filesystem { kind: CText::new(kind), flags: Texts::default(), parameters: Texts::default() }
    }

    /// The first words of the advice.
    fn words(step: &Step<'_>, part: Part, errno: Errno, user_namespace: bool) -> Option<String> {
        let text = hint(step, part, errno, user_namespace, Restrictions::default)?;
        Some(text.split_ascii_whitespace().take(5).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn a_mount_that_was_refused_gets_the_advice_for_its_file_system() {
        let bound = || Source::Path { path: CText::new(c"/s"), recursive: false };
        let table = [
            (filesystem(c"proc"), Part::FsMount, true, Some("the container around this one")),
            (filesystem(c"proc"), Part::FsMount, false, Some("the container around this one")),
            (filesystem(c"proc"), Part::FsCreate, true, Some("the pid namespace belongs to")),
            (filesystem(c"sysfs"), Part::FsOpen, true, Some("a new sysfs needs a")),
            (filesystem(c"cgroup2"), Part::FsCreate, true, Some("in a user namespace cgroups")),
            (filesystem(c"ext4"), Part::FsCreate, true, Some("this file system cannot be")),
            (filesystem(c"ext4"), Part::FsCreate, false, None),
            (filesystem(c"tmpfs"), Part::FsConfig, true, None),
            (bound(), Part::SetAttributes, true, Some("in a user namespace the")),
            (bound(), Part::OpenTree, true, Some("the source has to be")),
            (bound(), Part::Attach, true, None),
            (bound(), Part::OpenTree, false, None),
        ];
        for (source, part, user_namespace, expected) in table {
            let step = mount(source);
            assert_eq!(
                words(&step, part, Errno::PERM, user_namespace).as_deref(),
                expected,
                "{step:?} {part:?}"
            );
            assert_eq!(words(&step, part, Errno::INVAL, user_namespace), None, "{step:?} {part:?}");
        }
    }

    #[test]
    fn a_hosts_device_that_is_missing_is_named() {
        let step = Step::MakeDevice {
            path: CText::new(c"/dev/fuse"),
            kind: masu_program::FileKind::Character,
            mode: 0o666,
            number: (10, 229),
            owner: (0, 0),
            source: DeviceSource::Path(CText::new(c"/dev/fuse")),
        };
        let text = hint(&step, Part::Open, Errno::NOENT, true, Restrictions::default);
        let expected = "device nodes cannot be made in a user namespace; the host's \"/dev/fuse\" would be bound, and it \
                        is not that device";
        assert_eq!(text.as_deref(), Some(expected));
    }

    #[test]
    fn a_step_that_a_filter_may_have_refused_says_so() {
        let step = Step::SetHostname { name: CText::new(c"h") };
        let hint = hint(&step, Part::SetHostname, Errno::PERM, true, Restrictions::filtered);
        let expected = "a seccomp filter is in force, and the usual ones forbid this: run the container that masu is in with \
                        --security-opt seccomp=unconfined; or without a uts namespace for this one (masu box --ns \
                        pid,ipc,cgroup)";
        assert_eq!(hint.as_deref(), Some(expected));
    }

    #[test]
    fn without_a_user_namespace_a_refusal_is_no_matter_of_apparmor() {
        let step = Step::SetHostname { name: CText::new(c"h") };
        assert_eq!(hint(&step, Part::SetHostname, Errno::PERM, false, || unreachable!()), None);
        assert_eq!(hint(&step, Part::SetHostname, Errno::PERM, true, Restrictions::default), None);
    }
}
