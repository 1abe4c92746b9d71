//! The default profiles of Docker, containerd and podman, as these hand them to a runtime: each call gets the verdict of
//! libseccomp's filter.
//!
//! Left out: calls that libseccomp has no name for, since it is older, and those above the newest known number, which masu
//! answers with ENOSYS on purpose.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

mod reference;

use libseccomp::ScmpSyscall;
use masu_seccomp::compile_for;
use masu_seccomp_tests::profiles::{CONTAINERD, Container, DOCKER, PODMAN, resolve};
use masu_seccomp_tests::{Call, interpret_on};
use masu_spec::{Architecture, Seccomp};
use proptest::prelude::*;
use reference::{ABIS, Abi, is_narrow, program, reference};

const PROFILES: [(&str, &str); 3] = [("docker", DOCKER), ("containerd", CONTAINERD), ("podman", PODMAN)];

/// Machines, with their processor's name in Go.
const MACHINES: [(Architecture, &str); 8] = [
    (Architecture::X86_64, "amd64"),
    (Architecture::Aarch64, "arm64"),
    (Architecture::RiscV64, "riscv64"),
    (Architecture::S390x, "s390x"),
    (Architecture::Ppc64Le, "ppc64le"),
    (Architecture::Ppc64, "ppc64"),
    (Architecture::Mips64, "mips64"),
    (Architecture::MipsEl64, "mips64le"),
];

/// Those that rules of the profiles are for.
const CAPABILITIES: [&str; 16] = [
    "CAP_AUDIT_WRITE",
    "CAP_BPF",
    "CAP_DAC_READ_SEARCH",
    "CAP_NET_ADMIN",
    "CAP_PERFMON",
    "CAP_SYSLOG",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_CHROOT",
    "CAP_SYS_MODULE",
    "CAP_SYS_NICE",
    "CAP_SYS_PACCT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
];

/// Nothing, what Docker and podman give to everyone of it, one that changes much, and all.
fn sets() -> [Vec<&'static str>; 4] {
    [
        vec![],
        vec!["CAP_AUDIT_WRITE", "CAP_SYS_CHROOT"],
        vec!["CAP_SYS_ADMIN", "CAP_SYS_PTRACE"],
        CAPABILITIES.to_vec(),
    ]
}

fn resolved(profile: &'static str, machine: (Architecture, &str), capabilities: &[&str]) -> Seccomp<'static> {
    let container = Container { machine: machine.0, processor: machine.1, capabilities, linux: (5, 14) };
    let mut seccomp = resolve(profile, &container).expect("a profile");
    // Siblings whose numbers nobody here knows: tests/laws.rs has them refused.
    seccomp.architectures.retain(|architecture| ABIS.iter().any(|abi| abi.architecture == *architecture));
    seccomp
}

/// Both filters of a profile.
struct Pair {
    machine: Architecture,
    /// Those of the filter.
    interfaces: Vec<Architecture>,
    ours: Vec<u8>,
    theirs: Vec<u8>,
}

impl Pair {
    fn new(seccomp: &Seccomp<'_>, machine: Architecture) -> Self {
        let filter = compile_for(seccomp, machine).expect("compiles");
        assert_eq!(filter.unknown, Vec::<String>::new(), "an engine's names are known");
        let order = reference::abi(machine).order;
        let ours = program(&filter.instructions, order);
        let mut interfaces = seccomp.architectures.clone();
        interfaces.push(machine);
        Self { machine, interfaces, ours, theirs: reference(seccomp, machine) }
    }

    /// Whether the call was compared.
    fn compare(&self, abi: &Abi, number: u32, arguments: [u64; 6], what: &str) -> bool {
        let scmp = ScmpSyscall::from(i32::try_from(number & !X32).unwrap());
        let Ok(name) = scmp.get_name_by_arch(abi.scmp) else { return false };
        let mask = if is_narrow(abi.architecture) { u64::from(u32::MAX) } else { u64::MAX };
        let call =
            Call { number, architecture: abi.audit, arguments: arguments.map(|argument| argument & mask) };
        let order = reference::abi(self.machine).order;
        let returned =
            |program: &[u8]| interpret_on(order, program, &call).expect("a sound program").returned;
        let (ours, theirs) = (returned(&self.ours), returned(&self.theirs));
        assert!(
            ours == theirs,
            "{ours:#x}, libseccomp {theirs:#x}: {what} on {:?}: {name} of {:?}: {call:x?}",
            self.machine,
            abi.architecture
        );
        true
    }
}

const X32: u32 = 0x4000_0000;

/// Every number that may be a call's.
fn numbers(abi: &Abi) -> impl Iterator<Item = u32> {
    use Architecture as A;
    let base = match abi.architecture {
        A::X32 => X32,
        A::Mips | A::MipsEl => 4000,
        A::Mips64 | A::MipsEl64 => 5000,
        _ => 0,
    };
    let private = if abi.architecture == A::Arm { 0xf_0001..0xf_0007 } else { 0..0 };
    (base..base + 600).chain(private)
}

/// Around what the profiles compare with.
const VALUES: [u64; 14] =
    [0, 1, 8, 9, 16, 38, 39, 40, 41, 0x2_0000, 0x2_0008, 0x1000_0000, 0xffff_ffff, 0x1_0000_0028];

#[test]
fn every_call_of_every_machine_gets_the_same_verdict() {
    let mut compared = 0;
    for (name, profile) in PROFILES {
        for machine in MACHINES {
            for capabilities in sets() {
                let pair = Pair::new(&resolved(profile, machine, &capabilities), machine.0);
                for (abi, value) in ABIS.iter().flat_map(|abi| VALUES.map(|value| (abi, value))) {
                    // Of an interface that is no part of the filter every call ends.
                    if value != 0 && !pair.interfaces.contains(&abi.architecture) {
                        continue;
                    }
                    for number in numbers(abi) {
                        let arguments = [value, value, 9, value, value, value];
                        compared += usize::from(pair.compare(abi, number, arguments, name));
                    }
                }
            }
        }
    }
    assert!(compared > 1_000_000, "{compared}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_calls_of_random_containers_get_the_same_verdict(
        which in 0..PROFILES.len(),
        machine in 0..MACHINES.len(),
        capabilities in prop::sample::subsequence(CAPABILITIES.to_vec(), 0..=CAPABILITIES.len()),
        calls in prop::collection::vec((0..ABIS.len(), 0..600_usize, any::<[u64; 6]>(), any::<[u8; 6]>()), 200),
    ) {
        let ((name, profile), machine) = (PROFILES[which], MACHINES[machine]);
        let pair = Pair::new(&resolved(profile, machine, &capabilities), machine.0);
        for (abi, index, random, choices) in calls {
            let abi = &ABIS[abi];
            let number = numbers(abi).nth(index).expect("600 of them");
            // Half of the arguments are near what is compared with.
            let argument = |place: usize| {
                VALUES.get(usize::from(choices[place]) % (2 * VALUES.len())).copied().unwrap_or(random[place])
            };
            pair.compare(abi, number, std::array::from_fn(argument), name);
        }
    }
}
