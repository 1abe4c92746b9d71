//! `linux.namespaces` and what belongs to single namespaces: ID mappings and clock offsets.
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use super::{ids, needs_namespace};
use crate::config::{IdMapping, TimeOffset, TimeOffsets};
use crate::error::ConfigError;
use crate::namespaces::{Namespace, NamespaceEntry, NamespaceKind, Namespaces};
use crate::path::Path;
use crate::schema;
use crate::text::Str;

pub(super) fn namespaces<'a>(
    raw: Vec<schema::Namespace<'a>>,
    at: &Path<'_>,
) -> Result<Namespaces<'a>, ConfigError> {
    let mut namespaces = Namespaces::default();
    for (index, raw) in raw.into_iter().enumerate() {
        let element = at.index(index);
        let at_type = element.field("type");
        let name = at_type.require(raw.kind)?;
        let Some(kind) = NamespaceKind::from_name(&name) else {
            let hint = "the namespaces are cgroup, ipc, mount, network, pid, time, user and uts";
            return Err(at_type.illegal_hint(format!("unknown namespace {:?}", name.as_str()), hint));
        };
        let namespace = match raw.path.filter(|path| !path.is_empty()) {
            Some(path) => Namespace::Join(element.field("path").absolute(path)?),
            None => Namespace::New,
        };
        namespaces
            .insert(kind, NamespaceEntry { namespace, index })
            .map_err(|first| at_type.illegal(format!("{name} is given already at {at}[{first}]")))?;
    }
    Ok(namespaces)
}

/// Mappings and the user namespace need each other. Beside a joined namespace, mappings are let through:
/// containerd and CRI-O write them, and runc compares them with the namespace's own.
pub(super) fn check_mappings(
    namespaces: &Namespaces<'_>,
    mappings: &[IdMapping],
    at: &Path<'_>,
) -> Result<(), ConfigError> {
    match namespaces.get(NamespaceKind::User) {
        None if !mappings.is_empty() => Err(needs_namespace(NamespaceKind::User, at)),
        Some(Namespace::New) if mappings.is_empty() => {
            let hint = "map at least ID 0, or join a user namespace by its path";
            Err(at.illegal_hint("a new user namespace needs mappings", hint))
        }
        // Device nodes, mounts and the cgroup belong to the container's root.
        Some(Namespace::New) => ids::check_mapped(0, mappings, "any element", at),
        _ => Ok(()),
    }
}

pub(super) fn time_offsets(
    raw: &BTreeMap<Str<'_>, schema::TimeOffset>,
    namespaces: &Namespaces<'_>,
    at: &Path<'_>,
) -> Result<TimeOffsets, ConfigError> {
    let mut offsets = TimeOffsets::default();
    for (clock, raw) in raw {
        let element = at.key(clock);
        let offset =
            TimeOffset { secs: raw.secs.unwrap_or_default(), nanosecs: raw.nanosecs.unwrap_or_default() };
        if offset.nanosecs > 999_999_999 {
            return Err(element
                .field("nanosecs")
                .illegal(format!("{} is a second or more", offset.nanosecs)));
        }
        match clock.as_str() {
            "monotonic" => offsets.monotonic = Some(offset),
            "boottime" => offsets.boottime = Some(offset),
            _ => return Err(element.illegal_hint("unknown clock", "the clocks are monotonic and boottime")),
        }
    }
    match namespaces.get(NamespaceKind::Time) {
        _ if raw.is_empty() => Ok(offsets),
        None => Err(needs_namespace(NamespaceKind::Time, at)),
        // The kernel takes offsets only until the first process is inside, see time_namespaces(7).
        Some(Namespace::Join(_)) => {
            Err(at.illegal("the time namespace is joined, and its offsets are fixed"))
        }
        Some(Namespace::New) => Ok(offsets),
    }
}
