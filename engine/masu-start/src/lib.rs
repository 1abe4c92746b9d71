//! The libc-free process: entry point, relocation, allocator, panic handler and memory functions.
//!
//! Only the two libc-free programs link this crate. A program declares its main function with [`mod@entry`]:
//!
//! ```text
//! #![no_std]
//! #![no_main]
//! masu_start::entry!(main);
//! fn main(arguments: masu_start::Arguments, environment: masu_start::Environment) -> i32 { 0 }
//! ```
//!
//! Order of events: the kernel jumps to `_start` ([`mod@entry`]), which applies the relocations of the static-PIE
//! itself; the standard streams are opened where they are closed; `main` runs; its value becomes the exit status.
//! There is no thread-local storage, no constructor, no `atexit`, and never a second thread.
//!
//! With the feature `alloc` the program gets a global allocator.
#![cfg_attr(not(test), no_std)]

#[cfg(any(feature = "alloc", test))]
mod allocator;
pub mod entry;
mod memory;
#[cfg(not(test))]
mod panic;

pub use entry::{Arguments, Environment};
