//! Version 1 hierarchies, and the unified one beside them.

use std::os::unix::fs::MetadataExt;

use serde_json::json;

use super::root_disk;
use crate::harness::mountinfo::{mount_at, parse_mountinfo};
use crate::harness::setting::check_io_weight;
use crate::harness::{Bench, Check, Suite, ensure, ensure_eq, host};

const HIERARCHIES: [&str; 9] =
    ["blkio", "cpu", "cpuacct", "cpuset", "devices", "freezer", "memory", "pids", "systemd"];

/// Adds the cases.
pub(super) fn add(suite: &mut Suite) {
    places(suite);
    resources(suite);
    inside(suite);
}

fn places(suite: &mut Suite) {
    suite.case("an absolute cgroupsPath is the cgroup in every hierarchy", |bench| {
        let container = bench.sleeper(|_| {})?;
        let pid = container.pid()?.to_string();
        for hierarchy in HIERARCHIES {
            let procs = host::read_trimmed(host::cgroup(hierarchy, &container.id).join("cgroup.procs"))?;
            ensure_eq!(procs, pid, "{hierarchy}");
        }
        Ok(())
    });
    suite.case("a cgroup of version 1 stays root's, whoever may write to it", |bench| {
        let container = bench.sleeper(|config| {
            config.user_namespace().namespace("cgroup").set("/process/user", json!({"uid": 7, "gid": 8}));
            config.without_mount("/sys/fs/cgroup");
            config.mount("/sys/fs/cgroup", "cgroup", "cgroup", &["nosuid", "noexec", "nodev", "rw"]);
        })?;
        let cgroups = host::cgroups_of(container.cgroup().trim_start_matches('/'))?;
        ensure!(cgroups.len() >= HIERARCHIES.len() - 1, "{cgroups:?}");
        for cgroup in cgroups {
            for place in [cgroup.clone(), cgroup.join("cgroup.procs")] {
                ensure_eq!(std::fs::metadata(&place)?.uid(), 0, "{}", place.display());
            }
        }
        Ok(())
    });
    suite.case("the cgroup of the unified hierarchy is the same", |bench| {
        let container = bench.sleeper(|_| {})?;
        let procs = host::read_trimmed(host::cgroup_unified(&container.id).join("cgroup.procs"))?;
        ensure_eq!(procs, container.pid()?.to_string());
        Ok(())
    });
    suite.case("without cgroupsPath the cgroup is called by the id", |bench| {
        let container = bench.sleeper(|config| {
            config.remove("/linux", "cgroupsPath");
        })?;
        let text = std::fs::read_to_string(format!("/proc/{}/cgroup", container.pid()?))?;
        for controller in ["memory", "pids", "cpu"] {
            let line =
                text.lines().find(|line| line.contains(&format!(":{controller}:"))).unwrap_or_default();
            ensure!(line.ends_with(&format!("/{}", container.id)), "{text}");
        }
        Ok(())
    });
}

