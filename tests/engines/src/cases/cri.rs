//! Pods, as kubelet has containerd make them.

use masu_harness::{Check, ensure, ensure_eq, fail, host};
use serde_json::json;

use super::limits::{Victim, greedy};
use crate::bench::Bench;
use crate::engines::cri::{Cri, handler, text};
use crate::suite::{Engine, Run, Suite};

pub(super) fn add(suite: &mut Suite) {
    let mut case = |subject, sentence, run: Run| suite.case(&[Engine::Cri], subject, sentence, run);
    case("run", "a pod of the RuntimeClass has the runtime, a name and an address", pod);
    case("logs", "a container's log has what it printed", logs);
    case("detach", "init containers run one after the other, before the others", init_containers);
    case("pods", "containers of a pod share its namespaces, and its processes when asked", shared);
    case("exec", "a command in a container has its output and its status", exec);
    case("exec, 100 times", "a hundred probes pass", probes);
    case("health checks", "a probe that hangs is ended after its time", hanging_probe);
    case("stop with a timeout", "a container that does not listen is killed after the timeout", stop);
    case("limits and update", "limits are in force, and those of an update after them", limits);
    case("stats", "the figures of a container are known", stats);
    case("OOM kill", "a container that is out of memory is known to be", oom);
    case("exit codes", "a command that is not there is an error that says so", missing);
    case("volumes, propagated", "what is mounted on the host later is seen", propagated);
    case("capabilities", "user, capabilities and privileges are as a restricted pod has them", restricted);
    case("--privileged", "a privileged container may mount", privileged);
    case("--network host", "a pod of the host has the host's network", host_network);
    case("published ports", "a pod's port of the host answers", published);
}

const SLEEP: &str = "trap 'exit 0' TERM; while :; do sleep 0.1; done";

/// Runs a case in a conversation, and removes its pods whatever comes of it.
fn with(bench: &Bench<'_>, case: impl FnOnce(&Cri<'_>) -> Check) -> Check {
    let cri = Cri::new(bench)?;
    let outcome = case(&cri);
    let removed = cri.remove_pods();
    outcome?;
    removed
}

fn pod(bench: &Bench<'_>) -> Check {
    with(bench, |cri| {
        let pod = cri.pod(&json!({}))?;
        let status = cri.call("PodSandboxStatus", &json!({"pod_sandbox_id": pod.id}))?;
        ensure_eq!(text(&status, "/status/runtime_handler"), bench.world.deployed(&handler()?));
        ensure_eq!(text(&status, "/status/state"), "");
        let address = text(&status, "/status/network/ip");
        let container = pod.container(SLEEP, &json!({}))?;
        let (seen, _) = cri.exec(&container, "hostname; ip -o -4 addr show eth0")?;
        ensure!(seen.starts_with("podhost\n") && seen.contains(&address), "{address} is not in {seen}");
        Ok(())
    })
}

fn logs(bench: &Bench<'_>) -> Check {
    with(bench, |cri| {
        let pod = cri.pod(&json!({}))?;
        let container = pod.container("echo out; echo err >&2; exit 3", &json!({}))?;
        ensure_eq!(cri.wait(&container)?, "3");
        let mut lines: Vec<_> = cri.log(&pod, &container)?.lines().map(str::to_owned).collect();
        lines.sort();
        ensure_eq!(lines, ["err", "out"]);
        Ok(())
    })
}

fn init_containers(bench: &Bench<'_>) -> Check {
    with(bench, |cri| {
        let directory = bench.directory()?;
        let mounts = json!({"mounts": [{"host_path": directory, "container_path": "/shared"}]});
        let pod = cri.pod(&json!({}))?;
        for word in ["one", "two"] {
            let container = pod.container(&format!("echo {word} >>/shared/words"), &mounts)?;
            ensure_eq!(cri.wait(&container)?, "0");
        }
        let container = pod.container(SLEEP, &mounts)?;
        ensure_eq!(cri.exec(&container, "cat /shared/words")?.0, "one\ntwo");
        Ok(())
    })
}

