//! Compiles Docker's profile once, as a runtime does, and says how long that took: for `cargo xtask bench`, which starts
//! it with `masu` and with `libseccomp` in turns.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a measurement may panic")]

#[allow(dead_code, reason = "the tests need more of it")]
#[path = "../tests/reference/mod.rs"]
mod reference;

use std::process::ExitCode;
use std::time::Instant;

use masu_seccomp_tests::profiles::{Container, DOCKER, resolve};
use masu_spec::Architecture;

const MACHINE: Architecture = masu_seccomp::NATIVE;
const PROCESSOR: &str = match MACHINE {
    Architecture::Aarch64 => "arm64",
    Architecture::RiscV64 => "riscv64",
    _ => "amd64",
};

fn main() -> ExitCode {
    let capabilities = &["CAP_AUDIT_WRITE", "CAP_SYS_CHROOT"];
    let container = Container { machine: MACHINE, processor: PROCESSOR, capabilities, linux: (6, 1) };
    let profile = resolve(DOCKER, &container).expect("a profile");
    let compiler = std::env::args().nth(1);
    let begun = Instant::now();
    let program = match compiler.as_deref() {
        Some("masu") => masu_seccomp::compile(&profile).expect("compiles").to_bytes(),
        Some("libseccomp") => reference::reference(&profile, MACHINE),
        _ => {
            eprintln!("usage: compile_once masu|libseccomp");
            return ExitCode::from(2);
        }
    };
    let time = begun.elapsed();
    println!("{} instructions in {} ns", program.len() / masu_seccomp::INSTRUCTION_SIZE, time.as_nanos());
    ExitCode::SUCCESS
}
