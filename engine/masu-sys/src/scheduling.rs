//! Where and when a process runs, and where its memory comes from. All of it is inherited by fork(2) and kept by execve(2).

use crate::arch::{nr, result, syscall3};
use rustix::io::{Errno, Result};

/// What [`sched_setattr`] sets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SchedAttr {
    /// `SCHED_*`
    pub policy: u32,
    /// `SCHED_FLAG_*`
    pub flags: u64,
    /// For `SCHED_OTHER` and `SCHED_BATCH`.
    pub nice: i32,
    /// For `SCHED_FIFO` and `SCHED_RR`.
    pub priority: u32,
    /// For `SCHED_DEADLINE`, in nanoseconds, as the next two.
    pub runtime: u64,
    /// The time within which `runtime` is wanted.
    pub deadline: u64,
    /// The time after which it is wanted again.
    pub period: u64,
}

/// `struct sched_attr` of `<linux/sched/types.h>` in its version 1 (Linux 5.3, 56 bytes).
#[repr(C)]
struct RawSchedAttr {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
    util_min: u32,
    util_max: u32,
}

/// `sched_setattr(0, &attr, 0)`—Sets the scheduling policy of this thread.
///
/// # Errors
///
/// `EINVAL` for a policy, a flag or times that the kernel does not take; `EPERM` without CAP_SYS_NICE, for
/// `SCHED_DEADLINE` of a thread that may not run on all CPUs, and for a real-time policy in a version 1 cgroup without
/// real-time; `EBUSY` where the CPUs have no bandwidth left for `SCHED_DEADLINE`.
///
/// # References
///  - [Linux](https://man7.org/linux/man-pages/man2/sched_setattr.2.html)
pub fn sched_setattr(attr: &SchedAttr) -> Result<()> {
    const SIZE: u32 = 56;
    const { assert!(size_of::<RawSchedAttr>() == SIZE as usize) };
    let SchedAttr { policy, flags, nice, priority, runtime, deadline, period } = *attr;
    let attr = RawSchedAttr {
        size: SIZE,
        policy,
        flags,
        nice,
        priority,
        runtime,
        deadline,
        period,
        util_min: 0,
        util_max: 0,
    };
    // SAFETY: the call reads as many bytes as `size` says: the whole of a struct that lives through it.
    result(unsafe { syscall3(nr::SCHED_SETATTR, 0, &raw const attr as usize, 0) }).map(drop)
}

/// `sched_setaffinity(0, cpus.len(), cpus)`—Restricts this thread to some CPUs; those that its cpuset lacks are left out.
///
/// `cpus` has one bit for each, in whole words (`unsigned long`); what the kernel has no CPUs for is ignored.
///
/// # Errors
///
/// `EINVAL` when no CPU is left.
///
/// # References
///  - [Linux](https://man7.org/linux/man-pages/man2/sched_setaffinity.2.html)
pub fn sched_setaffinity(cpus: &[u8]) -> Result<()> {
    // SAFETY: the call reads `len` bytes at most, at any alignment; the slice is that long.
    result(unsafe { syscall3(nr::SCHED_SETAFFINITY, 0, cpus.len(), cpus.as_ptr() as usize) }).map(drop)
}

/// `ioprio_set(IOPRIO_WHO_PROCESS, 0, value)`—Sets the I/O priority of this thread: class and priority in one.
///
/// # Errors
///
/// `EPERM` for the real-time class without CAP_SYS_ADMIN and CAP_SYS_NICE, `EINVAL`.
///
/// # References
///  - [Linux](https://man7.org/linux/man-pages/man2/ioprio_set.2.html)
pub fn ioprio_set(value: u16) -> Result<()> {
    const IOPRIO_WHO_PROCESS: usize = 1;
    // SAFETY: ioprio_set takes no pointer.
    result(unsafe { syscall3(nr::IOPRIO_SET, IOPRIO_WHO_PROCESS, 0, value.into()) }).map(drop)
}

