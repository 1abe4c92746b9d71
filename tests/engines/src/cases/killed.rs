//! Engines that are killed while containers run, and started anew.

use std::convert;

use masu_harness::{Check, ensure, ensure_eq, host};
use rustix::process::Signal;
use serde_json::json;

use crate::bench::Bench;
use crate::engines::kubernetes::{Pod, container};
use crate::engines::{Daemon, containerd, docker, kubernetes};
use crate::suite::{Engine, PODMANS, Suite};
use crate::world::IMAGE;

pub(super) fn add(suite: &mut Suite) {
    let sentence = "containers outlive a killed engine, and obey the next one";
    suite.case(PODMANS, "engine killed", sentence, podman);
    suite.case(&[Engine::Docker], "engine killed", sentence, dockerd);
    suite.case(&[Engine::Containerd], "engine killed", sentence, of_containerd);
    suite.case_alone(Engine::Kubernetes, "engine killed", sentence, kubelet);
}

const COUNT: &str = "i=0; while :; do i=$((i+1)); echo $i >/count; echo tick; sleep 0.1; done";

/// Waits until the container's count goes on.
fn until_counting(pid: i32) -> Check {
    let count = || host::read_trimmed(format!("/proc/{pid}/root/count"));
    host::until("it has counted", || Ok(count().is_ok()))?;
    let before = count()?;
    host::until("it counts", || Ok(count()? != before))
}

fn podman(bench: &Bench<'_>) -> Check {
    let foreground = bench.run(&[], &["sh", "-c", COUNT]).spawn()?;
    let name = bench.last_name();
    bench.until_printed(&foreground, "tick")?;
    let pid: i32 = bench.inspect(&name, "{{.State.Pid}}")?.parse()?;
    foreground.signal(Signal::KILL)?;
    drop(foreground);
    until_counting(pid)?;
    bench.until_logged(&name, "tick")?;
    bench.exec(&name, "test -e /count")?;
    bench.succeeds(&["stop", "--time", "0", &name])?;
    bench.until(&name, "{{.State.Status}} {{.State.ExitCode}}", "exited 137")?;
    ensure!(!host::is_alive(pid), "process {pid} still runs");
    Ok(())
}

fn dockerd(bench: &Bench<'_>) -> Check {
    let directory = bench.directory()?;
    let socket = format!("unix://{}/docker.sock", directory.display());
    let client = |words: &[&str]| docker::command(bench.world).args(["--host", &socket]).args(words);
    std::fs::write(directory.join("daemon.json"), "{}")?;
    let dockerd = || docker::beside(bench.world, &directory).arg("--live-restore");
    let start = || Daemon::start(dockerd(), || client(&["version"]));
    let containerd = containerd::start_beside(bench.world, &directory, convert::identity)?;
    let first = start()?;
    client(&["load", "--input"]).arg(bench.world.image_archive()).succeeds()?;
    client(&["run", "--detach", "--name", "counter", "--network", "none", IMAGE, "sh", "-c", COUNT])
        .succeeds()?;
    let inspect = |template: &str| {
        Ok::<_, masu_harness::Failure>(
            client(&["inspect", "--format", template, "counter"]).succeeds()?.text().to_owned(),
        )
    };
    let pid: i32 = inspect("{{.State.Pid}}")?.parse()?;
    first.kill()?;
    until_counting(pid)?;
    let second = start()?;
    ensure_eq!(inspect("{{.State.Status}} {{.State.Pid}}")?, format!("running {pid}"));
    client(&["exec", "counter", "test", "-e", "/count"]).succeeds()?;
    client(&["stop", "--time", "0", "counter"]).succeeds()?;
    ensure_eq!(inspect("{{.State.Status}} {{.State.ExitCode}}")?, "exited 137");
    client(&["rm", "counter"]).succeeds()?;
    second.stop()?;
    containerd.stop()
}

fn of_containerd(bench: &Bench<'_>) -> Check {
    let directory = bench.directory()?;
    let client = |words: &[&str]| containerd::command_beside(bench.world, &directory).args(words);
    let start = || containerd::start_beside(bench.world, &directory, convert::identity);
    let first = start()?;
    client(&["images", "import"]).arg(bench.world.image_archive()).succeeds()?;
    let runtime = bench.world.runtime.path.to_string_lossy().into_owned();
    let run =
        ["run", "--detach", "--null-io", "--runc-binary", &runtime, IMAGE, "counter", "sh", "-c", COUNT];
    client(&run).succeeds()?;
    let state = || Ok::<_, masu_harness::Failure>(client(&["tasks", "list"]).succeeds()?.text().to_owned());
    let line = state()?;
    let pid: i32 = line.split_whitespace().filter_map(|word| word.parse().ok()).next().unwrap_or_default();
    first.kill()?;
    until_counting(pid)?;
    let second = start()?;
    ensure_eq!(state()?, line);
    client(&["tasks", "exec", "--exec-id", "e", "counter", "test", "-e", "/count"]).succeeds()?;
    client(&["tasks", "kill", "--signal", "KILL", "counter"]).succeeds()?;
    host::until("it has stopped", || Ok(state()?.contains("STOPPED")))?;
    client(&["tasks", "delete", "counter"]).succeeds()?;
    client(&["containers", "delete", "counter"]).succeeds()?;
    second.stop()
}

/// Both, kubelet and what it calls.
fn kubelet(bench: &Bench<'_>) -> Check {
    let world = bench.world;
    let pod = Pod::running(bench, &[container("main", COUNT, &json!({}))], &json!({}))?;
    let pid = pod.pid()?;
    world.kill(Engine::Kubernetes)?;
    world.kill(Engine::Containerd)?;
    until_counting(pid)?;
    world.add(Engine::Containerd, containerd::start_daemon(world)?)?;
    world.add(Engine::Kubernetes, kubernetes::start_kubelet(world)?)?;
    host::until("kubelet answers", || Ok(pod.exec(&[], "test -e /count").output()?.code == Some(0)))?;
    ensure_eq!(pod.pid()?, pid);
    ensure_eq!(pod.get("{.status.phase} {.status.containerStatuses[0].restartCount}")?, "Running 0");
    until_counting(pid)?;
    bench.succeeds(&["delete", "pod", &pod.name, "--grace-period", "1"])?;
    ensure!(!host::is_alive(pid), "process {pid} still runs");
    Ok(())
}
