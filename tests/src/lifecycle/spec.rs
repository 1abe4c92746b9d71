//! `spec`.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Bench, Check, Need, Suite, ensure, ensure_eq};

/// Adds the cases.
pub(crate) fn add(suite: &mut Suite) {
    suite.case("`spec` writes config.json into the working directory", |bench| {
        let dir = bench.directory("bundle")?;
        let output = bench.bare(&["spec"]).current_dir(&dir).succeeds()?;
        ensure_eq!(output.stdout, "");
        let config: Value = serde_json::from_slice(&fs::read(dir.join("config.json"))?)?;
        ensure_eq!(config["process"]["args"], json!(["sh"]));
        ensure_eq!(config["root"], json!({"path": "rootfs", "readonly": true}));
        Ok(())
    });
    suite.case("`spec -b` and `spec --bundle` write into that directory", |bench| {
        for flag in ["-b", "--bundle"] {
            let dir = bench.directory("bundle")?;
            bench.bare(&["spec", flag]).arg(&dir).succeeds()?;
            ensure!(dir.join("config.json").exists(), "nothing in {}", dir.display());
        }
        Ok(())
    });
    suite.case("`spec` refuses to overwrite a config.json", refuses_to_overwrite);
    suite
        .case("the default config has the five usual namespaces", |bench| {
            let namespaces =
                bench.world.default_config["linux"]["namespaces"].as_array().cloned().unwrap_or_default();
            let mut kinds: Vec<_> = namespaces.iter().filter_map(|one| one["type"].as_str()).collect();
            kinds.sort_unstable();
            kinds.retain(|kind| *kind != "cgroup");
            ensure_eq!(kinds, ["ipc", "mount", "network", "pid", "uts"]);
            Ok(())
        })
        .needs(&[Need::Root]);
    suite.case(
        "the default config has a terminal, no new privileges and a read-only cgroup mount",
        |bench| {
            let config = &bench.world.default_config;
            ensure_eq!(config["process"]["terminal"], true);
            ensure_eq!(config["process"]["noNewPrivileges"], true);
            let mounts = config["mounts"].as_array().cloned().unwrap_or_default();
            let cgroup = mounts.iter().find(|mount| mount["type"] == "cgroup");
            let options = cgroup.and_then(|mount| mount["options"].as_array()).cloned().unwrap_or_default();
            ensure!(options.contains(&json!("ro")), "{options:?}");
            Ok(())
        },
    );
    suite.case("`spec --rootless` has a user namespace with one id and no network namespace, and is the default otherwise", rootless).needs(&[Need::Root]);
}

fn refuses_to_overwrite(bench: &mut Bench<'_>) -> Check {
    let dir = bench.directory("bundle")?;
    fs::write(dir.join("config.json"), "mine")?;
    bench.bare(&["spec", "-b"]).arg(&dir).output()?.fails_with(1, &["config.json", "exists"])?;
    ensure_eq!(fs::read_to_string(dir.join("config.json"))?, "mine");
    Ok(())
}

fn rootless(bench: &mut Bench<'_>) -> Check {
    let dir = bench.directory("bundle")?;
    bench.bare(&["spec", "--rootless", "-b"]).arg(&dir).succeeds()?;
    let config: Value = serde_json::from_slice(&fs::read(dir.join("config.json"))?)?;
    // What differs from the default: everything else is compared as it is.
    let mut expected = bench.world.default_config.clone();
    let own = json!([{"containerID": 0, "hostID": 0, "size": 1}]);
    let mut linux = json!({"uidMappings": own, "gidMappings": own});
    if let (Some(linux), Some(default)) = (linux.as_object_mut(), expected["linux"].as_object()) {
        linux.extend(
            default.iter().filter(|(name, _)| *name != "resources").map(|(k, v)| (k.clone(), v.clone())),
        );
    }
    expected["linux"] = linux;
    if let Some(namespaces) = expected["linux"]["namespaces"].as_array_mut() {
        namespaces.retain(|one| one["type"] != "network");
        namespaces.push(json!({"type": "user"}));
    }
    for mount in expected["mounts"].as_array_mut().into_iter().flatten() {
        if mount["destination"] == "/sys" {
            let options = ["rbind", "nosuid", "noexec", "nodev", "ro"];
            *mount = json!({"destination": "/sys", "type": "none", "source": "/sys", "options": options});
        }
        if let Some(options) = mount.get_mut("options").and_then(Value::as_array_mut) {
            options.retain(|option| option != "gid=5");
        }
    }
    ensure_eq!(config, expected);
    Ok(())
}
