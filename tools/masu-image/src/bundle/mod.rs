//! From an image to a bundle: a directory that any OCI runtime can run a container from.
//!
//! ```text
//! DIR/                 mode 0700
//! ├── config.json      see [`config`]
//! ├── overlay/         what the container writes: upper, work
//! ├── rootfs/          the layers with that above, or a flat copy of them
//! ├── host/            instead of both: a tmpfs in which this machine's own root is the root
//! └── images/N/        the layers of other images, for who mounts these in the container
//! ```
//!
//! An overlay copies nothing, however large the image is, and the layers' pages are shared by all of its bundles. Before
//! anything is put into the new directory the store is told ([`Lease`]), by the bundle's absolute path: whatever ends the
//! making from there on, what is there is known, and [`remove`] takes it away.

mod accounts;
mod clones;
pub mod config;
pub mod profile;
pub mod user;

use crate::host_root::{self, Homes};
use crate::layer::{Dirlinks, IdMap};
use crate::manifest::{ImageConfig, Manifest, chain_ids};
use crate::mounts::create_dir;
use crate::overlay::{self, Upper};
use crate::rootless::Standing;
use crate::store::{Image, Lease, Writer};
use crate::unpack::{self, Event, OnEvent};
use crate::{Digest, Error, Result, Store};
use clones::Clones;
use config::{IdMaps, Ids, Input};
use profile::Profile;
use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

/// What the root is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root {
    /// An overlay over the layers, mounted where the caller is.
    Overlay,
    /// The same for a bundle that is to be removed before a restart: nothing waits for the disk, and it cannot be mounted
    /// again.
    Volatile,
    /// A copy, for who cannot keep a mount, or wants none.
    Flat,
}

/// An image with its documents.
#[derive(Debug, Clone, Copy)]
pub struct Content<'a> {
    /// The image.
    pub image: &'a Image,
    /// Its layers.
    pub manifest: &'a Manifest,
    /// Its configuration.
    pub config: &'a ImageConfig,
}

impl Content<'_> {
    fn chain(&self) -> Vec<Digest> {
        chain_ids(&self.config.rootfs.diff_ids)
    }

    fn blobs(&self) -> impl Iterator<Item = Digest> {
        let documents = [&self.image.descriptor.digest, &self.manifest.config.digest];
        documents.into_iter().chain(self.manifest.layers.iter().map(|layer| &layer.digest)).cloned()
    }
}

/// What a root is made of.
#[derive(Debug, Clone, Copy)]
pub enum Base<'a> {
    /// An image.
    Image(Content<'a>),
    /// This machine's own root, without these homes; the configuration is what an image would say of the process.
    Host(&'a Homes, &'a ImageConfig),
}

impl<'a> Base<'a> {
    fn image(&self) -> Option<&Content<'a>> {
        match self {
            Self::Image(content) => Some(content),
            Self::Host(..) => None,
        }
    }

    fn config(&self) -> &'a ImageConfig {
        match self {
            Self::Image(content) => content.config,
            Self::Host(_, config) => config,
        }
    }
}

