//! Debian's newest runc and crun, in a folder of their own: a stable release has old ones, and those of another
//! release are never installed onto this machine.

use super::apt::PrivateApt;
use crate::project;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where Debian's newest packages are first.
const SUITES: [&str; 2] = ["sid", "experimental"];

/// The engines to compare with.
#[derive(Debug, Clone)]
pub(crate) struct Newest {
    pub(crate) runc: PathBuf,
    pub(crate) crun: PathBuf,
}

/// Fetches both, once: `cargo clean` makes the next call fetch them again.
///
/// # Errors
///
/// When the packages cannot be had, or do not run here.
pub(crate) fn install() -> Result<Newest> {
    let folder = project::cache().join("runtimes");
    let root = folder.join("root");
    let newest = Newest { runc: root.join("usr/sbin/runc"), crun: root.join("usr/bin/crun") };
    // Written last, so its presence says that everything before it is complete.
    let stamp = folder.join("versions");
    if stamp.exists() {
        return Ok(newest);
    }
    println!("fetching Debian's newest runc and crun into {}", folder.display());
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))?;
    }
    let apt = PrivateApt::create(&folder.join("apt"), &SUITES, &["runc", "crun"])?;
    apt.unpack(&["runc", "crun"], &root)?;
    let mut versions = String::new();
    for (name, program) in [("runc", &newest.runc), ("crun", &newest.crun)] {
        use_own_libraries(program, &root)?;
        project::output(Command::new(program).arg("--version"))?;
        versions += &format!("{name} {}\n", apt.candidate(name)?);
    }
    std::fs::write(&stamp, &versions).with_context(|| format!("write {}", stamp.display()))?;
    print!("{versions}");
    Ok(newest)
}

/// Makes a program start by the dynamic loader that was unpacked with it. Starting the loader by hand, or a
/// wrapper script, would not do: runc executes `/proc/self/exe` again, which would then be the loader.
fn use_own_libraries(program: &Path, root: &Path) -> Result<()> {
    let (library, loader) = find_loader(root)?;
    let mut patchelf = Command::new("patchelf");
    patchelf.arg("--set-interpreter").arg(loader).arg("--force-rpath").arg("--set-rpath").arg(library);
    project::output(patchelf.arg(program)).map(drop)
}

/// The multiarch library folder and the dynamic loader in it.
fn find_loader(root: &Path) -> Result<(PathBuf, PathBuf)> {
    let lib = root.join("usr/lib");
    for entry in lib.read_dir().with_context(|| format!("read {}", lib.display()))? {
        let folder = entry.with_context(|| format!("read {}", lib.display()))?.path();
        let Ok(files) = folder.read_dir() else { continue };
        for file in files.flatten() {
            if file.file_name().to_string_lossy().starts_with("ld-linux-") {
                return Ok((folder, file.path()));
            }
        }
    }
    bail!("no dynamic loader below {}", lib.display())
}
