//! The parser: one walk over the arguments, and the questions that can be asked afterwards.

use core::ffi::CStr;

use crate::commands::{Command, Order, PLANNED_COMMANDS, find_command};
use crate::duration::parse_duration;
use crate::error::{Fault, UsageError};
use crate::option::{Default, Duration, Kind, Number, Numbers, Opt, Size, Switch, Text, Texts};
use crate::options::{GLOBAL, HELP, VERSION};
use crate::value::{BadValue, check_value, parse_bool, parse_number, parse_size};

/// A command line whose global options are known to be good. The command is parsed by [`CommandLine::request`],
/// so that what is wrong with it can be logged where `--log` says.
#[derive(Debug, Clone, Copy)]
pub struct CommandLine<'a> {
    /// The global options.
    pub global: Matches<'a>,
    /// The command's name and what follows it.
    rest: &'a [&'a CStr],
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub enum Request<'a> {
    /// The help text of one command, or the general one.
    Help(Option<&'static Command>),
    /// The versions.
    Version,
    /// A command of the engine.
    Command(Parsed<'a>),
    /// A command the engine does not know; masu-tools may.
    Unknown {
        /// The unknown name.
        name: &'a str,
        /// Everything after the global options: the arguments for masu-tools, not checked in any way.
        rest: &'a [&'a CStr],
    },
}

/// A command with its options and arguments, all of them checked.
#[derive(Debug, Clone, Copy)]
pub struct Parsed<'a> {
    /// Which command.
    pub command: &'static Command,
    /// Its options.
    pub options: Matches<'a>,
}

/// Options that were given, and where they were.
#[derive(Debug, Clone, Copy)]
pub struct Matches<'a> {
    args: &'a [&'a CStr],
    context: Context,
}

/// Whose options are being read.
type Context = Option<&'static Command>;

/// Parses the arguments of the program, its own name excepted, up to the command.
///
/// # Errors
/// A global option that is unknown, bad or not built yet, or is not valid UTF-8.
pub fn parse<'a>(args: &'a [&'a CStr]) -> Result<CommandLine<'a>, UsageError<'a>> {
    let mut scan = Scan::new(args, None);
    for item in scan.by_ref() {
        item.map_err(|fault| UsageError { command: None, fault })?;
    }
    let rest = args.get(scan.next..).unwrap_or_default();
    Ok(CommandLine { global: Matches { args, context: None }, rest })
}

impl<'a> CommandLine<'a> {
    /// What is asked for. Without a command, or with `help`, that is a help text.
    ///
    /// # Errors
    /// The command is not built yet; one of its options is unknown or bad; an argument is missing,
    /// is too much or is not valid UTF-8.
    pub fn request(&self) -> Result<Request<'a>, UsageError<'a>> {
        if self.global.flag(&HELP) {
            return Ok(Request::Help(None));
        }
        if self.global.flag(&VERSION) {
            return Ok(Request::Version);
        }
        let Some((name, args)) = self.rest.split_first() else {
            return Ok(Request::Help(None));
        };
        let name = utf8(name).map_err(|fault| UsageError { command: None, fault })?;
        match find_command(name) {
            Some(command) => parse_command(command, args),
            None if name == "help" => self.help(args),
            None => self.unknown(name),
        }
    }

    /// `help [COMMAND]`, the form that urfave/cli adds to runc.
    fn help(&self, args: &'a [&'a CStr]) -> Result<Request<'a>, UsageError<'a>> {
        let Some(name) = args.first() else {
            return Ok(Request::Help(None));
        };
        let name = utf8(name).map_err(|fault| UsageError { command: None, fault })?;
        match find_command(name) {
            Some(command) => Ok(Request::Help(Some(command))),
            None => self.unknown(name),
        }
    }

    fn unknown(&self, name: &'a str) -> Result<Request<'a>, UsageError<'a>> {
        match PLANNED_COMMANDS.iter().find(|planned| **planned == name) {
            Some(planned) => Err(UsageError { command: None, fault: Fault::PlannedCommand(planned) }),
            None => Ok(Request::Unknown { name, rest: self.rest }),
        }
    }
}

