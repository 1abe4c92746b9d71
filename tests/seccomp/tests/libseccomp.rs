//! The same verdict as libseccomp's filter, on profiles that both know everything of.
//!
//! Left out, since the two differ on purpose:
//! * calls above the newest known number: masu answers ENOSYS, libseccomp the default action;
//! * the socket and ipc calls of 32-bit x86: libseccomp adds rules for their old common entry points and drops the
//!   conditions there;
//! * conditions of one call with different actions: libseccomp sorts them, masu keeps the profile's order;
//! * several rules of one call over several arguments, or with orders: libseccomp 2.5.4 merges their trees wrongly (of
//!   `a5 == 0 && a2 < 2^32` and `a2 >= 2`, both allowing, it allows `a5 == 1, a2 == 0` too; of `a3 < 2^32` and `a3 < 0` it
//!   loses the first);
//! * values above 32 bits where libseccomp takes registers to have 32 (x86, arm, and x32, whose arguments have 64): it
//!   compares the lower halves, but not of every set of rules.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::io::{Read, Seek};

use libseccomp::{ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall};
use masu_seccomp::{Filter, compile_for};
use masu_seccomp_tests::{Call, interpret};
use masu_spec::{Action, Architecture, Condition, FilterFlags, Operator, Rule, Seccomp};
use proptest::prelude::*;

/// Calls that both know on every architecture of the tests, some next to each other and some at the ends.
const NAMES: [&str; 40] = [
    "read",
    "write",
    "close",
    "lseek",
    "mmap",
    "mprotect",
    "munmap",
    "brk",
    "ioctl",
    "readv",
    "writev",
    "madvise",
    "dup",
    "nanosleep",
    "getpid",
    "exit",
    "uname",
    "fcntl",
    "flock",
    "fsync",
    "ptrace",
    "personality",
    "sysinfo",
    "prctl",
    "gettid",
    "futex",
    "clone",
    "execve",
    "kill",
    "mount",
    "setns",
    "unshare",
    "openat",
    "statx",
    "io_uring_setup",
    "clone3",
    "openat2",
    "faccessat2",
    "process_madvise",
    "landlock_restrict_self",
];

const AUDITS: [(Architecture, ScmpArch, u32); 6] = [
    (Architecture::X86_64, ScmpArch::X8664, 0xc000_003e),
    (Architecture::X86, ScmpArch::X86, 0x4000_0003),
    (Architecture::X32, ScmpArch::X32, 0xc000_003e),
    (Architecture::Aarch64, ScmpArch::Aarch64, 0xc000_00b7),
    (Architecture::Arm, ScmpArch::Arm, 0x4000_0028),
    (Architecture::RiscV64, ScmpArch::Riscv64, 0xc000_00f3),
];

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
fn reference(profile: &Seccomp<'_>, machine: ScmpArch) -> Vec<u8> {
    let mut context = ScmpFilterContext::new(scmp_action(profile.default_action)).expect("a context");
    let native = ScmpArch::native();
    if native != machine {
        context.add_arch(machine).expect("the machine");
        context.remove_arch(native).expect("not this machine");
    }
    for architecture in &profile.architectures {
        let (_, scmp, _) = AUDITS.iter().find(|(known, ..)| known == architecture).expect("a known one");
        context.add_arch(*scmp).expect("an architecture");
    }
    for rule in profile.rules.iter().filter(|rule| rule.action != profile.default_action) {
        let action = scmp_action(rule.action);
        for name in &rule.names {
            let Ok(call) = ScmpSyscall::from_name(name) else { continue };
            let compares: Vec<_> = rule.conditions.iter().map(scmp_compare).collect();
            let indices: std::collections::BTreeSet<_> = rule.conditions.iter().map(|c| c.index).collect();
            if indices.len() < compares.len() {
                for compare in compares {
                    context.add_rule_conditional(action, call, &[compare]).expect("a rule");
                }
            } else {
                context.add_rule_conditional(action, call, &compares).expect("a rule");
            }
        }
    }
    let mut file = tempfile();
    context.export_bpf(&mut file).expect("a program");
    file.rewind().expect("rewind");
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).expect("read");
    bytes
}

