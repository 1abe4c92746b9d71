//! Who brings an image onto the disk, and how.

use super::content::Content;
use super::registry::Registry;
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
    store: PathBuf,
    /// Where podman keeps what is gone after a reboot; it wants a path of at most 50 bytes.
    run: PathBuf,
}

impl World {
    /// A folder on the disk that the work tree is on.
    pub(super) fn create(masu: PathBuf, content: &Content) -> Result<Self> {
        let folder = project::target().join(format!("bench-images-{}", std::process::id()));
        let store = folder.join("store");
        std::fs::create_dir_all(&store).with_context(|| format!("create {}", store.display()))?;
        let run = PathBuf::from(format!("/run/masu-bench-images-{}", std::process::id()));
        Ok(Self { folder, masu, layout: content.layout.clone(), store, run })
    }

    /// Fetches and unpacks an image.
    pub(super) fn run(&self, contender: Contender, registry: &Registry, name: &str) -> Result<()> {
        let remote = registry.name_of(name);
        let path = |name: &str| self.store.join(name).display().to_string();
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

    /// Removes what was fetched, so that the next one begins with nothing, and an idle disk.
    pub(super) fn clean(&self) -> Result<()> {
        let mounted = self.store.join("podman/overlay");
        if mounted.exists() {
            // Not mounted: nothing of podman's is there yet.
            unmount(&mounted, UnmountFlags::DETACH).ok();
        }
        if self.run.exists() {
            remove(&self.run)?;
        }
        std::fs::remove_dir_all(&self.store).with_context(|| format!("remove {}", self.store.display()))?;
        std::fs::create_dir(&self.store).with_context(|| format!("create {}", self.store.display()))?;
        self.settle()
    }

    /// Waits until all that was written is on the disk.
    pub(super) fn settle(&self) -> Result<()> {
        let folder =
            std::fs::File::open(&self.folder).with_context(|| format!("open {}", self.folder.display()))?;
        rustix::fs::syncfs(folder).context("syncfs")
    }

    pub(super) fn remove(self) -> Result<()> {
        self.clean()?;
        remove(&self.folder)
    }
}

fn quiet(command: &mut Command) -> Result<()> {
    project::output(command).map(drop)
}

fn remove(folder: &Path) -> Result<()> {
    std::fs::remove_dir_all(folder).with_context(|| format!("remove {}", folder.display()))
}
