//! The version 1 cpuset controller starts every cgroup empty, and an empty one takes no task (ENOSPC).

use alloc::string::String;
use alloc::vec::Vec;

use masu_spec::Resources;
use rustix::io::Errno;

use crate::dir::Dir;
use crate::error::{Error, Refused, Result};
use crate::member::Member;

/// Gives each directory on the way, root first, its parent's CPUs and memory nodes where it has none, and the
/// last one what the config says. The config comes first there: its parent's whole set could clash with a sibling's
/// `cpu_exclusive`.
pub(crate) fn fill(member: &Member, resources: &Resources<'_>) -> Result<()> {
    let dirs = open_all(member)?;
    let files = if member.noprefix { ["cpus", "mems"] } else { ["cpuset.cpus", "cpuset.mems"] };
    let asked = [&resources.cpu.cpus, &resources.cpu.mems];
    let fields = ["linux.resources.cpu.cpus", "linux.resources.cpu.mems"];
    // dirs[0] is the mount's root; the last `made` are new and empty.
    let old = (dirs.len() - 1).saturating_sub(member.made);
    let Some((leaf, above)) = dirs.split_last() else { return Ok(()) };
    for ((file, asked), field) in files.into_iter().zip(asked).zip(fields) {
        match asked {
            Some(value) => {
                fill_parents(member, above, old, file)?;
                leaf.write(file, value).map_err(|errno| refused(member, file, value, field, errno))?;
            }
            None => fill_parents(member, &dirs, old, file)?,
        }
    }
    Ok(())
}

/// The directories from the mount's root to the cgroup.
fn open_all(member: &Member) -> Result<Vec<Dir>> {
    let mut dirs = alloc::vec![Dir::open_mount(&member.mount_point, false)?];
    for name in member.path.split('/').filter(|name| !name.is_empty()) {
        let Some(parent) = dirs.last() else { break };
        let dir = parent.open(name).map_err(|errno| member.failed("openat2", "", errno))?;
        dirs.push(dir);
    }
    Ok(dirs)
}

/// Walks up to the nearest directory that has a value, and copies it down from there. Those after `old` are not
/// read: they are new.
fn fill_parents(member: &Member, dirs: &[Dir], old: usize, file: &str) -> Result<()> {
    let mut empty: Vec<&Dir> = Vec::new();
    let mut value = String::new();
    for (index, dir) in dirs.iter().enumerate().rev() {
        if index > old {
            empty.push(dir);
            continue;
        }
        let text = dir.read(file).map_err(|errno| member.failed("read", file, errno))?;
        if !text.trim().is_empty() {
            value = text;
            break;
        }
        empty.push(dir);
    }
    for dir in empty.into_iter().rev() {
        dir.write(file, value.trim()).map_err(|errno| member.failed("write", file, errno))?;
    }
    Ok(())
}

fn refused(member: &Member, file: &str, value: &str, field: &str, errno: Errno) -> Error {
    let hint = matches!(errno, Errno::INVAL | Errno::RANGE | Errno::ACCESS)
        .then(|| "only CPUs and memory nodes that are online and that the parent cgroup has".into());
    let (field, value, file) = (field.into(), value.into(), file.into());
    Error::Refused(Refused { field, value, file, cgroup: member.path.clone(), errno, hint }.into())
}
