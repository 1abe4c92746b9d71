//! Whether unpacked layers are still what they were unpacked from: each is unpacked a second time, beside, and compared.
//!
//! What an archive comes to depends on the layers below it, so that reading one alone would not do; and to unpack is what
//! is tested best.

use super::{Layer, Target, options, unpack};
use crate::layer::{Difference, compare};
use crate::manifest::{ImageConfig, Manifest};
use crate::rootless::Standing;
use crate::store::{Image, Scratch, Writer};
use crate::{Digest, Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};

/// Of what is different in a layer, so much is told.
const TOLD: usize = 5;

/// What was found.
#[derive(Debug, Default)]
pub struct Checked {
    /// How many unpacked layers are right.
    pub right: usize,
    /// What is missing or different.
    pub problems: Vec<Error>,
    /// The chain ids of unpacked layers that are not right.
    pub damaged: Vec<Digest>,
}

/// Unpacked layers that are looked at, image by image: what images share is looked at once.
#[derive(Debug)]
pub struct Check<'a> {
    store: &'a Writer,
    standing: &'a Standing,
    /// Blobs that are no good: nothing can be compared with them.
    broken: &'a BTreeSet<Digest>,
    seen: BTreeSet<Digest>,
    /// Where the store's is missing or damaged: what those above it are to be unpacked upon.
    fresh: BTreeMap<Digest, Scratch>,
    checked: Checked,
}

impl<'a> Check<'a> {
    /// Begins. `broken` are the blobs that [`Store::verify`](crate::Store::verify) has found to be broken.
    #[must_use]
    pub fn new(store: &'a Writer, standing: &'a Standing, broken: &'a BTreeSet<Digest>) -> Self {
        let (seen, fresh, checked) = (BTreeSet::new(), BTreeMap::new(), Checked::default());
        Self { store, standing, broken, seen, fresh, checked }
    }

    /// Looks at the unpacked layers of an image. Those that are not unpacked will be when they are needed, but for those
    /// below one that is.
    ///
    /// # Errors
    ///
    /// [`Error::At`] with the layer when there is no room to unpack it, or the store cannot be read.
    pub fn image(&mut self, image: &Image) -> Result<()> {
        // An image without its documents has been told of.
        let Ok(manifest) = self.store.read_manifest(&image.descriptor) else { return Ok(()) };
        let Ok(config) = self.store.read_config(&manifest) else { return Ok(()) };
        let place = || Error::at(format!("image {}", image.name));
        let known = self.checked.problems.len();
        self.layers(&manifest, &config).map_err(place())?;
        let found = self.checked.problems.split_off(known);
        self.checked.problems.extend(found.into_iter().map(|problem| place()(problem)));
        Ok(())
    }

    /// Ends, and looks for what bundles need.
    ///
    /// # Errors
    ///
    /// Those of [`Store::leases`](crate::Store::leases).
    pub fn end(mut self) -> Result<Checked> {
        for lease in self.store.leases()? {
            let missing = lease.snapshots.iter().filter(|id| !self.store.has_snapshot(id));
            let problems = missing.map(|id| Error::Content {
                object: format!("bundle {}: unpacked layer {id}", lease.holder.display()),
                problem: "it is missing".into(),
            });
            self.checked.problems.extend(problems);
        }
        Ok(self.checked)
    }

    fn layers(&mut self, manifest: &Manifest, config: &ImageConfig) -> Result<()> {
        let layers = Layer::all(manifest, config)?;
        let unpacked = layers.iter().rposition(|layer| self.store.has_snapshot(&layer.chain_id));
        let mut below: Vec<File> = Vec::new();
        for layer in layers.iter().take(unpacked.map_or(0, |top| top + 1)) {
            if self.seen.insert(layer.chain_id.clone()) {
                let lower: Vec<BorrowedFd<'_>> = below.iter().map(AsFd::as_fd).collect();
                self.look(layer, &lower).map_err(Error::at(layer.place()))?;
            }
            let Some(right) = self.right(layer)? else { break };
            below.insert(0, right);
        }
        Ok(())
    }

    /// What those above a layer are to be unpacked upon, if there is something.
    fn right(&self, layer: &Layer<'_>) -> Result<Option<File>> {
        let path = match self.fresh.get(&layer.chain_id) {
            Some(fresh) => fresh.path().to_owned(),
            None if self.store.has_snapshot(&layer.chain_id) => self.store.snapshot_path(&layer.chain_id),
            None => return Ok(None),
        };
        File::open(&path).map(Some).map_err(Error::file("open", &path))
    }

    fn look(&mut self, layer: &Layer<'_>, lower: &[BorrowedFd<'_>]) -> Result<()> {
        if self.broken.contains(&layer.descriptor.digest) || !self.store.has_blob(layer.descriptor) {
            return Ok(());
        }
        let fresh = self.store.scratch()?;
        layer.take(self.store)?;
        let target = Target::Snapshot { marks: self.standing.marks, lower };
        unpack(layer, &options(target, self.standing), fresh.as_fd(), &|_| ())?;
        let found = match self.right(layer)? {
            Some(actual) => compare(fresh.as_fd(), actual.as_fd())?,
            None => Vec::new(),
        };
        let is_there = self.store.has_snapshot(&layer.chain_id);
        if is_there && found.is_empty() {
            self.checked.right += 1;
            return Ok(());
        }
        if is_there {
            self.checked.damaged.push(layer.chain_id.clone());
        }
        self.tell(layer, &found);
        self.fresh.insert(layer.chain_id.clone(), fresh);
        Ok(())
    }

    fn tell(&mut self, layer: &Layer<'_>, found: &[Difference]) {
        let mut told: Vec<_> = found.iter().take(TOLD).map(ToString::to_string).collect();
        if found.is_empty() {
            told.push("it is missing, and layers above it are there".into());
        }
        if let Some(more @ 1..) = found.len().checked_sub(TOLD) {
            told.push(format!("and {more} more"));
        }
        let object = format!("unpacked layer {}", layer.chain_id);
        self.checked.problems.push(Error::Content { object, problem: told.join("; ") });
    }
}