#[expect(clippy::too_many_lines, reason = "a flat list of cases")]
fn resources(suite: &mut Suite) {
    for (value, file, text) in [
        (json!({"swappiness": 10}), "memory.swappiness", "10"),
        (json!({"kernelTCP": 33_554_432}), "memory.kmem.tcp.limit_in_bytes", "33554432"),
    ] {
        suite.case(format!("memory {value} is in force"), move |bench| {
            let container = bench.sleeper(|config| {
                config.set("/linux/resources/memory", value.clone());
            })?;
            ensure_eq!(host::read_trimmed(host::cgroup("memory", &container.id).join(file))?, text);
            Ok(())
        });
    }
    suite.case("cpu realtimeRuntime and realtimePeriod are written", |bench| {
        let container = bench.sleeper(|config| {
            let cpu = json!({"realtimeRuntime": 1000, "realtimePeriod": 500_000});
            config.set("/linux/resources/cpu", cpu);
        })?;
        for (file, text) in [("cpu.rt_runtime_us", "1000"), ("cpu.rt_period_us", "500000")] {
            ensure_eq!(host::read_trimmed(host::cgroup("cpu", &container.id).join(file))?, text, "{file}");
        }
        Ok(())
    });
    suite.case(
        "blockIO leafWeight is an error on a kernel without leaf weights, and leaves no cgroup",
        |bench| {
            // KERNEL(5.14): they went with the scheduler cfq, in Linux 5.0.
            let output = bench.script("true", |config| {
                config.set("/linux/resources/blockIO", json!({"leafWeight": 300}));
            })?;
            output.fails_with(1, &["blkio.leaf_weight"])?;
            ensure!(host::cgroups_of(&bench.tag)?.is_empty(), "a cgroup is left");
            Ok(())
        },
    );
    suite.case("memory disableOOMKiller is written", |bench| {
        let container = bench.sleeper(|config| {
            config.set("/linux/resources/memory", json!({"limit": 67_108_864, "disableOOMKiller": true}));
        })?;
        let text = host::read_trimmed(host::cgroup("memory", &container.id).join("memory.oom_control"))?;
        ensure!(text.starts_with("oom_kill_disable 1"), "{text}");
        Ok(())
    });
    for (field, file) in [
        ("throttleReadBpsDevice", "blkio.throttle.read_bps_device"),
        ("throttleWriteBpsDevice", "blkio.throttle.write_bps_device"),
        ("throttleReadIOPSDevice", "blkio.throttle.read_iops_device"),
        ("throttleWriteIOPSDevice", "blkio.throttle.write_iops_device"),
    ] {
        suite.case(format!("blockIO {field} is written to {file}"), move |bench| {
            let (major, minor) = root_disk()?;
            let container = bench.sleeper(|config| {
                let value = json!([{"major": major, "minor": minor, "rate": 1_048_576}]);
                config.set("/linux/resources/blockIO", json!({field: value}));
            })?;
            let text = host::read_trimmed(host::cgroup("blkio", &container.id).join(file))?;
            ensure_eq!(text, format!("{major}:{minor} 1048576"));
            Ok(())
        });
    }
    suite.masu_only(
        "`update -r -` changes what version 1 has, and what the unified hierarchy beside it has",
        |bench| {
            let (major, minor) = root_disk()?;
            let rate = json!([{"major": major, "minor": minor, "rate": 65_536}]);
            let resources = json!({
                "memory": {"swappiness": 10, "kernelTCP": 33_554_432},
                "cpu": {"realtimeRuntime": 1000, "realtimePeriod": 500_000},
                "blockIO": {"weight": 500, "throttleReadBpsDevice": rate, "throttleWriteIOPSDevice": rate},
                "hugepageLimits": [{"pageSize": "2MB", "limit": 4_194_304}],
                "unified": {"hugetlb.2MB.rsvd.max": "8388608"},
            });
            let container = bench.sleeper(|config| {
                config
                    .set("/linux/resources/hugepageLimits", json!([{"pageSize": "2MB", "limit": 2_097_152}]));
            })?;
            bench.call(&["update", "-r", "-", &container.id]).stdin(resources.to_string()).succeeds()?;
            let limited = format!("{major}:{minor} 65536");
            for (controller, file, text) in [
                ("memory", "memory.swappiness", "10"),
                ("memory", "memory.kmem.tcp.limit_in_bytes", "33554432"),
                ("cpu", "cpu.rt_runtime_us", "1000"),
                ("cpu", "cpu.rt_period_us", "500000"),
                ("blkio", "blkio.throttle.read_bps_device", &*limited),
                ("blkio", "blkio.throttle.write_iops_device", &limited),
                ("unified", "hugetlb.2MB.max", "4194304"),
                ("unified", "hugetlb.2MB.rsvd.max", "8388608"),
            ] {
                let file = host::cgroup(controller, container.cgroup()).join(file);
                ensure_eq!(host::read_trimmed(&file)?, text, "{}", file.display());
            }
            check_io_weight(container.cgroup())
        },
    );
    suite.masu_only("run.oci.delegate-cgroup is refused beside version 1 hierarchies", delegated);
    suite.case("the device rules are the default ones and those of the config", device_rules);
    suite.case("hugepageLimits are written to the hierarchy that carries hugetlb", |bench| {
        let container = bench.sleeper(|config| {
            config.set("/linux/resources/hugepageLimits", json!([{"pageSize": "2MB", "limit": 4_194_304}]));
        })?;
        ensure_eq!(
            host::read_trimmed(host::cgroup_unified(&container.id).join("hugetlb.2MB.max"))?,
            "4194304"
        );
        Ok(())
    });
    suite.case("unified keys are written to the unified hierarchy", |bench| {
        let container = bench.sleeper(|config| {
            config.set("/linux/resources/unified", json!({"hugetlb.2MB.max": "8388608"}));
        })?;
        ensure_eq!(
            host::read_trimmed(host::cgroup_unified(&container.id).join("hugetlb.2MB.max"))?,
            "8388608"
        );
        Ok(())
    });
    for (field, value) in
        [("rdma", json!({"mlx5_1": {"hcaHandles": 3}})), ("network", json!({"classID": 1_048_577}))]
    {
        suite.masu_only(format!("{field} is refused where no hierarchy has its controller"), move |bench| {
            let output = bench.script("true", |config| {
                config.set(&format!("/linux/resources/{field}"), value.clone());
            })?;
            let text = "controller is not available: no hierarchy with it is mounted";
            output.fails_with(1, &[&format!("masu: linux.resources.{field}"), text])?;
            Ok(())
        });
    }
}

