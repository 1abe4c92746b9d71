//! What enters the container: a process that carries out a program of steps and then becomes the
//! container's own.
//!
//! It runs where nothing may go wrong quietly: between two worlds, with the privileges of the host and the
//! files of the container. So it holds no allocator, formats no text and takes no decision that is not in its
//! program; all of its code is the loop in [`run()`] and one function for each step. What fails is sent to the
//! engine as a step, a part and an errno, and the process ends.
//!
//! ```text
//!            engine: clone3, execveat(sealed memfd)
//!                 │
//!   step ─▶ AwaitProgram ─▶ Fork ─▶ … ─▶ Barrier(Mapped) ─▶ … ─▶ Barrier(Ready) ─▶ AwaitStart ─▶ Execute
//!             │ the rest     │ parent ends  │ the engine's half                     │ `masu start`  │ execve
//!             ▼              ▼              ▼                                       ▼               ▼
//!           (a failure anywhere, or the engine's end at a barrier: one frame, and exit)
//! ```
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod channel;
mod copy;
mod device;
mod failure;
mod filesystem;
mod handed;
mod hook;
mod mask;
mod passwd;
mod path;
mod process;
mod record;
mod root;
mod run;
mod terminal;

pub use run::run;
