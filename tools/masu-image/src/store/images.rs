//! The images of a store: names, each with the manifest that it stands for.

use super::{Store, Writer, files};
use crate::manifest::{Index, MediaType, parse_json};
use crate::{Descriptor, Error, Result};
use std::collections::BTreeMap;

/// The name of an image, in `index.json`: the specification's annotation.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// A name, and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The full name, `HOST/REPO:TAG` or `HOST/REPO@DIGEST`.
    pub name: String,
    /// The manifest.
    pub descriptor: Descriptor,
}

impl Store {
    /// All images, by name.
    ///
    /// # Errors
    ///
    /// [`Error::File`] when `index.json` cannot be read, [`Error::Content`] when it is none.
    pub fn images(&self) -> Result<Vec<Image>> {
        let manifests = self.read_index()?.manifests.into_iter();
        let named = manifests.filter_map(|descriptor| {
            Some(Image { name: descriptor.annotation(REF_NAME)?.to_owned(), descriptor })
        });
        let mut images: Vec<_> = named.collect();
        images.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(images)
    }

    /// The image of this full name.
    ///
    /// # Errors
    ///
    /// As [`Store::images`].
    pub fn image(&self, name: &str) -> Result<Option<Image>> {
        Ok(self.images()?.into_iter().find(|image| image.name == name))
    }

    fn read_index(&self) -> Result<Index> {
        let path = self.path().join("index.json");
        match std::fs::read(&path) {
            Ok(bytes) => parse_json(&bytes, &path.display().to_string()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Index {
                schema_version: 2,
                media_type: Some(MediaType::OCI_INDEX.into()),
                manifests: Vec::new(),
                annotations: None,
            }),
            Err(error) => Err(Error::file("read", &path)(error)),
        }
    }
}

impl Writer {
    /// Lets a name stand for a manifest, and for nothing else.
    ///
    /// # Errors
    ///
    /// As [`Store::images`], and [`Error::File`] for what cannot be written.
    pub fn tag(&self, name: &str, manifest: &Descriptor) -> Result<()> {
        let annotations = BTreeMap::from([(REF_NAME.to_owned(), name.to_owned())]);
        let named = Descriptor { annotations: Some(annotations), ..manifest.clone() };
        self.change_index(|manifests| {
            manifests.retain(|descriptor| descriptor.annotation(REF_NAME) != Some(name));
            manifests.push(named);
        })
    }

    /// Takes a name away; false when there was no such name. What it stood for stays until `prune`.
    ///
    /// # Errors
    ///
    /// As [`Writer::tag`].
    pub fn untag(&self, name: &str) -> Result<bool> {
        let mut found = false;
        self.change_index(|manifests| {
            let before = manifests.len();
            manifests.retain(|descriptor| descriptor.annotation(REF_NAME) != Some(name));
            found = manifests.len() < before;
        })?;
        Ok(found)
    }

    /// One at a time: two that read the same file would lose each other's names.
    fn change_index(&self, change: impl FnOnce(&mut Vec<Descriptor>)) -> Result<()> {
        let path = self.path().join("locks/index");
        let lock = files::open_lock(&path)?;
        lock.lock().map_err(Error::file("lock", &path))?;
        let mut index = self.read_index()?;
        change(&mut index.manifests);
        let path = self.path().join("index.json");
        let bytes = serde_json::to_vec(&index).map_err(|error| Error::file("write", &path)(error.into()))?;
        files::write_atomically(self, &path, &bytes)
    }
}
