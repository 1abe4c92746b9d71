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

mod reference;

use libseccomp::ScmpSyscall;
use masu_seccomp::{Filter, compile_for};
use masu_seccomp_tests::{Call, interpret_on};
use masu_spec::{Action, Architecture, Condition, FilterFlags, Operator, Rule, Seccomp};
use proptest::prelude::*;
use reference::{ABIS, is_narrow, program, reference};

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

fn check(profile: &Seccomp<'_>, machine: Architecture, calls: &[(usize, usize, [u64; 6], usize)]) {
    let order = reference::abi(machine).order;
    let ours = program(&compiled(profile, machine).instructions, order);
    let theirs = reference(profile, machine);
    for (architecture, name, random, choice) in calls {
        let abi = ABIS[*architecture];
        let Ok(number) = ScmpSyscall::from_name_by_arch(NAMES[*name], abi.scmp) else { continue };
        let mut arguments = arguments(profile, random, *choice);
        if is_narrow(abi.architecture) {
            arguments = arguments.map(|argument| argument & u64::from(u32::MAX));
        }
        // What an architecture lacks has a negative number in libseccomp.
        let Ok(number) = u32::try_from(i32::from(number)) else { continue };
        if is_narrow(abi.architecture) && compares_wide_values(profile, NAMES[*name]) {
            continue;
        }
        let call = Call { number, architecture: abi.audit, arguments };
        let (ours, theirs) = (interpret_on(order, &ours, &call), interpret_on(order, &theirs, &call));
        assert_eq!(
            ours.map(|verdict| verdict.returned),
            theirs.map(|verdict| verdict.returned),
            "{} on {:?}: {call:x?}\n{profile:#?}",
            NAMES[*name],
            abi.architecture
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

fn calls() -> impl Strategy<Value = Vec<(usize, usize, [u64; 6], usize)>> {
    let random: [_; 6] = std::array::from_fn(|_| value());
    prop::collection::vec((0..ABIS.len(), 0..NAMES.len(), random, 0..64_usize), 60)
}

fn profile(
    default_action: Action,
    rules: Vec<Rule<'static>>,
    architectures: Vec<Architecture>,
) -> Seccomp<'static> {
    let flags = FilterFlags::default();
    Seccomp { default_action, architectures, flags, listener: None, rules }
}

/// One test for a machine, whose siblings are in the profile or not.
macro_rules! random_profiles {
    ($($test:ident: $machine:ident, $siblings:expr;)*) => {
        proptest! {
            #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

            $(#[test]
            fn $test(default in action(), rules in rules(), calls in calls(), wanted in any::<[bool; 2]>()) {
                let siblings: &[Architecture] = &$siblings;
                let mut architectures = vec![Architecture::$machine];
                architectures.extend(siblings.iter().zip(wanted).filter(|(_, wanted)| *wanted).map(|(one, _)| *one));
                check(&profile(default, rules, architectures), Architecture::$machine, &calls);
            })*
        }
    };
}

random_profiles! {
    random_profiles_get_the_same_verdicts_on_x86_64: X86_64, [Architecture::X86, Architecture::X32];
    random_profiles_get_the_same_verdicts_on_x86: X86, [];
    random_profiles_get_the_same_verdicts_on_aarch64: Aarch64, [Architecture::Arm];
    random_profiles_get_the_same_verdicts_on_arm: Arm, [];
    random_profiles_get_the_same_verdicts_on_riscv64: RiscV64, [];
    random_profiles_get_the_same_verdicts_on_s390x: S390x, [];
    random_profiles_get_the_same_verdicts_on_ppc: Ppc, [];
    random_profiles_get_the_same_verdicts_on_ppc64: Ppc64, [Architecture::Ppc];
    random_profiles_get_the_same_verdicts_on_ppc64le: Ppc64Le, [];
    random_profiles_get_the_same_verdicts_on_mips: Mips, [];
    random_profiles_get_the_same_verdicts_on_mipsel: MipsEl, [];
    random_profiles_get_the_same_verdicts_on_mips64: Mips64, [Architecture::Mips];
    random_profiles_get_the_same_verdicts_on_mipsel64: MipsEl64, [Architecture::MipsEl];
}
