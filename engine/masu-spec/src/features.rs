//! What `features` prints: features.md and features-linux.md of the runtime specification.
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use serde::Serialize;

use crate::annotations::PREFIX;
use crate::capabilities::CAPABILITY_NAMES;
use crate::hooks::HookKind;
use crate::memory_policy::{MEMORY_MODES, MEMORY_POLICY_FLAGS};
use crate::mount_options::known_words;
use crate::namespaces::NamespaceKind;
use crate::seccomp::{ACTIONS, ARCHITECTURES, FILTER_FLAGS, OPERATORS};
use crate::write::pretty;

/// The whole document. An empty list says "none"; a list that is left out would say "unknown".
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Features<'a> {
    /// `ociVersionMin`.
    pub oci_version_min: &'a str,
    /// `ociVersionMax`.
    pub oci_version_max: &'a str,
    /// `hooks`.
    pub hooks: Vec<&'a str>,
    /// `mountOptions`: sorted.
    pub mount_options: Vec<&'a str>,
    /// `linux`.
    pub linux: LinuxFeatures<'a>,
    /// `annotations`: left out when empty.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<&'a str, &'a str>,
    /// `potentiallyUnsafeConfigAnnotations`: one that ends with a dot is a prefix. Left out when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub potentially_unsafe_config_annotations: Vec<&'a str>,
}

/// `linux`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LinuxFeatures<'a> {
    /// `namespaces`: sorted.
    pub namespaces: Vec<&'a str>,
    /// `capabilities`: by number.
    pub capabilities: Vec<&'a str>,
    /// `cgroup`.
    pub cgroup: CgroupFeatures,
    /// `seccomp`.
    pub seccomp: SeccompFeatures<'a>,
    /// `apparmor`.
    pub apparmor: Enabled,
    /// `selinux`.
    pub selinux: Enabled,
    /// `intelRdt`.
    pub intel_rdt: IntelRdtFeatures,
    /// `memoryPolicy`.
    pub memory_policy: MemoryPolicyFeatures<'a>,
    /// `mountExtensions`.
    pub mount_extensions: MountExtensions,
    /// `netDevices`.
    pub net_devices: Enabled,
}

/// `linux.cgroup`: what is built in, whatever the host has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CgroupFeatures {
    /// `v1`.
    pub v1: bool,
    /// `v2`.
    pub v2: bool,
    /// `systemd`: the systemd driver as root.
    pub systemd: bool,
    /// `systemdUser`: the systemd driver of a user's own manager.
    pub systemd_user: bool,
    /// `rdma`.
    pub rdma: bool,
}

/// `linux.seccomp`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SeccompFeatures<'a> {
    /// `enabled`. The lists are left out when empty.
    pub enabled: bool,
    /// `actions`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<&'a str>,
    /// `operators`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub operators: Vec<&'a str>,
    /// `archs`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub archs: Vec<&'a str>,
    /// `knownFlags`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub known_flags: Vec<&'a str>,
    /// `supportedFlags`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub supported_flags: Vec<&'a str>,
}

/// A feature that is there or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Enabled {
    /// `enabled`.
    pub enabled: bool,
}

/// `linux.intelRdt`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct IntelRdtFeatures {
    /// `enabled`.
    pub enabled: bool,
    /// `schemata`.
    pub schemata: bool,
    /// `monitoring`.
    pub monitoring: bool,
}

/// `linux.memoryPolicy`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MemoryPolicyFeatures<'a> {
    /// `modes`.
    pub modes: Vec<&'a str>,
    /// `flags`.
    pub flags: Vec<&'a str>,
}

/// `linux.mountExtensions`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MountExtensions {
    /// `idmap`.
    pub idmap: Enabled,
}

/// The lowest version of the specification that is read.
pub const OCI_VERSION_MIN: &str = "1.0.0";
/// The version of the specification that masu follows.
pub const OCI_VERSION: &str = "1.3.0";

/// What this crate reads and does not refuse. The caller adds its annotations, and corrects what other crates bring.
pub fn features() -> Features<'static> {
    let mut mount_options: Vec<_> = known_words().collect();
    mount_options.sort_unstable();
    let mut namespaces: Vec<_> = NamespaceKind::ALL.iter().map(|kind| kind.name()).collect();
    namespaces.sort_unstable();
    Features {
        oci_version_min: OCI_VERSION_MIN,
        oci_version_max: OCI_VERSION,
        hooks: HookKind::ALL.iter().map(|kind| kind.name()).collect(),
        mount_options,
        linux: LinuxFeatures {
            namespaces,
            capabilities: CAPABILITY_NAMES.to_vec(),
            cgroup: CgroupFeatures { v1: true, v2: true, systemd: true, systemd_user: true, rdma: true },
            seccomp: seccomp_features(),
            apparmor: Enabled { enabled: true },
            selinux: Enabled { enabled: true },
            intel_rdt: IntelRdtFeatures { enabled: true, schemata: true, monitoring: true },
            memory_policy: MemoryPolicyFeatures {
                modes: names(MEMORY_MODES),
                flags: names(MEMORY_POLICY_FLAGS),
            },
            mount_extensions: MountExtensions { idmap: Enabled { enabled: true } },
            net_devices: Enabled { enabled: true },
        },
        annotations: BTreeMap::new(),
        potentially_unsafe_config_annotations: [PREFIX].into(),
    }
}

fn names<T>(table: &[(&'static str, T)]) -> Vec<&'static str> {
    table.iter().map(|(name, _)| *name).collect()
}

fn seccomp_features() -> SeccompFeatures<'static> {
    let flags = names(FILTER_FLAGS);
    SeccompFeatures {
        enabled: true,
        actions: names(ACTIONS),
        operators: names(OPERATORS),
        archs: names(ARCHITECTURES),
        known_flags: flags.clone(),
        supported_flags: flags,
    }
}

impl Features<'_> {
    /// What `features` prints: four spaces of indent; runc puts a newline behind it.
    ///
    /// # Errors
    /// None that this type can cause, see [`pretty`].
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        pretty(self, "    ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_of_runc_and_those_of_id_maps_are_listed_once_and_in_order() {
        let options = features().mount_options;
        assert_eq!(options.len(), 61);
        assert!(options.is_sorted_by(|a, b| a < b));
        for option in [
            "async",
            "idmap",
            "ridmap",
            "rnosymfollow",
            "rprivate",
            "rstrictatime",
            "symfollow",
            "unbindable",
        ] {
            assert!(options.contains(&option), "{option}");
        }
    }

    #[test]
    fn what_is_refused_is_not_announced() {
        let value: serde_json::Value = serde_json::from_str(&features().to_json().unwrap()).unwrap();
        let linux = &value["linux"];
        for field in ["apparmor", "selinux", "intelRdt"] {
            assert_eq!(linux[field]["enabled"], true, "{field}");
        }
        assert_eq!(linux["mountExtensions"]["idmap"]["enabled"], true);
        assert_eq!(linux["netDevices"]["enabled"], true);
        let hooks =
            ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];
        assert_eq!(value["hooks"], serde_json::json!(hooks));
        assert_eq!(value.get("annotations"), None);
        assert_eq!(linux["cgroup"]["systemdUser"], true);
        assert_eq!((&value["ociVersionMin"], &value["ociVersionMax"]), (&"1.0.0".into(), &"1.3.0".into()));
        let namespaces =
            serde_json::json!(["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"]);
        assert_eq!(linux["namespaces"], namespaces);
    }
}
