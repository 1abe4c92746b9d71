//! The options of a verb: clap's, under the engine's rules for errors, and from the engine's table where it has them.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command};
use masu_app::{Failure, Result};
use masu_cli::{Default, Kind, Opt};

use crate::output;

/// The order of the engine's help texts, and their width.
const HELP: &str = "{about}\n\n{before-help}Usage:\n  {usage}\n\n{all-args}{after-help}\n";
const HELP_WIDTH: usize = 90;

/// An option of the engine's table as clap's.
pub(crate) fn from_table(opt: &'static Opt) -> Arg {
    let help = match opt.default {
        Default::None => opt.help.to_owned(),
        Default::Value(words) | Default::Described(words) => format!("{} (default: {words})", opt.help),
    };
    let arg = Arg::new(opt.long).long(opt.long).help(help);
    let arg = match opt.short {
        Some(short) => arg.short(short),
        None => arg,
    };
    match opt.kind {
        Kind::Switch => arg.action(ArgAction::SetTrue),
        Kind::Number { min, max } => {
            let number = clap::value_parser!(i64).range(min..=max);
            arg.value_name(opt.value_name).value_parser(number).allow_negative_numbers(true)
        }
        _ => arg.value_name(opt.value_name),
    }
}

/// Parses what follows the verb. `None` when its help text was asked for, which is printed then.
pub(crate) fn parse(name: &'static str, command: Command, given: &[OsString]) -> Result<Option<ArgMatches>> {
    let program = format!("masu {name}");
    let laid_out = |command: Command| command.help_template(HELP).max_term_width(HELP_WIDTH);
    let mut command = laid_out(command).mut_subcommands(laid_out).disable_help_subcommand(true);
    command = command.no_binary_name(true).bin_name(program.clone());
    command.build();
    // The usage is that of the verb below, where there is one.
    let inner = given.first().and_then(|first| command.find_subcommand(first)).cloned();
    let program = inner.as_ref().and_then(Command::get_bin_name).map_or(program, ToOwned::to_owned);
    match command.try_get_matches_from_mut(given) {
        Ok(matches) => Ok(Some(matches)),
        Err(error) if error.kind() == ErrorKind::DisplayHelp => {
            output::print(&error.render().to_string())?;
            Ok(None)
        }
        Err(error) => Err(usage_failure(&program, &mut inner.unwrap_or(command), &error)),
    }
}

/// The words of clap in the form of the engine.
fn usage_failure(program: &str, command: &mut Command, error: &clap::Error) -> Failure {
    let text = error.render().to_string();
    let first = text.lines().next().unwrap_or_default();
    let message = first.strip_prefix("error: ").unwrap_or(first);
    // They stand in lines of their own.
    let missing = match (error.kind(), error.get(ContextKind::InvalidArg)) {
        (ErrorKind::MissingRequiredArgument, Some(ContextValue::Strings(names))) => {
            format!(" {}", names.join(", "))
        }
        _ => String::new(),
    };
    let usage = command.render_usage().to_string();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage);
    let meant = match error.get(ContextKind::SuggestedArg) {
        Some(ContextValue::String(meant)) => format!("did you mean {meant}? See "),
        _ => String::new(),
    };
    Failure::with_hint(
        format!("incorrect usage: {message}{missing}\nusage: {usage}"),
        format!("{meant}{program} --help"),
    )
}
