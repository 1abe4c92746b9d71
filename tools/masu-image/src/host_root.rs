//! The image called `host`: this machine's own root, read-only below, a tmpfs above. What is written vanishes.
//!
//! ```text
//! scratch/                 a tmpfs
//! ├── layers/NAME/{upper,work}
//! └── root/                the result
//! ```
//!
//! With the kernel's leave `root/` is one overlay of `/`. It refuses that to an ordinary user, because the
//! mounts below `/` are locked in a less privileged mount namespace ("failed to clone lowerpath"); then
//! `root/` is a directory of the tmpfs with one overlay for each top-level directory, and a read-only bind
//! where even that is refused. Both ways `/proc`, `/sys`, `/dev`, `/run` and `/tmp` are left for the
//! container's own mounts, and the homes of root and of other people and the shadow files are empty.
//!
//! [`mount_private`] mounts everything in a private mount namespace: nothing has to be taken down again, whatever ends the
//! process. [`mount`] does it where the caller is. No mount of it sends others anything, or is sent anything: a copy of
//! `/home` that were one with the original would be covered together with it.
//!
//! Absent on purpose: file systems mounted deeper than a top-level directory. Where one overlay of a directory
//! is possible they are not seen inside; only the read-only bind shows them.

pub use crate::identity::Homes;
use crate::layer::Marks;
use crate::mounts::{bind_read_only, create_dir, mount_tmpfs};
use crate::overlay::{self, Upper, is_refusal};
use crate::{Error, Result, namespace};
use rustix::fs::Access;
use rustix::io::Errno;
use std::fs::{File, FileType};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

/// Top-level directories that start empty, with their modes.
const EMPTY: [(&str, u32); 5] =
    [("proc", 0o555), ("sys", 0o555), ("dev", 0o755), ("run", 0o755), ("tmp", 0o1777)];

/// Those of them that `/` itself may have files in.
const COVERED: [&str; 2] = ["run", "tmp"];

/// Password hashes, below `/etc`.
const SHADOW: [&str; 5] = ["shadow", "shadow-", "gshadow", "gshadow-", "security/opasswd"];

/// A root filesystem made of this machine's own.
#[derive(Debug)]
pub struct HostRoot {
    /// The directory to run a container on.
    pub path: PathBuf,
    /// The directories that differ from what was promised.
    pub notes: Vec<Note>,
}

/// A directory that could not be overlaid: it is the host's own, read-only.
#[derive(Debug, PartialEq, Eq)]
pub struct Note {
    /// By its path inside.
    pub directory: PathBuf,
    /// Why overlayfs refused.
    pub errno: Errno,
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let errno = masu_sys::errno::name(self.errno);
        write!(f, "{} is read-only: the kernel refuses to overlay it ({errno})", self.directory.display())
    }
}

/// Moves the caller into a mount namespace of its own, with a user namespace where it needs one, and makes
/// there the `host` root below `scratch`, an existing directory that a tmpfs then covers. The caller must not have started
/// a thread (`unshare(CLONE_NEWUSER)` refuses it).
///
/// # Errors
///
/// [`Error::Namespace`] when the kernel refuses namespaces, [`Error::Mount`] and [`Error::File`] for what fails
/// in them. The caller is then left in the new namespaces and should exit.
pub fn mount_private(scratch: &Path) -> Result<HostRoot> {
    let homes = Homes::read()?;
    namespace::enter()?;
    mount(&homes, scratch)
}

/// The same where the caller is. `homes` were read before a user namespace was entered.
///
/// # Errors
///
/// [`Error::Mount`] and [`Error::File`]; what was mounted until then is below `scratch`.
pub fn mount(homes: &Homes, scratch: &Path) -> Result<HostRoot> {
    mount_tmpfs(scratch, 0o755)?;
    let builder = Builder {
        layers: scratch.join("layers"),
        root: scratch.join("root"),
        marks: if namespace::is_initial_user_namespace()? { Marks::Trusted } else { Marks::User },
        notes: Vec::new(),
    };
    create_dir(&builder.layers, 0o700)?;
    create_dir(&builder.root, 0o755)?;
    builder.build(homes)
}

struct Builder {
    layers: PathBuf,
    root: PathBuf,
    marks: Marks,
    notes: Vec<Note>,
}

impl Builder {
    fn build(mut self, homes: &Homes) -> Result<HostRoot> {
        let entries = read_top_level()?;
        if self.overlay_whole()? {
            self.cover_whole(&entries)?;
        } else {
            for entry in &entries {
                self.add_entry(entry)?;
            }
        }
        self.hide_homes(homes)?;
        Ok(HostRoot { path: self.root, notes: self.notes })
    }

    /// One overlay for all of `/`; false when the kernel refuses.
    fn overlay_whole(&self) -> Result<bool> {
        let lower = Path::new("/");
        let layer = Upper::create(&self.layers.join("whole"), lower)?;
        let etc = layer.upper.join("etc");
        create_dir(&etc, 0o755)?;
        hide_shadow_in(&etc)?;
        match overlay::mount(&[lower], Some(&layer), self.marks, &self.root) {
            Ok(()) => Ok(true),
            Err(errno) if is_refusal(errno) => Ok(false),
            Err(errno) => Err(Error::mount("overlay", &self.root)(errno)),
        }
    }

