//! procfs and sysfs: where the kernel lets a new one be mounted, and what a container gets where it does not.
//!
//! Both show what belongs to a namespace, a pid namespace and a network namespace, and the kernel mounts them for who has
//! `CAP_SYS_ADMIN` in the user namespace that owns that one. In a user namespace it asks for more: one that is mounted
//! already, with nothing on top of it (`mount_too_revealing` in fs/namespace.c), so that what a container's masks hide
//! stays hidden from containers inside of it.

use masu_program::{CText, Source, Step, Target};
use masu_spec::{Mount, MountAttr, Namespace, NamespaceKind, Namespaces};

use super::{
    CreateInput, Origin, Plan, TreePropagation, Want, c_string,
    mounts::{FilesystemTexts, last_propagation, to_attributes},
};
use crate::error::Result;

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// procfs
    Proc,
    /// sysfs
    Sys,
}

/// How it gets into the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// A new instance.
    New,
    /// A new instance, or the host's where the kernel refuses it.
    NewOrHosts,
    /// The host's: the kernel would refuse a new one.
    Hosts,
}

/// Whose a namespace is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// Made with the container.
    Own,
    /// Joined: nothing is known about it.
    Joined,
    /// The engine's.
    Engine,
}

fn owner(namespaces: &Namespaces<'_>, kind: NamespaceKind) -> Owner {
    match namespaces.get(kind) {
        None => Owner::Engine,
        Some(Namespace::New) => Owner::Own,
        Some(Namespace::Join(_)) => Owner::Joined,
    }
}

/// Decides from the container's user namespace and the one that the file system shows, whether the engine is in a user
/// namespace itself, and whether the mount is to be read-only.
///
/// The host's sysfs is no way for a mount that may be written, as with crun. The host's procfs is the same as a new one
/// where the pid namespace is the host's, and a wrong one elsewhere.
fn way(kind: Kind, user: Owner, shown: Owner, engine_in_user_namespace: bool, read_only: bool) -> Way {
    let in_user_namespace = user != Owner::Engine || engine_in_user_namespace;
    let hosts_will_do = match kind {
        Kind::Proc => shown == Owner::Engine,
        Kind::Sys => read_only,
    };
    match (in_user_namespace && hosts_will_do, user, shown) {
        (false, ..) => Way::New,
        // A user namespace that is new owns nothing that was there before.
        (true, Owner::Own, Owner::Engine) => Way::Hosts,
        (true, ..) => Way::NewOrHosts,
    }
}

/// Plans the mount.
pub(super) fn plan(
    plan: &mut Plan,
    input: &CreateInput<'_>,
    origin: Origin,
    mount: &Mount<'_>,
    destination: &str,
    kind: Kind,
) -> Result<()> {
    let namespaces = &input.config.linux.namespaces;
    let (name, host, shown) = match kind {
        Kind::Proc => (c"proc", c"/proc", NamespaceKind::Pid),
        Kind::Sys => (c"sysfs", c"/sys", NamespaceKind::Network),
    };
    let read_only = mount.options.attr.set.contains(MountAttr::RDONLY);
    let (user, shown) = (owner(namespaces, NamespaceKind::User), owner(namespaces, shown));
    let way = way(kind, user, shown, input.host.in_user_namespace, read_only);
    let texts = FilesystemTexts::of(origin, mount, name)?;
    let (flags, parameters) = (texts.flags.as_texts(), texts.parameters.as_texts());
    let (kind_text, host) = (CText::new(name), CText::new(host));
    let source = match way {
        Way::New => Source::Filesystem { kind: kind_text, flags, parameters },
        Way::NewOrHosts => Source::FilesystemOr { kind: kind_text, flags, parameters, instead: host },
        Way::Hosts if input.host.may_clone_mounts() => {
            let path = host.as_c_str().to_string_lossy().into_owned();
            let only_procfs = kind == Kind::Proc;
            let (recursive, propagation, id_map) = (true, TreePropagation::Slave, None);
            let want = Want::Tree { path, recursive, propagation, only_procfs, id_map };
            Source::Tree { fd: plan.want(origin, want)? }
        }
        Way::Hosts => Source::Path { path: host, recursive: true },
    };
    let mut recursive = mount.options.recursive;
    if way != Way::New && kind == Kind::Sys {
        // The host's comes with all that is mounted on it, cgroups among them (CVE-2023-25809).
        recursive.set |= MountAttr::RDONLY;
        recursive.clear -= MountAttr::RDONLY;
    }
    let path = c_string(origin, destination)?;
    let step = Step::Mount {
        source,
        target: Target { path: CText::new(&path), no_symlinks: true },
        attributes: to_attributes(mount.options.attr),
        recursive: to_attributes(recursive),
        propagation: last_propagation(mount),
    };
    plan.push(origin, &step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_one_is_mounted_where_the_kernel_allows_it_and_the_hosts_shown_where_that_is_as_good() {
        use Kind::{Proc, Sys};
        use Owner::{Engine, Joined, Own};
        use Way::{Hosts, New, NewOrHosts};
        let table = [
            // kind, user namespace, namespace shown, engine in a user namespace, read-only
            (Sys, Engine, Own, false, true, New),
            (Sys, Engine, Engine, false, true, New),
            (Sys, Own, Own, false, true, NewOrHosts),
            (Sys, Own, Engine, false, true, Hosts),
            (Sys, Own, Joined, false, true, NewOrHosts),
            (Sys, Joined, Joined, false, true, NewOrHosts),
            (Sys, Own, Engine, false, false, New),
            (Sys, Engine, Engine, true, true, NewOrHosts),
            (Sys, Own, Engine, true, true, Hosts),
            (Proc, Engine, Own, false, false, New),
            (Proc, Engine, Engine, false, false, New),
            (Proc, Own, Own, false, false, New),
            (Proc, Own, Engine, false, false, Hosts),
            (Proc, Own, Engine, true, true, Hosts),
            (Proc, Joined, Engine, false, false, NewOrHosts),
            (Proc, Own, Joined, false, false, New),
            (Proc, Engine, Engine, true, false, NewOrHosts),
            (Proc, Engine, Own, true, false, New),
        ];
        for (kind, user, shown, nested, read_only, expected) in table {
            let actual = way(kind, user, shown, nested, read_only);
            assert_eq!(actual, expected, "{kind:?} {user:?} {shown:?} {nested} {read_only}");
        }
    }
}
