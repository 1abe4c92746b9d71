//! How containers end, and what the engine then says.

use masu_harness::{Check, ensure, ensure_eq};

use crate::bench::Bench;
use crate::suite::{DOCKER_LIKE, Suite};

pub(super) fn add(suite: &mut Suite) {
    suite.case(DOCKER_LIKE, "stop with a timeout", "a container that listens ends when it is told to", stop);
    suite.case(
        DOCKER_LIKE,
        "stop with a timeout",
        "a container that does not listen is killed after the timeout",
        stop_deaf,
    );
    suite.case(DOCKER_LIKE, "kill", "a signal reaches the container", kill_signal);
    suite.case(DOCKER_LIKE, "kill", "a killed container has ended by 9", kill);
    suite.case(DOCKER_LIKE, "exit codes", "125 is the engine's own failure", code_125);
    suite.case(DOCKER_LIKE, "exit codes", "126 is a command that cannot be executed", code_126);
    suite.case(DOCKER_LIKE, "exit codes", "127 is a command that is not there", code_127);
    suite.case(DOCKER_LIKE, "exit codes", "137 and 143 are ends by signals", code_signal);
    suite.case(
        DOCKER_LIKE,
        "exit codes",
        "exec has the codes of a command that cannot be started",
        code_exec,
    );
}

fn stop(bench: &Bench<'_>) -> Check {
    let name = bench.detached_script(&[], "trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done")?;
    bench.until_logged(&name, "ready")?;
    bench.succeeds(&["stop", "--time", "20", &name])?;
    bench.until(&name, "{{.State.Status}} {{.State.ExitCode}}", "exited 5")
}

fn stop_deaf(bench: &Bench<'_>) -> Check {
    let name = bench.detached_script(&[], "trap '' TERM; echo ready; while :; do sleep 0.05; done")?;
    bench.until_logged(&name, "ready")?;
    bench.call(&["stop", "--time", "1", &name]).succeeds()?;
    bench.until(&name, "{{.State.Status}} {{.State.ExitCode}}", "exited 137")
}

fn kill_signal(bench: &Bench<'_>) -> Check {
    let name = bench
        .detached_script(&[], "trap 'echo usr1; exit 6' USR1; echo ready; while :; do sleep 0.05; done")?;
    bench.until_logged(&name, "ready")?;
    bench.succeeds(&["kill", "--signal", "USR1", &name])?;
    ensure_eq!(bench.succeeds(&["wait", &name])?, "6");
    bench.until_logged(&name, "usr1")
}

fn kill(bench: &Bench<'_>) -> Check {
    let name = bench.detached(&[], &["sleep", "1000"])?;
    bench.succeeds(&["kill", &name])?;
    ensure_eq!(bench.succeeds(&["wait", &name])?, "137");
    let output = bench.call(&["kill", &name]).output()?;
    ensure!(output.code != Some(0), "killed twice: {output}");
    Ok(())
}

fn code_125(bench: &Bench<'_>) -> Check {
    bench.run(&["--rm", "--no-such-flag"], &["true"]).output()?.exits_with(125)?;
    Ok(())
}

fn code_126(bench: &Bench<'_>) -> Check {
    bench.run(&["--rm"], &["/etc/passwd"]).output()?.fails_with(126, &["ermission denied"])?;
    Ok(())
}

fn code_127(bench: &Bench<'_>) -> Check {
    bench.run(&["--rm"], &["/no/such/program"]).output()?.fails_with(127, &["o such file or directory"])?;
    bench.run(&["--rm"], &["no-such-program"]).output()?.fails_with(127, &["executable file"])?;
    Ok(())
}

fn code_signal(bench: &Bench<'_>) -> Check {
    bench.run(&["--rm", "--init"], &["sh", "-c", "kill -KILL $$"]).output()?.exits_with(137)?;
    bench.run(&["--rm", "--init"], &["sh", "-c", "kill -TERM $$"]).output()?.exits_with(143)?;
    Ok(())
}

fn code_exec(bench: &Bench<'_>) -> Check {
    let name = bench.sleeper(&[])?;
    bench.call(&["exec", &name, "/etc/passwd"]).output()?.exits_with(126)?;
    // Docker 20.10 says 126 of both; newer ones do not.
    let missing = if bench.is_podman() { 127 } else { 126 };
    bench.call(&["exec", &name, "no-such-program"]).output()?.exits_with(missing)?;
    bench.call(&["exec", &name, "sh", "-c", "exit 9"]).output()?.exits_with(9)?;
    Ok(())
}
