//! `cargo xtask bench boxes`: from an image in a store to a container that has ended, by masu, podman and Docker, in one
//! run.
//!
//! Each has the image unpacked already, no network for the container, and a store of its own on the same disk; podman and
//! Docker have Debian's runc. All of it in a mount namespace, for podman mounts its store.

mod contender;
mod report;

use super::content::{self, Content};
use super::figures::{Figures, Row, Value};
use super::{machine, namespace, noise};
use crate::setup::{self, Consent};
use crate::{build, project};
use anyhow::{Context, Result};
use contender::{CONTENDERS, Contender, World};
use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};

/// Blocks of each contender, and boxes in a block: the first of each is left out.
const BLOCKS: usize = 8;
const BLOCK: usize = 6;
/// Boxes at once.
const MANY: usize = 50;
/// How often so many are begun.
const ROUNDS: usize = 3;

/// Measures, and writes what came out.
pub(super) fn run() -> Result<()> {
    setup::debian_packages(&[setup::Need::Tests, setup::Need::Engines], Consent::new(false))?;
    build::build()?;
    namespace::enter_private()?;
    let content = Content::open()?;
    let noise = noise::look_before()?.into_iter().collect();
    let world = World::create(&content)?;
    let mut rows = vec![bundles(&world, content::DEBIAN)?, bundles(&world, content::LARGE)?];
    rows.push(one_by_one(&world)?);
    rows.push(all_at_once(&world)?);
    rows.push(memory(&world)?);
    let versions = versions(&world)?;
    world.remove()?;
    let figures = Figures { machine: machine::describe()?, versions, noise, notes: Vec::new(), rows };
    print!("{}", report::table(&figures));
    report::write(&figures, &content)
}

/// What a bundle takes.
fn bundles(world: &World, image: &str) -> Result<Row> {
    eprintln!("measuring: bundles of {image}");
    let block = |_| (0..BLOCK).map(|_| world.bundle(image)).collect::<Result<Vec<_>>>();
    let blocks = (0..BLOCKS).map(block).collect::<Result<Vec<_>>>()?;
    Ok(Row::new(&format!("bundle of {image}"), "ms", vec![of_blocks(Contender::Masu, blocks)]))
}

/// What a container takes whose program does nothing.
fn one_by_one(world: &World) -> Result<Row> {
    let mut taken = CONTENDERS.map(|contender| (contender, Vec::new()));
    for block in 0..BLOCKS {
        eprintln!("measuring: one box: block {} of {BLOCKS}", block + 1);
        let first = block % taken.len();
        taken.rotate_left(first);
        for (contender, blocks) in &mut taken {
            let times =
                (0..BLOCK).map(|_| timed(|| project::output(&mut world.run(*contender, "true")).map(drop)));
            blocks.push(times.collect::<Result<Vec<_>>>()?);
        }
        taken.rotate_right(first);
    }
    let values = taken.map(|(contender, blocks)| of_blocks(contender, blocks));
    Ok(Row::new("one box", "ms", values.into()))
}

/// Without the first of each block.
fn of_blocks(contender: Contender, mut blocks: Vec<Vec<Duration>>) -> Value {
    for block in &mut blocks {
        block.remove(0);
    }
    Value::of_blocks(contender.name(), &blocks)
}

fn timed(work: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}

/// How long it takes until the last of many that were begun at once has ended.
fn all_at_once(world: &World) -> Result<Row> {
    let mut taken = CONTENDERS.map(|contender| (contender, Vec::new()));
    for round in 0..ROUNDS {
        eprintln!("measuring: {MANY} boxes at once: round {} of {ROUNDS}", round + 1);
        taken.rotate_left(1);
        for (contender, times) in &mut taken {
            times.push(timed(|| world.run_many(*contender, MANY))?);
        }
    }
    taken.sort_by_key(|(contender, _)| *contender);
    let values = taken.map(|(contender, times)| Value::of_times(contender.name(), times));
    Ok(Row::new(&format!("{MANY} boxes at once"), "ms", values.into()))
}

/// What processes there are more while so many wait, and what they have of the machine's memory, for each box. The kernel's own
/// memory is not in it: how much of that is free tells what happened before as well.
fn memory(world: &World) -> Result<Row> {
    let mut values = Vec::new();
    for contender in CONTENDERS {
        eprintln!("measuring: memory of {MANY} boxes: {}", contender.name());
        let before = processes()?;
        world.leave_many(contender, MANY)?;
        let used: u64 = processes()?.difference(&before).map(|pid| proportional_size(*pid)).sum();
        world.end_all(contender)?;
        values.push(Value::exact(contender.name(), used as f64 / MANY as f64 / 1024.0));
    }
    Ok(Row::new(&format!("memory of one of {MANY} boxes"), "MB", values))
}

fn processes() -> Result<BTreeSet<u32>> {
    let names = std::fs::read_dir("/proc").context("read /proc")?.flatten().map(|entry| entry.file_name());
    Ok(names.filter_map(|name| name.to_str()?.parse().ok()).collect())
}

/// Pss of proc_pid_smaps(5), in KB: what several processes share is divided among them. 0 for one that has ended.
fn proportional_size(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    value.and_then(|value| value.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0)
}

fn versions(world: &World) -> Result<Vec<String>> {
    let mut versions = vec![concat!("masu ", env!("CARGO_PKG_VERSION")).to_owned()];
    for mut program in [Command::new("podman"), world.docker(&[]), Command::new("runc")] {
        let text = project::output(program.arg("--version"))?;
        versions.push(text.lines().next().unwrap_or_default().to_owned());
    }
    Ok(versions)
}
