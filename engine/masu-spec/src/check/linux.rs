//! `linux`.
use alloc::format;
use alloc::vec::Vec;

use super::{devices, find, ids, intel_rdt, namespaces, net_devices, resources, scheduling, seccomp, sysctl};
use crate::config::{Linux, Warning};
use crate::error::ConfigError;
use crate::path::Path;
use crate::personality::{PERSONALITIES, Personality};
use crate::propagation::Propagation;
use crate::schema;
use crate::text::Str;

pub(super) fn linux<'a>(
    raw: schema::Linux<'a>,
    at: &Path<'_>,
    warnings: &mut Vec<Warning>,
) -> Result<Linux<'a>, ConfigError> {
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
        net_devices: net_devices::net_devices(
            raw.net_devices.unwrap_or_default(),
            &namespaces,
            &at.field("netDevices"),
        )?,
        cgroups_path: at.field("cgroupsPath").non_empty(raw.cgroups_path)?,
        resources: resources::resources(raw.resources.unwrap_or_default(), &at.field("resources"))?,
        sysctl: sysctl::sysctl(raw.sysctl.unwrap_or_default(), &namespaces, &at.field("sysctl"))?,
        seccomp: seccomp::seccomp(raw.seccomp, &at.field("seccomp"))?,
        rootfs_propagation: propagation(raw.rootfs_propagation, &at.field("rootfsPropagation"))?,
        masked_paths: absolute_paths(raw.masked_paths, &at.field("maskedPaths"))?,
        readonly_paths: absolute_paths(raw.readonly_paths, &at.field("readonlyPaths"))?,
        mount_label: at.field("mountLabel").non_empty(raw.mount_label)?,
        personality: raw
            .personality
            .map(|raw| personality(raw, &at.field("personality"), warnings))
            .transpose()?,
        intel_rdt: raw.intel_rdt.map(|raw| intel_rdt::intel_rdt(raw, &at.field("intelRdt"))).transpose()?,
        memory_policy: raw
            .memory_policy
            .map(|raw| scheduling::memory_policy(raw, &at.field("memoryPolicy")))
            .transpose()?,
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

/// "Currently no flag values are supported": as in runc, one that is there is told and left out.
fn personality(
    raw: schema::Personality<'_>,
    at: &Path<'_>,
    warnings: &mut Vec<Warning>,
) -> Result<Personality, ConfigError> {
    let domain = at.field("domain");
    let personality = find(PERSONALITIES, &domain.require(raw.domain)?, "unknown domain", &domain)?;
    if raw.flags.is_some_and(|flags| !flags.is_empty()) {
        warnings.push(at.field("flags").warning("ignored: the specification knows no flag"));
    }
    Ok(personality)
}

fn absolute_paths<'a>(paths: Option<Vec<Str<'a>>>, at: &Path<'_>) -> Result<Vec<Str<'a>>, ConfigError> {
    let paths = paths.into_iter().flatten().enumerate();
    paths.map(|(index, path)| at.index(index).absolute(path)).collect()
}
