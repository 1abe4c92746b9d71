//! The help texts, made from the table.

use core::fmt::{self, Write};

use crate::commands::{COMMANDS, COMPANION_COMMANDS, Command};
use crate::option::{Availability, Default, Opt};
use crate::options::{GLOBAL, HELP};

/// No line is longer, in characters.
const WIDTH: usize = 90;

/// Writes the help text of a command, or the general one: purpose, usage, arguments, options with their defaults,
/// one example.
///
/// # Errors
/// Those of `out`.
pub fn write_help(out: &mut dyn Write, command: Option<&Command>) -> fmt::Result {
    match command {
        Some(command) => write_command_help(out, command),
        None => write_global_help(out),
    }
}

fn write_global_help(out: &mut dyn Write) -> fmt::Result {
    out.write_str("masu runs containers\n\n")?;
    write_paragraph(
        out,
        "A container is made from a bundle: a directory with a file config.json, which says what to run and \
         how to confine it, and usually the root filesystem that the container sees. The commands, options \
         and output are those of runc, as the OCI runtime specification describes them.",
    )?;
    out.write_str("\nUsage:\n  masu [GLOBAL OPTIONS] COMMAND [OPTIONS] [ARGUMENTS]\n\nCommands:\n")?;
    let column = COMMANDS.iter().map(|command| command.name.len()).max().unwrap_or(0) + 4;
    for command in COMMANDS {
        write!(out, "  {}", command.name)?;
        write_column(out, command.name.len() + 2, column, &[command.purpose])?;
    }
    out.write_str("\nCommands of masu-tools, where it is installed:\n")?;
    for command in COMPANION_COMMANDS {
        write!(out, "  {}", command.name)?;
        write_column(out, command.name.len() + 2, column, &[command.purpose])?;
    }
    out.write_str("\nGlobal options:\n")?;
    write_options(out, GLOBAL)?;
    out.write_str("\nExample:\n  Make a bundle of the root filesystem in /srv/web/rootfs and run it\n")?;
    out.write_str("    masu spec --bundle /srv/web && masu run --bundle /srv/web web\n")?;
    out.write_str("\nmasu COMMAND --help tells more about a command.\n")
}

fn write_command_help(out: &mut dyn Write, command: &Command) -> fmt::Result {
    writeln!(out, "{}\n", command.purpose)?;
    write_paragraph(out, command.description)?;
    out.write_str("\nUsage:\n")?;
    for usage in command.usage {
        writeln!(out, "  masu {usage}")?;
    }
    if !command.args.is_empty() {
        out.write_str("\nArguments:\n")?;
        let column = command.args.iter().map(|arg| arg.name.len()).max().unwrap_or(0) + 4;
        for arg in command.args {
            write!(out, "  {}", arg.name)?;
            write_column(out, arg.name.len() + 2, column, &[arg.help])?;
        }
    }
    out.write_str("\nOptions:\n")?;
    write_options(out, command.options)?;
    writeln!(out, "\nExample:\n  {}\n    {}", command.example.text, command.example.line)
}

fn write_options(out: &mut dyn Write, options: &[&Opt]) -> fmt::Result {
    let shown = || {
        let options = options.iter().copied().chain([&HELP.0]);
        options.filter(|opt| opt.availability == Availability::Shown)
    };
    let column = shown().map(name_width).max().unwrap_or(0) + 2;
    for opt in shown() {
        match opt.short {
            Some(short) => write!(out, "  -{short}, --{}", opt.long)?,
            None => write!(out, "      --{}", opt.long)?,
        }
        if !opt.value_name.is_empty() {
            write!(out, " {}", opt.value_name)?;
        }
        let repeatable = if opt.repeatable { " (repeatable)" } else { "" };
        let (before, default, after) = match opt.default {
            Default::None => ("", "", ""),
            Default::Value(words) | Default::Described(words) => (" (default: ", words, ")"),
        };
        write_column(out, name_width(opt), column, &[opt.help, repeatable, before, default, after])?;
    }
    Ok(())
}

/// The characters of `  -b, --bundle DIR`.
fn name_width(opt: &Opt) -> usize {
    let value = opt.value_name.chars().count();
    8 + opt.long.len() + if value == 0 { 0 } else { value + 1 }
}

fn write_paragraph(out: &mut dyn Write, text: &str) -> fmt::Result {
    write_column(out, 0, 0, &[text])
}

/// Writes `parts`, one text together, from `column` on, wrapped at [`WIDTH`]; `at` characters stand already. A
/// space between words is one at which a line may end; words reach across parts.
fn write_column(out: &mut dyn Write, at: usize, column: usize, parts: &[&str]) -> fmt::Result {
    let mut position = at;
    let mut first = true;
    let mut words = Words { parts, part: 0, offset: 0 };
    while let Some(width) = words.width() {
        let needs = if first { column.saturating_sub(position) } else { 1 };
        if !first && position + needs + width > WIDTH {
            out.write_char('\n')?;
            position = 0;
        }
        let gap = if position == 0 || first { column.saturating_sub(position) } else { 1 };
        write!(out, "{:gap$}", "")?;
        words.write_word(out)?;
        position += gap + width;
        first = false;
    }
    out.write_char('\n')
}

/// The words of several parts of one text.
struct Words<'p> {
    parts: &'p [&'p str],
    part: usize,
    offset: usize,
}

impl Words<'_> {
    /// The pieces of the next word: a word may begin in one part and end in another.
    fn for_word(&self, mut each: impl FnMut(&str) -> fmt::Result) -> Result<(usize, usize), fmt::Error> {
        let (mut part, mut offset) = (self.part, self.offset);
        let mut begun = false;
        while let Some(text) = self.parts.get(part).and_then(|text| text.get(offset..)) {
            let skipped = text.len() - text.trim_start_matches(' ').len();
            if begun && skipped > 0 {
                break;
            }
            let text = text.get(skipped..).unwrap_or_default();
            let word = text.split(' ').next().unwrap_or_default();
            begun |= !word.is_empty();
            each(word)?;
            if word.len() < text.len() {
                return Ok((part, offset + skipped + word.len()));
            }
            (part, offset) = (part + 1, 0);
        }
        Ok((part, offset))
    }

    /// The width of the next word in characters; `None` at the end.
    fn width(&self) -> Option<usize> {
        let mut width = 0;
        let counted = self.for_word(|piece| {
            width += piece.chars().count();
            Ok(())
        });
        counted.ok().filter(|_| width > 0).map(|_| width)
    }

    /// Writes the next word and goes on to the one after it.
    fn write_word(&mut self, out: &mut dyn Write) -> fmt::Result {
        (self.part, self.offset) = self.for_word(|piece| out.write_str(piece))?;
        Ok(())
    }
}
