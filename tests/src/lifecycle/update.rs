//! `update`.

use serde_json::json;

use crate::cgroup::{RESOURCES as RESOURCES_OF_BOTH, Resource};
use crate::harness::setting::{Setting, check_io_weight, only_v1, setting};
use crate::harness::{Bench, Check, Container, Need, Suite, ensure, ensure_eq, fail, host};

/// What a flag of `update` sets.
struct Flag(&'static [&'static str], Setting);

const FLAGS: &[Flag] = &[
    Flag(
        &["--memory", "67108864"],
        setting(("memory", "memory.limit_in_bytes", "67108864"), ("memory.max", "67108864")),
    ),
    Flag(
        &["--memory", "64m"],
        setting(("memory", "memory.limit_in_bytes", "67108864"), ("memory.max", "67108864")),
    ),
    Flag(
        &["--memory-reservation", "32m"],
        setting(("memory", "memory.soft_limit_in_bytes", "33554432"), ("memory.low", "33554432")),
    ),
    Flag(
        &["--memory", "64m", "--memory-swap", "96m"],
        setting(("memory", "memory.limit_in_bytes", "67108864"), ("memory.swap.max", "33554432")),
    ),
    Flag(&["--cpu-share", "512"], setting(("cpu", "cpu.shares", "512"), ("cpu.weight", "59"))),
    Flag(
        &["--cpu-quota", "50000", "--cpu-period", "100000"],
        setting(("cpu", "cpu.cfs_quota_us", "50000"), ("cpu.max", "50000 100000")),
    ),
    Flag(
        &["--cpu-period", "200000", "--cpu-quota", "100000"],
        setting(("cpu", "cpu.cfs_period_us", "200000"), ("cpu.max", "100000 200000")),
    ),
    Flag(
        &["--cpu-quota", "30000"],
        setting(("cpu", "cpu.cfs_quota_us", "30000"), ("cpu.max", "30000 100000")),
    ),
    Flag(&["--cpuset-cpus", "0"], setting(("cpuset", "cpuset.cpus", "0"), ("cpuset.cpus", "0"))),
    Flag(&["--cpuset-mems", "0"], setting(("cpuset", "cpuset.mems", "0"), ("cpuset.mems", "0"))),
    Flag(&["--cpu-idle", "1"], setting(("cpu", "cpu.idle", "1"), ("cpu.idle", "1"))),
    Flag(
        &["--cpu-quota", "50000", "--cpu-burst", "20000"],
        setting(("cpu", "cpu.cfs_burst_us", "20000"), ("cpu.max.burst", "20000")),
    ),
    Flag(&["--pids-limit", "0"], setting(("pids", "pids.max", "1"), ("pids.max", "1"))),
    Flag(&["--pids-limit", "33"], setting(("pids", "pids.max", "33"), ("pids.max", "33"))),
    Flag(&["--pids-limit", "-1"], setting(("pids", "pids.max", "max"), ("pids.max", "max"))),
];

const RESOURCES: &str = r#"{
    "memory": {"limit": 50331648, "reservation": 25165824},
    "cpu": {"shares": 100, "quota": 20000, "period": 50000, "cpus": "0"},
    "pids": {"limit": 44}
}"#;

