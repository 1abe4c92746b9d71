//! From an image to a bundle: a directory that any OCI runtime can run a container from.
//!
//! ```text
//! DIR/                 mode 0700
//! ├── config.json      see [`config`]
//! ├── overlay/         what the container writes: upper, work
//! └── rootfs/          the layers with that above, or a flat copy of them
//! ```
//!
//! An overlay copies nothing, however large the image is, and the layers' pages are shared by all of its bundles. Before
//! anything is put into the new directory the store is told ([`Lease`]), by the bundle's absolute path: whatever ends the
//! making from there on, what is there is known, and [`remove`] takes it away.

mod accounts;
pub mod config;
pub mod profile;
pub mod user;

use crate::manifest::{ImageConfig, Manifest, chain_ids};
use crate::mounts::create_dir;
use crate::overlay::{self, Upper};
use crate::rootless::Standing;
use crate::store::{Image, Lease, Writer};
use crate::unpack::{self, OnEvent};
use crate::{Digest, Error, Result, Store};
use config::{IdMaps, Input};
use profile::Profile;
use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};
use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// What the root is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root {
    /// An overlay over the layers, mounted where the caller is.
    Overlay,
    /// A copy, for who cannot keep a mount, or wants none.
    Flat,
}

/// A bundle that is to be made.
#[expect(missing_debug_implementations, reason = "a closure has none")]
pub struct Create<'a> {
    /// The store that has the image.
    pub store: &'a Writer,
    /// The image.
    pub image: &'a Image,
    /// Its documents.
    pub manifest: &'a Manifest,
    /// Its configuration.
    pub config: &'a ImageConfig,
    /// What the caller can do.
    pub standing: &'a Standing,
    /// The ids of its container, where the caller is an ordinary user.
    pub maps: Option<&'a IdMaps>,
    /// What the root is.
    pub root: Root,
    /// Is told about layers that are unpacked for it.
    pub on_event: OnEvent<'a>,
}

impl Create<'_> {
    /// Makes the bundle in `directory`, which must not be there.
    ///
    /// # Errors
    ///
    /// [`Error::File`] for what the file system refuses, [`Error::Mount`] for the overlay, [`Error::Content`] and
    /// [`Error::Syntax`] for an image that no configuration can be made of. Nothing is left then.
    pub fn run(&self, directory: &Path) -> Result<()> {
        let directory = absolute(directory)?;
        let chain = chain_ids(&self.config.rootfs.diff_ids);
        create_dir(&directory, 0o700)?;
        self.take_lease(&directory, &chain).inspect_err(|_| {
            // ignored: as below. Without a lease nothing would find the directory again.
            std::fs::remove_dir(&directory).ok();
        })?;
        self.fill(&directory, &chain).inspect_err(|_| {
            // ignored: the error that led here is the one to report; `masu bundle rm` takes the rest.
            remove(self.store, &directory).ok();
        })
    }

    fn take_lease(&self, directory: &Path, chain: &[Digest]) -> Result<()> {
        let mut blobs = vec![self.image.descriptor.digest.clone(), self.manifest.config.digest.clone()];
        blobs.extend(self.manifest.layers.iter().map(|layer| layer.digest.clone()));
        let snapshots = if self.is_overlay(chain) { chain.to_vec() } else { Vec::new() };
        self.store.take_lease(&Lease { holder: directory.to_owned(), blobs, snapshots })
    }

    fn fill(&self, directory: &Path, chain: &[Digest]) -> Result<()> {
        let rootfs = directory.join("rootfs");
        create_dir(&rootfs, 0o755)?;
        if self.is_overlay(chain) {
            let top = chain.last().map(|id| self.store.snapshot_path(id));
            unpack::snapshots(self.store, self.manifest, self.config, self.standing, self.on_event)?;
            Upper::create(&directory.join("overlay"), &top.unwrap_or_default())?;
            mount_overlay(self.store, self.standing, chain, directory)?;
        } else {
            let root = File::open(&rootfs).map_err(Error::file("open", &rootfs))?;
            unpack::merged(
                self.store,
                self.manifest,
                self.config,
                self.standing,
                root.as_fd(),
                self.on_event,
            )?;
        }
        let accounts = accounts::read(&rootfs)?;
        let user = self.config.config.as_ref().and_then(|run| run.user.as_deref()).unwrap_or_default();
        let input = Input {
            image: self.config,
            identity: &accounts.find(user)?,
            maps: self.maps,
            profile: &Profile::default_one().map_err(|error| Error::Content {
                object: "the profile for system calls".into(),
                problem: error.to_string(),
            })?,
        };
        write_config(directory, &config::config(&input)?)
    }

    /// An image without layers has nothing to lie below.
    fn is_overlay(&self, chain: &[Digest]) -> bool {
        self.root == Root::Overlay && !chain.is_empty()
    }
}

