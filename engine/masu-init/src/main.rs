//! What enters the container: runs a program of steps, then becomes the container's process. All of it is in
//! the library, so that it can be tested under std.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use masu_start::{Arguments, Environment};

masu_start::entry!(main);

/// The program of steps says the container's environment; ours is the engine's and is not passed on.
fn main(arguments: Arguments, _environment: Environment) -> i32 {
    masu_init::run(arguments)
}