fn shared(bench: &Bench<'_>) -> Check {
    with(bench, |cri| {
        let pod = cri.pod(&json!({"linux": {"security_context": {"namespace_options": {"pid": "POD"}}}}))?;
        let of_pod = json!({"linux": {"security_context": {"namespace_options": {"pid": "POD"}}}});
        let kinds = "for kind in net ipc uts pid; do readlink /proc/self/ns/$kind; done";
        let mut seen = Vec::new();
        for _ in 0..2 {
            let container = pod.container(SLEEP, &of_pod)?;
            seen.push(cri.exec(&container, kinds)?.0);
        }
        ensure!(seen.first() == seen.last(), "two containers of a pod: {seen:?}");
        let alone = pod.container(SLEEP, &json!({}))?;
        ensure_eq!(cri.exec(&alone, "echo $$; cat /proc/1/comm")?.0.lines().last(), Some("sh"));
        Ok(())
    })
}

fn exec(bench: &Bench<'_>) -> Check {
    with(bench, |cri| {
        let container = cri
            .pod(&json!({}))?
            .container(SLEEP, &json!({"envs": [{"key": "A", "value": "b"}], "working_dir": "/tmp"}))?;
        ensure_eq!(cri.exec(&container, "pwd; echo $A; exit 7")?, ("/tmp\nb".to_owned(), 7));
        Ok(())
    })
}

fn probes(bench: &Bench<'_>) -> Check {
    with(bench, |cri| {
        let container = cri.pod(&json!({}))?.container(SLEEP, &json!({}))?;
        for number in 0..100 {
            ensure_eq!(cri.exec(&container, "test -d /proc/1")?.1, 0, "probe {number}");
        }
        ensure_eq!(cri.exec(&container, "test -e /nothing")?.1, 1);
        Ok(())
    })
}

fn hanging_probe(bench: &Bench<'_>) -> Check {
    with(bench, |cri| {
        let container = cri.pod(&json!({}))?.container(SLEEP, &json!({}))?;
        let exec = json!({"container_id": container, "cmd": ["sleep", "1234"], "timeout": 1});
        let error = cri.try_call("ExecSync", &exec)?.err().ok_or_else(|| fail("it came to an end"))?;
        ensure!(error.contains("timeout 1s exceeded"), "the error is {error}");
        host::until("the probe has gone", || {
            Ok(cri.exec(&container, "ps -o args | grep -c '[1]234' || true")?.0 == "0")
        })
    })
}

fn stop(bench: &Bench<'_>) -> Check {
    with(bench, |cri| {
        let pod = cri.pod(&json!({}))?;
        let container =
            pod.container("trap '' TERM; echo ready; while :; do sleep 0.05; done", &json!({}))?;
        host::until("it is ready", || Ok(cri.log(&pod, &container)? == "ready"))?;
        cri.call("StopContainer", &json!({"container_id": container, "timeout": 1}))?;
        ensure_eq!(cri.wait(&container)?, "137");
        Ok(())
    })
}

