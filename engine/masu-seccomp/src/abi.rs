//! The binary interfaces of a machine: what the kernel calls an architecture in `struct seccomp_data`, and how its
//! system calls are numbered.

use alloc::vec::Vec;
use core::ops::Range;

use masu_spec::Architecture;

use crate::names::{self, Name, Table};

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
    /// What the table's numbers are here, or [`NONE`], if not the same.
    renumbered: Option<&'static [u16]>,
}

/// No number.
const NONE: u16 = u16::MAX;

impl Abi {
    /// The number of a system call.
    pub(crate) fn number(&self, name: &Name<'_>) -> Option<u32> {
        let own = || self.own().iter().find(|(own, _)| *own == name.text).map(|(_, number)| *number);
        let number = self.table.number(name).or_else(own)?;
        let Some(numbers) = self.renumbered else { return Some(number) };
        let number = numbers.get(usize::try_from(number).ok()?).filter(|number| **number != NONE)?;
        Some(u32::from(*number) | self.first())
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
    #[cfg(any(target_arch = "x86_64", feature = "foreign"))]
    if architecture == Architecture::X32 {
        return Some(Abi { architecture, renumbered: Some(&x32::NUMBERS), ..abi(Architecture::X86_64)? });
    }
    let (audit, wide, big_endian, table) = match architecture {
        #[cfg(any(target_arch = "x86_64", feature = "foreign"))]
        Architecture::X86_64 => (0xc000_003e, true, false, &names::X86_64),
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
    Some(Abi { architecture, audit, wide, big_endian, table, renumbered: None })
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

/// `X32_BIT | 547` is the last call of x32.
const X32_NEWEST: u32 = 547;

/// The calls of x32: those of x86_64, but for a few.
#[cfg(any(target_arch = "x86_64", feature = "foreign"))]
mod x32 {
    use syscalls::x86_64::Sysno;

    use super::NONE;

    /// Calls that x32 has under a number of its own: their arguments hold pointers in memory, `syscall_64.tbl`.
    const OWN: [(Sysno, u16); 36] = [
        (Sysno::rt_sigaction, 512),
        (Sysno::rt_sigreturn, 513),
        (Sysno::ioctl, 514),
        (Sysno::readv, 515),
        (Sysno::writev, 516),
        (Sysno::recvfrom, 517),
        (Sysno::sendmsg, 518),
        (Sysno::recvmsg, 519),
        (Sysno::execve, 520),
        (Sysno::ptrace, 521),
        (Sysno::rt_sigpending, 522),
        (Sysno::rt_sigtimedwait, 523),
        (Sysno::rt_sigqueueinfo, 524),
        (Sysno::sigaltstack, 525),
        (Sysno::timer_create, 526),
        (Sysno::mq_notify, 527),
        (Sysno::kexec_load, 528),
        (Sysno::waitid, 529),
        (Sysno::set_robust_list, 530),
        (Sysno::get_robust_list, 531),
        (Sysno::vmsplice, 532),
        (Sysno::move_pages, 533),
        (Sysno::preadv, 534),
        (Sysno::pwritev, 535),
        (Sysno::rt_tgsigqueueinfo, 536),
        (Sysno::recvmmsg, 537),
        (Sysno::sendmmsg, 538),
        (Sysno::process_vm_readv, 539),
        (Sysno::process_vm_writev, 540),
        (Sysno::setsockopt, 541),
        (Sysno::getsockopt, 542),
        (Sysno::io_setup, 543),
        (Sysno::io_submit, 544),
        (Sysno::execveat, 545),
        (Sysno::preadv2, 546),
        (Sysno::pwritev2, 547),
    ];

    /// Calls that x86_64 has alone, `syscall_64.tbl`, ABI "64".
    const MISSING: [Sysno; 12] = [
        Sysno::_sysctl,
        Sysno::create_module,
        Sysno::epoll_ctl_old,
        Sysno::epoll_wait_old,
        Sysno::get_kernel_syms,
        Sysno::get_thread_area,
        Sysno::nfsservctl,
        Sysno::query_module,
        Sysno::set_thread_area,
        Sysno::uselib,
        Sysno::uretprobe,
        Sysno::vserver,
    ];

    /// The numbers of x86_64 that are looked at: no call of it has a higher one.
    const SPAN: usize = 512;

    /// What the numbers of x86_64 are on x32.
    #[expect(
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        reason = "evaluated while compiling, where a panic is an error"
    )]
    pub(super) static NUMBERS: [u16; SPAN] = {
        let (mut numbers, mut i) = ([NONE; SPAN], 0);
        while i < SPAN {
            numbers[i] = i as u16;
            i += 1;
        }
        i = 0;
        while i < OWN.len() {
            numbers[OWN[i].0 as usize] = OWN[i].1;
            i += 1;
        }
        i = 0;
        while i < MISSING.len() {
            numbers[MISSING[i] as usize] = NONE;
            i += 1;
        }
        numbers
    };
}

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
            assert_eq!(x32.number(&Name::new(name)), number, "{name}");
        }
    }
}
