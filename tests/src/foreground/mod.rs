//! `run` in the foreground, as a supervisor or a pipe sees it.

use std::fs;

use rustix::process::Signal;

use crate::harness::command::Running;
use crate::harness::{Bench, Check, Container, Need, Suite, ensure, ensure_eq, host};

/// The suite.
pub(crate) fn suite() -> Suite {
    let mut suite = Suite::new("foreground");
    signals(&mut suite);
    streams(&mut suite);
    children(&mut suite);
    suite
}

fn signals(suite: &mut Suite) {
    let table = [
        ("TERM", Signal::TERM),
        ("INT", Signal::INT),
        ("HUP", Signal::HUP),
        ("USR1", Signal::USR1),
        ("USR2", Signal::USR2),
    ];
    for (name, signal) in table {
        suite.case(format!("SIG{name} sent to `run` reaches the container"), move |bench| {
            let (_container, running) = trapping(bench, &[], "")?;
            running.signal(signal)?;
            let output = running.wait()?.exits_with(7)?;
            ensure_eq!(output.text(), format!("ready\ngot {name}"));
            Ok(())
        });
    }
    suite
        .case("a signal that ends the container gives 128 plus its number", |bench| {
            let mut bundle = bench.bundle()?;
            bundle.config.without_namespace("pid").shell("echo ready; exec sleep 1000");
            let container = bench.container(bundle)?;
            let running = ready(container.run_in_background()?)?;
            running.signal(Signal::TERM)?;
            running.wait()?.exits_with(143)?;
            Ok(())
        })
        .needs(&[Need::Root]);
    suite.case("SIGCHLD, SIGWINCH and SIGURG do not reach the container", |bench| {
        let (_container, running) = trapping(bench, &[], "CHLD WINCH URG")?;
        running.signal(Signal::WINCH)?;
        running.signal(Signal::URG)?;
        running.signal(Signal::TERM)?;
        let output = running.wait()?.exits_with(7)?;
        ensure!(!output.stdout.contains("got URG"), "{output}");
        ensure!(!output.stdout.contains("got WINCH"), "{output}");
        Ok(())
    });
    suite.case("SIGTERM sent to `exec` reaches the command", |bench| {
        let container = bench.sleeper(|_| {})?;
        let script = "trap 'echo got TERM; exit 7' TERM; echo ready; while :; do sleep 1000 > /dev/null 2>&1 & wait; done";
        let running = ready(container.exec_with(&[], &["sh", "-c", script]).spawn()?)?;
        running.signal(Signal::TERM)?;
        ensure_eq!(running.wait()?.exits_with(7)?.text(), "ready\ngot TERM");
        // The command's own sleep has lost its parent; it ends with the container.
        container.stop()
    });
}

fn trapping<'b>(bench: &'b Bench<'_>, options: &[&str], quiet: &str) -> Check<(Container<'b>, Running)> {
    let script = format!(
        "for s in {quiet}; do trap \"echo got $s\" $s; done
        for s in TERM INT HUP USR1 USR2; do trap \"echo got $s; exit 7\" $s; done
        echo ready; while :; do sleep 1000 & wait; done"
    );
    let mut bundle = bench.bundle()?;
    bundle.config.shell(&script);
    let container = bench.container(bundle)?;
    let running = ready(container.launch("run", options).spawn()?)?;
    Ok((container, running))
}

/// Waits until the container has said that it is ready.
fn ready(mut running: Running) -> Check<Running> {
    host::until("it says ready", || Ok(running.stdout_so_far()?.contains("ready") || running.has_ended()?))?;
    if running.has_ended()? {
        let output = running.wait()?;
        return Err(crate::harness::fail(format!("it ended early: {output}")));
    }
    Ok(running)
}

fn streams(suite: &mut Suite) {
    suite.case("the end of standard input reaches the container", |bench| {
        let mut bundle = bench.bundle()?;
        bundle.config.shell("cat; echo end");
        let container = bench.container(bundle)?;
        let mut running = container.launch("run", &[]).stdin_pipe().spawn()?;
        running.write(b"line\n")?;
        let output = running.wait()?.exits_with(0)?;
        ensure_eq!(output.stdout, "line\nend\n");
        Ok(())
    });
    suite.case("it works in the middle of a pipe", |bench| {
        let mut bundle = bench.bundle()?;
        bundle.config.args(&["tr", "a-z", "A-Z"]);
        let container = bench.container(bundle)?;
        let script = format!(
            "echo hello | {} run --bundle {} {} | cat",
            bench.command_line(),
            container.bundle.dir.display(),
            container.id
        );
        ensure_eq!(bench.program("sh").args(["-c", &script]).succeeds()?.stdout, "HELLO\n");
        Ok(())
    });
    for closed in ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"] {
        suite.case(format!("it works with closed descriptors: {closed}"), move |bench| {
            closed_streams(bench, closed)
        });
    }
    suite.case("the reader of a pipe that goes away ends the container's writer", |bench| {
        let mut bundle = bench.bundle()?;
        bundle.config.args(&["yes"]);
        let container = bench.container(bundle)?;
        let script = format!(
            "{} run --bundle {} {} | head -n 1",
            bench.command_line(),
            container.bundle.dir.display(),
            container.id
        );
        ensure_eq!(bench.program("sh").args(["-c", &script]).succeeds()?.stdout, "y\n");
        Ok(())
    });
}