fn tempfile() -> std::fs::File {
    rustix::fs::memfd_create("bpf", rustix::fs::MemfdFlags::CLOEXEC).expect("memfd").into()
}

fn compiled(profile: &Seccomp<'_>, machine: Architecture) -> Filter {
    compile_for(profile, machine).expect("compiles")
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        Just(Action::Allow),
        Just(Action::Log),
        Just(Action::Notify),
        Just(Action::KillThread),
        Just(Action::KillProcess),
        Just(Action::Trap),
        (1..4095_u16).prop_map(Action::Errno),
        (0..100_u16).prop_map(Action::Trace),
    ]
}

/// Numbers around which halves and signs change.
fn value() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..4_u64,
        Just(u64::from(u32::MAX)),
        Just(1 << 32),
        Just((1 << 32) + 1),
        Just(u64::MAX),
        Just(1 << 63),
        any::<u64>(),
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    let operator = prop_oneof![
        Just(Operator::NotEqual),
        Just(Operator::Less),
        Just(Operator::LessOrEqual),
        Just(Operator::Equal),
        Just(Operator::GreaterOrEqual),
        Just(Operator::Greater),
        value().prop_map(Operator::MaskedEqual),
    ];
    (0..6_u8, operator, value()).prop_map(|(index, operator, value)| {
        // A value with bits outside of the mask never holds; libseccomp drops these bits.
        let value = if let Operator::MaskedEqual(mask) = operator { value & mask } else { value };
        Condition { index, operator, value }
    })
}

fn equality() -> impl Strategy<Value = Condition> {
    condition().prop_map(|condition| match condition.operator {
        Operator::MaskedEqual(_) => condition,
        _ => Condition { operator: Operator::Equal, ..condition },
    })
}

/// The conditions of one call: one rule over several arguments, or several over the same one.
fn alternatives() -> impl Strategy<Value = Vec<Vec<Condition>>> {
    prop_oneof![
        prop::collection::vec(condition(), 1..4).prop_map(|mut all| {
            all.sort_by_key(|condition| condition.index);
            all.dedup_by_key(|condition| condition.index);
            vec![all]
        }),
        (0..6_u8, prop::collection::vec(equality(), 1..3)).prop_map(|(index, all)| {
            all.into_iter().map(|condition| vec![Condition { index, ..condition }]).collect()
        }),
        // The same in one rule.
        (0..6_u8, prop::collection::vec(equality(), 2..4))
            .prop_map(|(index, all)| vec![all.into_iter().map(|c| Condition { index, ..c }).collect()]),
    ]
}

/// Rules in which each call has one action for its conditions, and perhaps an unconditional rule elsewhere.
fn rules() -> impl Strategy<Value = Vec<Rule<'static>>> {
    let conditional = (0..NAMES.len(), action(), alternatives());
    let plain = (prop::collection::vec(0..NAMES.len(), 1..12), action());
    (prop::collection::vec(plain, 0..8), prop::collection::vec(conditional, 0..8)).prop_map(
        |(plain, conditional)| {
            let name = |index: usize| NAMES[index].into();
            let mut rules = Vec::new();
            for (names, action) in plain {
                rules.push(Rule {
                    names: names.into_iter().map(name).collect(),
                    action,
                    conditions: Vec::new(),
                });
            }
            let mut seen = Vec::new();
            for (index, action, all) in conditional {
                if !seen.contains(&index) {
                    seen.push(index);
                    rules.extend(all.into_iter().map(|conditions| Rule {
                        names: vec![name(index)],
                        action,
                        conditions,
                    }));
                }
            }
            rules
        },
    )
}

/// Arguments near the values that the profile compares with.
fn arguments(profile: &Seccomp<'_>, random: &[u64; 6], choice: usize) -> [u64; 6] {
    let mut arguments = *random;
    let conditions: Vec<_> = profile.rules.iter().flat_map(|rule| &rule.conditions).collect();
    for (step, condition) in conditions.iter().skip(choice % (conditions.len() + 1)).take(3).enumerate() {
        let offset = [0, 1, u64::MAX, 1 << 32][(choice + step) % 4];
        arguments[usize::from(condition.index)] = condition.value.wrapping_add(offset);
    }
    arguments
}

