//! Limits, what is used of them, and the end of who wants more.

use masu_harness::{Check, ensure, ensure_eq, host};

use crate::bench::Bench;
use crate::suite::{DOCKER_LIKE, Engine, Suite};
use crate::world::has_systemd;

pub(super) fn add(suite: &mut Suite) {
    suite.case_with_cgroups(
        "limits and update",
        "limits are in force, and those of update after them",
        limits,
    );
    suite.case_with_cgroups("stats", "stats knows the memory and the processes", stats);
    let out_of_memory = "a container that is out of memory is known to be";
    suite.case(&[Engine::Docker], "OOM kill", out_of_memory, oom);
    let in_machine = [Engine::Podman, Engine::RootlessPodman, Engine::RootlessDocker];
    suite.case_of_machine(&in_machine, "OOM kill", out_of_memory, oom);
    suite.case(DOCKER_LIKE, "limits and update", "ulimits and sysctls are in force", ulimits);
    suite.case(DOCKER_LIKE, "--privileged", "a privileged container has devices and may mount", privileged);
    suite.case(DOCKER_LIKE, "capabilities", "capabilities and no_new_privileges are as asked", capabilities);
    suite.case(DOCKER_LIKE, "seccomp", "the engine's own filter is in force, and that of a file", seccomp);
}

/// A file that shows the limit of memory, in the container.
fn memory_file() -> &'static str {
    if host::is_unified() {
        "/sys/fs/cgroup/memory.max"
    } else {
        "/sys/fs/cgroup/memory/memory.limit_in_bytes"
    }
}

fn limits(bench: &Bench<'_>) -> Check {
    let options = ["--memory", "64m", "--memory-swap", "64m", "--cpus", "0.5", "--pids-limit", "50"];
    let name = bench.sleeper(&[&options[..], &["--cpuset-cpus", "0", "--cpu-shares", "512"]].concat())?;
    let show = format!("cat {}; grep Cpus_allowed_list /proc/self/status", memory_file());
    ensure_eq!(bench.exec(&name, &show)?, "67108864\nCpus_allowed_list:\t0");
    bench.succeeds(&["update", "--memory", "96m", "--memory-swap", "96m", &name])?;
    ensure_eq!(bench.exec(&name, &format!("cat {}", memory_file()))?, "100663296");
    Ok(())
}

fn stats(bench: &Bench<'_>) -> Check {
    let name = bench.sleeper(&["--memory", "64m"])?;
    let template = if bench.is_podman() { "{{.MemLimit}} {{.PIDs}}" } else { "{{.MemUsage}} {{.PIDs}}" };
    let limit = if bench.is_podman() { "67108864" } else { "64MiB" };
    let text = bench.succeeds(&["stats", "--no-stream", "--format", template, &name])?;
    let processes: Option<u32> = text.rsplit(' ').next().and_then(|number| number.parse().ok());
    ensure!(text.contains(limit) && processes.is_some_and(|number| number >= 1), "stats says {text:?}");
    Ok(())
}

/// Takes more memory than 16 MB, once there is a file: what a container is short of before its engine has started it is
/// nothing that the engine hears of.
pub(super) fn greedy(who: Victim) -> String {
    let rest = match who {
        Victim::First => "exec tail -c 90m /dev/zero",
        Victim::Other => "tail -c 90m /dev/zero; sleep 0.5; exit 4",
    };
    format!("until test -e /told/go; do sleep 0.05; done; {rest}")
}

/// Whom the kernel kills when there is no more memory.
#[derive(Debug, Clone, Copy)]
pub(super) enum Victim {
    /// The container's first process: it ends with 137.
    First,
    /// Another one, which the first outlives: it ends with 4.
    Other,
}

