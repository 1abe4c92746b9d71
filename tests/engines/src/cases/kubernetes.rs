//! Pods, as a cluster has kubelet make them, and as its users see them through the API server.

use std::fs;

use masu_harness::terminal::Terminal;
use masu_harness::{Check, ensure, ensure_eq, host};
use serde_json::{Value, json};

use super::limits::{Victim, greedy};
use super::terminal::follows_and_ends;
use crate::bench::Bench;
use crate::engines::kubernetes::{Pod, container, with};
use crate::suite::{Engine, Run, Suite};

pub(super) fn add(suite: &mut Suite) {
    let mut case = |subject, sentence, run: Run| suite.case(&[Engine::Kubernetes], subject, sentence, run);
    case("run", "a pod of the RuntimeClass has the runtime, a name and an address", pod);
    case("run", "init containers run one after the other, before the others", init_containers);
    case("logs", "logs has what a container printed, and what the one before it", logs);
    case("attach", "who attaches writes and reads", attach);
    case("tty and resize", "a shell on a terminal has its size, and follows it", shell);
    case("exec", "exec has input, output and status", exec);
    case("health checks", "who does not answer its liveness probe is started anew", liveness);
    case("health checks", "a pod is ready while its readiness probe says so, once it is started", readiness);
    case("stop with a timeout", "a deleted pod is told, and killed after its time", stop);
    case("restart policy", "a container that fails is started anew, and one that does not is done", restart);
    case("limits and update", "requests and limits are in force", limits);
    case("stats", "kubelet knows what a container uses", stats);
    case("events", "the events tell of start and end", events);
    case("OOM kill", "a container that is out of memory is known to be", oom);
    case("exit codes", "a container's status is the command's", code);
    case("exit codes", "a command that is not there is an error that says so", missing);
    case("volumes", "configuration and secrets are there, and cannot be written", volumes);
    case("volumes, propagated", "what is mounted on the host later is seen", propagated);
    case("copy", "files go in and out of a container", copy);
    case("capabilities", "user, capabilities and privileges are as a restricted pod has them", restricted);
    case("--privileged", "a privileged container may mount", privileged);
    case("--network host", "a pod of the host has the host's network", host_network);
    case("published ports", "a pod's port of the host answers", published);
    case("pods", "containers of a pod share network, volumes and, when asked, processes", shared);
    case("refusals", "a seccomp profile that cannot be had is refused by name", seccomp);
}

const SLEEP: &str = "trap 'exit 0' TERM; while :; do sleep 0.1; done";

/// A pod of one container that waits to be ended.
fn sleeper<'b>(bench: &'b Bench<'b>) -> Check<Pod<'b>> {
    Pod::running(bench, &[container("main", SLEEP, &json!({}))], &json!({}))
}

fn pod(bench: &Bench<'_>) -> Check {
    let pod = Pod::running(bench, &[container("main", SLEEP, &json!({}))], &json!({"hostname": "podhost"}))?;
    let address = pod.get("{.status.podIP}")?;
    let seen = pod.says("hostname; ip -o -4 addr show eth0")?;
    ensure!(seen.starts_with("podhost\n") && seen.contains(&address), "{address} is not in {seen}");
    ensure!(host::is_alive(pod.pid()?), "the runtime does not know the container");
    Ok(())
}

/// A volume of the pod's own, at `/shared`.
fn scratch() -> (Value, Value) {
    let mount = json!({"volumeMounts": [{"name": "scratch", "mountPath": "/shared"}]});
    (mount, json!({"volumes": [{"name": "scratch", "emptyDir": {}}]}))
}

fn init_containers(bench: &Bench<'_>) -> Check {
    let (mount, spec) = scratch();
    let init = |word: &str| container(word, &format!("echo {word} >>/shared/words"), &mount);
    let spec = with(spec, &json!({"initContainers": [init("one"), init("two")]}));
    ensure_eq!(Pod::output(bench, "cat /shared/words", &mount, &spec)?, "one\ntwo");
    Ok(())
}

