//! config.json of the OCI runtime specification 1.3.0, read and checked, and the specification's other JSON.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod annotations;
mod capabilities;
mod check;
mod config;
mod container_id;
mod default;
mod error;
mod features;
mod hooks;
mod json;
mod locate;
mod memory_policy;
mod mount_options;
mod namespaces;
mod number_list;
mod path;
mod personality;
mod propagation;
mod resources;
mod rlimits;
mod rootless;
mod scheduling;
mod schema;
mod seccomp;
mod signal;
mod size;
mod state;
mod text;
mod write;

pub use annotations::{
    DELEGATE_CGROUP, HOOKS_STDERR, HOOKS_STDOUT, KEEP_ORIGINAL_GROUPS, MOUNT_CONTEXT_TYPE, PIDFD_RECEIVER,
    SECCOMP_FAIL_UNKNOWN, SECCOMP_RECEIVER, STOP_SIGNAL,
};
pub use capabilities::{CAPABILITY_NAMES, Capabilities, capability_name, capability_number};
pub use check::{parse_config, parse_mounts, parse_process, parse_resources, unknown_resources};
pub use config::{
    Config, ConsoleSize, Device, DeviceKind, IdMapping, IntelRdt, Linux, Mount, MountIds, NetDevice, Process,
    Root, Sysctl, Terminal, TimeOffset, TimeOffsets, User, Warning,
};
pub use container_id::check_container_id;
pub use default::default_config;
pub use error::{ArgumentError, ConfigError};
pub use features::{
    CgroupFeatures, Enabled, Features, IntelRdtFeatures, LinuxFeatures, MemoryPolicyFeatures,
    MountExtensions, OCI_VERSION, OCI_VERSION_MIN, SeccompFeatures, features,
};
pub use hooks::{Hook, HookKind, Hooks};
pub use memory_policy::{MemoryMode, MemoryPolicy, MemoryPolicyFlags};
pub use mount_options::{Atime, AttrChange, Bind, IdMapScope, MountAttr, MountFlags, MountOptions};
pub use namespaces::{Namespace, NamespaceEntry, NamespaceKind, Namespaces};
pub use number_list::NumberSet;
pub use personality::Personality;
pub use propagation::{PROPAGATION_NAMES, Propagation, PropagationMode};
pub use resources::{
    BlockIo, Cpu, DeviceAccess, DeviceRule, DeviceRuleKind, HugepageLimit, InterfacePriority, Memory,
    Network, Rdma, Resources, ThrottleDevice, WeightDevice,
};
pub use rlimits::{RLIMIT_NAMES, Rlimit, rlimit_number};
pub use rootless::rootless_config;
pub use scheduling::{CpuAffinity, IoClass, IoPriority, Policy, Scheduler, SchedulerFlags};
pub use seccomp::{
    ACTIONS, ARCHITECTURES, Action, Architecture, Condition, FILTER_FLAGS, FilterFlags, Listener, OPERATORS,
    Operator, Rule, Seccomp,
};
pub use signal::{parse_signal, signal_name};
pub use size::parse_size;
pub use state::{State, Status};
pub use text::Str;
pub use write::pretty;
