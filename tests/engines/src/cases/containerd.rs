//! containerd by ctr, whose words are its own.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use masu_harness::terminal::Terminal;
use masu_harness::{Check, ensure, ensure_eq, host};

use super::limits::{Victim, greedy};
use super::terminal::follows_and_ends;
use crate::bench::Bench;
use crate::engines::containerd::{self, run};
use crate::suite::{Engine, Suite};
use crate::world::BIN;

pub(super) fn add(suite: &mut Suite) {
    let mut case = |subject, sentence, run| suite.case(&[Engine::Containerd], subject, sentence, run);
    case("run", "a container's output and status are the command's", output);
    case("detach", "a task in the background runs, ends and is known", background);
    case("attach", "who attaches reads what comes", attach);
    case("tty and resize", "a shell on a terminal has its size, and follows it", terminal);
    case("exec", "user and directory of exec are as asked", exec);
    case("exec, 100 times", "a hundred checks of a task pass", hundred_execs);
    case("kill", "a signal reaches the task", kill);
    case("kill", "all processes of a task are killed", kill_all);
    case("pause and unpause", "a paused task is known to be", pause);
    case("limits and update", "limits are in force", limits);
    case("stats", "the metrics are those of the cgroup", metrics);
    case("events", "events tells of start and end, and of an OOM kill", events);
    case("exit codes", "a command that is not there is an error that says so", missing);
    case("volumes", "a bound directory is written to, and read-only it is not", bound);
    case("--read-only", "nothing of a read-only root is written", read_only);
    case("user namespaces", "ids are mapped as asked", mapped);
    case("--privileged", "a privileged container may mount", privileged);
    case("--network host", "the host's network is the container's", host_network);
    case("shared namespaces", "a container joins another's namespaces", joined);
    case("seccomp", "containerd's own filter is in force", seccomp);
    case("top", "ps knows the processes", processes);
    case("a hundred at once", "a hundred containers run at the same time, and go", hundred);
}

/// Starts a script in the background, and gives the container's name.
fn detached(bench: &Bench<'_>, options: &[&str], script: &str) -> Check<String> {
    let name = bench.name();
    run(bench, &[&["--detach"], options].concat(), &name).args(["sh", "-c", script]).succeeds()?;
    Ok(name)
}

/// What a script prints, which has to succeed. On a busy machine ctr may open its end of the pipes after a short task
/// has gone and miss it all, with every runtime: then the task is run again.
fn script(bench: &Bench<'_>, options: &[&str], script: &str) -> Check<String> {
    until_printed(|| {
        let name = bench.name();
        let output =
            run(bench, &[&["--rm"], options].concat(), &name).args(["sh", "-c", script]).succeeds()?;
        Ok(output.text().to_owned())
    })
}

fn until_printed(mut attempt: impl FnMut() -> Check<String>) -> Check<String> {
    let mut text = attempt()?;
    for _ in 0..4 {
        if text.is_empty() {
            text = attempt()?;
        }
    }
    Ok(text)
}

const SLEEP: &str = "trap 'exit 0' TERM; while :; do sleep 0.1; done";

/// What a script prints that is executed in a running task.
fn inside(bench: &Bench<'_>, name: &str, script: &str) -> Check<String> {
    let id = format!("exec-{}", bench.world.number());
    bench.succeeds(&["tasks", "exec", "--exec-id", &id, name, "sh", "-c", script])
}

/// The same of a script that prints something, which ctr may miss too.
fn printed_inside(bench: &Bench<'_>, name: &str, script: &str) -> Check<String> {
    until_printed(|| inside(bench, name, script))
}

/// The task's process and state.
fn task(bench: &Bench<'_>, name: &str) -> Check<(i32, String)> {
    let list = bench.succeeds(&["tasks", "list"])?;
    let mut words = list.lines().filter_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        match words.as_slice() {
            [task, pid, state] if *task == name => Some((pid.parse().ok()?, (*state).to_owned())),
            _ => None,
        }
    });
    words.next().ok_or_else(|| masu_harness::fail(format!("no task {name}:\n{list}")))
}

