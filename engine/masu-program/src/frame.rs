//! What init tells the engine: fixed-size frames over one `SOCK_SEQPACKET` pair.

use serde::{Deserialize, Serialize};

/// Size of every frame, in bytes.
pub const FRAME_SIZE: usize = 1040;

/// The most of an explanation that fits a frame, in bytes: the kernel's own (fsopen(2) keeps a log), or the last words of
/// a hook.
pub const DETAIL_SIZE: usize = FRAME_SIZE - 16;

/// The byte that a reporting init writes to `start` right before its execve(2): an end of file behind it means that the
/// program runs, and without it that init was killed.
pub const EXECUTES: u8 = 1;

/// A place where parent and child wait for each other. Both walk the same list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Barrier {
    /// The user namespace exists; the engine writes its id maps.
    Mapped,
    /// The mounts are made, and the root is not entered yet; the engine runs the hooks of its own namespaces.
    Assembled,
    /// Nothing is left to do but to execute; the engine writes the state and the pid file.
    Ready,
}

/// One message from init to the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "init has nothing to box with, and a frame lives for one message"
)]
pub enum Frame {
    /// The process went on in a child, whose pid this is, as the engine sees it.
    Forked {
        /// The pid.
        pid: i32,
    },
    /// A barrier is reached; init waits for one byte.
    Reached(Barrier),
    /// The container's terminal is made; its master side comes with the frame, as `SCM_RIGHTS` (unix(7)).
    Terminal,
    /// The filter for system calls is loaded; its listener comes with the frame likewise.
    Listener,
    /// The descriptors that came with the program are used up; init waits for the next.
    Exhausted,
    /// A step failed, and init ends.
    Failed {
        /// Number of the step.
        step: u32,
        /// What of it.
        part: Part,
        /// The errno; of a hook, its exit status or signal.
        errno: u16,
        /// What the kernel, or the hook, said beside the errno, up to its first NUL.
        detail: [u8; DETAIL_SIZE],
    },
}

