//! config.json of the OCI runtime specification 1.3.0, read and checked, and the specification's other JSON.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod capabilities;
mod check;
mod config;
mod container_id;
mod default;
mod error;
mod features;
mod json;
mod locate;
mod mount_options;
mod namespaces;
mod path;
mod propagation;
mod resources;
mod rlimits;
mod schema;
mod signal;
mod size;
mod state;
mod text;
mod unsupported;
mod write;

pub use capabilities::{CAPABILITY_NAMES, Capabilities, capability_name, capability_number};
pub use check::{parse_config, parse_process, parse_resources};
pub use config::{
    Config, Device, DeviceKind, IdMapping, Linux, Mount, Process, Root, Sysctl, TimeOffset, TimeOffsets,
    User, Warning,
};
pub use container_id::check_container_id;
pub use default::default_config;
pub use error::{ArgumentError, ConfigError};
pub use features::{
    CgroupFeatures, Enabled, Features, IntelRdtFeatures, LinuxFeatures, MemoryPolicyFeatures,
    MountExtensions, OCI_VERSION, OCI_VERSION_MIN, SeccompFeatures, features,
};
pub use mount_options::{Atime, AttrChange, Bind, MountAttr, MountFlags, MountOptions};
pub use namespaces::{Namespace, NamespaceEntry, NamespaceKind, Namespaces};
pub use propagation::{PROPAGATION_NAMES, Propagation, PropagationMode};
pub use resources::{
    BlockIo, Cpu, DeviceAccess, DeviceRule, DeviceRuleKind, HugepageLimit, InterfacePriority, Memory,
    Network, Resources, ThrottleDevice, WeightDevice,
};
pub use rlimits::{RLIMIT_NAMES, Rlimit, rlimit_number};
pub use signal::{parse_signal, signal_name};
pub use size::parse_size;
pub use state::{State, Status};
pub use text::Str;
pub use write::pretty;
