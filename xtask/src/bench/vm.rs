//! `cargo xtask bench vm`: the same with cgroup v2, in the machine of `cargo xtask vm`, where the runtimes make their
//! cgroups first by themselves and then by systemd. This program goes into the machine and measures there, beside the
//! crun and runc that the machine has.
//!
//! Its processor is emulated: what is computed costs more than what the kernel waits for, and no aim is held against
//! such figures.

use super::contender::{Driver, Probe};
use super::figures::Figures;
use super::{Contest, compare, noise, report, section};
use crate::open_folder::OpenFolder;
use crate::project;
use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use std::path::Path;
use std::process::Command;

/// What needs no checkout, and whose figures an emulated processor does not turn upside down.
const PARTS: [&str; 6] = ["spawn", "run-hot", "cycle-hot", "exec", "pause-update", "calls-memory"];
/// A command takes a tenth of a second there, and a second with runc.
const ONE_ROUND_OF: usize = 3;
/// A limit for a machine that hangs.
const SECONDS: &str = "5400";
/// Where the machine has masu, and where it takes what is to come out.
const MASU: &str = "/usr/local/bin/masu";
const OUT: &str = "/out";
const FILE: &str = "bench.json";

pub(super) fn run() -> Result<()> {
    let busy = noise::look_before()?;
    let probe = Probe::build()?;
    let own = std::env::current_exe().context("find xtask's own file")?;
    let share = OpenFolder::create()?;
    for program in [&own, &probe.empty, &probe.peak] {
        share.copy(program)?;
    }
    let folder = project::target().join("bench");
    let mut all = Vec::new();
    for driver in Driver::value_variants() {
        let name = driver.to_possible_value().context("a driver has a name")?;
        let out = folder.join(format!("vm-{}", name.get_name()));
        let mut vm = Command::new(&own);
        vm.args(["vm", "--timeout", SECONDS, "--share"]).arg(share.path()).arg("--out").arg(&out);
        project::run(vm.args(["--", "./xtask", "bench", "--inside", name.get_name()]))?;
        let mut figures = Figures::read(&out.join(FILE))?;
        figures.noise.extend(busy.clone());
        print!("\n{}\n{}", driver.title(), report::table(&figures));
        all.push((*driver, figures));
    }
    let is_quiet = all.iter().all(|(_, figures)| figures.noise.is_empty());
    report::write_document("benchmarks-vm.md", is_quiet, &markdown(&all))
}

/// What runs in the machine.
pub(super) fn inside(driver: Driver) -> Result<()> {
    let found = |name| project::find_program(name).with_context(|| format!("the machine has no {name}"));
    let contest = Contest {
        masu: MASU.into(),
        crun: found("crun")?,
        runc: found("runc")?,
        probe: Probe::in_folder(&std::env::current_dir().context("find the working directory")?),
        driver,
        one_round_of: ONE_ROUND_OF,
    };
    let parts = section::select(&PARTS.map(str::to_owned))?;
    ensure!(parts.len() == PARTS.len(), "a part's name is a part of another's");
    compare(contest, &parts)?.write(&Path::new(OUT).join(FILE))
}

fn markdown(all: &[(Driver, Figures)]) -> String {
    let mut text = "# Benchmarks with cgroup v2 and systemd\n\n\
                    Written by `cargo xtask bench vm`; do not edit. [Benchmarks](benchmarks.md) has what the rows mean.\n\n\
                    All of it runs in the machine of `cargo xtask vm`, Debian with systemd, beside the crun and runc of that \
                    Debian. Its processor is emulated, which makes everything slower by a factor of ten and more, and computing \
                    slower than waiting: the ratios tell something, the times nothing of any other machine, and no aim is held \
                    against them. System calls and peak memory are counted, and hold anywhere.\n"
        .to_owned();
    for (driver, figures) in all {
        text += &format!(
            "\n## {}\n\n{}. Compared: {}.\n\n{}",
            driver.title(),
            figures.machine.join("; "),
            figures.versions.join(", "),
            report::figures_table(figures)
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::figures::{Row, Value};
    use super::*;

    #[test]
    fn the_document_has_a_table_for_each_way_to_make_cgroups() {
        let values =
            vec![Value::exact("masu", 20.0), Value::exact("crun", 80.0), Value::exact("runc", 400.0)];
        let figures = Figures { rows: vec![Row::new("run, hot", "ms", values)], ..Figures::default() };
        let all = [(Driver::Cgroupfs, figures.clone()), (Driver::Systemd, figures)];
        let text = markdown(&all);
        let row = "| run, hot | 20.0 ms |  | 80.0 ms |  | 400 ms | 0.25 | 0.05 |\n";
        assert_eq!(text.matches(row).count(), 2, "{text}");
        assert!(text.contains("\n## systemd's cgroups\n"), "{text}");
    }
}