fn logs(bench: &Bench<'_>) -> Check {
    let (mount, spec) = scratch();
    let spec = with(spec, &json!({"restartPolicy": "OnFailure"}));
    // kubelet keeps the one before of a pod that runs.
    let script =
        "echo out; echo err >&2; test -e /shared/again && exec sleep 1000; touch /shared/again; exit 1";
    let pod = Pod::create(bench, &[container("main", script, &mount)], &spec)?;
    pod.until_is("{.status.containerStatuses[0].restartCount} {.status.phase}", "1 Running")?;
    for options in [&[][..], &["--previous"]] {
        host::until("both streams are there", || {
            let text = pod.logs(options)?;
            let mut lines: Vec<_> = text.lines().collect();
            lines.sort_unstable();
            Ok(lines == ["err", "out"])
        })?;
    }
    Ok(())
}

fn attach(bench: &Bench<'_>) -> Check {
    let script = "while read line; do echo got $line; done";
    let pod = Pod::running(bench, &[container("main", script, &json!({"stdin": true}))], &json!({}))?;
    let mut attached = bench.call(&["attach", "--stdin", &pod.name]).stdin_pipe().spawn()?;
    for word in ["first", "second"] {
        attached.write(format!("{word}\n").as_bytes())?;
        bench.until_printed(&attached, &format!("got {word}"))?;
    }
    Ok(())
}

fn shell(bench: &Bench<'_>) -> Check {
    let pod = sleeper(bench)?;
    let (mut terminal, slave) = Terminal::open()?;
    terminal.resize(30, 100)?;
    let exec = ["exec", "--stdin", "--tty", &pod.name, "--", "sh"];
    let running = bench.call(&exec).on_terminal(&slave)?.spawn()?;
    drop(slave);
    terminal.write("tty; echo ready-$((6*7))\n")?;
    ensure!(terminal.expect("ready-42")?.contains("/dev/pts/0"), "no terminal: {:?}", terminal.text());
    follows_and_ends(terminal, running)
}

fn exec(bench: &Bench<'_>) -> Check {
    let edit = json!({"env": [{"name": "A", "value": "b"}], "workingDir": "/tmp"});
    let pod = Pod::running(bench, &[container("main", SLEEP, &edit)], &json!({}))?;
    let output = pod.exec(&["--stdin"], "pwd; echo $A; wc -c; exit 7").stdin("1234567").output()?;
    let output = output.exits_with(7)?;
    ensure_eq!(output.text(), "/tmp\nb\n7");
    Ok(())
}

fn probe(script: &str) -> Value {
    json!({"exec": {"command": ["sh", "-c", script]}, "periodSeconds": 1, "failureThreshold": 2})
}

fn liveness(bench: &Bench<'_>) -> Check {
    let (mount, spec) = scratch();
    let main =
        with(container("main", SLEEP, &mount), &json!({"livenessProbe": probe("test ! -e /shared/ill")}));
    let spec = with(spec, &json!({"restartPolicy": "Always", "terminationGracePeriodSeconds": 5}));
    let pod = Pod::running(bench, &[main], &spec)?;
    let before = pod.pid()?;
    // Ill once: whoever is started anew finds a cure.
    pod.says("touch /shared/ill")?;
    host::until("it is ended", || Ok(!host::is_alive(before)))?;
    fs::remove_file(pod_volume(&pod)?.join("ill"))?;
    pod.until_is("{.status.containerStatuses[0].restartCount}", "1")?;
    pod.until_is("{.status.conditions[?(@.type=='Ready')].status}", "True")?;
    pod.until_is("{.status.containerStatuses[0].lastState.terminated.exitCode}", "0")
}

/// Where the host has the volume of [`scratch`].
fn pod_volume(pod: &Pod<'_>) -> Check<std::path::PathBuf> {
    let uid = pod.get("{.metadata.uid}")?;
    Ok(format!("/var/lib/kubelet/pods/{uid}/volumes/kubernetes.io~empty-dir/scratch").into())
}

