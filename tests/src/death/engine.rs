//! Forced failures of the engine's own system calls.

use nix::errno::Errno;

use super::configurations::{ALL, Configuration};
use super::killed::{CREATE, Command, OTHERS, RUN, running};
use super::points::{Density, choose};
use super::{no_process_is_left, nothing_is_left, tolerated};
use crate::harness::tracer::{Fault, Point, Traced, trace};
use crate::harness::{Bench, Check, Container, Suite, ensure, ensure_eq, fail};

const INJECTED: Fault = Fault::Fails(Errno::EIO);

/// Adds the cases.
pub(super) fn add(suite: &mut Suite) {
    for (index, command) in [CREATE, RUN].into_iter().chain(OTHERS).enumerate() {
        let name = format!("the engine's calls fail in their turn: `{}`", command.name);
        suite.masu_only(name, move |bench| calls_fail(bench, &ALL[0], &command, index));
    }
    for (index, configuration) in ALL.iter().enumerate().filter(|(_, one)| one.network) {
        let name = format!("the engine's calls fail in their turn: `create` of {}", configuration.name);
        suite.masu_only(name, move |bench| calls_fail(bench, configuration, &CREATE, index));
    }
    suite.masu_only("the engine's calls fail in their turn: `exec`", calls_of_exec_fail);
}

fn calls_fail(bench: &Bench<'_>, configuration: &Configuration, command: &Command, offset: usize) -> Check {
    let makes = matches!(command.name, "create" | "run");
    let candidate = configuration.prepare(bench, if makes { &["true"] } else { &["sleep", "1000"] })?;
    let container = &candidate.container;
    let undisturbed = command.undisturbed(bench, &candidate)?;
    let density = Density::of(bench.world, 3, offset);
    for point in choose(0, undisturbed.calls.first().map_or(&[], Vec::as_slice), density) {
        candidate.renew(bench)?;
        (command.prepare)(container)?;
        let before: Vec<i32> = container.pid().into_iter().collect();
        let traced = trace((command.call)(container), Some((point, INJECTED)), &[])?;
        let verdict = judge(&traced, 1)
            .and_then(|failed| match failed && makes {
                true => nothing_is_left(bench, &container.id, &traced.pids).and(candidate.is_undone(bench)),
                false => Ok(()),
            })
            .and_then(|()| container.call("delete").arg("--force").succeeds().map(drop))
            .and_then(|()| nothing_is_left(bench, &container.id, &[before, traced.pids.clone()].concat()));
        verdict.map_err(|failure| at(point, &traced, &failure))?;
    }
    Ok(())
}

fn calls_of_exec_fail(bench: &mut Bench<'_>) -> Check {
    let candidate = ALL[0].prepare(bench, &["sleep", "1000"])?;
    let container: &Container<'_> = &candidate.container;
    running(container)?;
    let pid = container.pid()?;
    let command = || container.exec_with(&[], &["true"]);
    let undisturbed = trace(command(), None, &[])?;
    let density = Density::of(bench.world, 3, 1);
    for point in choose(0, undisturbed.calls.first().map_or(&[], Vec::as_slice), density) {
        let traced = trace(command(), Some((point, INJECTED)), &[])?;
        let verdict = judge(&traced, 255).and_then(|_| no_process_is_left(&traced.pids)).and_then(|()| {
            ensure_eq!((container.pid()?, container.status()?), (pid, "running".to_owned()));
            Ok(())
        });
        verdict.map_err(|failure| at(point, &traced, &failure))?;
    }
    Ok(())
}

/// Whether the command failed. One that failed says one line with the errno, and one that did not is in the table.
fn judge(traced: &Traced, code: i32) -> Check<bool> {
    let output = &traced.output;
    // The number of calls may differ by one that waits a little longer.
    let Some(nr) = traced.reached else { return Ok(output.code != Some(0)) };
    // It has made a call more or less than before, and this one is a close, which rustix trusts in a debug build.
    if tolerated::is_harmless(nr) {
        return Ok(false);
    }
    let (line, rest) = output.stderr.split_once('\n').unwrap_or_default();
    ensure!(rest.is_empty() || rest.starts_with("hint: "), "more than one line");
    let told = line.contains("(EIO)") || (nr == 9 && line == "masu: out of memory");
    match output.code {
        Some(0) => {
            // The container ran; that something of it is left is told beside its status.
            let late = told && output.words_contain("run");
            ensure!(late || (line.is_empty() && tolerated::of_engine(nr)), "not in the table");
            Ok(false)
        }
        // Without memory it does not come to the exit code of `exec`.
        Some(1) if nr == 9 && told => Ok(true),
        status => {
            ensure_eq!(status, Some(code));
            ensure!(told, "the errno is missing");
            Ok(true)
        }
    }
}

fn at(point: Point, traced: &Traced, failure: &crate::harness::Failure) -> crate::harness::Failure {
    let nr = traced.reached.map_or_else(|| "not reached".to_owned(), tolerated::name_of);
    fail(format!("{point}, {nr}: {failure:?}\n{}", traced.output))
}
