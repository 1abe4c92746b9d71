//! Ways in which a configuration differs from the default one, each for what it costs.

use crate::project;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::path::Path;

/// One of them.
#[derive(Debug)]
pub(super) struct Variant {
    /// As in the table, after `run, `.
    pub(super) name: &'static str,
    /// Makes it of the default one; the path is the container's root.
    pub(super) change: fn(&mut Value, &Path) -> Result<()>,
}

pub(super) const PLAIN: Variant = Variant { name: "default", change: |_, _| Ok(()) };

pub(super) const WITHOUT_NETWORK: Variant =
    Variant { name: "the host's network", change: without_network_namespace };
pub(super) const USER_NAMESPACE: Variant = Variant { name: "a user namespace", change: with_user_namespace };
pub(super) const SECCOMP: Variant = Variant { name: "Docker's seccomp profile", change: with_seccomp };
pub(super) const BINDS_25: Variant =
    Variant { name: "25 bind mounts", change: |c, root| with_binds(c, root, 25) };
pub(super) const BINDS_50: Variant =
    Variant { name: "50 bind mounts", change: |c, root| with_binds(c, root, 50) };
pub(super) const LARGE: Variant = Variant { name: "a 1 MB config.json", change: |c, _| with_annotations(c) };

fn list<'a>(config: &'a mut Value, place: &str) -> Result<&'a mut Vec<Value>> {
    let list = config.pointer_mut(place).and_then(Value::as_array_mut);
    list.with_context(|| format!("the configuration has no list {place}"))
}

fn insert(config: &mut Value, place: &str, key: &str, value: Value) -> Result<()> {
    let object = config.pointer_mut(place).and_then(Value::as_object_mut);
    object.with_context(|| format!("the configuration has no {place}"))?.insert(key.to_owned(), value);
    Ok(())
}

fn without_network_namespace(config: &mut Value, _: &Path) -> Result<()> {
    list(config, "/linux/namespaces")?
        .retain(|namespace| namespace.pointer("/type") != Some(&json!("network")));
    Ok(())
}

fn with_user_namespace(config: &mut Value, _: &Path) -> Result<()> {
    list(config, "/linux/namespaces")?.push(json!({ "type": "user" }));
    let map = json!([{ "containerID": 0, "hostID": 100_000, "size": 65_536 }]);
    insert(config, "/linux", "uidMappings", map.clone())?;
    insert(config, "/linux", "gidMappings", map)
}

/// As Docker hands it to its runtime.
fn with_seccomp(config: &mut Value, _: &Path) -> Result<()> {
    let file = project::root().join("tests/corpus/docker-plain.json");
    let text = std::fs::read(&file).with_context(|| format!("read {}", file.display()))?;
    let docker: Value = serde_json::from_slice(&text).with_context(|| format!("parse {}", file.display()))?;
    let profile = docker.pointer("/linux/seccomp").context("Docker's configuration has no profile")?;
    insert(config, "/linux", "seccomp", profile.clone())
}

fn with_binds(config: &mut Value, root: &Path, count: usize) -> Result<()> {
    for number in 0..count {
        let place = root.join(format!("binds/{number}"));
        std::fs::create_dir_all(&place).with_context(|| format!("create {}", place.display()))?;
        list(config, "/mounts")?.push(json!({
            "destination": format!("/binds/{number}"), "type": "bind", "source": place.to_string_lossy(),
            "options": ["rbind", "ro", "nosuid", "nodev"]
        }));
    }
    Ok(())
}

/// A thousand annotations of a kilobyte, as engines keep what they know of a container.
fn with_annotations(config: &mut Value) -> Result<()> {
    let annotations = (0..1000).map(|number| (format!("org.example.{number}"), "x".repeat(1000).into()));
    let object = config.as_object_mut().context("the configuration is no object")?;
    object.insert("annotations".to_owned(), Value::Object(annotations.collect()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Value {
        json!({ "mounts": [], "linux": { "namespaces": [{ "type": "pid" }, { "type": "network" }] } })
    }

    #[test]
    fn the_network_namespace_alone_is_left_out() {
        let mut config = config();
        without_network_namespace(&mut config, Path::new("/")).unwrap();
        assert_eq!(config.pointer("/linux/namespaces"), Some(&json!([{ "type": "pid" }])));
    }

    #[test]
    fn docker_s_profile_is_found_in_the_corpus() {
        let mut config = config();
        with_seccomp(&mut config, Path::new("/")).unwrap();
        assert_eq!(config.pointer("/linux/seccomp/defaultAction"), Some(&json!("SCMP_ACT_ERRNO")));
    }

    #[test]
    fn a_large_configuration_has_a_megabyte() {
        let mut config = config();
        with_annotations(&mut config).unwrap();
        assert!((1_000_000..1_100_000).contains(&config.to_string().len()));
    }
}
