//! Why a command failed, as it is printed.

use alloc::string::{String, ToString};

use masu_sys::errno::Described;
use rustix::io::Errno;

/// The result of a command.
pub type Result<T> = core::result::Result<T, Failure>;

/// What is printed about an error, and nothing else: this crate is the last one to see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What is wrong. Engines match parts of it.
    pub message: String,
    /// What the reader can do.
    pub hint: Option<String>,
}

impl Failure {
    /// A message alone.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    /// A message, and what to do.
    pub fn with_hint(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: Some(hint.into()) }
    }

    /// A text whose hint, if it has one, is its last line.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        match text.split_once("\nhint: ") {
            Some((message, hint)) => Self::with_hint(message, hint),
            None => Self::new(text),
        }
    }

    /// A system call on a file that failed.
    pub(crate) fn of_file(call: &str, path: &str, errno: Errno) -> Self {
        Self::new(alloc::format!("{call} {path}: {}", Described(errno)))
    }
}

impl From<masu_runtime::Error> for Failure {
    fn from(error: masu_runtime::Error) -> Self {
        let mut failure = Self::from_text(&error.to_string());
        failure.hint = failure.hint.or_else(|| error.hint());
        failure
    }
}

impl From<masu_cgroup::Error> for Failure {
    fn from(error: masu_cgroup::Error) -> Self {
        Self::from_text(&error.to_string())
    }
}

impl From<masu_spec::ArgumentError> for Failure {
    fn from(error: masu_spec::ArgumentError) -> Self {
        Self::with_hint(error.to_string(), error.hint())
    }
}

/// An error in a file that an option names, which comes first in the message.
pub(crate) fn in_file(path: &str, error: &masu_spec::ConfigError) -> Failure {
    Failure { message: alloc::format!("{path}: {error}"), hint: error.hint().map(Into::into) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hint_is_split_from_the_text() {
        for (text, message, hint) in [
            ("a: b", "a: b", None),
            ("a: b\nhint: do c", "a: b", Some("do c")),
            ("a\nusage: b\nhint: c", "a\nusage: b", Some("c")),
        ] {
            let expected = Failure { message: message.into(), hint: hint.map(Into::into) };
            assert_eq!(Failure::from_text(text), expected);
        }
    }

    #[test]
    fn a_file_error_names_call_file_and_errno() {
        let failure = Failure::of_file("open", "/x", Errno::NOENT);
        assert_eq!(failure.message, "open /x: no such file or directory (ENOENT)");
    }
}