fn oom(bench: &Bench<'_>) -> Check {
    if !bench.is_podman() {
        return bench.until(&out_of_memory(bench)?, "{{.State.OOMKilled}}", "true");
    }
    // conmon 2.1.12 stops listening when it hears for the first time that memory is short, and looks once more at the end; by
    // then systemd may have removed the cgroup. That is so with every runtime whose limit is the container's own cgroup's.
    host::until("a container is known to have been out of memory", || {
        let name = out_of_memory(bench)?;
        bench.until(&name, "{{.State.Status}}", "exited")?;
        Ok(bench.inspect(&name, "{{.State.OOMKilled}}")? == "true")
    })
}

/// Has a container run out of memory and end.
fn out_of_memory(bench: &Bench<'_>) -> Check<String> {
    let told = bench.directory()?;
    let volume = format!("{}:/told:ro", told.display());
    let options = ["--memory", "16m", "--memory-swap", "16m", "--volume", &volume];
    let name = bench.detached(&options, &["sh", "-c", &greedy(Victim::Other)])?;
    std::fs::write(told.join("go"), "")?;
    ensure_eq!(bench.succeeds(&["wait", &name])?, "4");
    Ok(name)
}

fn ulimits(bench: &Bench<'_>) -> Check {
    let options = [
        "--ulimit",
        "nofile=64:128",
        "--ulimit",
        "nproc=1000:2000",
        "--sysctl",
        "net.ipv4.ip_forward=1",
        "--shm-size",
        "1m",
    ];
    let text = bench.script(
        &options,
        "ulimit -n; ulimit -Hn; cat /proc/sys/net/ipv4/ip_forward; df -k /dev/shm | awk 'END {print $2}'",
    )?;
    ensure_eq!(text, "64\n128\n1\n1024");
    Ok(())
}

fn privileged(bench: &Bench<'_>) -> Check {
    // podman raises these two where they are not given, which takes CAP_SYS_RESOURCE.
    let options = ["--privileged", "--ulimit", "nofile=1024:20000", "--ulimit", "nproc=1000:2000"];
    let text = bench.script(
        &options,
        "mount -t tmpfs none /tmp && grep -c ' /tmp ' /proc/mounts; if [ -e /dev/kmsg ]; then echo devices; fi",
    )?;
    // An ordinary user's Docker 20 gives none that it was not asked for; 26, in the machine, gives all.
    let none = bench.engine == Engine::RootlessDocker && !has_systemd();
    ensure_eq!(text, if none { "1" } else { "1\ndevices" });
    Ok(())
}

fn capabilities(bench: &Bench<'_>) -> Check {
    let options =
        ["--cap-drop", "all", "--cap-add", "net_bind_service", "--security-opt", "no-new-privileges"];
    let text = bench.script(&options, "grep -E 'CapBnd|CapEff|NoNewPrivs' /proc/self/status")?;
    ensure_eq!(text, "CapEff:\t0000000000000400\nCapBnd:\t0000000000000400\nNoNewPrivs:\t1");
    Ok(())
}

fn seccomp(bench: &Bench<'_>) -> Check {
    // AppArmor may refuse a user namespace too.
    let script = "grep Seccomp: /proc/self/status; unshare -U true || echo refused";
    let text = bench.script(bench.without_apparmor(), script)?;
    // podman's filter lets everybody make a user namespace; Docker's does not.
    ensure_eq!(text, if bench.is_podman() { "Seccomp:\t2" } else { "Seccomp:\t2\nrefused" });
    let profile = bench.directory()?.join("seccomp.json");
    let rules = serde_json::json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}],
    });
    std::fs::write(&profile, rules.to_string())?;
    let option = format!("seccomp={}", profile.display());
    let text = bench.script(&["--security-opt", &option], "mkdir /tmp/x 2>&1 || true")?;
    ensure!(text.contains("Function not implemented"), "mkdir said {text:?}");
    let text = bench.script(&["--security-opt", "seccomp=unconfined"], "grep Seccomp: /proc/self/status")?;
    ensure_eq!(text, "Seccomp:\t0");
    Ok(())
}
