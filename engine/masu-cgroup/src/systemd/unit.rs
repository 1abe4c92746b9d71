//! From `linux.cgroupsPath` to a unit of systemd and its cgroup.

use alloc::format;
use alloc::string::String;

use crate::error::{Error, Result};

/// The prefix of a unit's name where `cgroupsPath` gives none.
const PREFIX: &str = "masu";
const FIELD: &str = "linux.cgroupsPath";

/// A unit's place, by names alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnitName {
    /// The slice that it is in.
    pub(crate) slice: String,
    /// Its own name.
    pub(crate) name: String,
}

impl UnitName {
    /// `SLICE:PREFIX:NAME` is the scope `PREFIX-NAME.scope` in the slice, or the slice NAME, where it ends in `.slice`;
    /// without a path, `masu-ID.scope` (runc's rules). An empty SLICE is `default_slice`.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a path of another form, or a slice that cannot be one.
    pub(crate) fn parse(cgroups_path: Option<&str>, id: &str, default_slice: &str) -> Result<Self> {
        let (slice, prefix, name) = match cgroups_path.filter(|path| !path.is_empty()) {
            None => ("", PREFIX, id),
            Some(path) => {
                let mut parts = path.split(':');
                match (parts.next(), parts.next(), parts.next(), parts.next()) {
                    (Some(slice), Some(prefix), Some(name), None) if !name.is_empty() => {
                        (slice, prefix, name)
                    }
                    _ => {
                        let why = format!(
                            "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups, got \
                             {path:?} instead\nhint: a path of directories is for the cgroupfs driver, without \
                             --systemd-cgroup"
                        );
                        return Err(Error::Invalid(FIELD.into(), why));
                    }
                }
            }
        };
        let slice = String::from(if slice.is_empty() { default_slice } else { slice });
        slice_path(&slice)?;
        let name = match name.strip_suffix(".slice") {
            Some(_) => slice_path(name).map(|_| name.into())?,
            None => format!("{prefix}-{name}.scope"),
        };
        check_name(&name)?;
        Ok(Self { slice, name })
    }

    /// A slice may be empty; a scope has processes from its birth to its end.
    pub(crate) fn is_slice(&self) -> bool {
        self.name.ends_with(".slice")
    }

    /// The unit's cgroup, below that of its manager.
    pub(crate) fn path(&self) -> Result<String> {
        Ok(format!("{}/{}", slice_path(&self.slice)?, self.name))
    }
}

/// `a-b.slice` is in `a.slice`, and `-.slice` is the root: systemd.slice(5).
///
/// # Errors
///
/// [`Error::Invalid`] for a name that systemd does not take.
fn slice_path(slice: &str) -> Result<String> {
    let invalid = || Error::Invalid(FIELD.into(), format!("invalid slice name: {slice}"));
    let name = slice.strip_suffix(".slice").ok_or_else(invalid)?;
    if name == "-" {
        return Ok(String::new());
    }
    if name.contains('/') || name.split('-').any(str::is_empty) {
        return Err(invalid());
    }
    check_name(slice)?;
    let (mut path, mut above) = (String::new(), String::new());
    for part in name.split('-') {
        above.push_str(part);
        path.push('/');
        path.push_str(&above);
        path.push_str(".slice");
        above.push('-');
    }
    Ok(path)
}

/// systemd.unit(5): what a name may consist of. Without this, a slash would lead to another cgroup than systemd's.
fn check_name(name: &str) -> Result<()> {
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
    if name.len() < 256 && name.bytes().all(is_valid) {
        return Ok(());
    }
    let why = format!(
        "{name:?} cannot be the name of a unit: at most 255 letters, digits and characters of \":-_.\\@\""
    );
    Err(Error::Invalid(FIELD.into(), why))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(path: Option<&str>) -> Result<(String, String)> {
        let unit = UnitName::parse(path, "web.1", "system.slice")?;
        Ok((unit.path()?, unit.slice))
    }

    #[test]
    fn a_path_of_three_parts_names_a_unit() {
        let table = [
            (None, "/system.slice/masu-web.1.scope", "system.slice"),
            (Some(""), "/system.slice/masu-web.1.scope", "system.slice"),
            (Some("machine.slice:libpod:00ff"), "/machine.slice/libpod-00ff.scope", "machine.slice"),
            (Some(":docker:x"), "/system.slice/docker-x.scope", "system.slice"),
            (Some("-.slice:a:b"), "/a-b.scope", "-.slice"),
            (
                Some("kube-pods-pod7.slice:cri:c"),
                "/kube.slice/kube-pods.slice/kube-pods-pod7.slice/cri-c.scope",
                "kube-pods-pod7.slice",
            ),
            (Some("a.slice:x:a-b.slice"), "/a.slice/a-b.slice", "a.slice"),
            // As runc has it.
            (Some("a.slice::b"), "/a.slice/-b.scope", "a.slice"),
        ];
        for (path, cgroup, slice) in table {
            assert_eq!(parse(path), Ok((cgroup.into(), slice.into())), "{path:?}");
        }
    }

    #[test]
    fn what_names_no_unit_is_refused() {
        let form = |path: &str| {
            format!(
                "linux.cgroupsPath: expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups, \
                 got {path:?} instead\nhint: a path of directories is for the cgroupfs driver, without --systemd-cgroup"
            )
        };
        let slice = |slice: &str| format!("linux.cgroupsPath: invalid slice name: {slice}");
        let name = |name: &str| {
            format!(
                "linux.cgroupsPath: {name:?} cannot be the name of a unit: at most 255 letters, digits and characters \
                 of \":-_.\\@\""
            )
        };
        let long = "x".repeat(250);
        let table = [
            ("/a/b", form("/a/b")),
            ("a.slice:b", form("a.slice:b")),
            ("a.slice:b:", form("a.slice:b:")),
            ("a.slice:b:c:d", form("a.slice:b:c:d")),
            ("a:b:c", slice("a")),
            (".slice:b:c", slice(".slice")),
            ("a--b.slice:b:c", slice("a--b.slice")),
            ("-a.slice:b:c", slice("-a.slice")),
            ("a-.slice:b:c", slice("a-.slice")),
            ("a/b.slice:b:c", slice("a/b.slice")),
            ("a.slice:b:-c.slice", slice("-c.slice")),
            ("a.slice:../b:c", name("../b-c.scope")),
            ("a.slice:b:c d", name("b-c d.scope")),
            (&format!("a.slice:b:{long}"), name(&format!("b-{long}.scope"))),
        ];
        for (path, message) in table {
            assert_eq!(parse(Some(path)).map_err(|error| format!("{error}")), Err(message));
        }
    }
}
