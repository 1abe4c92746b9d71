//! A tmpfs for bundles and state: no disk in the figures.

use anyhow::{Context, Result};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use std::path::PathBuf;

#[derive(Debug)]
pub(super) struct Scratch {
    pub(super) path: PathBuf,
}

impl Scratch {
    /// To be called in a private mount namespace: only the empty mount point is ever on the host.
    pub(super) fn create() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("masu-bench-{}", std::process::id()));
        std::fs::create_dir(&path).with_context(|| format!("create {}", path.display()))?;
        let this = Self { path };
        mount("masu-bench", &this.path, "tmpfs", MountFlags::empty(), c"mode=755")
            .with_context(|| format!("mount tmpfs on {}", this.path.display()))?;
        Ok(this)
    }

    /// Removes it, and says so when it cannot.
    pub(super) fn remove(self) -> Result<()> {
        let path = self.path.clone();
        unmount(&path, UnmountFlags::DETACH).with_context(|| format!("unmount {}", path.display()))?;
        std::mem::forget(self);
        std::fs::remove_dir(&path).with_context(|| format!("remove {}", path.display()))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // An error is on its way already. The mount ends with our namespace anyway, and the directory is empty.
        unmount(&self.path, UnmountFlags::DETACH).ok();
        std::fs::remove_dir(&self.path).ok();
    }
}
