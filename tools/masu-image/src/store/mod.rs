//! The store: a directory with images, their content and their unpacked layers.
//!
//! ```text
//! STORE/                     an OCI image layout, mode 0700: snapshots have set-user-ID programs
//! ├── oci-layout, index.json the images, each by its full name
//! ├── blobs/ALGORITHM/HEX    content by its digest: complete and verified, never changed
//! ├── partial/               content on its way, resumed by whoever wants it next
//! ├── snapshots/ALG/HEX/     a layer unpacked in overlayfs's terms, by its chain id
//! ├── snapshots/marks        which extended attributes these terms are in
//! ├── leases/                what bundles use, see [`Lease`]
//! ├── tmp/                   layers being unpacked, files being written
//! └── locks/                 `use`, `index`
//! ```
//!
//! Nothing is seen by its name before it is complete: content and layers are made beside and renamed, so that a kill at
//! any point leaves only what `partial` and `tmp` have. Writers hold `locks/use` together, `prune` holds it alone. Who
//! fetches or unpacks the same thing waits for the first one (flock(2) on the file or directory in the making, which
//! ends with its process) and finds it done, or goes on with what a killed one left.
//!
//! A snapshot is flushed to the disk before it has its name, for nobody but `verify` reads it again to see whether it is
//! right; and loses its name before the first of its files is removed. What is not promised: that a blob survives a power
//! cut. `verify` tells what got lost, and the next pull fetches it.

mod blob;
mod files;
mod images;
mod lease;
mod prune;
mod snapshot;
mod verify;

#[cfg(test)]
mod tests;

pub use blob::BlobWriter;
pub(crate) use files::{list, remove_tree};
pub use images::Image;
pub use lease::Lease;
pub use prune::Pruned;
pub(crate) use snapshot::Scratch;
pub use snapshot::SnapshotWriter;
pub use verify::Verified;

use crate::manifest::{Document, MAX_DOCUMENT, Manifest, MediaType, parse_json};
use crate::{Descriptor, Digest, Error, Result};
use std::fs::{DirBuilder, File, TryLockError};
use std::io::Read;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// A store, for reading. Nothing is made, and nothing need be there: what is not there has no images.
#[derive(Debug, Clone)]
pub struct Store {
    path: PathBuf,
}

/// A store, for writing: while this lives, nothing is pruned.
#[derive(Debug)]
pub struct Writer {
    store: Store,
    /// Held together with other writers; released when it is closed.
    _lock: File,
}

impl std::ops::Deref for Writer {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

impl Store {
    /// The store in this directory.
    pub fn open(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Proves that the store is the caller's: one of another user has files that the caller cannot read, or, if the caller is
    /// root, would get files that its owner cannot. To be called before a user namespace is entered, in which others look
    /// like nobody. A store that is not there is anybody's.
    ///
    /// # Errors
    ///
    /// [`Error::Owner`], or [`Error::File`] when it cannot be looked at.
    pub fn check_owner(&self) -> Result<()> {
        let metadata = match self.path.metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            other => other.map_err(Error::file("stat", &self.path))?,
        };
        let (owner, caller) = (metadata.uid(), rustix::process::geteuid().as_raw());
        if owner == caller {
            return Ok(());
        }
        Err(Error::Owner { store: self.path.clone(), owner, caller })
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens it for writing, and makes the directories that are missing. Waits while somebody prunes.
    ///
    /// # Errors
    ///
    /// [`Error::File`] for what cannot be made.
    pub fn writer(&self) -> Result<Writer> {
        let mut parents = DirBuilder::new();
        parents.recursive(true).mode(0o700);
        for name in ["blobs/sha256", "blobs/sha512", "leases", "locks", "partial", "tmp"]
            .into_iter()
            .chain(["snapshots/sha256", "snapshots/sha512"])
        {
            let directory = self.path.join(name);
            parents.create(&directory).map_err(Error::file("create", &directory))?;
        }
        let lock = files::open_lock(&self.path.join("locks/use"))?;
        lock.lock_shared().map_err(Error::file("lock", &self.path.join("locks/use")))?;
        let layout = self.path.join("oci-layout");
        if !layout.exists() {
            files::write_atomically(self, &layout, LAYOUT)?;
        }
        Ok(Writer { store: self.clone(), _lock: lock })
    }

    /// Keeps all writers out. Fails at once where there is one: a download may take its time.
    fn lock_alone(&self) -> Result<File> {
        let path = self.path.join("locks/use");
        let lock = files::open_lock(&path)?;
        match lock.try_lock() {
            Ok(()) => Ok(lock),
            Err(TryLockError::WouldBlock) => Err(Error::Busy { store: self.path.clone() }),
            Err(TryLockError::Error(error)) => Err(Error::file("lock", &path)(error)),
        }
    }

    /// Where a blob is, if it is there.
    #[must_use]
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.path.join("blobs").join(digest.algorithm().name()).join(digest.hex())
    }

    /// Whether a blob is there, in its full length. `verify` looks closer.
    #[must_use]
    pub fn has_blob(&self, descriptor: &Descriptor) -> bool {
        let metadata = self.blob_path(&descriptor.digest).symlink_metadata();
        metadata.is_ok_and(|metadata| metadata.is_file() && metadata.len() == descriptor.size)
    }

    /// Opens a blob for reading.
    ///
    /// # Errors
    ///
    /// [`Error::File`] when it is not there or cannot be read.
    pub fn open_blob(&self, digest: &Digest) -> Result<File> {
        let path = self.blob_path(digest);
        File::open(&path).map_err(Error::file("open", &path))
    }

    /// Reads a document, and proves that it is what its digest says.
    ///
    /// # Errors
    ///
    /// [`Error::File`] when it cannot be read, [`Error::Content`] when it is not what it is called.
    pub fn read_document(&self, digest: &Digest) -> Result<Vec<u8>> {
        let (mut bytes, path) = (Vec::new(), self.blob_path(digest));
        let file = self.open_blob(digest)?;
        file.take(MAX_DOCUMENT).read_to_end(&mut bytes).map_err(Error::file("read", &path))?;
        files::check_digest(&bytes, digest, "blob")?;
        Ok(bytes)
    }

    /// Reads the manifest that an image's descriptor points to.
    ///
    /// # Errors
    ///
    /// As [`Store::read_document`], and [`Error::Content`] for what is no manifest.
    pub fn read_manifest(&self, descriptor: &Descriptor) -> Result<Manifest> {
        let object = format!("manifest {}", descriptor.digest);
        let bytes = self.read_document(&descriptor.digest)?;
        match Document::parse(&bytes, Some(&descriptor.media_type), &object)? {
            Document::Manifest(manifest) => Ok(*manifest),
            Document::Index(_) => {
                let problem = format!("it is an index, not a {}", MediaType::OCI_MANIFEST);
                Err(Error::Content { object, problem })
            }
        }
    }

    /// Reads the configuration that a manifest points to.
    ///
    /// # Errors
    ///
    /// As [`Store::read_document`], and [`Error::Content`] for what is no configuration.
    pub fn read_config(&self, manifest: &Manifest) -> Result<crate::manifest::ImageConfig> {
        let digest = &manifest.config.digest;
        parse_json(&self.read_document(digest)?, &format!("configuration {digest}"))
    }
}
