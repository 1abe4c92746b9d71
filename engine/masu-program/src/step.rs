//! The vocabulary of a program: everything that init can do.

use bitflags::bitflags;
use serde::{Deserialize, Serialize};

use crate::{Barrier, CText, Texts};

/// One thing that init does, with everything it needs to do it.
///
/// The order of the variants is the order in which a container is made; the engine's plan is where each
/// ordering constraint is stated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub enum Step<'a> {
    /// Waits for the rest of the program, and the descriptors that it speaks of: the engine was making the cgroup meanwhile.
    /// Unlike at a barrier init says nothing, for the engine sends them as soon as it has them.
    AwaitProgram,
    /// Keeps the host's procfs at hand for the steps that write below it.
    HoldProc {
        /// The host's `/proc`.
        proc: Fd,
    },
    /// Lets go of the host's procfs: nothing of the host is open when the container's paths are walked.
    ReleaseProc,
    /// Opens a file below the host's procfs for [`SetExecLabel`](Self::SetExecLabel): after the last fork, for the kernel
    /// takes a label from the opener alone (Linux 5.13), and while the host's procfs, proven to be one, is still held
    /// (CVE-2019-16884, CVE-2025-52881).
    HoldExecLabel {
        /// Path below `/proc`, such as `self/attr/exec`.
        path: CText<'a>,
    },
    /// Writes `score` to the process's own `oom_score_adj`, proc(5), below the host's procfs.
    AdjustOomScore {
        /// -1000 to 1000, in decimal.
        score: CText<'a>,
    },
    /// Joins namespaces: setns(2) on a namespace or on a pidfd (Linux 5.8).
    JoinNamespaces {
        /// A namespace, or a pidfd.
        fd: Fd,
        /// Which of them; for a namespace's own descriptor exactly one.
        namespaces: Namespaces,
    },
    /// Leaves namespaces for new ones: unshare(2).
    Unshare {
        /// Which of them.
        namespaces: Namespaces,
    },
    /// Sets the clocks of the time namespace that the next fork enters, time_namespaces(7).
    SetTimeOffsets {
        /// The lines for `timens_offsets`.
        offsets: CText<'a>,
    },
    /// Goes on in a child of the engine: clone3(2) with `CLONE_PARENT`. The process so far ends.
    Fork {
        /// The new namespaces of the child.
        namespaces: Namespaces,
        /// The unified cgroup that the child starts in: `CLONE_INTO_CGROUP` (Linux 5.7).
        cgroup: Option<Fd>,
    },
    /// Tells the engine that the barrier is reached, and waits until it lets go.
    Barrier(Barrier),
    /// Writes `0` to the `tasks` file of a v1 hierarchy: the only way in that waits for no RCU grace period.
    AttachCgroup {
        /// The `tasks` file, opened for writing.
        tasks: Fd,
    },
    /// Becomes another user of its own user namespace, keeping its capabilities.
    ChangeIdentity(Identity<'a>),
    /// Makes the process undumpable, prctl(2) `PR_SET_DUMPABLE`: nothing in the container can trace it or
    /// read its descriptors (CVE-2019-5736, CVE-2016-9962).
    HideFromTracers,
    /// Brings the loopback interface of a new network namespace up.
    RaiseLoopback,
    /// sethostname(2)
    SetHostname {
        /// The name.
        name: CText<'a>,
    },
    /// setdomainname(2)
    SetDomainname {
        /// The name.
        name: CText<'a>,
    },
    /// Writes a kernel parameter, proc_sys(5), or a label of the process's own, below the host's procfs; never through a
    /// mount, never through a symbolic link but `self` (CVE-2025-52881). It is the parameter of the namespaces that the
    /// process is in.
    WriteSysctl {
        /// Path below `/proc`, such as `sys/net/ipv4/ip_forward`.
        path: CText<'a>,
        /// What to write.
        value: CText<'a>,
    },
    /// Joins the session keyring of a name, session-keyring(7), or makes it, so that the host's keys stay outside.
    JoinKeyring {
        /// Its name.
        name: CText<'a>,
        /// Permission bits that it gets beside its own, keyctl_setperm(3); 0 changes nothing.
        permissions: u32,
    },
    /// Changes how mounts at and below `/` propagate, while the host's tree is still in view.
    SetHostPropagation(Propagation),
    /// Attaches the root file system and keeps it: all paths below are resolved in it.
    OpenRoot {
        /// Where it comes from.
        source: Source<'a>,
        /// The directory of the host that it covers: `/`, or its own path where hooks are to find it there.
        place: CText<'a>,
    },
    /// Moves the root, which hooks have seen at its own path, on top of `/`.
    StackRoot,
    /// Detaches what is mounted at `path` of the host's tree, where that stays below a root that is entered by chroot(2); a
    /// mount that the container's user namespace has locked is covered, mount_namespaces(7). A user namespace may mount a
    /// procfs or sysfs without the masks of the container's as long as such a one is in its mount namespace.
    HideFromRoot {
        /// Path on the host.
        path: CText<'a>,
    },
    /// Keeps the current `/` as the root in which paths are resolved: no mount namespace, nothing to attach.
    OpenRootDirectory {
        /// Path on the host.
        path: CText<'a>,
    },
    /// Makes a mount and attaches it below the root.
    Mount {
        /// Where it comes from.
        source: Source<'a>,
        /// Where it goes.
        target: Target<'a>,
        /// What changes on the mount itself.
        attributes: Attributes,
        /// What changes on it and on all below.
        recursive: Attributes,
        /// How it propagates; in order.
        propagation: [Option<Propagation>; 2],
    },
    /// Takes the topmost mount at a path away. No symbolic link on the way is followed: it could lead to another mount.
    Unmount {
        /// Path below the root of the mount; not `/`.
        path: CText<'a>,
    },
    /// Makes a mount that begins with what the directory that it covers holds or is, and attaches it.
    MountCopy {
        /// Where it comes from: a new instance of a file system.
        source: Source<'a>,
        /// Path below the root.
        path: CText<'a>,
        /// What of the directory is copied.
        what: CopyUp,
        /// What changes on the mount itself.
        attributes: Attributes,
        /// What changes on it and on all below.
        recursive: Attributes,
        /// How it propagates; in order.
        propagation: [Option<Propagation>; 2],
    },
    /// Changes the mount at a path below the root: mount_setattr(2), and fspick(2) for its file system.
    ChangeMount {
        /// Path below the root.
        path: CText<'a>,
        /// Parameters of the file system without a value.
        flags: Texts<'a>,
        /// Parameters with one: name and value by turns.
        parameters: Texts<'a>,
        /// What changes on the mount itself.
        attributes: Attributes,
        /// What changes on it and on all below.
        recursive: Attributes,
        /// How it propagates; in order.
        propagation: [Option<Propagation>; 2],
    },
    /// Makes a device node, or binds the host's where a node cannot be made.
    MakeDevice {
        /// Path below the root.
        path: CText<'a>,
        /// Type of the node.
        kind: FileKind,
        /// Permission bits.
        mode: u32,
        /// Major and minor number.
        number: (u32, u32),
        /// Owner and group.
        owner: (u32, u32),
        /// How it comes into being.
        source: DeviceSource<'a>,
    },
    /// Makes a symbolic link; one that exists is replaced if the step says so, and left alone otherwise.
    MakeSymlink {
        /// What the link says.
        target: CText<'a>,
        /// Path below the root.
        path: CText<'a>,
        /// Whether what is there now goes.
        replace: bool,
    },
    /// Makes a directory below the root, with the directories above it, where it is missing.
    MakeDirectory {
        /// Path below the root.
        path: CText<'a>,
    },
    /// Covers a path: a directory with an empty read-only one, a file with `/dev/null`. A missing one is skipped.
    MaskPath {
        /// Path below the root.
        path: CText<'a>,
        /// Parameters of the tmpfs that the empty directory is: name and value by turns.
        parameters: Texts<'a>,
    },
    /// Sets a file's `security.selinux`, setxattr(2): for a file system that takes no label with its mount.
    SetFileLabel {
        /// Path below the root.
        path: CText<'a>,
        /// The label.
        label: CText<'a>,
    },
    /// Makes a path and all below read-only by a mount of itself. A missing one is skipped.
    ProtectPath {
        /// Path below the root.
        path: CText<'a>,
    },
    /// Makes one mount read-only, without what is mounted below.
    ProtectMount {
        /// Path below the root of the mount; `/` for the root itself.
        path: CText<'a>,
    },
    /// Runs a hook in a child, and waits for its end: in the root's directory until the root is entered, and in the
    /// process's own afterwards.
    RunHook {
        /// The program.
        path: CText<'a>,
        /// The arguments, the name first.
        arguments: Texts<'a>,
        /// The environment.
        environment: Texts<'a>,
        /// Whether `HOME` is added to it, if it was looked up.
        with_home: bool,
        /// Files of the host for its standard output and its standard error.
        outputs: [Option<Fd>; 2],
        /// Seconds after which it is killed.
        timeout: Option<u32>,
        /// The container's state up to the pid, which init knows.
        state: CText<'a>,
        /// The state from there on.
        state_end: CText<'a>,
    },
    /// Makes a pair of terminals, pty(7), in the devpts at `/dev/pts` below the root, and sends the master to the
    /// engine. The slave is what the kernel gives for the master, never a path (CVE-2025-52565).
    OpenTerminal {
        /// Owner of the slave; its group is the file system's choice (`gid=`).
        uid: u32,
        /// Rows and columns, where they are known.
        size: Option<(u16, u16)>,
    },
    /// Mounts the slave on `/dev/console` below the root, through no symbolic link (CVE-2026-88264).
    MountConsole,
    /// Makes the root the process's `/`.
    EnterRoot(Entry),
    /// Changes how the new `/` propagates.
    SetRootPropagation(Propagation),
    /// Makes the slave the controlling terminal of the session, ioctl_tty(2) `TIOCSCTTY`, and the three standard streams.
    TakeTerminal,
    /// setrlimit(2) to at least these values: with the engine's privileges, before a user namespace is entered.
    RaiseResourceLimit {
        /// The number of the resource, getrlimit(2).
        resource: u32,
        /// Soft limit; `u64::MAX` for none.
        soft: u64,
        /// Hard limit; `u64::MAX` for none.
        hard: u64,
    },
    /// setrlimit(2)
    SetResourceLimit {
        /// The number of the resource, getrlimit(2).
        resource: u32,
        /// Soft limit; `u64::MAX` for none.
        soft: u64,
        /// Hard limit; `u64::MAX` for none.
        hard: u64,
    },
    /// sched_setaffinity(2): the CPUs that the process runs on, of those that its cgroup has.
    SetCpuAffinity {
        /// One bit for each; `None` for all.
        cpus: Option<&'a [u8]>,
    },
    /// sched_setattr(2)
    SetScheduler {
        /// `SCHED_*`
        policy: u32,
        /// `SCHED_FLAG_*`
        flags: u64,
        /// Nice value.
        nice: i32,
        /// Real-time priority.
        priority: u32,
        /// Runtime, deadline and period, in nanoseconds.
        times: (u64, u64, u64),
    },
    /// ioprio_set(2)
    SetIoPriority {
        /// Class and priority in one.
        value: u16,
    },
    /// set_mempolicy(2)
    SetMemoryPolicy {
        /// `MPOL_*`, and `MPOL_F_*`.
        mode: u32,
        /// One bit for each memory node.
        nodes: &'a [u8],
    },
    /// personality(2)
    SetPersonality {
        /// `PER_*`
        domain: u32,
    },
    /// umask(2)
    SetUmask {
        /// Permission bits that new files lack.
        mask: u32,
    },
    /// chdir(2), and proves that the directory is inside the root (CVE-2024-21626).
    ChangeDirectory {
        /// Path in the container.
        path: CText<'a>,
        /// What happens when the permission is missing.
        access: Access,
    },
    /// Drops all capabilities but these from the bounding set.
    LimitCapabilities {
        /// One bit for each capability that stays.
        bounding: u64,
    },
    /// capset(2) and the ambient set; the last change of what the process may do.
    SetCapabilities {
        /// One bit for each capability.
        effective: u64,
        /// One bit for each capability.
        permitted: u64,
        /// One bit for each capability.
        inheritable: u64,
        /// One bit for each capability.
        ambient: u64,
    },
    /// Writes to the file that was opened for it what the next execve(2) of this process, or of a hook, changes to.
    SetExecLabel {
        /// `exec PROFILE` for AppArmor; the label itself for SELinux.
        label: CText<'a>,
    },
    /// prctl(2) `PR_SET_NO_NEW_PRIVS`
    ForbidNewPrivileges,
    /// Reads the home directory of a user from the container's `/etc/passwd`, for the environment; `/` if
    /// there is none.
    FindHome {
        /// The user.
        uid: u32,
    },
    /// Finds the first of the programs that exists and may be executed.
    FindProgram {
        /// Paths in the container, in the order of the search.
        programs: Texts<'a>,
    },
    /// Waits for a byte from `masu start` in the container's fifo.
    AwaitStart {
        /// The fifo, opened for reading and writing.
        fifo: Fd,
        /// Whether `start` listens at the fifo until the program runs: a failure is then sent there, with the number
        /// of the step counted from the next one.
        reporting: bool,
    },
    /// Lets the descriptors of init and the engine end with the execve(2), close_range(2).
    CloseDescriptors {
        /// Number of descriptors after standard error that stay open.
        preserve: u32,
    },
    /// Gives the process the signals of a new one: none blocked, none ignored.
    ResetSignals,
    /// Loads the filter for system calls, seccomp(2). What follows passes through it.
    LoadFilter {
        /// The program, `struct sock_filter[]`.
        program: &'a [u8],
        /// `SECCOMP_FILTER_FLAG_*`.
        flags: u32,
    },
    /// Loads a filter that asks a listener about calls, seccomp_unotify(2), and hands that listener to the engine.
    LoadFilterWithListener {
        /// The program, `struct sock_filter[]`.
        program: &'a [u8],
        /// `SECCOMP_FILTER_FLAG_*`.
        flags: u32,
    },
    /// capset(2): gives up the capability that loading the filter took.
    DropCapabilities {
        /// One bit for each capability.
        effective: u64,
        /// One bit for each capability.
        permitted: u64,
        /// One bit for each capability.
        inheritable: u64,
    },
    /// execve(2): the end of init, and the beginning of the container's process.
    Execute {
        /// The arguments, the name first.
        arguments: Texts<'a>,
        /// The environment.
        environment: Texts<'a>,
    },
}

