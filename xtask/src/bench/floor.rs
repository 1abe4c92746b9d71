//! `bench/floor`, the kernel's own limit: what it is called with, and the proof that its container is one.
//!
//! A limit that leaves something out is none. So a program looks around in the container that the floor makes and in the one
//! that masu makes of the default configuration: both have to show it the same. The benchmark asks first, and
//! `cargo xtask test floor` by itself.

use crate::project;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const CGROUP: &str = "/sys/fs/cgroup";
const NAMESPACES: [&str; 8] = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"];

/// The program and what it has to be told of the machine.
#[derive(Debug, Clone)]
pub(super) struct Floor {
    program: PathBuf,
    /// The hierarchies, as the program takes them.
    hierarchies: String,
}

impl Floor {
    /// Builds it; `None` on a machine that has no version 1 hierarchies, which are all that it knows.
    pub(super) fn build() -> Result<Option<Self>> {
        let Some(hierarchies) = join_hierarchies(&read_mounted()?) else { return Ok(None) };
        project::run(&mut project::floor_cargo(&["build", "--quiet", "--release", "--locked"]))?;
        Ok(Some(Self { program: project::target().join("floor/release/floor"), hierarchies }))
    }

    /// The container of this root and cgroup, with this process.
    pub(super) fn command(&self, root: &Path, cgroup: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(root).arg(cgroup).arg(&self.hierarchies).args(arguments);
        command
    }

    /// Looks around in its container and in masu's, and compares.
    ///
    /// # Errors
    ///
    /// With the lines that only one of the two has.
    pub(super) fn prove_equal(&self, masu: &Path, folder: &Path) -> Result<()> {
        let root = folder.join("root");
        make_root(&root)?;
        let busybox = "/bin/busybox";
        std::fs::copy(busybox, root.join("busybox")).with_context(|| format!("copy {busybox}"))?;
        let name = format!("masu-floor-{}", std::process::id());
        let arguments = ["/busybox", "sh", "-c", LOOK_AROUND];
        let mut config = default_config(masu, folder)?;
        set_process(&mut config, &root, &format!("/{name}"), &arguments)?;
        let file = folder.join("config.json");
        std::fs::write(&file, config.to_string()).with_context(|| format!("write {}", file.display()))?;
        let mut run = Command::new(masu);
        run.arg("--root").arg(folder.join("state")).arg("run").arg("--bundle").arg(folder).arg(&name);
        let ours = seen(&mut run)?;
        let floors = seen(&mut self.command(&root, &name, &arguments))?;
        if ours.len() < 50 {
            bail!("masu's container shows next to nothing:\n{}", ours.join("\n"));
        }
        match differences(&ours, &floors) {
            text if text.is_empty() => Ok(()),
            text => bail!("the floor's container (+) is not the one that masu makes (-):\n{text}"),
        }
    }
}

/// Whether the floor's container is the one that masu makes; `false` where there can be no floor.
///
/// # Errors
///
/// When it is another, with what differs.
pub(crate) fn floor_is_a_container(masu: &Path) -> Result<bool> {
    let Some(floor) = Floor::build()?.filter(|_| rustix::process::geteuid().is_root()) else {
        println!("no floor here: it takes root and cgroup v1");
        return Ok(false);
    };
    let folder = std::env::temp_dir().join(format!("masu-floor-{}", std::process::id()));
    std::fs::create_dir(&folder).with_context(|| format!("create {}", folder.display()))?;
    let proved = floor.prove_equal(masu, &folder);
    std::fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))?;
    proved.map(|()| true)
}

/// What `masu spec` writes here.
pub(super) fn default_config(masu: &Path, folder: &Path) -> Result<serde_json::Value> {
    let file = folder.join("config.json");
    if file.exists() {
        std::fs::remove_file(&file).with_context(|| format!("remove {}", file.display()))?;
    }
    project::output(Command::new(masu).arg("spec").arg("--bundle").arg(folder))?;
    let text = std::fs::read(&file).with_context(|| format!("read {}", file.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("parse {}", file.display()))
}

/// Gives a configuration its root, its `cgroupsPath` and its process.
pub(super) fn set_process(
    config: &mut serde_json::Value,
    root: &Path,
    cgroups_path: &str,
    arguments: &[&str],
) -> Result<()> {
    for (place, value) in [
        ("/process", ("terminal", false.into())),
        ("/process", ("args", arguments.into())),
        ("/root", ("path", root.to_string_lossy().into())),
        ("/linux", ("cgroupsPath", cgroups_path.into())),
    ] {
        let object = config.pointer_mut(place).and_then(serde_json::Value::as_object_mut);
        object
            .with_context(|| format!("the configuration has no {place}"))?
            .insert(value.0.to_owned(), value.1);
    }
    Ok(())
}

/// A root with the directories that the floor does not make.
pub(super) fn make_root(root: &Path) -> Result<()> {
    for name in ["proc", "dev", "sys"] {
        let folder = root.join(name);
        std::fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    }
    Ok(())
}

/// All that a container's process can see of what the runtime did. Times and numbers that differ from one run to the next
/// are left out; which namespaces are the host's is told afterwards.
const LOOK_AROUND: &str = r#"
b=/busybox
$b echo "in $($b pwd) as $($b id) on $($b hostname), umask $(umask)"
$b env | $b sort
$b cut -d' ' -f4- /proc/self/mountinfo | $b sort
$b grep -E '^(Umask|Uid|Gid|Groups|Seccomp|NoNewPrivs|Cap|Sig[BCI]|Cpus_allowed_list|NS(pid|sid|pgid))' /proc/1/status
$b cat /proc/1/limits /proc/1/cgroup /proc/1/oom_score_adj
for n in /proc/1/ns/*; do $b echo "namespace ${n##*/} $($b readlink "$n")"; done
$b ls /sys/class/net; $b cat /sys/class/net/lo/flags
$b stat -c '%n %N %F %a %u:%g %t:%T' / /dev /dev/* /dev/pts/*
for f in /proc/acpi /proc/asound /proc/interrupts /proc/kcore /proc/keys /proc/latency_stats /proc/timer_list \
    /proc/timer_stats /proc/sched_debug /proc/scsi /sys/firmware /sys/devices/virtual/powercap; do
  if [ -d "$f" ]; then $b echo "$f has $($b ls -A "$f" | $b wc -l) files"
  elif [ -e "$f" ]; then $b echo "$f is $($b stat -c '%F %t:%T' "$f") with $($b wc -c < "$f") bytes"
  else $b echo "no $f"; fi
done
for f in /new /proc/sys/new /proc/irq/new /sys/new /sys/fs/cgroup/new /sys/fs/cgroup/*/new; do
  $b mkdir "$f" 2>&1 || $b echo "cannot make $f"
