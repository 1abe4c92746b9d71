//! Options of a mount: words to flags, see mount(8), mount(2) and mount_setattr(2).
use alloc::vec::Vec;

use bitflags::bitflags;

use crate::propagation::Propagation;
use crate::text::Str;

bitflags! {
    /// Attributes of one mount: `MOUNT_ATTR_*`. Access times are an [`Atime`], since they exclude each other.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct MountAttr: u64 {
        /// `MOUNT_ATTR_RDONLY`.
        const RDONLY = 0x1;
        /// `MOUNT_ATTR_NOSUID`.
        const NOSUID = 0x2;
        /// `MOUNT_ATTR_NODEV`.
        const NODEV = 0x4;
        /// `MOUNT_ATTR_NOEXEC`.
        const NOEXEC = 0x8;
        /// `MOUNT_ATTR_NODIRATIME`.
        const NODIRATIME = 0x80;
        /// `MOUNT_ATTR_NOSYMFOLLOW`, Linux 5.14.
        const NOSYMFOLLOW = 0x0020_0000;
    }

    /// Flags of the file system (the superblock): `MS_*` of mount(2). They do nothing to a bind mount.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct MountFlags: u32 {
        /// `MS_RDONLY`: set together with [`MountAttr::RDONLY`], as mount(2) does.
        const RDONLY = 1;
        /// `MS_SYNCHRONOUS`.
        const SYNCHRONOUS = 1 << 4;
        /// `MS_REMOUNT`: `remount` was asked for.
        const REMOUNT = 1 << 5;
        /// `MS_MANDLOCK`: nothing since Linux 5.15.
        const MANDLOCK = 1 << 6;
        /// `MS_DIRSYNC`.
        const DIRSYNC = 1 << 7;
        /// `MS_SILENT`.
        const SILENT = 1 << 15;
        /// `MS_I_VERSION`.
        const I_VERSION = 1 << 23;
        /// `MS_LAZYTIME`.
        const LAZYTIME = 1 << 25;
    }
}

/// When access times are written; the discriminants are the values within `MOUNT_ATTR__ATIME`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Atime {
    /// `MOUNT_ATTR_RELATIME`: the kernel's default.
    Relatime = 0x00,
    /// `MOUNT_ATTR_NOATIME`.
    Noatime = 0x10,
    /// `MOUNT_ATTR_STRICTATIME`.
    Strictatime = 0x20,
}

impl Atime {
    /// `MOUNT_ATTR__ATIME`: belongs into `attr_clr` whenever an access time mode is set.
    pub const MASK: u64 = 0x70;

    /// The value for `attr_set`.
    pub const fn attr(self) -> u64 {
        match self {
            Self::Relatime => 0x00,
            Self::Noatime => 0x10,
            Self::Strictatime => 0x20,
        }
    }
}

/// A change of attributes, as mount_setattr(2) wants it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttrChange {
    /// Attributes to set.
    pub set: MountAttr,
    /// Attributes to clear; never one that is in `set`.
    pub clear: MountAttr,
    /// The access time mode to set; `None` leaves it.
    pub atime: Option<Atime>,
}

impl AttrChange {
    /// True when nothing changes.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// `attr_set` of `struct mount_attr`.
    pub fn attr_set(&self) -> u64 {
        self.set.bits() | self.atime.map_or(0, Atime::attr)
    }

    /// `attr_clr` of `struct mount_attr`.
    pub fn attr_clr(&self) -> u64 {
        self.clear.bits() | self.atime.map_or(0, |_| Atime::MASK)
    }
}

/// Whether a mount is a bind mount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bind {
    /// A file system of its own.
    #[default]
    None,
    /// `bind`: the one mount at the source.
    Bind,
    /// `rbind`: with everything mounted below.
    Rbind,
}

/// The checked `options` of a mount.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MountOptions<'a> {
    /// Bind mount or file system.
    pub bind: Bind,
    /// The words about this mount alone: `ro`, `nosuid`, `noatime`, …
    pub attr: AttrChange,
    /// The words about this mount and all below it: `rro`, `rnosuid`, …
    pub recursive: AttrChange,
    /// The words about the file system: `ro`, `sync`, `lazytime`, …
    pub flags: MountFlags,
    /// Propagation, in the order given: each is applied after the mount is made.
    pub propagation: Vec<Propagation>,
    /// What the file system itself reads, `mode=755` and so on, in the order given. Empty for a bind mount.
    pub data: Vec<Str<'a>>,
    /// `tmpcopyup`: a new tmpfs starts with a copy of what the destination held.
    pub tmpcopyup: bool,
}
