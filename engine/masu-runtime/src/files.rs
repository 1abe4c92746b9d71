//! Small files, read and written whole.

use alloc::{string::String, vec, vec::Vec};
use core::ffi::CStr;

use rustix::{
    fd::{AsFd, BorrowedFd},
    fs::{CWD, Mode, OFlags, ResolveFlags},
    io::{Errno, Result},
};

/// The largest configuration or state that is read, in bytes.
const SIZE_MAX: usize = 64 << 20;

/// Reads a file of the host.
///
/// # Errors
/// Those of open(2) and read(2); `EFBIG` above 64 MiB.
pub fn read(path: &str) -> Result<Vec<u8>> {
    let file = rustix::fs::openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    read_all(&file)
}

/// Reads a file below a directory, without leaving it. Text that is no UTF-8 is EILSEQ.
pub(crate) fn read_below(directory: BorrowedFd<'_>, path: &CStr) -> Result<String> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let file =
        rustix::fs::openat2(directory, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty(), resolve)?;
    String::from_utf8(read_all(&file)?).map_err(|_| Errno::ILSEQ)
}

/// Reads an open file, pipe or terminal to its end.
///
/// # Errors
/// Those of read(2); `EFBIG` above 64 MiB.
pub fn read_all(file: impl AsFd) -> Result<Vec<u8>> {
    let size = usize::try_from(rustix::fs::fstat(&file)?.st_size).unwrap_or(0);
    // One byte more than it has, so that its end is seen without growing.
    let mut bytes = vec![0; size.clamp(2047, SIZE_MAX) + 1];
    let mut used = 0;
    loop {
        match rustix::io::read(&file, bytes.get_mut(used..).unwrap_or_default()) {
            Err(Errno::INTR) => {}
            Ok(0) => break,
            outcome => used += outcome?,
        }
        if used == bytes.len() {
            if used > SIZE_MAX {
                return Err(Errno::FBIG);
            }
            bytes.resize(used * 2, 0);
        }
    }
    bytes.truncate(used);
    Ok(bytes)
}

/// Writes all of `bytes`.
///
/// # Errors
/// Those of write(2).
pub fn write_all(file: impl AsFd, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(&file, bytes) {
            Err(Errno::INTR) => {}
            outcome => bytes = bytes.get(outcome?..).unwrap_or_default(),
        }
    }
    Ok(())
}

/// Puts a file in the place of `name` in a directory: whole or not at all, whenever the engine may end.
pub(crate) fn replace(directory: BorrowedFd<'_>, name: &str, bytes: &[u8], mode: u32) -> Result<()> {
    write_beside(directory, name, bytes, mode)?;
    put_in_place(directory, name)
}

/// The first half of [`replace`]: nobody reads it yet.
pub(crate) fn write_beside(directory: BorrowedFd<'_>, name: &str, bytes: &[u8], mode: u32) -> Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(directory, &*beside(name), flags, Mode::from_bits_truncate(mode))?;
    write_all(&file, bytes)
}

/// The other half.
pub(crate) fn put_in_place(directory: BorrowedFd<'_>, name: &str) -> Result<()> {
    rustix::fs::renameat(directory, &*beside(name), directory, name)
}

fn beside(name: &str) -> String {
    alloc::format!(".{name}")
}
