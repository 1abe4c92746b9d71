//! Descriptors by number: those that were handed to us across an exec, and ranges of them.

use crate::arch::{nr, result, syscall3};
use rustix::fd::{BorrowedFd, FromRawFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, FdFlags, Result};

/// `CLOSE_RANGE_CLOEXEC`, Linux 5.11.
const CLOSE_RANGE_CLOEXEC: usize = 4;
const F_GETFD: usize = 1;

/// `close_range(first, last, CLOSE_RANGE_CLOEXEC)`—Lets the numbers of `first..=last` close at the next exec.
///
/// Closing them at once is not offered: a value of type `OwnedFd` or `BorrowedFd` may own or borrow any of them, and would
/// then speak of a stranger.
///
/// # Errors
///
/// `EINVAL` when `first` is above `last`, or before Linux 5.11.
///
/// # References
///  - [Linux](https://man7.org/linux/man-pages/man2/close_range.2.html)
#[doc(alias = "close_range")]
pub fn set_cloexec_range(first: u32, last: u32) -> Result<()> {
    // SAFETY: with CLOSE_RANGE_CLOEXEC nothing is closed now, and the call takes no pointer.
    result(unsafe { syscall3(nr::CLOSE_RANGE, first as usize, last as usize, CLOSE_RANGE_CLOEXEC) }).map(drop)
}

/// `fcntl(number, F_GETFD)`—Whether the number is open.
///
/// # References
///  - [Linux](https://man7.org/linux/man-pages/man2/F_GETFD.2const.html)
#[must_use]
pub fn is_open(number: i32) -> bool {
    get_flags(number).is_ok()
}

/// Takes a descriptor whose number the process that executed us has passed on, and makes it close-on-exec.
///
/// # The contract
///
/// Ownership is adopted, so it must not be anybody else's. What makes this a safe function: a descriptor that came
/// through an exec does not have `FD_CLOEXEC`, or it would have been closed; everything that masu opens has it, and
/// so has a number that was adopted once. So a number that somebody in this process owns is refused,
/// provided that nobody clears the flag on a descriptor before all numbers are adopted. The three standard streams are always
/// borrowed ([`stdin`], [`stdout`], [`stderr`]) and cannot be adopted.
///
/// # Errors
///
/// `EBADF` when the number is not open, `EINVAL` for 0, 1 and 2, `EBUSY` for one that has an owner.
///
/// # References
///  - [Linux](https://man7.org/linux/man-pages/man2/F_GETFD.2const.html)
pub fn inherited(number: i32) -> Result<OwnedFd> {
    if (0..=2).contains(&number) {
        return Err(Errno::INVAL);
    }
    if get_flags(number)?.contains(FdFlags::CLOEXEC) {
        return Err(Errno::BUSY);
    }
    // SAFETY: from_raw_fd needs an open descriptor without another owner. It is open, and without
    // FD_CLOEXEC, so that it was open when this program began and was not adopted yet.
    let fd = unsafe { OwnedFd::from_raw_fd(number) };
    rustix::io::fcntl_setfd(&fd, FdFlags::CLOEXEC)?;
    Ok(fd)
}

/// The standard input. `_start` has made sure that it is open.
#[must_use]
pub fn stdin() -> BorrowedFd<'static> {
    // SAFETY: borrow_raw needs a descriptor that stays open: open_standard_streams has seen to that, and
    // 0, 1 and 2 have no owner who could close them, since `inherited` refuses them.
    unsafe { BorrowedFd::borrow_raw(0) }
}

/// The standard output. `_start` has made sure that it is open.
#[must_use]
pub fn stdout() -> BorrowedFd<'static> {
    // SAFETY: as for stdin.
    unsafe { BorrowedFd::borrow_raw(1) }
}

/// The standard error. `_start` has made sure that it is open.
#[must_use]
pub fn stderr() -> BorrowedFd<'static> {
    // SAFETY: as for stdin.
    unsafe { BorrowedFd::borrow_raw(2) }
}

/// Opens `/dev/null` for every number of 0, 1 and 2 that is closed. masu-start calls it before `main`: else the next file
/// that is opened would become a standard stream, and messages would be written into it.
///
/// # Errors
///
/// Those of open(2), when there is no `/dev/null`.
///
/// # References
///  - [Linux](https://man7.org/linux/man-pages/man2/open.2.html)
pub fn open_standard_streams() -> Result<()> {
    for number in 0..=2 {
        if !is_open(number) {
            // The kernel gives the lowest free number, and those below this one are open. As a standard
            // stream it must not have FD_CLOEXEC, and nothing may close it.
            let fd = rustix::fs::open(c"/dev/null", OFlags::RDWR, Mode::empty())?;
            core::mem::forget(fd);
        }
    }
    Ok(())
}

/// `fcntl(number, F_GETFD)`
fn get_flags(number: i32) -> Result<FdFlags> {
    let number = usize::try_from(number).map_err(|_| Errno::BADF)?;
    // SAFETY: F_GETFD takes no pointer and changes nothing; a number that is not open is EBADF.
    let flags = result(unsafe { syscall3(nr::FCNTL, number, F_GETFD, 0) })?;
    Ok(FdFlags::from_bits_retain(u32::try_from(flags).map_err(|_| Errno::BADF)?))
}
