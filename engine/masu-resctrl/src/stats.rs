//! What a container's groups have used, in the shape of `events --stats` (runc's types/events.go).

use alloc::{
    format,
    string::{String, ToString as _},
    vec::Vec,
};

use rustix::{fs::Dir, io::Errno};
use serde::Serialize;

use crate::{
    Group, Resctrl,
    error::{Error, Result},
};

/// `intel_rdt`: empty for a container without a class.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Stats {
    /// What the L3 cache can be divided into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l3_cache_info: Option<L3CacheInfo>,
    /// The share of the default class.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub l3_cache_schema_root: String,
    /// The share of the container's class.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub l3_cache_schema: String,
    /// What the memory bandwidth can be divided into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mem_bw_info: Option<MemBwInfo>,
    /// The share of the default class.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mem_bw_schema_root: String,
    /// The share of the container's class.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mem_bw_schema: String,
    /// All shares of the container's class.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub schemata: Vec<String>,
    /// Memory bandwidth, for each L3 cache.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mbm_stats: Vec<MbmStats>,
    /// Cache, for each L3 cache.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cmt_stats: Vec<CmtStats>,
}

/// `info/L3`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct L3CacheInfo {
    /// All of the cache, as a hexadecimal mask.
    pub cbm_mask: String,
    /// The fewest bits of a share.
    pub min_cbm_bits: u64,
    /// How many classes there can be.
    pub num_closids: u64,
}

/// `info/MB`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct MemBwInfo {
    /// Steps of a share, in percent.
    pub bandwidth_gran: u64,
    /// Whether the scale is linear.
    pub delay_linear: u64,
    /// The smallest share, in percent.
    pub min_bandwidth: u64,
    /// How many classes there can be.
    pub num_closids: u64,
}

/// Bytes from and to memory.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct MbmStats {
    /// All.
    pub mbm_total_bytes: u64,
    /// Those of the cache's own node.
    pub mbm_local_bytes: u64,
}

/// Bytes in a cache.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct CmtStats {
    /// Those of the group.
    pub llc_occupancy: u64,
}

impl Resctrl {
    /// Reads what there is to know of a class, and what a group in it, or itself, has used.
    ///
    /// # Errors
    /// [`Error::Io`]; what this processor lacks is left out.
    pub fn stats(&self, class: &Group, monitored: &Group) -> Result<Stats> {
        let (own, root) = (lines(class)?, lines(&self.0)?);
        let of = |lines: &[String], name| {
            lines.iter().find(|line| line.starts_with(name)).cloned().unwrap_or_default()
        };
        let mut stats = Stats {
            l3_cache_schema_root: of(&root, "L3:"),
            l3_cache_schema: of(&own, "L3:"),
            mem_bw_schema_root: of(&root, "MB:"),
            mem_bw_schema: of(&own, "MB:"),
            schemata: own,
            ..Stats::default()
        };
        let info = |name: &str| number(&self.0, &format!("info/{name}"));
        if let Some(cbm_mask) = text(&self.0, "info/L3/cbm_mask")? {
            let (min_cbm_bits, num_closids) = (info("L3/min_cbm_bits")?, info("L3/num_closids")?);
            let (min_cbm_bits, num_closids) = (min_cbm_bits.unwrap_or(0), num_closids.unwrap_or(0));
            stats.l3_cache_info = Some(L3CacheInfo { cbm_mask, min_cbm_bits, num_closids });
        }
        if let Some(bandwidth_gran) = info("MB/bandwidth_gran")? {
            stats.mem_bw_info = Some(MemBwInfo {
                bandwidth_gran,
                delay_linear: info("MB/delay_linear")?.unwrap_or(0),
                min_bandwidth: info("MB/min_bandwidth")?.unwrap_or(0),
                num_closids: info("MB/num_closids")?.unwrap_or(0),
            });
        }
        for cache in caches(monitored)? {
            let used = |name: &str| number(monitored, &format!("mon_data/{cache}/{name}"));
            if let Some(mbm_total_bytes) = used("mbm_total_bytes")? {
                let mbm_local_bytes = used("mbm_local_bytes")?.unwrap_or(0);
                stats.mbm_stats.push(MbmStats { mbm_total_bytes, mbm_local_bytes });
            }
            if let Some(llc_occupancy) = used("llc_occupancy")? {
                stats.cmt_stats.push(CmtStats { llc_occupancy });
            }
        }
        Ok(stats)
    }
}

/// The kernel indents its lines.
fn lines(group: &Group) -> Result<Vec<String>> {
    Ok(group.read("schemata")?.lines().map(|line| line.trim().to_string()).collect())
}

fn text(group: &Group, path: &str) -> Result<Option<String>> {
    match group.read(path) {
        Ok(text) => Ok(Some(text.trim().into())),
        Err(Error::Io { errno: Errno::NOENT, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A number; none as well where the kernel says `Unavailable` or `Unassigned`.
fn number(group: &Group, path: &str) -> Result<Option<u64>> {
    Ok(text(group, path)?.and_then(|text| text.parse().ok()))
}

/// The directories of `mon_data`, one for each L3 cache, in the order of their names.
fn caches(group: &Group) -> Result<Vec<String>> {
    let data = match group.open("mon_data") {
        Err(Error::Io { errno: Errno::NOENT, .. }) => return Ok(Vec::new()),
        outcome => outcome?,
    };
    let failed = |errno| Error::io("getdents", &group.path_of("mon_data"), errno);
    let mut names = Vec::new();
    for entry in Dir::read_from(data.directory()).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
        if name.starts_with("mon_L3_") {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}
