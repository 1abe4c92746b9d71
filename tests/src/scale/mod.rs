//! Many containers at once, and an engine that dies at any moment.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::command::Running;
use crate::harness::{Bench, Check, Container, Need, Suite, ensure, ensure_eq, host};

const MANY: usize = 100;
const TRIES: u32 = 60;

/// The suite.
pub(crate) fn suite() -> Suite {
    let mut suite = Suite::new("scale");
    suite.needs(&[Need::Root]);
    suite.case("100 concurrent `run -d` all start, are all listed and all deleted", many_at_once);
    for phase in ["create", "run", "delete"] {
        suite.case(
            format!("`delete --force` removes what an engine killed during `{phase}` left"),
            move |bench| killed_at_any_moment(bench, phase),
        );
    }
    suite
}

fn many_at_once(bench: &mut Bench<'_>) -> Check {
    let _alone = bench.world.alone()?;
    // One root for all: what is tested is the runtime, not the copying of 100 roots.
    let bundle = bench.bundle()?;
    bundle.write()?;
    let ids: Vec<String> = (0..MANY).map(|number| format!("{}-many-{number}", bench.tag)).collect();
    let mut containers = Vec::new();
    for id in &ids {
        let mut own = bundle.clone();
        own.dir = bench.directory("bundle")?;
        own.name.clone_from(id);
        own.config.set("/root/path", bundle.inside("").to_string_lossy().into_owned());
        own.config.set("/linux/cgroupsPath", format!("/{id}"));
        containers.push(bench.container(own)?);
    }
    each(&containers, |container| container.launch("run", &["-d"]).spawn())?;
    // With fewer descriptors than containers: as many as there are is no reason to see none of them.
    let list = bench.call(&["list", "--format", "json"]).behind_shell(r#"ulimit -n 64; exec "$0" "$@""#);
    let list: Vec<Value> = serde_json::from_str(&list.succeeds()?.stdout)?;
    let mut listed: Vec<_> = list.iter().filter_map(|one| one["id"].as_str().map(str::to_owned)).collect();
    let mut wanted = ids;
    listed.sort();
    wanted.sort();
    ensure_eq!(listed, wanted);
    for one in &list {
        ensure_eq!(one["status"], "running", "{one}");
    }
    each(&containers, |container| bench.call(&["delete", "--force", &container.id]).spawn())?;
    ensure_eq!(bench.call(&["list", "--format", "json"]).succeeds()?.text(), "null");
    let leaks = bench.leaks()?;
    ensure!(leaks.is_empty(), "left behind:\n{}", leaks.join("\n"));
    Ok(())
}

/// Starts one command for each container, all at once, and expects success of every one.
fn each<'b>(containers: &[Container<'b>], mut start: impl FnMut(&Container<'b>) -> Check<Running>) -> Check {
    let mut all = Vec::new();
    for container in containers {
        all.push(start(container)?);
    }
    for one in all {
        one.wait()?.exits_with(0)?;
    }
    Ok(())
}

/// Kills the engine at moments spread evenly over the time that an undisturbed command takes.
fn killed_at_any_moment(bench: &mut Bench<'_>, phase: &str) -> Check {
    let _alone = bench.world.alone()?;
    let container = bench.container(bench.bundle()?)?;
    let whole = undisturbed(&container, phase)?;
    for attempt in 0..TRIES {
        prepare(&container, phase)?;
        let mut engine = command(&container, phase)?;
        std::thread::sleep(whole * attempt / TRIES);
        if !engine.has_ended()? {
            engine.signal(rustix::process::Signal::KILL)?;
        }
        engine.wait()?;
        let output = bench.call(&["delete", "--force", &container.id]).output()?;
        ensure_eq!(output.code, Some(0), "killed {attempt}/{TRIES} through {phase}: {output}");
        left_of(bench, &container).map_err(|failure| {
            crate::harness::fail(format!("killed {attempt}/{TRIES} through {phase}: {failure:?}"))
        })?;
    }
    Ok(())
}

fn left_of(bench: &Bench<'_>, container: &Container<'_>) -> Check {
    // The child of a dead engine notices the end of its socket a moment later.
    host::until("its processes leave", || Ok(host::processes_of(&container.id)?.is_empty()))?;
    let cgroups = host::cgroups_of(&container.id)?;
    ensure!(cgroups.is_empty(), "cgroups are left: {cgroups:?}");
    let state = bench.root.join(&container.id);
    ensure!(!state.exists(), "{} is left", state.display());
    for entry in fs::read_dir(&bench.root)? {
        let entry = entry?;
        ensure!(!entry.path().is_dir(), "{} is left", entry.path().display());
    }
    Ok(())
}

fn prepare(container: &Container<'_>, phase: &str) -> Check {
    if phase == "delete" {
        container.run_detached()?;
        container.stop()?;
    }
    Ok(())
}

fn command(container: &Container<'_>, phase: &str) -> Check<Running> {
    match phase {
        "create" => container.launch("create", &[]).spawn(),
        "run" => container.launch("run", &["-d"]).spawn(),
        _ => container.call("delete").spawn(),
    }
}

fn undisturbed(container: &Container<'_>, phase: &str) -> Check<Duration> {
    prepare(container, phase)?;
    let start = Instant::now();
    command(container, phase)?.wait()?.exits_with(0)?;
    let whole = start.elapsed();
    if phase != "delete" {
        container.call("delete").arg("--force").output()?;
    }
    Ok(whole)
}
