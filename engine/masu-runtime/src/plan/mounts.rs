//! The mounts of the configuration, in their order.

use alloc::{format, string::String, vec::Vec};

use masu_cgroup::ControllerMount;
use masu_program::{Attributes, CText, Propagation, Source, Step, Target};
use masu_spec::{AttrChange, Bind, Mount, MountAttr, MountFlags};

use super::{CreateInput, Origin, Plan, TextList, Want, c_string, create::not_built, unsupported};
use crate::error::Result;

/// What may be bound below `/proc`: files that tell of the machine, as lxcfs makes them, and nothing that
/// the runtime or an LSM relies on (CVE-2019-16884).
const ALLOWED_BELOW_PROC: [&str; 11] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/net/dev",
    "/proc/slabinfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/sys/crypto/fips_enabled",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/uptime",
];

/// Plans every mount. `shared` says that the root stays a peer of the host's mounts.
pub(super) fn plan(plan: &mut Plan, input: &CreateInput<'_>, shared: bool) -> Result<()> {
    for (index, mount) in input.config.mounts.iter().enumerate() {
        let origin = Origin::Entry("mounts", index);
        let destination = clean(&mount.destination);
        check(origin, mount, &destination)?;
        match mount.fs_type.as_deref() {
            None => bind(plan, input, origin, mount, &destination, shared)?,
            Some("cgroup") => cgroup(plan, input, origin, mount, &destination)?,
            Some(kind) => filesystem(plan, origin, mount, &destination, kind)?,
        }
    }
    Ok(())
}

/// A path without `.`, `..` and doubled slashes, from `/`.
pub(super) fn clean(path: &str) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => {
                names.pop();
            }
            name => names.push(name),
        }
    }
    format!("/{}", names.join("/"))
}

fn check(origin: Origin, mount: &Mount<'_>, destination: &str) -> Result<()> {
    if mount.options.tmpcopyup {
        return Err(not_built(origin, "the option tmpcopyup"));
    }
    if mount.options.flags.contains(MountFlags::REMOUNT) {
        return Err(not_built(origin, "the option remount"));
    }
    if destination == "/" {
        return Err(unsupported(origin, "a mount on \"/\" would hide the root file system"));
    }
    let below_proc = destination.starts_with("/proc/");
    if below_proc && mount.fs_type.is_none() && !ALLOWED_BELOW_PROC.contains(&destination) {
        let reason = format!("{destination:?} cannot be mounted because it is inside /proc");
        return Err(unsupported(origin, &reason));
    }
    Ok(())
}

fn bind(
    plan: &mut Plan,
    input: &CreateInput<'_>,
    origin: Origin,
    mount: &Mount<'_>,
    destination: &str,
    keep_propagation: bool,
) -> Result<()> {
    let source = mount.source.as_deref().unwrap_or_default();
    let path = if source.starts_with('/') { source.into() } else { format!("{}/{source}", input.bundle) };
    let recursive = mount.options.bind == Bind::Rbind;
    let text;
    let source = if input.host.is_privileged() {
        let only_procfs = destination == "/proc";
        Source::Tree { fd: plan.want(origin, Want::Tree { path, recursive, keep_propagation, only_procfs })? }
    } else {
        if destination == "/proc" && clean(&path) != "/proc" {
            return Err(unsupported(
                origin,
                &format!("{path:?} cannot be mounted on /proc: it is not a procfs"),
            ));
        }
        text = c_string(origin, &path)?;
        Source::Path { path: CText::new(&text), recursive }
    };
    push(plan, origin, source, destination, mount, mount.options.attr)
}

fn filesystem(
    plan: &mut Plan,
    origin: Origin,
    mount: &Mount<'_>,
    destination: &str,
    kind: &str,
) -> Result<()> {
    let (mut flags, mut parameters) = (TextList::default(), TextList::default());
    parameters.push(origin, "source")?;
    parameters.push(origin, mount.source.as_deref().filter(|source| !source.is_empty()).unwrap_or(kind))?;
    // MS_SILENT concerns the kernel's log alone, and i_version is what file systems do by themselves since
    // they are mounted by fsopen(2): both have no name here.
    let words = [
        (MountFlags::SYNCHRONOUS, "sync"),
        (MountFlags::DIRSYNC, "dirsync"),
        (MountFlags::MANDLOCK, "mand"),
        (MountFlags::LAZYTIME, "lazytime"),
    ];
    for (_, word) in words.into_iter().filter(|(flag, _)| mount.options.flags.contains(*flag)) {
        flags.push(origin, word)?;
    }
    for option in &mount.options.data {
        match option.split_once('=') {
            Some((name, value)) => {
                parameters.push(origin, name)?;
                parameters.push(origin, value)?;
            }
            None => flags.push(origin, option)?,
        }
    }
    let text = c_string(origin, kind)?;
    let kind = CText::new(&text);
    let source = Source::Filesystem { kind, flags: flags.as_texts(), parameters: parameters.as_texts() };
    let mut attributes = mount.options.attr;
    if destination == "/dev" {
        // The device nodes come first; `devices` closes it behind them.
        attributes.set -= MountAttr::RDONLY;
    }
    push(plan, origin, source, destination, mount, attributes)
}

