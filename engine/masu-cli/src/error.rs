//! What is wrong with a command line, and the words for it.

use core::ffi::CStr;
use core::fmt::{self, Display, Formatter};

use crate::closest::closest;
use crate::commands::{COMMANDS, COMPANION_COMMANDS, Command};
use crate::option::{Availability, Kind, Opt};
use crate::options::{GLOBAL, HELP};

/// An error in the command line. Its text has several lines: what is wrong, the usage and a hint; only the first
/// one when the command line is right and the option is not built yet.
#[derive(Debug, Clone, Copy)]
pub struct UsageError<'a> {
    /// The command; `None` before it is known.
    pub command: Option<&'static Command>,
    /// What is wrong.
    pub fault: Fault<'a>,
}

/// What can be wrong with a command line.
#[derive(Debug, Clone, Copy)]
pub enum Fault<'a> {
    /// No option has this name, which is given with its dashes.
    UnknownOption(&'a str),
    /// The option stands at the end and its value is missing.
    MissingValue(&'static Opt),
    /// The value is not of the option's kind.
    BadValue(&'static Opt, &'a str),
    /// The argument is not text.
    NotUtf8(&'a CStr),
    /// There must be exactly this number of arguments.
    NotExactly(usize),
    /// There must be this number of arguments at least.
    TooFew(usize),
    /// There must be this number of arguments at most.
    TooMany(usize),
    /// This value of the option is not built yet.
    PlannedValue(&'static Opt, &'a str),
    /// The command is not built yet.
    PlannedCommand(&'static str),
}

impl core::error::Error for UsageError<'_> {}

/// A command that neither the engine nor masu-tools knows. The second line of its text is a hint.
#[derive(Debug, Clone, Copy)]
pub struct UnknownCommand<'a> {
    /// The name.
    pub name: &'a str,
    /// Whether masu-tools was asked: without it nobody knows what it knows.
    pub asked_companion: bool,
}

impl core::error::Error for UnknownCommand<'_> {}

impl Display for UnknownCommand<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "unknown command {:?}\nhint: ", self.name)?;
        let names = COMMANDS.iter().map(|command| command.name);
        let names = names.chain(COMPANION_COMMANDS.iter().map(|command| command.name));
        match closest(self.name, names) {
            Some(meant) => write!(f, "did you mean {meant}? See masu --help"),
            None if self.asked_companion => f.write_str("masu --help lists the commands"),
            None => f.write_str(
                "masu --help lists the commands; more of them come with masu-tools, which is not installed",
            ),
        }
    }
}

impl Display for UsageError<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.fault {
            Fault::PlannedValue(..) | Fault::PlannedCommand(_) => {
                if let Some(command) = self.command {
                    write!(f, "{}: ", command.name)?;
                }
                write!(f, "{} is not implemented in this version", self.fault)
            }
            _ => {
                f.write_str("incorrect usage: ")?;
                self.write_fault(f)?;
                self.write_usage(f)
            }
        }
    }
}

impl UsageError<'_> {
    /// The fault, with what only the command can tell.
    fn write_fault(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let name = self.command.map_or("masu", |command| command.name);
        match self.fault {
            Fault::NotExactly(_) | Fault::TooFew(_) | Fault::TooMany(_) => {
                write!(f, "\"{name}\" {}", self.fault)
            }
            _ => Display::fmt(&self.fault, f),
        }
    }

    fn write_usage(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.command {
            Some(command) => {
                for usage in command.usage {
                    write!(f, "\nusage: masu {usage}")?;
                }
            }
            None => f.write_str("\nusage: masu [GLOBAL OPTIONS] COMMAND [OPTIONS] [ARGUMENTS]")?,
        }
        f.write_str("\nhint: ")?;
        if let Some(meant) = self.closest_option() {
            write!(f, "did you mean --{meant}? See ")?;
        }
        match self.command {
            Some(command) => write!(f, "masu {} --help", command.name),
            None => f.write_str("masu --help"),
        }
    }

    fn closest_option(&self) -> Option<&'static str> {
        let Fault::UnknownOption(given) = self.fault else {
            return None;
        };
        let own = self.command.map_or(GLOBAL, |command| command.options);
        let shown =
            own.iter().copied().chain([&HELP.0]).filter(|opt| opt.availability == Availability::Shown);
        closest(given.trim_start_matches('-'), shown.map(|opt| opt.long))
    }
}

impl Display for Fault<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match *self {
            Self::UnknownOption(given) => write!(f, "unknown option {given:?}"),
            Self::MissingValue(opt) => write!(f, "--{} needs a value: {}", opt.long, opt.value_name),
            Self::BadValue(opt, value) => {
                write!(f, "--{}: {value:?} is not {}", opt.long, KindWords(opt.kind))
            }
            Self::NotUtf8(arg) => write!(f, "argument {arg:?} is not valid UTF-8"),
            Self::NotExactly(count) => write!(f, "requires exactly {}", Arguments(count)),
            Self::TooFew(count) => write!(f, "requires a minimum of {}", Arguments(count)),
            Self::TooMany(count) => write!(f, "requires a maximum of {}", Arguments(count)),
            Self::PlannedValue(opt, value) => write!(f, "--{} {value}", opt.long),
            Self::PlannedCommand(name) => f.write_str(name),
        }
    }
}

/// A number of arguments, in words.
struct Arguments(usize);

impl Display for Arguments {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} argument{}", self.0, if self.0 == 1 { "" } else { "s" })
    }
}

/// What a value should have been, in words.
struct KindWords(Kind);

impl Display for KindWords {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Kind::Switch => f.write_str("true or false"),
            Kind::Text => f.write_str("text"),
            Kind::Nonempty => f.write_str("allowed: it is empty"),
            Kind::Choice { works, .. } => {
                for (index, word) in works.iter().enumerate() {
                    f.write_str(if index == 0 { "one of " } else { ", " })?;
                    f.write_str(word)?;
                }
                Ok(())
            }
            Kind::BoolOrAuto => f.write_str("true, false or auto"),
            Kind::Number { min: i64::MIN, max: i64::MAX } => f.write_str("a whole number"),
            Kind::Number { min, max: i64::MAX } => write!(f, "a whole number of {min} or more"),
            Kind::Number { min, max } => write!(f, "a whole number from {min} to {max}"),
            Kind::Duration => f.write_str("a duration, such as 100ms, 5s or 1m30s"),
            Kind::Size => f.write_str("a size: bytes, perhaps with a suffix k, m, g, t or p, or -1"),
        }
    }
}
