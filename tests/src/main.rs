//! `masu-tests --runtime PATH [FILTER…]`: the black-box suites. They know the runtime by its command line
//! alone, so that the same case runs against masu, runc or crun.

#![expect(
    clippy::indexing_slicing,
    reason = "a name that a serde_json::Value does not have gives null, no panic"
)]

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use harness::command::be_patient;
use harness::{Bench, Case, Check, Driver, Failure, Ledger, Runtime, Surroundings, World, fail};

mod bad_input;
mod cgroup;
mod concurrency;
mod config;
mod death;
mod events;
mod exec;
mod explain;
mod foreground;
mod harness;
mod hooks;
mod lifecycle;
mod lsm;
mod mounts_command;
mod rootless;
mod scale;
mod seccomp;
mod security;
mod sockets;
mod systemd;
mod terminal;
mod trace;
mod walk;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(Failure::Failed(text) | Failure::Skipped(text)) => {
            eprintln!("masu-tests: {text}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Check<ExitCode> {
    let (soak, args) = take_switch("--soak", std::env::args_os().skip(1));
    let (systemd, args) = take_switch("--systemd-cgroup", args.into_iter());
    let (expected, args) = take_options("--expect", args.into_iter());
    let (runtime, filters, arguments) = parse_arguments(args.into_iter())?;
    let surroundings = Surroundings::probe(if systemd { Driver::Systemd } else { Driver::Cgroupfs })?;
    expected.iter().try_for_each(|need| surroundings.expect(need))?;
    let mut cases = all_cases();
    let ledger = Arc::new(Ledger::read(&cases)?);
    cases.retain(|case| {
        filters.is_empty() || filters.iter().any(|filter| case.name.contains(filter.as_str()))
    });
    let (cases, lacking) = surroundings.choose(cases);
    let world = Arc::new(World::new(Runtime::probe(&runtime)?, surroundings, soak)?);
    let trials = cases.into_iter().map(|case| trial(case, &world, &ledger)).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    let removed = world.remove();
    if !lacking.is_empty() {
        println!("not run here: {lacking}");
    }
    if arguments.list {
        removed?;
        return Ok(ExitCode::SUCCESS);
    }
    println!(
        "{} passed, {} failed, {} skipped",
        conclusion.num_passed, conclusion.num_failed, conclusion.num_ignored
    );
    removed?;
    Ok(if conclusion.has_failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Whether a switch of ours is among the arguments, and the others.
fn take_switch(switch: &str, args: impl Iterator<Item = OsString>) -> (bool, Vec<OsString>) {
    let (found, rest): (Vec<_>, Vec<_>) = args.partition(|arg| arg == switch);
    (!found.is_empty(), rest)
}

/// The values of an option of ours that may come several times, and the other arguments.
fn take_options(option: &str, mut args: impl Iterator<Item = OsString>) -> (Vec<String>, Vec<OsString>) {
    let (mut values, mut rest) = (Vec::new(), Vec::new());
    while let Some(arg) = args.next() {
        match arg == option {
            true => values.extend(args.next().map(|value| value.to_string_lossy().into_owned())),
            false => rest.push(arg),
        }
    }
    (values, rest)
}

/// `--runtime PATH` and the filters are ours; every option belongs to libtest-mimic.
fn parse_arguments(args: impl Iterator<Item = OsString>) -> Check<(PathBuf, Vec<String>, Arguments)> {
    let mut runtime = None;
    let mut filters = Vec::new();
    let mut rest = vec![OsString::from("masu-tests")];
    let mut args = args;
    while let Some(arg) = args.next() {
        if arg == "--runtime" {
            runtime = args.next();
        } else if arg == "--patience" {
            let factor = args.next().and_then(|factor| factor.to_str()?.parse().ok());
            be_patient(factor.ok_or_else(|| fail("--patience takes a whole number"))?);
        } else if ["--test-threads", "--format", "--logfile", "--skip", "--color"]
            .iter()
            .any(|name| arg == *name)
        {
            rest.push(arg);
            rest.extend(args.next());
        } else if arg.to_string_lossy().starts_with("--") {
            rest.push(arg);
        } else {
            filters.push(arg.to_string_lossy().into_owned());
        }
    }
    let runtime = runtime.ok_or_else(|| {
        fail(
            "usage: masu-tests --runtime PATH [FILTER…] [--systemd-cgroup] [--expect NEED]… [--patience N] [--list] \
             [--soak] [--test-threads N]",
        )
    })?;
    Ok((PathBuf::from(runtime), filters, Arguments::from_iter(rest)))
}

fn all_cases() -> Vec<Case> {
    let suites = [
        scale::suite(),
        walk::suite(),
        lifecycle::suite(),
        exec::suite(),
        events::suite(),
        mounts_command::suite(),
        config::suite(),
        explain::suite(),
        trace::suite(),
        hooks::suite(),
        cgroup::suite(),
        systemd::suite(),
        foreground::suite(),
        rootless::suite(),
        concurrency::suite(),
        death::suite(),
        security::suite(),
        sockets::suite(),
        seccomp::suite(),
        lsm::suite(),
        terminal::suite(),
        bad_input::suite(),
    ];
    suites.into_iter().flat_map(|suite| suite.cases).collect()
}

fn trial(case: Case, world: &Arc<World>, ledger: &Arc<Ledger>) -> Trial {
    let (world, ledger) = (Arc::clone(world), Arc::clone(ledger));
    Trial::ignorable_test(case.name.clone(), move || judge(&case, &world, &ledger))
}

/// Runs a case. A listed difference must show: an entry whose case passes is as wrong as a case that fails.
fn judge(case: &Case, world: &World, ledger: &Ledger) -> Result<Completion, Failed> {
    let difference = ledger.difference(&case.name, &world.runtime, &world.surroundings);
    match difference {
        Some(difference) if !difference.run => return Ok(Completion::ignored_with(difference.text())),
        None if case.masu_only && !world.runtime.is_masu() => {
            return Ok(Completion::ignored_with("masu only"));
        }
        _ => {}
    }
    match (perform(case, world), difference) {
        (Ok(()), None) => Ok(Completion::Completed),
        (Err(Failure::Failed(_)), Some(difference)) => Ok(Completion::ignored_with(difference.text())),
        (Ok(()), Some(difference)) => {
            Err(format!("passes: differences.toml need not say {:?} any more", difference.text()).into())
        }
        (Err(Failure::Skipped(why)), _) => match ledger.skip(&case.name) {
            Some(reason) => Ok(Completion::ignored_with(reason)),
            None => Err(format!("skipped, which skips.toml does not allow: {why}").into()),
        },
        (Err(Failure::Failed(text)), None) => Err(text.into()),
    }
}

fn perform(case: &Case, world: &World) -> Check {
    let mut bench = Bench::new(world)?;
    let result = (case.run)(&mut bench);
    let finished = bench.finish();
    result?;
    finished
}
