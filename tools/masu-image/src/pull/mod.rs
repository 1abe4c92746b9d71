//! From a registry into the store.
//!
//! ```text
//! name ─▶ index ─▶ manifest ─▶ configuration ─▶ layers, three at once ─▶ name in the store
//! ```
//!
//! Layers are unpacked while they arrive ([`unpack`]). Each piece is compared with its digest on the way, and
//! the name is given last: a pull that is broken off leaves what it has, and no image.

use crate::manifest::{Document, ImageConfig, Kind, Manifest, Platform, parse_json};
use crate::reference::Reference;
use crate::registry::{Client, Repository};
use crate::rootless::Standing;
use crate::store::{Image, Writer};
use crate::unpack::{self, Layer};
use crate::{Descriptor, Error, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many layers are downloaded at once: what Docker does, and what registries are used to.
const DOWNLOADS: usize = 3;

/// What a pull tells while it goes on. Layers are numbered from the lowest, which is 0.
#[derive(Debug)]
pub enum Event<'a> {
    /// These will be downloaded and unpacked.
    Layers(&'a [Descriptor]),
    /// So much of a layer is there.
    Downloaded {
        /// Which layer.
        layer: usize,
        /// In bytes.
        bytes: u64,
    },
    /// A layer is complete, and its digest is right.
    Complete(usize),
    /// What happens to layers that are there.
    Unpack(unpack::Event),
}

/// What is pulled, and where to.
#[derive(Debug)]
pub struct Pull<'a> {
    /// Speaks to the registry.
    pub client: &'a Arc<Client>,
    /// The store.
    pub store: &'a Writer,
    /// The image.
    pub reference: &'a Reference,
    /// The platform that was asked for; without it this machine's is preferred.
    pub platform: Option<&'a Platform>,
    /// How layers are unpacked.
    pub standing: &'a Standing,
}

