//! `--bench`: how long engines take with one runtime and with others, side by side, and how much of it is the runtime's.
//! The runtimes take turns within each round, and a median is what is told.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use masu_harness::{Check, Runtime, fail};
use serde_json::json;

use crate::bench::Bench;
use crate::engines::cri::{Cri, text};
use crate::suite::Engine;
use crate::world::{IMAGE, World};

/// Calls of each kind with each runtime.
const ROUNDS: usize = 11;
/// Rounds in which a script stands between the engine and the runtime and writes down what each call takes.
const TIMED_ROUNDS: usize = 5;
const LOG: &str = "/run/calls";

/// A runtime, under the name that engines know it by here: they have `runc` for themselves.
#[derive(Debug)]
struct Contender {
    title: String,
    name: String,
    path: PathBuf,
}

/// What is measured: with this engine and the name of a runtime.
struct Row {
    title: &'static str,
    engine: Engine,
    call: fn(&Stand<'_>, &Contender) -> Check,
}

/// What the calls are made with.
struct Stand<'b> {
    bench: &'b Bench<'b>,
    /// Of the row that needs it: it takes its time to start.
    cri: Option<Cri<'b>>,
}

const ROWS: &[Row] = &[
    Row { title: "`podman run --rm --network none … true`", engine: Engine::Podman, call: podman_run },
    Row { title: "`podman exec … true`", engine: Engine::Podman, call: podman_exec },
    Row { title: "`docker run --rm --network none … true`", engine: Engine::Docker, call: docker_run },
    Row { title: "`ctr run --rm … true`", engine: Engine::Containerd, call: ctr_run },
    Row { title: "a pod and its container through the CRI, and their end", engine: Engine::Cri, call: pod },
];

fn podman_run(stand: &Stand<'_>, runtime: &Contender) -> Check {
    let run = ["run", "--rm", "--network", "none", IMAGE, "true"];
    stand.bench.call(&["--runtime", &runtime.path.to_string_lossy()]).args(run).succeeds()?;
    Ok(())
}

fn podman_exec(stand: &Stand<'_>, runtime: &Contender) -> Check {
    let path = runtime.path.to_string_lossy();
    stand.bench.call(&["--runtime", &path, "exec", &sleeper_name(runtime), "true"]).succeeds()?;
    Ok(())
}

fn docker_run(stand: &Stand<'_>, runtime: &Contender) -> Check {
    let run = ["run", "--rm", "--network", "none", "--runtime", &runtime.name, IMAGE, "true"];
    stand.bench.call(&run).succeeds()?;
    Ok(())
}

fn ctr_run(stand: &Stand<'_>, runtime: &Contender) -> Check {
    let path = runtime.path.to_string_lossy();
    let name = format!("bench-{}", stand.bench.world.number());
    stand.bench.call(&["run", "--rm", "--runc-binary", &path, IMAGE, &name, "true"]).succeeds()?;
    Ok(())
}

fn pod(stand: &Stand<'_>, runtime: &Contender) -> Check {
    let cri = stand.cri.as_ref().ok_or_else(|| fail("no client of the CRI"))?;
    let config = json!({"metadata": {"name": format!("bench{}", stand.bench.world.number()), "uid": "u", "namespace": "default"},
                        "linux": {"cgroup_parent": "/masu-pods/bench/pod"}});
    let run = json!({"config": config, "runtime_handler": runtime.name});
    let pod = text(&cri.call("RunPodSandbox", &run)?, "/pod_sandbox_id");
    let container =
        json!({"metadata": {"name": "c"}, "image": {"image": IMAGE}, "command": ["sleep", "1000"]});
    let create = json!({"pod_sandbox_id": pod, "config": container, "sandbox_config": config});
    let container = text(&cri.call("CreateContainer", &create)?, "/container_id");
    cri.call("StartContainer", &json!({"container_id": container}))?;
    cri.call("StopContainer", &json!({"container_id": container}))?;
    cri.call("StopPodSandbox", &json!({"pod_sandbox_id": pod}))?;
    cri.call("RemovePodSandbox", &json!({"pod_sandbox_id": pod}))?;
    Ok(())
}

fn sleeper_name(runtime: &Contender) -> String {
    format!("sleeper-{}", runtime.name)
}