/// A descriptor that the engine opened, by its place among those that it hands over; init closes it after the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fd(pub i32);

impl Fd {
    /// The rest of the program, which is handed over before the descriptors that it speaks of.
    pub const PROGRAM: Self = Self(-1);
}

/// Where a mount comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub enum Source<'a> {
    /// A new instance of a file system: fsopen(2), fsconfig(2), fsmount(2).
    Filesystem {
        /// Its type.
        kind: CText<'a>,
        /// Parameters without a value.
        flags: Texts<'a>,
        /// Parameters with one: name and value by turns.
        parameters: Texts<'a>,
    },
    /// A new instance of procfs or sysfs; where the kernel refuses it (EPERM), the host's with all that is mounted below.
    FilesystemOr {
        /// Its type.
        kind: CText<'a>,
        /// Parameters without a value.
        flags: Texts<'a>,
        /// Parameters with one: name and value by turns.
        parameters: Texts<'a>,
        /// Path on the host.
        instead: CText<'a>,
    },
    /// A detached tree that the engine cloned from the host with open_tree(2).
    Tree {
        /// The tree.
        fd: Fd,
    },
    /// A tree that init clones itself, for an engine without the privilege to do so.
    Path {
        /// Path on the host.
        path: CText<'a>,
        /// Whether what is mounted below comes along.
        recursive: bool,
    },
}

