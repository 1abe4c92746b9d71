//! What can go wrong, in groups by what a caller can do about it. Texts name the field of config.json that
//! asked, the file that was written and the errno by name, as strace prints it.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use masu_sys::errno::Described;
use rustix::io::Errno;

/// The result of everything in this crate that can fail.
pub type Result<T> = core::result::Result<T, Error>;

/// A refused setting: which field asked for which write, and what the kernel said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The field of config.json, such as `linux.resources.memory.limit`.
    pub field: String,
    /// The text that was written.
    pub value: String,
    /// The file it was written to, such as `memory.limit_in_bytes`.
    pub file: String,
    /// The cgroup, as a path below its mount point.
    pub cgroup: String,
    /// The kernel's answer.
    pub errno: Errno,
    /// What to do about it, where that is known.
    pub hint: Option<String>,
}

/// Why a cgroup could not be made, found, changed or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// A call on a file or directory of procfs or the cgroup file system failed.
    Io {
        /// The system call: `open`, `mkdir`, `read`, …
        call: &'static str,
        /// The object, an absolute path for the message alone.
        path: String,
        /// The kernel's answer.
        errno: Errno,
    },
    /// A kernel file does not look as documented: (file, offending text).
    Malformed(String, String),
    /// The host has no usable hierarchy: none is mounted.
    Layout(&'static str),
    /// A field of config.json that no host could honour: (field, what is wrong).
    Invalid(String, String),
    /// Limits were asked of a controller that is not mounted: (field, controller).
    NoController(String, String),
    /// Limits were asked of a version 2 cgroup that does not have the controller.
    NotEnabled {
        /// The field of config.json.
        field: String,
        /// The controller.
        controller: String,
        /// The cgroup, below its mount point.
        cgroup: String,
        /// What stood in the way, with a colon before it; empty where nothing is known.
        why: String,
    },
    /// Limits were asked of a cgroup that this user could not make or join: (field, controller).
    NotDelegated(String, String),
    /// The kernel refused a setting.
    Refused(Box<Refused>),
    /// The cgroup exists and holds this many processes already.
    NotEmpty(usize),
    /// The cgroup exists and is frozen: a container started in it would hang.
    Frozen(String),
    /// The freezer did not reach FROZEN in the time allowed: (cgroup, state read last).
    FreezeTimeout(String, String),
    /// The container has no freezer, because it has no cgroup or the hierarchy is not mounted.
    NoFreezer,
    /// The cgroup could not be removed in the time allowed; these processes are still in it.
    Busy {
        /// The cgroup, as an absolute path for the message.
        path: String,
        /// Its processes, as this pid namespace sees them.
        pids: Vec<i32>,
    },
    /// `exec --cgroup`: the argument does not parse or leaves the container's cgroup.
    SubCgroup(String),
    /// No systemd could be connected to, at any of its addresses: (what each of them said).
    NoSystemd(String),
    /// systemd refused: (what was asked of it, its words).
    Systemd(String, String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { call, path, errno } => write!(f, "{call} {path}: {}", Described(*errno)),
            Self::Malformed(file, text) => write!(f, "{file}: unexpected text {text:?}"),
            Self::Layout(text) => f.write_str(text),
            Self::Invalid(field, text) => write!(f, "{field}: {text}"),
            Self::NoController(field, controller) => {
                write!(
                    f,
                    "{field}: the {controller} controller is not available: no hierarchy with it is mounted"
                )
            }
            Self::NotEnabled { field, controller, cgroup, why } => {
                write!(f, "{field}: the {controller} controller is not available in cgroup {cgroup:?}{why}")
            }
            // runc 1.5's phrase (its test "rootless + limits + no cgrouppath + no permission" asserts it).
            Self::NotDelegated(field, controller) => {
                write!(
                    f,
                    "{field}: cannot set {controller} limit: container could not join or create cgroup\n\
                     hint: delegate a cgroup to this user, or remove the limit"
                )
            }
            Self::Refused(refused) => refused.fmt(f),
            Self::NotEmpty(count) => {
                write!(f, "container's cgroup is not empty: {count} process(es) found")
            }
            Self::Frozen(path) => write!(f, "container's cgroup unexpectedly frozen: {path}"),
            Self::FreezeTimeout(cgroup, state) => {
                write!(f, "unable to freeze cgroup {cgroup:?}: it stays in state {state}")
            }
            Self::NoFreezer => f.write_str("cannot toggle freezer: cgroups not configured for container"),
            Self::Busy { path, pids } => {
                write!(
                    f,
                    "remove cgroup {path}: device or resource busy (EBUSY): it still holds {} process(es):",
                    pids.len()
                )?;
                pids.iter().take(16).try_for_each(|pid| write!(f, " {pid}"))?;
                if pids.len() > 16 { f.write_str(" …") } else { Ok(()) }
            }
            Self::SubCgroup(text) => f.write_str(text),
            Self::NoSystemd(why) => write!(
                f,
                "systemd cannot be reached: {why}\nhint: the systemd driver needs a running systemd, and for an \
                 ordinary user one of the user's own; without --systemd-cgroup masu makes cgroups itself"
            ),
            Self::Systemd(action, why) => write!(f, "systemd: {action}: {why}"),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, value, file, cgroup, errno, hint } = self;
        write!(f, "{field}: write {value:?} to {file} of cgroup {cgroup:?}: {}", Described(*errno))?;
        match hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl core::error::Error for Error {}
