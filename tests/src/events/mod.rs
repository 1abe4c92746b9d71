//! `events`: samples and notices, one JSON object a line.

use std::fs;

use serde_json::{Value, json};

use crate::harness::command::Running;
use crate::harness::{Bench, Check, Need, Suite, ensure, ensure_eq, fail, host};

/// Uses up the memory of its cgroup, in a child so that the first process survives.
const HOG: &str = "while :; do head -c 200000000 /dev/zero | tail; sleep 0.2; done";

/// The suite.
pub(crate) fn suite() -> Suite {
    let mut suite = Suite::new("events");
    suite.needs(&[Need::Cgroups]);
    samples(&mut suite);
    intervals(&mut suite);
    notices(&mut suite);
    ends(&mut suite);
    suite
}

fn samples(suite: &mut Suite) {
    suite.case("`--stats` prints one sample with the keys of runc in its order", |bench| {
        let container = bench.sleeper(|config| {
            config.set("/linux/resources/memory/limit", 64 << 20);
            config.set("/linux/resources/pids/limit", 23);
        })?;
        let output = container.call("events").arg("--stats").succeeds()?;
        ensure_eq!(output.stdout.lines().count(), 1, "lines of {output}");
        ensure!(output.stdout.ends_with('\n'), "{output}");
        let event: Value = serde_json::from_str(&output.stdout)?;
        ensure_eq!(keys(&event), ["type", "id", "data"]);
        ensure_eq!(event["type"], "stats");
        ensure_eq!(event["id"], container.id.as_str());
        let data = ["cpu", "cpuset", "memory", "pids", "blkio", "hugetlb", "intel_rdt", "network_interfaces"];
        ensure_eq!(keys(&event["data"]), data);
        ensure_eq!(event["data"]["memory"]["usage"]["limit"], 64 << 20);
        ensure_eq!(event["data"]["pids"]["current"], 1);
        ensure_eq!(event["data"]["pids"]["limit"], 23);
        ensure!(event["data"]["cpu"]["usage"]["total"].as_u64() > Some(0), "{event}");
        ensure_eq!(event["data"]["network_interfaces"], Value::Null);
        Ok(())
    });
    suite
        .masu_only("`--stats` has what the container's network interfaces have carried", interfaces)
        .needs(&[Need::Root]);
    suite.case("a created and a paused container have samples too", |bench| {
        let container = bench.container(bench.bundle()?)?;
        container.create()?;
        container.call("events").arg("--stats").succeeds()?;
        container.start()?;
        container.call("pause").succeeds()?;
        container.call("events").arg("--stats").succeeds()?;
        container.call("resume").succeeds()?;
        Ok(())
    });
    suite.case("a sample is printed at each `--interval`, whole and at once", |bench| {
        let container = bench.sleeper(|_| {})?;
        let running = container.call("events").args(["--interval", "50ms"]).spawn()?;
        until_lines(&running, 3)?;
        for line in running.stdout_so_far()?.lines().take(3) {
            let event: Value = serde_json::from_str(line)?;
            ensure_eq!(event["type"], "stats");
        }
        Ok(())
    });
}

/// Two ends of a wire inside: what goes out of one comes in at the other. The kernel's own figures are the judge.
fn interfaces(bench: &mut Bench<'_>) -> Check {
    let container = bench.sleeper(|_| {})?;
    let namespace = format!("--net=/proc/{}/ns/net", container.pid()?);
    let inside = |line: &str| bench.program("nsenter").arg(&namespace).args(line.split(' ')).output();
    for line in [
        "ip link add v0 type veth peer name v1",
        "ip link set v0 up",
        "ip link set v1 up",
        "ip addr add 10.77.0.1/24 dev v0",
    ] {
        inside(line)?.exits_with(0)?;
    }
    // Nobody answers: the question alone goes over the wire.
    inside("busybox ping -c 1 -W 1 10.77.0.2")?;
    host::until("the figures are the kernel's", || {
        let event: Value = serde_json::from_str(&container.call("events").arg("--stats").succeeds()?.stdout)?;
        let shown = event["data"]["network_interfaces"].clone();
        let kernel: Value = serde_json::from_str(&inside("ip -json -stats link show type veth")?.stdout)?;
        let expected: Vec<Value> = kernel.as_array().into_iter().flatten().map(figures).collect();
        ensure_eq!(shown.as_array().map(Vec::len), Some(2), "{event}");
        let sent = expected.iter().any(|one| one["TxPackets"].as_u64() > Some(0));
        // It may go on sending between the two looks.
        Ok(sent && sorted(shown.as_array().cloned().unwrap_or_default()) == sorted(expected))
    })
}

/// What `events` has to show of an interface, from what ip(8) shows of it.
fn figures(link: &Value) -> Value {
    let (rx, tx) = (&link["stats64"]["rx"], &link["stats64"]["tx"]);
    json!({
        "Name": link["ifname"],
        "RxBytes": rx["bytes"], "RxPackets": rx["packets"], "RxErrors": rx["errors"], "RxDropped": rx["dropped"],
        "TxBytes": tx["bytes"], "TxPackets": tx["packets"], "TxErrors": tx["errors"], "TxDropped": tx["dropped"],
    })
}

fn sorted(mut interfaces: Vec<Value>) -> Vec<Value> {
    interfaces.sort_by_key(|one| one["Name"].to_string());
    interfaces
}

