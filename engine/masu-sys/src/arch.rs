//! The system call instruction and the calls' numbers, per architecture.

use rustix::io::{Errno, Result};

#[cfg(target_arch = "aarch64")]
pub(crate) use aarch64::syscall6;
#[cfg(target_arch = "riscv64")]
pub(crate) use riscv64::syscall6;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::syscall6;

/// What the kernel returned: a value, or an errno, which it encodes as -4095..=-1.
#[inline]
pub(crate) fn result(returned: isize) -> Result<usize> {
    match usize::try_from(returned) {
        Ok(value) => Ok(value),
        // Errno::from_raw_os_error asserts 1..=4095, which the kernel's ABI guarantees.
        Err(_) => Err(Errno::from_raw_os_error(i32::try_from(-returned).unwrap_or(Errno::IO.raw_os_error()))),
    }
}

/// A descriptor number that the kernel returned.
#[inline]
pub(crate) fn number(value: usize) -> Result<i32> {
    i32::try_from(value).map_err(|_| Errno::BADF)
}

/// `syscall(number, a, b, c)` with the other arguments zero, which is what prctl and keyctl ask of unused ones.
///
/// # Safety
/// As [`syscall6`].
#[inline]
pub(crate) unsafe fn syscall3(number: usize, a: usize, b: usize, c: usize) -> isize {
    // SAFETY: the caller's promise is the callee's requirement.
    unsafe { syscall6(number, a, b, c, 0, 0, 0) }
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    /// `syscall(number, a, b, c, d, e, f)`
    ///
    /// # Safety
    /// The kernel must not be asked to write to, unmap or share memory, or to close a descriptor, that safe
    /// code still owns or borrows; every pointer argument must be valid for what `number` does with it.
    #[inline]
    pub(crate) unsafe fn syscall6(
        number: usize,
        a: usize,
        b: usize,
        c: usize,
        d: usize,
        e: usize,
        f: usize,
    ) -> isize {
        let returned: isize;
        // SAFETY: `syscall` needs the number in rax and clobbers rcx and r11, all declared. Memory counts as
        // clobbered, since neither `nomem` nor `readonly` is given. The kernel restores the flags from r11.
        unsafe {
            core::arch::asm!("syscall",
                inlateout("rax") number => returned,
                in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, in("r9") f,
                lateout("rcx") _, lateout("r11") _,
                options(nostack, preserves_flags));
        }
        returned
    }
}

#[cfg(target_arch = "aarch64")]
mod aarch64 {
    /// `syscall(number, a, b, c, d, e, f)`
    ///
    /// # Safety
    /// The kernel must not be asked to write to, unmap or share memory, or to close a descriptor, that safe
    /// code still owns or borrows; every pointer argument must be valid for what `number` does with it.
    #[inline]
    pub(crate) unsafe fn syscall6(
        number: usize,
        a: usize,
        b: usize,
        c: usize,
        d: usize,
        e: usize,
        f: usize,
    ) -> isize {
        let returned: isize;
        // SAFETY: `svc 0` needs the number in x8 and returns in x0; the kernel preserves all other registers.
        unsafe {
            core::arch::asm!("svc 0",
                in("x8") number,
                inlateout("x0") a => returned,
                in("x1") b, in("x2") c, in("x3") d, in("x4") e, in("x5") f,
                options(nostack, preserves_flags));
        }
        returned
    }
}

#[cfg(target_arch = "riscv64")]
mod riscv64 {
    /// `syscall(number, a, b, c, d, e, f)`
    ///
    /// # Safety
    /// The kernel must not be asked to write to, unmap or share memory, or to close a descriptor, that safe
    /// code still owns or borrows; every pointer argument must be valid for what `number` does with it.
    #[inline]
    pub(crate) unsafe fn syscall6(
        number: usize,
        a: usize,
        b: usize,
        c: usize,
        d: usize,
        e: usize,
        f: usize,
    ) -> isize {
        let returned: isize;
        // SAFETY: `ecall` needs the number in a7 and returns in a0. Linux preserves all other registers but
        // the vector state, which the kernel may discard (Documentation/arch/riscv/vector.rst), so that the
        // vector registers are declared clobbered as a group through clobber_abi of the C ABI.
        unsafe {
            core::arch::asm!("ecall",
                in("a7") number,
                inlateout("a0") a => returned,
                in("a1") b, in("a2") c, in("a3") d, in("a4") e, in("a5") f,
                clobber_abi("C"),
                options(nostack));
        }
        returned
    }
}

