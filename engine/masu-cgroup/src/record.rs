//! What state.json keeps of a cgroup, enough for a later process to find, join, freeze and remove it without
//! the config and without probing the host again.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::systemd::UnitRecord;

/// Who makes and removes the directories.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Driver {
    /// masu itself.
    #[default]
    Cgroupfs,
    /// systemd, with the unit that the record names.
    Systemd,
}

/// A container's cgroup on record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupRecord {
    /// Who makes and removes the directories.
    pub driver: Driver,
    /// The unit of systemd whose cgroup it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<UnitRecord>,
    /// May hierarchies that refuse this user be left out? So it is for rootless containers without a cgroupsPath.
    #[serde(default, skip_serializing_if = "is_false")]
    pub lenient: bool,
    /// The controllers that were left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub denied: Vec<String>,
    /// The cgroup below the container's that its processes are in, where the annotation `run.oci.delegate-cgroup` names
    /// one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegated: Option<String>,
    /// One entry for each hierarchy joined.
    pub members: Vec<MemberRecord>,
}

/// The cgroup in one hierarchy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRecord {
    /// As [`crate::Hierarchy::controllers`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub controllers: Vec<String>,
    /// Where the hierarchy is mounted.
    pub mount_point: String,
    /// The cgroup below the mount point, starting with `/`.
    pub path: String,
    /// The unified hierarchy?
    #[serde(default, skip_serializing_if = "is_false")]
    pub version_2: bool,
    /// The unified hierarchy of a host that has no other?
    #[serde(default, skip_serializing_if = "is_false")]
    pub alone: bool,
    /// As [`crate::Hierarchy::noprefix`].
    #[serde(default, skip_serializing_if = "is_false")]
    pub noprefix: bool,
    /// How many of the path's last names masu made: those above the cgroup go with it when they are empty.
    #[serde(default)]
    pub made: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}
