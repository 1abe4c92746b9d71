//! The types of documents and layers.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

/// A media type as it is written, without parameters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MediaType(Cow<'static, str>);

/// What a media type says of a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A list of manifests.
    Index,
    /// One image.
    Manifest,
    /// An image's configuration.
    Config,
    /// A layer.
    Layer(Compression),
    /// Anything else.
    Other,
}

/// How a layer is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, of any number of members.
    Gzip,
    /// zstd, of any number of frames.
    Zstd,
}

/// Every type that is understood. `nondistributable` and `foreign` layers are layers like others: what they ask for is
/// that nobody pushes them.
const KNOWN: [(&str, Kind); 17] = [
    (MediaType::OCI_INDEX, Kind::Index),
    (MediaType::DOCKER_LIST, Kind::Index),
    (MediaType::OCI_MANIFEST, Kind::Manifest),
    (MediaType::DOCKER_MANIFEST, Kind::Manifest),
    (MediaType::OCI_CONFIG, Kind::Config),
    (MediaType::DOCKER_CONFIG, Kind::Config),
    (MediaType::OCI_LAYER, Kind::Layer(Compression::None)),
    (MediaType::OCI_LAYER_GZIP, Kind::Layer(Compression::Gzip)),
    (MediaType::OCI_LAYER_ZSTD, Kind::Layer(Compression::Zstd)),
    ("application/vnd.oci.image.layer.nondistributable.v1.tar", Kind::Layer(Compression::None)),
    ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", Kind::Layer(Compression::Gzip)),
    ("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", Kind::Layer(Compression::Zstd)),
    ("application/vnd.docker.image.rootfs.diff.tar", Kind::Layer(Compression::None)),
    ("application/vnd.docker.image.rootfs.diff.tar.gzip", Kind::Layer(Compression::Gzip)),
    ("application/vnd.docker.image.rootfs.diff.tar.zstd", Kind::Layer(Compression::Zstd)),
    ("application/vnd.docker.image.rootfs.foreign.diff.tar", Kind::Layer(Compression::None)),
    ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", Kind::Layer(Compression::Gzip)),
];

#[expect(missing_docs, reason = "each is the type of its name")]
impl MediaType {
    pub const OCI_INDEX: &'static str = "application/vnd.oci.image.index.v1+json";
    pub const OCI_MANIFEST: &'static str = "application/vnd.oci.image.manifest.v1+json";
    pub const OCI_CONFIG: &'static str = "application/vnd.oci.image.config.v1+json";
    pub const OCI_LAYER: &'static str = "application/vnd.oci.image.layer.v1.tar";
    pub const OCI_LAYER_GZIP: &'static str = "application/vnd.oci.image.layer.v1.tar+gzip";
    pub const OCI_LAYER_ZSTD: &'static str = "application/vnd.oci.image.layer.v1.tar+zstd";
    pub const DOCKER_LIST: &'static str = "application/vnd.docker.distribution.manifest.list.v2+json";
    pub const DOCKER_MANIFEST: &'static str = "application/vnd.docker.distribution.manifest.v2+json";
    pub const DOCKER_CONFIG: &'static str = "application/vnd.docker.container.image.v1+json";
}

impl MediaType {
    /// From a `Content-Type`, whose parameters say nothing here.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let essence = text.split(';').next().unwrap_or_default().trim();
        Self(Cow::Owned(essence.to_ascii_lowercase()))
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it says of a thing.
    #[must_use]
    pub fn kind(&self) -> Kind {
        KNOWN.iter().find(|(name, _)| *name == self.0).map_or(Kind::Other, |(_, kind)| *kind)
    }

    /// Whether its owner wants a layer to come from its own servers only.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        matches!(self.kind(), Kind::Layer(_))
            && (self.0.contains(".foreign.") || self.0.contains(".nondistributable."))
    }
}

impl From<&'static str> for MediaType {
    fn from(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Index => "an index",
            Self::Manifest => "a manifest",
            Self::Config => "a configuration",
            Self::Layer(_) => "a layer",
            Self::Other => "something else",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_a_type_is_known_without_its_parameters() {
        let cases = [
            ("application/vnd.oci.image.index.v1+json", Kind::Index),
            ("application/vnd.docker.distribution.manifest.v2+json; charset=utf-8", Kind::Manifest),
            ("application/vnd.docker.image.rootfs.diff.tar.gzip", Kind::Layer(Compression::Gzip)),
            ("application/vnd.oci.image.layer.v1.tar+zstd", Kind::Layer(Compression::Zstd)),
            ("application/vnd.oci.image.layer.v1.tar+xz", Kind::Other),
            ("application/json", Kind::Other),
        ];
        for (text, kind) in cases {
            assert_eq!(MediaType::parse(text).kind(), kind, "{text}");
        }
    }

    #[test]
    fn layers_that_nobody_may_push_are_known() {
        let foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
        assert!(MediaType::parse(foreign).is_foreign());
        assert!(!MediaType::parse(MediaType::OCI_LAYER_GZIP).is_foreign());
    }
}
