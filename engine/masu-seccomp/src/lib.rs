//! A seccomp profile of the OCI runtime specification, compiled to the kernel's filter program. Pure.
//!
//! ```text
//! Profile ─▶ verdicts   what becomes of each number, per architecture: a sorted list of ranges
//!         ─▶ tree       a balanced decision tree over the ranges, and below it the comparisons of arguments
//!         ─▶ program    the bytes that seccomp(2) takes
//! ```
//! The tree makes the cost of a system call logarithmic in the length of the profile. A verdict that needs no argument
//! is found by loads of the number and the architecture alone, so that the kernel's own cache of allowed calls
//! (Linux 5.11) knows it and never runs the program for it.
//!
//! Where rules of one system call overlap, a rule without conditions wins, and otherwise the first that holds. A rule
//! whose action is the default one says nothing. Both are as in runc with libseccomp.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod abi;
mod names;
mod program;
mod tree;
mod verdicts;

use alloc::string::String;
use alloc::vec::Vec;

use masu_spec::{Architecture, Seccomp};

pub use abi::NATIVE;
pub use program::Instruction;

/// The size of an instruction, `struct sock_filter`, in bytes.
pub const INSTRUCTION_SIZE: usize = 8;

/// The most instructions that the kernel takes, `BPF_MAXINSNS`.
pub const INSTRUCTIONS_MAX: usize = 4096;

/// A compiled profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// The program.
    pub instructions: Vec<Instruction>,
    /// Names of system calls that no architecture has: skipped.
    pub unknown: Vec<String>,
}

impl Filter {
    /// The program as `struct sock_filter[]`, in the machine's byte order.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.instructions.iter().flat_map(Instruction::to_bytes).collect()
    }
}

/// What a profile cannot be compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompileError {
    /// More rules than a filter can hold: how many instructions they take.
    TooLong(usize),
    /// The machine has this architecture, and the profile wants it, but the numbers of its system calls are not known
    /// here. Left out, its calls would end their threads.
    NoNumbers(Architecture),
}

/// Compiles a profile for this machine.
///
/// Of its architectures those count whose processes the machine can run; its own always does. A call of any other
/// architecture ends its thread, as with libseccomp.
///
/// # Errors
/// [`CompileError`].
pub fn compile(profile: &Seccomp<'_>) -> Result<Filter, CompileError> {
    compile_for(profile, NATIVE)
}

/// Compiles a profile for a machine of this architecture.
///
/// # Errors
/// [`CompileError`].
pub fn compile_for(profile: &Seccomp<'_>, machine: Architecture) -> Result<Filter, CompileError> {
    let abis = abi::of(machine, &profile.architectures).map_err(CompileError::NoNumbers)?;
    let (groups, unknown) = verdicts::collect(profile, &abis);
    let instructions = tree::emit(&groups);
    if instructions.len() > INSTRUCTIONS_MAX {
        return Err(CompileError::TooLong(instructions.len()));
    }
    Ok(Filter { instructions, unknown })
}
