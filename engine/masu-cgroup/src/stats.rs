//! What the cgroup has used, in the shape of `events --stats` (runc's types/events.go): zeros and empty lists are
//! left out where runc leaves them out.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Serialize, Serializer};

mod read;
mod unified;

/// The `data` of a `stats` event.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Stats {
    /// Time used, and time withheld.
    pub cpu: CpuStats,
    /// The settings of the cpuset.
    pub cpuset: CpusetStats,
    /// Bytes.
    pub memory: MemoryStats,
    /// Tasks.
    pub pids: PidsStats,
    /// Block devices.
    pub blkio: BlkioStats,
    /// Huge pages by page size, `2MB`.
    pub hugetlb: BTreeMap<String, HugetlbStats>,
    /// Not a cgroup's matter: for the caller to fill, and an empty object without it.
    pub intel_rdt: masu_resctrl::Stats,
    /// For the caller to fill too; null without. runc has it for interfaces that it made itself, which it never does.
    pub network_interfaces: Option<Vec<NetworkInterface>>,
}

/// What an interface has carried since it was made, as seen from the container. runc's names begin with a capital.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NetworkInterface {
    /// What it is called in the container.
    pub name: String,
    /// Bytes that came in.
    pub rx_bytes: u64,
    /// Packets that came in.
    pub rx_packets: u64,
    /// Packets that came in damaged.
    pub rx_errors: u64,
    /// Packets that came in and were dropped.
    pub rx_dropped: u64,
    /// Bytes that went out.
    pub tx_bytes: u64,
    /// Packets that went out.
    pub tx_packets: u64,
    /// Packets that could not go out.
    pub tx_errors: u64,
    /// Packets that were dropped on their way out.
    pub tx_dropped: u64,
}

/// `cpu`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct CpuStats {
    /// Time used.
    #[serde(skip_serializing_if = "is_default")]
    pub usage: CpuUsage,
    /// Time withheld.
    #[serde(skip_serializing_if = "is_default")]
    pub throttling: Throttling,
    /// Time waited for a CPU. Version 2 alone tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Psi>,
}

/// Pressure stall information: how much time was lost waiting (Documentation/accounting/psi.rst).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Psi {
    /// While some task waited.
    #[serde(skip_serializing_if = "is_default")]
    pub some: PressureLine,
    /// While all did.
    #[serde(skip_serializing_if = "is_default")]
    pub full: PressureLine,
}

/// One line of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct PressureLine {
    /// In the last ten seconds.
    pub avg10: Pressure,
    /// In the last minute.
    pub avg60: Pressure,
    /// In the last five minutes.
    pub avg300: Pressure,
    /// Microseconds in all.
    pub total: u64,
}

/// A share of time, in percent. The kernel tells two digits after the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pressure(u32);

impl Pressure {
    /// From hundredths of a percent.
    #[must_use]
    pub fn from_hundredths(hundredths: u32) -> Self {
        Self(hundredths)
    }
}

impl Serialize for Pressure {
    /// As Go prints it: without a point where there is nothing behind.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 % 100 {
            0 => serializer.serialize_u32(self.0 / 100),
            _ => serializer.serialize_f64(f64::from(self.0) / 100.0),
        }
    }
}

/// `cpu.usage`: nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct CpuUsage {
    /// In all.
    #[serde(skip_serializing_if = "is_default")]
    pub total: u64,
    /// By CPU.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu: Vec<u64>,
    /// By CPU, in the kernel.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu_kernel: Vec<u64>,
    /// By CPU, in user mode.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu_user: Vec<u64>,
    /// In the kernel, in steps of a clock tick.
    pub kernel: u64,
    /// In user mode, in steps of a clock tick.
    pub user: u64,
}

/// `cpu.throttling`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Throttling {
    /// Periods with a runnable task.
    #[serde(skip_serializing_if = "is_default")]
    pub periods: u64,
    /// Periods in which the quota was used up.
    #[serde(skip_serializing_if = "is_default")]
    pub throttled_periods: u64,
    /// Nanoseconds of waiting for the next period.
    #[serde(skip_serializing_if = "is_default")]
    pub throttled_time: u64,
}

