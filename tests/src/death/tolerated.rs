//! What may fail without ending a start, each with the reason. It is the only list of its kind.

/// A system call of init whose failure changes nothing: its x86_64 number, its name, and why.
const OF_INIT: [(u64, &str, &str); 10] = [
    (3, "close", "the descriptor is closed whatever close(2) returns"),
    (11, "munmap", "an address range that stays is gone with the execve"),
    (95, "umask", "umask(2) always succeeds"),
    (231, "exit_group", "it does not return"),
    (
        72,
        "fcntl",
        "at the very beginning: which of the standard streams are open; one that is not known to be closed is",
    ),
    (257, "openat", "a passwd file that cannot be opened: the home is /"),
    (5, "fstat", "as for openat"),
    (0, "read", "as for openat"),
    (302, "prlimit64", "getrlimit(2), which rustix takes for infallible"),
    (262, "newfstatat", "the search for the program goes on in the next directory of PATH"),
];

/// A system call of init whose failure ends init before it can tell: its number, and why.
const MUTE: [(u64, &str); 2] =
    [(72, "the channel itself cannot be taken over"), (44, "the channel is broken")];

/// A system call of the engine whose failure may change nothing: its number, its name, and why.
const OF_ENGINE: [(u64, &str, &str); 16] = [
    (72, "fcntl", "which of the standard streams are open"),
    (157, "prctl", "PR_SET_DUMPABLE: whether"),
    (0, "read", "a freezer that cannot be read counts as thawed"),
    (35, "nanosleep", "a pause between two looks that is cut short"),
    (5, "fstat", "as for read"),
    (
        138,
        "fstatfs",
        "a hierarchy without controllers, or a freezer: membership there is for others' bookkeeping",
    ),
    (217, "getdents64", "as for fstatfs"),
    (
        247,
        "waitid",
        "a first process that handed over to a second one is reaped by whoever reaps the engine's",
    ),
    (257, "openat", "as for fstatfs"),
    (258, "mkdirat", "as for fstatfs"),
    (263, "unlinkat", "as for fstatfs"),
    (437, "openat2", "as for fstatfs"),
    (457, "statmount", "mountinfo tells of the mounts where the kernel does not"),
    (458, "listmount", "as for statmount"),
    (332, "statx", "as for statmount"),
    (424, "pidfd_send_signal", "the process that is killed has just ended"),
];

/// Whether the failure of this call by the engine may end in success.
pub(super) fn of_engine(nr: u64) -> bool {
    OF_ENGINE.iter().any(|(number, ..)| *number == nr)
}

/// The name of a system call, or its number.
pub(super) fn name_of(nr: u64) -> String {
    let known = OF_INIT.iter().chain(&OF_ENGINE).find(|(number, ..)| *number == nr);
    known.map_or_else(|| format!("system call {nr}"), |(_, name, _)| (*name).to_owned())
}

/// Whether the failure of this call by init may end in success.
pub(super) fn may_succeed(nr: u64) -> bool {
    OF_INIT.iter().any(|(number, ..)| *number == nr)
}

/// Whether the failure of this call may end init without a word.
pub(super) fn may_be_mute(nr: u64) -> bool {
    MUTE.iter().any(|(number, _)| *number == nr)
}

/// System calls that cannot fail, and closes: nothing is to be seen from them.
const HARMLESS: [(u64, &str); 11] = [
    (3, "close"),
    (11, "munmap"),
    (12, "brk"),
    (39, "getpid"),
    (63, "uname"),
    (95, "umask"),
    (102, "getuid"),
    (104, "getgid"),
    (107, "geteuid"),
    (108, "getegid"),
    (231, "exit_group"),
];

/// Whether there is nothing to be seen from a failure.
pub(super) fn is_harmless(nr: u64) -> bool {
    HARMLESS.iter().any(|(number, _)| *number == nr)
}
