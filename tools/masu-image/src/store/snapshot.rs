//! Layers, unpacked.

use super::{Store, Writer, files};
use crate::layer::Marks;
use crate::{Digest, Error, Result};
use std::fs::{DirBuilder, File};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

impl Store {
    /// Where the layer with this chain id is unpacked, if it is.
    #[must_use]
    pub fn snapshot_path(&self, id: &Digest) -> PathBuf {
        self.path().join("snapshots").join(id.algorithm().name()).join(id.hex())
    }

    /// Whether the layer with this chain id is unpacked.
    #[must_use]
    pub fn has_snapshot(&self, id: &Digest) -> bool {
        self.snapshot_path(id).symlink_metadata().is_ok_and(|metadata| metadata.is_dir())
    }
}

/// A layer that is being unpacked: an empty directory, which gets its name once it is full.
///
/// Dropped half-way it vanishes. Whoever is killed leaves it to the next one, who begins anew.
#[derive(Debug)]
pub struct SnapshotWriter {
    directory: File,
    path: PathBuf,
    target: PathBuf,
    committed: bool,
}

impl Writer {
    /// Begins to unpack a layer. `None` when that is done already. While somebody else is at it, this waits.
    ///
    /// # Errors
    ///
    /// [`Error::File`] for what the file system refuses.
    pub fn snapshot(&self, id: &Digest) -> Result<Option<SnapshotWriter>> {
        let path = self.path().join("tmp").join(format!("{}-{}", id.algorithm().name(), id.hex()));
        while !self.has_snapshot(id) {
            match DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                    return Err(Error::file("create", &path)(error));
                }
                _ => {}
            }
            let directory = match File::open(&path) {
                Ok(directory) => directory,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(Error::file("open", &path)(error)),
            };
            directory.lock().map_err(Error::file("lock", &path))?;
            if !files::is_still_at(&directory, &path)? {
                continue;
            }
            if files::list(&path)?.is_empty() {
                let target = self.snapshot_path(id);
                return Ok(Some(SnapshotWriter { directory, path, target, committed: false }));
            }
            files::remove_tree(&path)?;
        }
        Ok(None)
    }
}

impl Writer {
    /// Proves that the store's unpacked layers have these marks: overlayfs passes over others, and would show what a layer
    /// hides. A store that has none yet gets them.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] for a store with others: root's, in the hands of a root who may mount nothing, or the other way round.
    pub(crate) fn claim(&self, marks: Marks) -> Result<()> {
        let path = self.path().join("snapshots/marks");
        match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                files::write_atomically(self, &path, marks.name().as_bytes())
            }
            Err(error) => Err(Error::file("read", &path)(error)),
            Ok(found) if found == marks.name() => Ok(()),
            Ok(found) => Err(Error::Missing {
                what: format!(
                    "layers with {} marks in {}, but {found} ones",
                    marks.name(),
                    self.path().display()
                ),
                hint: "root who may mount and root of a container without privilege have a store each: --store or $MASU_STORE",
            }),
        }
    }
}

/// An empty directory for a layer that is only to be looked at. It goes with this.
#[derive(Debug)]
pub(crate) struct Scratch {
    directory: File,
    path: PathBuf,
}

impl Writer {
    /// Makes one.
    pub(crate) fn scratch(&self) -> Result<Scratch> {
        let path = files::temporary(self, "layer");
        DirBuilder::new().mode(0o700).create(&path).map_err(Error::file("create", &path))?;
        let directory = File::open(&path).map_err(Error::file("open", &path))?;
        Ok(Scratch { directory, path })
    }
}

impl Scratch {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl AsFd for Scratch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is removed by prune.
        files::remove_tree(&self.path).ok();
    }
}

impl SnapshotWriter {
    /// The directory to unpack into.
    #[must_use]
    pub fn root(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// Where that is, until it has its name.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it its name, once all of it is on the disk: after a power cut a name may be there and what is in the files
    /// not, and nobody reads a snapshot before a container does. syncfs(2) takes along what others wrote to that file
    /// system, and is still faster than an fsync(2) for each file.
    ///
    /// # Errors
    ///
    /// [`Error::File`] when it cannot be flushed or renamed.
    pub fn commit(mut self) -> Result<()> {
        rustix::fs::syncfs(&self.directory)
            .map_err(|errno| Error::file("flush", &self.path)(errno.into()))?;
        std::fs::rename(&self.path, &self.target).map_err(Error::file("rename to", &self.target))?;
        self.committed = true;
        Ok(())
    }
}

impl Drop for SnapshotWriter {
    fn drop(&mut self) {
        if !self.committed {
            // What stays is removed by the next one, or by prune.
            files::remove_tree(&self.path).ok();
        }
    }
}
