//! Tape archives, one entry at a time: ustar, pax, and GNU's long names and sparse files, read; ustar and pax written.
//!
//! Own code, since two readers that disagree about one archive are an attack: what one of them checks, the other
//! does not see (CVE-2025-62518, CVE-2026-33055). Where the formats leave a choice, the archive is refused rather
//! than guessed at; docs/decisions/0022-own-tar-reader.md has the list. Nothing here touches a file system.

mod fault;
mod header;
mod pax;
mod reader;
mod sparse;
mod writer;

pub use fault::Fault;
pub use reader::Reader;
pub use writer::Writer;

/// One member of an archive, with all extensions applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// As written: it may be absolute, or contain `..`.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// The permission bits, without the file's type.
    pub mode: u32,
    /// Owner. Never 4294967295, which means "leave it" to chown(2).
    pub uid: u32,
    /// Group; never 4294967295.
    pub gid: u32,
    /// Last modification.
    pub modified: Time,
    /// Last access, where the archive has it.
    pub accessed: Option<Time>,
    /// Extended attributes (`SCHILY.xattr.*`), name and value.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A file. Its content follows: what [`Reader::content`] gives.
    File {
        /// Its length on disk, in bytes.
        size: u64,
        /// Of a sparse file, the parts that the content consists of, in ascending order.
        extents: Option<Vec<Extent>>,
    },
    /// A second name of another member.
    Link(Vec<u8>),
    /// A symbolic link.
    Symlink(Vec<u8>),
    /// A directory.
    Directory,
    /// A device node.
    Device {
        /// A block device, not a character device.
        block: bool,
        /// Its number's first half.
        major: u32,
        /// Its second half.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
}

/// A part of a sparse file that has content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// From the file's beginning, in bytes.
    pub offset: u64,
    /// In bytes.
    pub length: u64,
}

/// A point in time, as the kernel has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Time {
    /// Since 1970, possibly before.
    pub seconds: i64,
    /// To be added, below 1 000 000 000.
    pub nanoseconds: u32,
}
