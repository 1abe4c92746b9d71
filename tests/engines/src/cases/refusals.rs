//! What cannot be had: the engine's error has the runtime's words, and nothing of the container is left.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use masu_harness::command::Output;
use masu_harness::terminal::Terminal;
use masu_harness::{Check, ensure, ensure_eq, host};

use crate::bench::Bench;
use crate::engines::containerd;
use crate::suite::{DOCKER_LIKE, Engine, PODMANS, Suite, WITH_CGROUPS};
use crate::world::{IMAGE, has_systemd};

pub(super) fn add(suite: &mut Suite) {
    suite.case(DOCKER_LIKE, "refusals", "a seccomp profile that cannot be had is refused by name", seccomp);
    suite.case(DOCKER_LIKE, "refusals", "a device that is not there is refused by name", device);
    suite.case(DOCKER_LIKE, "refusals", "a sysctl that is not there is refused by name", sysctl);
    suite.case(DOCKER_LIKE, "refusals", "a file is not mounted on a directory", file_on_directory);
    suite.case(WITH_CGROUPS, "refusals", "a cgroup parent that cannot be is refused by name", cgroup_parent);
    suite.case(
        &[Engine::Podman],
        "refusals",
        "a full disk for the state is told, and can be emptied",
        full_disk,
    );
    let dead = "a console socket on which nobody listens is named, and nothing is left";
    suite.case(PODMANS, "refusals", dead, dead_console);
    suite.case(&[Engine::Containerd], "refusals", dead, dead_console_of_ctr);
}

/// Runs `true` with these options: the engine must fail with one of its codes for that, and with all of the words; and
/// must have nothing left to remove.
fn refused(bench: &Bench<'_>, options: &[&str], words: &[&str]) -> Check<Output> {
    let output = bench.run(&[&["--rm"], options].concat(), &["true"]).output()?;
    ensure!(output.code.is_some_and(|code| (125..=127).contains(&code)), "not refused: {output}");
    for word in words {
        ensure!(output.stderr.contains(word), "expected {word:?} in the error of {output}");
    }
    let name = bench.last_name();
    host::until("the container has gone", || {
        let filter = format!("name={name}");
        Ok(bench.succeeds(&["ps", "--all", "--quiet", "--filter", &filter])?.is_empty())
    })?;
    Ok(output)
}

fn seccomp(bench: &Bench<'_>) -> Check {
    let profile = bench.directory()?.join("seccomp.json");
    let option = format!("seccomp={}", profile.display());
    fs::write(&profile, r#"{"defaultAction": "SCMP_ACT_NO_SUCH"}"#)?;
    refused(bench, &["--security-opt", &option], &["SCMP_ACT_NO_SUCH"])?;
    // Docker 20.10 knows no flags, and drops them.
    if bench.is_podman() && bench.world.runtime.is_masu() {
        fs::write(
            &profile,
            r#"{"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_NO_SUCH"]}"#,
        )?;
        refused(
            bench,
            &["--security-opt", &option],
            &["linux.seccomp.flags[0]", "SECCOMP_FILTER_FLAG_NO_SUCH"],
        )?;
    }
    Ok(())
}

fn device(bench: &Bench<'_>) -> Check {
    refused(bench, &["--device", "/dev/no-such"], &["/dev/no-such"])?;
    Ok(())
}

fn sysctl(bench: &Bench<'_>) -> Check {
    refused(bench, &["--sysctl", "net.no_such=1"], &["/sys/net/no_such", "o such file or directory"])?;
    Ok(())
}

fn file_on_directory(bench: &Bench<'_>) -> Check {
    refused(bench, &["--volume", "/etc/passwd:/etc"], &["/etc"])?;
    Ok(())
}

fn cgroup_parent(bench: &Bench<'_>) -> Check {
    // For systemd it is a slice, whose name says in which others it is.
    let parent = if has_systemd() { "no--such.slice" } else { "/cpuset.cpus" };
    refused(bench, &["--cgroup-parent", parent], &[parent])?;
    Ok(())
}

/// What stands between the engine and the runtime: it gives another console socket than the engine's.
const SUBSTITUTE: &str = r#"#!/bin/sh
previous=
for word; do
    shift
    [ "$previous" != --console-socket ] || word=SOCKET
    set -- "$@" "$word"
    previous=$word
done
exec RUNTIME "$@"
"#;

/// The runtime for an engine that has died since it gave it a console socket: the file is there, and nobody listens.
fn runtime_without_listener(bench: &Bench<'_>) -> Check<PathBuf> {
    let directory = bench.directory()?;
    let (socket, program) = (directory.join("socket"), directory.join(bench.world.configured_name()));
    drop(UnixListener::bind(&socket)?);
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o777))?;
    let script = SUBSTITUTE
        .replace("SOCKET", &socket.to_string_lossy())
        .replace("RUNTIME", &bench.world.runtime.path.to_string_lossy());
    // Written by somebody else: a case that starts a program at this moment would keep the file busy (ETXTBSY).
    let write = r#"printf '%s' "$1" >"$0" && chmod 755 "$0""#;
    bench.world.succeeds("sh", &["-c", write, &program.to_string_lossy(), &script])?;
    Ok(program)
}

fn dead_console(bench: &Bench<'_>) -> Check {
    let (runtime, name) = (runtime_without_listener(bench)?, bench.name());
    let run = ["run", "--rm", "--tty", "--name", &name, "--network", "none", IMAGE, "true"];
    let output = bench.call(&["--runtime", &runtime.to_string_lossy()]).args(run).output()?;
    output.fails_with(126, &["onnection refused"])?;
    ensure_eq!(bench.succeeds(&["ps", "--all", "--quiet", "--filter", &format!("name={name}")])?, "");
    Ok(())
}

fn dead_console_of_ctr(bench: &Bench<'_>) -> Check {
    let (runtime, name) = (runtime_without_listener(bench)?, bench.name());
    let (mut terminal, slave) = Terminal::open()?;
    let running =
        containerd::run_by(bench, &runtime, &["--rm", "--tty"], &name).arg("sh").on_terminal(&slave)?;
    let running = running.spawn()?;
    drop(slave);
    let text = terminal.expect_end()?;
    running.wait()?.exits_with(1)?;
    ensure!(text.contains("onnection refused"), "ctr says {text:?}");
    for list in ["containers", "tasks"] {
        let left = bench.succeeds(&[list, "list"])?;
        ensure!(!left.contains(&name), "{name} is among the {list}: {left}");
    }
    Ok(())
}

/// podman gives `--root` of its own to the runtime when asked: other cases have theirs.
fn full_disk(bench: &Bench<'_>) -> Check {
    let state = bench.directory()?;
    let path = state.to_string_lossy().into_owned();
    bench.world.succeeds("mount", &["-t", "tmpfs", "-o", "size=4k", "full", &path])?;
    fs::write(state.join("filler"), [0; 4096])?;
    let name = bench.name();
    let options = ["--runtime-flag", &format!("root={path}"), "run", "--name", &name, "--network", "none"];
    let output = bench.call(&options).args([IMAGE, "true"]).output()?;
    ensure_eq!(output.code, Some(126), "{output}");
    ensure!(output.stderr.contains("o space left on device"), "{output}");
    let mut left: Vec<_> = fs::read_dir(&state)?.flatten().map(|entry| entry.file_name()).collect();
    left.retain(|name| name != "filler");
    ensure!(left.is_empty(), "left in the state directory: {left:?}");
    bench.succeeds(&["--runtime-flag", &format!("root={path}"), "rm", "--force", &name])?;
    bench.world.succeeds("umount", &[&path])?;
    Ok(())
}