fn readiness(bench: &Bench<'_>) -> Check {
    let patient = with(probe("test -e /tmp/started"), &json!({"failureThreshold": 1000}));
    let probes = json!({"startupProbe": patient, "readinessProbe": probe("test -e /tmp/ready")});
    let pod = Pod::create(bench, &[container("main", SLEEP, &probes)], &json!({}))?;
    pod.until_is("{.status.phase} {.status.containerStatuses[0].started}", "Running false")?;
    pod.says("touch /tmp/started")?;
    pod.until_is(
        "{.status.containerStatuses[0].started} {.status.containerStatuses[0].ready}",
        "true false",
    )?;
    pod.says("touch /tmp/ready")?;
    pod.until_is("{.status.containerStatuses[0].ready}", "true")?;
    pod.says("rm /tmp/ready")?;
    pod.until_is("{.status.containerStatuses[0].ready}", "false")?;
    ensure_eq!(pod.get("{.status.containerStatuses[0].restartCount}")?, "0");
    Ok(())
}

fn stop(bench: &Bench<'_>) -> Check {
    let directory = bench.directory()?;
    let mount = json!({"volumeMounts": [{"name": "host", "mountPath": "/host"}]});
    let spec = json!({"volumes": [{"name": "host", "hostPath": {"path": directory}}]});
    let told = "trap 'echo told >>/host/words; exit 0' TERM; while :; do sleep 0.05; done";
    let before = json!({"exec": {"command": ["sh", "-c", "echo before >>/host/words"]}});
    let listens = with(container("listens", told, &mount), &json!({"lifecycle": {"preStop": before}}));
    let deaf = container("deaf", "trap '' TERM; while :; do sleep 0.05; done", &mount);
    let pod = Pod::running(bench, &[listens, deaf], &spec)?;
    let pid = pod.pid()?;
    bench.succeeds(&["delete", "pod", &pod.name, "--grace-period", "2"])?;
    ensure_eq!(host::read_trimmed(directory.join("words"))?, "before\ntold");
    ensure!(!host::is_alive(pid), "process {pid} still runs");
    Ok(())
}

fn restart(bench: &Bench<'_>) -> Check {
    let (mount, spec) = scratch();
    let spec = with(spec, &json!({"restartPolicy": "OnFailure"}));
    let main = container("main", "test -e /shared/again && exit 0; touch /shared/again; exit 4", &mount);
    let pod = Pod::create(bench, &[main, container("done", "exit 0", &json!({}))], &spec)?;
    pod.until_is("{.status.phase}", "Succeeded")?;
    let restarts = "{.status.containerStatuses[?(@.name=='main')].restartCount} {.status.containerStatuses[?(@.name=='done')].restartCount}";
    ensure_eq!(pod.get(restarts)?, "1 0");
    let last = "{.status.containerStatuses[?(@.name=='main')].lastState.terminated.exitCode}";
    ensure_eq!(pod.get(last)?, "4");
    Ok(())
}

fn limits(bench: &Bench<'_>) -> Check {
    let resources =
        json!({"limits": {"memory": "64Mi", "cpu": "500m"}, "requests": {"memory": "32Mi", "cpu": "250m"}});
    let files = match host::is_unified() {
        true => "memory.max cpu.max",
        false => "memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us cpu/cpu.shares",
    };
    let script = format!("cd /sys/fs/cgroup; cat {files}");
    let text = Pod::output(bench, &script, &json!({"resources": resources}), &json!({}))?;
    ensure_eq!(text, if host::is_unified() { "67108864\n50000 100000" } else { "67108864\n50000\n256" });
    Ok(())
}

fn stats(bench: &Bench<'_>) -> Check {
    let pod = sleeper(bench)?;
    let mut last = Value::Null;
    host::until("the summary has it", || {
        let text = bench.succeeds(&["get", "--raw", "/api/v1/nodes/node/proxy/stats/summary"])?;
        last = serde_json::from_str(&text)?;
        let pods = last.pointer("/pods").and_then(Value::as_array);
        let of_pod = pods
            .into_iter()
            .flatten()
            .find(|one| one.pointer("/podRef/name").and_then(Value::as_str) == Some(pod.name.as_str()));
        let used = |pointer: &str| {
            let value = of_pod.and_then(|one| one.pointer(pointer)).and_then(Value::as_u64);
            value.is_some_and(|value| value > 0)
        };
        Ok(used("/containers/0/memory/workingSetBytes") && used("/containers/0/cpu/usageCoreNanoSeconds"))
    })
}

