//! What can be wrong with a file or with an argument.
use alloc::string::String;
use core::fmt;

/// Why a `config.json`, a process file or a resources file is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// The file is not JSON.
    Syntax {
        /// The line, from 1.
        line: usize,
        /// The byte within the line, from 1; 0 is the end of the line before.
        column: usize,
        /// What the parser says.
        reason: String,
    },
    /// A value has another JSON type than the specification says, or does not fit the number's width.
    WrongType {
        /// The JSON path; empty for the file as a whole.
        path: String,
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A required field is missing.
    Missing {
        /// The JSON path.
        path: String,
    },
    /// A value has the right type and cannot be right.
    Illegal {
        /// The JSON path.
        path: String,
        /// Why.
        reason: String,
        /// What would be right.
        hint: Option<&'static str>,
    },
}

impl ConfigError {
    /// The JSON path of the field; empty for broken JSON.
    pub fn path(&self) -> &str {
        match self {
            Self::Syntax { .. } => "",
            Self::WrongType { path, .. } | Self::Missing { path } | Self::Illegal { path, .. } => path,
        }
    }

    /// What to do about it, for the line that starts with `hint:`.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Illegal { hint, .. } => *hint,
            Self::Syntax { .. } | Self::WrongType { .. } | Self::Missing { .. } => None,
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path();
        if !path.is_empty() {
            write!(f, "{path}: ")?;
        }
        match self {
            Self::Syntax { line, column, reason } => write!(f, "line {line}, column {column}: {reason}"),
            Self::WrongType { expected, found, .. } => write!(f, "expected {expected}, found {found}"),
            Self::Missing { .. } => f.write_str("required, but missing"),
            Self::Illegal { reason, .. } => f.write_str(reason),
        }
    }
}

impl core::error::Error for ConfigError {}

/// Why an argument of the command line is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArgumentError {
    /// The container ID is empty.
    EmptyId,
    /// The container ID holds what a directory's name or the specification's list of characters forbids.
    IllegalId(String),
    /// Not the name or number of a signal.
    UnknownSignal(String),
    /// Not a size, or one that does not fit 63 bits.
    IllegalSize(String),
}

impl ArgumentError {
    /// What would be right.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::EmptyId => "give the container's ID",
            Self::IllegalId(_) => "an ID is made of the letters a-z and A-Z, digits, '_', '+', '-' and '.'",
            Self::UnknownSignal(_) => {
                "a signal is a name such as KILL, SIGTERM or RTMIN+1, or a number from 0 to 64"
            }
            Self::IllegalSize(_) => {
                "a size is a number with an optional unit, such as 512m or 1.5GiB; -1 is unlimited"
            }
        }
    }
}

/// The first three texts are runc's: engines show them to people, and test suites look for them.
impl fmt::Display for ArgumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyId => f.write_str("container id cannot be empty"),
            Self::IllegalId(id) => write!(f, "invalid container ID format: {id:?}"),
            Self::UnknownSignal(signal) => write!(f, "unknown signal {signal:?}"),
            Self::IllegalSize(size) => write!(f, "invalid size: {size:?}"),
        }
    }
}

impl core::error::Error for ArgumentError {}
