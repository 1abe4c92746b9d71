//! The plan: every decision about a container, taken before anything is done in it.
//!
//! A plan has a beginning ([`begin_create`], [`begin_exec`]), which needs neither a cgroup nor anything of the host: init is
//! at it while the engine makes the cgroup, plans the rest and opens what that needs.
//!
//! [`plan_create`] and [`plan_exec`] are pure: they read the checked configuration and the facts about the
//! host, and write the program of steps that masu-init carries out, in their final order. A step that needs a
//! descriptor of the host names it as a [`Want`]; `acquire` opens it. Beside each step stands its [`Origin`],
//! the field of the configuration that asked for it, so that a failure can be told in the user's words.

mod create;
mod devices;
mod exec;
mod hooks;
mod id_maps;
mod kernel_filesystems;
mod mounts;
mod namespaces;
mod process;
mod running;
mod terminal;

use alloc::{ffi::CString, format, string::String, vec::Vec};
use core::fmt;

use masu_program::{Fd, Namespaces, Step, encode};
use masu_spec::NumberSet;

use crate::{
    error::{Error, Result},
    host::Host,
};

pub use create::{CreateInput, plan_create};
pub(crate) use create::{KEY_LABEL, begin_create, go_on_create, plan_started};
pub use exec::{ExecInput, plan_exec};
pub(crate) use exec::{begin_exec, go_on_exec, is_staged};
pub(crate) use id_maps::{IdMap, IdMaps, MapWriter, map_hint};
pub(crate) use mounts::CONTEXT_TYPES;
pub(crate) use namespaces::first_id;
pub(crate) use running::{plan_mount, plan_unmount};

/// When the container's process begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartGate {
    /// When `masu start` says so, through the fifo.
    Fifo,
    /// As soon as it is ready.
    Open,
}

/// Everything that is decided about a process before it is the container's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The encoded steps; their descriptors are indices into `wants`.
    pub program: Vec<u8>,
    /// How much of it init begins with, while the engine is still at work: up to its `AwaitProgram`.
    pub beginning: usize,
    /// The origin of each step.
    pub origins: Vec<Origin>,
    /// What the steps need from the host.
    pub wants: Vec<(Origin, Want)>,
    /// The new namespaces of the engine's own clone3(2).
    pub clone: Namespaces,
    /// Whether the engine's own clone3(2) makes the process in its cgroup of the unified hierarchy.
    pub into_cgroup: bool,
    /// The CPUs that the engine confines itself to before its clone3(2), so that its child begins on them.
    pub affinity: Option<NumberSet>,
    /// What the engine writes at the barrier `Mapped`.
    pub id_maps: Option<IdMaps>,
    /// Descriptors of the caller, after standard error, that the container's process gets.
    pub preserve_fds: u32,
    /// What is odd about the configuration, but no error.
    pub warnings: Vec<String>,
}

/// How a cloned tree is tied to the mounts that it is a clone of, mount_namespaces(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TreePropagation {
    /// Mounts come from the host, none go there.
    Slave,
    /// They travel both ways, but for those on the tree's own first mount: a shared root. pivot_root(2) refuses a mount
    /// that is shared itself.
    SharedBelow,
    /// They travel as the host's mounts have it: a volume beside a shared root.
    Kept,
}

/// The id map of a cloned tree, mount_setattr(2) `MOUNT_ATTR_IDMAP`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeIdMap {
    /// Whose it is.
    pub ids: TreeIds,
    /// Whether the mounts below get it too.
    pub recursive: bool,
}

/// Whose id map a cloned tree gets: the kernel takes a user namespace for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TreeIds {
    /// That of a namespace which the engine makes for it.
    Own {
        /// Users: lines of first id on the disk, first id on the host, size.
        uid: String,
        /// Groups likewise.
        gid: String,
    },
    /// That of a namespace which is there.
    Namespace {
        /// Where it is.
        path: String,
    },
}

