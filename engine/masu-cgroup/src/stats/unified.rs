//! The numbers of a version 2 cgroup, told as version 1 would tell them, and pressure stall information.

use alloc::string::ToString;
use alloc::vec::Vec;

use super::read::{key_values, number, optional_number};
use super::{
    BlkioEntry, BlkioStats, CpuStats, CpuUsage, MemoryEntry, MemoryStats, PidsStats, Pressure, PressureLine,
    Psi,
};
use crate::error::{Error, Result};
use crate::member::Member;

const NANOSECONDS_OF_A_MICROSECOND: u64 = 1_000;

/// `cpu.stat` is there with or without the controller (Documentation/admin-guide/cgroup-v2.rst).
pub(super) fn cpu(member: &Member) -> Result<CpuStats> {
    let mut stats = CpuStats { psi: psi(member, "cpu.pressure")?, ..CpuStats::default() };
    let CpuStats { usage: CpuUsage { total, kernel, user, .. }, throttling, .. } = &mut stats;
    for (key, value) in key_values(&member.read("cpu.stat")?) {
        let nanoseconds = value.saturating_mul(NANOSECONDS_OF_A_MICROSECOND);
        match key {
            "usage_usec" => *total = nanoseconds,
            "user_usec" => *user = nanoseconds,
            "system_usec" => *kernel = nanoseconds,
            "nr_periods" => throttling.periods = value,
            "nr_throttled" => throttling.throttled_periods = value,
            "throttled_usec" => throttling.throttled_time = nanoseconds,
            _ => (),
        }
    }
    Ok(stats)
}

/// Nothing but pressure where the controller is not enabled.
pub(super) fn memory(member: &Member) -> Result<MemoryStats> {
    let mut stats = MemoryStats { psi: psi(member, "memory.pressure")?, ..MemoryStats::default() };
    let Some(text) = member.read_optional("memory.stat")? else { return Ok(stats) };
    stats.raw = key_values(&text).map(|(key, value)| (key.to_string(), value)).collect();
    stats.cache = stats.raw.get("file").copied().unwrap_or(0);
    stats.usage = entry(member, "memory")?;
    stats.swap = entry(member, "memory.swap")?;
    // As version 1: memory and swap together. The two peaks may have been at two times.
    stats.swap.usage = stats.swap.usage.saturating_add(stats.usage.usage);
    stats.swap.limit = stats.swap.limit.saturating_add(stats.usage.limit);
    stats.swap.max = 0;
    Ok(stats)
}

/// Tasks; without the controller, processes.
pub(super) fn pids(member: &Member) -> Result<PidsStats> {
    match optional_number(member, "pids.current")? {
        Some(current) => Ok(PidsStats { current, limit: optional_number(member, "pids.max")?.unwrap_or(0) }),
        None => Ok(PidsStats { current: member.processes()?.len() as u64, limit: 0 }),
    }
}

pub(super) fn blkio(member: &Member) -> Result<BlkioStats> {
    let text = member.read_optional("io.stat")?.unwrap_or_default();
    Ok(BlkioStats { psi: psi(member, "io.pressure")?, ..parse_io_stat(&text) })
}

/// `8:16 rbytes=1459200 wbytes=314773504 rios=192 wios=353 dbytes=0 dios=0`
pub(super) fn parse_io_stat(text: &str) -> BlkioStats {
    let mut stats = BlkioStats::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let Some((major, minor)) = words.next().and_then(|device| device.split_once(':')) else { continue };
        let (Ok(major), Ok(minor)) = (major.parse(), minor.parse()) else { continue };
        for (key, value) in words.filter_map(|word| word.split_once('=')) {
            let (list, op) = match key {
                "rbytes" => (&mut stats.io_service_bytes_recursive, "Read"),
                "wbytes" => (&mut stats.io_service_bytes_recursive, "Write"),
                "rios" => (&mut stats.io_serviced_recursive, "Read"),
                "wios" => (&mut stats.io_serviced_recursive, "Write"),
                _ => continue,
            };
            let Ok(value) = value.parse() else { continue };
            list.push(BlkioEntry { major, minor, op: op.into(), value });
        }
    }
    stats
}

/// `max` is the largest number there is, as runc has it.
fn entry(member: &Member, prefix: &str) -> Result<MemoryEntry> {
    let file = |name: &str| alloc::format!("{prefix}.{name}");
    // A kernel that counts no swap has no such files.
    if member.read_optional(&file("current"))?.is_none() {
        return Ok(MemoryEntry::default());
    }
    Ok(MemoryEntry {
        usage: number(member, &file("current"))?,
        limit: optional_number(member, &file("max"))?.unwrap_or(u64::MAX),
        // Linux 5.19, for swap 6.5.
        max: optional_number(member, &file("peak"))?.unwrap_or(0),
        failcnt: 0,
    })
}

/// None without the file, or on a kernel that was started without `psi=1` and refuses to be read.
fn psi(member: &Member, file: &str) -> Result<Option<Psi>> {
    let Some(text) = member.read_optional(file)? else { return Ok(None) };
    parse_psi(&text).map(Some).ok_or_else(|| Error::Malformed(file.into(), text))
}

/// `some avg10=0.00 avg60=1.50 avg300=0.10 total=12345`, and a line `full` (Documentation/accounting/psi.rst).
pub(super) fn parse_psi(text: &str) -> Option<Psi> {
    let mut psi = Psi::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let target = match words.next()? {
            "some" => &mut psi.some,
            "full" => &mut psi.full,
            _ => continue,
        };
        *target = parse_psi_line(&words.collect::<Vec<_>>())?;
    }
    Some(psi)
}

fn parse_psi_line(words: &[&str]) -> Option<PressureLine> {
    let mut line = PressureLine::default();
    for word in words {
        let (key, value) = word.split_once('=')?;
        let place = match key {
            "avg10" => &mut line.avg10,
            "avg60" => &mut line.avg60,
            "avg300" => &mut line.avg300,
            "total" => {
                line.total = value.parse().ok()?;
                continue;
            }
            _ => continue,
        };
        // The kernel prints two digits after the point, always.
        let (whole, hundredths) = value.split_once('.')?;
        let (whole, hundredths): (u32, u32) = (whole.parse().ok()?, hundredths.parse().ok()?);
        *place = Pressure::from_hundredths(whole.checked_mul(100)?.checked_add(hundredths)?);
    }
    Some(line)
}
