//! Further processes of running containers.

use masu_harness::{Check, ensure_eq, host};

use crate::bench::Bench;
use crate::suite::{DOCKER_LIKE, Engine, PODMANS, Suite};

pub(super) fn add(suite: &mut Suite) {
    suite.case(DOCKER_LIKE, "exec", "user, directory and variables of exec are as asked", identity);
    suite.case(DOCKER_LIKE, "exec", "exec reads what it is given", input);
    suite.case(DOCKER_LIKE, "exec", "exec leaves a process in the background", background);
    suite.case(DOCKER_LIKE, "exec, 100 times", "a hundred checks of a container's health pass", hundred);
    suite.case(
        &[Engine::Docker, Engine::RootlessDocker],
        "health checks",
        "the engine sees health come and go",
        health,
    );
    suite.case(PODMANS, "health checks", "the engine sees health come and go", health_on_demand);
    suite.case(DOCKER_LIKE, "top", "top knows the processes", top);
}

fn identity(bench: &Bench<'_>) -> Check {
    let name = bench.sleeper(&[])?;
    let exec = ["exec", "--user", "7:8", "--workdir", "/tmp", "--env", "A=b", &name];
    let output = bench.call(&exec).args(["sh", "-c", "id -u; id -g; pwd; echo $A"]).succeeds()?;
    ensure_eq!(output.text(), "7\n8\n/tmp\nb");
    Ok(())
}

fn input(bench: &Bench<'_>) -> Check {
    let name = bench.sleeper(&[])?;
    let output = bench.call(&["exec", "--interactive", &name, "wc", "-c"]).stdin("1234567").succeeds()?;
    ensure_eq!(output.text(), "7");
    Ok(())
}

fn background(bench: &Bench<'_>) -> Check {
    let name = bench.sleeper(&[])?;
    bench.succeeds(&["exec", "--detach", &name, "sh", "-c", "echo here >/tmp/mark; sleep 1000"])?;
    host::until("it has run", || Ok(bench.exec(&name, "cat /tmp/mark").is_ok_and(|text| text == "here")))
}

fn hundred(bench: &Bench<'_>) -> Check {
    let name = bench.sleeper(&[])?;
    for number in 0..100 {
        let output = bench.call(&["exec", &name, "test", "-d", "/proc/1"]).output()?;
        output.exits_with(0).map_err(|failure| masu_harness::fail(format!("check {number}: {failure:?}")))?;
    }
    let left = bench.exec(&name, "ps -o comm | grep -c test || true")?;
    ensure_eq!(left, "0", "processes that are left of them");
    Ok(())
}

const HEALTH: [&str; 4] = ["--health-cmd", "test -e /tmp/well", "--health-retries", "1"];

fn health(bench: &Bench<'_>) -> Check {
    let name = bench.sleeper(&[&HEALTH[..], &["--health-interval", "200ms"]].concat())?;
    bench.until(&name, "{{.State.Health.Status}}", "unhealthy")?;
    bench.exec(&name, "touch /tmp/well")?;
    bench.until(&name, "{{.State.Health.Status}}", "healthy")
}

/// podman's timer is one of systemd's, which need not be there: whoever asks has the check run.
fn health_on_demand(bench: &Bench<'_>) -> Check {
    let name = bench.sleeper(&[&HEALTH[..], &["--health-interval", "disable"]].concat())?;
    bench.call(&["healthcheck", "run", &name]).output()?.exits_with(1)?;
    bench.until(&name, "{{.State.Health.Status}}", "unhealthy")?;
    bench.exec(&name, "touch /tmp/well")?;
    bench.succeeds(&["healthcheck", "run", &name])?;
    bench.until(&name, "{{.State.Health.Status}}", "healthy")
}

fn top(bench: &Bench<'_>) -> Check {
    let name = bench.detached(&[], &["sleep", "1234"])?;
    let text = bench.succeeds(&["top", &name])?;
    ensure_eq!(text.lines().filter(|line| line.ends_with("sleep 1234")).count(), 1);
    Ok(())
}