/// A bundle that is to be made.
#[expect(missing_debug_implementations, reason = "a closure has none")]
pub struct Create<'a> {
    /// The store that has the images.
    pub store: &'a Writer,
    /// What its root is made of.
    pub base: Base<'a>,
    /// Those that it has beside its root, each at [`image_path`], read-only.
    pub images: &'a [Content<'a>],
    /// What the caller can do.
    pub standing: &'a Standing,
    /// The ids of its container, where they are not those of this machine.
    pub ids: Option<Ids<'a>>,
    /// What the root is.
    pub root: Root,
    /// What becomes of links to directories in a copy.
    pub dirlinks: Dirlinks,
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
        create_dir(&directory, 0o700)?;
        self.take_lease(&directory).inspect_err(|_| {
            // ignored: as below. Without a lease nothing would find the directory again.
            std::fs::remove_dir(&directory).ok();
        })?;
        self.fill(&directory).inspect_err(|_| {
            // ignored: the error that led here is the one to report; `masu bundle rm` takes the rest.
            remove(self.store, &directory).ok();
        })
    }

    fn take_lease(&self, directory: &Path) -> Result<()> {
        let images = self.images.iter().map(|content| self.mounted(content));
        self.store.take_lease(&Lease {
            holder: directory.to_owned(),
            blobs: self.images.iter().chain(self.base.image()).flat_map(Content::blobs).collect(),
            snapshots: self.base.image().map(|content| self.mounted(content)).unwrap_or_default(),
            images: images.collect(),
            ids: self.mapped().cloned(),
        })
    }

    /// Whom files belong to, where that is not whom they do in the layers.
    fn mapped(&self) -> Option<&IdMaps> {
        self.ids.filter(|ids| ids.shifts).map(|ids| ids.maps)
    }

    /// The layers that are mounted of an image: none of a copy.
    fn mounted(&self, content: &Content<'_>) -> Vec<Digest> {
        match self.root {
            Root::Overlay | Root::Volatile => content.chain(),
            Root::Flat => Vec::new(),
        }
    }

    fn fill(&self, directory: &Path) -> Result<()> {
        let rootfs = match &self.base {
            Base::Image(content) => self.make_root(content, directory)?,
            Base::Host(homes, _) => self.mount_host(homes, directory)?,
        };
        self.add_images(directory)?;
        let accounts = accounts::read(&directory.join(rootfs))?;
        let image = self.base.config();
        let user = image.config.as_ref().and_then(|run| run.user.as_deref()).unwrap_or_default();
        let input = Input {
            image,
            rootfs,
            identity: &accounts.find(user)?,
            ids: self.ids,
            profile: &Profile::default_one().map_err(|error| Error::Content {
                object: "the profile for system calls".into(),
                problem: error.to_string(),
            })?,
        };
        write_config(directory, &config::config(&input)?)
    }

    /// Returns where in the bundle it is, as the next one does.
    fn make_root(&self, content: &Content<'_>, directory: &Path) -> Result<&'static str> {
        let rootfs = directory.join(ROOT);
        create_dir(&rootfs, 0o755)?;
        self.give(&rootfs)?;
        let chain = self.mounted(content);
        self.unpack(content, &chain, &rootfs)?;
        if let Some(top) = chain.last() {
            let upper = Upper::create(&directory.join("overlay"), &self.store.snapshot_path(top))?.upper;
            self.give(&upper)?;
            self.mounts(directory).root(&chain, self.root == Root::Volatile)?;
        }
        Ok(ROOT)
    }

    fn mount_host(&self, homes: &Homes, directory: &Path) -> Result<&'static str> {
        let scratch = directory.join(HOST);
        create_dir(&scratch, 0o755)?;
        let root = host_root::mount(homes, &scratch)?;
        root.notes.iter().for_each(|note| (self.on_event)(Event::Lost(note.to_string())));
        Ok(HOST_ROOT)
    }

    /// The layers one by one where they are mounted, and on each other in `target` otherwise.
    fn unpack(&self, content: &Content<'_>, mounted: &[Digest], target: &Path) -> Result<()> {
        let (manifest, config) = (content.manifest, content.config);
        if !mounted.is_empty() {
            return unpack::snapshots(self.store, manifest, config, self.standing, self.on_event);
        }
        let root = File::open(target).map_err(Error::file("open", target))?;
        let mut standing = self.standing.clone();
        if let Some(IdMaps { uids, gids }) = self.mapped().cloned() {
            standing.ids = IdMap::Mapped { uids, gids };
        }
        unpack::merged(self.store, manifest, config, &standing, self.dirlinks, root.as_fd(), self.on_event)
    }

    /// Has a directory that its owner inside has.
    fn give(&self, directory: &Path) -> Result<()> {
        let Some(maps) = self.mapped() else { return Ok(()) };
        let metadata = directory.metadata().map_err(Error::file("stat", directory))?;
        match maps.outside(metadata.uid(), metadata.gid()) {
            Some((uid, gid)) => {
                chown(directory, Some(uid), Some(gid)).map_err(Error::file("chown", directory))
            }
            None => Ok(()),
        }
    }

    fn mounts<'b>(&'b self, directory: &'b Path) -> Mounts<'b> {
        Mounts { store: self.store, standing: self.standing, ids: self.mapped(), directory }
    }

    fn add_images(&self, directory: &Path) -> Result<()> {
        if self.images.is_empty() {
            return Ok(());
        }
        create_dir(&directory.join(IMAGES), 0o700)?;
        create_dir(&directory.join(IMAGES).join(NOTHING), 0o755)?;
        for (number, content) in self.images.iter().enumerate() {
            let (target, chain) = (image_path(directory, number), self.mounted(content));
            create_dir(&target, 0o755)?;
            self.give(&target)?;
            self.unpack(content, &chain, &target)?;
            self.mounts(directory).image(&chain, number)?;
        }
        Ok(())
    }
}

