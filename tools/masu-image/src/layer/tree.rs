//! The directory that is being filled: where a path leads in it, and what its directories will get in the end.
//!
//! A path is opened from the root's descriptor by openat2(2), which follows no link; the directory that was opened
//! last is kept, since an archive's members mostly share it with their neighbours. Where that fails, the path is
//! walked name by name: a directory of the layers below is made here with the attributes it has there, and a symbolic
//! link leads to where it would inside the image, `..` and a leading slash ending at its root.
//!
//! A directory is the caller's own (0700) while it is filled, and gets its attributes at the end, children first: its
//! time would not last until then, and an ordinary user could not write to it.

use super::attributes::{self, Attributes, Object};
use super::error::{Error, Reason};
use super::ids::IdMap;
use super::lower::{self, Found, Lower, components_reversed, open_below};
use super::path;
use super::{Dirlinks, Limits, Options, Target};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, XattrFlags, mkdirat, readlinkat, statat};
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

/// As many as the kernel follows: path_resolution(7).
const MAX_LINKS: usize = 40;

/// For names and attributes of directories that wait for the end, in bytes. Of 100 000 directories it is a tenth.
const MAX_PENDING: usize = 128 << 20;

#[derive(Debug)]
pub(super) struct Tree<'a> {
    pub(super) root: BorrowedFd<'a>,
    /// Nothing when layers are merged in one directory.
    pub(super) lower: Lower<'a>,
    pub(super) ids: &'a IdMap,
    limits: &'a Limits,
    dirlinks: Dirlinks,
    last: Option<Rc<Parent>>,
    pending: BTreeMap<Vec<u8>, Pending>,
    pending_size: usize,
    /// Directories that hide what the layers below have in them.
    pub(super) opaque: BTreeSet<Vec<u8>>,
    /// Whether there is a whiteout on disk.
    pub(super) has_whiteouts: bool,
    /// What this layer has brought, when others were merged into the directory before.
    pub(super) made: Option<BTreeSet<Vec<u8>>>,
    /// What a snapshot has only because the layers below have it: directories on the way to a whiteout, and what hard
    /// links lead to. Whatever hides it takes it away.
    pub(super) copied: BTreeSet<Vec<u8>>,
    /// Directories made.
    directories: u64,
}

/// An open directory.
#[derive(Debug)]
pub(super) struct Parent {
    /// Its path as asked for.
    given: Vec<u8>,
    /// Its path without links.
    pub(super) path: Vec<u8>,
    /// Its place: `O_PATH`.
    pub(super) fd: OwnedFd,
}

/// What a directory gets in the end.
#[derive(Debug)]
struct Pending {
    attributes: Attributes,
    extent: Extent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// Everything; it is new.
    All,
    /// Everything, and what it has of other extended attributes goes.
    Replace,
    /// Its times alone: something in it has changed.
    Times,
}

/// What to do about a directory that is nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Absent {
    Make,
    Leave,
}

/// What a name in a directory is.
pub(super) enum Seen {
    Here(Stat),
    /// In the layers below, and visible.
    Below(Found),
    /// Nothing to be seen, but a whiteout here.
    Whiteout,
    Nothing,
}

impl<'a> Tree<'a> {
    pub(super) fn new(root: BorrowedFd<'a>, options: &'a Options<'a>) -> Result<Self, Error> {
        let (layers, marks, made) = match options.target {
            Target::Snapshot { lower, marks } => (lower, marks, None),
            Target::Merged => {
                let is_empty = lower::names(root).map_err(Error::system("read", b""))?.is_empty();
                (&[][..], super::Marks::User, (!is_empty).then(BTreeSet::new))
            }
        };
        let mut tree = Self {
            root,
            lower: Lower { layers, marks },
            ids: &options.ids,
            limits: &options.limits,
            dirlinks: options.dirlinks,
            last: None,
            pending: BTreeMap::new(),
            pending_size: 0,
            opaque: BTreeSet::new(),
            has_whiteouts: false,
            made,
            copied: BTreeSet::new(),
            directories: 0,
        };
        if let Target::Merged = options.target {
            let stat = statat(root, "", AtFlags::EMPTY_PATH).map_err(Error::system("stat", b""))?;
            tree.put_off(b"", Attributes::of_stat(&stat), Extent::Times)?;
        } else {
            // An overlay's root looks like that of the topmost layer, which may not have it as a member.
            let attributes = match tree.lower.find(b"")? {
                Some(found) => tree.lower.attributes(&found, b"")?,
                None => Attributes::of_implied_directory(tree.ids)?,
            };
            tree.put_off(b"", attributes, Extent::All)?;
        }
        Ok(tree)
    }

