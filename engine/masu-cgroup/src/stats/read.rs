//! The files behind the numbers.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{
    BlkioEntry, BlkioStats, CpuUsage, CpusetStats, HugetlbStats, MemoryEntry, MemoryStats, PidsStats, Stats,
    unified,
};
use crate::cgroup::Cgroup;
use crate::dir::read_dir_path;
use crate::error::{Error, Result};
use crate::member::Member;

/// USER_HZ, a constant of the kernel's interface on every architecture supported: a tick in nanoseconds.
const NANOSECONDS_OF_A_TICK: u64 = 1_000_000_000 / 100;

impl Cgroup {
    /// Reads the counters of every controller the container has a cgroup of.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] (ENOENT when the cgroup is gone), [`Error::Malformed`].
    pub fn stats(&self) -> Result<Stats> {
        let mut stats = Stats::default();
        let v1 = |name| self.member(name).filter(|member| !member.version_2);
        if let Some(member) = v1("cpuacct") {
            stats.cpu.usage = cpu_usage(member)?;
        }
        if let Some(member) = v1("cpu") {
            for (key, value) in key_values(&member.read("cpu.stat")?) {
                match key {
                    "nr_periods" => stats.cpu.throttling.periods = value,
                    "nr_throttled" => stats.cpu.throttling.throttled_periods = value,
                    "throttled_time" => stats.cpu.throttling.throttled_time = value,
                    _ => (),
                }
            }
        }
        if let Some(member) = v1("cpuset") {
            stats.cpuset = cpuset(member)?;
        }
        if let Some(member) = v1("memory") {
            stats.memory = memory(member)?;
        }
        if let Some(member) = v1("pids") {
            stats.pids = PidsStats {
                current: number(member, "pids.current")?,
                limit: optional_number(member, "pids.max")?.unwrap_or(0),
            };
        }
        if let Some(member) = v1("blkio") {
            stats.blkio = blkio(member)?;
        }
        self.unified_stats(&mut stats)?;
        if let Some(member) = self.member("hugetlb") {
            for size in page_sizes()? {
                if let Some(entry) = hugetlb(member, &size)? {
                    stats.hugetlb.insert(size, entry);
                }
            }
        }
        Ok(stats)
    }

    /// On a host with version 2 alone everything, beside version 1 hierarchies what they leave to the unified one.
    fn unified_stats(&self, stats: &mut Stats) -> Result<()> {
        let alone = self.members.iter().find(|member| member.alone);
        let v2 = |name| alone.or_else(|| self.member(name).filter(|member| member.version_2));
        if let Some(member) = v2("cpu") {
            stats.cpu = unified::cpu(member)?;
        }
        if let Some(member) = v2("memory") {
            stats.memory = unified::memory(member)?;
        }
        if let Some(member) = v2("pids") {
            stats.pids = unified::pids(member)?;
        }
        if let Some(member) = v2("io") {
            stats.blkio = unified::blkio(member)?;
        }
        Ok(())
    }
}

fn cpu_usage(member: &Member) -> Result<CpuUsage> {
    let mut usage = CpuUsage { total: number(member, "cpuacct.usage")?, ..CpuUsage::default() };
    for (key, value) in key_values(&member.read("cpuacct.stat")?) {
        match key {
            "user" => usage.user = value.saturating_mul(NANOSECONDS_OF_A_TICK),
            "system" => usage.kernel = value.saturating_mul(NANOSECONDS_OF_A_TICK),
            _ => (),
        }
    }
    usage.percpu = numbers(&member.read("cpuacct.usage_percpu")?);
    // Linux 4.8; a header, then a line for each CPU: number, user, system.
    for line in member.read_optional("cpuacct.usage_all")?.unwrap_or_default().lines().skip(1) {
        if let [_, user, kernel, ..] = numbers(line).as_slice() {
            usage.percpu_user.push(*user);
            usage.percpu_kernel.push(*kernel);
        }
    }
    Ok(usage)
}

fn cpuset(member: &Member) -> Result<CpusetStats> {
    let prefix = if member.noprefix { "" } else { "cpuset." };
    let read = |name: &str| member.read_optional(&format!("{prefix}{name}"));
    let flag =
        |name: &str| Ok::<u64, Error>(read(name)?.and_then(|text| text.trim().parse().ok()).unwrap_or(0));
    let list = |name: &str| Ok::<Vec<u16>, Error>(parse_list(&read(name)?.unwrap_or_default()));
    Ok(CpusetStats {
        cpus: list("cpus")?,
        cpu_exclusive: flag("cpu_exclusive")?,
        mems: list("mems")?,
        mem_hardwall: flag("mem_hardwall")?,
        mem_exclusive: flag("mem_exclusive")?,
        memory_migrate: flag("memory_migrate")?,
        memory_spread_page: flag("memory_spread_page")?,
        memory_spread_slab: flag("memory_spread_slab")?,
        memory_pressure: flag("memory_pressure")?,
        sched_load_balance: flag("sched_load_balance")?,
        sched_relax_domain_level: read("sched_relax_domain_level")?
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(0),
    })
}

fn memory(member: &Member) -> Result<MemoryStats> {
    let text = member.read("memory.stat")?;
    let raw: alloc::collections::BTreeMap<String, u64> =
        key_values(&text).map(|(key, value)| (key.to_string(), value)).collect();
    Ok(MemoryStats {
        cache: raw.get("cache").copied().unwrap_or(0),
        usage: memory_entry(member, "memory")?,
        swap: memory_entry(member, "memory.memsw")?,
        kernel: memory_entry(member, "memory.kmem")?,
        kernel_tcp: memory_entry(member, "memory.kmem.tcp")?,
        raw,
        psi: None,
    })
}

