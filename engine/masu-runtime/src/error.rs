//! What can go wrong, grouped by what the caller can do about it.

use alloc::{format, string::String};
use core::fmt;

use masu_spec::{ArgumentError, ConfigError};
use masu_sys::errno::Described;
use rustix::io::Errno;

/// Why a command could not be carried out. `Display` is one line; [`hint`](Self::hint) says what to do.
#[derive(Debug)]
pub enum Error {
    /// The configuration is wrong.
    Config(ConfigError),
    /// The configuration is right, but this host or this version cannot do what a field asks for.
    Unsupported {
        /// The field, as a path into config.json.
        field: String,
        /// What about it.
        reason: String,
        /// What to do.
        hint: Option<String>,
    },
    /// The container's name is not one.
    Id(ArgumentError),
    /// A system call of the engine failed.
    System {
        /// What was done, and to which object.
        action: String,
        /// Why not.
        errno: Errno,
        /// What to do.
        hint: Option<String>,
    },
    /// A step of masu-init failed.
    Step {
        /// The whole message.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// masu-init ended before the container was ready.
    Died {
        /// How.
        how: String,
        /// What to do.
        hint: Option<String>,
    },
    /// A hook failed.
    Hook {
        /// The whole message.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// A signal ended the start before the program ran.
    Interrupted {
        /// Which.
        signal: i32,
    },
    /// A control group could not be made, used or removed.
    Cgroup(masu_cgroup::Error),
    /// There is no container of this name.
    NotFound {
        /// The name.
        id: String,
    },
    /// There is one already.
    Exists {
        /// The name.
        id: String,
    },
    /// The container is not in a state in which this can be done.
    State {
        /// The whole message: engines match it.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// The container's state on disk cannot be read.
    Damaged {
        /// The name of the container.
        id: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// The result of this crate's functions.
pub type Result<T> = core::result::Result<T, Error>;

impl Error {
    /// What the reader can do, if that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Config(error) => error.hint().map(Into::into),
            Self::Id(error) => Some(error.hint().into()),
            Self::Unsupported { hint, .. }
            | Self::System { hint, .. }
            | Self::Step { hint, .. }
            | Self::Died { hint, .. }
            | Self::Hook { hint, .. }
            | Self::State { hint, .. } => hint.clone(),
            Self::NotFound { .. } => Some("masu list shows the containers of this root directory".into()),
            Self::Exists { id } => Some(format!("masu delete {id} removes the old one, once it is stopped")),
            Self::Damaged { id, .. } => Some(format!("masu delete --force {id} removes what is left of it")),
            Self::Cgroup(masu_cgroup::Error::Io { errno: Errno::ROFS, .. }) => Some(
                "the cgroups are read-only here, as in a container without cgroups of its own: --rootless true does without \
                 them"
                    .into(),
            ),
            Self::Interrupted { .. } | Self::Cgroup(_) => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // A field's path says where it is; a line and a column say nothing without the file.
            Self::Config(error) if error.path().is_empty() => write!(f, "config.json: {error}"),
            Self::Config(error) => error.fmt(f),
            Self::Id(error) => error.fmt(f),
            Self::Unsupported { field, reason, .. } => write!(f, "{field}: {reason}"),
            Self::System { action, errno, .. } => write!(f, "{action}: {}", Described(*errno)),
            Self::Step { message, .. } | Self::State { message, .. } | Self::Hook { message, .. } => {
                f.write_str(message)
            }
            Self::Died { how, .. } => write!(f, "the container's init ended before it was ready: {how}"),
            Self::Interrupted { signal } => write!(f, "ended by signal {signal} before the program ran"),
            Self::Cgroup(error) => error.fmt(f),
            Self::NotFound { id } => write!(f, "container does not exist: {id:?}"),
            Self::Exists { id } => write!(f, "container with given ID already exists: {id:?}"),
            Self::Damaged { id, reason } => write!(f, "the state of container {id:?} is damaged: {reason}"),
        }
    }
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<ArgumentError> for Error {
    fn from(error: ArgumentError) -> Self {
        Self::Id(error)
    }
}

impl From<masu_cgroup::Error> for Error {
    fn from(error: masu_cgroup::Error) -> Self {
        Self::Cgroup(error)
    }
}

/// Says what a system call of the engine was for.
pub(crate) trait Doing<T> {
    /// Turns an errno into an [`Error::System`] with this action.
    fn doing(self, action: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Doing<T> for rustix::io::Result<T> {
    fn doing(self, action: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|errno| Error::System { action: action(), errno, hint: None })
    }
}
