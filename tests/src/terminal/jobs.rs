//! Job control: what the shell does that `run` was started from.

use super::foreground::{bundled, on_new_terminal, run_line};
use crate::harness::{Bench, Check, Suite, ensure, ensure_eq, fail, host};

/// Adds the cases.
pub(crate) fn add(suite: &mut Suite) {
    suite.masu_only(
        "stopped by SIGTSTP, `run` gives the terminal back, and takes it again when it goes on",
        suspended,
    );
    suite.masu_only(
        "started in the background, `run` is stopped until it comes to the foreground",
        background,
    );
    suite.masu_only("after SIGSTOP and SIGCONT the terminal is raw again", |bench| {
        let container = bundled(bench, "echo ready; read x; echo got $x; exit 3", |_| {})?;
        let script =
            format!("{}; echo status $?; stty sane; fg; echo status $?", run_line(bench, &container));
        let (mut terminal, call) = on_new_terminal(bench, &job_control(&script))?;
        let running = call.spawn()?;
        terminal.expect("ready\n")?;
        host::until("it is raw", || Ok(!terminal.is_cooked()?))?;
        signal(bench, engine(bench, &container.id)?, "STOP")?;
        terminal.expect("status 147\n")?;
        host::until("it is raw again", || Ok(!terminal.is_cooked()?))?;
        terminal.write("word\r")?;
        terminal.expect("got word\n")?;
        terminal.expect("status 3\n")?;
        terminal.expect_end()?;
        running.wait()?.exits_with(0)?;
        Ok(())
    });
}

/// A script for a shell that puts each command into a process group of its own, as an interactive one does.
fn job_control(script: &str) -> String {
    format!("exec sh -m -c '{script}'")
}

/// The engine of a container: the process whose command line ends with its id. That of a child that has not executed
/// anything yet is the same, but the shell is not its parent.
fn engine(bench: &Bench<'_>, id: &str) -> Check<i32> {
    let line_of = |pid: i32| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let mut engine = None;
    host::until("the engine runs", || {
        for pid in host::processes_of(&bench.tag)? {
            let line = line_of(pid);
            let is_run = line.ends_with(&format!("\0{id}\0")) && line.contains("\0run\0");
            let parent = host::status_field(pid, "PPid").ok().and_then(|parent| parent.parse().ok());
            if is_run
                && !line.starts_with("sh\0")
                && parent.is_some_and(|parent| line_of(parent).starts_with("sh\0"))
            {
                engine = Some(pid);
            }
        }
        Ok(engine.is_some())
    })?;
    engine.ok_or_else(|| fail("no engine"))
}

fn signal(bench: &Bench<'_>, pid: i32, name: &str) -> Check {
    bench.program("kill").args([format!("-{name}"), pid.to_string()]).succeeds()?;
    Ok(())
}

fn suspended(bench: &mut Bench<'_>) -> Check {
    let container = bundled(bench, "echo ready; read x; echo got $x; exit 3", |_| {})?;
    let script = format!(
        "{}; echo status $?; read line; echo read $line; fg; echo status $?",
        run_line(bench, &container)
    );
    let (mut terminal, call) = on_new_terminal(bench, &job_control(&script))?;
    let before = terminal.all_modes()?;
    let running = call.spawn()?;
    terminal.expect("ready\n")?;
    host::until("it is raw", || Ok(!terminal.is_cooked()?))?;
    signal(bench, engine(bench, &container.id)?, "TSTP")?;
    terminal.expect("status 148\n")?;
    ensure_eq!(terminal.all_modes()?, before);
    // The container is not stopped: it waits for what it reads.
    ensure_eq!(container.status()?, "running");
    terminal.write("for the shell\r")?;
    terminal.expect("read for the shell\n")?;
    host::until("it is raw again", || Ok(!terminal.is_cooked()?))?;
    terminal.write("word\r")?;
    terminal.expect("got word\n")?;
    terminal.expect("status 3\n")?;
    terminal.expect_end()?;
    running.wait()?.exits_with(0)?;
    ensure_eq!(terminal.all_modes()?, before);
    Ok(())
}

fn background(bench: &mut Bench<'_>) -> Check {
    let container = bundled(bench, "echo ready; read x; echo got $x; exit 3", |_| {})?;
    let script = format!("{} & read line; echo read $line; fg; echo status $?", run_line(bench, &container));
    let (mut terminal, call) = on_new_terminal(bench, &job_control(&script))?;
    let running = call.spawn()?;
    let pid = engine(bench, &container.id)?;
    host::until("the engine is stopped", || Ok(host::status_field(pid, "State")?.starts_with('T')))?;
    ensure_eq!(container.status()?, "running");
    ensure!(terminal.is_cooked()?, "raw in the background");
    terminal.write("for the shell\r")?;
    terminal.expect("read for the shell\n")?;
    terminal.expect("ready\n")?;
    host::until("it is raw", || Ok(!terminal.is_cooked()?))?;
    terminal.write("word\r")?;
    terminal.expect("got word\n")?;
    terminal.expect("status 3\n")?;
    terminal.expect_end()?;
    running.wait()?.exits_with(0)?;
    Ok(())
}