/// Mounts the root of a bundle again, after a restart of the machine. One that is mounted, or has a flat root, stays as
/// it is.
///
/// # Errors
///
/// [`Error::Missing`] for a directory that is no bundle of this store, otherwise as [`Create::run`].
pub fn mount(store: &Store, standing: &Standing, directory: &Path) -> Result<()> {
    let directory = absolute(directory)?;
    let lease = find_lease(store, &directory)?;
    if lease.snapshots.is_empty() || is_mount_point(&directory.join("rootfs"))? {
        return Ok(());
    }
    mount_overlay(store, standing, &lease.snapshots, &directory)
}

/// Removes a bundle, made or half-made, with everything that was written in it.
///
/// # Errors
///
/// [`Error::Missing`] for a directory that is no bundle of this store; [`Error::File`] for what cannot be removed.
pub fn remove(store: &Writer, directory: &Path) -> Result<()> {
    let directory = absolute(directory)?;
    if let Err(error) = find_lease(store, &directory) {
        // The directory is made before the lease is: a kill between the two leaves it, and nothing in it.
        return std::fs::remove_dir(&directory).map_err(|_| error);
    }
    let rootfs = directory.join("rootfs");
    // What was mounted twice is there twice.
    while is_mount_point(&rootfs)? {
        unmount(&rootfs, UnmountFlags::NOFOLLOW)
            .map_err(|errno| Error::file("unmount", &rootfs)(errno.into()))?;
    }
    match crate::store::remove_tree(&directory) {
        Err(Error::File { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
        other => other?,
    }
    store.return_lease(&directory).map(drop)
}

fn find_lease(store: &Store, directory: &Path) -> Result<Lease> {
    store.lease(directory)?.ok_or_else(|| Error::Missing {
        what: format!("bundle {} of the store {}", directory.display(), store.path().display()),
        hint: "masu bundle create makes one; --store names the store that it was made from",
    })
}

/// The layers of the chain, the lowest first, with what is written above.
fn mount_overlay(store: &Store, standing: &Standing, chain: &[Digest], directory: &Path) -> Result<()> {
    let lower: Vec<PathBuf> = chain.iter().rev().map(|id| store.snapshot_path(id)).collect();
    let lower: Vec<&Path> = lower.iter().map(PathBuf::as_path).collect();
    let base = directory.join("overlay");
    let upper = Upper { upper: base.join("upper"), work: base.join("work") };
    let rootfs = directory.join("rootfs");
    overlay::mount(&lower, Some(&upper), standing.marks, &rootfs).map_err(Error::mount("overlay", &rootfs))
}

/// Whether something is mounted there; not when there is no such path.
fn is_mount_point(path: &Path) -> Result<bool> {
    match statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty()) {
        Ok(found) => Ok(found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(Error::file("statx", path)(errno.into())),
    }
}

/// The bundle's one name: its directory need not be there, the one above it does.
fn absolute(directory: &Path) -> Result<PathBuf> {
    let parent = directory.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = directory.file_name().ok_or_else(|| Error::Syntax {
        what: "bundle",
        given: directory.display().to_string(),
        problem: "it has to be the name of a directory".into(),
    })?;
    Ok(parent.canonicalize().map_err(Error::file("open", parent))?.join(name))
}

fn write_config(directory: &Path, config: &serde_json::Value) -> Result<()> {
    let path = directory.join("config.json");
    let write = Error::file("write", &path);
    let mut text = serde_json::to_string_pretty(config).map_err(|error| write(error.into()))?;
    text.push('\n');
    std::fs::write(&path, text).map_err(Error::file("write", &path))
}
