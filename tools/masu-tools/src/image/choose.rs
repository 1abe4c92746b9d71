//! Which image of the store is meant, and what it consists of.

use masu_app::{Failure, Result};
use masu_image::Store;
use masu_image::bundle::Content;
use masu_image::manifest::{ImageConfig, Manifest};
use masu_image::reference::Reference;
use masu_image::store::Image;

use super::failure;

/// Shorter beginnings of a digest stand for too much.
const SHORTEST_PREFIX: usize = 4;

/// An image with its documents.
pub(crate) struct Opened {
    pub(crate) image: Image,
    pub(crate) manifest: Manifest,
    pub(crate) config: ImageConfig,
}

impl Opened {
    /// What a bundle is made of.
    pub(crate) fn content(&self) -> Content<'_> {
        Content { image: &self.image, manifest: &self.manifest, config: &self.config }
    }

    /// Reads the documents of an image.
    pub(crate) fn read(store: &Store, image: Image) -> Result<Self> {
        let in_image = |error: &masu_image::Error| {
            let told = failure(error);
            Failure { message: format!("image {}: {}", image.name, told.message), hint: told.hint }
        };
        let manifest = store.read_manifest(&image.descriptor).map_err(|error| in_image(&error))?;
        let config = store.read_config(&manifest).map_err(|error| in_image(&error))?;
        Ok(Self { image, manifest, config })
    }

    /// What was downloaded for it, in bytes.
    pub(super) fn size(&self) -> u64 {
        let layers: u64 = self.manifest.layers.iter().map(|layer| layer.size).sum();
        layers + self.manifest.config.size + self.image.descriptor.size
    }
}

/// The image of this name; otherwise the only one whose digest begins like this.
pub(super) fn image(store: &Store, given: &str) -> Result<Image> {
    let images = store.images().map_err(|error| failure(&error))?;
    let reference = given.parse::<Reference>();
    let full = reference.as_ref().map(ToString::to_string).unwrap_or_default();
    if let Some(image) = images.iter().find(|image| image.name == full) {
        return Ok(image.clone());
    }
    let prefix = given.strip_prefix("sha256:").unwrap_or(given);
    let is_prefix = prefix.len() >= SHORTEST_PREFIX && prefix.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut found: Vec<_> = images
        .into_iter()
        .filter(|image| is_prefix && image.descriptor.digest.hex().starts_with(prefix))
        .collect();
    found.dedup_by(|one, other| one.descriptor.digest == other.descriptor.digest);
    match (found.as_slice(), reference) {
        ([image], _) => Ok(image.clone()),
        ([], Ok(_)) => {
            let message = format!("no image {full} in {}", store.path().display());
            Err(Failure::with_hint(message, format!("masu image pull {given}, or masu image ls")))
        }
        ([], Err(error)) => Err(failure(&error)),
        _ => Err(Failure::with_hint(format!("{given} is the beginning of several digests"), "masu image ls")),
    }
}