/// Adds the cases.
#[expect(clippy::too_many_lines, reason = "a flat list of cases")]
pub(crate) fn add(suite: &mut Suite) {
    suite.needs(&[Need::Cgroups]);
    for flag in FLAGS {
        let Flag(args, setting) = flag;
        suite.case(format!("`update {}` is in force at once", args.join(" ")), |bench| {
            let container = bench.sleeper(|_| {})?;
            bench.call(&["update"]).args(*args).arg(&container.id).succeeds()?;
            setting.check(container.cgroup())
        });
    }
    suite.case("`update -r -` reads resources from standard input", |bench| {
        let container = bench.sleeper(|_| {})?;
        bench.call(&["update", "-r", "-", &container.id]).stdin(RESOURCES).succeeds()?;
        all_written(&container)
    });
    suite.case("`update -r -` of each resource by itself is in force at once", |bench| {
        let mut container = bench.sleeper(|_| {})?;
        for Resource(field, value, setting) in RESOURCES_OF_BOTH {
            if *field == "cpu" {
                // A quota and its period are one setting, of which an update keeps the other half.
                container = bench.sleeper(|_| {})?;
            }
            let resources = json!({*field: value()}).to_string();
            bench.call(&["update", "-r", "-", &container.id]).stdin(&*resources).succeeds()?;
            setting.check(container.cgroup()).map_err(|failure| fail(format!("{resources}: {failure:?}")))?;
        }
        Ok(())
    });
    suite.case("`update --resources FILE` reads resources from a file", |bench| {
        let container = bench.sleeper(|_| {})?;
        let file = bench.path("resources.json");
        std::fs::write(&file, RESOURCES)?;
        bench.call(&["update", "--resources"]).arg(&file).arg(&container.id).succeeds()?;
        all_written(&container)
    });
    suite.case("`update` raises a limit again", |bench| {
        let container = bench.sleeper(|_| {})?;
        let file = if host::is_unified() { "memory.max" } else { "memory.limit_in_bytes" };
        let file = host::cgroup("memory", container.cgroup()).join(file);
        for limit in ["33554432", "134217728"] {
            bench.call(&["update", "--memory", limit, &container.id]).succeeds()?;
            ensure_eq!(host::read_trimmed(&file)?, limit);
        }
        Ok(())
    });
    suite.case("`update` of one resource leaves the others alone", others_stay);
    suite.case("`update` with broken JSON fails and changes nothing", |bench| {
        let container = bench.sleeper(|_| {})?;
        // A scope of systemd has a limit from the beginning: its share of what the machine has.
        let limit = || host::read_trimmed(host::cgroup("pids", container.cgroup()).join("pids.max"));
        let before = limit()?;
        bench.call(&["update", "-r", "-", &container.id]).stdin("{\"pids\": {").output()?.exits_with(1)?;
        ensure_eq!(limit()?, before);
        Ok(())
    });
    suite.masu_only("`update` that is refused half way changes nothing", |bench| {
        let container = bench.sleeper(|config| {
            config.set("/linux/resources/pids", json!({"limit": 55}));
        })?;
        let json = "{\"memory\": {\"limit\": 67108864}, \"pids\": {\"limit\": 44}, \"blockIO\": \
            {\"throttleReadBpsDevice\": [{\"major\": 4095, \"minor\": 1, \"rate\": 1}]}}";
        let output = bench.call(&["update", "-r", "-", &container.id]).stdin(json).output()?;
        output.fails_with(1, &["linux.resources.blockIO.throttleReadBpsDevice[0]"])?;
        setting(("pids", "pids.max", "55"), ("pids.max", "55")).check(container.cgroup())?;
        let unlimited = ("memory", "memory.limit_in_bytes", "9223372036854771712");
        setting(unlimited, ("memory.max", "max")).check(container.cgroup())
    });
    suite.masu_only(
        "a name that `update -r` does not know is a warning, and standard input has its name",
        |bench| {
            let container = bench.sleeper(|_| {})?;
            let update = |json: &str| bench.call(&["update", "-r", "-", &container.id]).stdin(json).output();
            let output = update("{\"pids\": {\"limit\": 41, \"max\": 1}, \"Memory\": {}}")?.exits_with(0)?;
            for name in ["Memory", "pids.max"] {
                let warning = format!("standard input: {name}: unknown, and ignored");
                ensure!(output.stderr.contains(&warning), "{output}");
            }
            ensure_eq!(host::read_trimmed(host::cgroup("pids", container.cgroup()).join("pids.max"))?, "41");
            let output = update("{\"pids\": {")?.exits_with(1)?;
            ensure!(output.stderr.starts_with("masu: standard input: "), "{output}");
            Ok(())
        },
    );
    suite.case("`update --blkio-weight 500` is in force at once", |bench| {
        let container = bench.sleeper(|_| {})?;
        bench.call(&["update", "--blkio-weight", "500", &container.id]).succeeds()?;
        check_io_weight(container.cgroup())
    });
    suite
        .case("`update --cpu-rt-period 900000 --cpu-rt-runtime 2000` is in force at once", |bench| {
            let container = bench.sleeper(|_| {})?;
            let options = ["--cpu-rt-period", "900000", "--cpu-rt-runtime", "2000"];
            bench.call(&["update"]).args(options).arg(&container.id).succeeds()?;
            for (file, text) in [("cpu.rt_period_us", "900000"), ("cpu.rt_runtime_us", "2000")] {
                only_v1(("cpu", file, text)).check(container.cgroup())?;
            }
            Ok(())
        })
        .needs(&[Need::CgroupV1]);
    suite
        .masu_only("`update --cpu-rt-runtime 2000` is refused where real time is not given out", |bench| {
            let container = bench.sleeper(|_| {})?;
            let output = bench.call(&["update", "--cpu-rt-runtime", "2000", &container.id]).output()?;
            output.fails_with(1, &["masu: linux.resources.cpu.realtimeRuntime: "])?;
            Ok(())
        })
        .needs(&[Need::CgroupV2]);
    suite.case("`update` of an unknown id fails", |bench| {
        bench
            .call(&["update", "--pids-limit", "5", "nobody"])
            .output()?
            .fails_with(1, &["container does not exist"])?;
        Ok(())
    });
}

fn all_written(container: &Container<'_>) -> Check {
    let table = [
        setting(("memory", "memory.limit_in_bytes", "50331648"), ("memory.max", "50331648")),
        setting(("memory", "memory.soft_limit_in_bytes", "25165824"), ("memory.low", "25165824")),
        setting(("cpu", "cpu.shares", "100"), ("cpu.weight", "17")),
        setting(("cpu", "cpu.cfs_quota_us", "20000"), ("cpu.max", "20000 50000")),
        only_v1(("cpu", "cpu.cfs_period_us", "50000")),
        setting(("cpuset", "cpuset.cpus", "0"), ("cpuset.cpus", "0")),
        setting(("pids", "pids.max", "44"), ("pids.max", "44")),
    ];
    table.iter().try_for_each(|setting| setting.check(container.cgroup()))
}

fn others_stay(bench: &mut Bench<'_>) -> Check {
    let container = bench.sleeper(|config| {
        config.set("/linux/resources/pids", json!({"limit": 55}));
        config.set("/linux/resources/cpu", json!({"shares": 300}));
    })?;
    bench.call(&["update", "--memory", "64m", &container.id]).succeeds()?;
    setting(("pids", "pids.max", "55"), ("pids.max", "55")).check(container.cgroup())?;
    setting(("cpu", "cpu.shares", "300"), ("cpu.weight", "39")).check(container.cgroup())
}
