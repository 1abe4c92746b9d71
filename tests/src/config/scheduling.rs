//! Where and when a process runs, and what it takes the machine for: `process.scheduler`, `process.ioPriority`,
//! `process.execCPUAffinity`, `linux.memoryPolicy` and `linux.personality`.

use std::fs;
use std::thread::available_parallelism;

use serde_json::{Value, json};

use crate::harness::{Bench, Check, Container, Need, Suite, ensure, ensure_eq};

/// Adds the cases.
pub(crate) fn add(suite: &mut Suite) {
    schedulers(suite);
    real_time(suite);
    inherited(suite);
    io_priorities(suite);
    affinities(suite);
    memory_policies(suite);
    personalities(suite);
    intel_rdt(suite);
    intel_rdt_later(suite);
}

/// Number of a policy, nice value and real-time priority of a process, proc_pid_stat(5).
const STAT: &str = "sed 's/.*) //' /proc/self/stat | cut -d' ' -f17,38,39";

/// The machine's kernel, or what it is told to be.
fn is_set(option: &str) -> Check<bool> {
    let config = crate::harness::host::kernel_config()?;
    Ok(config.lines().any(|line| line == format!("{option}=y")))
}

/// The classes themselves are shown by masu-resctrl's tests: no machine of ours has the hardware.
fn intel_rdt(suite: &mut Suite) {
    suite
        .case("linux.intelRdt without a resctrl file system is refused, and nothing is left", |bench| {
            let mut bundle = bench.bundle()?;
            bundle.config.set("/linux/intelRdt", json!({"closID": "x", "l3CacheSchema": "L3:0=f"}));
            let container = bench.container(bundle)?;
            let reason = "intelRdt is specified in config, but Intel RDT is not enabled";
            let output = container.launch("run", &[]).output()?.fails_with(1, &[reason])?;
            if bench.runtime().is_masu() {
                ensure_eq!(
                    output.stderr,
                    format!(
                        "masu: linux.intelRdt: {reason}\nhint: mount -t resctrl resctrl /sys/fs/resctrl, on a \
                         processor that has it (rdt_a in /proc/cpuinfo); or remove the field\n"
                    )
                );
            }
            ensure_eq!(bench.root.join(&container.id).exists(), false);
            Ok(())
        })
        .needs(&[Need::NoResctrl]);
}

fn intel_rdt_later(suite: &mut Suite) {
    suite.masu_only("`update` refuses shares of Intel RDT for a container without a class", |bench| {
        let container = bench.sleeper(|_| {})?;
        for option in ["--l3-cache-schema=L3:0=f", "--mem-bw-schema=MB:0=10"] {
            let output = container.call("update").arg(option).output()?.fails_with(1, &[])?;
            ensure_eq!(
                output.stderr,
                "masu: linux.intelRdt: the container has no class whose shares could change\n\
                 hint: a container has the class that it was created with\n"
            );
        }
        Ok(())
    });
}

fn schedulers(suite: &mut Suite) {
    suite.case("process.scheduler sets a policy and a nice value", |bench| {
        let table = [
            (json!({"policy": "SCHED_OTHER", "nice": 7}), "7 0 0"),
            (json!({"policy": "SCHED_BATCH", "nice": 19}), "19 0 3"),
            (json!({"policy": "SCHED_IDLE"}), "0 0 5"),
        ];
        for (scheduler, expected) in table {
            let text = bench.inside(STAT, |config| {
                config.set("/process/scheduler", scheduler);
            })?;
            ensure_eq!(text, expected);
        }
        Ok(())
    });
}

fn real_time(suite: &mut Suite) {
    suite
        .case("process.scheduler sets a real-time policy where the cgroup has time for it", |bench| {
            for (policy, number) in [("SCHED_FIFO", 1), ("SCHED_RR", 2)] {
                let output = bench.script(STAT, |config| {
                    config.set("/process/scheduler", json!({"policy": policy, "priority": 10}));
                })?;
                // Real-time groups: a version 1 cgroup begins without any time.
                if is_set("CONFIG_RT_GROUP_SCHED")? {
                    output.exits_with(1)?;
                } else {
                    ensure_eq!(output.exits_with(0)?.text(), format!("0 10 {number}"));
                }
            }
            Ok(())
        })
        .needs(&[Need::Root]);
    suite
        .case("process.scheduler.flags reset the policy in children", |bench| {
            let scheduler =
                json!({"policy": "SCHED_BATCH", "nice": -5, "flags": ["SCHED_FLAG_RESET_ON_FORK"]});
            let text = bench.inside(STAT, |config| {
                config.set("/process/scheduler", scheduler);
            })?;
            // sed is a child of the shell: it loses a nice value below 0, as it would a real-time policy, sched(7).
            ensure_eq!(text, "0 0 3");
            Ok(())
        })
        .needs(&[Need::Root]);
    suite
        .case("process.scheduler takes a deadline policy and its times", |bench| {
            let mut bundle = bench.bundle()?;
            bundle.config.args(&["sed", "s/.*) //", "/proc/self/stat"]);
            let times = json!({"runtime": 1_000_000, "deadline": 5_000_000, "period": 10_000_000});
            bundle.config.set("/process/scheduler", json!({"policy": "SCHED_DEADLINE"}));
            for (name, value) in times.as_object().into_iter().flatten() {
                bundle.config.set(&format!("/process/scheduler/{name}"), value.clone());
            }
            let output = bench.container(bundle)?.run()?;
            if output.code == Some(0) {
                let policy = output.text().split(' ').nth(38).map(ToOwned::to_owned);
                ensure_eq!(policy.as_deref(), Some("6"));
            } else {
                // Where a cpuset is not the whole machine's, and where the CPUs have no bandwidth left.
                let refused = ["operation not permitted", "device or resource busy"];
                ensure!(refused.iter().any(|text| output.stderr.contains(text)), "{output}");
            }
            Ok(())
        })
        .needs(&[Need::Root]);
}

