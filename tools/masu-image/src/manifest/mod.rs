//! The documents of an image: index, manifest and configuration, of OCI and of Docker.
//!
//! ```text
//! index ──▶ manifest ──▶ config        the platform's own manifest is chosen from the index
//!                    └─▶ layers, from the lowest to the topmost
//! ```
//!
//! They are read strictly: a document is of one kind, and of the kind that it was announced as. What two readers
//! could take for two things is refused (CVE-2021-41190).

mod config;
mod descriptor;
mod media_type;
mod platform;

pub use config::{History, ImageConfig, RootFs, RunConfig, chain_ids};
pub use descriptor::Descriptor;
pub use media_type::{Compression, Kind, MediaType};
pub use platform::Platform;

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The largest index, manifest or configuration that is read, in bytes: what registries accept.
pub const MAX_DOCUMENT: u64 = 4 << 20;

/// More layers than any image has: overlayfs takes 500.
const MAX_LAYERS: usize = 500;

/// A list of manifests, one for each platform; a store's `index.json` too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// 2.
    pub schema_version: u32,
    /// What kind of document this is; OCI leaves it open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// The manifests.
    pub manifests: Vec<Descriptor>,
    /// Remarks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
}

/// One image: its configuration and its layers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// 2.
    pub schema_version: u32,
    /// What kind of document this is; OCI leaves it open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// Set by what is no image, but stored as one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The configuration.
    pub config: Descriptor,
    /// The layers, the lowest first.
    pub layers: Vec<Descriptor>,
    /// Remarks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
}

impl Manifest {
    /// An OCI manifest of these.
    #[must_use]
    pub fn new(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        let media_type = Some(MediaType::OCI_MANIFEST.into());
        Self { schema_version: 2, media_type, artifact_type: None, config, layers, annotations: None }
    }
}

/// A document that a name or a digest led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// Several platforms.
    Index(Index),
    /// One image.
    Manifest(Box<Manifest>),
}

/// The fields that tell the kinds of documents apart.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    schema_version: u32,
    media_type: Option<MediaType>,
    manifests: Option<serde::de::IgnoredAny>,
    layers: Option<serde::de::IgnoredAny>,
    config: Option<serde::de::IgnoredAny>,
    fs_layers: Option<serde::de::IgnoredAny>,
}

impl Document {
    /// What it says it is; OCI's name when it says nothing.
    #[must_use]
    pub fn media_type(&self) -> MediaType {
        match self {
            Self::Index(index) => index.media_type.clone().unwrap_or(MediaType::OCI_INDEX.into()),
            Self::Manifest(manifest) => manifest.media_type.clone().unwrap_or(MediaType::OCI_MANIFEST.into()),
        }
    }

    /// Reads an index or a manifest. `announced` is the type that a descriptor or a `Content-Type` gave it, and
    /// `object` how messages call it.
    ///
    /// # Errors
    ///
    /// [`Error::Content`] for what is no such document, is two of them at once, or another than was announced.
    pub fn parse(bytes: &[u8], announced: Option<&MediaType>, object: &str) -> Result<Self> {
        let refuse = |problem: String| Error::Content { object: object.to_owned(), problem };
        let shape: Shape = parse_json(bytes, object)?;
        if shape.schema_version == 1 || shape.fs_layers.is_some() {
            return Err(refuse(
                "manifests of schema 1 are not supported: their layers have no digests".into(),
            ));
        }
        if shape.schema_version != 2 {
            return Err(refuse(format!("schemaVersion is {}, not 2", shape.schema_version)));
        }
        let is_index = shape.manifests.is_some();
        if is_index && (shape.layers.is_some() || shape.config.is_some()) {
            return Err(refuse("it is an index and a manifest at once (CVE-2021-41190)".into()));
        }
        let own_kind = if is_index { Kind::Index } else { Kind::Manifest };
        for (source, media_type) in [("mediaType", &shape.media_type), ("announced as", &announced.cloned())]
        {
            if let Some(media_type) = media_type
                && media_type.kind() != own_kind
            {
                return Err(refuse(format!("{source} {media_type}, but its fields are those of {own_kind}")));
            }
        }
        if let (Some(own), Some(announced)) = (&shape.media_type, announced)
            && own != announced
        {
            return Err(refuse(format!("announced as {announced}, but its mediaType is {own}")));
        }
        if is_index {
            return parse_json(bytes, object).map(Self::Index);
        }
        let manifest: Manifest = parse_json(bytes, object)?;
        if manifest.layers.len() > MAX_LAYERS {
            return Err(refuse(format!("{} layers; {MAX_LAYERS} is the limit", manifest.layers.len())));
        }
        Ok(Self::Manifest(Box::new(manifest)))
    }
}

/// Reads a JSON document of at most [`MAX_DOCUMENT`] bytes.
pub(crate) fn parse_json<'a, T: Deserialize<'a>>(bytes: &'a [u8], object: &str) -> Result<T> {
    serde_json::from_slice(bytes)
        .map_err(|error| Error::Content { object: object.to_owned(), problem: error.to_string() })
}

#[cfg(test)]
mod tests;
