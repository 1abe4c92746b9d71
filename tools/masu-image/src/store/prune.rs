//! Removes what no image and no bundle uses: mark, then sweep.

use super::{Store, files};
use crate::manifest::chain_ids;
use crate::{Algorithm, Digest, Error, Result};
use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What was removed.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Pruned {
    /// Manifests, configurations and layers.
    pub blobs: Vec<Digest>,
    /// Unpacked layers.
    pub snapshots: Vec<Digest>,
    /// Downloads and unpackings that were not brought to their end.
    pub unfinished: usize,
    /// How much room that makes, in bytes of the file system.
    pub bytes: u64,
}

/// What stays.
#[derive(Debug, Default)]
struct Marks {
    blobs: HashSet<Digest>,
    snapshots: HashSet<Digest>,
}

impl Store {
    /// Removes all that no image and no [`Lease`](super::Lease) leads to, and what was left unfinished.
    ///
    /// # Errors
    ///
    /// [`Error::Busy`] while somebody writes. [`Error::At`] for an image whose documents cannot be read, since what it
    /// uses is not known then; nothing is removed in that case.
    pub fn prune(&self) -> Result<Pruned> {
        if !self.path().join("locks").exists() {
            return Ok(Pruned::default());
        }
        let _lock = self.lock_alone()?;
        let marks = self.mark()?;
        let mut pruned = Pruned::default();
        for algorithm in Algorithm::ALL {
            let keep = |id: &Digest| marks.blobs.contains(id);
            self.sweep("blobs", algorithm, keep, &mut pruned.blobs, &mut pruned.bytes)?;
            let keep = |id: &Digest| marks.snapshots.contains(id);
            self.sweep("snapshots", algorithm, keep, &mut pruned.snapshots, &mut pruned.bytes)?;
        }
        for directory in ["partial", "tmp"] {
            for path in files::list(&self.path().join(directory))? {
                pruned.bytes += disk_usage(&path)?;
                files::remove_tree(&path)?;
                pruned.unfinished += 1;
            }
        }
        Ok(pruned)
    }

    fn mark(&self) -> Result<Marks> {
        let mut marks = Marks::default();
        for lease in self.leases()? {
            marks.blobs.extend(lease.blobs);
            marks.snapshots.extend(lease.images.into_iter().flatten().chain(lease.snapshots));
        }
        for image in self.images()? {
            let mut follow = || {
                let manifest = self.read_manifest(&image.descriptor)?;
                let config = self.read_config(&manifest)?;
                marks.blobs.insert(image.descriptor.digest.clone());
                marks.blobs.insert(manifest.config.digest);
                marks.blobs.extend(manifest.layers.into_iter().map(|layer| layer.digest));
                marks.snapshots.extend(chain_ids(&config.rootfs.diff_ids));
                Ok(())
            };
            follow().map_err(Error::at(format!("image {}", image.name)))?;
        }
        Ok(marks)
    }

    fn sweep(
        &self,
        directory: &str,
        algorithm: Algorithm,
        keep: impl Fn(&Digest) -> bool,
        removed: &mut Vec<Digest>,
        bytes: &mut u64,
    ) -> Result<()> {
        for path in files::list(&self.path().join(directory).join(algorithm.name()))? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            // What is not called by a digest was not put there by masu.
            let Ok(digest) = format!("{}:{name}", algorithm.name()).parse::<Digest>() else { continue };
            if !keep(&digest) {
                *bytes += disk_usage(&path)?;
                files::remove_whole(self, &path)?;
                removed.push(digest);
            }
        }
        Ok(())
    }
}

/// How much a file or a tree takes, in bytes of the file system.
pub(super) fn disk_usage(path: &Path) -> Result<u64> {
    let metadata = path.symlink_metadata().map_err(Error::file("stat", path))?;
    let mut bytes = metadata.blocks() * 512;
    if metadata.is_dir() {
        for entry in files::list(path)? {
            bytes += disk_usage(&entry)?;
        }
    }
    Ok(bytes)
}
