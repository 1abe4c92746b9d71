//! Processes: their creation as a fork with namespaces, their end, and their credentials.

use crate::arch::{nr, number, result, syscall3, syscall6};
use core::ffi::CStr;
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::{Errno, Result};
use rustix::process::{Gid, Pid, Uid};
use rustix::thread::ThreadNameSpaceType;

bitflags::bitflags! {
    /// `CLONE_*` for [`fork`], [`unshare`], [`setns`] and [`crate::namespace::ns_get_nstype`].
    ///
    /// Flags that share something between parent and child (`CLONE_VM`, `CLONE_FILES`, `CLONE_FS`, …) are
    /// absent on purpose: without them a fork is safe. `CLONE_PIDFD` and `CLONE_INTO_CGROUP` are set by
    /// [`fork`] itself.
    #[derive(Copy, Clone, Debug, PartialEq, Eq, Default)]
    pub struct CloneFlags: u64 {
        /// `CLONE_NEWTIME`: a time namespace, Linux 5.6. [`unshare`] gives it to children only.
        const NEWTIME = 0x80;
        /// `CLONE_PARENT`: the new process is a sibling, a child of our parent. For [`fork`] alone.
        const PARENT = 0x8000;
        /// `CLONE_NEWNS`: a mount namespace.
        const NEWNS = 0x2_0000;
        /// `CLONE_NEWCGROUP`: a cgroup namespace.
        const NEWCGROUP = 0x200_0000;
        /// `CLONE_NEWUTS`: host and domain name.
        const NEWUTS = 0x400_0000;
        /// `CLONE_NEWIPC`: System V objects and POSIX message queues.
        const NEWIPC = 0x800_0000;
        /// `CLONE_NEWUSER`: a user namespace.
        const NEWUSER = 0x1000_0000;
        /// `CLONE_NEWPID`: a pid namespace. [`unshare`] and [`setns`] give it to children only.
        const NEWPID = 0x2000_0000;
        /// `CLONE_NEWNET`: a network namespace.
        const NEWNET = 0x4000_0000;
    }
}

/// `CLONE_PIDFD`
const CLONE_PIDFD: u64 = 0x1000;
/// `CLONE_INTO_CGROUP`, Linux 5.7.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
/// The same number on every architecture that masu knows.
const SIGCHLD: u64 = 17;

/// What [`fork`] is asked for.
#[derive(Copy, Clone, Debug, Default)]
pub struct CloneArgs<'a> {
    /// New namespaces, and whether the new process is a sibling.
    pub flags: CloneFlags,
    /// A directory of the unified cgroup hierarchy that the child starts in (`CLONE_INTO_CGROUP`).
    pub cgroup: Option<BorrowedFd<'a>>,
}

/// Which of the two processes has returned from [`fork`].
#[derive(Debug)]
pub enum Forked {
    /// The caller.
    Parent {
        /// The new process, numbered in the caller's pid namespace.
        pid: Pid,
        /// The new process; close-on-exec.
        pidfd: OwnedFd,
    },
    /// The new process.
    Child,
}

