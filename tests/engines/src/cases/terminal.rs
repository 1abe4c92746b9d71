//! Containers with terminals.

use masu_harness::command::Running;
use masu_harness::terminal::Terminal;
use masu_harness::{Check, ensure, ensure_eq};

use crate::bench::Bench;
use crate::suite::{DOCKER_LIKE, Suite};

pub(super) fn add(suite: &mut Suite) {
    suite.case(DOCKER_LIKE, "tty and resize", "a shell on a terminal has its size, and follows it", shell);
    suite.case(DOCKER_LIKE, "tty and resize", "exec has a terminal of its own", exec);
    suite.case(DOCKER_LIKE, "tty and resize", "a key ends what is in the foreground", interrupt);
}

fn shell(bench: &Bench<'_>) -> Check {
    let (mut terminal, slave) = Terminal::open()?;
    terminal.resize(30, 100)?;
    let running = bench.run(&["--rm", "--tty", "--interactive"], &["sh"]).on_terminal(&slave)?.spawn()?;
    drop(slave);
    terminal.write("tty; echo ready-$((6*7))\n")?;
    let text = terminal.expect("ready-42")?;
    ensure!(text.contains("/dev/pts/0"), "no terminal: {text:?}");
    // The engine passes the size on when the container runs, which its shell may precede.
    terminal.write("until [ \"$(stty size)\" = '30 100' ]; do sleep 0.05; done; echo first-$((6*7))\n")?;
    terminal.expect("first-42")?;
    follows_and_ends(terminal, running)
}

/// The shell on a terminal follows its size, and ends. Shared by the cases of all engines.
pub(super) fn follows_and_ends(mut terminal: Terminal, running: Running) -> Check {
    terminal.resize(31, 101)?;
    terminal.write("until [ \"$(stty size)\" = '31 101' ]; do sleep 0.05; done; echo second-$((6*7))\n")?;
    // The engine listens for signals when the shell already talks.
    masu_harness::host::until("the terminal follows", || {
        running.signal(rustix::process::Signal::WINCH)?;
        terminal.shows("second-42")
    })?;
    // It may end before it has shown what was written last.
    terminal.write("exit 3\n")?;
    terminal.expect_end()?;
    running.wait()?.exits_with(3)?;
    Ok(())
}

fn exec(bench: &Bench<'_>) -> Check {
    let name = bench.sleeper(&[])?;
    let (mut terminal, slave) = Terminal::open()?;
    let command = ["exec", "--tty", "--interactive", &name, "sh"];
    let running = bench.call(&command).on_terminal(&slave)?.spawn()?;
    drop(slave);
    terminal.write("tty; echo ready-$((6*7)); exit 4\n")?;
    let text = terminal.expect_end()?;
    ensure!(text.contains("/dev/pts/0") && text.contains("ready-42"), "{text:?}");
    running.wait()?.exits_with(4)?;
    ensure_eq!(bench.inspect(&name, "{{.State.Status}}")?, "running");
    Ok(())
}

fn interrupt(bench: &Bench<'_>) -> Check {
    let (mut terminal, slave) = Terminal::open()?;
    let command =
        ["sh", "-c", "trap 'echo interrupted; exit 8' INT; echo ready; while :; do sleep 0.05; done"];
    let running = bench.run(&["--rm", "--tty", "--interactive"], &command).on_terminal(&slave)?.spawn()?;
    drop(slave);
    terminal.expect("ready")?;
    terminal.write("\u{3}")?;
    let text = terminal.expect_end()?;
    ensure!(text.contains("interrupted"), "{text:?}");
    running.wait()?.exits_with(8)?;
    Ok(())
}
