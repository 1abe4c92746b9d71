//! masu-tools, the companion of the engine: the commands for people. `masu VERB` hands over what the engine does not
//! know, with the whole command line.
//!
//! The global options are read by the engine's own parser, and messages are written by its own log, so that the two
//! programs are one to their users. A verb's own options are clap's; those that the engine has too come from its
//! table.

mod boxes;
mod bundle;
mod engine;
mod explain;
mod image;
mod options;
mod output;
mod trace;

use std::ffi::{CStr, CString, OsString};
use std::os::unix::ffi::OsStringExt;
use std::process::ExitCode;

use boxes::{network, supervisor};
use clap::Command;
use masu_app::{Environment, Failure, Log, Result, Root};
use masu_cli::{CommandLine, Request, UnknownCommand};

/// Exit code for a command that nobody knows, as the engine has it.
const UNKNOWN_COMMAND: u8 = 3;

/// What a verb is told beside its own options.
struct Session<'a> {
    /// The global options.
    global: masu_cli::Matches<'a>,
    /// Where the state of containers is.
    root: Root,
    env: Environment<'a>,
    log: &'a Log,
    /// The verb's own arguments as they were given, with what clap does not tell of them.
    given: &'a [OsString],
}

/// A verb: how it is called, and what it does.
struct Verb {
    name: &'static str,
    command: fn() -> Command,
    run: fn(&Session<'_>, &clap::ArgMatches) -> Result<ExitCode>,
    /// The exit code of masu's own failures.
    failure: u8,
}

/// All verbs; `masu_cli::COMPANION_COMMANDS` has the same names.
const VERBS: &[Verb] = &[
    Verb { name: "box", command: boxes::command, run: boxes::run, failure: boxes::OWN_FAILURE },
    Verb { name: "bundle", command: bundle::command, run: |s, m| done(bundle::run(s, m)), failure: 1 },
    Verb { name: "explain", command: explain::command, run: |s, m| done(explain::run(s, m)), failure: 1 },
    Verb { name: "image", command: image::command, run: |s, m| done(image::run(s, m)), failure: 1 },
    Verb {
        name: "logs",
        command: boxes::logs::command,
        run: |s, m| done(boxes::logs::run(s, m)),
        failure: 1,
    },
    Verb { name: "trace", command: trace::command, run: trace::run, failure: 1 },
    Verb {
        name: "wait",
        command: boxes::wait::command,
        run: |s, m| done(boxes::wait::run(s, m)),
        failure: 1,
    },
];

fn done(outcome: Result<()>) -> Result<ExitCode> {
    outcome.map(|()| ExitCode::SUCCESS)
}

fn main() -> ExitCode {
    let args: Vec<&'static CStr> = std::env::args_os().skip(1).map(leak).collect();
    let env: Vec<&'static CStr> = std::env::vars_os()
        .map(|(name, value)| {
            let mut entry = name;
            entry.push("=");
            entry.push(value);
            leak(entry)
        })
        .collect();
    let line = match masu_cli::parse(&args) {
        Ok(line) => line,
        Err(error) => return fail(&Log::standard_error(), &Failure::from_text(&error.to_string())),
    };
    let log = match Log::open(&line.global) {
        Ok(log) => log,
        Err(failure) => return fail(&Log::standard_error(), &failure),
    };
    carry_out(&line, &env, &log).unwrap_or_else(|failure| fail(&log, &failure))
}

fn fail(log: &Log, failure: &Failure) -> ExitCode {
    log.error(failure);
    ExitCode::FAILURE
}

/// The program's arguments live as long as it does.
fn leak(text: OsString) -> &'static CStr {
    // What execve(2) hands over has no NUL within.
    let text = CString::new(text.into_vec()).unwrap_or_default();
    Box::leak(text.into_boxed_c_str())
}

fn carry_out(line: &CommandLine<'_>, env: &[&'static CStr], log: &Log) -> Result<ExitCode> {
    let request = line.request().map_err(|error| Failure::from_text(&error.to_string()))?;
    let (name, rest) = match request {
        Request::Unknown { name, rest } => (name, rest),
        // Only when it is called by its own name: the engine keeps these for itself.
        Request::Help(_) | Request::Version | Request::Command(_) => {
            let hint = "masu --help lists its commands, and those of masu-tools";
            return Err(Failure::with_hint("masu-tools is called by masu", hint));
        }
    };
    if name == supervisor::VERB {
        return supervise(line, rest, env, log);
    }
    if name == network::VERB {
        return Ok(network::run(rest.get(1..).unwrap_or_default()).unwrap_or_else(|failure| {
            // It is the engine that says to whom and whose words these are.
            output::complain(&failure);
            ExitCode::FAILURE
        }));
    }
    let Some(verb) = VERBS.iter().find(|verb| verb.name == name) else {
        let unknown = UnknownCommand { name, asked_companion: true };
        log.error(&Failure::from_text(&unknown.to_string()));
        return Ok(ExitCode::from(UNKNOWN_COMMAND));
    };
    Ok(call(verb, line, rest, env, log).unwrap_or_else(|failure| {
        log.error(&failure);
        ExitCode::from(verb.failure)
    }))
}

/// What `masu box -d` leaves. It is called by this program alone.
fn supervise(line: &CommandLine<'_>, rest: &[&CStr], env: &[&'static CStr], log: &Log) -> Result<ExitCode> {
    let env = Environment(env);
    let root = Root::choose(&line.global, env)?;
    let order = rest.get(1).map_or(&[][..], |order| order.to_bytes());
    Ok(supervisor::run(&Session { global: line.global, root, env, log, given: &[] }, order).unwrap_or_else(
        |failure| {
            log.error(&failure);
            ExitCode::from(boxes::OWN_FAILURE)
        },
    ))
}

fn call(
    verb: &Verb,
    line: &CommandLine<'_>,
    rest: &[&CStr],
    env: &[&'static CStr],
    log: &Log,
) -> Result<ExitCode> {
    // `masu help VERB` is `masu VERB --help`.
    let helped = rest.first().is_some_and(|first| *first == c"help");
    let given: Vec<OsString> = match helped {
        true => vec!["--help".into()],
        false => rest.iter().skip(1).map(|arg| OsString::from_vec(arg.to_bytes().to_vec())).collect(),
    };
    let Some(matches) = options::parse(verb.name, (verb.command)(), &given)? else {
        return Ok(ExitCode::SUCCESS);
    };
    let env = Environment(env);
    let root = Root::choose(&line.global, env)?;
    (verb.run)(&Session { global: line.global, root, env, log, given: &given }, &matches)
}

#[cfg(test)]
mod tests {
    use super::VERBS;

    #[test]
    fn the_engine_knows_the_name_and_the_purpose_of_every_verb() {
        let told =
            masu_cli::COMPANION_COMMANDS.iter().map(|command| (command.name, command.purpose.to_owned()));
        let known = VERBS.iter().map(|verb| {
            let about = (verb.command)().get_about().map(ToString::to_string);
            (verb.name, about.unwrap_or_default())
        });
        assert!(told.eq(known));
    }

    #[test]
    fn the_options_of_every_verb_are_as_clap_wants_them() {
        for verb in VERBS {
            (verb.command)().debug_assert();
        }
    }
}
