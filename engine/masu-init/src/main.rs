//! What enters the container: runs a program of steps, then becomes the container's process.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use masu_start::{Arguments, Environment};

masu_start::entry!(main);

fn main(_arguments: Arguments, _environment: Environment) -> i32 {
    0
}