/// Where a mount goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub struct Target<'a> {
    /// Path below the root; made where it is missing, a file for the mount of a file.
    pub path: CText<'a>,
    /// Whether a symbolic link on the way is an error, as for `/proc` and `/sys` (CVE-2019-19921).
    pub no_symlinks: bool,
}

/// What a new mount begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CopyUp {
    /// What the directory that it covers holds.
    Content,
    /// The same, with that directory's own owner and permissions.
    Directory,
    /// Nothing but the permissions of the directory, if it has been there before.
    Permissions,
}

/// Attributes of a mount, as mount_setattr(2) has them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// `MOUNT_ATTR_*` to set.
    pub set: u64,
    /// `MOUNT_ATTR_*` to clear.
    pub clear: u64,
}

impl Attributes {
    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }
}

/// How mounts propagate, mount_namespaces(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Propagation {
    /// `MS_SHARED`, `MS_SLAVE`, `MS_PRIVATE` or `MS_UNBINDABLE`.
    pub mode: u32,
    /// Whether all mounts below change too.
    pub recursive: bool,
}

/// How a device node comes into being.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub enum DeviceSource<'a> {
    /// mknod(2)
    Node,
    /// A mount of the host's node, cloned by the engine.
    Tree(Fd),
    /// A mount of the host's node, cloned by init.
    Path(CText<'a>),
}

