//! The root file systems: copies of busybox, and Debian, which is kept.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Check, ensure, fail};

/// Its place in the cache.
const DEBIAN: &str = "debian-bookworm";

/// Copies a root of busybox: a hard link for the program, everything else anew.
pub(crate) fn copy_busybox(from: &Path, to: &Path) -> Check {
    fs::create_dir_all(to)?;
    fs::set_permissions(to, from.metadata()?.permissions())?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_busybox(&entry.path(), &target)?;
        } else if kind.is_symlink() {
            symlink(fs::read_link(entry.path())?, &target)?;
        } else if entry.file_name() == "busybox" {
            fs::hard_link(entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

/// A minimal Debian with procps, made by mmdebstrap the first time.
pub(crate) fn debian() -> Check<PathBuf> {
    let cache = cache();
    fs::create_dir_all(&cache)?;
    // runc resolves root.path lexically.
    let cache = cache.canonicalize()?;
    let root = cache.join(DEBIAN);
    if root.exists() {
        return Ok(root);
    }
    let unfinished = cache.join(format!("unfinished-{}", std::process::id()));
    let output = Command::new("mmdebstrap")
        .args(["--variant=minbase", "--mode=root", "--include=procps", "bookworm"])
        .arg(&unfinished)
        .output()
        .map_err(|error| fail(format!("mmdebstrap: {error}")))?;
    ensure!(output.status.success(), "mmdebstrap: {}", String::from_utf8_lossy(&output.stderr));
    if fs::rename(&unfinished, &root).is_err() {
        // Another run was faster: its root is as good.
        fs::remove_dir_all(&unfinished)?;
    }
    Ok(root)
}

/// Whether there is that Debian, or a way to make it.
pub(crate) fn can_make_debian() -> bool {
    let made = cache().join(DEBIAN).exists();
    made || Command::new("mmdebstrap").arg("--version").output().is_ok()
}

/// Where `cargo xtask` says; otherwise beside the program, which cargo puts two levels below its target directory.
fn cache() -> PathBuf {
    if let Some(cache) = std::env::var_os("MASU_TESTS_CACHE") {
        return cache.into();
    }
    let program = std::env::current_exe().unwrap_or_default();
    program.ancestors().nth(2).map(|target| target.join("masu-tests")).unwrap_or_default()
}
