//! Filters for system calls.

use crate::arch::{nr, number, result, syscall3};
use core::ffi::c_ushort;
use rustix::fd::{FromRawFd, OwnedFd};
use rustix::io::{Errno, Result};

const SECCOMP_SET_MODE_FILTER: usize = 1;
const SECCOMP_FILTER_FLAG_TSYNC: u32 = 1 << 0;
const SECCOMP_FILTER_FLAG_NEW_LISTENER: u32 = 1 << 3;

/// Size of `struct sock_filter`.
const INSTRUCTION: usize = 8;

/// `struct sock_fprog`.
#[repr(C)]
struct Program {
    length: c_ushort,
    instructions: *const u8,
}

/// `seccomp(SECCOMP_SET_MODE_FILTER, flags, &program)`—Filters the system calls of this thread from here on, and of what
/// it executes. `program` is `struct sock_filter[]` in the machine's byte order.
///
/// # Errors
///
/// `EACCES` without `CAP_SYS_ADMIN` or no_new_privs, `EINVAL` for a program or flags that the kernel does not take,
/// `ENOMEM`.
///
/// # References
///  - [Linux](https://man7.org/linux/man-pages/man2/seccomp.2.html)
pub fn set_filter(program: &[u8], flags: u32) -> Result<()> {
    // Whoever wants the listener owns it: here its descriptor would be lost.
    if flags & SECCOMP_FILTER_FLAG_NEW_LISTENER != 0 {
        return Err(Errno::INVAL);
    }
    load(program, flags).map(drop)
}

/// `seccomp(SECCOMP_SET_MODE_FILTER, flags | SECCOMP_FILTER_FLAG_NEW_LISTENER, &program)`—The same, for a program that
/// asks a listener about calls (Linux 5.0); the listener, seccomp_unotify(2), is close-on-exec.
///
/// `SECCOMP_FILTER_FLAG_TSYNC` is left out: the kernel takes it beside a listener only with another flag (Linux 5.7), and
/// here there is one thread.
///
/// # Errors
///
/// As [`set_filter`], and `EBUSY` when a filter of this process has a listener already.
///
/// # References
///  - [Linux](https://man7.org/linux/man-pages/man2/seccomp_unotify.2.html)
pub fn set_filter_with_listener(program: &[u8], flags: u32) -> Result<OwnedFd> {
    let flags = flags & !SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_NEW_LISTENER;
    let fd = number(load(program, flags)?)?;
    // SAFETY: from_raw_fd needs an open descriptor without another owner: with this flag a call that succeeds has just
    // made one for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn load(program: &[u8], flags: u32) -> Result<usize> {
    let (instructions, []) = program.as_chunks::<INSTRUCTION>() else { return Err(Errno::INVAL) };
    let length = c_ushort::try_from(instructions.len()).map_err(|_| Errno::INVAL)?;
    let program = Program { length, instructions: program.as_ptr() };
    let flags = usize::try_from(flags).map_err(|_| Errno::INVAL)?;
    // SAFETY: this operation reads one `sock_fprog` and as many instructions as it says, at any alignment: both are
    // borrowed for the call, and the length is that of the slice.
    result(unsafe { syscall3(nr::SECCOMP, SECCOMP_SET_MODE_FILTER, flags, &raw const program as usize) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_program_is_refused() {
        for program in [&[0; 7][..], &[], &[0xff; 8]] {
            assert_eq!(set_filter(program, 0), Err(Errno::INVAL), "{}", program.len());
            assert_eq!(set_filter_with_listener(program, 0).err(), Some(Errno::INVAL), "{}", program.len());
        }
    }
}
