//! Who brings an image onto the disk, and how.

use super::disk::Disk;
use super::registry::Registry;
use crate::bench::content::Content;
use crate::project;
use anyhow::{Context, Result};
use rustix::mount::{UnmountFlags, unmount};
use std::path::{Path, PathBuf};
use std::process::Command;

/// In the order of the table's columns.
pub(super) const CONTENDERS: [Contender; 4] =
    [Contender::Masu, Contender::Podman, Contender::SkopeoUmoci, Contender::Umoci];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Contender {
    /// `masu image pull`.
    Masu,
    /// `podman pull`.
    Podman,
    /// `skopeo copy` into a layout, and `umoci unpack` from there.
    SkopeoUmoci,
    /// `umoci unpack` from a layout that is there: nothing is downloaded.
    Umoci,
}

impl Contender {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Masu => "masu",
            Self::Podman => "podman",
            Self::SkopeoUmoci => "skopeo, umoci",
            Self::Umoci => "umoci alone",
        }
    }
}

/// Where they work.
#[derive(Debug)]
pub(super) struct World {
    pub(super) folder: PathBuf,
    pub(super) masu: PathBuf,
    /// The images, for who reads them from a layout.
    layout: PathBuf,
    disk: Disk,
    /// Where podman keeps what is gone after a reboot; it wants a path of at most 50 bytes.
    run: PathBuf,
}

impl World {
    /// A folder on the disk that the work tree is on.
    pub(super) fn create(masu: PathBuf, content: &Content) -> Result<Self> {
        let folder = project::target().join(format!("bench-images-{}", std::process::id()));
        let disk = Disk::create(&folder)?;
        let run = PathBuf::from(format!("/run/masu-bench-images-{}", std::process::id()));
        Ok(Self { folder, masu, layout: content.layout.clone(), disk, run })
    }

    /// Fetches and unpacks an image.
    pub(super) fn run(&self, contender: Contender, registry: &Registry, name: &str) -> Result<()> {
        let remote = registry.name_of(name);
        let path = |name: &str| self.disk.directory.join(name).display().to_string();
        let docker = format!("docker://{remote}");
        let bundle = path(&format!("bundle-{name}"));
        match contender {
            Contender::Masu => {
                let mut pull = Command::new(&self.masu);
                pull.args(["image", "pull", "--store", &path("masu"), "--insecure", "--quiet", &remote]);
                quiet(&mut pull)
            }
            Contender::Podman => {
                let mut pull = Command::new("podman");
                pull.args(["--root", &path("podman"), "--runroot"]).arg(&self.run);
                pull.args(["--storage-driver", "overlay", "--events-backend", "none"]);
                pull.args(["pull", "--quiet", "--tls-verify=false", &remote]);
                quiet(&mut pull)
            }
            Contender::SkopeoUmoci => {
                let target = format!("{}:{name}", path("layout"));
                let mut copy = Command::new("skopeo");
                copy.args(["copy", "--quiet", "--src-tls-verify=false", &docker, &format!("oci:{target}")]);
                quiet(&mut copy)?;
                quiet(Command::new("umoci").args(["unpack", "--image", &target, &bundle]))
            }
            Contender::Umoci => {
                let image = format!("{}:{name}", self.layout.display());
                quiet(Command::new("umoci").args(["unpack", "--image", &image, &bundle]))
            }
        }
    }

    /// Gives the next one an empty file system, and an idle disk.
    pub(super) fn clean(&self) -> Result<()> {
        self.unmount_podmans();
        if self.run.exists() {
            remove(&self.run)?;
        }
        self.disk.renew()?;
        self.settle()
    }

    fn unmount_podmans(&self) {
        // An error: nothing of podman's is there yet.
        unmount(self.disk.directory.join("podman/overlay"), UnmountFlags::DETACH).ok();
    }

    /// Waits until all that was written is on the disk.
    pub(super) fn settle(&self) -> Result<()> {
        for folder in [&self.disk.directory, &self.folder] {
            let open = std::fs::File::open(folder).with_context(|| format!("open {}", folder.display()))?;
            rustix::fs::syncfs(open).context("syncfs")?;
        }
        Ok(())
    }

    pub(super) fn remove(self) -> Result<()> {
        self.unmount_podmans();
        self.disk.discard()?;
        if self.run.exists() {
            remove(&self.run)?;
        }
        remove(&self.folder)
    }
}

fn quiet(command: &mut Command) -> Result<()> {
    project::output(command).map(drop)
}

fn remove(folder: &Path) -> Result<()> {
    std::fs::remove_dir_all(folder).with_context(|| format!("remove {}", folder.display()))
}
