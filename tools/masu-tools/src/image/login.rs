//! `masu image login` and `masu image logout`: credentials.

use std::io::{BufRead, IsTerminal};
use std::sync::Arc;

use clap::{Arg, ArgAction, ArgMatches, Command};
use masu_app::{Failure, Result};
use masu_image::reference::DEFAULT_HOST;
use masu_image::registry::{Client, Credentials};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use serde_json::json;

use super::arguments::{self, Format};
use super::failure;
use crate::{Session, output};

fn host() -> Arg {
    Arg::new("host").value_name("HOST[:PORT]").default_value(DEFAULT_HOST).help("The registry")
}

/// The options of `login`.
pub(super) fn login_command() -> Command {
    let user = Arg::new("user").long("username").short('u').value_name("USER");
    let stdin = Arg::new("password-stdin").long("password-stdin").action(ArgAction::SetTrue);
    Command::new("login")
        .about("Prove who you are to a registry, and keep the proof")
        .arg(host())
        .arg(user.help("Your name there"))
        .arg(stdin.help("Read the password from standard input, without a question"))
        .args(arguments::registry())
        .args(arguments::common())
}

/// The options of `logout`.
pub(super) fn logout_command() -> Command {
    Command::new("logout")
        .about("Forget the proof for a registry")
        .arg(host())
        .args(arguments::registry())
        .args(arguments::common())
}

/// Proves the credentials, and keeps them.
pub(super) fn login(_: &Session<'_>, matches: &ArgMatches) -> Result<()> {
    let mut options = arguments::registry_options(matches)?;
    let host = matches.get_one::<String>("host").map(String::as_str).unwrap_or(DEFAULT_HOST);
    let credentials = match options.credentials.clone() {
        Some(credentials) => credentials,
        None => ask(matches)?,
    };
    options.credentials = Some(credentials.clone());
    let client = Client::new(options.clone(), Arc::new(|_| ())).map_err(|error| failure(&error))?;
    Arc::new(client).log_in(host).map_err(|error| failure(&error))?;
    let place = credentials.keep(&options, host).map_err(|error| failure(&error))?;
    match arguments::format(matches) {
        Format::Json => arguments::print_json(&json!({ "host": host, "kept": place })),
        Format::Table => output::print(&format!("{host} knows you; kept in {place}\n")),
        Format::Quiet => Ok(()),
    }
}

/// Forgets them.
pub(super) fn logout(_: &Session<'_>, matches: &ArgMatches) -> Result<()> {
    let options = arguments::registry_options(matches)?;
    let host = matches.get_one::<String>("host").map(String::as_str).unwrap_or(DEFAULT_HOST);
    if !Credentials::forget(&options, host).map_err(|error| failure(&error))? {
        return Err(Failure::new(format!("no credentials are kept for {host}")));
    }
    match arguments::format(matches) {
        Format::Json => arguments::print_json(&json!({ "host": host })),
        Format::Table => output::print(&format!("forgot who you are to {host}\n")),
        Format::Quiet => Ok(()),
    }
}

fn ask(matches: &ArgMatches) -> Result<Credentials> {
    let given = matches.get_one::<String>("user").cloned();
    if matches.get_flag("password-stdin") {
        let user = given.ok_or_else(|| Failure::new("--password-stdin needs --username"))?;
        return Ok(Credentials::Password { user, password: read_line()? });
    }
    if !std::io::stdin().is_terminal() {
        let hint = "--username USER --password-stdin, or --creds USER:PASSWORD";
        return Err(Failure::with_hint("nobody is there to ask for a password", hint));
    }
    let user = match given {
        Some(user) => user,
        None => {
            eprint!("user: ");
            read_line()?
        }
    };
    eprint!("password: ");
    let password = without_echo(read_line)?;
    eprintln!();
    Ok(Credentials::Password { user, password })
}

fn read_line() -> Result<String> {
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    read.map_err(|error| Failure::new(format!("read standard input: {error}")))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// Lets the terminal not show what is typed.
fn without_echo(read: impl FnOnce() -> Result<String>) -> Result<String> {
    let stdin = std::io::stdin();
    let failed = |errno: rustix::io::Errno| Failure::new(format!("silence the terminal: {errno}"));
    let before = tcgetattr(&stdin).map_err(failed)?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&stdin, OptionalActions::Flush, &silent).map_err(failed)?;
    let line = read();
    tcsetattr(&stdin, OptionalActions::Now, &before).map_err(failed)?;
    line
}
