//! Signals without handlers: blocked, read from a signalfd, and put back for the program that is executed.

use crate::arch::{nr, number, result, syscall6};
use core::ptr::null;
use rustix::fd::{BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::{Errno, Result};

const SIG_BLOCK: usize = 0;
const SIG_SETMASK: usize = 2;
const SIG_DFL: usize = 0;
const SIG_IGN: usize = 1;
const SIGKILL: i32 = 9;
const SIGSTOP: i32 = 19;
/// `_NSIG`: the last signal, `SIGRTMAX`.
const LAST: i32 = 64;
/// `SFD_NONBLOCK | SFD_CLOEXEC`, the numbers of `O_NONBLOCK` and `O_CLOEXEC`.
const SFD_FLAGS: usize = 0o4000 | 0o2_000_000;

/// A kernel `sigset_t`: signal `n` is bit `n - 1`.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Default)]
pub struct SignalSet(u64);

impl SignalSet {
    /// No signal.
    #[must_use]
    pub const fn empty() -> Self {
        Self(0)
    }

    /// Every signal, the real-time ones and those that cannot be blocked included.
    #[must_use]
    pub const fn all() -> Self {
        Self(u64::MAX)
    }

    /// This set and `signal`; a number that is no signal (1..=64) changes nothing.
    #[must_use]
    pub const fn add(self, signal: i32) -> Self {
        Self(self.0 | Self::bit(signal))
    }

    /// Whether `signal` is in the set.
    #[must_use]
    pub const fn contains(self, signal: i32) -> bool {
        self.0 & Self::bit(signal) != 0
    }

    const fn bit(signal: i32) -> u64 {
        if signal >= 1 && signal <= LAST { 1 << (signal - 1) } else { 0 }
    }
}

/// `rt_sigprocmask(SIG_BLOCK, set, &old, 8)`—Blocks the signals of `set` too, and returns the old mask.
///
/// # Errors
///
/// None that can happen with a valid call.
///
/// # References
///  - [Linux](https://man7.org/linux/man-pages/man2/sigprocmask.2.html)
pub fn block(set: SignalSet) -> Result<SignalSet> {
    change_mask(SIG_BLOCK, set)
}

/// `rt_sigprocmask(SIG_SETMASK, set, &old, 8)`—Replaces the mask, and returns the old one.
///
/// # Errors
///
/// None that can happen with a valid call.
///
/// # References
///  - [Linux](https://man7.org/linux/man-pages/man2/sigprocmask.2.html)
pub fn set_mask(set: SignalSet) -> Result<SignalSet> {
    change_mask(SIG_SETMASK, set)
}

fn change_mask(how: usize, set: SignalSet) -> Result<SignalSet> {
    let mut old = 0_u64;
    let (new, old_at) = ((&raw const set.0) as usize, (&raw mut old) as usize);
    // SAFETY: the call reads eight bytes from `new` and writes eight to `old`; both are a u64 that lives here.
    result(unsafe { syscall6(nr::RT_SIGPROCMASK, how, new, old_at, size_of::<u64>(), 0, 0) })?;
    Ok(SignalSet(old))
}

/// `struct sigaction` as the kernel has it, not as the C library does.
#[repr(C)]
struct RawSigaction {
    handler: usize,
    flags: usize,
    #[cfg(not(target_arch = "riscv64"))]
    restorer: usize,
    mask: u64,
}

/// `rt_sigaction(signal, &(struct sigaction){.sa_handler = SIG_IGN}, NULL, 8)`—Ignores a signal. Goes through
/// exec, so [`reset_dispositions`] comes before it in a child.
///
/// # Errors
///
/// `EINVAL` for SIGKILL, SIGSTOP and what is no signal.
///
/// # References
///  - [Linux](https://man7.org/linux/man-pages/man2/sigaction.2.html)
pub fn ignore(signal: i32) -> Result<()> {
    set_disposition(signal, SIG_IGN)
}

/// `rt_sigaction(n, &(struct sigaction){.sa_handler = SIG_DFL}, NULL, 8)` for every signal that allows it.
///
/// # Errors
///
/// None that can happen with a valid call.
///
/// # References
///  - [Linux](https://man7.org/linux/man-pages/man2/sigaction.2.html)
pub fn reset_dispositions() -> Result<()> {
    (1..=LAST)
        .filter(|&signal| signal != SIGKILL && signal != SIGSTOP)
        .try_for_each(|signal| set_disposition(signal, SIG_DFL))
}

/// `disposition` is SIG_DFL or SIG_IGN, never a handler.
fn set_disposition(signal: i32, disposition: usize) -> Result<()> {
    let signal = usize::try_from(signal).map_err(|_| Errno::INVAL)?;
    let action = RawSigaction {
        handler: disposition,
        flags: 0,
        #[cfg(not(target_arch = "riscv64"))]
        restorer: 0,
        mask: 0,
    };
    let (new, old) = ((&raw const action) as usize, null::<RawSigaction>() as usize);
    // SAFETY: the call reads a kernel sigaction from `new` and writes none, as `old` is NULL. The disposition is
    // not an address, so that no code of ours ever runs as a handler.
    result(unsafe { syscall6(nr::RT_SIGACTION, signal, new, old, size_of::<u64>(), 0, 0) }).map(drop)
}

/// `signalfd4(-1, set, 8, SFD_CLOEXEC | SFD_NONBLOCK)`—A descriptor that is readable while a signal of `set`
/// is pending. They must be blocked too, see [`block`].
///
/// # Errors
///
/// `EMFILE`, `ENFILE`, `ENOMEM`.
///
/// # References
///  - [Linux](https://man7.org/linux/man-pages/man2/signalfd.2.html)
pub fn signalfd(set: SignalSet) -> Result<OwnedFd> {
    let mask = (&raw const set.0) as usize;
    // SAFETY: signalfd4 reads eight bytes from `mask`, a u64 that lives here; -1 asks for a new descriptor.
    let fd = result(unsafe { syscall6(nr::SIGNALFD4, usize::MAX, mask, size_of::<u64>(), SFD_FLAGS, 0, 0) })?;
    let fd = number(fd)?;
    // SAFETY: from_raw_fd needs an open descriptor without another owner: the call has just made it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// What [`read_signalfd`] says of a signal: fields of `struct signalfd_siginfo`.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct SignalInfo {
    /// `ssi_signo`
    pub signal: i32,
    /// `ssi_code`: `SI_USER`, `CLD_EXITED`, …
    pub code: i32,
    /// `ssi_pid`: the sender, or the child for SIGCHLD; 0 when it is outside of our pid namespace.
    pub pid: i32,
    /// `ssi_uid`: the real uid of the sender.
    pub uid: u32,
    /// `ssi_status`: for SIGCHLD the exit status or signal.
    pub status: i32,
}

/// `read(signalfd, &info, sizeof(info))`—Takes one pending signal, or `None`.
///
/// # Errors
///
/// `EINVAL` when the descriptor is no signalfd, `EIO` when it gave less than one record.
///
/// # References
///  - [Linux](https://man7.org/linux/man-pages/man2/signalfd.2.html)
pub fn read_signalfd(fd: BorrowedFd<'_>) -> Result<Option<SignalInfo>> {
    let mut record = [0_u8; 128];
    match rustix::io::read(fd, &mut record) {
        Ok(128) => Ok(Some(parse_signalfd_siginfo(&record))),
        Ok(_) => Err(Errno::IO),
        Err(Errno::AGAIN) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// The offsets are those of `<linux/signalfd.h>`; the structure is the same on all architectures.
fn parse_signalfd_siginfo(record: &[u8; 128]) -> SignalInfo {
    let word = |offset| {
        let mut bytes = [0; 4];
        bytes.iter_mut().zip(record.iter().skip(offset)).for_each(|(to, from)| *to = *from);
        i32::from_ne_bytes(bytes)
    };
    SignalInfo {
        signal: word(0),
        code: word(8),
        pid: word(12),
        uid: word(16).cast_unsigned(),
        status: word(40),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_added() {
        let set = SignalSet::empty().add(1).add(15).add(64);
        let members: Vec<i32> = (-1..=66).filter(|&signal| set.contains(signal)).collect();
        assert_eq!(members, [1, 15, 64]);
    }

    #[test]
    fn numbers_that_are_no_signal_are_never_in_a_set() {
        for signal in [i32::MIN, -1, 0, 65, i32::MAX] {
            assert_eq!(SignalSet::empty().add(signal), SignalSet::empty(), "{signal}");
            assert!(!SignalSet::all().contains(signal), "{signal}");
        }
    }

    #[test]
    fn kill_and_stop_cannot_be_ignored() {
        for signal in [0, SIGKILL, SIGSTOP, 65, -1] {
            assert_eq!(ignore(signal), Err(Errno::INVAL), "{signal}");
        }
    }
}