fn until_state(bench: &Bench<'_>, name: &str, state: &str) -> Check {
    host::until(&format!("{name} is {state}"), || Ok(task(bench, name)?.1 == state))
}

fn output(bench: &Bench<'_>) -> Check {
    let name = bench.name();
    let command = ["sh", "-c", "echo out; echo err >&2; sleep 0.5; exit 7"];
    let output = run(bench, &["--rm"], &name).args(command).output()?.exits_with(7)?;
    ensure_eq!((output.text(), output.stderr.trim()), ("out", "err"));
    Ok(())
}

fn background(bench: &Bench<'_>) -> Check {
    let name = detached(bench, &["--null-io"], SLEEP)?;
    let (pid, state) = task(bench, &name)?;
    ensure!(host::is_alive(pid) && state == "RUNNING", "{pid} is {state}");
    bench.succeeds(&["tasks", "kill", &name])?;
    until_state(bench, &name, "STOPPED")
}

fn attach(bench: &Bench<'_>) -> Check {
    let name = detached(bench, &[], "while :; do echo tick; sleep 0.05; done")?;
    let attached = bench.call(&["tasks", "attach", &name]).spawn()?;
    bench.until_printed(&attached, "tick")?;
    bench.succeeds(&["tasks", "kill", "--signal", "KILL", &name])?;
    attached.wait()?.exits_with(137)?;
    Ok(())
}

fn terminal(bench: &Bench<'_>) -> Check {
    let (mut terminal, slave) = Terminal::open()?;
    terminal.resize(30, 100)?;
    let name = bench.name();
    let running = run(bench, &["--rm", "--tty"], &name).arg("sh").on_terminal(&slave)?.spawn()?;
    drop(slave);
    terminal.write("tty; echo ready-$((6*7))\n")?;
    ensure!(terminal.expect("ready-42")?.contains("/dev/pts/0"), "no terminal: {:?}", terminal.text());
    follows_and_ends(terminal, running)
}

fn exec(bench: &Bench<'_>) -> Check {
    let name = detached(bench, &["--null-io"], SLEEP)?;
    let exec = ["tasks", "exec", "--exec-id", "e1", "--user", "7:8", "--cwd", "/tmp", &name];
    let output = bench.call(&exec).args(["sh", "-c", "id -u; id -g; pwd; exit 5"]).output()?.exits_with(5)?;
    ensure_eq!(output.text(), "7\n8\n/tmp");
    Ok(())
}

fn hundred_execs(bench: &Bench<'_>) -> Check {
    let name = detached(bench, &["--null-io"], SLEEP)?;
    for _ in 0..100 {
        inside(bench, &name, "test -d /proc/1")?;
    }
    ensure_eq!(printed_inside(bench, &name, "ps -o comm | grep -c test || true")?, "0");
    Ok(())
}

/// Deletes the task, which tells how it ended.
fn ended_with(bench: &Bench<'_>, name: &str, code: i32) -> Check {
    let output = bench.call(&["tasks", "delete", name]).succeeds()?;
    ensure!(output.stderr.contains(&format!("non-zero exit code {code}")), "not {code}: {output}");
    Ok(())
}

fn kill(bench: &Bench<'_>) -> Check {
    let name =
        detached(bench, &["--null-io"], "trap 'exit 6' USR1; touch /ready; while :; do sleep 0.05; done")?;
    host::until("it is ready", || Ok(inside(bench, &name, "test -e /ready").is_ok()))?;
    bench.succeeds(&["tasks", "kill", "--signal", "USR1", &name])?;
    until_state(bench, &name, "STOPPED")?;
    ended_with(bench, &name, 6)
}

fn kill_all(bench: &Bench<'_>) -> Check {
    let name = detached(bench, &["--null-io"], "sleep 1000 & sleep 1000 & wait")?;
    bench.succeeds(&["tasks", "kill", "--all", "--signal", "KILL", &name])?;
    until_state(bench, &name, "STOPPED")?;
    ended_with(bench, &name, 137)
}

