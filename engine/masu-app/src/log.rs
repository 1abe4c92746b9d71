//! Messages: to the file of `--log` in the form that engines read, and to people on standard error.
//!
//! containerd opens the file afterwards, reads one JSON object after the other and shows the last `msg` of the level
//! `error`; podman does the same. Errors go to standard error as well, as runc's do.

use alloc::{
    format,
    string::{String, ToString},
};

use masu_cli::{DEBUG, LOG, LOG_FORMAT, Matches};
use rustix::{
    fd::OwnedFd,
    fs::{CWD, Mode, OFlags},
};
use serde::Serialize;

use masu_runtime::files;

use crate::failure::{Failure, Result};

/// How a line of the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Text,
    Json,
}

/// How bad it is; the words are logrus's, which engines compare with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Error,
    Warning,
    Debug,
}

/// Where messages go.
#[derive(Debug)]
pub struct Log {
    /// The file of `--log`.
    file: Option<OwnedFd>,
    format: Format,
    debug: bool,
}

/// One line; the keys are logrus's in its order, and `hint` is ours.
#[derive(Serialize)]
struct Line<'a> {
    level: Level,
    msg: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    time: &'a str,
}

impl Log {
    /// Opens the file of `--log`, if there is one.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(global: &Matches<'_>) -> Result<Self> {
        let json = global.value(&LOG_FORMAT) == Some("json");
        let format = if json { Format::Json } else { Format::Text };
        let file = global.value(&LOG).map(open_file).transpose()?;
        Ok(Self { file, format, debug: global.flag(&DEBUG) })
    }

    /// Text on standard error.
    #[must_use]
    pub fn standard_error() -> Self {
        Self { file: None, format: Format::Text, debug: false }
    }

    /// Why the command failed.
    pub fn error(&self, failure: &Failure) {
        let hint = failure.hint.as_deref();
        if self.file.is_some() {
            self.write(Level::Error, &failure.message, hint);
            write_line(masu_sys::fd::stderr(), &for_people(Level::Error, &failure.message, hint));
        } else {
            self.write(Level::Error, &failure.message, hint);
        }
    }

    /// Something that was accepted with a doubt.
    pub fn warning(&self, message: &str) {
        self.write(Level::Warning, message, None);
    }

    /// What could not be had, and is done without.
    pub fn tolerated(&self, failure: &Failure) {
        self.write(Level::Warning, &failure.message, failure.hint.as_deref());
    }

    /// What is being done, for `--debug`.
    pub fn debug(&self, message: &str) {
        if self.debug {
            self.write(Level::Debug, message, None);
        }
    }

    fn write(&self, level: Level, message: &str, hint: Option<&str>) {
        let line = match (self.format, &self.file) {
            (Format::Text, None) => for_people(level, message, hint),
            (Format::Text, Some(_)) => {
                text_line(&Line { level, msg: message, hint, time: &masu_runtime::now() })
            }
            (Format::Json, _) => json_line(&Line { level, msg: message, hint, time: &masu_runtime::now() }),
        };
        match &self.file {
            Some(file) => write_line(file, &line),
            None => write_line(masu_sys::fd::stderr(), &line),
        }
    }
}

fn open_file(path: &str) -> Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NOCTTY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, path, flags, Mode::from_bits_truncate(0o644))
        .map_err(|errno| Failure::of_file("open --log", path, errno))
}

/// One write for the whole line, so that lines of engines that share the file do not mix.
fn write_line(file: impl rustix::fd::AsFd, line: &str) {
    let _ = files::write_all(file, line.as_bytes()); // ignored: there is no other place left to tell it
}

fn for_people(level: Level, message: &str, hint: Option<&str>) -> String {
    let level = match level {
        Level::Error => "",
        Level::Warning => "warning: ",
        Level::Debug => "debug: ",
    };
    match hint {
        Some(hint) => format!("masu: {level}{message}\nhint: {hint}\n"),
        None => format!("masu: {level}{message}\n"),
    }
}

/// A line of logrus's text form.
fn text_line(line: &Line<'_>) -> String {
    let level = match line.level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Debug => "debug",
    };
    let mut text = format!("time={:?} level={level} msg={:?}", line.time, line.msg);
    if let Some(hint) = line.hint {
        text.push_str(&format!(" hint={hint:?}"));
    }
    text.push('\n');
    text
}

fn json_line(line: &Line<'_>) -> String {
    // Strings under fixed keys cannot fail to be written; the error's text would be no worse than nothing.
    let mut text = serde_json::to_string(line).unwrap_or_else(|error| error.to_string());
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line<'a>(level: Level, msg: &'a str, hint: Option<&'a str>) -> Line<'a> {
        Line { level, msg, hint, time: "2026-02-03T04:05:06Z" }
    }

    #[test]
    fn a_json_line_has_logrus_keys_and_ends_with_a_line_feed() {
        for (given, expected) in [
            (
                line(Level::Error, "container does not exist: \"a\"", None),
                r#"{"level":"error","msg":"container does not exist: \"a\"","time":"2026-02-03T04:05:06Z"}"#,
            ),
            (
                line(Level::Warning, "two\nlines", None),
                r#"{"level":"warning","msg":"two\nlines","time":"2026-02-03T04:05:06Z"}"#,
            ),
            (
                line(Level::Debug, "m", Some("h")),
                r#"{"level":"debug","msg":"m","hint":"h","time":"2026-02-03T04:05:06Z"}"#,
            ),
        ] {
            assert_eq!(json_line(&given), format!("{expected}\n"));
        }
    }

    #[test]
    fn a_text_line_stays_one_line() {
        let given = line(Level::Error, "a \"b\"\nc", Some("h"));
        let expected = "time=\"2026-02-03T04:05:06Z\" level=error msg=\"a \\\"b\\\"\\nc\" hint=\"h\"\n";
        assert_eq!(text_line(&given), expected);
    }

    #[test]
    fn people_read_the_message_and_then_the_hint() {
        for (level, hint, expected) in [
            (Level::Error, Some("do it"), "masu: broken\nhint: do it\n"),
            (Level::Error, None, "masu: broken\n"),
            (Level::Warning, None, "masu: warning: broken\n"),
            (Level::Debug, None, "masu: debug: broken\n"),
        ] {
            assert_eq!(for_people(level, "broken", hint), expected);
        }
    }
}
