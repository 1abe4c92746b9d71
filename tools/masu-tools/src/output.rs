//! Standard output, and the terminal that it may be.

use std::io::{ErrorKind, IsTerminal, Write};
use std::os::fd::AsFd;

use masu_app::{Failure, Result};

/// Writes a text to standard output. A reader that has seen enough, as `head` has, is no error.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes to standard error why something failed, for a program that says whose words these are.
pub(crate) fn complain(failure: &Failure) {
    let hint = failure.hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
    // ignored: nobody hears it, then.
    writeln!(std::io::stderr(), "{}{hint}", failure.message).ok();
}

/// How a text for people is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    /// Columns that a line may have; `None` for as many as it needs.
    pub(crate) width: Option<usize>,
    /// Whether there are colours.
    pub(crate) colours: bool,
}

/// The least width that text is wrapped to: what is narrower is no place to read in.
const NARROWEST: usize = 40;

impl Style {
    /// The style of standard output: wrapped and in colours on a terminal, plain in a pipe or a file. `NO_COLOR`
    /// (<https://no-color.org>) and a terminal that is called `dumb` have no colours.
    pub(crate) fn of_stdout() -> Self {
        Self::of(std::io::stdout())
    }

    /// The same for standard error.
    pub(crate) fn of_stderr() -> Self {
        Self::of(std::io::stderr())
    }

    fn of(stream: impl IsTerminal + AsFd) -> Self {
        if !stream.is_terminal() {
            return Self { width: None, colours: false };
        }
        let columns = rustix::termios::tcgetwinsize(&stream).map_or(0, |size| usize::from(size.ws_col));
        // A serial line and some pseudo-terminals do not know their size.
        let width = if columns == 0 { 80 } else { columns.max(NARROWEST) };
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self { width: Some(width), colours: !set("NO_COLOR") && !dumb }
    }

    /// `text` in the colour of this ANSI code.
    pub(crate) fn paint(self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
