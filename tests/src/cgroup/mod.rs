//! cgroupsPath and linux.resources, as the host sees them: the same cases on version 1 hierarchies and on version 2, and
//! what each of them alone has.

use serde_json::{Value, json};

use crate::harness::config::Config;
use crate::harness::setting::{Setting, check_io_weight, setting};
use crate::harness::{Check, Need, Suite, ensure, ensure_eq, host};

mod network;
mod v1;
mod v2;

/// The suite.
pub(crate) fn suite() -> Suite {
    let mut suite = Suite::new("cgroup");
    suite.needs(&[Need::Cgroups, Need::Cgroupfs]);
    places(&mut suite);
    suite.needs(&[Need::Cgroups]);
    resources(&mut suite);
    limits(&mut suite);
    effects(&mut suite);
    suite.needs(&[Need::Cgroups, Need::Root]);
    device_rules(&mut suite);
    suite.needs(&[Need::CgroupV1]);
    v1::add(&mut suite);
    network::add(&mut suite);
    v2::add(&mut suite);
    suite
}

fn places(suite: &mut Suite) {
    suite.case(
        "a cgroupsPath of several parts is made and removed, and a parent that was there stays",
        |bench| {
            let parent = bench.cgroup_path("parent");
            std::fs::create_dir(host::cgroup("pids", &parent))?;
            let path = format!("{parent}/of/several");
            let container = bench.sleeper(|config| {
                config.set("/linux/cgroupsPath", path.as_str());
            })?;
            ensure!(host::cgroup("pids", &path).exists(), "{path} is missing");
            container.stop()?;
            container.delete()?;
            ensure!(!host::cgroup("pids", &path).exists(), "{path} is left");
            ensure!(host::cgroup("pids", &parent).exists(), "{parent} is gone");
            // runc leaves what it has made above the container's own.
            for cgroup in host::cgroups_of(&bench.tag)? {
                std::fs::remove_dir(cgroup)?;
            }
            Ok(())
        },
    );
    suite.case("`..` in cgroupsPath does not leave the hierarchy", |bench| {
        let path = format!("/../../{}-up", bench.tag);
        let container = bench.sleeper(|config| {
            config.set("/linux/cgroupsPath", path.as_str());
        });
        if let Ok(container) = container {
            let procs = host::cgroup("pids", &format!("{}-up", bench.tag)).join("cgroup.procs");
            ensure_eq!(host::read_trimmed(procs)?, container.pid()?.to_string());
        }
        Ok(())
    });
    suite.case("a cgroup that holds other processes is refused", |bench| {
        let first = bench.sleeper(|_| {})?;
        let path = first.cgroup().to_owned();
        let output = bench.script("true", |config| {
            config.set("/linux/cgroupsPath", path.as_str());
        })?;
        output.fails_with(1, &["container's cgroup is not empty: 1 process(es) found"])?;
        ensure_eq!(first.status()?, "running");
        Ok(())
    });
}

