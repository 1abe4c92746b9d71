//! Device nodes and the symbolic links of `/dev`.

use core::ffi::CStr;

use masu_program::{FileKind, Part};
use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid},
    io::Errno,
    mount::OpenTreeFlags,
};

use crate::{
    failure::{At, Result, fail},
    filesystem::{attach, clone},
    path::{self, Above, IN_ROOT},
};

/// What a device node is, apart from its place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node {
    pub(crate) kind: FileKind,
    pub(crate) mode: u32,
    pub(crate) number: (u32, u32),
    pub(crate) owner: (u32, u32),
}

/// Binds the host's device at a path of the host, proven to be this one.
pub(crate) fn bind_path(
    root: BorrowedFd<'_>,
    above: &mut Above,
    path: &'static CStr,
    node: &Node,
    host: &CStr,
) -> Result<()> {
    let device = path::open_on_host(host, OFlags::PATH | OFlags::NOFOLLOW).at(Part::Open)?;
    check(&device, node)?;
    bind(root, above, path, clone(device.as_fd(), OpenTreeFlags::empty())?.as_fd())
}

/// Makes the node `path` below `root`.
pub(crate) fn make(root: BorrowedFd<'_>, above: &mut Above, path: &'static CStr, node: &Node) -> Result<()> {
    let (above, name) = above.open(root, path, IN_ROOT)?;
    let device = rustix::fs::makedev(node.number.0, node.number.1);
    let mode = Mode::from_bits_truncate(node.mode);
    let made = rustix::fs::mknodat(above, name, node.file_type(), mode, device);
    let file =
        rustix::fs::openat(above, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty());
    match made {
        // An image may bring the node along; then it has to be that very device.
        Err(Errno::EXIST) => return check(&file.at(Part::Open)?, node),
        outcome => outcome.at(Part::MakeNode)?,
    }
    let file = file.at(Part::Open)?;
    check(&file, node)?;
    let (uid, gid) = (Uid::from_raw(node.owner.0), Gid::from_raw(node.owner.1));
    if node.owner != (0, 0) {
        rustix::fs::chownat(&file, c"", Some(uid), Some(gid), AtFlags::EMPTY_PATH).at(Part::ChangeOwner)?;
    }
    Ok(())
}

/// Binds a clone of the host's device at `path` below `root`.
pub(crate) fn bind(
    root: BorrowedFd<'_>,
    above: &mut Above,
    path: &'static CStr,
    tree: BorrowedFd<'_>,
) -> Result<()> {
    let place = above.make_target(root, path, false, IN_ROOT)?;
    attach(tree, place.as_fd())
}

/// Proves that an open file is the device it should be.
fn check(file: &OwnedFd, node: &Node) -> Result<()> {
    let status = rustix::fs::fstat(file).at(Part::Stat)?;
    let device = rustix::fs::makedev(node.number.0, node.number.1);
    let same = FileType::from_raw_mode(status.st_mode) == node.file_type()
        && (node.kind == FileKind::Fifo || status.st_rdev == device);
    if same { Ok(()) } else { Err(fail(Part::WrongDevice, Errno::EXIST)) }
}

impl Node {
    fn file_type(&self) -> FileType {
        match self.kind {
            FileKind::Character => FileType::CharacterDevice,
            FileKind::Block => FileType::BlockDevice,
            FileKind::Fifo => FileType::Fifo,
        }
    }
}

/// Makes the symbolic link `path` below `root`.
pub(crate) fn make_symlink(
    root: BorrowedFd<'_>,
    above: &mut Above,
    target: &CStr,
    path: &'static CStr,
    replace: bool,
) -> Result<()> {
    let (above, name) = above.open(root, path, IN_ROOT)?;
    if replace {
        match rustix::fs::unlinkat(above, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(fail(Part::Unlink, errno)),
        }
    }
    match rustix::fs::symlinkat(target, above, name) {
        Err(Errno::EXIST) if !replace => Ok(()),
        outcome => outcome.at(Part::MakeSymlink),
    }
}
