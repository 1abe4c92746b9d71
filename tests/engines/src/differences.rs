//! Every case that another runtime does not pass, and why. A case that is listed here must fail with that runtime.

use masu_harness::{Check, Runtime, ensure};

use crate::suite::Case;
use crate::world::has_systemd;

/// Where a case fails.
#[derive(Debug, PartialEq, Eq)]
enum Where {
    Everywhere,
    /// Not in the machine: its root has all capabilities, and its user has cgroups.
    Host,
}

/// Cases that a runtime does not pass.
struct Difference {
    cases: &'static [&'static str],
    /// The first word of its `--version`.
    runtime: &'static str,
    /// The first version that passes, as far as there is one.
    until: [u32; 3],
    place: Where,
    reason: &'static str,
}

/// No version passes.
const NEVER: [u32; 3] = [u32::MAX; 3];

const DIFFERENCES: &[Difference] = &[
    Difference {
        cases: &["docker: a privileged container has devices and may mount"],
        runtime: "runc",
        until: NEVER,
        place: Where::Host,
        reason: "refuses all capabilities where one cannot be granted; the specification has a warning for that",
    },
    Difference {
        cases: &["containerd: ids are mapped as asked"],
        runtime: "runc",
        until: NEVER,
        place: Where::Everywhere,
        reason: "does not reach a root below a directory that the container's ids may not enter",
    },
    Difference {
        cases: &["docker rootless: top knows the processes"],
        runtime: "runc",
        until: NEVER,
        place: Where::Host,
        reason: "knows no processes of a container without cgroups",
    },
    Difference {
        cases: &["podman: a full disk for the state is told, and can be emptied"],
        runtime: "runc",
        until: [1, 2, 0],
        place: Where::Everywhere,
        reason: "says `%!w(<nil>)`",
    },
    Difference {
        cases: &["docker: a privileged container has devices and may mount"],
        runtime: "crun",
        until: NEVER,
        place: Where::Host,
        reason: "refuses all capabilities where one cannot be granted; the specification has a warning for that",
    },
    Difference {
        cases: &["docker rootless: top knows the processes"],
        runtime: "crun",
        until: NEVER,
        place: Where::Host,
        reason: "knows no processes of a container without cgroups",
    },
    Difference {
        cases: &[
            "docker: 126 is a command that cannot be executed",
            "docker: 127 is a command that is not there",
            "docker rootless: 126 is a command that cannot be executed",
            "docker rootless: 127 is a command that is not there",
            "containerd: a command that is not there is an error that says so",
            "cri: a command that is not there is an error that says so",
        ],
        runtime: "crun",
        until: NEVER,
        place: Where::Everywhere,
        reason: "says so in words of its own, which Docker does not know: it reads runc's",
    },
];

/// An entry that names no case is an error.
pub(crate) fn check(cases: &[Case]) -> Check {
    for name in DIFFERENCES.iter().flat_map(|one| one.cases) {
        ensure!(cases.iter().any(|case| case.name() == *name), "no case is called {name:?}");
    }
    Ok(())
}

/// Why this runtime need not pass this case.
pub(crate) fn reason(case: &str, runtime: &Runtime) -> Option<&'static str> {
    let is_here = |place: &Where| *place == Where::Everywhere || !has_systemd();
    let applies = |one: &&Difference| {
        one.cases.contains(&case)
            && one.runtime == runtime.name
            && runtime.version < one.until
            && is_here(&one.place)
    };
    DIFFERENCES.iter().find(applies).map(|one| one.reason)
}