/// `struct clone_args` of `<linux/sched.h>` in its version 2 (Linux 5.7, 88 bytes).
#[repr(C)]
#[derive(Default)]
struct RawCloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// `clone3(&(struct clone_args){.flags = flags | CLONE_PIDFD, .exit_signal = SIGCHLD}, sizeof(…))`—Creates a
/// process the way fork(2) does: with its own copy of memory and descriptors.
///
/// The exit signal is `SIGCHLD`; with [`CloneFlags::PARENT`] it is 0, since the kernel insists (EINVAL) that
/// a sibling inherits ours.
///
/// # In the child
///
/// The child goes on with the caller's one thread. In a program of one thread, such as the engine and its
/// init, it may do everything that the caller may, until it execs or calls [`exit_group`]. In a program
/// with more threads the child may only use this crate and rustix: any lock of the C library or of std, such as
/// the allocator's, may be held by a thread that the child does not have. The child owns a copy of every
/// descriptor, so that values of type `OwnedFd` that it drops close its own copy alone.
///
/// # Errors
///
/// `EAGAIN` and `ENOMEM` at limits of processes or `cgroup.pids.max`; `EPERM` without CAP_SYS_ADMIN for
/// namespaces; `ENOSPC` at `/proc/sys/user/max_*_namespaces`; `EBUSY`, `EACCES` and `EOPNOTSUPP` for
/// the cgroup; `EINVAL` for flags that exclude each other.
///
/// # References
///  - [Linux](https://man7.org/linux/man-pages/man2/clone.2.html), Linux 5.7 for `cgroup`
pub fn fork(args: &CloneArgs<'_>) -> Result<Forked> {
    let mut pidfd: i32 = -1;
    let mut raw = RawCloneArgs {
        flags: args.flags.bits() | CLONE_PIDFD,
        pidfd: (&raw mut pidfd) as u64,
        exit_signal: if args.flags.contains(CloneFlags::PARENT) { 0 } else { SIGCHLD },
        ..RawCloneArgs::default()
    };
    if let Some(cgroup) = args.cgroup {
        raw.flags |= CLONE_INTO_CGROUP;
        raw.cgroup = u64::from(cgroup.as_raw_fd().cast_unsigned());
    }
    // SAFETY: `raw` is a full clone_args that lives through the call, and its pidfd points to an i32 that the
    // kernel may write. CloneFlags cannot spell CLONE_VM, CLONE_SETTLS or a *_SETTID, and the stack is 0: the
    // child has its own copy of this stack and of everything that safe code refers to.
    let returned = unsafe { syscall3(nr::CLONE3, (&raw mut raw) as usize, size_of::<RawCloneArgs>(), 0) };
    let Some(pid) = Pid::from_raw(number(result(returned)?)?) else {
        return Ok(Forked::Child);
    };
    // SAFETY: from_raw_fd needs an open descriptor without another owner: with CLONE_PIDFD a successful
    // clone3 has just made this one for us.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Forked::Parent { pid, pidfd })
}

/// `exit_group(status)`—Ends the process with all its threads, without unwinding and without running anything.
///
/// # References
///  - [Linux](https://man7.org/linux/man-pages/man2/exit_group.2.html)
pub fn exit_group(status: i32) -> ! {
    loop {
        // SAFETY: exit_group takes no pointer; nothing of this process runs after it.
        let _never = unsafe { syscall3(nr::EXIT_GROUP, status.cast_unsigned() as usize, 0, 0) };
    }
}

/// `unshare(flags)`—Moves the calling thread into new namespaces.
///
/// # Errors
///
/// `EPERM` without CAP_SYS_ADMIN (or beside other threads, for a user namespace); `ENOSPC` at
/// `/proc/sys/user/max_*_namespaces`; `EINVAL` for [`CloneFlags::PARENT`].
///
/// # References
///  - [Linux](https://man7.org/linux/man-pages/man2/unshare.2.html)
pub fn unshare(flags: CloneFlags) -> Result<()> {
    if flags.contains(CloneFlags::PARENT) {
        return Err(Errno::INVAL);
    }
    let flags = usize::try_from(flags.bits()).map_err(|_| Errno::INVAL)?;
    // SAFETY: unshare takes no pointer. Its one danger is CLONE_FILES, after which a descriptor means
    // different things in different threads; CloneFlags cannot spell it.
    result(unsafe { syscall3(nr::UNSHARE, flags, 0, 0) }).map(drop)
}

/// `setns(fd, flags)`—Joins the namespace that `fd` is, or those of the process that the pidfd `fd` is.
///
/// The same call as rustix's two `move_into_*`, with the flags that [`fork`] and [`unshare`] take. For a
/// namespace's descriptor `flags` is its type, or empty for any; for a pidfd (Linux 5.8) it is the set to
/// join, all or nothing.
///
/// # Errors
///
/// `EINVAL` when the type differs, or for the own user namespace; `EPERM` without CAP_SYS_ADMIN in the
/// namespace; `EUSERS` and `ESRCH` as the manual page has them.
///
/// # References
///  - [Linux](https://man7.org/linux/man-pages/man2/setns.2.html)
pub fn setns(fd: BorrowedFd<'_>, flags: CloneFlags) -> Result<()> {
    let flags = u32::try_from(flags.bits()).map_err(|_| Errno::INVAL)?;
    rustix::thread::move_into_thread_name_spaces(fd, ThreadNameSpaceType::from_bits_retain(flags))
}

