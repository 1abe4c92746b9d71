//! What of the host's tree would let a container see the kernel without its masks, where chroot(2) leaves that tree below
//! its root.

use alloc::{string::String, vec::Vec};

use masu_spec::{Config, NamespaceKind};
use rustix::io::Errno;

use crate::{
    error::{Doing, Result},
    files,
};

/// The mount points of the host's procfs and sysfs, for a container whose root is entered by chroot(2) in a mount
/// namespace of its own.
///
/// # Errors
/// When /proc/self/mountinfo cannot be read.
pub(crate) fn host_views(config: &Config<'_>, no_pivot: bool) -> Result<Vec<String>> {
    if !no_pivot || !config.linux.namespaces.is_new(NamespaceKind::Mount) {
        return Ok(Vec::new());
    }
    let text = files::read("/proc/self/mountinfo")
        .and_then(|text| String::from_utf8(text).map_err(|_| Errno::ILSEQ))
        .doing(|| "read /proc/self/mountinfo".into())?;
    Ok(parse(&text))
}

/// proc_pid_mountinfo(5).
fn parse(mountinfo: &str) -> Vec<String> {
    let lines = mountinfo.lines().filter_map(|line| line.split_once(" - "));
    let views = lines.filter(|(_, tail)| matches!(tail.split(' ').next(), Some("proc" | "sysfs")));
    views.filter_map(|(fields, _)| fields.split(' ').nth(4)).map(masu_cgroup::unescape).collect()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn procfs_and_sysfs_are_found_wherever_they_are() {
        let mountinfo = "\
1 1 0:2 / / rw - rootfs rootfs rw
20 1 0:19 / /proc rw,nosuid shared:5 - proc proc rw
21 20 0:30 / /proc/sys/fs/binfmt_misc rw - binfmt_misc none rw
22 1 0:20 / /sys rw - sysfs sysfs rw
23 1 0:40 / /srv/a\\040chroot/proc rw - proc proc rw
no mount
";
        assert_eq!(parse(mountinfo), ["/proc", "/sys", "/srv/a chroot/proc"]);
    }
}
