//! `/proc/PID/mountinfo`, as proc_pid_mountinfo(5) describes it.

use std::fs;

use crate::{Check, fail};

/// One line of mountinfo.
#[derive(Debug, Clone)]
pub struct Mount {
    /// The path of the mount's root within its file system.
    pub root: String,
    /// Where it is mounted.
    pub point: String,
    /// The options of the mount.
    pub options: Vec<String>,
    /// Its propagation: `shared:N`, `master:N`, …; empty when private.
    pub propagation: Vec<String>,
    /// The type of its file system.
    pub kind: String,
    /// Its source.
    pub source: String,
    /// The options of its superblock.
    pub super_options: Vec<String>,
}

impl Mount {
    /// Whether the mount itself has this option.
    pub fn has(&self, option: &str) -> bool {
        self.options.iter().any(|one| one == option)
    }
}

/// Parses the text of a mountinfo file.
pub fn parse_mountinfo(text: &str) -> Vec<Mount> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Mount> {
    let (before, after) = line.split_once(" - ")?;
    let mut left = before.split(' ').skip(3);
    let (root, point, options) = (left.next()?, left.next()?, left.next()?);
    let propagation = left.map(str::to_owned).collect();
    let mut right = after.split(' ');
    let (kind, source, super_options) = (right.next()?, right.next()?, right.next()?);
    let list = |text: &str| text.split(',').map(str::to_owned).collect();
    Some(Mount {
        root: root.to_owned(),
        point: point.to_owned(),
        options: list(options),
        propagation,
        kind: kind.to_owned(),
        source: source.to_owned(),
        super_options: list(super_options),
    })
}

/// The topmost mount at `point`.
pub fn mount_at(mountinfo: &str, point: &str) -> Check<Mount> {
    parse_mountinfo(mountinfo)
        .into_iter()
        .rfind(|mount| mount.point == point)
        .ok_or_else(|| fail(format!("nothing is mounted at {point}:\n{mountinfo}")))
}

/// The mounts of this process.
pub fn host_mounts() -> Check<Vec<Mount>> {
    Ok(parse_mountinfo(&fs::read_to_string("/proc/self/mountinfo")?))
}