macro_rules! parts {
    ($($variant:ident = $text:literal,)*) => {
        /// The operation within a step that failed. Its name is the system call's where there is one.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(missing_docs, reason = "each is named by its text")]
        #[repr(u8)]
        pub enum Part { $($variant,)* }

        impl Part {
            const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// What a message calls it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

parts! {
    Decode = "decode the program",
    Open = "open",
    OpenTarget = "open the mount point",
    OpenParent = "open the directory above",
    OpenNull = "open /dev/null",
    MakeDirectory = "mkdir",
    MakeFile = "create the mount point",
    MakeNode = "mknod",
    MakeSymlink = "symlink",
    Unlink = "unlink",
    Stat = "stat",
    ChangeMode = "chmod",
    ChangeOwner = "chown",
    WrongDevice = "compare the device number",
    Write = "write",
    Read = "read",
    FsOpen = "fsopen",
    FsConfig = "fsconfig",
    FsCreate = "fsconfig create",
    FsMount = "fsmount",
    FsPick = "fspick",
    FsReconfigure = "fsconfig reconfigure",
    OpenTree = "open_tree",
    SetAttributes = "mount_setattr",
    Attach = "move_mount",
    Propagate = "change the propagation",
    ChangeDirectory = "chdir",
    Outside = "getcwd",
    PivotRoot = "pivot_root",
    Detach = "umount",
    Chroot = "chroot",
    Join = "setns",
    Unshare = "unshare",
    Fork = "clone3",
    LeaveSession = "setsid",
    SetDumpable = "prctl PR_SET_DUMPABLE",
    RaiseLoopback = "ioctl SIOCSIFFLAGS",
    SetHostname = "sethostname",
    SetDomainname = "setdomainname",
    JoinKeyring = "keyctl",
    SetLimit = "setrlimit",
    SetAffinity = "sched_setaffinity",
    SetScheduler = "sched_setattr",
    SetIoPriority = "ioprio_set",
    SetMemoryPolicy = "set_mempolicy",
    SetPersonality = "personality",
    KeepCapabilities = "prctl PR_SET_KEEPCAPS",
    SetGroups = "setgroups",
    SetGid = "setresgid",
    SetUid = "setresuid",
    DropBounding = "prctl PR_CAPBSET_DROP",
    SetCapabilities = "capset",
    RaiseAmbient = "prctl PR_CAP_AMBIENT",
    SetAttribute = "fsetxattr",
    SetNoNewPrivileges = "prctl PR_SET_NO_NEW_PRIVS",
    SetSignals = "rt_sigaction",
    LoadFilter = "seccomp",
    CloseRange = "close_range",
    Search = "find",
    AwaitStart = "wait for start",
    HookExited = "exit status of the hook",
    HookKilled = "signal that ended the hook",
    HookTimedOut = "timeout of the hook",
    FindDevpts = "look for a devpts",
    OpenMaster = "open ptmx",
    UnlockTerminal = "ioctl TIOCSPTLCK",
    OpenSlave = "ioctl TIOCGPTPEER",
    ResizeTerminal = "ioctl TIOCSWINSZ",
    SendDescriptor = "sendmsg",
    ReceiveDescriptors = "recvmsg",
    ControlTerminal = "ioctl TIOCSCTTY",
    Duplicate = "dup3",
    Allocate = "mmap",
    Execute = "execve",
}

impl Frame {
    /// The bytes on the socket.
    #[must_use]
    pub fn encode(&self) -> [u8; FRAME_SIZE] {
        let mut bytes = [0; FRAME_SIZE];
        let (kind, code, errno, number): (u8, u8, u16, u32) = match *self {
            Self::Forked { pid } => (0, 0, 0, pid.cast_unsigned()),
            Self::Reached(barrier) => (1, barrier as u8, 0, 0),
            Self::Terminal => (3, 0, 0, 0),
            Self::Listener => (4, 0, 0, 0),
            Self::Exhausted => (5, 0, 0, 0),
            Self::Failed { step, part, errno, .. } => (2, part as u8, errno, step),
        };
        let [errno_low, errno_high] = errno.to_le_bytes();
        let [a, b, c, d] = number.to_le_bytes();
        for (byte, value) in bytes.iter_mut().zip([kind, code, errno_low, errno_high, a, b, c, d]) {
            *byte = value;
        }
        if let (Self::Failed { detail, .. }, Some(space)) = (self, bytes.last_chunk_mut::<DETAIL_SIZE>()) {
            *space = *detail;
        }
        bytes
    }

    /// Reads what [`encode`](Self::encode) wrote; `None` when it did not.
    #[must_use]
    pub fn decode(bytes: &[u8; FRAME_SIZE]) -> Option<Self> {
        let &[kind, code, errno_low, errno_high, a, b, c, d] = bytes.first_chunk()?;
        let number = u32::from_le_bytes([a, b, c, d]);
        match kind {
            0 => Some(Self::Forked { pid: number.cast_signed() }),
            1 => [Barrier::Mapped, Barrier::Assembled, Barrier::Ready]
                .into_iter()
                .find(|b| *b as u8 == code)
                .map(Self::Reached),
            2 => Some(Self::Failed {
                step: number,
                part: *Part::ALL.get(usize::from(code))?,
                errno: u16::from_le_bytes([errno_low, errno_high]),
                detail: *bytes.last_chunk()?,
            }),
            3 => Some(Self::Terminal),
            4 => Some(Self::Listener),
            5 => Some(Self::Exhausted),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_frame_survives_the_socket() {
        let mut detail = [0; DETAIL_SIZE];
        detail[..5].copy_from_slice(b"hello");
        detail[DETAIL_SIZE - 1] = b'!';
        let mut frames = vec![
            Frame::Forked { pid: 4_194_304 },
            Frame::Reached(Barrier::Mapped),
            Frame::Reached(Barrier::Assembled),
            Frame::Reached(Barrier::Ready),
            Frame::Terminal,
            Frame::Listener,
            Frame::Exhausted,
        ];
        frames.extend(Part::ALL.iter().map(|part| Frame::Failed {
            step: 70_000,
            part: *part,
            errno: 38,
            detail,
        }));
        for frame in frames {
            assert_eq!(Frame::decode(&frame.encode()), Some(frame));
        }
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        for start in [[6, 0], [1, 3], [2, 255]] {
            let mut bytes = [0; FRAME_SIZE];
            bytes[..2].copy_from_slice(&start);
            assert_eq!(Frame::decode(&bytes), None, "{start:?}");
        }
    }
}
