//! A layer of an image, from its archive to a directory.
//!
//! ```text
//! tar ─▶ Reader ─▶ Entry ─▶ path ─▶ meaning ─┬─ whiteout, opaque ─▶ hide
//!                                            └─ member ─▶ parent ─▶ file, directory, link, …
//! ```
//!
//! Either the layer becomes a snapshot of its own, which overlayfs puts above those of the layers below it, or it is
//! merged into the directory that has the layers below it already ([`Target`]).
//!
//! The archive is a stranger's. Every path is opened by the kernel from the root's descriptor without following a
//! link, or walked by us name by name within the root (`tree.rs`); files are only ever made new (`O_EXCL`), what stood
//! at their place is removed before; and their attributes are set on the descriptor that made them. Limits
//! ([`Limits`]) end what would fill disk or memory.

mod attributes;
mod compare;
mod error;
mod hide;
mod ids;
mod link;
mod lower;
mod marks;
mod path;
mod tree;

pub(crate) use attributes::xattrs;
pub(crate) use compare::{Difference, compare};
pub use error::{Error, Reason};
pub(crate) use ids::outside_of;
pub use ids::{IdMap, IdRange};
pub use marks::Marks;

use crate::tar::{Entry, Extent, Fault, Kind, Reader};
use attributes::{Attributes, Object};
use marks::Meaning;
use rustix::fs::{Dev, FileType, Mode, OFlags, ftruncate, makedev, mknodat, openat, seek, symlinkat};
use rustix::io::Errno;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use tree::{Absent, Parent, Tree};

/// How files come to be: new, or not at all.
const NEW_FILE: OFlags =
    OFlags::CREATE.union(OFlags::EXCL).union(OFlags::WRONLY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Of what was left out, so many are told by name.
const TOLD: usize = 20;

/// How a layer is to be applied.
#[derive(Debug, Clone)]
pub struct Options<'a> {
    /// What becomes of it.
    pub target: Target<'a>,
    /// Whose its files are.
    pub ids: IdMap,
    /// What becomes of links to directories, in [`Target::Merged`]: a snapshot does not have those of the layers below.
    pub dirlinks: Dirlinks,
    /// When to give up.
    pub limits: Limits,
}

/// What a layer becomes.
#[derive(Debug, Clone, Copy)]
pub enum Target<'a> {
    /// A directory with this layer alone, in overlayfs' terms. It is empty before.
    Snapshot {
        /// How the snapshots will be mounted.
        marks: Marks,
        /// The finished snapshots of the layers below, topmost first. Directories on the way to the layer's members,
        /// which it need not have itself, get the attributes that they have there; hard links lead there; and
        /// a whiteout is only made of what is there.
        lower: &'a [BorrowedFd<'a>],
    },
    /// A directory with all layers so far: empty for the first of them. What a whiteout names is removed. Owner and mode
    /// of the directory itself stay as they are until a layer has it as a member.
    Merged,
}

/// What becomes of a symbolic link to a directory of the root where a layer has a directory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dirlinks {
    /// The directory takes its place: the image specification's rule, and what an overlay does.
    #[default]
    Replace,
    /// It stays as it is, and so does the directory that it leads to: what the layer has in its own is put there. umoci's
    /// `--keep-dirlinks`, for layers that were made on a root with links of its own (`/lib` and `/usr/lib`).
    Keep,
}

/// What no honest layer needs more of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Members of the archive, and directories made for them.
    pub entries: u64,
    /// Bytes of all files together, and of what follows the archive's end.
    pub bytes: u64,
}

impl Default for Limits {
    /// Two million members and 64 GiB: several times the largest images that people are known to pull.
    fn default() -> Self {
        Self { entries: 2_000_000, bytes: 64 << 30 }
    }
}

/// What has been done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// Members of the archive.
    pub entries: u64,
    /// Bytes written to files.
    pub bytes: u64,
    /// What is not as the layer has it, the first twenty.
    pub lost: Vec<Lost>,
    /// How many more there are.
    pub more_lost: u64,
}

/// Something that this machine, or this user, cannot keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// Of which file.
    pub path: String,
    /// What: `device`, or the name of an extended attribute.
    pub what: String,
    /// Why.
    pub errno: Errno,
}

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} left out: {}", self.path, self.what, masu_sys::errno::name(self.errno))
    }
}

