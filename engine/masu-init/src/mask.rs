//! Masked paths: covered, so that what the kernel shows there cannot be read.

use core::ffi::CStr;

use masu_program::{Part, Texts};
use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{FileType, OFlags},
    io::Errno,
    mount::OpenTreeFlags,
};

use crate::{
    failure::{At, Result, fail},
    filesystem::{self, attach, clone, is_directory},
    path::{self, IN_ROOT},
};

/// The two covers: opened when first needed, and cloned for every further path.
#[derive(Debug, Default)]
pub(crate) struct Masks {
    /// The host's `/dev/null`.
    null: Option<OwnedFd>,
    /// An empty read-only directory, attached once. One file system for all: making it is what costs.
    empty: Option<OwnedFd>,
}

impl Masks {
    /// Covers `path` below `root`. A missing path needs no cover.
    pub(crate) fn cover(&mut self, root: BorrowedFd<'_>, path: &CStr, parameters: Texts<'_>) -> Result<()> {
        let place = match path::open(root, path, OFlags::PATH, IN_ROOT) {
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
            outcome => outcome.at(Part::OpenTarget)?,
        };
        if is_directory(place.as_fd())? {
            self.cover_directory(place.as_fd(), parameters)
        } else {
            self.cover_file(place.as_fd())
        }
    }

    fn cover_directory(&mut self, place: BorrowedFd<'_>, parameters: Texts<'_>) -> Result<()> {
        if let Some(empty) = &self.empty {
            return attach(clone(empty.as_fd(), OpenTreeFlags::empty())?.as_fd(), place);
        }
        let tree = make_empty(parameters)?;
        attach(tree.as_fd(), place)?;
        // Kept after it is attached: older kernels clone no tree that is still detached.
        self.empty = Some(tree);
        Ok(())
    }

    fn cover_file(&mut self, place: BorrowedFd<'_>) -> Result<()> {
        let null = match self.null.take() {
            Some(null) => null,
            None => open_null()?,
        };
        let tree = clone(null.as_fd(), OpenTreeFlags::empty())?;
        self.null = Some(null);
        attach(tree.as_fd(), place)
    }
}

/// The host's `/dev/null`, proven to be the null device on the descriptor that is then used: a container's
/// own could have been swapped for a link (CVE-2025-31133).
fn open_null() -> Result<OwnedFd> {
    let null = path::open_on_host(c"/dev/null", OFlags::PATH | OFlags::NOFOLLOW).at(Part::OpenNull)?;
    let status = rustix::fs::fstat(&null).at(Part::Stat)?;
    let character = FileType::from_raw_mode(status.st_mode) == FileType::CharacterDevice;
    if character && status.st_rdev == rustix::fs::makedev(1, 3) {
        Ok(null)
    } else {
        Err(fail(Part::WrongDevice, Errno::NODEV))
    }
}

fn make_empty(parameters: Texts<'_>) -> Result<OwnedFd> {
    filesystem::make(c"tmpfs", Texts::default(), parameters, filesystem::READ_ONLY)
}