/// A resource: where in linux.resources, its value, and what the host then has.
pub(crate) struct Resource(pub(crate) &'static str, pub(crate) fn() -> Value, pub(crate) Setting);

/// Those that both versions have.
pub(crate) const RESOURCES: &[Resource] = &[
    Resource("cpu", || json!({"shares": 512}), setting(("cpu", "cpu.shares", "512"), ("cpu.weight", "59"))),
    Resource(
        "cpu",
        || json!({"shares": 1024}),
        setting(("cpu", "cpu.shares", "1024"), ("cpu.weight", "100")),
    ),
    Resource(
        "cpu",
        || json!({"quota": 50000, "period": 200_000}),
        setting(("cpu", "cpu.cfs_quota_us", "50000"), ("cpu.max", "50000 200000")),
    ),
    Resource(
        "cpu",
        || json!({"period": 200_000}),
        setting(("cpu", "cpu.cfs_period_us", "200000"), ("cpu.max", "max 200000")),
    ),
    Resource(
        "cpu",
        || json!({"quota": -1}),
        setting(("cpu", "cpu.cfs_quota_us", "-1"), ("cpu.max", "max 100000")),
    ),
    Resource(
        "cpu",
        || json!({"quota": 50000, "burst": 10000}),
        setting(("cpu", "cpu.cfs_burst_us", "10000"), ("cpu.max.burst", "10000")),
    ),
    Resource("cpu", || json!({"idle": 1}), setting(("cpu", "cpu.idle", "1"), ("cpu.idle", "1"))),
    Resource("cpu", || json!({"cpus": "0"}), setting(("cpuset", "cpuset.cpus", "0"), ("cpuset.cpus", "0"))),
    Resource(
        "cpu",
        || json!({"cpus": "0-1"}),
        setting(("cpuset", "cpuset.cpus", "0-1"), ("cpuset.cpus", "0-1")),
    ),
    Resource("cpu", || json!({"mems": "0"}), setting(("cpuset", "cpuset.mems", "0"), ("cpuset.mems", "0"))),
    Resource(
        "memory",
        || json!({"limit": 67_108_864}),
        setting(("memory", "memory.limit_in_bytes", "67108864"), ("memory.max", "67108864")),
    ),
    Resource(
        "memory",
        || json!({"limit": -1}),
        setting(("memory", "memory.limit_in_bytes", "9223372036854771712"), ("memory.max", "max")),
    ),
    Resource(
        "memory",
        || json!({"reservation": 33_554_432}),
        setting(("memory", "memory.soft_limit_in_bytes", "33554432"), ("memory.low", "33554432")),
    ),
    Resource(
        "memory",
        || json!({"limit": 67_108_864, "swap": 134_217_728}),
        setting(("memory", "memory.memsw.limit_in_bytes", "134217728"), ("memory.swap.max", "67108864")),
    ),
    Resource(
        "memory",
        || json!({"limit": 67_108_864, "swap": -1}),
        setting(("memory", "memory.memsw.limit_in_bytes", "9223372036854771712"), ("memory.swap.max", "max")),
    ),
    Resource(
        "memory",
        || json!({"limit": 67_108_864, "swap": 67_108_864}),
        setting(("memory", "memory.memsw.limit_in_bytes", "67108864"), ("memory.swap.max", "0")),
    ),
    Resource("pids", || json!({"limit": 99}), setting(("pids", "pids.max", "99"), ("pids.max", "99"))),
    Resource("pids", || json!({"limit": -1}), setting(("pids", "pids.max", "max"), ("pids.max", "max"))),
];

fn resources(suite: &mut Suite) {
    for Resource(field, value, setting) in RESOURCES {
        suite.case(format!("{field} {} is in force", value()), move |bench| {
            if let Some((controller @ "memory", file, _)) = setting.here() {
                let path = host::cgroup(controller, "").join(file);
                if !path.exists() {
                    return Err(crate::harness::Failure::Skipped(format!("no {}", path.display())));
                }
            }
            let container = bench.sleeper(|config| {
                config.set(&format!("/linux/resources/{field}"), value());
            })?;
            setting.check(container.cgroup())
        });
    }
    suite.case("blockIO {\"weight\":500} is in force", |bench| {
        let container = bench.sleeper(|config| {
            config.set("/linux/resources/blockIO", json!({"weight": 500}));
        })?;
        check_io_weight(container.cgroup())
    });
    suite.case("no cgroup is left after `run` in the foreground", |bench| {
        bench.script("true", |_| {})?.exits_with(0)?;
        let left = host::cgroups_of(&bench.tag)?;
        ensure!(left.is_empty(), "{left:?}");
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
    suite.case("a burst above the quota is an error and leaves no cgroup", |bench| {
        let output = bench.script("true", |config| {
            config.set("/linux/resources/cpu", json!({"quota": 50000, "burst": 60000}));
        })?;
        let hint = if bench.world.runtime.is_masu() { "burst no larger than the quota" } else { "" };
        output.fails_with(1, &["cpu.", hint])?;
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

/// May make nodes in /tmp, and read the kernel's log, which may need a capability (dmesg_restrict).
fn make_nodes(config: &mut Config) {
    config.capabilities(&["CAP_MKNOD", "CAP_SYSLOG"]).mount("/tmp", "tmpfs", "tmpfs", &["dev"]);
}

/// A rule for the kernel's log.
fn kmsg(access: &str) -> Value {
    json!({"allow": true, "type": "c", "major": 1, "minor": 11, "access": access})
}

/// What a limit does to the processes in it.
fn effects(suite: &mut Suite) {
    suite.case("a cpuset of one CPU leaves one to the process", |bench| {
        let text = bench.inside("nproc", |config| {
            config.set("/linux/resources/cpu", json!({"cpus": "0"}));
        })?;
        ensure_eq!(text, "1");
        Ok(())
    });
    suite.case("a paused container uses no CPU time", |bench| {
        let container = bench.sleeper(|config| {
            config.shell("while :; do :; done");
        })?;
        let pid = container.pid()?;
        container.call("pause").succeeds()?;
        let before = std::fs::read_to_string(format!("/proc/{pid}/schedstat"))?;
        container.call("ps").succeeds()?;
        ensure_eq!(std::fs::read_to_string(format!("/proc/{pid}/schedstat"))?, before);
        container.call("resume").succeeds()?;
        host::until("it runs on", || Ok(std::fs::read_to_string(format!("/proc/{pid}/schedstat"))? != before))
    });
    suite.case("SIGKILL ends a paused container", |bench| {
        let container = bench.sleeper(|_| {})?;
        container.call("pause").succeeds()?;
        container.stop()?;
        container.delete()
    });
}

/// Who may open which node. An ordinary user can have no rules, and the host's own modes instead.
fn device_rules(suite: &mut Suite) {
    suite.case("a device that no rule allows cannot be opened, and one that a rule allows can", |bench| {
        // Every node may be made; the kernel's log is nobody's default device.
        let script = "mknod /tmp/kmsg c 1 11; mknod /tmp/zero c 1 5
            for node in kmsg zero; do (: < /tmp/$node) 2>/dev/null && echo $node is open; done; true";
        for (rule, expected) in [(None, "zero is open"), (Some("r"), "kmsg is open\nzero is open")] {
            let text = bench.inside(script, |config| {
                make_nodes(config);
                if let Some(access) = rule {
                    config.push("/linux/resources/devices", kmsg(access));
                }
            })?;
            ensure_eq!(text, expected);
        }
        Ok(())
    });
    suite.case("a node is open to the access that its rule names, and to no other", |bench| {
        let script = "mknod /tmp/kmsg c 1 11; (: < /tmp/kmsg) 2>/dev/null && echo read
            (: > /tmp/kmsg) 2>/dev/null && echo written; (: <> /tmp/kmsg) 2>/dev/null && echo both; true";
        let text = bench.inside(script, |config| {
            make_nodes(config);
            config.push("/linux/resources/devices", kmsg("r"));
        })?;
        ensure_eq!(text, "read");
        Ok(())
    });
    suite.case("of the rules of a device the last one counts", |bench| {
        let script = "mknod /tmp/kmsg c 1 11; (: < /tmp/kmsg) 2>/dev/null && echo open; true";
        let denied = json!({"allow": false, "type": "c", "major": 1, "minor": 11, "access": "r"});
        for (rules, expected) in [([denied.clone(), kmsg("r")], "open"), ([kmsg("r"), denied], "")] {
            let text = bench.inside(script, |config| {
                make_nodes(config);
                for rule in &rules {
                    config.push("/linux/resources/devices", rule.clone());
                }
            })?;
            ensure_eq!(text, expected, "{rules:?}");
        }
        Ok(())
    });
}