/// Applies one uncompressed layer to `root`, a directory that nobody else can reach meanwhile. `tar` is read to its
/// end. Nothing is synchronised with the disk: syncfs(2) once, before the snapshot is said to be there.
///
/// # Errors
///
/// [`Error`]. What has been written until then stays, for the caller to remove with the directory.
pub fn apply(tar: impl Read, root: BorrowedFd<'_>, options: &Options<'_>) -> Result<Applied, Error> {
    let tree = Tree::new(root, options)?;
    let mut applier = Applier { reader: Reader::new(tar), tree, options, applied: Applied::default() };
    loop {
        let number = applier.applied.entries + 1;
        let fault = |fault| Error::Archive { entry: number, fault };
        let Some(entry) = applier.reader.next_entry().map_err(fault)? else { break };
        applier.applied.entries = number;
        if number > options.limits.entries {
            return Err(Error::Limit { what: "members", limit: options.limits.entries });
        }
        applier.entry(entry)?;
    }
    let Applier { mut reader, mut tree, mut applied, .. } = applier;
    tree.finish(&mut |path, what, errno| applied.lose(path, what, errno))?;
    reader
        .drain(options.limits.bytes.saturating_sub(applied.bytes))
        .map_err(|fault| Error::Archive { entry: applied.entries, fault })?;
    Ok(applied)
}

impl Applied {
    fn lose(&mut self, path: &[u8], what: &[u8], errno: Errno) {
        if self.lost.len() == TOLD {
            self.more_lost += 1;
        } else {
            self.lost.push(Lost { path: error::show(path), what: error::show(what), errno });
        }
    }
}

struct Applier<'a, R> {
    reader: Reader<R>,
    tree: Tree<'a>,
    options: &'a Options<'a>,
    applied: Applied,
}

