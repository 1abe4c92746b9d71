//! `mounts`.
use alloc::format;
use alloc::vec::Vec;

use super::ids;
use crate::config::{IdMapping, Mount, MountIds, Warning};
use crate::error::ConfigError;
use crate::mount_options::{self, Bind};
use crate::path::Path;
use crate::schema;
use crate::text::Str;

pub(super) fn mounts<'a>(
    raw: Vec<schema::Mount<'a>>,
    at: &Path<'_>,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<Mount<'a>>, ConfigError> {
    raw.into_iter().enumerate().map(|(index, raw)| mount(raw, &at.index(index), warnings)).collect()
}

fn mount<'a>(
    raw: schema::Mount<'a>,
    at: &Path<'_>,
    warnings: &mut Vec<Warning>,
) -> Result<Mount<'a>, ConfigError> {
    let destination = destination(raw.destination, &at.field("destination"), warnings)?;
    let options = mount_options::parse(raw.options.unwrap_or_default(), &at.field("options"))?;
    let uid_mappings = ids::mappings(&raw.uid_mappings.unwrap_or_default(), &at.field("uidMappings"))?;
    let gid_mappings = ids::mappings(&raw.gid_mappings.unwrap_or_default(), &at.field("gidMappings"))?;
    let ids = mount_ids(uid_mappings, gid_mappings, at)?;
    let source = at.field("source").non_empty(raw.source)?;
    let fs_type = at.field("type").non_empty(raw.fs_type)?;
    if options.bind != Bind::None {
        at.field("source").require(source.as_ref())?;
        // The specification: the type of a bind mount is a dummy, often "none".
        return Ok(Mount { destination, fs_type: None, source, options, ids });
    }
    if ids.is_some() {
        return Err(at.field("uidMappings").illegal(mount_options::NO_ID_MAP));
    }
    let fs_type = at.field("type").require(fs_type)?;
    if matches!(fs_type.as_str(), "bind" | "none") {
        let reason = format!("{:?} is not a file system", fs_type.as_str());
        return Err(at
            .field("type")
            .illegal_hint(reason, "a bind mount has \"bind\" or \"rbind\" among its options"));
    }
    Ok(Mount { destination, fs_type: Some(fs_type), source, options, ids })
}

/// Each of the two lists needs the other: an id that is not mapped is nobody's.
fn mount_ids(
    uid_mappings: Vec<IdMapping>,
    gid_mappings: Vec<IdMapping>,
    at: &Path<'_>,
) -> Result<Option<MountIds>, ConfigError> {
    match (uid_mappings.is_empty(), gid_mappings.is_empty()) {
        (true, true) => Ok(None),
        (false, false) => Ok(Some(MountIds { uid_mappings, gid_mappings })),
        (true, false) => Err(at.field("uidMappings").illegal("has to be given beside gidMappings")),
        (false, true) => Err(at.field("gidMappings").illegal("has to be given beside uidMappings")),
    }
}

fn destination<'a>(
    destination: Option<Str<'a>>,
    at: &Path<'_>,
    warnings: &mut Vec<Warning>,
) -> Result<Str<'a>, ConfigError> {
    let destination = at.c_string(at.require(destination)?)?;
    if destination.is_empty() {
        return Err(at.illegal("is empty"));
    }
    if destination.starts_with('/') {
        return Ok(destination);
    }
    warnings.push(at.warning(format!("{:?} is not absolute and is taken below /", destination.as_str())));
    Ok(format!("/{destination}").into())
}
