//! What containers leave on a machine. The tests must leave nothing: read before them and compared after.

use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The programs whose processes must not outlive the tests.
const PROGRAMS: [&str; 8] =
    ["masu", "masu-init", "masu-tests", "masu-tools", "masu-trace", "docker-registry", "runc", "crun"];
/// Where the runtimes keep their state by default.
const STATE: [&str; 3] = ["/run/masu", "/run/runc", "/run/crun"];
/// The kernel removes cgroups and network namespaces some time after their last process.
const PATIENCE: Duration = Duration::from_secs(5);

/// Everything that a test may leave behind, as lines for people.
#[derive(Debug)]
pub(super) struct Traces(BTreeSet<String>);

impl Traces {
    pub(super) fn read() -> Result<Self> {
        let mut traces = BTreeSet::new();
        let file = "/proc/self/mountinfo";
        let mountinfo = std::fs::read_to_string(file).with_context(|| format!("read {file}"))?;
        traces.extend(mountinfo.lines().filter_map(parse_mount).map(|mount| format!("mount {mount}")));
        for hierarchy in mountinfo.lines().filter_map(parse_cgroup_hierarchy) {
            add_cgroups(&mut traces, hierarchy.as_ref());
        }
        add_processes(&mut traces)?;
        for state in STATE.iter().flat_map(|folder| entries(Path::new(folder))) {
            traces.insert(format!("state {}", state.display()));
        }
        Ok(Self(traces))
    }

    /// Fails with what is there now and was not before. Waits a little for the kernel's own clean-up.
    pub(super) fn compare(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = Self::read()?;
            let left: Vec<_> = now.0.difference(&self.0).map(|trace| describe(trace)).collect();
            if left.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("left behind:\n  {}", left.join("\n  "));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// `MOUNTPOINT TYPE` of a line of proc_pid_mountinfo(5).
fn parse_mount(line: &str) -> Option<String> {
    let (left, right) = line.split_once(" - ")?;
    Some(format!("{} {}", left.split(' ').nth(4)?, right.split(' ').next()?))
}

fn parse_cgroup_hierarchy(line: &str) -> Option<PathBuf> {
    let mount = parse_mount(line)?;
    let (point, kind) = mount.rsplit_once(' ')?;
    matches!(kind, "cgroup" | "cgroup2").then(|| point.into())
}

/// Cgroups by a name that only our tests give, at any depth: a container without a `cgroupsPath` gets one below
/// the engine's own cgroup.
fn add_cgroups(traces: &mut BTreeSet<String>, folder: &Path) {
    for entry in entries(folder).into_iter().filter(|entry| entry.is_dir()) {
        if entry.file_name().is_some_and(|name| name.to_string_lossy().starts_with("masu")) {
            traces.insert(format!("cgroup {}", entry.display()));
        }
        add_cgroups(traces, &entry);
    }
}

/// Processes of the runtimes, and everybody in a pid namespace that is not ours: a container's.
fn add_processes(traces: &mut BTreeSet<String>) -> Result<()> {
    let own = std::fs::read_link("/proc/self/ns/pid").context("read /proc/self/ns/pid")?;
    for process in entries(Path::new("/proc")) {
        let Some(pid) = process.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok()) else {
            continue;
        };
        // A process may end at any moment: what cannot be read any more is no trace.
        let Ok(name) = std::fs::read_to_string(process.join("comm")) else { continue };
        let in_container = std::fs::read_link(process.join("ns/pid")).is_ok_and(|namespace| namespace != own);
        if in_container || PROGRAMS.contains(&name.trim_end()) {
            traces.insert(format!("process {pid} {}", name.trim_end()));
        }
    }
    Ok(())
}

/// A trace, and for a process its command line: it may be somebody else's.
fn describe(trace: &str) -> String {
    let pid = trace.strip_prefix("process ").and_then(|rest| rest.split(' ').next());
    let words = pid.and_then(|pid| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).ok());
    match words {
        Some(words) => format!("{trace}: {}", words.replace('\0', " ").trim_end()),
        None => trace.to_owned(),
    }
}

/// What is in a directory; nothing when it is not there, or is gone since it was listed.
fn entries(folder: &Path) -> Vec<PathBuf> {
    folder.read_dir().map(|entries| entries.flatten().map(|entry| entry.path()).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TMPFS: &str = "24 1 0:21 / /run rw,nosuid shared:5 - tmpfs tmpfs rw,mode=755";
    const CGROUP: &str = "30 24 0:26 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids";

    #[test]
    fn a_mount_is_known_by_its_point_and_type() {
        assert_eq!(parse_mount(TMPFS).as_deref(), Some("/run tmpfs"));
        assert_eq!(parse_mount("no mount"), None);
    }

    #[test]
    fn hierarchies_are_the_mounts_of_either_cgroup_version() {
        assert_eq!(parse_cgroup_hierarchy(CGROUP), Some("/sys/fs/cgroup/pids".into()));
        assert_eq!(parse_cgroup_hierarchy(TMPFS), None);
    }
}