/// System call numbers. Those from 424 on are the same everywhere.
pub(crate) mod nr {
    #[cfg(target_arch = "x86_64")]
    mod table {
        pub(crate) const RT_SIGACTION: usize = 13;
        pub(crate) const RT_SIGPROCMASK: usize = 14;
        pub(crate) const IOCTL: usize = 16;
        pub(crate) const SENDMSG: usize = 46;
        pub(crate) const RECVMSG: usize = 47;
        pub(crate) const EXECVE: usize = 59;
        pub(crate) const FCNTL: usize = 72;
        pub(crate) const GETCWD: usize = 79;
        pub(crate) const SETGROUPS: usize = 116;
        pub(crate) const PERSONALITY: usize = 135;
        pub(crate) const SCHED_SETAFFINITY: usize = 203;
        pub(crate) const EXIT_GROUP: usize = 231;
        pub(crate) const SET_MEMPOLICY: usize = 238;
        pub(crate) const KEYCTL: usize = 250;
        pub(crate) const IOPRIO_SET: usize = 251;
        pub(crate) const UNSHARE: usize = 272;
        pub(crate) const SIGNALFD4: usize = 289;
        pub(crate) const SCHED_SETATTR: usize = 314;
        pub(crate) const SECCOMP: usize = 317;
        pub(crate) const BPF: usize = 321;
        pub(crate) const EXECVEAT: usize = 322;
    }
    // Both use the kernel's generic table (include/uapi/asm-generic/unistd.h).
    #[cfg(any(target_arch = "aarch64", target_arch = "riscv64"))]
    mod table {
        pub(crate) const GETCWD: usize = 17;
        pub(crate) const FCNTL: usize = 25;
        pub(crate) const IOCTL: usize = 29;
        pub(crate) const IOPRIO_SET: usize = 30;
        pub(crate) const SIGNALFD4: usize = 74;
        pub(crate) const PERSONALITY: usize = 92;
        pub(crate) const EXIT_GROUP: usize = 94;
        pub(crate) const UNSHARE: usize = 97;
        pub(crate) const SCHED_SETAFFINITY: usize = 122;
        pub(crate) const RT_SIGACTION: usize = 134;
        pub(crate) const RT_SIGPROCMASK: usize = 135;
        pub(crate) const SETGROUPS: usize = 159;
        pub(crate) const SENDMSG: usize = 211;
        pub(crate) const RECVMSG: usize = 212;
        pub(crate) const KEYCTL: usize = 219;
        pub(crate) const EXECVE: usize = 221;
        pub(crate) const SET_MEMPOLICY: usize = 237;
        pub(crate) const SCHED_SETATTR: usize = 274;
        pub(crate) const SECCOMP: usize = 277;
        pub(crate) const BPF: usize = 280;
        pub(crate) const EXECVEAT: usize = 281;
    }
    pub(crate) use table::*;

    pub(crate) const PIDFD_SEND_SIGNAL: usize = 424;
    pub(crate) const CLONE3: usize = 435;
    pub(crate) const CLOSE_RANGE: usize = 436;
    pub(crate) const MOUNT_SETATTR: usize = 442;
    pub(crate) const STATMOUNT: usize = 457;
    pub(crate) const LISTMOUNT: usize = 458;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_what_the_kernel_returns_into_values_and_errnos() {
        let cases = [
            (0, Ok(0)),
            (7, Ok(7)),
            (isize::MAX, Ok(isize::MAX.cast_unsigned())),
            (-1, Err(Errno::PERM)),
            (-22, Err(Errno::INVAL)),
        ];
        for (returned, expected) in cases {
            assert_eq!(result(returned), expected, "{returned}");
        }
    }

    #[test]
    fn a_call_the_kernel_does_not_have_is_enosys() {
        // SAFETY: the kernel has no such call, so it reads no argument.
        let returned = unsafe { syscall6(9999, 0, 0, 0, 0, 0, 0) };
        assert_eq!(result(returned), Err(Errno::NOSYS));
    }
}
