//! A runtime with bundles of its own, and its commands. The floor is one too, that can do nothing but `run`.

use super::floor::{self, Floor};
use super::scratch::Scratch;
use super::variant::{PLAIN, Variant};
use crate::project;
use anyhow::{Context, Result, bail};
use rustix::process::{Pid, WaitOptions, waitpid};
use serde_json::Value;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The benchmark's own libc-free programs.
#[derive(Debug)]
pub(super) struct Probe {
    /// Ends at once; waits for a signal when it has an argument, and starts 1,000 others first when it has two.
    pub(super) empty: PathBuf,
    /// Runs another, and tells of each process of it the peak memory and how many system calls there were in all.
    pub(super) peak: PathBuf,
}

impl Probe {
    /// Builds them; they are a workspace of their own, as the engine is.
    pub(super) fn build() -> Result<Self> {
        project::run(&mut project::probe_cargo(&["build", "--quiet", "--release", "--locked"]))?;
        Ok(Self::in_folder(&project::target().join("probe/release")))
    }

    /// Those that have been built.
    pub(super) fn in_folder(folder: &Path) -> Self {
        Self { empty: folder.join("true"), peak: folder.join("peak") }
    }
}

/// What a contender is.
#[derive(Debug)]
enum Kind {
    Runtime(PathBuf, Driver),
    Floor(Floor),
}

/// Who makes the cgroups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Driver {
    /// The runtime itself.
    Cgroupfs,
    /// systemd, which the runtime asks for a scope.
    Systemd,
}

impl Driver {
    /// The option of all runtimes for it.
    fn option(self) -> Option<&'static str> {
        (self == Self::Systemd).then_some("--systemd-cgroup")
    }

    /// For a heading.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Cgroupfs => "cgroups of the runtime's own making",
            Self::Systemd => "systemd's cgroups",
        }
    }

    /// Where the container of this name belongs: directly below the top, for where one without a place goes is different in
    /// every runtime. systemd's is `SLICE:PREFIX:NAME`.
    fn cgroups_path(self, name: &str) -> String {
        match self {
            Self::Cgroupfs => format!("/{name}"),
            Self::Systemd => format!("system.slice:run:{name}"),
        }
    }
}

#[derive(Debug)]
pub(super) struct Contender {
    pub(super) name: &'static str,
    pub(super) version: String,
    kind: Kind,
    folder: PathBuf,
    /// What `masu spec` writes, with this contender's root.
    config: Value,
}

/// A bundle of a contender.
#[derive(Debug, Clone)]
pub(super) struct Bundle {
    path: PathBuf,
    /// Of the container, and of its cgroup.
    name: String,
    arguments: Vec<&'static str>,
}

impl Contender {
    /// A runtime by its path.
    pub(super) fn runtime(
        name: &'static str,
        path: PathBuf,
        driver: Driver,
        config: &Value,
        scratch: &Scratch,
        probe: &Probe,
    ) -> Result<Self> {
        let version = project::output(Command::new(&path).arg("--version"))?;
        let version = version.lines().next().unwrap_or(name).to_owned();
        Self::prepare(name, version, Kind::Runtime(path, driver), config, scratch, probe)
    }

    pub(super) fn floor(floor: Floor, config: &Value, scratch: &Scratch, probe: &Probe) -> Result<Self> {
        Self::prepare("floor", "bench/floor".to_owned(), Kind::Floor(floor), config, scratch, probe)
    }

    fn prepare(
        name: &'static str,
        version: String,
        kind: Kind,
        config: &Value,
        scratch: &Scratch,
        probe: &Probe,
    ) -> Result<Self> {
        let folder = scratch.path.join(name);
        let root = folder.join("root");
        floor::make_root(&root)?;
        std::fs::copy(&probe.empty, root.join("true")).context("copy the empty program")?;
        std::fs::copy("/bin/busybox", root.join("busybox")).context("copy /bin/busybox")?;
        Ok(Self { name, version, kind, folder, config: config.clone() })
    }

    /// Whether it is a runtime with all commands.
    pub(super) fn is_runtime(&self) -> bool {
        matches!(self.kind, Kind::Runtime(..))
    }

    /// The runtime's own file.
    pub(super) fn program(&self) -> Option<&Path> {
        match &self.kind {
            Kind::Runtime(path, _) => Some(path),
            Kind::Floor(_) => None,
        }
    }

    /// Whether it can run this variant of the configuration; the floor knows no other than the default one.
    pub(super) fn knows(&self, variant: &Variant) -> bool {
        self.is_runtime() || variant.name == PLAIN.name
    }

    fn driver(&self) -> Driver {
        match self.kind {
            Kind::Runtime(_, driver) => driver,
            Kind::Floor(_) => Driver::Cgroupfs,
        }
    }

