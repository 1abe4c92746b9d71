//! `linux`.
use alloc::format;
use alloc::vec::Vec;

use super::{devices, ids, namespaces, resources, sysctl};
use crate::config::Linux;
use crate::error::ConfigError;
use crate::path::Path;
use crate::propagation::Propagation;
use crate::schema;
use crate::text::Str;
use crate::unsupported;

pub(super) fn linux<'a>(raw: schema::Linux<'a>, at: &Path<'_>) -> Result<Linux<'a>, ConfigError> {
    unsupported::refuse_in_linux(&raw, at)?;
    let namespaces = namespaces::namespaces(raw.namespaces.unwrap_or_default(), &at.field("namespaces"))?;
    let (uid_at, gid_at) = (at.field("uidMappings"), at.field("gidMappings"));
    let uid_mappings = ids::mappings(&raw.uid_mappings.unwrap_or_default(), &uid_at)?;
    let gid_mappings = ids::mappings(&raw.gid_mappings.unwrap_or_default(), &gid_at)?;
    namespaces::check_mappings(&namespaces, &uid_mappings, &uid_at)?;
    namespaces::check_mappings(&namespaces, &gid_mappings, &gid_at)?;
    let offsets = raw.time_offsets.unwrap_or_default();
    Ok(Linux {
        time_offsets: namespaces::time_offsets(&offsets, &namespaces, &at.field("timeOffsets"))?,
        uid_mappings,
        gid_mappings,
        devices: devices::devices(raw.devices.unwrap_or_default(), &at.field("devices"))?,
        cgroups_path: at.field("cgroupsPath").non_empty(raw.cgroups_path)?,
        resources: resources::resources(raw.resources.unwrap_or_default(), &at.field("resources"))?,
        sysctl: sysctl::sysctl(raw.sysctl.unwrap_or_default(), &namespaces, &at.field("sysctl"))?,
        rootfs_propagation: propagation(raw.rootfs_propagation, &at.field("rootfsPropagation"))?,
        masked_paths: absolute_paths(raw.masked_paths, &at.field("maskedPaths"))?,
        readonly_paths: absolute_paths(raw.readonly_paths, &at.field("readonlyPaths"))?,
        namespaces,
    })
}

/// The specification lists four names; engines use runc's eight.
fn propagation(name: Option<Str<'_>>, at: &Path<'_>) -> Result<Option<Propagation>, ConfigError> {
    let Some(name) = name.filter(|name| !name.is_empty()) else { return Ok(None) };
    let hint = "the modes are private, shared, slave and unbindable, each also with r in front";
    Propagation::from_name(&name)
        .map(Some)
        .ok_or_else(|| at.illegal_hint(format!("unknown propagation {:?}", name.as_str()), hint))
}

fn absolute_paths<'a>(paths: Option<Vec<Str<'a>>>, at: &Path<'_>) -> Result<Vec<Str<'a>>, ConfigError> {
    let paths = paths.into_iter().flatten().enumerate();
    paths.map(|(index, path)| at.index(index).absolute(path)).collect()
}
