//! What a limit looks like on the host, in each version of control groups.

use super::{Check, ensure_eq, fail, host};

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

/// The files that a `blockIO.weight` of 500 may be in, and what the first of them that there is then says: that of the
/// scheduler bfq has version 1's numbers in both versions.
const IO_WEIGHTS: [(&str, &str); 4] = [
    ("io.bfq.weight", "default 500"),
    ("io.weight", "default 4950"),
    ("blkio.weight", "500"),
    ("blkio.bfq.weight", "500"),
];

/// Checks that a `blockIO.weight` of 500 is in force in the cgroup of this path.
pub(crate) fn check_io_weight(cgroup: &str) -> Check {
    let directory = host::cgroup("blkio", cgroup);
    let file = IO_WEIGHTS.iter().find(|(file, _)| directory.join(file).exists());
    let (file, text) = file.ok_or_else(|| fail("this kernel has no weights"))?;
    let weight = host::read_trimmed(directory.join(file))?;
    ensure_eq!(weight.lines().next(), Some(*text), "{file}");
    Ok(())
}