    /// Makes a bundle, and gives the one that is there already. Each has a cgroup of its own.
    pub(super) fn bundle(
        &self,
        name: &str,
        arguments: &[&'static str],
        change: impl FnOnce(&mut Value, &Path) -> Result<()>,
    ) -> Result<Bundle> {
        // What an ID may be made of; two names that differ by other characters alone would be the same bundle.
        let name = name.replace(|character: char| !character.is_ascii_alphanumeric(), "-");
        let path = self.folder.join(&name);
        let unique = format!("masu-bench-{}-{}-{name}", std::process::id(), self.name);
        let bundle = Bundle { path, name: unique, arguments: arguments.to_vec() };
        if bundle.path.exists() {
            return Ok(bundle);
        }
        std::fs::create_dir(&bundle.path).with_context(|| format!("create {}", bundle.path.display()))?;
        let mut config = self.config.clone();
        let root = self.folder.join("root");
        floor::set_process(&mut config, &root, &self.driver().cgroups_path(&bundle.name), arguments)?;
        change(&mut config, &root)?;
        std::fs::write(bundle.path.join("config.json"), config.to_string())
            .with_context(|| format!("write the config.json of {name}"))?;
        Ok(bundle)
    }

    /// `run` of a bundle, from its beginning to its end.
    pub(super) fn run(&self, bundle: &Bundle) -> Result<Command> {
        self.run_below(None, bundle)
    }

    /// The same below a tracer.
    pub(super) fn run_below(&self, tracer: Option<&Path>, bundle: &Bundle) -> Result<Command> {
        let run = match &self.kind {
            Kind::Floor(floor) => floor.command(&self.folder.join("root"), &bundle.name, &bundle.arguments),
            Kind::Runtime(path, _) => {
                let mut run = Command::new(path);
                run.args(self.arguments(&["run", "--bundle", &bundle.path.to_string_lossy(), &bundle.name]));
                run
            }
        };
        let mut command = match tracer {
            None => run,
            Some(tracer) => {
                let mut traced = Command::new(tracer);
                traced.arg(run.get_program()).args(run.get_args());
                traced
            }
        };
        self.give_streams(&mut command)?;
        Ok(command)
    }

    /// `create` of a bundle, and the file that the pid will be in.
    pub(super) fn create(&self, bundle: &Bundle) -> Result<(Command, PathBuf)> {
        let pid_file = bundle.path.join("pid");
        let (path, file) = (bundle.path.to_string_lossy(), pid_file.to_string_lossy());
        let create = self.command(&["create", "--bundle", &path, "--pid-file", &file, &bundle.name])?;
        Ok((create, pid_file))
    }

    /// `VERB [OPTION…] CONTAINER [ARG…]`
    pub(super) fn on(&self, bundle: &Bundle, verb: &[&str], arguments: &[&str]) -> Result<Command> {
        let words: Vec<_> = verb.iter().chain([&bundle.name.as_str()]).chain(arguments).copied().collect();
        self.command(&words)
    }

    /// A command of the runtime. Nothing is read from it: a container that outlives its runtime would keep a pipe open.
    pub(super) fn command(&self, words: &[&str]) -> Result<Command> {
        let path = self.program().context("the floor has no commands")?;
        let mut command = Command::new(path);
        command.args(self.arguments(words));
        self.give_streams(&mut command)?;
        Ok(command)
    }

    fn arguments(&self, words: &[&str]) -> Vec<String> {
        let state = self.folder.join("state").to_string_lossy().into_owned();
        let words = self.driver().option().into_iter().chain(words.iter().copied()).map(str::to_owned);
        ["--root".to_owned(), state].into_iter().chain(words).collect()
    }

    fn give_streams(&self, command: &mut Command) -> Result<()> {
        let log = self.log();
        let stderr = File::create(&log).with_context(|| format!("create {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        Ok(())
    }

    fn log(&self) -> PathBuf {
        self.folder.join("stderr")
    }

    /// Runs a command to its end and gives the time it took.
    pub(super) fn time(&self, command: &mut Command) -> Result<Duration> {
        let start = Instant::now();
        let status = command.status().with_context(|| format!("start {}", project::words(command)))?;
        let took = start.elapsed();
        self.check(command, status)?;
        Ok(took)
    }

    /// Waits for a command that was started before.
    pub(super) fn wait(&self, command: &Command, child: &mut Child) -> Result<()> {
        let status = child.wait().with_context(|| format!("wait for {}", project::words(command)))?;
        self.check(command, status)
    }

    pub(super) fn check(&self, command: &Command, status: ExitStatus) -> Result<()> {
        if status.success() {
            return Ok(());
        }
        let stderr = std::fs::read_to_string(self.log()).unwrap_or_default();
        bail!("{}: {status}\n{}", project::words(command), stderr.trim_end())
    }

    /// A container that waits for signals: created and started, or only created.
    pub(super) fn live(&self, bundle: &Bundle, started: bool) -> Result<Live<'_>> {
        let (mut create, pid_file) = self.create(bundle)?;
        self.time(&mut create)?;
        let live = Live { contender: self, bundle: bundle.clone(), pid: read_pid(&pid_file)? };
        if started {
            self.time(&mut self.on(bundle, &["start"], &[])?)?;
        }
        Ok(live)
    }
}

/// The pid in a file that a runtime has written.
pub(super) fn read_pid(file: &Path) -> Result<Pid> {
    let pid = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    pid.trim().parse().ok().and_then(Pid::from_raw).context("the pid file has no pid")
}

/// A container that is removed when this value goes.
#[derive(Debug)]
pub(super) struct Live<'a> {
    contender: &'a Contender,
    pub(super) bundle: Bundle,
    pub(super) pid: Pid,
}

impl Live<'_> {
    /// `VERB [OPTION…] CONTAINER [ARG…]`
    pub(super) fn command(&self, verb: &[&str], arguments: &[&str]) -> Result<Command> {
        self.contender.on(&self.bundle, verb, arguments)
    }
}

impl Drop for Live<'_> {
    fn drop(&mut self) {
        let delete = self.command(&["delete", "--force"], &[]);
        // An error is on its way already, or what comes next will meet what is left.
        delete.ok().and_then(|mut delete| delete.status().ok());
        waitpid(Some(self.pid), WaitOptions::empty()).ok();
    }
}
