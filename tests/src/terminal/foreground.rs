//! `run` and `exec` in the foreground of a person's terminal.

use std::fs;

use rustix::process::Signal;

use crate::harness::command::{Invocation, Running};
use crate::harness::config::Config;
use crate::harness::terminal::Terminal;
use crate::harness::{Bench, Check, Container, Need, Suite, ensure, ensure_eq, host};

/// A runtime in the foreground of a terminal, which it controls.
pub(super) struct Session<'b> {
    pub(super) container: Container<'b>,
    pub(super) terminal: Terminal,
    pub(super) running: Running,
    /// The modes of the terminal before.
    before: String,
}

impl Session<'_> {
    /// Waits for the runtime's end: its exit status, and the terminal as it was before.
    pub(super) fn ends_with(mut self, code: i32) -> Check<String> {
        let text = self.terminal.expect_end()?;
        self.running.wait()?.exits_with(code)?;
        ensure_eq!(self.terminal.all_modes()?, self.before, "the modes of the terminal after {text:?}");
        Ok(text)
    }
}

/// A bundle's script with a terminal, run by `LINE run …` where the host's shell puts it.
pub(super) fn bundled<'b>(
    bench: &'b Bench<'_>,
    script: &str,
    edit: impl FnOnce(&mut Config),
) -> Check<Container<'b>> {
    let mut bundle = bench.bundle()?;
    bundle.config.set("/process/terminal", true).shell(script);
    edit(&mut bundle.config);
    bench.container(bundle)
}

/// The words of `run`, for a shell.
pub(super) fn run_line(bench: &Bench<'_>, container: &Container<'_>) -> String {
    format!("{} run --bundle {} {}", bench.command_line(), container.bundle.dir.display(), container.id)
}

/// A command of the host that leads a session on a new terminal of 24 rows and 80 columns.
pub(super) fn on_new_terminal(bench: &Bench<'_>, line: &str) -> Check<(Terminal, Invocation)> {
    let (terminal, slave) = Terminal::open()?;
    let call = bench.program("setsid").args(["--ctty", "--wait", "sh", "-c", line]).on_terminal(&slave)?;
    Ok((terminal, call))
}

fn session<'b>(bench: &'b Bench<'_>, script: &str, edit: impl FnOnce(&mut Config)) -> Check<Session<'b>> {
    let container = bundled(bench, script, edit)?;
    let line = format!("exec {}", run_line(bench, &container));
    let (terminal, call) = on_new_terminal(bench, &line)?;
    let before = terminal.all_modes()?;
    Ok(Session { container, terminal, running: call.spawn()?, before })
}

/// Waits until the terminal is raw: from then on it is the container's that counts.
fn until_raw(terminal: &Terminal) -> Check {
    host::until("the terminal is raw", || Ok(!terminal.is_cooked()?))
}

/// Adds the cases.
pub(crate) fn add(suite: &mut Suite) {
    talks(suite);
    restored(suite);
    redirected(suite);
    elsewhere(suite);
    amounts(suite);
    execs(suite);
}

