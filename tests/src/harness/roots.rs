//! The root file systems: busybox, made for every run, and Debian, kept under target/.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Check, ensure, fail};

const BUSYBOX: &str = "/bin/busybox";
const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home/user:/bin/sh\n";
const GROUP: &str = "root:x:0:\nuser:x:1000:\n";

/// Makes a root of static busybox in `dir`.
pub(crate) fn make_busybox(dir: &Path) -> Check {
    for name in [
        "bin",
        "dev",
        "etc",
        "home/user",
        "mnt",
        "opt",
        "proc",
        "root",
        "run",
        "sys",
        "tmp",
        "usr/bin",
        "var",
    ] {
        fs::create_dir_all(dir.join(name))?;
    }
    fs::copy(BUSYBOX, dir.join("bin/busybox"))
        .map_err(|error| fail(format!("{BUSYBOX} (Debian: busybox-static): {error}")))?;
    let list = Command::new(BUSYBOX).arg("--list").output()?;
    for applet in String::from_utf8_lossy(&list.stdout).lines().filter(|name| *name != "busybox") {
        symlink("busybox", dir.join("bin").join(applet))?;
    }
    fs::write(dir.join("etc/passwd"), PASSWD)?;
    fs::write(dir.join("etc/group"), GROUP)?;
    fs::set_permissions(dir.join("tmp"), fs::Permissions::from_mode(0o1777))?;
    Ok(())
}

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
    let cache = target_dir().join("masu-tests");
    fs::create_dir_all(&cache)?;
    // runc resolves root.path lexically.
    let cache = cache.canonicalize()?;
    let root = cache.join("debian-bookworm");
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

fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from)
}
