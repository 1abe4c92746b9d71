//! `cargo xtask bench`: masu beside Debian's newest crun and runc, in one run.
//!
//! Machines differ from minute to minute, so the runtimes take turns: blocks of 20, the first of each thrown
//! away, in rotating order (hot), and single runs after 1.5 s of idleness (cold), which is when the kernel's
//! grace periods show. A median is what is told. All of them see only the v1 hierarchies, in a private mount
//! namespace: crun refuses a hybrid layout.

mod chart;
mod contender;
mod figures;
mod floor;
mod machine;
mod namespace;
mod report;
mod sample;
mod scratch;

use crate::setup::{self, Consent};
use crate::{build, project};
use anyhow::{Context, Result, bail};
use contender::{Contender, Probe};
use figures::{Figures, Row};
pub(crate) use floor::floor_is_a_container;
use scratch::Scratch;
use std::path::PathBuf;
use std::process::Command;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Compare with the figures of an earlier run, a copy of target/bench.json
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Measure through podman, Docker, containerd and its CRI instead, and print a table
    #[arg(long, conflicts_with = "baseline")]
    engines: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("the benchmark compares what root's engines do\nhint: run it as root");
    }
    if arguments.engines {
        return engines();
    }
    let baseline = arguments.baseline.as_deref().map(Figures::read).transpose()?;
    setup::debian_packages(&[setup::Need::Tests], Consent::new(false))?;
    let newest = setup::newest_runtimes()?;
    let runtimes = [("masu", build::build()?), ("crun", newest.crun), ("runc", newest.runc)];
    let probe = Probe::build()?;
    namespace::enter_v1_only()?;
    // Containers that outlive their runtime become our children, so that their end can be waited for.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).context("become a subreaper")?;
    let scratch = Scratch::create()?;
    let contenders: Vec<_> = runtimes
        .into_iter()
        .map(|(name, path)| Contender::prepare(name, path, &scratch, &probe))
        .collect::<Result<_>>()?;
    let rows = measure(&contenders, &probe)?;
    let figures = Figures { machine: machine::describe()?, versions: versions(&contenders), rows };
    scratch.remove()?;
    print!("{}", report::table(&figures));
    if let Some(baseline) = &baseline {
        print!("\n{}", report::comparison(baseline, &figures));
    }
    figures.write(&project::target().join("bench.json"))?;
    report::write_documents(&figures)
}

/// The same runtimes, called by engines.
fn engines() -> Result<()> {
    setup::debian_packages(&[setup::Need::Tests, setup::Need::Engines], Consent::new(false))?;
    let (newest, client) = (setup::newest_runtimes()?, setup::cri_client()?);
    let mut tests = Command::new(build::tests_of_engines()?);
    tests
        .arg("--runtime")
        .arg(build::build()?)
        .arg("--beside")
        .arg(newest.crun)
        .arg("--beside")
        .arg(newest.runc);
    tests.arg("--python").arg(&client.python).env("PYTHONPATH", &client.packages);
    project::run(&mut tests)
}

fn versions(contenders: &[Contender]) -> Vec<String> {
    contenders.iter().map(|contender| contender.version.clone()).collect()
}

fn measure(contenders: &[Contender], probe: &Probe) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    progress("spawning an empty program");
    rows.extend(sample::spawn(probe)?);
    progress("run, hot");
    rows.extend(sample::run_hot(contenders)?);
    progress("run, cold");
    rows.push(sample::run_cold(contenders)?);
    progress("create to delete, hot");
    rows.extend(sample::cycle_hot(contenders)?);
    progress("create to delete, cold");
    rows.extend(sample::cycle_cold(contenders)?);
    progress("32 at once");
    rows.push(sample::concurrent(contenders)?);
    progress("memory");
    rows.push(sample::peak_memory(contenders, probe)?);
    Ok(rows)
}

fn progress(what: &str) {
    eprintln!("measuring: {what}");
}
