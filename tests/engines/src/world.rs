//! What all cases share, seen from inside: the runtime, the image, and the engines, each started when a case first asks.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, RwLock};

use masu_harness::command::{Invocation, Output};
use masu_harness::{Check, Runtime, busybox, ensure, fail, host};

use crate::engines::{Daemon, containerd, docker, kubernetes, podman};
use crate::suite::Engine;

/// What the engines know the image by.
pub(crate) const IMAGE: &str = "localhost/busybox:latest";
/// The same with another command: what the first container of a pod runs.
pub(crate) const PAUSE_IMAGE: &str = "localhost/pause:latest";
/// Where an administrator would have installed the runtime.
pub(crate) const BIN: &str = "/usr/local/bin";
/// What another runtime is called where masu is in the configuration.
const OTHER: &str = "tested";
/// The ordinary user, whom only this world knows.
pub(crate) const UID: u32 = 23_456;
/// Her name.
pub(crate) const USER: &str = "masu-tester";

/// Whether systemd runs the world, and so makes the cgroups: sd_booted(3).
pub(crate) fn has_systemd() -> bool {
    Path::new("/run/systemd/system").exists()
}

/// The world of one run.
#[derive(Debug)]
pub(crate) struct World {
    /// Its directory.
    pub(crate) dir: PathBuf,
    /// The runtime, where an administrator would have installed it.
    pub(crate) runtime: Runtime,
    /// A Python that has the client of the CRI.
    pub(crate) python: PathBuf,
    /// Further runtimes, by the names that Docker and containerd get for them.
    pub(crate) beside: Vec<(String, PathBuf)>,
    /// Where Kubernetes' programs are.
    pub(crate) kubernetes: Option<PathBuf>,
    /// In the order in which one needs another.
    daemons: Mutex<BTreeMap<Engine, Vec<Daemon>>>,
    counter: AtomicUsize,
    /// Read by the cases that run together, and written by one that runs alone.
    pub(crate) turns: RwLock<()>,
}

