//! `masu-engine-tests --runtime PATH [FILTER…]`: an OCI runtime, called by real engines. The engines are this machine's
//! own, started on sockets and directories of their own in a world that is removed afterwards (`outside.rs`), or with
//! `--machine` as they are, in a machine that is thrown away: there systemd makes their cgroups.
//! `--kubernetes` is where `kubelet`, `kube-apiserver` and `kubectl` are, without which there are no cases of theirs.
//! `--python` is a Python that has the packages of the CRI's client; `cargo xtask test` fetches them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use masu_harness::command::be_patient;
use masu_harness::{Check, Failure, Runtime, fail};

use bench::Bench;
use outside::Outside;
use suite::{Case, Engine, Place};
use world::World;

mod bench;
mod cases;
mod differences;
mod engines;
mod latency;
mod outside;
mod suite;
mod table;
mod world;

const USAGE: &str =
    "usage: masu-engine-tests --runtime PATH [FILTER…] [--python PATH] [--kubernetes DIR] [--patience N] [--list] [--test-threads N]
       masu-engine-tests --runtime PATH --beside PATH… : how long the engines take with each
       masu-engine-tests --runtime PATH --machine [FILTER…] : in a machine that is thrown away, and has systemd
       masu-engine-tests --table";

/// What is below /tmp is memory there, and no root of a container.
const IN_MACHINE: &str = "/var/lib/masu-engines";