/// `set_mempolicy(mode, nodes, maxnode)`—Sets where the memory of this thread comes from.
///
/// `nodes` has one bit for each memory node, in whole words (`unsigned long`); it may be empty.
///
/// # Errors
///
/// `EINVAL` for a mode, flags or nodes that the kernel does not take, or when no node is left; `ENOSYS` in a kernel
/// without `CONFIG_NUMA`.
///
/// # References
///  - [Linux](https://man7.org/linux/man-pages/man2/set_mempolicy.2.html)
pub fn set_mempolicy(mode: u32, nodes: &[u8]) -> Result<()> {
    if !nodes.len().is_multiple_of(size_of::<usize>()) {
        return Err(Errno::INVAL);
    }
    let mode = usize::try_from(mode).map_err(|_| Errno::INVAL)?;
    // The kernel takes the number of bits for one less than what it is told.
    let bits = nodes.len() * 8 + 1;
    // SAFETY: the call reads `bits - 1` bits, rounded up to whole words, which the slice has.
    result(unsafe { syscall3(nr::SET_MEMPOLICY, mode, nodes.as_ptr() as usize, bits) }).map(drop)
}

/// `personality(domain)`—Sets the execution domain.
///
/// # References
///  - [Linux](https://man7.org/linux/man-pages/man2/personality.2.html)
pub fn personality(domain: u32) -> Result<()> {
    let domain = usize::try_from(domain).map_err(|_| Errno::INVAL)?;
    // SAFETY: personality takes no pointer. What it changes of the address space (READ_IMPLIES_EXEC, ADDR_NO_RANDOMIZE)
    // counts for mappings to come, and takes nothing from those there are.
    result(unsafe { syscall3(nr::PERSONALITY, domain, 0, 0) }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A thread of its own: what it sets ends with it.
    fn apart<T: Send>(test: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| scope.spawn(test).join()).expect("the test does not panic")
    }

    #[test]
    fn a_policy_is_read_back() {
        apart(|| {
            let batch = SchedAttr { policy: 3, nice: 5, ..SchedAttr::default() };
            assert_eq!(sched_setattr(&batch), Ok(()));
            let stat = std::fs::read_to_string("/proc/thread-self/stat").expect("stat");
            // Behind the command: the 41st field is the policy, the 19th the nice value, proc_pid_stat(5).
            let fields: Vec<_> = stat.rsplit_once(')').expect("a command").1.split_whitespace().collect();
            assert_eq!((fields[41 - 3], fields[19 - 3]), ("3", "5"));
            let odd = SchedAttr { policy: 77, ..SchedAttr::default() };
            assert_eq!(sched_setattr(&odd), Err(Errno::INVAL));
        });
    }

    #[test]
    fn cpus_are_restricted_and_given_back() {
        apart(|| {
            let allowed = || {
                let status = std::fs::read_to_string("/proc/thread-self/status").expect("status");
                let line = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
                line.expect("a list").trim().to_owned()
            };
            let before = allowed();
            assert_eq!(sched_setaffinity(&[1, 0, 0, 0, 0, 0, 0, 0]), Ok(()));
            assert_eq!(allowed(), "0");
            assert_eq!(sched_setaffinity(&[0xff; 1024]), Ok(()));
            assert_eq!(allowed(), before);
            assert_eq!(sched_setaffinity(&[0; 8]), Err(Errno::INVAL));
        });
    }

    #[test]
    fn what_the_kernel_refuses_is_an_errno() {
        apart(|| {
            // IOPRIO_CLASS_BE, and a class that is none.
            assert_eq!((ioprio_set(2 << 13 | 4), ioprio_set(7 << 13)), (Ok(()), Err(Errno::INVAL)));
            assert_eq!(set_mempolicy(0, &[1]), Err(Errno::INVAL));
            // MPOL_DEFAULT is there wherever there is CONFIG_NUMA.
            assert!(matches!(set_mempolicy(0, &[]), Ok(()) | Err(Errno::NOSYS)));
        });
    }
}