fn check(
    profile: &Seccomp<'_>,
    machine: (Architecture, ScmpArch),
    calls: &[(usize, usize, [u64; 6], usize)],
) {
    let ours = compiled(profile, machine.0).to_bytes();
    let theirs = reference(profile, machine.1);
    for (architecture, name, random, choice) in calls {
        let (architecture, scmp, audit) = AUDITS[*architecture];
        let Ok(number) = ScmpSyscall::from_name_by_arch(NAMES[*name], scmp) else { continue };
        let mut arguments = arguments(profile, random, *choice);
        let is_narrow = matches!(architecture, Architecture::X86 | Architecture::X32 | Architecture::Arm);
        if is_narrow {
            arguments = arguments.map(|argument| argument & u64::from(u32::MAX));
        }
        // What an architecture lacks has a negative number in libseccomp.
        let Ok(number) = u32::try_from(i32::from(number)) else { continue };
        if is_narrow && compares_wide_values(profile, NAMES[*name]) {
            continue;
        }
        let call = Call { number, architecture: audit, arguments };
        let (ours, theirs) = (interpret(&ours, &call), interpret(&theirs, &call));
        assert_eq!(
            ours.map(|verdict| verdict.returned),
            theirs.map(|verdict| verdict.returned),
            "{} on {architecture:?}: {call:x?}\n{profile:#?}",
            NAMES[*name]
        );
        assert!(ours.is_some(), "the program is sound");
    }
}

/// Whether a rule of this call compares with more than 32 bits.
fn compares_wide_values(profile: &Seccomp<'_>, name: &str) -> bool {
    let is_wide = |value: u64| value > u64::from(u32::MAX);
    let rules = profile.rules.iter().filter(|rule| rule.names.iter().any(|known| known == name));
    let mut conditions = rules.flat_map(|rule| &rule.conditions);
    conditions.any(|condition| match condition.operator {
        Operator::MaskedEqual(mask) => is_wide(mask),
        _ => is_wide(condition.value),
    })
}

fn calls(architectures: usize) -> impl Strategy<Value = Vec<(usize, usize, [u64; 6], usize)>> {
    let random: [_; 6] = std::array::from_fn(|_| value());
    prop::collection::vec((0..architectures, 0..NAMES.len(), random, 0..64_usize), 40)
}

fn profile(
    default_action: Action,
    rules: Vec<Rule<'static>>,
    architectures: Vec<Architecture>,
) -> Seccomp<'static> {
    let flags = FilterFlags::default();
    Seccomp { default_action, architectures, flags, listener: None, rules }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_profiles_get_the_same_verdicts_on_x86(
        default in action(), rules in rules(), calls in calls(3), x86 in any::<bool>(), x32 in any::<bool>(),
    ) {
        let mut architectures = vec![Architecture::X86_64];
        architectures.extend(x86.then_some(Architecture::X86));
        architectures.extend(x32.then_some(Architecture::X32));
        check(&profile(default, rules, architectures), (Architecture::X86_64, ScmpArch::X8664), &calls);
    }

    #[test]
    fn random_profiles_get_the_same_verdicts_on_arm(
        default in action(), rules in rules(), calls in calls(6), arm in any::<bool>(),
    ) {
        let mut architectures = vec![Architecture::Aarch64];
        architectures.extend(arm.then_some(Architecture::Arm));
        check(&profile(default, rules, architectures), (Architecture::Aarch64, ScmpArch::Aarch64), &calls);
    }

    #[test]
    fn random_profiles_get_the_same_verdicts_on_riscv(default in action(), rules in rules(), calls in calls(6)) {
        let profile = profile(default, rules, vec![Architecture::RiscV64]);
        check(&profile, (Architecture::RiscV64, ScmpArch::Riscv64), &calls);
    }
}