fn limits(bench: &Bench<'_>) -> Check {
    with(bench, |cri| {
        let resources = json!({"memory_limit_in_bytes": 64 << 20, "cpu_quota": 50000, "cpu_period": 100_000,
                               "cpu_shares": 512, "oom_score_adj": 500});
        let container = cri.pod(&json!({}))?.container(SLEEP, &json!({"linux": {"resources": resources}}))?;
        let file = match host::is_unified() {
            true => "/sys/fs/cgroup/memory.max",
            false => "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        };
        ensure_eq!(cri.exec(&container, &format!("cat {file} /proc/1/oom_score_adj"))?.0, "67108864\n500");
        let update = json!({"container_id": container, "linux": {"memory_limit_in_bytes": 96 << 20}});
        cri.call("UpdateContainerResources", &update)?;
        ensure_eq!(cri.exec(&container, &format!("cat {file}"))?.0, "100663296");
        Ok(())
    })
}

fn stats(bench: &Bench<'_>) -> Check {
    with(bench, |cri| {
        let container = cri.pod(&json!({}))?.container(SLEEP, &json!({}))?;
        let stats = cri.call("ContainerStats", &json!({"container_id": container}))?;
        for pointer in ["/stats/cpu/usage_core_nano_seconds/value", "/stats/memory/working_set_bytes/value"] {
            let value = text(&stats, pointer);
            ensure!(value.parse::<u64>().is_ok_and(|value| value > 0), "{pointer} of {stats}");
        }
        Ok(())
    })
}

fn oom(bench: &Bench<'_>) -> Check {
    with(bench, |cri| {
        let told = bench.directory()?;
        let limit = json!({"linux": {"resources": {"memory_limit_in_bytes": 16 << 20}},
                           "mounts": [{"host_path": told, "container_path": "/told", "readonly": true}]});
        let container = cri.pod(&json!({}))?.container(&greedy(Victim::First), &limit)?;
        std::fs::write(told.join("go"), "")?;
        ensure_eq!(cri.wait(&container)?, "137");
        host::until("the reason is known", || Ok(cri.status(&container, "/reason")? == "OOMKilled"))
    })
}

fn missing(bench: &Bench<'_>) -> Check {
    with(bench, |cri| {
        let pod = cri.pod(&json!({}))?;
        let container = pod.create("", &json!({"command": ["no-such-program"]}))?;
        let error = cri.try_call("StartContainer", &json!({"container_id": container}))?;
        let error = error.err().ok_or_else(|| fail("it was started"))?;
        ensure!(error.contains("executable file not found in $PATH"), "the error is {error}");
        // kubelet tells CrashLoopBackOff from this.
        ensure_eq!(cri.status(&container, "/exit_code")?, "128");
        ensure_eq!(cri.status(&container, "/reason")?, "StartError");
        Ok(())
    })
}

fn propagated(bench: &Bench<'_>) -> Check {
    with(bench, |cri| {
        let directory = bench.directory()?;
        let path = directory.to_string_lossy().into_owned();
        bench.world.succeeds("mount", &["-t", "tmpfs", "tmpfs", &path])?;
        bench.world.succeeds("mount", &["--make-shared", &path])?;
        std::fs::create_dir(directory.join("below"))?;
        let mount = json!({"host_path": path, "container_path": "/data", "propagation": "PROPAGATION_HOST_TO_CONTAINER"});
        let container = cri.pod(&json!({}))?.container(SLEEP, &json!({"mounts": [mount]}))?;
        bench.world.succeeds("mount", &["-t", "tmpfs", "late", &format!("{path}/below")])?;
        ensure_eq!(cri.exec(&container, "grep -c ' /data/below ' /proc/mounts")?.0, "1");
        bench.world.succeeds("umount", &["--recursive", "--lazy", &path])?;
        Ok(())
    })
}

fn restricted(bench: &Bench<'_>) -> Check {
    with(bench, |cri| {
        let context = json!({"run_as_user": {"value": 1000}, "run_as_group": {"value": 1001}, "readonly_rootfs": true,
            "no_new_privs": true, "capabilities": {"drop_capabilities": ["ALL"]},
            "seccomp": {"profile_type": "RuntimeDefault"}});
        let edit = json!({"linux": {"security_context": context}});
        let container = cri.pod(&json!({}))?.container("sleep 1000", &edit)?;
        let script = "id -u; id -g; grep -E 'CapBnd|NoNewPrivs|Seccomp:' /proc/self/status; touch /file || echo refused";
        let expected = "1000\n1001\nCapBnd:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\nrefused";
        ensure_eq!(cri.exec(&container, script)?.0, expected);
        Ok(())
    })
}

fn privileged(bench: &Bench<'_>) -> Check {
    with(bench, |cri| {
        let edit = json!({"linux": {"security_context": {"privileged": true}}});
        let container = cri.pod(&edit)?.container(SLEEP, &edit)?;
        ensure_eq!(cri.exec(&container, "mount -t tmpfs none /tmp && grep -c ' /tmp ' /proc/mounts")?.0, "1");
        Ok(())
    })
}

fn host_network(bench: &Bench<'_>) -> Check {
    with(bench, |cri| {
        // kubelet names no host here: the name is the host's, too.
        let linux = json!({"security_context": {"namespace_options": {"network": "NODE"}}});
        let pod = cri.pod(&json!({"hostname": "", "linux": linux}))?;
        let container = pod.container(SLEEP, &json!({"linux": linux}))?;
        ensure_eq!(cri.exec(&container, "readlink /proc/self/ns/net")?.0, host::namespace_of(1, "net")?);
        Ok(())
    })
}

fn published(bench: &Bench<'_>) -> Check {
    with(bench, |cri| {
        let port = 30_000 + bench.world.number() % 10_000;
        let pod = cri.pod(
            &json!({"port_mappings": [{"container_port": 80, "host_port": port, "host_ip": "127.0.0.1"}]}),
        )?;
        pod.container(
            "mkdir /www; echo published >/www/index.html; exec httpd -f -p 80 -h /www",
            &json!({}),
        )?;
        host::until("the port answers", || {
            Ok(super::network::fetch(port).is_ok_and(|text| text.contains("published")))
        })
    })
}
