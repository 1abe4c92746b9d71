//! What a step says when it fails.

use masu_program::Part;
use rustix::{fd::OwnedFd, io::Errno};

/// The part of a step that failed, why, and where the kernel may say more.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) part: Part,
    pub(crate) errno: Errno,
    /// A file system context, whose log tells what it refused, fsopen(2).
    pub(crate) log: Option<OwnedFd>,
}

pub(crate) type Result<T> = core::result::Result<T, Failure>;

/// Names the part that a system call belongs to.
pub(crate) trait At<T> {
    /// Turns an errno into a [`Failure`] of `part`.
    fn at(self, part: Part) -> Result<T>;
}

impl<T> At<T> for rustix::io::Result<T> {
    fn at(self, part: Part) -> Result<T> {
        self.map_err(|errno| fail(part, errno))
    }
}

/// A failure without the kernel's own words.
pub(crate) fn fail(part: Part, errno: Errno) -> Failure {
    Failure { part, errno, log: None }
}
