//! The measurements, one function each.

use super::contender::{CONCURRENT, Contender, Probe};
use super::figures::{ANY, Row, median};
use anyhow::{Context, Result, bail};
use rustix::process::{Pid, WaitOptions, waitpid};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const BLOCK: usize = 20;
const RUN_ROUNDS: usize = 10;
const CYCLE_ROUNDS: usize = 5;
const COLD_RUNS: usize = 10;
const COLD_CYCLES: usize = 5;
const CONCURRENT_ROUNDS: usize = 6;
/// Long enough for the kernel's RCU to have gone to sleep.
const IDLE: Duration = Duration::from_millis(1500);

/// The steps of a container's life, in their order.
const STEPS: [&str; 6] = ["create", "start", "state", "exec", "kill", "delete"];
type Cycle = [Duration; STEPS.len()];

/// What any program costs: the line to subtract.
pub(super) fn spawn(probe: &Probe) -> Result<Vec<Row>> {
    let once = || -> Result<Duration> {
        let start = Instant::now();
        Command::new(&probe.empty).status().context("start the empty program")?;
        Ok(start.elapsed())
    };
    let mut hot = (0..10 * BLOCK).map(|_| once()).collect::<Result<Vec<_>>>()?;
    hot.drain(..BLOCK);
    let mut cold = Vec::new();
    for _ in 0..COLD_RUNS {
        std::thread::sleep(IDLE);
        cold.push(once()?);
    }
    let row = |name, times| Row::of_time(name, [(ANY, median(times))]);
    Ok(vec![row("spawn, hot", hot), row("spawn, cold", cold)])
}

/// Every contender in turn, `rounds` times, and another one first each time.
fn rotate(
    contenders: &[Contender],
    rounds: usize,
    mut turn: impl FnMut(usize, &Contender) -> Result<()>,
) -> Result<()> {
    let indexed: Vec<_> = contenders.iter().enumerate().collect();
    for round in 0..rounds {
        let first = round % indexed.len();
        for &(index, contender) in indexed.iter().cycle().skip(first).take(indexed.len()) {
            turn(index, contender).with_context(|| format!("measure {}", contender.name))?;
        }
    }
    Ok(())
}

/// Samples by contender, in the order of the contenders.
struct Samples<T>(Vec<Vec<T>>);

impl<T> Samples<T> {
    fn new(contenders: &[Contender]) -> Self {
        Self(contenders.iter().map(|_| Vec::new()).collect())
    }

    fn of(&mut self, index: usize) -> Result<&mut Vec<T>> {
        self.0.get_mut(index).context("a contender without samples")
    }
}

impl Samples<Duration> {
    fn row(self, name: &str, contenders: &[Contender]) -> Row {
        let names = contenders.iter().map(|contender| contender.name);
        Row::of_time(name, names.zip(self.0.into_iter().map(median)))
    }
}

/// `run`, and the processor time of all its processes, as a mean over the same runs.
pub(super) fn run_hot(contenders: &[Contender]) -> Result<Vec<Row>> {
    let mut wall = Samples::new(contenders);
    let mut cpu = Samples::new(contenders);
    rotate(contenders, RUN_ROUNDS, |index, contender| {
        let before = children_cpu_time()?;
        let mut block = Vec::new();
        for _ in 0..BLOCK {
            block.push(contender.time(&mut contender.run(0)?)?);
        }
        cpu.of(index)?.push(children_cpu_time()?.saturating_sub(before));
        wall.of(index)?.extend(block.split_off(1));
        Ok(())
    })?;
    let runs = u32::try_from(RUN_ROUNDS * BLOCK).context("count the runs")?;
    let means = cpu.0.into_iter().map(|blocks| blocks.into_iter().sum::<Duration>() / runs);
    let cpu = Row::of_time("run, CPU time", contenders.iter().map(|contender| contender.name).zip(means));
    Ok(vec![wall.row("run, hot", contenders), cpu])
}

pub(super) fn run_cold(contenders: &[Contender]) -> Result<Row> {
    let mut wall = Samples::new(contenders);
    rotate(contenders, COLD_RUNS, |index, contender| {
        let mut run = contender.run(0)?;
        std::thread::sleep(IDLE);
        wall.of(index)?.push(contender.time(&mut run)?);
        Ok(())
    })?;
    Ok(wall.row("run, cold", contenders))
}

pub(super) fn cycle_hot(contenders: &[Contender]) -> Result<Vec<Row>> {
    let mut cycles = Samples::new(contenders);
    rotate(contenders, CYCLE_ROUNDS, |index, contender| {
        let mut block = Vec::new();
        for _ in 0..BLOCK {
            block.push(cycle(contender, Duration::ZERO)?);
        }
        cycles.of(index)?.extend(block.split_off(1));
        Ok(())
    })?;
    Ok(cycle_rows(&cycles, "hot", contenders))
}

/// With a rest before each step.
pub(super) fn cycle_cold(contenders: &[Contender]) -> Result<Vec<Row>> {
    let mut cycles = Samples::new(contenders);
    rotate(contenders, COLD_CYCLES, |index, contender| {
        cycles.of(index)?.push(cycle(contender, IDLE)?);
        Ok(())
    })?;
    Ok(cycle_rows(&cycles, "cold", contenders))
}

