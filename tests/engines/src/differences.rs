//! Every case that another runtime does not pass, and why. A case that is listed here must fail with that runtime.

use masu_harness::{Check, ensure};

use crate::suite::Case;
use crate::world::has_systemd;

/// Where a case fails.
#[derive(Debug, PartialEq, Eq)]
enum Where {
    Everywhere,
    /// Not in the machine: its root has all capabilities, its user has cgroups, and its containerd and runc are newer.
    Host,
}

/// The case, the first word of the runtime's `--version`, where, and why.
const DIFFERENCES: &[(&str, &str, Where, &str)] = &[
    (
        "docker: a privileged container has devices and may mount",
        "runc",
        Where::Host,
        "refuses all capabilities where one cannot be granted; the specification has a warning for that",
    ),
    (
        "containerd: ids are mapped as asked",
        "runc",
        Where::Host,
        "1.1 does not reach a root below a directory that the container's ids may not enter",
    ),
    (
        "docker rootless: top knows the processes",
        "runc",
        Where::Host,
        "1.1 knows no processes of a container without cgroups",
    ),
    (
        "podman: a full disk for the state is told, and can be emptied",
        "runc",
        Where::Everywhere,
        "1.1 says `%!w(<nil>)`",
    ),
];

/// An entry that names no case is an error.
pub(crate) fn check(cases: &[Case]) -> Check {
    for (name, ..) in DIFFERENCES {
        ensure!(cases.iter().any(|case| case.name() == *name), "no case is called {name:?}");
    }
    Ok(())
}

/// Why this runtime need not pass this case.
pub(crate) fn reason(name: &str, runtime: &str) -> Option<&'static str> {
    let is_here = |place: &Where| *place == Where::Everywhere || !has_systemd();
    DIFFERENCES.iter().find(|one| one.0 == name && one.1 == runtime && is_here(&one.2)).map(|one| one.3)
}
