//! Control groups: where a container's processes are counted, limited, frozen and found again.
//!
//! Version 1 hierarchies, version 2, and the hybrid layout (version 1, and a unified hierarchy that may carry some
//! controller), with the cgroupfs driver or that of systemd. What decides is pure: [`Layout::parse`], the plan of writes, the device rules
//! and the program they become on version 2, [`container_mounts`]; what acts works by directory descriptors alone.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod apply;
mod backoff;
mod cgroup;
mod controllers;
mod cpuset;
mod dbus;
mod delegated;
mod device_program;
mod devices;
mod dir;
mod error;
mod events;
mod freezer;
mod layout;
mod member;
mod mounts;
mod neighbour;
mod oom;
mod owner;
mod path;
mod plan;
mod processes;
mod record;
mod remove;
mod restore;
mod stats;
mod systemd;
mod weight;

pub use cgroup::{Cgroup, Join, Privilege, Request};
pub use devices::{DEFAULT_DEVICES, DefaultDevice};
pub use dir::OpenMounts;
pub use error::{Error, Refused, Result};
pub use freezer::FreezerState;
pub use layout::{Hierarchy, Layout, unescape};
pub use mounts::{ContainerMounts, ControllerMount, container_mounts};
pub use oom::{Oom, OomWatch};
pub use path::{SubCgroup, parse_sub_cgroups};
pub use plan::{Setting, plan_settings};
pub use record::{CgroupRecord, Driver, MemberRecord};
pub use stats::*;
pub use systemd::{Instance, PlannedUnit, UnitRecord};