/// Where a bundle has its root.
const ROOT: &str = "rootfs";
/// The same, of this machine's.
const HOST: &str = "host";
const HOST_ROOT: &str = "host/root";
/// Where a bundle has the images that it has beside its root.
const IMAGES: &str = "images";
/// A directory there: an overlay that is only read has two layers at least.
const NOTHING: &str = "nothing";

/// Where it has the layers of an overlay for the moment in which it is mounted, see [`Clones`].
const CLONES: &str = "layers";

/// Where a bundle has the image of this number, from 0.
#[must_use]
pub fn image_path(directory: &Path, number: usize) -> PathBuf {
    directory.join(IMAGES).join(number.to_string())
}

/// Mounts what a bundle has mounted again, after a restart of the machine. What is mounted, or a copy, stays as it is.
///
/// # Errors
///
/// [`Error::Missing`] for a directory that is no bundle of this store, otherwise as [`Create::run`].
pub fn mount(store: &Store, standing: &Standing, directory: &Path) -> Result<()> {
    let directory = absolute(directory)?;
    let lease = find_lease(store, &directory)?;
    let mounts = Mounts { store, standing, ids: lease.ids.as_ref(), directory: &directory };
    if !is_mount_point(&directory.join(ROOT))? {
        mounts.root(&lease.snapshots, false)?;
    }
    for (number, chain) in lease.images.iter().enumerate() {
        if !is_mount_point(&image_path(&directory, number))? {
            mounts.image(chain, number)?;
        }
    }
    Ok(())
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
    unmount_all(&directory.join(ROOT), UnmountFlags::empty())?;
    // With all that is mounted in it.
    unmount_all(&directory.join(HOST), UnmountFlags::DETACH)?;
    for name in [IMAGES, CLONES] {
        for path in crate::store::list(&directory.join(name))? {
            unmount_all(&path, UnmountFlags::empty())?;
        }
    }
    match crate::store::remove_tree(&directory) {
        Err(Error::File { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
        other => other?,
    }
    store.return_lease(&directory).map(drop)
}

fn unmount_all(target: &Path, flags: UnmountFlags) -> Result<()> {
    // What was mounted twice is there twice.
    while is_mount_point(target)? {
        unmount(target, flags | UnmountFlags::NOFOLLOW)
            .map_err(|errno| Error::file("unmount", target)(errno.into()))?;
    }
    Ok(())
}

fn find_lease(store: &Store, directory: &Path) -> Result<Lease> {
    store.lease(directory)?.ok_or_else(|| Error::Missing {
        what: format!("bundle {} of the store {}", directory.display(), store.path().display()),
        hint: "masu bundle create makes one; --store names the store that it was made from",
    })
}

/// The mounts of a bundle. A chain has its lowest layer first; one without layers is not mounted.
struct Mounts<'a> {
    store: &'a Store,
    standing: &'a Standing,
    /// Whom the layers' files belong to, where the layers say something else.
    ids: Option<&'a IdMaps>,
    directory: &'a Path,
}

impl Mounts<'_> {
    /// The root: what is written lies above the layers.
    fn root(&self, chain: &[Digest], volatile: bool) -> Result<()> {
        let upper = Upper { volatile, ..Upper::at(&self.directory.join("overlay")) };
        self.mount(chain, None, Some(&upper), &self.directory.join(ROOT))
    }

    /// An image beside it, read-only.
    fn image(&self, chain: &[Digest], number: usize) -> Result<()> {
        let nothing = self.directory.join(IMAGES).join(NOTHING);
        self.mount(chain, Some(nothing), None, &image_path(self.directory, number))
    }

    fn mount(
        &self,
        chain: &[Digest],
        lowest: Option<PathBuf>,
        upper: Option<&Upper>,
        target: &Path,
    ) -> Result<()> {
        if chain.is_empty() {
            return Ok(());
        }
        let lower = chain.iter().rev().map(|id| self.store.snapshot_path(id)).chain(lowest);
        // They may go when the overlay has its own.
        let clones;
        let lower: Vec<PathBuf> = match self.ids {
            Some(ids) => {
                clones = Clones::make(&self.directory.join(CLONES), ids, lower)?;
                clones.paths().collect()
            }
            None => lower.collect(),
        };
        let lower: Vec<&Path> = lower.iter().map(PathBuf::as_path).collect();
        overlay::mount(&lower, upper, self.standing.marks, target).map_err(Error::mount("overlay", target))
    }
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
