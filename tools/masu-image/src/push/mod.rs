//! From the store into a registry.
//!
//! ```text
//! layers, three at once ─▶ configuration ─▶ manifest under its name
//! ```
//!
//! The manifest is last: what it points to is there before it, and a push that is broken off leaves no image.

use crate::manifest::Manifest;
use crate::reference::Reference;
use crate::registry::{Client, Pushed, Repository};
use crate::store::{Image, Store};
use crate::{Descriptor, Digest, Error, Result};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How many layers are sent at once: as many as a pull fetches.
const UPLOADS: usize = 3;

/// What a push tells while it goes on. Layers are numbered from the lowest, which is 0.
#[derive(Debug)]
pub enum Event<'a> {
    /// These will be in the registry.
    Layers(&'a [Descriptor]),
    /// So much of a layer is sent.
    Sent {
        /// Which layer.
        layer: usize,
        /// In bytes.
        bytes: u64,
    },
    /// The registry has a layer.
    Complete(usize, Pushed),
}

/// What is pushed, and where to.
#[derive(Debug)]
pub struct Push<'a> {
    /// Speaks to the registry.
    pub client: &'a Arc<Client>,
    /// The store.
    pub store: &'a Store,
    /// The image.
    pub image: &'a Image,
    /// The name that it gets. A digest in it has to be the image's own.
    pub target: &'a Reference,
}

impl Push<'_> {
    /// Sends what the registry lacks, and gives the image its name there. The registry itself is spoken to, never a mirror.
    ///
    /// # Errors
    ///
    /// [`Error::At`] with the name, and the layer if it is one's.
    pub fn run(&self, on_event: &(dyn Fn(Event<'_>) + Sync)) -> Result<()> {
        self.push(on_event).map_err(Error::at(format!("push {}", self.target)))
    }

    fn push(&self, on_event: &(dyn Fn(Event<'_>) + Sync)) -> Result<()> {
        let descriptor = &self.image.descriptor;
        if let Some(digest) = self.target.digest()
            && *digest != descriptor.digest
        {
            let problem = format!("it has the digest {}", descriptor.digest);
            return Err(Error::Content { object: format!("image {}", self.image.name), problem });
        }
        let endpoint = self.client.endpoints(self.target).pop().ok_or_else(|| Error::Missing {
            what: format!("registry to push {} to", self.target),
            hint: "registries.conf blocks it",
        })?;
        let repository = self.client.repository(self.target, endpoint);
        let manifest = self.store.read_manifest(descriptor)?;
        on_event(Event::Layers(&manifest.layers));
        self.push_layers(&repository, &manifest, on_event)?;
        let config = &manifest.config;
        self.push_blob(&repository, config, None, &|_| ())
            .map_err(Error::at(format!("configuration {}", config.digest)))?;
        let bytes = self.store.read_document(&descriptor.digest)?;
        // A tag is what it is to be found by; the digest finds it anyway.
        let version = self.target.tag().map_or_else(|| self.target.version(), str::to_owned);
        repository.push_manifest(&version, descriptor, &bytes)
    }

    fn push_layers(
        &self,
        repository: &Repository,
        manifest: &Manifest,
        on_event: &(dyn Fn(Event<'_>) + Sync),
    ) -> Result<()> {
        let (layers, elsewhere) = (&manifest.layers, self.elsewhere());
        let (next, failed) = (AtomicUsize::new(0), Mutex::new(None));
        let upload = || {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(layer) = layers.get(number) else { return };
                let from = elsewhere.get(&layer.digest).map(String::as_str);
                let on_bytes = |bytes| on_event(Event::Sent { layer: number, bytes });
                match self.push_blob(repository, layer, from, &on_bytes) {
                    Ok(pushed) => on_event(Event::Complete(number, pushed)),
                    Err(error) => {
                        // The others are of no use without it.
                        next.store(layers.len(), Ordering::Relaxed);
                        let error = Error::at(format!("layer {}", layer.digest))(error);
                        failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..UPLOADS.min(layers.len()) {
                scope.spawn(upload);
            }
        });
        failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }

    fn push_blob(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        from: Option<&str>,
        on_bytes: &dyn Fn(u64),
    ) -> Result<Pushed> {
        let content = self.store.open_blob(&descriptor.digest)?;
        repository.push_blob(descriptor, &content, from, on_bytes)
    }

    /// The other repositories of the same registry that have, as far as the store knows, layers of its images.
    fn elsewhere(&self) -> BTreeMap<Digest, String> {
        let mut repositories = BTreeMap::new();
        // Only worth a try: what cannot be read is left to the push of that image.
        for image in self.store.images().unwrap_or_default() {
            let Ok(reference) = image.name.parse::<Reference>() else { continue };
            if reference.host() != self.target.host() || reference.repository() == self.target.repository() {
                continue;
            }
            let Ok(manifest) = self.store.read_manifest(&image.descriptor) else { continue };
            for layer in manifest.layers {
                repositories.insert(layer.digest, reference.repository().to_owned());
            }
        }
        repositories
    }
}