fn inherited(suite: &mut Suite) {
    suite
        .masu_only("process.scheduler and ioPriority take what a user namespace cannot give", |bench| {
            let text = bench.inside(&format!("{STAT}; ionice -p 1"), |config| {
                config
                    .user_namespace()
                    .set("/process/scheduler", json!({"policy": "SCHED_BATCH", "nice": -5}));
                config.set("/process/ioPriority", json!({"class": "IOPRIO_CLASS_RT", "priority": 2}));
            })?;
            ensure_eq!(text, "-5 0 3\nrealtime: prio 2");
            Ok(())
        })
        .needs(&[Need::Root]);
    suite.case("exec has the container's scheduler, or that of its own process", |bench| {
        let own = json!({"policy": "SCHED_BATCH", "nice": 3});
        let container = bench.sleeper(|config| {
            config.set("/process/scheduler", own.clone());
        })?;
        ensure_eq!(container.exec(STAT)?, "3 0 3");
        let process = json!({"policy": "SCHED_IDLE"});
        ensure_eq!(exec_process(bench, &container, STAT, "scheduler", process)?, "0 0 5");
        Ok(())
    });
}

/// The output of a script of `exec --process`, whose process has one field more.
fn exec_process(
    bench: &Bench<'_>,
    container: &Container<'_>,
    script: &str,
    field: &str,
    value: Value,
) -> Check<String> {
    let mut process = json!({"args": ["sh", "-c", script], "cwd": "/", "env": ["PATH=/bin"]});
    process[field] = value;
    let file = bench.path("process.json");
    fs::write(&file, process.to_string())?;
    let output = container.exec_with(&["--process", &file.to_string_lossy()], &[]).succeeds()?;
    Ok(output.text().to_owned())
}

fn io_priorities(suite: &mut Suite) {
    suite.case("process.ioPriority sets a class and a priority", |bench| {
        let table = [
            (json!({"class": "IOPRIO_CLASS_BE", "priority": 6}), "best-effort: prio 6"),
            (json!({"class": "IOPRIO_CLASS_IDLE"}), "idle"),
        ];
        for (priority, expected) in table {
            let text = bench.inside("ionice -p $$", |config| {
                config.set("/process/ioPriority", priority);
            })?;
            ensure!(text.starts_with(expected), "{text}");
        }
        Ok(())
    });
    suite.case("exec has the container's ioPriority, or that of its own process", |bench| {
        let container = bench.sleeper(|config| {
            config.set("/process/ioPriority", json!({"class": "IOPRIO_CLASS_BE", "priority": 5}));
        })?;
        ensure_eq!(container.exec("ionice -p $$")?, "best-effort: prio 5");
        let own = json!({"class": "IOPRIO_CLASS_BE", "priority": 1});
        ensure_eq!(
            exec_process(bench, &container, "ionice -p $$", "ioPriority", own)?,
            "best-effort: prio 1"
        );
        Ok(())
    });
}

const CPUS: &str = "grep Cpus_allowed_list /proc/self/status | cut -f2";

/// The cases about CPUs need two of them.
fn two_cpus() -> Check<bool> {
    Ok(available_parallelism()?.get() > 1 && fs::read_to_string("/sys/devices/system/cpu/online")? == "0-1\n")
}

