//! What holds of every filter, whatever libseccomp says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

use masu_seccomp::{CompileError, compile_for};
use masu_seccomp_tests::{Call, Verdict, interpret};
use masu_spec::{Action, Architecture, Condition, FilterFlags, Operator, Rule, Seccomp};

const X86_64: u32 = 0xc000_003e;
const X86: u32 = 0x4000_0003;
const AARCH64: u32 = 0xc000_00b7;
const ARM: u32 = 0x4000_0028;
const LOONGARCH64: u32 = 0xc000_0102;

const ALLOW: u32 = 0x7fff_0000;
const KILL_THREAD: u32 = 0;
const EPERM: u32 = 0x0005_0001;
const ENOSYS: u32 = 0x0005_0026;

fn profile(default_action: Action, rules: Vec<Rule<'static>>) -> Seccomp<'static> {
    Seccomp { default_action, architectures: vec![], flags: FilterFlags::default(), listener: None, rules }
}

fn rule(names: &[&'static str], action: Action, conditions: Vec<Condition>) -> Rule<'static> {
    Rule { names: names.iter().map(|name| (*name).into()).collect(), action, conditions }
}

fn verdict(profile: &Seccomp<'_>, number: u32, architecture: u32, argument: u64) -> Verdict {
    let program = compile_for(profile, Architecture::X86_64).unwrap().to_bytes();
    interpret(&program, &Call { number, architecture, arguments: [argument; 6] }).unwrap()
}

fn returned(profile: &Seccomp<'_>, number: u32, architecture: u32) -> u32 {
    verdict(profile, number, architecture, 0).returned
}

#[test]
fn a_call_newer_than_the_filter_is_enosys_where_it_would_fail_anyway() {
    let newest = 100_000;
    for (default, expected) in [
        (Action::Errno(1), ENOSYS),
        (Action::KillProcess, ENOSYS),
        (Action::Trap, ENOSYS),
        (Action::Allow, ALLOW),
        (Action::Log, 0x7ffc_0000),
    ] {
        assert_eq!(returned(&profile(default, vec![]), newest, X86_64), expected, "{default:?}");
    }
}

#[test]
fn a_call_of_an_architecture_without_rules_ends_its_thread() {
    let mut profile = profile(Action::Allow, vec![]);
    for (number, architecture) in [(0, X86), (0, AARCH64), (0x4000_0000, X86_64), (0x4000_0227, X86_64)] {
        assert_eq!(returned(&profile, number, architecture), KILL_THREAD, "{number:x} {architecture:x}");
    }
    // What a tracer leaves of a call that it suppresses.
    assert_eq!(returned(&profile, u32::MAX, X86_64), ALLOW);
    profile.architectures = vec![Architecture::X86, Architecture::X32, Architecture::Aarch64];
    for (number, architecture, expected) in
        [(0, X86, ALLOW), (0x4000_0000, X86_64, ALLOW), (0, AARCH64, KILL_THREAD)]
    {
        assert_eq!(returned(&profile, number, architecture), expected, "{number:x} {architecture:x}");
    }
}

#[test]
fn a_rule_without_conditions_wins_and_otherwise_the_first_that_holds() {
    let is = |value| vec![Condition { index: 0, operator: Operator::Equal, value }];
    let below = |value| vec![Condition { index: 0, operator: Operator::Less, value }];
    let profile = profile(
        Action::Allow,
        vec![
            rule(&["read"], Action::Errno(7), is(5)),
            rule(&["read"], Action::Errno(8), below(10)),
            rule(&["write"], Action::Errno(7), is(5)),
            rule(&["write"], Action::Errno(9), vec![]),
        ],
    );
    for (number, argument, expected) in
        [(0, 5, 0x0005_0007), (0, 4, 0x0005_0008), (0, 10, ALLOW), (1, 5, 0x0005_0009)]
    {
        assert_eq!(verdict(&profile, number, X86_64, argument).returned, expected, "{number} {argument}");
    }
}

#[test]
fn a_rule_with_the_default_action_says_nothing() {
    let profile = profile(
        Action::Errno(1),
        vec![rule(&["read"], Action::Errno(1), vec![]), rule(&["read"], Action::Allow, vec![])],
    );
    assert_eq!(returned(&profile, 0, X86_64), ALLOW);
    assert_eq!(returned(&profile, 1, X86_64), EPERM);
}

#[test]
fn a_wanted_interface_whose_numbers_are_not_known_is_refused_by_its_name() {
    let mut profile = profile(Action::Allow, vec![]);
    let compiled = |profile: &Seccomp<'_>, machine| compile_for(profile, machine).map(|_| ());
    for (machine, sibling) in
        [(Architecture::S390x, Architecture::S390), (Architecture::Mips64, Architecture::Mips64N32)]
    {
        profile.architectures = vec![];
        assert_eq!(compiled(&profile, machine), Ok(()), "{machine:?}");
        profile.architectures = vec![sibling];
        assert_eq!(compiled(&profile, machine), Err(CompileError::NoNumbers(sibling)), "{machine:?}");
        // No process of it can run here.
        assert_eq!(compiled(&profile, Architecture::X86_64), Ok(()), "{machine:?}");
    }
    for machine in [Architecture::M68k, Architecture::PaRisc64, Architecture::SuperH] {
        assert_eq!(compiled(&profile, machine), Err(CompileError::NoNumbers(machine)));
    }
}

#[test]
fn the_private_calls_of_arm_are_known_and_what_lies_between_is_newer() {
    let profile = profile(Action::Errno(1), vec![rule(&["read", "set_tls"], Action::Allow, vec![])]);
    let program = compile_for(&profile, Architecture::Arm).unwrap().to_bytes();
    for (number, expected) in [
        (3, ALLOW),
        (4, EPERM),
        (600, ENOSYS),
        (0xf_0000, ENOSYS),
        (0xf_0001, EPERM),
        (0xf_0005, ALLOW),
        (0xf_0006, EPERM),
        (0xf_0007, ENOSYS),
    ] {
        let call = Call { number, architecture: ARM, arguments: [0; 6] };
        assert_eq!(interpret(&program, &call).unwrap().returned, expected, "{number:x}");
    }
}

#[test]
fn loongarch64_has_the_numbers_of_the_generic_table() {
    let names: [(&'static str, u32); 4] = [("newfstatat", 79), ("statx", 291), ("clone3", 435), ("read", 63)];
    for (name, number) in names {
        let profile = profile(Action::Errno(1), vec![rule(&[name], Action::Allow, vec![])]);
        let program = compile_for(&profile, Architecture::LoongArch64).unwrap().to_bytes();
        let call = |number| Call { number, architecture: LOONGARCH64, arguments: [0; 6] };
        assert_eq!(interpret(&program, &call(number)).unwrap().returned, ALLOW, "{name}");
        assert_eq!(interpret(&program, &call(number + 1)).unwrap().returned, EPERM, "{name}");
    }
}

/// Every second call of the machine, so that no two neighbours share a range: the worst case of a tree.
fn scattered() -> Seccomp<'static> {
    let all = masu_seccomp_tests::names().pop().unwrap();
    profile(
        Action::Errno(1),
        vec![rule(&all.into_iter().step_by(2).collect::<Vec<_>>(), Action::Allow, vec![])],
    )
}

#[test]
fn the_way_to_a_verdict_is_logarithmic_in_the_profile() {
    let profile = scattered();
    let ranges = compile_for(&profile, Architecture::X86_64).unwrap().instructions.len() / 2;
    // Two loads, the architecture, and for each level a comparison and perhaps a jump.
    let most = 4 + 2 * (usize::BITS - ranges.leading_zeros()) as usize;
    for number in 0..600 {
        let steps = verdict(&profile, number, X86_64, 0).steps;
        assert!(steps <= most, "{number}: {steps} steps, {ranges} ranges");
    }
}

#[test]
fn the_kernels_cache_can_know_every_call_whose_rule_has_no_condition() {
    let mut profile = scattered();
    let condition = Condition { index: 0, operator: Operator::Equal, value: 1 };
    profile.rules.push(rule(&["write"], Action::Allow, vec![condition]));
    for number in 0..600 {
        let looked = verdict(&profile, number, X86_64, 0).looked_at_arguments;
        assert_eq!(looked, number == 1, "{number}");
    }
}

#[test]
fn names_that_no_architecture_has_are_told() {
    let names = ["read", "arm_fadvise64_64", "s390_pci_mmio_read", "reed", "socketcall", "Read"];
    let filter =
        compile_for(&profile(Action::Allow, vec![rule(&names, Action::Trap, vec![])]), Architecture::X86_64)
            .unwrap();
    assert_eq!(filter.unknown, ["Read", "reed"]);
}

#[test]
fn a_profile_that_is_too_long_is_refused() {
    let different = |value: u32| vec![Condition { index: 0, operator: Operator::Equal, value: value.into() }];
    let rules = (0..2000).map(|value| rule(&["read"], Action::Trap, different(value))).collect();
    let error = compile_for(&profile(Action::Allow, rules), Architecture::X86_64).unwrap_err();
    let CompileError::TooLong(instructions) = error else { panic!("{error:?}") };
    assert!(instructions > masu_seccomp::INSTRUCTIONS_MAX, "{instructions}");
}