impl<R: Read> Applier<'_, R> {
    fn entry(&mut self, mut entry: Entry) -> Result<(), Error> {
        let path = path::parse(&entry.path)?;
        match marks::meaning(&path)? {
            Meaning::Member => {}
            Meaning::Nothing => return Ok(()),
            Meaning::Whiteout(hidden) => return self.tree.whiteout(&hidden),
            Meaning::Opaque(directory) => return self.tree.opaque(directory),
        }
        let mut attributes = Attributes::of_entry(&mut entry, &self.options.ids)?;
        if let Target::Snapshot { marks, .. } = self.options.target {
            for (name, _) in &mut attributes.xattrs {
                *name = marks.escape(name);
            }
        }
        let Some((directory, name)) = path::split(&path) else {
            return match entry.kind {
                Kind::Directory => self.tree.describe_root(attributes),
                _ => Err(Error::refused(&path, Reason::RootIsNoDirectory)),
            };
        };
        let Some(parent) = self.tree.parent(directory, Absent::Make)? else { return Ok(()) };
        self.member(&parent, name, entry.kind, &attributes)
    }

    fn member(
        &mut self,
        parent: &Parent,
        name: &[u8],
        kind: Kind,
        attributes: &Attributes,
    ) -> Result<(), Error> {
        if kind == Kind::Directory {
            return self.tree.directory(parent, name, attributes.clone());
        }
        let path = path::join(&parent.path, name);
        path::check(&path)?;
        self.tree.note_made(&path);
        match kind {
            Kind::File { size, extents } => self.file(parent, name, &path, size, extents, attributes),
            Kind::Symlink(target) => {
                self.create("symlinkat", parent, name, &path, |directory| {
                    symlinkat(&target, directory, name)
                })?;
                self.set(Object::Name(parent.fd.as_fd(), name), attributes, &path)
            }
            Kind::Link(target) => {
                let Self { tree, applied, .. } = self;
                let lost = &mut |path: &[u8], what: &[u8], errno| applied.lose(path, what, errno);
                let origin = tree.origin(&path, &target, lost)?;
                self.create("linkat", parent, name, &path, |directory| origin.link(directory, name))
            }
            Kind::Fifo => self.node(parent, name, &path, FileType::Fifo, Dev::default(), attributes),
            Kind::Device { block: false, major: 0, minor: 0 } => {
                Err(Error::refused(&path, Reason::WhiteoutDevice))
            }
            Kind::Device { block, major, minor } => {
                let kind = if block { FileType::BlockDevice } else { FileType::CharacterDevice };
                self.node(parent, name, &path, kind, makedev(major, minor), attributes)
            }
            // Taken above.
            Kind::Directory => Ok(()),
        }
    }

    /// Makes something with `make`; what is at its place goes first.
    fn create<T>(
        &mut self,
        call: &'static str,
        parent: &Parent,
        name: &[u8],
        path: &[u8],
        make: impl Fn(BorrowedFd<'_>) -> rustix::io::Result<T>,
    ) -> Result<T, Error> {
        match make(parent.fd.as_fd()) {
            Err(Errno::EXIST) => {}
            other => return other.map_err(Error::system(call, path)),
        }
        self.tree.clear(parent.fd.as_fd(), name, path)?;
        self.tree.note_made(path);
        make(parent.fd.as_fd()).map_err(Error::system(call, path))
    }

    fn set(&mut self, object: Object<'_>, attributes: &Attributes, path: &[u8]) -> Result<(), Error> {
        let applied = &mut self.applied;
        attributes::set(object, attributes, path, &mut |path, what, errno| applied.lose(path, what, errno))
    }

    fn file(
        &mut self,
        parent: &Parent,
        name: &[u8],
        path: &[u8],
        size: u64,
        extents: Option<Vec<Extent>>,
        attributes: &Attributes,
    ) -> Result<(), Error> {
        let mode = Mode::RUSR | Mode::WUSR;
        let file =
            self.create("openat", parent, name, path, |directory| openat(directory, name, NEW_FILE, mode))?;
        match extents {
            None => self.content(&file, path, size)?,
            Some(extents) => {
                for Extent { offset, length } in extents {
                    seek(&file, rustix::fs::SeekFrom::Start(offset)).map_err(Error::system("lseek", path))?;
                    self.content(&file, path, length)?;
                }
                ftruncate(&file, size).map_err(Error::system("ftruncate", path))?;
            }
        }
        self.set(Object::Open(file.as_fd()), attributes, path)
    }

    /// Writes the next `length` bytes of the member's content.
    fn content(&mut self, file: &OwnedFd, path: &[u8], length: u64) -> Result<(), Error> {
        self.applied.bytes = self.applied.bytes.saturating_add(length);
        if self.applied.bytes > self.options.limits.bytes {
            return Err(Error::Limit { what: "bytes of files", limit: self.options.limits.bytes });
        }
        let entry = self.applied.entries;
        let fault = |fault| Error::Archive { entry, fault };
        let mut left = length;
        while left != 0 {
            let piece = self.reader.content().map_err(fault)?;
            let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
            let piece = piece.get(..wanted).unwrap_or_default();
            if piece.is_empty() {
                return Err(fault(Fault::Truncated("the content of a member")));
            }
            let written = match rustix::io::write(file, piece) {
                Err(Errno::INTR) => 0,
                other => other.map_err(Error::system("write", path))?,
            };
            self.reader.consume(written);
            left -= written as u64;
        }
        Ok(())
    }

    /// A device or a pipe. An ordinary user may not make devices (mknod(2)): they are left out.
    fn node(
        &mut self,
        parent: &Parent,
        name: &[u8],
        path: &[u8],
        kind: FileType,
        device: Dev,
        attributes: &Attributes,
    ) -> Result<(), Error> {
        let mode = Mode::RUSR | Mode::WUSR;
        let make = |directory: BorrowedFd<'_>| match mknodat(directory, name, kind, mode, device) {
            Err(Errno::PERM) => Ok(false),
            other => other.map(|()| true),
        };
        if !self.create("mknodat", parent, name, path, make)? {
            self.applied.lose(path, b"device", Errno::PERM);
            return Ok(());
        }
        let place = open_place(parent, name, path)?;
        self.set(Object::Place(place.as_fd()), attributes, path)
    }
}

/// Opens what was just made, whatever it is, without its content.
fn open_place(parent: &Parent, name: &[u8], path: &[u8]) -> Result<OwnedFd, Error> {
    lower::open_below(&parent.fd, name, OFlags::PATH).map_err(Error::system("openat2", path))
}