impl World {
    /// Prepares what is common to all engines.
    pub(crate) fn enter(dir: PathBuf, runtime: Runtime, python: PathBuf) -> Check<Self> {
        let installed = Path::new(BIN).join(runtime.path.file_name().unwrap_or_default());
        let mut runtime = Runtime { path: installed, ..runtime };
        if !runtime.is_masu() {
            // `runc` is what engines know their own by.
            let other = runtime.path.with_file_name(OTHER);
            fs::rename(&runtime.path, &other)?;
            runtime.path = other;
        }
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755))?;
        let world = Self {
            dir,
            runtime,
            python,
            beside: Vec::new(),
            kubernetes: None,
            daemons: Mutex::default(),
            counter: AtomicUsize::new(0),
            turns: RwLock::default(),
        };
        world.add_user()?;
        world.make_image()?;
        Ok(world)
    }

    /// Adds the ordinary user, with a home, a runtime directory and ids for user namespaces.
    fn add_user(&self) -> Check {
        let home = self.home();
        let append = |file: &str, line: String| {
            let text = fs::read_to_string(file).unwrap_or_default();
            fs::write(file, text + &line)
        };
        append("/etc/passwd", format!("{USER}:x:{UID}:{UID}::{}:/bin/sh\n", home.display()))?;
        append("/etc/group", format!("{USER}:x:{UID}:\n"))?;
        for (file, first) in [("/etc/subuid", 700_000), ("/etc/subgid", 800_000)] {
            append(file, format!("{USER}:{first}:65536\n"))?;
        }
        let give = |directory: PathBuf| {
            fs::create_dir_all(&directory)?;
            fs::set_permissions(&directory, fs::Permissions::from_mode(0o700))?;
            chown(&directory, Some(UID), Some(UID))
        };
        give(home)?;
        if !has_systemd() {
            return Ok(give(self.user_run())?);
        }
        // systemd opens a session for her, and PAM asks whether she may have one.
        append("/etc/shadow", format!("{USER}:*:1::::::\n"))?;
        self.succeeds("loginctl", &["enable-linger", USER])?;
        host::until("the user's own systemd is there", || Ok(self.user_run().join("bus").exists()))
    }

    /// The ordinary user's home.
    pub(crate) fn home(&self) -> PathBuf {
        self.dir.join("user")
    }

    /// The ordinary user's `XDG_RUNTIME_DIR`.
    pub(crate) fn user_run(&self) -> PathBuf {
        PathBuf::from(format!("/run/user/{UID}"))
    }

    /// A program of the ordinary user's.
    pub(crate) fn as_user(&self, program: &str) -> Invocation {
        Invocation::new("setpriv".as_ref(), self.output())
            .args(["--reuid", &UID.to_string(), "--regid", &UID.to_string(), "--clear-groups", "--", program])
            .env("HOME", self.home())
            .env("USER", USER)
            .env("XDG_RUNTIME_DIR", self.user_run())
            .env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}/bus", self.user_run().display()))
            .current_dir(Path::new("/"))
    }

    /// An archive as `docker save` writes one, of two images with nothing but busybox in them.
    fn make_image(&self) -> Check {
        let root = self.dir.join("busybox");
        busybox::make_root(&root)?;
        let image = self.dir.join("image");
        fs::create_dir(&image)?;
        let layer = image.join("layer.tar");
        let tar = |directory: &Path, file: &Path| {
            Invocation::new("tar".as_ref(), self.output())
                .args(["--numeric-owner", "--owner=0", "--group=0", "--create", "--directory"])
                .arg(directory)
                .arg("--file")
                .arg(file)
                .arg(".")
                .succeeds()
        };
        tar(&root, &layer)?;
        let sum = Invocation::new("sha256sum".as_ref(), self.output()).arg(&layer).succeeds()?;
        let hash = sum.text().split(' ').next().unwrap_or_default().to_owned();
        let mut manifest = Vec::new();
        for (name, command) in [(IMAGE, vec!["/bin/sh"]), (PAUSE_IMAGE, vec!["sleep", "1000000"])] {
            let config = serde_json::json!({
                "architecture": "amd64", "os": "linux",
                "config": {"Cmd": command, "Env": ["PATH=/usr/bin:/bin"]},
                "history": [{"created_by": "busybox"}],
                "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{hash}")]},
            });
            let file = format!("config-{}.json", manifest.len());
            fs::write(image.join(&file), config.to_string())?;
            manifest.push(serde_json::json!({"Config": file, "RepoTags": [name], "Layers": ["layer.tar"]}));
        }
        fs::write(image.join("manifest.json"), serde_json::Value::Array(manifest).to_string())?;
        tar(&image, &self.image_archive())?;
        Ok(())
    }

    /// The archive.
    pub(crate) fn image_archive(&self) -> PathBuf {
        self.dir.join("busybox.tar")
    }

    /// A path for the output of a command.
    pub(crate) fn output(&self) -> PathBuf {
        self.dir.join(format!("output-{}", self.number()))
    }

    /// A number that was not given before.
    pub(crate) fn number(&self) -> usize {
        self.counter.fetch_add(1, Ordering::Relaxed)
    }

    /// Has the engine running, with the image in its store.
    pub(crate) fn start(&self, engine: Engine) -> Check {
        if engine == Engine::Kubernetes {
            self.start(Engine::Containerd)?;
        }
        let mut daemons = self.daemons.lock().map_err(|_| fail("another case panicked"))?;
        // Two ways to one daemon.
        let engine = if engine == Engine::Cri { Engine::Containerd } else { engine };
        if let Entry::Vacant(vacant) = daemons.entry(engine) {
            vacant.insert(match engine {
                Engine::Podman | Engine::RootlessPodman => {
                    podman::prepare(self, engine)?;
                    Vec::new()
                }
                Engine::Docker => vec![docker::start(self)?],
                Engine::RootlessDocker => vec![docker::start_of_user(self)?],
                Engine::Containerd | Engine::Cri => vec![containerd::start(self)?],
                Engine::Kubernetes => kubernetes::start(self)?,
            });
        }
        Ok(())
    }

    /// Ends the engine's last daemon in the midst of whatever it does.
    pub(crate) fn kill(&self, engine: Engine) -> Check {
        let mut daemons = self.daemons.lock().map_err(|_| fail("another case panicked"))?;
        let last = daemons.get_mut(&engine).and_then(Vec::pop);
        last.ok_or_else(|| fail("the engine has no daemon"))?.kill()
    }

    /// Takes in the daemon that follows the one that was killed.
    pub(crate) fn add(&self, engine: Engine, daemon: Daemon) -> Check {
        let mut daemons = self.daemons.lock().map_err(|_| fail("another case panicked"))?;
        daemons.entry(engine).or_default().push(daemon);
        Ok(())
    }

    /// A file of `deploy/`, for the runtime under test instead of masu.
    pub(crate) fn deployed(&self, text: &str) -> String {
        text.replace("masu", self.configured_name())
    }

    /// What engines know the runtime by: not by the name that they have for their own.
    pub(crate) fn configured_name(&self) -> &str {
        if self.runtime.is_masu() { "masu" } else { OTHER }
    }

    /// Stops the engines and looks for what the runtime has left, which masu must not.
    pub(crate) fn leave(&self) -> Check {
        let daemons = std::mem::take(&mut *self.daemons.lock().map_err(|_| fail("a case panicked"))?);
        for daemon in daemons.into_values().flatten().rev() {
            daemon.stop()?;
        }
        let leaks = self.leaks()?;
        let told = format!("left behind by containers:\n{}", leaks.join("\n"));
        ensure!(leaks.is_empty() || !self.runtime.is_masu(), "{told}");
        // That another runtime leaves something is to be known, and nothing for masu to mend.
        if !leaks.is_empty() {
            eprintln!("{told}");
        }
        Ok(())
    }

    /// States, processes and cgroups of containers. The engines have removed all of theirs.
    fn leaks(&self) -> Check<Vec<String>> {
        let find = Invocation::new("find".as_ref(), self.output())
            .args(["/run", "-type", "f", "(", "-name", "state.json", "-o", "-name", "status", ")"])
            .output()?;
        let mut leaks: Vec<_> = find.stdout.lines().map(|state| format!("state {state}")).collect();
        for pid in host::processes()? {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            if [self.configured_name(), "masu-init"].contains(&name.trim_end()) {
                leaks.push(format!("process {pid}: {}", name.trim_end()));
            }
        }
        // A pod's own cgroup is made and removed by kubelet, which is not here.
        for parent in ["/libpod-", "docker/", "/docker-", "default/", "/ctr-", "/pod/", "/cri-containerd-"] {
            leaks.extend(host::cgroups_of(parent)?.iter().map(|path| format!("cgroup {}", path.display())));
        }
        Ok(leaks)
    }

    /// Runs a program to its successful end.
    pub(crate) fn succeeds(&self, program: &str, arguments: &[&str]) -> Check<Output> {
        Invocation::new(program.as_ref(), self.output()).args(arguments).succeeds()
    }
}