fn parse_command<'a>(command: &'static Command, args: &'a [&'a CStr]) -> Result<Request<'a>, UsageError<'a>> {
    let fail = |fault| UsageError { command: Some(command), fault };
    let mut count: usize = 0;
    for item in Scan::new(args, Some(command)) {
        if let Item::Argument(_) = item.map_err(fail)? {
            count += 1;
        }
    }
    let options = Matches { args, context: Some(command) };
    if options.flag(&HELP) {
        return Ok(Request::Help(Some(command)));
    }
    check_count(command, count).map_err(fail)?;
    Ok(Request::Command(Parsed { command, options }))
}

/// Compares the number of arguments with the table; the words are runc's.
fn check_count(command: &'static Command, count: usize) -> Result<(), Fault<'static>> {
    let min = command.args.iter().filter(|arg| arg.required).count();
    let max = if command.args.iter().any(|arg| arg.repeatable) { usize::MAX } else { command.args.len() };
    match count {
        _ if min == max && count != min => Err(Fault::NotExactly(min)),
        _ if count < min => Err(Fault::TooFew(min)),
        _ if count > max => Err(Fault::TooMany(max)),
        _ => Ok(()),
    }
}

impl<'a> Parsed<'a> {
    /// The arguments that are not options, in their order.
    pub fn positionals(&self) -> impl Iterator<Item = &'a str> + Clone + 'a {
        self.options.scan().filter_map(|item| match item {
            Ok(Item::Argument(text)) => Some(text),
            _ => None,
        })
    }

    /// The argument number `index`, counted from 0.
    #[must_use]
    pub fn positional(&self, index: usize) -> Option<&'a str> {
        self.positionals().nth(index)
    }
}

impl<'a> Matches<'a> {
    /// Whether a switch is on.
    #[must_use]
    pub fn flag(&self, switch: &'static Switch) -> bool {
        self.switch(switch).unwrap_or(false)
    }

    /// What a switch was set to, if it was given: `--no-new-privs=false` is not the same as nothing.
    #[must_use]
    pub fn switch(&self, switch: &'static Switch) -> Option<bool> {
        self.all(&switch.0).last().and_then(parse_bool)
    }

    /// The text of an option: the last one given, or the default of the table. An empty text counts as not given.
    #[must_use]
    pub fn value(&self, text: &'static Text) -> Option<&'a str> {
        self.last(&text.0)
    }

    /// The number of an option, or the default of the table.
    #[must_use]
    pub fn number(&self, number: &'static Number) -> Option<i64> {
        self.last(&number.0).and_then(parse_number)
    }

    /// The nanoseconds of an option, or the default of the table.
    #[must_use]
    pub fn duration(&self, duration: &'static Duration) -> Option<i64> {
        self.last(&duration.0).and_then(parse_duration)
    }

    /// The bytes of an option; -1 means no limit.
    #[must_use]
    pub fn size(&self, size: &'static Size) -> Option<i64> {
        self.last(&size.0).and_then(parse_size)
    }

    /// All texts of a repeatable option, in their order.
    pub fn values(&self, texts: &'static Texts) -> impl Iterator<Item = &'a str> + Clone + 'a {
        self.all(&texts.0)
    }

    /// All numbers of a repeatable option, in their order.
    pub fn numbers(&self, numbers: &'static Numbers) -> impl Iterator<Item = i64> + Clone + 'a {
        self.all(&numbers.0).filter_map(parse_number)
    }

    fn last(&self, opt: &'static Opt) -> Option<&'a str> {
        let default = match opt.default {
            Default::Value(value) => Some(value),
            Default::None | Default::Described(_) => None,
        };
        self.all(opt).last().filter(|value| !value.is_empty()).or(default)
    }

    fn all(&self, wanted: &'static Opt) -> impl Iterator<Item = &'a str> + Clone + 'a {
        self.scan().filter_map(move |item| match item {
            Ok(Item::Option(opt, value)) if core::ptr::eq(opt, wanted) => Some(value),
            _ => None,
        })
    }

    fn scan(&self) -> Scan<'a> {
        Scan::new(self.args, self.context)
    }
}

/// One step of the walk.
#[derive(Debug, Clone, Copy)]
enum Item<'a> {
    /// An option; the value of a switch that has none is `true`.
    Option(&'static Opt, &'a str),
    /// Something else.
    Argument(&'a str),
}

/// The walk over the arguments. For the global options it ends before the command.
#[derive(Debug, Clone)]
struct Scan<'a> {
    args: &'a [&'a CStr],
    next: usize,
    context: Context,
    /// Whether an argument was seen.
    argument_seen: bool,
    /// Whether everything from here on is an argument.
    options_ended: bool,
}