/// Swap and kernel memory are options of the kernel; and the limit of kernel memory is gone on newer ones.
fn memory_entry(member: &Member, prefix: &str) -> Result<MemoryEntry> {
    let read =
        |name: &str| optional_number(member, &format!("{prefix}.{name}")).map(Option::unwrap_or_default);
    Ok(MemoryEntry {
        limit: read("limit_in_bytes")?,
        usage: read("usage_in_bytes")?,
        max: read("max_usage_in_bytes")?,
        failcnt: read("failcnt")?,
    })
}

/// The first I/O scheduler whose counters are there, with all of them: bfq with debugging, bfq, cfq (until Linux 5.0),
/// then what the throttle layer counts, recursively (4.20) or not.
fn blkio(member: &Member) -> Result<BlkioStats> {
    let mut stats = BlkioStats::default();
    let read = |prefix: &str, name: &str, suffix: &str| {
        member
            .read_optional(&format!("blkio.{prefix}{name}{suffix}"))
            .map(|text| text.map(|text| parse_blkio(&text)))
    };
    for prefix in ["bfq.", ""] {
        // A counter without entries does not count: then another scheduler is in use.
        let Some(bytes) = read(prefix, "io_service_bytes", "_recursive")?.filter(|list| !list.is_empty())
        else {
            continue;
        };
        let other = |name: &str| read(prefix, name, "_recursive").map(Option::unwrap_or_default);
        stats.io_service_bytes_recursive = bytes;
        stats.io_serviced_recursive = other("io_serviced")?;
        stats.io_queued_recursive = other("io_queued")?;
        stats.io_service_time_recursive = other("io_service_time")?;
        stats.io_wait_time_recursive = other("io_wait_time")?;
        stats.io_merged_recursive = other("io_merged")?;
        stats.io_time_recursive = other("time")?;
        stats.sectors_recursive = other("sectors")?;
        return Ok(stats);
    }
    for suffix in ["_recursive", ""] {
        let Some(serviced) = read("throttle.", "io_serviced", suffix)?.filter(|list| !list.is_empty()) else {
            continue;
        };
        stats.io_serviced_recursive = serviced;
        stats.io_service_bytes_recursive = read("throttle.", "io_service_bytes", suffix)?.unwrap_or_default();
        break;
    }
    Ok(stats)
}

/// None where the controller is not enabled for this cgroup, as it is on a hybrid host without limits.
fn hugetlb(member: &Member, size: &str) -> Result<Option<HugetlbStats>> {
    for kind in [".rsvd", ""] {
        let file = |name: &str| format!("hugetlb.{size}{kind}.{name}");
        let usage = if member.version_2 { "current" } else { "usage_in_bytes" };
        let Some(usage) = optional_number(member, &file(usage))? else { continue };
        if member.version_2 {
            let events = member.read_optional(&format!("hugetlb.{size}.events"))?.unwrap_or_default();
            let failcnt = key_values(&events).find(|(key, _)| *key == "max").map_or(0, |(_, value)| value);
            return Ok(Some(HugetlbStats { usage, max: 0, failcnt }));
        }
        let max = number(member, &file("max_usage_in_bytes"))?;
        return Ok(Some(HugetlbStats { usage, max, failcnt: number(member, &file("failcnt"))? }));
    }
    Ok(None)
}

/// The host's huge page sizes as the controller's files spell them.
fn page_sizes() -> Result<Vec<String>> {
    let names = read_dir_path("/sys/kernel/mm/hugepages")?;
    Ok(names.iter().filter_map(|name| parse_page_size(name)).collect())
}

/// `hugepages-2048kB` -> `2MB`: mm/hugetlb_cgroup.c, mem_fmt.
pub(super) fn parse_page_size(name: &str) -> Option<String> {
    let kilobytes: u64 = name.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?;
    Some(match kilobytes {
        size if size >= 1 << 20 => format!("{}GB", size >> 20),
        size if size >= 1 << 10 => format!("{}MB", size >> 10),
        size => format!("{size}KB"),
    })
}

/// `254:0 Read 4096` or `254:0 4096`, and a last line `Total 4096`.
pub(super) fn parse_blkio(text: &str) -> Vec<BlkioEntry> {
    let entry = |line: &str| {
        let (device, rest) = line.split_once(' ')?;
        let (major, minor) = device.split_once(':')?;
        let (op, value) = rest.rsplit_once(' ').unwrap_or(("", rest));
        Some(BlkioEntry {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
            op: op.to_string(),
            value: value.parse().ok()?,
        })
    };
    text.lines().filter_map(entry).collect()
}

/// cpuset(7), "List format": `0-2,7`.
pub(super) fn parse_list(text: &str) -> Vec<u16> {
    let mut list = Vec::new();
    for part in text.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.parse::<u16>(), last.parse::<u16>()) {
            list.extend(first..=last);
        }
    }
    list
}

pub(super) fn key_values(text: &str) -> impl Iterator<Item = (&str, u64)> {
    text.lines().filter_map(|line| {
        let (key, value) = line.split_once(' ')?;
        Some((key, value.parse().ok()?))
    })
}

fn numbers(line: &str) -> Vec<u64> {
    line.split_whitespace().filter_map(|field| field.parse().ok()).collect()
}

pub(super) fn number(member: &Member, file: &str) -> Result<u64> {
    let text = member.read(file)?;
    text.trim().parse().map_err(|_| Error::Malformed(file.into(), text))
}

/// None for a file that is not there, and for `max`.
pub(super) fn optional_number(member: &Member, file: &str) -> Result<Option<u64>> {
    Ok(member.read_optional(file)?.and_then(|text| text.trim().parse().ok()))
}
