//! Images in files: OCI layouts and their archives, `docker save`'s format, skopeo's `dir:`, and plain root file systems,
//! `docker export`'s among them.

mod export;
mod import;
mod members;
mod rootfs;

pub use export::export;
pub use import::{Imported, import};

use serde::{Deserialize, Serialize};

/// An image in the `manifest.json` of `docker save`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    /// The member that has the configuration.
    config: String,
    /// `REPO:TAG`, of any number; `null` for an image without a name.
    repo_tags: Option<Vec<String>>,
    /// The members that have the layers, the lowest first.
    layers: Vec<String>,
}

/// What both `docker save` and skopeo's `dir:` call the file that names the others.
const MANIFEST: &str = "manifest.json";

/// Where an OCI layout has a blob.
fn blob_name(digest: &crate::Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().name(), digest.hex())
}