fn talks(suite: &mut Suite) {
    suite.case("a person types into the shell of `run`, and its status comes back", |bench| {
        let mut session = session(bench, "exec sh", |_| {})?;
        session.terminal.expect("# ")?;
        until_raw(&session.terminal)?;
        session.terminal.write("echo $((6 * 7))\r")?;
        session.terminal.expect("\n42\n")?;
        session.terminal.write("exit 3\r")?;
        session.ends_with(3)?;
        Ok(())
    });
    suite.case("the terminal inside has the size of the one outside, and follows it", |bench| {
        let script = "trap 'stty size; exit 4' WINCH; stty size; echo ready; while :; do sleep 0.1; done";
        let mut session = session(bench, script, |_| {})?;
        ensure!(session.terminal.expect("ready\n")?.contains("24 80\n"), "{:?}", session.terminal.text());
        until_raw(&session.terminal)?;
        session.terminal.resize(50, 132)?;
        session.terminal.expect("50 132\n")?;
        session.ends_with(4)?;
        Ok(())
    });
    suite.case("a program finds the size at its very beginning", |bench| {
        let session = session(bench, "exec stty size", |_| {})?;
        ensure_eq!(session.ends_with(0)?, "24 80\n");
        Ok(())
    });
    suite.case("what is typed is not changed: Ctrl-C, Ctrl-Z and Ctrl-S are the container's", |bench| {
        let script = "stty raw -echo; echo ready; head -c 5 | od -An -tx1; exit 5";
        let mut session = session(bench, script, |_| {})?;
        session.terminal.expect("ready\n")?;
        until_raw(&session.terminal)?;
        session.terminal.write("\x03\x1a\x13\r\x04")?;
        session.terminal.expect("03 1a 13 0d 04")?;
        session.ends_with(5)?;
        Ok(())
    });
    suite.case("Ctrl-C interrupts the program on the terminal inside", |bench| {
        let mut session =
            session(bench, "trap 'echo got INT; exit 6' INT; echo ready; sleep 1000 & wait", |_| {})?;
        session.terminal.expect("ready\n")?;
        until_raw(&session.terminal)?;
        session.terminal.write("\x03")?;
        session.terminal.expect("got INT\n")?;
        session.ends_with(6)?;
        Ok(())
    });
    suite.case("what is echoed is echoed once", |bench| {
        let mut session = session(bench, "echo ready; read x; echo got $x", |_| {})?;
        session.terminal.expect("ready\n")?;
        until_raw(&session.terminal)?;
        session.terminal.write("word\r")?;
        ensure_eq!(session.ends_with(0)?, "ready\nword\ngot word\n");
        Ok(())
    });
    suite.case("a terminal that every process has closed can be opened again", |bench| {
        let script = "exec < /dev/null > /dev/null 2>&1; sleep 0.2; echo again > /dev/console; exit 2";
        ensure_eq!(session(bench, script, |_| {})?.ends_with(2)?, "again\n");
        Ok(())
    });
}

fn restored(suite: &mut Suite) {
    for (what, script, code) in [
        ("success", "echo shown", 0),
        ("failure", "echo shown; exit 9", 9),
        ("a crash", "echo shown; kill -SEGV $$; sleep 1000", 139),
    ] {
        suite
            .case(format!("the terminal is as before after {what}"), move |bench| {
                let session = session(bench, script, |config| {
                    config.without_namespace("pid");
                })?;
                ensure_eq!(session.ends_with(code)?, "shown\n");
                Ok(())
            })
            .needs(&[Need::Root]);
    }
    suite.case("the terminal is as before after the container was killed", |bench| {
        let mut session = session(bench, "echo ready; exec sleep 1000", |_| {})?;
        session.terminal.expect("ready\n")?;
        until_raw(&session.terminal)?;
        session.container.kill("KILL")?;
        session.ends_with(137)?;
        Ok(())
    });
    for (name, signal, code) in
        [("TERM", Signal::TERM, 143), ("INT", Signal::INT, 130), ("HUP", Signal::HUP, 129)]
    {
        suite.case(format!("SIG{name} ends the container, and the terminal is as before"), move |bench| {
            let mut session = session(bench, "echo ready; exec sleep 1000", |config| {
                config.without_namespace("pid");
            })?;
            session.terminal.expect("ready\n")?;
            until_raw(&session.terminal)?;
            session.running.signal(signal)?;
            session.ends_with(code)?;
            Ok(())
        });
    }
    suite.case("the terminal is as before when the program is not there", |bench| {
        let session = session(bench, "", |config| {
            config.args(&["/no/such/program"]);
        })?;
        let text = session.ends_with(1)?;
        ensure!(text.contains("no such file or directory"), "{text:?}");
        Ok(())
    });
    suite.case("when the terminal hangs up, the one inside does", |bench| {
        // As the first process of a pid namespace the shell would not be ended by the signal: it is the end of its input.
        let Session { container, mut terminal, running, .. } =
            session(bench, "echo ready; cat; sleep 0.1", |_| {})?;
        terminal.expect("ready\n")?;
        until_raw(&terminal)?;
        drop(terminal);
        let output = running.wait()?;
        ensure!(output.code.is_some(), "{output}");
        ensure_eq!(bench.root.join(&container.id).exists(), false);
        Ok(())
    });
}

