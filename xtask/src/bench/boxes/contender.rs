//! Who runs a container of an image, and how.

use super::Content;
use super::content;
use crate::project;
use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// In the order of the table's columns.
pub(super) const CONTENDERS: [Contender; 3] = [Contender::Masu, Contender::Podman, Contender::Docker];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Contender {
    /// `masu box`.
    Masu,
    /// `podman run --rm`.
    Podman,
    /// `docker run --rm`.
    Docker,
}

impl Contender {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Masu => "masu",
            Self::Podman => "podman",
            Self::Docker => "docker",
        }
    }
}

/// podman raises limits by default, which takes CAP_SYS_RESOURCE: root does not have it everywhere.
const PODMAN: &str = "[containers]\ndefault_ulimits = [\"nofile=1024:20000\", \"nproc=32768:32768\"]\n\
    [engine]\nevents_logger = \"none\"\n";
/// What the image is called by all of them.
const IMAGE: &str = "localhost/debian:1";
/// How long dockerd may take to start.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where they work, each with the image in its store.
#[derive(Debug)]
pub(super) struct World {
    folder: PathBuf,
    /// Where podman and Docker keep what is gone after a reboot; they want short paths.
    run: PathBuf,
    /// The cgroup of all of their containers.
    cgroup: String,
    dockerd: Child,
}

impl World {
    /// A folder on the disk that the work tree is on.
    pub(super) fn create(content: &Content) -> Result<Self> {
        let name = format!("masu-bench-boxes-{}", std::process::id());
        let folder = project::target().join(&name);
        let run = Path::new("/run").join(&name);
        for directory in [&folder, &run] {
            std::fs::create_dir_all(directory).with_context(|| format!("create {}", directory.display()))?;
        }
        let write = |name: &str, text: &str| {
            std::fs::write(folder.join(name), text).with_context(|| format!("write {name}"))
        };
        write("containers.conf", PODMAN)?;
        write("daemon.json", "{}")?;
        let log = std::fs::File::create(folder.join("dockerd.log")).context("create dockerd.log")?;
        let mut dockerd = Command::new("dockerd");
        dockerd.arg("--data-root").arg(folder.join("docker")).arg("--exec-root").arg(run.join("docker"));
        dockerd
            .arg("--pidfile")
            .arg(run.join("docker.pid"))
            .arg("--config-file")
            .arg(folder.join("daemon.json"));
        dockerd.arg("--host").arg(format!("unix://{}", run.join("docker.sock").display()));
        dockerd.args(["--bridge", "none", "--iptables=false", "--ip6tables=false"]);
        dockerd.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let dockerd = dockerd.spawn().context("start dockerd")?;
        let world = Self { folder, run, cgroup: format!("/{name}"), dockerd };
        world.fill(content)?;
        Ok(world)
    }

