//! What is counted rather than timed: memory, system calls, the sizes of files.

use super::contender::Contender;
use super::figures::{Row, Value};
use super::run;
use super::section::{Field, Findings};
use super::variant::PLAIN;
use anyhow::{Context, Result, bail};
use serde_json::json;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Limits are tried up to here, in KB.
const LIMIT_MAX: u64 = 64 * 1024;
/// The kernel counts pages.
const PAGE: u64 = 4;
/// A limit suffices when so many in a row do.
const LIMIT_TRIES: usize = 3;
/// A start that lasts longer hangs.
const PATIENCE: Duration = Duration::from_secs(10);

/// `run` under a tracer: the largest process of the runtime itself, and the system calls of all its processes.
pub(super) fn traced(field: &Field, _: &mut Findings) -> Result<Vec<Row>> {
    let (mut peaks, mut calls) = (Vec::new(), Vec::new());
    for contender in &field.contenders {
        let mut command = contender.run_below(Some(&field.probe.peak), &run::plain(contender)?)?;
        let output = command.stdout(Stdio::piped()).output().context("start the tracer")?;
        contender.check(&command, output.status)?;
        let told = String::from_utf8_lossy(&output.stdout);
        let (peak, count) = parse_traced(&told).context("the tracer saw no process")?;
        peaks.push(Value::exact(contender.name, peak));
        calls.push(Value::exact(contender.name, count));
    }
    Ok(vec![Row::new("peak memory of run", "KB", peaks), Row::new("run, system calls", "", calls)])
}

/// The largest `VmHWM` (KB) of several `/proc/PID/status` in a row, without the processes named `true`, and the sum of the
/// lines `Calls:`.
fn parse_traced(statuses: &str) -> Option<(f64, f64)> {
    let mut name = "";
    let (mut peak, mut calls) = (None, 0.0);
    for line in statuses.lines() {
        if let Some(value) = line.strip_prefix("Name:") {
            name = value.trim();
        } else if let Some(value) = line.strip_prefix("Calls:") {
            calls += value.trim().parse::<f64>().ok()?;
        } else if let Some(value) = line.strip_prefix("VmHWM:").filter(|_| name != "true") {
            let value = value.trim().trim_end_matches(" kB").parse::<f64>().ok()?;
            peak = Some(peak.map_or(value, |peak: f64| peak.max(value)));
        }
    }
    peak.map(|peak| (peak, calls))
}

/// The smallest `linux.resources.memory.limit` with which the empty program still runs, by halving.
pub(super) fn smallest_limit(field: &Field, findings: &mut Findings) -> Result<Vec<Row>> {
    let mut values = Vec::new();
    for contender in field.contenders.iter().filter(|contender| contender.is_runtime()) {
        let (mut too_small, mut enough) = (0, LIMIT_MAX);
        if !runs_within(contender, enough)? {
            findings.notes.push(format!("{}: no run within {LIMIT_MAX} KB of memory", contender.name));
            continue;
        }
        while enough - too_small > PAGE {
            let middle = (too_small + enough) / 2 / PAGE * PAGE;
            if runs_within(contender, middle)? { enough = middle } else { too_small = middle }
        }
        values.push(Value::exact(contender.name, enough as f64));
    }
    Ok(vec![Row::new("smallest memory limit for true", "KB", values)])
}

fn runs_within(contender: &Contender, kilobytes: u64) -> Result<bool> {
    let bundle = contender.bundle(&format!("limit-{kilobytes}"), &["/true"], |config, _| {
        let resources = config.pointer_mut("/linux/resources").and_then(serde_json::Value::as_object_mut);
        let resources = resources.context("the configuration has no resources")?;
        resources.insert("memory".to_owned(), json!({ "limit": kilobytes * 1024 }));
        Ok(())
    })?;
    for _ in 0..LIMIT_TRIES {
        let mut child = contender.run(&bundle)?.spawn().context("start a run")?;
        let start = Instant::now();
        let status = loop {
            match child.try_wait().context("wait for a run")? {
                Some(status) => break Some(status),
                None if start.elapsed() > PATIENCE => break None,
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        };
        if status.is_some_and(|status| status.success()) {
            continue;
        }
        // That it ended just now is no error: the wait tells.
        child.kill().unwrap_or(());
        child.wait().context("wait for a run")?;
        // Whatever is left of it, and if nothing is, that is no error.
        contender.on(&bundle, &["delete", "--force"], &[])?.status().context("delete what is left")?;
        return Ok(false);
    }
    Ok(true)
}

/// A created container that waits for its start: the memory of its process and the size of that process's program; and the
/// runtime's own file.
pub(super) fn idle_and_sizes(field: &Field, _: &mut Findings) -> Result<Vec<Row>> {
    let (mut memory, mut images, mut programs) = (Vec::new(), Vec::new(), Vec::new());
    for contender in field.contenders.iter().filter(|contender| contender.is_runtime()) {
        let bundle = contender.bundle("wait", &["/true", "wait"], PLAIN.change)?;
        let live = contender.live(&bundle, false)?;
        let pid = live.pid.as_raw_nonzero();
        let file = format!("/proc/{pid}/smaps_rollup");
        let rollup = std::fs::read_to_string(&file).with_context(|| format!("read {file}"))?;
        let resident = parse_resident(&rollup).with_context(|| format!("{file} has no Rss"))?;
        memory.push(Value::exact(contender.name, resident));
        images.push(Value::exact(contender.name, size(format!("/proc/{pid}/exe"))?));
        let program = contender.program().context("a runtime has a file")?;
        programs.push(Value::exact(contender.name, size(program)?));
        drop(live);
    }
    Ok(vec![
        Row::new("memory of an idle init", "KB", memory),
        Row::new("size of the runtime", "KB", programs),
        Row::new("size of an idle init's program", "KB", images),
    ])
}

fn parse_resident(rollup: &str) -> Option<f64> {
    let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// In KB, of what a link leads to.
fn size(file: impl AsRef<std::path::Path>) -> Result<f64> {
    let file = file.as_ref();
    let status = file.metadata().with_context(|| format!("stat {}", file.display()))?;
    if status.len() == 0 {
        bail!("{} is empty", file.display());
    }
    Ok(status.len() as f64 / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_the_largest_process_but_the_containers_and_calls_are_everybodys() {
        let told = "Name:\tmasu\nVmHWM:\t     200 kB\nName:\ttrue\nVmHWM:\t    9000 kB\nName:\tmasu-init\n\
                    VmHWM:\t      60 kB\nCalls:\t312\n";
        assert_eq!(parse_traced(told), Some((200.0, 312.0)));
        assert_eq!(parse_traced("Name:\ttrue\nVmHWM:\t 8 kB\nCalls:\t1\n"), None);
    }

    #[test]
    fn resident_memory_is_a_line_of_the_rollup() {
        assert_eq!(
            parse_resident("55d0-7ffd ---p 0 0 0 [rollup]\nRss:      44 kB\nPss: 20 kB\n"),
            Some(44.0)
        );
        assert_eq!(parse_resident(""), None);
    }
}