fn pause(bench: &Bench<'_>) -> Check {
    let name = detached(bench, &["--null-io"], SLEEP)?;
    bench.succeeds(&["tasks", "pause", &name])?;
    until_state(bench, &name, "PAUSED")?;
    bench.succeeds(&["tasks", "resume", &name])?;
    until_state(bench, &name, "RUNNING")
}

fn limits(bench: &Bench<'_>) -> Check {
    let options = ["--memory-limit", "67108864", "--cpu-quota", "50000", "--cpu-period", "100000"];
    let name = detached(bench, &[&["--null-io"], &options[..]].concat(), SLEEP)?;
    let cgroup = containerd::cgroup(&name);
    let read =
        |controller: &str, file: &str| host::read_trimmed(host::cgroup(controller, &cgroup).join(file));
    let seen = match host::is_unified() {
        true => (read("", "memory.max")?, read("", "cpu.max")?),
        false => (read("memory", "memory.limit_in_bytes")?, read("cpu", "cpu.cfs_quota_us")?),
    };
    let quota = if host::is_unified() { "50000 100000" } else { "50000" };
    ensure_eq!((seen.0.as_str(), seen.1.as_str()), ("67108864", quota));
    Ok(())
}

fn metrics(bench: &Bench<'_>) -> Check {
    let name = detached(bench, &["--null-io", "--memory-limit", "67108864"], SLEEP)?;
    let text = bench.succeeds(&["tasks", "metrics", "--format", "json", &name])?;
    ensure!(text.contains("67108864") && text.contains("\"pids\""), "the metrics are {text}");
    Ok(())
}

fn events(bench: &Bench<'_>) -> Check {
    let listening = bench.call(&["events"]).spawn()?;
    // Who listens has to be heard of by containerd first: an image's label is an event that we can repeat.
    host::until("containerd tells us", || {
        bench.succeeds(&["images", "label", crate::world::IMAGE, "asked=again"])?;
        Ok(listening.stdout_so_far()?.contains("/images/update"))
    })?;
    let directory = bench.directory()?;
    let mount = format!("type=bind,src={},dst=/told,options=rbind:ro", directory.display());
    let options = ["--null-io", "--memory-limit", "16777216", "--mount", &mount];
    let name = detached(bench, &options, &greedy(Victim::Other))?;
    fs::write(directory.join("go"), "")?;
    until_state(bench, &name, "STOPPED")?;
    ended_with(bench, &name, 4)?;
    for topic in ["/tasks/create", "/tasks/start", "/tasks/oom", "/tasks/exit", "/tasks/delete"] {
        host::until(topic, || {
            let seen = listening.stdout_so_far()?;
            Ok(seen.lines().any(|line| line.contains(topic) && line.contains(&name)))
        })?;
    }
    Ok(())
}

fn missing(bench: &Bench<'_>) -> Check {
    let name = bench.name();
    let output = run(bench, &["--rm"], &name).arg("no-such-program").output()?;
    output.fails_with(1, &["executable file not found in $PATH"])?;
    let output = run(bench, &["--rm"], &bench.name()).arg("/etc/passwd").output()?;
    output.fails_with(1, &["permission denied"])?;
    Ok(())
}

fn bound(bench: &Bench<'_>) -> Check {
    let directory = bench.directory()?;
    let mount = |options: &str| format!("type=bind,src={},dst=/data,options={options}", directory.display());
    script(bench, &["--mount", &mount("rbind:rw")], "echo written >/data/file")?;
    ensure_eq!(host::read_trimmed(directory.join("file"))?, "written");
    let text =
        script(bench, &["--mount", &mount("rbind:ro")], "cat /data/file; touch /data/other || echo refused")?;
    ensure_eq!(text, "written\nrefused");
    Ok(())
}

