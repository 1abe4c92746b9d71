//! SIGKILL: of the engine, of init and of both, before every system call of either.
//!
//! Whatever is left of the container then has a state that can be read or a word that says what is wrong with it, and
//! `delete --force` removes all of it.

use serde_json::Value;

use super::configurations::{ALL, Candidate};
use super::points::{Density, choose};
use super::{no_process_is_left, nothing_is_left, tolerated};
use crate::harness::command::Invocation;
use crate::harness::tracer::{Fault, Point, Traced, trace};
use crate::harness::{Bench, Check, Container, Suite, ensure, ensure_eq, fail};

/// Who is killed.
const VICTIMS: [Fault; 3] = [Fault::KillsEngine, Fault::KillsInit, Fault::KillsBoth];

/// A command during which somebody dies.
pub(super) struct Command {
    /// Its name in the sentence of the case.
    pub(super) name: &'static str,
    /// What has to be done first.
    pub(super) prepare: fn(&Container<'_>) -> Check,
    pub(super) call: fn(&Container<'_>) -> Invocation,
}

impl Command {
    /// What it does when nothing happens, the second time: the first one makes what is missing in the root.
    pub(super) fn undisturbed(&self, bench: &Bench<'_>, candidate: &Candidate<'_>) -> Check<Traced> {
        let container = &candidate.container;
        let mut undisturbed = Err(fail("nothing was traced"));
        for _ in 0..2 {
            candidate.renew(bench)?;
            (self.prepare)(container)?;
            undisturbed = trace((self.call)(container), None, &[]);
            container.call("delete").arg("--force").succeeds()?;
        }
        let undisturbed = undisturbed?;
        ensure_eq!(undisturbed.output.code, Some(0), "undisturbed: {}", undisturbed.output);
        Ok(undisturbed)
    }
}

pub(super) const CREATE: Command =
    Command { name: "create", prepare: |_| Ok(()), call: |container| container.launch("create", &[]) };
pub(super) const RUN: Command =
    Command { name: "run", prepare: |_| Ok(()), call: |container| container.launch("run", &[]) };

/// Those whose plan has nothing to do with the configuration.
pub(super) const OTHERS: [Command; 6] = [
    Command { name: "start", prepare: created, call: |container| container.call("start") },
    Command { name: "kill", prepare: running, call: |container| container.call("kill").arg("KILL") },
    Command { name: "pause", prepare: running, call: |container| container.call("pause") },
    Command {
        name: "delete --force of a running container",
        prepare: running,
        call: |container| container.call("delete").arg("--force"),
    },
    Command {
        name: "delete --force of a paused container",
        prepare: paused,
        call: |container| container.call("delete").arg("--force"),
    },
    Command { name: "delete", prepare: stopped, call: |container| container.call("delete") },
];

/// Adds the cases.
pub(super) fn add(suite: &mut Suite) {
    for (index, configuration) in ALL.iter().enumerate() {
        for (number, command) in [CREATE, RUN].into_iter().enumerate() {
            let name =
                format!("somebody is killed at any point of `{}` of {}", command.name, configuration.name);
            suite.masu_only(name, move |bench| {
                let candidate = configuration.prepare(bench, &["true"])?;
                somebody_dies(bench, &candidate, &command, index + 2 * number)
            });
        }
    }
    for (index, command) in OTHERS.into_iter().enumerate() {
        suite.masu_only(format!("somebody is killed at any point of `{}`", command.name), move |bench| {
            let candidate = ALL[0].prepare(bench, &["sleep", "1000"])?;
            somebody_dies(bench, &candidate, &command, index)
        });
    }
    suite.masu_only("somebody is killed at any point of `exec`", exec_dies);
}

fn created(container: &Container<'_>) -> Check {
    container.create().map(drop)
}

pub(super) fn running(container: &Container<'_>) -> Check {
    container.run_detached()?;
    container.pid_of_program().map(drop)
}

fn paused(container: &Container<'_>) -> Check {
    running(container)?;
    container.call("pause").succeeds().map(drop)
}

fn stopped(container: &Container<'_>) -> Check {
    running(container)?;
    container.stop()
}

fn somebody_dies(bench: &Bench<'_>, candidate: &Candidate<'_>, command: &Command, offset: usize) -> Check {
    let container = &candidate.container;
    let undisturbed = command.undisturbed(bench, candidate)?;
    for (point, fault) in faults(bench, &undisturbed, offset) {
        candidate.renew(bench)?;
        (command.prepare)(container)?;
        let bystanders: Vec<i32> = container.pid().into_iter().collect();
        let traced = trace((command.call)(container), Some((point, fault)), &bystanders)?;
        let verdict = judge(&traced, point, fault, 1)
            .and_then(|()| is_manageable(bench, container, &traced, fault))
            .and_then(|()| {
                nothing_is_left(bench, &container.id, &[traced.pids.as_slice(), &bystanders].concat())
            })
            .and_then(|()| match (fault, traced.output.code) {
                (Fault::KillsInit, Some(1)) => candidate.is_undone(bench),
                _ => candidate.is_whole(bench).map(drop),
            });
        verdict.map_err(|failure| at(point, fault, &traced, &failure))?;
    }
    Ok(())
}

/// The container is there before and after: only what `exec` makes may die.
fn exec_dies(bench: &mut Bench<'_>) -> Check {
    let candidate = ALL[0].prepare(bench, &["sleep", "1000"])?;
    let container = &candidate.container;
    running(container)?;
    let command = || container.exec_with(&[], &["true"]);
    let undisturbed = trace(command(), None, &[])?;
    ensure_eq!(undisturbed.output.code, Some(0), "undisturbed: {}", undisturbed.output);
    let pid = container.pid()?;
    for (point, fault) in faults(bench, &undisturbed, 0) {
        let traced = trace(command(), Some((point, fault)), &[])?;
        let verdict = judge(&traced, point, fault, 255)
            .and_then(|()| no_process_is_left(&traced.pids))
            .and_then(|()| {
                ensure_eq!(container.pid()?, pid);
                ensure_eq!(container.status()?, "running");
                ensure_eq!(
                    bench.call(&["ps", "--format", "json", &container.id]).succeeds()?.text(),
                    format!("[{pid}]")
                );
                Ok(())
            });
        verdict.map_err(|failure| at(point, fault, &traced, &failure))?;
    }
    Ok(())
}

fn at(
    point: Point,
    fault: Fault,
    traced: &Traced,
    failure: &crate::harness::Failure,
) -> crate::harness::Failure {
    let nr = traced.reached.map_or_else(|| "not reached".to_owned(), tolerated::name_of);
    fail(format!("{fault:?} at {point}, {nr}: {failure:?}\n{}", traced.output))
}

/// Every point with every victim in a soak; in a sample the victims take turns.
fn faults(bench: &Bench<'_>, undisturbed: &Traced, offset: usize) -> Vec<(Point, Fault)> {
    let density = Density::of(bench.world, 16, offset * 5);
    let points =
        undisturbed.calls.iter().enumerate().flat_map(|(process, calls)| choose(process, calls, density));
    let all = points.enumerate().flat_map(|(index, point)| {
        let chosen = if bench.world.soak { VICTIMS.to_vec() } else { vec![VICTIMS[(index + offset) % 3]] };
        chosen.into_iter().map(move |fault| (point, fault))
    });
    all.collect()
}

/// What an engine says that was not killed: nothing, or one line. A program that was killed gives its status.
fn judge(traced: &Traced, point: Point, fault: Fault, failure: i32) -> Check {
    let output = &traced.output;
    if fault != Fault::KillsInit {
        // Init may still be busy when an engine that made it has done its work.
        let ended_before = (point.process > 0 || traced.reached.is_none()) && output.code == Some(0);
        ensure!(output.signal == Some(9) || ended_before, "the engine was not killed");
        return Ok(());
    }
    let (line, rest) = output.stderr.split_once('\n').unwrap_or_default();
    match output.code {
        Some(0 | 137) => ensure!(output.stderr.is_empty(), "an error with exit status 0"),
        Some(code) if code == failure => {
            ensure!(line.starts_with("masu: "), "no message");
            ensure!(
                rest.is_empty() || rest.starts_with("hint: ") && rest.lines().count() == 1,
                "more than a line"
            );
        }
        _ => return Err(fail("an exit code of its own")),
    }
    Ok(())
}

/// `state`, `list` and `delete --force` of what is left.
fn is_manageable(bench: &Bench<'_>, container: &Container<'_>, traced: &Traced, fault: Fault) -> Check {
    let state = container.call("state").output()?;
    match state.code {
        Some(0) => {
            let status = serde_json::from_str::<Value>(&state.stdout)?["status"].clone();
            let known = ["creating", "created", "running", "paused", "stopped"];
            ensure!(known.iter().any(|known| status == *known), "status {status}");
            let failed = fault == Fault::KillsInit && traced.output.code == Some(1);
            ensure!(!failed || traced.pids.len() == 1, "an engine that failed has left something: {state}");
        }
        _ => {
            let state = state.fails_with(1, &["container"])?;
            let words = ["container does not exist", "is damaged: it has no state.json"];
            ensure!(words.iter().any(|words| state.stderr.contains(words)), "{state}");
        }
    }
    let list = bench.call(&["list"]).succeeds()?;
    ensure!(list.stdout.starts_with("ID "), "{list}");
    let deleted = container.call("delete").arg("--force").succeeds()?;
    ensure!(deleted.stderr.is_empty() && deleted.stdout.is_empty(), "{deleted}");
    Ok(())
}