fn delegated(bench: &mut Bench<'_>) -> Check {
    let output = bench.script("true", |config| {
        config.set("/annotations", json!({"run.oci.delegate-cgroup": "payload"}));
    })?;
    let text =
        "annotations[\"run.oci.delegate-cgroup\"]: needs a host with version 2 of control groups alone";
    output.fails_with(1, &[text])?;
    ensure!(host::cgroups_of(&bench.tag)?.is_empty(), "a cgroup is left");
    Ok(())
}

fn device_rules(bench: &mut Bench<'_>) -> Check {
    let container = bench.sleeper(|config| {
        config.push(
            "/linux/resources/devices",
            json!({"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw"}),
        );
    })?;
    let text = host::read_trimmed(host::cgroup("devices", &container.id).join("devices.list"))?;
    let rules: Vec<&str> = text.lines().collect();
    let wanted = [
        "c 10:229 rw",
        "c 1:3 rwm",
        "c 1:5 rwm",
        "c 1:7 rwm",
        "c 1:8 rwm",
        "c 1:9 rwm",
        "c 5:0 rwm",
        "c 5:2 rwm",
        "c 136:* rwm",
        "c *:* m",
        "b *:* m",
    ];
    for rule in wanted {
        ensure!(rules.contains(&rule), "no rule {rule} in {text}");
    }
    ensure!(!rules.contains(&"a *:* rwm"), "{text}");
    for rule in rules {
        ensure!(wanted.contains(&rule) || rule == "c 10:200 rwm", "the rule {rule} is unexpected: {text}");
    }
    Ok(())
}

#[expect(clippy::too_many_lines, reason = "a flat list of cases")]
fn inside(suite: &mut Suite) {
    for with_namespace in [false, true] {
        let sentence = if with_namespace { "with" } else { "without" };
        suite.case(
            format!("{sentence} a cgroup namespace /sys/fs/cgroup shows the container's own cgroups"),
            move |bench| {
                let text = bench.inside(
                    "cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/memory/memory.limit_in_bytes",
                    |config| {
                        config.set("/linux/resources/pids", json!({"limit": 77}));
                        config.set("/linux/resources/memory", json!({"limit": 67_108_864}));
                        if with_namespace {
                            config.namespace("cgroup");
                        }
                    },
                )?;
                ensure_eq!(text, "77\n67108864");
                Ok(())
            },
        );
        suite.case(
            format!("{sentence} a cgroup namespace every hierarchy is mounted below /sys/fs/cgroup"),
            move |bench| {
                let text = bench.inside("cat /proc/self/mountinfo", |config| {
                    if with_namespace {
                        config.namespace("cgroup");
                    }
                })?;
                ensure_eq!(mount_at(&text, "/sys/fs/cgroup")?.kind, "tmpfs");
                for hierarchy in HIERARCHIES {
                    let mount = mount_at(&text, &format!("/sys/fs/cgroup/{hierarchy}"))?;
                    ensure_eq!(mount.kind, "cgroup");
                    ensure!(mount.has("ro"), "{mount:?}");
                }
                let cgroups = parse_mountinfo(&text).into_iter().filter(|mount| mount.kind == "cgroup");
                ensure!(cgroups.clone().count() >= HIERARCHIES.len(), "{text}");
                Ok(())
            },
        );
    }
    suite.case("in a cgroup namespace every path is /", |bench| {
        let text = bench.inside("cat /proc/self/cgroup", |config| {
            config.namespace("cgroup");
        })?;
        for line in text.lines() {
            ensure!(line.ends_with(":/"), "{text}");
        }
        Ok(())
    });
    suite.case("without a cgroup namespace the paths are those of the host", |bench| {
        let container = bench.sleeper(|config| {
            config.without_namespace("cgroup");
        })?;
        let text = container.exec("cat /proc/self/cgroup")?;
        ensure!(text.contains(&format!(":pids:/{}\n", container.id)), "{text}");
        Ok(())
    });
    suite.case("the unified hierarchy is mounted inside too", |bench| {
        let text = bench.inside("cat /proc/self/mountinfo", |_| {})?;
        let mount = mount_at(&text, "/sys/fs/cgroup/unified")?;
        ensure_eq!(mount.kind, "cgroup2");
        ensure!(mount.has("ro"), "{mount:?}");
        Ok(())
    });
}
