//! The binary interfaces of a machine: what the kernel calls an architecture in `struct seccomp_data`, and how its
//! system calls are numbered.

use alloc::vec::Vec;

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
        match self.architecture {
            Architecture::X32 => x32_number(name, self.table),
            _ => self.table.number(name),
        }
    }

    /// The highest number that is known: what lies above it is newer than this program.
    pub(crate) fn newest(&self) -> u32 {
        match self.architecture {
            Architecture::X32 => X32_NEWEST | X32_BIT,
            _ => self.table.newest(),
        }
    }
}

/// The interfaces that a filter has rules for: the machine's own, and those of `wanted` that it has too.
pub(crate) fn of(machine: Architecture, wanted: &[Architecture]) -> Vec<Abi> {
    let siblings: &[Architecture] = match machine {
        Architecture::X86_64 => &[Architecture::X86_64, Architecture::X32, Architecture::X86],
        Architecture::Aarch64 => &[Architecture::Aarch64, Architecture::Arm],
        Architecture::RiscV64 => &[Architecture::RiscV64],
        Architecture::S390x => &[Architecture::S390x],
        Architecture::Ppc64Le => &[Architecture::Ppc64Le],
        _ => &[],
    };
    let counts = |architecture: &&Architecture| **architecture == machine || wanted.contains(architecture);
    siblings.iter().filter(counts).filter_map(|architecture| abi(*architecture)).collect()
}

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
        Architecture::S390x => (0x8000_0016, true, true, &names::S390X),
        #[cfg(feature = "foreign")]
        Architecture::Ppc64Le => (0xc000_0015, true, false, &names::PPC64),
        _ => return None,
    };
    Some(Abi { architecture, audit, wide, big_endian, table })
}

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

fn x32_number(name: &str, table: &Table) -> Option<u32> {
    if let Some((_, number)) = X32_OWN.iter().find(|(own, _)| *own == name) {
        return Some(number | X32_BIT);
    }
    let number = table.number(name).filter(|_| !NOT_X32.contains(&name))?;
    Some(number | X32_BIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_own_interface_always_counts() {
        let names = |wanted: &[Architecture]| -> Vec<_> {
            of(Architecture::X86_64, wanted).iter().map(|abi| abi.architecture).collect()
        };
        assert_eq!(names(&[]), [Architecture::X86_64]);
        assert_eq!(names(&[Architecture::X86, Architecture::Arm]), [Architecture::X86_64, Architecture::X86]);
    }

    #[test]
    fn x32_has_numbers_of_its_own() {
        let abis = of(Architecture::X86_64, &[Architecture::X32]);
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