    /// Whether the root has layers beneath, in either way of keeping them.
    pub(super) fn is_upper(&self) -> bool {
        self.made.is_some() || !self.lower.layers.is_empty()
    }

    /// Opens the directory `given`; `None` when it is absent and to be left so.
    pub(super) fn parent(&mut self, given: &[u8], absent: Absent) -> Result<Option<Rc<Parent>>, Error> {
        let last = self.last.as_ref().filter(|last| last.given == given).map(Rc::clone);
        let parent = match last {
            Some(last) => last,
            None => match self.open_parent(given, absent)? {
                Some(parent) => parent,
                None => return Ok(None),
            },
        };
        if absent == Absent::Make {
            self.note_needed(&parent.path);
        }
        Ok(Some(parent))
    }

    fn open_parent(&mut self, given: &[u8], absent: Absent) -> Result<Option<Rc<Parent>>, Error> {
        let parent = match self.open(given) {
            Ok(fd) => Parent { given: given.to_vec(), path: given.to_vec(), fd },
            Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR) => match self.walk(given, absent)? {
                Some(path) => {
                    let fd = self.open(&path).map_err(Error::system("openat2", &path))?;
                    Parent { given: given.to_vec(), path, fd }
                }
                None => return Ok(None),
            },
            Err(errno) => return Err(Error::system("openat2", given)(errno)),
        };
        self.note_touched(&parent.path, &parent.fd)?;
        let parent = Rc::new(parent);
        self.last = Some(Rc::clone(&parent));
        Ok(Some(parent))
    }

    /// Opens `path`, which has no link in it.
    fn open(&self, path: &[u8]) -> rustix::io::Result<OwnedFd> {
        open_below(self.root, path, OFlags::PATH | OFlags::DIRECTORY)
    }

    /// A merged directory that was there keeps its times although something in it changes.
    fn note_touched(&mut self, path: &[u8], directory: &OwnedFd) -> Result<(), Error> {
        if self.made.is_some() && !self.pending.contains_key(path) {
            let stat = statat(directory, "", AtFlags::EMPTY_PATH).map_err(Error::system("stat", path))?;
            self.put_off(path, Attributes::of_stat(&stat), Extent::Times)?;
        }
        Ok(())
    }

    /// The layer has something in this directory, and with it the directory and those above.
    fn note_needed(&mut self, path: &[u8]) {
        for path in path::ancestors(path) {
            self.copied.remove(path);
            if self.made.as_mut().is_some_and(|made| !made.insert(path.to_vec())) {
                break;
            }
        }
    }

    /// Where `given` leads, with every directory on the way in place.
    fn walk(&mut self, given: &[u8], absent: Absent) -> Result<Option<Vec<u8>>, Error> {
        let mut path = Vec::new();
        let mut todo = components_reversed(given);
        let mut links = 0;
        while let Some(name) = todo.pop() {
            if name == b".." {
                lower::parent_of(&mut path);
                continue;
            }
            let child = path::join(&path, &name);
            path::check(&child)?;
            let directory = self.open(&path).map_err(Error::system("openat2", &path))?;
            let target = match self.look(&directory, &name, &child)? {
                Seen::Here(stat) => match lower::kind(&stat) {
                    FileType::Directory => None,
                    FileType::Symlink => Some(
                        readlinkat(&directory, &name, Vec::new())
                            .map_err(Error::system("readlinkat", &child))?
                            .into_bytes(),
                    ),
                    _ => return Err(Error::refused(&child, Reason::NotADirectory)),
                },
                Seen::Below(found) => match found.kind() {
                    FileType::Directory => {
                        let attributes = self.lower.attributes(&found, &child)?;
                        self.make_directory(&directory, &name, &child, attributes)?;
                        self.copied.insert(child.clone());
                        None
                    }
                    FileType::Symlink => Some(found.target().map_err(Error::system("readlinkat", &child))?),
                    _ => return Err(Error::refused(&child, Reason::NotADirectory)),
                },
                Seen::Nothing | Seen::Whiteout if absent == Absent::Leave => return Ok(None),
                seen @ (Seen::Nothing | Seen::Whiteout) => {
                    self.note_touched(&path, &directory)?;
                    self.note_needed(&path);
                    if matches!(seen, Seen::Whiteout) {
                        self.clear(directory.as_fd(), &name, &child)?;
                    }
                    let attributes = Attributes::of_implied_directory(self.ids)?;
                    self.make_directory(&directory, &name, &child, attributes)?;
                    None
                }
            };
            match target {
                None => path = child,
                Some(target) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Error::refused(given, Reason::TooManyLinks));
                    }
                    if target.starts_with(b"/") {
                        path.clear();
                    }
                    todo.extend(components_reversed(&target));
                }
            }
        }
        Ok(Some(path))
    }

    /// What is at `path`, which is `name` in `directory`, as the merged root would show it.
    pub(super) fn look(&self, directory: &OwnedFd, name: &[u8], path: &[u8]) -> Result<Seen, Error> {
        match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if !self.lower.layers.is_empty() && lower::is_whiteout(&stat) => Ok(Seen::Whiteout),
            Ok(stat) => Ok(Seen::Here(stat)),
            Err(Errno::NOENT) if path::ancestors(path).any(|above| self.opaque.contains(above)) => {
                Ok(Seen::Nothing)
            }
            Err(Errno::NOENT) => Ok(self.lower.find(path)?.map_or(Seen::Nothing, Seen::Below)),
            Err(errno) => Err(Error::system("stat", path)(errno)),
        }
    }

    /// Makes a directory, or takes the one that is there; `attributes` are for the end.
    pub(super) fn directory(
        &mut self,
        parent: &Parent,
        name: &[u8],
        attributes: Attributes,
    ) -> Result<(), Error> {
        let path = path::join(&parent.path, name);
        path::check(&path)?;
        match mkdirat(&parent.fd, name, Mode::RWXU) {
            Ok(()) => return self.made_directory(&path, attributes),
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(Error::system("mkdirat", &path)(errno)),
        }
        let stat =
            statat(&parent.fd, name, AtFlags::SYMLINK_NOFOLLOW).map_err(Error::system("stat", &path))?;
        if lower::kind(&stat) == FileType::Directory {
            let is_old = self.pending.get(&path).is_none_or(|pending| pending.extent != Extent::All);
            let extent = if is_old && self.made.is_some() { Extent::Replace } else { Extent::All };
            self.note_made(&path);
            return self.put_off(&path, attributes, extent);
        }
        if lower::kind(&stat) == FileType::Symlink && self.keeps_link(&path) {
            self.note_made(&path);
            return Ok(());
        }
        self.clear(parent.fd.as_fd(), name, &path)?;
        self.make_directory(&parent.fd, name, &path, attributes)
    }

    /// Whether a symbolic link is to stay: one that leads to a directory within the root.
    fn keeps_link(&mut self, path: &[u8]) -> bool {
        let is_kept = self.dirlinks == Dirlinks::Keep && self.made.is_some();
        is_kept && matches!(self.walk(path, Absent::Leave), Ok(Some(_)))
    }

    fn make_directory(
        &mut self,
        directory: &OwnedFd,
        name: &[u8],
        path: &[u8],
        attributes: Attributes,
    ) -> Result<(), Error> {
        mkdirat(directory, name, Mode::RWXU).map_err(Error::system("mkdirat", path))?;
        self.made_directory(path, attributes)
    }

    fn made_directory(&mut self, path: &[u8], attributes: Attributes) -> Result<(), Error> {
        self.directories += 1;
        if self.directories > self.limits.entries {
            return Err(Error::Limit { what: "directories", limit: self.limits.entries });
        }
        self.note_made(path);
        self.put_off(path, attributes, Extent::All)
    }

    pub(super) fn note_made(&mut self, path: &[u8]) {
        if let Some(made) = &mut self.made {
            made.insert(path.to_vec());
        }
        self.copied.remove(path);
    }

    /// The layer's own root is described by a member.
    pub(super) fn describe_root(&mut self, attributes: Attributes) -> Result<(), Error> {
        self.put_off(b"", attributes, Extent::Replace)
    }

    fn put_off(&mut self, path: &[u8], attributes: Attributes, extent: Extent) -> Result<(), Error> {
        self.pending_size += path.len() + attributes.size() + size_of::<Pending>();
        if self.pending_size > MAX_PENDING {
            return Err(Error::Limit {
                what: "bytes of directories' names and attributes",
                limit: MAX_PENDING as u64,
            });
        }
        self.pending.insert(path.to_vec(), Pending { attributes, extent });
        Ok(())
    }

    /// Takes `name` of `directory` away, whatever it is. A directory that follows there hides the layers below: this
    /// layer has said that something else is at its place.
    pub(super) fn clear(&mut self, directory: BorrowedFd<'_>, name: &[u8], path: &[u8]) -> Result<(), Error> {
        lower::remove(directory, name).map_err(Error::system("remove", path))?;
        // It may have been reached through what has gone.
        self.last = None;
        let below = path::range_below(path);
        self.pending.remove(path);
        self.pending.extract_if(below.clone(), |_, _| true).for_each(drop);
        for set in [&mut self.opaque, &mut self.copied].into_iter().chain(&mut self.made) {
            set.remove(path);
            set.extract_if(below.clone(), |_| true).for_each(drop);
        }
        if !self.lower.layers.is_empty() {
            self.opaque.insert(path.to_vec());
        }
        Ok(())
    }

    /// Gives all directories their attributes.
    pub(super) fn finish(&mut self, lost: &mut impl FnMut(&[u8], &[u8], Errno)) -> Result<(), Error> {
        for (path, pending) in std::mem::take(&mut self.pending).into_iter().rev() {
            let directory = open_below(self.root, &path, OFlags::RDONLY | OFlags::DIRECTORY)
                .map_err(Error::system("openat2", &path))?;
            let Pending { attributes, extent } = pending;
            if extent == Extent::Times {
                attributes::set_times(Object::Open(directory.as_fd()), &attributes)
                    .map_err(Error::system("utimensat", &path))?;
                continue;
            }
            if extent == Extent::Replace {
                remove_other_xattrs(&directory, &attributes).map_err(Error::system("removexattr", &path))?;
            }
            if self.opaque.contains(&path) {
                let mark = self.lower.marks.opaque();
                rustix::fs::fsetxattr(&directory, mark, b"y", XattrFlags::empty())
                    .map_err(Error::system("setxattr", &path))?;
            }
            attributes::set(Object::Open(directory.as_fd()), &attributes, &path, lost)?;
        }
        Ok(())
    }
}

fn remove_other_xattrs(directory: &OwnedFd, attributes: &Attributes) -> rustix::io::Result<()> {
    for (name, _) in attributes::xattrs(directory.as_fd())? {
        if name != b"security.selinux" && !attributes.xattrs.iter().any(|(given, _)| *given == name) {
            rustix::fs::fremovexattr(directory, name.as_slice())?;
        }
    }
    Ok(())
}