/// Something of the host that a step needs, as an open descriptor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Want {
    /// The host's procfs.
    Proc,
    /// A namespace.
    Namespace {
        /// Where it is.
        path: String,
    },
    /// The process whose namespaces are joined, as a pidfd.
    Process,
    /// The `tasks` file of the container's cgroup in a v1 hierarchy.
    Tasks {
        /// The hierarchy, by the name of its mount point.
        hierarchy: String,
    },
    /// The container's cgroup in the unified hierarchy.
    UnifiedCgroup,
    /// A detached clone of the host's tree at a path.
    Tree {
        /// The path.
        path: String,
        /// Whether what is mounted below comes along.
        recursive: bool,
        /// Whether mounts still travel to and from the host's.
        propagation: TreePropagation,
        /// Whether it has to be a procfs, as for a bind on `/proc` (CVE-2019-16884).
        only_procfs: bool,
        /// Through which id map the owners of its files are seen.
        id_map: Option<TreeIdMap>,
    },
    /// A detached clone of a device node of the host.
    Device {
        /// The path.
        path: String,
        /// The number that it has to have.
        number: (u32, u32),
    },
    /// The fifo that `masu start` writes to.
    Fifo,
    /// A file that what hooks say is appended to.
    Output {
        /// The path.
        path: String,
    },
}

/// The field of the configuration that asked for a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// What every container gets.
    Engine,
    /// A field.
    Field(&'static str),
    /// An entry of a list.
    Entry(&'static str, usize),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Engine => f.write_str("container"),
            Self::Field(field) => f.write_str(field),
            Self::Entry(list, index) => write!(f, "{list}[{index}]"),
        }
    }
}

impl Plan {
    /// Whether setgroups(2) is forbidden to the container: by a namespace above it, or before the engine maps groups
    /// that it may not map otherwise.
    pub(crate) fn forbids_setgroups(&self, host: &Host) -> bool {
        host.setgroups_denied || self.id_maps.as_ref().is_some_and(|maps| maps.deny_setgroups)
    }

    /// Appends a step.
    fn push(&mut self, origin: Origin, step: &Step<'_>) -> Result<()> {
        let program = core::mem::take(&mut self.program);
        self.program = encode(step, program).map_err(|_| unsupported(origin, "does not fit a program"))?;
        self.origins.push(origin);
        Ok(())
    }

    /// Ends the steps that init begins with: what they want there is none.
    fn await_program(&mut self) -> Result<()> {
        self.push(Origin::Engine, &Step::AwaitProgram)?;
        self.beginning = self.program.len();
        Ok(())
    }

    /// The encoded steps that init begins with, and those that it gets when the engine is done.
    pub(crate) fn parts(&self) -> (&[u8], &[u8]) {
        self.program.split_at_checked(self.beginning).unwrap_or_default()
    }

    /// Asks for a descriptor of the host.
    fn want(&mut self, origin: Origin, want: Want) -> Result<Fd> {
        let index =
            i32::try_from(self.wants.len()).map_err(|_| unsupported(origin, "too many descriptors"))?;
        self.wants.push((origin, want));
        Ok(Fd(index))
    }
}

/// A list of texts in the encoding of the program.
#[derive(Debug, Default)]
struct TextList(Vec<u8>);

impl TextList {
    fn push(&mut self, origin: Origin, text: &str) -> Result<()> {
        self.0.extend_from_slice(c_string(origin, text)?.as_bytes_with_nul());
        Ok(())
    }

    fn as_texts(&self) -> masu_program::Texts<'_> {
        masu_program::Texts::from_encoded(&self.0).unwrap_or_default()
    }
}

/// A text as the kernel takes it. The checked configuration has none with a NUL; what the command line and
/// the state on disk bring is refused here.
fn c_string(origin: Origin, text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| unsupported(origin, "contains a NUL byte"))
}

fn unsupported(origin: Origin, reason: &str) -> Error {
    Error::Unsupported { field: format!("{origin}"), reason: reason.into(), hint: None }
}
