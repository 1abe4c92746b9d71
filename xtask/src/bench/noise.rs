//! Whether the machine did anything else meanwhile. What it did is in the figures then, and nobody can tell them apart.

use anyhow::{Context, Result};
use std::time::{Duration, Instant};

/// How long a machine has to have been idle before a cold sample: long enough for the kernel's RCU to have gone to sleep.
pub(super) const IDLE: Duration = Duration::from_secs(1);
/// Ticks of 10 ms, over all processors, that may be spent on others in one [`IDLE`]: a timer here, a kernel thread there.
const TICKS_MAX: u64 = 2;

/// For so long the machine is watched before anything is measured.
const WATCH: Duration = Duration::from_secs(2);
/// Of its time, what may go to others.
const BUSY_MAX: f64 = 0.03;

/// Waits until the machine is idle for a while, and tells whether it was.
pub(super) fn rest() -> Result<bool> {
    let before = busy_ticks()?;
    std::thread::sleep(IDLE);
    Ok(busy_ticks()?.saturating_sub(before) <= TICKS_MAX)
}

/// Looks for others before anything is measured, and says so when they had more of the machine than they may.
pub(super) fn look_before() -> Result<Option<String>> {
    let busy = watch(WATCH)?;
    let told = || format!("before it began others had {:.0} % of the machine's time", busy * 100.0);
    Ok((busy > BUSY_MAX).then(told))
}

/// What of the machine's time went to others: for a program that does nothing itself.
fn watch(duration: Duration) -> Result<f64> {
    let (before, start) = (busy_ticks()?, Instant::now());
    std::thread::sleep(duration);
    let busy = busy_ticks()?.saturating_sub(before);
    let cores = std::thread::available_parallelism().context("count the cores")?.get();
    Ok(busy as f64 * 0.01 / start.elapsed().as_secs_f64() / cores as f64)
}

/// Ticks in which some processor had work, or somebody else had the processor.
fn busy_ticks() -> Result<u64> {
    let file = "/proc/stat";
    let stat = std::fs::read_to_string(file).with_context(|| format!("read {file}"))?;
    parse_busy_ticks(&stat).with_context(|| format!("{file} has no line of all processors"))
}

/// The first line of proc_stat(5): user, nice, system, idle, iowait, irq, softirq, steal. The guests' are in user's.
fn parse_busy_ticks(stat: &str) -> Option<u64> {
    let fields = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace();
    let fields: Vec<u64> = fields.map(str::parse).collect::<Result<_, _>>().ok()?;
    let [user, nice, system, _, _, irq, softirq, steal, ..] = fields.as_slice() else { return None };
    Some(user + nice + system + irq + softirq + steal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_is_busy_when_it_is_neither_idle_nor_waiting_for_a_disk() {
        let stat = "cpu  10 20 30 4000 500 60 70 80 9 9\ncpu0 1 2 3 4 5 6 7 8 0 0\n";
        assert_eq!(parse_busy_ticks(stat), Some(270));
        assert_eq!(parse_busy_ticks("cpu0 1 2 3\n"), None);
    }
}