fn closed_streams(bench: &Bench<'_>, closed: &str) -> Check {
    let mut bundle = bench.bundle()?;
    bundle.config.writable().shell("ls -l /proc/self/fd > /run/fds; exit 5");
    let fds = bundle.inside("run/fds");
    let container = bench.container(bundle)?;
    let script = format!(
        "exec {} run --bundle {} {} {closed}",
        bench.command_line(),
        container.bundle.dir.display(),
        container.id
    );
    bench.program("sh").args(["-c", &script]).output()?.exits_with(5)?;
    let listing = fs::read_to_string(&fds)?;
    // Nothing of the runtime may have slipped into the free numbers.
    for line in listing.lines().filter(|line| line.contains(" -> ")) {
        let target = line.rsplit(" -> ").next().unwrap_or_default();
        let harmless = target == "/dev/null" || target == "/run/fds" || target.starts_with("pipe:[");
        let listing_itself = target.starts_with("/proc/") && target.ends_with("/fd");
        ensure!(harmless || listing_itself || target.contains("masu-test"), "{listing}");
    }
    Ok(())
}

#[expect(clippy::too_many_lines, reason = "a flat list of cases")]
fn children(suite: &mut Suite) {
    suite
        .case("`run` ends with its container and leaves no orphan of it without a pid namespace", |bench| {
            let mut bundle = bench.bundle()?;
            bundle.config.without_namespace("pid").shell("(sleep 0.2; echo late) & exit 3");
            let container = bench.container(bundle)?;
            container.run()?.exits_with(3)?;
            host::until("no process is left", || Ok(host::processes_of(&container.id)?.is_empty()))
        })
        .needs(&[Need::Root]);
    suite.case("processes that lose their parent are reaped inside a pid namespace", |bench| {
        bench.script("(sleep 0.05 &) ; (sleep 0.05 &); sleep 0.3; exit 4", |_| {})?.exits_with(4)?;
        Ok(())
    });
    suite.case("`--no-subreaper` is accepted and the status comes back", |bench| {
        let mut bundle = bench.bundle()?;
        bundle.config.shell("exit 9");
        let container = bench.container(bundle)?;
        container.launch("run", &["--no-subreaper"]).output()?.exits_with(9)?;
        Ok(())
    });
    suite
        .case("by default `run` is the subreaper of its container", |bench| reparented(bench, &[], true))
        .needs(&[Need::Root]);
    suite
        .case("with `--no-subreaper` orphans go past `run`", |bench| {
            reparented(bench, &["--no-subreaper"], false)
        })
        .needs(&[Need::Root]);
    suite.case("it works without a controlling terminal in a session of its own", |bench| {
        let mut bundle = bench.bundle()?;
        bundle.config.shell("exit 6");
        let container = bench.container(bundle)?;
        let line = bench.command_line();
        let script =
            format!("exec setsid -w {line} run --bundle {} {}", container.bundle.dir.display(), container.id);
        bench.program("sh").args(["-c", &script]).output()?.exits_with(6)?;
        Ok(())
    });
    suite.case("it works when the caller ignores SIGCHLD", |bench| {
        let mut bundle = bench.bundle()?;
        bundle.config.shell("exit 8");
        let container = bench.container(bundle)?;
        let line = bench.command_line();
        let script = format!(
            "trap '' CHLD; exec {line} run --bundle {} {}",
            container.bundle.dir.display(),
            container.id
        );
        bench.program("sh").args(["-c", &script]).output()?.exits_with(8)?;
        Ok(())
    });
    suite.case(
        "signals that the runtime blocks or ignores for itself are not so in the container",
        |bench| {
            let mut bundle = bench.bundle()?;
            bundle.config.args(&["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"]);
            let container = bench.container(bundle)?;
            let line = bench.command_line();
            // Nothing that the caller of the tests ignores, such as nohup(1)'s SIGHUP, gets so far.
            let (bundle, id) = (container.bundle.dir.display(), &container.id);
            let script = format!("exec env --default-signal {line} run --bundle {bundle} {id}");
            let output = bench.program("sh").args(["-c", &script]).succeeds()?;
            let (blocked, rest) = output.stdout.split_once('\n').unwrap_or_default();
            ensure_eq!(blocked, "SigBlk:\t0000000000000000");
            let found = u64::from_str_radix(rest.trim_start_matches("SigIgn:").trim(), 16)?;
            // The C library's own two cannot be reset, and its posix_spawn(3) may leave them ignored on the way here.
            ensure_eq!(found & !(0b11 << 31), 0);
            Ok(())
        },
    );
}

/// An orphan of a container without a pid namespace becomes a child of `run`, or does not.
fn reparented(bench: &Bench<'_>, options: &[&str], adopted: bool) -> Check {
    let mut bundle = bench.bundle()?;
    bundle.config.without_namespace("pid").shell("(sleep 888 &); echo ready; exec sleep 999");
    let container = bench.container(bundle)?;
    let running = ready(container.launch("run", options).spawn()?)?;
    let mut parent = String::new();
    host::until("the orphan has a new parent", || {
        let init = container.pid()?;
        for pid in host::processes_of(&container.id)? {
            let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            if line == "sleep\x00888\0" {
                parent = host::status_field(pid, "PPid")?;
                return Ok(parent != init.to_string());
            }
        }
        Ok(false)
    })?;
    ensure_eq!(parent == running.pid().to_string(), adopted, "the orphan's parent is {parent}");
    bench.call(&["kill", "--all", &container.id, "KILL"]).succeeds()?;
    running.wait()?.exits_with(137)?;
    Ok(())
}
