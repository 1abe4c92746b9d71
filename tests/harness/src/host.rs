//! What the host shows of a container: its processes and its cgroups.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::command::deadline;
use crate::{Check, ensure, fail};

/// Where the hierarchies of control groups are mounted.
pub const CGROUPS: &str = "/sys/fs/cgroup";

/// Asks again and again until the answer is yes; fails the case after the deadline.
pub fn until(what: &str, mut question: impl FnMut() -> Check<bool>) -> Check {
    let start = Instant::now();
    let mut pause = Duration::from_millis(1);
    while !question()? {
        ensure!(start.elapsed() < deadline(), "not within {:?}: {what}", deadline());
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
    Ok(())
}

/// Waits until a process executes this command line, each argument ended by a NUL: a runtime may return a moment
/// before its init has made way for the program.
pub fn until_program(pid: i32, line: &str) -> Check {
    until(&format!("process {pid} executes {line:?}"), || {
        Ok(fs::read_to_string(format!("/proc/{pid}/cmdline"))? == line)
    })
}

/// What the kernel was built with, one `CONFIG_…=y` a line; empty where nobody says.
pub fn kernel_config() -> Check<String> {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    if let Ok(text) = fs::read_to_string(format!("/boot/config-{release}")) {
        return Ok(text);
    }
    let zcat = std::process::Command::new("zcat").arg("/proc/config.gz").output()?;
    Ok(String::from_utf8_lossy(&zcat.stdout).into_owned())
}

/// The processes of the host.
pub fn processes() -> Check<Vec<i32>> {
    let mut list = Vec::new();
    for entry in fs::read_dir("/proc")? {
        if let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) {
            list.push(pid);
        }
    }
    Ok(list)
}

/// The processes whose cgroup, in any hierarchy, or whose environment contains `marker`.
pub fn processes_of(marker: &str) -> Check<Vec<i32>> {
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
pub fn is_zombie(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
    matches!(state, None | Some('Z' | 'X'))
}

/// Whether a process of this number exists and is no zombie.
pub fn is_alive(pid: i32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists() && !is_zombie(pid)
}

/// The value of one line of `/proc/PID/status`.
pub fn status_field(pid: i32, field: &str) -> Check<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    text.lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
        .map(|value| value.trim().to_owned())
        .ok_or_else(|| fail(format!("no {field} in /proc/{pid}/status")))
}

/// What `/proc/PID/ns/KIND` names.
pub fn namespace_of(pid: i32, kind: &str) -> Check<String> {
    Ok(fs::read_link(format!("/proc/{pid}/ns/{kind}"))?.to_string_lossy().into_owned())
}

/// Whether the host has version 2 of control groups alone.
pub fn is_unified() -> bool {
    Path::new(CGROUPS).join("cgroup.controllers").exists()
}

/// The path of a cgroup in the hierarchy of this controller.
pub fn cgroup(controller: &str, path: &str) -> PathBuf {
    let hierarchy = if is_unified() { "" } else { controller };
    Path::new(CGROUPS).join(hierarchy).join(path.trim_start_matches('/'))
}

/// The path of a cgroup of a version 1 hierarchy.
pub fn cgroup_v1(controller: &str, path: &str) -> PathBuf {
    Path::new(CGROUPS).join(controller).join(path.trim_start_matches('/'))
}

/// The path of a cgroup in the unified hierarchy.
pub fn cgroup_unified(path: &str) -> PathBuf {
    cgroup("unified", path)
}

/// Reads a file of a cgroup, without the white space at its end.
pub fn read_trimmed(path: impl AsRef<Path>) -> Check<String> {
    let path = path.as_ref();
    let text =
        fs::read_to_string(path).map_err(|error| fail(format!("cannot read {}: {error}", path.display())))?;
    Ok(text.trim_end().to_owned())
}

/// The cgroups, in all hierarchies, whose path contains `marker`; the deepest first.
pub fn cgroups_of(marker: &str) -> Check<Vec<PathBuf>> {
    let mut found = Vec::new();
    if is_unified() {
        collect_cgroups(Path::new(CGROUPS), marker, &mut found);
    } else {
        for hierarchy in fs::read_dir(CGROUPS)? {
            collect_cgroups(&hierarchy?.path(), marker, &mut found);
        }
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
