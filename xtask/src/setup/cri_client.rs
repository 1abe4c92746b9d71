//! The client of Kubernetes' Container Runtime Interface: crictl is not in Debian, and in Rust it would bring tokio.

use crate::project;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The packages and the hashes of their files, of grpcio for CPython 3.10 to 3.13.
const REQUIREMENTS: &str = include_str!("cri_client.txt");

/// A Python and what to set `PYTHONPATH` to for it.
#[derive(Debug)]
pub(crate) struct CriClient {
    pub(crate) python: PathBuf,
    pub(crate) packages: PathBuf,
}

/// Fetches the packages from PyPI for this machine's Python, once.
///
/// # Errors
///
/// When they can neither be found nor fetched.
pub(crate) fn install() -> Result<CriClient> {
    let executable =
        project::output(Command::new("python3").args(["-c", "import sys; print(sys.executable)"]))?;
    let python = PathBuf::from(executable);
    let packages = fetch(&python, "cri-client", &[])?;
    Ok(CriClient { python, packages })
}

/// Fetches the packages for a Python of another machine.
///
/// # Errors
///
/// When they can neither be found nor fetched.
pub(crate) fn install_for(version: &str) -> Result<PathBuf> {
    let python = install()?.python;
    fetch(&python, &format!("cri-client-{version}"), &["--python-version", version])
}

fn fetch(python: &Path, name: &str, options: &[&str]) -> Result<PathBuf> {
    let packages = project::cache_of(name, REQUIREMENTS);
    if packages.exists() {
        return Ok(packages);
    }
    let cache = project::cache();
    std::fs::create_dir_all(&cache).with_context(|| format!("create {}", cache.display()))?;
    let (list, unfinished) =
        (cache.join("cri-client.txt"), cache.join(format!("{name}-{}", std::process::id())));
    std::fs::write(&list, REQUIREMENTS).with_context(|| format!("write {}", list.display()))?;
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes"]);
    pip.args(options);
    pip.args(["--root-user-action", "ignore", "--requirement"]).arg(&list).arg("--target").arg(&unfinished);
    project::output(&mut pip).context("fetch the client of the CRI")?;
    std::fs::rename(&unfinished, &packages).context("keep the client of the CRI")?;
    Ok(packages)
}