fn events(bench: &Bench<'_>) -> Check {
    let pod = sleeper(bench)?;
    bench.succeeds(&["delete", "pod", &pod.name, "--now"])?;
    let filter = format!("involvedObject.name={}", pod.name);
    let list = ["get", "events", "--field-selector", &filter, "--output", "jsonpath={.items[*].reason}"];
    host::until("the events are there", || {
        let seen = bench.succeeds(&list)?;
        Ok(["Created", "Started", "Killing"].iter().all(|reason| seen.contains(reason)))
    })
}

const TERMINATED: &str = "{.status.containerStatuses[0].state.terminated.reason} {.status.containerStatuses[0].state.terminated.exitCode}";

fn oom(bench: &Bench<'_>) -> Check {
    let told = bench.directory()?;
    let limit = json!({"resources": {"limits": {"memory": "16Mi"}},
                       "volumeMounts": [{"name": "told", "mountPath": "/told", "readOnly": true}]});
    let spec = json!({"volumes": [{"name": "told", "hostPath": {"path": told}}]});
    let pod = Pod::running(bench, &[container("main", &greedy(Victim::First), &limit)], &spec)?;
    fs::write(told.join("go"), "")?;
    pod.until_is("{.status.phase}", "Failed")?;
    pod.until_is(TERMINATED, "OOMKilled 137")
}

fn code(bench: &Bench<'_>) -> Check {
    let pod = Pod::create(bench, &[container("main", "exit 3", &json!({}))], &json!({}))?;
    pod.until_is("{.status.phase}", "Failed")?;
    pod.until_is(TERMINATED, "Error 3")
}

fn missing(bench: &Bench<'_>) -> Check {
    let edit = json!({"command": ["no-such-program"]});
    let pod = Pod::create(bench, &[container("main", "", &edit)], &json!({}))?;
    pod.until_is("{.status.phase}", "Failed")?;
    pod.until_is(TERMINATED, "StartError 128")?;
    let message = pod.get("{.status.containerStatuses[0].state.terminated.message}")?;
    ensure!(message.contains("not found in $PATH"), "the message is {message}");
    Ok(())
}

fn volumes(bench: &Bench<'_>) -> Check {
    let tag = bench.tag();
    for kind in [&["configmap"][..], &["secret", "generic"]] {
        bench.succeeds(&[&["create"], kind, &[tag, "--from-literal", "word=there"]].concat())?;
    }
    let mounts = json!({"volumeMounts": [{"name": "configuration", "mountPath": "/configuration"},
                                         {"name": "secret", "mountPath": "/secret", "readOnly": true}]});
    let spec = json!({"volumes": [{"name": "configuration", "configMap": {"name": tag}},
                                  {"name": "secret", "secret": {"secretName": tag}}]});
    let script = "cat /configuration/word; echo; cat /secret/word; echo; grep -c '^tmpfs /secret ' /proc/mounts; \
                  for place in configuration secret; do touch /$place/other || echo refused; done";
    let text = Pod::output(bench, script, &mounts, &spec)?;
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with("touch: ")).collect();
    ensure_eq!(lines, ["there", "there", "1", "refused", "refused"]);
    bench.succeeds(&["delete", "configmap,secret", tag])?;
    Ok(())
}

fn propagated(bench: &Bench<'_>) -> Check {
    let directory = bench.directory()?;
    let path = directory.to_string_lossy().into_owned();
    bench.world.succeeds("mount", &["-t", "tmpfs", "tmpfs", &path])?;
    bench.world.succeeds("mount", &["--make-shared", &path])?;
    fs::create_dir(directory.join("below"))?;
    let mount = json!({"volumeMounts": [
        {"name": "host", "mountPath": "/data", "mountPropagation": "HostToContainer"}]});
    let spec = json!({"volumes": [{"name": "host", "hostPath": {"path": path}}]});
    let pod = Pod::running(bench, &[container("main", SLEEP, &mount)], &spec)?;
    bench.world.succeeds("mount", &["-t", "tmpfs", "late", &format!("{path}/below")])?;
    ensure_eq!(pod.says("grep -c ' /data/below ' /proc/mounts")?, "1");
    bench.world.succeeds("umount", &["--recursive", "--lazy", &path])?;
    Ok(())
}

