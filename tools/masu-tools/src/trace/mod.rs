//! `masu trace`: what a start spends its time on.
//!
//! The call is carried out by a second build of the engine, which writes down when each piece of its work, and each step
//! of masu-init, began and ended (docs/decisions/0027). This module calls it, and draws what it wrote.

mod document;
mod waterfall;

use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Arg, ArgMatches, Command};
use masu_app::{Failure, Result};
use masu_cli::{LOG, LOG_FORMAT};
use rustix::fs::{MemfdFlags, memfd_create};

use self::document::Document;
use crate::Session;
use crate::boxes::foreground::{Signals, wait};
use crate::engine::{self, TRACING_ENGINE};
use crate::output::{self, Style};

/// The variable that tells the tracing engine where to write.
const VARIABLE: &str = "MASU_TRACE";
/// What can be traced.
const COMMANDS: [&str; 3] = ["create", "run", "exec"];

/// The options.
pub(crate) fn command() -> Command {
    let output = Arg::new("output").long("output").short('o').value_name("FILE");
    let output = output.help("Keep the trace, for Perfetto (ui.perfetto.dev) or --file");
    let file = Arg::new("file").long("file").value_name("FILE").conflicts_with_all(["output", "command"]);
    let file = file.help("Draw a trace that was kept");
    let given = Arg::new("command").value_name("COMMAND").num_args(1..).trailing_var_arg(true);
    let given = given.allow_hyphen_values(true).hide(true);
    Command::new("trace")
        .override_usage("masu trace [OPTIONS] create|run|exec [ARG]...\n  masu trace --file FILE")
        .about("Show what a create, run or exec spends its time on")
        .before_help(
            "COMMAND is create, run or exec, with its options and arguments. It is carried out as ever, and its exit code \
             is ours; afterwards standard error has one line for each piece of work: when it began, how long it took, \
             and the field of config.json that asked for it.",
        )
        .after_help(
            "Examples:\n  Show what a start of the bundle in /srv/web takes\n    \
             masu trace run --bundle /srv/web web\n  \
             Draw what masu-trace, called as the runtime of a container engine, wrote to $MASU_TRACE\n    \
             masu trace --file /tmp/web.json",
        )
        .args([output, file, given])
}

/// Carries a command out and shows what it took, or shows what one has taken.
pub(crate) fn run(session: &Session<'_>, matches: &ArgMatches) -> Result<ExitCode> {
    if let Some(file) = matches.get_one::<String>("file") {
        let document = Document::read(Path::new(file))?;
        output::print(&waterfall::draw(&document, Style::of_stdout()))?;
        return Ok(ExitCode::SUCCESS);
    }
    let given: Vec<&String> = matches.get_many::<String>("command").into_iter().flatten().collect();
    let refused = match given.first() {
        Some(verb) if COMMANDS.contains(&verb.as_str()) => None,
        Some(verb) => Some(format!("incorrect usage: {verb:?} cannot be traced")),
        None => Some("incorrect usage: a command is missing".into()),
    };
    if let Some(message) = refused {
        return Err(Failure::with_hint(message, "create, run and exec can be traced: masu trace --help"));
    }
    let mut trace = memory()?;
    let mut engine = engine::command(session, TRACING_ENGINE)?;
    engine::add_global_options(session, &mut engine);
    for (option, value) in
        [("--log", session.global.value(&LOG)), ("--log-format", session.global.value(&LOG_FORMAT))]
    {
        if let Some(value) = value {
            engine.args([option, value]);
        }
    }
    engine.args(given).env(VARIABLE, format!("/proc/{}/fd/{}", std::process::id(), trace.as_raw_fd()));
    let signals = Signals::hold()?;
    let begin = now();
    let code = wait(engine.spawn().map_err(engine::cannot_run)?, &signals)?;
    let mut text = String::new();
    trace.read_to_string(&mut text).map_err(|error| Failure::new(format!("read the trace: {error}")))?;
    // Nothing is there when the command line was wrong, which the engine has said.
    if !text.is_empty() {
        let mut document = Document::parse(&text, "the trace")?;
        document.add_engine_start(begin);
        if let Some(path) = matches.get_one::<String>("output") {
            document.write(Path::new(path))?;
        }
        eprint!("{}", waterfall::draw(&document, Style::of_stderr()));
    }
    Ok(ExitCode::from(code))
}

/// Nanoseconds since 1970, as the engine counts.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// A file in memory that the engine opens by our descriptor's name in procfs.
fn memory() -> Result<File> {
    let made = memfd_create(c"masu-trace", MemfdFlags::CLOEXEC);
    made.map(File::from).map_err(|errno| Failure::new(format!("memfd_create: {errno}")))
}