impl Pull<'_> {
    /// Fetches the image, unpacks its layers, and gives it its name in the store.
    ///
    /// # Errors
    ///
    /// [`Error::At`] with the image, and the layer if it is one's. What was downloaded stays for the next time.
    pub fn run(&self, on_event: &(dyn Fn(Event<'_>) + Sync)) -> Result<Image> {
        self.pull(on_event).map_err(Error::at(format!("pull {}", self.reference)))
    }

    fn pull(&self, on_event: &(dyn Fn(Event<'_>) + Sync)) -> Result<Image> {
        let (repository, fetched) = self.client.resolve(self.reference)?;
        let host = Platform::host();
        let wanted = self.platform.unwrap_or(&host);
        let (mut descriptor, bytes, manifest) = match fetched.document {
            Document::Manifest(manifest) => (fetched.descriptor, fetched.bytes, *manifest),
            Document::Index(index) => fetch_chosen(&repository, wanted.choose(&index)?)?,
        };
        check_types(&manifest)?;
        let config = self.fetch_config(&repository, &manifest)?;
        let actual = Platform::of(&config);
        if let Some(platform) = self.platform
            && !platform.runs(&actual)
        {
            return Err(Error::Platform {
                wanted: platform.to_string(),
                available: vec![actual.to_string()],
            });
        }
        descriptor.platform = Some(actual);
        on_event(Event::Layers(&manifest.layers));
        self.fetch_layers(&repository, &Layer::all(&manifest, &config)?, on_event)?;
        if let Some(mut blob) = self.store.blob(&descriptor)? {
            blob.restart()?;
            blob.append(&bytes)?;
            blob.commit()?;
        }
        let name = self.reference.to_string();
        self.store.tag(&name, &descriptor)?;
        Ok(Image { name, descriptor })
    }

    fn fetch_config(&self, repository: &Repository, manifest: &Manifest) -> Result<ImageConfig> {
        let descriptor = &manifest.config;
        let object = format!("configuration {}", descriptor.digest);
        if descriptor.size > crate::manifest::MAX_DOCUMENT {
            return Err(Error::Content {
                object,
                problem: format!("{} bytes are too many", descriptor.size),
            });
        }
        if let Some(mut blob) = self.store.blob(descriptor)? {
            repository.fetch_blob(descriptor, &mut blob, |_| true)?;
            blob.commit()?;
        }
        let config: ImageConfig = parse_json(&self.store.read_document(&descriptor.digest)?, &object)?;
        Ok(config)
    }

    fn fetch_layers(
        &self,
        repository: &Repository,
        layers: &[Layer<'_>],
        on_event: &(dyn Fn(Event<'_>) + Sync),
    ) -> Result<()> {
        let next = AtomicUsize::new(0);
        let download = || {
            while let Some(layer) = layers.get(next.fetch_add(1, Ordering::Relaxed)) {
                let fetched = self.download(repository, layer, on_event).map_err(Error::at(layer.place()));
                if fetched.is_err() {
                    // Those above it will not be unpacked, and those below are on their way.
                    next.store(layers.len(), Ordering::Relaxed);
                }
                layer.arrival.end(fetched);
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..DOWNLOADS.min(layers.len()) {
                scope.spawn(download);
            }
            let unpacked = unpack::unpack_all(self.store, layers, self.standing, &|event| {
                on_event(Event::Unpack(event))
            });
            if unpacked.is_err() {
                // What nobody will unpack is fetched the next time.
                next.store(layers.len(), Ordering::Relaxed);
                layers.iter().for_each(|layer| layer.arrival.abandon());
            }
            unpacked
        })
    }

    fn download(
        &self,
        repository: &Repository,
        layer: &Layer<'_>,
        on_event: &(dyn Fn(Event<'_>) + Sync),
    ) -> Result<()> {
        let descriptor = layer.descriptor;
        match self.store.blob(descriptor)? {
            Some(mut blob) => {
                layer.arrival.begin(blob.open()?);
                repository.fetch_blob(descriptor, &mut blob, |bytes| {
                    on_event(Event::Downloaded { layer: layer.number, bytes });
                    layer.arrival.grow(bytes)
                })?;
                blob.commit()?;
            }
            None => layer.arrival.begin(self.store.open_blob(&descriptor.digest)?),
        }
        on_event(Event::Complete(layer.number));
        Ok(())
    }
}

fn fetch_chosen(repository: &Repository, chosen: &Descriptor) -> Result<(Descriptor, Vec<u8>, Manifest)> {
    let fetched = repository.manifest(&chosen.digest.to_string(), Some(&chosen.digest))?;
    let object = format!("manifest {}", chosen.digest);
    if fetched.descriptor.size != chosen.size {
        let problem = format!("it has {} bytes, but the index says {}", fetched.descriptor.size, chosen.size);
        return Err(Error::Content { object, problem });
    }
    if fetched.descriptor.media_type != chosen.media_type {
        let problem =
            format!("it is {}, but the index says {}", fetched.descriptor.media_type, chosen.media_type);
        return Err(Error::Content { object, problem });
    }
    match fetched.document {
        Document::Manifest(manifest) => Ok((fetched.descriptor, fetched.bytes, *manifest)),
        Document::Index(_) => {
            let problem = "an index within an index is not supported".to_owned();
            Err(Error::Content { object, problem })
        }
    }
}

/// An image has a configuration and layers of the types that are known; what else is stored in registries is none.
fn check_types(manifest: &Manifest) -> Result<()> {
    let refuse = |what: &str, descriptor: &Descriptor| {
        let problem = format!("its type is {}: this is no image", descriptor.media_type);
        Err(Error::Content { object: format!("{what} {}", descriptor.digest), problem })
    };
    if manifest.config.media_type.kind() != Kind::Config {
        return refuse("configuration", &manifest.config);
    }
    match manifest.layers.iter().find(|layer| !matches!(layer.media_type.kind(), Kind::Layer(_))) {
        Some(layer) => refuse("layer", layer),
        None => Ok(()),
    }
}
