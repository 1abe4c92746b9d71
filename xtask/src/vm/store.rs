//! Where machines are kept: `vm/KEY/` in the cache, ready to be continued. KEY is a hash of everything that the machine
//! is made from, so that a changed list of packages, a changed file in the guest or another QEMU makes a new one.
//!
//! Calls that run a machine share a lock; the one that builds has it alone.

use super::{image, machine, snapshot};
use crate::project;
use anyhow::{Context, Result};
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A machine that stays where it is for as long as this lives.
#[derive(Debug)]
pub(super) struct Ready {
    /// Its disk, kernel, initrd and memory.
    pub(super) folder: PathBuf,
    _shared: File,
}

/// Where all of it is.
pub(super) fn folder() -> PathBuf {
    project::cache().join("vm")
}

/// The machine, built now if its parts have changed.
///
/// # Errors
///
/// When it cannot be built; nothing of it is kept then.
pub(super) fn prepare() -> Result<Ready> {
    let folder = folder();
    std::fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let machine = folder.join(format!("{:016x}", key()?));
    loop {
        let lock = open_lock(&folder)?;
        lock.lock_shared().context("wait for a machine that is being built")?;
        if machine.exists() {
            return Ok(Ready { folder: machine, _shared: lock });
        }
        // A shared lock does not become an exclusive one in a single step: somebody may be faster, and the loop finds
        // what they built.
        drop(lock);
        let lock = open_lock(&folder)?;
        lock.lock().context("wait until no machine runs")?;
        if !machine.exists() {
            build(&folder, &machine)?;
        }
    }
}

fn open_lock(folder: &Path) -> Result<File> {
    let file = folder.join("lock");
    let options = File::options().create(true).truncate(false).write(true).open(&file);
    options.with_context(|| format!("open {}", file.display()))
}

/// Another Rust may hash in another way, which costs one build.
fn key() -> Result<u64> {
    let version = project::output(Command::new(machine::QEMU).arg("--version"))?;
    let mut hasher = DefaultHasher::new();
    (image::INPUTS, machine::INPUTS, snapshot::INPUTS, version).hash(&mut hasher);
    Ok(hasher.finish())
}

/// Builds under another name, since a folder with the right one is taken for complete. The machines before it go:
/// nobody else runs one.
fn build(folder: &Path, machine: &Path) -> Result<()> {
    println!("making the machine in {}", machine.display());
    for entry in folder.read_dir().with_context(|| format!("read {}", folder.display()))?.flatten() {
        if entry.path().is_dir() {
            std::fs::remove_dir_all(entry.path())
                .with_context(|| format!("remove {}", entry.path().display()))?;
        }
    }
    let unfinished = machine.with_extension("unfinished");
    std::fs::create_dir(&unfinished).with_context(|| format!("create {}", unfinished.display()))?;
    let built = image::build(&unfinished).and_then(|()| snapshot::take(&unfinished));
    if let Err(error) = built {
        std::fs::remove_dir_all(&unfinished).ok(); // ignored: the next build removes what is left
        return Err(error);
    }
    std::fs::rename(&unfinished, machine).with_context(|| format!("rename {}", unfinished.display()))
}
