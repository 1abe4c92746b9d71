//! The commands on a container: each in a container's life, and some many times on the same one.

use super::blocks::{self, BLOCK, Samples, Turn, turns};
use super::contender::{Bundle, Contender, Live, read_pid};
use super::figures::Row;
use super::noise;
use super::section::{Field, Findings};
use super::variant::PLAIN;
use anyhow::{Context, Result};
use rustix::process::{WaitOptions, waitpid};
use rustix::pty::OpenptFlags;
use std::process::Command;
use std::time::{Duration, Instant};

const CYCLE_ROUNDS: usize = 6;
const COLD_CYCLES: usize = 10;
const ROUNDS: usize = 6;

/// The steps of a container's life, in their order.
const STEPS: [&str; 6] = ["create", "start", "state", "exec", "kill", "delete"];
type Cycle = [Duration; STEPS.len()];

pub(super) fn cycle_hot(field: &Field, _: &mut Findings) -> Result<Vec<Row>> {
    let turns = turns(&field.contenders, Contender::is_runtime);
    let cycles = blocks::hot(turns, field.rounds(CYCLE_ROUNDS), BLOCK, |turn| {
        cycle(turn.contender, &mut || Ok(true)).map(|(cycle, _)| cycle)
    })?;
    // An exec of which many follow each other on one container is the one to tell: see below.
    Ok(cycle_rows(&cycles, "hot").into_iter().filter(|row| row.name != "exec, hot").collect())
}

/// With a rest before each step.
pub(super) fn cycle_cold(field: &Field, findings: &mut Findings) -> Result<Vec<Row>> {
    let turns = turns(&field.contenders, Contender::is_runtime);
    let cycles = blocks::cold(turns, COLD_CYCLES, &mut findings.noise, "create to delete, cold", |turn| {
        cycle(turn.contender, &mut noise::rest)
    })?;
    Ok(cycle_rows(&cycles, "cold"))
}

/// One life of a container, with the time of each step, and whether all rests before them were undisturbed. The end of its
/// process belongs to no step: it is waited for before the delete, as an engine does.
fn cycle(contender: &Contender, rest: &mut dyn FnMut() -> Result<bool>) -> Result<(Cycle, bool)> {
    let bundle = contender.bundle("wait", &["/true", "wait"], PLAIN.change)?;
    let mut calm = true;
    let (mut create, pid_file) = contender.create(&bundle)?;
    calm &= rest()?;
    let create = contender.time(&mut create)?;
    let pid = read_pid(&pid_file)?;
    let mut step = |verb: &str, arguments: &[&str]| {
        let mut command = contender.on(&bundle, &[verb], arguments)?;
        calm &= rest()?;
        contender.time(&mut command)
    };
    let start = step("start", &[])?;
    let state = step("state", &[])?;
    let exec = step("exec", &["/true"])?;
    let kill = step("kill", &["KILL"])?;
    waitpid(Some(pid), WaitOptions::empty()).context("wait for the container's process")?;
    let delete = step("delete", &[])?;
    Ok(([create, start, state, exec, kill, delete], calm))
}

fn cycle_rows(cycles: &Samples<'_, Cycle>, heat: &str) -> Vec<Row> {
    let mut rows: Vec<_> = STEPS
        .iter()
        .enumerate()
        .map(|(index, step)| {
            let time = |cycle: &Cycle| cycle.get(index).copied().unwrap_or_default();
            cycles.row(&format!("{step}, {heat}"), 0, time)
        })
        .collect();
    rows.push(cycles.row(&format!("whole cycle, {heat}"), 0, |cycle| cycle.iter().sum()));
    rows
}

/// Containers of all runtimes with the same process, by the place of their contender in the list.
fn live<'a>(
    field: &'a Field,
    name: &str,
    arguments: &[&'static str],
) -> Result<Vec<(&'a Contender, Live<'a>)>> {
    let start = |contender: &'a Contender| -> Result<_> {
        let bundle: Bundle = contender.bundle(name, arguments, PLAIN.change)?;
        Ok((contender, contender.live(&bundle, true)?))
    };
    field.contenders.iter().filter(|contender| contender.is_runtime()).map(start).collect()
}

/// Something done again and again on such containers.
fn repeated<'a>(
    field: &Field,
    name: &str,
    live: &'a [(&'a Contender, Live<'a>)],
    mut once: impl FnMut(&Contender, &Live<'_>) -> Result<Duration>,
) -> Result<Row> {
    let turns = live.iter().enumerate().map(|(what, (contender, _))| Turn { contender, what });
    let samples = blocks::hot(turns.collect(), field.rounds(ROUNDS), BLOCK, |turn| {
        let (contender, live) = live.get(turn.what).context("a contender without a container")?;
        once(contender, live)
    })?;
    let rows = (0..live.len()).map(|what| samples.row("", what, |time| *time));
    Ok(Row::new(name, "ms", rows.flat_map(|row| row.values).collect()))
}

/// `exec` of the empty program: plain, with a terminal, and in a container with 1,000 processes.
pub(super) fn exec(field: &Field, _: &mut Findings) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    {
        let live = live(field, "exec", &["/true", "wait"])?;
        rows.push(repeated(field, "exec, hot", &live, |contender, live| {
            contender.time(&mut live.command(&["exec"], &["/true"])?)
        })?);
        rows.push(repeated(field, "exec with a terminal, hot", &live, exec_on_terminal)?);
    }
    let crowd = live(field, "crowd", &["/true", "wait", "crowd"])?;
    std::thread::sleep(Duration::from_secs(1));
    rows.push(repeated(field, "exec among 1,000 processes, hot", &crowd, |contender, live| {
        contender.time(&mut live.command(&["exec"], &["/true"])?)
    })?);
    Ok(rows)
}

/// On a terminal of ours, as by a person.
fn exec_on_terminal(contender: &Contender, live: &Live<'_>) -> Result<Duration> {
    let master = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).context("open a terminal")?;
    rustix::pty::grantpt(&master).context("grantpt")?;
    rustix::pty::unlockpt(&master).context("unlockpt")?;
    let slave = rustix::pty::ioctl_tiocgptpeer(&master, OpenptFlags::RDWR | OpenptFlags::NOCTTY)
        .context("open the terminal's other end")?;
    let mut exec: Command = live.command(&["exec", "--tty"], &["/true"])?;
    exec.stdin(slave.try_clone().context("dup")?).stdout(slave.try_clone().context("dup")?);
    let start = Instant::now();
    let status = exec.status().context("start exec")?;
    let took = start.elapsed();
    contender.check(&exec, status)?;
    Ok(took)
}

/// What changes a running container: it is paused and goes on, and gets another limit.
pub(super) fn pause_update(field: &Field, _: &mut Findings) -> Result<Vec<Row>> {
    let live = live(field, "pause", &["/true", "wait"])?;
    let command = |live: &Live<'_>, verb: &[&str]| live.command(verb, &[]);
    let pause = repeated(field, "pause, hot", &live, |contender, live| {
        let took = contender.time(&mut command(live, &["pause"])?)?;
        contender.time(&mut command(live, &["resume"])?)?;
        Ok(took)
    })?;
    let resume = repeated(field, "resume, hot", &live, |contender, live| {
        contender.time(&mut command(live, &["pause"])?)?;
        contender.time(&mut command(live, &["resume"])?)
    })?;
    let update = repeated(field, "update of a limit, hot", &live, |contender, live| {
        contender.time(&mut command(live, &["update", "--pids-limit", "1000"])?)
    })?;
    Ok(vec![pause, resume, update])
}
