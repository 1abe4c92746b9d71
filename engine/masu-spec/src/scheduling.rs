//! `process.scheduler`, `process.ioPriority` and `process.execCPUAffinity`.
use bitflags::bitflags;

use crate::number_list::NumberSet;

/// `scheduler`, see sched(7) and sched_setattr(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scheduler {
    /// `policy`.
    pub policy: Policy,
    /// `nice`: -20 to 19.
    pub nice: i32,
    /// `priority`: not 0 for [`Policy::Fifo`] and [`Policy::RoundRobin`] alone.
    pub priority: u32,
    /// `flags`.
    pub flags: SchedulerFlags,
    /// `runtime`, in nanoseconds; this and the next two are not 0 for [`Policy::Deadline`] alone.
    pub runtime: u64,
    /// `deadline`, in nanoseconds.
    pub deadline: u64,
    /// `period`, in nanoseconds.
    pub period: u64,
}

impl Scheduler {
    /// Whether a process that has it can fork, and its children have it too.
    #[must_use]
    pub fn is_inherited(&self) -> bool {
        self.policy != Policy::Deadline && !self.flags.contains(SchedulerFlags::RESET_ON_FORK)
    }
}

/// A scheduling policy, with the kernel's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Policy {
    /// `SCHED_OTHER`
    Other = 0,
    /// `SCHED_FIFO`
    Fifo = 1,
    /// `SCHED_RR`
    RoundRobin = 2,
    /// `SCHED_BATCH`
    Batch = 3,
    /// `SCHED_ISO`: reserved, and in no kernel so far.
    Iso = 4,
    /// `SCHED_IDLE`
    Idle = 5,
    /// `SCHED_DEADLINE`
    Deadline = 6,
}

bitflags! {
    /// `scheduler.flags`, with the values that sched_setattr(2) takes.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct SchedulerFlags: u64 {
        /// `SCHED_FLAG_RESET_ON_FORK`: children are ordinary.
        const RESET_ON_FORK = 0x01;
        /// `SCHED_FLAG_RECLAIM`
        const RECLAIM = 0x02;
        /// `SCHED_FLAG_DL_OVERRUN`
        const DL_OVERRUN = 0x04;
        /// `SCHED_FLAG_KEEP_POLICY`
        const KEEP_POLICY = 0x08;
        /// `SCHED_FLAG_KEEP_PARAMS`
        const KEEP_PARAMS = 0x10;
        /// `SCHED_FLAG_UTIL_CLAMP_MIN`
        const UTIL_CLAMP_MIN = 0x20;
        /// `SCHED_FLAG_UTIL_CLAMP_MAX`
        const UTIL_CLAMP_MAX = 0x40;
    }
}

/// The names of policies.
pub(crate) const POLICIES: &[(&str, Policy)] = &[
    ("SCHED_BATCH", Policy::Batch),
    ("SCHED_DEADLINE", Policy::Deadline),
    ("SCHED_FIFO", Policy::Fifo),
    ("SCHED_IDLE", Policy::Idle),
    ("SCHED_ISO", Policy::Iso),
    ("SCHED_OTHER", Policy::Other),
    ("SCHED_RR", Policy::RoundRobin),
];

/// The names of flags.
pub(crate) const SCHEDULER_FLAGS: &[(&str, SchedulerFlags)] = &[
    ("SCHED_FLAG_DL_OVERRUN", SchedulerFlags::DL_OVERRUN),
    ("SCHED_FLAG_KEEP_PARAMS", SchedulerFlags::KEEP_PARAMS),
    ("SCHED_FLAG_KEEP_POLICY", SchedulerFlags::KEEP_POLICY),
    ("SCHED_FLAG_RECLAIM", SchedulerFlags::RECLAIM),
    ("SCHED_FLAG_RESET_ON_FORK", SchedulerFlags::RESET_ON_FORK),
    ("SCHED_FLAG_UTIL_CLAMP_MAX", SchedulerFlags::UTIL_CLAMP_MAX),
    ("SCHED_FLAG_UTIL_CLAMP_MIN", SchedulerFlags::UTIL_CLAMP_MIN),
];

/// `ioPriority`, see ioprio_set(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoPriority {
    /// `class`.
    pub class: IoClass,
    /// `priority`: 0 to 7, the lowest.
    pub priority: u8,
}

impl IoPriority {
    /// `IOPRIO_PRIO_VALUE`
    #[must_use]
    pub fn value(self) -> u16 {
        (self.class as u16) << 13 | u16::from(self.priority)
    }
}

/// A class of I/O priorities, with the kernel's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum IoClass {
    /// `IOPRIO_CLASS_RT`
    RealTime = 1,
    /// `IOPRIO_CLASS_BE`
    BestEffort = 2,
    /// `IOPRIO_CLASS_IDLE`
    Idle = 3,
}

/// The names of classes.
pub(crate) const IO_CLASSES: &[(&str, IoClass)] = &[
    ("IOPRIO_CLASS_BE", IoClass::BestEffort),
    ("IOPRIO_CLASS_IDLE", IoClass::Idle),
    ("IOPRIO_CLASS_RT", IoClass::RealTime),
];

/// `execCPUAffinity`: the CPUs of a process of `exec`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CpuAffinity {
    /// `initial`: until it is in the container's cgroup; the caller's when absent.
    pub initial: Option<NumberSet>,
    /// `final`: from there on; all that the cgroup has when absent.
    pub last: Option<NumberSet>,
}