fn redirected(suite: &mut Suite) {
    suite.case("lines in a file end as a file has them", |bench| {
        let container = bundled(bench, "echo one; echo two", |_| {})?;
        let file = bench.path("out");
        let line = format!("exec {} > {}", run_line(bench, &container), file.display());
        let (mut terminal, call) = on_new_terminal(bench, &line)?;
        let running = call.spawn()?;
        terminal.expect_end()?;
        running.wait()?.exits_with(0)?;
        ensure_eq!(fs::read_to_string(file)?, "one\ntwo\n");
        Ok(())
    });
    suite.case("what comes from a pipe is typed", |bench| {
        let container = bundled(bench, "read a; read b; echo got $a $b; exit 3", |_| {})?;
        let line = format!("printf 'one\\ntwo\\n' | {}", run_line(bench, &container));
        let (mut terminal, call) = on_new_terminal(bench, &line)?;
        let running = call.spawn()?;
        terminal.expect("got one two\n")?;
        terminal.expect_end()?;
        running.wait()?.exits_with(3)?;
        Ok(())
    });
    suite.case("without input it runs to its end", |bench| {
        let container = bundled(bench, "tty; exit 2", |_| {})?;
        let line = format!("exec {} < /dev/null", run_line(bench, &container));
        let (mut terminal, call) = on_new_terminal(bench, &line)?;
        let running = call.spawn()?;
        ensure_eq!(terminal.expect_end()?, "/dev/pts/0\n");
        running.wait()?.exits_with(2)?;
        Ok(())
    });
}

fn elsewhere(suite: &mut Suite) {
    suite.case("with all streams elsewhere the controlling terminal gives the size", |bench| {
        let container = bundled(bench, "stty size", |_| {})?;
        let file = bench.path("out");
        let line = format!("exec {} < /dev/null > {} 2>&1", run_line(bench, &container), file.display());
        let (mut terminal, call) = on_new_terminal(bench, &line)?;
        let running = call.spawn()?;
        terminal.expect_end()?;
        running.wait()?.exits_with(0)?;
        ensure_eq!(fs::read_to_string(file)?, "24 80\n");
        Ok(())
    });
    suite.case("Ctrl-C ends a `run` whose input is not the terminal", |bench| {
        let container = bundled(bench, "echo ready; exec sleep 1000", |config| {
            config.without_namespace("pid");
        })?;
        let line = format!("exec {} < /dev/null", run_line(bench, &container));
        let (mut terminal, call) = on_new_terminal(bench, &line)?;
        let running = call.spawn()?;
        terminal.expect("ready\n")?;
        terminal.write("\x03")?;
        terminal.expect_end()?;
        running.wait()?.exits_with(130)?;
        Ok(())
    });
    suite.case("without any terminal it is refused", |bench| {
        let container = bundled(bench, "echo never", |_| {})?;
        let call = bench.program("setsid").args(["--wait", "sh", "-c", &run_line(bench, &container)]);
        let output = call.output()?.fails_with(1, &["open /dev/tty: no such device or address"])?;
        ensure_eq!(output.stdout, "");
        ensure_eq!(bench.root.join(&container.id).exists(), false);
        Ok(())
    });
}

fn amounts(suite: &mut Suite) {
    suite.case("a large paste arrives whole", |bench| {
        let script = "stty raw -echo; echo ready; head -c 1000000 | md5sum; exit 4";
        let mut session = session(bench, script, |_| {})?;
        session.terminal.expect("ready\n")?;
        until_raw(&session.terminal)?;
        let line = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n";
        let text: String = line.chars().cycle().take(1_000_000).collect();
        session.terminal.write(&text)?;
        let expected = bench.program("md5sum").stdin(text).succeeds()?;
        let sum = expected.text().trim_end_matches(" -").to_owned();
        let shown = session.ends_with(4)?;
        ensure!(shown.contains(&sum), "{shown:?} is not {sum:?}");
        Ok(())
    });
    suite.case("all that a program shows comes before the end", |bench| {
        let session = session(bench, "exec seq 1 100000", |_| {})?;
        let shown = session.ends_with(0)?;
        let expected: String = (1..=100_000).map(|number| format!("{number}\n")).collect();
        ensure!(shown == expected, "{} bytes of {}", shown.len(), expected.len());
        Ok(())
    });
    suite.case("typing while much is shown stops neither", |bench| {
        let script = "stty -echo; echo ready; (seq 1 50000; echo shown) & while read x; do test $x = 20000 && break; done; wait; exit 3";
        let mut session = session(bench, script, |_| {})?;
        session.terminal.expect("ready\n")?;
        until_raw(&session.terminal)?;
        for start in (1..=20_000).step_by(500) {
            let text: String = (start..start + 500).map(|number| format!("{number}\r")).collect();
            session.terminal.write(&text)?;
        }
        let shown = session.ends_with(3)?;
        ensure!(shown.contains("\n50000\nshown\n"), "{} bytes", shown.len());
        Ok(())
    });
}