fn copy(bench: &Bench<'_>) -> Check {
    let pod = sleeper(bench)?;
    let directory = bench.directory()?;
    let (there, back) = (directory.join("there"), directory.join("back"));
    fs::write(&there, "content")?;
    let target = format!("{}:/tmp/file", pod.name);
    bench.succeeds(&["cp", &there.to_string_lossy(), &target])?;
    ensure_eq!(pod.says("cat /tmp/file")?, "content");
    bench.succeeds(&["cp", &target, &back.to_string_lossy()])?;
    ensure_eq!(host::read_trimmed(&back)?, "content");
    Ok(())
}

fn restricted(bench: &Bench<'_>) -> Check {
    let context = json!({"securityContext": {
        "runAsUser": 1000, "runAsGroup": 1001, "runAsNonRoot": true, "readOnlyRootFilesystem": true,
        "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"}}});
    let script = "id -u; id -g; grep -E 'CapBnd|NoNewPrivs|Seccomp:' /proc/self/status; touch /file 2>/dev/null || echo refused";
    let expected = "1000\n1001\nCapBnd:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\nrefused";
    ensure_eq!(Pod::output(bench, script, &context, &json!({}))?, expected);
    Ok(())
}

fn privileged(bench: &Bench<'_>) -> Check {
    let context = json!({"securityContext": {"privileged": true}});
    let script = "mount -t tmpfs none /tmp && grep -c ' /tmp ' /proc/mounts";
    ensure_eq!(Pod::output(bench, script, &context, &json!({}))?, "1");
    Ok(())
}

fn host_network(bench: &Bench<'_>) -> Check {
    let spec = json!({"hostNetwork": true});
    let seen = Pod::output(bench, "readlink /proc/self/ns/net", &json!({}), &spec)?;
    ensure_eq!(seen, host::namespace_of(1, "net")?);
    Ok(())
}

fn published(bench: &Bench<'_>) -> Check {
    let port = 40_000 + bench.world.number() % 10_000;
    let ports = json!({"ports": [{"containerPort": 80, "hostPort": port, "hostIP": "127.0.0.1"}]});
    let serve = "mkdir /www; echo published >/www/index.html; exec httpd -f -p 80 -h /www";
    Pod::running(bench, &[container("main", serve, &ports)], &json!({}))?;
    host::until("the port answers", || {
        Ok(super::network::fetch(port).is_ok_and(|text| text.contains("published")))
    })
}

fn shared(bench: &Bench<'_>) -> Check {
    let (mount, spec) = scratch();
    let spec = with(spec, &json!({"shareProcessNamespace": true}));
    let serve = "echo served >/shared/index.html; exec httpd -f -p 8080 -h /shared";
    let containers = [container("main", SLEEP, &mount), container("serves", serve, &mount)];
    let pod = Pod::running(bench, &containers, &spec)?;
    let script = "for kind in net ipc uts pid; do readlink /proc/self/ns/$kind; done";
    let seen =
        |name: &str| Ok::<_, masu_harness::Failure>(pod.exec(&["-c", name], script).succeeds()?.stdout);
    ensure_eq!(seen("main")?, seen("serves")?);
    let script = "wget -qO- http://127.0.0.1:8080/; cat /shared/index.html; ps -o comm | grep -c httpd";
    host::until("all is shared", || {
        let output = pod.exec(&["-c", "main"], script).output()?;
        Ok(output.text() == "served\nserved\n1")
    })
}

fn seccomp(bench: &Bench<'_>) -> Check {
    let profile = format!("{}.json", bench.tag());
    fs::create_dir_all("/var/lib/kubelet/seccomp")?;
    fs::write(format!("/var/lib/kubelet/seccomp/{profile}"), r#"{"defaultAction": "SCMP_ACT_NO_SUCH"}"#)?;
    let context =
        json!({"securityContext": {"seccompProfile": {"type": "Localhost", "localhostProfile": profile}}});
    let pod = Pod::create(bench, &[container("main", "true", &context)], &json!({}))?;
    pod.until_is("{.status.phase}", "Failed")?;
    pod.until_is(TERMINATED, "StartError 128")?;
    let message = pod.get("{.status.containerStatuses[0].state.terminated.message}")?;
    ensure!(message.contains("SCMP_ACT_NO_SUCH"), "the message is {message}");
    Ok(())
}