fn affinities(suite: &mut Suite) {
    suite.case("the caller's CPUs are no limit of the container's, nor of a further process's", |bench| {
        if !two_cpus()? {
            return Ok(());
        }
        let mut bundle = bench.bundle()?;
        bundle.config.args(&["sleep", "1000"]);
        let container = bench.container(bundle)?;
        let words = container.launch("run", &["--detach"]).words();
        bench.program("taskset").args(["1"]).args(words).succeeds()?;
        let list = fs::read_to_string(format!("/proc/{}/status", container.pid_of_program()?))?;
        ensure!(list.contains("Cpus_allowed_list:\t0-1\n"), "{list}");
        let words = container.exec_with(&[], &["sh", "-c", CPUS]).words();
        ensure_eq!(bench.program("taskset").args(["1"]).args(words).succeeds()?.text(), "0-1");
        Ok(())
    });
    suite.case("process.execCPUAffinity is of further processes alone", |bench| {
        if !two_cpus()? {
            return Ok(());
        }
        let container = bench.sleeper(|config| {
            config.set("/process/execCPUAffinity", json!({"initial": "0", "final": "1"}));
        })?;
        let list = fs::read_to_string(format!("/proc/{}/status", container.pid()?))?;
        ensure!(list.contains("Cpus_allowed_list:\t0-1\n"), "{list}");
        ensure_eq!(container.exec(CPUS)?, "1");
        let own = json!({"final": "0"});
        ensure_eq!(exec_process(bench, &container, CPUS, "execCPUAffinity", own)?, "0");
        Ok(())
    });
    suite.case("process.execCPUAffinity.initial is kept where there is no final one", |bench| {
        if !two_cpus()? {
            return Ok(());
        }
        let container = bench.sleeper(|config| {
            config.set("/process/execCPUAffinity", json!({"initial": "1"}));
        })?;
        ensure_eq!(container.exec(CPUS)?, "1");
        Ok(())
    });
    suite.case("CPUs that there are none of are refused by exec", |bench| {
        let container = bench.sleeper(|_| {})?;
        for (field, value) in [("final", "1000"), ("initial", "1001")] {
            let process = json!({
                "args": ["true"], "cwd": "/", "env": ["PATH=/bin"], "execCPUAffinity": {field: value},
            });
            let file = bench.path("process.json");
            fs::write(&file, process.to_string())?;
            let output = container.exec_with(&["--process", &file.to_string_lossy()], &[]).output()?;
            output.fails_with(255, &["invalid argument"])?;
        }
        Ok(())
    });
}

fn memory_policies(suite: &mut Suite) {
    suite.case("linux.memoryPolicy sets where memory comes from, for exec too", |bench| {
        if !is_set("CONFIG_NUMA")? {
            return Ok(());
        }
        // The policy of each mapping, numa_maps(5) of proc: the process's own unless it has another.
        let script = "cut -d' ' -f2 /proc/self/numa_maps | sort -u";
        let table = [
            (json!({"mode": "MPOL_DEFAULT"}), "default"),
            (json!({"mode": "MPOL_BIND", "nodes": "0"}), "bind:0"),
            (json!({"mode": "MPOL_INTERLEAVE", "nodes": "0-0"}), "interleave:0"),
            (json!({"mode": "MPOL_PREFERRED", "nodes": "0"}), "prefer:0"),
            (json!({"mode": "MPOL_LOCAL"}), "local"),
            (json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]}), "bind=static:0"),
            (
                json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_RELATIVE_NODES"]}),
                "bind=relative:0",
            ),
        ];
        for (policy, expected) in table {
            let container = bench.sleeper(|config| {
                config.set("/linux/memoryPolicy", policy);
            })?;
            let maps = fs::read_to_string(format!("/proc/{}/numa_maps", container.pid()?))?;
            let first = maps.lines().next().and_then(|line| line.split(' ').nth(1));
            ensure_eq!(first, Some(expected));
            ensure_eq!(container.exec(script)?, expected);
        }
        Ok(())
    });
    suite.case("a memory node that is not there is refused", |bench| {
        if !is_set("CONFIG_NUMA")? {
            return Ok(());
        }
        let output = bench.script("true", |config| {
            config.set("/linux/memoryPolicy", json!({"mode": "MPOL_BIND", "nodes": "1000"}));
        })?;
        output.fails_with(1, &["invalid argument"])?;
        Ok(())
    });
}

fn personalities(suite: &mut Suite) {
    suite.case("linux.personality makes it a 32-bit machine, for exec too", |bench| {
        if std::env::consts::ARCH != "x86_64" {
            return Ok(());
        }
        for (domain, machine) in [("LINUX32", "i686"), ("LINUX", "x86_64")] {
            let container = bench.sleeper(|config| {
                config.set("/linux/personality", json!({"domain": domain}));
            })?;
            let number = if domain == "LINUX" { "00000000" } else { "00000008" };
            let pid = container.pid_of_program()?;
            ensure_eq!(fs::read_to_string(format!("/proc/{pid}/personality"))?.trim(), number);
            ensure_eq!(container.exec("uname -m")?, machine);
        }
        Ok(())
    });
    suite.case("a flag of linux.personality is ignored with a warning", |bench| {
        let output = bench.script("uname -m", |config| {
            config.set("/linux/personality", json!({"domain": "LINUX", "flags": ["ADDR_NO_RANDOMIZE"]}));
        })?;
        let output = output.exits_with(0)?;
        ensure!(output.stderr.contains("flags"), "{output}");
        Ok(())
    });
}
