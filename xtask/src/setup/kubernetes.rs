//! Kubernetes' kubelet, API server and kubectl: Debian has the last alone as a program, and all of the source.

use super::apt::PrivateApt;
use crate::project;
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::process::Command;

/// The release that still builds all of it, with the Go that it has.
const SUITE: &str = "bookworm";
const PACKAGE: &str = "kubernetes";
const BUILD: &str = include_str!("kubernetes.sh");

/// Fetches and builds them, once, which takes minutes; gives the folder that they are in.
///
/// # Errors
///
/// When the source cannot be had, or does not build.
pub(crate) fn install() -> Result<PathBuf> {
    let folder = project::cache_of(PACKAGE, BUILD);
    // Renamed last: what is there is complete.
    let (programs, built) = (folder.join("programs"), folder.join("bin"));
    if programs.exists() {
        return Ok(programs);
    }
    println!("fetching and building Kubernetes in {}", folder.display());
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))?;
    }
    let source = PrivateApt::create_of_sources(&folder.join("apt"), SUITE)?.source(PACKAGE)?;
    let mut build = Command::new("bash");
    build.args(["-c", BUILD, "kubernetes.sh"]).arg(source).current_dir(&folder);
    project::output(&mut build).context("build Kubernetes")?;
    for rest in ["apt", "gopath", "gocache"] {
        let rest = folder.join(rest);
        std::fs::remove_dir_all(&rest).with_context(|| format!("remove {}", rest.display()))?;
    }
    std::fs::rename(&built, &programs).with_context(|| format!("rename {}", built.display()))?;
    Ok(programs)
}
