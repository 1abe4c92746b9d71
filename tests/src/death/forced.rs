//! Forced failures: every system call fails once.

use std::collections::BTreeSet;

use masu_program::{Step, Steps};
use nix::errno::Errno;

use super::configurations::{self, Configuration};
use super::points::{Density, choose};
use super::rows::{is_optional, row};
use super::{nothing_is_left, tolerated};
use crate::harness::command::Invocation;
use crate::harness::tracer::{Fault, Point, Traced, trace};
use crate::harness::{Bench, Check, Need, Suite, ensure, ensure_eq, fail};

/// One that no code of masu treats in a way of its own.
const INJECTED: Errno = Errno::EIO;
const NAME: &str = "input/output error (EIO)";
/// What init says of what comes before its first step.
const NO_STEP: u32 = u32::MAX;

/// execve(2) and execveat(2) on x86_64, of which one is in every process that carries out steps.
const EXECUTES: [u64; 2] = [59, 322];
const DIED: &str = "masu: the container's init ended before it was ready: it exited with status 1\n";

/// Adds the cases.
pub(super) fn add(suite: &mut Suite) {
    // With network devices init has no other steps than without: it waits, and the engine works.
    for (index, configuration) in configurations::ALL.iter().enumerate().filter(|(_, one)| !one.network) {
        suite.masu_only(format!("every step of {} fails in its turn", configuration.name), move |bench| {
            fail_in_turn(bench, configuration, Range { stride: 3, offset: index, counts: |_| true })
        });
    }
    for (need, configuration) in
        [(Need::Selinux, &configurations::LABELLED), (Need::AppArmor, &configurations::CONFINED)]
    {
        suite.needs(&[Need::Root, need]);
        suite.masu_only(format!("every label of {} fails in its turn", configuration.name), move |bench| {
            // The machines that have labels are slow: the other steps are those of everybody.
            fail_in_turn(bench, configuration, Range { stride: 12, offset: 0, counts: is_about_labels })
        });
    }
}

fn fail_in_turn(bench: &Bench<'_>, configuration: &Configuration, range: Range) -> Check {
    let candidate = configuration.prepare(bench, &["true"])?;
    let container = &candidate.container;
    let sweep = Sweep { bench, id: &container.id, code: 1, range };
    sweep.steps(&|| candidate.renew(bench).map(|()| container.launch("run", &[])))
}

fn is_about_labels(step: &Step<'_>) -> bool {
    matches!(step, Step::HoldExecLabel { .. } | Step::SetExecLabel { .. } | Step::SetFileLabel { .. })
}

