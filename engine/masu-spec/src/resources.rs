//! The checked `linux.resources`: what masu-cgroup writes.
//!
//! A zero in a field where runc takes zero for "not set" (Go's encoders write such zeros) is `None` here; each such
//! field says so.
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use bitflags::bitflags;

use crate::text::Str;

/// `linux.resources`; also the whole of the file that `update --resources` takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources<'a> {
    /// `devices`: rules in order; a later one overrides an earlier.
    pub devices: Vec<DeviceRule>,
    /// `memory`.
    pub memory: Memory,
    /// `cpu`.
    pub cpu: Cpu<'a>,
    /// `pids.limit`: -1 is unlimited; 0 is a real limit since runc 1.4.
    pub pids_limit: Option<i64>,
    /// `blockIO`.
    pub block_io: BlockIo,
    /// `hugepageLimits`.
    pub hugepage_limits: Vec<HugepageLimit<'a>>,
    /// `rdma`: by name of the device, which is a single word.
    pub rdma: BTreeMap<Str<'a>, Rdma>,
    /// `network`.
    pub network: Network<'a>,
    /// `unified`: file name in the unified hierarchy to value. Names hold no slash.
    pub unified: BTreeMap<Str<'a>, Str<'a>>,
}

/// Which devices a [`DeviceRule`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceRuleKind {
    /// `a`, also when `type` is absent: all of them.
    All,
    /// `b`.
    Block,
    /// `c`.
    Char,
}

bitflags! {
    /// What a [`DeviceRule`] allows or denies.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct DeviceAccess: u8 {
        /// `m`: mknod. The values are those of `BPF_DEVCG_ACC_*`.
        const MKNOD = 1;
        /// `r`.
        const READ = 2;
        /// `w`.
        const WRITE = 4;
    }
}

/// One of `devices`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceRule {
    /// `allow`: whether the rule allows or denies.
    pub allow: bool,
    /// `type`.
    pub kind: DeviceRuleKind,
    /// `major`; `None` (absent or -1 in the file) is any.
    pub major: Option<u32>,
    /// `minor`; `None` (absent or -1 in the file) is any.
    pub minor: Option<u32>,
    /// `access`: never empty.
    pub access: DeviceAccess,
}

/// `memory`: bytes, -1 is unlimited, never below that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// `limit`; 0 in the file is `None`.
    pub limit: Option<i64>,
    /// `reservation`: the soft limit; 0 in the file is `None`.
    pub reservation: Option<i64>,
    /// `swap`: memory and swap together; 0 in the file is `None`.
    pub swap: Option<i64>,
    /// `kernel`: deprecated; kernels since 5.4 give it up and runc ignores it.
    pub kernel: Option<i64>,
    /// `kernelTCP`: deprecated likewise.
    pub kernel_tcp: Option<i64>,
    /// `swappiness`: 0 to 100.
    pub swappiness: Option<u8>,
    /// `disableOOMKiller`.
    pub disable_oom_killer: bool,
    /// `useHierarchy`: obsolete, v1 only.
    pub use_hierarchy: bool,
    /// `checkBeforeUpdate`: refuse a limit below the present use.
    pub check_before_update: bool,
}

/// `cpu`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cpu<'a> {
    /// `shares`; 0 in the file is `None`.
    pub shares: Option<u64>,
    /// `quota`: µs in a period, negative is unlimited; 0 in the file is `None`.
    pub quota: Option<i64>,
    /// `burst`: µs.
    pub burst: Option<u64>,
    /// `period`: µs; 0 in the file is `None`.
    pub period: Option<u64>,
    /// `realtimeRuntime`: µs, v1 only; 0 in the file is `None`.
    pub realtime_runtime: Option<i64>,
    /// `realtimePeriod`: µs, v1 only; 0 in the file is `None`.
    pub realtime_period: Option<u64>,
    /// `cpus`: a list as cpuset(7) writes it; empty in the file is `None`.
    pub cpus: Option<Str<'a>>,
    /// `mems`: likewise.
    pub mems: Option<Str<'a>>,
    /// `idle`: 1 is `SCHED_IDLE` for the whole cgroup.
    pub idle: Option<i64>,
}

/// `blockIO`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockIo {
    /// `weight`; 0 in the file is `None`.
    pub weight: Option<u16>,
    /// `leafWeight`; 0 in the file is `None`.
    pub leaf_weight: Option<u16>,
    /// `weightDevice`.
    pub weight_device: Vec<WeightDevice>,
    /// `throttleReadBpsDevice`: bytes a second.
    pub throttle_read_bps_device: Vec<ThrottleDevice>,
    /// `throttleWriteBpsDevice`: bytes a second.
    pub throttle_write_bps_device: Vec<ThrottleDevice>,
    /// `throttleReadIOPSDevice`: operations a second.
    pub throttle_read_iops_device: Vec<ThrottleDevice>,
    /// `throttleWriteIOPSDevice`: operations a second.
    pub throttle_write_iops_device: Vec<ThrottleDevice>,
}

/// One of `blockIO.weightDevice`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeightDevice {
    /// `major`.
    pub major: u32,
    /// `minor`.
    pub minor: u32,
    /// `weight`; 0 in the file is `None`.
    pub weight: Option<u16>,
    /// `leafWeight`; 0 in the file is `None`.
    pub leaf_weight: Option<u16>,
}

/// One of `blockIO.throttle…Device`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThrottleDevice {
    /// `major`.
    pub major: u32,
    /// `minor`.
    pub minor: u32,
    /// `rate`: 0 takes the limit away.
    pub rate: u64,
}

/// One of `hugepageLimits`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HugepageLimit<'a> {
    /// `pageSize`: a number and KB, MB or GB, as in the names of the hugetlb controller's files.
    pub page_size: Str<'a>,
    /// `limit`: bytes.
    pub limit: u64,
}

/// One of `rdma`: at least one of its two is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rdma {
    /// `hcaHandles`: how many handles can be open.
    pub hca_handles: Option<u32>,
    /// `hcaObjects`: how many objects there can be.
    pub hca_objects: Option<u32>,
}

/// `network`: v1 only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network<'a> {
    /// `classID`; 0 in the file is `None`.
    pub class_id: Option<u32>,
    /// `priorities`.
    pub priorities: Vec<InterfacePriority<'a>>,
}

/// One of `network.priorities`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfacePriority<'a> {
    /// `name`: a legal name of a network interface.
    pub name: Str<'a>,
    /// `priority`.
    pub priority: u32,
}