    fn fill(&self, content: &Content) -> Result<()> {
        for name in [content::DEBIAN, content::LARGE] {
            let source = format!("oci:{}:{name}", content.layout.display());
            quiet(&mut self.masu(&["image", "import", "--quiet", &source, &format!("localhost/{name}:1")]))?;
        }
        let source = format!("oci:{}:{}", content.layout.display(), content::DEBIAN);
        let archive = self.folder.join("debian.tar");
        let target = format!("docker-archive:{}:{IMAGE}", archive.display());
        quiet(Command::new("skopeo").args(["copy", "--quiet", &source, &target]))?;
        quiet(self.podman(&["load", "--quiet", "--input"]).arg(&archive))?;
        let start = Instant::now();
        while quiet(&mut self.docker(&["version"])).is_err() {
            if start.elapsed() > PATIENCE {
                bail!("dockerd does not start: {}", self.folder.join("dockerd.log").display());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        quiet(self.docker(&["load", "--input"]).arg(&archive))?;
        std::fs::remove_file(&archive).with_context(|| format!("remove {}", archive.display()))
    }

    fn masu(&self, words: &[&str]) -> Command {
        let mut masu = Command::new(project::bin().join("masu"));
        masu.arg("--root").arg(self.run.join("masu")).args(words).env("MASU_STORE", self.folder.join("masu"));
        masu
    }

    fn podman(&self, words: &[&str]) -> Command {
        let mut podman = Command::new("podman");
        podman.arg("--root").arg(self.folder.join("podman")).arg("--runroot").arg(self.run.join("podman"));
        podman.args(["--storage-driver", "overlay", "--cgroup-manager", "cgroupfs", "--runtime", "runc"]);
        podman.args(words).env("CONTAINERS_CONF", self.folder.join("containers.conf"));
        podman
    }

    pub(super) fn docker(&self, words: &[&str]) -> Command {
        // Debian's, whatever else is in the PATH.
        let mut docker = Command::new("/usr/bin/docker");
        docker.arg("--host").arg(format!("unix://{}", self.run.join("docker.sock").display())).args(words);
        docker
    }

    /// Runs one program in a container that is gone afterwards.
    pub(super) fn run(&self, contender: Contender, program: &str) -> Command {
        let others = ["run", "--rm", "--network", "none", "--cgroup-parent", &self.cgroup, IMAGE, program];
        match contender {
            Contender::Masu => self.masu(&["box", IMAGE, program]),
            Contender::Podman => self.podman(&others),
            Contender::Docker => self.docker(&others),
        }
    }

    /// How long a bundle takes. It is removed again.
    pub(super) fn bundle(&self, image: &str) -> Result<Duration> {
        let directory = self.folder.join("bundle");
        let create = ["bundle", "create", "--quiet", &format!("localhost/{image}:1")];
        let start = Instant::now();
        quiet(self.masu(&create).arg(&directory))?;
        let taken = start.elapsed();
        quiet(self.masu(&["bundle", "rm"]).arg(&directory))?;
        Ok(taken)
    }

    /// Runs so many at once, and waits for all of them.
    pub(super) fn run_many(&self, contender: Contender, count: usize) -> Result<()> {
        let start = |_| {
            let mut command = self.run(contender, "true");
            command.stdin(Stdio::null()).spawn().with_context(|| format!("start {}", contender.name()))
        };
        let children = (0..count).map(start).collect::<Result<Vec<_>>>()?;
        for mut child in children {
            let status = child.wait().context("wait")?;
            if !status.success() {
                bail!("{}: {status}", contender.name());
            }
        }
        Ok(())
    }

    /// Leaves so many in the background.
    pub(super) fn leave_many(&self, contender: Contender, count: usize) -> Result<()> {
        let others = ["run", "-d", "--rm", "--network", "none", "--cgroup-parent", &self.cgroup, IMAGE];
        for _ in 0..count {
            let mut command = match contender {
                Contender::Masu => self.masu(&["box", "-d", IMAGE]),
                Contender::Podman => self.podman(&others),
                Contender::Docker => self.docker(&others),
            };
            quiet(command.args(["sleep", "1000"]))?;
        }
        Ok(())
    }

    /// Ends all in the background.
    pub(super) fn end_all(&self, contender: Contender) -> Result<()> {
        match contender {
            Contender::Masu => {
                let list = project::output(&mut self.masu(&["list", "--quiet"]))?;
                for name in list.lines() {
                    quiet(&mut self.masu(&["kill", name, "KILL"]))?;
                }
                let boxes = self.folder.join("masu/boxes");
                while boxes.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Ok(())
            }
            Contender::Podman => quiet(&mut self.podman(&["rm", "--all", "--force", "--time", "0"])),
            Contender::Docker => {
                let list = project::output(&mut self.docker(&["ps", "--quiet"]))?;
                quiet(self.docker(&["rm", "--force"]).args(list.lines()))
            }
        }
    }

    pub(super) fn remove(mut self) -> Result<()> {
        let dockerd = Pid::from_child(&self.dockerd);
        kill_process(dockerd, Signal::TERM).context("end dockerd")?;
        self.dockerd.wait().context("wait for dockerd")?;
        // What is mounted below them goes with the mount namespace, and is in the way before.
        let mounts = std::fs::read_to_string("/proc/self/mounts").context("read /proc/self/mounts")?;
        let below =
            |path: &&str| [&self.folder, &self.run].iter().any(|folder| Path::new(path).starts_with(folder));
        let paths: Vec<&str> =
            mounts.lines().filter_map(|line| line.split(' ').nth(1)).filter(below).collect();
        for path in paths.iter().rev() {
            rustix::mount::unmount(*path, rustix::mount::UnmountFlags::DETACH)
                .with_context(|| format!("unmount {path}"))?;
        }
        for folder in [&self.folder, &self.run] {
            std::fs::remove_dir_all(folder).with_context(|| format!("remove {}", folder.display()))?;
        }
        let own = format!("*{}*", self.cgroup);
        let find = ["/sys/fs/cgroup", "-depth", "-type", "d", "-path", &own, "-exec", "rmdir", "{}", "+"];
        quiet(Command::new("find").args(find))
    }
}

fn quiet(command: &mut Command) -> Result<()> {
    project::output(command).map(drop)
}
