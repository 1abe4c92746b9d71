//! The engine's commands: from the arguments to an exit code. Nothing below this crate prints.
//!
//! | exit code | when |
//! |---|---|
//! | 1 | the engine's own errors, also those of the command line |
//! | 255 | those of `exec`, once its command line was understood |
//! | 3 | an unknown command |
//! | otherwise | the status of the container's process, 128+N when signal N ended it |
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod activation;
mod commands;
mod failure;
mod loader;
mod log;
mod output;
mod passwd;
mod root;
mod session;

use alloc::{format, string::ToString};
use core::ffi::CStr;

use masu_cli::{CommandLine, PRESERVE_FDS, Request, UsageError, Verb};
use masu_sys::errno::Described;
use rustix::process::Signal;

use crate::session::Session;

/// How a command fails, where messages go and where the state is: the same for masu-tools.
pub use crate::{
    failure::{Failure, Result},
    log::Log,
    root::{Choice, Root},
    session::{Environment, cgroup_driver},
};

/// The engine's own errors.
const OWN_ERROR: i32 = 1;
/// Errors of `exec`, which are told from the status of the command by this: runc's choice.
const EXEC_ERROR: i32 = 255;

/// Carries out one command line and returns the exit code. `args` begins with the program's name; `init_image` is
/// the program that enters the container.
#[must_use]
pub fn main(args: &[&'static CStr], env: &[&'static CStr], init_image: &'static [u8]) -> i32 {
    // A reader that goes away is an error of the write, not the end of an engine that is half-way.
    if let Err(errno) = masu_sys::signal::ignore(Signal::PIPE.as_raw()) {
        return early_error(&Failure::new(format!("ignore SIGPIPE: {}", Described(errno))));
    }
    let args = args.get(1..).unwrap_or_default();
    let line = match masu_cli::parse(args) {
        Ok(line) => line,
        Err(error) => return early_error(&usage_failure(&error)),
    };
    let request = line.request();
    // Before the first file is opened: it would take the number of a descriptor that is missing.
    let descriptors = check_descriptors(&request, Environment(env));
    let log = match Log::open(&line.global) {
        Ok(log) => log,
        Err(failure) => return early_error(&failure),
    };
    let outcome = match (&request, descriptors) {
        (Err(error), _) => Err(usage_failure(error)),
        (Ok(_), Err(failure)) => Err(failure),
        (Ok(request), Ok(())) => carry_out(request, &line, args, Environment(env), &log, init_image),
    };
    outcome.unwrap_or_else(|failure| {
        log.error(&failure);
        match request {
            Ok(Request::Command(parsed)) if parsed.command.verb == Verb::Exec => EXEC_ERROR,
            _ => OWN_ERROR,
        }
    })
}

/// An error before the log is known.
fn early_error(failure: &Failure) -> i32 {
    Log::standard_error().error(failure);
    OWN_ERROR
}

/// The text of an error in the command line; its last line is the hint.
fn usage_failure(error: &UsageError<'_>) -> Failure {
    Failure::from_text(&error.to_string())
}

fn carry_out(
    request: &Request<'_>,
    line: &CommandLine<'_>,
    args: &[&'static CStr],
    env: Environment<'_>,
    log: &Log,
    init_image: &'static [u8],
) -> Result<i32> {
    match request {
        Request::Help(command) => commands::help::print(*command),
        Request::Version => commands::version::print(),
        Request::Unknown { name, .. } => commands::unknown::hand_over(name, args, env, log),
        Request::Command(parsed) => {
            let session = Session::new(line.global, env, log, init_image)?;
            log.debug(&format!("{} with the root directory {}", parsed.command.name, session.root.path));
            let outcome = commands::dispatch(&session, parsed);
            #[cfg(feature = "trace")]
            if let Err(error) = session.trace.write() {
                log.warning(&error.to_string());
            }
            outcome
        }
    }
}

/// Lets every descriptor that the caller did not mean to hand on close when another program is executed, and looks
/// whether those that are to be preserved are there. Without the first, a container's process could reach a directory of
/// the host through a descriptor that an engine forgot (CVE-2024-21626).
fn check_descriptors(
    request: &core::result::Result<Request<'_>, UsageError<'_>>,
    env: Environment<'_>,
) -> Result<()> {
    let (mut listened, mut preserved) = (0, 0);
    if let Ok(Request::Command(parsed)) = request {
        preserved = parsed.options.number(&PRESERVE_FDS).unwrap_or(0);
        if matches!(parsed.command.verb, Verb::Create | Verb::Run) {
            listened = i64::from(activation::listen_fds(env));
        }
    }
    for index in 0..listened.saturating_add(preserved) {
        let number = index + 3;
        if masu_sys::fd::is_open(i32::try_from(number).unwrap_or(-1)) {
            continue;
        }
        if index < listened {
            return Err(Failure::new(format!("LISTEN_FDS={listened}: descriptor {number} is not open")));
        }
        // runc's words, and the number beside them.
        let place = index - listened;
        let message =
            format!("unable to stat preserved-fd {place} (of {preserved}): descriptor {number} is not open");
        let hint = "--preserve-fds takes the descriptors after standard error and $LISTEN_FDS, without a gap";
        return Err(Failure::with_hint(message, hint));
    }
    let first = u32::try_from(listened + preserved + 3).unwrap_or(u32::MAX);
    masu_sys::fd::set_cloexec_range(first, u32::MAX)
        .map_err(|errno| Failure::new(format!("close_range from {first} with CLOEXEC: {}", Described(errno))))
}