/// A mount of type `cgroup` on a host with v1 hierarchies: a small tmpfs with a directory for each.
fn cgroup(
    plan: &mut Plan,
    input: &CreateInput<'_>,
    origin: Origin,
    mount: &Mount<'_>,
    destination: &str,
) -> Result<()> {
    let mut parameters = TextList::default();
    for text in ["source", "cgroup", "mode", "755"] {
        parameters.push(origin, text)?;
    }
    let kind = CText::new(c"tmpfs");
    let source =
        Source::Filesystem { kind, flags: masu_program::Texts::default(), parameters: parameters.as_texts() };
    let mut outer = mount.options.attr;
    let read_only = outer.set.contains(MountAttr::RDONLY);
    outer.set = (outer.set - MountAttr::RDONLY) | MountAttr::NOSUID | MountAttr::NODEV | MountAttr::NOEXEC;
    push(plan, origin, source, destination, mount, outer)?;
    for entry in &input.cgroup_mounts.mounts {
        controller(plan, origin, mount, destination, entry)?;
    }
    for (name, target) in &input.cgroup_mounts.symlinks {
        let (target, path) = (c_string(origin, target)?, c_string(origin, &format!("{destination}/{name}"))?);
        let (target, path) = (CText::new(&target), CText::new(&path));
        plan.push(origin, &Step::MakeSymlink { target, path, replace: false })?;
    }
    if read_only {
        let path = c_string(origin, destination)?;
        plan.push(origin, &Step::ProtectMount { path: CText::new(&path) })?;
    }
    Ok(())
}

fn controller(
    plan: &mut Plan,
    origin: Origin,
    mount: &Mount<'_>,
    destination: &str,
    entry: &ControllerMount,
) -> Result<()> {
    match entry {
        ControllerMount::New { name, fstype, data } => {
            let (mut flags, mut parameters) = (TextList::default(), TextList::default());
            for word in data.split(',').filter(|word| !word.is_empty()) {
                match word.split_once('=') {
                    Some((key, value)) => {
                        flags.push(origin, "none")?;
                        parameters.push(origin, key)?;
                        parameters.push(origin, value)?;
                    }
                    None => flags.push(origin, word)?,
                }
            }
            let text = c_string(origin, fstype)?;
            let kind = CText::new(&text);
            let source =
                Source::Filesystem { kind, flags: flags.as_texts(), parameters: parameters.as_texts() };
            push(plan, origin, source, &format!("{destination}/{name}"), mount, mount.options.attr)
        }
        ControllerMount::Bind { name, mount_point, path } => {
            let path = format!("{mount_point}{path}");
            let want = Want::Tree { path, recursive: false, keep_propagation: false, only_procfs: false };
            let source = Source::Tree { fd: plan.want(origin, want)? };
            // Without a cgroup namespace this is the host's own tree: writable, it would let the container
            // lift its limits (CVE-2023-25809).
            let mut attributes = mount.options.attr;
            attributes.set |= MountAttr::RDONLY;
            attributes.clear -= MountAttr::RDONLY;
            push(plan, origin, source, &format!("{destination}/{name}"), mount, attributes)
        }
    }
}

fn push(
    plan: &mut Plan,
    origin: Origin,
    source: Source<'_>,
    destination: &str,
    mount: &Mount<'_>,
    attributes: AttrChange,
) -> Result<()> {
    let mut changes = mount
        .options
        .propagation
        .iter()
        .rev()
        .map(|change| Propagation { mode: change.mode.flag(), recursive: change.recursive });
    // The last two count: a slave that is shared again takes two words.
    let (last, before) = (changes.next(), changes.next());
    let path = c_string(origin, destination)?;
    let kernel_made = matches!(mount.fs_type.as_deref(), Some("proc" | "sysfs"));
    let step = Step::Mount {
        source,
        target: Target { path: CText::new(&path), no_symlinks: kernel_made },
        attributes: to_attributes(attributes),
        recursive: to_attributes(mount.options.recursive),
        propagation: [before, last],
    };
    plan.push(origin, &step)
}

fn to_attributes(change: AttrChange) -> Attributes {
    Attributes { set: change.attr_set(), clear: change.attr_clr() }
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn paths_are_cleaned_without_looking_at_files() {
        let table = [
            ("/", "/"),
            ("//a//b/", "/a/b"),
            ("a/./b", "/a/b"),
            ("/../../etc", "/etc"),
            ("/a/../b", "/b"),
            ("", "/"),
        ];
        for (path, cleaned) in table {
            assert_eq!(clean(path), cleaned, "{path}");
        }
    }
}
