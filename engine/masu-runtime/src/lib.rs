//! The engine's heart: probe the host, plan a container, carry the plan out, and keep its state.
//!
//! A container's start reads in one direction:
//!
//! ```text
//! create::create ─▶ Host::probe        what the machine is, once
//!                ─▶ plan::plan_create  every decision, as a flat list of steps (pure)
//!                ─▶ acquire::acquire   what the steps need from the host, as open descriptors
//!                ─▶ spawn::spawn       clone3, masu-init, and the barriers on both sides
//!                ─▶ store              state.json
//! ```
//! and `exec` the same way, with [`plan::plan_exec`].
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod acquire;
mod clock;
mod create;
mod delete;
mod error;
mod exec;
pub mod files;
mod foreground;
mod host;
mod kill;
mod message;
mod plan;
mod spawn;
mod state;
mod store;

pub use clock::now;
pub use create::{CreateOptions, Gate, Started, create, start};
pub use delete::{DeleteMode, delete};
pub use error::{Error, Result};
pub use exec::{ExecOptions, exec};
pub use foreground::{Reaping, become_subreaper, block_signals, wait};
pub use host::{Host, open_proc};
pub use plan::{CreateInput, ExecInput, Plan, plan_create, plan_exec};
pub use spawn::Child;
pub use state::{Container, Status};
pub use store::{Entry, Store};
