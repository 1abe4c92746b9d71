//! What an update has changed before it was refused, given back: an update is in force as a whole, or not at all.

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::cgroup::Cgroup;
use crate::error::Result;
use crate::member::Member;
use crate::plan::Write;

/// A setting as it was: the file and what to write to it.
pub(crate) struct Old<'c> {
    member: &'c Member,
    file: String,
    value: String,
}

/// Reads what `writes` are about to change. A file that is not there has nothing to give back.
pub(crate) fn read_old<'c>(cgroup: &'c Cgroup, writes: &[Write]) -> Result<Vec<Old<'c>>> {
    let mut old = Vec::with_capacity(writes.len());
    for write in writes {
        let Some(member) = cgroup.member(write.controller) else { continue };
        for file in write.files(member.noprefix) {
            if let Some(text) = member.read_optional(file)? {
                old.push(Old { member, file: file.to_owned(), value: former(file, &text, &write.value) });
                break;
            }
        }
    }
    Ok(old)
}

/// Writes everything back, the last first, and what depends on another once more. Returns the files of which the kernel
/// does not take the old value either.
pub(crate) fn restore(old: &[Old<'_>]) -> Vec<String> {
    let write = |old: &&Old<'_>| old.member.dir().is_ok_and(|dir| dir.write(&old.file, &old.value).is_ok());
    let refused: Vec<&Old<'_>> = old.iter().rev().filter(|old| !write(old)).collect();
    refused.into_iter().rev().filter(|old| !write(old)).map(|old| old.file.clone()).collect()
}

/// What brings the setting back that `value` is about to change. A file of one value is read as it is written; one of
/// many has a line for each device, and none for a device without a setting.
fn former(file: &str, text: &str, value: &str) -> String {
    let whole = || match text.trim_end() {
        // An empty list: cpusets take one as a line.
        "" => "\n".to_string(),
        text => text.to_string(),
    };
    let Some((key, _)) = value.split_once(' ') else {
        return match (file, text.strip_prefix("default ")) {
            // The weight for all devices, before those of single ones.
            ("io.weight" | "io.bfq.weight", Some(rest)) => {
                "default ".to_owned() + rest.lines().next().unwrap_or_default()
            }
            _ => whole(),
        };
    };
    let line = text.lines().find(|line| line.split(' ').next() == Some(key));
    match (line, unset(file)) {
        (Some(line), _) => line.trim_end().to_string(),
        (None, Some(unset)) => key.to_owned() + unset,
        (None, None) => whole(),
    }
}

/// What takes the setting of one device away.
fn unset(file: &str) -> Option<&'static str> {
    match file {
        "io.max" => Some(" rbps=max wbps=max riops=max wiops=max"),
        "io.weight" | "io.bfq.weight" => Some(" default"),
        "rdma.max" => Some(" hca_handle=max hca_object=max"),
        _ if file.starts_with("blkio.") => Some(" 0"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::former;

    #[test]
    fn the_former_setting_is_that_of_the_same_device_or_none() {
        for (file, text, value, expected) in [
            ("pids.max", "max\n", "5", "max"),
            ("memory.limit_in_bytes", "9223372036854771712\n", "5", "9223372036854771712"),
            ("cpuset.cpus", "\n", "0", "\n"),
            ("cpu.max", "max 100000\n", "50000 200000", "max 100000"),
            (
                "io.max",
                "8:0 rbps=5 wbps=max riops=max wiops=max\n",
                "8:0 rbps=9",
                "8:0 rbps=5 wbps=max riops=max wiops=max",
            ),
            (
                "io.max",
                "8:0 rbps=5 wbps=max riops=max wiops=max\n",
                "8:1 wbps=9",
                "8:1 rbps=max wbps=max riops=max wiops=max",
            ),
            ("io.weight", "default 100\n8:0 200\n", "50", "default 100"),
            ("io.bfq.weight", "100\n", "50", "100"),
            ("io.weight", "default 100\n8:0 200\n", "8:0 50", "8:0 200"),
            ("io.weight", "default 100\n", "8:0 50", "8:0 default"),
            ("blkio.throttle.read_bps_device", "", "8:0 1", "8:0 0"),
            ("blkio.throttle.read_bps_device", "8:0 7\n8:16 9\n", "8:16 1", "8:16 9"),
            (
                "rdma.max",
                "mlx5_0 hca_handle=3 hca_object=max\n",
                "mlx5_0 hca_object=1",
                "mlx5_0 hca_handle=3 hca_object=max",
            ),
            ("rdma.max", "", "mlx5_0 hca_object=1", "mlx5_0 hca_handle=max hca_object=max"),
            ("net_prio.ifpriomap", "lo 0\neth0 5\n", "eth0 7", "eth0 5"),
        ] {
            assert_eq!(former(file, text, value), expected, "{file} {text:?} {value:?}");
        }
    }
}
