//! `run`: hot and cold, alone and many at once, and with other configurations.

use super::blocks::{self, BLOCK, Samples, Turn, after_rest, turns};
use super::contender::{Bundle, Contender};
use super::figures::{ANY, Row, Value};
use super::section::{Field, Findings};
use super::variant::{PLAIN, Variant};
use anyhow::{Context, Result};
use std::process::Command;
use std::time::{Duration, Instant};

const ROUNDS: usize = 10;
/// Variants are seven sections: shorter blocks and fewer.
const VARIANT_ROUNDS: usize = 8;
const VARIANT_BLOCK: usize = 11;
const COLD_RUNS: usize = 20;
const AT_ONCE: [usize; 3] = [2, 16, 64];
const AT_ONCE_ROUNDS: usize = 5;

/// What any program costs: the line to subtract.
pub(super) fn spawn(field: &Field, findings: &mut Findings) -> Result<Vec<Row>> {
    let once = || -> Result<Duration> {
        let start = Instant::now();
        Command::new(&field.probe.empty).status().context("start the empty program")?;
        Ok(start.elapsed())
    };
    let mut hot = Vec::new();
    for _ in 0..ROUNDS {
        let mut block = (0..BLOCK).map(|_| once()).collect::<Result<Vec<_>>>()?;
        block.remove(0);
        hot.push(block);
        std::thread::sleep(Duration::from_millis(50));
    }
    let cold = (0..COLD_RUNS).map(|_| after_rest(once)).collect::<Result<Vec<_>>>()?;
    let disturbed = cold.iter().filter(|(_, calm)| !calm).count();
    if disturbed > COLD_RUNS / 2 {
        findings.noise.push(format!("spawn, cold: the machine had work in {disturbed} of {COLD_RUNS} rests"));
    }
    let cold: Vec<_> = cold.into_iter().map(|(time, _)| vec![time]).collect();
    let row = |name, blocks: &[_]| Row::new(name, "ms", vec![Value::of_blocks(ANY, blocks)]);
    Ok(vec![row("spawn, hot", &hot), row("spawn, cold", &cold)])
}

/// One `run`, and what its processes took.
#[derive(Debug, Clone, Copy)]
struct Run {
    wall: Duration,
    used: Used,
}

pub(super) fn plain(contender: &Contender) -> Result<Bundle> {
    contender.bundle("plain", &["/true"], PLAIN.change)
}

/// `run`, hot, with the processor time and the page faults of all its processes.
pub(super) fn hot(field: &Field, _: &mut Findings) -> Result<Vec<Row>> {
    let turns = turns(&field.contenders, |_| true);
    let samples = blocks::hot(turns, field.rounds(ROUNDS), BLOCK, |turn| {
        let mut run = turn.contender.run(&plain(turn.contender)?)?;
        let before = Used::by_children()?;
        let wall = turn.contender.time(&mut run)?;
        Ok(Run { wall, used: Used::by_children()?.since(before) })
    })?;
    let mean = |name: &str, unit: &str, of: &dyn Fn(Used) -> f64| {
        let values = samples.iter().map(|(turn, blocks)| {
            let runs: Vec<_> = blocks.iter().flatten().map(|run| of(run.used)).collect();
            Value::exact(turn.contender.name, runs.iter().sum::<f64>() / runs.len().max(1) as f64)
        });
        Row::new(name, unit, values.collect())
    };
    Ok(vec![
        samples.row("run, hot", 0, |run| run.wall),
        // The ticks are 10 ms, but what they count is exact: only the sum over all is rounded.
        mean("run, CPU time", "ms", &|used| used.ticks as f64 * 10.0),
        mean("run, page faults", "", &|used| used.faults as f64),
    ])
}

pub(super) fn cold(field: &Field, findings: &mut Findings) -> Result<Vec<Row>> {
    let turns = turns(&field.contenders, |_| true);
    let samples = blocks::cold(turns, COLD_RUNS, &mut findings.noise, "run, cold", |turn| {
        let mut run = turn.contender.run(&plain(turn.contender)?)?;
        after_rest(|| turn.contender.time(&mut run))
    })?;
    Ok(vec![samples.row("run, cold", 0, |time| *time)])
}

/// A program as people have them in containers, static and with a C library.
pub(super) fn busybox(field: &Field, _: &mut Findings) -> Result<Vec<Row>> {
    let samples = blocks::hot(turns(&field.contenders, |_| true), ROUNDS, BLOCK, |turn| {
        let bundle = turn.contender.bundle("busybox", &["/busybox", "true"], PLAIN.change)?;
        turn.contender.time(&mut turn.contender.run(&bundle)?)
    })?;
    Ok(vec![samples.row("run, busybox's true, hot", 0, |time| *time)])
}

