//! `linux.memoryPolicy`.
use bitflags::bitflags;

use crate::number_list::NumberSet;

/// `memoryPolicy`, see set_mempolicy(2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryPolicy {
    /// `mode`.
    pub mode: MemoryMode,
    /// `nodes`: none for [`MemoryMode::Default`] and [`MemoryMode::Local`], any number for
    /// [`MemoryMode::Preferred`], and at least one otherwise.
    pub nodes: NumberSet,
    /// `flags`.
    pub flags: MemoryPolicyFlags,
}

/// Where memory comes from, with the kernel's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum MemoryMode {
    /// `MPOL_DEFAULT`
    Default = 0,
    /// `MPOL_PREFERRED`
    Preferred = 1,
    /// `MPOL_BIND`
    Bind = 2,
    /// `MPOL_INTERLEAVE`
    Interleave = 3,
    /// `MPOL_LOCAL`
    Local = 4,
    /// `MPOL_PREFERRED_MANY` (Linux 5.15)
    PreferredMany = 5,
    /// `MPOL_WEIGHTED_INTERLEAVE` (Linux 6.9)
    WeightedInterleave = 6,
}

bitflags! {
    /// `memoryPolicy.flags`, with the values that set_mempolicy(2) takes.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct MemoryPolicyFlags: u32 {
        /// `MPOL_F_NUMA_BALANCING` (Linux 5.12)
        const NUMA_BALANCING = 1 << 13;
        /// `MPOL_F_RELATIVE_NODES`
        const RELATIVE_NODES = 1 << 14;
        /// `MPOL_F_STATIC_NODES`
        const STATIC_NODES = 1 << 15;
    }
}

/// The names of modes.
pub(crate) const MEMORY_MODES: &[(&str, MemoryMode)] = &[
    ("MPOL_BIND", MemoryMode::Bind),
    ("MPOL_DEFAULT", MemoryMode::Default),
    ("MPOL_INTERLEAVE", MemoryMode::Interleave),
    ("MPOL_LOCAL", MemoryMode::Local),
    ("MPOL_PREFERRED", MemoryMode::Preferred),
    ("MPOL_PREFERRED_MANY", MemoryMode::PreferredMany),
    ("MPOL_WEIGHTED_INTERLEAVE", MemoryMode::WeightedInterleave),
];

/// The names of flags.
pub(crate) const MEMORY_POLICY_FLAGS: &[(&str, MemoryPolicyFlags)] = &[
    ("MPOL_F_NUMA_BALANCING", MemoryPolicyFlags::NUMA_BALANCING),
    ("MPOL_F_RELATIVE_NODES", MemoryPolicyFlags::RELATIVE_NODES),
    ("MPOL_F_STATIC_NODES", MemoryPolicyFlags::STATIC_NODES),
];
