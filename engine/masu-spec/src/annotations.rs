//! Annotations that change what is done: one of the specification's, and crun's, which podman and others set. The meaning
//! of those is that of crun's manual page.

/// crun's: the mount option that `linux.mountLabel` becomes; `context` by default.
pub const MOUNT_CONTEXT_TYPE: &str = "run.oci.mount_context_type";

/// The socket of the program that decides about calls of `SCMP_ACT_NOTIFY`, where `linux.seccomp.listenerPath` is silent.
pub const SECCOMP_RECEIVER: &str = "run.oci.seccomp.receiver";

/// Whether a system call that is unknown is an error in `linux.seccomp`; any value says so.
pub const SECCOMP_FAIL_UNKNOWN: &str = "run.oci.seccomp_fail_unknown_syscall";

/// Whether the process keeps the supplementary groups of masu's caller; any value says so.
pub const KEEP_ORIGINAL_GROUPS: &str = "run.oci.keep_original_groups";

/// A file to which the standard output of hooks is appended; it is made if it is missing.
pub const HOOKS_STDOUT: &str = "run.oci.hooks.stdout";

/// The same for their standard error.
pub const HOOKS_STDERR: &str = "run.oci.hooks.stderr";

/// The specification's own: the signal that ends the container. `kill` sends it to whoever names no other.
pub const STOP_SIGNAL: &str = "org.opencontainers.image.stopSignal";

/// What the names of crun's begin with: `features` tells it to whoever takes annotations from strangers.
pub(crate) const PREFIX: &str = "run.oci.";

/// The cgroup below the container's that its process is in, and divides as it likes.
pub const DELEGATE_CGROUP: &str = "run.oci.delegate-cgroup";

/// A socket that gets a pidfd of the container's process.
pub const PIDFD_RECEIVER: &str = "run.oci.pidfd_receiver";
