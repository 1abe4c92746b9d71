//! crun's annotation `run.oci.delegate-cgroup`, crun(1): the container's process lives in a cgroup below the container's,
//! and that one is its own to divide. Limits are on the container's cgroup, where a cgroup namespace has its root too.
//!
//! ```text
//! create   makes it, empty
//!          the process is born in the container's cgroup, which becomes the root of its namespace
//! settle   moves the process, then gives controllers to it: a cgroup that has any for those below may hold no
//!          processes (cgroups(7), "no internal processes"), so neither may come before the other
//! exec     goes where the first process is
//! ```

use alloc::format;
use alloc::string::{String, ToString};

use masu_spec::DELEGATE_CGROUP;

use crate::cgroup::{Cgroup, Request};
use crate::controllers;
use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::member::Member;

/// What a request's annotation says, as a path below the container's cgroup; `None` for nothing, as with crun.
///
/// # Errors
///
/// [`Error::Invalid`] for what is no such path, and on a host with version 1 hierarchies, where a cgroup that is given
/// away can undo its limits.
pub(crate) fn parse(layout: &Layout, request: &Request<'_>) -> Result<Option<String>> {
    let invalid = |why: String| Err(Error::Invalid(format!("annotations[{DELEGATE_CGROUP:?}]"), why));
    let Some(text) = request.delegated else { return Ok(None) };
    let path = text.trim_matches('/');
    if path.is_empty() {
        return Ok(None);
    }
    let is_name =
        |name: &str| !matches!(name, "" | "." | "..") && name.len() <= 255 && !name.contains(['\0', '\n']);
    match path.split('/').all(is_name) {
        false => invalid(format!("{text:?} is not a path of cgroups")),
        true if !layout.v1().is_empty() => {
            invalid("needs a host with version 2 of control groups alone".into())
        }
        true => Ok(Some(path.to_string())),
    }
}

impl Cgroup {
    /// Makes the cgroup that the annotation names.
    pub(crate) fn make_delegated(&self) -> Result<()> {
        let (Some(path), Some(member)) = (&self.delegated, self.alone()) else { return Ok(()) };
        let mut dir = member.dir()?.open("").map_err(|errno| member.failed("openat2", path, errno))?;
        for name in path.split('/') {
            dir.make(name).map_err(|errno| member.failed("mkdir", path, errno))?;
            dir = dir.open(name).map_err(|errno| member.failed("openat2", path, errno))?;
        }
        Ok(())
    }

    /// Moves the container's process there.
    pub(crate) fn enter_delegated(&self, pid: i32) -> Result<()> {
        let (Some(path), Some(member)) = (&self.delegated, self.alone()) else { return Ok(()) };
        let moved = open(member, path)?.write("cgroup.procs", &pid.to_string());
        moved.map_err(|errno| member.failed("write", &format!("{path}/cgroup.procs"), errno))
    }

    /// Gives it the controllers that the container's cgroup has. The container needs none: what stands in the way is no
    /// error.
    pub(crate) fn enable_delegated(&self) -> Result<()> {
        let (Some(path), Some(member)) = (&self.delegated, self.alone()) else { return Ok(()) };
        controllers::enable_below(member, path)
    }

    /// What belongs to the container's user: the delegated cgroup, or without one the container's.
    pub(crate) fn owned_dir(&self, member: &Member) -> Result<Dir> {
        open(member, self.delegated.as_deref().unwrap_or_default())
    }

    fn alone(&self) -> Option<&Member> {
        self.members.iter().find(|member| member.alone)
    }
}

fn open(member: &Member, path: &str) -> Result<Dir> {
    member.dir()?.open(path).map_err(|errno| member.failed("openat2", path, errno))
}
