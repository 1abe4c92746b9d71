//! The engine's heart: probe the host, plan a container, carry the plan out, and keep its state.
//!
//! A container's start reads in one direction:
//!
//! ```text
//! create::create ─▶ Host::probe        what the machine is, once
//!                ─▶ plan::plan_create  every decision, as a flat list of steps (pure), in two parts:
//!                ─▶ spawn::begin       clone3, and masu-init at the first part, while the cgroup is made
//!                ─▶ acquire::acquire   what the other steps need from the host, as open descriptors
//!                ─▶ spawn::Engine      masu-init at the other part, and the barriers on both sides
//!                ─▶ store              state.json
//! ```
//! and `exec` the same way, with [`plan::plan_exec`].
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod acquire;
mod clock;
mod console;
mod create;
mod delete;
mod descriptor_socket;
mod error;
mod exec;
mod explain;
pub mod files;
mod foreground;
mod hooks;
mod host;
mod host_views;
mod id_mapped;
mod id_programs;
mod init_mount;
mod intel_rdt;
mod interrupt;
mod kill;
mod lsm;
mod message;
mod mounts;
mod net_devices;
mod netlink;
mod network;
mod notify;
mod plan;
mod restrictions;
mod seccomp_agent;
mod spawn;
mod start;
mod state;
mod store;
mod terminal;
mod trace;
mod unprivileged;
mod watch;

pub use clock::now;
pub use console::{Attachment, Console};
pub use create::{CgroupDriver, CreateOptions, Gate, Services, Started, create};
pub use delete::{DeleteMode, delete};
pub use error::{Error, Result};
pub use exec::{ExecOptions, exec};
pub use explain::{
    ExplainOptions, ExplainedStep, Explanation, Phase, Surroundings, explain_config, explain_create,
    explain_plan,
};
pub use foreground::{Reaping, become_subreaper, block_signals, unblock_signals, wait};
pub use hooks::Environment;
pub use host::{Host, open_proc};
pub use mounts::{add_mounts, remove_mounts};
pub use notify::Notify;
pub use plan::{CreateInput, ExecInput, Plan, plan_create, plan_exec};
pub use restrictions::{mount_hint, user_namespace_hint};
pub use spawn::Child;
pub use start::start;
pub use state::{Container, Status, View};
pub use store::{Entry, Store};
pub use terminal::Lent;
pub use trace::{Trace, Work};
pub use watch::{Happening, Watch};
