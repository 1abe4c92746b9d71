//! Resource limits of a process, see getrlimit(2).

/// One of `process.rlimits`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rlimit {
    /// The number of the resource, as prlimit64 takes it (x86_64, aarch64 and riscv64 agree).
    pub resource: u32,
    /// `soft`: never above `hard`; `u64::MAX` is unlimited.
    pub soft: u64,
    /// `hard`.
    pub hard: u64,
}

impl Rlimit {
    /// The resource's name, `RLIMIT_NOFILE` and so on.
    pub fn name(&self) -> &'static str {
        RLIMIT_NAMES
            .iter()
            .zip(0..)
            .find(|(_, number)| *number == self.resource)
            .map_or("RLIMIT_?", |(name, _)| name)
    }
}

/// The names; the index is the resource's number.
pub const RLIMIT_NAMES: [&str; 16] = [
    "RLIMIT_CPU",
    "RLIMIT_FSIZE",
    "RLIMIT_DATA",
    "RLIMIT_STACK",
    "RLIMIT_CORE",
    "RLIMIT_RSS",
    "RLIMIT_NPROC",
    "RLIMIT_NOFILE",
    "RLIMIT_MEMLOCK",
    "RLIMIT_AS",
    "RLIMIT_LOCKS",
    "RLIMIT_SIGPENDING",
    "RLIMIT_MSGQUEUE",
    "RLIMIT_NICE",
    "RLIMIT_RTPRIO",
    "RLIMIT_RTTIME",
];

/// The number of the resource with the name `name`.
pub fn rlimit_number(name: &str) -> Option<u32> {
    RLIMIT_NAMES.iter().zip(0..).find(|(known, _)| **known == name).map(|(_, number)| number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_kernels_numbers() {
        for (name, number) in [("RLIMIT_CPU", 0), ("RLIMIT_NOFILE", 7), ("RLIMIT_RTTIME", 15)] {
            assert_eq!(rlimit_number(name), Some(number), "{name}");
            assert_eq!(Rlimit { resource: number, soft: 0, hard: 0 }.name(), name);
        }
        assert_eq!(rlimit_number("NOFILE"), None);
    }
}
