//! The specification's JSON schema, which Debian has beside its Go types.

use super::apt::PrivateApt;
use crate::project;
use anyhow::{Context, Result};

/// Where the version is that masu implements: a stable release has an old one.
const SUITES: [&str; 2] = ["sid", "experimental"];
const PACKAGE: &str = "golang-github-opencontainers-specs-dev";
/// What of the package is kept.
const SCHEMA: &str = "usr/share/gocode/src/github.com/opencontainers/runtime-spec/schema";

/// Fetches it, once, to `runtime-spec/schema` in the cache, where the tests look for it.
///
/// # Errors
///
/// When the package cannot be had, or has no schema.
pub(crate) fn install() -> Result<()> {
    let folder = project::cache().join("runtime-spec");
    let kept = folder.join("schema");
    if kept.exists() {
        return Ok(());
    }
    println!("fetching the runtime specification's JSON schema into {}", folder.display());
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))?;
    }
    let apt = PrivateApt::create(&folder.join("apt"), &SUITES, &[PACKAGE])?;
    let root = folder.join("root");
    apt.unpack(&[PACKAGE], &root)?;
    println!("{PACKAGE} {}", apt.candidate(PACKAGE)?);
    // The last step: what is there is complete.
    let schema = root.join(SCHEMA);
    std::fs::rename(&schema, &kept).with_context(|| format!("rename {}", schema.display()))
}
