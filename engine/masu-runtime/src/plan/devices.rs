//! `/dev`: the nodes and links that every container has, and those of the configuration.

use masu_cgroup::DEFAULT_DEVICES;
use masu_program::{CText, DeviceSource, FileKind, Step};
use masu_spec::{DeviceKind, MountAttr};

use super::{CreateInput, Origin, Plan, Want, c_string, mounts::clean, terminal};
use crate::error::Result;

/// Links of the specification's "Default Devices", with what they say.
const LINKS: [(&core::ffi::CStr, &core::ffi::CStr, bool); 5] = [
    (c"/proc/self/fd", c"/dev/fd", false),
    (c"/proc/self/fd/0", c"/dev/stdin", false),
    (c"/proc/self/fd/1", c"/dev/stdout", false),
    (c"/proc/self/fd/2", c"/dev/stderr", false),
    // An image's own would be the host's terminals'; this is the container's devpts.
    (c"pts/ptmx", c"/dev/ptmx", true),
];

/// Plans `/dev`, unless it is bound from the host.
pub(super) fn plan(plan: &mut Plan, input: &CreateInput<'_>) -> Result<()> {
    let mut read_only = false;
    for mount in input.config.mounts.iter().filter(|mount| clean(&mount.destination) == "/dev") {
        if mount.fs_type.is_none() {
            return plan_terminal(plan, input);
        }
        read_only = mount.options.attr.set.contains(MountAttr::RDONLY);
    }
    plan_nodes(plan, input)?;
    for (target, path, replace) in LINKS {
        let (target, path) = (CText::new(target), CText::new(path));
        plan.push(Origin::Engine, &Step::MakeSymlink { target, path, replace })?;
    }
    plan_terminal(plan, input)?;
    if read_only {
        plan.push(Origin::Field("mounts"), &Step::ProtectMount { path: CText::new(c"/dev") })?;
    }
    Ok(())
}

fn plan_terminal(plan: &mut Plan, input: &CreateInput<'_>) -> Result<()> {
    terminal::plan_open(plan, &input.config.process)?;
    terminal::plan_console(plan, &input.config.process)
}

fn plan_nodes(plan: &mut Plan, input: &CreateInput<'_>) -> Result<()> {
    let devices = &input.config.linux.devices;
    for device in &DEFAULT_DEVICES {
        let (Some(path), Some(major), Some(minor)) = (device.path, device.rule.major, device.rule.minor)
        else {
            continue;
        };
        if devices.iter().all(|own| clean(&own.path) != path) {
            let node =
                Node { path, kind: FileKind::Character, mode: 0o666, number: (major, minor), owner: (0, 0) };
            push(plan, input, Origin::Engine, node)?;
        }
    }
    for (index, device) in devices.iter().enumerate() {
        let path = clean(&device.path);
        // Docker names all devices of the host with --privileged. This one is a link in every container, to its own devpts.
        if path == "/dev/ptmx" {
            continue;
        }
        let kind = match device.kind {
            DeviceKind::Char => FileKind::Character,
            DeviceKind::Block => FileKind::Block,
            DeviceKind::Fifo => FileKind::Fifo,
        };
        let (number, owner) = ((device.major, device.minor), (device.uid, device.gid));
        let node = Node { path: &path, kind, mode: device.mode.into(), number, owner };
        push(plan, input, Origin::Entry("linux.devices", index), node)?;
    }
    Ok(())
}

struct Node<'a> {
    path: &'a str,
    kind: FileKind,
    mode: u32,
    number: (u32, u32),
    owner: (u32, u32),
}

fn push(plan: &mut Plan, input: &CreateInput<'_>, origin: Origin, node: Node<'_>) -> Result<()> {
    let Node { path, kind, mode, number, owner } = node;
    let text = c_string(origin, path)?;
    // mknod(2) of a device is refused in every user namespace but the first: there the host's node is bound.
    let bound = (input.has_user_namespace() || input.host.in_user_namespace) && kind != FileKind::Fifo;
    let source = match (bound, input.host.may_clone_mounts()) {
        (false, _) => DeviceSource::Node,
        (true, true) => DeviceSource::Tree(plan.want(origin, Want::Device { path: path.into(), number })?),
        (true, false) => DeviceSource::Path(CText::new(&text)),
    };
    plan.push(origin, &Step::MakeDevice { path: CText::new(&text), kind, mode, number, owner, source })
}