fn intervals(suite: &mut Suite) {
    for interval in ["0", "0s", "-1s", "5", "5x", "s", "1.2.3s", "99999999999h"] {
        suite.case(format!("the interval {interval:?} is refused"), move |bench| {
            let container = bench.sleeper(|_| {})?;
            let option = format!("--interval={interval}");
            let output = container.call("events").arg(option).output()?.exits_with(1)?;
            ensure!(output.stderr.contains("interval"), "{output}");
            ensure_eq!(output.stdout.contains("stats\","), false, "{output}");
            Ok(())
        });
    }
    suite.masu_only("a thousand samples do not make the process larger", |bench| {
        let _alone = bench.world.alone()?;
        let container = bench.sleeper(|_| {})?;
        let running = container.call("events").args(["--interval", "1ms"]).spawn()?;
        until_lines(&running, 50)?;
        let before = mapped(running.pid())?;
        until_lines(&running, 1050)?;
        ensure_eq!(mapped(running.pid())?, before, "mapped memory after 1,000 samples");
        Ok(())
    });
}

fn notices(suite: &mut Suite) {
    suite.case("memory that runs out is told at once, as a line of its own", |bench| {
        let mut bundle = bench.bundle()?;
        bundle.config.shell(HOG).set("/linux/resources/memory/limit", 32 << 20);
        let container = bench.container(bundle)?;
        container.create()?;
        // No sample comes for an hour: what is printed is the notice.
        let running = container.call("events").args(["--interval", "1h"]).spawn()?;
        host::until("events to watch", || watches(running.pid()))?;
        container.start()?;
        until_lines(&running, 1)?;
        let text = running.stdout_so_far()?;
        let line = format!("{{\"type\":\"oom\",\"id\":\"{}\"}}", container.id);
        ensure_eq!(text.lines().next(), Some(line.as_str()));
        Ok(())
    });
    suite.masu_only(
        "a first process that the kernel killed for its memory is told before the end",
        |bench| {
            let mut bundle = bench.bundle()?;
            bundle.config.args(&["tail", "/dev/zero"]).set("/linux/resources/memory/limit", 32 << 20);
            bundle.config.set("/linux/resources/memory/swap", 32 << 20);
            let container = bench.container(bundle)?;
            container.create()?;
            let running = container.call("events").args(["--interval", "1h"]).spawn()?;
            host::until("events to watch", || watches(running.pid()))?;
            container.start()?;
            let output = running.wait()?.exits_with(0)?;
            let line = format!("{{\"type\":\"oom\",\"id\":\"{}\"}}\n", container.id);
            ensure!(output.stdout.starts_with(&line), "{output}");
            Ok(())
        },
    );
}

fn ends(suite: &mut Suite) {
    suite.case("it ends with the container, once that is deleted", |bench| {
        let container = bench.sleeper(|_| {})?;
        let running = container.call("events").args(["--interval", "20ms"]).spawn()?;
        until_lines(&running, 1)?;
        container.stop()?;
        container.delete()?;
        running.wait()?.exits_with(0)?;
        Ok(())
    });
    suite.masu_only("it ends as soon as the container's process does", |bench| {
        let container = bench.sleeper(|_| {})?;
        let running = container.call("events").args(["--interval", "1h"]).spawn()?;
        host::until("events to watch", || watches(running.pid()))?;
        container.stop()?;
        let output = running.wait()?.exits_with(0)?;
        ensure_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", ""), "{output}");
        Ok(())
    });
    suite.case("a container that has stopped is refused", |bench| {
        let container = bench.sleeper(|_| {})?;
        container.stop()?;
        let phrase = format!("container with id {} is not running", container.id);
        for option in ["--stats", "--interval=20ms"] {
            container.call("events").arg(option).output()?.fails_with(1, &[&phrase])?;
        }
        Ok(())
    });
    suite.masu_only("a reader that goes away ends it without a word", |bench| {
        let container = bench.sleeper(|_| {})?;
        let line = bench.command_line();
        // The second one prints nothing for an hour: it has to notice by itself.
        for (interval, reader) in [("20ms", "head -n 1 >/dev/null"), ("1h", "true")] {
            let script = format!(
                "{{ {line} events --interval {interval} {}; echo $? >&2; }} | {reader}",
                container.id
            );
            let output = bench.program("sh").args(["-c", &script]).succeeds()?;
            ensure_eq!(output.stderr, "0\n");
        }
        Ok(())
    });
}

fn until_lines(running: &Running, count: usize) -> Check {
    host::until("lines of events", || Ok(running.stdout_so_far()?.matches('\n').count() >= count))
}

/// Whether it has its descriptor for notices of the memory controller: an eventfd (version 1) or memory.events.
fn watches(pid: i32) -> Check<bool> {
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        let Ok(target) = fs::read_link(entry?.path()) else { continue };
        let target = target.to_string_lossy().into_owned();
        // Of runc's own eventfds, which its poller has, only this one comes with memory.oom_control beside it.
        if target.ends_with("memory.oom_control")
            || target.ends_with("memory.events")
            || target.contains("inotify")
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The mapped memory of a process, in proc_pid_status(5)'s words.
fn mapped(pid: i32) -> Check<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmSize:"));
    line.map(str::to_owned).ok_or_else(|| fail("no VmSize"))
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().map(|object| object.keys().map(String::as_str).collect()).unwrap_or_default()
}
