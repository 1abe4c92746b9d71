//! Limits, as properties and in the files of the cgroup.

use serde_json::json;

use super::{container, show, sleeper, systemctl, unit_of};
use crate::harness::config::Config;
use crate::harness::{Check, Container, Driver, Need, Suite, ensure, ensure_eq, host};

/// Adds the cases.
pub(super) fn add(suite: &mut Suite) {
    limits(suite);
    changes(suite);
    processes_and_devices(suite);
}

/// Checks what files of the container's cgroup say.
fn files_say(container: &Container<'_>, table: &[(&str, &str)]) -> Check {
    let cgroup = host::cgroup_unified(container.cgroup());
    table.iter().try_for_each(|(file, text)| {
        ensure_eq!(host::read_trimmed(cgroup.join(file))?, *text, "{file}");
        Ok(())
    })
}

/// Checks what systemd says of the container's unit.
fn properties_say(container: &Container<'_>, table: &[(&str, &str)]) -> Check {
    table.iter().try_for_each(|(property, text)| {
        ensure_eq!(show(container.bench(), &unit_of(container), property)?, *text, "{property}");
        Ok(())
    })
}

/// What an ordinary user's systemd can do too.
pub(super) fn resources(config: &mut Config) {
    config.set(
        "/linux/resources/memory",
        json!({"limit": 67_108_864, "swap": 100_663_296, "reservation": 33_554_432}),
    );
    config.set(
        "/linux/resources/cpu",
        json!({"shares": 512, "quota": 50_000, "period": 200_000, "cpus": "0", "mems": "0"}),
    );
    config.set("/linux/resources/pids", json!({"limit": 99}));
}

fn limits(suite: &mut Suite) {
    suite.case("limits are properties of the unit, and in force", |bench| {
        let container = sleeper(bench, |config, _| resources(config))?;
        properties_say(
            &container,
            &[
                ("MemoryMax", "67108864"),
                ("MemorySwapMax", "33554432"),
                ("MemoryLow", "33554432"),
                ("CPUWeight", "59"),
                ("CPUQuotaPerSecUSec", "250ms"),
                ("CPUQuotaPeriodUSec", "200ms"),
                ("AllowedCPUs", "0"),
                ("AllowedMemoryNodes", "0"),
                ("TasksMax", "99"),
            ],
        )?;
        files_say(
            &container,
            &[
                ("memory.max", "67108864"),
                ("memory.swap.max", "33554432"),
                ("memory.low", "33554432"),
                ("cpu.weight", "59"),
                ("cpu.max", "50000 200000"),
                ("cpuset.cpus", "0"),
                ("pids.max", "99"),
            ],
        )
    });
    suite.case("unified keys are properties too", |bench| {
        let container = sleeper(bench, |config, _| {
            config.set(
                "/linux/resources/unified",
                json!({"memory.high": "50331648", "cpu.weight": "33", "pids.max": "44"}),
            );
        })?;
        properties_say(&container, &[("MemoryHigh", "50331648"), ("CPUWeight", "33"), ("TasksMax", "44")])?;
        Ok(())
    });
}

fn changes(suite: &mut Suite) {
    suite.case("limits outlive a reload of systemd", |bench| {
        let container = sleeper(bench, |config, _| resources(config))?;
        systemctl(bench, &["daemon-reload"]).succeeds()?;
        files_say(&container, &[("memory.max", "67108864"), ("cpu.max", "50000 200000"), ("pids.max", "99")])
    });
    suite.case("update changes the unit and its cgroup", |bench| {
        let container = sleeper(bench, |config, _| resources(config))?;
        let options =
            ["--memory", "32m", "--memory-swap", "48m", "--cpu-quota", "30000", "--cpu-period", "100000"];
        let more = ["--cpu-share", "1024", "--pids-limit", "55"];
        bench
            .call_with(Driver::Systemd, &["update"])
            .args(options)
            .args(more)
            .arg(&container.id)
            .succeeds()?;
        properties_say(
            &container,
            &[
                ("MemoryMax", "33554432"),
                ("MemorySwapMax", "16777216"),
                ("CPUQuotaPerSecUSec", "300ms"),
                ("CPUWeight", "100"),
                ("TasksMax", "55"),
            ],
        )?;
        files_say(&container, &[("memory.max", "33554432"), ("cpu.max", "30000 100000"), ("pids.max", "55")])
    });
}

fn processes_and_devices(suite: &mut Suite) {
    suite.case("a limit of one process is enough for one", |bench| {
        let container = container(bench, |config, _| {
            config.set("/linux/resources/pids", json!({"limit": 1})).args(&["echo", "alone"]);
        })?;
        ensure_eq!(container.run()?.exits_with(0)?.text(), "alone");
        let container = sleeper(bench, |config, _| {
            config.set("/linux/resources/pids", json!({"limit": 1}));
        })?;
        ensure_eq!(host::read_trimmed(host::cgroup_unified(container.cgroup()).join("pids.max"))?, "1");
        Ok(())
    });
    suite
        .case("device rules are a strict list of the unit, and in force", |bench| {
            let kmsg = json!({"allow": true, "type": "c", "major": 1, "minor": 11, "access": "r"});
            let container = sleeper(bench, |config, _| {
                config.push("/linux/resources/devices", kmsg);
            })?;
            let unit = unit_of(&container);
            ensure_eq!(show(bench, &unit, "DevicePolicy")?, "strict");
            let list = show(bench, &unit, "DeviceAllow")?;
            for device in ["/dev/char/1:11 r", "/dev/char/1:3 rwm", "char-* m", "block-* m"] {
                ensure!(list.lines().any(|line| line == device), "no {device} in {list}");
            }
            ensure_eq!(container.exec("echo > /dev/null && echo open")?, "open");
            Ok(())
        })
        .needs(&[Need::Root]);
}
