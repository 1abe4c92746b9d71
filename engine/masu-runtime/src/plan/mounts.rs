//! The mounts of the configuration, in their order.

use alloc::{format, string::String, vec::Vec};
use core::ffi::CStr;

use masu_cgroup::ControllerMount;
use masu_program::{Attributes, CText, CopyUp, Propagation, Source, Step, Target};
use masu_spec::{
    AttrChange, Bind, Config, IdMapScope, IdMapping, MOUNT_CONTEXT_TYPE, Mount, MountAttr, MountFlags,
    Namespace, NamespaceKind, Str,
};

use super::{
    CreateInput, Origin, Plan, TextList, TreeIdMap, TreeIds, TreePropagation, Want, c_string,
    id_maps::lines,
    kernel_filesystems::{Kind, plan as plan_kernel},
    unsupported,
};
use crate::error::{Error, Result};

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
        plan_one(plan, input, Origin::Entry("mounts", index), mount, shared)?;
    }
    Ok(())
}

/// Plans one mount.
pub(super) fn plan_one(
    plan: &mut Plan,
    input: &CreateInput<'_>,
    origin: Origin,
    mount: &Mount<'_>,
    shared: bool,
) -> Result<()> {
    let destination = clean(&mount.destination);
    check(origin, mount, &destination)?;
    if mount.options.flags.contains(MountFlags::REMOUNT) {
        return change(plan, origin, mount, &destination);
    }
    match mount.fs_type.as_deref() {
        None => bind(plan, input, origin, mount, &destination, shared),
        Some("cgroup") => cgroup(plan, input, origin, mount, &destination),
        Some("cgroup2") => match &input.cgroup_mounts.unified {
            Some(unified) => unified_cgroup(plan, input, origin, mount, &destination, unified),
            None => filesystem(plan, input, origin, mount, &destination, "cgroup2"),
        },
        Some("proc") => plan_kernel(plan, input, origin, mount, &destination, Kind::Proc),
        Some("sysfs") => plan_kernel(plan, input, origin, mount, &destination, Kind::Sys),
        Some(kind) => filesystem(plan, input, origin, mount, &destination, kind),
    }
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
    if mount.options.tmpcopyup && mount.fs_type.as_deref() != Some("tmpfs") {
        return Err(unsupported(origin, "the option tmpcopyup is for a mount of type tmpfs alone"));
    }
    if mount.options.tmpcopyup && mount.options.flags.contains(MountFlags::REMOUNT) {
        return Err(unsupported(origin, "the options tmpcopyup and remount exclude each other"));
    }
    let id_map = mount.options.id_map.is_some() || mount.ids.is_some();
    if id_map && mount.options.flags.contains(MountFlags::REMOUNT) {
        return Err(unsupported(origin, "an id map is given to a new mount, and remount changes an old one"));
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
    shared: bool,
) -> Result<()> {
    let source = mount.source.as_deref().unwrap_or_default();
    let path = if source.starts_with('/') { source.into() } else { format!("{}/{source}", input.bundle) };
    let recursive = mount.options.bind == Bind::Rbind;
    let id_map = id_map(input, origin, mount)?;
    let text;
    let source = if input.host.may_clone_mounts() {
        let only_procfs = destination == "/proc";
        let propagation = if shared { TreePropagation::Kept } else { TreePropagation::Slave };
        Source::Tree {
            fd: plan.want(origin, Want::Tree { path, recursive, propagation, only_procfs, id_map })?,
        }
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
    push(plan, origin, source, destination, mount, bind_attributes(input, mount))
}

/// The attributes of a bind mount. One that names any has just these, as by mount(2)'s `MS_REMOUNT|MS_BIND` in runc and
/// crun: a volume is what the configuration says, whatever the file system of the host is mounted with. Only where a user
/// namespace may have them locked, mount_namespaces(7), those that are not named stay.
fn bind_attributes(input: &CreateInput<'_>, mount: &Mount<'_>) -> AttrChange {
    const ALL: [MountAttr; 5] =
        [MountAttr::RDONLY, MountAttr::NOSUID, MountAttr::NODEV, MountAttr::NOEXEC, MountAttr::NOSYMFOLLOW];
    let mut attributes = mount.options.attr;
    let may_be_locked =
        input.has_user_namespace() || input.host.in_user_namespace || !input.host.may_clone_mounts();
    if !attributes.is_empty() && !may_be_locked {
        attributes.clear |= ALL.into_iter().collect::<MountAttr>() - attributes.set;
    }
    attributes
}

/// The id map that the mount asks for: its own, or that of the container (runtime specification, "Mounts").
fn id_map(input: &CreateInput<'_>, origin: Origin, mount: &Mount<'_>) -> Result<Option<TreeIdMap>> {
    if mount.ids.is_none() && mount.options.id_map.is_none() {
        return Ok(None);
    }
    if !input.host.may_clone_mounts() {
        return Err(unsupported(origin, "an id-mapped mount takes root's privileges"));
    }
    let linux = &input.config.linux;
    let own = |uids: &[IdMapping], gids: &[IdMapping]| TreeIds::Own { uid: lines(uids), gid: lines(gids) };
    let ids = match (&mount.ids, linux.namespaces.get(NamespaceKind::User)) {
        (Some(ids), _) => own(&ids.uid_mappings, &ids.gid_mappings),
        // Another namespace of the same ids: the container's is not there yet when its mounts are cloned.
        (None, Some(Namespace::New)) => own(&linux.uid_mappings, &linux.gid_mappings),
        (None, Some(Namespace::Join(path))) => TreeIds::Namespace { path: path.as_str().into() },
        (None, None) => {
            let reason =
                "the option idmap needs uidMappings and gidMappings, or a user namespace of the container";
            return Err(unsupported(origin, reason));
        }
    };
    Ok(Some(TreeIdMap { ids, recursive: mount.options.id_map == Some(IdMapScope::Tree) }))
}

fn filesystem(
    plan: &mut Plan,
    input: &CreateInput<'_>,
    origin: Origin,
    mount: &Mount<'_>,
    destination: &str,
    kind: &str,
) -> Result<()> {
    let text = c_string(origin, kind)?;
    let mut texts = FilesystemTexts::of(origin, mount, &text)?;
    let labelled = !UNLABELLED.contains(&kind);
    if labelled {
        push_label(&mut texts.parameters, input.config)?;
    }
    let (flags, parameters) = (texts.flags.as_texts(), texts.parameters.as_texts());
    let source = Source::Filesystem { kind: CText::new(&text), flags, parameters };
    let mut attributes = mount.options.attr;
    if destination == "/dev" {
        // The device nodes come first; `devices` closes it behind them.
        attributes.set -= MountAttr::RDONLY;
    }
    let has_mode = mount.options.data.iter().any(|option| option.starts_with("mode="));
    if mount.options.tmpcopyup || (kind == "tmpfs" && !has_mode) {
        return copy_up(plan, origin, source, destination, mount, attributes);
    }
    push(plan, origin, source, destination, mount, attributes)?;
    match &input.config.linux.mount_label {
        Some(label) if kind == "mqueue" => {
            let (path, label) = (c_string(origin, destination)?, c_string(MOUNT_LABEL, label)?);
            let (path, label) = (CText::new(&path), CText::new(&label));
            plan.push(MOUNT_LABEL, &Step::SetFileLabel { path, label })
        }
        _ => Ok(()),
    }
}

/// File systems that have one instance for many mounts, and so take no label with one of them; as in runc.
const UNLABELLED: [&str; 2] = ["mqueue", "cgroup2"];

const MOUNT_LABEL: Origin = Origin::Field("linux.mountLabel");

/// `linux.mountLabel`, as a parameter of a new file system. fsconfig(2) takes it as it is: mount(2)'s quotes around the
/// commas of a label are not the kernel's, but those of its list.
pub(super) fn push_label(parameters: &mut TextList, config: &Config<'_>) -> Result<()> {
    let Some(label) = &config.linux.mount_label else { return Ok(()) };
    let kind = config.annotations.get(MOUNT_CONTEXT_TYPE).map_or("context", Str::as_str);
    if !CONTEXT_TYPES.contains(&kind) {
        return Err(Error::Unsupported {
            field: format!("annotations[{MOUNT_CONTEXT_TYPE:?}]"),
            reason: format!("unknown type of context {kind:?}"),
            hint: Some(format!("the types are {}", CONTEXT_TYPES.join(", "))),
        });
    }
    parameters.push(MOUNT_LABEL, kind)?;
    parameters.push(MOUNT_LABEL, label)
}

/// mount(8), "FILESYSTEM-INDEPENDENT MOUNT OPTIONS".
pub(crate) const CONTEXT_TYPES: [&str; 4] = ["context", "fscontext", "defcontext", "rootcontext"];

/// A tmpfs that begins as a copy, or with the mode of the directory that it covers, as in runc and crun. The owner and the
/// mode of that come along with a copy, unless the options have others.
fn copy_up(
    plan: &mut Plan,
    origin: Origin,
    source: Source<'_>,
    destination: &str,
    mount: &Mount<'_>,
    attributes: AttrChange,
) -> Result<()> {
    let own = |option: &str| ["mode=", "uid=", "gid="].iter().any(|name| option.starts_with(name));
    let named = mount.options.data.iter().any(|option| own(option));
    let what = match (mount.options.tmpcopyup, named) {
        (false, _) => CopyUp::Permissions,
        (true, false) => CopyUp::Directory,
        (true, true) => CopyUp::Content,
    };
    let path = c_string(origin, destination)?;
    let step = Step::MountCopy {
        source,
        path: CText::new(&path),
        what,
        attributes: to_attributes(attributes),
        recursive: to_attributes(mount.options.recursive),
        propagation: last_propagation(mount),
    };
    plan.push(origin, &step)
}

/// `remount`: changes what is mounted at the destination already, and nothing that is not named. Of a bind mount that is
/// the mount alone, of any other the file system too.
fn change(plan: &mut Plan, origin: Origin, mount: &Mount<'_>, destination: &str) -> Result<()> {
    let mut texts = FilesystemTexts::default();
    if mount.fs_type.is_some() {
        texts.push_options(origin, mount)?;
    }
    let path = c_string(origin, destination)?;
    let step = Step::ChangeMount {
        path: CText::new(&path),
        flags: texts.flags.as_texts(),
        parameters: texts.parameters.as_texts(),
        attributes: to_attributes(mount.options.attr),
        recursive: to_attributes(mount.options.recursive),
        propagation: last_propagation(mount),
    };
    plan.push(origin, &step)
}

/// What a new instance of a file system is told.
#[derive(Debug, Default)]
pub(super) struct FilesystemTexts {
    /// Parameters without a value.
    pub(super) flags: TextList,
    /// Parameters with one.
    pub(super) parameters: TextList,
}

impl FilesystemTexts {
    /// The source and the options that are no attributes of the mount.
    pub(super) fn of(origin: Origin, mount: &Mount<'_>, kind: &CStr) -> Result<Self> {
        let mut texts = Self::default();
        texts.parameters.push(origin, "source")?;
        let source = mount.source.as_deref().filter(|source| !source.is_empty());
        texts.parameters.push(origin, source.unwrap_or(&kind.to_string_lossy()))?;
        texts.push_options(origin, mount)?;
        Ok(texts)
    }

    fn push_options(&mut self, origin: Origin, mount: &Mount<'_>) -> Result<()> {
        let Self { flags, parameters } = self;
        // MS_SILENT concerns the kernel's log alone, and i_version is what file systems do by themselves since they are
        // mounted by fsopen(2): both have no name here.
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
        Ok(())
    }
}

/// A mount of type `cgroup`: where there are v1 hierarchies a small tmpfs with a directory for each.
fn cgroup(
    plan: &mut Plan,
    input: &CreateInput<'_>,
    origin: Origin,
    mount: &Mount<'_>,
    destination: &str,
) -> Result<()> {
    if let (Some(unified), true) = (&input.cgroup_mounts.unified, input.cgroup_mounts.mounts.is_empty()) {
        return unified_cgroup(plan, input, origin, mount, destination, unified);
    }
    let mut parameters = TextList::default();
    for text in ["source", "cgroup", "mode", "755"] {
        parameters.push(origin, text)?;
    }
    push_label(&mut parameters, input.config)?;
    let kind = CText::new(c"tmpfs");
    let source =
        Source::Filesystem { kind, flags: masu_program::Texts::default(), parameters: parameters.as_texts() };
    let mut outer = mount.options.attr;
    let read_only = outer.set.contains(MountAttr::RDONLY);
    outer.set = (outer.set - MountAttr::RDONLY) | MountAttr::NOSUID | MountAttr::NODEV | MountAttr::NOEXEC;
    push(plan, origin, source, destination, mount, outer)?;
    for entry in &input.cgroup_mounts.mounts {
        controller(plan, input, origin, mount, destination, entry)?;
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

/// The unified hierarchy on the destination itself.
fn unified_cgroup(
    plan: &mut Plan,
    input: &CreateInput<'_>,
    origin: Origin,
    mount: &Mount<'_>,
    destination: &str,
    entry: &ControllerMount,
) -> Result<()> {
    let ControllerMount::Bind { mount_point, .. } = entry else {
        return filesystem(plan, input, origin, mount, destination, "cgroup2");
    };
    let mut attributes = mount.options.attr;
    if input.has_user_namespace() || !input.host.is_privileged() {
        // The host's tree in a container without its privileges: writable, it would let whoever has the same user
        // id outside lift limits (CVE-2023-25809).
        attributes.set |= MountAttr::RDONLY;
        attributes.clear -= MountAttr::RDONLY;
    }
    let text;
    let source = if input.host.may_clone_mounts() {
        let (path, recursive, propagation) = (mount_point.clone(), false, TreePropagation::Slave);
        let want = Want::Tree { path, recursive, propagation, only_procfs: false, id_map: None };
        Source::Tree { fd: plan.want(origin, want)? }
    } else {
        text = c_string(origin, mount_point)?;
        Source::Path { path: CText::new(&text), recursive: false }
    };
    push(plan, origin, source, destination, mount, attributes)
}

fn controller(
    plan: &mut Plan,
    input: &CreateInput<'_>,
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
            let text;
            let source = if input.host.may_clone_mounts() {
                let want = Want::Tree {
                    path,
                    recursive: false,
                    propagation: TreePropagation::Slave,
                    only_procfs: false,
                    id_map: None,
                };
                Source::Tree { fd: plan.want(origin, want)? }
            } else {
                text = c_string(origin, &path)?;
                Source::Path { path: CText::new(&text), recursive: false }
            };
            // Without a cgroup namespace this is the host's own tree: writable, it would let the container
            // lift its limits (CVE-2023-25809).
            let mut attributes = mount.options.attr;
            if !attributes.set.contains(MountAttr::RDONLY) {
                let text = format!("{origin}: the host's cgroups are read-only without a cgroup namespace");
                // One for all controllers of the mount.
                if plan.warnings.last() != Some(&text) {
                    plan.warnings.push(text);
                }
            }
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
    let path = c_string(origin, destination)?;
    let step = Step::Mount {
        source,
        target: Target { path: CText::new(&path), no_symlinks: false },
        attributes: to_attributes(attributes),
        recursive: to_attributes(mount.options.recursive),
        propagation: last_propagation(mount),
    };
    plan.push(origin, &step)
}

/// The last two count: a slave that is shared again takes two words.
pub(super) fn last_propagation(mount: &Mount<'_>) -> [Option<Propagation>; 2] {
    let changes = mount.options.propagation.iter().rev();
    let mut changes =
        changes.map(|change| Propagation { mode: change.mode.flag(), recursive: change.recursive });
    let (last, before) = (changes.next(), changes.next());
    [before, last]
}

pub(super) fn to_attributes(change: AttrChange) -> Attributes {
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
