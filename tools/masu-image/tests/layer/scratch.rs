//! A directory of a test's own, and layers applied in it.

use super::tree;
use masu_image::layer::{self, Applied, Dirlinks, Error, IdMap, Limits, Marks, Options, Target};
use masu_image::{namespace, overlay};
use std::collections::BTreeMap;
use std::fs::{File, Permissions};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Removed at its end, with what is in it.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        Self::within(&std::env::temp_dir())
    }

    pub(crate) fn within(directory: &Path) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!("masu-layer-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn dir(&self, name: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir(&path).unwrap();
        path
    }

    /// Each layer a snapshot; the paths, topmost first.
    pub(crate) fn snapshots(&self, layers: &[Vec<u8>]) -> Result<Vec<PathBuf>, Error> {
        self.snapshots_as(layers, Marks::Trusted, &IdMap::Identity)
    }

    pub(crate) fn snapshots_as(
        &self,
        layers: &[Vec<u8>],
        marks: Marks,
        ids: &IdMap,
    ) -> Result<Vec<PathBuf>, Error> {
        let mut below: Vec<PathBuf> = Vec::new();
        for (number, tar) in layers.iter().enumerate() {
            let path = self.dir(&format!("snapshot-{number}"));
            let lower: Vec<_> = below.iter().map(|path| File::open(path).unwrap()).collect();
            let lower: Vec<_> = lower.iter().map(|file| file.as_fd()).collect();
            apply_as(tar, &path, Target::Snapshot { marks, lower: &lower }, ids)?;
            below.insert(0, path);
        }
        Ok(below)
    }

    /// All layers in one directory.
    pub(crate) fn merged(&self, layers: &[Vec<u8>]) -> Result<PathBuf, Error> {
        self.merged_as(layers, &IdMap::Identity)
    }

    pub(crate) fn merged_as(&self, layers: &[Vec<u8>], ids: &IdMap) -> Result<PathBuf, Error> {
        self.merge(layers, ids, Dirlinks::Replace)
    }

    pub(crate) fn merged_with(&self, layers: &[Vec<u8>], dirlinks: Dirlinks) -> Result<PathBuf, Error> {
        self.merge(layers, &IdMap::Identity, dirlinks)
    }

    fn merge(&self, layers: &[Vec<u8>], ids: &IdMap, dirlinks: Dirlinks) -> Result<PathBuf, Error> {
        // As a root looks that no layer describes.
        let path = self.dir("merged");
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        File::open(&path).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        for tar in layers {
            let (target, ids, limits) = (Target::Merged, ids.clone(), Limits::default());
            let root = File::open(&path).unwrap();
            layer::apply(tar.as_slice(), root.as_fd(), &Options { target, ids, dirlinks, limits })?;
        }
        Ok(path)
    }

    /// What a container would see of the snapshots.
    pub(crate) fn see(&self, snapshots: &[PathBuf], times: bool) -> BTreeMap<String, String> {
        self.see_as(snapshots, Marks::Trusted, times)
    }

    pub(crate) fn see_as(
        &self,
        snapshots: &[PathBuf],
        marks: Marks,
        times: bool,
    ) -> BTreeMap<String, String> {
        namespace::enter_private_mounts().unwrap();
        let target = self.dir("seen");
        let empty = self.dir("empty");
        // Without an upper directory overlayfs wants two lower ones.
        let lower: Vec<&Path> = snapshots.iter().chain([&empty]).map(PathBuf::as_path).collect();
        overlay::mount(&lower, None, marks, &target).unwrap();
        let seen = tree::read(&target, times);
        rustix::mount::unmount(&target, rustix::mount::UnmountFlags::DETACH).unwrap();
        seen
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

pub(crate) fn apply(tar: &[u8], root: &Path, target: Target<'_>) -> Result<Applied, Error> {
    apply_as(tar, root, target, &IdMap::Identity)
}

pub(crate) fn apply_as(tar: &[u8], root: &Path, target: Target<'_>, ids: &IdMap) -> Result<Applied, Error> {
    let (ids, dirlinks, limits) = (ids.clone(), Dirlinks::Replace, Limits::default());
    let options = Options { target, ids, dirlinks, limits };
    layer::apply(tar, File::open(root).unwrap().as_fd(), &options)
}
