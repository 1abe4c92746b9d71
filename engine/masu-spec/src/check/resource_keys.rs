//! Names in the file of `update --resources` that mean nothing.

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};

use serde::{Deserialize, de::IgnoredAny};

use crate::text::Str;

const RESOURCES: &[&str] =
    &["devices", "memory", "cpu", "pids", "blockIO", "hugepageLimits", "network", "rdma", "unified"];
const MEMORY: &[&str] = &[
    "limit",
    "reservation",
    "swap",
    "kernel",
    "kernelTCP",
    "swappiness",
    "disableOOMKiller",
    "useHierarchy",
    "checkBeforeUpdate",
];
const CPU: &[&str] =
    &["shares", "quota", "burst", "period", "realtimeRuntime", "realtimePeriod", "cpus", "mems", "idle"];
const BLOCK_IO: &[&str] = &[
    "weight",
    "leafWeight",
    "weightDevice",
    "throttleReadBpsDevice",
    "throttleWriteBpsDevice",
    "throttleReadIOPSDevice",
    "throttleWriteIOPSDevice",
];

type Object<'a> = BTreeMap<Str<'a>, IgnoredAny>;

/// The objects whose names all belong to the specification.
#[derive(Deserialize)]
struct Objects<'a> {
    #[serde(borrow)]
    memory: Option<Object<'a>>,
    #[serde(borrow)]
    cpu: Option<Object<'a>>,
    #[serde(borrow)]
    pids: Option<Object<'a>>,
    #[serde(borrow, rename = "blockIO")]
    block_io: Option<Object<'a>>,
}

/// The names in resources that the specification does not have, as JSON paths. runc takes no notice of them, and a limit
/// that was misspelled is then not set; so they deserve a warning. None for what is no JSON of resources.
#[must_use]
pub fn unknown_resources(json: &[u8]) -> Vec<String> {
    let (Ok(all), Ok(objects)) = (serde_json::from_slice::<Object<'_>>(json), serde_json::from_slice(json))
    else {
        return Vec::new();
    };
    let Objects { memory, cpu, pids, block_io } = objects;
    let mut unknown = Vec::new();
    for (prefix, object, known) in [
        ("", Some(all), RESOURCES),
        ("memory.", memory, MEMORY),
        ("cpu.", cpu, CPU),
        ("pids.", pids, &["limit"]),
        ("blockIO.", block_io, BLOCK_IO),
    ] {
        let names = object.unwrap_or_default().into_keys();
        let odd = names.filter(|name| !known.contains(&name.as_str()));
        unknown.extend(odd.map(|name| format!("{prefix}{}", name.as_str())));
    }
    unknown
}

#[cfg(test)]
mod tests {
    use super::unknown_resources;

    #[test]
    fn names_that_the_specification_lacks_are_found_one_level_deep() {
        for (json, names) in [
            (r#"{"memory": {"limit": 1}, "unified": {"memory.high": "1"}}"#, &[][..]),
            (r#"{"Memory": {}, "memory": {"limt": 1}}"#, &["Memory", "memory.limt"]),
            (
                r#"{"cpu": {"share": 1}, "pids": {"max": 1}, "blockIO": {"wight": 1}}"#,
                &["cpu.share", "pids.max", "blockIO.wight"],
            ),
            (r#"{"memory": null}"#, &[]),
            ("[]", &[]),
            ("{", &[]),
        ] {
            assert_eq!(unknown_resources(json.as_bytes()), names, "{json}");
        }
    }
}