fn main() -> ExitCode {
    match run(std::env::args_os().skip(1).collect()) {
        Ok(code) => code,
        Err(Failure::Failed(text) | Failure::Skipped(text)) => {
            eprintln!("masu-engine-tests: {text}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: Vec<OsString>) -> Check<ExitCode> {
    if arguments.iter().any(|argument| argument == "--table") {
        print!("{}", table::markdown(&cases::all()));
        return Ok(ExitCode::SUCCESS);
    }
    let options = Options::parse(&arguments)?;
    match &options.inside {
        Some(dir) => run_inside(dir.clone(), &options),
        None if options.rest.list => conclude(&options, None),
        None if options.machine => run_in_machine(&options),
        None => run_outside(&options, &arguments),
    }
}

/// Makes the world, has the tests run in it, and looks at what is left.
fn run_outside(options: &Options, arguments: &[OsString]) -> Check<ExitCode> {
    if !rustix::process::geteuid().is_root() {
        return Err(fail("engines are started by root, those of an ordinary user too"));
    }
    let mut runtimes = vec![options.runtime()?];
    for path in &options.beside {
        runtimes.push(Runtime::probe(path)?);
    }
    let outside = Outside::create()?;
    let status = outside.run_inside(&runtimes, arguments);
    outside.remove()?;
    Ok(status?.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

/// The whole machine is the world, and goes afterwards.
fn run_in_machine(options: &Options) -> Check<ExitCode> {
    let runtime = options.runtime()?;
    let installed = Path::new(world::BIN).join(runtime.path.file_name().unwrap_or_default());
    if runtime.path != installed {
        std::fs::copy(&runtime.path, installed)?;
    }
    std::fs::create_dir(IN_MACHINE)?;
    run_inside(IN_MACHINE.into(), options)
}

fn run_inside(dir: PathBuf, options: &Options) -> Check<ExitCode> {
    let mut world = World::enter(dir, options.runtime()?, options.python.clone())?;
    world.kubernetes.clone_from(&options.kubernetes);
    if !options.beside.is_empty() {
        latency::run(&mut world, &options.beside)?;
        world.leave()?;
        return Ok(ExitCode::SUCCESS);
    }
    let world = Arc::new(world);
    let code = conclude(options, Some(&world))?;
    world.leave()?;
    Ok(code)
}

/// Runs the chosen cases, and prints the sums.
fn conclude(options: &Options, world: Option<&Arc<World>>) -> Check<ExitCode> {
    let mut cases = cases::all();
    differences::check(&cases)?;
    cases.retain(|case| options.machine || case.place == Place::Anywhere);
    cases.retain(|case| options.kubernetes.is_some() || case.engine != Engine::Kubernetes);
    cases.retain(|case| {
        options.filters.is_empty() || options.filters.iter().any(|filter| case.name().contains(filter))
    });
    let trials = cases.into_iter().map(|case| {
        let world = world.cloned();
        Trial::ignorable_test(case.name(), move || match &world {
            Some(world) => judge(&case, world),
            None => Ok(Completion::Completed),
        })
    });
    let conclusion = libtest_mimic::run(&options.rest, trials.collect());
    if !options.rest.list {
        println!(
            "{} passed, {} failed, {} skipped",
            conclusion.num_passed, conclusion.num_failed, conclusion.num_ignored
        );
    }
    Ok(if conclusion.has_failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Runs a case. A listed difference must show: an entry whose case passes is as wrong as a case that fails.
fn judge(case: &Case, world: &World) -> Result<Completion, Failed> {
    // Held to the end; a case that has panicked has let go of it.
    let (_alone, _with_others) =
        if case.alone { (Some(world.turns.write()), None) } else { (None, Some(world.turns.read())) };
    let outcome = Bench::new(world, case.engine).and_then(|bench| {
        let outcome = (case.run)(&bench);
        let finished = bench.finish();
        outcome?;
        finished
    });
    match (outcome, differences::reason(&case.name(), &world.runtime)) {
        (Ok(()), None) => Ok(Completion::Completed),
        (Ok(()), Some(reason)) => {
            Err(format!("passes: differences.rs need not say {reason:?} any more").into())
        }
        (Err(Failure::Failed(_)), Some(reason)) => Ok(Completion::ignored_with(reason)),
        (Err(Failure::Failed(text) | Failure::Skipped(text)), _) => Err(text.into()),
    }
}

/// The command line. `--inside DIR` is what this program gives to itself.
struct Options {
    runtime: Option<PathBuf>,
    inside: Option<PathBuf>,
    python: PathBuf,
    beside: Vec<PathBuf>,
    machine: bool,
    kubernetes: Option<PathBuf>,
    filters: Vec<String>,
    rest: Arguments,
}

impl Options {
    fn parse(arguments: &[OsString]) -> Check<Self> {
        let (mut runtime, mut inside, mut filters) = (None, None, Vec::new());
        let (mut python, mut beside) = (PathBuf::from("/usr/bin/python3"), Vec::new());
        let (mut machine, mut kubernetes) = (false, None);
        let mut rest = vec![OsString::from("masu-engine-tests")];
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.to_string_lossy().as_ref() {
                "--runtime" => runtime = arguments.next().map(PathBuf::from),
                "--inside" => inside = arguments.next().map(PathBuf::from),
                "--python" => python = arguments.next().map(PathBuf::from).unwrap_or_default(),
                "--beside" => beside.extend(arguments.next().map(PathBuf::from)),
                "--machine" => machine = true,
                "--kubernetes" => kubernetes = arguments.next().map(PathBuf::from),
                "--patience" => {
                    let factor = arguments.next().and_then(|factor| factor.to_str()?.parse().ok());
                    be_patient(factor.ok_or_else(|| fail("--patience takes a whole number"))?);
                }
                "--test-threads" | "--color" => {
                    rest.push(argument.clone());
                    rest.extend(arguments.next().cloned());
                }
                option if option.starts_with("--") => rest.push(argument.clone()),
                filter => filters.push(filter.to_owned()),
            }
        }
        Ok(Self {
            runtime,
            inside,
            python,
            beside,
            machine,
            kubernetes,
            filters,
            rest: Arguments::from_iter(rest),
        })
    }

    fn runtime(&self) -> Check<Runtime> {
        Runtime::probe(self.runtime.as_deref().ok_or_else(|| fail(USAGE))?)
    }
}
