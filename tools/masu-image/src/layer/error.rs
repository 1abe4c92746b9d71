//! Why a layer is refused, or could not be written.

use crate::tar::Fault;
use masu_sys::errno::name;
use rustix::io::Errno;

/// What applying a layer can end with. The paths are those in the layer, without control characters.
#[derive(Debug)]
pub enum Error {
    /// The archive is damaged, ambiguous, or no archive; or its source failed ([`Fault::Read`]).
    Archive {
        /// Which member, counted from 1.
        entry: u64,
        /// What is wrong with it.
        fault: Fault,
    },
    /// A member that no layer may have.
    Refused {
        /// Its path.
        path: String,
        /// Why.
        reason: Reason,
    },
    /// There is more of something than the limits allow.
    Limit {
        /// Of what.
        what: &'static str,
        /// How much is allowed.
        limit: u64,
    },
    /// An owner that the map of ids does not have.
    Unmapped {
        /// Whose.
        path: String,
        /// `uid` or `gid`.
        kind: &'static str,
        /// The number in the layer.
        id: u32,
    },
    /// The file system refused.
    System {
        /// The call.
        call: &'static str,
        /// What with.
        path: String,
        /// Why.
        errno: Errno,
    },
}

/// The rule that a member breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// A path with `..` in it.
    ParentDirectory,
    /// A path, or a part of it, that is longer than the kernel takes.
    TooLong,
    /// More directories within each other than 512.
    TooDeep,
    /// The layer's own root is not a directory (CVE-2021-29136).
    RootIsNoDirectory,
    /// `.wh.` with nothing behind it, or with a name that stands for a directory itself.
    BareWhiteout,
    /// A character device 0:0: overlayfs would take it for a whiteout.
    WhiteoutDevice,
    /// A directory of the path is a file.
    NotADirectory,
    /// More symbolic links in the path than the kernel follows.
    TooManyLinks,
    /// A hard link to this, which is not there.
    LinkToNothing(String),
    /// A hard link to this, which is a directory.
    LinkToDirectory(String),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Archive { entry, fault } => write!(f, "layer: member {entry}: {fault}"),
            Self::Refused { path, reason } => write!(f, "layer: {path}: {reason}"),
            Self::Limit { what, limit } => write!(f, "layer: more than {limit} {what}"),
            Self::Unmapped { path, kind, id } => {
                write!(f, "layer: {path}: {kind} {id} has no id on this machine")
            }
            Self::System { call, path, errno } => write!(f, "layer: {path}: {call}: {}", name(*errno)),
        }
    }
}

impl std::error::Error for Error {}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::ParentDirectory => "\"..\" in a path",
            Self::TooLong => "a path longer than the kernel takes",
            Self::TooDeep => "more than 512 directories within each other",
            Self::RootIsNoDirectory => "the layer's root is not a directory",
            Self::BareWhiteout => "a whiteout of nothing",
            Self::WhiteoutDevice => "a character device 0:0 is a whiteout to overlayfs",
            Self::NotADirectory => "a part of the path is not a directory",
            Self::TooManyLinks => "more than 40 symbolic links in the path",
            Self::LinkToNothing(target) => return write!(f, "hard link to {target}, which is not there"),
            Self::LinkToDirectory(target) => return write!(f, "hard link to {target}, which is a directory"),
        })
    }
}

impl Error {
    pub(super) fn refused(path: &[u8], reason: Reason) -> Self {
        Self::Refused { path: show(path), reason }
    }

    pub(super) fn system(call: &'static str, path: &[u8]) -> impl FnOnce(Errno) -> Self {
        move |errno| Self::System { call, path: show(path), errno }
    }
}

/// A path for a message: a layer is a stranger's, and so is what a terminal makes of it.
pub(super) fn show(path: &[u8]) -> String {
    match path {
        b"" => "/".to_owned(),
        path => String::from_utf8_lossy(path).escape_debug().collect(),
    }
}