/// From the first of the concurrent `run`s to the end of the last.
pub(super) fn parallel(field: &Field, _: &mut Findings) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for count in AT_ONCE {
        let samples = blocks::hot(turns(&field.contenders, |_| true), AT_ONCE_ROUNDS, 2, |turn| {
            at_once(turn.contender, count)
        })?;
        rows.push(samples.row(&format!("{count} runs at once"), 0, |time| *time));
    }
    Ok(rows)
}

fn at_once(contender: &Contender, count: usize) -> Result<Duration> {
    let bundle = |number| contender.bundle(&format!("parallel-{number}"), &["/true"], PLAIN.change);
    let mut runs = (0..count).map(|number| contender.run(&bundle(number)?)).collect::<Result<Vec<_>>>()?;
    let start = Instant::now();
    let mut children = Vec::new();
    for run in &mut runs {
        children.push(run.spawn().context("start one of the concurrent runs")?);
    }
    for (run, child) in runs.iter().zip(&mut children) {
        contender.wait(run, child)?;
    }
    Ok(start.elapsed())
}

/// `run` with another configuration, in turns with the default one: what it takes, and how much more that is.
pub(super) fn variant(field: &Field, findings: &mut Findings, variant: &Variant) -> Result<Vec<Row>> {
    let bundle = |contender: &Contender| contender.bundle(variant.name, &["/true"], variant.change);
    let mut able = Vec::new();
    for contender in field.contenders.iter().filter(|contender| contender.knows(variant)) {
        match try_once(contender, bundle(contender)) {
            Ok(()) => able.push(contender),
            // What masu cannot do is no gap in a table.
            Err(error) if contender.name == "masu" => return Err(error),
            Err(error) => {
                findings.notes.push(format!("{}: no run with {}: {error:#}", contender.name, variant.name))
            }
        }
    }
    compare(&able, variant.name, plain, bundle)
}

fn try_once(contender: &Contender, bundle: Result<Bundle>) -> Result<()> {
    contender.time(&mut contender.run(&bundle?)?).map(drop)
}

/// Two ways of `run` in turns: the second one's times, and the difference of the medians.
pub(super) fn compare(
    contenders: &[&Contender],
    name: &str,
    plain: impl Fn(&Contender) -> Result<Bundle>,
    other: impl Fn(&Contender) -> Result<Bundle>,
) -> Result<Vec<Row>> {
    let turns = contenders.iter().flat_map(|&contender| [0, 1].map(|what| Turn { contender, what }));
    let samples = blocks::hot(turns.collect(), VARIANT_ROUNDS, VARIANT_BLOCK, |turn| {
        let contender = turn.contender;
        let bundle = if turn.what == 0 { plain(contender)? } else { other(contender)? };
        contender.time(&mut contender.run(&bundle)?)
    })?;
    Ok(vec![samples.row(&format!("run, {name}"), 1, |time| *time), added(name, &samples)])
}

/// How much more than the default one.
fn added(name: &str, samples: &Samples<'_, Duration>) -> Row {
    let of = |what| samples.row("", what, |time: &Duration| *time);
    let (plain, other) = (of(0), of(1));
    let values = other.values.iter().filter_map(|value| Some(value.added_to(plain.of(&value.runtime)?)));
    Row::new(&format!("run, added by {name}"), "ms", values.collect())
}

/// What all descendants that were waited for have used, from proc_pid_stat(5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Used {
    /// User and system time in ticks.
    ticks: u64,
    /// Minor and major page faults.
    faults: u64,
}

impl Used {
    fn by_children() -> Result<Self> {
        let file = "/proc/self/stat";
        let stat = std::fs::read_to_string(file).with_context(|| format!("read {file}"))?;
        Self::parse(&stat).context("read cminflt, cmajflt, cutime and cstime")
    }

    fn since(self, before: Self) -> Self {
        Self { ticks: self.ticks - before.ticks, faults: self.faults - before.faults }
    }

    /// Fields 11, 13, 16 and 17, counted behind the program's name, which may contain anything.
    fn parse(stat: &str) -> Option<Self> {
        let (_, fields) = stat.rsplit_once(") ")?;
        let fields: Vec<_> = fields.split(' ').collect();
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        Some(Self { ticks: number(16)? + number(17)?, faults: number(11)? + number(13)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_children_used_is_found_behind_a_name_with_brackets() {
        let stat = "7 (a) b) R 1 7 7 0 -1 0 10 11 12 13 14 15 170 18 20 0 1";
        assert_eq!(Used::parse(stat), Some(Used { ticks: 188, faults: 24 }));
    }
}