/// `cpuset`: cpuset(7) describes the fields.
#[expect(missing_docs, reason = "the names are those of the files, which cpuset(7) describes")]
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct CpusetStats {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cpus: Vec<u16>,
    pub cpu_exclusive: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mems: Vec<u16>,
    pub mem_hardwall: u64,
    pub mem_exclusive: u64,
    pub memory_migrate: u64,
    pub memory_spread_page: u64,
    pub memory_spread_slab: u64,
    pub memory_pressure: u64,
    pub sched_load_balance: u64,
    pub sched_relax_domain_level: i64,
}

/// `memory`: bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct MemoryStats {
    /// Page cache.
    #[serde(skip_serializing_if = "is_default")]
    pub cache: u64,
    /// Memory.
    #[serde(skip_serializing_if = "is_default")]
    pub usage: MemoryEntry,
    /// Memory and swap together.
    #[serde(skip_serializing_if = "is_default")]
    pub swap: MemoryEntry,
    /// Kernel memory, a part of `usage`.
    #[serde(skip_serializing_if = "is_default")]
    pub kernel: MemoryEntry,
    /// Kernel memory of TCP sockets.
    #[serde(rename = "kernelTCP", skip_serializing_if = "is_default")]
    pub kernel_tcp: MemoryEntry,
    /// All of memory.stat.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub raw: BTreeMap<String, u64>,
    /// Time waited for memory. Version 2 alone tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Psi>,
}

/// One counter of the memory controller: bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct MemoryEntry {
    /// The limit.
    pub limit: u64,
    /// Used now.
    #[serde(skip_serializing_if = "is_default")]
    pub usage: u64,
    /// Used at most.
    #[serde(skip_serializing_if = "is_default")]
    pub max: u64,
    /// How often the limit was hit.
    pub failcnt: u64,
}

/// `pids`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct PidsStats {
    /// Tasks now.
    #[serde(skip_serializing_if = "is_default")]
    pub current: u64,
    /// Tasks allowed; 0 is no limit.
    #[serde(skip_serializing_if = "is_default")]
    pub limit: u64,
}

/// `blkio`: recursive counters of whichever I/O scheduler counts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BlkioStats {
    /// Bytes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_service_bytes_recursive: Vec<BlkioEntry>,
    /// Operations.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_serviced_recursive: Vec<BlkioEntry>,
    /// Operations in the queue.
    #[serde(rename = "ioQueueRecursive", skip_serializing_if = "Vec::is_empty")]
    pub io_queued_recursive: Vec<BlkioEntry>,
    /// Nanoseconds of service.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_service_time_recursive: Vec<BlkioEntry>,
    /// Nanoseconds in the queue.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_wait_time_recursive: Vec<BlkioEntry>,
    /// Operations merged into others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_merged_recursive: Vec<BlkioEntry>,
    /// Milliseconds of the device.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_time_recursive: Vec<BlkioEntry>,
    /// Sectors.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sectors_recursive: Vec<BlkioEntry>,
    /// Time waited for I/O. Version 2 alone tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<Psi>,
}

/// One number about one device.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct BlkioEntry {
    /// The device's major number.
    #[serde(skip_serializing_if = "is_default")]
    pub major: u64,
    /// The device's minor number.
    #[serde(skip_serializing_if = "is_default")]
    pub minor: u64,
    /// `Read`, `Write`, `Sync`, `Async`, `Discard`, `Total`; empty where the counter knows no such difference.
    #[serde(skip_serializing_if = "is_default")]
    pub op: String,
    /// The number.
    #[serde(skip_serializing_if = "is_default")]
    pub value: u64,
}

/// Huge pages of one size: bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct HugetlbStats {
    /// Reserved now (used, before Linux 5.7).
    #[serde(skip_serializing_if = "is_default")]
    pub usage: u64,
    /// Reserved at most; version 2 does not tell.
    #[serde(skip_serializing_if = "is_default")]
    pub max: u64,
    /// How often the limit was hit.
    pub failcnt: u64,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
#[path = "stats_tests.rs"]
mod tests;
