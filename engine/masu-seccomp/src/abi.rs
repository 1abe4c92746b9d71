//! The binary interfaces of a machine: what the kernel calls an architecture in `struct seccomp_data`, and how its
//! system calls are numbered.

use alloc::vec::Vec;
use core::ops::Range;

use masu_spec::Architecture;

use crate::names::{self, Table};

/// The architecture that this program is built for.
pub const NATIVE: Architecture = {
    #[cfg(target_arch = "x86_64")]
    {
        Architecture::X86_64
    }
    #[cfg(target_arch = "aarch64")]
    {
        Architecture::Aarch64
    }
    #[cfg(target_arch = "riscv64")]
    {
        Architecture::RiscV64
    }
};

/// `__X32_SYSCALL_BIT`: what tells a call of x32 from one of x86_64.
pub(crate) const X32_BIT: u32 = 0x4000_0000;

/// One binary interface.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Abi {
    pub(crate) architecture: Architecture,
    /// `AUDIT_ARCH_…`, `<linux/audit.h>`.
    pub(crate) audit: u32,
    /// Whether arguments have 64 bits.
    pub(crate) wide: bool,
    /// Whether the upper half of an argument comes first in memory.
    pub(crate) big_endian: bool,
    pub(crate) table: &'static Table,
}

impl Abi {
    /// The number of a system call.
    pub(crate) fn number(&self, name: &str) -> Option<u32> {
        let is_x32 = self.architecture == Architecture::X32;
        let own = self.own().iter().find(|(own, _)| *own == name).map(|(_, number)| *number);
        let number =
            own.or_else(|| self.table.number(name).filter(|_| !is_x32 || !NOT_X32.contains(&name)))?;
        Some(number | self.first())
    }

    /// Where its numbers begin.
    pub(crate) fn first(&self) -> u32 {
        if self.architecture == Architecture::X32 { X32_BIT } else { 0 }
    }

    /// The numbers that are known, from the lowest on; what lies between and above is newer than this program. The
    /// second range may be empty.
    pub(crate) fn known(&self) -> [Range<u32>; 2] {
        let first = self.first();
        match self.architecture {
            Architecture::X32 => [first..(first | X32_NEWEST) + 1, 0..0],
            Architecture::Arm => [first..self.table.newest() + 1, ARM_PRIVATE],
            _ => [first..self.table.newest() + 1, 0..0],
        }
    }

    /// Calls whose numbers are not those of the table.
    fn own(&self) -> &'static [(&'static str, u32)] {
        match self.architecture {
            Architecture::X32 => &X32_OWN,
            Architecture::Arm => &ARM_OWN,
            Architecture::Mips64 | Architecture::MipsEl64 => &MIPS64_OWN,
            _ => &[],
        }
    }
}

/// The interfaces that a filter has rules for: the machine's own, and those of `wanted` that it has too.
///
/// # Errors
/// The first of them whose numbers are not known.
pub(crate) fn of(machine: Architecture, wanted: &[Architecture]) -> Result<Vec<Abi>, Architecture> {
    let counts = |architecture: &&Architecture| **architecture == machine || wanted.contains(architecture);
    let all = siblings(machine).iter().filter(counts);
    all.map(|architecture| abi(*architecture).ok_or(*architecture)).collect()
}

/// The interfaces that a machine's kernel may have.
fn siblings(machine: Architecture) -> &'static [Architecture] {
    use Architecture as A;
    match machine {
        A::Aarch64 => &[A::Aarch64, A::Arm],
        A::Arm => &[A::Arm],
        A::LoongArch64 => &[A::LoongArch64],
        A::M68k => &[A::M68k],
        A::Mips => &[A::Mips],
        A::Mips64 | A::Mips64N32 => &[A::Mips64, A::Mips, A::Mips64N32],
        A::MipsEl => &[A::MipsEl],
        A::MipsEl64 | A::MipsEl64N32 => &[A::MipsEl64, A::MipsEl, A::MipsEl64N32],
        A::PaRisc => &[A::PaRisc],
        A::PaRisc64 => &[A::PaRisc64, A::PaRisc],
        A::Ppc => &[A::Ppc],
        A::Ppc64 => &[A::Ppc64, A::Ppc],
        A::Ppc64Le => &[A::Ppc64Le],
        A::RiscV64 => &[A::RiscV64],
        A::S390 => &[A::S390],
        A::S390x => &[A::S390x, A::S390],
        A::SuperH => &[A::SuperH],
        A::SuperHBig => &[A::SuperHBig],
        A::X86 => &[A::X86],
        A::X32 | A::X86_64 => &[A::X86_64, A::X32, A::X86],
    }
}

