//! `create` and `start`.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Bench, Check, Need, Suite, ensure, ensure_eq, host};

/// Adds the cases.
#[expect(clippy::too_many_lines, reason = "a flat list of cases")]
pub(crate) fn add(suite: &mut Suite) {
    suite
        .masu_only("the process of a created container holds no socket", |bench| {
            let container = bench.container(bench.bundle()?)?;
            container.create()?;
            let directory = format!("/proc/{}/fd", container.pid()?);
            host::until("no socket", || {
                let mut sockets = 0;
                for entry in fs::read_dir(&directory)? {
                    let target = fs::read_link(entry?.path()).unwrap_or_default();
                    sockets += usize::from(target.to_string_lossy().starts_with("socket:"));
                }
                Ok(sockets == 0)
            })
        })
        .needs(&[Need::Root]);
    suite.case("a created container has its process, which runs nothing before `start`", created_waits);
    suite.case("`create` takes the bundle from the working directory", |bench| {
        let mut bundle = bench.bundle()?;
        bundle.config.args(&["true"]);
        let container = bench.container(bundle)?;
        bench.call(&["create", &container.id]).current_dir(&container.bundle.dir).succeeds()?;
        ensure_eq!(container.status()?, "created");
        container.call("delete").succeeds()?;
        Ok(())
    });
    suite.case("a config.json that changes after `create` changes nothing", |bench| {
        let mut bundle = bench.bundle()?;
        let seen = bundle.inside("seen");
        bundle.config.writable().shell("echo first > /seen; exec sleep 1000");
        let mut container = bench.container(bundle)?;
        container.create()?;
        container.bundle.config.shell("echo second > /seen; exec sleep 1000");
        container.bundle.config.set("/annotations", json!({"changed": "yes"}));
        container.bundle.write()?;
        container.start()?;
        host::until("the program", || Ok(seen.exists() && !fs::read_to_string(&seen)?.is_empty()))?;
        ensure_eq!(fs::read_to_string(&seen)?, "first\n");
        ensure_eq!(container.state()?["annotations"]["changed"], Value::Null);
        Ok(())
    });
    suite.case("`create` and `start` print nothing", |bench| {
        let container = bench.container(bench.bundle()?)?;
        for output in [container.create()?, container.start()?] {
            ensure_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", ""));
        }
        Ok(())
    });
    suite.case("the pid file holds the number and nothing else", |bench| {
        let container = bench.container(bench.bundle()?)?;
        let file = bench.path("pid");
        container.launch("create", &["--pid-file"]).output()?.exits_with(1)?;
        bench
            .call(&["create", "--pid-file"])
            .arg(&file)
            .arg("--bundle")
            .arg(&container.bundle.dir)
            .arg(&container.id)
            .succeeds()?;
        ensure_eq!(fs::read_to_string(&file)?, container.pid()?.to_string());
        Ok(())
    });
    suite.case("a container cannot be started twice", |bench| {
        let container = bench.sleeper(|_| {})?;
        let phrase = "cannot start an already running container";
        container.call("start").output()?.fails_with(1, &[phrase])?;
        ensure_eq!(container.status()?, "running");
        Ok(())
    });
    suite.case("of two starts at once only one succeeds", two_starts);
    suite.case("a stopped container cannot be started", |bench| {
        let container = bench.sleeper(|_| {})?;
        container.stop()?;
        container.call("start").output()?.fails_with(1, &["cannot start a container that has stopped"])?;
        Ok(())
    });
    suite.case("an id may have letters, digits, underscore, plus, minus and dot", |bench| {
        let mut bundle = bench.bundle()?;
        bundle.name = format!("{}_A+z.-", bench.tag);
        let container = bench.container(bundle)?;
        container.create()?;
        ensure_eq!(container.state()?["id"], container.id.as_str());
        Ok(())
    });
    suite.case("a container that failed to be created leaves no trace of its id", |bench| {
        let mut bundle = bench.bundle()?;
        bundle.config.args(&["/no/such/program"]);
        let container = bench.container(bundle)?;
        container.launch("create", &[]).output()?.exits_with(1)?;
        bench.call(&["state", &container.id]).output()?.fails_with(1, &["container does not exist"])?;
        container.bundle.clone().config.args(&["sleep", "1000"]);
        Ok(())
    });
    suite.case("an id can be used again after `delete`", |bench| {
        let container = bench.container(bench.bundle()?)?;
        for _ in 0..2 {
            container.create()?;
            container.start()?;
            container.stop()?;
            container.delete()?;
        }
        Ok(())
    });
}

fn created_waits(bench: &mut Bench<'_>) -> Check {
    let mut bundle = bench.bundle()?;
    bundle.config.writable().shell("echo started > /run/mark; sleep 1000");
    let mark = bundle.inside("run/mark");
    let container = bench.container(bundle)?;
    container.create()?;
    ensure_eq!(container.status()?, "created");
    ensure!(host::is_alive(container.pid()?), "the created process is gone");
    ensure!(!mark.exists(), "the program ran before `start`");
    container.start()?;
    host::until("the program runs", || Ok(mark.exists()))?;
    ensure_eq!(container.status()?, "running");
    Ok(())
}

fn two_starts(bench: &mut Bench<'_>) -> Check {
    let container = bench.container(bench.bundle()?)?;
    container.create()?;
    let both = [container.call("start").spawn()?, container.call("start").spawn()?];
    let mut codes = Vec::new();
    for start in both {
        codes.push(start.wait()?.code);
    }
    codes.sort_unstable();
    ensure_eq!(codes, [Some(0), Some(1)]);
    ensure_eq!(container.status()?, "running");
    Ok(())
}
