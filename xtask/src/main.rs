//! `cargo xtask`: everything that is done to this repository, from a build to the benchmark.
//!
//! A command is a module with one `run` function, and reads from top to bottom as the list of what it does.

mod bench;
mod build;
mod bundle;
mod demo;
mod open_folder;
mod project;
mod setup;
mod test;
mod vm;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "The task runner of masu")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build the release binaries side by side into target/masu/bin
    Build,
    /// Run a container on this machine's own root: a tour, or a shell on a terminal
    Demo(demo::Arguments),
    /// Make the demo's root in namespaces of its own and run the container; `demo` starts itself with this
    #[command(hide = true)]
    DemoInside(demo::InsideArguments),
    /// Install what the tests need, then run all checks and tests with a summary
    Test(test::Arguments),
    /// Compare with Debian's newest crun and runc; writes docs/benchmarks.md and .svg
    Bench(bench::Arguments),
    /// Run a command in a Debian machine with systemd and cgroup v2, emulated and thrown away
    Vm(vm::Arguments),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().task {
        Task::Build => build::run(),
        Task::Demo(arguments) => demo::run(&arguments),
        Task::DemoInside(arguments) => demo::run_inside(&arguments).map(|never| match never {}),
        Task::Test(arguments) => return report(test::run(&arguments)),
        Task::Bench(arguments) => bench::run(&arguments),
        Task::Vm(arguments) => return report(vm::run(&arguments)),
    };
    report(result.map(|()| ExitCode::SUCCESS))
}

fn report(result: anyhow::Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        ExitCode::FAILURE
    })
}
