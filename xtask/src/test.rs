//! `cargo xtask test`: all of CI. It installs what is needed, runs every check and every test whatever fails
//! before, and closes with a table and one line of sums.

mod checks;
mod leaks;
mod tally;

use crate::setup::{self, Consent};
use crate::{build, project};
use anyhow::{Context, Result, bail};
use leaks::Traces;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tally::Tally;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only these: a check (fmt, clippy, doc, deny, init, unit, demo), or a part of the names of black-box cases
    #[arg(value_name = "SUITE")]
    suites: Vec<String>,
    /// Run the black-box suites against this runtime instead
    #[arg(long, value_name = "PATH")]
    runtime: Option<PathBuf>,
    /// Install missing packages without asking
    #[arg(long)]
    yes: bool,
}

/// One line of the summary.
struct Row {
    name: String,
    outcome: Result<Tally>,
    took: Duration,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    setup::debian_packages(Consent::new(arguments.yes))?;
    let before = Traces::read()?;
    let (checks, cases) = select(&arguments.suites);
    let mut rows = vec![perform("build", || build::build().map(|_| Tally::ONE))];
    rows.extend(checks.iter().map(|check| perform(check.name, check.run)));
    if let Some(cases) = cases {
        for runtime in runtimes(arguments.runtime.as_deref())? {
            let name = black_box_row(runtime.name);
            rows.push(perform(&name, || match runtime.name {
                MASU => black_box(&runtime.path, &cases),
                _ => black_box_of_others(&runtime.path, &cases),
            }));
        }
    }
    rows.push(perform("leaks", || before.compare().map(|()| Tally::ONE)));
    Ok(summarise(&rows))
}

/// The checks to run, and the filters of the black-box cases to run, if any. No suite means everything.
fn select(suites: &[String]) -> (Vec<&'static checks::Check>, Option<Vec<String>>) {
    let chosen: Vec<_> = checks::ALL
        .iter()
        .filter(|c| suites.is_empty() || suites.iter().any(|suite| suite == c.name))
        .collect();
    let is_check = |suite: &String| checks::ALL.iter().any(|check| check.name == suite.as_str());
    let cases: Vec<String> = suites.iter().filter(|suite| !is_check(suite)).cloned().collect();
    let run_cases = suites.is_empty() || !cases.is_empty();
    (chosen, run_cases.then_some(cases))
}

/// The runtime that has to pass everything.
const MASU: &str = "masu";

fn black_box_row(runtime: &str) -> String {
    format!("black-box {runtime}")
}

struct Runtime {
    name: &'static str,
    path: PathBuf,
}

/// masu, and the two runcs that its cases are held against: Debian's newest and the one of this release.
fn runtimes(chosen: Option<&Path>) -> Result<Vec<Runtime>> {
    if let Some(path) = chosen {
        let path = path.canonicalize().with_context(|| format!("find {}", path.display()))?;
        return Ok(vec![Runtime { name: "chosen runtime", path }]);
    }
    let stable = project::find_program("runc").context("find runc")?;
    Ok(vec![
        Runtime { name: MASU, path: project::bin().join("masu") },
        Runtime { name: "newest runc", path: setup::newest_runtimes()?.runc },
        Runtime { name: "stable runc", path: stable },
    ])
}

fn black_box(runtime: &Path, cases: &[String]) -> Result<Tally> {
    let mut tests =
        project::cargo(&["run", "--quiet", "--locked", "--package", "masu-tests", "--", "--runtime"]);
    let tally = tally::run_counting(tests.arg(runtime).args(cases))?;
    if tally.total() == 0 {
        bail!("no case has a name with {}", cases.join(" or "));
    }
    Ok(tally)
}

/// The same cases against somebody else's runtime. What fails there is tried once more, alone: a race of theirs is not
/// ours to mend, and what differs for good fails again.
fn black_box_of_others(runtime: &Path, cases: &[String]) -> Result<Tally> {
    let mut tally = black_box(runtime, cases)?;
    if !tally.failures.is_empty() {
        println!("\ntrying again: {}", tally.failures.join(", "));
        let again = black_box(runtime, &tally.failures)?;
        tally.passed += tally.failed.saturating_sub(again.failed);
        tally.failed = again.failed;
        tally.failures = again.failures;
    }
    Ok(tally)
}

fn perform(name: &str, step: impl FnOnce() -> Result<Tally>) -> Row {
    println!("\n==== {name}");
    let start = Instant::now();
    let outcome = step();
    if let Err(error) = &outcome {
        println!("{name}: {error:#}");
    }
    Row { name: name.to_owned(), outcome, took: start.elapsed() }
}

/// Prints the table, who did not pass, and the sums. A step that could not be carried out counts as one failure.
fn summarise(rows: &[Row]) -> ExitCode {
    println!("\n{:24} {:>8} {:>8} {:>8} {:>8}", "step", "passed", "failed", "skipped", "seconds");
    let mut sum = Tally::default();
    for row in rows {
        let tally = row.outcome.as_ref().unwrap_or(&Tally::ONE_FAILURE).clone();
        println!(
            "{:24} {:>8} {:>8} {:>8} {:>8.1}",
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

/// What other runtimes skip is listed in tests/differences.toml; what masu does is to be seen.
fn print_names(rows: &[Row]) {
    let masu = black_box_row(MASU);
    for row in rows {
        match &row.outcome {
            Ok(tally) => {
                let skips = if row.name == masu { tally.skips.as_slice() } else { &[] };
                for (what, names) in [("failed", tally.failures.as_slice()), ("skipped", skips)] {
                    names.iter().for_each(|name| println!("{what} in {}: {name}", row.name));
                }
            }
            Err(error) => println!("failed: {}: {error:#}", row.name),
        }
    }
}
