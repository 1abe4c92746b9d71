//! User and group IDs and their mappings.
use alloc::format;
use alloc::vec::Vec;

use crate::config::IdMapping;
use crate::error::ConfigError;
use crate::path::Path;
use crate::schema;

/// Refuses the ID that setresuid(2), setresgid(2) and chown(2) read as "leave unchanged": the container would keep the
/// engine's own.
pub(super) fn check_id(id: u32, at: &Path<'_>) -> Result<u32, ConfigError> {
    if id == u32::MAX { Err(at.illegal(format!("{id} is not an ID"))) } else { Ok(id) }
}

/// Refuses an ID that none of the mappings at `mappings_path` covers.
pub(super) fn check_mapped(
    id: u32,
    mappings: &[IdMapping],
    mappings_path: &str,
    at: &Path<'_>,
) -> Result<(), ConfigError> {
    if mappings.iter().any(|mapping| mapping.to_host(id).is_some()) {
        Ok(())
    } else {
        Err(at.illegal(format!("{id} is not mapped by {mappings_path}")))
    }
}

/// The most lines that the kernel takes: `UID_GID_MAP_MAX_EXTENTS` since Linux 4.15.
const MAX_MAPPINGS: usize = 340;

/// `linux.uidMappings` or `linux.gidMappings`. The kernel answers each of these faults with a bare EINVAL.
pub(super) fn mappings(raw: &[schema::IdMapping], at: &Path<'_>) -> Result<Vec<IdMapping>, ConfigError> {
    if raw.len() > MAX_MAPPINGS {
        return Err(at.illegal(format!("{} mappings are more than the kernel's {MAX_MAPPINGS}", raw.len())));
    }
    let mut mappings: Vec<IdMapping> = Vec::with_capacity(raw.len());
    for (index, raw) in raw.iter().enumerate() {
        let element = at.index(index);
        let mapping = IdMapping {
            container_id: element.field("containerID").require(raw.container_id)?,
            host_id: element.field("hostID").require(raw.host_id)?,
            size: element.field("size").require(raw.size)?,
        };
        if mapping.size == 0 {
            return Err(element.field("size").illegal("is 0"));
        }
        for (field, first) in [("containerID", mapping.container_id), ("hostID", mapping.host_id)] {
            // The range ends below 4294967295, which is not an ID.
            if first.checked_add(mapping.size).is_none() {
                let reason = format!("{first} and a size of {} pass the last ID", mapping.size);
                return Err(element.field(field).illegal(reason));
            }
        }
        if let Some(first) = mappings.iter().position(|other| overlap(other, &mapping)) {
            return Err(element.illegal(format!("overlaps {at}[{first}]")));
        }
        mappings.push(mapping);
    }
    Ok(mappings)
}

fn overlap(a: &IdMapping, b: &IdMapping) -> bool {
    let ranges_overlap = |a_first: u32, b_first: u32| {
        a_first < b_first.saturating_add(b.size) && b_first < a_first.saturating_add(a.size)
    };
    ranges_overlap(a.container_id, b.container_id) || ranges_overlap(a.host_id, b.host_id)
}
