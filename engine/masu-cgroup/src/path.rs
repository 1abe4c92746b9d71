//! From `linux.cgroupsPath` to a cgroup of each hierarchy.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::error::{Error, Result};
use crate::layout::{Hierarchy, Layout};

/// What a hierarchy is to the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HierarchyKind {
    /// A version 1 hierarchy.
    V1,
    /// The unified hierarchy beside them.
    Beside,
    /// The unified hierarchy, and no other.
    Alone,
}

/// Every hierarchy of the host, the unified one last.
pub(crate) fn places(layout: &Layout) -> impl Iterator<Item = (HierarchyKind, &Hierarchy)> {
    let unified = match layout {
        Layout::Unified { .. } => HierarchyKind::Alone,
        _ => HierarchyKind::Beside,
    };
    let v1 = layout.v1().iter().map(|hierarchy| (HierarchyKind::V1, hierarchy));
    v1.chain(layout.unified().map(|hierarchy| (unified, hierarchy)))
}

/// Where the container's cgroup goes, the same in each hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CgroupsPath {
    /// Below the mount's root.
    Absolute(String),
    /// Below this process's own cgroup; on a host with version 2 alone, beside it.
    Relative(String),
}

impl CgroupsPath {
    /// runc's cgroupfs driver: an absolute path starts at the hierarchy's root, a relative one, or the id where
    /// there is none, at the own cgroup (what systemd delegated to the caller). `..` is resolved by text and
    /// stops at the top, as in a chroot.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a path that no cgroup can have.
    pub(crate) fn parse(cgroups_path: Option<&str>, id: &str) -> Result<Self> {
        let text = cgroups_path.filter(|path| !path.is_empty()).unwrap_or(id);
        let invalid = |why: &str| Error::Invalid("linux.cgroupsPath".into(), format!("{text:?} {why}"));
        if text.contains(['\0', '\n']) {
            return Err(invalid("has a NUL or a line break in it"));
        }
        let clean = normalize(text);
        if clean.split('/').any(|name| name.len() > 255) {
            return Err(invalid("has a name longer than 255 bytes"));
        }
        if clean.len() > 3800 {
            return Err(invalid("is too long")); // PATH_MAX less room for the mount point
        }
        Ok(if text.starts_with('/') { Self::Absolute(clean) } else { Self::Relative(clean) })
    }

    /// The path below the hierarchy's mount point.
    ///
    /// A version 2 cgroup that holds processes cannot give controllers to those below it (cgroups(7), "no internal
    /// processes"), and the own cgroup holds this one: so a relative path starts at its parent, as runc's does.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a relative path where the own cgroup is out of the mount's sight.
    pub(crate) fn below_mount(&self, hierarchy: &Hierarchy, kind: HierarchyKind) -> Result<String> {
        match self {
            Self::Absolute(path) => Ok(path.clone()),
            Self::Relative(path) => {
                let own = hierarchy.own_below_mount().ok_or_else(|| {
                    Error::Invalid(
                        "linux.cgroupsPath".into(),
                        format!(
                            "a relative path starts at the own cgroup, but {:?} is not below {:?}, which is what \
                             {} shows\nhint: use an absolute path",
                            hierarchy.own, hierarchy.root, hierarchy.mount_point
                        ),
                    )
                })?;
                let start = match kind {
                    HierarchyKind::Alone => own.rsplit_once('/').map_or("", |(parent, _)| parent),
                    HierarchyKind::V1 | HierarchyKind::Beside => own,
                };
                Ok(normalize(&format!("{start}/{path}")))
            }
        }
    }
}

/// Resolves `.`, `..` and empty names by text alone, under a root: the answer starts with `/` and stays below.
pub(crate) fn normalize(path: &str) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => (),
            ".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    format!("/{}", names.join("/"))
}

/// `exec --cgroup [controller[,controller…]:]path`, one argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubCgroup {
    /// The controllers whose hierarchies are meant; none means all of them.
    pub controllers: Vec<String>,
    /// The path below the container's own cgroup, starting with `/`.
    pub path: String,
}

/// Parses the `--cgroup` arguments of `exec` as runc does: either one path for all hierarchies, or paths with
/// controllers, none named twice.
///
/// # Errors
///
/// [`Error::SubCgroup`] with runc's words.
pub fn parse_sub_cgroups<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Result<Vec<SubCgroup>> {
    let mut parsed: Vec<SubCgroup> = Vec::new();
    for argument in arguments {
        let wrong = |why: &str| Error::SubCgroup(format!("invalid --cgroup argument: {argument} ({why})"));
        if argument.contains('\0') {
            return Err(wrong("NUL in path"));
        }
        let Some((prefix, path)) = argument.split_once(':') else {
            parsed.push(SubCgroup { controllers: Vec::new(), path: check_sub_path(argument)? });
            continue;
        };
        let mut controllers: Vec<String> = Vec::new();
        for controller in prefix.split(',') {
            if controller.is_empty() {
                return Err(wrong("empty <controller> prefix"));
            }
            let known = parsed.iter().flat_map(|sub| &sub.controllers).chain(&controllers);
            if known.into_iter().any(|known| known == controller) {
                return Err(Error::SubCgroup(format!(
                    "invalid --cgroup argument(s): controller {controller} specified multiple times"
                )));
            }
            controllers.push(controller.into());
        }
        parsed.push(SubCgroup { controllers, path: check_sub_path(path)? });
    }
    match parsed.iter().find(|sub| sub.controllers.is_empty()) {
        Some(sub) if parsed.len() > 1 => Err(Error::SubCgroup(format!(
            "invalid --cgroup argument: {} (missing <controller>: prefix)",
            sub.path.trim_start_matches('/')
        ))),
        _ => Ok(parsed),
    }
}

/// Unlike cgroupsPath, where `..` stops at the top, a sub-cgroup that points out is refused: runc's rule.
fn check_sub_path(path: &str) -> Result<String> {
    let mut depth = 0usize;
    for name in path.split('/') {
        match name {
            "" | "." => (),
            ".." => {
                depth = depth
                    .checked_sub(1)
                    .ok_or_else(|| Error::SubCgroup(format!("bad sub cgroup path: {path}")))?;
            }
            _ => depth += 1,
        }
    }
    Ok(normalize(path))
}

#[cfg(test)]
#[path = "path_tests.rs"]
mod tests;