/// Measures, and prints the table.
pub(crate) fn run(world: &mut World, beside: &[PathBuf]) -> Check {
    let mut runtimes = vec![world.runtime.clone()];
    for path in beside {
        runtimes.push(Runtime::probe(path)?);
    }
    let direct = contenders(&runtimes, |runtime| Ok(runtime.path.clone()), "")?;
    let timed = contenders(&runtimes, |runtime| wrap(world, runtime), "-timed")?;
    world.beside = direct.iter().chain(&timed).map(|one| (one.name.clone(), one.path.clone())).collect();
    let world = &*world;
    for engine in [Engine::Podman, Engine::Docker, Engine::Containerd] {
        world.start(engine)?;
    }
    let titles: Vec<_> = direct.iter().map(|one| format!(" {} |", one.title)).collect();
    let shares: Vec<_> = direct.iter().map(|one| format!(" in {} |", one.title)).collect();
    println!("| median in ms |{}{}", titles.concat(), shares.concat());
    println!("|---|{}", "---|".repeat(2 * direct.len()));
    for row in ROWS {
        let whole = measure(world, row, &direct, ROUNDS)?.0;
        let part = measure(world, row, &timed, TIMED_ROUNDS)?.1;
        let cells: Vec<_> =
            whole.iter().chain(&part).map(|time| format!(" {:.1} |", time.as_secs_f64() * 1e3)).collect();
        println!("| {} |{}", row.title, cells.concat());
    }
    Ok(())
}

fn contenders(
    runtimes: &[Runtime],
    path: impl Fn(&Runtime) -> Check<PathBuf>,
    suffix: &str,
) -> Check<Vec<Contender>> {
    let contender = |runtime: &Runtime| {
        let [major, minor, patch] = runtime.version;
        let title = format!("{} {major}.{minor}.{patch}", runtime.name);
        Ok(Contender { title, name: format!("bench-{}{suffix}", runtime.name), path: path(runtime)? })
    };
    runtimes.iter().map(contender).collect()
}

/// A script that calls the runtime and writes down how long that took.
fn wrap(world: &World, runtime: &Runtime) -> Check<PathBuf> {
    let path = world.dir.join(format!("timed-{}", runtime.name));
    let script = format!(
        "#!/bin/bash\nstart=$EPOCHREALTIME\n{} \"$@\"\ncode=$?\necho $start $EPOCHREALTIME >>{LOG}\nexit $code\n",
        runtime.path.display()
    );
    fs::write(&path, script)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

/// The medians of whole calls, and of what the script has written down of each.
fn measure(
    world: &World,
    row: &Row,
    contenders: &[Contender],
    rounds: usize,
) -> Check<(Vec<Duration>, Vec<Duration>)> {
    let bench = &Bench::new(world, row.engine)?;
    let cri = (row.engine == Engine::Cri).then(|| Cri::new(bench)).transpose()?;
    let stand = Stand { bench, cri };
    let is_exec = row.title.contains("exec");
    for one in contenders.iter().filter(|_| is_exec) {
        let run =
            ["run", "--detach", "--network", "none", "--name", &sleeper_name(one), IMAGE, "sleep", "100000"];
        bench.call(&["--runtime", &one.path.to_string_lossy()]).args(run).succeeds()?;
    }
    let mut times = vec![(Vec::new(), Vec::new()); contenders.len()];
    // The first round warms up.
    for round in 0..=rounds {
        for (one, (whole, part)) in contenders.iter().zip(&mut times) {
            fs::write(LOG, "")?;
            let start = Instant::now();
            (row.call)(&stand, one)?;
            let took = start.elapsed();
            if round > 0 {
                whole.push(took);
                part.push(sum_of_log(Path::new(LOG))?);
            }
        }
    }
    for one in contenders.iter().filter(|_| is_exec) {
        bench.call(&["rm", "--force", "--time", "0", &sleeper_name(one)]).succeeds()?;
    }
    Ok(times.into_iter().map(|(whole, part)| (median(whole), median(part))).unzip())
}

fn sum_of_log(log: &Path) -> Check<Duration> {
    let mut sum = 0.0;
    for line in fs::read_to_string(log)?.lines() {
        let (start, end) =
            line.split_once(' ').ok_or_else(|| fail(format!("{line:?} in {}", log.display())))?;
        sum += end.parse::<f64>()? - start.parse::<f64>()?;
    }
    Ok(Duration::try_from_secs_f64(sum)?)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
