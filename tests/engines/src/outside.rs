//! The world of the engines, seen from outside: it is made of namespaces and of one cgroup in each hierarchy, and the
//! engines run in there with their files at their usual places. When its first process ends, the kernel ends all
//! others, and its mounts, bridges and firewall rules go with it. What remains is a directory and empty cgroups.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use masu_harness::{Check, Runtime, ensure, fail, host};

const ENTER: &str = include_str!("enter.sh");
/// Enters cgroups: who is in one when a cgroup namespace is made is at its root.
const JOIN: &str = r#"for procs in $1; do echo $$ >"$procs" || exit; done; shift; exec "$@""#;
/// Makes the namespaces; all that is in them ends with the process that made them, and that with this one.
const NAMESPACES: &[&str] = &[
    "setpriv",
    "--pdeathsig",
    "KILL",
    "unshare",
    "--cgroup",
    "--mount",
    "--net",
    "--pid",
    "--ipc",
    "--uts",
    "--propagation",
    "private",
    "--fork",
    "--kill-child",
];

/// A world. Its directory and its cgroups go with it.
#[derive(Debug)]
pub(crate) struct Outside {
    name: String,
    dir: PathBuf,
}

impl Outside {
    /// Makes the directory and the cgroups.
    pub(crate) fn create() -> Check<Self> {
        let name = format!("masu-engines-{}", std::process::id());
        let dir = std::env::temp_dir().join(&name);
        fs::create_dir(&dir)?;
        let this = Self { name, dir };
        for hierarchy in hierarchies()? {
            let own = hierarchy.join(&this.name);
            fs::create_dir(&own)
                .map_err(|error| fail(format!("cannot create {}: {error}", own.display())))?;
            // A new cgroup of this version 1 hierarchy takes no process before it has both.
            for file in ["cpuset.cpus", "cpuset.mems"].iter().filter(|file| own.join(file).exists()) {
                if !host::is_unified() {
                    fs::write(own.join(file), fs::read(hierarchy.join(file))?)?;
                }
            }
        }
        Ok(this)
    }

    /// Runs this program once more, inside, with these arguments and the world's directory.
    pub(crate) fn run_inside(&self, runtimes: &[Runtime], arguments: &[OsString]) -> Check<ExitStatus> {
        let runtime = runtimes.first().ok_or_else(|| fail("no runtime"))?;
        let layout = match (host::is_unified(), runtimes.iter().any(|one| one.name == "crun")) {
            (true, _) => "unified",
            (false, true) => "v1",
            (false, false) => "hybrid",
        };
        let procs: Vec<_> =
            hierarchies()?.iter().map(|path| path.join(&self.name).join("cgroup.procs")).collect();
        let procs: Vec<_> = procs.iter().map(|path| path.to_string_lossy().into_owned()).collect();
        let script = self.dir.join("enter.sh");
        fs::write(&script, ENTER)?;
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", JOIN, "join"])
            .arg(procs.join(" "))
            .args(NAMESPACES)
            .args(["/bin/sh".as_ref(), script.as_path(), &self.dir, &runtime.path])
            .args([layout.as_ref(), std::env::current_exe()?.as_os_str()])
            .args(["--inside".as_ref(), self.dir.as_os_str()])
            .args(arguments);
        Ok(command.status()?)
    }

    /// Removes what is left. Its first process has gone, and with it all others.
    pub(crate) fn remove(&self) -> Check {
        host::until("the processes of the world have gone", || {
            Ok(host::processes_of(&self.name)?.is_empty())
        })?;
        for cgroup in host::cgroups_of(&self.name)? {
            host::until(&format!("{} is empty", cgroup.display()), || Ok(fs::remove_dir(&cgroup).is_ok()))?;
        }
        fs::remove_dir_all(&self.dir)?;
        ensure!(host::cgroups_of(&self.name)?.is_empty(), "cgroups are left");
        Ok(())
    }
}

/// The mount points of all hierarchies.
fn hierarchies() -> Check<Vec<PathBuf>> {
    if host::is_unified() {
        return Ok(vec![host::CGROUPS.into()]);
    }
    let entries = fs::read_dir(host::CGROUPS)?;
    Ok(entries.flatten().map(|entry| entry.path()).filter(|path| is_directory(path)).collect())
}

fn is_directory(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir())
}