    /// What one overlay of `/` cannot show: top-level directories on file systems of their own. And what it
    /// must not show: the files of `/run` and `/tmp`, where `/` itself carries them.
    fn cover_whole(&mut self, entries: &[Entry]) -> Result<()> {
        let device = Path::new("/").metadata().map_err(Error::file("stat", Path::new("/")))?.dev();
        for entry in entries {
            let target = self.root.join(&entry.name);
            match empty_mode(&entry.name) {
                Some(mode) if COVERED.iter().any(|name| entry.name == *name) => mount_tmpfs(&target, mode)?,
                None if entry.kind.is_dir() && entry.device != device => {
                    self.overlay_or_bind(&entry.source(), &target)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn add_entry(&mut self, entry: &Entry) -> Result<()> {
        let (source, target) = (entry.source(), self.root.join(&entry.name));
        if entry.kind.is_symlink() {
            let to = source.read_link().map_err(Error::file("readlink", &source))?;
            return symlink(to, &target).map_err(Error::file("symlink", &target));
        }
        if let Some(mode) = empty_mode(&entry.name) {
            return create_dir(&target, mode);
        }
        if entry.kind.is_dir() {
            create_dir(&target, 0o755)?;
            // What the caller may not read, such as /lost+found, is there and empty.
            if rustix::fs::access(&source, Access::READ_OK | Access::EXEC_OK).is_ok() {
                self.overlay_or_bind(&source, &target)?;
            }
        } else if entry.kind.is_file() {
            create_empty_file(&target)?;
            bind_read_only(&source, &target).map_err(Error::mount("bind", &target))?;
        }
        Ok(())
    }

    fn overlay_or_bind(&mut self, source: &Path, target: &Path) -> Result<()> {
        let name = source.strip_prefix("/").unwrap_or(source).to_string_lossy().replace('/', "-");
        let layer = Upper::create(&self.layers.join(name), source)?;
        let is_etc = source == Path::new("/etc");
        if is_etc {
            hide_shadow_in(&layer.upper)?;
        }
        match overlay::mount(&[source], Some(&layer), self.marks, target) {
            Ok(()) => return Ok(()),
            Err(errno) if is_refusal(errno) => {
                self.notes.push(Note { directory: source.to_owned(), errno });
            }
            Err(errno) => return Err(Error::mount("overlay", target)(errno)),
        }
        bind_read_only(source, target).map_err(Error::mount("bind", target))?;
        if is_etc { self.hide_shadow_by_bind(target) } else { Ok(()) }
    }

    fn hide_shadow_by_bind(&self, etc: &Path) -> Result<()> {
        let empty = self.layers.join("empty");
        create_empty_file(&empty)?;
        for file in SHADOW.map(|name| etc.join(name)) {
            if file.exists() {
                bind_read_only(&empty, &file).map_err(Error::mount("bind", &file))?;
            }
        }
        Ok(())
    }

    /// Covers the homes, and puts the caller's own back where that covered it too.
    fn hide_homes(&mut self, homes: &Homes) -> Result<()> {
        let mut own_is_covered = false;
        for home in &homes.hidden {
            let target = self.inside(home);
            let is_real_directory = target.symlink_metadata().is_ok_and(|m| m.is_dir());
            // Some people share a directory with the caller, or live inside of theirs.
            if !is_real_directory || homes.own.as_ref().is_some_and(|own| home.starts_with(own)) {
                continue;
            }
            mount_tmpfs(&target, if home == Path::new("/home") { 0o755 } else { 0o700 })?;
            own_is_covered |= homes.own.as_ref().is_some_and(|own| own.starts_with(home));
        }
        match &homes.own {
            Some(own) if own_is_covered => {
                let target = self.inside(own);
                std::fs::create_dir_all(&target).map_err(Error::file("create", &target))?;
                self.overlay_or_bind(own, &target)
            }
            _ => Ok(()),
        }
    }

    fn inside(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }
}

/// Empty files in an overlay's upper directory hide those of the lower one; unlike a mount, nobody can take
/// them off again from inside.
fn hide_shadow_in(upper_etc: &Path) -> Result<()> {
    for name in SHADOW {
        let host = Path::new("/etc").join(name);
        if host.symlink_metadata().is_err() {
            continue;
        }
        let file = upper_etc.join(name);
        if let Some(parent) = file.parent().filter(|parent| !parent.exists()) {
            create_dir(parent, 0o755)?;
        }
        create_empty_file(&file)?;
    }
    Ok(())
}

fn create_empty_file(path: &Path) -> Result<()> {
    File::create_new(path).map(drop).map_err(Error::file("create", path))
}

struct Entry {
    name: std::ffi::OsString,
    kind: FileType,
    device: u64,
}

impl Entry {
    fn source(&self) -> PathBuf {
        Path::new("/").join(&self.name)
    }
}

fn read_top_level() -> Result<Vec<Entry>> {
    let root = Path::new("/");
    let mut entries = Vec::new();
    for entry in root.read_dir().map_err(Error::file("read", root))? {
        let name = entry.map_err(Error::file("read", root))?.file_name();
        let path = root.join(&name);
        // A mount point's own metadata: DirEntry's would be that of the directory below the mount.
        let metadata = path.symlink_metadata().map_err(Error::file("stat", &path))?;
        entries.push(Entry { name, kind: metadata.file_type(), device: metadata.dev() });
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

fn empty_mode(name: &std::ffi::OsStr) -> Option<u32> {
    EMPTY.iter().find(|(empty, _)| empty.as_bytes() == name.as_bytes()).map(|&(_, mode)| mode)
}
