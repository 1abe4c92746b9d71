//! Mount propagation, see mount_namespaces(7).

/// How mount events pass between a mount and its peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PropagationMode {
    /// `MS_SHARED`.
    Shared,
    /// `MS_SLAVE`.
    Slave,
    /// `MS_PRIVATE`.
    Private,
    /// `MS_UNBINDABLE`.
    Unbindable,
}

impl PropagationMode {
    /// The `MS_…` flag, which `mount_setattr(2)` takes in `propagation` too.
    pub const fn flag(self) -> u32 {
        match self {
            Self::Unbindable => 1 << 17,
            Self::Private => 1 << 18,
            Self::Slave => 1 << 19,
            Self::Shared => 1 << 20,
        }
    }
}

/// `linux.rootfsPropagation`, or an option of a mount such as `rslave`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Propagation {
    /// The mode.
    pub mode: PropagationMode,
    /// With everything mounted below (`r` in front of the name).
    pub recursive: bool,
}

/// The names, each with what it means, in alphabetical order.
pub const PROPAGATION_NAMES: [(&str, Propagation); 8] = [
    ("private", Propagation { mode: PropagationMode::Private, recursive: false }),
    ("rprivate", Propagation { mode: PropagationMode::Private, recursive: true }),
    ("rshared", Propagation { mode: PropagationMode::Shared, recursive: true }),
    ("rslave", Propagation { mode: PropagationMode::Slave, recursive: true }),
    ("runbindable", Propagation { mode: PropagationMode::Unbindable, recursive: true }),
    ("shared", Propagation { mode: PropagationMode::Shared, recursive: false }),
    ("slave", Propagation { mode: PropagationMode::Slave, recursive: false }),
    ("unbindable", Propagation { mode: PropagationMode::Unbindable, recursive: false }),
];

impl Propagation {
    /// The propagation with the name `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        PROPAGATION_NAMES.iter().find(|(known, _)| *known == name).map(|(_, propagation)| *propagation)
    }
}