/// `None` for one whose numbers the crate `syscalls` has not: n32 of mips, s390 of 31 bits, parisc, m68k and sh.
fn abi(architecture: Architecture) -> Option<Abi> {
    let (audit, wide, big_endian, table) = match architecture {
        #[cfg(any(target_arch = "x86_64", feature = "foreign"))]
        Architecture::X86_64 | Architecture::X32 => (0xc000_003e, true, false, &names::X86_64),
        #[cfg(any(target_arch = "x86_64", feature = "foreign"))]
        Architecture::X86 => (0x4000_0003, false, false, &names::X86),
        #[cfg(any(target_arch = "aarch64", feature = "foreign"))]
        Architecture::Aarch64 => (0xc000_00b7, true, false, &names::AARCH64),
        #[cfg(any(target_arch = "aarch64", feature = "foreign"))]
        Architecture::Arm => (0x4000_0028, false, false, &names::ARM),
        #[cfg(any(target_arch = "riscv64", feature = "foreign"))]
        Architecture::RiscV64 => (0xc000_00f3, true, false, &names::RISCV64),
        #[cfg(feature = "foreign")]
        Architecture::LoongArch64 => (0xc000_0102, true, false, &names::LOONGARCH64),
        #[cfg(feature = "foreign")]
        Architecture::Mips => (0x0000_0008, false, true, &names::MIPS),
        #[cfg(feature = "foreign")]
        Architecture::MipsEl => (0x4000_0008, false, false, &names::MIPS),
        #[cfg(feature = "foreign")]
        Architecture::Mips64 => (0x8000_0008, true, true, &names::MIPS64),
        #[cfg(feature = "foreign")]
        Architecture::MipsEl64 => (0xc000_0008, true, false, &names::MIPS64),
        #[cfg(feature = "foreign")]
        Architecture::Ppc => (0x0000_0014, false, true, &names::PPC),
        #[cfg(feature = "foreign")]
        Architecture::Ppc64 => (0x8000_0015, true, true, &names::PPC64),
        #[cfg(feature = "foreign")]
        Architecture::Ppc64Le => (0xc000_0015, true, false, &names::PPC64),
        #[cfg(feature = "foreign")]
        Architecture::S390x => (0x8000_0016, true, true, &names::S390X),
        _ => return None,
    };
    Some(Abi { architecture, audit, wide, big_endian, table })
}

/// `__ARM_NR_BASE` and what follows: calls that arm has outside of its table. A program of arm makes `set_tls` before
/// its main function.
const ARM_OWN: [(&str, u32); 6] = [
    ("breakpoint", 0xf_0001),
    ("cacheflush", 0xf_0002),
    ("usr26", 0xf_0003),
    ("usr32", 0xf_0004),
    ("set_tls", 0xf_0005),
    ("get_tls", 0xf_0006),
];

/// Their numbers.
const ARM_PRIVATE: Range<u32> = 0xf_0001..0xf_0007;

/// What the crate's table of mips64 lacks.
const MIPS64_OWN: [(&str, u32); 1] = [("set_mempolicy_home_node", 5450)];

/// Calls that x32 has under a number of its own: their arguments hold pointers in memory, `syscall_64.tbl`.
const X32_OWN: [(&str, u32); 36] = [
    ("rt_sigaction", 512),
    ("rt_sigreturn", 513),
    ("ioctl", 514),
    ("readv", 515),
    ("writev", 516),
    ("recvfrom", 517),
    ("sendmsg", 518),
    ("recvmsg", 519),
    ("execve", 520),
    ("ptrace", 521),
    ("rt_sigpending", 522),
    ("rt_sigtimedwait", 523),
    ("rt_sigqueueinfo", 524),
    ("sigaltstack", 525),
    ("timer_create", 526),
    ("mq_notify", 527),
    ("kexec_load", 528),
    ("waitid", 529),
    ("set_robust_list", 530),
    ("get_robust_list", 531),
    ("vmsplice", 532),
    ("move_pages", 533),
    ("preadv", 534),
    ("pwritev", 535),
    ("rt_tgsigqueueinfo", 536),
    ("recvmmsg", 537),
    ("sendmmsg", 538),
    ("process_vm_readv", 539),
    ("process_vm_writev", 540),
    ("setsockopt", 541),
    ("getsockopt", 542),
    ("io_setup", 543),
    ("io_submit", 544),
    ("execveat", 545),
    ("preadv2", 546),
    ("pwritev2", 547),
];

/// The last of these.
const X32_NEWEST: u32 = 547;

/// Calls that x86_64 has alone, `syscall_64.tbl`, ABI "64".
const NOT_X32: [&str; 12] = [
    "_sysctl",
    "create_module",
    "epoll_ctl_old",
    "epoll_wait_old",
    "get_kernel_syms",
    "get_thread_area",
    "nfsservctl",
    "query_module",
    "set_thread_area",
    "uselib",
    "uretprobe",
    "vserver",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_own_interface_always_counts() {
        let names = |wanted: &[Architecture]| -> Vec<_> {
            of(Architecture::X86_64, wanted).expect("known").iter().map(|abi| abi.architecture).collect()
        };
        assert_eq!(names(&[]), [Architecture::X86_64]);
        assert_eq!(names(&[Architecture::X86, Architecture::Arm]), [Architecture::X86_64, Architecture::X86]);
    }

    #[test]
    fn x32_has_numbers_of_its_own() {
        let abis = of(Architecture::X86_64, &[Architecture::X32]).expect("known");
        let x32 = abis.iter().find(|abi| abi.architecture == Architecture::X32).expect("x32");
        let table = [
            ("read", Some(0x4000_0000)),
            ("execve", Some(0x4000_0208)),
            ("openat2", Some(0x4000_01b5)),
            ("uselib", None),
            ("socketcall", None),
        ];
        for (name, number) in table {
            assert_eq!(x32.number(name), number, "{name}");
        }
    }
}
