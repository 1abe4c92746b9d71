//! The engine: an OCI container runtime that starts without libc. All of it is in `masu_app`.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;
use masu_start::{Arguments, Environment};

/// The program that enters the container, as build.rs has built it.
static INIT_IMAGE: &[u8] = include_bytes!(env!("MASU_INIT"));

masu_start::entry!(main);

fn main(arguments: Arguments, environment: Environment) -> i32 {
    let arguments: Vec<_> = arguments.collect();
    let environment: Vec<_> = environment.collect();
    masu_app::main(&arguments, &environment, INIT_IMAGE)
}
