//! The command line of the engine, declared once as a table of constants, and the parser that reads it.
//!
//! The table is [`GLOBAL`] and [`COMMANDS`]. The engine parses with it ([`parse()`]) and prints its help from it
//! ([`write_help`]); masu-tools makes rich help, man pages and completions from the same constants.
//!
//! The rules are those of runc 1.5, which stand on urfave/cli v1 and Go's `flag` package:
//!
//! * One dash or two, long names or short: `-root X`, `--root X`, `--root=X` and `-f=json` are all accepted.
//!   Bundled short options (`-qf`) are not: they read as one unknown name.
//! * A switch takes a value only after `=` (`--force=false`); every other option takes the next argument
//!   whatever it looks like, so `--cpu-quota -1` works.
//! * Global options stand before the command. A command's own options stand anywhere, except for `exec` and
//!   `ps`, where everything after the ID belongs to the process or to ps(1). `--` ends the options.
//! * A comma is part of a value. The last of several values wins, unless the option is repeatable.
//! * An empty value is as good as none (`--pid-file ""`), except for `--root` and for repeatable options.
//!
//! Three things runc 1.5 refuses are accepted: `run -d ID -b DIR`, where runc takes what follows a switch and an
//! ID for arguments; `-f` and `--format` in one line; and `exec ID -- COMMAND`, where runc runs a program named
//! `--`. runc's main branch accepts all three, too.
//!
//! Nothing is allocated: what was parsed is read again from the arguments at each question.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod closest;
mod commands;
mod duration;
mod error;
mod help;
mod option;
mod options;
mod parse;
mod value;

pub use closest::closest;
pub use commands::{
    Arg, COMMANDS, COMPANION_COMMANDS, Command, CompanionCommand, Example, Order, PLANNED_COMMANDS, Verb,
    find_command,
};
pub use duration::parse_duration;
pub use error::{Fault, UnknownCommand, UsageError};
pub use help::write_help;
pub use option::{Availability, Default, Duration, Kind, Number, Numbers, Opt, Size, Switch, Text, Texts};
pub use options::*;
pub use parse::{CommandLine, Matches, Parsed, Request, parse};
pub use value::{parse_bool, parse_number, parse_size};
