//! From run to rm.

use masu_harness::{Check, ensure, ensure_eq, host};

use crate::bench::Bench;
use crate::suite::{DOCKER_LIKE, Suite};

pub(super) fn add(suite: &mut Suite) {
    suite.case(DOCKER_LIKE, "run", "a container's output is the command's, and it goes afterwards", output);
    suite.case(DOCKER_LIKE, "run", "a container reads what it is given", input);
    suite.case(DOCKER_LIKE, "run", "user, directory, variables and names are as asked", identity);
    suite.case(
        DOCKER_LIKE,
        "detach",
        "a container in the background runs, ends and is waited for",
        background,
    );
    suite.case(DOCKER_LIKE, "logs", "logs has both streams, and follows", logs);
    suite.case(DOCKER_LIKE, "attach", "who attaches writes and reads", attach);
    suite.case(DOCKER_LIKE, "inspect", "inspect knows the process and the runtime", inspect);
    suite.case(DOCKER_LIKE, "events", "events tells of start and end", events);
    suite.case(
        DOCKER_LIKE,
        "restart policy",
        "a container that fails is started anew, as often as asked",
        restart_policy,
    );
    suite.case(DOCKER_LIKE, "restart policy", "restart gives a container a new process", restart);
    suite.case(DOCKER_LIKE, "--init", "the engine's init reaps orphans", init);
    suite.case_with_cgroups("pause and unpause", "a paused container does nothing", pause);
}

fn output(bench: &Bench<'_>) -> Check {
    let output =
        bench.run(&["--rm"], &["sh", "-c", "echo out; echo err >&2; exit 7"]).output()?.exits_with(7)?;
    ensure_eq!((output.text(), output.stderr.trim()), ("out", "err"));
    ensure_eq!(
        bench.succeeds(&["ps", "--all", "--quiet", "--filter", &format!("name={}", bench.last_name())])?,
        ""
    );
    Ok(())
}

fn input(bench: &Bench<'_>) -> Check {
    let output = bench.run(&["--rm", "--interactive"], &["wc", "-c"]).stdin("12345").succeeds()?;
    ensure_eq!(output.text(), "5");
    Ok(())
}

fn identity(bench: &Bench<'_>) -> Check {
    let options = ["--user", "1000:1000", "--workdir", "/tmp", "--env", "A=b c", "--hostname", "box"];
    let text = bench.script(&options, "id -u; id -g; pwd; echo $A; hostname; echo $$")?;
    ensure_eq!(text, "1000\n1000\n/tmp\nb c\nbox\n1");
    Ok(())
}

fn background(bench: &Bench<'_>) -> Check {
    let name = bench.detached_script(&["--interactive"], "sleep 0.3; exit 3")?;
    ensure_eq!(bench.succeeds(&["wait", &name])?, "3");
    ensure_eq!(bench.inspect(&name, "{{.State.Status}} {{.State.ExitCode}} {{.State.Pid}}")?, "exited 3 0");
    Ok(())
}

fn logs(bench: &Bench<'_>) -> Check {
    let name = bench.detached_script(&[], "echo one; echo two >&2; sleep 0.5; echo three")?;
    let output = bench.call(&["logs", "--follow", &name]).succeeds()?;
    ensure_eq!((output.text(), output.stderr.trim()), ("one\nthree", "two"));
    let output = bench.call(&["logs", "--tail", "1", &name]).succeeds()?;
    ensure_eq!(output.text(), "three");
    Ok(())
}

fn attach(bench: &Bench<'_>) -> Check {
    let script = "for i in 1 2 3; do read line; echo got $line; done";
    let name = bench.detached_script(&["--interactive"], script)?;
    let mut attached = bench.call(&["attach", &name]).stdin_pipe().spawn()?;
    attached.write(b"first\n")?;
    bench.until_printed(&attached, "got first")?;
    attached.write(b"second\n")?;
    bench.until_printed(&attached, "got second")?;
    // What a container writes at its very end may come too late for who is attached: that is the engine's race.
    attached.write(b"third\n")?;
    attached.wait()?.exits_with(0)?;
    Ok(())
}

