//! Overlays: read-only layers below, a directory for what is written above.

use crate::layer::Marks;
use crate::mounts::{attach_new, create_dir};
use crate::{Error, Result};
use rustix::fs::{Mode, OFlags, open, statfs};
use rustix::io::Errno;
use rustix::mount::{
    FsOpenFlags, MountAttrFlags, MountFlags, fsconfig_set_flag, fsconfig_set_string, fsopen, mount as mount_2,
};
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

/// As many as overlayfs takes: `OVL_MAX_STACK` of its super.c.
pub const MAX_LAYERS: usize = 500;

/// The upper half of an overlay: a directory for what is written, one for the kernel's own work.
#[derive(Debug)]
pub struct Upper {
    /// What has been written.
    pub upper: PathBuf,
    /// On the same file system, and nobody's business but overlayfs'.
    pub work: PathBuf,
    /// Whether what was written need not be on the disk, ever: the mount option `volatile`, Linux 5.10. Otherwise fsync(2)
    /// and the unmounting wait for the disk, the latter for all that anybody has written there. It cannot be mounted a
    /// second time then.
    pub volatile: bool,
}

impl Upper {
    /// The one that was made below `base`.
    #[must_use]
    pub fn at(base: &Path) -> Self {
        Self { upper: base.join("upper"), work: base.join("work"), volatile: false }
    }

    /// Makes both, new, below a new directory `base`. The upper directory's mode and owner are what the merged root
    /// shows: `lower`'s.
    ///
    /// # Errors
    ///
    /// [`Error::File`].
    pub fn create(base: &Path, lower: &Path) -> Result<Self> {
        let this = Self::at(base);
        create_dir(base, 0o700)?;
        create_dir(&this.work, 0o700)?;
        let metadata = lower.metadata().map_err(Error::file("stat", lower))?;
        create_dir(&this.upper, metadata.mode() & 0o7777)?;
        match chown(&this.upper, Some(metadata.uid()), Some(metadata.gid())) {
            // An owner who has no id in this user namespace, as root has none in an ordinary user's.
            Err(error) if Errno::from_io_error(&error) == Some(Errno::INVAL) => {}
            other => other.map_err(Error::file("chown", &this.upper))?,
        }
        Ok(this)
    }
}

/// Mounts the directories `lower`, topmost first, with `upper` above, on `target`; read-only without it, and then
/// there have to be two of them at least. [`Marks::User`] is the mount option `userxattr` (Linux 5.11): a user namespace
/// has no `trusted.*`. Device nodes in it cannot be opened.
///
/// # Errors
///
/// What the kernel says. `EINVAL` has many reasons, more than [`MAX_LAYERS`] layers among them.
pub fn mount(lower: &[&Path], upper: Option<&Upper>, marks: Marks, target: &Path) -> rustix::io::Result<()> {
    let lower: Vec<OwnedFd> = lower.iter().map(|path| open_layer(path)).collect::<rustix::io::Result<_>>()?;
    let volatile = upper.is_some_and(|upper| upper.volatile);
    let upper = match upper {
        Some(upper) => Some((open_layer(&upper.upper)?, open_layer(&upper.work)?)),
        None => None,
    };
    let layers = Layers { lower: &lower, upper: upper.as_ref(), volatile, marks };
    match layers.mount_each(target) {
        // KERNEL(6.7): older ones do not know `lowerdir+`, and take all layers in one text.
        Err(Errno::INVAL) => layers.mount_all(target),
        other => other,
    }
}

fn open_layer(path: &Path) -> rustix::io::Result<OwnedFd> {
    open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// The name that overlayfs is told of a directory: fsconfig(2) takes 255 bytes, mount(2) a page for all of them, and
/// colons, commas and backslashes mean something in them.
fn name(layer: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", layer.as_raw_fd())
}

struct Layers<'a> {
    lower: &'a [OwnedFd],
    upper: Option<&'a (OwnedFd, OwnedFd)>,
    volatile: bool,
    marks: Marks,
}

impl Layers<'_> {
    fn mount_each(&self, target: &Path) -> rustix::io::Result<()> {
        let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
        let context = context.as_fd();
        for layer in self.lower {
            fsconfig_set_string(context, "lowerdir+", name(layer))?;
        }
        if let Some((upper, work)) = self.upper {
            fsconfig_set_string(context, "upperdir", name(upper))?;
            fsconfig_set_string(context, "workdir", name(work))?;
        }
        if self.volatile {
            fsconfig_set_flag(context, "volatile")?;
        }
        if self.marks == Marks::User {
            fsconfig_set_flag(context, "userxattr")?;
        }
        fsconfig_set_string(context, "source", "masu")?;
        attach_new(context, MountAttrFlags::MOUNT_ATTR_NODEV, target)
    }

    /// Up to some 220 layers: a page for the options.
    fn mount_all(&self, target: &Path) -> rustix::io::Result<()> {
        let names: Vec<String> = self.lower.iter().map(name).collect();
        let mut options = format!("lowerdir={}", names.join(":"));
        if let Some((upper, work)) = self.upper {
            options += &format!(",upperdir={},workdir={}", name(upper), name(work));
        }
        if self.volatile {
            options += ",volatile";
        }
        if self.marks == Marks::User {
            options += ",userxattr";
        }
        let options = CString::new(options).map_err(|_| Errno::INVAL)?;
        mount_2("masu", target, "overlay", MountFlags::NODEV, options.as_c_str())
    }
}

/// File systems that overlayfs writes to no directory of: another overlay, where no whiteout can be made either, and those
/// whose names may change behind the kernel's back, of networks and of programs (`ovl_dentry_remote` of its util.c). By the
/// numbers of linux/magic.h and their own headers.
const REFUSED: [(u64, &str); 9] = [
    (0x794c_7630, "overlay"),
    (0x6573_5546, "fuse"),
    (0x6969, "nfs"),
    (0x0102_1997, "9p"),
    (0xff53_4d42, "cifs"),
    (0xfe53_4d42, "smb3"),
    (0x00c3_6400, "ceph"),
    (0x5346_414f, "afs"),
    (0x7375_7245, "coda"),
];

/// The type of a directory's file system if overlayfs does not write to it: layers can only be copied there.
///
/// # Errors
///
/// [`Error::File`] when the directory is not there.
pub fn refuses(directory: &Path) -> Result<Option<&'static str>> {
    let status = statfs(directory).map_err(|errno| Error::file("statfs", directory)(errno.into()))?;
    let number = u64::try_from(status.f_type).unwrap_or_default();
    Ok(REFUSED.iter().find(|refused| refused.0 == number).map(|refused| refused.1))
}

/// Whether overlayfs refused this lower directory, in a way that another kind of mount may not:
/// "failed to clone lowerpath" (locked mounts below, `EINVAL`), a file system that cannot be a layer (`EINVAL`),
/// stacked too deep (`EINVAL`), or an overlayfs that is closed to user namespaces or absent.
pub(crate) fn is_refusal(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::INVAL | Errno::PERM | Errno::ACCESS | Errno::NODEV | Errno::LOOP | Errno::OPNOTSUPP
    )
}
