//! The system calls that rustix lacks, as safe functions. With masu-start this is the only unsafe code of
//! the engine; every other crate forbids it.
//!
//! One function is one system call, and its documentation starts with the C form, as rustix's does. What
//! rustix has as a safe function without an allocator is used from there and not wrapped again:
//!
//! | wanted | in rustix |
//! |---|---|
//! | `capget`, `capset` | `thread::{capabilities, set_capabilities}`; unknown bits by `CapabilitySet::from_bits_retain` |
//! | `PR_CAP_AMBIENT_CLEAR_ALL`, `PR_SET_KEEPCAPS` | `thread::{clear_ambient_capability_set, set_keep_capabilities}` |
//! | `PR_SET_DUMPABLE`, `PR_SET_PDEATHSIG` | `process::{set_dumpable_behavior, set_parent_process_death_signal}` |
//! | `PR_SET_NO_NEW_PRIVS`, securebits | `thread::{set_no_new_privs, set_capabilities_secure_bits}` |
//! | `PR_SET_CHILD_SUBREAPER` | `process::set_child_subreaper` |
//! | `F_SETFD`, `dup3` on 0, 1, 2 | `io::fcntl_setfd`, `stdio::{dup2_stdin, dup2_stdout, dup2_stderr}` |
//! | `open_tree`, `fsopen`, `fsconfig`, `fsmount`, `move_mount` | `mount::*` |
//! | `waitid` on a pidfd | `process::waitid(WaitId::PidFd(fd), …)` |
//!
//! # Threads
//!
//! The engine and its init have one thread. Functions that a second thread would notice (credentials, the
//! signal mask, `unshare`) act on the calling thread only, as the kernel does; no `setxid` broadcast exists.
#![cfg_attr(not(test), no_std)]

#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")
)))]
compile_error!("masu-sys knows Linux on x86_64, aarch64 and riscv64");

mod arch;
pub mod bpf;
pub mod capability;
pub mod errno;
pub mod exec;
pub mod fd;
pub mod keyring;
pub mod memory;
pub mod mount;
pub mod namespace;
pub mod network;
pub mod process;
pub mod scheduling;
pub mod seccomp;
pub mod signal;
pub mod socket;
