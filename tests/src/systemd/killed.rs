//! A `create` that is killed.

use super::{container, show, sleeper, unit_of};
use crate::harness::tracer::{Fault, Point, trace};
use crate::harness::{Driver, Suite, ensure, ensure_eq, fail, host};

/// mkdirat(2) on x86_64.
const MKDIRAT: u64 = 258;

/// Adds the cases.
pub(super) fn add(suite: &mut Suite) {
    suite.masu_only("who lives in a scope outlives a `create` for it that is killed at any point", |bench| {
        let neighbour = sleeper(bench, |_, _| {})?;
        let pid = neighbour.pid_of_program()?;
        let second = container(bench, |config, _| {
            config.set("/linux/cgroupsPath", format!(":masu:{}", neighbour.id));
        })?;
        let undisturbed = trace(second.launch("create", &[]), None, &[])?;
        undisturbed.output.clone().fails_with(1, &[&unit_of(&neighbour)])?;
        let calls = undisturbed.calls.first().ok_or_else(|| fail("no call was traced"))?;
        // From the state directory on; every fourth call, since each one takes systemd's time.
        let made = calls.iter().rposition(|call| *call == MKDIRAT).ok_or_else(|| fail("no directory"))?;
        for call in (made..calls.len()).step_by(4) {
            let fault = Some((Point { process: 0, call }, Fault::KillsEngine));
            trace(second.launch("create", &[]), fault, &[])?;
            second.call("delete").arg("--force").succeeds()?;
            ensure!(host::is_alive(pid), "killed at call {call} it took its neighbour along");
            ensure!(!bench.root.join(&second.id).exists(), "the state directory is left");
        }
        ensure_eq!(show(bench, &unit_of(&neighbour), "ActiveState")?, "active");
        ensure_eq!(neighbour.status()?, "running");
        Ok(())
    });
    suite.masu_only("what a killed create has left is removed by `delete --force`", |bench| {
        // At moments of its own choosing: before, while and after systemd makes the unit.
        for milliseconds in [5, 20, 60, 120, 200] {
            let container = container(bench, |_, _| {})?;
            let line =
                format!("timeout --signal KILL {} \"$0\" \"$@\"; true", f64::from(milliseconds) / 1000.0);
            let call = bench.call_with(Driver::Systemd, &["create", "--bundle"]);
            call.arg(&container.bundle.dir).arg(&container.id).behind_shell(&line).succeeds()?;
            container.call("delete").arg("--force").succeeds()?;
            let unit = unit_of(&container);
            host::until("the unit is gone", || Ok(show(bench, &unit, "LoadState")? == "not-found"))?;
            ensure!(host::cgroups_of(&container.id)?.is_empty(), "a cgroup is left");
        }
        Ok(())
    });
}