fn inspect(bench: &Bench<'_>) -> Check {
    let name = bench.sleeper(&[])?;
    let pid: i32 = bench.inspect(&name, "{{.State.Pid}}")?.parse()?;
    ensure!(host::is_alive(pid), "process {pid} does not run");
    let template = if bench.is_podman() { "{{.OCIRuntime}}" } else { "{{.HostConfig.Runtime}}" };
    ensure_eq!(bench.inspect(&name, template)?, bench.world.configured_name());
    ensure_eq!(
        bench.inspect(&name, "{{.State.Status}} {{.State.Running}} {{.State.Paused}}")?,
        "running true false"
    );
    Ok(())
}

fn events(bench: &Bench<'_>) -> Check {
    let name = bench.detached_script(&[], "exit 4")?;
    bench.succeeds(&["wait", &name])?;
    let template = if bench.is_podman() { "{{.Status}}" } else { "{{.Action}}" };
    let filter = format!("container={name}");
    let (end, last) = if bench.is_podman() { ("died", "--stream=false") } else { ("die", "--until=0s") };
    host::until("the end is among the events", || {
        let options = ["events", "--since", "1h", last, "--filter", &filter, "--format", template];
        let seen = bench.succeeds(&options)?;
        let words: Vec<_> = seen.lines().filter(|word| ["start", end].contains(word)).collect();
        Ok(words == ["start", end])
    })
}

fn restart_policy(bench: &Bench<'_>) -> Check {
    let name = bench.detached_script(&["--restart", "on-failure:2"], "echo again; exit 1")?;
    bench.until(&name, "{{.RestartCount}} {{.State.Status}}", "2 exited")?;
    ensure_eq!(bench.succeeds(&["logs", &name])?, "again\nagain\nagain");
    Ok(())
}

fn restart(bench: &Bench<'_>) -> Check {
    let name = bench.sleeper(&[])?;
    let before = bench.inspect(&name, "{{.State.Pid}}")?;
    bench.succeeds(&["restart", &name])?;
    ensure_eq!(bench.inspect(&name, "{{.State.Status}}")?, "running");
    ensure!(bench.inspect(&name, "{{.State.Pid}}")? != before, "the process is still {before}");
    Ok(())
}

fn init(bench: &Bench<'_>) -> Check {
    let orphan = "(sleep 0.2 &); sleep 0.6; ps -o comm | grep -c sleep; cat /proc/1/comm";
    let text = bench.script(&["--init"], orphan)?;
    let first = if bench.is_podman() { "podman-init" } else { "docker-init" };
    ensure_eq!(text, format!("0\n{first}"));
    Ok(())
}

fn pause(bench: &Bench<'_>) -> Check {
    let name =
        bench.detached_script(&[], "i=0; while :; do i=$((i+1)); echo $i >/count; sleep 0.01; done")?;
    host::until("it counts", || Ok(bench.exec(&name, "cat /count").is_ok()))?;
    bench.succeeds(&["pause", &name])?;
    ensure_eq!(bench.inspect(&name, "{{.State.Status}}")?, "paused");
    let (code, phrase) =
        if bench.is_podman() { (255, "only create exec sessions on running") } else { (1, "paused") };
    bench.call(&["exec", &name, "true"]).output()?.fails_with(code, &[phrase])?;
    let pid: i32 = bench.inspect(&name, "{{.State.Pid}}")?.parse()?;
    let count = || host::read_trimmed(format!("/proc/{pid}/root/count"));
    let before = count()?;
    std::thread::sleep(std::time::Duration::from_millis(200));
    ensure_eq!(count()?, before);
    bench.succeeds(&["unpause", &name])?;
    host::until("it counts again", || Ok(count()? != before))
}
