//! `cargo xtask test`: all of CI. It installs what is needed, runs every check and every test whatever fails
//! before, and closes with a table and one line of sums.

mod black_box;
mod checks;
mod engines;
mod leaks;
mod tally;

use crate::build;
use crate::setup::{self, Consent, Need};
use anyhow::Result;
use leaks::Traces;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tally::Tally;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only these: a check (fmt, clippy, doc, deny, init, unit, images, floor, demo), an engine (podman, podman-rootless,
    /// docker, docker-rootless, containerd, cri; engines for all but kubernetes, engines-vm for those in the machine with
    /// cgroup v2), or a part of the names of black-box cases, which beside engines-vm are that machine's: `docker:`
    #[arg(value_name = "SUITE")]
    suites: Vec<String>,
    /// Run the black-box suites against this runtime instead
    #[arg(long, value_name = "PATH")]
    runtime: Option<PathBuf>,
    /// Run the black-box suites in the machines instead, against the runtime at this path there: /usr/sbin/runc
    #[arg(long, value_name = "PATH", conflicts_with_all = ["runtime", "no_vm"])]
    vm_runtime: Option<String>,
    /// The suite `kubernetes`, which only runs when it is asked for: to build Kubernetes takes minutes, the first time
    #[arg(long)]
    kubernetes: bool,
    /// Leave out the machine with cgroup v2, which is emulated and takes its time
    #[arg(long)]
    no_vm: bool,
    /// Install missing packages without asking
    #[arg(long)]
    yes: bool,
}

/// One line of the summary.
struct Row {
    name: String,
    outcome: Result<Tally>,
    /// Whether the skipped cases are named.
    shows_skips: bool,
    took: Duration,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut asked = arguments.suites.clone();
    asked.extend(arguments.kubernetes.then(|| engines::KUBERNETES.to_owned()));
    let (engines, suites) = engines::select(&asked);
    let (checks, mut cases) = select(&suites, asked.is_empty());
    let in_vm = engines::select_in_vm(&asked, &mut cases).filter(|_| !arguments.no_vm);
    let mut needs = vec![Need::Tests];
    needs.extend((!engines.is_empty()).then_some(Need::Engines));
    needs.extend(engines.iter().any(|engine| engine.is_kubernetes()).then_some(Need::Kubernetes));
    let uses_vm = in_vm.is_some() || (cases.is_some() && !arguments.no_vm);
    needs.extend(uses_vm.then_some(Need::Vm));
    setup::debian_packages(&needs, Consent::new(arguments.yes))?;
    let before = Traces::read()?;
    let mut rows = vec![perform("build", || build::build().map(|_| Tally::ONE))];
    rows.extend(checks.iter().map(|check| perform(check.name, check.run)));
    if let Some(cases) = &cases {
        for run in black_box::runs(arguments)? {
            let row = perform(run.name, || run.perform(cases));
            rows.push(Row { shows_skips: run.is_of_masu(), ..row });
            rows.push(perform("... leaks", || before.compare().map(|()| Tally::ONE)));
        }
    }
    for engine in engines {
        let row =
            perform(&format!("engine {}", engine.name), || engine.perform(arguments.runtime.as_deref()));
        rows.push(Row { shows_skips: arguments.runtime.is_none(), ..row });
    }
    if let Some(filters) = in_vm {
        let runtime = arguments.vm_runtime.as_deref();
        let row = perform("engines in the VM", || engines::perform_in_vm(runtime, &filters));
        rows.push(Row { shows_skips: runtime.is_none(), ..row });
    }
    rows.push(perform("leaks", || before.compare().map(|()| Tally::ONE)));
    let exit = summarise(&rows);
    if arguments.no_vm && cases.is_some() {
        println!("left out by --no-vm: the machine with cgroup v2 alone");
    }
    Ok(exit)
}

/// The checks to run, and the filters of the black-box cases to run, if any.
fn select(suites: &[String], everything: bool) -> (Vec<&'static checks::Check>, Option<Vec<String>>) {
    let chosen: Vec<_> = checks::ALL
        .iter()
        .filter(|check| everything || suites.iter().any(|suite| suite == check.name))
        .collect();
    let is_check = |suite: &String| checks::ALL.iter().any(|check| check.name == suite.as_str());
    let cases: Vec<String> = suites.iter().filter(|suite| !is_check(suite)).cloned().collect();
    let run_cases = everything || !cases.is_empty();
    (chosen, run_cases.then_some(cases))
}

fn perform(name: &str, step: impl FnOnce() -> Result<Tally>) -> Row {
    println!("\n==== {name}");
    let start = Instant::now();
    let outcome = step();
    if let Err(error) = &outcome {
        println!("{name}: {error:#}");
    }
    Row { name: name.to_owned(), outcome, shows_skips: false, took: start.elapsed() }
}

/// Prints the table, who did not pass, and the sums. A step that could not be carried out counts as one failure.
fn summarise(rows: &[Row]) -> ExitCode {
    println!("\n{:35} {:>8} {:>8} {:>8} {:>8}", "step", "passed", "failed", "skipped", "seconds");
    let mut sum = Tally::default();
    for row in rows {
        let tally = row.outcome.as_ref().unwrap_or(&Tally::ONE_FAILURE).clone();
        println!(
            "{:35} {:>8} {:>8} {:>8} {:>8.1}",
            row.name,
            tally.passed,
            tally.failed,
            tally.skipped,
            row.took.as_secs_f64()
        );
        sum += tally;
    }
    println!();
    print_names(rows);
    println!("{} passed, {} failed, {} skipped", sum.passed, sum.failed, sum.skipped);
    if sum.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What failed says so once more: who reads the end of a long output sees why.
///
/// What other runtimes skip is listed in tests/differences.toml; what masu does is to be seen.
fn print_names(rows: &[Row]) {
    for row in rows {
        match &row.outcome {
            Ok(tally) => {
                tally.messages.iter().for_each(|message| println!("{}: {message}\n", row.name));
                let skips = if row.shows_skips { tally.skips.as_slice() } else { &[] };
                for (what, names) in [("failed", tally.failures.as_slice()), ("skipped", skips)] {
                    names.iter().for_each(|name| println!("{what} in {}: {name}", row.name));
                }
            }
            Err(error) => println!("failed: {}: {error:#}", row.name),
        }
    }
}
