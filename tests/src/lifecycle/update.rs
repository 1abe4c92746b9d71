//! `update`.

use crate::harness::{Bench, Check, Suite, ensure_eq, host};

/// What a flag of `update` writes: the controller, its file and the text.
struct Flag {
    args: &'static [&'static str],
    controller: &'static str,
    file: &'static str,
    text: &'static str,
}

const FLAGS: &[Flag] = &[
    Flag {
        args: &["--memory", "67108864"],
        controller: "memory",
        file: "memory.limit_in_bytes",
        text: "67108864",
    },
    Flag {
        args: &["--memory", "64m"],
        controller: "memory",
        file: "memory.limit_in_bytes",
        text: "67108864",
    },
    Flag {
        args: &["--memory-reservation", "32m"],
        controller: "memory",
        file: "memory.soft_limit_in_bytes",
        text: "33554432",
    },
    Flag { args: &["--cpu-share", "512"], controller: "cpu", file: "cpu.shares", text: "512" },
    Flag {
        args: &["--cpu-quota", "50000", "--cpu-period", "100000"],
        controller: "cpu",
        file: "cpu.cfs_quota_us",
        text: "50000",
    },
    Flag {
        args: &["--cpu-period", "200000", "--cpu-quota", "100000"],
        controller: "cpu",
        file: "cpu.cfs_period_us",
        text: "200000",
    },
    Flag { args: &["--cpuset-cpus", "0"], controller: "cpuset", file: "cpuset.cpus", text: "0" },
    Flag { args: &["--cpuset-mems", "0"], controller: "cpuset", file: "cpuset.mems", text: "0" },
    Flag { args: &["--pids-limit", "33"], controller: "pids", file: "pids.max", text: "33" },
    Flag { args: &["--pids-limit", "-1"], controller: "pids", file: "pids.max", text: "max" },
];

const RESOURCES: &str = r#"{
    "memory": {"limit": 50331648, "reservation": 25165824},
    "cpu": {"shares": 100, "quota": 20000, "period": 50000, "cpus": "0"},
    "pids": {"limit": 44}
}"#;

/// Adds the cases.
pub(crate) fn add(suite: &mut Suite) {
    for flag in FLAGS {
        suite.case(
            format!("`update {}` writes {} to {}", flag.args.join(" "), flag.text, flag.file),
            |bench| {
                let container = bench.sleeper(|_| {})?;
                bench.call(&["update"]).args(flag.args).arg(&container.id).succeeds()?;
                let file = host::cgroup_v1(flag.controller, &container.id).join(flag.file);
                ensure_eq!(host::read_trimmed(file)?, flag.text);
                Ok(())
            },
        );
    }
    suite.case("`update -r -` reads resources from standard input", |bench| {
        let container = bench.sleeper(|_| {})?;
        bench.call(&["update", "-r", "-", &container.id]).stdin(RESOURCES).succeeds()?;
        all_written(&container.id)
    });
    suite.case("`update --resources FILE` reads resources from a file", |bench| {
        let container = bench.sleeper(|_| {})?;
        let file = bench.path("resources.json");
        std::fs::write(&file, RESOURCES)?;
        bench.call(&["update", "--resources"]).arg(&file).arg(&container.id).succeeds()?;
        all_written(&container.id)
    });
    suite.case("`update` raises a limit again", |bench| {
        let container = bench.sleeper(|_| {})?;
        let file = host::cgroup_v1("memory", &container.id).join("memory.limit_in_bytes");
        for limit in ["33554432", "134217728"] {
            bench.call(&["update", "--memory", limit, &container.id]).succeeds()?;
            ensure_eq!(host::read_trimmed(&file)?, limit);
        }
        Ok(())
    });
    suite.case("`update` of one resource leaves the others alone", others_stay);
    suite.case("`update` with broken JSON fails and changes nothing", |bench| {
        let container = bench.sleeper(|_| {})?;
        bench.call(&["update", "-r", "-", &container.id]).stdin("{\"pids\": {").output()?.exits_with(1)?;
        ensure_eq!(host::read_trimmed(host::cgroup_v1("pids", &container.id).join("pids.max"))?, "max");
        Ok(())
    });
    suite.case("`update` of an unknown id fails", |bench| {
        bench
            .call(&["update", "--pids-limit", "5", "nobody"])
            .output()?
            .fails_with(1, &["container does not exist"])?;
        Ok(())
    });
}

fn all_written(id: &str) -> Check {
    let table = [
        ("memory", "memory.limit_in_bytes", "50331648"),
        ("memory", "memory.soft_limit_in_bytes", "25165824"),
        ("cpu", "cpu.shares", "100"),
        ("cpu", "cpu.cfs_quota_us", "20000"),
        ("cpu", "cpu.cfs_period_us", "50000"),
        ("cpuset", "cpuset.cpus", "0"),
        ("pids", "pids.max", "44"),
    ];
    for (controller, file, text) in table {
        ensure_eq!(host::read_trimmed(host::cgroup_v1(controller, id).join(file))?, text, "{file}");
    }
    Ok(())
}

fn others_stay(bench: &mut Bench<'_>) -> Check {
    let container = bench.sleeper(|config| {
        config.set("/linux/resources/pids", serde_json::json!({"limit": 55}));
        config.set("/linux/resources/cpu", serde_json::json!({"shares": 300}));
    })?;
    bench.call(&["update", "--memory", "64m", &container.id]).succeeds()?;
    ensure_eq!(host::read_trimmed(host::cgroup_v1("pids", &container.id).join("pids.max"))?, "55");
    ensure_eq!(host::read_trimmed(host::cgroup_v1("cpu", &container.id).join("cpu.shares"))?, "300");
    Ok(())
}
