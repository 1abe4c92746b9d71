//! `kill`.

use serde_json::json;

use crate::harness::{Bench, Check, Container, Need, Suite, ensure_eq, host};

/// The annotation for an image's signal.
const STOP_SIGNAL: &str = "org.opencontainers.image.stopSignal";

/// Adds the cases.
pub(crate) fn add(suite: &mut Suite) {
    for (signal, name) in [
        ("TERM", "TERM"),
        ("SIGTERM", "TERM"),
        ("15", "TERM"),
        ("USR1", "USR1"),
        ("SIGHUP", "HUP"),
        ("2", "INT"),
    ] {
        suite.case(format!("`kill ID {signal}` sends SIG{name}"), move |bench| {
            sends(bench, None, Some(signal), name)
        });
    }
    suite.case("`kill ID` sends SIGTERM", |bench| sends(bench, None, None, "TERM"));
    suite.masu_only("`kill ID` sends the signal that the image names", |bench| {
        for (value, name) in [("SIGUSR1", "USR1"), ("2", "INT"), ("", "TERM")] {
            sends(bench, Some(value), None, name)?;
        }
        sends(bench, Some("SIGUSR1"), Some("HUP"), "HUP")
    });
    suite.masu_only("`kill ID` of an image whose signal is none is refused, and leaves it running", |bench| {
        let container = bench.sleeper(|config| {
            config.set("/annotations", json!({STOP_SIGNAL: "SIGSTOPPED"}));
        })?;
        let output = container.call("kill").output()?.fails_with(1, &[])?;
        let message = "masu: annotations[\"org.opencontainers.image.stopSignal\"]: unknown signal \"SIGSTOPPED\"\n\
                       hint: name a signal behind the id\n";
        ensure_eq!(output.stderr, message);
        ensure_eq!(container.status()?, "running");
        Ok(())
    });
    ends(suite);
}

fn ends(suite: &mut Suite) {
    suite.case("`kill` of a stopped container says that it is not running", |bench| {
        let container = bench.sleeper(|_| {})?;
        container.stop()?;
        container.call("kill").arg("TERM").output()?.fails_with(1, &["container not running"])?;
        Ok(())
    });
    suite.case("`kill --all ID N` is accepted for a running container", |bench| {
        let container = bench.sleeper(|_| {})?;
        bench.call(&["kill", "--all", &container.id, "9"]).succeeds()?;
        container.until_status("stopped")
    });
    suite.case("`kill --all ID N` of a stopped container is no error", |bench| {
        let container = bench.sleeper(|_| {})?;
        container.stop()?;
        bench.call(&["kill", "--all", &container.id, "9"]).succeeds()?;
        Ok(())
    });
    suite.case("`kill KILL` ends every process of the container", ends_every_process).needs(&[Need::Cgroups]);
    suite
        .case("`kill KILL` without a pid namespace ends every process of the container", |bench| {
            let container = bench.sleeper(|config| {
                config.without_namespace("pid").shell("sleep 1000 & sleep 1000 & wait");
            })?;
            host::until("three processes", || Ok(host::processes_of(&container.id)?.len() >= 3))?;
            container.kill("KILL")?;
            host::until("no process", || Ok(host::processes_of(&container.id)?.is_empty()))
        })
        .needs(&[Need::Root]);
    suite
        .case("`kill KILL` ends a paused container", |bench| {
            let container = bench.sleeper(|_| {})?;
            container.call("pause").succeeds()?;
            container.kill("KILL")?;
            container.until_status("stopped")
        })
        .needs(&[Need::Cgroups]);
    suite.case("`kill` works on a created container", |bench| {
        let container = bench.container(bench.bundle()?)?;
        container.create()?;
        container.kill("KILL")?;
        container.until_status("stopped")
    });
    suite.case("`kill` of an unknown id fails", |bench| {
        bench.call(&["kill", "nobody", "KILL"]).output()?.fails_with(1, &["container does not exist"])?;
        Ok(())
    });
}

fn trapping<'b>(bench: &'b Bench<'_>, image: Option<&str>) -> Check<(Container<'b>, std::path::PathBuf)> {
    let mut bundle = bench.bundle()?;
    if let Some(value) = image {
        bundle.config.set("/annotations", json!({STOP_SIGNAL: value}));
    }
    let script = "for s in TERM USR1 HUP INT; do trap \"echo $s > /run/got\" $s; done
        echo ready > /run/ready; while :; do sleep 1000 & wait; done";
    bundle.config.writable().shell(script);
    let (ready, got) = (bundle.inside("run/ready"), bundle.inside("run/got"));
    let container = bench.container(bundle)?;
    container.run_detached()?;
    host::until("the traps are set", || Ok(ready.exists()))?;
    Ok((container, got))
}

/// Whether a container, whose image may name a signal, gets the one of `name`.
fn sends(bench: &Bench<'_>, image: Option<&str>, signal: Option<&str>, name: &str) -> Check {
    let (container, got) = trapping(bench, image)?;
    let output = container.call("kill").args(signal).succeeds()?;
    ensure_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", ""));
    host::until("the signal arrives", || Ok(got.exists() && !host::read_trimmed(&got)?.is_empty()))?;
    ensure_eq!(host::read_trimmed(&got)?, name);
    Ok(())
}

fn ends_every_process(bench: &mut Bench<'_>) -> Check {
    let container = bench.sleeper(|config| {
        config.shell("sleep 1000 & sleep 1000 & wait");
    })?;
    host::until("three processes", || Ok(host::processes_of(&container.id)?.len() >= 3))?;
    container.stop()?;
    host::until("all of them leave", || Ok(host::processes_of(&container.id)?.is_empty()))
}
