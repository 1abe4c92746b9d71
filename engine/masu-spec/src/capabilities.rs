//! The kernel's capabilities by name and number, see capabilities(7).

/// `process.capabilities`: five sets; bit N is the capability with number N.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// `bounding`.
    pub bounding: u64,
    /// `effective`.
    pub effective: u64,
    /// `inheritable`.
    pub inheritable: u64,
    /// `permitted`.
    pub permitted: u64,
    /// `ambient`.
    pub ambient: u64,
}

/// The 41 capabilities of Linux 5.9 and later; the index is the number.
pub const CAPABILITY_NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// The number of the capability with the name `name`, `CAP_` included.
pub fn capability_number(name: &str) -> Option<u8> {
    CAPABILITY_NAMES.iter().zip(0..).find(|(known, _)| **known == name).map(|(_, number)| number)
}

/// The name of the capability with the number `number`.
pub fn capability_name(number: u8) -> Option<&'static str> {
    CAPABILITY_NAMES.get(usize::from(number)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_kernels_numbers() {
        let table = [
            ("CAP_CHOWN", 0),
            ("CAP_KILL", 5),
            ("CAP_NET_BIND_SERVICE", 10),
            ("CAP_SYS_ADMIN", 21),
            ("CAP_MKNOD", 27),
            ("CAP_AUDIT_WRITE", 29),
            ("CAP_SYSLOG", 34),
            ("CAP_CHECKPOINT_RESTORE", 40),
        ];
        for (name, number) in table {
            assert_eq!(capability_number(name), Some(number), "{name}");
            assert_eq!(capability_name(number), Some(name));
        }
        assert_eq!(capability_number("KILL"), None);
        assert_eq!(capability_name(41), None);
    }
}