/// One life of a container, with the time of each step. The end of its process belongs to no step: it is waited
/// for before the delete, as an engine does.
fn cycle(contender: &Contender, rest: Duration) -> Result<Cycle> {
    let (mut create, pid_file) = contender.create()?;
    std::thread::sleep(rest);
    let create = contender.time(&mut create)?;
    let pid = std::fs::read_to_string(&pid_file).with_context(|| format!("read {}", pid_file.display()))?;
    let pid = pid.trim().parse().ok().and_then(Pid::from_raw).context("the pid file has no pid")?;
    let step = |verb: &[&str]| {
        let mut command = contender.on_waiting(verb)?;
        std::thread::sleep(rest);
        contender.time(&mut command)
    };
    let start = step(&["start", "wait"])?;
    let state = step(&["state", "wait"])?;
    let exec = step(&["exec", "wait", "/true"])?;
    let kill = step(&["kill", "wait", "KILL"])?;
    waitpid(Some(pid), WaitOptions::empty()).context("wait for the container's process")?;
    let delete = step(&["delete", "wait"])?;
    Ok([create, start, state, exec, kill, delete])
}

fn cycle_rows(cycles: &Samples<Cycle>, heat: &str, contenders: &[Contender]) -> Vec<Row> {
    let row = |name: &str, time: &dyn Fn(&Cycle) -> Duration| {
        let medians = cycles.0.iter().map(|cycles| median(cycles.iter().map(time).collect()));
        Row::of_time(&format!("{name}, {heat}"), contenders.iter().map(|c| c.name).zip(medians))
    };
    let mut rows: Vec<_> = STEPS
        .iter()
        .enumerate()
        .map(|(index, step)| row(step, &|cycle: &Cycle| cycle.get(index).copied().unwrap_or_default()))
        .collect();
    rows.push(row("whole cycle", &|cycle: &Cycle| cycle.iter().sum()));
    rows
}

/// From the first of the concurrent `run`s to the end of the last.
pub(super) fn concurrent(contenders: &[Contender]) -> Result<Row> {
    let mut wall = Samples::new(contenders);
    rotate(contenders, CONCURRENT_ROUNDS, |index, contender| {
        let mut commands = (0..CONCURRENT).map(|number| contender.run(number)).collect::<Result<Vec<_>>>()?;
        let start = Instant::now();
        let mut children = Vec::new();
        for command in &mut commands {
            children.push(command.spawn().context("start one of the concurrent runs")?);
        }
        for (command, child) in commands.iter().zip(&mut children) {
            contender.wait(command, child)?;
        }
        wall.of(index)?.push(start.elapsed());
        Ok(())
    })?;
    for samples in &mut wall.0 {
        samples.remove(0);
    }
    Ok(wall.row(&format!("{CONCURRENT} concurrent runs"), contenders))
}

/// The largest process of the runtime itself; the container's is no part of it.
pub(super) fn peak_memory(contenders: &[Contender], probe: &Probe) -> Result<Row> {
    let mut values = Vec::new();
    for contender in contenders {
        let mut traced = contender.traced(&probe.peak);
        let output = traced.stdin(Stdio::null()).output().context("start the tracer")?;
        if !output.status.success() {
            bail!("{} under the tracer: {}", contender.name, output.status);
        }
        let peak =
            parse_peak(&String::from_utf8_lossy(&output.stdout)).context("the tracer saw no process")?;
        values.push((contender.name.to_owned(), peak));
    }
    Ok(Row { name: "peak memory of run".to_owned(), unit: "KB".to_owned(), values })
}

/// The largest `VmHWM` (KB) of several `/proc/PID/status` in a row, without the processes named `true`.
fn parse_peak(statuses: &str) -> Option<f64> {
    let mut name = "";
    let mut peak = None;
    for line in statuses.lines() {
        if let Some(value) = line.strip_prefix("Name:") {
            name = value.trim();
        } else if let Some(value) = line.strip_prefix("VmHWM:").filter(|_| name != "true") {
            let value = value.trim().trim_end_matches(" kB").parse::<f64>().ok()?;
            peak = Some(peak.map_or(value, |peak: f64| peak.max(value)));
        }
    }
    peak
}

/// User and system time of all descendants that were waited for, from proc_pid_stat(5). The ticks are 10 ms, but
/// what they count is exact: only the sum over a block is rounded.
fn children_cpu_time() -> Result<Duration> {
    let file = "/proc/self/stat";
    let stat = std::fs::read_to_string(file).with_context(|| format!("read {file}"))?;
    parse_children_ticks(&stat)
        .map(|ticks| Duration::from_millis(10 * ticks))
        .context("read cutime and cstime")
}

/// cutime and cstime: fields 16 and 17, counted behind the program's name, which may contain anything.
fn parse_children_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(13);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_the_largest_process_but_the_containers() {
        let statuses = "Name:\tmasu\nVmHWM:\t     200 kB\nName:\ttrue\nVmHWM:\t    9000 kB\nName:\tmasu-init\n\
                        VmHWM:\t      60 kB\n";
        assert_eq!(parse_peak(statuses), Some(200.0));
        assert_eq!(parse_peak("Name:\ttrue\nVmHWM:\t 8 kB\n"), None);
    }

    #[test]
    fn the_time_of_children_is_found_behind_a_name_with_brackets() {
        let stat = "7 (a) b) R 1 7 7 0 -1 0 11 12 13 14 15 16 170 18 20 0 1";
        assert_eq!(parse_children_ticks(stat), Some(188));
    }
}
