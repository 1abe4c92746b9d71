//! A file system that has never been used, for each program anew.
//!
//! In one that others have just left, ext4 passes over the inodes that were deleted in the last minutes, one by one, for every
//! file that is made: that was a third of masu's time. And syncfs(2) would wait for what others on the machine have written.

use crate::project;
use anyhow::{Context, Result};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// In bytes. The largest images with their compressed layers take a third of it, and only what is written takes room.
const SIZE: u64 = 8 << 30;

/// ext4 in a file, mounted in the caller's mount namespace.
#[derive(Debug)]
pub(super) struct Disk {
    file: PathBuf,
    pub(super) directory: PathBuf,
}

impl Disk {
    /// An empty directory in `folder`, which a file system comes to with [`Disk::renew`].
    pub(super) fn create(folder: &Path) -> Result<Self> {
        let (file, directory) = (folder.join("disk.img"), folder.join("store"));
        std::fs::create_dir_all(&directory).with_context(|| format!("create {}", directory.display()))?;
        Ok(Self { file, directory })
    }

    /// Throws away what there is, and makes and mounts an empty file system.
    pub(super) fn renew(&self) -> Result<()> {
        self.discard()?;
        let file = File::create(&self.file).with_context(|| format!("create {}", self.file.display()))?;
        file.set_len(SIZE).with_context(|| format!("extend {}", self.file.display()))?;
        let mut make = Command::new("mkfs.ext4");
        // Its tables are written by nobody while others are measured: `noinit_itable` below.
        make.args(["-q", "-F", "-E", "lazy_itable_init=1,nodiscard"]).arg(&self.file);
        project::output(&mut make)?;
        let mut attach = Command::new("losetup");
        // Without a cache of the loop device's own beside that of the file system.
        attach.args(["--find", "--show", "--direct-io=on"]).arg(&self.file);
        let device = project::output(&mut attach)?;
        let device = device.trim();
        let mounted = mount(device, &self.directory, "ext4", MountFlags::empty(), Some(c"noinit_itable"));
        // It goes with the mount, whatever ends that.
        project::output(Command::new("losetup").args(["--detach", device]))?;
        mounted.with_context(|| format!("mount {device} on {}", self.directory.display()))
    }

    /// Unmounts it, and gives its room back.
    pub(super) fn discard(&self) -> Result<()> {
        if self.file.exists() {
            // Not mounted: it was not made to its end.
            unmount(&self.directory, UnmountFlags::DETACH).ok();
            std::fs::remove_file(&self.file).with_context(|| format!("remove {}", self.file.display()))?;
        }
        Ok(())
    }
}