/// Whether no failure of this step can be seen.
fn is_excused(steps: &[Step<'_>], number: u32) -> bool {
    let step = usize::try_from(number).ok().and_then(|number| steps.get(number));
    step.is_some_and(|step| row(step).never.is_some() || is_optional(step))
}

/// What is made to fail.
#[derive(Clone, Copy)]
struct Range {
    /// How far apart the points of the sample are.
    stride: usize,
    /// At which of the points it begins.
    offset: usize,
    /// Of which steps each has to be hit.
    counts: fn(&Step<'_>) -> bool,
}

/// All failures of init in one command.
struct Sweep<'a, 'w> {
    bench: &'a Bench<'w>,
    id: &'a str,
    /// The exit code of a failure.
    code: i32,
    range: Range,
}

impl Sweep<'_, '_> {
    fn steps(&self, command: &dyn Fn() -> Check<Invocation>) -> Check {
        // The first one makes what is missing in the root: the others have less to do.
        trace(command()?, None, &[])?;
        let undisturbed = trace(command()?, None, &[])?;
        ensure_eq!(undisturbed.output.code, Some(0), "undisturbed: {}", undisturbed.output);
        let steps: Vec<Step<'_>> = Steps::new(&undisturbed.program).flatten().collect();
        ensure!(steps.len() > 10, "the program has {} steps", steps.len());
        let Range { stride, offset, counts } = self.range;
        ensure!(steps.iter().any(counts), "the program has no step that counts");
        let must_be_hit = |number: u32| {
            usize::try_from(number).ok().and_then(|number| steps.get(number)).is_some_and(counts)
        };
        let mut hit = BTreeSet::new();
        let density = Density::of(self.bench.world, stride, offset);
        for (process, calls) in undisturbed.calls.iter().enumerate().skip(1) {
            // One that keeps a user namespace for an id map is ended whenever the engine has it: it has no steps.
            if !calls.iter().any(|call| EXECUTES.contains(call)) {
                continue;
            }
            let mut found = self.sample(command, &steps, choose(process, calls, density))?;
            hit.extend(found.iter().map(|(_, step)| *step));
            // Behind the last one there may be one more step of this process: a fork, after which another goes on.
            let last = found.last().map(|(_, step)| (calls.len(), step.wrapping_add(2)));
            found.extend(last);
            // Steps between two neighbours that were not hit: their calls lie between those.
            for pair in found.windows(2) {
                let [left, right] = pair else { continue };
                let between = left.1.wrapping_add(1)..right.1;
                // An exit is not always reached: the engine ends a process that has forked the next one.
                let tells = |call: &usize| calls.get(*call).is_some_and(|nr| !tolerated::is_harmless(*nr));
                let fills = (left.0 + 1..right.0).filter(tells);
                for point in fills.map(|call| Point { process, call }) {
                    let is_done =
                        |step| hit.contains(&step) || !must_be_hit(step) || is_excused(&steps, step);
                    if between.clone().all(is_done) {
                        break;
                    }
                    hit.extend(self.fail_at(command, &steps, point)?.map(|(_, step)| step));
                }
            }
        }
        for (number, step) in (0..).zip(&steps).filter(|(_, step)| counts(step)) {
            let excused = is_excused(&steps, number);
            ensure!(
                hit.contains(&number) != excused,
                "step {number}, {step:?}: its failure is seen: {excused}"
            );
        }
        Ok(())
    }

    /// Lets the calls at these points fail, each in a run of its own. Returns the call and the step of each failure, of
    /// which none is in an earlier step than the one before.
    fn sample(
        &self,
        command: &dyn Fn() -> Check<Invocation>,
        steps: &[Step<'_>],
        points: Vec<Point>,
    ) -> Check<Vec<(usize, u32)>> {
        let mut found: Vec<(usize, u32)> = Vec::new();
        for point in points {
            let before = found.last().map_or(0, |(_, step)| step.wrapping_add(1));
            let one = self.fail_at(command, steps, point)?;
            if let Some((_, step)) = one {
                ensure!(
                    step.wrapping_add(1) >= before,
                    "{point} is in step {step}, the one before in a later"
                );
            }
            found.extend(one);
        }
        Ok(found)
    }

    /// Lets one call fail and judges what comes of it. Returns the call and the step that it belongs to.
    fn fail_at(
        &self,
        command: &dyn Fn() -> Check<Invocation>,
        steps: &[Step<'_>],
        point: Point,
    ) -> Check<Option<(usize, u32)>> {
        let traced = trace(command()?, Some((point, Fault::Fails(INJECTED))), &[])?;
        let verdict = self.judge(&traced, steps, point);
        let nr = traced.reached.unwrap_or(u64::MAX);
        verdict.map_err(|failure| fail(format!("{point}, {}: {failure:?}", tolerated::name_of(nr))))
    }

    fn judge(&self, traced: &Traced, steps: &[Step<'_>], point: Point) -> Check<Option<(usize, u32)>> {
        let output = &traced.output;
        let nr = traced.reached.ok_or_else(|| fail(format!("not reached: {output}")))?;
        nothing_is_left(self.bench, self.id, &traced.pids)?;
        if tolerated::may_be_mute(nr) && output.code == Some(self.code) && output.stderr == DIED {
            return Ok(None);
        }
        let Some((number, _)) = traced.failed else {
            let succeeded = tolerated::may_succeed(nr) && output.code == Some(0) && output.stderr.is_empty();
            ensure!(succeeded, "neither in the table nor a failure: {output}");
            return Ok(None);
        };
        ensure_eq!(output.code, Some(self.code), "{output}");
        let (line, rest) = output.stderr.split_once('\n').unwrap_or_default();
        ensure!(rest.is_empty() || rest.starts_with("hint: "), "more than one line: {output}");
        // rustix takes getrlimit(2) for infallible: what fails is the setrlimit(2) that follows, in its own way.
        if nr != 302 {
            ensure!(line.ends_with(NAME), "the errno is missing: {output}");
        }
        let origins = match steps.get(usize::try_from(number)?) {
            Some(step) => row(step).origins,
            None => &["container: start masu-init"],
        };
        ensure_eq!(number == NO_STEP, steps.get(usize::try_from(number)?).is_none());
        let blamed = line.strip_prefix("masu: ").unwrap_or_default();
        let is_blamed =
            |origin: &&&str| blamed.strip_prefix(**origin).is_some_and(|rest| rest.starts_with([':', '[']));
        ensure!(origins.iter().find(is_blamed).is_some(), "none of {origins:?} is blamed: {output}");
        Ok(Some((point.call, number)))
    }
}
