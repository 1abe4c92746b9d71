//! Control groups: where a container's processes are counted, limited, frozen and found again.
//!
//! Version 1 hierarchies and the hybrid layout (version 1, and a unified hierarchy that may carry some controller)
//! with the cgroupfs driver. What decides is pure: [`Layout::parse`], the plan of writes, the device rules,
//! [`container_mounts`]; what acts works by directory descriptors alone.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod apply;
mod backoff;
mod cgroup;
mod cpuset;
mod devices;
mod dir;
mod error;
mod freezer;
mod layout;
mod mounts;
mod path;
mod plan;
mod processes;
mod record;
mod remove;
mod stats;

pub use cgroup::{Cgroup, Join, Privilege, Request};
pub use devices::{DEFAULT_DEVICES, DefaultDevice};
pub use error::{Error, Refused, Result};
pub use freezer::FreezerState;
pub use layout::{Hierarchy, Layout};
pub use mounts::{ContainerMounts, ControllerMount, container_mounts};
pub use path::{SubCgroup, parse_sub_cgroups};
pub use record::{CgroupRecord, Driver, MemberRecord};
pub use stats::*;
