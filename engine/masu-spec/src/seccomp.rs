//! `linux.seccomp`: the filter for system calls, see seccomp(2) and config-linux.md, "Seccomp".
use alloc::vec::Vec;

use bitflags::bitflags;

use crate::text::Str;

/// A filter: what becomes of each system call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seccomp<'a> {
    /// `defaultAction`: for what no rule names.
    pub default_action: Action,
    /// `architectures`; empty for that of the machine.
    pub architectures: Vec<Architecture>,
    /// `flags`.
    pub flags: FilterFlags,
    /// `listenerPath`, with `listenerMetadata`: who is asked about calls of [`Action::Notify`].
    pub listener: Option<Listener<'a>>,
    /// `syscalls`, in their order.
    pub rules: Vec<Rule<'a>>,
}

impl Seccomp<'_> {
    /// Whether a rule asks for a listener, which the kernel then makes beside the filter.
    #[must_use]
    pub fn notifies(&self) -> bool {
        self.rules.iter().any(|rule| rule.action == Action::Notify)
    }

    /// Whether a call of this name can be made whatever its arguments are, if the listener lets it.
    #[must_use]
    pub fn passes(&self, name: &str) -> bool {
        let passing = |action: Action| matches!(action, Action::Allow | Action::Log | Action::Notify);
        let rules = || {
            let named = |rule: &&Rule<'_>| rule.names.iter().any(|known| known.as_str() == name);
            // One whose action is the default one says nothing.
            self.rules.iter().filter(|rule| rule.action != self.default_action).filter(named)
        };
        match rules().find(|rule| rule.conditions.is_empty()) {
            Some(always) => passing(always.action),
            None => passing(self.default_action) && rules().all(|rule| passing(rule.action)),
        }
    }
}

/// Who is asked about calls, config-linux.md, "Seccomp".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener<'a> {
    /// `listenerPath`: the socket that the listener's descriptor is sent to.
    pub path: Str<'a>,
    /// `listenerMetadata`: opaque, handed on.
    pub metadata: Option<Str<'a>>,
}

/// One of `syscalls`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule<'a> {
    /// `names`: at least one; one that no architecture has is no error.
    pub names: Vec<Str<'a>>,
    /// `action`, with `errnoRet`.
    pub action: Action,
    /// `args`: all have to hold, but of several for the same argument any one. No condition: always.
    pub conditions: Vec<Condition>,
}

/// What becomes of a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// `SCMP_ACT_KILL` and `SCMP_ACT_KILL_THREAD`: the thread ends.
    KillThread,
    /// `SCMP_ACT_KILL_PROCESS`: the process ends (Linux 4.14).
    KillProcess,
    /// `SCMP_ACT_TRAP`: SIGSYS.
    Trap,
    /// `SCMP_ACT_ERRNO`: the call fails with this number.
    Errno(u16),
    /// `SCMP_ACT_TRACE`: a tracer decides, and gets this number; without one it fails with ENOSYS.
    Trace(u16),
    /// `SCMP_ACT_LOG`: allowed, and logged (Linux 4.14).
    Log,
    /// `SCMP_ACT_NOTIFY`: a program of the host decides (Linux 5.0), seccomp_unotify(2).
    Notify,
    /// `SCMP_ACT_ALLOW`.
    Allow,
}

/// One of `args`: an argument of the system call compared with a number. Numbers are unsigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Condition {
    /// `index`: 0 to 5.
    pub index: u8,
    /// `op`.
    pub operator: Operator,
    /// `value`; for [`Operator::MaskedEqual`] what the masked argument has to be, which the file calls `valueTwo`.
    pub value: u64,
}

/// How an argument is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `SCMP_CMP_NE`.
    NotEqual,
    /// `SCMP_CMP_LT`.
    Less,
    /// `SCMP_CMP_LE`.
    LessOrEqual,
    /// `SCMP_CMP_EQ`.
    Equal,
    /// `SCMP_CMP_GE`.
    GreaterOrEqual,
    /// `SCMP_CMP_GT`.
    Greater,
    /// `SCMP_CMP_MASKED_EQ`, with the mask, which the file calls `value`.
    MaskedEqual(u64),
}

