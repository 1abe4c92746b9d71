//! `cargo xtask bench`: masu beside Debian's newest crun and runc and beside the kernel's own limit, in one run.
//!
//! Machines differ from minute to minute, so all take turns, see `blocks.rs`; cold is what follows a second in which the
//! machine did nothing, which is when the kernel's grace periods show. All of them see only the v1 hierarchies, in a private
//! mount namespace: crun refuses a hybrid layout. `section.rs` has the list of what is measured.

mod aims;
mod blocks;
mod boxes;
mod chart;
mod commands;
mod contender;
mod content;
mod figures;
mod filter;
mod floor;
mod images;
mod machine;
mod many;
mod memory;
mod namespace;
mod noise;
mod report;
mod run;
mod scratch;
mod section;
mod variant;
mod vm;

use crate::setup::{self, Consent};
use crate::{build, project};
use anyhow::{Context, Result, bail};
use contender::{Contender, Driver, Probe};
use figures::Figures;
use floor::Floor;
pub(crate) use floor::floor_is_a_container;
use scratch::Scratch;
use section::{Field, Findings, Section};
use std::path::PathBuf;
use std::process::Command;

type Measure = fn() -> Result<()>;

/// The parts with contenders or a machine of their own: each alone, and never a part of all.
const ALONE: [(&str, Measure); 3] = [("images", images::run), ("boxes", boxes::run), ("vm", vm::run)];

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only the parts with these words in their names; `--list` names them. Alone are `images`, from a registry to
    /// unpacked layers, beside podman, skopeo and umoci, `boxes`, from there to a container, beside podman and Docker, and
    /// `vm`, some of the parts with cgroup v2 and systemd, in the machine of `cargo xtask vm`
    #[arg(value_name = "PART")]
    parts: Vec<String>,
    /// Name the parts of the benchmark and measure nothing
    #[arg(long)]
    list: bool,
    /// Compare with the figures of an earlier run, a copy of target/bench/bench.json
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Measure through podman, Docker, containerd and its CRI instead, and print a table
    #[arg(long, conflicts_with_all = ["baseline", "parts", "list"])]
    engines: bool,
    /// Measure in the machine that this is; `vm` starts this program with it
    #[arg(long, value_name = "DRIVER", hide = true, conflicts_with_all = ["baseline", "parts", "list", "engines"])]
    inside: Option<Driver>,
}

/// The runtimes that are compared, what they run, and how.
struct Contest {
    masu: PathBuf,
    crun: PathBuf,
    runc: PathBuf,
    probe: Probe,
    driver: Driver,
    one_round_of: usize,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let alone = ALONE.iter().find(|(name, _)| arguments.parts == [*name]);
    let parts = if alone.is_some() { Vec::new() } else { section::select(&arguments.parts)? };
    if arguments.list {
        parts.iter().for_each(|part| println!("{}", part.name));
        ALONE.iter().for_each(|(name, _)| println!("{name}"));
        return Ok(());
    }
    if !rustix::process::geteuid().is_root() {
        bail!("the benchmark compares what root's engines do\nhint: run it as root");
    }
    if arguments.engines {
        return engines();
    }
    if let Some(driver) = arguments.inside {
        return vm::inside(driver);
    }
    if let Some((_, measure)) = alone {
        return measure();
    }
    let baseline = arguments.baseline.as_deref().map(Figures::read).transpose()?;
    let figures = measure(&parts)?;
    print!("{}", report::table(&figures));
    if let Some(baseline) = &baseline {
        print!("\n{}", report::comparison(baseline, &figures));
    }
    print!("\n{}", report::aims(&figures));
    report::write(&figures, parts.len() == section::ALL.len())
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

fn measure(parts: &[&Section]) -> Result<Figures> {
    setup::debian_packages(&[setup::Need::Tests], Consent::new(false))?;
    let newest = setup::newest_runtimes()?;
    let contest = Contest {
        masu: build::engine()?,
        crun: newest.crun,
        runc: newest.runc,
        probe: Probe::build()?,
        driver: Driver::Cgroupfs,
        one_round_of: 1,
    };
    compare(contest, parts)
}

/// Has all of them take turns in these parts.
fn compare(contest: Contest, parts: &[&Section]) -> Result<Figures> {
    let Contest { masu, crun, runc, probe, driver, one_round_of } = contest;
    let mut findings = Findings::default();
    findings.noise.extend(noise::look_before()?);
    namespace::enter_v1_only()?;
    // Containers that outlive their runtime become our children, so that their end can be waited for.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).context("become a subreaper")?;
    let scratch = Scratch::create()?;
    let config = floor::default_config(&masu, &scratch.path)?;
    let runtime = |name, path| Contender::runtime(name, path, driver, &config, &scratch, &probe);
    let mut contenders = vec![runtime("masu", masu.clone())?];
    match Floor::build()? {
        Some(floor) => {
            floor.prove_equal(&masu, &scratch.path)?;
            contenders.push(Contender::floor(floor, &config, &scratch, &probe)?);
        }
        None => findings.notes.push("no floor: it knows version 1 hierarchies alone".to_owned()),
    }
    contenders.push(runtime("crun", crun)?);
    contenders.push(runtime("runc", runc)?);
    let field = Field { contenders, probe, scratch, one_round_of };
    let mut rows = Vec::new();
    for part in parts {
        eprintln!("measuring: {}", part.name);
        let measured = (part.measure)(&field, &mut findings);
        rows.extend(measured.with_context(|| format!("measure {}", part.name))?);
    }
    let versions = field.contenders.iter().map(|contender| contender.version.clone()).collect();
    let Findings { noise, notes } = findings;
    field.scratch.remove()?;
    Ok(Figures { machine: machine::describe()?, versions, noise, notes, rows })
}
