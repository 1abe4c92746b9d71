//! cgroupsPath and linux.resources, as the host sees them, on the version 1 hierarchies and the unified one beside them.

use serde_json::{Value, json};

use crate::harness::mountinfo::{mount_at, parse_mountinfo};
use crate::harness::{Bench, Check, Suite, ensure, ensure_eq, host};

const HIERARCHIES: [&str; 9] =
    ["blkio", "cpu", "cpuacct", "cpuset", "devices", "freezer", "memory", "pids", "systemd"];

/// The suite.
pub(crate) fn suite() -> Suite {
    let mut suite = Suite::new("cgroup");
    places(&mut suite);
    resources(&mut suite);
    limits(&mut suite);
    inside(&mut suite);
    suite
}

#[expect(clippy::too_many_lines, reason = "a flat list of cases")]
fn places(suite: &mut Suite) {
    suite.case("an absolute cgroupsPath is the cgroup in every hierarchy", |bench| {
        let container = bench.sleeper(|_| {})?;
        let pid = container.pid()?.to_string();
        for hierarchy in HIERARCHIES {
            let procs = host::read_trimmed(host::cgroup_v1(hierarchy, &container.id).join("cgroup.procs"))?;
            ensure_eq!(procs, pid, "{hierarchy}");
        }
        Ok(())
    });
    suite.case("the cgroup of the unified hierarchy is the same", |bench| {
        let container = bench.sleeper(|_| {})?;
        let procs = host::read_trimmed(host::cgroup_unified(&container.id).join("cgroup.procs"))?;
        ensure_eq!(procs, container.pid()?.to_string());
        Ok(())
    });
    suite.case("a cgroupsPath of several parts is made and removed, its parents stay", |bench| {
        let parent = format!("{}-parent", bench.tag);
        let path = format!("/{parent}/deep");
        let container = bench.sleeper(|config| {
            config.set("/linux/cgroupsPath", path.as_str());
        })?;
        ensure!(host::cgroup_v1("pids", &path).exists(), "{path} is missing");
        container.stop()?;
        container.delete()?;
        ensure!(!host::cgroup_v1("pids", &path).exists(), "{path} is left");
        for cgroup in host::cgroups_of(&parent)? {
            std::fs::remove_dir(cgroup)?;
        }
        Ok(())
    });
    suite.case("`..` in cgroupsPath does not leave the hierarchy", |bench| {
        let path = format!("/../../{}-up", bench.tag);
        let container = bench.sleeper(|config| {
            config.set("/linux/cgroupsPath", path.as_str());
        });
        if let Ok(container) = container {
            let procs = host::cgroup_v1("pids", &format!("{}-up", bench.tag)).join("cgroup.procs");
            ensure_eq!(host::read_trimmed(procs)?, container.pid()?.to_string());
        }
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
    suite.case("a cgroup that holds other processes is refused", |bench| {
        let first = bench.sleeper(|_| {})?;
        let path = format!("/{}", first.id);
        let output = bench.script("true", |config| {
            config.set("/linux/cgroupsPath", path.as_str());
        })?;
        output.fails_with(1, &["container's cgroup is not empty: 1 process(es) found"])?;
        ensure_eq!(first.status()?, "running");
        Ok(())
    });
    suite.case("no cgroup is left after `run` in the foreground", |bench| {
        bench.script("true", |_| {})?.exits_with(0)?;
        let left = host::cgroups_of(&bench.tag)?;
        ensure!(left.is_empty(), "{left:?}");
        Ok(())
    });
}

/// A resource: where in linux.resources, its value, the controller, its file, and what the file then says.
struct Resource(&'static str, fn() -> Value, &'static str, &'static str, &'static str);

const RESOURCES: &[Resource] = &[
    Resource("cpu", || json!({"shares": 512}), "cpu", "cpu.shares", "512"),
    Resource("cpu", || json!({"quota": 50000, "period": 200_000}), "cpu", "cpu.cfs_quota_us", "50000"),
    Resource("cpu", || json!({"period": 200_000}), "cpu", "cpu.cfs_period_us", "200000"),
    Resource("cpu", || json!({"quota": -1}), "cpu", "cpu.cfs_quota_us", "-1"),
    Resource("cpu", || json!({"quota": 50000, "burst": 10000}), "cpu", "cpu.cfs_burst_us", "10000"),
    Resource("cpu", || json!({"idle": 1}), "cpu", "cpu.idle", "1"),
    Resource("cpu", || json!({"cpus": "0"}), "cpuset", "cpuset.cpus", "0"),
    Resource("cpu", || json!({"cpus": "0-1"}), "cpuset", "cpuset.cpus", "0-1"),
    Resource("cpu", || json!({"mems": "0"}), "cpuset", "cpuset.mems", "0"),
    Resource("cpu", || json!({"cpus": "0"}), "cpuset", "cpuset.mems", "0"),
    Resource("memory", || json!({"limit": 67_108_864}), "memory", "memory.limit_in_bytes", "67108864"),
    Resource("memory", || json!({"limit": -1}), "memory", "memory.limit_in_bytes", "9223372036854771712"),
    Resource(
        "memory",
        || json!({"reservation": 33_554_432}),
        "memory",
        "memory.soft_limit_in_bytes",
        "33554432",
    ),
    Resource(
        "memory",
        || json!({"limit": 67_108_864, "swap": 134_217_728}),
        "memory",
        "memory.memsw.limit_in_bytes",
        "134217728",
    ),
    Resource("memory", || json!({"swappiness": 10}), "memory", "memory.swappiness", "10"),
    Resource(
        "memory",
        || json!({"kernelTCP": 33_554_432}),
        "memory",
        "memory.kmem.tcp.limit_in_bytes",
        "33554432",
    ),
    Resource("pids", || json!({"limit": 99}), "pids", "pids.max", "99"),
    Resource("pids", || json!({"limit": -1}), "pids", "pids.max", "max"),
];

#[expect(clippy::too_many_lines, reason = "a flat list of cases")]
fn resources(suite: &mut Suite) {
    for Resource(field, value, controller, file, text) in RESOURCES {
        suite.case(format!("{field} {} makes {file} {text}", value()), move |bench| {
            let path = host::cgroup_v1(controller, "").join(file);
            if *controller == "memory" && !path.exists() {
                return Err(crate::harness::Failure::Skipped(format!("no {}", path.display())));
            }
            let container = bench.sleeper(|config| {
                config.set(&format!("/linux/resources/{field}"), value());
            })?;
            ensure_eq!(host::read_trimmed(host::cgroup_v1(controller, &container.id).join(file))?, *text);
            Ok(())
        });
    }
    suite.case("memory disableOOMKiller is written", |bench| {
        let container = bench.sleeper(|config| {
            config.set("/linux/resources/memory", json!({"limit": 67_108_864, "disableOOMKiller": true}));
        })?;
        let text = host::read_trimmed(host::cgroup_v1("memory", &container.id).join("memory.oom_control"))?;
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
            let text = host::read_trimmed(host::cgroup_v1("blkio", &container.id).join(file))?;
            ensure_eq!(text, format!("{major}:{minor} 1048576"));
            Ok(())
        });
    }
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
    suite.case("a resource that the kernel refuses is an error and leaves no cgroup", |bench| {
        let output = bench.script("true", |config| {
            config.set("/linux/resources/cpu", json!({"cpus": "4000"}));
        })?;
        output.fails_with(1, &["cpuset.cpus"])?;
        let left = host::cgroups_of(&bench.tag)?;
        ensure!(left.is_empty(), "{left:?}");
        Ok(())
    });
}

/// Major and minor number of the disk below the root of the host.
fn root_disk() -> Check<(u32, u32)> {
    let number = rustix::fs::stat("/")?.st_dev;
    Ok((rustix::fs::major(number), rustix::fs::minor(number)))
}

fn device_rules(bench: &mut Bench<'_>) -> Check {
    let container = bench.sleeper(|config| {
        config.push(
            "/linux/resources/devices",
            json!({"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw"}),
        );
    })?;
    let text = host::read_trimmed(host::cgroup_v1("devices", &container.id).join("devices.list"))?;
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

fn limits(suite: &mut Suite) {
    suite.case("the memory limit kills and the status is 137", |bench| {
        let output = bench.script("exec dd if=/dev/zero of=/dev/null bs=128M count=2", |config| {
            config.set("/linux/resources/memory", json!({"limit": 33_554_432, "swap": 33_554_432}));
        })?;
        output.exits_with(137)?;
        Ok(())
    });
    suite.case("the pids limit refuses one process too many", |bench| {
        let script = "for i in 1 2 3 4 5 6 7 8; do sleep 100 & done; echo none refused";
        let output = bench.script(script, |config| {
            config.set("/linux/resources/pids", json!({"limit": 5}));
        })?;
        ensure!(output.stderr.contains("can't fork"), "{output}");
        ensure!(!output.stdout.contains("none refused"), "{output}");
        Ok(())
    });
    suite.case("a small pids limit is enough for one process", |bench| {
        let output = bench.script("", |config| {
            config.set("/linux/resources/pids", json!({"limit": 1})).args(&["echo", "alone"]);
        })?;
        ensure_eq!(output.exits_with(0)?.text(), "alone");
        Ok(())
    });
    suite.case("a container starts in 2 MB of memory", |bench| {
        let output = bench.script("", |config| {
            config.set("/linux/resources/memory", json!({"limit": 2_097_152})).args(&["echo", "small"]);
        })?;
        ensure_eq!(output.exits_with(0)?.text(), "small");
        Ok(())
    });
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