impl<'a> Scan<'a> {
    fn new(args: &'a [&'a CStr], context: Context) -> Self {
        Self { args, next: 0, context, argument_seen: false, options_ended: false }
    }

    fn find_option(&self, name: &str) -> Option<&'static Opt> {
        let own = self.context.map_or(GLOBAL, |command| command.options);
        own.iter().copied().chain([&HELP.0]).find(|opt| opt.has_name(name))
    }

    /// The next argument as text, and one step on.
    fn take(&mut self) -> Option<Result<&'a str, Fault<'a>>> {
        let arg = self.args.get(self.next)?;
        self.next += 1;
        Some(utf8(arg))
    }

    /// An argument that is not an option.
    fn argument(&mut self, text: &'a str) -> Item<'a> {
        if !self.argument_seen
            && !self.options_ended
            && self.context.is_some_and(|command| command.order == Order::BeforeFirstArgument)
        {
            self.options_ended = true;
            // `exec ID -- COMMAND`: the `--` ends what has ended already.
            if self.args.get(self.next).is_some_and(|arg| *arg == c"--") {
                self.next += 1;
            }
        }
        self.argument_seen = true;
        Item::Argument(text)
    }

    /// An argument that begins with a dash and goes on.
    fn option(&mut self, text: &'a str) -> Result<Item<'a>, Fault<'a>> {
        let dashed = text.strip_prefix('-').unwrap_or(text);
        let dashed = dashed.strip_prefix('-').unwrap_or(dashed);
        let (name, value) = match dashed.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (dashed, None),
        };
        let Some(opt) = self.find_option(name) else {
            let operands = self.context.is_some_and(|command| command.order == Order::AnywhereOrArgument);
            if operands && self.argument_seen {
                return Ok(self.argument(text));
            }
            return Err(Fault::UnknownOption(text.split_once('=').map_or(text, |(given, _)| given)));
        };
        let value = match value {
            Some(value) => value,
            None if opt.kind == Kind::Switch => "true",
            None => self.take().ok_or(Fault::MissingValue(opt))??,
        };
        match check_value(opt, value) {
            Ok(()) => Ok(Item::Option(opt, value)),
            Err(BadValue::Kind) => Err(Fault::BadValue(opt, value)),
            Err(BadValue::Planned) => Err(Fault::PlannedValue(opt, value)),
        }
    }
}

impl<'a> Iterator for Scan<'a> {
    type Item = Result<Item<'a>, Fault<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.context.is_none() {
            // The command is not ours, and masu-tools may be given what is not UTF-8.
            let peeked = self.args.get(self.next)?.to_bytes();
            if self.options_ended || !peeked.starts_with(b"-") || peeked == b"-" {
                return None;
            }
        }
        let text = match self.take()? {
            Ok(text) => text,
            Err(fault) => return Some(Err(fault)),
        };
        if self.options_ended || text == "-" || !text.starts_with('-') {
            return Some(Ok(self.argument(text)));
        }
        if text == "--" {
            self.options_ended = true;
            return self.next();
        }
        Some(self.option(text))
    }
}

fn utf8<'a>(arg: &'a CStr) -> Result<&'a str, Fault<'a>> {
    arg.to_str().map_err(|_| Fault::NotUtf8(arg))
}
