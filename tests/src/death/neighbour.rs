//! Somebody else's container in the cgroup that a `create` asks for: the create is refused, and wherever it is killed before,
//! what removes its remains leaves the other alone.

use super::points::{Density, choose};
use super::{no_process_is_left, tolerated};
use crate::harness::tracer::{Fault, trace};
use crate::harness::{Bench, Check, Suite, ensure, ensure_eq, fail, host};

/// Adds the case.
pub(super) fn add(suite: &mut Suite) {
    suite.masu_only("who lives in a cgroup outlives a `create` for it that is killed at any point", outlives);
}

fn outlives(bench: &mut Bench<'_>) -> Check {
    let neighbour = bench.sleeper(|_| {})?;
    let pid = neighbour.pid_of_program()?;
    let mut bundle = bench.bundle()?;
    // Without a pid namespace of its own `kill` too looks who is in the cgroup.
    bundle.config.set("/linux/cgroupsPath", neighbour.cgroup()).without_namespace("pid");
    let container = bench.container(bundle)?;
    let undisturbed = trace(container.launch("create", &[]), None, &[])?;
    undisturbed.output.clone().fails_with(1, &["container's cgroup is not empty: 1 process(es) found"])?;
    let calls = undisturbed.calls.first().ok_or_else(|| fail("no call was traced"))?;
    let cgroups = || host::read_trimmed(format!("/proc/{pid}/cgroup"));
    let before = cgroups()?;
    for point in choose(0, calls, Density::of(bench.world, 1, 0)) {
        let traced = trace(container.launch("create", &[]), Some((point, Fault::KillsEngine)), &[])?;
        container.call("kill").arg("KILL").output()?.fails_with(1, &["container"])?;
        container.call("delete").arg("--force").succeeds()?;
        let verdict = || {
            ensure!(host::is_alive(pid), "the neighbour was killed");
            ensure_eq!(cgroups()?, before);
            ensure!(!bench.root.join(&container.id).exists(), "the state directory is left");
            no_process_is_left(&traced.pids)
        };
        let name = tolerated::name_of(traced.reached.unwrap_or_default());
        verdict().map_err(|failure| fail(format!("{point}, {name}: {failure:?}\n{}", traced.output)))?;
    }
    ensure_eq!(neighbour.status()?, "running");
    Ok(())
}