/// `setgroups(groups.len(), groups)`—Replaces the supplementary groups of the calling thread.
///
/// rustix's takes `&[Gid]`, which a program without an allocator cannot make of numbers it was handed.
///
/// # Errors
///
/// `EPERM` without CAP_SETGID or where `/proc/self/setgroups` says deny; `EINVAL` above 65536 groups or for one that
/// is not mapped.
///
/// # References
///  - [Linux](https://man7.org/linux/man-pages/man2/setgroups.2.html)
pub fn setgroups(groups: &[u32]) -> Result<()> {
    // SAFETY: setgroups reads `len` numbers of 32 bits from the pointer; the slice is exactly that.
    result(unsafe { syscall3(nr::SETGROUPS, groups.len(), groups.as_ptr() as usize, 0) }).map(drop)
}

/// `setresuid(real, effective, saved)`
///
/// # Errors
///
/// `EINVAL` for 4294967295, which to the kernel means "leave this one as it is": a container that asks for it
/// would stay root. Else `EPERM`, `EINVAL` for an id that is not mapped, and `EAGAIN` at RLIMIT_NPROC.
///
/// # References
///  - [Linux](https://man7.org/linux/man-pages/man2/setresuid.2.html)
pub fn setresuid(real: u32, effective: u32, saved: u32) -> Result<()> {
    if [real, effective, saved].contains(&u32::MAX) {
        return Err(Errno::INVAL);
    }
    rustix::thread::set_thread_res_uid(Uid::from_raw(real), Uid::from_raw(effective), Uid::from_raw(saved))
}

/// `setresgid(real, effective, saved)`
///
/// # Errors
///
/// `EINVAL` for 4294967295, as [`setresuid`]; else `EPERM`, and `EINVAL` for an id that is not mapped.
///
/// # References
///  - [Linux](https://man7.org/linux/man-pages/man2/setresgid.2.html)
pub fn setresgid(real: u32, effective: u32, saved: u32) -> Result<()> {
    if [real, effective, saved].contains(&u32::MAX) {
        return Err(Errno::INVAL);
    }
    rustix::thread::set_thread_res_gid(Gid::from_raw(real), Gid::from_raw(effective), Gid::from_raw(saved))
}

/// `getcwd(buffer, buffer.len())`—The working directory, as the kernel names it.
///
/// The raw call succeeds for a directory outside of the root, and then says `(unreachable)/…`: a path that
/// does not start with `/` is the proof of an escape (CVE-2024-21626).
///
/// # Errors
///
/// `ENOENT` for a removed directory, `ERANGE` when the buffer is too small.
///
/// # References
///  - [Linux](https://man7.org/linux/man-pages/man2/getcwd.2.html)
pub fn getcwd(buffer: &mut [u8]) -> Result<&CStr> {
    // SAFETY: getcwd writes at most `len` bytes to the pointer; the slice is ours, and that long.
    let length = result(unsafe { syscall3(nr::GETCWD, buffer.as_mut_ptr() as usize, buffer.len(), 0) })?;
    let path = buffer.get(..length).ok_or(Errno::IO)?;
    CStr::from_bytes_with_nul(path).map_err(|_| Errno::IO)
}

/// `syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0)`—Sends a signal of any number, 0 to ask for permission.
///
/// rustix's takes a `Signal`, which real-time signals can only become by unsafe code.
///
/// # Errors
///
/// `ESRCH` when the process has been reaped, `EPERM`, `EINVAL` for a number above 64.
///
/// # References
///  - [Linux](https://man7.org/linux/man-pages/man2/pidfd_send_signal.2.html)
pub fn pidfd_send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> Result<()> {
    let signal = usize::try_from(signal).map_err(|_| Errno::INVAL)?;
    let pidfd = pidfd.as_raw_fd().cast_unsigned() as usize;
    // SAFETY: the siginfo pointer is NULL, which the call allows, and there is no other pointer.
    result(unsafe { syscall6(nr::PIDFD_SEND_SIGNAL, pidfd, signal, 0, 0, 0, 0) }).map(drop)
}