bitflags! {
    /// `flags`, with the values that seccomp(2) takes.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct FilterFlags: u32 {
        /// `SECCOMP_FILTER_FLAG_TSYNC`: all threads; init has one.
        const TSYNC = 1 << 0;
        /// `SECCOMP_FILTER_FLAG_LOG` (Linux 4.14): all but allowed calls are logged.
        const LOG = 1 << 1;
        /// `SECCOMP_FILTER_FLAG_SPEC_ALLOW` (Linux 4.17): no mitigation of speculative store bypass.
        const SPEC_ALLOW = 1 << 2;
        /// `SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV` (Linux 5.19): a call that the listener has taken up is ended by
        /// fatal signals alone.
        const WAIT_KILLABLE_RECV = 1 << 5;
    }
}

macro_rules! names {
    ($(#[$meta:meta])* $table:ident: $type:ty = $($name:literal => $value:expr,)*) => {
        $(#[$meta])*
        pub const $table: &[(&str, $type)] = &[$(($name, $value),)*];
    };
}

names! {
    /// The names of actions, each with what it means before `errnoRet` is looked at.
    ACTIONS: Action =
    "SCMP_ACT_ALLOW" => Action::Allow,
    "SCMP_ACT_ERRNO" => Action::Errno(1),
    "SCMP_ACT_KILL" => Action::KillThread,
    "SCMP_ACT_KILL_PROCESS" => Action::KillProcess,
    "SCMP_ACT_KILL_THREAD" => Action::KillThread,
    "SCMP_ACT_LOG" => Action::Log,
    "SCMP_ACT_NOTIFY" => Action::Notify,
    "SCMP_ACT_TRACE" => Action::Trace(1),
    "SCMP_ACT_TRAP" => Action::Trap,
}

names! {
    /// The names of operators; the mask comes from the condition.
    OPERATORS: Operator =
    "SCMP_CMP_EQ" => Operator::Equal,
    "SCMP_CMP_GE" => Operator::GreaterOrEqual,
    "SCMP_CMP_GT" => Operator::Greater,
    "SCMP_CMP_LE" => Operator::LessOrEqual,
    "SCMP_CMP_LT" => Operator::Less,
    "SCMP_CMP_MASKED_EQ" => Operator::MaskedEqual(0),
    "SCMP_CMP_NE" => Operator::NotEqual,
}

names! {
    /// The names of flags.
    FILTER_FLAGS: FilterFlags =
    "SECCOMP_FILTER_FLAG_LOG" => FilterFlags::LOG,
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW" => FilterFlags::SPEC_ALLOW,
    "SECCOMP_FILTER_FLAG_TSYNC" => FilterFlags::TSYNC,
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" => FilterFlags::WAIT_KILLABLE_RECV,
}

macro_rules! architectures {
    ($($variant:ident $name:literal,)*) => {
        /// An architecture as libseccomp names it. One that is not the machine's own or its 32-bit sibling has no
        /// processes here, and a filter needs nothing for it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "each is named by ARCHITECTURES")]
        pub enum Architecture { $($variant,)* }

        impl Architecture {
            /// Its name in a profile.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }

        /// The names of architectures.
        pub const ARCHITECTURES: &[(&str, Architecture)] = &[$(($name, Architecture::$variant),)*];
    };
}

architectures! {
    Aarch64 "SCMP_ARCH_AARCH64",
    Arm "SCMP_ARCH_ARM",
    LoongArch64 "SCMP_ARCH_LOONGARCH64",
    M68k "SCMP_ARCH_M68K",
    Mips "SCMP_ARCH_MIPS",
    Mips64 "SCMP_ARCH_MIPS64",
    Mips64N32 "SCMP_ARCH_MIPS64N32",
    MipsEl "SCMP_ARCH_MIPSEL",
    MipsEl64 "SCMP_ARCH_MIPSEL64",
    MipsEl64N32 "SCMP_ARCH_MIPSEL64N32",
    PaRisc "SCMP_ARCH_PARISC",
    PaRisc64 "SCMP_ARCH_PARISC64",
    Ppc "SCMP_ARCH_PPC",
    Ppc64 "SCMP_ARCH_PPC64",
    Ppc64Le "SCMP_ARCH_PPC64LE",
    RiscV64 "SCMP_ARCH_RISCV64",
    S390 "SCMP_ARCH_S390",
    S390x "SCMP_ARCH_S390X",
    SuperH "SCMP_ARCH_SH",
    SuperHBig "SCMP_ARCH_SHEB",
    X32 "SCMP_ARCH_X32",
    X86 "SCMP_ARCH_X86",
    X86_64 "SCMP_ARCH_X86_64",
}
