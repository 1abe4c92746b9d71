//! Joining a container whose processes are not where its record says.
//!
//! A container that manages cgroups of its own (systemd, a container engine) moves its processes into cgroups below, and
//! enables controllers for them: from then on nobody can enter the one that the container began in (EBUSY; cgroups(7),
//! "no internal processes"). One without a cgroup namespace that may write the hierarchy can even leave it.
//! Another process then goes where the first one is, as it does where the container's processes have a cgroup below from
//! the beginning.

use alloc::string::String;

use rustix::io::Errno;

use crate::cgroup::{Cgroup, Join};
use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::layout::{Hierarchy, Layout};
use crate::path::SubCgroup;

impl Cgroup {
    /// As [`Cgroup::open_join`], for a process beside the container's first one. The machine's layout and that process's
    /// `/proc/pid/cgroup` are asked of `membership`, and only where the container's own cgroup takes nobody.
    ///
    /// # Errors
    ///
    /// Those of [`Cgroup::open_join`], and those of `membership`.
    pub fn open_join_beside<'a, E: From<Error>>(
        &self,
        subs: &[SubCgroup],
        membership: impl FnOnce() -> core::result::Result<(&'a Layout, String), E>,
    ) -> core::result::Result<Join, E> {
        let Some(member) = self.members.iter().find(|member| member.alone && subs.is_empty()) else {
            return Ok(self.open_join(subs)?);
        };
        let is_open = self.delegated.is_none()
            && match member.read("cgroup.subtree_control") {
                Ok(enabled) => enabled.trim().is_empty(),
                Err(Error::Io { errno: Errno::NOENT | Errno::NODEV, .. }) => false,
                Err(error) => return Err(error.into()),
            };
        if is_open {
            return Ok(self.open_join(subs)?);
        }
        let (layout, text) = membership()?;
        let unified = Some(open_of_process(layout, &text)?.into_fd());
        Ok(Join { unified, ..Join::default() })
    }
}

/// The directory of the unified hierarchy that a process is in.
fn open_of_process(layout: &Layout, membership: &str) -> Result<Dir> {
    let malformed = || Error::Malformed("/proc/pid/cgroup".into(), membership.into());
    let path = membership.lines().find_map(|line| line.strip_prefix("0::")).ok_or_else(malformed)?;
    let unified = layout.unified().ok_or_else(malformed)?;
    let place = Hierarchy { own: path.into(), ..unified.clone() };
    let below = place.own_below_mount().ok_or_else(malformed)?;
    let failed = |errno| Error::Io {
        call: "openat2",
        path: crate::dir::path_for_message_only(&unified.mount_point, below),
        errno,
    };
    Dir::open_mount(&unified.mount_point, true)?.open(below).map_err(failed)
}
