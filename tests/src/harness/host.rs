//! What the host shows of a container: its processes and its cgroups.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::command::DEADLINE;
use super::{Check, ensure, fail};

/// Where the hierarchies of control groups are mounted.
pub(crate) const CGROUPS: &str = "/sys/fs/cgroup";

/// Asks again and again until the answer is yes; fails the case after the deadline.
pub(crate) fn until(what: &str, mut question: impl FnMut() -> Check<bool>) -> Check {
    let start = Instant::now();
    let mut pause = Duration::from_millis(1);
    while !question()? {
        ensure!(start.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}");
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
    Ok(())
}

/// Waits until a process executes this command line, each argument ended by a NUL: a runtime may return a moment
/// before its init has made way for the program.
pub(crate) fn until_program(pid: i32, line: &str) -> Check {
    until(&format!("process {pid} executes {line:?}"), || {
        Ok(fs::read_to_string(format!("/proc/{pid}/cmdline"))? == line)
    })
}

/// The processes of the host.
pub(crate) fn processes() -> Check<Vec<i32>> {
    let mut list = Vec::new();
    for entry in fs::read_dir("/proc")? {
        if let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) {
            list.push(pid);
        }
    }
    Ok(list)
}

/// The processes whose cgroup, in any hierarchy, or whose environment contains `marker`.
pub(crate) fn processes_of(marker: &str) -> Check<Vec<i32>> {
    let marker = marker.as_bytes();
    let mut list = processes()?;
    list.retain(|pid| {
        let has = |file: &str| {
            // A process may vanish while it is being looked at; one that has gone has no marker.
            let text = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            text.windows(marker.len()).any(|window| window == marker)
        };
        (has("cgroup") || has("environ")) && !is_zombie(*pid)
    });
    Ok(list)
}

/// Whether the process is a zombie, or gone.
pub(crate) fn is_zombie(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
    matches!(state, None | Some('Z' | 'X'))
}

/// Whether a process of this number exists and is no zombie.
pub(crate) fn is_alive(pid: i32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists() && !is_zombie(pid)
}

/// The value of one line of `/proc/PID/status`.
pub(crate) fn status_field(pid: i32, field: &str) -> Check<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    text.lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
        .map(|value| value.trim().to_owned())
        .ok_or_else(|| fail(format!("no {field} in /proc/{pid}/status")))
}

/// What `/proc/PID/ns/KIND` names.
pub(crate) fn namespace_of(pid: i32, kind: &str) -> Check<String> {
    Ok(fs::read_link(format!("/proc/{pid}/ns/{kind}"))?.to_string_lossy().into_owned())
}

/// The path of a cgroup of a version 1 hierarchy.
pub(crate) fn cgroup_v1(controller: &str, path: &str) -> PathBuf {
    Path::new(CGROUPS).join(controller).join(path.trim_start_matches('/'))
}

/// The path of a cgroup in the unified hierarchy beside the version 1 ones.
pub(crate) fn cgroup_unified(path: &str) -> PathBuf {
    Path::new(CGROUPS).join("unified").join(path.trim_start_matches('/'))
}

/// Reads a file of a cgroup, without the white space at its end.
pub(crate) fn read_trimmed(path: impl AsRef<Path>) -> Check<String> {
    let path = path.as_ref();
    let text =
        fs::read_to_string(path).map_err(|error| fail(format!("cannot read {}: {error}", path.display())))?;
    Ok(text.trim_end().to_owned())
}

/// The cgroups, in all hierarchies, whose path contains `marker`; the deepest first.
pub(crate) fn cgroups_of(marker: &str) -> Check<Vec<PathBuf>> {
    let mut found = Vec::new();
    for hierarchy in fs::read_dir(CGROUPS)? {
        collect_cgroups(&hierarchy?.path(), marker, &mut found);
    }
    found.sort_by_key(|path| std::cmp::Reverse(path.components().count()));
    Ok(found)
}

fn collect_cgroups(dir: &Path, marker: &str, found: &mut Vec<PathBuf>) {
    // Other tests make and remove cgroups at the same time: what vanishes was not ours.
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let path = entry.path();
            if path.to_string_lossy().contains(marker) {
                found.push(path.clone());
            }
            collect_cgroups(&path, marker, found);
        }
    }
}
