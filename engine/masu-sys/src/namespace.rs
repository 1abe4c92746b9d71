//! What a namespace's descriptor can be asked.

use crate::arch::{nr, number, result, syscall3};
use crate::process::CloneFlags;
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::{Errno, Result};

const NS_GET_USERNS: usize = 0xb701;
const NS_GET_NSTYPE: usize = 0xb703;

/// `ioctl(namespace, NS_GET_USERNS)`—The user namespace that owns a namespace; close-on-exec.
///
/// # Errors
///
/// `EPERM` when it is outside of the caller's own, `ENOTTY` when `namespace` is not one.
///
/// # References
///  - [Linux](https://man7.org/linux/man-pages/man2/NS_GET_USERNS.2const.html), Linux 4.9
pub fn ns_get_userns(namespace: BorrowedFd<'_>) -> Result<OwnedFd> {
    let namespace = namespace.as_raw_fd().cast_unsigned() as usize;
    // SAFETY: this request takes no argument; another kind of file that knew the number would have to be
    // no namespace, and 0xb7 is the kernel's range for namespaces alone.
    let owner = number(result(unsafe { syscall3(nr::IOCTL, namespace, NS_GET_USERNS, 0) })?)?;
    // SAFETY: from_raw_fd needs an open descriptor without another owner: the ioctl has just made it.
    Ok(unsafe { OwnedFd::from_raw_fd(owner) })
}

/// `ioctl(namespace, NS_GET_NSTYPE)`—The type of a namespace: one of the `NEW*` flags.
///
/// # Errors
///
/// `ENOTTY` when `namespace` is not one, `EINVAL` for a type that masu does not know.
///
/// # References
///  - [Linux](https://man7.org/linux/man-pages/man2/NS_GET_NSTYPE.2const.html), Linux 4.11
pub fn ns_get_nstype(namespace: BorrowedFd<'_>) -> Result<CloneFlags> {
    let namespace = namespace.as_raw_fd().cast_unsigned() as usize;
    // SAFETY: this request takes no argument and changes nothing.
    let kind = result(unsafe { syscall3(nr::IOCTL, namespace, NS_GET_NSTYPE, 0) })?;
    CloneFlags::from_bits(kind as u64).ok_or(Errno::INVAL)
}
