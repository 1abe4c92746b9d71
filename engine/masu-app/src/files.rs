//! Files and streams, read and written whole.

use alloc::{vec, vec::Vec};

use rustix::{
    fd::AsFd,
    fs::{CWD, Mode, OFlags},
    io::{Errno, Result},
};

/// The largest file that is read, in bytes: a mistaken `--process /dev/zero` must end.
const SIZE_MAX: usize = 64 << 20;

/// Reads a file of the host.
pub(crate) fn read(path: &str) -> Result<Vec<u8>> {
    read_all(rustix::fs::openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
}

/// Reads to the end of the file, pipe or terminal.
///
/// # Errors
/// Those of read(2); `EFBIG` above 64 MiB.
pub(crate) fn read_all(file: impl AsFd) -> Result<Vec<u8>> {
    let mut bytes = vec![0; 8192];
    let mut used = 0;
    loop {
        match rustix::io::read(&file, bytes.get_mut(used..).unwrap_or_default()) {
            Err(Errno::INTR) => {}
            Ok(0) => break,
            outcome => used += outcome?,
        }
        if used > SIZE_MAX {
            return Err(Errno::FBIG);
        }
        if used == bytes.len() {
            bytes.resize(used * 2, 0);
        }
    }
    bytes.truncate(used);
    Ok(bytes)
}

/// Writes all of `bytes`.
pub(crate) fn write_all(file: impl AsFd, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(&file, bytes) {
            Err(Errno::INTR) => {}
            outcome => bytes = bytes.get(outcome?..).unwrap_or_default(),
        }
    }
    Ok(())
}
