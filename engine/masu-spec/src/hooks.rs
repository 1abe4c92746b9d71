//! `hooks`: programs that run at points of a container's life.
use alloc::vec::Vec;

use crate::text::Str;

/// The point at which a hook runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookKind {
    /// `prestart` (deprecated): by the runtime, when the mounts are made and the root is not entered yet.
    Prestart,
    /// `createRuntime`: right after `prestart`.
    CreateRuntime,
    /// `createContainer`: right after `createRuntime`, in the container's namespaces, with the host's files in view.
    CreateContainer,
    /// `startContainer`: in the container, when `start` was called.
    StartContainer,
    /// `poststart`: by the runtime, when the program runs.
    Poststart,
    /// `poststop`: by the runtime, when the container is deleted.
    Poststop,
}

impl HookKind {
    /// All kinds, in the order of a container's life.
    pub const ALL: [Self; 6] = [
        Self::Prestart,
        Self::CreateRuntime,
        Self::CreateContainer,
        Self::StartContainer,
        Self::Poststart,
        Self::Poststop,
    ];

    /// The name of the list below `hooks`.
    pub const fn name(self) -> &'static str {
        self.path().split_at("hooks.".len()).1
    }

    /// The JSON path of the list.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Prestart => "hooks.prestart",
            Self::CreateRuntime => "hooks.createRuntime",
            Self::CreateContainer => "hooks.createContainer",
            Self::StartContainer => "hooks.startContainer",
            Self::Poststart => "hooks.poststart",
            Self::Poststop => "hooks.poststop",
        }
    }
}

/// All hooks of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hooks<'a>(pub(crate) [Vec<Hook<'a>>; 6]);

impl<'a> Hooks<'a> {
    /// Those of one kind, in their order.
    pub fn of(&self, kind: HookKind) -> &[Hook<'a>] {
        let place = HookKind::ALL.iter().position(|known| *known == kind);
        place.and_then(|place| self.0.get(place)).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether there is one of any of these kinds.
    pub fn any(&self, kinds: &[HookKind]) -> bool {
        kinds.iter().any(|kind| !self.of(*kind).is_empty())
    }
}

/// One hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook<'a> {
    /// `path`: absolute.
    pub path: Str<'a>,
    /// `args`: the name first; when absent or empty, the path stands for it.
    pub args: Vec<Str<'a>>,
    /// `env`; `None` when absent, which is not the same as empty.
    pub env: Option<Vec<Str<'a>>>,
    /// `timeout`: seconds, at least 1.
    pub timeout: Option<u32>,
}