fn read_only(bench: &Bench<'_>) -> Check {
    ensure_eq!(
        script(bench, &["--read-only"], "touch /file || echo refused; touch /dev/shm/file && echo tmpfs")?,
        "refused\ntmpfs"
    );
    Ok(())
}

/// Beside `--uidmap`, ctr 1.6 forgets `--runc-binary`, and the shim takes the runc that it finds. That there are closed
/// directories above the root is what dockerd's shims make of a machine.
fn mapped(bench: &Bench<'_>) -> Check {
    let runc = Path::new(BIN).join("runc");
    symlink(&bench.world.runtime.path, &runc)?;
    fs::set_permissions("/run/containerd", fs::Permissions::from_mode(0o700))?;
    let options = ["--uidmap", "0:700000:1000", "--gidmap", "0:800000:1000", "--null-io"];
    let name = detached(bench, &options, SLEEP)?;
    let (pid, _) = task(bench, &name)?;
    let id = |id: u32| [id.to_string(), id.to_string(), id.to_string(), id.to_string()].join("\t");
    ensure_eq!(
        (host::status_field(pid, "Uid")?, host::status_field(pid, "Gid")?),
        (id(700_000), id(800_000))
    );
    ensure_eq!(printed_inside(bench, &name, "id -u")?, "0");
    containerd::remove_all(bench, &[name])?;
    fs::remove_file(runc)?;
    Ok(())
}

fn privileged(bench: &Bench<'_>) -> Check {
    ensure_eq!(
        script(bench, &["--privileged"], "mount -t tmpfs none /tmp && grep -c ' /tmp ' /proc/mounts")?,
        "1"
    );
    Ok(())
}

fn host_network(bench: &Bench<'_>) -> Check {
    ensure_eq!(script(bench, &["--net-host"], "readlink /proc/self/ns/net")?, host::namespace_of(1, "net")?);
    Ok(())
}

fn joined(bench: &Bench<'_>) -> Check {
    let first = detached(bench, &["--null-io"], SLEEP)?;
    let (pid, _) = task(bench, &first)?;
    let options: Vec<_> = [("network", "net"), ("ipc", "ipc"), ("uts", "uts")]
        .iter()
        .flat_map(|(kind, file)| ["--with-ns".to_owned(), format!("{kind}:/proc/{pid}/ns/{file}")])
        .collect();
    let options: Vec<_> = options.iter().map(String::as_str).collect();
    let kinds = "for kind in net ipc uts; do readlink /proc/self/ns/$kind; done";
    ensure_eq!(script(bench, &options, kinds)?, printed_inside(bench, &first, kinds)?);
    Ok(())
}

fn seccomp(bench: &Bench<'_>) -> Check {
    ensure_eq!(
        script(bench, &["--seccomp"], "grep Seccomp: /proc/self/status; unshare -U true || echo refused")?,
        "Seccomp:\t2\nrefused"
    );
    Ok(())
}

fn processes(bench: &Bench<'_>) -> Check {
    let name = detached(bench, &["--null-io"], "sleep 1000 & sleep 1000 & wait")?;
    host::until("three processes", || {
        let text = bench.succeeds(&["tasks", "ps", &name])?;
        Ok(text.lines().skip(1).count() == 3)
    })
}

fn hundred(bench: &Bench<'_>) -> Check {
    let names: Vec<_> = (0..100).map(|_| bench.name()).collect();
    for chunk in names.chunks(10) {
        let start =
            |name: &String| run(bench, &["--detach", "--null-io"], name).args(["sleep", "1000"]).spawn();
        let running: Vec<_> = chunk.iter().map(start).collect::<Check<_>>()?;
        for command in running {
            command.wait()?.exits_with(0)?;
        }
    }
    let list = bench.succeeds(&["tasks", "list"])?;
    let ours = list.lines().filter(|line| line.starts_with(bench.tag()) && line.ends_with("RUNNING"));
    ensure_eq!(ours.count(), 100);
    Ok(())
}