/// Type of a device node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileKind {
    /// `S_IFCHR`
    Character,
    /// `S_IFBLK`
    Block,
    /// `S_IFIFO`
    Fifo,
}

/// How the root becomes `/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// pivot_root(2); the host's tree is detached.
    Pivot,
    /// chroot(2) alone, in the mount namespace of the host.
    Chroot,
}

/// What a missing permission on a working directory means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Access {
    /// The user of the container is tried after the change of identity.
    Attempted,
    /// It is an error.
    Required,
}

/// User, group and further groups of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
pub struct Identity<'a> {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Further groups, four bytes each in the machine's order; `None` leaves them as they are, for a
    /// user namespace that forbids setgroups(2).
    pub groups: Option<&'a [u8]>,
}

impl Identity<'_> {
    /// The most groups that a program carries.
    pub const GROUPS_MAX: usize = 1024;
}

bitflags! {
    /// Kinds of namespaces: the `CLONE_NEW*` bits of clone(2).
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
    pub struct Namespaces: u64 {
        /// `CLONE_NEWTIME` (Linux 5.6)
        const TIME = 0x0000_0080;
        /// `CLONE_NEWNS`
        const MOUNT = 0x0002_0000;
        /// `CLONE_NEWCGROUP`
        const CGROUP = 0x0200_0000;
        /// `CLONE_NEWUTS`
        const UTS = 0x0400_0000;
        /// `CLONE_NEWIPC`
        const IPC = 0x0800_0000;
        /// `CLONE_NEWUSER`
        const USER = 0x1000_0000;
        /// `CLONE_NEWPID`
        const PID = 0x2000_0000;
        /// `CLONE_NEWNET`
        const NETWORK = 0x4000_0000;
    }
}

impl Serialize for Namespaces {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.bits().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Namespaces {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u64::deserialize(deserializer).map(Self::from_bits_truncate)
    }
}
