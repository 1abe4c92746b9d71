//! Whom a cgroup belongs to. The kernel lets the owner of a version 2 cgroup make others below it, move its processes
//! between them and divide what it was given, cgroups(7), "Delegation of a hierarchy to a less privileged user". Its own
//! limits stay the host's: their files are not among those given.

use alloc::string::String;

use rustix::fs::{AtFlags, Uid};
use rustix::io::Errno;

use crate::cgroup::Cgroup;
use crate::dir::read_path;
use crate::error::{Error, Result};

/// Names the files to give, one a line, Linux 4.15 (Documentation/ABI/testing/sysfs-kernel-cgroup).
const DELEGATE: &str = "/sys/kernel/cgroup/delegate";

/// The files to give where the kernel names none, runtime-spec 1.3 config-linux.md, "Cgroup ownership".
const WITHOUT_LIST: &str = "cgroup.procs\ncgroup.subtree_control\ncgroup.threads\n";

impl Cgroup {
    /// Gives the cgroup to the user `owner`, as the host counts users, or the one below that `run.oci.delegate-cgroup`
    /// names: its directory and the files that the kernel says go with it. On a host with version 1 nothing changes: a user with a cgroup there could undo its limits.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] of the list and of fchownat(2).
    pub fn delegate(&self, owner: u32) -> Result<()> {
        let Some(member) = self.members.iter().find(|member| member.alone) else { return Ok(()) };
        let list = match read_path(DELEGATE) {
            Err(Error::Io { errno: Errno::NOENT, .. }) => String::from(WITHOUT_LIST),
            list => list?,
        };
        let dir = self.owned_dir(member)?;
        let give = |name: &str| {
            let flags = AtFlags::SYMLINK_NOFOLLOW;
            rustix::fs::chownat(&dir, name, Some(Uid::from_raw(owner)), None, flags)
                .map_err(|errno| member.failed("fchownat", name, errno))
        };
        // Lines without a slash are names of files here, whatever they say.
        for file in list.lines().filter(|line| !line.is_empty() && !line.contains('/')) {
            match give(file) {
                Err(Error::Io { errno: Errno::NOENT, .. }) => (), // of a controller that this cgroup has not
                result => result?,
            }
        }
        give(".")
    }
}
