//! What can go wrong.

use alloc::string::String;
use core::fmt;

use masu_sys::errno::Described;
use rustix::io::Errno;

/// Why a class or a group could not be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// There is no resctrl file system.
    NotMounted,
    /// The class of a `closID` alone is not there.
    NoClass {
        /// Its name.
        name: String,
    },
    /// A class that is there has other shares than those that are asked for.
    Differs {
        /// Where it is.
        path: String,
        /// The line that is asked for.
        wanted: String,
    },
    /// A system call failed.
    Io {
        /// Which.
        call: &'static str,
        /// On what.
        path: String,
        /// Why.
        errno: Errno,
        /// `info/last_cmd_status`: the kernel's own words; empty without any.
        status: String,
    },
}

/// The result of this crate's functions.
pub type Result<T> = core::result::Result<T, Error>;

impl Error {
    pub(crate) fn io(call: &'static str, path: &str, errno: Errno) -> Self {
        Self::Io { call, path: path.into(), errno, status: String::new() }
    }

    /// The same with the kernel's own words.
    pub(crate) fn with_status(self, words: String) -> Self {
        match self {
            Self::Io { call, path, errno, .. } => Self::Io { call, path, errno, status: words },
            error => error,
        }
    }

    /// What the reader can do, if that is known.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotMounted => Some(
                "mount -t resctrl resctrl /sys/fs/resctrl, on a processor that has it (rdt_a in /proc/cpuinfo); or \
                 remove the field",
            ),
            Self::NoClass { .. } => {
                Some("make it, or give it shares by l3CacheSchema, memBwSchema or schemata")
            }
            Self::Differs { .. } => {
                Some("several containers share a class by one closID and the same shares")
            }
            Self::Io { errno: Errno::NOSPC, .. } => {
                Some("the processor has no class or monitoring group left: info/*/num_closids, num_rmids")
            }
            Self::Io { .. } => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // runc's words, behind the name of the field.
            Self::NotMounted => f.write_str("intelRdt is specified in config, but Intel RDT is not enabled"),
            Self::NoClass { name } => write!(f, "closID {name:?} is not there"),
            Self::Differs { path, wanted } => write!(f, "{path} has other shares than {wanted:?}"),
            Self::Io { call, path, errno, status } => {
                write!(f, "{call} {path}: {}", Described(*errno))?;
                if status.is_empty() { Ok(()) } else { write!(f, ": {status}") }
            }
        }
    }
}