done
for f in /sys/fs/cgroup/*; do $b echo "$f has $($b wc -l < "$f/cgroup.procs") processes"; done
$b cat /sys/fs/cgroup/devices/devices.list /sys/fs/cgroup/cpuset/cpuset.cpus /sys/fs/cgroup/cpuset/cpuset.mems
for f in /proc/1/fd/*; do $b echo "$f"; done
$b chroot / 2>&1; $b mknod /dev/new b 8 0 2>&1; $b dd if=/dev/zero of=/dev/full bs=1 count=1 2>&1 | $b grep -c .
"#;

/// What a container shows, line by line.
fn seen(command: &mut Command) -> Result<Vec<String>> {
    let host = NAMESPACES.map(|name| std::fs::read_link(format!("/proc/self/ns/{name}")).unwrap_or_default());
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("start {program}"))?;
    if !output.status.success() {
        bail!("{program}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr).trim_end());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let owner =
        |link: &str| if host.iter().any(|own| own == Path::new(link)) { "the host's" } else { "its own" };
    let line = |line: &str| match line.strip_prefix("namespace ").and_then(|rest| rest.split_once(' ')) {
        Some((name, link)) => format!("namespace {name}: {}", owner(link)),
        None => line.to_owned(),
    };
    Ok(text.lines().map(line).collect())
}

/// The lines that only one of the two has.
fn differences(ours: &[String], others: &[String]) -> String {
    let only = |sign: char, these: &[String], those: &[String]| -> String {
        these.iter().filter(|line| !those.contains(line)).map(|line| format!("{sign} {line}\n")).collect()
    };
    only('-', ours, others) + &only('+', others, ours)
}

/// What is mounted on a directory in `/sys/fs/cgroup`, as far as the floor cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mounted {
    Version1,
    Version2,
}

/// The hierarchies in their usual place, by name. What the kernel says of the directories themselves: mountinfo also has
/// those that lie below another mount.
fn read_mounted() -> Result<Vec<(String, Mounted)>> {
    let mut mounted = Vec::new();
    for entry in Path::new(CGROUP).read_dir().with_context(|| format!("read {CGROUP}"))? {
        let entry = entry.with_context(|| format!("read {CGROUP}"))?;
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let status =
            rustix::fs::statfs(entry.path()).with_context(|| format!("statfs {}", entry.path().display()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        match u64::try_from(status.f_type) {
            Ok(0x0027_e0eb) if is_directory => mounted.push((name, Mounted::Version1)),
            Ok(0x6367_7270) if is_directory => mounted.push((name, Mounted::Version2)),
            _ => {}
        }
    }
    mounted.sort_by(|left, right| left.0.cmp(&right.0));
    Ok(mounted)
}

/// The names as the floor takes them, the unified hierarchy last. `None` unless version 1 is there with one controller a
/// hierarchy.
fn join_hierarchies(mounted: &[(String, Mounted)]) -> Option<String> {
    let of = |version| mounted.iter().filter(move |(_, is)| *is == version).map(|(name, _)| name.as_str());
    let mut names: Vec<_> = of(Mounted::Version1).collect();
    if !names.contains(&"devices")
        || !names.contains(&"cpuset")
        || names.iter().any(|name| name.contains(','))
    {
        return None;
    }
    match of(Mounted::Version2).collect::<Vec<_>>().as_slice() {
        [] => {}
        ["unified"] => names.push("unified"),
        _ => return None,
    }
    Some(names.join(":"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_are_taken_where_each_has_one_controller() {
        let joined = |version_1: &[&str], version_2: &[&str]| {
            let of = |names: &[&str], version| {
                names.iter().map(|name| ((*name).to_owned(), version)).collect::<Vec<_>>()
            };
            join_hierarchies(&[of(version_1, Mounted::Version1), of(version_2, Mounted::Version2)].concat())
        };
        let v1 = ["cpuset", "devices", "pids"];
        assert_eq!(joined(&v1, &[]).as_deref(), Some("cpuset:devices:pids"));
        assert_eq!(joined(&v1, &["unified"]).as_deref(), Some("cpuset:devices:pids:unified"));
        assert_eq!(joined(&["cpu,cpuacct", "cpuset", "devices"], &[]), None);
        assert_eq!(joined(&[], &["user.slice", "system.slice"]), None);
    }

    #[test]
    fn only_what_differs_is_told() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(differences(&lines("a\nb"), &lines("b\na")), "");
        assert_eq!(differences(&lines("a\nb"), &lines("b\nc")), "- a\n+ c\n");
    }
}
