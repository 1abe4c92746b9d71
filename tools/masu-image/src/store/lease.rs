//! What those outside of the store use of it.

use super::{Store, Writer, files};
use crate::bundle::config::IdMaps;
use crate::manifest::parse_json;
use crate::{Digest, Error, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A promise that content and layers stay for as long as somebody uses them. A bundle takes one before it mounts the
/// first layer, and gives it back after it unmounted the last: until then `prune` leaves alone what it names, even if no
/// image does any more.
///
/// In the store it is the file `leases/HEX.json`, where HEX is the SHA-256 of the holder's path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Who uses them: the absolute path of a bundle.
    pub holder: PathBuf,
    /// Manifests, configurations and layers as they are in `blobs`.
    pub blobs: Vec<Digest>,
    /// Layers as they are in `snapshots`.
    pub snapshots: Vec<Digest>,
    /// The same, of each image that is mounted beside the root.
    #[serde(default)]
    pub images: Vec<Vec<Digest>>,
    /// Whom the files of all that is mounted belong to, where the layers say something else.
    #[serde(default)]
    pub ids: Option<IdMaps>,
}

impl Store {
    /// All leases. One that is given back meanwhile is none of them.
    ///
    /// # Errors
    ///
    /// [`Error::File`] and [`Error::Content`] for one that cannot be read: what it protects is not known then.
    pub fn leases(&self) -> Result<Vec<Lease>> {
        let paths = files::list(&self.path().join("leases"))?;
        paths.iter().filter_map(|path| read(path).transpose()).collect()
    }

    /// The lease of a holder, if there is one.
    ///
    /// # Errors
    ///
    /// As [`Store::leases`].
    pub fn lease(&self, holder: &Path) -> Result<Option<Lease>> {
        read(&self.lease_path(holder))
    }

    fn lease_path(&self, holder: &Path) -> PathBuf {
        let name = Digest::of(holder.as_os_str().as_encoded_bytes());
        self.path().join("leases").join(format!("{}.json", name.hex()))
    }
}

/// The lease in a file; `None` where there is no such file.
fn read(path: &Path) -> Result<Option<Lease>> {
    match std::fs::read(path) {
        Ok(bytes) => parse_json(&bytes, &path.display().to_string()).map(Some),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file("read", path)(error)),
    }
}

impl Writer {
    /// Takes a lease, instead of one that the same holder may have.
    ///
    /// # Errors
    ///
    /// [`Error::File`] when it cannot be written.
    pub fn take_lease(&self, lease: &Lease) -> Result<()> {
        let path = self.lease_path(&lease.holder);
        let bytes = serde_json::to_vec(lease).map_err(|error| Error::file("write", &path)(error.into()))?;
        files::write_atomically(self, &path, &bytes)
    }

    /// Gives the lease of a holder back; false when there was none.
    ///
    /// # Errors
    ///
    /// [`Error::File`] when it cannot be removed.
    pub fn return_lease(&self, holder: &Path) -> Result<bool> {
        let path = self.lease_path(holder);
        match std::fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::file("remove", &path)(error)),
        }
    }
}
