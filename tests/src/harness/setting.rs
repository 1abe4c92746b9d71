//! What a limit looks like on the host, in each version of control groups.

use super::{Check, ensure_eq, host};

/// A file of a cgroup and what it says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    /// Version 1: the controller, its file, the text.
    pub(crate) v1: (&'static str, &'static str, &'static str),
    /// Version 2: the file and the text; `None` where version 2 has no such setting.
    pub(crate) v2: Option<(&'static str, &'static str)>,
}

/// A setting of both versions.
pub(crate) const fn setting(
    v1: (&'static str, &'static str, &'static str),
    v2: (&'static str, &'static str),
) -> Setting {
    Setting { v1, v2: Some(v2) }
}

/// A setting of version 1, which version 2 does without.
pub(crate) const fn only_v1(v1: (&'static str, &'static str, &'static str)) -> Setting {
    Setting { v1, v2: None }
}

impl Setting {
    /// The controller, the file and the text on this host.
    pub(crate) fn here(&self) -> Option<(&'static str, &'static str, &'static str)> {
        match host::is_unified() {
            true => self.v2.map(|(file, text)| ("", file, text)),
            false => Some(self.v1),
        }
    }

    /// Checks that it is in force in the cgroup of this path.
    pub(crate) fn check(&self, cgroup: &str) -> Check {
        if let Some((controller, file, text)) = self.here() {
            ensure_eq!(host::read_trimmed(host::cgroup(controller, cgroup).join(file))?, text, "{file}");
        }
        Ok(())
    }
}
