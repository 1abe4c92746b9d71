//! Reads everything again.

use super::{Store, files};
use crate::digest::Hasher;
use crate::{Algorithm, Digest, Error, Result};
use std::collections::BTreeSet;
use std::io::Read;
use std::path::PathBuf;

/// What was found.
#[derive(Debug, Default)]
pub struct Verified {
    /// How many blobs were read.
    pub blobs: usize,
    /// How many bytes.
    pub bytes: u64,
    /// What is missing, or is not what it is called, with the reason.
    pub problems: Vec<Error>,
    /// The blobs of `problems` that are there: without them, the next pull fetches what is right.
    pub broken: Vec<Digest>,
}

impl Store {
    /// Reads all content again and compares it with its digests, and follows every image to its layers. `on_blob` is
    /// told about each blob before it is read.
    ///
    /// # Errors
    ///
    /// [`Error::File`] when the store itself cannot be read; what is wrong with an image is a part of the result.
    pub fn verify(&self, mut on_blob: impl FnMut(&Digest)) -> Result<Verified> {
        let mut verified = Verified::default();
        for algorithm in Algorithm::ALL {
            for path in files::list(&self.path().join("blobs").join(algorithm.name()))? {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let Ok(digest) = format!("{}:{name}", algorithm.name()).parse() else { continue };
                on_blob(&digest);
                match self.hash(&digest, &mut verified.bytes) {
                    Ok(()) => verified.blobs += 1,
                    Err(error) => {
                        verified.problems.push(error);
                        verified.broken.push(digest);
                    }
                }
            }
        }
        let broken: BTreeSet<_> = verified.broken.iter().cloned().collect();
        for image in self.images()? {
            let problems = self.follow(&image.descriptor, &broken);
            let place = || format!("image {}", image.name);
            verified.problems.extend(problems.into_iter().map(|problem| Error::at(place())(problem)));
        }
        Ok(verified)
    }

    /// Removes blobs and unpacked layers, so that the next pull fetches and unpacks them. Returns the unpacked layers that
    /// stay, each with the bundle that uses it.
    ///
    /// # Errors
    ///
    /// [`Error::Busy`] while somebody writes, [`Error::File`] when something cannot be removed.
    pub fn discard(&self, blobs: &[Digest], snapshots: &[Digest]) -> Result<Vec<(Digest, PathBuf)>> {
        let _lock = self.lock_alone()?;
        blobs.iter().try_for_each(|digest| files::remove_tree(&self.blob_path(digest)))?;
        let (leases, mut kept) = (self.leases()?, Vec::new());
        for id in snapshots {
            match leases.iter().find(|lease| lease.snapshots.contains(id)) {
                Some(lease) => kept.push((id.clone(), lease.holder.clone())),
                None => files::remove_whole(self, &self.snapshot_path(id))?,
            }
        }
        Ok(kept)
    }

    fn hash(&self, digest: &Digest, bytes: &mut u64) -> Result<()> {
        let (mut file, path) = (self.open_blob(digest)?, self.blob_path(digest));
        let (mut hasher, mut buffer) = (Hasher::new(digest.algorithm()), vec![0; 256 << 10]);
        loop {
            let length = file.read(&mut buffer).map_err(Error::file("read", &path))?;
            hasher.update(buffer.get(..length).unwrap_or_default());
            *bytes += u64::try_from(length).unwrap_or(0);
            if length == 0 {
                break;
            }
        }
        let actual = hasher.finish();
        if actual == *digest {
            return Ok(());
        }
        let problem = format!("its content has the digest {actual}");
        Err(Error::Content { object: format!("blob {digest}"), problem })
    }

    /// What an image needs and is not there. What is there and broken has been told.
    fn follow(&self, descriptor: &crate::Descriptor, broken: &BTreeSet<Digest>) -> Vec<Error> {
        let missing = |descriptor: &crate::Descriptor| {
            let there = self.has_blob(descriptor) || broken.contains(&descriptor.digest);
            let object = format!("blob {}", descriptor.digest);
            (!there).then(|| Error::Content { object, problem: "it is missing".into() })
        };
        if let Some(problem) = missing(descriptor) {
            return vec![problem];
        }
        if broken.contains(&descriptor.digest) {
            return Vec::new();
        }
        match self.read_manifest(descriptor) {
            Ok(manifest) => {
                [&manifest.config].into_iter().chain(&manifest.layers).filter_map(missing).collect()
            }
            Err(error) => vec![error],
        }
    }
}
