//! A runtime with bundles of its own, and its commands.

use super::scratch::Scratch;
use crate::{bundle, project};
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// As many containers as are started at once.
pub(super) const CONCURRENT: usize = 32;

/// The benchmark's own libc-free programs.
#[derive(Debug)]
pub(super) struct Probe {
    /// Ends at once; waits for a signal when it has an argument.
    pub(super) empty: PathBuf,
    /// Runs another and tells the peak memory of its processes.
    pub(super) peak: PathBuf,
}

impl Probe {
    /// Builds them; they are a workspace of their own, as the engine is.
    pub(super) fn build() -> Result<Self> {
        project::run(&mut project::probe_cargo(&["build", "--quiet", "--release", "--locked"]))?;
        let release = project::target().join("probe/release");
        Ok(Self { empty: release.join("true"), peak: release.join("peak") })
    }
}

#[derive(Debug)]
pub(super) struct Contender {
    pub(super) name: &'static str,
    pub(super) version: String,
    path: PathBuf,
    folder: PathBuf,
}

impl Contender {
    /// Makes its bundles: `run-N` with an empty process, `wait` with one that waits. Each has a cgroup of its own
    /// directly below the top, for where a container without one goes is different in every runtime.
    pub(super) fn prepare(
        name: &'static str,
        path: PathBuf,
        scratch: &Scratch,
        probe: &Probe,
    ) -> Result<Self> {
        let version = project::output(Command::new(&path).arg("--version"))?;
        let version = version.lines().next().unwrap_or(name).to_owned();
        let folder = scratch.path.join(name);
        let root = folder.join("root");
        std::fs::create_dir_all(&root).with_context(|| format!("create {}", root.display()))?;
        std::fs::copy(&probe.empty, root.join("true")).context("copy the empty program")?;
        let this = Self { name, version, path, folder };
        for number in 0..CONCURRENT {
            this.write_bundle(&format!("run-{number}"), &["/true"])?;
        }
        this.write_bundle("wait", &["/true", "wait"])?;
        Ok(this)
    }

    fn write_bundle(&self, bundle: &str, arguments: &[&str]) -> Result<()> {
        let arguments: Vec<_> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let mut config = bundle::default_config(&self.folder.join("root").to_string_lossy(), &arguments);
        if let Some(linux) = config.pointer_mut("/linux").and_then(|linux| linux.as_object_mut()) {
            let cgroup = format!("/masu-bench-{}-{}-{bundle}", std::process::id(), self.name);
            linux.insert("cgroupsPath".to_owned(), cgroup.into());
        }
        let folder = self.folder.join(bundle);
        std::fs::create_dir(&folder).with_context(|| format!("create {}", folder.display()))?;
        std::fs::write(folder.join("config.json"), config.to_string())
            .with_context(|| format!("write the config.json of {bundle}"))
    }

    pub(super) fn run_arguments(&self, number: usize) -> Vec<String> {
        let bundle = self.folder.join(format!("run-{number}")).to_string_lossy().into_owned();
        self.arguments(&["run", "--bundle", &bundle, &format!("run-{number}")])
    }

    /// A container that waits, and the file that its pid will be in.
    pub(super) fn create(&self) -> Result<(Command, PathBuf)> {
        let pid_file = self.folder.join("pid");
        let bundle = self.folder.join("wait").to_string_lossy().into_owned();
        let file = pid_file.to_string_lossy().into_owned();
        let create =
            self.command(&self.arguments(&["create", "--bundle", &bundle, "--pid-file", &file, "wait"]))?;
        Ok((create, pid_file))
    }

    /// A command on that container.
    pub(super) fn on_waiting(&self, verb: &[&str]) -> Result<Command> {
        self.command(&self.arguments(verb))
    }

    pub(super) fn run(&self, number: usize) -> Result<Command> {
        self.command(&self.run_arguments(number))
    }

    fn arguments(&self, words: &[&str]) -> Vec<String> {
        let state = self.folder.join("state").to_string_lossy().into_owned();
        let words = words.iter().map(|&word| word.to_owned());
        ["--root".to_owned(), state].into_iter().chain(words).collect()
    }

    /// Nothing is read from it: a container that outlives its runtime would keep a pipe open.
    fn command(&self, arguments: &[String]) -> Result<Command> {
        let log = self.log();
        let stderr = File::create(&log).with_context(|| format!("create {}", log.display()))?;
        let mut command = Command::new(&self.path);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        Ok(command)
    }

    /// The runtime under a tracer; what that prints is on standard output.
    pub(super) fn traced(&self, tracer: &Path) -> Command {
        let mut command = Command::new(tracer);
        command.arg(&self.path).args(self.run_arguments(0));
        command
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

    fn check(&self, command: &Command, status: ExitStatus) -> Result<()> {
        if status.success() {
            return Ok(());
        }
        let stderr = std::fs::read_to_string(self.log()).unwrap_or_default();
        bail!("{}: {status}\n{}", project::words(command), stderr.trim_end())
    }
}
