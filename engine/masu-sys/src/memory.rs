//! Memory that came through a descriptor.

use core::ptr::{null_mut, slice_from_raw_parts};
use core::sync::atomic::AtomicU64;
use rustix::fd::BorrowedFd;
use rustix::fs::SealFlags;
use rustix::io::{Errno, Result};
use rustix::mm::{MapFlags, ProtFlags};

/// `mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0)`—A sealed memfd as bytes, for the rest of the process.
///
/// A mapping of a file is sound as `&[u8]` only if nobody can change or cut the file: so it must have `F_SEAL_WRITE` and
/// `F_SEAL_SHRINK`, which cannot be taken back. The mapping is never undone.
///
/// # Errors
///
/// `EPERM` when a seal is missing, `EINVAL` for a file that cannot be sealed, `EFBIG` for one beyond the address
/// space, `ENOMEM`.
///
/// # References
///  - [Linux: mmap](https://man7.org/linux/man-pages/man2/mmap.2.html)
///  - [Linux: F_GET_SEALS](https://man7.org/linux/man-pages/man2/F_GET_SEALS.2const.html)
pub fn map_sealed(fd: BorrowedFd<'_>) -> Result<&'static [u8]> {
    if !rustix::fs::fcntl_get_seals(fd)?.contains(SealFlags::WRITE | SealFlags::SHRINK) {
        return Err(Errno::PERM);
    }
    // After the check of the seals: from there on the size can only grow.
    let size = usize::try_from(rustix::fs::fstat(fd)?.st_size).map_err(|_| Errno::FBIG)?;
    if size == 0 {
        return Ok(&[]);
    }
    // SAFETY: mmap needs that no existing mapping is replaced: the address is NULL, without MAP_FIXED.
    let base = unsafe { rustix::mm::mmap(null_mut(), size, ProtFlags::READ, MapFlags::PRIVATE, fd, 0) }?;
    // SAFETY: the reference needs `size` bytes that are initialised, readable, never change and stay: they are
    // those of a file which F_SEAL_WRITE and F_SEAL_SHRINK have fixed, and nothing unmaps them.
    Ok(unsafe { &*slice_from_raw_parts(base.cast_const().cast::<u8>(), size) })
}

/// `mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)`—A memfd as words that this process and others write,
/// for the rest of the process.
///
/// The file must have `F_SEAL_SHRINK`: pages that are cut off under a mapping would end its reader by SIGBUS.
///
/// # Errors
///
/// `EPERM` when the seal is missing, `EINVAL` for a file that cannot be sealed, `EFBIG` for one beyond the address
/// space, `ENOMEM`.
///
/// # References
///  - [Linux: mmap](https://man7.org/linux/man-pages/man2/mmap.2.html)
pub fn map_words(fd: BorrowedFd<'_>) -> Result<&'static [AtomicU64]> {
    if !rustix::fs::fcntl_get_seals(fd)?.contains(SealFlags::SHRINK) {
        return Err(Errno::PERM);
    }
    let size = usize::try_from(rustix::fs::fstat(fd)?.st_size).map_err(|_| Errno::FBIG)?;
    if size == 0 {
        return Ok(&[]);
    }
    let access = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: mmap needs that no existing mapping is replaced: the address is NULL, without MAP_FIXED.
    let base = unsafe { rustix::mm::mmap(null_mut(), size, access, MapFlags::SHARED, fd, 0) }?;
    let words = size / size_of::<AtomicU64>();
    // SAFETY: the reference needs `words` aligned words that are initialised and stay: a page is aligned for more, the
    // file has at least so many bytes, F_SEAL_SHRINK keeps them, and nothing unmaps them. Others may write them at
    // any time, which is what an atomic is for.
    Ok(unsafe { &*slice_from_raw_parts(base.cast_const().cast::<AtomicU64>(), words) })
}