/// `exec --tty` of a script in the foreground of a new terminal.
fn on_exec(bench: &Bench<'_>, script: &str) -> Check<(Terminal, Running)> {
    let container = bench.sleeper(|_| {})?;
    let line = format!("exec {} exec --tty {} sh -c '{script}'", bench.command_line(), container.id);
    let (terminal, call) = on_new_terminal(bench, &line)?;
    let running = call.spawn()?;
    // The container lives until the search for leaks.
    std::mem::forget(container);
    Ok((terminal, running))
}

fn execs(suite: &mut Suite) {
    suite.case("`exec --tty` has a terminal of its own, and its status comes back", |bench| {
        let (mut terminal, running) = on_exec(bench, "tty; test -t 0 && test -t 1 && test -t 2 && exit 7")?;
        ensure_eq!(terminal.expect_end()?, "/dev/pts/0\n");
        running.wait()?.exits_with(7)?;
        Ok(())
    });
    suite.case("a program of `exec --tty` finds the size at its very beginning", move |bench| {
        let (mut terminal, running) = on_exec(bench, "exec stty size")?;
        ensure_eq!(terminal.expect_end()?, "24 80\n");
        running.wait()?.exits_with(0)?;
        Ok(())
    });
    suite.case("a person types into the shell of `exec --tty`", move |bench| {
        let (mut terminal, running) = on_exec(bench, "exec sh")?;
        terminal.expect("# ")?;
        until_raw(&terminal)?;
        terminal.write("echo $((6 * 7))\r")?;
        terminal.expect("\n42\n")?;
        terminal.write("exit 5\r")?;
        terminal.expect_end()?;
        running.wait()?.exits_with(5)?;
        ensure!(terminal.is_cooked()?, "still raw");
        Ok(())
    });
    suite.case("`exec` without `--tty` on a terminal has none of its own", move |bench| {
        let container = bench.sleeper(|_| {})?;
        let line = format!("exec {} exec {} sh -c 'ls /dev/pts'", bench.command_line(), container.id);
        let (mut terminal, call) = on_new_terminal(bench, &line)?;
        let running = call.spawn()?;
        ensure_eq!(terminal.expect_end()?, "ptmx\n");
        running.wait()?.exits_with(0)?;
        Ok(())
    });
    suite.case(
        "`exec --tty` of a program that is not there is 255, and the terminal is as before",
        |bench| {
            let container = bench.sleeper(|_| {})?;
            let line = format!("exec {} exec -t {} /no/such/program", bench.command_line(), container.id);
            let (mut terminal, call) = on_new_terminal(bench, &line)?;
            let before = terminal.all_modes()?;
            let running = call.spawn()?;
            let text = terminal.expect_end()?;
            ensure!(text.contains("no such file or directory"), "{text:?}");
            running.wait()?.exits_with(255)?;
            ensure_eq!(terminal.all_modes()?, before);
            Ok(())
        },
    );
    suite.case("what `exec --tty` leaves running on the terminal does not keep it", move |bench| {
        let (mut terminal, running) =
            on_exec(bench, "(trap \"\" HUP; yes) & echo started; sleep 0.1; exit 3")?;
        terminal.expect("started\n")?;
        terminal.expect_end()?;
        running.wait()?.exits_with(3)?;
        Ok(())
    });
}
