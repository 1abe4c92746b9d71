//! The bench on which one case works: a state directory, a name and a scratch directory of its own,
//! cleared and searched for leaks at the end.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::{Pid, Signal, kill_process};

use super::command::{Invocation, Output};
use super::config::Config;
use super::container::{Bundle, Container};
use super::user::{self, User};
use super::{Check, Driver, Runtime, World, ensure, host, mountinfo, roots};

/// The variable that marks the processes of a case.
const MARKER: &str = "MASU_TEST_CASE";

/// The surroundings of one case.
#[derive(Debug)]
pub(crate) struct Bench<'w> {
    /// What all cases share.
    pub(crate) world: &'w World,
    /// The unique name of the case; ids and cgroups start with it.
    pub(crate) tag: String,
    /// The directory of the case.
    pub(crate) dir: PathBuf,
    /// The state directory: `--root`.
    pub(crate) root: PathBuf,
    program: PathBuf,
    /// The ordinary user who runs the runtime, where it is not root.
    user: Option<User>,
    counter: AtomicUsize,
}

impl<'w> Bench<'w> {
    /// A new bench.
    pub(crate) fn new(world: &'w World) -> Check<Self> {
        let tag = world.unique_name();
        let dir = world.scratch.join(&tag);
        fs::create_dir(&dir)?;
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755))?;
        let root = dir.join("state");
        fs::create_dir(&root)?;
        let program = world.runtime.path.clone();
        Ok(Self { world, tag, dir, root, program, user: None, counter: AtomicUsize::new(0) })
    }

    /// The runtime under test.
    pub(crate) fn runtime(&self) -> &Runtime {
        &self.world.runtime
    }

    /// Runs another file as the runtime from now on: a copy that may come to harm.
    pub(crate) fn use_program(&mut self, program: &Path) {
        self.program = program.to_owned();
    }

    /// From now on the runtime is run by an ordinary user, whom its state directory and every new bundle belong to.
    pub(crate) fn become_user(&mut self) -> Check<User> {
        let user = User::make(self.directory("user")?)?;
        user::give(&self.root)?;
        // The runtime's own place need not be one that the user can reach.
        self.program = self.world.public_program()?;
        self.user = Some(user.clone());
        Ok(user)
    }

    /// Gives a directory to the case's user, if it has one.
    pub(crate) fn give(&self, path: &Path) -> Check {
        if self.user.is_some() { user::give(path) } else { Ok(()) }
    }

    /// A number that the case has not had yet.
    pub(crate) fn number(&self) -> usize {
        self.counter.fetch_add(1, Ordering::Relaxed)
    }

    /// A path in the directory of the case that has not been used yet.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{}-{name}", self.number()))
    }

    /// A new directory of the case.
    pub(crate) fn directory(&self, name: &str) -> Check<PathBuf> {
        let path = self.path(name);
        fs::create_dir(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        Ok(path)
    }

    /// A program of the host.
    pub(crate) fn program(&self, program: impl AsRef<OsStr>) -> Invocation {
        Invocation::new(program.as_ref(), self.path("output")).env(MARKER, &self.tag)
    }

    /// A program of the host, run by the case's user if it has one.
    pub(crate) fn as_user(&self, program: impl AsRef<OsStr>) -> Invocation {
        let Some(user) = &self.user else { return self.program(program) };
        let prefix = user.prefix();
        let (first, rest) =
            prefix.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
        let mut invocation = self.program(first).args(rest);
        for (key, value) in user.environment() {
            invocation = invocation.env(key, value);
        }
        invocation.arg(program)
    }

    /// The runtime without `--root`.
    pub(crate) fn bare(&self, args: &[&str]) -> Invocation {
        self.as_user(&self.program).args(args)
    }

    /// The runtime with the case's `--root`, and the driver of this run.
    pub(crate) fn call(&self, args: &[&str]) -> Invocation {
        self.call_with(self.world.surroundings.driver, args)
    }

    /// The runtime with the case's `--root` and a driver.
    pub(crate) fn call_with(&self, driver: Driver, args: &[&str]) -> Invocation {
        self.as_user(&self.program).args(driver.options()).arg("--root").arg(&self.root).args(args)
    }

    /// The runtime's file and its `--root`, for a shell that calls it.
    pub(crate) fn command_line(&self) -> String {
        let options = self.world.surroundings.driver.options().join(" ");
        format!("{} {options} --root {}", self.program.display(), self.root.display())
    }

    /// A bundle with a busybox root of its own.
    pub(crate) fn bundle(&self) -> Check<Bundle> {
        let dir = self.directory("bundle")?;
        roots::copy_busybox(self.world.busybox(), &dir.join("rootfs"))?;
        if self.user.is_some() {
            user::give(&dir)?;
            return self.bundle_of_user(dir);
        }
        Ok(self.bundle_in(dir))
    }

    /// A bundle whose root is the shared, read-only Debian.
    pub(crate) fn debian_bundle(&self) -> Check<Bundle> {
        let debian = self.world.debian()?;
        let dir = self.directory("bundle")?;
        let mut bundle = self.bundle_in(dir);
        bundle.config.set("/root/path", debian.to_string_lossy().into_owned());
        bundle.config.set("/root/readonly", true);
        Ok(bundle)
    }

    fn bundle_in(&self, dir: PathBuf) -> Bundle {
        let name = format!("{}-{}c", self.tag, self.number());
        let mut config = Config(self.world.default_config.clone());
        config.set("/process/terminal", false);
        let surroundings = &self.world.surroundings;
        match (surroundings.driver, &surroundings.cgroup_parent) {
            (Driver::Systemd, _) => {
                config.set("/linux/cgroupsPath", format!(":masu:{name}"));
            }
            (Driver::Cgroupfs, Some(parent)) => {
                config.set("/linux/cgroupsPath", format!("{parent}/{name}"));
            }
            (Driver::Cgroupfs, None) => {}
        }
        config.args(&["sleep", "1000"]);
        Bundle { dir, name, config }
    }

    /// A bundle as `spec --rootless` begins one, without a cgroup of its own.
    fn bundle_of_user(&self, dir: PathBuf) -> Check<Bundle> {
        self.bare(&["spec", "--rootless", "--bundle"]).arg(&dir).succeeds()?;
        let mut config = Config(serde_json::from_slice(&fs::read(dir.join("config.json"))?)?);
        config.set("/process/terminal", false).args(&["sleep", "1000"]);
        Ok(Bundle { dir, name: format!("{}-{}c", self.tag, self.number()), config })
    }

    /// The path of a cgroup that containers may be below, as a config.json names it: beside those of other containers.
    pub(crate) fn cgroup_path(&self, name: &str) -> String {
        let parent = self.world.surroundings.cgroup_parent.as_deref().unwrap_or_default();
        format!("{parent}/{}-{name}", self.tag)
    }

    /// A container of this bundle, not created yet.
    pub(crate) fn container(&self, bundle: Bundle) -> Check<Container<'_>> {
        Container::new(self, bundle)
    }

    /// A running container that sleeps.
    pub(crate) fn sleeper(&self, edit: impl FnOnce(&mut Config)) -> Check<Container<'_>> {
        let mut bundle = self.bundle()?;
        edit(&mut bundle.config);
        let container = self.container(bundle)?;
        container.run_detached()?;
        Ok(container)
    }

    /// Runs a script in a new container and returns what the runtime left behind.
    pub(crate) fn script(&self, script: &str, edit: impl FnOnce(&mut Config)) -> Check<Output> {
        let mut bundle = self.bundle()?;
        bundle.config.shell(script);
        edit(&mut bundle.config);
        self.container(bundle)?.run()
    }

    /// Runs a script in a new container, expects success and returns its trimmed output.
    pub(crate) fn inside(&self, script: &str, edit: impl FnOnce(&mut Config)) -> Check<String> {
        let output = self.script(script, edit)?.exits_with(0)?;
        Ok(output.text().to_owned())
    }

    /// Deletes what the case has left and looks for what the runtime has left.
    pub(crate) fn finish(&self) -> Check {
        let deleted = self.delete_all();
        let leaks = self.leaks();
        self.sweep();
        let gone = self.world.remove_tree(&self.dir);
        deleted?;
        let leaks = leaks?;
        ensure!(leaks.is_empty(), "left behind:\n{}", leaks.join("\n"));
        gone?;
        Ok(())
    }

    fn delete_all(&self) -> Check {
        let entries = match fs::read_dir(&self.root) {
            Ok(entries) => entries,
            // A case may have removed its state directory, or made a file of it.
            Err(_) => return Ok(()),
        };
        for entry in entries {
            let name = entry?.file_name();
            if name.to_string_lossy().starts_with("masu-test-") {
                self.call(&["delete", "--force"]).arg(&name).output()?;
            }
        }
        Ok(())
    }

    /// Everything on the host that belongs to this case.
    pub(crate) fn leaks(&self) -> Check<Vec<String>> {
        let mut leaks = Vec::new();
        // A killed process needs a moment to leave: what is still there at the deadline is a leak.
        let waited = host::until("processes of the case", || Ok(host::processes_of(&self.tag)?.is_empty()));
        if waited.is_err() {
            for pid in host::processes_of(&self.tag)? {
                let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                leaks.push(format!("process {pid}: {}", line.replace('\0', " ")));
            }
        }
        leaks.extend(host::cgroups_of(&self.tag)?.iter().map(|path| format!("cgroup {}", path.display())));
        let dir = self.dir.to_string_lossy();
        let mounts = mountinfo::host_mounts()?;
        let ours =
            mounts.iter().filter(|mount| mount.point.starts_with(&*dir) || mount.root.contains(&self.tag));
        leaks.extend(ours.map(|mount| format!("mount {}", mount.point)));
        if let Ok(entries) = fs::read_dir(&self.root) {
            let names = entries.flatten().map(|entry| entry.file_name());
            let names = names.filter(|name| name.to_string_lossy().starts_with("masu-test-"));
            leaks.extend(names.map(|name| format!("state directory {}", name.display())));
        }
        Ok(leaks)
    }

    /// Removes what a failed case may have left, so that the machine is as before.
    fn sweep(&self) {
        for pid in host::processes_of(&self.tag).unwrap_or_default() {
            if let Some(pid) = Pid::from_raw(pid) {
                kill_process(pid, Signal::KILL).ok(); // ignored: it may have gone by itself
            }
        }
        let dir = self.dir.to_string_lossy();
        for mount in mountinfo::host_mounts().unwrap_or_default().iter().rev() {
            if mount.point.starts_with(&*dir) {
                rustix::mount::unmount(&mount.point, rustix::mount::UnmountFlags::DETACH).ok(); // ignored: gone
            }
        }
        for cgroup in host::cgroups_of(&self.tag).unwrap_or_default() {
            fs::remove_dir(cgroup).ok(); // ignored: best effort of a case that has failed already
        }
    }
}
