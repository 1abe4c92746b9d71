//! What libseccomp makes of a profile.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::io::{Read, Seek};

use libseccomp::{ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall};
use masu_seccomp::Instruction;
use masu_seccomp_tests::Order;
use masu_spec::{Action, Architecture, Condition, Operator, Seccomp};

/// A binary interface that both compile for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Abi {
    pub(crate) architecture: Architecture,
    pub(crate) scmp: ScmpArch,
    /// `AUDIT_ARCH_…`.
    pub(crate) audit: u32,
    pub(crate) order: Order,
}

const fn abi_of(architecture: Architecture, scmp: ScmpArch, audit: u32, order: Order) -> Abi {
    Abi { architecture, scmp, audit, order }
}

/// All of them. libseccomp 2.5 does not know loongarch64.
pub(crate) const ABIS: [Abi; 14] = [
    abi_of(Architecture::X86_64, ScmpArch::X8664, 0xc000_003e, Order::Little),
    abi_of(Architecture::X86, ScmpArch::X86, 0x4000_0003, Order::Little),
    abi_of(Architecture::X32, ScmpArch::X32, 0xc000_003e, Order::Little),
    abi_of(Architecture::Aarch64, ScmpArch::Aarch64, 0xc000_00b7, Order::Little),
    abi_of(Architecture::Arm, ScmpArch::Arm, 0x4000_0028, Order::Little),
    abi_of(Architecture::RiscV64, ScmpArch::Riscv64, 0xc000_00f3, Order::Little),
    abi_of(Architecture::S390x, ScmpArch::S390X, 0x8000_0016, Order::Big),
    abi_of(Architecture::Ppc, ScmpArch::Ppc, 0x0000_0014, Order::Big),
    abi_of(Architecture::Ppc64, ScmpArch::Ppc64, 0x8000_0015, Order::Big),
    abi_of(Architecture::Ppc64Le, ScmpArch::Ppc64Le, 0xc000_0015, Order::Little),
    abi_of(Architecture::Mips, ScmpArch::Mips, 0x0000_0008, Order::Big),
    abi_of(Architecture::MipsEl, ScmpArch::Mipsel, 0x4000_0008, Order::Little),
    abi_of(Architecture::Mips64, ScmpArch::Mips64, 0x8000_0008, Order::Big),
    abi_of(Architecture::MipsEl64, ScmpArch::Mipsel64, 0xc000_0008, Order::Little),
];

pub(crate) fn abi(architecture: Architecture) -> Abi {
    *ABIS.iter().find(|abi| abi.architecture == architecture).expect("an interface of the table")
}

/// Whether libseccomp takes the registers to have 32 bits.
pub(crate) fn is_narrow(architecture: Architecture) -> bool {
    use Architecture as A;
    matches!(architecture, A::X86 | A::X32 | A::Arm | A::Ppc | A::Mips | A::MipsEl)
}

/// Our program as a machine of this order has it in memory.
pub(crate) fn program(instructions: &[Instruction], order: Order) -> Vec<u8> {
    let bytes = |instruction: &Instruction| {
        let Instruction { code, jt, jf, k } = *instruction;
        let ([a, b], [e, f, g, h]) = match order {
            Order::Little => (code.to_le_bytes(), k.to_le_bytes()),
            Order::Big => (code.to_be_bytes(), k.to_be_bytes()),
        };
        [a, b, jt, jf, e, f, g, h]
    };
    instructions.iter().flat_map(bytes).collect()
}

fn scmp_action(action: Action) -> ScmpAction {
    match action {
        Action::KillThread => ScmpAction::KillThread,
        Action::KillProcess => ScmpAction::KillProcess,
        Action::Trap => ScmpAction::Trap,
        Action::Errno(number) => ScmpAction::Errno(number.into()),
        Action::Trace(number) => ScmpAction::Trace(number),
        Action::Log => ScmpAction::Log,
        Action::Notify => ScmpAction::Notify,
        Action::Allow => ScmpAction::Allow,
    }
}

fn scmp_compare(condition: &Condition) -> ScmpArgCompare {
    let operator = match condition.operator {
        Operator::NotEqual => ScmpCompareOp::NotEqual,
        Operator::Less => ScmpCompareOp::Less,
        Operator::LessOrEqual => ScmpCompareOp::LessOrEqual,
        Operator::Equal => ScmpCompareOp::Equal,
        Operator::GreaterOrEqual => ScmpCompareOp::GreaterEqual,
        Operator::Greater => ScmpCompareOp::Greater,
        Operator::MaskedEqual(mask) => ScmpCompareOp::MaskedEqual(mask),
    };
    ScmpArgCompare::new(condition.index.into(), operator, condition.value)
}

/// What runc tells libseccomp of a profile.
pub(crate) fn reference(profile: &Seccomp<'_>, machine: Architecture) -> Vec<u8> {
    let mut context = ScmpFilterContext::new(scmp_action(profile.default_action)).expect("a context");
    let (native, wanted) = (ScmpArch::native(), abi(machine).scmp);
    if native != wanted {
        // In this order: a filter has one order of bytes.
        context.remove_arch(native).expect("not this machine");
        context.add_arch(wanted).expect("the machine");
    }
    for architecture in &profile.architectures {
        context.add_arch(abi(*architecture).scmp).expect("an architecture");
    }
    for rule in profile.rules.iter().filter(|rule| rule.action != profile.default_action) {
        let action = scmp_action(rule.action);
        for name in &rule.names {
            let Ok(call) = ScmpSyscall::from_name(name) else { continue };
            let compares: Vec<_> = rule.conditions.iter().map(scmp_compare).collect();
            let indices: BTreeSet<_> = rule.conditions.iter().map(|c| c.index).collect();
            if indices.len() < compares.len() {
                for compare in compares {
                    context.add_rule_conditional(action, call, &[compare]).expect("a rule");
                }
            } else {
                context.add_rule_conditional(action, call, &compares).expect("a rule");
            }
        }
    }
    let mut file: std::fs::File =
        rustix::fs::memfd_create("bpf", rustix::fs::MemfdFlags::CLOEXEC).expect("memfd").into();
    context.export_bpf(&mut file).expect("a program");
    file.rewind().expect("rewind");
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).expect("read");
    if abi(machine).order == Order::Big {
        // 2.5.4 forgets to turn round some of what its filters return, when it writes them for the other order of bytes.
        const RETURN: [u8; 2] = [0, 6];
        let returns = bytes.as_chunks_mut::<8>().0.iter_mut().filter(|code| code.starts_with(&RETURN));
        for returned in returns.filter_map(|code| code.last_chunk_mut::<4>()) {
            if !is_verdict(u32::from_be_bytes(*returned)) {
                returned.reverse();
            }
        }
    }
    bytes
}

/// Whether the kernel knows what a filter returns.
fn is_verdict(returned: u32) -> bool {
    let (action, data) = (returned >> 16, returned & 0xffff);
    [3, 5, 0x7fc0, 0x7ff0, 0x7ffc, 0x7fff, 0x8000].contains(&action) || (action == 0 && data == 0)
}
